//! Images of other registries, which nobody copies: looked up where they are, since no pod tells what it ran.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_testing::{OCI_LAYER, RegistryServer, closed_port};
use serde_json::json;

use crate::images::{
    INTERNAL, build_config, build_from_folder, deployment, names, running, stream,
};
use crate::images_bad::at_rest;
use crate::support::{Tool, World, is_clean};

const MIGRATE: [&str; 5] = ["migrate", "--from", "minishift", "--to", "production"];

#[test]
fn what_stays_elsewhere_is_looked_up_there() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let registry = RegistryServer::start();
    let address = registry.address();
    registry.image(("kept", "1"), "amd64", (OCI_LAYER, b"a layer"));
    let (kept, gone) = (format!("{address}/kept:1"), format!("{address}/gone:1"));
    let dark = format!("{}/dark:1", closed_port());
    shop.create(&[
        at_rest("kept", &kept),
        at_rest("gone", &gone),
        at_rest("dark", &dark),
    ]);
    let base = [&MIGRATE[..], &["--insecure-registry", address, "--dry-run"]].concat();
    let plan = tool.run(&base).ok();
    names(&plan.stdout, &format!("image {kept}: external, sha256:"));
    let text = format!("image {gone}: external (unreachable: its registry does not have it)");
    names(&plan.stdout, &text);
    names(
        &plan.stdout,
        &format!("image {dark}: external (unreachable: "),
    );
    names(&plan.stdout, "left to the target, which pulls it by itself");

    // What somebody names has to be there.
    let choice = format!("map {kept}={gone}");
    let map = ["--images", choice.as_str()];
    let said = format!("it is mapped to {gone}, which its registry does not have");
    let plan = tool.run(&[&base[..], &map].concat()).ended(3);
    names(&plan.stdout, &said);
    let refused = tool.run(&[&base[..7], &map].concat()).ended(3);
    names(&refused.stderr, &said);
    let chart = tool.export("shop", "chart").ok();
    names(&chart.stdout, &format!("image {dark} stays where it is"));
    let import = ["import", "chart", "--to", "production"];
    let insecure = ["--insecure-registry", address];
    let refused = tool.run(&[&import[..], &insecure, &map].concat()).ended(3);
    names(&refused.stderr, &format!("image {kept}: {said}"));
    assert!(!there.exists());

    // Where nobody can look, the target's nodes may see more.
    let choice = format!("map {gone}={dark}");
    let map = ["--images", choice.as_str()];
    let done = tool.run(&[&import[..], &insecure, &map].concat()).ok();
    names(
        &done.stdout,
        &format!("nobody could look whether {dark} is there"),
    );
    is_clean(&[&shop, &there]);
}

#[test]
fn an_image_that_stays_is_pulled_from_the_registry_that_is_exposed() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let host = world.minishift.expose_registry();
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    let digest = build_from_folder(&world, &shop, "stays where it is");
    let token = world.minishift.log_in("developer");
    let login = STANDARD.encode(format!("developer:{token}"));
    let auths = json!({"auths": {&host: {"auth": login}}});
    let mut web = deployment("web", &format!("{INTERNAL}/shop/web@{digest}"));
    web["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "abroad"}]);
    shop.create(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "abroad"}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": auths.to_string()}}),
        web,
    ]);
    running(&shop, "web");
    let stay = [&MIGRATE[..], &["--images", "external"]].concat();
    let done = tool.run(&[&stay[..], &["--insecure-registry", &host]].concat());
    names(&done.ok().stdout, "its pods need a pull secret for");
    let place = format!("{host}/shop/web@{digest}");
    let (image, said) = running(&there, "web");
    assert_eq!(said, "stays where it is");
    names(&image, &place);
    let kept = there.get("deployments", "web").expect("it is there");
    assert_eq!(
        kept["spec"]["template"]["spec"]["containers"][0]["image"],
        place.as_str()
    );
    world.minishift.log_out(&token);
    is_clean(&[&shop, &there]);
}
