//! The routes that only look: `/descriptor`, `/volumes`, `/contexts`, `/spaces`.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use openshifter_cluster::{Access, Cluster, ClusterError, Tuning};
use openshifter_objects::{GroupKind, Object, Unlisted, places};
use openshifter_refactor::select;
use serde_json::{Value, json};

use super::warning;
use crate::app::App;
use crate::clusters::{logged_out, session};
use crate::place::Place;
use crate::problem::{Code, Problem};

/// A context whose cluster is down holds up `/spaces` no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The application's objects as the cluster serves them, as one List.
pub(super) async fn descriptor(app: App, place: Place) -> Result<Response, Problem> {
    let access = app.clusters.access(&place)?;
    app.carry_out(move || async move {
        session(&access, async |cluster| {
            let listing = cluster.list_namespace(&place.project, None).await?;
            let inventory = select(listing.objects, listing.unlisted, None);
            let items: Vec<Value> = inventory
                .objects
                .into_iter()
                .map(Object::into_value)
                .collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
            let mut response = Json(list).into_response();
            warn_of(&mut response, &inventory.unlisted);
            Ok(response)
        })
        .await
    })
    .await
}

/// Mount paths of claims, by pod.
pub(super) async fn volumes(app: App, place: Place) -> Result<Response, Problem> {
    let access = app.clusters.access(&place)?;
    app.carry_out(move || async move {
        session(&access, async |cluster| {
            let pods = pods(&cluster, &place.project).await?;
            let mounts: BTreeMap<&str, Vec<&str>> = pods
                .iter()
                .map(|pod| (pod.name(), claim_mounts(pod)))
                .collect();
            Ok(Json(mounts).into_response())
        })
        .await
    })
    .await
}

async fn pods(cluster: &Cluster, project: &str) -> Result<Vec<Object>, Problem> {
    match cluster.namespace_exists(project).await {
        Ok(true) => {}
        Ok(false) => {
            return Err(ClusterError::NoSuchNamespace {
                cluster: cluster.name().to_owned(),
                namespace: project.to_owned(),
                hidden: true,
            }
            .into());
        }
        // Kubernetes does not tell everybody; then the list of pods does.
        Err(error) if error.is_forbidden() => {}
        Err(error) => return Err(error.into()),
    }
    let discovery = cluster.discovery().await?;
    let pod = discovery
        .find(&GroupKind::new("", "Pod"))
        .ok_or_else(|| Problem::new(Code::ClusterFailed, "the cluster serves no pods"))?;
    Ok(cluster.list(pod, Some(project), None).await?)
}

/// Where the containers of a pod mount its claims, each path once.
fn claim_mounts(pod: &Object) -> Vec<&str> {
    let claims: Vec<&str> = places(pod.value(), "/spec/volumes/*")
        .into_iter()
        .filter(|(_, volume)| volume.get("persistentVolumeClaim").is_some())
        .filter_map(|(_, volume)| volume["name"].as_str())
        .collect();
    let mut paths = Vec::new();
    for pattern in [
        "/spec/initContainers/*/volumeMounts/*",
        "/spec/containers/*/volumeMounts/*",
    ] {
        for (_, mount) in places(pod.value(), pattern) {
            if let (Some(name), Some(path)) = (mount["name"].as_str(), mount["mountPath"].as_str())
                && claims.contains(&name)
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
    }
    paths
}

/// Names of the kubeconfig's contexts.
pub(super) async fn contexts(app: App) -> Result<Response, Problem> {
    let names: Vec<String> = reachable(&app)
        .await?
        .into_iter()
        .map(|access| access.name)
        .collect();
    Ok(Json(names).into_response())
}

/// Projects by context. A context that cannot be asked is left out, and said in a `Warning`.
pub(super) async fn spaces(app: App) -> Result<Response, Problem> {
    app.carry_out({
        let app = app.clone();
        move || async move {
            let contexts = reachable(&app).await?;
            let asked = join_all(contexts.iter().map(async |access| {
                let tuning = Tuning {
                    connect_timeout: PATIENCE,
                    answer_timeout: PATIENCE,
                    attempts: 1,
                    ..Tuning::default()
                };
                let cluster = Cluster::connect_tuned(access, tuning).await?;
                logged_out(&[&cluster], async { Ok(cluster.namespaces().await?) }).await
            }))
            .await;
            let mut spaces = BTreeMap::new();
            let mut failed: Vec<Problem> = Vec::new();
            for (access, result) in contexts.iter().zip(asked) {
                match result {
                    Ok(names) => {
                        spaces.insert(access.name.as_str(), names);
                    }
                    Err(problem) => failed.push(problem),
                }
            }
            if spaces.is_empty()
                && let Some(first) = failed.first()
            {
                return Err(first.clone());
            }
            let mut response = Json(spaces).into_response();
            for problem in failed {
                warning(&mut response, &problem.message);
            }
            Ok(response)
        }
    })
    .await
}

/// The contexts that this service may show.
async fn reachable(app: &App) -> Result<Vec<Access>, Problem> {
    let kubeconfig = app.clusters.kubeconfig.as_deref();
    let names = match Access::contexts(kubeconfig) {
        Ok(names) => names,
        // Nobody named a file, and there is none: there are no contexts.
        Err(error) if kubeconfig.is_none() && is_missing(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names {
        match Access::from_context(kubeconfig, Some(&name)).await {
            Ok(access) if app.clusters.is_allowed(&access.base) => found.push(access),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(context = name, %error, "a context of the kubeconfig cannot be used");
            }
        }
    }
    Ok(found)
}

fn is_missing(error: &ClusterError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::NotFound;
        }
        cause = error.source();
    }
    false
}

fn warn_of(response: &mut Response, unlisted: &[Unlisted]) {
    for unlisted in unlisted {
        warning(
            response,
            &format!("{} are missing: {}", unlisted.resource, unlisted.reason),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_claims_are_shown_each_once() {
        let pod = Object::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db"},
            "spec": {
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                    {"name": "token", "secret": {"secretName": "t"}},
                ],
                "containers": [
                    {"name": "a", "volumeMounts": [
                        {"name": "data", "mountPath": "/data/db"}, {"name": "token", "mountPath": "/token"},
                    ]},
                    {"name": "b", "volumeMounts": [
                        {"name": "data", "mountPath": "/data/db"}, {"name": "data", "mountPath": "/backup"},
                    ]},
                ],
            },
        }))
        .unwrap();
        assert_eq!(claim_mounts(&pod), ["/data/db", "/backup"]);
    }
}
