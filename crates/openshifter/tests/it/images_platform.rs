//! Of an image for several platforms, the one that was asked for is copied.

use openshifter_testing::{OCI_LAYER, RegistryServer};
use serde_json::{Value, json};

use crate::images::{STREAM, json_of, names};
use crate::support::{Tool, World, is_clean};

#[test]
fn the_image_of_one_platform_goes() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let registry = RegistryServer::start();
    let address = registry.address();
    let of = |architecture: &str| {
        let layer = format!("for {architecture}");
        let mut entry = registry.image(
            ("tool", architecture),
            architecture,
            (OCI_LAYER, layer.as_bytes()),
        );
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let (wanted, other) = (of("amd64"), of("arm64"));
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [wanted, other]});
    registry.put_manifest("tool", "1", &index);
    let digest = wanted["digest"].as_str().expect("it has a digest");
    // Nobody has to run it: this is about its bytes.
    let deployment = |name: &str, tag: &str| {
        let image = format!("{address}/tool:{tag}");
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "c", "image": image}]}}},
        })
    };
    shop.create(&[deployment("tool", "1")]);
    let copy = format!("copy {address}/*");
    let export = |out: &str, platforms: &[&str]| {
        let base = [
            "export",
            "--from",
            "minishift",
            "-o",
            out,
            "--images",
            &copy,
            "--insecure-registry",
            address,
        ];
        let platforms = platforms.iter().flat_map(|one| ["--platform", one]);
        tool.run(&base.into_iter().chain(platforms).collect::<Vec<_>>())
    };
    let refused = export("no", &["linux/s390x"]).ended(3);
    names(
        &refused.stderr,
        "is not there for linux/s390x, only for linux/amd64, linux/arm64",
    );
    assert!(!tool.path("no").exists());
    export("no", &["linux"]).ended(2);
    export("chart", &["linux/s390x", "linux/amd64"]).ok();
    let layout = std::fs::read(tool.path("chart/data/images/index.json")).expect("it is there");
    let layout: Value = serde_json::from_slice(&layout).expect("it is JSON");
    assert_eq!(layout["manifests"][0]["digest"], digest, "{layout:#}");

    let to = world.production().expose_registry();
    let import = ["--output", "json", "import", "chart", "--to", "production"];
    let report = tool.run(&[&import[..], &["--to-registry", &to]].concat());
    let report = json_of(&report, 0);
    assert_eq!(report["images"][0]["digest"], digest, "{report:#}");
    let stream = there.must(STREAM, "tool");
    assert_eq!(stream["status"]["tags"][0]["items"][0]["image"], digest);

    // An image without an index is looked into.
    shop.create(&[deployment("alone", "arm64")]);
    let refused = export("no", &["linux/amd64"]).ended(3);
    names(
        &refused.stderr,
        "is not there for linux/amd64, only for linux/arm64",
    );
    export("both", &["linux/amd64", "linux/arm64"]).ok();
    is_clean(&[&shop, &there]);
}
