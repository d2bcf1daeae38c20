//! Jobs that are done.
//!
//! Created again, a Job runs again: a migration of a database, say, on data that went through it already.
//! Leaving it out would lose its definition. So it comes suspended, and a person starts it who wants it.
//! Servers before Kubernetes 1.21 do not know `suspend`.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "finished-job",
    reason: "the Job has run at the source; it must not run again on the same data unasked",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !draft.object().is("batch", "Job") || !draft.get("/spec").is_some_and(Value::is_object) {
        return;
    }
    let status = draft.original().value().get("status");
    let Some(outcome) = status.and_then(outcome) else {
        if status.and_then(|status| status.get("startTime")).is_some() {
            draft.find(
                Severity::Warning,
                "it had not finished at the source; at the target it begins again",
            );
        }
        return;
    };
    if context.choices.rerun_finished_jobs {
        draft.find(
            Severity::Warning,
            format!("it has {outcome} at the source and runs again at the target"),
        );
        return;
    }
    draft.set("/spec/suspend", true.into());
    draft.find(
        Severity::Warning,
        format!("it has {outcome} at the source; it is created suspended and runs when `spec.suspend` is set to false"),
    );
}

fn outcome(status: &Value) -> Option<&'static str> {
    let conditions = status.get("conditions").and_then(Value::as_array)?;
    conditions
        .iter()
        .filter(|condition| condition.get("status").and_then(Value::as_str) == Some("True"))
        .find_map(
            |condition| match condition.get("type").and_then(Value::as_str)? {
                "Complete" => Some("completed"),
                "Failed" => Some("failed"),
                _ => None,
            },
        )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Choices;
    use crate::rules::testing::{findings, refactored, with};

    fn job(status: Value) -> Value {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"suspend": false}, "status": status})
    }

    fn done() -> Value {
        job(json!({"startTime": "t", "conditions": [{"type": "Complete", "status": "True"}]}))
    }

    #[test]
    fn what_is_done_does_not_run_again_unasked() {
        let refactored = refactored([done()]);
        assert_eq!(
            refactored.objects[0].object.value()["spec"]["suspend"],
            true
        );
        assert_eq!(refactored.values["suspend"]["Job"]["j"], true);
        insta::assert_snapshot!(findings(&refactored, "finished-job").join("\n"), @"Warning: it has completed at the source; it is created suspended and runs when `spec.suspend` is set to false");
        let choices = Choices {
            rerun_finished_jobs: true,
            ..Choices::default()
        };
        assert_eq!(
            with([done()], &choices).objects[0].object.value()["spec"]["suspend"],
            false
        );
    }

    #[test]
    fn what_was_running_begins_again() {
        let refactored = refactored([job(json!({"startTime": "t", "active": 1}))]);
        assert_eq!(
            refactored.objects[0].object.value()["spec"]["suspend"],
            false
        );
        assert_eq!(findings(&refactored, "finished-job").len(), 1);
    }
}
