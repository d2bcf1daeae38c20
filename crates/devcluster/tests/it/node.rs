//! What a node does with containers: environment, files, restarts, probes, images that are not there.

use serde_json::{Value, json};

use crate::support::{Cluster, make, make_pod, pods, runs, shell_pod, sleeper, unique_word};

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

#[tokio::test]
async fn configuration_reaches_the_container() {
    let cluster = Cluster::start("env").await;
    let client = cluster.project("shop").await;
    let map =
        json!({"metadata": {"name": "config"}, "data": {"GREETING": "hello", "app.conf": "x=1"}});
    make(&client, Some("shop"), "v1", "ConfigMap", "configmaps", map).await;
    let secret = json!({"metadata": {"name": "secret"}, "stringData": {"password": "hidden"}});
    make(&client, Some("shop"), "v1", "Secret", "secrets", secret).await;
    let script = "test \"$GREETING $PASSWORD $NAME\" = 'hello hidden wired' && test $(cat /etc/app/app.conf) = x=1 \
                  && test $(cat /init/made) = by-init && ! touch /etc/app/new 2>/dev/null && echo fine";
    let mut pod = shell_pod("wired", script);
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["volumes"] = json!([
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "shared", "emptyDir": {}},
    ]);
    pod["spec"]["initContainers"] = json!([{
        "name": "init",
        "image": "openshifter.test/shell:1",
        "command": ["sh", "-c", "echo by-init > /init/made"],
        "volumeMounts": [{"name": "shared", "mountPath": "/init"}],
    }]);
    let container = &mut pod["spec"]["containers"][0];
    container["volumeMounts"] = json!([
        {"name": "config", "mountPath": "/etc/app"},
        {"name": "shared", "mountPath": "/init"},
    ]);
    container["envFrom"] = json!([{"configMapRef": {"name": "config"}}]);
    container["env"] = json!([
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "password"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]);
    make_pod(&client, "shop", pod).await;
    let over = |pod: &Value| {
        matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
    };
    let pod = cluster.until(&pods(), "shop", "wired", "over", over).await;
    assert_eq!(pod["status"]["phase"], "Succeeded", "{:#}", pod["status"]);
    // Nothing secret is an argument of any process.
    assert_eq!(state(&pod)["terminated"]["reason"], "Completed");
    cluster.stop().await;
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_and_a_missing_image_is_not_pulled() {
    let cluster = Cluster::start("restart").await;
    let client = cluster.project("shop").await;
    let script = "test -e /data/once && exec sleep 1000; touch /data/once; exit 7";
    let mut pod = shell_pod("crash", script);
    pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    make_pod(&client, "shop", pod).await;
    let pod = cluster
        .until(&pods(), "shop", "crash", "restarted", |pod| {
            !state(pod)["running"].is_null()
                && pod["status"]["containerStatuses"][0]["restartCount"] == 1
        })
        .await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"],
        7
    );

    let mut pod = shell_pod("nowhere", "true");
    pod["spec"]["containers"][0]["image"] = json!("quay.io/some/where:1");
    make_pod(&client, "shop", pod).await;
    let waiting =
        |reason: &'static str| move |pod: &Value| state(pod)["waiting"]["reason"] == reason;
    cluster
        .until(
            &pods(),
            "shop",
            "nowhere",
            "ErrImagePull",
            waiting("ErrImagePull"),
        )
        .await;
    cluster
        .until(
            &pods(),
            "shop",
            "nowhere",
            "ImagePullBackOff",
            waiting("ImagePullBackOff"),
        )
        .await;

    let mut pod = shell_pod("typo", "true");
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["containers"][0]["command"] = json!(["no-such-command"]);
    make_pod(&client, "shop", pod).await;
    let pod = cluster
        .until(&pods(), "shop", "typo", "failed", |pod| {
            pod["status"]["phase"] == "Failed"
        })
        .await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 127);
    assert_eq!(state(&pod)["terminated"]["reason"], "StartError");
    cluster.stop().await;
}

#[tokio::test]
async fn an_unready_pod_is_no_endpoint_and_a_dead_one_is_restarted() {
    let cluster = Cluster::start("probes").await;
    let client = cluster.project("shop").await;
    let mut pod = shell_pod("probed", "touch /tmp/alive; exec sleep 1000");
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "timeoutSeconds": 30});
    // A probe that a busy machine answers late would count as one that failed.
    pod["spec"]["containers"][0]["livenessProbe"] = json!({
        "exec": {"command": ["test", "!", "-e", "/tmp/dead"]},
        "periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 1,
    });
    make_pod(&client, "shop", pod).await;
    let running = |pod: &Value| !state(pod)["running"].is_null();
    let pod = cluster
        .until(&pods(), "shop", "probed", "running", running)
        .await;
    assert!(!crate::support::is_ready(&pod));
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let params = kube::api::AttachParams::default();
    let mut session = api
        .exec("probed", ["touch", "/tmp/ready"], &params)
        .await
        .unwrap();
    session.take_status().unwrap().await;
    cluster.until_ready("shop", "probed").await;
    let mut session = api
        .exec("probed", ["touch", "/tmp/dead"], &params)
        .await
        .unwrap();
    session.take_status().unwrap().await;
    cluster
        .until(&pods(), "shop", "probed", "restarted", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"]
                .as_i64()
                .unwrap_or(0)
                >= 1
        })
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_that_is_active_for_too_long_is_ended() {
    let cluster = Cluster::start("deadline").await;
    let client = cluster.project("shop").await;
    let word = unique_word(7);
    let mut pod = sleeper("late", &word);
    pod["spec"]["activeDeadlineSeconds"] = json!(1);
    make_pod(&client, "shop", pod).await;
    let failed = |pod: &Value| pod["status"]["phase"] == "Failed";
    let pod = cluster.until(&pods(), "shop", "late", "over", failed).await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    cluster.stop().await;
    assert!(!runs(&word));
}

#[tokio::test]
async fn the_python_image_is_the_machines_python() {
    assert!(
        ["/usr/bin/python3", "/usr/local/bin/python3"]
            .iter()
            .any(|path| std::path::Path::new(path).exists()),
        "install the package python3"
    );
    let cluster = Cluster::start("python").await;
    let client = cluster.project("shop").await;
    let mut pod = shell_pod("snake", "");
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["spec"]["containers"][0]["image"] = json!("openshifter.test/python:1");
    pod["spec"]["containers"][0]["command"] = json!(["python3", "-c", "print(6 * 7)"]);
    make_pod(&client, "shop", pod).await;
    let over = |pod: &Value| {
        matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
    };
    let pod = cluster.until(&pods(), "shop", "snake", "over", over).await;
    assert_eq!(pod["status"]["phase"], "Succeeded", "{:#}", pod["status"]);
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    assert_eq!(
        api.logs("snake", &Default::default()).await.unwrap(),
        "42\n"
    );
    cluster.stop().await;
}
