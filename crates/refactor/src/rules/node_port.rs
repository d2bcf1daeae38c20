//! Ports that a Service has on every node.
//!
//! One that is in use at the target is refused with 422. A port that a person chose is kept, since clients
//! know it; a server's choice is not. What was chosen shows in what was last applied, or in
//! `managedFields`, where what the server allots has no manager.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "node-port",
    reason: "the source's cluster allotted the port; the target allots its own",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("", "Service") {
        return;
    }
    for at in draft.places("/spec/ports/*/nodePort") {
        let Some(port) = draft.get(&at).and_then(Value::as_i64) else {
            continue;
        };
        let asked = draft.asked_for(
            |applied| lists_port(applied, port),
            |managed| {
                managed
                    .pointer("/f:spec/f:ports")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .any(|(key, fields)| {
                        fields.get("f:nodePort").is_some() && is_for(draft, &at, key)
                    })
            },
        );
        if asked {
            draft.find(
                Severity::Info,
                format!("it asks for port {port} on every node; the target refuses it if that port is in use there"),
            );
        } else {
            draft.remove(&at);
        }
    }
}

fn lists_port(service: &Value, port: i64) -> bool {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array);
    ports
        .into_iter()
        .flatten()
        .any(|entry| entry.get("nodePort").and_then(Value::as_i64) == Some(port))
}

/// Whether a key of `managedFields`, as `k:{"port":80,"protocol":"TCP"}`, is of the entry whose node port
/// is at `at`.
fn is_for(draft: &Draft<'_>, at: &str, key: &str) -> bool {
    let entry = at
        .strip_suffix("/nodePort")
        .and_then(|entry| draft.get(entry));
    let names = key
        .strip_prefix("k:")
        .and_then(|key| serde_json::from_str::<Value>(key).ok());
    match (entry, names.as_ref().and_then(Value::as_object)) {
        (Some(entry), Some(names)) => names
            .iter()
            .all(|(field, value)| entry.get(field) == Some(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::draft::LAST_APPLIED;
    use crate::rules::testing::{findings, refactored};

    fn service(metadata: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": "NodePort", "ports": [
            {"port": 80, "protocol": "TCP", "nodePort": 31966}, {"port": 443, "protocol": "TCP", "nodePort": 31967}]}})
    }

    fn ports(metadata: Value) -> Vec<Option<i64>> {
        let done = refactored([service(metadata)]);
        let value = done.objects[0].object.value();
        let found = value["spec"]["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port.get("nodePort").and_then(Value::as_i64))
            .collect();
        let asked: Vec<_> = findings(&done, "node-port");
        assert_eq!(asked.len(), value.to_string().matches("nodePort").count());
        found
    }

    #[test]
    fn a_server_s_choice_goes() {
        assert_eq!(ports(json!({"name": "web", "uid": "1"})), [None, None]);
    }

    #[test]
    fn a_person_s_choice_stays() {
        let applied = json!({"spec": {"ports": [{"port": 80, "nodePort": 31966}, {"port": 443}]}})
            .to_string();
        assert_eq!(
            ports(json!({"name": "web", "uid": "1", "annotations": {LAST_APPLIED: applied}})),
            [Some(31966), None]
        );
        let managed = json!([{"manager": "helm", "fieldsV1": {"f:spec": {"f:ports": {
            "k:{\"port\":443,\"protocol\":\"TCP\"}": {"f:nodePort": {}}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:port": {}}}}}}]);
        assert_eq!(
            ports(json!({"name": "web", "uid": "1", "managedFields": managed})),
            [None, Some(31967)]
        );
    }

    #[test]
    fn a_manifest_that_was_never_served_asks_for_all_it_says() {
        assert_eq!(ports(json!({"name": "web"})), [Some(31966), Some(31967)]);
    }
}
