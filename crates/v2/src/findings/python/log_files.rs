//! Logs that go to files only, or to mail, or nowhere.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::children;

pub(super) const RULE: Rule = Rule {
    id: "log-files",
    title: "logs that nobody sees",
    why: "files in a container are gone with its pod, and mail needs a server; what is written to the console is kept and shown by `oc logs`",
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
        let is_mended = py.source().contains("LOGGING['handlers']['console']");
        if to_console || is_mended {
            continue;
        }
        let (what, rest) = if text.contains("FileHandler") {
            (
                "the application logs to files only",
                "; the files stay, in /tmp/",
            )
        } else {
            ("what the application logs is written nowhere", "")
        };
        let finding = file.at(&RULE, Severity::Warning, py.line(assign.statement), what);
        // Every logger of its own gets the console beside what it has.
        let handlers = py
            .entry(value, "handlers")
            .filter(|node| node.kind() == "dictionary");
        let loggers = py
            .entry(value, "loggers")
            .filter(|node| node.kind() == "dictionary");
        let (Some(_), Some(loggers), false, crate::findings::Role::Settings) =
            (handlers, loggers, assign.nested, file.role)
        else {
            file.add(finding.person("add a StreamHandler, and name it in each logger"));
            continue;
        };
        // Without a logger for them Django's own mails the errors of requests, and does nothing else.
        let sees_requests = py.entry(value, "root").is_some()
            || children(loggers).into_iter().any(|pair| {
                pair.child_by_field_name("key")
                    .and_then(|key| py.string(key))
                    .is_some_and(|name| {
                        ["", "root", "django", "django.request"].contains(&name.as_str())
                    })
            });
        let requests = if sees_requests {
            ""
        } else {
            "LOGGING['loggers']['django.request'] = {'level': 'ERROR'}\n"
        };
        file.add(
            finding
                .convert(format!("adds a handler for the console to every logger{rest}"))
                .append(format!(
                    "\n# What is logged is seen with `oc logs`, too.\nLOGGING['handlers']['console'] = {{'class': 'logging.StreamHandler'}}\n{requests}for openshift_logger in LOGGING['loggers'].values():\n    openshift_logger['handlers'] = list(openshift_logger.get('handlers', ())) + ['console']\n",
                )),
        );
    }
}
