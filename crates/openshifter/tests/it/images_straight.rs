//! A migration whose ends both have a registry in reach copies images from one to the other, without a stop in a chart.

use std::path::Path;

use openshifter_testing::{OCI_LAYER, RegistryServer};
use serde_json::{Value, json};

use crate::images::{
    INTERNAL, STREAM, build_config, build_from_folder, deployment, deployment_config, json_of,
    ledger, let_forward, names, running, stream, tagged, web,
};
use crate::images_accounts::account;
use crate::support::{Ran, Tool, World, guestbook, is_clean, run, tools};

const MIGRATE: [&str; 7] = [
    "--output",
    "json",
    "migrate",
    "--from",
    "minishift",
    "--to",
    "production",
];

fn migrate(tool: &Tool, more: &[&str]) -> Ran {
    tool.run(&[&MIGRATE, more].concat())
}

/// What a run that printed JSON says of its failure.
#[track_caller]
fn error_of(ran: &Ran, status: i32) -> String {
    let report = json_of(ran, status);
    let error = report["error"].as_str().expect("it failed");
    error.to_owned()
}

/// Whether a chart has a layout of images.
fn has_layout(chart: &Path) -> bool {
    chart.join("data/images").exists()
}

#[test]
fn an_image_goes_straight_from_registry_to_registry() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let_forward(&world.minishift);
    let registry = world.production().expose_registry();
    let to = ["--to-registry", registry.as_str()];
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        deployment_config(),
        // No router admits it, which shows at once: the chart stays.
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "stuck"},
            "spec": {"to": {"kind": "Service", "name": "none"}, "tls": {"termination": "passthrough"}}}),
    ]);
    let digest = build_from_folder(&world, &shop, "built from a folder");
    running(&shop, "web");

    let ran = migrate(&tool, &to);
    let report = json_of(&ran, 1);
    let losses = report["losses"].as_array().expect("it lists losses");
    assert!(
        losses.len() == 1 && losses[0].to_string().contains("stuck"),
        "{report:#}"
    );
    names(&ran.stderr, "looking at the target's registry");
    assert_eq!(web(&report)["action"], "pushed", "{report:#}");
    assert_eq!(web(&report)["digest"], digest);
    assert_eq!(
        web(&report)["detail"],
        "straight from the source's registry"
    );
    assert!(web(&report)["bytes"].as_u64() > Some(0), "{report:#}");
    let (image, said) = running(&there, "web");
    assert_eq!(image, format!("{INTERNAL}/shop/web@{digest}"));
    assert_eq!(said, "built from a folder");

    // The chart that it left lacks the image, and says so.
    let chart = report["chart"].as_str().expect("a chart is kept");
    assert!(!has_layout(Path::new(chart)));
    let record = ledger(&tool, chart);
    assert_eq!(web(&record)["included"], false);
    assert_eq!(web(&record)["straightFrom"], "shop/web");
    for look in ["inspect", "verify"] {
        let shown = tool.run(&["chart", look, chart]).ok();
        names(&shown.stdout, "shop/web:latest: copy, not in the chart");
    }
    let mut helm = tool.wrapped(tools().join("helm"), &["lint", "--strict", chart]);
    helm.env("KUBECONFIG", "/dev/null");
    run(&mut helm, b"");
    let import = |project: &str, more: &[&str]| {
        let base = [
            "--output",
            "json",
            "import",
            chart,
            "--to",
            "production",
            "-n",
            project,
            "--timeout",
            "1s",
        ];
        tool.run(&[&base[..], &to[..], more].concat())
    };
    let refused = error_of(&import("other", &[]), 3);
    names(&refused, "the chart does not hold shop/web:latest");
    names(&refused, "`--images 'map shop/web:latest=NEW'`");
    assert!(!world.production().absent("other").exists());
    let left = json_of(
        &import("left", &["--images", "external shop/web:latest"]),
        1,
    );
    names(
        &left["losses"].to_string(),
        "image shop/web:latest is only in the registry of the source's cluster",
    );
    let again = json_of(&import("shop", &[]), 1);
    assert_eq!(web(&again)["action"], "unchanged", "{again:#}");

    // A chart that was asked for is whole.
    shop.kubectl(&["delete", "route", "stuck"]);
    let kept = ["--to-namespace", "kept", "--keep-chart", "kept"];
    let report = json_of(&migrate(&tool, &[&to[..], &kept].concat()), 0);
    assert_eq!(web(&report)["action"], "pushed", "{report:#}");
    assert_eq!(web(&report)["detail"], Value::Null);
    assert!(has_layout(&tool.path("kept")));
    tool.run(&[
        "import",
        "kept",
        "--to",
        "production",
        "-n",
        "twice",
        to[0],
        to[1],
    ])
    .ok();
    let twice = world.production().absent("twice");
    assert_eq!(tagged(&twice).as_deref(), Some(digest.as_str()));

    // What the target's present application has in the tag is deleted first, and no reason against it.
    let newer = build_from_folder(&world, &shop, "pushed since");
    let refused = migrate(&tool, &[&to[..], &["--to-namespace", "kept"]].concat());
    names(&error_of(&refused, 3), "tag latest");
    assert!(!refused.stderr.contains("writing the chart"), "{refused:?}");
    let swapped = ["--to-namespace", "kept", "--policy", "ping-pong", "--yes"];
    let report = json_of(&migrate(&tool, &[&to[..], &swapped].concat()), 0);
    assert_eq!(
        web(&report)["detail"],
        "straight from the source's registry"
    );
    let kept = world.production().absent("kept");
    assert_eq!(tagged(&kept), Some(newer.clone()));

    // The source goes when the target has the image.
    let moved = ["--to-namespace", "moved", "--policy", "move", "--yes"];
    let report = json_of(&migrate(&tool, &[&to[..], &moved].concat()), 0);
    assert_eq!(
        web(&report)["detail"],
        "straight from the source's registry"
    );
    assert_eq!(report["chart"], Value::Null);
    assert_eq!(shop.names(&format!("deploymentconfigs,{STREAM}")), [""; 0]);
    let moved = world.production().absent("moved");
    assert_eq!(
        running(&moved, "web").0,
        format!("{INTERNAL}/moved/web@{newer}")
    );
    is_clean(&[&shop, &there]);
}

