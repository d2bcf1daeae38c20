//! Objects made what they should be, without taking away what others decide: replicas, images that a tag decides, secrets.

use openshifter_cluster::{ClusterError, DryRun};
use openshifter_objects::Object;
use openshifter_refactor::compare_live;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{DeployError, Project};

/// Name under which servers keep what we set.
const MANAGER: &str = "openshifter";

/// What is to become of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there, and these fields differ (JSON pointers).
    Change {
        /// Which.
        fields: Vec<String>,
    },
    /// It is as it should be.
    Unchanged,
    /// It is there, and is left as it is.
    Keep,
}

/// An object, and what is to be sent for it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) object: Object,
    pub(crate) action: Action,
    /// In place of the object itself, where a part of it is all that may change.
    patch: Option<Value>,
}

/// Compares an object with the one that is there.
pub(crate) fn step(wanted: &Object, live: Option<&Object>) -> Step {
    let of = |object: Object, action: Action, patch: Option<Value>| Step {
        object,
        action,
        patch,
    };
    let Some(live) = live else {
        return of(wanted.clone(), Action::Create, None);
    };
    if wanted.is("", "PersistentVolumeClaim") {
        // Nearly nothing of a claim can be changed, and it holds data.
        return of(wanted.clone(), Action::Keep, None);
    }
    if wanted.is("", "Secret") || wanted.is("", "ConfigMap") {
        return match keys(wanted, live) {
            None => of(wanted.clone(), Action::Keep, None),
            Some(patch) => {
                let fields = patch
                    .as_object()
                    .into_iter()
                    .flatten()
                    .flat_map(|(part, keys)| {
                        let keys = keys.as_object().into_iter().flatten();
                        keys.map(move |(key, _)| format!("/{part}/{key}"))
                    })
                    .collect();
                of(wanted.clone(), Action::Change { fields }, Some(patch))
            }
        };
    }
    let object = carried_over(wanted, live);
    let fields: Vec<String> = compare_live(&object, live)
        .into_iter()
        .filter(|difference| !difference.added)
        .map(|difference| difference.pointer)
        .collect();
    if fields.is_empty() {
        return of(object, Action::Unchanged, None);
    }
    of(object, Action::Change { fields }, None)
}

