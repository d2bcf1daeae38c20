//! Which builds an import starts, which it takes for its own, and of which commit they are.

use std::path::Path;

use openshifter_testing::GitServer;
use serde_json::{Value, json};

use crate::images::{
    build_config, deployment_config, json_of, let_forward, running, stream, tagged,
};
use crate::support::{Space, Tool, World, is_clean};

const BUILDS: &str = "builds.build.openshift.io";

/// Commits a message that the application says when it starts.
#[track_caller]
fn commit(git: &GitServer, repository: &str, folder: &Path, message: &str) -> String {
    std::fs::create_dir_all(folder).expect("there is room");
    std::fs::write(folder.join("message.txt"), format!("{message}\n")).expect("there is room");
    git.commit(repository, folder, message)
}

fn from_git(git: &GitServer, repository: &str) -> Value {
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
