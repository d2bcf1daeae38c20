//! Settings for templates from before `TEMPLATES`.

use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "templates-setting",
    title: "the setting TEMPLATES",
    why: "Django 1.10 reads TEMPLATES only; without it there are no templates, and the admin site refuses to start",
    check: Check::Python {
        needle: r"TEMPLATE_|INSTALLED_APPS",
        check,
    },
};

const OLD: &[&str] = &[
    "TEMPLATE_DIRS",
    "TEMPLATE_LOADERS",
    "TEMPLATE_CONTEXT_PROCESSORS",
    "TEMPLATE_DEBUG",
    "ALLOWED_INCLUDE_ROOTS",
    "TEMPLATE_STRING_IF_INVALID",
];

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings || !file.to_django(1, 10) {
        return;
    }
    if any_settings_assign(file, "TEMPLATES") || !any_settings_assign(file, "INSTALLED_APPS") {
        return;
    }
    let py = file.py;
    let line = OLD
        .iter()
        .find_map(|name| {
            file.assigned(name)
                .first()
                .map(|assign| py.line(assign.statement))
        })
        .unwrap_or(1);
    let dirs = if any_settings_assign(file, "TEMPLATE_DIRS") {
        "list(TEMPLATE_DIRS)"
    } else {
        "[]"
    };
    let mut own = Vec::new();
    let mut custom_loader = false;
    for assign in file.assigned("TEMPLATE_CONTEXT_PROCESSORS") {
        if let Some(value) = assign.value {
            own.extend(crate::facts::strings(py, value));
        }
    }
    for assign in file.assigned("TEMPLATE_LOADERS") {
        if let Some(value) = assign.value {
            custom_loader |= crate::facts::strings(py, value).iter().any(|loader| {
                ![
                    "django.template.loaders.filesystem.Loader",
                    "django.template.loaders.app_directories.Loader",
                    "django.template.loaders.eggs.Loader",
                ]
                .contains(&loader.as_str())
            });
        }
    }
    let standard = ["debug", "request", "i18n", "media", "static", "tz"];
    let mut processors: Vec<String> = [
        "django.template.context_processors.debug",
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
    .map(str::to_owned)
    .to_vec();
    for name in own {
        let name = match name.strip_prefix("django.core.context_processors.") {
            Some("auth") => "django.contrib.auth.context_processors.auth".to_owned(),
            Some(last) if standard.contains(&last) => {
                format!("django.template.context_processors.{last}")
            }
            _ => name,
        };
        if !processors.contains(&name) {
            processors.push(name);
        }
    }
    let mut text = String::from(
        "\n# What the TEMPLATE_* settings were, as Django reads it now.\nTEMPLATES = [\n    {\n        'BACKEND': 'django.template.backends.django.DjangoTemplates',\n",
    );
    text.push_str(&format!("        'DIRS': {dirs},\n        'APP_DIRS': True,\n        'OPTIONS': {{\n            'context_processors': [\n"));
    for name in &processors {
        text.push_str(&format!("                '{name}',\n"));
    }
    text.push_str("            ],\n        },\n    },\n]\n");
    file.add(
        file.at(
            &RULE,
            Severity::Blocker,
            line,
            "templates are set up as before Django 1.8",
        )
        .convert("adds TEMPLATES with the same folders and context processors")
        .append(text),
    );
    if custom_loader {
        file.add(
            file.at(
                &RULE,
                Severity::Warning,
                line,
                "TEMPLATE_LOADERS names loaders beyond the usual two",
            )
            .person("add them as OPTIONS['loaders'] in TEMPLATES, with APP_DIRS False"),
        );
    }
}

/// Whether this or another file of the settings assigns a name.
pub(super) fn any_settings_assign(file: &FileContext<'_>, name: &str) -> bool {
    if !file.assigned(name).is_empty() {
        return true;
    }
    file.assigned_elsewhere().contains(name)
}
