//! The knob by which Jobs and CronJobs are kept from running.

use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "suspend",
    reason: "whether a Job runs may differ at the target",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    let object = draft.object();
    if object.group() == "batch" && draft.get("/spec/suspend").is_some_and(Value::is_boolean) {
        let (kind, name) = (object.kind().to_owned(), object.name().to_owned());
        draft.knob("/spec/suspend", &["suspend", &kind, &name]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::refactored;

    #[test]
    fn a_cron_job_can_be_suspended_by_a_value() {
        let done = refactored([
            json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {"suspend": false}}),
        ]);
        assert_eq!(
            done.values,
            json!({"suspend": {"CronJob": {"nightly": false}}})
        );
    }
}
