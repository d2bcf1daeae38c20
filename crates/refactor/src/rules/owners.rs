//! Owner references.
//!
//! They name the owner's uid, which is another at the target: an object with an owner that does not exist
//! is garbage there and is collected. Project administrators may not set `blockOwnerDeletion` (403).

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "owner-references",
    reason: "they hold uids of the source; with them the target would collect the object as garbage",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    let owners = draft.object().owners();
    if !draft.remove("/metadata/ownerReferences") {
        return;
    }
    for owner in owners {
        // Nothing is lost between a StatefulSet and its claims: it takes them over again.
        let message = if context.has(&owner.key) {
            format!(
                "at the source it goes when {} is deleted; at the target it will not, until its owner claims it again",
                owner.key
            )
        } else {
            format!(
                "its owner {} is not part of the application; nothing looks after it at the target",
                owner.key
            )
        };
        draft.find(Severity::Info, message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn owners_go_and_are_told() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "ownerReferences": [
            {"apiVersion": "example.org/v1", "kind": "Database", "name": "db", "uid": "u"}]}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "s"})
        );
        insta::assert_snapshot!(findings(&done, "owner-references").join("\n"), @"Info: its owner Database.example.org/db is not part of the application; nothing looks after it at the target");
    }
}
