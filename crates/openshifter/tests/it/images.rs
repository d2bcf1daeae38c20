//! Images go with the application: copied, built again, left where they are, or replaced.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Dev, Ran, Space, Tool, World, is_clean, run, until};

pub(crate) const STREAM: &str = "imagestreams.image.openshift.io";
pub(crate) const INTERNAL: &str = "image-registry.openshift-image-registry.svc:5000";

pub(crate) fn stream(name: &str) -> Value {
    json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name}})
}

/// A BuildConfig on the shell image whose output is `web:latest`.
pub(crate) fn build_config(source: &Value) -> Value {
    json!({
        "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
        "spec": {
            "source": source,
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
            "triggers": [{"type": "ConfigChange"}, {"type": "Generic", "generic": {"secret": "pull-the-trigger"}}],
        },
    })
}

fn template(name: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "web", "image": image,
                "command": ["sh", "-c", "cat message.txt 2>/dev/null || echo another; exec sleep 2147483647"]}],
        },
    })
}

/// A DeploymentConfig that runs what the tag leads to.
pub(crate) fn deployment_config() -> Value {
    json!({
        "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"app": "web"},
            "triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                "automatic": true, "containerNames": ["web"], "from": {"kind": "ImageStreamTag", "name": "web:latest"}}}],
            "template": template("web", " "),
        },
    })
}

/// A Deployment that names its image itself.
pub(crate) fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template(name, image)},
    })
}

/// The image that the tag `web:latest` leads to.
pub(crate) fn tagged(space: &Space<'_>) -> Option<String> {
    let stream = space.get(STREAM, "web")?;
    let image = stream["status"]["tags"][0]["items"][0]["image"].as_str()?;
    Some(image.to_owned())
}

/// Waits until a pod of this label runs, and gives what it runs and what it says first.
#[track_caller]
pub(crate) fn running(space: &Space<'_>, app: &str) -> (String, String) {
    let image = until(&format!("a pod of {app} to be ready"), || {
        let pods = space.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", "json"]);
        let pods: Value = serde_json::from_str(&pods).expect("kubectl prints JSON");
        let pods = pods["items"].as_array()?.clone();
        let ready = pods
            .iter()
            .find(|pod| pod["status"]["containerStatuses"][0]["ready"] == true)?;
        let image = &ready["status"]["containerStatuses"][0]["imageID"];
        image.as_str().map(str::to_owned)
    });
    let said = until("the container to say something", || {
        let said = space.kubectl(&["logs", "-l", &format!("app={app}")]);
        said.lines().next().map(str::to_owned)
    });
    (image, said)
}

/// Builds from a folder, as `oc start-build --from-dir` does; gives the image's digest.
#[track_caller]
pub(crate) fn build_from_folder(world: &World, space: &Space<'_>, message: &str) -> String {
    let folder = world.path("source");
    std::fs::create_dir_all(&folder).expect("there is room");
    std::fs::write(folder.join("message.txt"), format!("{message}\n")).expect("there is room");
    let before = tagged(space);
    let archive = world.path("source.tgz");
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(&folder)
        .arg("-czf")
        .arg(&archive)
        .arg(".");
    run(&mut tar, b"");
    let path = format!(
        "/apis/build.openshift.io/v1/namespaces/{}/buildconfigs/web/instantiatebinary?name=web",
        space.name
    );
    let build = space.cluster.post(&path, &archive);
    assert_eq!(build["kind"], "Build", "{build}");
    until("the build to make an image", || {
        tagged(space).filter(|image| before.as_ref() != Some(image))
    })
}

/// Lets the developer forward ports of the registry's pods.
pub(crate) fn let_forward(cluster: &Dev) {
    let namespace = "openshift-image-registry";
    let meta = json!({"name": "forward", "namespace": namespace});
    let rules = json!([
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]},
    ]);
    let rbac = "rbac.authorization.k8s.io";
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": rules},
        {"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "forward"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "developer"}]},
    ]});
    cluster.admin(&["create", "-f", "-"], &list.to_string());
}

