//! Names of clusters as users give them: a name from `input.json`, a kubeconfig context, or an address.

use std::fmt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use openshifter_cluster::{Access, ClusterError, Credentials, Trust};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Why a cluster's name says nothing.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// `input.json` cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `input.json` is not what it should be.
    #[error("{} is not right: {source}; it looks like {{\"credentials\": {{\"NAME\": {{\"base\": \"HOST:PORT\", \"project\": \"…\", \"username\": \"…\", \"password\": \"…\"}}}}}}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// An address or a kubeconfig is not usable.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing is called so.
    #[error(
        "`{name}` is neither a name in input.json{known}, nor a kubeconfig context{contexts}, nor the address of a cluster"
    )]
    Unknown {
        /// What was given.
        name: String,
        /// Names that there are.
        known: String,
        /// Contexts that there are.
        contexts: String,
    },
    /// An address was given, and nothing to log in with.
    #[error(
        "no credentials for {base}: give a user name (the password is asked for), a token file, or a client certificate"
    )]
    NoCredentials {
        /// The address.
        base: String,
    },
}

/// A cluster to log in to, and the project there where the name said one.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// How to log in.
    pub access: Access,
    /// The project, when it came with the name.
    pub namespace: Option<String>,
}

/// The `input.json` of the interactive client: named clusters with credentials, in the order of the file.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Name and credentials.
    pub entries: Vec<(String, InputEntry)>,
}

/// One entry of `input.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputEntry {
    /// Address of the cluster's API, as users write it.
    pub base: String,
    /// The project.
    pub project: String,
    /// User name.
    pub username: String,
    /// Password; masked in what is printed.
    pub password: SecretString,
    /// A file with the certificate authority of the API, relative to `input.json`.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Whether the API's certificate is not checked.
    #[serde(default)]
    pub insecure: bool,
    /// A file with the certificate authority of the OAuth host.
    #[serde(default)]
    pub oauth_ca: Option<PathBuf>,
    /// Whether the OAuth host's certificate is not checked.
    #[serde(default)]
    pub oauth_insecure: bool,
}

impl InputFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, is no JSON (a trailing comma, say), or an entry lacks a key.
    pub fn read(path: &Path) -> Result<Self, EndpointError> {
        let text = fs::read(path).map_err(|source| EndpointError::Read {
            path: path.to_owned(),
            source,
        })?;
        #[derive(Deserialize)]
        struct Root {
            credentials: Entries,
        }
        let root: Root = serde_json::from_slice(&text).map_err(|source| EndpointError::Format {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut entries = root.credentials.0;
        for (_, entry) in &mut entries {
            for file in [&mut entry.ca, &mut entry.oauth_ca].into_iter().flatten() {
                *file = folder.join(&*file);
            }
        }
        Ok(Self { entries })
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&InputEntry> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, entry)| entry)
    }
}

impl InputEntry {
    /// How to log in, under this name.
    ///
    /// # Errors
    /// When the address or a certificate file is not usable.
    pub fn endpoint(&self, name: &str) -> Result<Endpoint, EndpointError> {
        let read = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| {
                    fs::read(path).map_err(|source| EndpointError::Read {
                        path: path.clone(),
                        source,
                    })
                })
                .transpose()
        };
        Ok(Endpoint {
            access: Access {
                name: name.to_owned(),
                base: Access::parse_base(&self.base)?,
                trust: Trust {
                    ca_pem: read(&self.ca)?,
                    insecure: self.insecure,
                    oauth_ca_pem: read(&self.oauth_ca)?,
                    oauth_insecure: self.oauth_insecure || self.insecure,
                },
                credentials: Credentials::Password {
                    username: self.username.clone(),
                    password: self.password.clone(),
                },
            },
            namespace: Some(self.project.clone()),
        })
    }
}

/// Entries in the order of the file, which a map would lose.
struct Entries(Vec<(String, InputEntry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object that names clusters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries: Vec<(String, InputEntry)> = Vec::new();
                while let Some((name, entry)) = map.next_entry::<String, InputEntry>()? {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("`{name}` is there twice")));
                    }
                    entries.push((name, entry));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Endpoint {
    /// Finds a cluster by what the user called it: a name in `input`, a context of the kubeconfig, or an
    /// address, for which `credentials` and `trust` are used.
    ///
    /// # Errors
    /// When nothing is called so, or what is called so is not usable.
    pub async fn resolve(
        name: &str,
        input: Option<&InputFile>,
        kubeconfig: Option<&Path>,
        credentials: Option<Credentials>,
        trust: Trust,
    ) -> Result<Self, EndpointError> {
        if let Some(entry) = input.and_then(|input| input.get(name)) {
            return entry.endpoint(name);
        }
        // A kubeconfig that cannot be read matters only when a context is meant.
        let contexts = Access::contexts(kubeconfig);
        if contexts
            .as_ref()
            .is_ok_and(|contexts| contexts.iter().any(|context| context == name))
        {
            let mut access = Access::from_context(kubeconfig, Some(name)).await?;
            if let Some(credentials) = credentials {
                access.credentials = credentials;
            }
            return Ok(Self {
                access,
                namespace: None,
            });
        }
        if !name.contains(['.', ':', '/']) {
            if let (Err(error), true) = (contexts.as_ref(), kubeconfig.is_some()) {
                return Err(EndpointError::Unknown {
                    name: name.to_owned(),
                    known: String::new(),
                    contexts: format!(" ({error})"),
                });
            }
            let list = |names: Vec<&str>| {
                if names.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", names.join(", "))
                }
            };
            return Err(EndpointError::Unknown {
                name: name.to_owned(),
                known: list(
                    input
                        .map(|input| {
                            input
                                .entries
                                .iter()
                                .map(|(name, _)| name.as_str())
                                .collect()
                        })
                        .unwrap_or_default(),
                ),
                contexts: list(
                    contexts
                        .as_ref()
                        .map(|contexts| contexts.iter().map(String::as_str).collect())
                        .unwrap_or_default(),
                ),
            });
        }
        let base = Access::parse_base(name)?;
        let credentials = credentials.ok_or_else(|| EndpointError::NoCredentials {
            base: base.to_string(),
        })?;
        Ok(Self {
            access: Access {
                name: name.to_owned(),
                base,
                trust,
                credentials,
            },
            namespace: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<InputFile, EndpointError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.json");
        fs::write(&path, text).unwrap();
        InputFile::read(&path)
    }

    #[test]
    fn names_keep_the_order_of_the_file() {
        let entry = r#"{"base": "h:8443", "project": "p", "username": "u", "password": "secret"}"#;
        let file = read(&format!(
            r#"{{"credentials": {{"zeta": {entry}, "alpha": {entry}}}}}"#
        ))
        .unwrap();
        let names: Vec<&str> = file.entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["zeta", "alpha"]);
        assert!(!format!("{file:?}").contains("secret"));
    }

    #[test]
    fn a_missing_key_is_named() {
        let error =
            read(r#"{"credentials": {"a": {"base": "h:1", "project": "p", "username": "u"}}}"#)
                .unwrap_err()
                .to_string();
        assert!(error.contains("missing field `password`"), "{error}");
    }

    #[test]
    fn a_trailing_comma_is_found_by_its_line() {
        let error = read("{\"credentials\": {\n},\n}").unwrap_err().to_string();
        assert!(error.contains("trailing comma at line 3"), "{error}");
    }
}
