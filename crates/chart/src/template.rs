//! Makes the template of an object: its YAML, with an expression in place of each knob.

use openshifter_objects::{Knob, KnobSource, Object};

use crate::{
    ChartError,
    yaml::{Hole, Holes, document},
};

/// Path in the chart of the templates' helpers.
pub(crate) const HELPERS: &str = "templates/_openshifter.tpl";

/// The helpers: looking up a value gives what [`Knob::resolve`] gives, also where a level is missing or is
/// something other than a mapping.
pub(crate) const HELPERS_TEXT: &str = r#"{{/* The value at a path, as JSON: (list $ "routes" "web" "host"). It has to be there. */}}
{{- define "openshifter.value" -}}
{{- $at := (first .).Values -}}
{{- range $key := rest . -}}
{{- if kindIs "map" $at -}}{{- $at = index $at $key -}}{{- else -}}{{- $at = index (dict) "" -}}{{- end -}}
{{- end -}}
{{- if kindIs "invalid" $at -}}{{- fail (printf "needs the value %s" (join "." (rest .))) -}}{{- end -}}
{{- toJson $at -}}
{{- end -}}

{{/* The same, but nothing where the value is missing, null, false or the empty string. */}}
{{- define "openshifter.optional" -}}
{{- $at := (first .).Values -}}
{{- range $key := rest . -}}
{{- if kindIs "map" $at -}}{{- $at = index $at $key -}}{{- else -}}{{- $at = index (dict) "" -}}{{- end -}}
{{- end -}}
{{- if not (has (toJson $at) (list "null" "false" "\"\"")) -}}{{- toJson $at -}}{{- end -}}
{{- end -}}
"#;

/// The template of a prepared object. Its namespace is left out: helm gives it one.
///
/// # Errors
/// When a knob's place does not exist in the object, or two knobs share one.
pub(crate) fn template(object: &Object, knobs: &[&Knob]) -> Result<String, ChartError> {
    let mut object = object.clone();
    object.set_namespace(None);
    let mut holes = Holes::default();
    for knob in knobs {
        let wrong = |why| ChartError::Knob {
            object: knob.object.clone(),
            pointer: knob.pointer.clone(),
            why,
        };
        let (parent, key) = knob
            .pointer
            .rsplit_once('/')
            .ok_or_else(|| wrong("it is no JSON pointer"))?;
        match object.value().pointer(parent) {
            Some(serde_json::Value::Object(_)) => {}
            Some(serde_json::Value::Array(list))
                if key.parse::<usize>().is_ok_and(|at| at < list.len()) => {}
            _ => return Err(wrong("the object has no such place")),
        }
        if matches!(&knob.source, KnobSource::Value(path) if path.is_empty()) {
            return Err(wrong("it names no value"));
        }
        let hole = Hole {
            expression: expression(knob),
            optional: knob.optional && knob.source != KnobSource::ReleaseNamespace,
        };
        if !holes.add(&knob.pointer, hole) {
            return Err(wrong("another knob has the same place or a part of it"));
        }
    }
    Ok(document(object.value(), &holes))
}

fn expression(knob: &Knob) -> String {
    match &knob.source {
        KnobSource::ReleaseNamespace => ".Release.Namespace | toJson".into(),
        KnobSource::Value(path) => {
            let helper = if knob.optional { "optional" } else { "value" };
            let path: Vec<String> = path.iter().map(|key| quoted(key)).collect();
            format!(
                "include \"openshifter.{helper}\" (list $ {})",
                path.join(" ")
            )
        }
    }
}

/// A string of the template language: JSON's escapes are all among its own.
fn quoted(key: &str) -> String {
    serde_json::Value::from(key).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn knob(pointer: &str, path: &[&str], optional: bool) -> Knob {
        Knob {
            object: route().key(),
            pointer: pointer.into(),
            source: KnobSource::Value(path.iter().map(|&key| key.to_owned()).collect()),
            optional,
        }
    }

    fn route() -> Object {
        Object::from_value(json!({
            "apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"host": "web.old", "to": {"kind": "Service", "name": "web"}, "tls": {}}
        }))
        .unwrap()
    }

    #[test]
    fn knobs_become_expressions() {
        let knobs = [
            knob("/spec/host", &["routes", "web", "host"], true),
            knob("/spec/tls/key", &["routes", "web", "key"], true),
            knob("/spec/to/name", &["a \"quoted\" key"], false),
        ];
        let namespace = Knob {
            source: KnobSource::ReleaseNamespace,
            ..knob("/spec/to/namespace", &[], false)
        };
        let knobs: Vec<&Knob> = knobs.iter().chain([&namespace]).collect();
        insta::assert_snapshot!(template(&route(), &knobs).unwrap(), @r#"
        apiVersion: route.openshift.io/v1
        kind: Route
        metadata:
          name: web
        spec:
          {{- with include "openshifter.optional" (list $ "routes" "web" "host") }}
          host: {{ . }}
          {{- end }}
          tls:
            {{- with include "openshifter.optional" (list $ "routes" "web" "key") }}
            key: {{ . }}
            {{- end }}
            {{- if not (or (include "openshifter.optional" (list $ "routes" "web" "key")) "") }}
            {}
            {{- end }}
          to:
            kind: Service
            name: {{ include "openshifter.value" (list $ "a \"quoted\" key") }}
            namespace: {{ .Release.Namespace | toJson }}
        "#);
    }

    #[test]
    fn a_knob_without_a_place_is_refused() {
        let error = template(&route(), &[&knob("/spec/none/host", &["x"], false)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Route.route.openshift.io/web cannot have a knob at `/spec/none/host`: the object has no such place"
        );
    }
}