/// What a run printed as JSON.
#[track_caller]
pub(crate) fn json_of(ran: &Ran, status: i32) -> Value {
    assert_eq!(ran.status, Some(status), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[track_caller]
pub(crate) fn names(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

/// What a report, a plan or a ledger says of the image that the tag `web:latest` of the source led to.
#[track_caller]
pub(crate) fn web(of: &Value) -> &Value {
    let images = of["images"].as_array().expect("it lists images");
    images
        .iter()
        .find(|image| {
            image["name"] == "shop/web:latest" || image["image"]["name"] == "shop/web:latest"
        })
        .unwrap_or_else(|| panic!("the image is not in {of:#}"))
}

pub(crate) fn ledger(tool: &Tool, chart: &str) -> Value {
    let text = std::fs::read(tool.path(chart).join("data/manifest.json")).expect("it is there");
    serde_json::from_slice(&text).expect("it is JSON")
}

#[test]
fn what_was_built_from_a_folder_runs_in_another_cluster() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let live = world.production().absent("live");
    let tool = Tool::with_projects(&world, "shop", "live");
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        deployment_config(),
    ]);
    let digest = build_from_folder(&world, &shop, "built from a folder");
    let direct = format!("{INTERNAL}/shop/web@{digest}");
    // What is only run now and then, and before, is an image of the application, too.
    let mut at_first = deployment("direct", &direct);
    at_first["spec"]["template"]["spec"]["initContainers"] =
        json!([{"name": "first", "image": direct, "command": ["true"]}]);
    let nightly = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "web", "image": format!("{INTERNAL}/shop/web:latest"), "command": ["true"]}]}}}}}});
    shop.create(&[at_first, nightly]);
    for app in ["web", "direct"] {
        let (image, said) = running(&shop, app);
        assert!(image.ends_with(&digest), "{image}");
        assert_eq!(said, "built from a folder");
    }

    // Nobody ordinary gets at this registry: what is missing is said, and what to do.
    let lost = tool.export("shop", "lost");
    assert_eq!(lost.status, Some(1), "{lost:?}");
    names(
        &lost.stdout,
        "missing: image shop/web:latest was not copied: minishift: there is no way to its registry",
    );
    names(
        &lost.stdout,
        "next: have an administrator expose the registry of minishift",
    );
    names(&lost.stdout, "`--images external`");
    let asked = [
        "export",
        "--from",
        "minishift",
        "-o",
        "no",
        "--images",
        "copy:shop/*",
    ];
    let asked = tool.run(&asked);
    assert_eq!(asked.status, Some(3), "{asked:?}");
    assert!(!tool.path("no").exists());

    // A pattern that fits nothing, and a decision that is none.
    let mistyped = [
        "export",
        "--from",
        "minishift",
        "-o",
        "no",
        "--images",
        "copy shopp/*",
    ];
    let mistyped = tool.run(&mistyped);
    assert_eq!(mistyped.status, Some(2), "{mistyped:?}");
    names(
        &mistyped.stderr,
        "`--images copy shopp/*` fits no image of the application; there are",
    );
    let unknown = tool.run(&["export", "--from", "minishift", "--images", "keep"]);
    assert_eq!(unknown.status, Some(2), "{unknown:?}");

    // The plan shows the decision, and why.
    let plan = [
        "--output",
        "json",
        "export",
        "--from",
        "minishift",
        "--dry-run",
    ];
    let plan = json_of(&tool.run(&plan), 1);
    assert_eq!(web(&plan)["decision"], "copy");
    assert_eq!(web(&plan)["image"]["origin"]["class"], "builtFromBinary");
    let text = tool.run(&["export", "--from", "minishift", "--dry-run"]);
    names(
        &text.stdout,
        "image shop/web:latest: copy (built by BuildConfig web from files that only its developer has)",
    );

    let_forward(&world.minishift);
    let left = [
        "export",
        "--from",
        "minishift",
        "-o",
        "left",
        "--images",
        "external",
    ];
    tool.run(&left).ok();
    assert!(!tool.path("left").join("data/images").exists());
    let report = [
        "--output",
        "json",
        "export",
        "--from",
        "minishift",
        "-o",
        "chart",
    ];
    let report = json_of(&tool.run(&report), 0);
    assert_eq!(web(&report)["action"], "exported");
    assert_eq!(web(&report)["digest"], digest);
    let ledger = ledger(&tool, "chart");
    let record = web(&ledger);
    assert_eq!(record["included"], true);
    assert_eq!(record["digest"], digest);
    tool.run(&["chart", "verify", "chart"]).ok();
    is_clean(&[&shop]);
    world.minishift.admin(&["delete", "namespace", "shop"], "");
    until("the source to be gone", || (!shop.exists()).then_some(()));

    // A chart that lacks a blob changes nothing.
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .arg(tool.path("chart"))
        .arg(tool.path("torn"));
    run(&mut copy, b"");
    let blobs = tool.path("torn").join("data/images/blobs/sha256");
    let layer = std::fs::read_dir(&blobs)
        .expect("there are blobs")
        .flatten()
        .find(|entry| !digest.ends_with(&*entry.file_name().to_string_lossy()))
        .expect("there are several");
    std::fs::remove_file(layer.path()).expect("it is ours");
    let torn = tool.run(&["import", "torn", "--to", "production"]);
    assert_eq!(torn.status, Some(3), "{torn:?}");
    names(&torn.stderr, "is missing");
    // Nor does a registry that cannot be reached.
    let closed = tool.run(&["import", "chart", "--to", "production"]);
    assert_eq!(closed.status, Some(3), "{closed:?}");
    names(
        &closed.stderr,
        "production: there is no way to its registry",
    );
    assert!(!live.exists());

    let registry = world.production().expose_registry();
    let import = |chart: &str, project: &str, status: i32, more: &[&str]| {
        let base = [
            "--output",
            "json",
            "import",
            chart,
            "--to",
            "production",
            "-n",
            project,
            "--to-registry",
            &registry,
        ];
        json_of(&tool.run(&[&base, more].concat()), status)
    };
    let dry = import("chart", "live", 0, &["--dry-run"]);
    assert_eq!(web(&dry)["action"], "pushed");
    assert!(!live.exists());
    let report = import("chart", "live", 0, &[]);
    assert_eq!(web(&report)["action"], "pushed", "{report}");
    assert_eq!(web(&report)["digest"], digest);
    assert_eq!(tagged(&live).as_deref(), Some(digest.as_str()));
    for app in ["web", "direct"] {
        let (image, said) = running(&live, app);
        assert_eq!(image, format!("{INTERNAL}/live/web@{digest}"), "{app}");
        assert_eq!(said, "built from a folder");
    }
    let image_at = |kind: &str, name: &str, at: &str| -> Value {
        let object = live.must(kind, name);
        object.pointer(at).cloned().unwrap_or_default()
    };
    let copied = format!("{INTERNAL}/live/web@{digest}");
    let first = "/spec/template/spec/initContainers/0/image";
    assert_eq!(image_at("deployment", "direct", first), copied);
    let nightly = "/spec/jobTemplate/spec/template/spec/containers/0/image";
    assert_eq!(image_at("cronjob", "nightly", nightly), copied);
    let again = import("chart", "live", 0, &[]);
    assert_eq!(web(&again)["action"], "unchanged");

    // A stream that was there keeps what it had when the run is taken back.
    let kept = world.production().project("kept");
    kept.create(&[stream("web")]);
    let report = import("chart", "kept", 0, &[]);
    assert_eq!(tagged(&kept).as_deref(), Some(digest.as_str()));
    let id = report["run"].as_str().expect("a run has an id");
    tool.run(&["undo", id, "--to", "production"]).ok();
    assert_eq!(tagged(&kept), None);
    kept.must(STREAM, "web");

    // What another registry has is copied on wish, with the pull secret of its project.
    let other = world.minishift.project("other");
    let elsewhere = format!("{registry}/live/web:latest");
    let token = world.production().log_in("developer");
    let auths = json!({"auths": {&registry: {"username": "developer", "password": token}}});
    other.create(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"},
            "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": auths.to_string()}}),
        deployment("tool", &elsewhere),
    ]);
    let export = |out: &str, more: &[&str]| {
        let choice = format!("copy {elsewhere}");
        let base = [
            "export",
            "--from",
            "minishift",
            "-n",
            "other",
            "-o",
            out,
            "--images",
            &choice,
        ];
        tool.run(&[&base, more].concat())
    };
    let refused = export("never", &[]);
    assert_eq!(refused.status, Some(3), "{refused:?}");
    names(&refused.stderr, "its certificate is not trusted");
    export("tool", &["--insecure-registry", &registry]).ok();
    let report = import("tool", "tool", 0, &[]);
    let place = world.production().absent("tool");
    let (image, said) = running(&place, "tool");
    assert_eq!(image, format!("{INTERNAL}/tool/web@{digest}"));
    assert_eq!(said, "built from a folder");
    world.production().log_out(&token);
    let id = report["run"].as_str().expect("a run has an id");
    tool.run(&["undo", id, "--to", "production"]).ok();
    assert_eq!(place.names(&format!("deployments,{STREAM}")), [""; 0]);

    // Left where it was, it is missed; another one in its place is not.
    let missed = import("left", "left", 1, &["--timeout", "1s"]);
    names(
        &missed["losses"].to_string(),
        "image shop/web:latest is only in the registry of the source's cluster",
    );
    let mapped = import(
        "chart",
        "mapped",
        0,
        &["--images", "map shop/web:latest=openshifter.test/shell:1"],
    );
    assert_eq!(web(&mapped)["action"], "mapped");
    let place = world.production().absent("mapped");
    let (_, said) = running(&place, "web");
    assert_eq!(said, "another");
    assert_eq!(
        place.must("deployment", "direct")["spec"]["template"]["spec"]["containers"][0]["image"],
        "openshifter.test/shell:1"
    );
    is_clean(&[&live]);
}

