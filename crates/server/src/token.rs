//! The service's own bearer token, for routes that show or use what belongs to the service's owner.

use std::path::{Path, PathBuf};

use fs_err as fs;
use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};
use crate::{ServerError, private};

/// Name of the token's file, in the service's folder.
const FILE: &str = "token";

/// The token, and where it is kept.
#[derive(Debug)]
pub(crate) struct Token {
    secret: SecretString,
    path: PathBuf,
}

/// Where the token of a service with this state is kept.
pub fn token_path(state: &openshifter_migrate::StateDir) -> PathBuf {
    state.path().join("service").join(FILE)
}

impl Token {
    /// Reads the token of an earlier start, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self, ServerError> {
        let path = folder.join(FILE);
        let failed = |action| {
            let path = path.clone();
            move |source| ServerError::File {
                action,
                path,
                source,
            }
        };
        let known = match fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let secret = if known.len() >= 32 {
            known
        } else {
            let random = || uuid::Uuid::new_v4().simple().to_string();
            let made = format!("{}{}", random(), random());
            private::write(&path, format!("{made}\n").as_bytes()).map_err(failed("write"))?;
            made
        };
        Ok(Self {
            secret: secret.into(),
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a request carries it.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        // Digests are compared, so that the time it takes tells nothing of the token.
        if Sha256::digest(given) == Sha256::digest(self.secret.expose_secret()) {
            Ok(())
        } else {
            Err(Problem::new(
                Code::MissingToken,
                "this needs the service's own token, as `Authorization: Bearer …`; it is in the file `token` of the service's folder",
            ))
        }
    }
}
