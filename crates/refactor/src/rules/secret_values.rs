//! Values of Secrets, all of them knobs: a chart holds them in one place, `values.yaml`.

use openshifter_objects::escape;
use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "secret-values",
    reason: "secret values are kept in one place",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("", "Secret") {
        return;
    }
    let name = draft.object().name().to_owned();
    for field in ["data", "stringData"] {
        let keys: Vec<String> = draft
            .get(&format!("/{field}"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_string())
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            draft.knob(
                &format!("/{field}/{}", escape(&key)),
                &["secrets", &name, field, &key],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{knobs, refactored};

    #[test]
    fn every_value_is_a_knob() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "data": {"tls.key": "YQ==", "empty": ""}}),
        ]);
        assert_eq!(
            done.values,
            json!({"secrets": {"s": {"data": {"tls.key": "YQ==", "empty": ""}}}})
        );
        assert_eq!(knobs(&done), ["/data/empty", "/data/tls.key"]);
    }
}