#[test]
fn what_the_target_can_build_is_built_there() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let folder = world.path("git");
    std::fs::create_dir(&folder).expect("there is room");
    std::fs::write(folder.join("message.txt"), "built from Git\n").expect("there is room");
    let uri = format!("file://{}", folder.display());
    let mut config = build_config(&json!({"type": "Git", "git": {"uri": uri}}));
    config["spec"]["postCommit"] =
        json!({"script": "echo looking at $(cat message.txt); test -e message.txt"});
    shop.create(&[stream("web"), config, deployment_config()]);
    let digest = until("the build to make an image", || tagged(&shop));
    running(&shop, "web");

    let migrate = |more: &[&str], status: i32| {
        let base = [
            "--output",
            "json",
            "migrate",
            "--from",
            "minishift",
            "--to",
            "production",
        ];
        let ran = tool.run(&[&base, more].concat());
        (json_of(&ran, status), ran.stderr)
    };
    let (plan, _) = migrate(&["--dry-run"], 0);
    assert_eq!(web(&plan)["decision"], "rebuild", "{plan}");
    let (report, log) = migrate(&[], 0);
    assert_eq!(web(&report)["action"], "built", "{report}");
    let built = tagged(&there).expect("it was built");
    assert_eq!(web(&report)["digest"], built);
    names(&log, "looking at built from Git");
    let (image, said) = running(&there, "web");
    assert_eq!(image, format!("{INTERNAL}/shop/web@{built}"));
    assert_eq!(said, "built from Git");
    // The secret of its webhook came along, its address is told.
    let triggers = there.must("buildconfigs.build.openshift.io", "web")["spec"]["triggers"].clone();
    assert_eq!(triggers[1]["generic"]["secret"], "pull-the-trigger");
    let url = format!(
        "https://{}/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/web/webhooks/<secret>/generic",
        world.production().base()
    );
    assert_eq!(
        report["webhooks"],
        json!([{"buildConfig": "web", "kind": "generic", "url": url}])
    );

    // Copied on wish: the very image, and no build beside it.
    let_forward(&world.minishift);
    let registry = world.production().expose_registry();
    let wish = [
        "--to-namespace",
        "copied",
        "--images",
        "copy:shop/*",
        "--to-registry",
        &registry,
    ];
    let (report, _) = migrate(&wish, 0);
    assert_eq!(web(&report)["action"], "pushed", "{report}");
    let copied = world.production().absent("copied");
    assert_eq!(
        running(&copied, "web").0,
        format!("{INTERNAL}/copied/web@{digest}")
    );
    assert_eq!(copied.names("builds.build.openshift.io"), [""; 0]);

    // In place, the build starts by itself.
    let in_place = [
        "--output",
        "json",
        "migrate",
        "--from",
        "minishift",
        "--to",
        "minishift",
        "--policy",
        "move",
        "--yes",
    ];
    let report = json_of(&tool.run(&in_place), 0);
    assert_eq!(web(&report)["action"], "built", "{report}");
    assert_eq!(running(&shop, "web").1, "built from Git");

    // A build that fails is the import's failure, and says why.
    std::fs::remove_file(folder.join("message.txt")).expect("it is ours");
    let (report, _) = migrate(&["--to-namespace", "broken"], 4);
    let error = report["error"].as_str().expect("it failed");
    names(error, "build web-1 failed at the target: Failed");
    names(error, "its log ends with: ");
    names(error, "looking at");
    is_clean(&[&shop, &there]);
}
