//! Credentials for registries out of a project's pull secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_objects::Object;
use secrecy::SecretString;
use serde_json::Value;

use super::RegistryCredentials;

impl RegistryCredentials {
    /// What a pull secret among these objects (of type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg`)
    /// has for a registry; the first counts.
    pub fn of_pull_secrets<'a>(
        objects: impl IntoIterator<Item = &'a Object>,
        registry: &str,
    ) -> Option<Self> {
        objects
            .into_iter()
            .filter(|object| object.is("", "Secret"))
            .find_map(|secret| in_secret(secret.value(), registry))
    }
}

fn in_secret(secret: &Value, registry: &str) -> Option<RegistryCredentials> {
    let decoded = |key: &str| -> Option<Value> {
        let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let auths = match secret["type"].as_str()? {
        "kubernetes.io/dockerconfigjson" => decoded(".dockerconfigjson")?["auths"].take(),
        "kubernetes.io/dockercfg" => decoded(".dockercfg")?,
        _ => return None,
    };
    let (_, entry) = auths
        .as_object()?
        .iter()
        .find(|(key, _)| host(key) == host(registry))?;
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(basic(username, password));
    }
    let both = String::from_utf8(STANDARD.decode(text("auth")?).ok()?).ok()?;
    let (username, password) = both.split_once(':')?;
    Some(basic(username, password))
}

fn basic(username: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials::Basic {
        username: username.to_owned(),
        password: SecretString::from(password),
    }
}

/// The host of an entry, which may be written as an address: `https://index.docker.io/v1/`.
fn host(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    match key.split('/').next().unwrap_or(key) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn secret(kind: &str, key: &str, config: &Value) -> Object {
        Object::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"}, "type": kind,
            "data": {key: STANDARD.encode(config.to_string())},
        }))
        .unwrap()
    }

    fn found(objects: &[Object], registry: &str) -> Option<String> {
        match RegistryCredentials::of_pull_secrets(objects, registry)? {
            RegistryCredentials::Basic { username, password } => {
                Some(format!("{username} {}", password.expose_secret()))
            }
            RegistryCredentials::Anonymous => None,
        }
    }

    #[test]
    fn both_kinds_of_pull_secrets_are_read() {
        let old = json!({"https://index.docker.io/v1/": {"auth": STANDARD.encode("ada:a:b")}});
        let new = json!({"auths": {"quay.io": {"username": "robot", "password": "p", "auth": ""}}});
        let objects = [
            secret("kubernetes.io/dockercfg", ".dockercfg", &old),
            secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", &new),
            secret(
                "Opaque",
                ".dockercfg",
                &json!({"other.test": {"auth": "eDp5"}}),
            ),
        ];
        assert_eq!(found(&objects, "docker.io").as_deref(), Some("ada a:b"));
        assert_eq!(found(&objects, "quay.io").as_deref(), Some("robot p"));
        assert_eq!(found(&objects, "other.test"), None);
        assert_eq!(found(&objects, "quay.io:443"), None);
    }
}
