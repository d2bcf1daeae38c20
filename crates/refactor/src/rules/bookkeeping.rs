//! Annotations in which clients and controllers keep books.
//!
//! `last-applied-configuration` repeats the object as somebody once applied it: with addresses and names
//! that are no longer so, and of a Secret with its values. Revisions count rollouts that the target never
//! saw.

use crate::draft::{Context, Draft, LAST_APPLIED};
use crate::select::RUN_MARK;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "bookkeeping",
    reason: "a client or a controller of the source's cluster keeps its books there",
    apply,
};

pub(crate) const ANNOTATIONS: &[&str] = &[
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.daemonset.template.generation",
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    "batch.kubernetes.io/job-tracking",
    "batch.kubernetes.io/cronjob-scheduled-timestamp",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "openshift.io/image.dockerRepositoryCheck",
    "service.alpha.openshift.io/serving-cert-signed-by",
    "service.beta.openshift.io/serving-cert-signed-by",
    "service.alpha.openshift.io/serving-cert-generation-error",
    "service.beta.openshift.io/serving-cert-generation-error",
    "service.alpha.openshift.io/serving-cert-generation-error-num",
    "service.beta.openshift.io/serving-cert-generation-error-num",
    RUN_MARK,
];

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    for name in ANNOTATIONS {
        draft.remove_annotation(name);
    }
    draft.remove(&format!(
        "/metadata/labels/{}",
        openshifter_objects::escape(RUN_MARK)
    ));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::draft::LAST_APPLIED;
    use crate::rules::testing::refactored;

    #[test]
    fn books_go_without_being_shown_and_notes_stay() {
        let done = refactored([
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "1",
            "annotations": {LAST_APPLIED: "{\"password\":\"s3cr3t\"}", "deployment.kubernetes.io/revision": "4",
                "kubernetes.io/change-cause": "why"}}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "web", "annotations": {"kubernetes.io/change-cause": "why"}})
        );
        assert!(!serde_json::to_string(&done).unwrap().contains("s3cr3t"));
    }

    #[test]
    fn a_map_that_is_emptied_goes() {
        let done = refactored([json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "annotations": {LAST_APPLIED: "{}"}}})]);
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "c"})
        );
    }
}
