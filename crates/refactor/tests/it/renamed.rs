//! A project called `app`, whose name is within everything.

use openshifter_objects::Object;
use openshifter_refactor::{Choices, Source, refactor, retarget};
use serde_json::{Value, json};

fn objects() -> Vec<Object> {
    let values = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "app", "namespace": "app", "labels": {"app": "app", "application": "app"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}}, "spec": {
                "serviceAccountName": "app",
                "containers": [
                    {"name": "application", "image": "172.30.1.1:5000/app/application:app", "command": ["/app/application", "app"],
                        "env": [{"name": "APP", "value": "app"}, {"name": "HOST", "value": "application.app.svc"}],
                        "livenessProbe": {"httpGet": {"host": "app", "path": "/app", "port": 80}}},
                    {"name": "app", "image": "reg/app/app:1"}],
                "volumes": [{"name": "app", "persistentVolumeClaim": {"claimName": "app"}}]}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app", "namespace": "app"},
            "spec": {"clusterIP": "None", "clusterIPs": ["None"], "selector": {"app": "app"}}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "app", "namespace": "app"},
            "spec": {"host": "app.application.example", "to": {"kind": "Service", "name": "app"}}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "app", "namespace": "app"},
            "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": "app"}, {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "app"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "app"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "application", "namespace": "app"},
            "data": {"app": "app application app-app", "namespace": "app"}}),
    ];
    values
        .into_iter()
        .map(|value| Object::from_value(value).unwrap())
        .collect()
}

/// Every text that differs, as `pointer: before -> after`.
fn differing(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            assert!(before.keys().eq(after.keys()), "{at} keeps its keys");
            for (key, value) in before {
                differing(value, &after[key], &format!("{at}/{key}"), found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len(), "{at} keeps its length");
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                differing(before, after, &format!("{at}/{index}"), found);
            }
        }
        _ if before != after => found.push(format!("{at}: {before} -> {after}")),
        _ => {}
    }
}

#[test]
fn only_what_means_the_namespace_is_renamed() {
    let source = Source {
        namespace: "app".to_owned(),
        openshift: true,
    };
    let before = objects();
    let done = refactor(&before, &source, &Choices::default());
    let mut values = done.values.clone();
    retarget(&mut values, "app", "target", None);
    let mut found = Vec::new();
    for (before, one) in before.iter().zip(done.objects) {
        let mut after = one.object;
        let key = after.key();
        for knob in done.knobs.iter().filter(|knob| knob.object == key) {
            knob.turn(&mut after, &values, "target").unwrap();
        }
        differing(before.value(), after.value(), after.kind(), &mut found);
    }
    insta::assert_snapshot!(found.join("\n"), @r#"
    Deployment/metadata/namespace: "app" -> "target"
    Deployment/spec/template/spec/containers/0/image: "172.30.1.1:5000/app/application:app" -> "172.30.1.1:5000/target/application:app"
    Service/metadata/namespace: "app" -> "target"
    Route/metadata/namespace: "app" -> "target"
    RoleBinding/metadata/namespace: "app" -> "target"
    RoleBinding/subjects/0/namespace: "app" -> "target"
    ConfigMap/metadata/namespace: "app" -> "target"
    "#);
}
