//! The default of `USE_TZ`, which changed.

use super::templates_setting::any_settings_assign;
use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "time-zone-default",
    title: "the default of USE_TZ",
    why: "since Django 5.0 times are aware of their zone unless the settings say otherwise, and those in the database were not",
    check: Check::Python {
        needle: r"INSTALLED_APPS",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings || !file.to_django(5, 0) || any_settings_assign(file, "USE_TZ") {
        return;
    }
    file.add(
        file.at(&RULE, Severity::Warning, 1, "USE_TZ is not set")
            .convert("sets it to what it was by default")
            .append("\n# The default that this application was written for.\nUSE_TZ = False\n"),
    );
}
