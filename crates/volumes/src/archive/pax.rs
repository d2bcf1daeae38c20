//! PAX extended headers: `<length> <key>=<value>\n`, again and again.

use std::collections::BTreeMap;

/// Records of an extended header, the last of each key. GNU's sparse maps of version 0.0 repeat their keys,
/// so these are kept in order beside.
#[derive(Debug, Default, Clone)]
pub(super) struct Pax {
    records: BTreeMap<String, Vec<u8>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes`, in order.
    pub(super) sparse_pairs: Vec<u64>,
}

impl Pax {
    /// Adds the records of one header; `None` when they are malformed.
    pub(super) fn add(&mut self, mut data: &[u8]) -> Option<()> {
        while !data.is_empty() {
            let space = data.iter().take(20).position(|&byte| byte == b' ')?;
            let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
            if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
                return None;
            }
            let record = &data[space + 1..length - 1];
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let key = std::str::from_utf8(&record[..equals]).ok()?;
            let value = &record[equals + 1..];
            if matches!(key, "GNU.sparse.offset" | "GNU.sparse.numbytes") {
                self.sparse_pairs.push(decimal(value)?);
            } else {
                self.records.insert(key.to_owned(), value.to_vec());
            }
            data = &data[length..];
        }
        Some(())
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key).map(Vec::as_slice)
    }

    /// `None` when there is no such record, `Some(None)` when it is no number.
    pub(super) fn number(&self, key: &str) -> Option<Option<u64>> {
        self.get(key).map(decimal)
    }

    /// Attributes of the user namespace. Those of others (security labels, capabilities) belong to the
    /// machine that they were set on.
    pub(super) fn user_xattrs(&self) -> BTreeMap<String, Vec<u8>> {
        self.records
            .iter()
            .filter_map(|(key, value)| {
                let name = key.strip_prefix("SCHILY.xattr.")?;
                name.starts_with("user.")
                    .then(|| (name.to_owned(), value.clone()))
            })
            .collect()
    }
}

/// A decimal number of digits alone.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `-12.5` as seconds and nanoseconds, rounded down as POSIX says: `(-13, 500_000_000)`.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut digits: String = fraction.chars().take(9).collect();
    while digits.len() < 9 {
        digits.push('0');
    }
    let nanos: u32 = digits.parse().ok()?;
    if negative && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_split_by_their_length_and_not_by_lines() {
        let mut pax = Pax::default();
        pax.add(b"13 path=a\nb=\n9 size=3\n").unwrap();
        assert_eq!(pax.get("path"), Some(&b"a\nb="[..]));
        assert_eq!(pax.number("size"), Some(Some(3)));
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(time(b"12.000000001"), Some((12, 1)));
        assert_eq!(time(b"-12.5"), Some((-13, 500_000_000)));
        assert_eq!(time(b"-0.25"), Some((-1, 750_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        assert_eq!(time(b"7.x"), None);
    }

    proptest! {
        #[test]
        fn malformed_records_are_refused_without_panic(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Pax::default().add(&data);
        }
    }
}
