//! Writes YAML that every reader takes for the same thing: those of YAML 1.1 (helm, kubectl) and of 1.2, and
//! helm's template engine, for which `{{` begins an action.
//!
//! A place of the tree can be a [`Hole`], which holds a template expression in place of its value.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value};

/// A place whose value the template engine fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    /// An expression that gives one line of JSON, or nothing for an empty optional value: without braces.
    pub(crate) expression: String,
    /// Nothing is written where the expression gives nothing.
    pub(crate) optional: bool,
}

/// Holes by the JSON pointer of their place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holes {
    by_pointer: BTreeMap<String, Hole>,
    /// The unescaped last parts of the pointers, by the pointer of their parent.
    by_parent: BTreeMap<String, BTreeSet<String>>,
}

impl Holes {
    /// Adds a hole; gives `false` when its place is, or is in, another's.
    pub(crate) fn add(&mut self, pointer: &str, hole: Hole) -> bool {
        let Some((parent, key)) = pointer.rsplit_once('/') else {
            return false;
        };
        let mut above = pointer;
        while let Some((next, _)) = above.rsplit_once('/') {
            if self.by_pointer.contains_key(above) {
                return false;
            }
            above = next;
        }
        let below = format!("{pointer}/");
        if self
            .by_pointer
            .range(below.clone()..)
            .next()
            .is_some_and(|(other, _)| other.starts_with(&below))
        {
            return false;
        }
        self.by_parent
            .entry(parent.to_owned())
            .or_default()
            .insert(unescape(key));
        self.by_pointer.insert(pointer.to_owned(), hole);
        true
    }

    fn at(&self, pointer: &str) -> Option<&Hole> {
        self.by_pointer.get(pointer)
    }
}

/// `~1` and `~0` of a JSON pointer's part.
fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// A key as a part of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A document: the keys of an object's head (`apiVersion`, `kind`, `metadata`) come first, all others sorted.
pub(crate) fn document(value: &Value, holes: &Holes) -> String {
    let writer = Emitter { holes };
    match value {
        Value::Object(map) if !map.is_empty() => writer.map(map, "", 0),
        other => format!("{}\n", writer.scalar(other, 0)),
    }
}

struct Emitter<'a> {
    holes: &'a Holes,
}

impl Emitter<'_> {
    /// A mapping in block style, each line indented and ended.
    fn map(&self, map: &Map<String, Value>, pointer: &str, indent: usize) -> String {
        let added = self.holes.by_parent.get(pointer);
        let mut keys: BTreeSet<&str> = map.keys().map(String::as_str).collect();
        keys.extend(added.into_iter().flatten().map(String::as_str));
        let mut keys: Vec<&str> = keys.into_iter().collect();
        if indent == 0 {
            let head = ["apiVersion", "kind", "metadata"];
            keys.sort_by_key(|key| {
                head.iter()
                    .position(|first| first == key)
                    .unwrap_or(head.len())
            });
        }

        let pad = " ".repeat(indent);
        let mut text = String::new();
        let mut optional = Vec::new();
        for &key in &keys {
            let place = format!("{pointer}/{}", escape(key));
            let name = string(key);
            match self.holes.at(&place) {
                Some(hole) if hole.optional => {
                    optional.push(hole.expression.as_str());
                    let _ = write!(
                        text,
                        "{pad}{{{{- with {} }}}}\n{pad}{name}: {{{{ . }}}}\n{pad}{{{{- end }}}}\n",
                        hole.expression
                    );
                }
                Some(hole) => {
                    let _ = writeln!(text, "{pad}{name}: {{{{ {} }}}}", hole.expression);
                }
                None => {
                    let value = map.get(key).unwrap_or(&Value::Null);
                    self.entry(&mut text, &format!("{pad}{name}:"), value, &place, indent);
                }
            }
        }
        if optional.len() == keys.len() && !keys.is_empty() {
            // With every key gone the mapping would be read as null.
            let conditions: Vec<String> = optional
                .iter()
                .map(|expression| format!("({expression})"))
                .collect();
            let _ = write!(
                text,
                "{pad}{{{{- if not (or {} \"\") }}}}\n{pad}{{}}\n{pad}{{{{- end }}}}\n",
                conditions.join(" ")
            );
        }
        text
    }

    /// A value after `lead`, which is `key:` with its indentation.
    fn entry(&self, text: &mut String, lead: &str, value: &Value, pointer: &str, indent: usize) {
        match value {
            Value::Object(map) if self.has_content(map.is_empty(), pointer) => {
                let _ = write!(text, "{lead}\n{}", self.map(map, pointer, indent + 2));
            }
            Value::Array(list) if !list.is_empty() => {
                let _ = writeln!(text, "{lead}");
                for (at, item) in list.iter().enumerate() {
                    self.item(text, item, &format!("{pointer}/{at}"), indent + 2);
                }
            }
            scalar => {
                let _ = writeln!(text, "{lead} {}", self.scalar(scalar, indent + 2));
            }
        }
    }

    fn item(&self, text: &mut String, value: &Value, pointer: &str, indent: usize) {
        let pad = " ".repeat(indent);
        if let Some(hole) = self.holes.at(pointer) {
            // An element cannot be left out without moving the others, so it becomes null.
            let default = if hole.optional {
                " | default \"null\""
            } else {
                ""
            };
            let _ = writeln!(text, "{pad}- {{{{ {}{default} }}}}", hole.expression);
            return;
        }
        match value {
            Value::Object(map) if self.has_content(map.is_empty(), pointer) => {
                let block = self.map(map, pointer, indent + 2);
                if block.trim_start().starts_with("{{-") {
                    // The first key may be left out, and would take the dash's line with it.
                    let _ = write!(text, "{pad}-\n{block}");
                } else {
                    let _ = write!(text, "{pad}- {}", &block[indent + 2..]);
                }
            }
            Value::Array(list) if !list.is_empty() => {
                let _ = writeln!(text, "{pad}-");
                for (at, item) in list.iter().enumerate() {
                    self.item(text, item, &format!("{pointer}/{at}"), indent + 2);
                }
            }
            scalar => {
                let _ = writeln!(text, "{pad}- {}", self.scalar(scalar, indent + 2));
            }
        }
    }

    fn has_content(&self, empty: bool, pointer: &str) -> bool {
        !empty || self.holes.by_parent.contains_key(pointer)
    }

    fn scalar(&self, value: &Value, indent: usize) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => block(text, indent).unwrap_or_else(|| string(text)),
            Value::Array(_) => "[]".into(),
            Value::Object(_) => "{}".into(),
        }
    }
}

