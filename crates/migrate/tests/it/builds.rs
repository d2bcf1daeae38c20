//! Builds at the target that do not end.

use std::net::TcpListener;
use std::time::Duration;

use openshifter_cluster::{Cluster, DryRun};
use openshifter_migrate::{ImportOptions, import};
use openshifter_objects::{GroupKind, Object};
use openshifter_testing::GitServer;
use serde_json::{Value, json};

use crate::devcluster::Dev;
use crate::support::{Home, connect, failure};

const PATIENCE: Duration = Duration::from_secs(180);

async fn create(cluster: &Cluster, project: &str, values: &[Value]) {
    for value in values {
        let object = Object::from_value(value.clone()).unwrap();
        cluster
            .create(Some(project), &object, DryRun::No)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_has_as_long_as_it_is_given() {
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    let cluster = connect(&minishift).await;
    let git = GitServer::start();
    let tree = home.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("message.txt"), "built").unwrap();
    git.commit("web", &tree, "First");
    cluster.ensure_namespace("shop").await.unwrap();
    let config = GroupKind::new("build.openshift.io", "BuildConfig");
    create(
        &cluster,
        "shop",
        &[
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "web"}}),
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
                "spec": {
                    "source": {"type": "Git", "git": {"uri": git.url("web")}},
                    "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
                    "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
                    "triggers": [{"type": "ConfigChange"}],
                }}),
        ],
    )
    .await;
    let stream = GroupKind::new("image.openshift.io", "ImageStream");
    cluster
        .wait(&stream, Some("shop"), "web", PATIENCE, |stream| {
            stream.is_some_and(|stream| stream.value()["status"]["tags"][0]["items"][0].is_object())
        })
        .await
        .unwrap();
    // Whoever asks this one for a repository waits for ever.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/web.git", silent.local_addr().unwrap());
    let change = json!({"spec": {"source": {"git": {"uri": uri}}}});
    cluster
        .merge_patch(&config, Some("shop"), "web", &change)
        .await
        .unwrap();

    let chart = home.export(&cluster, "shop", "shop").await;
    let options = ImportOptions {
        build_patience: Duration::from_secs(1),
        ..ImportOptions::default()
    };
    let failed = failure(import(&home.run(), &chart, &cluster, "live", &options).await);
    assert_eq!(failed.report.exit_status(), 4, "{}", failed.report.text());
    insta::assert_snapshot!(failed.error.chain(), @"build web-1 failed at the target: it has not ended after 1 s; `openshifter resume` goes on with it, a longer `--timeout` of an import or a migration waits longer");
    cluster.logout().await.unwrap();
    minishift.stop().await;
}
