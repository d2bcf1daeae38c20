//! `WWW-Authenticate`: what a registry wants to see.

use http::{HeaderMap, header};

/// One way to authenticate that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    /// A token of `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The best of what an answer offers: tokens before passwords.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let offered: Vec<Challenge> = headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect();
    let bearer = offered
        .iter()
        .find(|one| matches!(one, Challenge::Bearer { .. }));
    bearer.or(offered.first()).cloned()
}

/// Reads a header that may hold several challenges, whose parameters are separated by commas as they are.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for part in split(text) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (part.as_str(), None),
        };
        // `Bearer realm="…"` begins a challenge; `service="…"` goes on with it.
        let name = match name.split_once(char::is_whitespace) {
            Some((scheme, parameter)) => {
                found.push((scheme.to_ascii_lowercase(), Vec::new()));
                parameter.trim()
            }
            None if value.is_none() => {
                found.push((name.to_ascii_lowercase(), Vec::new()));
                continue;
            }
            None => name,
        };
        if let (Some((_, parameters)), Some(value)) = (found.last_mut(), value) {
            parameters.push((
                name.to_ascii_lowercase(),
                value.trim_matches('"').replace("\\\"", "\""),
            ));
        }
    }
    found
        .into_iter()
        .filter_map(|(scheme, parameters)| {
            let get = |name: &str| {
                parameters
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            };
            match scheme.as_str() {
                "basic" => Some(Challenge::Basic),
                "bearer" => Some(Challenge::Bearer {
                    realm: get("realm")?,
                    service: get("service"),
                    scope: get("scope"),
                }),
                _ => None,
            }
        })
        .collect()
}

/// At commas outside of quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
        .iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.example/token?a=b",service="registry, the",scope="repository:a/b:pull,push""#
            ),
            [Challenge::Bearer {
                realm: "https://auth.example/token?a=b".into(),
                service: Some("registry, the".into()),
                scope: Some("repository:a/b:pull,push".into())
            }]
        );
        assert_eq!(
            parse(r#"Basic realm="openshift", Bearer realm=https://h/openshift/token"#),
            [
                Challenge::Basic,
                Challenge::Bearer {
                    realm: "https://h/openshift/token".into(),
                    service: None,
                    scope: None
                }
            ]
        );
        assert_eq!(parse("Negotiate"), []);
    }

    #[test]
    fn tokens_are_preferred() {
        let mut headers = HeaderMap::new();
        headers.append(header::WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"https://h/t\"".parse().unwrap(),
        );
        assert!(matches!(
            challenge(&headers),
            Some(Challenge::Bearer { .. })
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }
    }
}
