//! What is at the cluster already and stays: a blank image in a manifest would undo what a trigger put there, and roll out for nothing.

use serde_json::Value;

use super::Manifests;

/// Where pods are described.
const PODS: &[&str] = &[
    "/spec/template/spec",
    "/spec/jobTemplate/spec/template/spec",
];

impl Manifests {
    /// Takes over from the cluster's objects what triggers and people decided there: images, the number of pods, and what a trigger saw.
    pub fn keep(&mut self, live: &[Value]) {
        for manifest in &mut self.objects {
            let wanted = &mut manifest.object;
            let there = live.iter().find(|one| {
                one["kind"] == wanted["kind"]
                    && one["metadata"]["name"] == wanted["metadata"]["name"]
            });
            if let Some(there) = there {
                images(wanted, there);
                replicas(wanted, there);
                triggers(wanted, there);
            }
        }
    }
}

fn images(wanted: &mut Value, live: &Value) {
    for pods in PODS {
        for list in ["initContainers", "containers"] {
            let place = format!("{pods}/{list}");
            let there = live.pointer(&place).and_then(Value::as_array);
            let (Some(containers), Some(there)) = (
                wanted.pointer_mut(&place).and_then(Value::as_array_mut),
                there,
            ) else {
                continue;
            };
            for container in containers {
                let blank = container["image"]
                    .as_str()
                    .is_none_or(|image| image.trim().is_empty());
                let image = there
                    .iter()
                    .find(|one| one["name"] == container["name"])
                    .and_then(|one| one["image"].as_str());
                if let (true, Some(image)) = (blank, image) {
                    container["image"] = image.into();
                }
            }
        }
    }
}

/// Somebody scaled it. Stopping it was for a time.
fn replicas(wanted: &mut Value, live: &Value) {
    if let (Some(count), Some(there @ 1..)) = (
        wanted.pointer_mut("/spec/replicas"),
        live["spec"]["replicas"].as_u64(),
    ) {
        *count = there.into();
    }
}

/// Lists of triggers are replaced whole, and what a trigger saw last would be forgotten.
fn triggers(wanted: &mut Value, live: &Value) {
    let there = live["spec"]["triggers"].as_array();
    let (Some(triggers), Some(there)) = (
        wanted
            .pointer_mut("/spec/triggers")
            .and_then(Value::as_array_mut),
        there,
    ) else {
        return;
    };
    for trigger in triggers {
        let last = there
            .iter()
            .find(|one| {
                one["type"] == trigger["type"]
                    && one["imageChangeParams"]["from"]["name"]
                        == trigger["imageChangeParams"]["from"]["name"]
            })
            .and_then(|one| one["imageChangeParams"]["lastTriggeredImage"].as_str());
        if let Some(last) = last {
            trigger["imageChangeParams"]["lastTriggeredImage"] = last.into();
        }
    }
}
