//! Hosts of Routes.
//!
//! The router names a Route that does not say its host after the Route, the namespace and the cluster, and
//! marks it with `openshift.io/host.generated`. Such a host is the source's; one that a person chose is
//! the application's address, and stays. Duplicate hosts are accepted at create; the older Route wins.

use std::collections::BTreeSet;

use openshifter_objects::Object;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "route-host",
    reason: "the source's router generated the host; the target's generates its own",
    apply,
};

const GENERATED: &str = "openshift.io/host.generated";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !draft.object().is("route.openshift.io", "Route") {
        return;
    }
    let name = draft.object().name().to_owned();
    let generated = draft.object().annotation(GENERATED) == Some("true");
    if let Some(host) = context
        .choices
        .route_hosts
        .get(&name)
        .filter(|host| !host.is_empty())
    {
        draft.set_because(
            "/spec/host",
            host.as_str().into(),
            "this host was chosen for the target",
        );
    } else if generated {
        draft.remove("/spec/host");
    } else {
        tell_domain(draft, context);
    }
    draft.remove_annotation(GENERATED);
    if draft.text("/spec/host") == Some("") {
        draft.remove_because(
            "/spec/host",
            "it is empty, which asks the router to name it",
        );
    }
    draft.optional_knob("/spec/host", &["routes", &name, "host"]);
    if draft.text("/spec/tls/key").is_some() {
        draft.knob("/spec/tls/key", &["routes", &name, "tls", "key"]);
    }
}

fn tell_domain(draft: &mut Draft<'_>, context: &Context<'_>) {
    let Some(host) = draft
        .text("/spec/host")
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
    else {
        return;
    };
    let domain = domains(context).into_iter().find(|domain| {
        host.strip_suffix(*domain)
            .is_some_and(|rest| rest.ends_with('.'))
    });
    let (severity, message) = match domain {
        Some(domain) => (
            Severity::Warning,
            format!(
                "its host {host} is in the domain {domain} of the source's router; choose one of the target"
            ),
        ),
        None => (
            Severity::Info,
            format!("it keeps its host {host}, whose name has to lead to the target's router"),
        ),
    };
    draft.find(severity, message);
}

/// Domains of the source's router, as generated hosts show them.
fn domains<'a>(context: &Context<'a>) -> BTreeSet<&'a str> {
    context
        .generated_hosts
        .iter()
        .filter_map(|(route, host)| {
            host.strip_prefix(route)?
                .strip_prefix('-')?
                .strip_prefix(context.source.namespace.as_str())?
                .strip_prefix('.')
        })
        .collect()
}

/// Name and host of a Route whose host the source's router generated.
pub(crate) fn generated_host(object: &Object) -> Option<(&str, &str)> {
    if !object.is("route.openshift.io", "Route") || object.annotation(GENERATED) != Some("true") {
        return None;
    }
    let host = object.value().pointer("/spec/host")?.as_str()?;
    (!host.is_empty()).then(|| (object.name(), host))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Choices;
    use crate::rules::testing::{findings, refactored, with};

    fn route(name: &str, host: &str, generated: bool) -> Value {
        let mut value = json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": name}, "spec": {"host": host}});
        if generated {
            value["metadata"]["annotations"] = json!({"openshift.io/host.generated": "true"});
        }
        value
    }

    fn objects() -> [Value; 3] {
        [
            route("web", "web-app.apps.old.example", true),
            route("api", "api.example.com", false),
            route("typed", "typed.apps.old.example", false),
        ]
    }

    #[test]
    fn only_generated_hosts_go() {
        let done = refactored(objects());
        assert_eq!(
            done.values["routes"],
            json!({"web": {"host": null}, "api": {"host": "api.example.com"}, "typed": {"host": "typed.apps.old.example"}})
        );
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "web"})
        );
        insta::assert_snapshot!(findings(&done, "route-host").join("\n"), @r"
        Info: it keeps its host api.example.com, whose name has to lead to the target's router
        Warning: its host typed.apps.old.example is in the domain apps.old.example of the source's router; choose one of the target
        ");
    }

    #[test]
    fn hosts_can_be_chosen() {
        let choices = Choices {
            route_hosts: [("web".to_owned(), "shop.example.org".to_owned())].into(),
            ..Choices::default()
        };
        let done = with(objects(), &choices);
        assert_eq!(done.values["routes"]["web"]["host"], "shop.example.org");
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "web"})
        );
    }

    #[test]
    fn private_keys_are_values_and_not_in_reports() {
        let mut value = route("web", "a.example", false);
        value["spec"]["tls"] = json!({"key": "PRIVATE"});
        let done = refactored([value]);
        assert_eq!(done.values["routes"]["web"]["tls"]["key"], "PRIVATE");
        assert!(
            !serde_json::to_string(&(&done.objects[0].changes, &done.findings))
                .unwrap()
                .contains("PRIVATE")
        );
    }
}
