//! From names on the command line to connected clusters.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use fs_err as fs;
use openshifter_cluster::{Access, Cluster, Credentials, SecretString, Trust};
use openshifter_migrate::{Endpoint, InputFile};

use crate::cli::{Login, Names};
use crate::exit::Usage;

/// A connected cluster, and the project where its name said one.
pub(crate) struct Connected {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: Option<String>,
}

impl Connected {
    /// The project that was asked for, or that came with the name.
    pub(crate) fn namespace(&self, asked: Option<&str>) -> Result<String> {
        asked
            .map(str::to_owned)
            .or_else(|| self.namespace.clone())
            .ok_or_else(|| Usage("which project? Say it with -n".to_owned()).into())
    }

    /// Ends the session. What fails here is only worth a word.
    pub(crate) async fn logout(self) {
        if let Err(error) = self.cluster.logout().await {
            tracing::warn!(%error, "the login could not be revoked");
        }
    }
}

impl Names {
    /// The named clusters: none when the file was not asked for and is not there.
    pub(crate) fn read(&self) -> Result<Option<InputFile>> {
        if self.input.path == Path::new("input.json") && !self.input.path.exists() {
            return Ok(None);
        }
        Ok(Some(InputFile::read(&self.input.path)?))
    }

    /// Connects to a cluster by what the user called it.
    pub(crate) async fn connect(&self, name: &str, login: Login) -> Result<Connected> {
        let endpoint = self.endpoint(name, login).await?;
        let cluster = Cluster::connect(&endpoint.access).await?;
        Ok(Connected {
            cluster,
            namespace: endpoint.namespace,
        })
    }

    async fn endpoint(&self, name: &str, login: Login) -> Result<Endpoint> {
        if name == "in-cluster" {
            return Ok(Endpoint {
                access: Access::in_cluster()?,
                namespace: None,
            });
        }
        let input = self.read()?;
        let trust = Trust {
            ca_pem: login.ca.as_deref().map(given).transpose()?,
            insecure: login.insecure,
            oauth_ca_pem: login.oauth_ca.as_deref().map(given).transpose()?,
            oauth_insecure: login.oauth_insecure,
        };
        let asked = name.to_owned();
        // It may wait for a person.
        let credentials = tokio::task::spawn_blocking(move || login.credentials(&asked))
            .await
            .context("asking for credentials")??;
        Ok(Endpoint::resolve(
            name,
            input.as_ref(),
            self.kubeconfig.as_deref(),
            credentials,
            trust,
        )
        .await?)
    }
}

impl Login {
    /// What was given to log in with; asks for a password when only the user name was given.
    fn credentials(&self, cluster: &str) -> Result<Option<Credentials>> {
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            return Ok(Some(Credentials::ClientCertificate {
                cert_pem: given(certificate)?,
                key_pem: SecretString::from(given_text(key)?),
            }));
        }
        if let Some(token) = self.secret(self.token_file.as_ref(), "TOKEN")? {
            return Ok(Some(Credentials::Token(token)));
        }
        let Some(user) = &self.user else {
            return Ok(None);
        };
        let password = match self.secret(self.password_file.as_ref(), "PASSWORD")? {
            Some(password) => password,
            None => ask_password(user, cluster)?,
        };
        Ok(Some(Credentials::Password {
            username: user.clone(),
            password,
        }))
    }

    /// A secret from a file, stdin or the environment, without the newline at its end.
    fn secret(&self, file: Option<&PathBuf>, what: &str) -> Result<Option<SecretString>> {
        secret(file, &format!("{}_{what}", self.prefix))
    }
}

/// A secret out of a file (`-` for stdin), else out of an environment variable.
pub(crate) fn secret(file: Option<&PathBuf>, variable: &str) -> Result<Option<SecretString>> {
    let text = match file {
        Some(path) => Some(given_text(path)?),
        None => std::env::var(variable).ok(),
    };
    Ok(text.map(|text| SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// A file that was named on the command line: one that cannot be read is a mistake of the call.
pub(crate) fn given(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Usage(error.to_string()).into())
}

/// The text of such a file, or of standard input (`-`), which can be given once.
pub(crate) fn given_text(path: &Path) -> Result<String> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if path == Path::new("-") {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(
                Usage("standard input (`-`) can be given for one thing only".to_owned()).into(),
            );
        }
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("reading stdin")?;
        return Ok(text);
    }
    String::from_utf8(given(path)?)
        .map_err(|_| Usage(format!("{} is not text", path.display())).into())
}

fn ask_password(user: &str, cluster: &str) -> Result<SecretString> {
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!(
            "no password for {user} at {cluster}: give it in a file, on stdin or in the environment"
        ))
        .into());
    }
    let password = inquire::Password::new(&format!("Password of {user} at {cluster}:"))
        .without_confirmation()
        .prompt()
        .context("asking for the password")?;
    Ok(SecretString::from(password))
}
