//! StatefulSets, Jobs, DaemonSets and DeploymentConfigs.

use kube::api::{DeleteParams, Patch, PatchParams};
use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::support::{Cluster, api, claims, make, make_claim, pods};

fn template(labels: &Value, script: &str) -> Value {
    json!({
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main",
                "image": "openshifter.test/shell:1",
                "command": ["sh", "-c", script],
            }],
        },
    })
}

#[tokio::test]
async fn a_stateful_set_of_two_has_two_claims() {
    let cluster = Cluster::start("stateful").await;
    let client = cluster.project("shop").await;
    let labels = json!({"app": "db"});
    let mut template = template(&labels, "hostname > /data/id; exec sleep 1000");
    template["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/data"}]);
    // Ready by itself would be a container that has not run its first command yet, and is ended before it does.
    template["spec"]["containers"][0]["readinessProbe"] = json!({
        "exec": {"command": ["test", "-s", "/data/id"]},
        "periodSeconds": 1, "timeoutSeconds": 30,
    });
    let set = json!({
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 2,
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": template,
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
            }],
        },
    });
    make(
        &client,
        Some("shop"),
        "apps/v1",
        "StatefulSet",
        "statefulsets",
        set,
    )
    .await;
    let sets = ResourceId::new("apps", "statefulsets");
    let ready = |wanted: i64| {
        move |set: &Value| set["status"]["readyReplicas"].as_i64().unwrap_or(0) == wanted
    };
    cluster.until(&sets, "shop", "db", "ready", ready(2)).await;
    let volumes = ResourceId::core("persistentvolumes");
    let content = |claim: &str| {
        let claim = cluster.store().get(&claims(), Some("shop"), claim).unwrap();
        let volume = cluster
            .store()
            .get(
                &volumes,
                None,
                claim["spec"]["volumeName"].as_str().unwrap(),
            )
            .unwrap();
        let folder = volume["spec"]["local"]["path"].as_str().unwrap().to_owned();
        std::fs::read_to_string(std::path::Path::new(&folder).join("id")).unwrap()
    };
    let pod = cluster.store().get(&pods(), Some("shop"), "db-1").unwrap();
    assert_eq!(
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"],
        "1"
    );
    let sets_api = api(
        &client,
        Some("shop"),
        "apps/v1",
        "StatefulSet",
        "statefulsets",
    );
    let scale = |replicas: i64| Patch::Merge(json!({"spec": {"replicas": replicas}}));
    sets_api
        .patch("db", &PatchParams::default(), &scale(1))
        .await
        .unwrap();
    cluster.until_gone(&pods(), "shop", "db-1").await;
    assert_eq!(
        (content("data-db-0").as_str(), content("data-db-1").as_str()),
        ("db-0\n", "db-1\n")
    );
    cluster
        .until(&sets, "shop", "db", "smaller", ready(1))
        .await;
    sets_api
        .patch("db", &PatchParams::default(), &scale(2))
        .await
        .unwrap();
    cluster.until(&sets, "shop", "db", "larger", ready(2)).await;
    assert_eq!(cluster.store().list(&claims(), Some("shop")).len(), 2);
    cluster.stop().await;
}

