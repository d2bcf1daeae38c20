//! Projects are foreign to each other, clusters run side by side, and nothing is left of either.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use openshifter_apiserver::ResourceId;
use openshifter_devcluster::DevCluster;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::{
    Cluster, claims, config, make_claim, make_pod, pods, ready_when, runs, shell_pod, sleeper,
    unique_word, with_claim,
};

#[tokio::test]
async fn another_project_cannot_read_the_files() {
    let cluster = Cluster::start("foreign").await;
    let mut folders = Vec::new();
    for project in ["mine", "yours"] {
        let client = cluster.project(project).await;
        make_claim(&client, project, "data", None).await;
        let script = "umask 077; echo secret > /data/file; touch /tmp/done; exec sleep 1000";
        let mut pod = with_claim(shell_pod("app", script), "data");
        pod["spec"]["containers"][0]["readinessProbe"] =
            json!({"exec": {"command": ["test", "-e", "/tmp/done"]}});
        make_pod(&client, project, pod).await;
        cluster.until_ready(project, "app").await;
        let claim = cluster
            .store()
            .get(&claims(), Some(project), "data")
            .unwrap();
        let volume = claim["spec"]["volumeName"].as_str().unwrap();
        let volume = cluster
            .store()
            .get(&ResourceId::core("persistentvolumes"), None, volume)
            .unwrap();
        folders.push(std::path::PathBuf::from(
            volume["spec"]["local"]["path"].as_str().unwrap(),
        ));
    }
    let uid = |project: &str| {
        let pod = cluster.store().get(&pods(), Some(project), "app").unwrap();
        u32::try_from(
            pod["spec"]["containers"][0]["securityContext"]["runAsUser"]
                .as_i64()
                .unwrap(),
        )
        .unwrap()
    };
    assert_ne!(uid("mine"), uid("yours"));

    // The sandbox shows neither the other project's volume nor the cluster's folder.
    let client = cluster.login("developer").await;
    let api = Api::<Pod>::namespaced(client, "yours");
    let path = folders[0].join("file");
    let mut session = api
        .exec(
            "app",
            ["cat", path.to_str().unwrap()],
            &AttachParams::default(),
        )
        .await
        .unwrap();
    let mut error = String::new();
    session
        .stderr()
        .unwrap()
        .read_to_string(&mut error)
        .await
        .unwrap();
    assert!(error.contains("No such file"), "{error}");

    let metadata = std::fs::metadata(&path).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
    if rustix::process::geteuid().is_root() {
        // The files are really the other user's, whatever a sandbox shows.
        assert_eq!(owner, uid("mine"));
        let read_as = |uid: u32| {
            let mut command = Command::new("cat");
            std::os::unix::process::CommandExt::uid(&mut command, uid);
            std::os::unix::process::CommandExt::gid(&mut command, 0);
            // Opened here, so that no folder above keeps the user out.
            let file = format!("/proc/self/fd/0/{}", "file");
            command
                .arg(file)
                .stdin(std::fs::File::open(&folders[0]).unwrap())
                .output()
                .unwrap()
        };
        assert!(
            !read_as(uid("mine")).status.success(),
            "the group keeps out who is not in it"
        );
        assert!(!read_as(uid("yours")).status.success());
    } else {
        assert_eq!(owner, rustix::process::geteuid().as_raw());
    }
    cluster.stop().await;
}

#[tokio::test]
async fn two_clusters_run_side_by_side_and_leave_nothing() {
    let (one, two) = tokio::join!(Cluster::start("one"), Cluster::start("two"));
    assert_ne!(one.inner.api_url(), two.inner.api_url());
    let (word_one, word_two) = (unique_word(1), unique_word(2));
    for (cluster, word) in [(&one, &word_one), (&two, &word_two)] {
        let client = cluster.project("shop").await;
        make_pod(&client, "shop", sleeper("app", word)).await;
        cluster.until_ready("shop", "app").await;
    }
    assert!(runs(&word_one) && runs(&word_two));
    let (data_one, data_two) = (one.data.path().to_owned(), two.data.path().to_owned());
    let mode = |path: std::path::PathBuf| {
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
    };
    for data in [&data_one, &data_two] {
        assert_eq!(mode(data.join("cluster")), 0o700);
        assert_eq!(mode(data.join("cluster/passwords")), 0o600);
        assert_eq!(mode(data.join("cluster/admin.kubeconfig")), 0o600);
    }
    one.stop().await;
    assert!(!runs(&word_one), "a process outlived its cluster");
    assert!(runs(&word_two));
    two.stop().await;
    assert!(!runs(&word_two), "a process outlived its cluster");
}

