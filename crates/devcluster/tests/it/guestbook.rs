//! The sample application with its data: what the demo moves.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::{Cluster, api, claims, deployments, make, make_claim, pods};

async fn deploy(cluster: &Cluster, client: &kube::Client, project: &str) -> String {
    make_claim(client, project, "guestbook-data", None).await;
    let labels = json!({"app": "guestbook"});
    let deployment = json!({
        "metadata": {"name": "guestbook", "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": "guestbook",
                        "image": "openshifter.test/guestbook:1",
                        "ports": [{"name": "web", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "web"}},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "guestbook-data"}}],
                },
            },
        },
    });
    make(
        client,
        Some(project),
        "apps/v1",
        "Deployment",
        "deployments",
        deployment,
    )
    .await;
    let service = json!({
        "metadata": {"name": "guestbook"},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
    });
    make(client, Some(project), "v1", "Service", "services", service).await;
    let route = json!({
        "metadata": {"name": "guestbook"},
        "spec": {"to": {"kind": "Service", "name": "guestbook"}, "port": {"targetPort": "http"}},
    });
    let route = make(
        client,
        Some(project),
        "route.openshift.io/v1",
        "Route",
        "routes",
        route,
    )
    .await;
    cluster
        .until(
            &deployments(),
            project,
            "guestbook",
            "available",
            available(1),
        )
        .await;
    route["spec"]["host"].as_str().unwrap().to_owned()
}

fn available(wanted: i64) -> impl Fn(&Value) -> bool {
    move |deployment| {
        deployment["status"]["availableReplicas"]
            .as_i64()
            .unwrap_or(0)
            == wanted
            && deployment["status"]["replicas"].as_i64().unwrap_or(0) == wanted
            && deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
    }
}

async fn post(cluster: &Cluster, host: &str, name: &str, message: &str) {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let answer = http
        .post(format!("http://{}/entries", cluster.inner.router_addr()))
        .header("host", host)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("name={name}&message={message}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 303);
}

/// The route answers once its endpoints are there, which is soon after the Deployment is available.
async fn until_served(cluster: &Cluster, project: &str) {
    let endpoints = openshifter_apiserver::ResourceId::core("endpoints");
    cluster
        .until(&endpoints, project, "guestbook", "filled", |e| {
            e["subsets"][0]["addresses"].is_array()
        })
        .await;
    let routes = openshifter_apiserver::ResourceId::new("route.openshift.io", "routes");
    cluster
        .until(&routes, project, "guestbook", "admitted", |route| {
            route["status"]["ingress"][0]["conditions"][0]["status"] == "True"
        })
        .await;
}

async fn scale(client: &kube::Client, project: &str, replicas: i64) {
    let deployments = api(
        client,
        Some(project),
        "apps/v1",
        "Deployment",
        "deployments",
    );
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments
        .patch("guestbook", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn entries_survive_restarts_and_are_read_by_tar() {
    let cluster = Cluster::start("guest").await;
    let client = cluster.project("shop").await;
    let host = deploy(&cluster, &client, "shop").await;
    until_served(&cluster, "shop").await;
    assert_eq!(
        cluster.route(&host, "/entries.json").await,
        (200, "[]".to_owned())
    );
    post(&cluster, &host, "Ada", "first").await;
    post(&cluster, &host, "Grace", "%3Cb%3E").await;
    let (status, page) = cluster.route(&host, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("<b>Grace</b>: &lt;b&gt;"), "{page}");

    let claim = cluster
        .store()
        .get(&claims(), Some("shop"), "guestbook-data")
        .unwrap();
    assert_eq!(claim["spec"]["storageClassName"], "standard");
    assert_eq!(
        claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"],
        "yes"
    );
    assert_eq!(claim["status"]["capacity"]["storage"], "100Mi");

    // The data as an export reads them.
    let pod = cluster.store().list(&pods(), Some("shop")).remove(0);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let api = kube::Api::<Pod>::namespaced(client.clone(), "shop");
    let params = AttachParams::default()
        .stderr(false)
        .max_stdout_buf_size(1 << 20);
    let mut session = api
        .exec(name, ["tar", "-C", "/data", "-cf", "-", "."], &params)
        .await
        .unwrap();
    let mut archive = Vec::new();
    session
        .stdout()
        .unwrap()
        .read_to_end(&mut archive)
        .await
        .unwrap();
    let status = session.take_status().unwrap().await.unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"));
    let mut files: Vec<String> = tar::Archive::new(archive.as_slice())
        .entries()
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "./",
            "./entries.jsonl",
            "./entries/",
            "./entries/000001.txt",
            "./entries/000002.txt"
        ]
    );

    // The pod goes, another one comes, the page stays.
    let uid = pod["metadata"]["uid"].clone();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    cluster.until_gone(&pods(), "shop", name).await;
    cluster
        .until(
            &deployments(),
            "shop",
            "guestbook",
            "available",
            available(1),
        )
        .await;
    until_served(&cluster, "shop").await;
    let again = cluster.store().list(&pods(), Some("shop")).remove(0);
    assert_ne!(again["metadata"]["uid"], uid);
    assert_eq!(cluster.route(&host, "/").await, (200, page.clone()));

    scale(&client, "shop", 0).await;
    cluster
        .until(
            &deployments(),
            "shop",
            "guestbook",
            "scaled down",
            available(0),
        )
        .await;
    let name = again["metadata"]["name"].as_str().unwrap();
    cluster.until_gone(&pods(), "shop", name).await;
    let (status, text) = cluster.route(&host, "/").await;
    assert_eq!(status, 503);
    assert!(text.contains("Application is not available"));
    scale(&client, "shop", 1).await;
    cluster
        .until(
            &deployments(),
            "shop",
            "guestbook",
            "available",
            available(1),
        )
        .await;
    until_served(&cluster, "shop").await;
    assert_eq!(cluster.route(&host, "/").await, (200, page));
    cluster.stop().await;
}

#[tokio::test]
async fn a_new_template_replaces_the_pods() {
    let cluster = Cluster::start("roll").await;
    let client = cluster.project("shop").await;
    let host = deploy(&cluster, &client, "shop").await;
    let deployments_api = api(
        &client,
        Some("shop"),
        "apps/v1",
        "Deployment",
        "deployments",
    );
    let patch = json!({"spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": null},
        "template": {"spec": {"containers": [{
            "name": "guestbook",
            "image": "openshifter.test/guestbook:1",
            "ports": [{"name": "web", "containerPort": 8080}],
            "env": [{"name": "GUESTBOOK_TITLE", "value": "Moved"}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "web"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }]}},
    }});
    deployments_api
        .patch("guestbook", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    cluster
        .until(
            &deployments(),
            "shop",
            "guestbook",
            "rolled out",
            |deployment| {
                deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
                    && deployment["status"]["updatedReplicas"] == 1
                    && available(1)(deployment)
            },
        )
        .await;
    let sets = cluster.store().list(
        &openshifter_apiserver::ResourceId::new("apps", "replicasets"),
        Some("shop"),
    );
    let replicas: Vec<_> = sets
        .iter()
        .map(|set| set["spec"]["replicas"].as_i64().unwrap())
        .collect();
    assert_eq!(replicas.iter().sum::<i64>(), 1);
    assert_eq!(replicas.len(), 2);
    until_served(&cluster, "shop").await;
    let served = async {
        while !cluster.route(&host, "/").await.1.contains("<h1>Moved</h1>") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, served)
        .await
        .unwrap();
    cluster.stop().await;
}
