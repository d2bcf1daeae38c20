//! DaemonSets: one pod on the one node.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue, revisions};
use crate::object::{self, number, resources, text};

const REVISION: &str = "controller-revision-hash";

/// The controller.
pub(super) struct DaemonSets;

impl Controller for DaemonSets {
    fn name(&self) -> &'static str {
        "daemonset"
    }

    fn resource(&self) -> ResourceId {
        resources::daemon_sets()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::nodes() {
            return context
                .store
                .list(&self.resource(), None)
                .iter()
                .map(queue::key)
                .collect();
        }
        queue::itself_or_owner(event, &self.resource(), "DaemonSet", &[resources::pods()])
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(set) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&set) {
            return Ok(Next::Event);
        }
        let hash = revisions::current(context, &set)?;
        let fits = fits(context, &set);
        let owned = pods::owned(context, &set, |pod| {
            object::selects(&set["spec"]["selector"], pod)
        });
        let (mut kept, mut stale) = (Vec::new(), Vec::new());
        for pod in owned {
            let current = pod["metadata"]["labels"][REVISION] == *hash;
            let on_delete = text(&set, "/spec/updateStrategy/type") == "OnDelete";
            let keep =
                fits && !object::is_finished(&pod) && (current || on_delete) && kept.is_empty();
            if keep {
                kept.push(pod)
            } else {
                stale.push(pod)
            }
        }
        for pod in &stale {
            pods::delete(context, pod)?;
        }
        // The next one comes when the old one is really gone, as with `maxSurge: 0`.
        if fits && kept.is_empty() && stale.is_empty() {
            let mut pod = pods::from_template(&set, &set["spec"]["template"]);
            pod["metadata"]["labels"] =
                object::merged(&pod["metadata"]["labels"], &[(REVISION, &hash)]);
            kept.push(pods::create(context, &set, pod)?);
        }
        let census = pods::Census::of(&kept, number(&set, "/spec/minReadySeconds").unwrap_or(0));
        let current = i64::from(!kept.is_empty());
        let updated = i64::from(
            kept.iter()
                .any(|pod| pod["metadata"]["labels"][REVISION] == *hash),
        );
        context
            .store
            .update_status(&self.resource(), Some(namespace), name, |set| {
                let mut status = json!({
                    "observedGeneration": set["metadata"]["generation"],
                    "currentNumberScheduled": current,
                    "desiredNumberScheduled": i64::from(fits),
                    "numberMisscheduled": 0,
                    "numberReady": census.ready,
                });
                for (field, value) in [
                    ("updatedNumberScheduled", updated),
                    ("numberAvailable", census.available),
                    ("numberUnavailable", i64::from(fits) - census.available),
                ] {
                    if value > 0 {
                        status[field] = json!(value);
                    }
                }
                set["status"] = status;
            })?;
        Ok(census.next())
    }
}

/// Whether the node is one of those that the template asks for.
fn fits(context: &Context, set: &Value) -> bool {
    let Some(node) = context.store.get(&resources::nodes(), None, &context.node) else {
        return false;
    };
    set["spec"]["template"]["spec"]["nodeSelector"]
        .as_object()
        .is_none_or(|selector| {
            selector
                .iter()
                .all(|(name, value)| node["metadata"]["labels"][name] == *value)
        })
}
