//! Status, which tells of the source.
//!
//! Most kinds drop it on create; a BuildConfig keeps `lastVersion` and would number its builds on from
//! there, and a custom resource without a status subresource keeps all of it.

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "status",
    reason: "it tells the state of things in the source's cluster",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    draft.remove("/status");
    for at in draft.places("/spec/volumeClaimTemplates/*/status") {
        draft.remove(&at);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn status_goes_also_from_claim_templates() {
        let done = one(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Pending"}}]},
            "status": {"replicas": 2}}),
        );
        assert_eq!(
            done["spec"]["volumeClaimTemplates"][0],
            json!({"metadata": {"name": "data"}, "spec": {}})
        );
        assert_eq!(done.get("status"), None);
    }
}
