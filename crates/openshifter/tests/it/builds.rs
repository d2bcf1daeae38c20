//! Builds at the target that need each other, a secret, or a webhook.

use openshifter_testing::GitServer;
use serde_json::{Value, json};

use crate::support::{Space, Tool, World, is_clean, keep_secret, until};

const GROUP: &str = "build.openshift.io/v1";
const PASSWORD: &str = "clone-with-this-one-8231";

fn stream(name: &str) -> Value {
    json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name}})
}

/// A BuildConfig that nothing starts but a person or a webhook.
fn config(name: &str, url: &str, from: &Value) -> Value {
    json!({
        "apiVersion": GROUP, "kind": "BuildConfig", "metadata": {"name": name},
        "spec": {
            "source": {"type": "Git", "git": {"uri": url}, "sourceSecret": {"name": "git"}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": from}},
            "output": {"to": {"kind": "ImageStreamTag", "name": format!("{name}:latest")}},
            "triggers": [{"type": "Generic", "generic": {"secret": "begin"}}],
        },
    })
}

/// Starts a build as `oc start-build` does, and waits until its image is there.
#[track_caller]
fn build(space: &Space<'_>, tool: &Tool, name: &str) {
    let request = json!({"apiVersion": GROUP, "kind": "BuildRequest", "metadata": {"name": name}});
    tool.write("request.json", request.to_string());
    let file = tool.path("request.json").to_string_lossy().into_owned();
    let path = format!(
        "/apis/{GROUP}/namespaces/{}/buildconfigs/{name}/instantiate",
        space.name
    );
    let answer = space
        .cluster
        .attempt(&["create", "--raw", &path, "-f", &file]);
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    completed(space, &format!("{name}-1"));
}

/// Waits for a build's end, which must be a good one.
#[track_caller]
fn completed(space: &Space<'_>, build: &str) {
    let build = until(&format!("the build {build} to end"), || {
        let build = space.get("builds", build)?;
        (!build["status"]["completionTimestamp"].is_null()).then_some(build)
    });
    assert_eq!(build["status"]["phase"], "Complete", "{build:#}");
}

/// What the application says when it has started.
#[track_caller]
fn said(space: &Space<'_>) -> String {
    until("the application to say something", || {
        let answer = space.attempt(&["logs", "-l", "app=app"]);
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        text.lines().next().map(str::to_owned)
    })
}

#[test]
fn a_build_on_the_image_of_another_waits_for_it_and_both_for_their_secret() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    keep_secret(PASSWORD);
    let server = GitServer::with_password("ada", PASSWORD);
    for (name, text) in [("base", "a base\n"), ("app", "and more\n")] {
        let folder = world.path(name);
        std::fs::create_dir(&folder).expect("there is room");
        std::fs::write(folder.join(format!("{name}.txt")), text).expect("there is room");
        server.commit(name, &folder, "First");
    }
    let shell = json!({"kind": "DockerImage", "name": "openshifter.test/shell:1"});
    let base = json!({"kind": "ImageStreamTag", "name": "base:latest"});
    shop.create(&[
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "ada", "password": PASSWORD},
        }),
        stream("base"),
        stream("app"),
        config("base", &server.url("base"), &shell),
        config("app", &server.url("app"), &base),
        json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "app"},
            "spec": {
                "replicas": 1,
                "selector": {"app": "app"},
                "triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                    "automatic": true, "containerNames": ["app"],
                    "from": {"kind": "ImageStreamTag", "name": "app:latest"}}}],
                "template": {
                    "metadata": {"labels": {"app": "app"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{"name": "app", "image": " ",
                            "command": ["sh", "-c", "echo $(cat base.txt app.txt); exec sleep 2147483647"]}],
                    },
                },
            },
        }),
    ]);
    build(&shop, &tool, "base");
    build(&shop, &tool, "app");
    assert_eq!(said(&shop), "a base and more");

    // By name `app` would come first, and nothing else starts `base`.
    let migrate = [
        "--output",
        "json",
        "migrate",
        "--from",
        "minishift",
        "--to",
        "production",
        "--images",
        "rebuild",
    ];
    let ran = tool.run(&migrate).ok();
    let report: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    completed(&there, "base-1");
    completed(&there, "app-1");
    assert_eq!(said(&there), "a base and more");
    let builds = there.names("builds.build.openshift.io");
    assert_eq!(
        builds,
        [
            "build.build.openshift.io/app-1",
            "build.build.openshift.io/base-1"
        ]
    );

    // The address that is told starts a build, with the secret that came along.
    let webhooks = report["webhooks"].as_array().expect("they are told");
    let address = webhooks
        .iter()
        .find(|webhook| webhook["buildConfig"] == "app")
        .and_then(|webhook| webhook["url"].as_str())
        .expect("it is told");
    let base = format!("https://{}", world.production().base());
    let path = address.strip_prefix(&base).expect("it is the target's");
    tool.write("payload.json", "{}");
    let path = path.replace("<secret>", "begin");
    world.production().post(&path, &tool.path("payload.json"));
    completed(&there, "app-2");
    is_clean(&[&shop, &there]);
}
