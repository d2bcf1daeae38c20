//! Pod templates, and the workloads around them.

use serde_json::{Value, json};

use super::Context;
use super::values::{at, default, map_at};
use crate::catalogue::ResourceType;
use crate::error::{ApiError, Cause};
use crate::metadata;

/// Where a kind keeps its pod template.
fn template_path(kind: &ResourceType) -> Option<&'static str> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("", "replicationcontrollers")
        | ("batch", "jobs")
        | ("apps.openshift.io", "deploymentconfigs") => Some("spec.template"),
        ("batch", "cronjobs") => Some("spec.jobTemplate.spec.template"),
        ("", "podtemplates") => Some("template"),
        _ => None,
    }
}

fn list<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    value
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Fills in the defaults of pod templates and what lies around them.
pub(super) fn complete(kind: &ResourceType, object: &mut Value) {
    if kind.id().is("", "pods") {
        pod_spec(&mut object["spec"]);
    }
    if let Some(path) = template_path(kind) {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(template) = object.pointer_mut(&pointer).filter(|one| one.is_object()) {
            default(template, "metadata", json!({}));
            if let Some(spec) = template.get_mut("spec").filter(|spec| spec.is_object()) {
                pod_spec(spec);
            }
        }
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments") => {
            if object["spec"]["strategy"]["type"] == "RollingUpdate" {
                default(object, "spec.strategy.rollingUpdate", json!({}));
                default(
                    object,
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    json!("25%"),
                );
                default(object, "spec.strategy.rollingUpdate.maxSurge", json!("25%"));
            }
            drop_null(object, "spec.strategy", "rollingUpdate");
        }
        ("apps", "statefulsets") => {
            if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
                default(object, "spec.updateStrategy.rollingUpdate", json!({}));
                default(
                    object,
                    "spec.updateStrategy.rollingUpdate.partition",
                    json!(0),
                );
            }
            for claim in list(&mut object["spec"], "volumeClaimTemplates") {
                claim["apiVersion"] = json!("v1");
                claim["kind"] = json!("PersistentVolumeClaim");
                default(claim, "spec.volumeMode", json!("Filesystem"));
                claim["status"] = json!({"phase": "Pending"});
            }
        }
        ("apps", "daemonsets") if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" => {
            default(object, "spec.updateStrategy.rollingUpdate", json!({}));
            default(
                object,
                "spec.updateStrategy.rollingUpdate.maxUnavailable",
                json!(1),
            );
            default(
                object,
                "spec.updateStrategy.rollingUpdate.maxSurge",
                json!(0),
            );
        }
        ("batch", "cronjobs") => {
            default(object, "spec.jobTemplate.metadata", json!({}));
        }
        ("", "replicationcontrollers") => {
            let labels = object["spec"]["template"]["metadata"]["labels"].clone();
            if labels.is_object() {
                if object["spec"]["selector"]
                    .as_object()
                    .is_none_or(serde_json::Map::is_empty)
                {
                    object["spec"]["selector"] = labels.clone();
                }
                default(object, "metadata.labels", labels);
            }
        }
        _ => {}
    }
}

fn drop_null(object: &mut Value, path: &str, field: &str) {
    if let Some(map) = map_at(object, path)
        && map.get(field).is_some_and(Value::is_null)
    {
        map.remove(field);
    }
}

fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ] {
        default(spec, field, value);
    }
    // The old name of the field is kept beside the new one.
    match (
        spec["serviceAccountName"].clone(),
        spec["serviceAccount"].clone(),
    ) {
        (Value::String(name), _) if !name.is_empty() => spec["serviceAccount"] = json!(name),
        (_, Value::String(name)) if !name.is_empty() => spec["serviceAccountName"] = json!(name),
        _ => {}
    }
    for name in ["containers", "initContainers"] {
        for one in list(spec, name) {
            container(one);
        }
    }
    for volume in list(spec, "volumes") {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if volume[source].is_object() {
                default(volume, &format!("{source}.defaultMode"), json!(420));
            }
        }
        if volume["hostPath"].is_object() {
            default(volume, "hostPath.type", json!(""));
        }
        for source in volume
            .get_mut("projected")
            .into_iter()
            .flat_map(|projected| list(projected, "sources"))
        {
            if source["serviceAccountToken"].is_object() {
                default(source, "serviceAccountToken.expirationSeconds", json!(3600));
            }
        }
        if volume
            .as_object()
            .is_some_and(|volume| volume.len() == 1 && volume.contains_key("name"))
        {
            volume["emptyDir"] = json!({});
        }
    }
}

