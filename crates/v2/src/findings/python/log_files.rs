//! Logs that go to files only.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "log-files",
    title: "logs in files",
    why: "files in a container are gone with its pod, and nobody sees them; what is written to standard output is kept and shown by `oc logs`",
    check: Check::Python {
        needle: r"LOGGING",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.is_settings() {
        return;
    }
    let py = file.py;
    for assign in file.assigned("LOGGING") {
        let Some(value) = assign.value.filter(|value| value.kind() == "dictionary") else {
            continue;
        };
        let text = py.text(value);
        let to_console = text.contains("StreamHandler") || text.contains("console");
        let to_files = text.contains("FileHandler");
        let is_mended = py.source().contains("LOGGING['handlers']['console']");
        if to_console || !to_files || is_mended {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Warning,
            py.line(assign.statement),
            "the application logs to files only",
        );
        // Every logger of its own gets the console beside its files.
        let handlers = py
            .entry(value, "handlers")
            .filter(|node| node.kind() == "dictionary");
        let loggers = py
            .entry(value, "loggers")
            .filter(|node| node.kind() == "dictionary");
        if handlers.is_none()
            || loggers.is_none()
            || assign.nested
            || file.role != crate::findings::Role::Settings
        {
            file.add(finding.person("add a StreamHandler, and name it in each logger"));
            continue;
        }
        file.add(
            finding
                .convert("adds a handler for the console to every logger; the files stay, in /tmp/")
                .append(
                    "\n# What is logged is seen with `oc logs`, too.\nLOGGING['handlers']['console'] = {'class': 'logging.StreamHandler'}\nfor openshift_logger in LOGGING['loggers'].values():\n    openshift_logger['handlers'] = list(openshift_logger.get('handlers', ())) + ['console']\n",
                ),
        );
    }
}