#[test]
fn a_registry_that_takes_nothing_is_found_out_before_anything_is_stopped_or_read() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let_forward(&world.minishift);
    guestbook(&shop, &["first"]);
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    build_from_folder(&world, &shop, "built from a folder");
    let pods = shop.names("pods");
    for more in [&[][..], &["--keep-chart", "kept"]] {
        let base = ["--policy", "move", "--yes"];
        let refused = migrate(&tool, &[&base, more].concat());
        names(
            &error_of(&refused, 3),
            "production: there is no way to its registry",
        );
        for later in ["stopping what writes", "reading 1 volume"] {
            assert!(!refused.stderr.contains(later), "{refused:?}");
        }
    }
    assert!(!tool.path("kept").exists());
    assert!(!there.exists());
    assert_eq!(shop.names("pods"), pods);
    is_clean(&[&shop]);
}

#[test]
fn a_migration_that_stopped_at_its_images_goes_on_with_those_of_the_source() {
    let world = World::start();
    let (shop, there) = (
        world.minishift.project("shop"),
        world.production().project("live"),
    );
    let tool = Tool::with_projects(&world, "shop", "live");
    let_forward(&world.minishift);
    let registry = world.production().expose_registry();
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        deployment_config(),
    ]);
    let digest = build_from_folder(&world, &shop, "as shown");
    running(&shop, "web");
    // Only the push itself tells that this account may not.
    tool.write("reader", account(&there, "reader", "system:image-puller"));
    let refused = migrate(
        &tool,
        &[
            "--to-registry",
            &registry,
            "--to-registry-token-file",
            "reader",
        ],
    );
    let report = json_of(&refused, 4);
    let id = report["run"].as_str().expect("a run has an id");
    names(
        &report["next"].to_string(),
        &format!("openshifter resume {id}"),
    );
    assert_eq!(tagged(&there), None);
    assert_eq!(there.names("deploymentconfigs"), [""; 0]);
    let chart = report["chart"].as_str().expect("a chart is kept");
    assert!(!has_layout(Path::new(chart)));

    // What it was to copy is what goes, whatever was pushed to the tag since.
    build_from_folder(&world, &shop, "pushed meanwhile");
    let resume = |more: &[&str]| {
        let base = ["--output", "json", "resume", id];
        tool.run(&[&base, more].concat())
    };
    let to_way = |verb: &str, rest: &[&str]| {
        let binding = [
            verb,
            "rolebinding",
            "forward",
            "-n",
            "openshift-image-registry",
        ];
        world.minishift.admin(&[&binding, rest].concat(), "");
    };
    to_way("delete", &[]);
    let closed = error_of(&resume(&[]), 3);
    names(&closed, "image shop/web:latest: minishift: ");
    names(&closed, "there is no way to its registry");
    to_way("create", &["--role=forward", "--user=developer"]);
    let again = resume(&["--to-registry-token-file", "reader"]);
    names(&error_of(&again, 4), "live/web");
    let report = json_of(&resume(&[]), 0);
    assert_eq!(web(&report)["action"], "pushed", "{report:#}");
    assert_eq!(
        web(&report)["detail"],
        "straight from the source's registry"
    );
    let (image, said) = running(&there, "web");
    assert_eq!(image, format!("{INTERNAL}/live/web@{digest}"));
    assert_eq!(said, "as shown");
    is_clean(&[&shop, &there]);
}

#[test]
fn a_layer_that_arrives_damaged_or_not_at_all_is_not_tagged_and_is_taken_back() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let source = RegistryServer::start();
    source.image(("tool", "1"), "amd64", (OCI_LAYER, b"what was pushed"));
    shop.create(&[deployment("tool", &format!("{}/tool:1", source.address()))]);
    let layer = source.put_blob("tool", OCI_LAYER, b"what was pushed");
    let hex = layer["digest"].as_str().expect("it has a digest")[7..].to_owned();
    let registry = world.production().expose_registry();
    let migrate = || {
        let address = source.address();
        let from = [
            "--images",
            "copy 127.0.0.1*",
            "--insecure-registry",
            address,
        ];
        migrate(&tool, &[&from[..], &["--to-registry", &registry]].concat())
    };
    std::fs::write(source.blob(&hex), b"what was PUSHED").expect("it is ours");
    let report = json_of(&migrate(), 4);
    names(report["error"].as_str().unwrap_or_default(), &hex);
    let made = there.must(STREAM, "tool");
    assert_eq!(made["status"]["tags"], Value::Null, "{made:#}");
    assert_eq!(there.names("deployments"), [""; 0]);
    let id = report["run"].as_str().expect("a run has an id");
    tool.run(&["undo", id]).ok();
    let nothing = || assert_eq!(there.names(&format!("deployments,{STREAM}")), [""; 0]);
    nothing();
    // One that is missing is found before anything begins.
    std::fs::remove_file(source.blob(&hex)).expect("it is ours");
    names(&error_of(&migrate(), 3), &hex);
    nothing();
    is_clean(&[&shop]);
}
