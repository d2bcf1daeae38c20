//! Triggers of what an import builds: held back until it has, so that nothing else is built meanwhile.
//!
//! A `ConfigChange` means a build of whatever the branch has as soon as a BuildConfig is created, and so does an image
//! trigger that has not seen its image yet.

use openshifter_cluster::Cluster;
use openshifter_objects::Object;
use serde_json::{Value, json};

use crate::MigrateError;

/// How often triggers are given back again when a controller has written to their BuildConfig meanwhile.
const TRIES: usize = 5;

/// Takes away what would start a build by itself, until [`give_back`].
pub(crate) fn hold(config: &mut Object) {
    if let Some(triggers) = config
        .value_mut()
        .pointer_mut("/spec/triggers")
        .and_then(Value::as_array_mut)
    {
        triggers.retain(|trigger| trigger["type"] != "ConfigChange");
        for trigger in triggers.iter_mut().filter(|one| is_of_image(one)) {
            // Paused and not removed: a build notes in it which image it has seen.
            trigger["imageChange"]["paused"] = true.into();
        }
    }
}

/// Gives a BuildConfig its triggers, unless it has them, or somebody gave it others. Gives what it is then.
pub(crate) async fn give_back(
    target: &Cluster,
    namespace: &str,
    wanted: &Object,
) -> Result<Option<Object>, MigrateError> {
    let key = wanted.key();
    let failed = |source| MigrateError::Object {
        key: key.clone(),
        done: "given its triggers",
        source,
    };
    for tried in 1.. {
        let live = target.get(&key.kind, Some(namespace), &key.name).await;
        let Some(live) = live.map_err(failed)? else {
            return Ok(None);
        };
        let Some(triggers) = given_back(&live, wanted) else {
            return Ok(None);
        };
        let patch = json!({
            "metadata": {"resourceVersion": live.resource_version()},
            "spec": {"triggers": triggers},
        });
        match target
            .merge_patch(&key.kind, Some(namespace), &key.name, &patch)
            .await
        {
            Err(error) if error.is_conflict() && tried < TRIES => {}
            patched => return patched.map(Some).map_err(failed),
        }
    }
    Ok(None)
}

/// The triggers of a BuildConfig that has them held back.
fn given_back(live: &Object, wanted: &Object) -> Option<Vec<Value>> {
    let mut held = wanted.clone();
    hold(&mut held);
    if held == *wanted || shape(live) != shape(&held) {
        return None;
    }
    let seen = triggers(live);
    let given = triggers(wanted).iter().map(|trigger| {
        let mut trigger = trigger.clone();
        let same = |one: &&Value| {
            is_of_image(one) && one["imageChange"]["from"] == trigger["imageChange"]["from"]
        };
        // An image that was seen is not built with once more.
        const LAST: &str = "lastTriggeredImageID";
        if is_of_image(&trigger)
            && let Some(last) = seen.iter().find(same).map(|one| &one["imageChange"][LAST])
            && !last.is_null()
        {
            trigger["imageChange"][LAST] = last.clone();
        }
        trigger
    });
    Some(given.collect())
}

fn is_of_image(trigger: &Value) -> bool {
    trigger["type"] == "ImageChange"
}

fn triggers(config: &Object) -> &[Value] {
    config.value()["spec"]["triggers"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// The kinds of its triggers, and which of them are paused.
fn shape(config: &Object) -> Vec<(&Value, bool)> {
    triggers(config)
        .iter()
        .map(|trigger| (&trigger["type"], trigger["imageChange"]["paused"] == true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(triggers: &Value) -> Object {
        Object::from_value(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
            "metadata": {"name": "web"}, "spec": {"triggers": triggers}}),
        )
        .unwrap()
    }

    #[test]
    fn triggers_are_held_back_and_given_back_with_what_they_have_seen() {
        let from = json!({"kind": "ImageStreamTag", "name": "base:1"});
        let wanted = config(&json!([
            {"type": "ImageChange"}, {"type": "ConfigChange"}, {"type": "Generic", "generic": {"secret": "s"}},
            {"type": "ImageChange", "imageChange": {"from": from, "paused": true}},
        ]));
        let mut held = wanted.clone();
        hold(&mut held);
        assert_eq!(
            held.value()["spec"]["triggers"],
            json!([
                {"type": "ImageChange", "imageChange": {"paused": true}}, {"type": "Generic", "generic": {"secret": "s"}},
                {"type": "ImageChange", "imageChange": {"from": from, "paused": true}},
            ])
        );
        let mut built = held.clone();
        built.value_mut()["spec"]["triggers"][0]["imageChange"]["lastTriggeredImageID"] =
            "base@sha256:1".into();
        let given = given_back(&built, &wanted).unwrap();
        assert_eq!(
            json!(given),
            json!([
                {"type": "ImageChange", "imageChange": {"lastTriggeredImageID": "base@sha256:1"}},
                {"type": "ConfigChange"}, {"type": "Generic", "generic": {"secret": "s"}},
                {"type": "ImageChange", "imageChange": {"from": from, "paused": true}},
            ])
        );
        // Given back before, or changed by somebody.
        assert_eq!(given_back(&wanted, &wanted), None);
        assert_eq!(given_back(&config(&json!([])), &wanted), None);
        // Nothing was held.
        let quiet = config(&json!([{"type": "Generic", "generic": {"secret": "s"}}]));
        assert_eq!(given_back(&quiet, &quiet), None);
    }
}
