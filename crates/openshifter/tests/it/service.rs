//! The application of `grand` with PostgreSQL beside it in place of SQLite on a claim: as a DeploymentConfig, with migrations in
//! its hook, and as a Deployment, with an init container. So it scales and rolls.

use std::path::Path;

use serde_json::json;

use crate::grand::{Browser, NAME, PASSWORD, copy, runner, with_wheels};
use crate::support::{Space, Tool, World, keep_secret, until};

/// The tree, converted; what administrators upload would still want a claim, so it is left out.
fn converted(tool: &Tool) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2-django");
    copy(&fixture, &tool.path("visitors"));
    let settings = tool.path("visitors/wsgi/myproject/myproject/settings.py");
    let text = std::fs::read_to_string(&settings).expect("the file can be read");
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("MEDIA_"))
        .collect();
    std::fs::write(&settings, kept.join("\n") + "\n").expect("the file can be written");
    let runner = runner();
    tool.run(&[
        "v2",
        "convert",
        "visitors",
        "--database",
        "service",
        "--server",
        "gunicorn",
        "--runner-binary",
        &runner,
    ])
    .ok();
    with_wheels(&tool.path("visitors-v3"));
    tool.write("password", PASSWORD);
}

/// Arguments of its deployment.
fn deploy(more: &[&'static str]) -> Vec<&'static str> {
    let args = [
        "v2",
        "deploy",
        "visitors-v3",
        "--to",
        "minishift",
        "-n",
        "shop",
        "--builder",
        "python:latest",
        "--postgresql",
        "postgresql:latest",
        "--storage-class",
        "later",
        "--admin-user",
        "admin",
        "--admin-password-file",
        "password",
        "--timeout",
        "15m",
    ];
    [&args, more].concat()
}

/// Arguments of a step.
fn step<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, &["--at", "minishift", "-n", "shop"], more].concat()
}

/// What a query says in the database's own pod.
fn query(tool: &Tool, database: &str, sql: &str) -> String {
    let text = format!("psql -At -c \"{sql}\" \"$POSTGRESQL_DATABASE\"");
    let command = ["--", "sh", "-c", text.as_str()];
    let ran = tool.run(&step(&["exec", database], &command)).ok();
    ran.stdout.trim().to_owned()
}

/// Names of the application's running pods.
fn pods(space: &Space<'_>) -> Vec<String> {
    let labels = "app.kubernetes.io/name=visitors,app.kubernetes.io/component!=database";
    let phase = "--field-selector=status.phase=Running";
    let names = space.kubectl(&["get", "pods", "-l", labels, phase, "-o", "name"]);
    names
        .lines()
        .filter(|name| !name.contains("hook") && !name.contains("build"))
        .map(|name| name.trim_start_matches("pod/").to_owned())
        .collect()
}

#[test]
fn with_its_database_beside_it_an_application_scales_and_rolls() {
    keep_secret(PASSWORD);
    let world = World::small();
    let tool = Tool::new(&world);
    converted(&tool);
    let space = world.minishift.absent("shop");

    // The database waits for storage, and nothing that needs it is made before it is there.
    let args = deploy(&["--workload", "deployment-config"]);
    let mut deploying = tool.start(&args);
    deploying.until_says("rolling out DeploymentConfig/postgresql");
    until("the database's pod", || {
        let claims = space.kubectl(&["get", "pods", "-o", "name"]);
        claims.contains("postgresql-1-").then_some(())
    });
    assert!(space.get("deploymentconfig", "visitors").is_none());
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "later"}, "provisioner": "openshifter.test/local",
    });
    world
        .minishift
        .admin(&["create", "-f", "-"], &class.to_string());
    // The image was looked at before it was used: the runner says what it runs, and the hook what it found.
    deploying
        .end()
        .ok()
        .says("-----> Running /opt/app-root/src/.s2i/action_hooks/verify")
        .says("System check identified no issues")
        .says("the first administrator was made");

    let log = tool.run(&step(&["logs", "visitors-1-hook-pre"], &[])).ok();
    assert!(
        log.stdout.contains("Applying visitors.0001_initial"),
        "{log:?}"
    );
    let browser = Browser::new(&tool, &space, "cookies");
    browser.log_in();
    let fields = format!("name={NAME}&words=It+was+good+to+be+here.");
    let (status, page) = browser.fill("/admin/visitors/visitor/add/", &fields);
    assert_eq!(status, 302, "{page}");
    let names = "SELECT name FROM visitors_visitor";
    assert_eq!(query(&tool, "dc/postgresql", names), "Jürg");

    // Two pods, and both serve the same.
    let scale = ["scale", "dc/visitors", "--replicas=2", "--timeout=5m"];
    tool.run(&step(&scale, &[])).ok();
    let both = pods(&space);
    assert_eq!(both.len(), 2, "{both:?}");
    let ask =
        "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/').read().decode())";
    for pod in &both {
        let python = ["--", "python3", "-c", ask];
        let page = tool.run(&step(&["exec", pod], &python)).ok();
        assert!(page.stdout.contains("Jürg"), "{page:?}");
    }

    // Again: all is as it was, and nobody is scaled back.
    let before = space.picture();
    let args = [&args[..], &["--output", "json"]].concat();
    let again = tool.run(&args).ok().report();
    assert_eq!(again["built"], false, "{again:#}");
    for object in again["objects"].as_array().expect("a list") {
        let action = object["action"].as_str().expect("it has one");
        assert!(matches!(action, "unchanged" | "keep"), "{object}");
    }
    assert_eq!(space.picture(), before);

    as_a_deployment(&tool, &space);
    let image = image_of(&space);
    let build = ["build", "start", "visitors", "--from-dir=visitors-v3"];
    tool.run(&step(&build, &["--follow"])).ok();
    until("the roll-out of what was built", || {
        let now = space.get("deployment", "visitors")?;
        let status = &now["status"];
        let rolled = status["updatedReplicas"] == status["replicas"]
            && status["observedGeneration"] == now["metadata"]["generation"];
        (image_of(&space) != image && rolled).then_some(())
    });
    until("the application after its roll-out", || {
        (browser.ask("/", None).0 == 200).then_some(())
    });
    assert!(browser.signed().contains("Jürg"));
}

/// The image that the application's pods are made of.
fn image_of(space: &Space<'_>) -> serde_json::Value {
    let deployment = space.must("deployment", "visitors");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

/// The same with Deployments: no build, since the source is the same, and an init container that finds its database.
fn as_a_deployment(tool: &Tool, space: &Space<'_>) {
    // Two servers on one claim would not do, so the old ones are gone first.
    for config in ["dc/visitors", "dc/postgresql"] {
        let scale = ["scale", config, "--replicas=0", "--timeout=5m"];
        tool.run(&step(&scale, &[])).ok();
    }
    space.kubectl(&["delete", "dc", "visitors", "postgresql", "--wait"]);
    tool.run(&deploy(&["--workload", "deployment"]))
        .ok()
        .says("not built again: visitors-1")
        .says("rolling out Deployment/postgresql")
        .says("the first administrator was made before");
    let names = "SELECT name FROM visitors_visitor";
    assert_eq!(query(tool, "deployment/postgresql", names), "Jürg");
    for pod in pods(space) {
        let pod = space.must("pod", &pod);
        let init = &pod["status"]["initContainerStatuses"][0];
        assert_eq!(init["name"], "migrate", "{pod:#}");
        assert_eq!(init["restartCount"], 0, "{pod:#}");
    }
}
