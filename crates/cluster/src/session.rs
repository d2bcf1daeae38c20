//! The login of a connection by user and password, made anew when its token is no longer accepted.
//!
//! OpenShift's tokens live for a day by default, and administrators choose less: a volume may take longer than its token lives.

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::future::BoxFuture;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::call::Link;
use crate::{Access, ClusterError, Tuning, login};

/// A login, and what it takes to repeat it.
pub(crate) struct Session {
    access: Access,
    username: String,
    password: SecretString,
    tuning: Tuning,
    state: RwLock<State>,
    /// Held while a token is obtained or revoked.
    changing: Mutex<()>,
}

struct State {
    token: SecretString,
    header: HeaderValue,
    /// How many logins there were before this one.
    generation: u64,
    /// No request is to log in any more: the token is being revoked, or is.
    ended: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Logs in.
    pub(crate) async fn begin(
        access: &Access,
        username: &str,
        password: &SecretString,
        tuning: Tuning,
    ) -> Result<Self, ClusterError> {
        let token = login::token(access, username, password, tuning).await?;
        Ok(Self {
            state: RwLock::new(State {
                header: header(access, &token)?,
                token,
                generation: 0,
                ended: false,
            }),
            access: access.clone(),
            username: username.to_owned(),
            password: password.clone(),
            tuning,
            changing: Mutex::new(()),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present value of `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.read().header.clone()
    }

    pub(crate) fn token(&self) -> SecretString {
        self.read().token.clone()
    }

    /// Which login requests that begin now go by.
    pub(crate) fn generation(&self) -> u64 {
        self.read().generation
    }

    /// Logs in again after the token of that generation was refused, once for all requests that it was refused to.
    /// False when the session has ended: then the refusal stands.
    ///
    /// # Errors
    /// When there is no new token: the password may have changed.
    pub(crate) fn renew(&self, refused: u64) -> BoxFuture<'_, Result<bool, ClusterError>> {
        // A login makes requests, whose failures lead here: the compiler asks for an indirection.
        Box::pin(async move {
            if self.read().ended {
                return Ok(false);
            }
            let _one = self.changing.lock().await;
            if self.generation() != refused {
                return Ok(true);
            }
            tracing::info!(
                cluster = self.access.name,
                "the token is no longer accepted: logging in again"
            );
            let token =
                login::token(&self.access, &self.username, &self.password, self.tuning).await?;
            let header = header(&self.access, &token)?;
            let mut state = self.write();
            state.token = token;
            state.header = header;
            state.generation += 1;
            Ok(true)
        })
    }

    /// Revokes the token; does nothing when that was done.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub(crate) async fn end(&self, link: &Link) -> Result<(), ClusterError> {
        let _one = self.changing.lock().await;
        if std::mem::replace(&mut self.write().ended, true) {
            return Ok(());
        }
        let ended = login::revoke(link, &self.token()).await;
        if ended.is_err() {
            self.write().ended = false;
        }
        ended
    }
}

fn header(access: &Access, token: &SecretString) -> Result<HeaderValue, ClusterError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| {
            ClusterError::BadCredentials {
                cluster: access.name.clone(),
                what: "the token of the login",
                reason: "it does not fit into a header".to_owned(),
            }
        })?;
    value.set_sensitive(true);
    Ok(value)
}
