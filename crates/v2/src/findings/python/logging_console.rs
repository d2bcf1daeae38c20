//! Errors that nobody sees.

use super::templates_setting::any_settings_assign;
use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "logging-console",
    title: "errors that nobody sees",
    why: "with DEBUG off Django mails errors and logs them nowhere; written to standard error they are shown by `oc logs`",
    check: Check::Python {
        needle: r"INSTALLED_APPS|LOGGING",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings || any_settings_assign(file, "LOGGING") {
        return;
    }
    let import = if super::secret_key::imports_os(file) {
        ""
    } else {
        "import os\n"
    };
    file.add(
        file.at(&RULE, Severity::Warning, 1, "there is no LOGGING")
            .convert("logs to the console, at the level in DJANGO_LOG_LEVEL")
            .append(format!(
                "\n# Errors are logged to where `oc logs` shows them.\n{import}LOGGING = {{\n    'version': 1,\n    'disable_existing_loggers': False,\n    'handlers': {{\n        'console': {{\n            'class': 'logging.StreamHandler',\n        }},\n    }},\n    'loggers': {{\n        'django': {{\n            'handlers': ['console'],\n            'level': os.environ.get('DJANGO_LOG_LEVEL', 'INFO'),\n        }},\n    }},\n}}\n"
            )),
    );
}
