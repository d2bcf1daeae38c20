//! What an import would do, as the server says it.

use openshifter_cluster::DryRun;
use openshifter_migrate::{Action, ImportOptions};
use openshifter_objects::Object;
use serde_json::json;

use crate::devcluster::Dev;
use crate::support::{Home, connect, imported};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_another_object_of_the_chart_would_be_created_too() {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    let cluster = connect(&minishift).await;
    cluster.ensure_namespace("shop").await.unwrap();
    let objects = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}),
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": "read"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }),
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": {"name": "reads"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "read"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader"}],
        }),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"},
            "spec": {
                "serviceAccountName": "reader",
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "openshifter.test/shell:1",
                    "command": ["sleep", "2147483647"]}],
            },
        }),
    ];
    for object in objects {
        let object = Object::from_value(object).unwrap();
        cluster
            .create(Some("shop"), &object, DryRun::No)
            .await
            .unwrap();
    }
    let chart = home.export(&cluster, "shop", "shop").await;
    cluster.ensure_namespace("live").await.unwrap();
    let options = ImportOptions {
        dry_run: true,
        ..ImportOptions::default()
    };
    let report = imported(&home.run(), &chart, &cluster, "live", &options).await;
    let told = |kind: &str| {
        let entry = report
            .objects
            .iter()
            .find(|entry| entry.key.kind.kind == kind);
        entry.map(|entry| (entry.action, entry.reason.as_deref()))
    };
    for kind in ["ServiceAccount", "Role", "RoleBinding", "Pod"] {
        let would = Some((Action::Created, Some("would be created")));
        assert_eq!(told(kind), would, "{kind}: {}", report.text());
    }
    cluster.logout().await.unwrap();
    minishift.stop().await;
}
