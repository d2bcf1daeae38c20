//! Hosts of Ingresses. A person wrote them; they stay unless others are chosen.

use openshifter_objects::places;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "ingress-host",
    reason: "this host was chosen for the target",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !matches!(draft.object().group(), "networking.k8s.io" | "extensions")
        || draft.object().kind() != "Ingress"
    {
        return;
    }
    let name = draft.object().name().to_owned();
    let mut told = Vec::new();
    for pattern in ["/spec/rules/*/host", "/spec/tls/*/hosts/*"] {
        for (at, host) in places(&draft.value().clone(), pattern) {
            let Some(host) = host.as_str().filter(|host| !host.is_empty()) else {
                continue;
            };
            if let Some(chosen) = context
                .choices
                .ingress_hosts
                .get(host)
                .filter(|host| !host.is_empty())
            {
                draft.set(&at, chosen.as_str().into());
            } else if !told.contains(&host.to_owned()) {
                draft.find(
                    Severity::Info,
                    format!("it keeps its host {host}, whose name has to lead to the target's ingress controller"),
                );
                told.push(host.to_owned());
            }
            draft.knob(&at, &["ingresses", &name, "hosts", host]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Choices;
    use crate::rules::testing::with;

    #[test]
    fn one_value_sets_a_host_in_rules_and_tls() {
        let choices = Choices {
            ingress_hosts: [("a.example".to_owned(), "b.example".to_owned())].into(),
            ..Choices::default()
        };
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
            "spec": {"rules": [{"host": "a.example"}, {}], "tls": [{"hosts": ["a.example"]}]}});
        let done = with([ingress], &choices);
        assert_eq!(
            done.objects[0].object.value()["spec"],
            json!({"rules": [{"host": "b.example"}, {}], "tls": [{"hosts": ["b.example"]}]})
        );
        assert_eq!(
            done.values["ingresses"]["i"]["hosts"],
            json!({"a.example": "b.example"})
        );
        assert_eq!(done.knobs.len(), 2);
    }
}
