//! Commands in containers, and ways to their ports.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, LogParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::socket;
use crate::support::{Cluster, PATIENCE, make_pod, pods, runs, shell_pod, unique_word};

async fn code(session: &mut AttachedProcess) -> (Option<String>, String) {
    let status = session.take_status().unwrap().await.unwrap();
    (status.status, status.message.unwrap_or_default())
}

#[tokio::test]
async fn input_is_closed_and_exit_codes_come_back() {
    let cluster = Cluster::start("exec").await;
    let client = cluster.project("shop").await;
    make_pod(
        &client,
        "shop",
        shell_pod("tools", "echo ready; exec sleep 1000"),
    )
    .await;
    cluster.until_ready("shop", "tools").await;
    let api = Api::<Pod>::namespaced(client, "shop");

    let params = AttachParams::default().stdin(true);
    let script = "wc -c; echo to-stderr >&2; exit 3";
    let mut session = api
        .exec("tools", ["sh", "-c", script], &params)
        .await
        .unwrap();
    let mut stdin = session.stdin().unwrap();
    stdin.write_all(&vec![b'x'; 300_000]).await.unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    session
        .stdout()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    session
        .stderr()
        .unwrap()
        .read_to_string(&mut err)
        .await
        .unwrap();
    assert_eq!((out.trim(), err.trim()), ("300000", "to-stderr"));
    let (status, message) = code(&mut session).await;
    assert_eq!(status.as_deref(), Some("Failure"));
    assert!(message.contains("exit code 3"), "{message}");

    // Who runs in there: a user of the project's range, in group 0.
    let mut session = api
        .exec("tools", ["id"], &AttachParams::default())
        .await
        .unwrap();
    let mut out = String::new();
    session
        .stdout()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    let pod = cluster.store().get(&pods(), Some("shop"), "tools").unwrap();
    let uid = pod["spec"]["containers"][0]["securityContext"]["runAsUser"]
        .as_i64()
        .unwrap();
    assert!(
        out.starts_with(&format!("uid={uid}")) && out.contains("gid=0"),
        "{out}"
    );

    let tail = LogParams {
        tail_lines: Some(1),
        ..LogParams::default()
    };
    assert_eq!(api.logs("tools", &tail).await.unwrap(), "ready\n");
    cluster.stop().await;
}

#[tokio::test]
async fn a_terminal_is_a_terminal() {
    let cluster = Cluster::start("tty").await;
    let client = cluster.project("shop").await;
    make_pod(&client, "shop", shell_pod("tools", "exec sleep 1000")).await;
    cluster.until_ready("shop", "tools").await;
    let api = Api::<Pod>::namespaced(client, "shop");
    let params = AttachParams::interactive_tty();
    let mut session = api
        .exec(
            "tools",
            ["sh", "-c", "tty; read line; echo got $line"],
            &params,
        )
        .await
        .unwrap();
    session
        .stdin()
        .unwrap()
        .write_all(b"hello\n")
        .await
        .unwrap();
    let mut out = String::new();
    session
        .stdout()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    assert!(
        out.contains("/dev/pts/") && out.contains("got hello"),
        "{out}"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn an_image_without_tar_says_so_as_a_runtime_does() {
    let cluster = Cluster::start("notar").await;
    let client = cluster.project("shop").await;
    let pod = json!({
        "metadata": {"name": "bare"},
        "spec": {"containers": [{"name": "main", "image": "openshifter.test/notar:1"}]},
    });
    make_pod(&client, "shop", pod).await;
    cluster.until_ready("shop", "bare").await;
    let api = Api::<Pod>::namespaced(client, "shop");
    for command in ["tar", "sh"] {
        let mut session = api
            .exec("bare", [command], &AttachParams::default())
            .await
            .unwrap();
        let (status, message) = code(&mut session).await;
        assert_eq!(status.as_deref(), Some("Failure"));
        let wanted = format!("exec: \"{command}\": executable file not found in $PATH: unknown");
        assert!(message.ends_with(&wanted), "{message}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_port_is_forwarded() {
    let cluster = Cluster::start("port").await;
    let client = cluster.project("shop").await;
    let pod = json!({
        "metadata": {"name": "web"},
        "spec": {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{
                "name": "main",
                "image": "openshifter.test/guestbook:1",
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
        },
    });
    make_pod(&client, "shop", pod).await;
    cluster.until_ready("shop", "web").await;
    let api = Api::<Pod>::namespaced(client, "shop");
    let mut forwarded = api.portforward("web", &[8080]).await.unwrap();
    let mut stream = forwarded.take_stream(8080).unwrap();
    stream
        .write_all(b"GET /entries.json HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("[]"),
        "{answer}"
    );
    cluster.stop().await;
}

/// Both ways at once: all that is on its way in either direction fits into no buffer. The client must take what comes
/// while it sends, which that of kube does not: it, the server and the command would wait for each other.
#[tokio::test]
async fn large_streams_arrive_whole() {
    const SIZE: usize = 32 << 20;
    let cluster = Cluster::start("stream").await;
    let client = cluster.project("shop").await;
    make_pod(&client, "shop", shell_pod("tools", "exec sleep 1000")).await;
    cluster.until_ready("shop", "tools").await;
    let sent: Vec<u8> = (0..SIZE)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect();
    // The second reads nothing until everything between has filled up.
    for script in ["exec cat", "sleep 2; exec cat"] {
        let command = ["sh", "-c", script];
        let (input, output) = socket::exec(&cluster, "developer", "tools", &command).await;
        let both = async { tokio::join!(input.send(&sent), output.receive()) };
        // A busy machine takes its time for so much; only for ever is too long.
        let (_input, (received, status)) = tokio::time::timeout(5 * PATIENCE, both)
            .await
            .expect("the streams wait for each other");
        assert!(
            received == sent,
            "{} of {} bytes came back, or others",
            received.len(),
            sent.len()
        );
        assert_eq!(status["status"], "Success", "{status}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_command_ends_with_its_client() {
    let cluster = Cluster::start("cut").await;
    let client = cluster.project("shop").await;
    make_pod(&client, "shop", shell_pod("tools", "exec sleep 1000")).await;
    cluster.until_ready("shop", "tools").await;
    let api = Api::<Pod>::namespaced(client, "shop");
    let word = unique_word(5);
    let session = api
        .exec("tools", ["sleep", &word], &AttachParams::default())
        .await
        .unwrap();
    assert!(runs(&word));
    session.abort();
    drop(session);
    // The kernel has no event for the end of somebody else's process.
    let gone = async {
        while runs(&word) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, gone)
        .await
        .expect("the command runs on");
    cluster.stop().await;
}
