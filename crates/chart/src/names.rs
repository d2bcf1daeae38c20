//! File names for objects and claims.

use std::collections::BTreeSet;

use openshifter_objects::Object;
use sha2::{Digest as _, Sha256};

/// Longest name that is kept whole: file systems allow 255 bytes, and an ending is added.
const LONGEST: usize = 200;

/// A name as one component of a path. Lower-case letters, digits, `-`, `_` and inner `.` stay; everything
/// else is percent-encoded, capitals too, since names may differ only in case and file systems may not care.
pub(crate) fn component(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            b'.' if at > 0 => escaped.push('.'),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    if escaped.is_empty() {
        escaped.push('%');
    }
    if escaped.len() > LONGEST {
        let hash = hex(&Sha256::digest(name.as_bytes()));
        let mut end = LONGEST - 40;
        // Not in the middle of an escape.
        while escaped[..end].ends_with('%') || escaped[..end - 1].ends_with('%') {
            end -= 1;
        }
        escaped.truncate(end);
        escaped.push('~');
        escaped.push_str(&hash[..32]);
    }
    escaped
}

/// `<kind>[.<group>]-<name>` of an object, different from all in `taken`.
pub(crate) fn object(object: &Object, taken: &mut BTreeSet<String>) -> String {
    let mut kind = object.kind().to_lowercase();
    if !object.group().is_empty() {
        kind.push('.');
        kind.push_str(&object.group().to_lowercase());
    }
    // The whole is bounded, and not each part.
    let base = component(&kind);
    let full = component(&format!("{kind}-{}", object.name()));
    let mut name = if full.contains('~') {
        full
    } else {
        format!("{base}-{}", component(object.name()))
    };
    // Kinds that differ only in case meet here.
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{name}~{count}");
    }
    name
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn named(api_version: &str, kind: &str, name: &str) -> Object {
        Object::from_value(
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}),
        )
        .unwrap()
    }

    #[test]
    fn names_that_differ_only_in_case_do_not_clash() {
        let mut taken = BTreeSet::new();
        assert_eq!(
            object(&named("v1", "Service", "web"), &mut taken),
            "service-web"
        );
        assert_eq!(
            object(
                &named("rbac.authorization.k8s.io/v1", "Role", "system:Web"),
                &mut taken
            ),
            "role.rbac.authorization.k8s.io-system%3a%57eb"
        );
        assert_eq!(
            object(&named("v1", "SERVICE", "web"), &mut taken),
            "service-web~2"
        );
    }

    proptest! {
        #[test]
        fn components_are_distinct_and_safe(a in ".{1,300}", b in ".{1,300}") {
            let (x, y) = (component(&a), component(&b));
            prop_assert!(x.len() <= LONGEST && !x.starts_with('.') && !x.contains('/'));
            prop_assert!(x.is_ascii() && x.to_lowercase() == x);
            prop_assert_eq!(a == b, x == y);
        }
    }
}
