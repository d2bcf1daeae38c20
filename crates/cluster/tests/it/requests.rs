//! Single objects: what is sent, what is sent again, and what the errors say.

use std::time::Instant;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use openshifter_cluster::{ClusterError, DryRun, Preconditions, Propagation};
use openshifter_objects::{GroupKind, Object};
use serde_json::{Value, json};

use crate::server::{Asked, Server, created, ok, shown, status};

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const MAP: &str = "/api/v1/namespaces/shop/configmaps/web";

fn map() -> Object {
    Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"run": "r1"}}, "data": {"a": "1"}}))
    .unwrap()
}

/// As the server would show it, made `age` seconds ago.
fn made(run: &str, age: i64) -> Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(age);
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "9",
            "creationTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "labels": {"run": run}}})
}

fn kind() -> GroupKind {
    GroupKind::new("", "ConfigMap")
}

fn exists() -> Option<Response> {
    status(409, "AlreadyExists", "configmaps \"web\" already exists")
}

#[tokio::test]
async fn requests_go_over_http2() {
    let server = Server::start(|_| None).await;
    let cluster = server.connect().await;
    assert_eq!(
        cluster.get(&kind(), Some("shop"), "web").await.unwrap(),
        None
    );
    // HTTP/2 has no Host header.
    let seen = server.seen();
    assert!(seen.iter().all(|asked| !asked.headers.contains_key("host")));
    let agent = seen[0].headers[header::USER_AGENT].to_str().unwrap();
    assert!(agent.starts_with("openshifter/"), "{agent}");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = Server::start(|asked| match (asked.path.as_str(), asked.before) {
        (MAPS, 0) => {
            let wait = [(header::RETRY_AFTER, "1")];
            Some((StatusCode::TOO_MANY_REQUESTS, wait, "Too many requests").into_response())
        }
        (MAPS, _) => created(made("r1", 0)),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let start = Instant::now();
    cluster
        .create(Some("shop"), &map(), DryRun::No)
        .await
        .unwrap();
    assert!(start.elapsed().as_millis() >= 1000);
    // The server had turned it away unseen: no need to look whether it was made.
    assert_eq!(server.count("GET", MAP), 0);
    assert_eq!(server.count("POST", MAPS), 2);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found() {
    let server = Server::start(|asked| match asked {
        asked if asked.is("POST", MAPS) => status(504, "Timeout", "timed out"),
        asked if asked.is("GET", MAP) => ok(made("r1", 1)),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let object = cluster
        .create(Some("shop"), &map(), DryRun::No)
        .await
        .unwrap();
    assert_eq!(object.uid(), Some("u1"));
    assert_eq!(server.count("POST", MAPS), 1);
}

#[tokio::test]
async fn a_create_that_did_not_happen_is_repeated() {
    let server = Server::start(|asked| match asked {
        asked if asked.is("POST", MAPS) && asked.before == 0 => status(503, "", "no leader"),
        asked if asked.is("POST", MAPS) => created(made("r1", 0)),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    cluster
        .create(Some("shop"), &map(), DryRun::No)
        .await
        .unwrap();
    assert_eq!(server.count("POST", MAPS), 2);
}

/// What somebody else made, before or meanwhile, is never taken for ours.
#[tokio::test]
async fn an_object_of_others_is_not_ours() {
    for (run, age) in [("r2", 0), ("r1", 600)] {
        let server = Server::start(move |asked| match asked {
            asked if asked.is("POST", MAPS) && asked.before == 0 => status(504, "Timeout", "slow"),
            asked if asked.is("POST", MAPS) => exists(),
            asked if asked.is("GET", MAP) => ok(made(run, age)),
            _ => None,
        })
        .await;
        let cluster = server.connect().await;
        let error = cluster
            .create(Some("shop"), &map(), DryRun::No)
            .await
            .unwrap_err();
        assert!(error.is_already_exists(), "{error}");
    }
}

#[tokio::test]
async fn an_existing_object_is_no_reason_to_look() {
    let server = Server::start(|asked| match asked {
        asked if asked.is("POST", MAPS) => exists(),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let error = cluster
        .create(Some("shop"), &map(), DryRun::No)
        .await
        .unwrap_err();
    assert_eq!(server.count("GET", MAP), 0);
    insta::assert_snapshot!(shown(&error, &server), @r#"
    prod: cannot create ConfigMap/web in namespace shop: configmaps "web" already exists (409 AlreadyExists)
    hint: delete it, or say what is to happen to objects that exist
    "#);
}

#[tokio::test]
async fn a_500_without_a_reason_is_not_repeated_for_long() {
    let server = Server::start(|asked| match asked {
        asked if asked.is("POST", MAPS) => status(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let error = cluster
        .create(Some("shop"), &map(), DryRun::No)
        .await
        .unwrap_err();
    assert_eq!(server.count("POST", MAPS), 2);
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: cannot create ConfigMap/web in namespace shop: resourceVersion should not be set on objects to be created (500)
    hint: the server gives no reason; what was sent may hold fields that only servers set
    ");
}

#[tokio::test]
async fn trouble_that_stays_ends_in_its_error() {
    let server = Server::start(|asked| match asked.path.as_str() {
        MAP => status(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let error = cluster.get(&kind(), Some("shop"), "web").await.unwrap_err();
    assert_eq!(server.count("GET", MAP), 4);
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: cannot get ConfigMap/web in namespace shop: the server is currently unable to handle the request (503 ServiceUnavailable)
    hint: the server is in trouble: try again later, and ask its administrator if it stays
    ");
}

#[tokio::test]
async fn a_dry_run_says_so_and_is_refused_where_servers_would_act() {
    let server = Server::start(|asked| match asked {
        asked if asked.is("POST", MAPS) => created(made("r1", 0)),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    cluster
        .create(Some("shop"), &map(), DryRun::All)
        .await
        .unwrap();
    let asked = server.seen().pop().unwrap();
    assert_eq!(asked.query["dryRun"], "All");
    assert_eq!(asked.query["fieldManager"], "openshifter");
    assert_eq!(asked.body, *map().value());
    let request = json!({"apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest",
        "metadata": {"name": "shop"}});
    let request = Object::from_value(request).unwrap();
    let error = cluster
        .create(None, &request, DryRun::All)
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @"prod: a dry run of ProjectRequest.project.openshift.io is refused, since servers ignore that and act");
}

#[tokio::test]
async fn a_kind_or_version_that_is_not_served_is_told_apart() {
    let server = Server::start(|_| None).await;
    let cluster = server.connect().await;
    let old = json!({"apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": {"name": "a"}});
    let alien = json!({"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "Kafka", "metadata": {"name": "a"}});
    let mut texts = Vec::new();
    for value in [old, alien] {
        let object = Object::from_value(value).unwrap();
        let error = cluster
            .create(Some("shop"), &object, DryRun::No)
            .await
            .unwrap_err();
        assert!(matches!(error, ClusterError::KindNotServed { .. }));
        texts.push(shown(&error, &server));
    }
    insta::assert_snapshot!(texts.join("\n"), @r"
    prod: this cluster does not serve CronJob.batch in version v1beta1
    hint: it serves batch/v1
    prod: this cluster does not serve Kafka.kafka.strimzi.io in version v1beta2
    hint: install what brings this kind (its CustomResourceDefinition or operator) first, or leave it out
    ");
}

#[tokio::test]
async fn changes_are_sent_as_what_they_are() {
    let server = Server::start(|asked| {
        (asked.path == MAP && asked.method != "GET").then(|| ok(made("r1", 0)))?
    })
    .await;
    let cluster = server.connect().await;
    cluster.replace(Some("shop"), &map()).await.unwrap();
    let patch = json!({"data": {"a": null}});
    cluster
        .merge_patch(&kind(), Some("shop"), "web", &patch)
        .await
        .unwrap();
    cluster
        .apply(Some("shop"), &map(), "me", true, DryRun::All)
        .await
        .unwrap();
    let preconditions = Preconditions {
        uid: Some("u1".into()),
        resource_version: Some("9".into()),
    };
    let deleted = cluster
        .delete(
            &kind(),
            Some("shop"),
            "web",
            &preconditions,
            Propagation::Foreground,
        )
        .await
        .unwrap();
    assert!(deleted);
    let sent: Vec<_> = server
        .seen()
        .iter()
        .filter(|asked| asked.path == MAP)
        .map(in_words)
        .collect();
    insta::assert_snapshot!(sent.join("\n"), @r#"
    PUT fieldManager=openshifter application/json {"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"labels":{"run":"r1"},"name":"web"}}
    PATCH fieldManager=openshifter application/merge-patch+json {"data":{"a":null}}
    PATCH dryRun=All&fieldManager=me&force=true application/apply-patch+yaml {"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"labels":{"run":"r1"},"name":"web"}}
    DELETE  application/json {"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"resourceVersion":"9","uid":"u1"},"propagationPolicy":"Foreground"}
    "#);
}

fn in_words(asked: &Asked) -> String {
    let mut query: Vec<_> = asked
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    query.sort();
    let content = asked.headers[header::CONTENT_TYPE].to_str().unwrap();
    format!(
        "{} {} {content} {}",
        asked.method,
        query.join("&"),
        asked.body
    )
}

#[tokio::test]
async fn deleting_says_whether_it_was_there() {
    let server = Server::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("DELETE", "/api/v1/namespaces/shop/configmaps/gone") => None,
        ("DELETE", MAP) => status(
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"web\": the UID in the precondition (u1) does not match the UID in record (u2). The object might have been deleted and then recreated",
        ),
        // The answer to the first request is lost; the second finds nothing.
        ("DELETE", "/api/v1/namespaces/shop/configmaps/lost") if asked.before == 0 => {
            status(504, "Timeout", "timed out")
        }
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let uid = Preconditions {
        uid: Some("u1".into()),
        resource_version: None,
    };
    let delete = async |name: &str, preconditions: &Preconditions| {
        cluster
            .delete(
                &kind(),
                Some("shop"),
                name,
                preconditions,
                Propagation::Background,
            )
            .await
    };
    assert!(!delete("gone", &Preconditions::default()).await.unwrap());
    assert!(delete("lost", &uid).await.unwrap());
    let error = delete("web", &uid).await.unwrap_err();
    assert!(error.is_conflict());
    insta::assert_snapshot!(shown(&error, &server), @r#"
    prod: cannot delete ConfigMap/web in namespace shop: Operation cannot be fulfilled on configmaps "web": the UID in the precondition (u1) does not match the UID in record (u2). The object might have been deleted and then recreated (409 Conflict)
    hint: somebody else changed it meanwhile: read it again and repeat
    "#);
    // Without a precondition a second request might hit another object.
    let path = "/api/v1/namespaces/shop/configmaps/unsure";
    assert_eq!(server.count("DELETE", path), 0);
}

#[tokio::test]
async fn a_bare_success_gives_back_what_was_sent() {
    let at = "/apis/image.openshift.io/v1/namespaces/shop/imagestreammappings";
    let server = Server::start(move |asked| {
        (asked.path == at).then(|| created(json!({"kind": "Status", "status": "Success"})))?
    })
    .await;
    let cluster = server.connect().await;
    let mapping = json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamMapping",
        "metadata": {"name": "web"}, "tag": "latest"});
    let mapping = Object::from_value(mapping).unwrap();
    let made = cluster
        .create(Some("shop"), &mapping, DryRun::No)
        .await
        .unwrap();
    assert_eq!(made, mapping);
}

#[tokio::test]
async fn scaling_goes_by_the_subresource() {
    let at = "/apis/apps.openshift.io/v1/namespaces/shop/deploymentconfigs/web/scale";
    let server = Server::start(move |asked| (asked.path == at).then(|| ok(json!({})))?).await;
    let cluster = server.connect().await;
    let config = GroupKind::new("apps.openshift.io", "DeploymentConfig");
    cluster
        .scale(&config, Some("shop"), "web", 0)
        .await
        .unwrap();
    assert_eq!(
        server.seen().pop().unwrap().body,
        json!({"spec": {"replicas": 0}})
    );
}

#[tokio::test]
async fn rights_and_logs_are_asked_for() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
            let wanted = &asked.body["spec"]["resourceAttributes"];
            let allowed = wanted["resource"] == "pods" && wanted["subresource"] == "exec";
            created(json!({"status": {"allowed": allowed}}))
        }
        "/api/v1/namespaces/shop/pods/web/log" => {
            assert_eq!(asked.query["tailLines"], "2");
            Some("one\ntwo\n".into_response())
        }
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    assert!(
        cluster
            .can_i(Some("shop"), "create", "", "pods/exec")
            .await
            .unwrap()
    );
    assert!(
        !cluster
            .can_i(Some("shop"), "create", "", "secrets")
            .await
            .unwrap()
    );
    let log = cluster.logs("shop", "web", None, Some(2)).await.unwrap();
    assert_eq!(log, "one\ntwo\n");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_read_again() {
    let server = Server::start(|asked| match (asked.path.as_str(), asked.before) {
        (MAP, 0) => {
            let pieces = [
                Ok(bytes::Bytes::from_static(b"{\"kind\": \"Conf")),
                Err(std::io::Error::other("cut")),
            ];
            let body = axum::body::Body::from_stream(futures::stream::iter(pieces));
            Some(body.into_response())
        }
        (MAP, _) => ok(made("r1", 0)),
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let found = cluster.get(&kind(), Some("shop"), "web").await.unwrap();
    assert_eq!(found.unwrap().name(), "web");
    assert_eq!(server.count("GET", MAP), 2);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for() {
    let server = Server::start(|asked| match asked.path.as_str() {
        MAP => {
            // The head comes, the body never does.
            let body = axum::body::Body::from_stream(futures::stream::pending::<
                Result<bytes::Bytes, std::io::Error>,
            >());
            Some(body.into_response())
        }
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let preconditions = Preconditions::default();
    let error = cluster
        .delete(
            &kind(),
            Some("shop"),
            "web",
            &preconditions,
            Propagation::Background,
        )
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: no answer when trying to delete ConfigMap/web in namespace shop: nothing came for 2 s
    hint: try again; whatever was changed is found again by its name
    ");
    assert_eq!(server.count("DELETE", MAP), 1);
}
