//! Bodies in Kubernetes' protobuf form, which `kubectl` sends for the kinds that it makes by itself
//! (`kubectl create namespace`, `create secret`, …). What is not in the table is refused with 415: no
//! field is ever dropped in silence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

const MESSAGES: &str = include_str!("protobuf.txt");
const MAGIC: &[u8] = b"k8s\0";
/// Messages hold messages; no known one goes deeper.
const DEPTH: usize = 16;

/// Why a body cannot be read.
enum Problem {
    /// It is no protobuf.
    Malformed,
    /// It holds what the table does not know.
    Unknown,
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Malformed => Self::bad_request("the body is no Kubernetes protobuf message"),
            Problem::Unknown => {
                Self::unsupported_media_types(&["application/json", "application/yaml"])
            }
        }
    }
}

/// One field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads an object with its type.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ApiError> {
    let body = body.strip_prefix(MAGIC).ok_or(Problem::Malformed)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, value) in fields(body)? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => {
                for (number, value) in fields(bytes)? {
                    match (number, value) {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => return Err(Problem::Malformed.into()),
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (3 | 4, Wire::Bytes([])) => {}
            _ => return Err(Problem::Unknown.into()),
        }
    }
    let mut object = message(&kind, raw, DEPTH)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Problem> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Problem::Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Problem::Malformed)
}

fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, Problem> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            2 => {
                let length =
                    usize::try_from(varint(&mut bytes)?).map_err(|_| Problem::Malformed)?;
                let value = bytes.get(..length).ok_or(Problem::Malformed)?;
                bytes = &bytes[length..];
                Wire::Bytes(value)
            }
            _ => return Err(Problem::Unknown),
        };
        fields.push((tag >> 3, value));
    }
    Ok(fields)
}

fn text(bytes: &[u8]) -> Result<String, Problem> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Problem::Malformed)
}

fn message(name: &str, bytes: &[u8], depth: usize) -> Result<Value, Problem> {
    let depth = depth.checked_sub(1).ok_or(Problem::Malformed)?;
    let line = MESSAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find(|line| line.split(' ').next() == Some(name))
        .ok_or(Problem::Unknown)?;
    let mut object = Map::new();
    for (number, wire) in fields(bytes)? {
        let number = number.to_string();
        let (field, kind) = line
            .split(' ')
            .skip(1)
            .filter_map(|field| field.split_once(':'))
            .find(|(known, _)| *known == number)
            .and_then(|(_, field)| field.split_once(':'))
            .ok_or(Problem::Unknown)?;
        if let Some(item) = kind.strip_prefix('*') {
            let value = scalar(item, &wire, depth)?;
            let list = object.entry(field).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else if let Some(item) = kind.strip_prefix("map:") {
            let Wire::Bytes(bytes) = wire else {
                return Err(Problem::Malformed);
            };
            let (mut key, mut value) = (String::new(), default(item));
            for (number, wire) in fields(bytes)? {
                match (number, &wire) {
                    (1, Wire::Bytes(bytes)) => key = text(bytes)?,
                    (2, _) => value = scalar(item, &wire, depth)?,
                    _ => return Err(Problem::Malformed),
                }
            }
            object.entry(field).or_insert_with(|| json!({}))[key] = value;
        } else {
            let value = scalar(kind, &wire, depth)?;
            // Go writes its zero values, which JSON leaves out.
            let zero = match kind {
                "n" => value == 0,
                "z" => value == false,
                _ => value == "" || value.is_null(),
            };
            if !zero {
                object.insert(field.to_owned(), value);
            }
        }
    }
    Ok(match name {
        "Quantity" => object.remove("string").unwrap_or_else(|| json!("0")),
        "IntOrString" => match (
            object.get("type").and_then(Value::as_i64),
            object.remove("strVal"),
        ) {
            (Some(1), Some(text)) => text,
            // Port 0 stands for "the same".
            _ => object
                .remove("intVal")
                .filter(|port| *port != 0)
                .unwrap_or(Value::Null),
        },
        // Times are the server's to set.
        "Time" => Value::Null,
        _ => Value::Object(object),
    })
}

fn default(kind: &str) -> Value {
    match kind {
        "s" | "b" => json!(""),
        "i" | "n" => json!(0),
        "t" | "z" => json!(false),
        _ => Value::Null,
    }
}

fn scalar(kind: &str, wire: &Wire<'_>, depth: usize) -> Result<Value, Problem> {
    Ok(match (kind, wire) {
        ("s", Wire::Bytes(bytes)) => json!(text(bytes)?),
        ("b", Wire::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        ("i" | "n", Wire::Number(number)) => json!(number.cast_signed()),
        ("t" | "z", Wire::Number(number)) => json!(*number != 0),
        ("s" | "b" | "i" | "n" | "t" | "z", _) | (_, Wire::Number(_)) => {
            return Err(Problem::Malformed);
        }
        (name, Wire::Bytes(bytes)) => message(name, bytes, depth)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut all = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        all.extend_from_slice(bytes);
        all
    }

    fn unknown(kind: &str, raw: &[u8]) -> Vec<u8> {
        let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &types), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_is_read() {
        let meta = field(1, b"a");
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &meta), field(2, &entry), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&unknown("Secret", &raw)).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque", "data": {"k": "dg=="}})
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        assert_eq!(decode(&unknown("Pod", b"")).unwrap_err().code(), 415);
        assert_eq!(
            decode(&unknown("Secret", &field(9, b"x")))
                .unwrap_err()
                .code(),
            415
        );
        assert_eq!(decode(b"{}").unwrap_err().code(), 400);
    }

    #[test]
    fn every_type_of_the_table_is_in_the_table() {
        let names: Vec<&str> = MESSAGES
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        for line in MESSAGES.lines().filter(|line| !line.starts_with('#')) {
            for column in line.split(' ').skip(1) {
                let kind = column.splitn(3, ':').nth(2).unwrap();
                let kind = kind.trim_start_matches("map:").trim_start_matches('*');
                assert!(
                    matches!(kind, "s" | "b" | "i" | "n" | "t" | "z") || names.contains(&kind),
                    "{column}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&unknown("Deployment", &bytes[..bytes.len().min(120)]));
            let _ = decode(&[MAGIC, &bytes].concat());
        }
    }
}
