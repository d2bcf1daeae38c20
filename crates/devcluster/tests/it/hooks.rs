//! Hooks of containers, as a kubelet runs them: after the start, and before the end.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Cluster, PATIENCE, api, claims, make_claim, make_pod, pods, shell_pod, with_claim,
};

/// The folder behind the only volume there is.
fn folder(cluster: &Cluster) -> PathBuf {
    let volumes = cluster.store().list(
        &openshifter_apiserver::ResourceId::core("persistentvolumes"),
        None,
    );
    PathBuf::from(volumes[0]["spec"]["local"]["path"].as_str().unwrap())
}

/// A pod with the claim `data`, these hooks and so much time to end.
async fn hooked(cluster: &Cluster, script: &str, grace: u32, hooks: Value) -> kube::Client {
    let client = cluster.project("shop").await;
    make_claim(&client, "shop", "data", None).await;
    let mut pod = with_claim(shell_pod("hooked", script), "data");
    pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
    pod["spec"]["containers"][0]["lifecycle"] = hooks;
    make_pod(&client, "shop", pod).await;
    client
}

fn run(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}})
}

/// Waits until a hook has written the first line.
async fn until_it_says(cluster: &Cluster) {
    let bound = |claim: &Value| claim["status"]["phase"] == "Bound";
    cluster
        .until(&claims(), "shop", "data", "bound", bound)
        .await;
    let file = folder(cluster).join("said");
    let there = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap();
}

/// Deletes the pod; what it wrote to `said` until it was gone.
async fn deleted(cluster: &Cluster, client: &kube::Client) -> String {
    let api = api(client, Some("shop"), "v1", "Pod", "pods");
    api.delete("hooked", &Default::default()).await.unwrap();
    cluster.until_gone(&pods(), "shop", "hooked").await;
    std::fs::read_to_string(folder(cluster).join("said")).unwrap()
}

/// It says that it was told to end.
const MAIN: &str = "trap 'echo told >> /data/said; exit' TERM; touch /tmp/up; while :; do sleep 0.1 & wait $!; done";

/// Waits in a hook until it does so: before, its end would pass unnoticed.
const UNTIL_UP: &str = "until test -e /tmp/up; do sleep 0.1; done";

#[tokio::test]
async fn hooks_run_after_the_start_and_before_the_end() {
    let cluster = Cluster::start("hooks").await;
    let hooks = json!({
        "postStart": run("echo begun >> /data/said; until test -e /data/go; do sleep 0.1; done"),
        "preStop": run("sleep 1; echo ending >> /data/said"),
    });
    let client = hooked(&cluster, MAIN, 30, hooks).await;
    let waiting = |pod: &Value| pod["status"]["phase"] == "Pending";
    until_it_says(&cluster).await;
    // It runs, and does not count as running, let alone as ready.
    let pod = cluster
        .until(&pods(), "shop", "hooked", "pending", waiting)
        .await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "ContainerCreating");
    assert_eq!(status["ready"], false);
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client.clone(), "shop");
    let refused = api.logs("hooked", &Default::default()).await.unwrap_err();
    assert!(
        refused.to_string().contains("waiting to start"),
        "{refused}"
    );
    std::fs::write(folder(&cluster).join("go"), "").unwrap();
    cluster.until_ready("shop", "hooked").await;
    assert_eq!(deleted(&cluster, &client).await, "begun\nending\ntold\n");
    cluster.stop().await;
}

#[tokio::test]
async fn a_hook_after_the_start_that_fails_ends_the_container() {
    let cluster = Cluster::start("failing-hook").await;
    let hooks = json!({
        "postStart": run(&format!("{UNTIL_UP}; exit 3")),
        "preStop": run("echo ending >> /data/said"),
    });
    let client = hooked(&cluster, MAIN, 30, hooks).await;
    let waits = |reason: &'static str| {
        move |pod: &Value| {
            let status = &pod["status"]["containerStatuses"][0];
            status["state"]["waiting"]["reason"] == reason
        }
    };
    let pod = cluster
        .until(
            &pods(),
            "shop",
            "hooked",
            "failed",
            waits("PostStartHookError"),
        )
        .await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(
        status["state"]["waiting"]["message"],
        "command terminated with exit code 3"
    );
    assert!(status["lastState"]["terminated"].is_object(), "{status:#}");
    let pod = cluster
        .until(
            &pods(),
            "shop",
            "hooked",
            "waiting",
            waits("CrashLoopBackOff"),
        )
        .await;
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 2);
    let said = deleted(&cluster, &client).await;
    assert_eq!(said, "ending\ntold\n".repeat(2));
    cluster.stop().await;
}

#[tokio::test]
async fn a_hook_before_the_end_that_takes_too_long_leaves_two_seconds() {
    let cluster = Cluster::start("long-hook").await;
    let hooks = json!({"preStop": run("echo ending >> /data/said; sleep 1000")});
    // As long as the hook may take on a busy machine until it has said the one word.
    let client = hooked(&cluster, MAIN, 4, hooks).await;
    cluster.until_ready("shop", "hooked").await;
    assert_eq!(deleted(&cluster, &client).await, "ending\ntold\n");
    cluster.stop().await;
}

#[tokio::test]
async fn the_end_of_a_pod_cuts_the_hook_after_its_start_short() {
    let cluster = Cluster::start("cut-hook").await;
    let hooks = json!({
        "postStart": run(&format!("{UNTIL_UP}; echo begun >> /data/said; sleep 1000")),
        "preStop": run("echo ending >> /data/said"),
    });
    let client = hooked(&cluster, MAIN, 30, hooks).await;
    until_it_says(&cluster).await;
    assert_eq!(deleted(&cluster, &client).await, "begun\nending\ntold\n");
    cluster.stop().await;
}
