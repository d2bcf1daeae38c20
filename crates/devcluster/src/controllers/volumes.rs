//! Volumes: released when their claim is gone, and removed with their folder if that is their policy.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, PROVISIONER, Reconciled, pods, queue};
use crate::object::{self, annotation, resources, text};
use crate::trees;

const PROTECTION: &str = "kubernetes.io/pv-protection";

/// The controller.
pub(super) struct Volumes;

impl Controller for Volumes {
    fn name(&self) -> &'static str {
        "persistentvolume"
    }

    fn resource(&self) -> ResourceId {
        resources::volumes()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::claims() && queue::is_gone(event) {
            return vec![(
                String::new(),
                text(&event.object, "/spec/volumeName").to_owned(),
            )];
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (_, name): &Key) -> Reconciled {
        let Some(volume) = context.store.get(&self.resource(), None, name) else {
            return Ok(Next::Event);
        };
        let claim = &volume["spec"]["claimRef"];
        let claimed = !claim["uid"].is_null();
        let claim_lives = context
            .store
            .get(
                &resources::claims(),
                Some(text(claim, "/namespace")),
                text(claim, "/name"),
            )
            .is_some_and(|found| object::uid(&found) == text(claim, "/uid"));
        if object::is_deleting(&volume) {
            if !claim_lives {
                unprotect(context, name)?;
            }
            return Ok(Next::Event);
        }
        let phase = match (claimed, claim_lives) {
            (false, _) => "Available",
            (true, true) => return Ok(Next::Event),
            (true, false) => "Released",
        };
        context
            .store
            .update_status(&self.resource(), None, name, |volume| {
                if volume["status"]["phase"] != phase {
                    volume["status"] =
                        json!({"phase": phase, "lastPhaseTransitionTime": object::now()});
                }
            })?;
        let ours = annotation(&volume, "pv.kubernetes.io/provisioned-by") == Some(PROVISIONER);
        if phase == "Released"
            && ours
            && text(&volume, "/spec/persistentVolumeReclaimPolicy") == "Delete"
        {
            remove_folder(context, &volume);
            pods::gone_is_fine(context.store.delete(
                &self.resource(),
                None,
                name,
                Default::default(),
            ))?;
            unprotect(context, name)?;
        }
        Ok(Next::Event)
    }
}

fn unprotect(context: &Context, name: &str) -> Result<(), openshifter_apiserver::ApiError> {
    let changed = context
        .store
        .update(&resources::volumes(), None, name, |volume| {
            if let Some(finalizers) = volume["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != PROTECTION);
            }
        });
    pods::gone_is_fine(changed.map(drop))
}

/// Removes the folder of a volume that was made here. Its name is put out of the way at once; the
/// contents follow in the background, however many they are.
fn remove_folder(context: &Context, volume: &Value) {
    let name = object::name(volume);
    let folder = context.volumes.join(name);
    let doomed = context.volumes.join(format!(".removed-{name}"));
    match fs_err::rename(&folder, &doomed) {
        Ok(()) => {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = trees::remove(&doomed) {
                    tracing::warn!(%error, "the folder of a volume was not removed");
                }
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the folder of a volume was not removed"),
    }
}
