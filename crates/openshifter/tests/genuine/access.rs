//! Users with few rights: what they may not see is told, what they may not do changes nothing.

use serde_json::{Value, json};

use crate::app::{claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;
use openshifter_testing::keep_secret;

/// A kubeconfig with one context, of a token.
pub(crate) fn kubeconfig(
    tool: &Tool,
    context: &str,
    server: &str,
    ca: Option<&str>,
    token: &str,
) -> String {
    keep_secret(token);
    let mut cluster = json!({"server": server});
    if let Some(ca) = ca {
        cluster["certificate-authority-data"] = ca.into();
    }
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    });
    let name = format!("{context}.kubeconfig");
    tool.write(&name, config.to_string());
    tool.arg(&name)
}

/// A token of a new service account of the namespace, with one of the cluster's own roles.
pub(crate) fn account(space: &Space, name: &str, role: &str) -> String {
    space.create(&[
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space.name}],
        }),
    ]);
    space.kubectl(&["create", "token", name]).trim().to_owned()
}

/// The same as a kubeconfig.
fn user(tool: &Tool, space: &Space, name: &str, role: &str) -> String {
    let token = account(space, name, role);
    let (server, ca) = space.cluster.address();
    kubeconfig(tool, name, &server, Some(&ca), &token)
}

fn strings<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn what_a_viewer_may_not_list_is_a_loss() {
    let (source, _) = Space::pair("viewer");
    let tool = Tool::new();
    let viewer = user(&tool, &source, "viewer", "view");
    let hidden = format!("hidden-{}-value", world().run);
    keep_secret(&hidden);
    source.create(&[
        config("settings", json!({"a": "b"})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credentials"}, "stringData": {"p": hidden}}),
    ]);
    let export = [
        "export",
        "--kubeconfig",
        &viewer,
        "--from",
        "viewer",
        "-n",
        &source.name,
        "-o",
        "chart",
    ];
    let ran = tool
        .run(&[&export[..], &["--output", "json"]].concat())
        .ended(1);
    let report = ran.report();
    let losses = strings(&report, "losses");
    assert!(
        losses.iter().any(|loss| loss.contains("secrets")),
        "{losses:?}"
    );
    // The chart says so too, to whoever imports it.
    let manifest =
        std::fs::read_to_string(tool.path("chart/data/manifest.json")).expect("there is a ledger");
    assert!(manifest.contains("secrets"));
    let target = Space::absent(&world().target, "viewer");
    tool.run(&target.import_of("chart"))
        .ended(1)
        .says("secrets");
}

#[test]
fn what_a_viewer_may_not_do_changes_nothing() {
    let (source, _) = Space::pair("powerless");
    source.volumes(&["data"]);
    let tool = Tool::new();
    let viewer = user(&tool, &source, "viewer", "view");
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo x > /data/x");
    let before = source.picture();
    let from = [
        "--kubeconfig",
        &viewer,
        "--from",
        "viewer",
        "-n",
        &source.name,
    ];
    // No exec, and no helper pods.
    tool.run(&[&["export", "-o", "chart"], &from[..]].concat())
        .ended(3)
        .says("error:");
    tool.run(&[&["export", "--quiesce", "-o", "chart"], &from[..]].concat())
        .ended(3);
    assert_eq!(tool.charts(), Vec::<String>::new());
    let ran = tool.run(&[&["delete", "--yes"], &from[..]].concat());
    assert_ne!(ran.status, Some(0), "{ran:?}");
    assert_eq!(before, source.picture());

    tool.run(&[
        "export",
        "--skip-volume",
        "data",
        "--from",
        &source.cluster.context,
        "-n",
        &source.name,
        "-o",
        "chart",
    ])
    .ok();
    let other = Space::new(&world().source, "powerless-to");
    let reader = user(&tool, &other, "reader", "view");
    let before = other.picture();
    tool.run(&[
        "import",
        "chart",
        "--kubeconfig",
        &reader,
        "--to",
        "reader",
        "-n",
        &other.name,
    ])
    .says("error:")
    .says("orbidden");
    assert_eq!(before, other.picture());
}

#[test]
fn an_editor_of_one_project_moves_it_without_rights_in_the_cluster() {
    let (source, target) = (
        Space::new(&world().source, "editor"),
        Space::new(&world().target, "editor"),
    );
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    let tool = Tool::new();
    let from = user(&tool, &source, "from-admin", "admin");
    let to = user(&tool, &target, "to-admin", "admin");
    source.create(&[
        claim("data"),
        deployment("web", Some("data")),
        config("settings", json!({"a": "b"})),
    ]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo mine > /data/file");
    tool.run(&[
        "export",
        "--kubeconfig",
        &from,
        "--from",
        "from-admin",
        "-n",
        &source.name,
        "-l",
        "app=web",
        "-o",
        "chart",
    ])
    .ok();
    tool.run(&[
        "import",
        "chart",
        "--kubeconfig",
        &to,
        "--to",
        "to-admin",
        "-n",
        &target.name,
    ])
    .ok();
    target.ready("deploy/web");
    assert_eq!(target.shell("deploy/web", "cat /data/file"), b"mine\n");
}
