//! Waiting for an object.

use std::time::Duration;

use openshifter_cluster::ClusterError;
use openshifter_objects::{GroupKind, Object};
use serde_json::{Value, json};

use crate::server::{Asked, Server, events, ok, shown, status};

const PODS: &str = "/api/v1/namespaces/shop/pods";
const LONG: Duration = Duration::from_secs(20);

fn pod(phase: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "resourceVersion": "5"},
        "status": {"phase": phase}})
}

fn list(items: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": items})
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn is_watch(asked: &Asked) -> bool {
    asked.path == PODS && asked.query.contains_key("watch")
}

fn running(object: Option<&Object>) -> bool {
    object.is_some_and(|object| object.value()["status"]["phase"] == "Running")
}

fn kind() -> GroupKind {
    GroupKind::new("", "Pod")
}

#[tokio::test]
async fn what_is_there_already_is_not_watched() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PODS if !is_watch(asked) => ok(list(&[pod("Running")])),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let found = cluster
        .wait(&kind(), Some("shop"), "web", LONG, running)
        .await
        .unwrap();
    assert_eq!(found.unwrap().name(), "web");
    assert!(!server.seen().iter().any(is_watch));
}

#[tokio::test]
async fn a_watch_outlives_bookmarks_an_expired_version_and_a_broken_connection() {
    let server = Server::start(|asked| {
        if asked.path != PODS {
            return None;
        }
        if !is_watch(asked) {
            return ok(list(&[pod("Pending")]));
        }
        assert_eq!(asked.query["fieldSelector"], "metadata.name=web");
        assert_eq!(asked.query["resourceVersion"], "5");
        // Each watch comes after a list.
        match asked.before {
            1 => events(&[event(
                "ERROR",
                json!({"kind": "Status", "code": 410, "reason": "Expired"}),
            )]),
            3 => events(&[]),
            _ => events(&[
                event("BOOKMARK", json!({"metadata": {"resourceVersion": "6"}})),
                event("MODIFIED", pod("Pending")),
                event(
                    "MODIFIED",
                    json!({"metadata": {"name": "other"}, "status": {"phase": "Running"}}),
                ),
                event("MODIFIED", pod("Running")),
            ]),
        }
    })
    .await;
    let cluster = server.connect().await;
    let found = cluster
        .wait(&kind(), Some("shop"), "web", LONG, running)
        .await
        .unwrap();
    assert!(running(found.as_ref()));
    assert_eq!(
        server.seen().iter().filter(|asked| is_watch(asked)).count(),
        3
    );
}

#[tokio::test]
async fn absence_can_be_waited_for() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PODS if is_watch(asked) => events(&[event("DELETED", pod("Running"))]),
        PODS => ok(list(&[pod("Running")])),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let gone = cluster
        .wait(&kind(), Some("shop"), "web", LONG, |object| {
            object.is_none()
        })
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn who_may_not_list_is_served_by_reading() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PODS => status(403, "Forbidden", "pods is forbidden"),
        "/api/v1/namespaces/shop/pods/web" => ok(pod(if asked.before == 0 {
            "Pending"
        } else {
            "Running"
        })),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let found = cluster
        .wait(&kind(), Some("shop"), "web", LONG, running)
        .await
        .unwrap();
    assert!(running(found.as_ref()));
}

#[tokio::test]
async fn waiting_ends_in_time() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PODS if is_watch(asked) => events(&[]),
        PODS => ok(list(&[pod("Pending")])),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let within = Duration::from_secs(1);
    let error = cluster
        .wait(&kind(), Some("shop"), "web", within, running)
        .await
        .unwrap_err();
    assert!(matches!(error, ClusterError::WaitTimeout { .. }));
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: waited 1 s for Pod/web in namespace shop in vain
    hint: look at its events and conditions, or wait longer
    ");
    // A server that ends each watch at once is not asked without a pause.
    let asked = server.seen().len();
    assert!(asked < 40, "{asked} requests");
}
