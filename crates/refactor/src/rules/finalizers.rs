//! Finalizers.
//!
//! A create keeps them as sent. The controllers that need them set them again; where there is no such
//! controller at the target, an object with one could never be deleted.

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "finalizers",
    reason: "controllers set them where they run; where they do not, the object could never be deleted",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    draft.remove("/metadata/finalizers");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn finalizers_go() {
        let done = one(json!({"apiVersion": "example.org/v1", "kind": "Database",
            "metadata": {"name": "d", "finalizers": ["example.org/backup"]}}));
        assert_eq!(done["metadata"], json!({"name": "d"}));
    }
}
