//! Volumes that hold a pod's token, which servers add to every pod.
//!
//! `kube-api-access-*` since Kubernetes 1.21; before, the secret `<account>-token-*`, which is not at the
//! target: the pod would never start. Pull secrets of the account are added in the same way.

use std::collections::BTreeSet;

use openshifter_objects::ObjectKey;

use crate::draft::{Context, Draft};

use super::Rule;
use super::service_account_secrets::is_generated_name;

pub(super) const RULE: Rule = Rule {
    id: "pod-token",
    reason: "the source's server added it to the running pod; the target's adds its own",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !draft.object().is("", "Pod") {
        return;
    }
    let account = draft
        .text("/spec/serviceAccountName")
        .unwrap_or("default")
        .to_owned();
    let is_made = |name: &str| {
        is_generated_name(&account, name) && !context.has(&ObjectKey::new("", "Secret", name))
    };
    let mut volumes = BTreeSet::new();
    for at in draft.places("/spec/volumes/*").into_iter().rev() {
        let Some(name) = draft.text(&format!("{at}/name")).map(str::to_owned) else {
            continue;
        };
        let projected =
            name.starts_with("kube-api-access-") && draft.get(&format!("{at}/projected")).is_some();
        let secret = draft
            .text(&format!("{at}/secret/secretName"))
            .is_some_and(is_made);
        if projected || secret {
            draft.remove(&at);
            volumes.insert(name);
        }
    }
    if volumes.is_empty() && draft.get("/spec/imagePullSecrets").is_none() {
        return;
    }
    draft.drop_if_empty("/spec/volumes");
    for containers in ["initContainers", "containers", "ephemeralContainers"] {
        for at in draft
            .places(&format!("/spec/{containers}/*/volumeMounts/*"))
            .into_iter()
            .rev()
        {
            if draft
                .text(&format!("{at}/name"))
                .is_some_and(|name| volumes.contains(name))
            {
                draft.remove(&at);
            }
        }
        for at in draft.places(&format!("/spec/{containers}/*/volumeMounts")) {
            draft.drop_if_empty(&at);
        }
    }
    for at in draft.places("/spec/imagePullSecrets/*").into_iter().rev() {
        if draft.text(&format!("{at}/name")).is_some_and(is_made) {
            draft.remove(&at);
        }
    }
    draft.drop_if_empty("/spec/imagePullSecrets");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn token_volumes_of_both_generations_go() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "serviceAccountName": "default",
            "volumes": [{"name": "kube-api-access-6cwgg", "projected": {"sources": []}},
                {"name": "default-token-x9k2f", "secret": {"secretName": "default-token-x9k2f"}},
                {"name": "data", "emptyDir": {}},
                {"name": "keys", "secret": {"secretName": "keys"}}],
            "containers": [
                {"name": "a", "volumeMounts": [{"name": "kube-api-access-6cwgg", "mountPath": "/var/run"}]},
                {"name": "b", "volumeMounts": [{"name": "data", "mountPath": "/d"}, {"name": "default-token-x9k2f", "mountPath": "/t"}]}],
            "imagePullSecrets": [{"name": "default-dockercfg-hcjj2"}]}}),
        );
        assert_eq!(
            done["spec"],
            json!({"serviceAccountName": "default",
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "keys", "secret": {"secretName": "keys"}}],
                "containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]})
        );
    }
}
