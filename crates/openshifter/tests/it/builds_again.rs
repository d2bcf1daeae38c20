//! Which builds an import starts, which it takes for its own, and of which commit they are.

use std::path::Path;

use openshifter_testing::{GitServer, config};
use serde_json::{Value, json};

use crate::images::{
    INTERNAL, STREAM, build_config, deployment_config, json_of, let_forward, names, running,
    stream, tagged, web,
};
use crate::support::{Space, Tool, World, is_clean, keep_secret, until};

const BUILDS: &str = "builds.build.openshift.io";
const CONFIGS: &str = "buildconfigs.build.openshift.io";
const PASSWORD: &str = "clone-with-that-one-5172";

/// Commits a message that the application says when it starts.
#[track_caller]
pub(crate) fn commit(git: &GitServer, repository: &str, folder: &Path, message: &str) -> String {
    std::fs::create_dir_all(folder).expect("there is room");
    std::fs::write(folder.join("message.txt"), format!("{message}\n")).expect("there is room");
    git.commit(repository, folder, message)
}

pub(crate) fn from_git(git: &GitServer, repository: &str) -> Value {
    json!({"type": "Git", "git": {"uri": git.url(repository)}})
}

/// The builds of a project, each with its number, its phase and the commit that it was made of.
fn builds(space: &Space<'_>) -> Vec<String> {
    let builds = space.kubectl(&["get", BUILDS, "-o", "json"]);
    let builds: Value = serde_json::from_str(&builds).expect("kubectl prints JSON");
    let builds = builds["items"].as_array().expect("it is a list");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    builds
        .iter()
        .map(|build| {
            let (name, phase) = (&build["metadata"]["name"], &build["status"]["phase"]);
            let commit = &build["spec"]["revision"]["git"]["commit"];
            format!("{} {} {}", text(name), text(phase), text(commit))
        })
        .collect()
}

/// Starts a build as `oc start-build` does, and waits until the tag leads to its image.
#[track_caller]
pub(crate) fn build_anew(space: &Space<'_>, tool: &Tool) {
    let before = tagged(space);
    let request = json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildRequest",
        "metadata": {"name": "web"}});
    tool.write("request.json", request.to_string());
    let path = format!(
        "/apis/build.openshift.io/v1/namespaces/{}/buildconfigs/web/instantiate",
        space.name
    );
    let file = tool.path("request.json").to_string_lossy().into_owned();
    space.kubectl(&["create", "--raw", &path, "-f", &file]);
    until("the build to make an image", || {
        tagged(space).filter(|image| before.as_ref() != Some(image))
    });
}

#[test]
fn an_image_that_was_copied_is_not_built_over() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let live = world.production().project("live");
    let tool = Tool::with_projects(&world, "shop", "live");
    let git = GitServer::start();
    commit(&git, "web", &world.path("tree"), "what runs");
    shop.create(&[
        stream("web"),
        build_config(&from_git(&git, "web")),
        deployment_config(),
    ]);
    running(&shop, "web");
    let digest = tagged(&shop).expect("it is built");
    let_forward(&world.minishift);
    let export = [
        "export",
        "--from",
        "minishift",
        "-o",
        "chart",
        "--images",
        "copy shop/web:latest",
    ];
    tool.run(&export).ok();
    commit(&git, "web", &world.path("tree"), "what was pushed since");

    // As an import leaves it that could not push: the stream is there, and another run goes on.
    live.create(&[stream("web")]);
    let registry = world.production().expose_registry();
    let import = [
        "--output",
        "json",
        "import",
        "chart",
        "--to",
        "production",
        "--to-registry",
        &registry,
    ];
    let report = json_of(&tool.run(&import), 0);
    let of_web: Vec<&Value> = report["images"]
        .as_array()
        .expect("it lists images")
        .iter()
        .filter(|image| image["name"] == "shop/web:latest")
        .collect();
    assert_eq!(of_web.len(), 1, "{of_web:?}");
    assert_eq!(of_web[0]["action"], "pushed");
    assert_eq!(tagged(&live), Some(digest));
    assert_eq!(builds(&live), [""; 0]);
    assert_eq!(running(&live, "web").1, "what runs");
    is_clean(&[&shop, &live]);
}