#[tokio::test]
async fn a_job_completes_and_a_failing_one_is_tried_again() {
    let cluster = Cluster::start("jobs").await;
    let client = cluster.project("shop").await;
    let job = |name: &str, script: &str, backoff: i64| {
        let mut template = template(&json!({"app": name}), script);
        template["spec"]["restartPolicy"] = json!("Never");
        json!({"metadata": {"name": name}, "spec": {"template": template, "backoffLimit": backoff}})
    };
    make(
        &client,
        Some("shop"),
        "batch/v1",
        "Job",
        "jobs",
        job("good", "echo done", 2),
    )
    .await;
    make(
        &client,
        Some("shop"),
        "batch/v1",
        "Job",
        "jobs",
        job("bad", "exit 3", 0),
    )
    .await;
    let jobs = ResourceId::new("batch", "jobs");
    let has = |wanted: &'static str| {
        move |job: &Value| {
            let conditions = job["status"]["conditions"].as_array();
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|c| c["type"] == wanted && c["status"] == "True")
            })
        }
    };
    let good = cluster
        .until(&jobs, "shop", "good", "complete", has("Complete"))
        .await;
    assert_eq!(good["status"]["succeeded"], 1);
    let bad = cluster
        .until(&jobs, "shop", "bad", "failed", has("Failed"))
        .await;
    let reason = bad["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Failed");
    assert_eq!(reason.unwrap()["reason"], "BackoffLimitExceeded");
    let failed = cluster.store().list(&pods(), Some("shop"));
    let failed = failed
        .iter()
        .find(|pod| pod["metadata"]["labels"]["app"] == "bad")
        .unwrap();
    assert_eq!(failed["status"]["phase"], "Failed");
    assert_eq!(
        failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        3
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_daemon_set_has_its_pod() {
    let cluster = Cluster::start("daemon").await;
    let client = cluster.project("shop").await;
    let labels = json!({"app": "agent"});
    let set = json!({
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": labels}, "template": template(&labels, "exec sleep 1000")},
    });
    make(
        &client,
        Some("shop"),
        "apps/v1",
        "DaemonSet",
        "daemonsets",
        set,
    )
    .await;
    let sets = ResourceId::new("apps", "daemonsets");
    cluster
        .until(&sets, "shop", "agent", "ready", |set| {
            set["status"]["numberReady"] == 1
        })
        .await;
    let api = api(&client, Some("shop"), "apps/v1", "DaemonSet", "daemonsets");
    api.delete("agent", &DeleteParams::default()).await.unwrap();
    cluster.until_gone(&sets, "shop", "agent").await;
    let left: Vec<String> = cluster
        .store()
        .list(&pods(), Some("shop"))
        .iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    for pod in left {
        cluster.until_gone(&pods(), "shop", &pod).await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_deployment_config_rolls_out_only_with_its_tag() {
    let cluster = Cluster::start("dc").await;
    let client = cluster.project("shop").await;
    let labels = json!({"app": "web", "deploymentconfig": "web"});
    let mut template = template(&labels, "exec sleep 1000");
    template["spec"]["containers"][0]["image"] = json!(" ");
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": labels,
            "strategy": {"type": "Recreate"},
            "template": template,
            "triggers": [
                {"type": "ConfigChange"},
                {"type": "ImageChange", "imageChangeParams": {
                    "automatic": true,
                    "containerNames": ["main"],
                    "from": {"kind": "ImageStreamTag", "name": "tools:1"},
                }},
            ],
        },
    });
    make(
        &client,
        Some("shop"),
        "apps.openshift.io/v1",
        "DeploymentConfig",
        "deploymentconfigs",
        config,
    )
    .await;
    let configs = ResourceId::new("apps.openshift.io", "deploymentconfigs");
    let seen =
        |config: &Value| config["status"]["observedGeneration"] == config["metadata"]["generation"];
    let config = cluster
        .until(&configs, "shop", "web", "observed", seen)
        .await;
    assert_eq!(config["status"]["latestVersion"], 0);
    assert!(cluster.store().list(&pods(), Some("shop")).is_empty());

    let stream = json!({
        "metadata": {"name": "tools"},
        "spec": {"tags": [{"name": "1", "from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}]},
    });
    make(
        &client,
        Some("shop"),
        "image.openshift.io/v1",
        "ImageStream",
        "imagestreams",
        stream,
    )
    .await;
    let config = cluster
        .until(&configs, "shop", "web", "rolled out", |config| {
            config["status"]["readyReplicas"] == 1
                && config["status"]["conditions"]
                    .as_array()
                    .is_some_and(|all| {
                        all.iter()
                            .any(|c| c["reason"] == "NewReplicationControllerAvailable")
                    })
        })
        .await;
    assert_eq!(config["status"]["latestVersion"], 1);
    let image = config["spec"]["triggers"][1]["imageChangeParams"]["lastTriggeredImage"]
        .as_str()
        .unwrap();
    assert!(
        image.starts_with("openshifter.test/shell@sha256:"),
        "{image}"
    );
    assert_eq!(
        config["spec"]["template"]["spec"]["containers"][0]["image"],
        image
    );
    let controller = cluster
        .store()
        .get(
            &ResourceId::core("replicationcontrollers"),
            Some("shop"),
            "web-1",
        )
        .unwrap();
    assert_eq!(
        controller["metadata"]["annotations"]["openshift.io/deployment.phase"],
        "Complete"
    );
    assert_eq!(
        controller["spec"]["template"]["metadata"]["labels"]["deployment"],
        "web-1"
    );

    // A change of the template rolls out again.
    let api = api(
        &client,
        Some("shop"),
        "apps.openshift.io/v1",
        "DeploymentConfig",
        "deploymentconfigs",
    );
    let patch =
        Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}}));
    api.patch("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
    cluster
        .until(
            &ResourceId::core("replicationcontrollers"),
            "shop",
            "web-2",
            "complete",
            |rc| rc["metadata"]["annotations"]["openshift.io/deployment.phase"] == "Complete",
        )
        .await;
    cluster.stop().await;
}

