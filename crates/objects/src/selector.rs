//! Label selectors as `kubectl -l` writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Why some text is no label selector.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot read the label selector `{text}`: {reason}")]
pub struct SelectorError {
    text: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A label selector: `app=web,tier in (a,b),!legacy,env!=dev`.
///
/// The empty selector matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                labels.get(key).is_some_and(|value| values.contains(value))
            }
            Requirement::NotIn(key, values) => {
                labels.get(key).is_none_or(|value| !values.contains(value))
            }
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Missing(key) => !labels.contains_key(key),
        })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason: &str| SelectorError {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            // A comma ends a requirement, except within the parentheses of a set.
            let mut depth = 0_i32;
            let end = rest
                .char_indices()
                .find(|(_, c)| {
                    match c {
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        _ => {}
                    }
                    *c == ',' && depth == 0
                })
                .map(|(at, _)| at);
            let (one, more) = match end {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            requirements.push(requirement(one.trim()).map_err(|reason| fail(&reason))?);
            rest = match more {
                Some(more) if more.trim().is_empty() => return Err(fail("it ends with a comma")),
                Some(more) => more.trim(),
                None => "",
            };
        }
        Ok(Self(requirements))
    }
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let set = |rest: &str| -> Result<Vec<String>, String> {
        let inner = rest
            .trim()
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(|| format!("`{text}` has no set in parentheses"))?;
        inner
            .split(',')
            .map(|value| label_value(value.trim()))
            .collect()
    };
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(
            label_key(key)?,
            vec![label_value(value.trim())?],
        ));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(
            label_key(key)?,
            vec![label_value(value.trim())?],
        ));
    }
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Missing(label_key(key)?));
    }
    match text.split_once(char::is_whitespace) {
        Some((key, rest)) => match rest
            .trim()
            .split_once(|c: char| c == '(' || c.is_whitespace())
        {
            Some(("in", _)) => Ok(Requirement::In(label_key(key)?, set(&rest.trim()[2..])?)),
            Some(("notin", _)) => Ok(Requirement::NotIn(label_key(key)?, set(&rest.trim()[5..])?)),
            _ => Err(format!(
                "`{text}` is neither `key in (…)` nor `key notin (…)`"
            )),
        },
        None => Ok(Requirement::Exists(label_key(text)?)),
    }
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn label_key(text: &str) -> Result<String, String> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| is_label_char(c) || c == '/') {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no label name"))
    }
}

fn label_value(text: &str) -> Result<String, String> {
    if text.len() <= 63 && text.chars().all(is_label_char) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no label value"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) if values.len() == 1 => {
                    write!(f, "{key}={}", values[0])?
                }
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) if values.len() == 1 => {
                    write!(f, "{key}!={}", values[0])?
                }
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Missing(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn requirements_are_all_to_be_met() {
        let selector: Selector = "app=web, tier in (a,b),env!=dev,!legacy,team"
            .parse()
            .unwrap();
        assert!(selector.matches(&labels(&[("app", "web"), ("tier", "b"), ("team", "x")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("tier", "c"), ("team", "x")])));
        assert!(!selector.matches(&labels(&[
            ("app", "web"),
            ("tier", "a"),
            ("team", "x"),
            ("env", "dev")
        ])));
        assert!(!selector.matches(&labels(&[
            ("app", "web"),
            ("tier", "a"),
            ("team", "x"),
            ("legacy", "")
        ])));
        assert_eq!(
            selector.to_string(),
            "app=web,tier in (a,b),env!=dev,!legacy,team"
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, reason) in [
            ("app=we b", "`we b` is no label value"),
            (
                "a b c",
                "`a b c` is neither `key in (…)` nor `key notin (…)`",
            ),
            ("app=web,", "it ends with a comma"),
            ("=x", "`` is no label name"),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(error.to_string().ends_with(reason), "{error}");
        }
    }

    #[test]
    fn the_empty_selector_takes_all() {
        assert!("".parse::<Selector>().unwrap().matches(&labels(&[])));
    }
}
