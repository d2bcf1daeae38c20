//! A build: source folder to image, image to tag, tag to roll-out.

use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::support::{Cluster, deployments, make, pods};

#[tokio::test]
async fn a_build_rolls_out_what_it_built() {
    let cluster = Cluster::start("build").await;
    let client = cluster.project("shop").await;
    let source = tempfile::tempdir().unwrap();
    std::fs::write(
        source.path().join("app.sh"),
        "cat message.txt; exec sleep 1000\n",
    )
    .unwrap();
    std::fs::write(source.path().join("message.txt"), "built here\n").unwrap();

    let labels = json!({"app": "web"});
    let trigger = json!([{
        "from": {"kind": "ImageStreamTag", "name": "web:latest"},
        "fieldPath": "spec.template.spec.containers[?(@.name==\"web\")].image",
    }]);
    let deployment = json!({
        "metadata": {"name": "web", "annotations": {"image.openshift.io/triggers": trigger.to_string()}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "web", "image": "web:latest"}],
                },
            },
        },
    });
    make(
        &client,
        Some("shop"),
        "apps/v1",
        "Deployment",
        "deployments",
        deployment,
    )
    .await;
    let stream = json!({"metadata": {"name": "web"}});
    make(
        &client,
        Some("shop"),
        "image.openshift.io/v1",
        "ImageStream",
        "imagestreams",
        stream,
    )
    .await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": {"type": "Git", "git": {"uri": format!("file://{}", source.path().display())}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
            "triggers": [{"type": "ConfigChange"}],
        },
    });
    make(
        &client,
        Some("shop"),
        "build.openshift.io/v1",
        "BuildConfig",
        "buildconfigs",
        config,
    )
    .await;
    let builds = ResourceId::new("build.openshift.io", "builds");
    let over = |build: &Value| {
        matches!(
            build["status"]["phase"].as_str(),
            Some("Complete" | "Failed")
        )
    };
    let build = cluster.until(&builds, "shop", "web-1", "over", over).await;
    assert_eq!(
        build["status"]["phase"], "Complete",
        "{:#}",
        build["status"]
    );
    cluster
        .until(&deployments(), "shop", "web", "available", |deployment| {
            deployment["status"]["availableReplicas"] == 1
        })
        .await;
    let pod = cluster
        .store()
        .list(&pods(), Some("shop"))
        .into_iter()
        .find(crate::support::is_ready)
        .unwrap();
    let image = pod["status"]["containerStatuses"][0]["imageID"]
        .as_str()
        .unwrap();
    assert!(
        image.starts_with("image-registry.openshift-image-registry.svc:5000/shop/web@sha256:"),
        "{image}"
    );
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let read = async {
        while api.logs(&name, &Default::default()).await.unwrap() != "built here\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, read)
        .await
        .unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn a_source_that_is_not_here_fails_and_says_so() {
    let cluster = Cluster::start("nobuild").await;
    let client = cluster.project("shop").await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": {"type": "Git", "git": {"uri": "https://git.example.test/shop.git"}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
            "triggers": [{"type": "ConfigChange"}],
        },
    });
    make(
        &client,
        Some("shop"),
        "build.openshift.io/v1",
        "BuildConfig",
        "buildconfigs",
        config,
    )
    .await;
    let builds = ResourceId::new("build.openshift.io", "builds");
    let build = cluster
        .until(&builds, "shop", "web-1", "failed", |build| {
            build["status"]["phase"] == "Failed"
        })
        .await;
    insta::assert_snapshot!(
        build["status"]["message"].as_str().unwrap(),
        @r#"cannot fetch "https://git.example.test/shop.git": this cluster builds folders of this machine alone (file://…)"#
    );
    cluster.stop().await;
}
