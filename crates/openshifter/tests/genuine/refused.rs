//! Wrong names, tokens, addresses and certificates: one clear message, and nothing is changed.

use serde_json::json;

use crate::access::kubeconfig;
use crate::app::{config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;
use openshifter_testing::Ran;

/// One message for a person, and nothing else.
#[track_caller]
fn refused(ran: Ran) {
    assert!(ran.stdout.is_empty(), "{ran:?}");
    ran.one_message();
}

#[test]
fn what_cannot_be_reached_or_is_not_believed() {
    let tool = Tool::new();
    let source = Space::new(&world().source, "refused");
    source.create(&[config("settings", json!({"a": "b"}))]);
    let (server, ca) = source.cluster.address();
    let wrong = format!("not-a-token-{}", world().run);
    // A token that was one: of an account that is gone.
    source.create(&[
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gone"}}),
    ]);
    let stale = source.kubectl(&["create", "token", "gone"]);
    source.kubectl(&["delete", "serviceaccount", "gone"]);
    let other_ca = world().target.address().1;
    let closed = "https://127.0.0.1:1";
    let cases = [
        (
            "wrong",
            server.as_str(),
            Some(ca.as_str()),
            wrong.as_str(),
            "not accepted",
        ),
        ("stale", &server, Some(&ca), stale.trim(), "not accepted"),
        (
            "unreachable",
            closed,
            Some(&ca),
            &wrong,
            "cannot reach 127.0.0.1:1",
        ),
        ("untrusted", &server, Some(&other_ca), &wrong, "certificate"),
        ("no-authority", &server, None, &wrong, "certificate"),
    ];
    for (name, server, ca, token, says) in cases {
        let file = kubeconfig(&tool, name, server, ca, token);
        let to = ["--kubeconfig", &file, "-n", &source.name];
        for command in [
            vec!["export", "--from", name, "-o", "chart"],
            vec!["delete", "--from", name, "--yes"],
        ] {
            let ran = tool.run(&[&command[..], &to].concat()).ended(3).says(says);
            refused(ran);
        }
        assert_eq!(tool.charts(), Vec::<String>::new());
    }
    source.must("configmap", "settings");
}

#[test]
fn names_that_are_none() {
    let tool = Tool::new();
    let context = world().source.context.as_str();
    let ran = tool
        .run(&[
            "export",
            "--from",
            "no-such-cluster",
            "-n",
            "x",
            "-o",
            "chart",
        ])
        .ended(2)
        .says("no-such-cluster");
    refused(ran);
    let nowhere = format!("nowhere-{}", world().run);
    for command in [
        vec!["export", "--from", context, "-n", &nowhere, "-o", "chart"],
        vec!["delete", "--from", context, "-n", &nowhere, "--yes"],
    ] {
        tool.run(&command).ended(3).says(&nowhere);
    }
    let empty = Space::new(&world().source, "empty");
    tool.run(&[
        "export",
        "--from",
        context,
        "-n",
        &empty.name,
        "-o",
        "chart",
    ])
    .ended(3)
    .says("nothing to move");
    tool.run(&[
        "export",
        "--from",
        context,
        "-n",
        "Not A Name",
        "-o",
        "chart",
    ])
    .says("Not A Name");
    assert_eq!(tool.charts(), Vec::<String>::new());
}

#[test]
fn what_reaches_beyond_the_project_needs_leave() {
    let (source, target) = Space::pair("reach");
    let mut web = deployment("web", None);
    web["spec"]["replicas"] = 0.into();
    web["spec"]["template"]["spec"]["containers"][0]["securityContext"] =
        json!({"privileged": true});
    source.create(&[web]);
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let import = target.import_of("chart");
    tool.run(&import)
        .ended(3)
        .says("Deployment.apps/web")
        .says("privileged")
        .says("--allow beyond-project");
    assert!(!target.exists());
    tool.run(&[&import[..], &["--allow", "beyond-project"]].concat())
        .ok();
    target.must("deploy", "web");
}

#[test]
fn charts_that_are_none_change_nothing() {
    let (source, target) = Space::pair("torn");
    source.create(&[config("settings", json!({"a": "b"}))]);
    let tool = Tool::new();
    tool.run(&source.export_to("good.tgz")).ok();
    let good = std::fs::read(tool.path("good.tgz")).expect("there is a chart");
    std::fs::write(tool.path("short.tgz"), &good[..good.len() / 2]).expect("there is room");
    std::fs::write(tool.path("text.tgz"), "not a chart at all\n").expect("there is room");
    std::fs::create_dir(tool.path("folder")).expect("there is room");
    tool.run(&["chart", "unpack", "good.tgz", "tampered"]).ok();
    let object = std::fs::read_dir(tool.path("tampered/data/objects"))
        .expect("there are objects")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("settings"))
        .expect("there is one");
    let text = std::fs::read_to_string(&object).expect("it is text");
    std::fs::write(&object, text.replace("\"b\"", "\"c\"")).expect("it is ours");
    for chart in [
        "short.tgz",
        "text.tgz",
        "folder",
        "tampered",
        "nothing-there",
    ] {
        let ran = tool.run(&target.import_of(chart));
        let ran = ran.ended(3).says(chart);
        refused(ran);
    }
    assert!(!target.exists());
}
