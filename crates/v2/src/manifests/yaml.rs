//! Writes YAML that readers of YAML 1.1 and 1.2 and helm's template engine take for the same thing.
//!
//! A string of the tree can stand for a [`Hole`], which holds a template expression in place of a value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A place whose value the template engine fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    /// An expression that gives one line of JSON, without braces.
    pub(super) expression: String,
    /// The expression that says whether there is a value. Nothing is written without one.
    pub(super) only_if: Option<String>,
}

/// Holes by the strings that stand for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Holes(BTreeMap<String, Hole>);

impl Holes {
    /// Adds a hole, and gives the string that stands for it: one that no object can hold.
    pub(super) fn add(&mut self, hole: Hole) -> Value {
        let mark = format!("\0hole {}", self.0.len());
        self.0.insert(mark.clone(), hole);
        Value::from(mark)
    }

    fn of(&self, value: &Value) -> Option<&Hole> {
        self.0.get(value.as_str()?)
    }
}

/// What comes first in an object, in the order in which people read it.
const FIRST: &[&str] = &["apiVersion", "kind", "metadata", "name"];

/// A document.
pub(super) fn document(value: &Value, holes: &Holes) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut text, map, 0, "", holes),
        other => {
            let _ = writeln!(text, "{}", scalar(other));
        }
    }
    text
}

/// A mapping in block style. Its first line begins with `lead` in place of the indent.
fn write_map(
    text: &mut String,
    map: &Map<String, Value>,
    indent: usize,
    lead: &str,
    holes: &Holes,
) {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| {
        FIRST
            .iter()
            .position(|first| first == key)
            .unwrap_or(FIRST.len())
    });
    let pad = " ".repeat(indent);
    let mut lead = if lead.is_empty() {
        pad.clone()
    } else {
        lead.to_owned()
    };
    for key in keys {
        let Some(value) = map.get(key) else { continue };
        let name = string(key);
        match holes.of(value) {
            Some(hole) => {
                let line = format!("{lead}{name}: {{{{ {} }}}}\n", hole.expression);
                match &hole.only_if {
                    Some(condition) => {
                        let _ = write!(
                            text,
                            "{pad}{{{{- if {condition} }}}}\n{line}{pad}{{{{- end }}}}\n"
                        );
                    }
                    None => text.push_str(&line),
                }
            }
            None => {
                let _ = write!(text, "{lead}{name}:");
                write_value(text, value, indent, holes);
            }
        }
        lead.clone_from(&pad);
    }
}

/// What follows `key:`.
fn write_value(text: &mut String, value: &Value, indent: usize, holes: &Holes) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_map(text, map, indent + 2, "", holes);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            write_list(text, list, indent, holes);
        }
        other => {
            let _ = writeln!(text, " {}", scalar(other));
        }
    }
}

fn write_list(text: &mut String, list: &[Value], indent: usize, holes: &Holes) {
    let pad = " ".repeat(indent);
    for item in list {
        match item {
            Value::Object(map) if !map.is_empty() => {
                write_map(text, map, indent + 2, &format!("{pad}- "), holes);
            }
            Value::Array(inner) if !inner.is_empty() => {
                let _ = writeln!(text, "{pad}-");
                write_list(text, inner, indent + 2, holes);
            }
            other => {
                let _ = match holes.of(other) {
                    Some(hole) => writeln!(text, "{pad}- {{{{ {} }}}}", hole.expression),
                    None => writeln!(text, "{pad}- {}", scalar(other)),
                };
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        other => other.to_string(),
    }
}

/// A string: as it is where every reader takes it for one, otherwise with JSON's escapes, which are YAML's, too.
pub(super) fn string(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    for c in Value::from(text).to_string().chars() {
        // What YAML does not take as it is; JSON has no escape for it.
        if matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        ) {
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    // Two braces would begin an action of helm's templates.
    quoted.replace("{{", "\\x7b\\x7b")
}

fn is_plain(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(':')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-:@+".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_strings_and_holes() {
        let mut holes = Holes::default();
        let always = holes.add(Hole {
            expression: ".Values.a".to_owned(),
            only_if: None,
        });
        let sometimes = holes.add(Hole {
            expression: ".Values.b".to_owned(),
            only_if: Some(".Values.b".to_owned()),
        });
        let value = json!({
            "kind": "X", "apiVersion": "v1",
            "spec": {
                "always": always, "sometimes": sometimes,
                "list": [{"name": "a", "command": ["x", "0755", "{{ no }}"]}, [1, [true]], {}],
                "texts": ["yes", "a: b", " ", "", "1Gi", "python:3.12", "a#b", "~"],
            },
        });
        insta::assert_snapshot!(document(&value, &holes), @r#"
        apiVersion: v1
        kind: X
        spec:
          always: {{ .Values.a }}
          list:
          - name: a
            command:
            - x
            - "0755"
            - "\x7b\x7b no }}"
          -
            - 1
            -
              - true
          - {}
          {{- if .Values.b }}
          sometimes: {{ .Values.b }}
          {{- end }}
          texts:
          - "yes"
          - "a: b"
          - " "
          - ""
          - "1Gi"
          - python:3.12
          - "a#b"
          - "~"
        "#);
    }
}
