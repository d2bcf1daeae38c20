//! StatefulSets: pods with numbers, each with claims of its own, one after the other.

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue, revisions};
use crate::object::{self, list, number, resources, text};

const REVISION: &str = "controller-revision-hash";

/// The controller.
pub(super) struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset"
    }

    fn resource(&self) -> ResourceId {
        resources::stateful_sets()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself_or_owner(event, &self.resource(), "StatefulSet", &[resources::pods()])
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(set) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&set) {
            return Ok(Next::Event);
        }
        let revision = format!("{name}-{}", revisions::current(context, &set)?);
        let next = step(context, &set, &revision)?;
        let owned = owned(context, &set);
        self.write_status(context, &set, &revision, &owned)?;
        Ok(next)
    }
}

impl StatefulSets {
    fn write_status(
        &self,
        context: &Context,
        set: &Value,
        revision: &str,
        owned: &[Value],
    ) -> Result<(), ApiError> {
        let (namespace, name) = queue::key(set);
        let wait = number(set, "/spec/minReadySeconds").unwrap_or(0);
        let census = pods::Census::of(owned, wait);
        let of_revision = |wanted: &str| {
            owned
                .iter()
                .filter(|pod| pod["metadata"]["labels"][REVISION] == wanted)
                .count()
        };
        let updated = of_revision(revision);
        let replicas = owned.len();
        let wanted = usize::try_from(number(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
        let done = updated == replicas
            && replicas == wanted
            && census.ready == i64::try_from(wanted).unwrap_or(0);
        context
            .store
            .update_status(&self.resource(), Some(&namespace), &name, |set| {
                // The current revision stays what it was until everything has been moved from it.
                let current = match (done, text(set, "/status/currentRevision")) {
                    (true, _) | (_, "") => revision.to_owned(),
                    (false, current) => current.to_owned(),
                };
                let mut status = json!({
                    "observedGeneration": set["metadata"]["generation"],
                    "replicas": replicas,
                    "currentRevision": current,
                    "updateRevision": revision,
                    "collisionCount": 0,
                    "availableReplicas": census.available,
                });
                for (field, value) in [
                    ("readyReplicas", usize::try_from(census.ready).unwrap_or(0)),
                    ("currentReplicas", of_revision(&current)),
                    ("updatedReplicas", updated),
                ] {
                    if value > 0 {
                        status[field] = json!(value);
                    }
                }
                set["status"] = status;
            })?;
        Ok(())
    }
}

fn owned(context: &Context, set: &Value) -> Vec<Value> {
    let mut owned = pods::owned(context, set, |pod| {
        object::selects(&set["spec"]["selector"], pod) && ordinal(set, pod).is_some()
    });
    owned.sort_by_key(|pod| ordinal(set, pod));
    owned
}

/// The number in a pod's name.
fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    object::name(pod)
        .strip_prefix(object::name(set))?
        .strip_prefix('-')?
        .parse()
        .ok()
}

/// Creates, replaces or removes what is next; at most one pod at a time unless they are independent.
fn step(context: &Context, set: &Value, revision: &str) -> Reconciled {
    let first = number(set, "/spec/ordinals/start").unwrap_or(0);
    let wanted = number(set, "/spec/replicas").unwrap_or(1);
    let parallel = text(set, "/spec/podManagementPolicy") == "Parallel";
    let wait = number(set, "/spec/minReadySeconds").unwrap_or(0);
    let owned = owned(context, set);
    let mut next = Next::Event;
    for number in first..first + wanted {
        match owned.iter().find(|pod| ordinal(set, pod) == Some(number)) {
            None => {
                create(context, set, number, revision)?;
                if !parallel {
                    return Ok(next);
                }
            }
            // It comes again under the same name once it is gone.
            Some(pod) if object::is_finished(pod) => {
                pods::delete(context, pod)?;
                if !parallel {
                    return Ok(next);
                }
            }
            Some(pod) => {
                if let Err(left) = object::is_available(pod, wait) {
                    if let Some(left) = left {
                        next =
                            Next::After(std::time::Duration::from_secs(left.unsigned_abs().max(1)));
                    }
                    if !parallel {
                        // A pod that will never be ready with its old template is replaced all the same.
                        return replace(context, set, &owned, revision, first, Some(number))
                            .map(|()| next);
                    }
                }
            }
        }
    }
    let surplus: Vec<&Value> = owned
        .iter()
        .rev()
        .filter(|pod| ordinal(set, pod).is_some_and(|n| n < first || n >= first + wanted))
        .collect();
    for pod in &surplus {
        let leaving = object::is_deleting(pod);
        pods::delete(context, pod)?;
        if !parallel || leaving {
            return Ok(next);
        }
    }
    if surplus.is_empty() {
        replace(context, set, &owned, revision, first, None)?;
    }
    Ok(next)
}

/// Replaces the highest pod of an older template, if the update strategy says so.
fn replace(
    context: &Context,
    set: &Value,
    owned: &[Value],
    revision: &str,
    first: i64,
    only: Option<i64>,
) -> Result<(), ApiError> {
    if text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return Ok(());
    }
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let stale = owned
        .iter()
        .rev()
        .filter(|pod| {
            ordinal(set, pod).is_some_and(|n| n >= first + partition && only.is_none_or(|o| o == n))
        })
        .find(|pod| pod["metadata"]["labels"][REVISION] != revision);
    // One at a time: while one is on its way out, nothing else is replaced.
    if owned.iter().any(object::is_deleting) {
        return Ok(());
    }
    stale.map_or(Ok(()), |pod| pods::delete(context, pod))
}

