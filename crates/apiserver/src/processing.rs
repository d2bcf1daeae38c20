//! The processing of OpenShift's templates: parameters get values, and the objects that use them get those.
//!
//! Nothing is created: whoever asked gets the objects and makes them.

mod expression;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{ApiError, Cause};
use crate::metadata;
use crate::write::set;

const GROUP: &str = "template.openshift.io";

/// A template with values in its objects: those that are given, else its own, else generated ones. Values of
/// parameters that it does not have are left alone.
///
/// ```
/// use openshifter_apiserver::process_template;
/// use serde_json::json;
/// let template = json!({
///     "metadata": {"name": "app"},
///     "parameters": [{"name": "NAME", "generate": "expression", "from": "[a-z]{8}"}],
///     "objects": [{"kind": "Secret", "metadata": {"name": "${NAME}"}}],
/// });
/// let given = [("NAME".to_owned(), "web".to_owned())].into();
/// assert_eq!(process_template(&template, &given)?["objects"][0]["metadata"]["name"], "web");
/// # Ok::<(), openshifter_apiserver::ApiError>(())
/// ```
///
/// # Errors
/// 422 if a parameter needs a value and has none, or has none that can be generated; with every such parameter.
pub fn process_template(
    template: &Value,
    given: &BTreeMap<String, String>,
) -> Result<Value, ApiError> {
    let mut template = template.clone();
    for parameter in template
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let value = parameter["name"].as_str().and_then(|name| given.get(name));
        if let Some(value) = value {
            parameter["value"] = json!(value);
            // Given means given, also where it is empty.
            set(parameter, "generate", None);
        }
    }
    process(&mut template)?;
    Ok(template)
}

/// Gives the parameters of a template their values and its objects those of the parameters.
///
/// # Errors
/// 422 if a parameter needs a value and has none, or has none that can be generated; with every such parameter.
pub(crate) fn process(template: &mut Value) -> Result<(), ApiError> {
    let values = parameters(template)?;
    if let Some(message) = template.get_mut("message").filter(|one| one.is_string()) {
        fill(message, &values);
    }
    if let Some(labels) = template.get_mut("labels").filter(|one| one.is_object()) {
        fill(labels, &values);
    }
    let labels = template["labels"].as_object().cloned();
    for object in template
        .get_mut("objects")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        // A namespace that was written down belongs to whoever wrote it; one by a parameter is meant.
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        if namespace.is_some_and(|namespace| references(namespace).is_empty())
            && let Some(meta) = object.get_mut("metadata")
        {
            set(meta, "namespace", None);
        }
        fill(object, &values);
        for (name, value) in labels.iter().flatten() {
            if !object["metadata"]["labels"].is_object() {
                object["metadata"]["labels"] = json!({});
            }
            object["metadata"]["labels"][name] = value.clone();
        }
    }
    Ok(())
}

/// The values of the parameters, generated where the template says so and none was given.
fn parameters(template: &mut Value) -> Result<BTreeMap<String, String>, ApiError> {
    let name = metadata::name(template).to_owned();
    let mut values = BTreeMap::new();
    let mut causes = Vec::new();
    for (at, parameter) in template
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let text = |field: &str| parameter[field].as_str().unwrap_or_default().to_owned();
        let (name, mut value) = (text("name"), text("value"));
        let place = format!("template.parameters[{at}]");
        if value.is_empty() {
            match text("generate").as_str() {
                "" => {}
                "expression" => match expression::generate(&text("from")) {
                    Ok(generated) => value = generated,
                    Err(why) => {
                        causes.push(Cause::invalid(place, parameter, why));
                        continue;
                    }
                },
                other => {
                    let why = format!("Unknown generator name '{other}' for parameter {name}");
                    causes.push(Cause::invalid(place, &json!(other), why));
                    continue;
                }
            }
            if value.is_empty() && parameter["required"] == true {
                let why = format!("{place}: parameter {name} is required and must be specified");
                causes.push(Cause::required(place, &why));
                continue;
            }
            if !value.is_empty() {
                parameter["value"] = json!(value);
            }
        }
        values.insert(name, value);
    }
    if causes.is_empty() {
        return Ok(values);
    }
    Err(ApiError::invalid(GROUP, "Template", &name, &causes))
}

