//! Who asks, and what they may: the registry's login is the cluster's own.

use std::fmt;

use base64::Engine;
use http::{HeaderMap, header};
use serde_json::json;

use super::answer::{self, Answer};
use super::error::Refusal;

/// The bearer token of somebody who gave no credentials.
const ANONYMOUS: &str = "anonymous";

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Nothing but to be known.
    Login,
    /// Read an image of a stream: namespace and name.
    Pull(&'a str, &'a str),
    /// Write one.
    Push(&'a str, &'a str),
    /// Remove images, wherever they are.
    Prune,
    /// See the names of all repositories.
    Catalog,
}

/// What comes of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They may.
    Allowed,
    /// They may not, or nobody knows the token.
    Denied,
}

/// The cluster's users and their rights.
pub(crate) trait Rights: Send + Sync + fmt::Debug {
    /// Whether whoever has this token may do it; without a token it is somebody unknown.
    fn may(&self, token: Option<&str>, action: Action<'_>) -> Verdict;

    /// Whether a service account may pull a stream's images, as its pods do.
    fn account_may_pull(&self, namespace: &str, account: &str, of: &str, stream: &str) -> bool;
}

/// What a request brought along.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// Nobody in particular, with a token for that.
    Anonymous,
    /// A token of the cluster.
    Token(String),
    /// Something that is none.
    Garbled,
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::None;
        };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return Self::None;
        };
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if rest == ANONYMOUS => Self::Anonymous,
            "bearer" => Self::Token(rest.trim().to_owned()),
            // The user's name says nothing: the token is the password.
            "basic" => match password(rest) {
                Some(token) if !token.is_empty() => Self::Token(token),
                _ => Self::Garbled,
            },
            _ => Self::None,
        }
    }
}

fn password(encoded: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// Refuses who may not, with a challenge that says what to do about it.
pub(super) fn require(
    rights: &dyn Rights,
    headers: &HeaderMap,
    realm: &str,
    action: Action<'_>,
) -> Result<(), Refusal> {
    let token = match Credentials::of(headers) {
        Credentials::None => {
            return Err(Refusal::unauthorized(format!(
                "Bearer realm=\"{realm}/openshift/token\""
            )));
        }
        Credentials::Garbled => return Err(refused("failed to decode credentials")),
        Credentials::Anonymous => None,
        Credentials::Token(token) => Some(token),
    };
    match rights.may(token.as_deref(), action) {
        Verdict::Allowed => Ok(()),
        Verdict::Denied => Err(refused("access denied")),
    }
}

fn refused(why: &str) -> Refusal {
    Refusal::unauthorized(format!("Basic realm=openshift,error={why:?}"))
}

/// Answers `/openshift/token`: the password of a basic login is a token of the cluster, and is given
/// back as the bearer token.
pub(super) fn token(rights: &dyn Rights, headers: &HeaderMap) -> Answer {
    let token = match Credentials::of(headers) {
        Credentials::None => ANONYMOUS.to_owned(),
        Credentials::Token(token)
            if rights.may(Some(&token), Action::Login) == Verdict::Allowed =>
        {
            token
        }
        _ => {
            let mut refused = answer::empty(http::StatusCode::UNAUTHORIZED);
            answer::set(&mut refused, header::CONTENT_TYPE, "application/json");
            return refused;
        }
    };
    let body = json!({"token": token, "access_token": token});
    answer::typed("application/json", body.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct One;

    impl Rights for One {
        fn may(&self, token: Option<&str>, action: Action<'_>) -> Verdict {
            match (token, action) {
                (Some("good"), Action::Login | Action::Pull("shop", _)) => Verdict::Allowed,
                _ => Verdict::Denied,
            }
        }

        fn account_may_pull(&self, _: &str, _: &str, _: &str, _: &str) -> bool {
            false
        }
    }

    fn ask(credentials: Option<&str>, action: Action<'_>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(credentials) = credentials {
            headers.insert(header::AUTHORIZATION, credentials.parse().unwrap());
        }
        let refusal = require(&One, &headers, "https://r:5000", action).err()?;
        assert_eq!(refusal.status, 401);
        Some(refusal.headers[0].1.clone())
    }

    #[test]
    fn a_refusal_says_what_to_try() {
        let pull = Action::Pull("shop", "web");
        insta::assert_snapshot!(ask(None, pull).unwrap(), @r#"Bearer realm="https://r:5000/openshift/token""#);
        insta::assert_snapshot!(ask(Some("Bearer bad"), pull).unwrap(), @r#"Basic realm=openshift,error="access denied""#);
        insta::assert_snapshot!(ask(Some("Basic !"), pull).unwrap(), @r#"Basic realm=openshift,error="failed to decode credentials""#);
        assert_eq!(ask(Some("Bearer good"), pull), None);
        // The password of a basic login is the token, whatever the user's name.
        assert_eq!(ask(Some("Basic dXNlcjpnb29k"), pull), None);
        assert!(ask(Some("Bearer good"), Action::Push("shop", "web")).is_some());
        assert!(ask(Some("Bearer anonymous"), Action::Login).is_some());
    }
}