fn create(context: &Context, set: &Value, number: i64, revision: &str) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(set);
    let pod_name = format!("{name}-{number}");
    // One of that name that is not ours, or is still leaving, has to go first.
    if context
        .store
        .get(&resources::pods(), Some(&namespace), &pod_name)
        .is_some()
    {
        return Ok(());
    }
    for template in list(set, "/spec/volumeClaimTemplates") {
        create_claim(context, set, template, &pod_name)?;
    }
    let mut pod = pods::from_template(set, &set["spec"]["template"]);
    pod["metadata"]["name"] = json!(pod_name);
    pod["metadata"]["labels"] = object::merged(
        &pod["metadata"]["labels"],
        &[
            ("statefulset.kubernetes.io/pod-name", &pod_name),
            ("apps.kubernetes.io/pod-index", &number.to_string()),
            (REVISION, revision),
        ],
    );
    pod["spec"]["hostname"] = json!(pod_name);
    if !text(set, "/spec/serviceName").is_empty() {
        pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    }
    let templates = list(set, "/spec/volumeClaimTemplates");
    let is_template = |volume: &Value| {
        templates
            .iter()
            .any(|t| object::name(t) == text(volume, "/name"))
    };
    let mut volumes: Vec<Value> = list(&pod, "/spec/volumes")
        .iter()
        .filter(|volume| !is_template(volume))
        .cloned()
        .collect();
    for template in templates {
        let template = object::name(template);
        volumes.push(json!({
            "name": template,
            "persistentVolumeClaim": {"claimName": format!("{template}-{pod_name}")},
        }));
    }
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = json!(volumes);
    }
    pods::create(context, set, pod).map(drop)
}

fn create_claim(
    context: &Context,
    set: &Value,
    template: &Value,
    pod: &str,
) -> Result<(), ApiError> {
    let namespace = object::namespace(set);
    let name = format!("{}-{pod}", object::name(template));
    if context
        .store
        .get(&resources::claims(), Some(namespace), &name)
        .is_some()
    {
        return Ok(());
    }
    let mut labels = template["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.extend(
        set["spec"]["selector"]["matchLabels"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
    );
    let mut claim = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": template["spec"],
    });
    if !template["metadata"]["annotations"].is_null() {
        claim["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
    }
    // With another policy than Retain the claim goes with the set.
    if text(
        set,
        "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
    ) == "Delete"
    {
        claim["metadata"]["ownerReferences"] = json!([object::owner_reference(set)]);
    }
    context
        .store
        .create(&resources::claims(), Some(namespace), claim)
        .map(drop)
}
