//! What of a chart needs to be allowed before anything is created.

use openshifter_refactor::Finding;

use crate::MigrateError;
use crate::import::{ImportOptions, Prepared};

/// The rule that finds what grants rights beyond the project.
const RULE: &str = "beyond-project";

/// Refuses what reaches beyond the project, unless it is allowed.
///
/// # Errors
/// When there is something and nobody allowed it; all of it is named.
pub(crate) fn check(prepared: &Prepared, options: &ImportOptions) -> Result<(), MigrateError> {
    let found = beyond(&prepared.findings);
    if found.is_empty() || options.allow_beyond_project {
        return Ok(());
    }
    Err(MigrateError::NeedsAllow {
        what: found.join(", "),
        flag: RULE,
    })
}

fn beyond(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.rule == RULE)
        // Definitions have a leave of their own.
        .filter(|finding| finding.object.kind.kind != "CustomResourceDefinition")
        .map(|finding| format!("{} ({})", finding.object, finding.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use openshifter_objects::{Object, ObjectKey};
    use openshifter_refactor::{Choices, Source};
    use serde_json::json;

    use super::*;

    fn prepared(spec: serde_json::Value) -> Prepared {
        let object = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
            "spec": {"template": {"spec": spec}},
        }))
        .unwrap();
        let source = Source {
            namespace: "x".to_owned(),
            openshift: false,
        };
        let refactored = openshifter_refactor::refactor(&[object], &source, &Choices::default());
        Prepared {
            skipped: Vec::new(),
            objects: Vec::new(),
            had: std::collections::BTreeSet::new(),
            crds: Vec::new(),
            volumes: Vec::new(),
            helpers: std::collections::BTreeMap::new(),
            findings: refactored.findings,
            left_out: Vec::new(),
            losses: Vec::new(),
        }
    }

    #[test]
    fn what_reaches_into_the_node_needs_leave() {
        let privileged = prepared(
            json!({"containers": [{"name": "c", "securityContext": {"privileged": true}}]}),
        );
        let error = check(&privileged, &ImportOptions::default()).unwrap_err();
        insta::assert_snapshot!(error, @"the chart holds DaemonSet.apps/d (its pods reach into the node: privileged containers), which reach beyond the project; look at them and pass --allow beyond-project");
        let allowed = ImportOptions {
            allow_beyond_project: true,
            ..ImportOptions::default()
        };
        assert!(check(&privileged, &allowed).is_ok());
        let plain = prepared(json!({"containers": [{"name": "c"}]}));
        assert!(check(&plain, &ImportOptions::default()).is_ok());
    }

    #[test]
    fn other_findings_need_none() {
        let mut plain = prepared(json!({"containers": []}));
        plain.findings.push(Finding {
            severity: openshifter_refactor::Severity::Warning,
            object: ObjectKey::new("batch", "Job", "j"),
            rule: "finished-job".to_owned(),
            message: "it is done".to_owned(),
        });
        assert!(check(&plain, &ImportOptions::default()).is_ok());
    }
}
