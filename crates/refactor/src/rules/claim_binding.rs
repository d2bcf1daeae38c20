//! What binds a claim to a volume of the source.
//!
//! A claim with `volumeName` and the bind annotations is created, and then is Lost. A `selector` looks for
//! volumes of the source and keeps a provisioner away; a data source is a snapshot or claim of the source.

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "claim-binding",
    reason: "it binds the claim to a volume of the source's cluster; with it the claim would be lost",
    apply,
};

const PREFIXES: &[&str] = &[
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "volume.kubernetes.io/",
];

/// The class of a claim, as it was named before `storageClassName`; the rule on classes reads it.
pub(super) const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("", "PersistentVolumeClaim") {
        return;
    }
    let annotations: Vec<String> = draft
        .get("/metadata/annotations")
        .and_then(|map| map.as_object())
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| name != OLD_CLASS && PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    for name in annotations {
        draft.remove_annotation(&name);
    }
    draft.remove("/spec/volumeName");
    if draft.remove("/spec/selector") {
        draft.find(
            Severity::Info,
            "it was bound to a volume chosen by labels; at the target a new volume is provisioned for it",
        );
    }
    for field in ["dataSource", "dataSourceRef"] {
        draft.remove_because(
            &format!("/spec/{field}"),
            "it was filled from a snapshot or claim of the source's cluster; its data comes with the application",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn a_claim_is_unbound() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes", "volume.beta.kubernetes.io/storage-provisioner": "p",
                "volume.kubernetes.io/selected-node": "n", "note": "kept"}},
            "spec": {"volumeName": "pvc-1", "selector": {"matchLabels": {"a": "b"}}, "dataSource": {"kind": "VolumeSnapshot", "name": "s"},
                "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem"}}),
        );
        assert_eq!(done["metadata"]["annotations"], json!({"note": "kept"}));
        assert_eq!(
            done["spec"],
            json!({"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem"})
        );
    }
}