#[test]
fn what_was_built_before_is_not_taken_for_a_new_build() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let git = GitServer::start();
    let old = commit(&git, "old", &world.path("old"), "from the old repository");
    let new = commit(&git, "new", &world.path("new"), "from the new repository");
    shop.create(&[
        stream("web"),
        build_config(&from_git(&git, "old")),
        deployment_config(),
    ]);
    running(&shop, "web");
    tool.export("shop", "first").ok();
    tool.run(&["import", "first", "--to", "production"]).ok();
    assert_eq!(builds(&there), [format!("web-1 Complete {old}")]);

    let change = json!({"spec": {"source": from_git(&git, "new")}}).to_string();
    shop.kubectl(&["patch", CONFIGS, "web", "--type=merge", "-p", &change]);
    build_anew(&shop, &tool);
    tool.export("shop", "second").ok();
    let import = [
        "--output",
        "json",
        "import",
        "second",
        "--to",
        "production",
        "--existing",
        "apply",
    ];
    let report = json_of(&tool.run(&import), 0);
    assert_eq!(web(&report)["action"], "built");
    names(&web(&report)["detail"].to_string(), "web-2");
    assert_eq!(
        builds(&there),
        [
            format!("web-1 Complete {old}"),
            format!("web-2 Complete {new}")
        ]
    );
    assert_eq!(tagged(&there).as_deref(), web(&report)["digest"].as_str());
    // Nothing but the import's own build was started, and its triggers are back.
    let config = |space: &Space<'_>| space.get(CONFIGS, "web").expect("it is there");
    assert_eq!(
        config(&there)["spec"]["triggers"],
        config(&shop)["spec"]["triggers"]
    );

    // That they are is no edit of somebody else.
    let run = report["run"].as_str().expect("it has a name");
    let undone = tool.run(&["undo", run, "--to", "production"]).ok();
    assert!(
        !undone.stdout.contains("was changed after the run"),
        "{undone:?}"
    );
    let source = &config(&there)["spec"]["source"]["git"]["uri"];
    assert_eq!(*source, git.url("old"));
    is_clean(&[&shop, &there]);
}

#[test]
fn what_failed_is_built_again_when_an_import_goes_on() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let live = world.production().project("live");
    let tool = Tool::with_projects(&world, "shop", "live");
    keep_secret(PASSWORD);
    let git = GitServer::with_password("ada", PASSWORD);
    let first = commit(&git, "web", &world.path("tree"), "behind a password");
    let secret = |password: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "ada", "password": password},
        })
    };
    let mut config = build_config(&from_git(&git, "web"));
    config["spec"]["source"]["sourceSecret"] = json!({"name": "git"});
    shop.create(&[secret(PASSWORD), stream("web"), config, deployment_config()]);
    running(&shop, "web");
    tool.export("shop", "chart").ok();

    live.create(&[secret("not-this-one")]);
    let import = [
        "--output",
        "json",
        "import",
        "chart",
        "--to",
        "production",
        "--existing",
        "skip",
    ];
    let failed = json_of(&tool.run(&import), 4);
    assert!(builds(&live)[0].starts_with("web-1 Failed"));
    live.kubectl(&["delete", "secret", "git"]);
    live.create(&[secret(PASSWORD)]);
    let run = failed["run"].as_str().expect("it has a name");
    let resume = ["--output", "json", "resume", run, "--to", "production"];
    let report = json_of(&tool.run(&resume), 0);
    names(&web(&report)["detail"].to_string(), "web-2");
    assert_eq!(builds(&live)[1], format!("web-2 Complete {first}"));
    assert_eq!(running(&live, "web").1, "behind a password");
    is_clean(&[&shop, &live]);
}

