//! Projects and namespaces.

use openshifter_cluster::{ClusterError, NamespaceState};
use serde_json::{Value, json};

use crate::server::{Asked, Server, created, ok, shown, status};

const PROJECTS: &str = "/apis/project.openshift.io/v1/projects";
const REQUESTS: &str = "/apis/project.openshift.io/v1/projectrequests";
const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";

fn project(phase: &str) -> Value {
    json!({"apiVersion": "project.openshift.io/v1", "kind": "Project", "status": {"phase": phase},
        "metadata": {"name": "shop", "annotations": {"openshift.io/sa.scc.uid-range": "1000/10000"}}})
}

fn is_project(asked: &Asked) -> bool {
    asked.is("GET", &format!("{PROJECTS}/shop"))
}

#[tokio::test]
async fn a_project_that_is_there_is_left_alone() {
    let server = Server::start(|asked| is_project(asked).then(|| ok(project("Active")))?).await;
    let cluster = server.connect().await;
    assert_eq!(
        cluster.ensure_namespace("shop").await.unwrap(),
        NamespaceState::Existed
    );
    assert!(cluster.namespace_exists("shop").await.unwrap());
    assert!(!cluster.namespace_exists("other").await.unwrap());
    assert_eq!(server.count("POST", REQUESTS), 0);
}

#[tokio::test]
async fn a_new_project_is_requested_and_waited_for() {
    let server = Server::start(|asked| {
        let account = |name: &str| json!({"metadata": {"name": name}});
        let list =
            |items: Vec<Value>| ok(json!({"metadata": {"resourceVersion": "1"}, "items": items}));
        match asked.path.as_str() {
            // Hidden until it was requested, as for a user without rights there.
            path if path.ends_with("/projects/shop") && asked.before == 0 => {
                status(403, "Forbidden", "projects \"shop\" is forbidden")
            }
            path if path.ends_with("/projects/shop") => ok(project("Active")),
            REQUESTS => {
                assert!(!asked.query.contains_key("dryRun"));
                created(project("Active"))
            }
            ACCOUNTS if asked.query.contains_key("fieldSelector") => list(vec![account("default")]),
            ACCOUNTS => list(vec![account("builder"), account("deployer")]),
            _ => None,
        }
    })
    .await;
    let cluster = server.connect().await;
    assert_eq!(
        cluster.ensure_namespace("shop").await.unwrap(),
        NamespaceState::Created
    );
    assert_eq!(server.count("POST", REQUESTS), 1);
    // The range of user ids was looked for as well.
    assert_eq!(
        server
            .seen()
            .iter()
            .filter(|asked| is_project(asked))
            .count(),
        2
    );
}

#[tokio::test]
async fn a_project_on_its_way_out_is_reported_as_such() {
    let server =
        Server::start(|asked| is_project(asked).then(|| ok(project("Terminating")))?).await;
    let cluster = server.connect().await;
    let error = cluster.ensure_namespace("shop").await.unwrap_err();
    assert!(matches!(error, ClusterError::NamespaceTerminating { .. }));
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the namespace `shop` is being deleted
    hint: wait until it is gone, or use another name
    ");
}

#[tokio::test]
async fn a_project_of_others_is_reported_as_such() {
    let server = Server::start(|asked| match asked.path.as_str() {
        REQUESTS => status(
            409,
            "AlreadyExists",
            "project.project.openshift.io \"shop\" already exists",
        ),
        path if path.ends_with("/projects/shop") => status(403, "Forbidden", "forbidden"),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let error = cluster.ensure_namespace("shop").await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the namespace `shop` exists, but this user has no access to it
    hint: use another name, or ask its owner for access
    ");
}

#[tokio::test]
async fn projects_are_what_a_user_sees() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PROJECTS => ok(json!({"kind": "ProjectList", "metadata": {}, "items": [
            {"metadata": {"name": "shop"}}, {"metadata": {"name": "blog"}}]})),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    assert_eq!(cluster.namespaces().await.unwrap(), ["blog", "shop"]);
}
