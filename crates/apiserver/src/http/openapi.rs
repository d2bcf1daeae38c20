//! `/openapi/v3`, as far as `kubectl` needs it: which kinds there are, and that the server validates
//! fields and runs dry by itself.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::respond::Answer;
use crate::catalogue::ResourceType;

pub(crate) fn answer(all: &[Arc<ResourceType>], rest: &[&str]) -> Option<Answer> {
    match rest {
        [] => {
            let mut paths = Map::new();
            for kind in all {
                let path = group_path(kind);
                let url = json!({ "serverRelativeURL": format!("/openapi/v3/{path}") });
                paths.insert(path, url);
            }
            Some(Answer::json(json!({ "paths": paths })))
        }
        rest => {
            let path = rest.join("/");
            let kinds: Vec<&ResourceType> = all
                .iter()
                .map(|kind| &**kind)
                .filter(|kind| group_path(kind) == path)
                .collect();
            if kinds.is_empty() {
                return None;
            }
            Some(Answer::json(document(&kinds)))
        }
    }
}

/// The path below which a resource is served, without a leading slash.
pub(super) fn group_path(kind: &ResourceType) -> String {
    if kind.group.is_empty() {
        format!("api/{}", kind.version)
    } else {
        format!("apis/{}/{}", kind.group, kind.version)
    }
}

fn document(kinds: &[&ResourceType]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in kinds {
        let place = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let base = format!("/{}{place}/{}", group_path(kind), kind.plural);
        let id = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let schema = format!(
            "{}.{}.{}",
            if kind.group.is_empty() {
                "core"
            } else {
                &kind.group
            },
            kind.version,
            kind.kind
        );
        let reference = json!({
            "application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}
        });
        let operation = |verb: &str| {
            json!({
                "operationId": format!("{verb}{}{}", kind.version, kind.kind),
                "x-kubernetes-action": verb,
                "x-kubernetes-group-version-kind": id,
                "parameters": [
                    parameter("dryRun"),
                    parameter("fieldManager"),
                    parameter("fieldValidation"),
                ],
                "responses": {"200": {"description": "OK", "content": reference}},
            })
        };
        let mut collection = Map::new();
        let mut single = Map::new();
        for (verb, method, on_single) in [
            ("create", "post", false),
            ("list", "get", false),
            ("get", "get", true),
            ("update", "put", true),
            ("patch", "patch", true),
            ("delete", "delete", true),
        ] {
            if kind.can(verb) {
                let target = if on_single {
                    &mut single
                } else {
                    &mut collection
                };
                target.insert(method.to_owned(), operation(verb));
            }
        }
        paths.insert(base.clone(), Value::Object(collection));
        paths.insert(format!("{base}/{{name}}"), Value::Object(single));
        schemas.insert(schema, schema_of(kind, &id));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn schema_of(kind: &ResourceType, id: &Value) -> Value {
    let mut schema = match &kind.custom {
        Some(custom) if custom.schema.is_object() => custom.schema.clone(),
        _ => {
            let mut properties = json!({
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
            });
            for field in &kind.fields {
                properties[field] = json!({"x-kubernetes-preserve-unknown-fields": true});
            }
            json!({"type": "object", "properties": properties})
        }
    };
    schema["x-kubernetes-group-version-kind"] = json!([id]);
    schema
}

fn parameter(name: &str) -> Value {
    json!({
        "name": name,
        "in": "query",
        "schema": {"type": "string", "uniqueItems": true},
    })
}