#[test]
fn the_target_builds_the_commit_that_runs_at_the_source() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let git = GitServer::start();
    let first = commit(&git, "web", &world.path("tree"), "what runs");
    let base = json!({"kind": "ImageStreamTag", "name": "base:1"});
    let mut config = build_config(&from_git(&git, "web"));
    config["spec"]["strategy"]["sourceStrategy"]["from"] = base;
    config["spec"]["triggers"] = json!([{"type": "ImageChange", "imageChange": {}},
        {"type": "ConfigChange"}, {"type": "Generic", "generic": {"secret": "pull-the-trigger"}}]);
    shop.create(&[
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "base"},
            "spec": {"tags": [{"name": "1", "from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}]}}),
        stream("web"),
        config,
        deployment_config(),
    ]);
    assert_eq!(running(&shop, "web").1, "what runs");
    let newest = commit(&git, "web", &world.path("tree"), "what was pushed since");

    let from = ["--from", "minishift"];
    let plan = |project: &str| {
        let args = ["export", "-n", project, "--dry-run"];
        tool.run(&[&args[..], &from].concat()).ok().stdout
    };
    names(
        &plan("shop"),
        &format!("rebuild (built by BuildConfig web from Git, commit {first})"),
    );
    tool.export("shop", "chart").ok();
    let dry = [
        "--output",
        "json",
        "import",
        "chart",
        "--to",
        "production",
        "--dry-run",
    ];
    let dry = json_of(&tool.run(&dry), 0);
    assert_eq!(web(&dry)["detail"], format!("of commit {first}"));
    let migrate = ["--output", "json", "migrate", "--to", "production"];
    let report = json_of(&tool.run(&[&migrate[..], &from].concat()), 0);
    let detail = format!("by web-1, of commit {first}");
    assert_eq!(web(&report)["detail"], detail, "{report:#}");
    assert_eq!(builds(&there), [format!("web-1 Complete {first}")]);
    assert_eq!(running(&there, "web").1, "what runs");
    // It can build by itself again, and has no reason to.
    let triggers = |space: &Space<'_>| {
        let config = space.get(CONFIGS, "web").expect("it is there");
        let triggers = config["spec"]["triggers"].as_array().cloned();
        let kinds = triggers.into_iter().flatten();
        kinds
            .map(|one| (one["type"].clone(), one["imageChange"]["paused"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(triggers(&there), triggers(&shop));

    // The repository has another history: what is in the chart cannot be built, and is not replaced in silence.
    git.forget("web");
    let rewritten = commit(&git, "web", &world.path("tree"), "another history");
    let import = ["import", "chart", "--to", "production", "-n", "late"];
    let failed = tool.run(&import);
    assert_eq!(failed.status, Some(4), "{failed:?}");
    names(&failed.stderr, &format!("It was to be of commit {first}"));
    // Another one is what a person starts, and the report says so.
    let late = world.production().absent("late");
    build_anew(&late, &tool);
    let run = failed
        .stderr
        .split("openshifter resume ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("it says how to go on");
    let resume = ["--output", "json", "resume", run, "--to", "production"];
    let report = json_of(&tool.run(&resume), 0);
    let detail = format!("by web-2, of commit {rewritten}");
    assert_eq!(web(&report)["detail"], detail);
    names(
        &report["findings"].to_string(),
        &format!(
            "the target has built commit {rewritten}; its image at the source is of commit {first}"
        ),
    );
    assert_eq!(running(&late, "web").1, "another history");
    assert_ne!(newest, rewritten);

    // Nobody knows any more.
    shop.kubectl(&["delete", BUILDS, "--all"]);
    names(
        &plan("shop"),
        "no build tells which commit it was built from: the target builds what its branch has then",
    );
    tool.export("shop", "unknown").ok();
    let import = [
        "--output",
        "json",
        "import",
        "unknown",
        "--to",
        "production",
        "-n",
        "blind",
    ];
    let report = json_of(&tool.run(&import), 0);
    names(
        &report["findings"].to_string(),
        &format!("which commit its image was built from; the target has built commit {rewritten}"),
    );
    is_clean(&[&shop, &there]);
}

#[test]
fn a_dockerfile_starts_from_the_image_of_its_own_project() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let live = world.production().absent("live");
    let tool = Tool::with_projects(&world, "shop", "live");
    let git = GitServer::start();
    commit(&git, "base", &world.path("tree"), "of the base");
    let mut base = build_config(&from_git(&git, "base"));
    base["metadata"]["name"] = json!("zbase");
    base["spec"]["output"]["to"]["name"] = json!("zbase:1");
    shop.create(&[stream("zbase"), base]);
    until("the base to be built", || {
        let stream = shop.get(STREAM, "zbase")?;
        stream["status"]["tags"][0]["items"][0]["image"]
            .as_str()
            .map(str::to_owned)
    });
    let dockerfile = |project: &str| {
        format!(
            "# On the base of the project.\nFROM {INTERNAL}/{project}/zbase:1\nENV LEVEL=\"2\"\n"
        )
    };
    let mut web = build_config(&json!({"type": "Dockerfile", "dockerfile": dockerfile("shop")}));
    web["spec"]["strategy"] = json!({"type": "Docker", "dockerStrategy": {}});
    shop.create(&[stream("web"), web, deployment_config()]);
    until("the build to end", || {
        builds(&shop)
            .into_iter()
            .find(|build| build.starts_with("web-1 Complete"))
    });
    assert_eq!(running(&shop, "web").1, "of the base");

    let plan = tool.run(&[
        "--output",
        "json",
        "export",
        "--from",
        "minishift",
        "--dry-run",
    ]);
    let plan = json_of(&plan, 0);
    let base = plan["images"]
        .as_array()
        .expect("it lists images")
        .iter()
        .find(|one| one["image"]["name"] == "shop/zbase:1")
        .expect("it is one of them");
    let uses = base["image"]["uses"].to_string();
    names(&uses, "/spec/source/dockerfile/0");

    tool.export("shop", "chart").ok();
    let import = ["--output", "json", "import", "chart", "--to", "production"];
    let report = json_of(&tool.run(&import), 0);
    let config = live.get(CONFIGS, "web").expect("it is there");
    assert_eq!(config["spec"]["source"]["dockerfile"], dockerfile("live"));
    assert_eq!(running(&live, "web").1, "of the base");
    assert!(
        !report["findings"]
            .to_string()
            .contains("registry of the source")
    );
    is_clean(&[&shop, &live]);
}

#[test]
fn a_move_in_place_keeps_the_image_of_what_cannot_be_built_any_more() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let git = GitServer::start();
    commit(&git, "web", &world.path("tree"), "what ran");
    shop.create(&[
        stream("web"),
        build_config(&from_git(&git, "web")),
        deployment_config(),
    ]);
    assert_eq!(running(&shop, "web").1, "what ran");
    let digest = tagged(&shop).expect("it is built");
    let migrate = [
        "migrate",
        "--from",
        "minishift",
        "--to",
        "minishift",
        "--policy",
        "move",
    ];
    // Without a way to its registry nothing is deleted, unless that is wanted.
    let refused = tool.run(&[&migrate[..], &["--yes"]].concat());
    assert_eq!(refused.status, Some(3), "{refused:?}");
    names(&refused.stderr, "it cannot be kept in case its build fails");
    names(&refused.stderr, "`--images 'rebuild shop/web:latest'`");
    assert_eq!(tagged(&shop).as_ref(), Some(&digest));

    let_forward(&world.minishift);
    let plan = tool.run(&[&migrate[..], &["--dry-run"]].concat()).ok();
    names(&plan.stdout, "its bytes are kept in the chart");
    git.forget("web");
    let failed = tool.run(&[&migrate[..], &["--yes"]].concat());
    assert_eq!(failed.status, Some(4), "{failed:?}");
    assert_eq!(tagged(&shop), None);
    let told = format!("{}{}", failed.stdout, failed.stderr);
    names(
        &told,
        "with `--images copy` where its images cannot be built",
    );
    let command = told
        .split("openshifter import ")
        .nth(1)
        .and_then(|rest| rest.split(" brings").next())
        .expect("it says how to bring it back");
    let words: Vec<&str> = ["import"]
        .into_iter()
        .chain(command.split_whitespace())
        .chain(["--images", "copy"])
        .collect();
    tool.run(&words).ok();
    assert_eq!(tagged(&shop), Some(digest));
    assert_eq!(running(&shop, "web").1, "what ran");
    is_clean(&[&shop]);
}

#[test]
fn what_gives_way_to_another_application_keeps_its_image() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    shop.create(&[config("front", json!({"says": "welcome"}))]);
    let git = GitServer::start();
    commit(&git, "web", &world.path("tree"), "what ran");
    let [far, near] = ["far", "near"].map(|name| {
        let space = world.minishift.project(name);
        space.create(&[
            stream("web"),
            build_config(&from_git(&git, "web")),
            deployment_config(),
        ]);
        assert_eq!(running(&space, "web").1, "what ran");
        space
    });
    let migrate = |to: &str| {
        let words = "--output json migrate --from minishift --to minishift --policy ping-pong --yes --to-namespace";
        let words: Vec<&str> = words.split(' ').chain([to]).collect();
        json_of(&tool.run(&words), 0)
    };
    // Nobody may read the registry yet; it can still be built again.
    let report = migrate(&far.name);
    let next = report["next"].to_string();
    names(
        &next,
        "the image far/web:latest of the target's former application is not kept",
    );

    let_forward(&world.minishift);
    let digest = tagged(&near).expect("it is built");
    let report = migrate(&near.name);
    git.forget("web");
    assert_eq!(tagged(&near), None);
    let next = report["next"].as_array().expect("it is a list");
    let chart = next
        .iter()
        .find_map(|line| {
            line.as_str()?
                .strip_prefix("the target's former application is kept in ")
        })
        .expect("it says where");
    let back = world.minishift.absent("back");
    let import = ["import", chart, "--to", "minishift", "-n", "back"];
    tool.run(&[&import[..], &["--images", "copy"]].concat())
        .ok();
    assert_eq!(tagged(&back), Some(digest));
    assert_eq!(running(&back, "web").1, "what ran");
    is_clean(&[&shop, &far, &near, &back]);
}
