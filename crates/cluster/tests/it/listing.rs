//! Discovery and lists.

use openshifter_cluster::ClusterError;
use openshifter_objects::GroupKind;
use serde_json::{Value, json};

use crate::server::{Server, ok, shown, status};

fn page(names: &[&str], next: &str) -> Value {
    let items: Vec<_> = names
        .iter()
        .map(|name| json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")}}))
        .collect();
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": next}, "items": items})
}

fn project() -> Value {
    json!({"apiVersion": "project.openshift.io/v1", "kind": "Project", "metadata": {"name": "shop"},
        "status": {"phase": "Active"}})
}

const PROJECT: &str = "/apis/project.openshift.io/v1/projects/shop";

#[tokio::test]
async fn discovery_of_a_genuine_openshift_is_two_requests() {
    let server = Server::start(|_| None).await;
    let cluster = server.connect().await;
    let discovery = cluster.discovery().await.unwrap();
    assert!(cluster.is_openshift().await.unwrap());
    cluster.discovery().await.unwrap();
    assert_eq!(server.count("GET", "/apis"), 1);
    // One request of the connection, one of discovery.
    assert_eq!(server.count("GET", "/api"), 2);
    let route = discovery
        .find(&GroupKind::new("route.openshift.io", "Route"))
        .unwrap();
    assert_eq!(
        route.path(Some("shop"), Some("web")),
        "/apis/route.openshift.io/v1/namespaces/shop/routes/web"
    );
    let scaler = GroupKind::new("autoscaling", "HorizontalPodAutoscaler");
    assert_eq!(
        discovery.versions(&scaler),
        ["autoscaling/v2", "autoscaling/v1"]
    );
    assert_eq!(discovery.find(&scaler).unwrap().version, "v2");
    assert_eq!(
        discovery.find_version(&scaler, "v1").unwrap().plural,
        "horizontalpodautoscalers"
    );
    let config = discovery
        .find(&GroupKind::new("apps.openshift.io", "DeploymentConfig"))
        .unwrap();
    assert!(discovery.has_scale(config));
    assert!(!discovery.has_scale(route));
}

#[tokio::test]
async fn plain_discovery_finds_kinds_of_versions_that_are_not_preferred() {
    let resource = |name: &str, kind: &str| json!({"name": name, "kind": kind, "namespaced": true, "verbs": ["get", "list", "create"]});
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/api" => ok(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => ok(json!({"kind": "APIGroupList", "groups": [
            {"name": "batch", "versions": [{"version": "v1beta1"}, {"version": "v1"}], "preferredVersion": {"version": "v1"}},
            {"name": "metrics.k8s.io", "versions": [{"version": "v1beta1"}]}]})),
        "/api/v1" => ok(json!({"resources": [resource("pods", "Pod"), resource("pods/log", "Pod")]})),
        "/apis/batch/v1" => ok(json!({"resources": [resource("jobs", "Job")]})),
        "/apis/batch/v1beta1" => ok(json!({"resources": [resource("jobs", "Job"), resource("cronjobs", "CronJob")]})),
        "/apis/metrics.k8s.io/v1beta1" => status(500, "", "down"),
        _ => None,
    })
    .await;
    let discovery = server.connect().await.discovery().await.unwrap();
    let kinds: Vec<_> = discovery
        .all()
        .iter()
        .map(|one| format!("{} {}", one.api_version(), one.plural))
        .collect();
    assert_eq!(
        kinds,
        ["v1 pods", "batch/v1 jobs", "batch/v1beta1 cronjobs"]
    );
    assert_eq!(discovery.failed_groups(), ["metrics.k8s.io/v1beta1"]);
}

