//! Reports as text.

use std::fmt::Write as _;

use crate::analysis::Analysis;
use crate::convert::Plan;
use crate::findings::{Remedy, Severity};
use crate::variables::{Supply, Variable};

/// An analysis as text.
pub fn text(analysis: &Analysis) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", headline(analysis));
    for (name, value) in facts(analysis) {
        let _ = writeln!(out, "  {name:<14} {value}");
    }
    for severity in [Severity::Blocker, Severity::Warning, Severity::Info] {
        let findings: Vec<_> = analysis
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .collect();
        if findings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{}", section(severity, findings.len()));
        for finding in findings {
            let place = finding.place();
            let place = if place.is_empty() {
                String::new()
            } else {
                format!("{place}: ")
            };
            let _ = writeln!(out, "  {place}{} [{}]", finding.what, finding.rule);
            let _ = writeln!(out, "      why: {}", finding.why);
            match &finding.remedy {
                Remedy::Convert(does) => {
                    let _ = writeln!(out, "      convert: {does}");
                }
                Remedy::Person(does) => {
                    let _ = writeln!(out, "      you: {does}");
                }
                Remedy::Nothing(_) => {}
            }
        }
    }
    let inputs: Vec<&Variable> = inputs(analysis);
    if !inputs.is_empty() {
        let _ = writeln!(out, "\nValues that a person has to give");
        for variable in inputs {
            let _ = writeln!(out, "  {}", input(variable));
        }
    }
    out
}

/// A plan as text: what is done to each file, and why.
pub fn plan_text(plan: &Plan) -> String {
    let mut out = String::new();
    for action in &plan.actions {
        let _ = writeln!(out, "{} {}", action.kind.verb(), action.title());
        for reason in &action.reasons {
            let line = reason
                .line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            let _ = writeln!(out, "    {line}{}", reason.text);
        }
    }
    out
}

/// One line on what the application is.
pub(crate) fn headline(analysis: &Analysis) -> String {
    let facts = &analysis.facts;
    let framework = facts
        .framework
        .map(|framework| format!(", {}", framework.title()))
        .unwrap_or_default();
    format!(
        "{}: an OpenShift V2 application for the {} cartridge{framework}",
        facts.name,
        facts.cartridge.name()
    )
}

