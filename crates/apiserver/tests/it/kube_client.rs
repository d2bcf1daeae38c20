//! The server through the client that the product uses.

use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams,
    WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cluster::Cluster;

async fn client(cluster: &Cluster) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.server.admin_kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"k": value}})).unwrap()
}

async fn pod(cluster: &Cluster, namespace: &str, name: &str) {
    let reply = cluster
        .post(
            &format!("/api/v1/namespaces/{namespace}/pods"),
            json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "x"}]}}),
        )
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test]
async fn objects_are_made_changed_watched_and_deleted() {
    let cluster = Cluster::start("kube").await;
    cluster.project("shop", None).await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "shop");
    let start = maps.list(&ListParams::default()).await.unwrap();
    let revision = start.metadata.resource_version.unwrap();
    let made = maps
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    assert!(made.metadata.uid.is_some());
    let patched = maps
        .patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"data": {"k": "2"}})),
        )
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap()["k"], "2");
    let stale = maps
        .replace("a", &PostParams::default(), &made)
        .await
        .unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.is_conflict()));
    let applied = maps
        .patch(
            "b",
            &PatchParams::apply("tool"),
            &Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}})),
        )
        .await
        .unwrap();
    assert_eq!(applied.data.unwrap()["x"], "y");
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let events: Vec<String> = maps
        .watch(&WatchParams::default(), &revision)
        .await
        .unwrap()
        .map_ok(|event| match event {
            WatchEvent::Added(map) => format!("added {}", map.metadata.name.unwrap()),
            WatchEvent::Modified(map) => format!("modified {}", map.metadata.name.unwrap()),
            WatchEvent::Deleted(map) => format!("deleted {}", map.metadata.name.unwrap()),
            other => format!("{other:?}"),
        })
        .take(4)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(events, ["added a", "modified a", "added b", "deleted a"]);
    cluster.stop().await;
}

#[tokio::test]
async fn commands_end_with_their_status() {
    let cluster = Cluster::start("exec").await;
    cluster.project("shop", None).await;
    pod(&cluster, "shop", "a").await;
    let pods: Api<Pod> = Api::namespaced(client(&cluster).await, "shop");
    let params = AttachParams::default().stdin(true).stderr(false);
    let mut session = pods.exec("a", ["cat"], &params).await.unwrap();
    let mut stdin = session.stdin().unwrap();
    let mut stdout = session.stdout().unwrap();
    let status = session.take_status().unwrap();
    let bytes = vec![b'x'; 300_000];
    let sent = bytes.clone();
    let write = async move {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let mut read = Vec::new();
    let (_, got) = tokio::join!(write, stdout.read_to_end(&mut read));
    got.unwrap();
    assert_eq!(read, bytes);
    assert_eq!(status.await.unwrap().status.as_deref(), Some("Success"));
    session.join().await.unwrap();

    let mut session = pods
        .exec(
            "a",
            ["sh", "-c", "echo out; exit 3"],
            &AttachParams::default(),
        )
        .await
        .unwrap();
    let status = session.take_status().unwrap().await.unwrap();
    assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
    let logs = pods
        .logs(
            "a",
            &LogParams {
                tail_lines: Some(2),
                ..LogParams::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(logs, "two\nthree\n");
    cluster.stop().await;
}

#[tokio::test]
async fn ports_are_forwarded() {
    let cluster = Cluster::start("ports").await;
    cluster.project("shop", None).await;
    pod(&cluster, "shop", "a").await;
    let pods: Api<Pod> = Api::namespaced(client(&cluster).await, "shop");
    let mut forwarder = pods.portforward("a", &[8080, 9]).await.unwrap();
    let mut stream = forwarder.take_stream(8080).unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HELLO");
    let error = forwarder.take_error(9).unwrap().await.unwrap();
    assert!(error.contains("connection refused"), "{error}");
    drop(stream);
    forwarder.abort();
    cluster.stop().await;
}

#[tokio::test]
async fn a_torn_connection_ends_the_command() {
    let cluster = Cluster::start("torn").await;
    cluster.project("shop", None).await;
    pod(&cluster, "shop", "a").await;
    let client = client(&cluster).await;
    let request = http::Request::get(
        "/api/v1/namespaces/shop/pods/a/exec?command=cat&stdin=true&stdout=true",
    )
    .body(Vec::new())
    .unwrap();
    let connection = client.connect(request).await.unwrap();
    let mut socket = connection.into_stream();
    socket
        .send(tokio_tungstenite::tungstenite::Message::Binary(
            vec![0, b'x'].into(),
        ))
        .await
        .unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"x") {
        let message = socket.next().await.unwrap().unwrap();
        got.extend_from_slice(&message.into_data());
    }
    drop(socket);
    // The server stops only when the command has been let go.
    cluster.stop().await;
}
