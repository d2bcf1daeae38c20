//! Names that nothing takes the place of by itself.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "removed-names",
    title: "names of Django that are gone",
    why: "newer Djangos do not have it, and what to use in its place depends on the application",
    check: Check::Python {
        needle: r"render_to_response|django\.views\.generic\.(?:simple|list_detail|date_based|create_update)|django\.contrib\.(?:formtools|comments|localflavor|databrowse|webdesign)|get_model\b|django\.utils\.six|django\.utils import|NullBooleanField|django\.contrib\.auth\.views|permalink|django\.test\.simple|__unicode__|django\.utils\.lru_cache|django\.utils\.functional|transaction\.commit_on_success|django\.db\.models\.loading|ifequal|render_to_string|django\.utils\.timezone|STATICFILES_STORAGE|DEFAULT_FILE_STORAGE|south|jsonfield|lookup_allowed|is_authenticated|is_anonymous|USE_L10N|NoArgsCommand",
        check,
    },
};

/// Module, name (or all of it), what to do, first Django without it.
type Gone = (&'static str, Option<&'static str>, &'static str, (u16, u16));

const GONE: &[Gone] = &[
    (
        "django.shortcuts",
        Some("render_to_response"),
        "use render(request, template, context)",
        (3, 0),
    ),
    (
        "django.views.generic.simple",
        None,
        "use TemplateView or RedirectView",
        (1, 5),
    ),
    (
        "django.views.generic.list_detail",
        None,
        "use ListView and DetailView",
        (1, 5),
    ),
    (
        "django.views.generic.date_based",
        None,
        "use the date views of django.views.generic",
        (1, 5),
    ),
    (
        "django.views.generic.create_update",
        None,
        "use CreateView, UpdateView and DeleteView",
        (1, 5),
    ),
    (
        "django.contrib.formtools",
        None,
        "install django-formtools",
        (1, 8),
    ),
    (
        "django.contrib.formtools.wizard.views",
        None,
        "install django-formtools",
        (1, 8),
    ),
    (
        "django.contrib.comments",
        None,
        "install django-contrib-comments",
        (1, 8),
    ),
    (
        "django.contrib.localflavor",
        None,
        "install django-localflavor",
        (1, 6),
    ),
    (
        "django.contrib.databrowse",
        None,
        "there is nothing like it",
        (1, 5),
    ),
    (
        "django.contrib.webdesign",
        None,
        "the lorem tag is built in",
        (1, 10),
    ),
    (
        "django.db.models.loading",
        None,
        "use django.apps.apps",
        (1, 9),
    ),
    (
        "django.db.models",
        Some("get_model"),
        "use django.apps.apps.get_model",
        (1, 9),
    ),
    (
        "django.db.models",
        Some("permalink"),
        "return reverse(…) from get_absolute_url",
        (2, 1),
    ),
    (
        "django.core.management.base",
        Some("NoArgsCommand"),
        "use BaseCommand, and call the method handle(self, *args, **options)",
        (1, 10),
    ),
    (
        "django.utils",
        Some("six"),
        "install six, or drop Python 2",
        (3, 0),
    ),
    (
        "django.utils.six",
        None,
        "install six, or drop Python 2",
        (3, 0),
    ),
    (
        "django.utils.six.moves",
        None,
        "install six, or drop Python 2",
        (3, 0),
    ),
    (
        "django.utils.lru_cache",
        None,
        "use functools.lru_cache",
        (3, 0),
    ),
    (
        "django.utils.functional",
        Some("curry"),
        "use functools.partial",
        (3, 0),
    ),
    ("django.utils", Some("unittest"), "use unittest", (1, 9)),
    (
        "django.utils.timezone",
        Some("utc"),
        "use datetime.timezone.utc",
        (5, 0),
    ),
    ("django.test.simple", None, "use django.test.runner", (1, 8)),
    (
        "django.contrib.auth.views",
        Some("login"),
        "use LoginView.as_view()",
        (2, 1),
    ),
    (
        "django.contrib.auth.views",
        Some("logout"),
        "use LogoutView.as_view(), which answers to POST only",
        (2, 1),
    ),
    (
        "django.contrib.auth.views",
        Some("password_reset"),
        "use PasswordResetView.as_view()",
        (2, 1),
    ),
    (
        "django.contrib.auth.views",
        Some("password_change"),
        "use PasswordChangeView.as_view()",
        (2, 1),
    ),
];

/// Dotted names in calls and references.
const USES: &[(&str, &str, (u16, u16))] = &[
    (
        "django.contrib.auth.views.login",
        "use LoginView.as_view()",
        (2, 1),
    ),
    (
        "django.contrib.auth.views.logout",
        "use LogoutView.as_view(), which answers to POST only",
        (2, 1),
    ),
    ("auth_views.login", "use LoginView.as_view()", (2, 1)),
    (
        "auth_views.logout",
        "use LogoutView.as_view(), which answers to POST only",
        (2, 1),
    ),
    (
        "models.NullBooleanField",
        "use BooleanField(null=True), with a migration",
        (4, 0),
    ),
    (
        "models.permalink",
        "return reverse(…) from get_absolute_url",
        (2, 1),
    ),
    ("models.get_model", "use django.apps.apps.get_model", (1, 9)),
    (
        "transaction.commit_on_success",
        "use transaction.atomic",
        (1, 8),
    ),
    (
        "timezone.utc",
        "use datetime.timezone.utc, if this is Django's",
        (5, 0),
    ),
];

fn check(file: &FileContext<'_>) {
    if !file.facts.is_django() || !file.to_python3() {
        return;
    }
    let py = file.py;
    for import in file.imports() {
        let line = py.line(import.statement);
        let Some((module, _)) = &import.from else {
            for name in &import.names {
                if let Some((old, _, instead, gone)) = GONE
                    .iter()
                    .find(|(old, only, _, _)| only.is_none() && *old == name.name)
                    && file.to_django(gone.0, gone.1)
                {
                    file.add(
                        file.at(&RULE, Severity::Blocker, line, format!("{old} is gone"))
                            .person(*instead),
                    );
                }
            }
            continue;
        };
        for (old, only, instead, gone) in GONE {
            let hit = match only {
                None => module == old,
                Some(name) => module == old && import.names.iter().any(|one| one.name == *name),
            };
            if hit && file.to_django(gone.0, gone.1) {
                let what = match only {
                    None => (*old).to_owned(),
                    Some(name) => format!("{name} of {old}"),
                };
                file.add(
                    file.at(&RULE, Severity::Blocker, line, format!("{what} is gone"))
                        .person(*instead),
                );
            }
        }
    }
    crate::python::visit(py.root(), &mut |node| match node.kind() {
        "attribute" => {
            if let Some(name) = py.dotted(node)
                && let Some((old, instead, gone)) = USES.iter().find(|(old, _, _)| *old == name)
                && file.to_django(gone.0, gone.1)
                && !(name == "timezone.utc" && py.source().contains("from datetime import"))
            {
                file.add(
                    file.at(
                        &RULE,
                        Severity::Blocker,
                        py.line(node),
                        format!("{old} is gone"),
                    )
                    .person(*instead),
                );
            }
            true
        }
        "call" => {
            if let Some(call) = py.call(node)
                && matches!(call.last(), "is_authenticated" | "is_anonymous")
                && call.positional.is_empty()
                && call.name.contains("user")
                && file.to_django(2, 0)
                && let Some(arguments) = py.source().get(call.arguments.byte_range())
                && arguments.chars().all(|c| "() \t".contains(c))
            {
                file.add(
                    file.at(
                        &RULE,
                        Severity::Blocker,
                        py.line(node),
                        format!("{}() is called, and is no function any more", call.last()),
                    )
                    .convert("reads it as the property that it is")
                    .edit(
                        call.arguments.start_byte(),
                        call.arguments.end_byte(),
                        "",
                    ),
                );
            }
            true
        }
        "function_definition" => {
            if node
                .child_by_field_name("name")
                .is_some_and(|name| py.text(name) == "__unicode__")
            {
                file.add(
                    file.at(
                        &RULE,
                        Severity::Warning,
                        py.line(node),
                        "__unicode__() is never called by Python 3",
                    )
                    .person("name it __str__"),
                );
            }
            true
        }
        _ => true,
    });
    if file.is_settings() && file.to_django(5, 0) {
        for assign in file.assigned("USE_L10N") {
            file.add(
                file.at(&RULE, Severity::Info, py.line(assign.statement), "the setting USE_L10N is gone, and is passed over: dates and numbers always are as people of the place write them")
                    .person("take it out, and look at pages that relied on its being off"),
            );
        }
    }
    if file.is_settings() && file.to_django(5, 1) {
        for name in ["STATICFILES_STORAGE", "DEFAULT_FILE_STORAGE"] {
            for assign in file.assigned(name) {
                file.add(
                    file.at(
                        &RULE,
                        Severity::Warning,
                        py.line(assign.statement),
                        format!("the setting {name} is gone, and is passed over"),
                    )
                    .person("write it as STORAGES"),
                );
            }
        }
    }
}
