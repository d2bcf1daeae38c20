//! Pods as they are admitted: service account, token volume, priority, quality of service, and the
//! security context constraint.

use serde_json::{Value, json};

use super::values::default;
use super::{Context, constraints};
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::metadata;

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn on_create(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    if !pod["spec"].is_object() {
        return Ok(());
    }
    service_account(context, pod)?;
    limits_are_requests(pod);
    default(pod, "spec.enableServiceLinks", json!(true));
    default(pod, "spec.priority", json!(0));
    default(pod, "spec.preemptionPolicy", json!("PreemptLowerPriority"));
    tolerations(pod);
    if context.settings.openshift {
        constraints::admit(context, pod)?;
    }
    pod["status"]["qosClass"] = json!(quality(pod));
    Ok(())
}

fn service_account(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    default(pod, "spec.serviceAccountName", json!("default"));
    let name = pod["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    pod["spec"]["serviceAccount"] = json!(name);
    let namespace = metadata::namespace(pod).unwrap_or_default().to_owned();
    let account = context
        .state
        .get(&ResourceId::core("serviceaccounts"), Some(&namespace), &name)
        .ok_or_else(|| {
            ApiError::forbidden(
                "",
                "pods",
                metadata::name(pod),
                format!(
                    "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
                ),
            )
        })?;
    let secrets = &account["imagePullSecrets"];
    if pod["spec"]["imagePullSecrets"].is_null()
        && secrets.as_array().is_some_and(|all| !all.is_empty())
    {
        pod["spec"]["imagePullSecrets"] = secrets.clone();
    }
    let automount = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if automount {
        mount_token(context, pod);
    }
    Ok(())
}

fn mount_token(context: &Context<'_>, pod: &mut Value) {
    let spec = &mut pod["spec"];
    let known = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|volume| volume["name"].as_str())
        .find(|name| name.starts_with("kube-api-access-"))
        .map(str::to_owned);
    let is_there = known.is_some();
    let volume = known.unwrap_or_else(|| format!("kube-api-access-{}", metadata::suffix(5)));
    let mount = json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH});
    let mut mounted = false;
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mut mounts = container["volumeMounts"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if mounts.iter().all(|mount| mount["mountPath"] != TOKEN_PATH) {
                mounts.push(mount.clone());
                container["volumeMounts"] = json!(mounts);
                mounted = true;
            }
        }
        // Indexing made the list where there was none.
        if spec[list].is_null()
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove(list);
        }
    }
    if is_there || !mounted {
        return;
    }
    let mut sources = vec![
        json!({"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}),
        json!({"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        json!({"downwardAPI": {"items": [{
            "path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
        }]}}),
    ];
    if context.settings.openshift {
        sources.push(json!({"configMap": {
            "name": "openshift-service-ca.crt",
            "items": [{"key": "service-ca.crt", "path": "service-ca.crt"}],
        }}));
    }
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    volumes.push(json!({
        "name": volume,
        "projected": {"sources": sources, "defaultMode": 420},
    }));
    spec["volumes"] = json!(volumes);
}

fn limits_are_requests(pod: &mut Value) {
    for list in ["containers", "initContainers"] {
        for container in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some(limits) = container["resources"]["limits"].as_object().cloned() else {
                continue;
            };
            default(container, "resources.requests", json!({}));
            for (resource, amount) in limits {
                if container["resources"]["requests"][&resource].is_null() {
                    container["resources"]["requests"][&resource] = amount;
                }
            }
        }
    }
}

fn tolerations(pod: &mut Value) {
    let mut all = pod["spec"]["tolerations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        if all.iter().all(|one| one["key"] != key) {
            all.push(json!({
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }));
        }
    }
    pod["spec"]["tolerations"] = json!(all);
}

fn quality(pod: &Value) -> &'static str {
    let containers: Vec<&Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let part = |container: &Value, kind: &str, resource: &str| {
        container["resources"][kind][resource].clone()
    };
    let each = ["cpu", "memory"];
    if containers.iter().all(|container| {
        each.iter().all(|resource| {
            part(container, "requests", resource).is_null()
                && part(container, "limits", resource).is_null()
        })
    }) {
        return "BestEffort";
    }
    if containers.iter().all(|container| {
        each.iter().all(|resource| {
            let limit = part(container, "limits", resource);
            !limit.is_null() && limit == part(container, "requests", resource)
        })
    }) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