/// Puts values into every text of an object, the names of its fields too.
fn fill(place: &mut Value, values: &BTreeMap<String, String>) {
    match place {
        Value::String(text) => {
            if let Some(value) = whole(text).and_then(|name| values.get(name)) {
                // What is no JSON was meant as text after all.
                *place = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            } else if !references(text).is_empty() {
                *text = filled(text, values);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(map) => {
            let named: Vec<String> = map
                .keys()
                .filter(|key| !references(key).is_empty())
                .cloned()
                .collect();
            for key in named {
                if let Some(value) = map.remove(&key) {
                    map.insert(filled(&key, values), value);
                }
            }
            map.values_mut().for_each(|value| fill(value, values));
        }
        _ => {}
    }
}

/// A text with the values of the parameters that it names; others stay as they are written.
fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    references(text)
        .into_iter()
        .fold(text.to_owned(), |done, name| match values.get(name) {
            Some(value) => done.replacen(&format!("${{{name}}}"), value, 1),
            None => done,
        })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The parameter of a text that is `${{NAME}}` and nothing else: its value stands there without quotes.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${{")?.strip_suffix("}}")?;
    is_name(name).then_some(name)
}

/// The parameters that a text names as `${NAME}`, as often as it does.
fn references(text: &str) -> Vec<&str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_where_they_are_named() {
        let mut template = json!({
            "metadata": {"name": "app"},
            "message": "Ask ${NAME}, not ${OTHER}.",
            "labels": {"app": "${NAME}"},
            "parameters": [
                {"name": "NAME", "value": "web"},
                {"name": "REPLICAS", "value": "2"},
                {"name": "WORD", "value": "two words"},
                {"name": "NAMESPACE", "value": "shared"},
                {"name": "EMPTY"},
                {"name": "PASSWORD", "generate": "expression", "from": "[a-z]{6}-[0-9]{3}"},
            ],
            "objects": [
                {
                    "kind": "Deployment",
                    "metadata": {"name": "${NAME}-${NAME}", "namespace": "written", "labels": {"tier": "front"}},
                    "spec": {"replicas": "${{REPLICAS}}", "note": "${{WORD}}", "none": "a${EMPTY}b", "odd": "x${{REPLICAS}}"},
                },
                {"kind": "Secret", "metadata": {"namespace": "${NAMESPACE}"}, "data": {"${NAME}": "${PASSWORD}"}},
            ],
        });
        process(&mut template).unwrap();
        let password = template["parameters"][5]["value"].as_str().unwrap();
        let (letters, digits) = password.split_once('-').unwrap();
        assert!(letters.len() == 6 && letters.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(template["message"], "Ask web, not ${OTHER}.");
        assert_eq!(
            template["objects"],
            json!([
                {
                    "kind": "Deployment",
                    "metadata": {"name": "web-web", "labels": {"tier": "front", "app": "web"}},
                    "spec": {"replicas": 2, "note": "two words", "none": "ab", "odd": "x${{REPLICAS}}"},
                },
                {
                    "kind": "Secret",
                    "metadata": {"namespace": "shared", "labels": {"app": "web"}},
                    "data": {"web": password},
                },
            ])
        );
    }

    #[test]
    fn what_is_given_goes_before_what_a_template_has() {
        let template = json!({
            "metadata": {"name": "app"},
            "parameters": [
                {"name": "NAME", "value": "web"},
                {"name": "PASSWORD", "generate": "expression", "from": "[a-z]{6}"},
                {"name": "SIZE", "required": true},
            ],
            "objects": [{"data": ["${NAME}", "<${PASSWORD}>", "${{SIZE}}", "${OTHER}"]}],
        });
        let given = [
            ("NAME", "shop"),
            ("PASSWORD", ""),
            ("SIZE", "3"),
            ("OTHER", "x"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let done = process_template(&template, &given).unwrap();
        assert_eq!(
            done["objects"][0]["data"],
            json!(["shop", "<>", 3, "${OTHER}"])
        );
        assert!(process_template(&template, &BTreeMap::new()).is_err());
    }

    #[test]
    fn every_parameter_without_a_value_is_named() {
        let mut template = json!({
            "metadata": {"name": "app"},
            "parameters": [
                {"name": "NAME", "required": true},
                {"name": "OTHER", "generate": "dice"},
                {"name": "LONG", "generate": "expression", "from": "[a-z]{256}"},
            ],
        });
        insta::assert_snapshot!(process(&mut template).unwrap_err().message(), @r#"Template.template.openshift.io "app" is invalid: [template.parameters[0]: Required value: template.parameters[0]: parameter NAME is required and must be specified, template.parameters[1]: Invalid value: "dice": Unknown generator name 'dice' for parameter OTHER, template.parameters[2]: Invalid value: {"from":"[a-z]{256}","generate":"expression","name":"LONG"}: range must be within [1-255] characters (256)]"#);
    }
}
