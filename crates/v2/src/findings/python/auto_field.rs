//! The default type of primary keys, which changed.

use super::templates_setting::any_settings_assign;
use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "auto-field",
    title: "the type of primary keys",
    why: "without the setting, newer Djangos warn, and want migrations that change the type of every primary key",
    check: Check::Python {
        needle: r"INSTALLED_APPS",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings
        || !file.to_django(3, 2)
        || any_settings_assign(file, "DEFAULT_AUTO_FIELD")
    {
        return;
    }
    file.add(
        file.at(&RULE, Severity::Info, 1, "DEFAULT_AUTO_FIELD is not set")
            .convert("sets it to the type that the tables have")
            .append("\n# The type that the tables' primary keys have.\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"),
    );
}
