//! An application of all the usual kinds, and what `helm` makes of its chart.

use serde_json::{Value, json};

use crate::app::{claim, config, deployment, template};
use crate::helm;
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use crate::world::{Cluster, SUITE_LABEL, world};
use openshifter_testing::keep_secret;
use openshifter_testing::until;

/// A definition of the whole cluster, removed in the end.
struct Definition {
    cluster: &'static Cluster,
    name: String,
}

impl Drop for Definition {
    fn drop(&mut self) {
        let _ = self.cluster.attempt(&[
            "delete",
            "crd",
            &self.name,
            "--wait=false",
            "--ignore-not-found",
        ]);
    }
}

fn group() -> String {
    format!("suite-{}.openshifter.dev", world().run)
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{}", group()), "labels": {SUITE_LABEL: world().run}},
        "spec": {
            "group": group(), "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

/// The version of CronJobs that the source serves.
fn cron_version(cluster: &Cluster) -> &'static str {
    let served = cluster.run(&["api-resources", "--api-group=batch", "--no-headers"]);
    let newest = served
        .lines()
        .any(|line| line.contains("CronJob") && line.contains("batch/v1 "));
    if newest { "batch/v1" } else { "batch/v1beta1" }
}

fn application(source: &Space, password: &str) -> Vec<Value> {
    let mut web = deployment("web", Some("data"));
    let pod = &mut web["spec"]["template"]["spec"];
    pod["serviceAccountName"] = "runner".into();
    pod["containers"][0]["envFrom"] =
        json!([{"secretRef": {"name": "credentials"}}, {"configMapRef": {"name": "settings"}}]);
    pod["containers"][0]["resources"] = json!({"requests": {"cpu": "10m"}});
    let mut job = template("once", None);
    job["spec"]["restartPolicy"] = "Never".into();
    job["spec"]["containers"][0]["command"] = json!(["true"]);
    let rbac = "rbac.authorization.k8s.io";
    vec![
        claim("data"),
        config(
            "settings",
            json!({
                "template": "{{ .Values.not.a.value }} $x \"quoted\" \\ back", "multi": "a\n  b\n\n", "yes": "yes", "number": "007",
            }),
        ),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credentials"},
            "type": "Opaque", "stringData": {"password": password},
        }),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": "system:reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "runner-reads"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "system:reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": source.name}],
        }),
        web,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
            "spec": {"rules": [{"host": "web.example.com", "http": {"paths": [{
                "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}},
            }]}}]},
        }),
        json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {"minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 80,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
        }),
        json!({
            "apiVersion": cron_version(source.cluster), "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": job}}},
        }),
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "setup"},
            "spec": {"template": job},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent", None)},
        }),
    ]
}

#[test]
fn an_application_of_all_the_usual_kinds_moves() {
    let (source, target) = Space::pair("whole");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    let name = format!("widgets.{}", group());
    let _definitions = [&source, &target].map(|space| Definition {
        cluster: space.cluster,
        name: name.clone(),
    });
    source.cluster.create(None, &[definition()]);
    source.cluster.run(&[
        "wait",
        "--for=condition=Established",
        "--timeout=180s",
        &format!("crd/{name}"),
    ]);
    let password = format!("pass-{}-word", world().run);
    keep_secret(&password);
    source.create(&application(&source, &password));
    let widget = json!({
        "apiVersion": format!("{}/v1", group()), "kind": "Widget", "metadata": {"name": "one"},
        "spec": {"size": 3, "note": "{{ no template }}"},
    });
    until("the definition to be served", || {
        let list = source.cluster.attempt(&["get", &name, "-A"]);
        list.status.success().then_some(())
    });
    source.create(&[widget]);
    source.ready("deploy/web");
    source.ready("ds/agent");
    source.kubectl(&[
        "wait",
        "--for=condition=Complete",
        "--timeout=180s",
        "job/setup",
    ]);
    source.shell("deploy/web", "echo content > /data/file");

    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    tool.run(&target.import_of("chart"))
        .ended(3)
        .says("--allow crds");
    assert!(!target.exists());
    let to = [
        "--to",
        &target.cluster.context,
        "-n",
        &target.name,
        "--allow",
        "crds",
    ];
    let dry = tool
        .run(&[&["import", "chart", "--dry-run"], &to[..]].concat())
        .ok();
    assert!(!target.exists(), "{dry:?}");
    let imported = tool
        .run(&[&["import", "chart", "--output", "json"], &to[..]].concat())
        .ok();

    target.ready("deploy/web");
    same(
        &describe(&source, "deploy/web"),
        &describe(&target, "deploy/web"),
    );
    let environment = target.shell(
        "deploy/web",
        "echo $password; echo \"$template\"; printf '%s|' \"$multi\"; echo $number",
    );
    assert_eq!(
        String::from_utf8_lossy(&environment),
        format!(
            "{password}\n{{{{ .Values.not.a.value }}}} $x \"quoted\" \\ back\na\n  b\n\n|007\n"
        )
    );
    assert_eq!(
        target.must(&name, "one")["spec"]["note"],
        "{{ no template }}"
    );
    assert_eq!(
        target.must("ingress", "web")["spec"]["rules"][0]["host"],
        "web.example.com"
    );
    assert_eq!(target.must("hpa", "web")["spec"]["maxReplicas"], 3);
    assert_eq!(
        target.must("cronjob", "nightly")["spec"]["suspend"],
        json!(false)
    );
    // It ran once and is not to run again by itself.
    assert_eq!(target.must("job", "setup")["status"].get("succeeded"), None);
    target.ready("ds/agent");
    let report = imported.report();
    assert_eq!(report["outcome"], "complete");

    helm::agrees(&tool.path("chart"), &target, &report);
}
