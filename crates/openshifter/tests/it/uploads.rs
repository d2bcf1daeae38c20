//! Uploads to a registry that is reached over a connection that breaks.

use std::process::Command;

use openshifter_testing::Relay;
use serde_json::{Value, json};

use crate::support::{Ran, Space, Tool, World, is_clean, run, until};

const STREAM: &str = "imagestreams.image.openshift.io";
const MIB: u64 = 1 << 20;

/// An application made of an image with so many bytes that no compression makes fewer; the image's digest.
#[track_caller]
pub(crate) fn built(world: &World, space: &Space<'_>, name: &str, bytes: u64) -> String {
    space.create(&[
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name}}),
        json!({
            "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": name},
            "spec": {
                "source": {"type": "Binary", "binary": {}},
                "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
                "output": {"to": {"kind": "ImageStreamTag", "name": format!("{name}:latest")}},
            },
        }),
        json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"app": name},
                "triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                    "automatic": true, "containerNames": ["main"],
                    "from": {"kind": "ImageStreamTag", "name": format!("{name}:latest")}}}],
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                        {"name": "main", "image": " ", "command": ["sleep", "2147483647"]}]},
                },
            },
        }),
    ]);
    let folder = world.path(name);
    std::fs::create_dir(&folder).expect("there is room");
    let mut head = Command::new("head");
    head.arg("-c").arg(bytes.to_string()).arg("/dev/urandom");
    let file = std::fs::File::create(folder.join("noise")).expect("there is room");
    let status = head.stdout(file).status().expect("head is there");
    assert!(status.success());
    let archive = world.path(&format!("{name}.tar"));
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&folder).arg("-cf").arg(&archive).arg(".");
    run(&mut tar, b"");
    let path = format!(
        "/apis/build.openshift.io/v1/namespaces/{}/buildconfigs/{name}/instantiatebinary?name={name}",
        space.name
    );
    let build = space.cluster.post(&path, &archive);
    assert_eq!(build["kind"], "Build", "{build}");
    until("the build to make an image", || tagged(space, name))
}

/// The image that the tag leads to.
pub(crate) fn tagged(space: &Space<'_>, name: &str) -> Option<String> {
    let stream = space.get(STREAM, name)?;
    let image = stream["status"]["tags"][0]["items"][0]["image"].as_str()?;
    Some(image.to_owned())
}

#[track_caller]
fn report(ran: &Ran, status: i32) -> Value {
    assert_eq!(ran.status, Some(status), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn an_upload_that_is_cut_goes_on_where_it_was_and_one_that_stays_cut_is_resumed() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    let tool = Tool::new(&world);
    let bytes = 64 * MIB;
    let digest = built(&world, &shop, "web", bytes);
    let exposed = world.minishift.expose_registry();
    let export = |out: &str| {
        let words = [
            "export",
            "--from",
            "minishift",
            "--namespace",
            "shop",
            "-o",
            out,
            "--from-registry",
            &exposed,
        ];
        tool.run(&words).ok();
    };
    export("chart");

    let port = exposed.rsplit(':').next().expect("it has a port");
    let relay = Relay::start(&format!("127.0.0.1:{port}"));
    let wire = format!("localhost:{}", relay.address().port());
    let import = |chart: &str, project: &str| {
        tool.run(&[
            "--output",
            "json",
            "import",
            chart,
            "--to",
            "minishift",
            "--namespace",
            project,
            "--to-registry",
            &wire,
        ])
    };
    // In the middle of the layer. What has arrived is not sent again.
    relay.cut_after(bytes / 2, false);
    let whole = report(&import("chart", "live"), 0);
    let images = whole["images"].as_array().expect("it tells of images");
    let web = images
        .iter()
        .find(|image| image["name"] == "shop/web:latest");
    assert_eq!(
        web.map(|web| &web["action"]),
        Some(&json!("pushed")),
        "{whole:#}"
    );
    let live = world.minishift.absent("live");
    assert_eq!(tagged(&live, "web"), Some(digest));
    let sent = relay.sent();
    assert!(sent > bytes && sent < bytes * 13 / 10, "{sent} of {bytes}");

    // Cut for good in the middle of the second of two images: neither is half there, and the first is not sent again.
    let half = 24 * MIB;
    let more = world.minishift.project("more");
    let digests = ["first", "second"].map(|name| built(&world, &more, name, half));
    let words = [
        "export",
        "--from",
        "minishift",
        "--namespace",
        "more",
        "-o",
        "both",
        "--from-registry",
        &exposed,
    ];
    tool.run(&words).ok();
    relay.cut_after(half * 3 / 2, true);
    let torn = report(&import("both", "again"), 4);
    let again = world.minishift.absent("again");
    let there = ["first", "second"].map(|name| tagged(&again, name));
    assert_eq!(there[1], None, "{torn:#}");
    assert!(there[0].is_none() || there[0].as_deref() == Some(&digests[0]));
    relay.mend();
    let before = relay.sent();
    let id = torn["run"].as_str().expect("a run has an id");
    tool.run(&["resume", id]).ok();
    let there = ["first", "second"].map(|name| tagged(&again, name));
    assert_eq!(there, digests.map(Some));
    let sent = relay.sent() - before;
    assert!(sent < half * 13 / 10, "{sent} of {half}");
    is_clean(&[&shop, &live, &more, &again]);
}
