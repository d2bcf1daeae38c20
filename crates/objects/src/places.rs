//! Where a field is: JSON pointers (RFC 6901) and patterns of them.

use serde_json::Value;

/// One key of a JSON pointer, escaped: `a/b` is written `a~1b`.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The places of `value` that a pattern names, in order, with what is there.
///
/// A pattern is a JSON pointer in which `*` stands for every entry of a list or of a map.
///
/// ```
/// use openshifter_objects::places;
/// let value = serde_json::json!({"spec": {"tls": [{"secretName": "a"}, {}, {"secretName": "b"}]}});
/// let found: Vec<_> = places(&value, "/spec/tls/*/secretName").into_iter().map(|(at, _)| at).collect();
/// assert_eq!(found, ["/spec/tls/0/secretName", "/spec/tls/2/secretName"]);
/// ```
pub fn places<'a>(value: &'a Value, pattern: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), value)];
    for key in pattern.split('/').skip(1) {
        let plain = key.replace("~1", "/").replace("~0", "~");
        let mut next = Vec::new();
        for (at, value) in found {
            match (value, key) {
                (Value::Array(list), "*") => {
                    next.extend(
                        list.iter()
                            .enumerate()
                            .map(|(i, v)| (format!("{at}/{i}"), v)),
                    );
                }
                (Value::Object(map), "*") => {
                    next.extend(map.iter().map(|(k, v)| (format!("{at}/{}", escape(k)), v)));
                }
                (Value::Array(list), index) => {
                    let entry = index
                        .parse::<usize>()
                        .ok()
                        .and_then(|index| list.get(index));
                    next.extend(entry.map(|v| (format!("{at}/{key}"), v)));
                }
                (Value::Object(map), _) => {
                    next.extend(map.get(&plain).map(|v| (format!("{at}/{key}"), v)));
                }
                _ => {}
            }
        }
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_escaped_both_ways() {
        let value = json!({"data": {"a/b~c": 1}});
        let found = places(&value, "/data/*");
        assert_eq!(found, [("/data/a~1b~0c".to_owned(), &json!(1))]);
        assert_eq!(value.pointer(&found[0].0), Some(&json!(1)));
        assert_eq!(places(&value, "/data/a~1b~0c"), found);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(places(&json!({"spec": null}), "/spec/*/name").is_empty());
        assert!(places(&json!([{"name": "a"}]), "/name").is_empty());
        assert!(places(&json!([{"name": "a"}]), "/1/name").is_empty());
    }

    #[test]
    fn a_pointer_is_a_pattern_of_one_place() {
        let value = json!([{"name": "a"}]);
        assert_eq!(
            places(&value, "/0/name"),
            [("/0/name".to_owned(), &json!("a"))]
        );
    }
}
