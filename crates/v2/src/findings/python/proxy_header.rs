//! What tells Django that a request came through TLS.

use super::templates_setting::any_settings_assign;
use crate::findings::{Check, FileContext, Role, Rule, Severity};
use crate::options::Server;

pub(super) const RULE: Rule = Rule {
    id: "proxy-header",
    title: "requests that come through TLS",
    why: "the router ends TLS, and since Django 4.0 a form that was loaded by https is refused (403) unless the request is known to be secure",
    check: Check::Python {
        needle: r"INSTALLED_APPS",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings
        || !file.to_django(4, 0)
        || any_settings_assign(file, "SECURE_PROXY_SSL_HEADER")
        || file
            .tree
            .text("app.sh")
            .is_some_and(|text| text.contains("trust-proxy-header"))
    {
        return;
    }
    let finding = file.at(
        &RULE,
        Severity::Blocker,
        1,
        "nothing says how a request through TLS is known",
    );
    file.add(match file.options.server {
        Server::ModWsgi => finding.convert("lets mod_wsgi-express trust the router's X-Forwarded-Proto, in app.sh"),
        Server::Gunicorn => finding
            .convert("sets SECURE_PROXY_SSL_HEADER")
            .append("\n# The router ends TLS and says so in this header, which it never passes on from outside.\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')\n"),
    });
}
