//! Jobs that are not to run, at clusters that know no suspended ones.

use openshifter_objects::Object;
use openshifter_refactor::{Finding, Severity};

/// Whether the servers of this version keep `spec.suspend` of a Job: before Kubernetes 1.22 they drop it in silence.
pub(crate) fn can_suspend(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || {
        let part = parts.next()?;
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    match (number(), number()) {
        (Some(major), Some(minor)) => (major, minor) >= (1, 22),
        // An unknown version is a new one.
        _ => true,
    }
}

/// Holds suspended Jobs by the number of their pods, which every server knows: a Job that is done would run again
/// otherwise.
pub(crate) fn hold_without_suspend(objects: &mut [Object], findings: &mut Vec<Finding>) {
    for object in objects {
        if !object.is("batch", "Job") || object.value()["spec"]["suspend"] != true {
            continue;
        }
        let key = object.key();
        let spec = &mut object.value_mut()["spec"];
        let wanted = spec["parallelism"].as_i64().unwrap_or(1);
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("suspend");
            spec.insert("parallelism".to_owned(), 0.into());
        }
        findings.push(Finding {
            severity: Severity::Warning,
            object: key,
            rule: "held-job".to_owned(),
            message: format!(
                "this cluster knows no suspended jobs, so it is created with no pods; it runs when `spec.parallelism` is set to {wanted}"
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_servers_are_known() {
        for (version, can) in [
            ("v1.20.2", false),
            ("v1.21.14+k3s1", false),
            ("v1.22.0", true),
            ("v1.9.1", false),
            ("v1.36.1", true),
            ("v2.0.0", true),
            ("unknown", true),
        ] {
            assert_eq!(can_suspend(version), can, "{version}");
        }
    }

    #[test]
    fn only_suspended_jobs_are_held() {
        let job = |suspend: bool| {
            Object::from_value(
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
                "spec": {"suspend": suspend, "parallelism": 3}}),
            )
            .unwrap()
        };
        let (mut objects, mut findings) = ([job(true), job(false)], Vec::new());
        hold_without_suspend(&mut objects, &mut findings);
        assert_eq!(objects[0].value()["spec"], json!({"parallelism": 0}));
        assert_eq!(
            objects[1].value()["spec"],
            json!({"suspend": false, "parallelism": 3})
        );
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].message.contains("set to 3"),
            "{}",
            findings[0].message
        );
    }
}
