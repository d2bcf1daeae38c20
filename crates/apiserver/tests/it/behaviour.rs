//! What the cluster does by itself, over time.

use openshifter_apiserver::{DeleteOptions, Propagation, ResourceId};
use serde_json::{Value, json};

use crate::cluster::{Cluster, config};

fn maps() -> ResourceId {
    ResourceId::core("configmaps")
}

fn owned_by(owner: &Value, name: &str) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }]}})
}

#[tokio::test]
async fn dependents_go_or_stay_as_the_deletion_says() {
    let cluster = Cluster::start("garbage").await;
    cluster.project("shop", None).await;
    let store = cluster.server.store();
    for (propagation, stays) in [
        (Propagation::Background, false),
        (Propagation::Foreground, false),
        (Propagation::Orphan, true),
    ] {
        let owner = store
            .create(
                &maps(),
                Some("shop"),
                json!({"metadata": {"name": "owner"}}),
            )
            .unwrap();
        store
            .create(&maps(), Some("shop"), owned_by(&owner, "owned"))
            .unwrap();
        let options = DeleteOptions {
            propagation: Some(propagation),
            ..DeleteOptions::default()
        };
        store
            .delete(&maps(), Some("shop"), "owner", options)
            .unwrap();
        cluster
            .until(|store| store.get(&maps(), Some("shop"), "owner").is_none())
            .await;
        if stays {
            let left = store.get(&maps(), Some("shop"), "owned").unwrap();
            assert!(left["metadata"]["ownerReferences"].is_null());
        } else {
            cluster
                .until(|store| store.get(&maps(), Some("shop"), "owned").is_none())
                .await;
        }
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_namespace_is_emptied_and_gone() {
    let cluster = Cluster::start("terminating").await;
    let dev = cluster.login("dev").await;
    cluster.project("shop", Some(&dev)).await;
    let store = cluster.server.store();
    store
        .create(
            &maps(),
            Some("shop"),
            json!({"metadata": {"name": "held", "finalizers": ["example.test/hold"]}}),
        )
        .unwrap();
    let path = "/apis/project.openshift.io/v1/projects/shop";
    let reply = cluster.send("DELETE", path, Some(&dev), &[], None).await;
    assert_eq!(
        (reply.status, &reply.body["status"]),
        (200, &json!("Success"))
    );
    cluster
        .until(|store| {
            store
                .list(&ResourceId::core("secrets"), Some("shop"))
                .is_empty()
                && store.list(&maps(), Some("shop")).len() == 1
        })
        .await;
    let namespaces = ResourceId::core("namespaces");
    assert!(store.get(&namespaces, None, "shop").is_some());
    store
        .update(&maps(), Some("shop"), "held", |map| {
            map["metadata"]["finalizers"] = json!([]);
        })
        .unwrap();
    cluster
        .until(|store| store.get(&namespaces, None, "shop").is_none())
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_is_made_what_its_project_says() {
    let cluster = Cluster::start("scc").await;
    let dev = cluster.login("dev").await;
    cluster.project("shop", Some(&dev)).await;
    let store = cluster.server.store();
    let pod = |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let pods = ResourceId::core("pods");
    let made = store.create(&pods, Some("shop"), pod("a")).unwrap();
    let namespace = store
        .get(&ResourceId::core("namespaces"), None, "shop")
        .unwrap();
    let range = namespace["metadata"]["annotations"]["openshift.io/sa.scc.uid-range"]
        .as_str()
        .unwrap();
    let first: i64 = range.split_once('/').unwrap().0.parse().unwrap();
    assert_eq!(
        made["spec"]["containers"][0]["securityContext"]["runAsUser"],
        first
    );
    assert_eq!(made["spec"]["securityContext"]["fsGroup"], first);
    assert_eq!(
        made["metadata"]["annotations"]["openshift.io/scc"],
        "restricted-v2"
    );
    // A pod on a node goes once its node says so.
    let bound = store
        .update(&pods, Some("shop"), "a", |pod| {
            pod["spec"]["nodeName"] = json!("node")
        })
        .unwrap();
    assert_eq!(bound["spec"]["nodeName"], "node");
    store
        .delete(&pods, Some("shop"), "a", DeleteOptions::default())
        .unwrap();
    let waiting = store.get(&pods, Some("shop"), "a").unwrap();
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 30);
    store
        .delete(&pods, Some("shop"), "a", DeleteOptions::now())
        .unwrap();
    assert!(store.get(&pods, Some("shop"), "a").is_none());
    // Two projects share no uid, and neither do two clusters.
    cluster.project("other", Some(&dev)).await;
    let other = store
        .get(&ResourceId::core("namespaces"), None, "other")
        .unwrap();
    assert_ne!(
        other["metadata"]["annotations"]["openshift.io/sa.scc.uid-range"],
        range
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_claim_in_use_stays_until_its_pod_is_gone() {
    let cluster = Cluster::start("claims").await;
    cluster.project("shop", None).await;
    let store = cluster.server.store();
    let claims = ResourceId::core("persistentvolumeclaims");
    let pods = ResourceId::core("pods");
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    store.create(&claims, Some("shop"), claim).unwrap();
    let pod = json!({"metadata": {"name": "a"}, "spec": {
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [{"name": "a", "image": "x"}]}});
    store.create(&pods, Some("shop"), pod).unwrap();
    store
        .delete(&claims, Some("shop"), "data", DeleteOptions::default())
        .unwrap();
    assert!(store.get(&claims, Some("shop"), "data").is_some());
    store
        .delete(&pods, Some("shop"), "a", DeleteOptions::now())
        .unwrap();
    cluster
        .until(|store| store.get(&claims, Some("shop"), "data").is_none())
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_login_ends_when_it_is_revoked() {
    let cluster = Cluster::start("login").await;
    let token = cluster.login("dev").await;
    assert_eq!(whoami(&cluster, &token).await, 200);
    let other = cluster.login("other").await;
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(token.strip_prefix("sha256~").unwrap());
    let name = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    let mine = format!("/apis/oauth.openshift.io/v1/useroauthaccesstokens/sha256~{name}");
    assert_eq!(
        cluster
            .send("DELETE", &mine, Some(&other), &[], None)
            .await
            .status,
        404
    );
    assert_eq!(
        cluster
            .send("DELETE", &mine, Some(&token), &[], None)
            .await
            .status,
        200
    );
    assert_eq!(whoami(&cluster, &token).await, 401);
    assert_eq!(whoami(&cluster, &other).await, 200);
    // No token is kept in clear.
    let tokens = ResourceId::new("oauth.openshift.io", "oauthaccesstokens");
    let kept = json!(cluster.server.store().list(&tokens, None)).to_string();
    assert!(!kept.contains(other.strip_prefix("sha256~").unwrap()));
    cluster.stop().await;
}

#[tokio::test]
async fn a_login_ends_when_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("expiry", folder.path());
    config.token_lifetime = std::time::Duration::from_secs(2);
    let cluster = Cluster::start_with(config, folder).await;
    let start = std::time::Instant::now();
    let soon = || {
        let patience = std::time::Duration::from_secs(60);
        assert!(start.elapsed() < patience, "it has not come to its end");
    };
    // A busy machine may need longer than that from a login to its first use: then another one is used.
    let token = loop {
        let token = cluster.login("dev").await;
        if whoami(&cluster, &token).await == 200 {
            break token;
        }
        soon();
    };
    while whoami(&cluster, &token).await == 200 {
        soon();
        tokio::task::yield_now().await;
    }
    assert_eq!(whoami(&cluster, &token).await, 401);
    cluster.stop().await;
}

/// The status that a token's user is asked for with.
async fn whoami(cluster: &Cluster, token: &str) -> u16 {
    let path = "/apis/user.openshift.io/v1/users/~";
    let answer = cluster.send("GET", path, Some(token), &[], None).await;
    answer.status
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let cluster = Cluster::start("restart").await;
    cluster.project("shop", None).await;
    let token = cluster.login("dev").await;
    let account = cluster
        .server
        .service_account_token("shop", "default")
        .unwrap();
    let before = cluster
        .server
        .store()
        .list(&ResourceId::core("secrets"), Some("shop"));
    let folder = cluster.stop().await;
    use std::os::unix::fs::PermissionsExt as _;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("store.json")), 0o600);
    assert_eq!(mode(folder.path()), 0o700);
    let again = config("restart", folder.path());
    let cluster = Cluster::start_with(again, folder).await;
    let after = cluster
        .server
        .store()
        .list(&ResourceId::core("secrets"), Some("shop"));
    assert_eq!(before, after);
    let ca = cluster.server.ca_pem().to_owned();
    cluster
        .until(|store| {
            let map = store.get(&maps(), Some("shop"), "kube-root-ca.crt");
            map.is_some_and(|map| map["data"]["ca.crt"] == ca.as_str())
        })
        .await;
    use secrecy::ExposeSecret as _;
    for token in [token.as_str(), account.expose_secret()] {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let headers = [("content-type", "application/json")];
        let reply = cluster
            .send("POST", path, Some(token), &headers, Some("{}".to_owned()))
            .await;
        assert_eq!(reply.status, 201);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_tag_is_made_by_a_mapping() {
    let cluster = Cluster::start("images").await;
    cluster.project("shop", None).await;
    let base = "/apis/image.openshift.io/v1/namespaces/shop";
    let made = cluster
        .post(
            &format!("{base}/imagestreams"),
            json!({"metadata": {"name": "tools"}}),
        )
        .await;
    assert_eq!(made.status, 201);
    let digest = format!("sha256:{}", "a".repeat(64));
    let mapping = json!({"metadata": {"name": "tools"}, "tag": "1", "image": {
        "metadata": {"name": digest}, "dockerImageReference": format!("lab/tools@{digest}")}});
    let mapped = cluster
        .post(&format!("{base}/imagestreammappings"), mapping)
        .await;
    assert_eq!(mapped.status, 201, "{}", mapped.text);
    let tag = cluster
        .get(&format!("{base}/imagestreamtags/tools:1"))
        .await;
    assert_eq!(tag.body["image"]["metadata"]["name"], digest.as_str());
    let stream = cluster
        .get(&format!("{base}/imagestreams/tools"))
        .await
        .body;
    assert_eq!(
        stream["status"]["tags"][0]["items"][0]["image"],
        digest.as_str()
    );
    let gone = cluster
        .send(
            "DELETE",
            &format!("{base}/imagestreamtags/tools:1"),
            None,
            &[],
            None,
        )
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(
        cluster
            .get(&format!("{base}/imagestreamtags/tools:1"))
            .await
            .status,
        404
    );
    cluster.stop().await;
}

#[tokio::test]
async fn custom_resources_are_served_from_their_definition_on() {
    let cluster = Cluster::start("custom").await;
    cluster.project("shop", None).await;
    let definition = json!({"metadata": {"name": "things.example.test"}, "spec": {
        "group": "example.test", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}});
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(cluster.post(path, definition).await.status, 201);
    let things = "/apis/example.test/v1/namespaces/shop/things";
    let thing = |spec: Value| json!({"apiVersion": "example.test/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
    assert_eq!(
        cluster
            .post(things, thing(json!({"size": "1"})))
            .await
            .status,
        422
    );
    assert_eq!(cluster.post(things, thing(json!({}))).await.status, 422);
    let made = cluster
        .post(things, thing(json!({"size": 1, "other": 2})))
        .await;
    assert_eq!(
        (made.status, made.body["spec"].clone()),
        (201, json!({"size": 1}))
    );
    let deleted = cluster
        .send(
            "DELETE",
            &format!("{path}/things.example.test"),
            None,
            &[],
            None,
        )
        .await;
    assert_eq!(deleted.status, 200);
    assert_eq!(cluster.get(things).await.status, 404);
    cluster.stop().await;
}

#[tokio::test]
async fn a_watch_tells_what_comes_into_its_sight_and_leaves_it() {
    let cluster = Cluster::start("watch").await;
    cluster.project("shop", None).await;
    let store = cluster.server.store();
    let map = |name: &str, app: &str| json!({"metadata": {"name": name, "labels": {"app": app}}});
    store.create(&maps(), Some("shop"), map("a", "x")).unwrap();
    let listed = cluster
        .get(
            "/api/v1/namespaces/shop/configmaps?watch=true&labelSelector=app%3Dx&sendInitialEvents=true\
             &resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1",
        )
        .await;
    let events: Vec<Value> = listed
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["type"], "ADDED");
    assert_eq!(events[1]["type"], "BOOKMARK");
    let annotations = &events[1]["object"]["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    let since = store.revision();
    for app in ["y", "x"] {
        store
            .update(&maps(), Some("shop"), "a", |map| {
                map["metadata"]["labels"]["app"] = json!(app);
            })
            .unwrap();
    }
    let path = format!(
        "/api/v1/namespaces/shop/configmaps?watch=true&labelSelector=app%3Dx&resourceVersion={since}&timeoutSeconds=1"
    );
    let watched = cluster.get(&path).await;
    let kinds: Vec<Value> = watched
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["DELETED", "ADDED"]);
    cluster.stop().await;
}

#[tokio::test]
async fn five_thousand_objects_are_made_and_paged() {
    let cluster = Cluster::start("many").await;
    cluster.project("shop", None).await;
    let store = cluster.server.store();
    for index in 0..5000 {
        let map = json!({"metadata": {"name": format!("m-{index:04}")}, "data": {"k": "v"}});
        store.create(&maps(), Some("shop"), map).unwrap();
    }
    let mut seen = 0;
    let mut next = String::new();
    loop {
        let path = format!("/api/v1/namespaces/shop/configmaps?limit=500&continue={next}");
        let page = cluster.get(&path).await.body;
        seen += page["items"].as_array().unwrap().len();
        match page["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
        // What is made meanwhile is no part of the list that began before.
        let late = json!({"metadata": {"generateName": "zz-"}});
        store.create(&maps(), Some("shop"), late).unwrap();
    }
    assert_eq!(seen, 5002);
    cluster.stop().await;
}

#[tokio::test]
async fn ports_are_forwarded_in_the_protocols_that_genuine_servers_take() {
    let cluster = Cluster::start("ports-protocols").await;
    cluster.project("shop", None).await;
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    cluster.post("/api/v1/namespaces/shop/pods", pod).await;
    let path = "/api/v1/namespaces/shop/pods/a/portforward";
    let socket = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let protocol = |name| [&socket[..], &[("sec-websocket-protocol", name)]].concat();
    let tunnel = "SPDY/3.1+portforward.k8s.io";
    let reply = cluster
        .send("GET", path, None, &protocol(tunnel), None)
        .await;
    assert_eq!(reply.status, 101);
    assert_eq!(reply.headers["sec-websocket-protocol"], tunnel);
    let reply = cluster
        .send("GET", path, None, &protocol("v9.channel.k8s.io"), None)
        .await;
    assert_eq!((reply.status, reply.text.as_str()), (403, ""));

    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let version = |name| [&spdy[..], &[("x-stream-protocol-version", name)]].concat();
    let reply = cluster.send("POST", path, None, &spdy, None).await;
    insta::assert_snapshot!(reply.text, @"unable to upgrade: X-Stream-Protocol-Version is required");
    assert_eq!(reply.status, 400);
    let reply = cluster.send("POST", path, None, &version("v9"), None).await;
    insta::assert_snapshot!(reply.text, @"unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts [portforward.k8s.io]");
    assert_eq!(reply.status, 403);
    let accepted = &reply.headers["x-accepted-stream-protocol-versions"];
    assert_eq!(accepted, "portforward.k8s.io");
    let good = version("portforward.k8s.io");
    let reply = cluster.send("POST", path, None, &good, None).await;
    assert_eq!(reply.status, 101);
    assert_eq!(
        reply.headers["x-stream-protocol-version"],
        "portforward.k8s.io"
    );
    cluster.stop().await;
}
