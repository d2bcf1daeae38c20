//! Builds of Dockerfiles: what is built, and what is said of the others.

use serde_json::{Value, json};

use crate::builds::{builds, is_over, make_config};
use crate::support::{Cluster, PATIENCE, make_pod};

/// A BuildConfig with a Dockerfile of its own, built at once.
fn with_dockerfile(name: &str, dockerfile: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "source": {"type": "Dockerfile", "dockerfile": dockerfile},
            "strategy": {"type": "Docker", "dockerStrategy": {}},
            "output": {"to": {"kind": "ImageStreamTag", "name": format!("{name}:latest")}},
            "triggers": [{"type": "ConfigChange"}],
        },
    })
}

#[tokio::test]
async fn a_dockerfile_is_built_as_far_as_the_sandbox_goes() {
    let cluster = Cluster::start("docker").await;
    let client = cluster.project("shop").await;
    let server = crate::git::Server::start().await;
    server
        .commit(
            "Dockerfile",
            "FROM openshifter.test/shell:1\n\
             ENV GREETING=hello PLACE=/srv/web\n\
             WORKDIR $PLACE\n\
             COPY words.txt .\n\
             RUN echo \"$GREETING from $(pwd)\" > greeting && \\\n    cat words.txt >> greeting\n\
             RUN test \"$(id -u)\" -ge 1000000000\n\
             EXPOSE 8080\n\
             LABEL io.test.kind=docker\n\
             USER 1001\n\
             CMD [\"sh\", \"-c\", \"cat greeting; exec sleep 1000\"]\n",
        )
        .await;
    server.commit("words.txt", "of the source\n").await;
    let mut config = with_dockerfile("web", "");
    config["spec"]["source"] = json!({"type": "Git", "git": {"uri": server.url()}});
    make_config(&client, config).await;
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    let path = "/apis/build.openshift.io/v1/namespaces/shop/builds/web-1/log";
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let log = client.request_text(request).await.unwrap();
    assert_eq!(build["status"]["phase"], "Complete", "{log}");
    assert!(log.contains("STEP 3/10: WORKDIR $PLACE\n"), "{log}");
    let digest = build["status"]["output"]["to"]["imageDigest"].as_str();
    let image = format!(
        "image-registry.openshift-image-registry.svc:5000/shop/web@{}",
        digest.unwrap()
    );
    let pod = json!({
        "metadata": {"name": "web"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", "image": image}]},
    });
    make_pod(&client, "shop", pod).await;
    cluster.until_ready("shop", "web").await;
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let read = async {
        loop {
            let said = api.logs("web", &Default::default()).await.unwrap();
            if said.lines().count() == 2 {
                return said;
            }
            tokio::task::yield_now().await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert_eq!(said, "hello from /srv/web\nof the source\n");
    cluster.stop().await;
}

#[tokio::test]
async fn a_dockerfile_that_cannot_be_built_fails_with_the_reason_in_its_log() {
    let cluster = Cluster::start("nodocker").await;
    let client = cluster.project("shop").await;
    let files = [
        ("stages", "FROM openshifter.test/shell:1 AS a\nFROM a\n"),
        ("volume", "FROM openshifter.test/shell:1\nVOLUME /data\n"),
        (
            "place",
            "FROM openshifter.test/shell:1\nWORKDIR /usr/share/x\n",
        ),
        ("command", "FROM openshifter.test/shell:1\nRUN mkdir /new\n"),
        ("base", "FROM quay.io/some/thing:2\n"),
    ];
    let mut said = String::new();
    for (name, text) in files {
        make_config(&client, with_dockerfile(name, text)).await;
        let build = format!("{name}-1");
        let build = cluster
            .until(&builds(), "shop", &build, "over", is_over)
            .await;
        let status = &build["status"];
        assert_eq!(status["phase"], "Failed", "{name}");
        let snippet = status["logSnippet"].as_str().unwrap();
        let last = snippet.lines().last().unwrap();
        said.push_str(&format!(
            "{name}: {}: {last}\n",
            status["reason"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!(said, @r#"
    stages: DockerBuildFailed: line 2: this cluster builds Dockerfiles of one stage alone
    volume: DockerBuildFailed: line 2: VOLUME is not built by this cluster
    place: DockerBuildFailed: line 2: nothing can be put into /usr/share/x: this cluster lends images the machine's own
    command: DockerBuildFailed: line 2: running "/bin/sh -c mkdir /new": exit status 1
    base: PullBuilderImageFailed: image "quay.io/some/thing:2" is not in this cluster: it has the built-in images of openshifter.test and those built here
    "#);
    cluster.stop().await;
}
