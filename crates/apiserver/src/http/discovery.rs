//! Which resources there are.

use serde_json::{Map, Value, json};

use super::App;
use super::openapi;
use super::respond::{Accept, Answer, Shape};
use crate::catalogue::ResourceType;
use crate::error::ApiError;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.2+openshifter-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// Kind, group, version and verbs of a subresource.
fn subresource(
    kind: &ResourceType,
    name: &str,
) -> (
    String,
    Option<(&'static str, &'static str)>,
    &'static [&'static str],
) {
    const CHANGE: &[&str] = &["get", "patch", "update"];
    const CREATE: &[&str] = &["create"];
    let own = kind.kind.clone();
    match name {
        "status" => (own, None, CHANGE),
        "scale" if kind.group == "apps.openshift.io" => {
            ("Scale".to_owned(), Some(("extensions", "v1beta1")), CHANGE)
        }
        "scale" => ("Scale".to_owned(), Some(("autoscaling", "v1")), CHANGE),
        "exec" => ("PodExecOptions".to_owned(), None, &["create", "get"]),
        "portforward" => ("PodPortForwardOptions".to_owned(), None, &["create", "get"]),
        "log" if kind.plural == "builds" => ("BuildLog".to_owned(), None, &["get"]),
        "log" => (own, None, &["get"]),
        "binding" => ("Binding".to_owned(), None, CREATE),
        "eviction" => ("Eviction".to_owned(), Some(("policy", "v1")), CREATE),
        "token" => (
            "TokenRequest".to_owned(),
            Some(("authentication.k8s.io", "v1")),
            CREATE,
        ),
        "finalize" => (own, None, &["update"]),
        "instantiate" if kind.plural == "buildconfigs" => ("BuildRequest".to_owned(), None, CREATE),
        "instantiate" => ("DeploymentRequest".to_owned(), None, CREATE),
        "webhooks" => ("Build".to_owned(), None, CREATE),
        "clone" => ("BuildRequest".to_owned(), None, CREATE),
        "details" => (own, None, &["update"]),
        "layers" => ("ImageStreamLayers".to_owned(), None, &["get"]),
        "secrets" => ("SecretList".to_owned(), None, &["get"]),
        "instantiatebinary" => ("BinaryBuildRequestOptions".to_owned(), None, CREATE),
        "rollback" => ("DeploymentConfigRollback".to_owned(), None, CREATE),
        _ => (own, None, CREATE),
    }
}

/// Answers a path that names no resource.
pub(crate) fn answer(app: &App, path: &str, accept: &Accept) -> Result<Answer, ApiError> {
    let all = app.store.catalogue().all();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if !accept.possible && parts[0] != "openapi" {
        return Err(ApiError::not_acceptable(super::respond::AVAILABLE));
    }
    let of = |group: &str, version: &str| -> Vec<&ResourceType> {
        all.iter()
            .map(|kind| &**kind)
            .filter(|kind| kind.group == group && kind.version == version)
            .collect()
    };
    let aggregated = accept.shape == Shape::Aggregated;
    let body = match parts.as_slice() {
        [""] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/openapi/v2", "/openapi/v3", "/version"]})
        }
        ["api"] if aggregated => return Ok(aggregate(&all, true)),
        ["apis"] if aggregated => return Ok(aggregate(&all, false)),
        ["api"] => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{
                "clientCIDR": "0.0.0.0/0",
                "serverAddress": app.url.trim_start_matches("https://"),
            }],
        }),
        ["apis"] => {
            let groups: Vec<Value> = groups(&all).iter().map(|name| group(&all, name)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] if groups(&all).iter().any(|known| known == name) => {
            let mut one = group(&all, name);
            one["kind"] = json!("APIGroup");
            one["apiVersion"] = json!("v1");
            one
        }
        ["api", version] if !of("", version).is_empty() => resources("", version, &of("", version)),
        ["apis", group, version] if !of(group, version).is_empty() => {
            resources(group, version, &of(group, version))
        }
        ["openapi", "v3", rest @ ..] => {
            return openapi::answer(&all, rest).ok_or_else(ApiError::no_such_path);
        }
        ["version", "openshift"] => return Err(ApiError::no_such_resource()),
        _ => return Err(ApiError::no_such_path()),
    };
    Ok(Answer::json(body))
}

fn groups(all: &[std::sync::Arc<ResourceType>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for kind in all {
        if !kind.group.is_empty() && !names.contains(&kind.group) {
            names.push(kind.group.clone());
        }
    }
    names
}

fn versions(all: &[std::sync::Arc<ResourceType>], group: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for kind in all.iter().filter(|kind| kind.group == group) {
        if !versions.contains(&kind.version) {
            versions.push(kind.version.clone());
        }
    }
    versions
}

fn group(all: &[std::sync::Arc<ResourceType>], name: &str) -> Value {
    let versions: Vec<Value> = versions(all, name)
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
}

fn resources(group: &str, version: &str, kinds: &[&ResourceType]) -> Value {
    let mut list = Vec::new();
    for kind in kinds {
        let mut entry = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": kind.verbs,
        });
        if !kind.short_names.is_empty() {
            entry["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        list.push(entry);
        for name in &kind.subresources {
            let (sub_kind, place, verbs) = subresource(kind, name);
            let mut entry = json!({
                "name": format!("{}/{name}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": sub_kind,
                "verbs": verbs,
            });
            if let Some((group, version)) = place {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            list.push(entry);
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let mut document = json!({
        "kind": "APIResourceList",
        "groupVersion": group_version,
        "resources": list,
    });
    if !group.is_empty() {
        document["apiVersion"] = json!("v1");
    }
    document
}

fn aggregate(all: &[std::sync::Arc<ResourceType>], core: bool) -> Answer {
    let names = if core {
        vec![String::new()]
    } else {
        groups(all)
    };
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let versions: Vec<Value> = versions(all, name)
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = all
                        .iter()
                        .filter(|kind| kind.group == *name && kind.version == *version)
                        .map(|kind| aggregated_resource(kind))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let mut metadata = Map::new();
            if !name.is_empty() {
                metadata.insert("name".to_owned(), json!(name));
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    Answer::Json {
        status: http::StatusCode::OK,
        body: json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }),
        warnings: Vec::new(),
        content_type: Some(AGGREGATED),
    }
}

fn aggregated_resource(kind: &ResourceType) -> Value {
    let mut entry = json!({
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    let subresources: Vec<Value> = kind
        .subresources
        .iter()
        .map(|name| {
            let (sub_kind, place, verbs) = subresource(kind, name);
            let (group, version) = place.unwrap_or_default();
            json!({
                "subresource": name,
                "responseKind": {"group": group, "version": version, "kind": sub_kind},
                "verbs": verbs,
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}
