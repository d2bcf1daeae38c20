//! Builds: started, fed with a source, read, cancelled.

use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::cluster::Cluster;

const BASE: &str = "/apis/build.openshift.io/v1/namespaces/shop";

fn builds() -> ResourceId {
    ResourceId::new("build.openshift.io", "builds")
}

async fn configured(name: &str) -> Cluster {
    let cluster = Cluster::start(name).await;
    cluster.project("shop", None).await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": {"type": "Binary", "binary": {}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "tools@sha256:aa"}}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
        },
    });
    let reply = cluster.post(&format!("{BASE}/buildconfigs"), config).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    cluster
}

async fn upload(cluster: &Cluster, query: &str, body: &str) -> crate::cluster::Reply {
    cluster
        .send(
            "POST",
            &format!("{BASE}/buildconfigs/web/instantiatebinary{query}"),
            None,
            &[],
            Some(body.to_owned()),
        )
        .await
}

#[tokio::test]
async fn a_source_goes_into_the_build_as_it_comes() {
    let cluster = configured("binary").await;
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures::stream::unfold(body, |mut body| async {
        body.recv().await.map(|piece| (piece, body))
    });
    let path =
        format!("{BASE}/buildconfigs/web/instantiatebinary?asFile=app.py&revision.commit=abc");
    let request = cluster.upload(&path, body);
    let source = async {
        // More than what a request without streaming may hold, the first of it taken before the last is sent.
        pieces.send(Ok(vec![1; 1 << 20])).await.unwrap();
        let first = cluster.builds.until(|taken| taken.bytes == 1 << 20).await;
        assert_eq!(
            (first.build.as_str(), first.as_file.as_deref(), first.done),
            ("web-1", Some("app.py"), false)
        );
        for _ in 0..15 {
            pieces.send(Ok(vec![1; 1 << 20])).await.unwrap();
        }
        drop(pieces);
    };
    let (reply, ()) = tokio::join!(request, source);
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["metadata"]["name"], "web-1");
    let source = &reply.body["spec"]["source"];
    assert_eq!(source["binary"]["asFile"], "app.py");
    assert_eq!(reply.body["spec"]["revision"]["git"]["commit"], "abc");
    assert!(reply.body["status"]["cancelled"].is_null());
    let all = cluster.builds.until(|taken| taken.done).await;
    assert_eq!(all.bytes, 16 << 20);
    cluster.stop().await;
}

#[tokio::test]
async fn a_source_that_is_refused_or_cut_off_cancels_the_build() {
    let cluster = configured("cut-off").await;
    let refused = upload(&cluster, "?asFile=source.zip", "PK").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body["message"], "zip archives are not read");
    let cancelled = |name: &'static str| {
        move |store: &openshifter_apiserver::Store| {
            store
                .get(&builds(), Some("shop"), name)
                .is_some_and(|build| build["status"]["cancelled"] == true)
        }
    };
    cluster.until(cancelled("web-1")).await;

    let (pieces, body) = tokio::sync::mpsc::channel(1);
    let body = futures::stream::unfold(body, |mut body| async {
        body.recv().await.map(|piece| (piece, body))
    });
    let path = format!("{BASE}/buildconfigs/web/instantiatebinary");
    let request = cluster.try_upload(&path, body);
    let source = async {
        pieces.send(Ok(vec![0; 1000])).await.unwrap();
        cluster.builds.until(|taken| taken.bytes == 1000).await;
        let cut = std::io::Error::other("the client goes away");
        pieces.send(Err(cut)).await.unwrap();
    };
    let (reply, ()) = tokio::join!(request, source);
    reply.unwrap_err();
    cluster.until(cancelled("web-2")).await;

    let path = upload(&cluster, "?asFile=../app.py", "x").await;
    assert_eq!(path.status, 400);
    let missing = cluster
        .send(
            "POST",
            &format!("{BASE}/buildconfigs/no/instantiatebinary"),
            None,
            &[],
            None,
        )
        .await;
    assert_eq!(missing.status, 404);
    let get = cluster
        .get(&format!("{BASE}/buildconfigs/web/instantiatebinary"))
        .await;
    assert_eq!(get.status, 405);
    cluster.stop().await;
}