/// What a Secret or ConfigMap lacks: keys of a Secret are never written over, those of a ConfigMap are when they were given.
fn keys(wanted: &Object, live: &Object) -> Option<Value> {
    let part = |object: &Object, name: &str| -> Map<String, Value> {
        let map = object.value()[name].as_object();
        map.cloned().unwrap_or_default()
    };
    let secret = wanted.is("", "Secret");
    let there = part(live, "data");
    let mut patch = Map::new();
    for name in ["data", "stringData"] {
        let more: Map<String, Value> = part(wanted, name)
            .into_iter()
            .filter(|(key, value)| match there.get(key) {
                None => true,
                Some(live) => !secret && live != value,
            })
            .collect();
        if !more.is_empty() {
            patch.insert(name.to_owned(), Value::Object(more));
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The wanted object with what others decide at the cluster.
fn carried_over(wanted: &Object, live: &Object) -> Object {
    let mut object = wanted.clone();
    // Somebody scaled it, and stopping it was for a time.
    if let (Some(_), Some(there @ 1..)) = (
        wanted.value()["spec"]["replicas"].as_i64(),
        live.value()["spec"]["replicas"].as_i64(),
    ) {
        object.value_mut()["spec"]["replicas"] = json!(there);
    }
    // A tag decides on blank images.
    let images = live.pod_spec().cloned().unwrap_or_default();
    if let Some(spec) = object.pod_spec_mut() {
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                let blank = container["image"]
                    .as_str()
                    .is_none_or(|image| image.trim().is_empty());
                let there = images[list]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|one| one["name"] == container["name"]);
                if let (true, Some(there)) = (blank, there) {
                    container["image"] = there["image"].clone();
                }
            }
            // Looking at a list that is not there makes a null of it.
            if spec[list].is_null()
                && let Some(spec) = spec.as_object_mut()
            {
                spec.remove(list);
            }
        }
    }
    // Lists of triggers are replaced whole, and what a trigger saw last would be forgotten: a roll-out for nothing.
    let seen: Vec<Value> = live.value()["spec"]["triggers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(triggers) = object
        .value_mut()
        .pointer_mut("/spec/triggers")
        .and_then(Value::as_array_mut)
    {
        for trigger in triggers {
            let there = seen.iter().find(|one| {
                one["type"] == trigger["type"]
                    && one["imageChangeParams"]["from"]["name"]
                        == trigger["imageChangeParams"]["from"]["name"]
            });
            let last = there.map(|one| &one["imageChangeParams"]["lastTriggeredImage"]);
            if let Some(last @ Value::String(_)) = last {
                trigger["imageChangeParams"]["lastTriggeredImage"] = last.clone();
            }
        }
    }
    object
}

impl Project {
    /// What is to become of an object. `exists` says whether the project is there at all.
    pub(crate) async fn look(&self, wanted: &Object, exists: bool) -> Result<Step, DeployError> {
        let live = if exists {
            self.cluster
                .get(&wanted.group_kind(), Some(&self.namespace), wanted.name())
                .await?
        } else {
            // A kind that is not served is better known now.
            self.cluster.resource(&wanted.group_kind()).await?;
            None
        };
        Ok(step(wanted, live.as_ref()))
    }

    /// Does it.
    pub(crate) async fn carry_out(&self, step: &Step) -> Result<(), DeployError> {
        let (object, namespace) = (&step.object, Some(self.namespace.as_str()));
        let (kind, name) = (object.group_kind(), object.name());
        match (&step.action, &step.patch) {
            (Action::Unchanged | Action::Keep, _) => {}
            (Action::Change { .. }, Some(patch)) => {
                self.cluster
                    .merge_patch(&kind, namespace, name, patch)
                    .await?;
            }
            (Action::Create | Action::Change { .. }, _) => {
                if step.action != Action::Create {
                    self.forget_rolling(object).await?;
                }
                match self
                    .cluster
                    .apply(namespace, object, MANAGER, true, DryRun::No)
                    .await
                {
                    Ok(_) => {}
                    // Servers of before 2020 do not apply.
                    Err(error) if cannot_apply(&error) && step.action == Action::Create => {
                        self.cluster.create(namespace, object, DryRun::No).await?;
                    }
                    Err(error) if cannot_apply(&error) => {
                        self.cluster
                            .merge_patch(&kind, namespace, name, object.value())
                            .await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// A Deployment that is to be recreated must not keep parameters of the other strategy, which nobody but a patch with
    /// a null takes away.
    async fn forget_rolling(&self, object: &Object) -> Result<(), DeployError> {
        if !object.is("apps", "Deployment")
            || object.value()["spec"]["strategy"]["type"] != "Recreate"
        {
            return Ok(());
        }
        let live = self
            .cluster
            .get(&object.group_kind(), Some(&self.namespace), object.name())
            .await?;
        let rolls = live.is_some_and(|live| live.value()["spec"]["strategy"]["type"] != "Recreate");
        if rolls {
            let patch = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
            self.cluster
                .merge_patch(
                    &object.group_kind(),
                    Some(&self.namespace),
                    object.name(),
                    &patch,
                )
                .await?;
        }
        Ok(())
    }
}

fn cannot_apply(error: &ClusterError) -> bool {
    error.status() == Some(415)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn keys_of_secrets_are_added_and_never_written_over() {
        let wanted = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"token": "new", "more": "x"}}),
        );
        let live = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"token": "b2xk"}}),
        );
        let planned = step(&wanted, Some(&live));
        assert_eq!(
            planned.action,
            Action::Change {
                fields: vec!["/stringData/more".into()]
            }
        );
        assert_eq!(planned.patch, Some(json!({"stringData": {"more": "x"}})));
        let all = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"token": "b2xk", "more": "eA=="}}),
        );
        assert_eq!(step(&wanted, Some(&all)).action, Action::Keep);
        assert_eq!(step(&wanted, None).action, Action::Create);
    }

    #[test]
    fn values_that_were_not_given_again_stay() {
        let config = |data: Value| {
            object(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}),
            )
        };
        let live = config(json!({"HOST": "a.example.com", "DEBUG": "0"}));
        assert_eq!(step(&config(json!({})), Some(&live)).action, Action::Keep);
        let planned = step(&config(json!({"DEBUG": "1"})), Some(&live));
        assert_eq!(planned.patch, Some(json!({"data": {"DEBUG": "1"}})));
    }

    fn deployment(replicas: i64, image: &str) -> Object {
        object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}),
        )
    }

    #[test]
    fn replicas_and_images_are_the_clusters() {
        let live = deployment(3, "registry/web@sha256:1");
        let planned = step(&deployment(1, " "), Some(&live));
        assert_eq!(planned.action, Action::Unchanged);
        assert_eq!(planned.object, live);
        // A stopped one is started again.
        let stopped = deployment(0, "registry/web@sha256:1");
        let planned = step(&deployment(1, " "), Some(&stopped));
        assert_eq!(
            planned.action,
            Action::Change {
                fields: vec!["/spec/replicas".into()]
            }
        );
    }

    #[test]
    fn what_a_trigger_saw_last_is_kept() {
        let dc = |last: Value| {
            let mut trigger = json!({"type": "ImageChange", "imageChangeParams": {"from": {"name": "web:latest"}}});
            if !last.is_null() {
                trigger["imageChangeParams"]["lastTriggeredImage"] = last;
            }
            object(
                json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig",
                "metadata": {"name": "web"}, "spec": {"triggers": [{"type": "ConfigChange"}, trigger]}}),
            )
        };
        let live = dc(json!("registry/web@sha256:1"));
        let planned = step(&dc(Value::Null), Some(&live));
        assert_eq!(planned.object, live);
        assert_eq!(planned.action, Action::Unchanged);
    }
}
