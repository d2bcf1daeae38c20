//! Tokens that a person made for a service account.
//!
//! The token itself is the source's. Copied with the account's uid, the secret is deleted by the target's
//! controllers within seconds; without it, they fill it with a token of their own.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "token-secret",
    reason: "the token is good in the source's cluster only; the target fills in its own",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    let is_token = draft.object().is("", "Secret")
        && draft.get("/type").and_then(Value::as_str)
            == Some("kubernetes.io/service-account-token");
    if !is_token {
        return;
    }
    draft.remove_annotation("kubernetes.io/service-account.uid");
    draft.remove("/metadata/labels/kubernetes.io~1legacy-token-last-used");
    let mut removed = false;
    for key in ["ca.crt", "namespace", "service-ca.crt", "token"] {
        removed |= draft.remove(&format!("/data/{key}"));
    }
    draft.drop_if_empty("/data");
    if removed {
        draft.find(
            Severity::Warning,
            "the target gives it another token: whoever uses this one from outside needs the new one",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::refactored;

    #[test]
    fn the_token_goes_and_the_wish_for_one_stays() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci", "annotations":
            {"kubernetes.io/service-account.name": "runner", "kubernetes.io/service-account.uid": "u"}},
            "data": {"token": "c2VjcmV0", "ca.crt": "eA==", "namespace": "YXBw"}, "type": "kubernetes.io/service-account-token"}),
        ]);
        assert_eq!(
            done.objects[0].object.value(),
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci",
                "annotations": {"kubernetes.io/service-account.name": "runner"}}, "type": "kubernetes.io/service-account-token"})
        );
        assert!(!serde_json::to_string(&done).unwrap().contains("c2VjcmV0"));
    }
}