/// A DeploymentConfig whose hooks and pods write to one file of a claim.
fn hooked() -> Value {
    let labels = json!({"app": "web", "deploymentconfig": "web"});
    let mut template = template(&labels, "echo main >> /data/log; exec sleep 1000");
    let container = &mut template["spec"]["containers"][0];
    container["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    container["env"] =
        json!([{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "words", "key": "word"}}}]);
    container["readinessProbe"] =
        json!({"exec": {"command": ["grep", "-q", "main", "/data/log"]}, "periodSeconds": 1});
    template["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let hook = |script: &str| {
        json!({"failurePolicy": "Abort", "execNewPod": {"containerName": "main", "volumes": ["data"],
            "command": ["sh", "-c", script]}})
    };
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": labels,
            "strategy": {"type": "Recreate", "recreateParams": {
                "pre": hook("echo pre $WORD >> /data/log"),
                "mid": hook("echo mid >> /data/log"),
                "post": hook("echo post $OPENSHIFT_DEPLOYMENT_NAME >> /data/log"),
            }},
            "template": template,
            "triggers": [{"type": "ConfigChange"}],
        },
    })
}

#[tokio::test]
async fn hooks_of_a_roll_out_run_in_their_order_and_decide_on_it() {
    let cluster = Cluster::start("hooks").await;
    let client = cluster.project("shop").await;
    make_claim(&client, "shop", "data", None).await;
    let secret = json!({"metadata": {"name": "words"}, "stringData": {"word": "sesame"}});
    make(&client, Some("shop"), "v1", "Secret", "secrets", secret).await;
    make(
        &client,
        Some("shop"),
        "apps.openshift.io/v1",
        "DeploymentConfig",
        "deploymentconfigs",
        hooked(),
    )
    .await;
    let controllers = ResourceId::core("replicationcontrollers");
    let is = |phase: &'static str| {
        move |rc: &Value| rc["metadata"]["annotations"]["openshift.io/deployment.phase"] == phase
    };
    cluster
        .until(&controllers, "shop", "web-1", "complete", is("Complete"))
        .await;
    let claim = cluster
        .store()
        .get(&claims(), Some("shop"), "data")
        .unwrap();
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    let volume = cluster
        .store()
        .get(&ResourceId::core("persistentvolumes"), None, volume)
        .unwrap();
    let folder = std::path::PathBuf::from(volume["spec"]["local"]["path"].as_str().unwrap());
    let log = || std::fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(log(), "pre sesame\nmid\nmain\npost web-1\n");
    let hook = cluster
        .store()
        .get(&pods(), Some("shop"), "web-1-hook-mid")
        .unwrap();
    assert_eq!(hook["status"]["phase"], "Succeeded");

    let configs = api(
        &client,
        Some("shop"),
        "apps.openshift.io/v1",
        "DeploymentConfig",
        "deploymentconfigs",
    );
    let again = |round: &str, policy: &str, script: &str| {
        let mid = json!({"failurePolicy": policy, "execNewPod": {"command": ["sh", "-c", script]}});
        Patch::Merge(json!({"spec": {
            "strategy": {"recreateParams": {"mid": mid}},
            "template": {"metadata": {"annotations": {"round": round}}},
        }}))
    };
    // A hook that fails takes the roll-out back, and stays to be looked at.
    let patch = again("2", "Abort", "echo it says no; exit 1");
    let params = PatchParams::default();
    configs.patch("web", &params, &patch).await.unwrap();
    let failed = cluster
        .until(&controllers, "shop", "web-2", "failed", is("Failed"))
        .await;
    let reason = &failed["metadata"]["annotations"]["openshift.io/deployment.status-reason"];
    assert_eq!(reason, "the mid hook failed: see pod web-2-hook-mid");
    cluster
        .until(&controllers, "shop", "web-1", "back", |rc| {
            rc["status"]["readyReplicas"] == 1
        })
        .await;
    let pod_logs = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client.clone(), "shop");
    let said = pod_logs
        .logs("web-2-hook-mid", &kube::api::LogParams::default())
        .await
        .unwrap();
    assert_eq!(said, "it says no\n");
    assert!(!log().contains("web-2"), "{}", log());
    let config = ResourceId::new("apps.openshift.io", "deploymentconfigs");
    cluster
        .until(&config, "shop", "web", "known to have failed", |config| {
            config["status"]["conditions"]
                .as_array()
                .is_some_and(|all| {
                    all.iter()
                        .any(|c| c["type"] == "Progressing" && c["status"] == "False")
                })
        })
        .await;

    // Its failure may not matter, or it may be tried again.
    let patch = again("3", "Ignore", "exit 1");
    configs.patch("web", &params, &patch).await.unwrap();
    cluster
        .until(&controllers, "shop", "web-3", "complete", is("Complete"))
        .await;
    let patch = again(
        "4",
        "Retry",
        "test -e /data/tried || { touch /data/tried; exit 1; }",
    );
    configs.patch("web", &params, &patch).await.unwrap();
    cluster
        .until(&controllers, "shop", "web-4", "complete", is("Complete"))
        .await;
    let hook = cluster
        .store()
        .get(&pods(), Some("shop"), "web-4-hook-mid")
        .unwrap();
    assert_eq!(hook["status"]["containerStatuses"][0]["restartCount"], 1);
    assert!(log().ends_with("post web-4\n"), "{}", log());
    cluster.stop().await;
}
