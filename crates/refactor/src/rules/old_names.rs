//! Names of the source that stand in configuration: addresses of services (`db.shop.svc`) and generated
//! hosts of Routes. They are told, never replaced: only the application knows what it does with the text.

use base64::Engine as _;
use openshifter_objects::{escape, places};
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "old-name",
    reason: "text is never rewritten",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut look = |at: String, text: &str, shown: bool| {
        for name in old_names(text, context) {
            let name = if shown {
                format!("`{name}`")
            } else {
                "an address".to_owned()
            };
            if !found.contains(&(at.clone(), name.clone())) {
                found.push((at.clone(), name));
            }
        }
    };
    let object = draft.object();
    if let Some(pod) = object.pod_spec_pointer() {
        for containers in ["initContainers", "containers"] {
            for pattern in ["env/*/value", "command/*", "args/*"] {
                for (at, text) in places(object.value(), &format!("{pod}/{containers}/*/{pattern}"))
                {
                    look(at, text.as_str().unwrap_or_default(), true);
                }
            }
        }
    }
    if object.is("", "ConfigMap") {
        for (at, text) in places(object.value(), "/data/*") {
            look(at, text.as_str().unwrap_or_default(), true);
        }
    }
    if object.is("build.openshift.io", "BuildConfig") {
        for (at, text) in places(object.value(), "/spec/strategy/*/env/*/value") {
            look(at, text.as_str().unwrap_or_default(), true);
        }
    }
    if object.is("", "Secret") {
        for (key, value) in object
            .value()
            .get("data")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let bytes = value
                .as_str()
                .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
            if let Some(text) = bytes
                .as_deref()
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
            {
                look(format!("/data/{}", escape(key)), text, false);
            }
        }
    }
    for (at, name) in found {
        draft.find(
            Severity::Warning,
            format!("`{at}` holds {name}, a name of the source; it is kept as it is"),
        );
    }
}

/// Names of the source within a text, each once: `<service>.<namespace>` of a service of the application,
/// `<anything>.<namespace>.svc`, and generated hosts.
fn old_names(text: &str, context: &Context<'_>) -> Vec<String> {
    let namespace = context.source.namespace.as_str();
    let mut names: Vec<String> = Vec::new();
    if !namespace.is_empty() {
        for name in host_names(text) {
            let mut labels = name.split('.');
            let (service, of, svc) = (
                labels.next().unwrap_or_default(),
                labels.next(),
                labels.next(),
            );
            // A pod of a headless Service has a name before the Service's.
            let of_pod = || name.split('.').skip(2).take(2).eq([namespace, "svc"]);
            let is_old = (of == Some(namespace)
                && (svc == Some("svc") || (svc.is_none() && is_service(context, service))))
                || of_pod();
            if is_old && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    for (_, host) in &context.generated_hosts {
        if host_names(text).any(|name| name == *host) && !names.iter().any(|known| known == host) {
            names.push((*host).to_owned());
        }
    }
    names
}

fn is_service(context: &Context<'_>, name: &str) -> bool {
    context.has(&openshifter_objects::ObjectKey::new("", "Service", name))
}

/// Everything in a text that could be a host name of more than one label.
fn host_names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')))
        .map(|name| name.trim_matches('.'))
        .filter(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn old_addresses_are_told_and_kept() {
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {
            "url": "postgres://db.app.svc.cluster.local:5432/application?x=app", "short": "http://web.app/", "pod": "db-0.db.app.svc",
            "other": "app.application.svc my.app webapp.app.example application.app", "site": "https://web-app.apps.old.example/"}});
        let done = refactored([
            config.clone(),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {}}),
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "web", "annotations":
                {"openshift.io/host.generated": "true"}}, "spec": {"host": "web-app.apps.old.example"}}),
        ]);
        assert_eq!(done.objects[0].object.value(), &config);
        insta::assert_snapshot!(findings(&done, "old-name").join("\n"), @r"
        Warning: `/data/pod` holds `db-0.db.app.svc`, a name of the source; it is kept as it is
        Warning: `/data/short` holds `web.app`, a name of the source; it is kept as it is
        Warning: `/data/site` holds `web-app.apps.old.example`, a name of the source; it is kept as it is
        Warning: `/data/url` holds `db.app.svc.cluster.local`, a name of the source; it is kept as it is
        ");
    }

    #[test]
    fn of_secrets_only_the_key_is_told() {
        // postgres://u:geheim@db.app.svc/
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"url": "cG9zdGdyZXM6Ly91OmdlaGVpbUBkYi5hcHAuc3ZjLw=="}}),
        ]);
        assert_eq!(
            findings(&done, "old-name"),
            ["Warning: `/data/url` holds an address, a name of the source; it is kept as it is"]
        );
    }
}
