//! `.s2i/environment`: variables that become part of the image, so never a secret.

use std::collections::BTreeMap;

use super::draft::{Draft, Reason};
use crate::analysis::Analysis;
use crate::facts::EntryKind;
use crate::tree::Tree;
use crate::variables::Supply;

const PATH: &str = ".s2i/environment";

/// Whether the tree's `.s2i/environment` sets a variable.
pub(crate) fn environment_sets(tree: &Tree, name: &str) -> bool {
    tree.text(PATH)
        .is_some_and(|text| names(&text).any(|known| known == name))
}

/// As s2i reads the file: `#` in the first column is a comment, the first `=` divides, both sides are trimmed.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.trim()))
}

/// The variables of the image, with why each is there.
pub(crate) fn image_variables(analysis: &Analysis) -> BTreeMap<String, (String, String)> {
    let facts = &analysis.facts;
    let mut all: BTreeMap<String, (String, String)> = analysis
        .variables
        .iter()
        .filter_map(|variable| match &variable.supply {
            Supply::Image { value } => {
                Some((variable.name.clone(), (value.clone(), variable.why.clone())))
            }
            _ => None,
        })
        .collect();
    let mut set = |name: &str, value: &str, why: &str| {
        all.insert(name.to_owned(), (value.to_owned(), why.to_owned()));
    };
    if facts.data_dir.needed {
        set(
            "OPENSHIFT_DATA_DIR",
            &facts.data_dir.path,
            &facts.data_dir.why,
        );
    }
    if let Some(project) = &facts.project {
        set(
            "DISABLE_COLLECTSTATIC",
            "1",
            "the build hook collects static files, from where manage.py is",
        );
        set(
            "DISABLE_MIGRATE",
            "1",
            "the migrate hook migrates, once for all pods",
        );
        let differs = analysis.findings.iter().any(|finding| {
            finding.rule == "settings-module" && finding.what.contains("other settings")
        });
        if let Some(module) = &project.settings_module
            && (differs || project.manage.is_none())
        {
            set(
                "DJANGO_SETTINGS_MODULE",
                module,
                "commands take the settings that serve",
            );
        }
    }
    if let Some(setup) = &facts.dependencies.setup_py {
        set(
            "DISABLE_SETUP_PY_PROCESSING",
            "1",
            if setup.reads_file() && facts.dependencies.requirements_file.is_some() {
                "requirements.txt, which setup.py seems to read, is installed by itself"
            } else if setup.dynamic.is_some() {
                "setup.py works its requirements out, and a person has to write them into requirements.txt"
            } else if setup.more.is_empty() {
                "setup.py was a list of requirements, which are in requirements.txt now"
            } else {
                "the requirements that setup.py writes out are in requirements.txt now; what it adds to them is not"
            },
        );
    }
    if facts
        .entry
        .as_ref()
        .is_some_and(|entry| entry.kind == EntryKind::SelfServing)
    {
        set(
            "ENABLE_INIT_WRAPPER",
            "1",
            "as process 1 Python would not end at SIGTERM",
        );
        set(
            "OPENSHIFT_PYTHON_IP",
            "0.0.0.0",
            "containers listen on all their addresses",
        );
        set("OPENSHIFT_PYTHON_PORT", "8080", "containers listen on 8080");
    }
    all
}

pub(super) fn environment(draft: &mut Draft<'_>, analysis: &Analysis) {
    let before = draft.tree.text(PATH).unwrap_or_default();
    let newline = if before.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut text = before.clone();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(newline);
    }
    let mut reasons = Vec::new();
    for (name, (value, why)) in image_variables(analysis) {
        if names(&before).any(|known| known == name) {
            continue;
        }
        text.push_str(&format!("{name}={value}{newline}"));
        reasons.push(Reason {
            rule: "environment",
            line: None,
            text: format!("{name}={value}: {why}"),
        });
    }
    if !reasons.is_empty() {
        draft.put(PATH, text, reasons);
    }
}
