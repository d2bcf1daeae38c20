//! Credentials and tokens: what goes into `Authorization`, for which registry, and for how long.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::challenge::{Challenge, challenge};

/// Who we are to a registry. Debug output hides the secret.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RegistryCredentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// User and password. For OpenShift's registry the password is a token of the cluster's API, and the user is
    /// anything.
    Basic {
        /// User.
        username: String,
        /// Password or token.
        password: SecretString,
    },
}

impl RegistryCredentials {
    /// The token of an OpenShift user or service account, for the registry of its cluster.
    pub fn openshift(user: &str, token: SecretString) -> Self {
        // The registry looks at the token only; a colon, as in a service account's name, would end the user.
        let username = if user.is_empty() || user.contains(':') {
            "openshift"
        } else {
            user
        };
        Self::Basic {
            username: username.to_owned(),
            password: token,
        }
    }
}

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { username, .. } => f
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
        }
    }
}

/// A token's answer; registries differ in the field's name.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<u64>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

/// Gives another password in place of one that is no longer accepted, if there is one.
pub(crate) type Renew =
    Arc<dyn Fn(SecretString) -> BoxFuture<'static, Option<SecretString>> + Send + Sync>;

/// What we know about how to authenticate.
pub(crate) struct Auth {
    credentials: RwLock<RegistryCredentials>,
    renew: Option<Renew>,
    /// Held while the password is replaced.
    renewing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
}

/// What has to be done before a request can be sent.
pub(crate) enum Next {
    /// Send it, with this header if there is one.
    Send(Option<HeaderValue>),
    /// Ask here for a token first.
    Fetch {
        realm: String,
        service: Option<String>,
    },
}

impl Auth {
    pub(crate) fn new(credentials: RegistryCredentials, renew: Option<Renew>) -> Self {
        Self {
            credentials: RwLock::new(credentials),
            renew,
            renewing: Mutex::default(),
            state: Mutex::default(),
        }
    }

    fn credentials(&self) -> RegistryCredentials {
        let credentials = self.credentials.read();
        credentials.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn has_credentials(&self) -> bool {
        !matches!(self.credentials(), RegistryCredentials::Anonymous)
    }

    /// Replaces a password that was refused with this header, once for all requests that it was refused to. `false`
    /// when there is no other.
    pub(crate) async fn renew(&self, sent: Option<&HeaderValue>) -> bool {
        if self.renew.is_none() || sent.is_none() {
            return false;
        }
        let _one = self.renewing.lock().await;
        self.basic().as_ref() != sent || self.replace().await
    }

    /// Replaces the password. Tokens that it gave are of no use then.
    async fn replace(&self) -> bool {
        let (Some(renew), RegistryCredentials::Basic { username, password }) =
            (&self.renew, self.credentials())
        else {
            return false;
        };
        let Some(password) = renew(password).await else {
            return false;
        };
        let other = RegistryCredentials::Basic { username, password };
        *self
            .credentials
            .write()
            .unwrap_or_else(PoisonError::into_inner) = other;
        self.state.lock().await.tokens.clear();
        true
    }

    /// What to do for a request of this scope.
    pub(crate) async fn next(&self, scope: &str) -> Next {
        let state = self.state.lock().await;
        match &state.challenge {
            None => Next::Send(None),
            Some(Challenge::Basic) => Next::Send(self.basic()),
            Some(Challenge::Bearer { realm, service, .. }) => match state.tokens.get(scope) {
                Some(token) if token.until > Instant::now() => {
                    Next::Send(Some(token.header.clone()))
                }
                _ => Next::Fetch {
                    realm: realm.clone(),
                    service: service.clone(),
                },
            },
        }
    }

    /// Takes note of a 401: the token, if one was sent, is of no use. `false` when nothing can be done about it.
    pub(crate) async fn refused(
        &self,
        scope: &str,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> bool {
        let Some(challenge) = challenge(headers) else {
            return false;
        };
        let by_password = challenge == Challenge::Basic;
        // Who comes second waits for the other password, and goes by it. OpenShift's registry refuses a token in this
        // way, too.
        let _one = match by_password && self.renew.is_some() {
            true => Some(self.renewing.lock().await),
            false => None,
        };
        let mut state = self.state.lock().await;
        // Another request may have fetched a new one meanwhile.
        let token = state.tokens.get(scope);
        let by_token = token.is_some_and(|token| Some(&token.header) == sent);
        if by_token {
            state.tokens.remove(scope);
        }
        state.challenge = Some(challenge);
        drop(state);
        match (by_password, sent) {
            (false, _) => true,
            (true, None) => self.has_credentials(),
            (true, Some(_)) if by_token || self.basic().as_ref() == sent => self.replace().await,
            (true, Some(_)) => self.renew.is_some(),
        }
    }

    /// Keeps a token that was fetched; `None` when the answer holds none.
    pub(crate) async fn keep(&self, scope: &str, answer: &[u8]) -> Option<HeaderValue> {
        let answer: TokenAnswer = serde_json::from_slice(answer).ok()?;
        let token = answer.token.or(answer.access_token)?;
        let mut header =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
        header.set_sensitive(true);
        // Sixty seconds is what the protocol assumes; a margin for requests that are long under way.
        let lifetime = answer.expires_in.unwrap_or(60).clamp(1, 86_400);
        let until = Instant::now() + Duration::from_secs(lifetime).mul_f64(0.8);
        let token = Token {
            header: header.clone(),
            until,
        };
        self.state
            .lock()
            .await
            .tokens
            .insert(scope.to_owned(), token);
        Some(header)
    }

    /// The header of user and password.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let RegistryCredentials::Basic { username, password } = self.credentials() else {
            return None;
        };
        let text = SecretString::from(format!("{username}:{}", password.expose_secret()));
        let encoded = SecretString::from(STANDARD.encode(text.expose_secret()));
        let mut header =
            HeaderValue::from_str(&format!("Basic {}", encoded.expose_secret())).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The user's name, which some token servers want to see again.
    pub(crate) fn account(&self) -> Option<String> {
        match self.credentials() {
            RegistryCredentials::Basic { username, .. } => Some(username),
            RegistryCredentials::Anonymous => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_that_is_refused_is_replaced_once() {
        let renew: Renew = Arc::new(|refused| {
            let next = (refused.expose_secret() == "old").then(|| SecretString::from("new"));
            Box::pin(async move { next })
        });
        let old = RegistryCredentials::openshift("dev", "old".into());
        let auth = Auth::new(old.clone(), Some(renew));
        let sent = auth.basic();
        let headers = HeaderMap::from_iter([(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"here\""),
        )]);
        assert!(auth.refused("", &headers, sent.as_ref()).await);
        let now = auth.basic();
        assert_ne!(now, sent);
        // A token that the old one gave is refused in the same way by OpenShift's registry.
        assert!(
            auth.refused("", &headers, Some(&HeaderValue::from_static("Bearer old")))
                .await
        );
        assert_eq!(auth.basic(), now);
        // Another request that went by the old one goes again, by the new one; who was refused by that has no other.
        assert!(auth.refused("", &headers, sent.as_ref()).await);
        assert_eq!(auth.basic(), now);
        assert!(!auth.refused("", &headers, now.as_ref()).await);
        assert!(
            !Auth::new(old, None)
                .refused("", &headers, sent.as_ref())
                .await
        );
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let credentials =
            RegistryCredentials::openshift("system:serviceaccount:shop:puller", "geheim".into());
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("openshift") && !shown.contains("geheim"),
            "{shown}"
        );
        assert!(!format!("{:?}", Auth::new(credentials, None).basic()).contains("Basic "));
    }
}
