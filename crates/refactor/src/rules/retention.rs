//! StatefulSets that delete their claims.
//!
//! With `whenScaled: Delete` scaling to zero, which is how an application is quiesced, deletes the data.

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "claim-retention",
    reason: "the StatefulSet deletes claims by itself",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if draft.object().is("apps", "StatefulSet")
        && draft.text("/spec/persistentVolumeClaimRetentionPolicy/whenScaled") == Some("Delete")
    {
        draft.find(
            Severity::Warning,
            "scaling it down deletes its claims with their data (persistentVolumeClaimRetentionPolicy.whenScaled is Delete); \
             set it to Retain before the application is quiesced",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn deletion_by_scaling_is_told() {
        let done = refactored([
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"}}}),
        ]);
        assert_eq!(findings(&done, "claim-retention").len(), 1);
    }
}
