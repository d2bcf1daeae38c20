//! Who the cluster is to another registry: what Secrets of a project say.

use base64::Engine;
use openshifter_apiserver::{ResourceId, Store};
use openshifter_images::RegistryCredentials;
use serde_json::Value;

use crate::object::{self, text};

/// Secrets that may hold credentials.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secrets<'a> {
    /// All of a project, as for imports.
    Project(&'a str),
    /// Those that a pod names.
    Pod(&'a Value),
}

impl Secrets<'_> {
    /// The credentials for a registry, by its host and port.
    pub(super) fn of(&self, store: &Store, host: &str) -> RegistryCredentials {
        let secrets = ResourceId::core("secrets");
        let found: Vec<Value> = match self {
            Self::Project(namespace) => store.list(&secrets, Some(namespace)),
            Self::Pod(pod) => object::list(pod, "/spec/imagePullSecrets")
                .iter()
                .filter_map(|one| {
                    store.get(&secrets, Some(object::namespace(pod)), text(one, "/name"))
                })
                .collect(),
        };
        found
            .iter()
            .find_map(|secret| read(secret, host))
            .unwrap_or_default()
    }
}

/// The entry of a Secret for a registry.
fn read(secret: &Value, host: &str) -> Option<RegistryCredentials> {
    let decode = |value: &Value| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?);
        bytes.ok()
    };
    let config = match text(secret, "/type") {
        "kubernetes.io/dockerconfigjson" => decode(&secret["data"][".dockerconfigjson"])?,
        "kubernetes.io/dockercfg" => decode(&secret["data"][".dockercfg"])?,
        _ => return None,
    };
    let config: Value = serde_json::from_slice(&config).ok()?;
    let entries = config.get("auths").unwrap_or(&config).as_object()?;
    let (_, entry) = entries.iter().find(|(address, _)| {
        let bare = address
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        bare.split('/').next() == Some(host)
    })?;
    let (user, password) = match (entry["username"].as_str(), entry["password"].as_str()) {
        (Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
        _ => {
            let pair = String::from_utf8(decode(&entry["auth"])?).ok()?;
            let (user, password) = pair.split_once(':')?;
            (user.to_owned(), password.to_owned())
        }
    };
    Some(RegistryCredentials::Basic {
        username: user,
        password: password.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_found_by_host() {
        let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let auth = encode("ada:secret".to_owned());
        let config = json!({"auths": {"https://127.0.0.1:5000/v2/": {"auth": auth}}});
        let secret = json!({
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": encode(config.to_string())},
        });
        let found = read(&secret, "127.0.0.1:5000").unwrap();
        assert!(
            matches!(&found, RegistryCredentials::Basic { username, .. } if username == "ada"),
            "{found:?}"
        );
        assert!(read(&secret, "127.0.0.1:5001").is_none());
        let old = json!({
            "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": encode(json!({"localhost:1": {"username": "a", "password": "b"}}).to_string())},
        });
        assert!(read(&old, "localhost:1").is_some());
        assert!(read(&json!({"type": "Opaque"}), "localhost:1").is_none());
    }
}
