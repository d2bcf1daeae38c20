//! Without a sandbox the sample application and `tar` work all the same.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use openshifter_devcluster::Sandbox;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Cluster, make_claim, make_pod, pods, runs, sleeper, unique_word};

#[tokio::test]
async fn paths_and_ports_are_rewritten() {
    let cluster = Cluster::start_with("bare", Sandbox::None).await;
    let client = cluster.project("shop").await;
    let api = Api::<Pod>::namespaced(client.clone(), "shop");
    for name in ["one", "two"] {
        make_claim(&client, "shop", name, None).await;
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
                "containers": [{
                    "name": "main",
                    "image": "openshifter.test/guestbook:1",
                    "ports": [{"containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
            },
        });
        make_pod(&client, "shop", pod).await;
        cluster.until_ready("shop", name).await;
        let mut forwarded = api.portforward(name, &[8080]).await.unwrap();
        let mut stream = forwarded.take_stream(8080).unwrap();
        let body = format!("name=x&message={name}");
        let request = format!(
            "POST /entries HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let mut session = api
            .exec(
                name,
                ["cat", "/data/entries/000001.txt"],
                &AttachParams::default(),
            )
            .await
            .unwrap();
        let mut out = String::new();
        session
            .stdout()
            .unwrap()
            .read_to_string(&mut out)
            .await
            .unwrap();
        assert_eq!(out, format!("x\n{name}\n"));
    }
    let word = unique_word(4);
    make_pod(&client, "shop", sleeper("sleeper", &word)).await;
    cluster.until_ready("shop", "sleeper").await;
    assert!(runs(&word));
    assert!(cluster.store().get(&pods(), Some("shop"), "two").is_some());
    cluster.stop().await;
    assert!(!runs(&word), "a process outlived its cluster");
}