fn container(container: &mut Value) {
    if !container.is_object() {
        return;
    }
    let image = container["image"].as_str().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !name.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    let policy = if latest { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", json!(policy));
    default(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "resources", json!({}));
    for port in list(container, "ports") {
        default(port, "protocol", json!("TCP"));
    }
    for variable in list(container, "env") {
        if variable["valueFrom"]["fieldRef"].is_object() {
            default(variable, "valueFrom.fieldRef.apiVersion", json!("v1"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if !container[probe].is_object() {
            continue;
        }
        for (field, value) in [
            ("timeoutSeconds", 1),
            ("periodSeconds", 10),
            ("successThreshold", 1),
            ("failureThreshold", 3),
        ] {
            default(container, &format!("{probe}.{field}"), json!(value));
        }
        if container[probe]["httpGet"].is_object() {
            default(container, &format!("{probe}.httpGet.scheme"), json!("HTTP"));
            default(container, &format!("{probe}.httpGet.path"), json!("/"));
        }
    }
}

/// What is wrong with a workload.
pub(super) fn problems(kind: &ResourceType, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind.id().is("", "pods") {
        causes.extend(spec_problems(&object["spec"], "spec", &[]));
        return causes;
    }
    let Some(path) = template_path(kind) else {
        return causes;
    };
    let template = at(object, path);
    if !template.is_object() {
        return causes;
    }
    let labels = &template["metadata"]["labels"];
    let spec = &object["spec"];
    let selector = match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", _) => Some(&spec["selector"]["matchLabels"]),
        ("", "replicationcontrollers") => Some(&spec["selector"]),
        ("apps.openshift.io", _) => Some(&spec["selector"]),
        _ => None,
    };
    if let Some(Value::Object(selector)) = selector
        && selector.iter().any(|(key, value)| labels[key] != *value)
    {
        let shown = if labels.is_null() {
            json!({})
        } else {
            labels.clone()
        };
        causes.push(Cause::invalid(
            format!("{path}.metadata.labels"),
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
    if kind.group == "apps"
        && spec["selector"].is_object()
        && spec["selector"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    {
        causes.push(Cause::invalid(
            "spec.selector",
            &json!({}),
            format!("empty selector is invalid for {}", kind.singular),
        ));
    }
    // A StatefulSet's claims are volumes of its pods.
    let claims: Vec<Value> = spec["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|claim| claim["metadata"]["name"].clone())
        .collect();
    causes.extend(spec_problems(
        &template["spec"],
        &format!("{path}.spec"),
        &claims,
    ));
    let restart = &template["spec"]["restartPolicy"];
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("batch", _) if !matches!(restart.as_str(), Some("OnFailure" | "Never")) => {
            causes.push(Cause::unsupported(
                format!("{path}.spec.restartPolicy"),
                restart,
                &["OnFailure", "Never"],
            ));
        }
        ("batch", _) => {}
        _ if restart.as_str().is_some_and(|restart| restart != "Always") => {
            causes.push(Cause::unsupported(
                format!("{path}.spec.restartPolicy"),
                restart,
                &["Always"],
            ));
        }
        _ => {}
    }
    if kind.id().is("apps", "deployments")
        && spec["strategy"]["type"] == "Recreate"
        && !spec["strategy"]["rollingUpdate"].is_null()
    {
        causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    if spec["replicas"]
        .as_i64()
        .is_some_and(|replicas| replicas < 0)
    {
        causes.push(Cause::invalid(
            "spec.replicas",
            &spec["replicas"],
            "must be greater than or equal to 0",
        ));
    }
    causes
}

fn spec_problems(spec: &Value, path: &str, claims: &[Value]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let items = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
    if items("containers").is_empty() && path != "spec" {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let volumes: Vec<Value> = items("volumes")
        .iter()
        .map(|volume| volume["name"].clone())
        .collect();
    let mut seen = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(list).iter().enumerate() {
            let place = format!("{path}.{list}[{index}]");
            let name = &container["name"];
            match name.as_str().unwrap_or_default() {
                "" => causes.push(Cause::required(format!("{place}.name"), "")),
                text if !metadata::is_label(text) => {
                    causes.push(Cause::invalid(
                        format!("{place}.name"),
                        name,
                        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                         start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                    ));
                }
                _ if seen.contains(name) => {
                    causes.push(Cause::duplicate(format!("{place}.name"), name));
                }
                _ => seen.push(name.clone()),
            }
            if container["image"].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("{place}.image"), ""));
            }
            for (mount_index, mount) in container["volumeMounts"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
            {
                if !volumes.contains(&mount["name"]) && !claims.contains(&mount["name"]) {
                    causes.push(Cause::not_found(
                        format!("{place}.volumeMounts[{mount_index}].name"),
                        &mount["name"],
                    ));
                }
            }
        }
    }
    causes
}

const JOB_LABELS: [(&str, bool); 4] = [
    ("controller-uid", true),
    ("job-name", false),
    ("batch.kubernetes.io/controller-uid", true),
    ("batch.kubernetes.io/job-name", false),
];

/// Gives a job its generated labels and selector, and refuses those of another job.
pub(super) fn job_on_create(context: &Context<'_>, job: &mut Value) -> Result<(), ApiError> {
    if job["spec"]["manualSelector"] == true || !job["spec"]["template"].is_object() {
        return Ok(());
    }
    let uid = job["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let name = metadata::name(job).to_owned();
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    let mut causes = Vec::new();
    for (label, is_uid) in JOB_LABELS {
        let wanted = if is_uid { &uid } else { &name };
        if let Some(found) = labels[label].as_str().filter(|found| found != wanted) {
            let _ = found;
            causes.push(Cause::invalid(
                format!("spec.template.metadata.labels[{label}]"),
                &labels,
                format!("must be '{wanted}'"),
            ));
        }
    }
    let label = "batch.kubernetes.io/controller-uid";
    let selector = json!({"matchLabels": {label: uid}});
    let sent = &job["spec"]["selector"];
    if sent.is_object() && *sent != selector {
        causes.push(Cause::invalid(
            "spec.selector",
            sent,
            "`selector` not auto-generated",
        ));
    }
    context.invalid(job, &causes)?;
    job["spec"]["selector"] = selector;
    let meta = &mut job["spec"]["template"]["metadata"];
    if !meta["labels"].is_object() {
        meta["labels"] = json!({});
    }
    for (label, is_uid) in JOB_LABELS {
        meta["labels"][label] = json!(if is_uid { &uid } else { &name });
    }
    Ok(())
}
