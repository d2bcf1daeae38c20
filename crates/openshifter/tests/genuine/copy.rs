//! Export and import: what is in the volumes arrives, byte for byte.

use serde_json::json;

use crate::app::{claim, config, deployment, template};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{ODDITIES, describe, describe_at, same};
use crate::world::world;

#[test]
fn a_volume_with_every_sort_of_entry_arrives() {
    let (source, target) = Space::pair("tree");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", ODDITIES);
    let before = describe(&source, "deploy/web");

    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    tool.run(&["chart", "verify", "chart"]).ok();
    tool.run(&target.import_of("chart")).ok().says("verified");
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(target.helpers(), Vec::<String>::new());
}

#[test]
fn many_small_files_and_a_large_one_arrive_through_an_archive() {
    let (source, target) = Space::pair("bulk");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell(
        "deploy/web",
        "cd /data && mkdir many && cd many && i=0 && while [ $i -lt 100 ]; do mkdir $i; j=0; \
         while [ $j -lt 100 ]; do echo $i $j > $i/$j; j=$((j+1)); done; i=$((i+1)); done && \
         dd if=/dev/urandom of=/data/large bs=1M count=100 2>/dev/null",
    );
    let before = describe(&source, "deploy/web");

    let tool = Tool::new();
    tool.run(&source.export_to("bulk.tgz"))
        .ok()
        .says("10001 files");
    tool.run(&target.import_of("bulk.tgz")).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
}

#[test]
fn each_pod_of_a_stateful_set_finds_its_own_data_again() {
    let (source, target) = Space::pair("sts");
    let claims = ["data-db-0", "data-db-1"];
    source.volumes(&claims);
    target.volumes(&claims);
    let mut pod = template("db", None);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    source.create(&[
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
            "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 5432}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {
                "replicas": 2, "serviceName": "db", "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": "db"}},
                "template": pod,
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }],
            },
        }),
    ]);
    source.ready("sts/db");
    for pod in ["db-0", "db-1"] {
        source.shell(
            &format!("pod/{pod}"),
            "hostname > /data/who; date > /data/when",
        );
    }

    let tool = Tool::new();
    let path = tool.path("db.tgz");
    let exported = tool
        .run(&[&source.export_to("db.tgz")[..], &["--quiet", "--quiesce"]].concat())
        .ok();
    assert!(path.is_file(), "{exported:?}");
    assert_eq!(source.replicas("sts", "db"), 2);
    tool.run(&target.import_of("db.tgz")).ok();
    target.ready("sts/db");
    source.ready("sts/db");
    for pod in ["pod/db-0", "pod/db-1"] {
        same(&describe(&source, pod), &describe(&target, pod));
    }
    assert_eq!(target.shell("pod/db-1", "cat /data/who"), b"db-1\n");
}

#[test]
fn a_chart_comes_through_standard_output() {
    let (source, target) = Space::pair("pipe");
    source.create(&[config("settings", json!({"a": "b"}))]);
    let tool = Tool::new();
    let ran = tool.run(&source.export_to("-")).ok();
    assert!(!ran.stdout.is_empty());
    // Each stdout of a run is a file of the test's folder.
    let archive = std::fs::read_dir(tool.path(""))
        .expect("the folder is there")
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().ends_with(".stdout"))
        .expect("there was output")
        .path();
    let renamed = tool.path("piped.tgz");
    std::fs::rename(archive, &renamed).expect("it is ours");
    tool.run(&target.import_of("piped.tgz")).ok();
    assert_eq!(target.must("configmap", "settings")["data"]["a"], "b");
}

#[test]
fn a_project_called_app_does_not_change_the_word_application() {
    let world = world();
    let source = Space::new(&world.source, "app");
    let target = Space::absent(&world.target, "other");
    let text = format!("application={0} app {0}.svc approach", source.name);
    source.create(&[
        config("settings", json!({"text": text})),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "runner-reads"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": source.name}],
        }),
    ]);
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    tool.run(&target.import_of("chart")).ok();
    assert_eq!(
        target.must("configmap", "settings")["data"]["text"],
        text.as_str()
    );
    let binding = target.must("rolebinding", "runner-reads");
    assert_eq!(binding["subjects"][0]["namespace"], target.name.as_str());
    let allowed = target.kubectl(&[
        "auth",
        "can-i",
        "get",
        "configmaps",
        "--as",
        &format!("system:serviceaccount:{}:runner", target.name),
    ]);
    assert_eq!(allowed.trim(), "yes");
}

#[test]
fn a_claim_that_was_never_bound_and_a_volume_that_is_skipped() {
    let (source, target) = Space::pair("skip");
    source.volumes(&["data"]);
    target.volumes(&["data", "waiting"]);
    let mut waiting = claim("waiting");
    // No class, and no volume without one.
    waiting["spec"]["storageClassName"] = "".into();
    waiting["spec"]["selector"] = json!({"matchLabels": {"no": "such"}});
    source.create(&[claim("data"), waiting, deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo secret-plans > /data/plans");
    let tool = Tool::new();
    tool.run(
        &[
            &source.export_to("chart")[..],
            &["--skip-volume", "nothing"],
        ]
        .concat(),
    )
    .ended(3)
    .says("no such claim");
    tool.run(&[&source.export_to("chart")[..], &["--skip-volume", "data"]].concat())
        .ok()
        .says("volume data was skipped")
        .says("volume waiting: never bound");
    // Whoever imports it did not skip anything.
    let import = target.import_of("chart");
    tool.run(&import)
        .ended(1)
        .says("the data of claim data is not in the chart")
        .says("--skip-volume data");
    tool.run(&[&import[..], &["--skip-volume", "data"]].concat())
        .ok()
        .says("volume data: skipped");
    tool.run(&[&import[..], &["--skip-volume", "nothing"]].concat())
        .ended(3)
        .says("no such claim");
    target.ready("deploy/web");
    assert_eq!(
        describe_at(&target, "deploy/web", "/data"),
        Vec::<String>::new()
    );
    target.must("pvc", "waiting");
}
