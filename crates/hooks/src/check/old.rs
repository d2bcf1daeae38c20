//! A tree as it was for V2, before a conversion.

use std::path::Path;

use super::{Findings, Severity, names, script, sorted};
use crate::{file, jobs};

/// Nothing in it is run, and what it says would have to change: warnings all.
pub(super) fn check(s2i: &Path, findings: &mut Findings<'_>) {
    let old = findings.root.join(".openshift");
    for path in sorted(&old.join("action_hooks")) {
        let name = path.file_name().unwrap_or_default();
        let kept = file::exists(&s2i.join("action_hooks").join(name));
        let name = name.to_string_lossy();
        if !file::is_file(&path) || kept || name.starts_with('.') || name.starts_with("README") {
            continue;
        }
        let advice =
            names::former(&name).map_or_else(String::new, |advice| format!(". It {advice}"));
        findings.warning(&path, None, format!("hooks of OpenShift V2 are not run where they are; `openshifter v2 convert` moves them{advice}"));
        let before = findings.all.len();
        script::check(&path, script::Kind::Old, findings);
        for finding in &mut findings.all[before..] {
            finding.severity = Severity::Warning;
        }
    }
    for category in sorted(&old.join("cron")) {
        for path in jobs::list(&category) {
            findings.warning(&path, None, "jobs of OpenShift V2 are not run where they are; `openshifter v2 convert` moves them");
        }
    }
}
