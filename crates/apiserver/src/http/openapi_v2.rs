//! `/openapi/v2`: what `kubectl` checks the manifests with whose kind cannot be patched (a List, a
//! ProjectRequest), before it sends them. It asks for the document in protobuf.
//!
//! The kinds are named with their fields at the top; what is below is checked by the server. PATCH
//! operations do not say which patches they take: a client that reads so would work its patches out by
//! the merge keys of the document, of which it has none.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::openapi::group_path;
use super::respond::{Answer, Response, plain};
use crate::catalogue::ResourceType;

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As clients spell it; the `@` is in the name.
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The document, in the form that is accepted.
pub(crate) fn answer(all: &[Arc<ResourceType>], headers: &HeaderMap) -> Answer {
    let asked: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|media| media.split(';').next().unwrap_or_default().trim())
        .filter(|media| !media.is_empty())
        .collect();
    let offered = |media: &&&str| {
        matches!(**media, PROTOBUF | PROTOBUF_ASKED | "application/json")
            || matches!(**media, "*/*" | "application/*")
    };
    let document = document(all);
    match asked.iter().find(offered) {
        Some(&(PROTOBUF | PROTOBUF_ASKED)) => {
            Answer::Raw(with_type(plain(StatusCode::OK, ""), &document))
        }
        None if !asked.is_empty() => Answer::Raw(plain(
            StatusCode::NOT_ACCEPTABLE,
            "406 Not Acceptable: application/json and protobuf are offered\n",
        )),
        _ => Answer::json(document),
    }
}

fn with_type(mut response: Response, document: &Value) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    *response.body_mut() = axum::body::Body::from(encode(document));
    response
}

fn document(all: &[Arc<ResourceType>]) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for kind in all {
        let id = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let place = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        if kind.can("patch") {
            let parameter = |name: &str| json!({"name": name, "in": "query", "type": "string", "uniqueItems": true});
            paths.insert(
                format!("/{}{place}/{}/{{name}}", group_path(kind), kind.plural),
                json!({"patch": {
                    "operationId": format!("patch{}{}", kind.version, kind.kind),
                    "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
                    "responses": {"200": {"description": "OK"}},
                    "x-kubernetes-action": "patch",
                    "x-kubernetes-group-version-kind": id,
                }}),
            );
        }
        let mut properties = json!({
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
        });
        for field in &kind.fields {
            properties[field] = json!({});
        }
        definitions.insert(
            format!("{}.{}.{}", name_of(&kind.group), kind.version, kind.kind),
            json!({
                "type": "object",
                "properties": properties,
                "x-kubernetes-group-version-kind": [id],
            }),
        );
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "definitions": definitions,
    })
}

fn name_of(group: &str) -> &str {
    if group.is_empty() { "core" } else { group }
}

/// A protobuf message in the making. Field numbers are those of gnostic's `OpenAPIv2.proto`.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, mut number: u64) {
        loop {
            // The mask leaves seven bits.
            let low = u8::try_from(number & 0x7f).unwrap_or_default();
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.number(field << 3 | 2);
        // A usize fits wherever this is built.
        self.number(u64::try_from(bytes.len()).unwrap_or_default());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &Value) {
        if let Some(text) = text.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn flag(&mut self, field: u64, flag: &Value) {
        if *flag == true {
            self.number(field << 3);
            self.number(1);
        }
    }

    /// The `x-…` fields of an object, as YAML, of which JSON is a part.
    fn extensions(&mut self, field: u64, object: &Value) {
        for (name, value) in entries(object).filter(|(name, _)| name.starts_with("x-")) {
            let mut any = Self::default();
            any.bytes(2, value.to_string().as_bytes());
            self.named(field, name, &any);
        }
    }

    fn named(&mut self, field: u64, name: &str, value: &Self) {
        let mut named = Self::default();
        named.bytes(1, name.as_bytes());
        named.message(2, value);
        self.message(field, &named);
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

/// The document as a message `openapi.v2.Document`.
fn encode(document: &Value) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    message.message(2, &info);
    let mut paths = Message::default();
    for (path, item) in entries(&document["paths"]) {
        let mut encoded = Message::default();
        encoded.message(8, &operation(&item["patch"]));
        paths.named(2, path, &encoded);
    }
    message.message(8, &paths);
    let mut definitions = Message::default();
    for (name, definition) in entries(&document["definitions"]) {
        definitions.named(1, name, &schema(definition));
    }
    message.message(9, &definitions);
    message.0
}

fn operation(operation: &Value) -> Message {
    let mut message = Message::default();
    message.text(5, &operation["operationId"]);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let mut query = Message::default();
        query.text(2, &parameter["in"]);
        query.text(4, &parameter["name"]);
        query.text(6, &parameter["type"]);
        query.flag(20, &parameter["uniqueItems"]);
        // ParametersItem, of Parameter, of NonBodyParameter, of a query's.
        let (mut not_body, mut one, mut item) =
            (Message::default(), Message::default(), Message::default());
        not_body.message(3, &query);
        one.message(2, &not_body);
        item.message(1, &one);
        message.message(8, &item);
    }
    let mut responses = Message::default();
    for (code, response) in entries(&operation["responses"]) {
        let (mut encoded, mut value) = (Message::default(), Message::default());
        encoded.text(1, &response["description"]);
        value.message(1, &encoded);
        responses.named(1, code, &value);
    }
    message.message(9, &responses);
    message.extensions(13, operation);
    message
}

fn schema(schema: &Value) -> Message {
    let mut message = Message::default();
    if schema["type"].is_string() {
        let mut types = Message::default();
        types.text(1, &schema["type"]);
        message.message(22, &types);
    }
    if schema["properties"].is_object() {
        let mut properties = Message::default();
        for (name, property) in entries(&schema["properties"]) {
            properties.named(1, name, &self::schema(property));
        }
        message.message(25, &properties);
    }
    message.extensions(31, schema);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn accept(media: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(media));
        headers
    }

    #[test]
    fn kinds_that_cannot_be_patched_are_defined_without_a_path() {
        let document = document(&Catalogue::new(true).all());
        let definition = &document["definitions"]["project.openshift.io.v1.ProjectRequest"];
        assert!(definition["properties"]["displayName"].is_object());
        let paths = document["paths"].to_string();
        assert!(!paths.contains("projectrequests") && paths.contains("/pods/{name}"));
    }

    #[test]
    fn the_form_is_the_one_that_is_accepted() {
        let all = Catalogue::new(true).all();
        let is_json = |headers: &HeaderMap| matches!(answer(&all, headers), Answer::Json { .. });
        assert!(is_json(&HeaderMap::new()));
        assert!(is_json(&accept("application/json")));
        for (media, status, kind) in [
            (PROTOBUF_ASKED, 200, PROTOBUF),
            ("text/csv", 406, "text/plain; charset=utf-8"),
        ] {
            let Answer::Raw(response) = answer(&all, &accept(media)) else {
                unreachable!("{media} is no JSON");
            };
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
        }
    }

    #[test]
    fn numbers_and_names_are_written_as_protobuf_writes_them() {
        let mut message = Message::default();
        message.number(300);
        message.text(1, &json!("ab"));
        message.flag(20, &json!(true));
        assert_eq!(message.0, [0xac, 2, 10, 2, b'a', b'b', 0xa0, 1, 1]);
    }
}
