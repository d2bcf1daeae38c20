//! Label and field selectors as they stand in a query.

use serde_json::Value;

use crate::catalogue::ResourceType;
use crate::error::ApiError;

#[derive(Debug, Clone, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

/// Which objects are meant, by their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

struct Tokens {
    all: Vec<String>,
    next: usize,
}

impl Tokens {
    fn read(text: &str) -> Self {
        let mut all = Vec::new();
        let mut word = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let symbol = match c {
                '(' | ')' | ',' => c.to_string(),
                '=' | '!' => {
                    let mut symbol = c.to_string();
                    if chars.next_if_eq(&'=').is_some() {
                        symbol.push('=');
                    }
                    symbol
                }
                '>' | '<' => c.to_string(),
                c if c.is_whitespace() => String::new(),
                c => {
                    word.push(c);
                    continue;
                }
            };
            if !word.is_empty() {
                all.push(std::mem::take(&mut word));
            }
            if !symbol.is_empty() {
                all.push(symbol);
            }
        }
        if !word.is_empty() {
            all.push(word);
        }
        Self { all, next: 0 }
    }

    fn peek(&self) -> &str {
        self.all.get(self.next).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        let token = self.peek().to_owned();
        self.next += 1;
        token
    }
}

fn found(token: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!(
        "unable to parse requirement: found '{token}', expected: {expected}"
    ))
}

fn is_word(token: &str) -> bool {
    !token.is_empty()
        && token
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '~'))
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut tokens = Tokens::read(text);
        let mut requirements = Vec::new();
        while !tokens.peek().is_empty() {
            requirements.push(requirement(&mut tokens)?);
            match tokens.take().as_str() {
                "" => break,
                "," if tokens.peek().is_empty() => {
                    return Err(found("", "identifier after ','"));
                }
                "," => {}
                other => return Err(found(other, "',' or 'end of string'")),
            }
        }
        Ok(Self(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| {
            let value = labels[&requirement.key].as_str();
            let listed = |value: &str| requirement.values.iter().any(|one| one == value);
            let compared = |with: fn(&i64, &i64) -> bool| {
                let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
                match (
                    number(value),
                    number(requirement.values.first().map(String::as_str)),
                ) {
                    (Some(value), Some(limit)) => with(&value, &limit),
                    _ => false,
                }
            };
            match requirement.operator {
                Operator::In => value.is_some_and(listed),
                Operator::NotIn => value.is_none_or(|value| !listed(value)),
                Operator::Exists => value.is_some(),
                Operator::Missing => value.is_none(),
                Operator::Greater => compared(i64::gt),
                Operator::Less => compared(i64::lt),
            }
        })
    }
}

fn requirement(tokens: &mut Tokens) -> Result<Requirement, ApiError> {
    let missing = tokens.peek() == "!";
    if missing {
        tokens.take();
    }
    let key = tokens.take();
    if !is_word(&key) {
        return Err(found(&key, "!, identifier, or 'end of string'"));
    }
    if missing || matches!(tokens.peek(), "" | ",") {
        return Ok(Requirement {
            key,
            operator: if missing {
                Operator::Missing
            } else {
                Operator::Exists
            },
            values: Vec::new(),
        });
    }
    let operator = tokens.take();
    let (operator, set) = match operator.as_str() {
        "in" => (Operator::In, true),
        "notin" => (Operator::NotIn, true),
        "=" | "==" => (Operator::In, false),
        "!=" => (Operator::NotIn, false),
        ">" | "gt" => (Operator::Greater, false),
        "<" | "lt" => (Operator::Less, false),
        other => return Err(found(other, "in, notin, =, ==, !=, gt, lt")),
    };
    let mut values = Vec::new();
    if set {
        match tokens.take().as_str() {
            "(" => {}
            other => return Err(found(other, "'('")),
        }
        loop {
            match tokens.take() {
                token if token == ")" => break,
                token if token == "," => values.push(String::new()),
                token if is_word(&token) => {
                    values.push(token);
                    match tokens.take().as_str() {
                        ")" => break,
                        "," => {}
                        other => return Err(found(other, "',' or ')'")),
                    }
                }
                token => return Err(found(&token, "',', ')' or identifier")),
            }
        }
    } else if matches!(tokens.peek(), "" | ",") {
        values.push(String::new());
    } else {
        let value = tokens.take();
        if !is_word(&value) {
            return Err(found(&value, "identifier"));
        }
        values.push(value);
    }
    Ok(Requirement {
        key,
        operator,
        values,
    })
}

/// Which objects are meant, by a few of their fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

/// The fields by which objects of a kind can be selected, besides name and namespace.
fn selectable(kind: &ResourceType) -> &'static [&'static str] {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        (_, "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
            "reportingComponent",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("route.openshift.io", "routes") => &["spec.path", "spec.host", "spec.to.name"],
        ("build.openshift.io", "builds") => &["status", "podName"],
        ("oauth.openshift.io", _) => &["clientName", "userName", "userUID"],
        _ => &[],
    }
}

impl FieldSelector {
    pub(crate) fn parse(kind: &ResourceType, text: &str) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = term.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) =
                term.split_once("==").or_else(|| term.split_once('='))
            {
                (field, true, value)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            let field = field.trim();
            let more = selectable(kind);
            if !matches!(field, "metadata.name" | "metadata.namespace") && !more.contains(&field) {
                let message = if more.is_empty() {
                    format!(
                        "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    )
                } else {
                    format!("field label not supported: {field}")
                };
                return Err(ApiError::bad_request(message));
            }
            terms.push((field.to_owned(), equal, value.trim().to_owned()));
        }
        Ok(Self(terms))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, equal, wanted)| {
            let value = field.split('.').fold(object, |value, part| &value[part]);
            let value = match (field.as_str(), value) {
                ("status", Value::Object(status)) => status
                    .get("phase")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                (_, Value::String(text)) => text.clone(),
                (_, Value::Null) if field == "spec.unschedulable" => "false".to_owned(),
                (_, Value::Null) => String::new(),
                (_, other) => other.to_string(),
            };
            (value == *wanted) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use serde_json::json;

    #[test]
    fn labels_are_selected_by_sets_and_comparisons() {
        let object = json!({"metadata": {"labels": {"app": "shop", "tier": "db", "n": "7"}}});
        let matches = |text: &str| LabelSelector::parse(text).unwrap().matches(&object);
        assert!(matches(
            "app in (shop, other),tier notin (x),!gone,tier,app=shop"
        ));
        assert!(matches("n>6,n<8,app!=x,app==shop"));
        assert!(!matches("app in (other)"));
        assert!(!matches("!app"));
        assert!(matches(""));
    }

    #[test]
    fn nonsense_is_refused_in_a_servers_words() {
        let error = LabelSelector::parse("a b").unwrap_err();
        insta::assert_snapshot!(error, @"unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
        let kind = Catalogue::new(true).find("", "v1", "configmaps").unwrap();
        let error = FieldSelector::parse(&kind, "data.a=1").unwrap_err();
        insta::assert_snapshot!(error, @r#""data.a" is not a known field selector: only "metadata.name", "metadata.namespace""#);
    }
}