/// Set in the process that this test starts and kills.
const KILLED: &str = "DEVCLUSTER_TEST_KILLED_IN";

#[tokio::test]
async fn a_cluster_that_is_killed_leaves_nothing() {
    // Both processes call it by the id of the one that is killed.
    let word = |pid: u32| format!("86400.{pid}3");
    if let Some(data) = std::env::var_os(KILLED) {
        let word = word(std::process::id());
        let cluster = DevCluster::start(config("killed", data.as_ref()))
            .await
            .unwrap();
        let store = cluster.store();
        store
            .create(
                &ResourceId::core("namespaces"),
                None,
                json!({"metadata": {"name": "shop"}}),
            )
            .unwrap();
        let mut pod = sleeper("app", &word);
        pod["spec"]["serviceAccountName"] = json!("default");
        let made = async {
            let mut events = store.subscribe();
            // The project's service account comes a little later.
            while store.create(&pods(), Some("shop"), pod.clone()).is_err() {
                let _ = events.next().await;
            }
            while !store
                .get(&pods(), Some("shop"), "app")
                .is_some_and(|pod| crate::support::is_ready(&pod))
            {
                let _ = events.next().await;
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, made)
            .await
            .unwrap();
        println!("\nready");
        std::future::pending::<()>().await;
    }
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "isolation::a_cluster_that_is_killed_leaves_nothing",
            "--nocapture",
        ])
        .env(KILLED, data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let word = word(child.id());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    assert!(runs(&word));
    child.kill().unwrap();
    child.wait().unwrap();
    // The kernel ends the sandboxes after their parent: there is no event for it, so it is looked at.
    let gone = async {
        while runs(&word) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, gone)
        .await
        .expect("processes outlived the cluster");
}

#[tokio::test]
async fn a_cluster_goes_on_where_it_was_stopped() {
    let data = tempfile::tempdir().unwrap();
    let start = || DevCluster::start(config("again", data.path()));
    let cluster = Cluster {
        inner: start().await.unwrap(),
        data: tempfile::tempdir().unwrap(),
    };
    let refused = start().await.unwrap_err().to_string();
    assert!(
        refused.contains("is in use by another cluster"),
        "{refused}"
    );
    let client = cluster.project("shop").await;
    make_claim(&client, "shop", "data", None).await;
    let script = "echo line >> /data/lines; exec sleep 1000";
    let pod = ready_when(shell_pod("app", script), "/data/lines");
    make_pod(&client, "shop", with_claim(pod, "data")).await;
    cluster.until_ready("shop", "app").await;
    cluster.stop().await;

    let cluster = Cluster {
        inner: start().await.unwrap(),
        data: tempfile::tempdir().unwrap(),
    };
    let pod = cluster
        .until(&pods(), "shop", "app", "running again", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 1
                && crate::support::is_ready(pod)
        })
        .await;
    let api = Api::<Pod>::namespaced(cluster.login("developer").await, "shop");
    let mut session = api
        .exec(
            "app",
            [
                "sh",
                "-c",
                "until test $(wc -l < /data/lines) = 2; do :; done",
            ],
            &AttachParams::default(),
        )
        .await
        .unwrap();
    let ended =
        tokio::time::timeout(crate::support::PATIENCE, session.take_status().unwrap()).await;
    assert_eq!(
        ended.unwrap().unwrap().status.as_deref(),
        Some("Success"),
        "{pod:#}"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_deleted_project_leaves_neither_processes_nor_volumes() {
    let cluster = Cluster::start("empty").await;
    let client = cluster.project("shop").await;
    make_claim(&client, "shop", "data", None).await;
    let word = unique_word(6);
    make_pod(&client, "shop", with_claim(sleeper("app", &word), "data")).await;
    cluster.until_ready("shop", "app").await;
    assert!(runs(&word));
    let projects = crate::support::api(
        &client,
        None,
        "project.openshift.io/v1",
        "Project",
        "projects",
    );
    projects.delete("shop", &Default::default()).await.unwrap();
    cluster
        .until_gone(&ResourceId::core("namespaces"), "", "shop")
        .await;
    assert!(!runs(&word));
    let store = cluster.store();
    let mut events = store.subscribe();
    let emptied = async {
        while !store
            .list(&ResourceId::core("persistentvolumes"), None)
            .is_empty()
        {
            let _ = events.next().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, emptied)
        .await
        .expect("the volume is still there");
    cluster.stop().await;
}