#[tokio::test]
async fn a_namespace_is_listed_whole_and_each_object_once() {
    let server = Server::start(|asked| {
        if asked.path == PROJECT {
            return ok(project());
        }
        let plural = asked.path.strip_prefix("/api/v1/namespaces/shop/");
        match (plural, asked.query.get("continue").map(String::as_str)) {
            (Some("configmaps"), None) => ok(page(&["a", "b"], "next")),
            (Some("configmaps"), Some("next")) => ok(page(&["c"], "")),
            // The same object under another name.
            (Some("podtemplates"), _) => ok(page(&["c"], "")),
            (Some("secrets"), _) => status(
                403,
                "Forbidden",
                "secrets is forbidden: User \"dev\" cannot list",
            ),
            (Some("endpoints"), _) => status(503, "ServiceUnavailable", "no endpoints"),
            _ if asked.path.contains("/namespaces/shop/") => ok(page(&[], "")),
            _ => None,
        }
    })
    .await;
    let cluster = server.connect().await;
    let selector = "app in (web,db)".parse().unwrap();
    let listing = cluster
        .list_namespace("shop", Some(&selector))
        .await
        .unwrap();
    let objects: Vec<_> = listing
        .objects
        .iter()
        .map(|object| format!("{} {}", object.api_version(), object.key()))
        .collect();
    assert_eq!(
        objects,
        ["v1 ConfigMap/a", "v1 ConfigMap/b", "v1 ConfigMap/c"]
    );
    insta::assert_debug_snapshot!(listing.unlisted, @r#"
    [
        Unlisted {
            resource: "endpoints",
            reason: "no endpoints (503)",
            forbidden: false,
        },
        Unlisted {
            resource: "secrets",
            reason: "secrets is forbidden: User \"dev\" cannot list (403)",
            forbidden: true,
        },
    ]
    "#);
    let asked: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|asked| asked.path.contains("/namespaces/shop/"))
        .collect();
    for one in &asked {
        assert_eq!(one.query["labelSelector"], "app in (web,db)");
        assert_eq!(one.query["limit"], "500");
    }
    let count = |part: &str| asked.iter().filter(|one| one.path.contains(part)).count();
    assert_eq!(
        count("rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings"),
        1
    );
    assert_eq!(
        count("authorization.openshift.io/v1/namespaces/shop/rolebindings"),
        0
    );
    assert_eq!(count("/events"), 0);
    assert_eq!(count("imagestreamtags"), 0);
    assert_eq!(count("/imagestreams"), 1);
    assert_eq!(count("/endpointslices"), 1);
    assert!(asked.len() > 30, "{}", asked.len());
}

#[tokio::test]
async fn an_expired_continuation_begins_the_list_anew() {
    let server = Server::start(|asked| {
        if asked.path != "/api/v1/namespaces/shop/pods" {
            return None;
        }
        match (asked.query.get("continue"), asked.before) {
            (None, 0) => ok(page(&["old"], "stale")),
            (Some(_), 1) => status(410, "Expired", "The provided continue parameter is too old"),
            (None, _) => ok(page(&["new"], "")),
            _ => None,
        }
    })
    .await;
    let cluster = server.connect().await;
    let discovery = cluster.discovery().await.unwrap();
    let pods = discovery.find(&GroupKind::new("", "Pod")).unwrap();
    let names: Vec<_> = cluster
        .list(pods, Some("shop"), None)
        .await
        .unwrap()
        .iter()
        .map(|pod| pod.name().to_owned())
        .collect();
    assert_eq!(names, ["new"]);
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_no_empty_one() {
    let server = Server::start(|asked| match asked.path.as_str() {
        PROJECT => status(404, "NotFound", "projects \"shop\" not found"),
        "/apis/project.openshift.io/v1/projects/hidden" => {
            status(403, "Forbidden", "projects \"hidden\" is forbidden")
        }
        path if path.contains("/namespaces/hidden/") => status(403, "Forbidden", "forbidden"),
        _ => ok(page(&[], "")).filter(|_| asked.path.contains("/namespaces/")),
    })
    .await;
    let cluster = server.connect().await;
    let missing = cluster.list_namespace("shop", None).await.unwrap_err();
    assert!(matches!(missing, ClusterError::NoSuchNamespace { .. }));
    insta::assert_snapshot!(shown(&missing, &server), @r"
    prod: there is no namespace `shop`
    hint: check the spelling and the cluster
    ");
    let hidden = cluster.list_namespace("hidden", None).await.unwrap_err();
    insta::assert_snapshot!(shown(&hidden, &server), @r"
    prod: there is no namespace `hidden`, or this user may not see it
    hint: check the spelling, or ask for access to it with a role such as `view` or `admin`
    ");
}
