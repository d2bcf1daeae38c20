//! How the client is to run.

use std::path::PathBuf;

use openshifter_cluster::Trust;
use openshifter_migrate::StateDir;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::ClientError;

/// How the client is to run.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The REST service that does the work; this process does it when there is none.
    pub service: Option<Url>,
    /// The file of named clusters; read only when the person chooses from it.
    pub input: PathBuf,
    /// Where runs of this process keep their things, and where a service of the same user on this machine keeps its
    /// certificate and token.
    pub state: StateDir,
    /// CA certificates (PEM) that verify the service.
    pub ca: Option<PathBuf>,
    /// Accept any certificate of the service.
    pub insecure: bool,
    /// The service's token; read from the state folder otherwise, and asked for when that is not it.
    pub token: Option<SecretString>,
    /// How certificates of clusters that are typed in are verified, by their address.
    pub trusts: Vec<(String, Trust)>,
    /// An image with `sh`, `sleep` and `tar` for helper pods.
    pub helper_image: Option<String>,
    /// Whether what writes to the volumes is stopped for the copy. A Move always does.
    pub quiesce: bool,
    /// Whether claims are deleted with the objects.
    pub with_data: bool,
    /// Whether claims of the target that hold other data are overwritten, after a backup. Ping-Pong always does.
    pub overwrite_data: bool,
    /// Stops the migration in order. Ctrl-C does so too, once the dialogue is over.
    pub cancel: CancellationToken,
}

impl ClientOptions {
    /// The defaults: `input.json` in the working folder, work in this process.
    pub fn new(state: StateDir) -> Self {
        Self {
            service: None,
            input: PathBuf::from("input.json"),
            state,
            ca: None,
            insecure: false,
            token: None,
            trusts: Vec::new(),
            helper_image: None,
            quiesce: false,
            with_data: false,
            overwrite_data: false,
            cancel: CancellationToken::new(),
        }
    }

    /// Reads the address of a service as people write it; `https` is assumed.
    ///
    /// ```
    /// # use openshifter_client::ClientOptions;
    /// assert_eq!(ClientOptions::parse_service("localhost:8443")?.as_str(), "https://localhost:8443/");
    /// # Ok::<(), openshifter_client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// When it is no address, or holds more than that.
    pub fn parse_service(text: &str) -> Result<Url, ClientError> {
        let text = text.trim();
        let fail = |reason: &str| ClientError::BadService {
            // What stands before an `@` may be a password.
            text: text.rsplit('@').next().unwrap_or_default().to_owned(),
            reason: reason.to_owned(),
        };
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let mut url = Url::parse(&full).map_err(|error| fail(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fail("its scheme is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fail("it must not hold a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail("it must not hold a query or a fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_as_people_write_them() {
        for (text, url) in [
            ("127.0.0.1:8443", "https://127.0.0.1:8443/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            (
                "https://apps.example.com/mover/",
                "https://apps.example.com/mover/",
            ),
        ] {
            assert_eq!(ClientOptions::parse_service(text).unwrap().as_str(), url);
        }
        for bad in ["", "ftp://x", "https://dev:hunter2@h", "h?x"] {
            let error = ClientOptions::parse_service(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