/// What the application is, as pairs for a table.
pub(crate) fn facts(analysis: &Analysis) -> Vec<(&'static str, String)> {
    let facts = &analysis.facts;
    let mut rows = Vec::new();
    rows.push((
        "cartridge",
        format!(
            "{} (because of {})",
            facts.cartridge.name(),
            facts.cartridge_signs.join(", ")
        ),
    ));
    if let Some(entry) = &facts.entry {
        let how = match entry.kind {
            crate::facts::EntryKind::SelfServing => "serves by itself",
            crate::facts::EntryKind::Wsgi => "WSGI",
        };
        rows.push(("entry point", format!("{} ({how})", entry.path)));
    }
    if let Some(project) = &facts.project {
        if let Some(manage) = &project.manage {
            rows.push(("manage.py", manage.clone()));
        }
        if let Some(module) = &project.settings_module {
            let files: Vec<&str> = project
                .settings
                .iter()
                .map(|file| file.path.as_str())
                .collect();
            rows.push(("settings", format!("{module} ({})", files.join(", "))));
        }
        if let Some(django) = project.django {
            rows.push((
                "Django",
                format!("{django}, to be {}", analysis.options.django),
            ));
        }
        if let (Some(url), Some(root)) = (&project.static_files.url, &project.static_files.root) {
            rows.push(("static files", format!("{url} from {root}")));
        }
        if let Some(root) = project.media.as_ref().and_then(|media| media.root.as_ref()) {
            rows.push(("uploads", root.clone()));
        }
    }
    let level = match facts.python {
        crate::facts::PythonLevel::Python2 => "2 only, to be ported by a person",
        crate::facts::PythonLevel::Either if is_old(analysis) => {
            "parses as Python 3, but uses what Python 3 or its newer releases do not have (see below)"
        }
        crate::facts::PythonLevel::Either => "nothing found that is Python 2 only",
    };
    if facts.cartridge == crate::facts::Cartridge::Python {
        rows.push((
            "Python",
            format!("{level}; the result is for {}", analysis.options.python),
        ));
    }
    if !facts.databases.is_empty() {
        let mut kinds: Vec<String> = facts
            .databases
            .iter()
            .map(|database| {
                let kind = match database.kind {
                    crate::facts::DatabaseKind::Sqlite => "SQLite",
                    crate::facts::DatabaseKind::Mysql => "MySQL",
                    crate::facts::DatabaseKind::Postgresql => "PostgreSQL",
                    crate::facts::DatabaseKind::Mongodb => "MongoDB",
                    crate::facts::DatabaseKind::Other => "another database",
                };
                match &database.file {
                    Some(file) => format!("{kind} in {file}"),
                    None => kind.to_owned(),
                }
            })
            .collect();
        kinds.dedup();
        rows.push(("databases", kinds.join(", ")));
    }
    if !facts.hooks.is_empty() {
        let hooks: Vec<String> = facts
            .hooks
            .iter()
            .map(|hook| match hook.state {
                crate::facts::HookState::Live => hook.name.clone(),
                crate::facts::HookState::Empty => format!("{} (empty)", hook.name),
                crate::facts::HookState::NotExecutable => format!("{} (not executable)", hook.name),
            })
            .collect();
        rows.push(("hooks", hooks.join(", ")));
    }
    if !facts.markers.is_empty() {
        rows.push(("markers", facts.markers.join(", ")));
    }
    if !facts.cron.is_empty() {
        let jobs: Vec<String> = facts
            .cron
            .iter()
            .map(|category| format!("{} ({})", category.category, category.jobs.join(", ")))
            .collect();
        rows.push(("cron", jobs.join(", ")));
    }
    let requirements: Vec<&str> = facts
        .dependencies
        .all()
        .map(|one| one.text.as_str())
        .collect();
    if !requirements.is_empty() {
        rows.push(("requirements", requirements.join(", ")));
    }
    if facts.data_dir.needed && facts.cartridge == crate::facts::Cartridge::Python {
        rows.push(("data", facts.data_dir.path.clone()));
    }
    rows
}

/// Whether something calls or imports what went with Python 2, or since.
fn is_old(analysis: &Analysis) -> bool {
    const RULES: &[&str] = &[
        "python2-syntax",
        "has-key",
        "activate-this",
        "imp-module",
        "distutils",
        "openshift-secure",
    ];
    analysis
        .findings
        .iter()
        .any(|finding| RULES.contains(&finding.rule))
}

/// The variables that a person has to give.
pub(crate) fn inputs(analysis: &Analysis) -> Vec<&Variable> {
    analysis
        .variables
        .iter()
        .filter(|variable| matches!(variable.supply, Supply::Input { .. }))
        .collect()
}

pub(crate) fn input(variable: &Variable) -> String {
    let (required, secret) = match variable.supply {
        Supply::Input { required, secret } => (required, secret),
        _ => (false, false),
    };
    let first = variable
        .reads
        .first()
        .map(|read| format!(", read in {}:{}", read.path, read.line))
        .unwrap_or_default();
    format!(
        "{} ({}{}{first})",
        variable.name,
        if required { "required" } else { "optional" },
        if secret { ", a secret" } else { "" }
    )
}

pub(crate) fn section(severity: Severity, count: usize) -> String {
    match severity {
        Severity::Blocker => {
            format!("Blockers ({count}): without this it does not build, start or serve")
        }
        Severity::Warning => {
            format!("Warnings ({count}): it works differently, or less safely, or loses something")
        }
        Severity::Info => format!("Worth knowing ({count})"),
    }
}
