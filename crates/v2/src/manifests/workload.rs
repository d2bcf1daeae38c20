//! Deployment or DeploymentConfig around a pod template.

use serde_json::{Value, json};

use super::options::Workload;

/// An image stream tag that the workload follows.
pub(super) struct Follows<'a> {
    pub(super) tag: &'a str,
    pub(super) namespace: Option<&'a str>,
}

/// What a workload is made of.
pub(super) struct Parts<'a> {
    pub(super) metadata: Value,
    pub(super) selector: Value,
    pub(super) replicas: u32,
    /// Whether one pod has to be gone before the next one starts.
    pub(super) recreate: bool,
    pub(super) follows: Follows<'a>,
    pub(super) template: Value,
    /// What is run in the new image before it takes over: a command in the container of that name. A Deployment has it as an init
    /// container already.
    pub(super) hook: Option<Hook>,
}

pub(super) struct Hook {
    pub(super) container: String,
    pub(super) command: Value,
    pub(super) volumes: Value,
}

pub(super) fn workload(kind: Workload, parts: Parts<'_>) -> Value {
    match kind {
        Workload::Deployment => deployment(parts),
        Workload::DeploymentConfig => deployment_config(parts),
    }
}

/// Names of the containers in one of the lists of the template's pods.
fn containers<'a>(template: &'a Value, list: &str) -> Vec<&'a str> {
    template["spec"][list]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|container| container["name"].as_str())
        .collect()
}

/// The annotation `image.openshift.io/triggers`: field paths are relative to the object, and end in the place of an image.
pub(super) fn triggers(follows: &Follows<'_>, pods: &str, template: &Value) -> String {
    let mut from = json!({"kind": "ImageStreamTag", "name": follows.tag});
    if let Some(namespace) = follows.namespace {
        from["namespace"] = json!(namespace);
    }
    let triggers: Vec<Value> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| {
            containers(template, list)
                .into_iter()
                .map(move |name| format!("{pods}.{list}[?(@.name==\"{name}\")].image"))
        })
        .map(|path| json!({"from": from, "fieldPath": path}))
        .collect();
    Value::from(triggers).to_string()
}

fn deployment(parts: Parts<'_>) -> Value {
    let mut metadata = parts.metadata;
    metadata["annotations"] = json!({
        "image.openshift.io/triggers":
            triggers(&parts.follows, "spec.template.spec", &parts.template),
    });
    let strategy = if parts.recreate {
        json!({"type": "Recreate"})
    } else {
        // One new pod at a time, which migrates if it has to, and no old one goes before the new one is ready.
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": parts.replicas,
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": parts.selector},
            "strategy": strategy,
            "template": parts.template,
        },
    })
}

fn deployment_config(parts: Parts<'_>) -> Value {
    let mut from = json!({"kind": "ImageStreamTag", "name": parts.follows.tag});
    if let Some(namespace) = parts.follows.namespace {
        from["namespace"] = json!(namespace);
    }
    let names = [
        containers(&parts.template, "initContainers"),
        containers(&parts.template, "containers"),
    ]
    .concat();
    let hook = parts.hook.map(|hook| {
        let mut pod = json!({"containerName": hook.container, "command": hook.command});
        if hook.volumes.as_array().is_some_and(|all| !all.is_empty()) {
            pod["volumes"] = hook.volumes;
        }
        // The database beside the application may still be starting.
        json!({"failurePolicy": "Retry", "execNewPod": pod})
    });
    let strategy = if parts.recreate {
        let mut params = json!({"timeoutSeconds": 600});
        if let Some(hook) = hook {
            params["mid"] = hook;
        }
        json!({"type": "Recreate", "recreateParams": params})
    } else {
        let mut params = json!({"maxSurge": 1, "maxUnavailable": 0, "timeoutSeconds": 600});
        if let Some(hook) = hook {
            params["pre"] = hook;
        }
        json!({"type": "Rolling", "rollingParams": params})
    };
    json!({
        "apiVersion": "apps.openshift.io/v1",
        "kind": "DeploymentConfig",
        "metadata": parts.metadata,
        "spec": {
            "replicas": parts.replicas,
            "revisionHistoryLimit": 5,
            "selector": parts.selector,
            "strategy": strategy,
            "template": parts.template,
            "triggers": [
                {"type": "ConfigChange"},
                {
                    "type": "ImageChange",
                    "imageChangeParams": {"automatic": true, "containerNames": names, "from": from},
                },
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(recreate: bool, hook: bool) -> Parts<'static> {
        Parts {
            metadata: json!({"name": "notes"}),
            selector: json!({"a": "b"}),
            replicas: 1,
            recreate,
            follows: Follows {
                tag: "notes:latest",
                namespace: None,
            },
            template: json!({"spec": {"containers": [{"name": "notes"}], "initContainers": [{"name": "migrate"}]}}),
            hook: hook.then(|| Hook {
                container: "notes".to_owned(),
                command: json!(["run", "migrate"]),
                volumes: json!(["data"]),
            }),
        }
    }

    #[test]
    fn recreate_leaves_no_block_of_the_other_strategy() {
        let of = |kind| workload(kind, parts(true, false))["spec"]["strategy"].clone();
        assert_eq!(of(Workload::Deployment), json!({"type": "Recreate"}));
        assert_eq!(
            of(Workload::DeploymentConfig),
            json!({"type": "Recreate", "recreateParams": {"timeoutSeconds": 600}})
        );
    }

    #[test]
    fn every_container_follows_the_tag() {
        let deployment = workload(Workload::Deployment, parts(false, false));
        let annotation = deployment["metadata"]["annotations"]["image.openshift.io/triggers"]
            .as_str()
            .unwrap();
        let triggers: Value = serde_json::from_str(annotation).unwrap();
        let paths: Vec<&Value> = triggers
            .as_array()
            .unwrap()
            .iter()
            .map(|trigger| &trigger["fieldPath"])
            .collect();
        assert_eq!(
            paths,
            [
                "spec.template.spec.initContainers[?(@.name==\"migrate\")].image",
                "spec.template.spec.containers[?(@.name==\"notes\")].image"
            ]
        );
        let config = workload(Workload::DeploymentConfig, parts(false, false));
        assert_eq!(
            config["spec"]["triggers"][1]["imageChangeParams"]["containerNames"],
            json!(["migrate", "notes"])
        );
    }

    #[test]
    fn the_hook_runs_where_the_strategy_has_room_for_it() {
        let of = |recreate| {
            workload(Workload::DeploymentConfig, parts(recreate, true))["spec"]["strategy"].clone()
        };
        let hook = json!({
            "failurePolicy": "Retry",
            "execNewPod": {"containerName": "notes", "command": ["run", "migrate"], "volumes": ["data"]},
        });
        assert_eq!(of(true)["recreateParams"]["mid"], hook);
        assert_eq!(of(false)["rollingParams"]["pre"], hook);
    }
}
