//! Selectors and labels by which a Job knows its pods.
//!
//! The server makes them from the Job's uid and refuses others (422), unless the Job has a selector of its
//! own (`manualSelector`).

use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "job-selector",
    reason: "the server makes it from the Job's uid and refuses any other",
    apply,
};

pub(crate) const LABELS: &[&str] = &[
    "controller-uid",
    "job-name",
    "batch.kubernetes.io~1controller-uid",
    "batch.kubernetes.io~1job-name",
];

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("batch", "Job")
        || draft.get("/spec/manualSelector").and_then(Value::as_bool) == Some(true)
    {
        return;
    }
    draft.remove("/spec/selector");
    draft.remove("/spec/manualSelector");
    for at in ["/metadata/labels", "/spec/template/metadata/labels"] {
        for label in LABELS {
            draft.remove(&format!("{at}/{label}"));
        }
        draft.drop_if_empty(at);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn generated_selectors_go() {
        let done = one(
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {
            "manualSelector": false, "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "template": {"metadata": {"labels": {"app": "x", "batch.kubernetes.io/controller-uid": "u", "controller-uid": "u", "job-name": "j",
                "batch.kubernetes.io/job-name": "j"}}}}}),
        );
        assert_eq!(
            done["spec"],
            json!({"template": {"metadata": {"labels": {"app": "x"}}}})
        );
    }

    #[test]
    fn a_selector_of_one_s_own_stays() {
        let value = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
            "spec": {"manualSelector": true, "selector": {"matchLabels": {"job-name": "j"}}}});
        assert_eq!(one(value.clone()), value);
    }
}