#[tokio::test]
async fn builds_are_started_cloned_cancelled_and_read() {
    let cluster = configured("starts").await;
    let start = format!("{BASE}/buildconfigs/web/instantiate");
    let request = |name: &str| json!({"kind": "BuildRequest", "apiVersion": "build.openshift.io/v1", "metadata": {"name": name}});
    let reply = cluster.post(&start, request("web")).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    // Without a source of its own a build has none, though its configuration is for binary ones.
    assert_eq!(reply.body["spec"]["source"], json!({"type": "None"}));
    assert_eq!(reply.body["status"]["phase"], "New");
    assert_eq!(cluster.post(&start, request("other")).await.status, 400);
    let dry = cluster
        .post(&format!("{start}?dryRun=All"), request("web"))
        .await;
    assert_eq!(dry.status, 501);

    let log = format!("{BASE}/builds/web-1/log");
    let now = cluster.get(&format!("{log}?nowait=true")).await;
    assert_eq!((now.status, now.text.as_str()), (200, ""));
    let follow = format!("{log}?follow=true&tailLines=3");
    let running = async {
        cluster
            .server
            .store()
            .update(&builds(), Some("shop"), "web-1", |build| {
                build["status"]["phase"] = json!("Running");
            })
            .unwrap();
    };
    let (read, ()) = tokio::join!(cluster.get(&follow), running);
    assert_eq!(read.text, "log of web-1 follow=true tail=Some(3)\n");

    // As `oc cancel-build` does it.
    let mut build = cluster.get(&format!("{BASE}/builds/web-1")).await.body;
    build["status"]["cancelled"] = json!(true);
    let headers = [("content-type", "application/json")];
    let cancelled = cluster
        .send(
            "PUT",
            &format!("{BASE}/builds/web-1"),
            None,
            &headers,
            Some(build.to_string()),
        )
        .await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(cancelled.body["status"]["cancelled"], true);

    let clone = cluster
        .post(&format!("{BASE}/builds/web-1/clone"), request("web-1"))
        .await;
    assert_eq!(clone.status, 201, "{}", clone.text);
    assert_eq!(clone.body["metadata"]["name"], "web-2");
    assert_eq!(clone.body["status"]["phase"], "New");
    assert!(clone.body["status"]["cancelled"].is_null());

    let error = |build: &mut Value| build["status"]["phase"] = json!("Error");
    let store = cluster.server.store();
    store
        .update(&builds(), Some("shop"), "web-2", error)
        .unwrap();
    let none = cluster.get(&format!("{BASE}/builds/web-2/log")).await;
    insta::assert_snapshot!(none.body["message"].as_str().unwrap(), @"build web-2 is in an error state. No logs are available.");
    assert_eq!(none.status, 400);
    assert_eq!(
        cluster.get(&format!("{BASE}/builds/no/log")).await.status,
        404
    );
    cluster.stop().await;
}

#[tokio::test]
async fn webhooks_start_builds_for_who_knows_the_secret() {
    let cluster = Cluster::start("webhooks").await;
    cluster.project("shop", None).await;
    let secret =
        json!({"metadata": {"name": "hook"}, "stringData": {"WebHookSecretKey": "s3cret"}});
    cluster
        .post("/api/v1/namespaces/shop/secrets", secret)
        .await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": {"git": {"uri": "https://git.example.test/web.git", "ref": "main"}},
            "strategy": {"sourceStrategy": {"from": {"kind": "DockerImage", "name": "tools@sha256:aa"}}},
            "triggers": [
                {"type": "Generic", "generic": {"secretReference": {"name": "hook"}, "allowEnv": true}},
                {"type": "GitHub", "github": {"secret": "inline"}},
            ],
        },
    });
    let made = cluster.post(&format!("{BASE}/buildconfigs"), config).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let hooks = format!("{BASE}/buildconfigs/web/webhooks");
    let call = async |path: &str, headers: &[(&str, &str)], body: Option<Value>| {
        let path = format!("{hooks}/{path}");
        let body = body.map(|body| body.to_string());
        cluster.send("POST", &path, None, headers, body).await
    };
    let bare = call("s3cret/generic", &[], None).await;
    assert_eq!(bare.status, 200, "{}", bare.text);
    assert_eq!(bare.body["metadata"]["name"], "web-1");
    let cause = &bare.body["spec"]["triggeredBy"][0];
    assert_eq!(cause["message"], "Generic WebHook");
    assert_eq!(cause["genericWebHook"]["secret"], "<secret>");
    let json = ("content-type", "application/json");
    let event = json!({"git": {"ref": "refs/heads/main", "commit": "abc"}, "env": [{"name": "A", "value": "1"}]});
    let with_event = call("s3cret/generic", &[json], Some(event)).await;
    let spec = &with_event.body["spec"];
    assert_eq!(spec["revision"]["git"]["commit"], "abc");
    assert_eq!(spec["strategy"]["sourceStrategy"]["env"][0]["name"], "A");

    let push =
        |branch: &str| json!({"ref": format!("refs/heads/{branch}"), "head_commit": {"id": "def"}});
    let is_push = [json, ("x-github-event", "push")];
    let pushed = call("inline/github", &is_push, Some(push("main"))).await;
    assert_eq!(pushed.body["metadata"]["name"], "web-3");
    assert_eq!(pushed.body["spec"]["revision"]["git"]["commit"], "def");
    let other = call("inline/github", &is_push, Some(push("old"))).await;
    assert_eq!(
        (other.status, other.body["kind"].as_str()),
        (200, Some("Status"))
    );

    for (path, status) in [
        ("wrong/generic", 401),
        ("inline/generic", 401),
        ("s3cret/gitlab", 501),
        ("s3cret/other", 404),
    ] {
        assert_eq!(call(path, &[], None).await.status, status, "{path}");
    }
    let nobody = cluster
        .send(
            "POST",
            &format!("{hooks}/s3cret/generic"),
            Some(""),
            &[],
            None,
        )
        .await;
    assert_eq!(nobody.status, 403);
    let builds = cluster.get(&format!("{BASE}/builds")).await;
    assert_eq!(builds.body["items"].as_array().unwrap().len(), 3);
    cluster.stop().await;
}
