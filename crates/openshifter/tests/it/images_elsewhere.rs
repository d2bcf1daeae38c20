//! Images of other registries, which nobody copies: looked up where they are, since no pod tells what it ran.

use openshifter_testing::{OCI_LAYER, RegistryServer, closed_port};

use crate::images::names;
use crate::images_bad::at_rest;
use crate::support::{Tool, World, is_clean};

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
    let base = [
        "migrate",
        "--from",
        "minishift",
        "--to",
        "production",
        "--insecure-registry",
        address,
        "--dry-run",
    ];
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
