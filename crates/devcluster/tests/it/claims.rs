//! Claims: bound at once, at their first consumer, not at all, and what becomes of their volumes.

use kube::api::DeleteParams;
use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::support::{
    Cluster, api, claims, make, make_claim, make_pod, pods, ready_when, shell_pod, with_claim,
};

fn phase(wanted: &str) -> impl Fn(&Value) -> bool {
    move |object| object["status"]["phase"] == wanted
}

#[tokio::test]
async fn a_helper_pod_is_the_first_consumer() {
    let cluster = Cluster::start("first").await;
    let client = cluster.project("shop").await;
    make_claim(&client, "shop", "data", Some("local")).await;
    cluster
        .until(&claims(), "shop", "data", "pending", phase("Pending"))
        .await;
    let script = "echo kept > /data/file; exec sleep 1000";
    let helper = ready_when(shell_pod("helper", script), "/data/file");
    make_pod(&client, "shop", with_claim(helper, "data")).await;
    cluster.until_ready("shop", "helper").await;
    let claim = cluster
        .until(&claims(), "shop", "data", "bound", phase("Bound"))
        .await;
    let annotations = &claim["metadata"]["annotations"];
    assert_eq!(annotations["volume.kubernetes.io/selected-node"], "first");
    assert_eq!(annotations["pv.kubernetes.io/bound-by-controller"], "yes");
    assert_eq!(
        claim["metadata"]["finalizers"],
        json!(["kubernetes.io/pvc-protection"])
    );

    // A claim that is used stays until its last user is gone; its folder goes with it.
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    let volumes = ResourceId::core("persistentvolumes");
    let folder =
        cluster.store().get(&volumes, None, volume).unwrap()["spec"]["local"]["path"].clone();
    let folder = std::path::PathBuf::from(folder.as_str().unwrap());
    assert_eq!(
        std::fs::read_to_string(folder.join("file")).unwrap(),
        "kept\n"
    );
    let claims_api = api(
        &client,
        Some("shop"),
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
    );
    claims_api
        .delete("data", &DeleteParams::default())
        .await
        .unwrap();
    cluster
        .until(&claims(), "shop", "data", "terminating", |c| {
            !c["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    let pods_api = api(&client, Some("shop"), "v1", "Pod", "pods");
    pods_api
        .delete("helper", &DeleteParams::default())
        .await
        .unwrap();
    cluster.until_gone(&pods(), "shop", "helper").await;
    cluster.until_gone(&claims(), "shop", "data").await;
    cluster.until_gone(&volumes, "", volume).await;
    assert!(!folder.exists());
    cluster.stop().await;
}

#[tokio::test]
async fn a_copied_claim_is_lost_and_a_foreign_class_pends() {
    let cluster = Cluster::start("lost").await;
    let client = cluster.project("shop").await;
    let copied = json!({
        "metadata": {"name": "copied", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
            "volumeName": "pvc-of-another-cluster",
        },
    });
    make(
        &client,
        Some("shop"),
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        copied,
    )
    .await;
    cluster
        .until(&claims(), "shop", "copied", "lost", phase("Lost"))
        .await;

    make_claim(&client, "shop", "foreign", Some("gp3-csi")).await;
    cluster
        .until(&claims(), "shop", "foreign", "pending", phase("Pending"))
        .await;
    make_pod(
        &client,
        "shop",
        with_claim(shell_pod("waiting", "sleep 1000"), "foreign"),
    )
    .await;
    let pod = cluster
        .until(&pods(), "shop", "waiting", "unschedulable", |pod| {
            pod["status"]["conditions"][0]["reason"] == "Unschedulable"
        })
        .await;
    assert_eq!(
        pod["status"]["conditions"][0]["message"],
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    );
    cluster.stop().await;
}
