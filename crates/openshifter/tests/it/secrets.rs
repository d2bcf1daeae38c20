//! Secrets are nowhere but in their own places. Command lines are watched by all tests while they run.

use serde_json::json;

use openshifter_testing::run;

use crate::support::{Service, Tool, World, fill, keep_secret, nothing_leaked, secrets_in_files};

#[test]
fn a_secret_is_in_its_own_places_of_the_chart_and_nowhere_else() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let value = "correct-horse-battery-staple";
    let encoded = "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";
    keep_secret(value);
    fill(&shop, 1);
    shop.create(&[json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"},
        "stringData": {"password": value},
    })]);

    // The most that the log ever says; every run's output is searched when it ends.
    tool.run(&["-vvv", "export", "--from", "minishift", "-o", "chart"])
        .ok();
    tool.run(&[
        "-vvv",
        "--output",
        "json",
        "import",
        "chart",
        "--to",
        "production",
    ])
    .ok();
    tool.run(&["runs"]).ok();
    tool.run(&["runs", &tool.last_run()]).ok();
    tool.run(&["chart", "inspect", "chart"]).ok();
    let secret = there.must("secret", "database");
    assert_eq!(secret["data"]["password"], encoded);

    let found = secrets_in_files(&tool.path("chart"), &[value, encoded]);
    assert!(!found.is_empty());
    for file in &found {
        let own = file == "values.yaml"
            || file == "data/values.json"
            || file.starts_with("data/objects/") && file.contains("database")
            || file.starts_with("templates/") && file.contains("database");
        assert!(own, "{found:?}");
    }
    // Whatever may hold one is its owner's alone.
    let mut folders = vec![tool.path("chart")];
    while let Some(folder) = folders.pop() {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in std::fs::read_dir(folder).expect("it is ours").flatten() {
            let meta = entry.metadata().expect("it is there");
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{entry:?}");
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    let users: Vec<String> = ["developer", "stranger"]
        .iter()
        .map(|user| world.minishift.password(user))
        .chain([world.production().password("developer")])
        .collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    assert_eq!(secrets_in_files(&tool.path("chart"), &users), [""; 0]);
    assert_eq!(secrets_in_files(&tool.state(), &users), [""; 0]);
    assert_eq!(world.minishift.sessions(), 0);
    assert_eq!(world.production().sessions(), 0);
}

#[test]
fn a_secret_value_is_given_on_standard_input_and_never_as_an_argument() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::new(&world);
    shop.create(&[json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}, "stringData": {"password": "old"},
    })]);
    tool.export("shop", "chart").ok();
    let import = ["import", "chart", "--to", "production", "-n", "shop"];
    let argument = ["--set", "secrets.database.data.password=bmV3"];
    tool.run(&[&import[..], &argument].concat())
        .ended(2)
        .one_message()
        .says("secrets.database.data.password is secret")
        .says("--values");

    let mut command = tool.command(&[&import[..], &["--values", "-"]].concat());
    let values = json!({"secrets": {"database": {"data": {"password": "bmV3"}}}}).to_string();
    run(&mut command, values.as_bytes());
    let secret = there.must("secret", "database");
    assert_eq!(secret["data"]["password"], "bmV3");

    let twice = ["--values", "-", "--values", "-"];
    tool.run(&[&import[..], &twice].concat())
        .ended(2)
        .says("standard input");
}

#[test]
fn a_service_keeps_passwords_of_its_addresses_to_itself() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    fill(&shop, 1);
    let tool = Tool::alone();
    let service = Service::start(&world, &tool, false, &[]);
    let password = world.minishift.password("developer");
    let base = world.minishift.base();
    service
        .curl(&format!("/export/{base}/shop/developer/{password}"), &[])
        .is(200);
    service
        .curl(&format!("/export/{base}/nowhere/developer/{password}"), &[])
        .is(404);
    service
        .curl(
            &format!("/no-such-route/{base}/shop/developer/{password}"),
            &[],
        )
        .is(404);
    service
        .curl(
            &format!("/export/{base}/shop/developer/{password}"),
            &["-X", "PATCH"],
        )
        .is(405);
    service.curl(&format!("/export/{password}"), &[]).is(400);
    let log = service.stop();
    assert!(!log.is_empty(), "it was asked to log");
    nothing_leaked("the log", &log);
    assert_eq!(
        secrets_in_files(&tool.state(), &[password.as_str()]),
        [""; 0]
    );
}
