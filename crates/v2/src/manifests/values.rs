//! Values for the places that are left open. They may be secrets, so they mask themselves.

use std::collections::BTreeMap;
use std::io::Read;

use secrecy::{ExposeSecret as _, SecretString};

use crate::V2Error;

/// Values by the names of their inputs.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<String, SecretString>);

impl Values {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads lines of `NAME=VALUE`. Empty lines and those that begin with `#` are passed over; a value is all that follows the first `=`.
    ///
    /// # Errors
    /// When a line is none of these. The message does not show the line.
    pub fn parse(text: &str) -> Result<Self, V2Error> {
        let mut values = Self::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err(V2Error::Option {
                    option: "--values",
                    reason: format!("line {} is not NAME=VALUE", at + 1),
                });
            };
            values.set(name.trim(), SecretString::from(value));
        }
        Ok(values)
    }

    /// Gives a value, in place of the one that was there.
    pub fn set(&mut self, name: impl Into<String>, value: SecretString) {
        self.0.insert(name.into(), value);
    }

    /// A file of values with lines for these ones at its end. It holds secrets.
    pub fn added_to(&self, text: &str, names: &[&str]) -> SecretString {
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for name in names {
            if let Some(value) = self.get(name) {
                text.push_str(&format!("{name}={}\n", value.expose_secret()));
            }
        }
        SecretString::from(text)
    }

    /// These values, and those of another one where there are none here.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// Only those that something has a place for.
    #[must_use]
    pub fn known_to(mut self, manifests: &super::Manifests) -> Self {
        self.0.retain(|name, _| manifests.input(name).is_some());
        self
    }

    /// Whether that value was given. An empty one was not.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&SecretString> {
        self.0
            .get(name)
            .filter(|value| !value.expose_secret().is_empty())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Letters and digits, each as likely as any other.
pub(super) fn alphanumeric(length: usize, random: &mut impl Read) -> std::io::Result<SecretString> {
    let mut text = String::with_capacity(length);
    let mut byte = [0_u8];
    while text.len() < length {
        random.read_exact(&mut byte)?;
        // 248 is the largest multiple of 62 that a byte holds: what is above would favour the first letters.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_not_shown() {
        let values = Values::parse("# a comment\n\nA=b=c \r\n B = x\n").unwrap();
        assert_eq!(values.get("A").unwrap().expose_secret(), "b=c ");
        assert_eq!(values.get("B").unwrap().expose_secret(), " x");
        assert!(!format!("{values:?}").contains("b=c"));
        let error = Values::parse("A=b\nthe secret itself\n").unwrap_err();
        assert_eq!(error.to_string(), "--values: line 2 is not NAME=VALUE");
        assert!(!Values::parse("A=\n").unwrap().has("A"));
    }

    #[test]
    fn each_letter_is_as_likely_as_any_other() {
        let all: Vec<u8> = (0..=255).collect();
        let made = alphanumeric(248, &mut all.as_slice()).unwrap();
        for letter in ALPHABET {
            let count = made.expose_secret().bytes().filter(|c| c == letter).count();
            assert_eq!(count, 4);
        }
        // The last eight bytes are passed over, and then there are no more.
        let error = alphanumeric(249, &mut all.as_slice()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}
