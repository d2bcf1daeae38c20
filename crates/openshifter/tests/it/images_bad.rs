//! Images that cannot be had are named, each with the reason, before anything at the target begins.

use openshifter_testing::{OCI_LAYER, RegistryServer};
use serde_json::{Value, json};

use crate::images::{build_config, build_from_folder, json_of, names, stream};
use crate::support::{Service, Tool, World, is_clean};

const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";

/// A Deployment that nobody has to run: this is about its images.
pub(crate) fn at_rest(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]}}},
    })
}

#[test]
fn an_application_is_not_started_without_its_images() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let (known, plain) = (RegistryServer::start(), RegistryServer::start());
    let address = known.address();
    known.image(("foreign", "1"), "amd64", (FOREIGN, b"not to be handed on"));
    known.image(
        ("part", "1"),
        "amd64",
        ("application/vnd.wasm.content.layer.v1+wasm", b"no layer"),
    );
    let torn = known.image(("torn", "1"), "amd64", (OCI_LAYER, b"missed"));
    plain.image(("plain", "1"), "amd64", (OCI_LAYER, b"a layer"));
    known.lose_layers(&torn);
    let image = |name: &str| format!("{address}/{name}:1");
    shop.create(&[
        at_rest("gone", &image("gone")),
        at_rest("foreign", &image("foreign")),
        at_rest("part", &image("part")),
        at_rest("torn", &image("torn")),
        at_rest("plain", &format!("{}/plain:1", plain.address())),
    ]);
    let said = [
        format!("the image {address}/gone:1 is not there"),
        format!("the image {address}/foreign:1 cannot be copied: its layer"),
        format!("the image {address}/part:1 cannot be copied: its part"),
        format!("of {address}/torn:1 is missing"),
        format!("{}: plain http would show", plain.address()),
    ];
    let migrate = |more: &[&str]| {
        let base = [
            "migrate",
            "--from",
            "minishift",
            "--to",
            "production",
            "--images",
            "copy 127.0.0.1*",
            "--insecure-registry",
            address,
        ];
        tool.run(&[&base, more].concat())
    };
    let plan = migrate(&["--dry-run"]).ended(3);
    let refused = migrate(&[]).ended(3);
    for text in &said {
        names(&plan.stdout, text);
        names(&refused.stderr, text);
    }
    names(&refused.stderr, "`--images 'map OLD=NEW'`");
    assert!(!there.exists());
    let export = ["export", "--from", "minishift", "--dry-run"];
    let choice = [
        "--images",
        "copy 127.0.0.1*",
        "--insecure-registry",
        address,
    ];
    let plan = tool.run(&[&export[..], &choice[..]].concat()).ended(3);
    names(&plan.stdout, &said[0]);
    is_clean(&[&shop]);
}

#[test]
fn what_is_copied_by_default_has_to_come_along() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    // Nobody may forward ports of the registry here.
    let digest = build_from_folder(&world, &shop, "built from a folder");
    let no_way = "there is no way to its registry";
    let migrate = ["migrate", "--from", "minishift", "--to", "production"];
    let plan = tool.run(&[&migrate[..], &["--dry-run"]].concat()).ended(3);
    names(&plan.stdout, no_way);
    names(&plan.stdout, &digest[..19]);
    let refused = tool.run(&migrate).ended(3);
    names(&refused.stderr, "image shop/web:latest: minishift: ");
    names(&refused.stderr, no_way);
    assert!(!there.exists());

    // curl shows a body and no headers, and `/delete` may be the next line.
    let service = Service::start(&world, &tool, true, &[]);
    let answer = service.curl(&format!("/export/{}", shop.place()), &[]);
    answer.is(502).says("image shop/web:latest: ");
    drop(service);

    // A chart that could not get it is of use without it only if somebody says so.
    tool.export("shop", "chart").ended(1);
    let import = ["import", "chart", "--to", "production"];
    let refused = tool.run(&import).ended(3);
    names(
        &refused.stderr,
        "the chart was to hold the image shop/web:latest",
    );
    assert!(!there.exists());
    let anyway = [
        &["--output", "json"],
        &import[..],
        &["--images", "map shop/web:latest=openshifter.test/shell:1"],
    ];
    json_of(&tool.run(&anyway.concat()), 0);
    assert!(there.exists());

    // A reference that is none is told, and another may take its place.
    let other = world.minishift.project("other");
    other.create(&[at_rest("odd", "Not An Image")]);
    let export = ["export", "--from", "minishift", "-n", "other"];
    let plan = tool.run(&[&export[..], &["--dry-run"]].concat()).ended(1);
    names(&plan.stdout, "image Not An Image: external");
    names(&plan.stdout, "`Not An Image` is no image");
    let lossy = tool.run(&[&export[..], &["-o", "odd"]].concat()).ended(1);
    names(&lossy.stdout, "missing: image Not An Image");
    let choice = "map Not An Image=openshifter.test/shell:1";
    tool.run(&[&export[..], &["-o", "even", "--images", choice]].concat())
        .ok();
    is_clean(&[&shop, &other]);
}
