//! A project of a cluster, and the pods in it that a command can talk to.

use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object, places};
use serde_json::Value;

use crate::{DeployError, Target, TargetKind};

/// Which container a pod's commands and logs are about, when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// A project (a namespace, on Kubernetes) of a connected cluster. The steps are its methods.
#[derive(Debug, Clone)]
pub struct Project {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
}

/// A pod, and one of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
}

impl Project {
    /// A project, there or not.
    pub fn new(cluster: Cluster, namespace: impl Into<String>) -> Self {
        Self {
            cluster,
            namespace: namespace.into(),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The project's name.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) async fn get(&self, target: &Target) -> Result<Object, DeployError> {
        let kind = target.group_kind();
        let found = self
            .cluster
            .get(&kind, Some(&self.namespace), &target.name)
            .await?;
        found.ok_or_else(|| self.not_found(&target.to_string()))
    }

    pub(crate) fn not_found(&self, what: &str) -> DeployError {
        DeployError::NotFound {
            cluster: self.cluster.name().to_owned(),
            namespace: self.namespace.clone(),
            what: what.to_owned(),
        }
    }

    /// Objects of a kind with these labels.
    pub(crate) async fn list(
        &self,
        group: &str,
        kind: &str,
        labels: Option<&str>,
    ) -> Result<Vec<Object>, DeployError> {
        let resource = self.cluster.resource(&GroupKind::new(group, kind)).await?;
        Ok(self
            .cluster
            .list(&resource, Some(&self.namespace), labels)
            .await?)
    }

    /// The pods of a workload or service, those that are best to talk to first.
    pub(crate) async fn pods_of(&self, target: &Target) -> Result<Vec<Object>, DeployError> {
        let object = self.get(target).await?;
        if target.kind == TargetKind::Pod {
            return Ok(vec![object]);
        }
        let Some(labels) = selector(&object) else {
            return Err(DeployError::BadTarget {
                text: target.to_string(),
                reason: "selects no pods".to_owned(),
            });
        };
        let mut pods = self.list("", "Pod", Some(&labels)).await?;
        // Pods of builds and of rollouts carry the labels of their applications.
        pods.retain(|pod| {
            pod.annotation("openshift.io/build.name").is_none()
                && pod.label("openshift.io/deployer-pod-for.name").is_none()
        });
        pods.sort_by_key(|pod| {
            let age = pod.value()["metadata"]["creationTimestamp"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            (rank(pod), std::cmp::Reverse(age))
        });
        Ok(pods)
    }

    /// The pod that a command for `target` runs in: one that is ready, if there is one, and the newest of these.
    ///
    /// # Errors
    /// When there is no running pod, or it has no such container.
    pub async fn place(
        &self,
        target: &Target,
        container: Option<&str>,
    ) -> Result<Place, DeployError> {
        let pods = self.pods_of(target).await?;
        let pod = pods
            .iter()
            .find(|pod| rank(pod) <= 1)
            .ok_or_else(|| DeployError::NoPod {
                cluster: self.cluster.name().to_owned(),
                namespace: self.namespace.clone(),
                what: target.to_string(),
                why: pods.first().map(trouble).unwrap_or_default(),
            })?;
        self.container(pod, container)
    }

    /// The container of a pod that is meant.
    pub(crate) fn container(
        &self,
        pod: &Object,
        asked: Option<&str>,
    ) -> Result<Place, DeployError> {
        let names = |list: &str| -> Vec<String> {
            places(pod.value(), &format!("/spec/{list}/*/name"))
                .into_iter()
                .filter_map(|(_, name)| name.as_str().map(str::to_owned))
                .collect()
        };
        let known = names("containers");
        let container = match asked {
            Some(asked) => {
                let all = [known, names("initContainers")].concat();
                if !all.iter().any(|name| name == asked) {
                    return Err(DeployError::NoContainer {
                        cluster: self.cluster.name().to_owned(),
                        namespace: self.namespace.clone(),
                        pod: pod.name().to_owned(),
                        container: asked.to_owned(),
                        known: all,
                    });
                }
                asked.to_owned()
            }
            None => pod
                .annotation(DEFAULT_CONTAINER)
                .filter(|name| known.iter().any(|known| known == name))
                .map(str::to_owned)
                .or_else(|| known.first().cloned())
                .unwrap_or_default(),
        };
        Ok(Place {
            pod: pod.name().to_owned(),
            container,
        })
    }
}

/// 0 for a ready pod, 1 for one that runs, 2 for one that waits, 3 for one that is over.
fn rank(pod: &Object) -> u8 {
    let status = &pod.value()["status"];
    if !pod.value()["metadata"]["deletionTimestamp"].is_null() {
        return 3;
    }
    match status["phase"].as_str() {
        Some("Running") if is_ready(pod) => 0,
        Some("Running") => 1,
        Some("Succeeded" | "Failed") => 3,
        _ => 2,
    }
}

pub(crate) fn is_ready(pod: &Object) -> bool {
    pod.value()["metadata"]["deletionTimestamp"].is_null()
        && places(pod.value(), "/status/conditions/*")
            .into_iter()
            .any(|(_, condition)| condition["type"] == "Ready" && condition["status"] == "True")
}

/// What keeps a pod from being ready, as its containers or conditions say it; empty when nothing does.
pub(crate) fn trouble(pod: &Object) -> String {
    let status = &pod.value()["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for list in ["initContainerStatuses", "containerStatuses"] {
        for container in status[list].as_array().into_iter().flatten() {
            let name = text(&container["name"]);
            for state in ["waiting", "terminated"] {
                let state = &container["state"][state];
                let reason = text(&state["reason"]);
                // These come and go with every start.
                if matches!(
                    reason.as_str(),
                    "" | "ContainerCreating" | "PodInitializing" | "Completed"
                ) {
                    continue;
                }
                let message = text(&state["message"]);
                let message = if message.is_empty() {
                    message
                } else {
                    format!(": {message}")
                };
                return format!("container {name} of Pod/{}: {reason}{message}", pod.name());
            }
        }
    }
    for (_, condition) in places(pod.value(), "/status/conditions/*") {
        if condition["type"] == "PodScheduled" && condition["status"] == "False" {
            return format!("Pod/{}: {}", pod.name(), text(&condition["message"]));
        }
    }
    String::new()
}

/// The labels that a workload or service selects its pods by, as a query has them.
fn selector(object: &Object) -> Option<String> {
    let selector = &object.value()["spec"]["selector"];
    let labels = match &selector["matchLabels"] {
        Value::Object(labels) => Some(labels),
        _ if selector["matchExpressions"].is_array() => None,
        _ => selector.as_object(),
    };
    let mut parts: Vec<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str()?;
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        parts.push(match expression["operator"].as_str()? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(mut value: Value) -> Object {
        value["apiVersion"] = "v1".into();
        value["kind"] = "Pod".into();
        value["metadata"]["name"] = "web-1".into();
        Object::from_value(value).unwrap()
    }

    #[test]
    fn labels_are_selected_as_queries_have_them() {
        let of = |selector: Value| selector_text(&selector);
        fn selector_text(selector: &Value) -> Option<String> {
            selector_of(json!({"spec": {"selector": selector}}))
        }
        fn selector_of(value: Value) -> Option<String> {
            selector(&object(value))
        }
        assert_eq!(of(json!({"app": "web"})).unwrap(), "app=web");
        assert_eq!(
            of(json!({"matchLabels": {"app": "web"}, "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"}]}))
            .unwrap(),
            "app=web,tier in (a,b),!old"
        );
        assert_eq!(of(json!({})), None);
        assert_eq!(of(Value::Null), None);
    }

    #[test]
    fn a_pod_says_what_it_waits_for() {
        let pod = object(json!({"status": {"phase": "Pending", "containerStatuses": [
            {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}}));
        assert_eq!(
            trouble(&pod),
            "container web of Pod/web-1: ImagePullBackOff: no such image"
        );
        let pod = object(json!({"status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}}));
        assert_eq!(trouble(&pod), "Pod/web-1: 0/1 nodes are available");
        assert_eq!(rank(&pod), 2);
    }
}
