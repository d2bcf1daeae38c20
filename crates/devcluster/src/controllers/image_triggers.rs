//! The annotation `image.openshift.io/triggers`: a workload follows the tag of an image stream.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, image_streams, queue};
use crate::object::{self, annotation, resources, text};

const TRIGGERS: &str = "image.openshift.io/triggers";

/// The controller, for one kind of workload.
pub(super) enum ImageTriggers {
    Deployments,
    StatefulSets,
    DaemonSets,
    CronJobs,
}

impl ImageTriggers {
    /// Where the pods' specification is, as field paths say it and as a JSON pointer.
    fn pods(&self) -> (&'static str, &'static str) {
        match self {
            Self::CronJobs => (
                "spec.jobTemplate.spec.template.spec.",
                "/spec/jobTemplate/spec/template/spec",
            ),
            _ => ("spec.template.spec.", "/spec/template/spec"),
        }
    }
}

impl Controller for ImageTriggers {
    fn name(&self) -> &'static str {
        "image-trigger"
    }

    fn resource(&self) -> ResourceId {
        match self {
            Self::Deployments => resources::deployments(),
            Self::StatefulSets => resources::stateful_sets(),
            Self::DaemonSets => resources::daemon_sets(),
            Self::CronJobs => resources::cron_jobs(),
        }
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::image_streams() {
            let all = context.store.list(&self.resource(), None);
            return all
                .iter()
                .filter(|one| annotation(one, TRIGGERS).is_some())
                .map(queue::key)
                .collect();
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(deployment) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        let Some(triggers) = annotation(&deployment, TRIGGERS) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&deployment) {
            return Ok(Next::Event);
        }
        let triggers: Vec<Value> = serde_json::from_str(triggers).unwrap_or_default();
        for trigger in triggers {
            // Both spellings are in use.
            let paused = trigger["paused"] == true || trigger["paused"] == "true";
            let (prefix, pods) = self.pods();
            let path = text(&trigger, "/fieldPath").strip_prefix(prefix);
            let (false, Some(container)) = (paused, path.and_then(container_of)) else {
                continue;
            };
            let Some(image) = image_streams::resolve(&context.store, namespace, &trigger["from"])
            else {
                continue;
            };
            context
                .store
                .update(&self.resource(), Some(namespace), name, |deployment| {
                    let containers = deployment
                        .pointer_mut(&format!("{pods}/{}", container.list))
                        .and_then(Value::as_array_mut);
                    for (at, one) in containers.into_iter().flatten().enumerate() {
                        if container.means(at, text(one, "/name")) {
                            one["image"] = json!(image);
                        }
                    }
                })?;
        }
        Ok(Next::Event)
    }
}

/// The container that a field path means.
#[derive(Debug, PartialEq, Eq)]
struct Container<'a> {
    list: &'a str,
    name: Option<&'a str>,
    index: Option<usize>,
}

impl Container<'_> {
    fn means(&self, at: usize, name: &str) -> bool {
        self.name == Some(name) || self.index == Some(at)
    }
}

/// Reads `containers[?(@.name=="web")].image` or `containers[0].image`, below the pods' specification.
fn container_of(path: &str) -> Option<Container<'_>> {
    let rest = path.strip_suffix("].image")?;
    let (list, which) = rest.split_once('[')?;
    if list != "containers" && list != "initContainers" {
        return None;
    }
    let name = which
        .strip_prefix("?(@.name==")
        .and_then(|quoted| quoted.strip_suffix(')'))
        .map(|quoted| quoted.trim_matches(['"', '\'']));
    let index = which.parse().ok();
    (name.is_some() || index.is_some()).then_some(Container { list, name, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_paths_name_a_container() {
        let by_name = container_of(r#"containers[?(@.name=="web")].image"#).unwrap();
        assert_eq!(
            by_name,
            Container {
                list: "containers",
                name: Some("web"),
                index: None
            }
        );
        let by_index = container_of("initContainers[1].image").unwrap();
        assert!(by_index.means(1, "x") && !by_index.means(0, "x"));
        assert_eq!(container_of("replicas"), None);
    }
}
