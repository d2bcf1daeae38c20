//! Service accounts that may only pull at the source, and only push at the target, are enough for the images.

use serde_json::{Value, json};

use crate::images::{
    build_config, build_from_folder, json_of, let_forward, names, stream, tagged, web,
};
use crate::support::{Space, Tool, World, is_clean, keep_secret, until};

/// A service account that may do what a role of the cluster says; gives its token.
#[track_caller]
pub(crate) fn account(space: &Space<'_>, name: &str, role: &str) -> String {
    let rbac = "rbac.authorization.k8s.io";
    space.create(&[
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space.name}]}),
    ]);
    token(space, name)
}

#[track_caller]
fn token(space: &Space<'_>, account: &str) -> String {
    let token = space.kubectl(&["create", "token", account]);
    keep_secret(token.trim());
    token.trim().to_owned()
}

#[test]
fn an_account_that_may_only_pull_and_one_that_may_only_push_are_enough() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let live = world.production().project("live");
    let tool = Tool::with_projects(&world, "shop", "live");
    let_forward(&world.minishift);
    let registry = world.production().expose_registry();
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    let digest = build_from_folder(&world, &shop, "built from a folder");
    tool.write("puller", account(&shop, "puller", "system:image-puller"));
    // All accounts of the project itself may pull.
    let elsewhere = world.minishift.project("elsewhere");
    tool.write("nobody", token(&elsewhere, "default"));
    // Every project has an account with the role `system:image-builder`, for its builds.
    tool.write("pusher", token(&live, "builder"));
    tool.write("reader", account(&live, "reader", "system:image-puller"));

    let export = |out: &str, token: &str| {
        tool.run(&[
            "export",
            "--from",
            "minishift",
            "-o",
            out,
            "--images",
            "copy shop/web:latest",
            "--from-registry-token-file",
            token,
        ])
    };
    let refused = export("no", "nobody").ended(3);
    names(&refused.stderr, "shop/web");
    assert!(!tool.path("no").exists());
    export("chart", "puller").ok();

    let import = |chart: &str, token: &str, status: i32| -> Value {
        let ran = tool.run(&[
            "--output",
            "json",
            "import",
            chart,
            "--to",
            "production",
            "-n",
            "live",
            "--existing",
            "apply",
            "--to-registry",
            &registry,
            "--to-registry-token-file",
            token,
        ]);
        json_of(&ran, status)
    };
    // Only the push itself tells whose token this is.
    let refused = import("chart", "reader", 4);
    names(refused["error"].as_str().unwrap_or_default(), "live/web");
    assert_eq!(tagged(&live), None);
    let report = import("chart", "pusher", 0);
    assert_eq!(web(&report)["action"], "pushed", "{report:#}");
    assert_eq!(tagged(&live).as_deref(), Some(digest.as_str()));

    // A tag that led to another image does so again when the run is taken back.
    let newer = build_from_folder(&world, &shop, "built again");
    export("newer", "puller").ok();
    let report = import("newer", "pusher", 0);
    assert_eq!(tagged(&live).as_deref(), Some(newer.as_str()));
    let id = report["run"].as_str().expect("a run has an id");
    let_forward(world.production());
    tool.run(&["undo", id, "--to", "production"]).ok();
    assert_eq!(tagged(&live).as_deref(), Some(digest.as_str()));

    // A tag that has another image keeps it, and that this one did not arrive is no success.
    let taken = world.production().project("taken");
    let mut other = stream("web");
    other["spec"]["tags"] = json!([{"name": "latest", "from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}]);
    taken.create(&[other]);
    until("the tag", || tagged(&taken));
    let skip = "--output json import chart --to production -n taken --existing skip --dry-run";
    let report = json_of(&tool.run(&skip.split(' ').collect::<Vec<_>>()), 1);
    assert_eq!(web(&report)["action"], "skipped", "{report:#}");
    names(
        &report["losses"].to_string(),
        "image shop/web:latest was not pushed: web:latest of taken has another image",
    );
    is_clean(&[&shop, &live, &taken]);
}
