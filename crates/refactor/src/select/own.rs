//! What Openshifter itself puts into a namespace for the time of a run.

use super::LeaveOut;

/// Label of objects that are there only to do a run's work, as a pod that mounts a claim to read it.
pub const HELPER_LABEL: &str = "openshifter.dev/helper";

/// Label or annotation that tells which run created an object. The application's own objects carry it
/// too, so that it alone does not make an object a helper.
pub const RUN_MARK: &str = "openshifter.dev/run";

/// Names of helpers begin so.
const HELPER_PREFIX: &str = "openshifter-";

pub(super) const RULE: LeaveOut = LeaveOut {
    id: "own-helper",
    reason: |object, _| {
        let helper = object.label(HELPER_LABEL).is_some()
            || (object.label(RUN_MARK).is_some() && object.name().starts_with(HELPER_PREFIX));
        helper.then(|| "Openshifter made it for a run".to_owned())
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::select::testing::left_out;

    #[test]
    fn helpers_are_left_out_but_what_a_run_imported_is_not() {
        let pod = |name: &str, label: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {label: "1"}}});
        let found = left_out(vec![
            pod("a", super::HELPER_LABEL),
            pod("openshifter-reader-x", super::RUN_MARK),
            pod("web", super::RUN_MARK),
        ]);
        assert_eq!(
            found,
            [
                ("Pod/a".to_owned(), "own-helper".to_owned()),
                (
                    "Pod/openshifter-reader-x".to_owned(),
                    "own-helper".to_owned()
                )
            ]
        );
    }
}
