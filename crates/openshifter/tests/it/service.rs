//! The application of `grand` with PostgreSQL beside it in place of SQLite on a claim: as a DeploymentConfig, with migrations in
//! its hook, and as a Deployment, with an init container. So it scales, by itself as in V2, and rolls.

use std::path::Path;

use serde_json::json;

use crate::support::{
    ADMIN, Browser, NAME, PASSWORD, Space, Tool, World, copy, deploy, keep_secret, runner, step,
    until, with_wheels,
};

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
        "--cartridge",
        "haproxy-1.4",
        "--runner-binary",
        &runner,
    ])
    .ok();
    with_wheels(&tool.path("visitors-v3"));
    tool.write("password", PASSWORD);
}

/// Arguments of its deployment.
fn arguments(workload: &'static str) -> Vec<&'static str> {
    let more = [
        "--postgresql",
        "postgresql:latest",
        "--storage-class",
        "later",
        "--workload",
        workload,
    ];
    deploy("visitors-v3", "shop", &[&more[..], &ADMIN].concat())
}

/// What a query says in the database's own pod.
fn query(tool: &Tool, database: &str, sql: &str) -> String {
    let text = format!("psql -At -c \"{sql}\" \"$POSTGRESQL_DATABASE\"");
    let command = ["--", "sh", "-c", text.as_str()];
    let ran = tool.run(&step("shop", &["exec", database], &command)).ok();
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
    let args = arguments("deployment-config");
    let mut deploying = tool.start(&args);
    deploying.until_says("rolling out DeploymentConfig/postgresql");
    until("the database's pod", || {
        let claims = space.kubectl(&["get", "pods", "-o", "name"]);
        claims.contains("postgresql-1-").then_some(())
    });
    assert!(space.get("deploymentconfig", "visitors").is_none());
    world.minishift.storage_class("later");
    // The image was looked at before it was used: the runner says what it runs, and the hook what it found.
    deploying
        .end()
        .ok()
        .says("-----> Running /opt/app-root/src/.s2i/action_hooks/verify")
        .says("System check identified no issues")
        .says("the first administrator was made");

    let log = tool
        .run(&step("shop", &["logs", "visitors-1-hook-pre"], &[]))
        .ok();
    assert!(
        log.stdout.contains("Applying visitors.0001_initial"),
        "{log:?}"
    );
    let browser = Browser::new(&tool, &space, "cookies");
    browser.log_in();
    browser.sign(NAME);
    let names = "SELECT name FROM visitors_visitor";
    assert_eq!(query(&tool, "dc/postgresql", names), "Jürg");

    // Two pods as V2 had it, a third one by what its autoscaler does, and all serve the same.
    scaled_between_two_and_four(&space, "DeploymentConfig");
    let scale = ["scale", "dc/visitors", "--replicas=3", "--timeout=5m"];
    tool.run(&step("shop", &scale, &[])).ok();
    let all = pods(&space);
    assert_eq!(all.len(), 3, "{all:?}");
    let ask =
        "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/').read().decode())";
    for pod in &all {
        let python = ["--", "python3", "-c", ask];
        let page = tool.run(&step("shop", &["exec", pod], &python)).ok();
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
    scaled_between_two_and_four(&space, "Deployment");
    let image = image_of(&space);
    let build = ["build", "start", "visitors", "--from-dir=visitors-v3"];
    tool.run(&step("shop", &build, &["--follow"])).ok();
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

/// The autoscaler is that of the one workload, which begins with as many pods as it says.
fn scaled_between_two_and_four(space: &Space<'_>, kind: &str) {
    let scaler = &space.must("horizontalpodautoscaler", "visitors")["spec"];
    assert_eq!(scaler["scaleTargetRef"]["kind"], kind);
    assert_eq!(
        (&scaler["minReplicas"], &scaler["maxReplicas"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(space.must(kind, "visitors")["spec"]["replicas"], 2);
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
        tool.run(&step("shop", &scale, &[])).ok();
    }
    space.kubectl(&["delete", "dc", "visitors", "postgresql", "--wait"]);
    tool.run(&arguments("deployment"))
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
