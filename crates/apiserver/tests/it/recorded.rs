//! Fixtures, and the comparison of answers that differ only in what differs each time.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(crate) fn load(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fixtures of a folder in order of their names.
pub(crate) fn all(name: &str) -> Vec<(String, Value)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder().join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, load(path))
        })
        .collect()
}

/// What differs each time, and what stands for it.
const RULES: [(&str, &str); 11] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "<uid>",
    ),
    (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b", "<id>"),
    (r"\b10\.77\.\d+\.\d+\b", "<ip>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\b1\d{9}\b", "<number>"),
    (r"s0:c\d+,c\d+", "<level>"),
    (r"-dockercfg-[a-z0-9]{5}\b", "-dockercfg-<suffix>"),
    (r"access_token=[^&]+", "access_token=<token>"),
    (r"https://127\.0\.0\.1:\d+", "<url>"),
    (
        r"too old resource version: \d+ \(\d+\)",
        "too old resource version",
    ),
    (r"current: \d+", "current: <revision>"),
];

/// A text without what differs each time.
pub(crate) fn normal(text: &str) -> String {
    static COMPILED: LazyLock<Vec<(regex::Regex, &str)>> = LazyLock::new(|| {
        RULES
            .iter()
            .map(|(pattern, with)| (regex::Regex::new(pattern).unwrap(), *with))
            .collect()
    });
    let mut text = text.to_owned();
    for (pattern, with) in COMPILED.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    // What a differing value or spec looks like in Go's own form says nothing to a client.
    if let Some(at) = text.find("Invalid value: {\"labels\"") {
        text.truncate(at);
    }
    text
}

/// Where an answer is not as it was recorded: each field that was recorded has to be there and equal.
pub(crate) fn differences(recorded: &Value, answer: &Value, path: &str) -> Vec<String> {
    match (recorded, answer) {
        (Value::Object(recorded), Value::Object(answer)) => recorded
            .iter()
            .flat_map(|(field, value)| {
                differences(
                    value,
                    answer.get(field).unwrap_or(&Value::Null),
                    &format!("{path}.{field}"),
                )
            })
            .collect(),
        (Value::Array(recorded), Value::Array(answer)) if recorded.len() == answer.len() => {
            recorded
                .iter()
                .zip(answer)
                .enumerate()
                .flat_map(|(index, (recorded, answer))| {
                    differences(recorded, answer, &format!("{path}[{index}]"))
                })
                .collect()
        }
        (Value::String(recorded), Value::String(answer))
            if normal(recorded) == normal(answer) || is_random(path) =>
        {
            Vec::new()
        }
        // The order of fields is no part of any protocol.
        (Value::String(recorded), Value::String(answer))
            if recorded.starts_with('{') && answer.starts_with('{') =>
        {
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            differences(&parse(recorded), &parse(answer), path)
        }
        (Value::Number(recorded), Value::Number(answer))
            if normal(&recorded.to_string()) == normal(&answer.to_string()) =>
        {
            Vec::new()
        }
        (recorded, answer) if recorded == answer => Vec::new(),
        _ => vec![format!("{path}: recorded {recorded}, answered {answer}")],
    }
}

/// Values that a server draws.
fn is_random(path: &str) -> bool {
    path.ends_with(".uid") || path.ends_with(".resourceVersion") || path.ends_with("Timestamp")
}
