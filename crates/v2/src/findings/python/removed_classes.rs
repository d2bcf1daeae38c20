//! Classes that settings name by a string and that Django does not have any more.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "removed-classes",
    title: "classes in settings that are gone",
    why: "Django imports it by its name when it is first needed, and fails then",
    check: Check::Python {
        needle: r"MemcachedCache|CachedStaticFilesStorage|PickleSerializer|PasswordHasher|loaders\.eggs",
        check,
    },
};

/// The class, what to do, and the first Django without it.
type Gone = (&'static str, &'static str, (u16, u16));

const GONE: &[Gone] = &[
    (
        "django.core.cache.backends.memcached.MemcachedCache",
        "name PyMemcacheCache and install pymemcache, or take a cache that needs no server",
        (4, 1),
    ),
    (
        "django.contrib.staticfiles.storage.CachedStaticFilesStorage",
        "name ManifestStaticFilesStorage of the same module",
        (3, 1),
    ),
    (
        "django.contrib.sessions.serializers.PickleSerializer",
        "name JSONSerializer of the same module, and see that sessions hold nothing that JSON does not have; sessions that were kept with the old one end",
        (5, 0),
    ),
    (
        "django.contrib.auth.hashers.SHA1PasswordHasher",
        "take it out; passwords that were kept with it have to be set anew",
        (5, 1),
    ),
    (
        "django.contrib.auth.hashers.UnsaltedSHA1PasswordHasher",
        "take it out; passwords that were kept with it have to be set anew",
        (5, 1),
    ),
    (
        "django.contrib.auth.hashers.UnsaltedMD5PasswordHasher",
        "take it out; passwords that were kept with it have to be set anew",
        (5, 1),
    ),
];

fn check(file: &FileContext<'_>) {
    if !file.is_settings() {
        return;
    }
    let py = file.py;
    visit(py.root(), &mut |node| {
        if node.kind() != "string" {
            return true;
        }
        if let Some(name) = py.string(node)
            && let Some((class, instead, gone)) = GONE.iter().find(|(class, _, _)| *class == name)
            && file.to_django(gone.0, gone.1)
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(node),
                    format!("Django has no {class} any more"),
                )
                .person(*instead),
            );
        }
        false
    });
}
