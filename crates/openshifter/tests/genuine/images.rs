//! Images that go from one registry into another, for clusters that have none of their own. The registries listen on
//! loopback, which is the nodes' own where those run on this machine.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_testing::{OCI_LAYER, RegistryServer, run};
use serde_json::json;

use crate::app::deployment;
use crate::policies::migrate;
use crate::space::Space;
use crate::tool::Tool;

/// A layer with a shell, and a file of this content.
fn layer(tool: &Tool, content: &str) -> Vec<u8> {
    let folder = tool.path("layer");
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).expect("there is room");
    std::fs::copy("/bin/busybox", bin.join("busybox"))
        .expect("busybox is there; install it: apt-get install busybox-static");
    for name in ["sh", "sleep", "cat"] {
        let link = bin.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink("busybox", link).expect("there is room");
    }
    std::fs::write(folder.join("message"), content).expect("there is room");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file", "layer.tar", "--directory"])
        .arg(&folder)
        .arg(".")
        .current_dir(tool.path(""));
    run(&mut tar, b"");
    std::fs::read(tool.path("layer.tar")).expect("tar has written it")
}

/// What the application runs at a cluster, and what it says.
fn running(space: &Space) -> (String, String) {
    space.ready("deploy/web");
    let web = space.get("deployment", "web").expect("it is there");
    let image = web["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    let said = space.kubectl(&["exec", "deploy/web", "--", "cat", "/message"]);
    (image.unwrap_or_default().to_owned(), said)
}

/// A registry that wants the password `geheim` of `dev`.
fn closed(tool: &Tool) -> RegistryServer {
    let users = tool.write(
        "htpasswd",
        "dev:$2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n",
    );
    RegistryServer::configured(
        "",
        &format!(
            "auth:\n  htpasswd:\n    realm: here\n    path: {}\n",
            users.display()
        ),
    )
}

/// What Docker's `config.json` has for a registry.
fn login(registry: &RegistryServer, password: &str) -> String {
    let auth = STANDARD.encode(format!("dev:{password}"));
    json!({"auths": {registry.address(): {"auth": auth}}}).to_string()
}

#[test]
fn images_go_into_a_registry_that_is_named_and_pods_pull_them_from_there() {
    let (source, target) = Space::pair("images");
    let tool = Tool::new();
    let (from, to) = (RegistryServer::start(), closed(&tool));
    let push = |content: &str| -> String {
        let layer = layer(&tool, content);
        let pushed = from.image(("team/web", "1"), "amd64", (OCI_LAYER, &layer));
        pushed["digest"].as_str().expect("it has one").to_owned()
    };
    let first = push("at first");
    let mut web = deployment("web", None);
    web["spec"]["template"]["spec"]["containers"][0]["image"] =
        format!("{}/team/web:1", from.address()).into();
    web["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "there"}]);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "there"},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": login(&to, "geheim")}});
    source.create(&[secret, web]);
    assert_eq!(running(&source).1, "at first");

    let place = format!("{}/moved", to.address());
    let plain = [
        "--insecure-registry",
        from.address(),
        "--insecure-registry",
        to.address(),
    ];
    let copies = |more: &[&str]| {
        let mut args = migrate(&source, &target, "copy");
        let all = plain.iter().chain(&["--images", "copy"]).chain(more);
        args.extend(all.map(|&word| word.to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        tool.run(&args)
    };
    let no_place = [
        (&[][..], "--to-registry HOST/PATH"),
        (&["--to-registry", "moved"], "HOST[:PORT][/PATH]"),
    ];
    for (more, said) in no_place {
        copies(&[more, &["--dry-run"]].concat()).ended(3).says(said);
        copies(more).ended(3).says(said);
    }
    assert!(!target.exists());
    let to_place = ["--to-registry", place.as_str()];
    let report = copies(&[&to_place[..], &["--output", "json"]].concat())
        .ok()
        .report();
    assert_eq!(report["images"][0]["action"], "pushed", "{report:#}");
    assert_eq!(
        running(&target),
        (format!("{place}/web@{first}"), "at first".to_owned())
    );
    assert_eq!(to.tags("moved/web"), ["1"]);

    // Once more there is nothing to push; a tag of another image is nobody's to lead elsewhere without being told.
    let again = copies(&to_place).ok();
    again.says("unchanged");
    // A chart has the images with it; a file of credentials is before the application's own.
    tool.write("wrong.json", login(&to, "falsch"));
    let chart = source.export_to("chart");
    let export = [&chart[..], &plain, &["--images", "copy"]].concat();
    tool.run(&export).ok();
    let (_, elsewhere) = Space::pair("unpacked");
    let import = [&elsewhere.import_of("chart")[..], &plain, &to_place].concat();
    let other_way = ["--registry-auth-file", "wrong.json"];
    let refused = tool.run(&[&import[..], &other_way].concat()).ended(3);
    assert!(!refused.stderr.contains("falsch"));
    refused.says("credentials");
    assert!(!elsewhere.exists());
    tool.run(&import).ok().says("unchanged");
    assert_eq!(running(&elsewhere).1, "at first");

    let second = push("since then");
    source.kubectl(&[
        "set",
        "image",
        "deploy/web",
        &format!("main={}/team/web:1@{second}", from.address()),
    ]);
    assert_eq!(running(&source).1, "since then");
    copies(&to_place).ended(3).says("is another image than");
    assert_eq!(running(&target).1, "at first");
    copies(&[&to_place[..], &["--existing", "apply"]].concat()).ok();
    assert_eq!(running(&target).1, "since then");
    // What others have in a registry is not touched without them: how to lead the tag back is said.
    tool.run(&["undo", &tool.last_run()])
        .ended(1)
        .says("skopeo copy");
    assert_eq!(running(&target).1, "at first");
}