/// A string in one line: bare where no reader can take it for anything else, quoted otherwise.
pub(crate) fn string(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut last = '\0';
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Two braces would begin an action of the template engine.
            '{' if last == '{' => quoted.push_str("\\x7b"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            // Line breaks and marks that readers fold, drop or refuse.
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
        last = c;
    }
    quoted.push('"');
    quoted
}

/// Letters first, then only what has no meaning anywhere; and none of the words of YAML 1.1.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
    ];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// A text of several lines as a literal block, where that keeps it exactly; `None` where it would not.
fn block(text: &str, indent: usize) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let style = if body.len() == text.len() { "|-" } else { "|" };
    let plain = |c: char| {
        matches!(c, '\n' | '\t' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if !body.contains('\n')
        || text.contains("{{")
        || body.starts_with([' ', '\t', '\n'])
        || body.ends_with([' ', '\t', '\n'])
        || !text.chars().all(plain)
    {
        return None;
    }
    let pad = " ".repeat(indent);
    let mut block = style.to_owned();
    for line in body.split('\n') {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&pad);
            block.push_str(line);
        }
    }
    Some(block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn readable_where_it_can_be() {
        let value = json!({
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "on", "labels": {}},
            "data": {"app.conf": "a = 1\n\nb = {2}\n", "yes": "1_000", "x": "{{{ .Values.x }}}", "l": [[1, {"a": null}], "1:30"]}
        });
        let text = document(&value, &Holes::default());
        insta::assert_snapshot!(text, @r#"
        apiVersion: v1
        kind: ConfigMap
        metadata:
          labels: {}
          name: "on"
        data:
          app.conf: |
            a = 1

            b = {2}
          l:
            -
              - 1
              - a: null
            - "1:30"
          x: "{\x7b\x7b .Values.x }}}"
          "yes": "1_000"
        "#);
        assert_eq!(read(&text), value);
    }

    #[test]
    fn holes_within_holes_are_noticed() {
        let hole = Hole {
            expression: "x".into(),
            optional: false,
        };
        let mut holes = Holes::default();
        assert!(holes.add("/data/a", hole.clone()));
        assert!(!holes.add("/data", hole.clone()));
        assert!(!holes.add("/data/a/b", hole.clone()));
        assert!(!holes.add("/data/a", hole.clone()));
        assert!(holes.add("/data/ab", hole));
    }

    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ \t\n{}a-c:#\"'|>-]{0,12}",
            "(yes|No|on|~|null|0x1f|1e3|0o17|017|1_000|12:30|=|<<|---|\\.\\.\\.|2001-01-01)",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e6f64..1e6).prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_json()) {
            let value = json!({"kind": value});
            let text = document(&value, &Holes::default());
            prop_assert!(!text.contains("{{"), "{}", text);
            prop_assert_eq!(read(&text), value, "{}", text);
        }
    }
}
