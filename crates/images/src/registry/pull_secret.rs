//! Credentials for registries out of a project's pull secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_objects::Object;
use secrecy::SecretString;
use serde_json::Value;

use super::RegistryCredentials;

impl RegistryCredentials {
    /// What the pull secrets among these objects (of type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg`)
    /// have for a repository of a registry: the entry with the longest path that leads to it counts, of equals the first.
    pub fn of_pull_secrets<'a>(
        objects: impl IntoIterator<Item = &'a Object>,
        registry: &str,
        repository: &str,
    ) -> Option<Self> {
        let mut best: Option<(usize, Self)> = None;
        for secret in objects.into_iter().filter(|one| one.is("", "Secret")) {
            let Some(found) = auths(secret.value())
                .as_ref()
                .and_then(|auths| in_auths(auths, registry, repository))
            else {
                continue;
            };
            if best.as_ref().is_none_or(|(length, _)| found.0 > *length) {
                best = Some(found);
            }
        }
        best.map(|(_, credentials)| credentials)
    }

    /// What a file in the form of Docker's `config.json` has for a repository of a registry.
    pub fn of_auth_file(text: &str, registry: &str, repository: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        in_auths(&value["auths"], registry, repository).map(|(_, credentials)| credentials)
    }
}

fn auths(secret: &Value) -> Option<Value> {
    let decoded = |key: &str| -> Option<Value> {
        let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    match secret["type"].as_str()? {
        "kubernetes.io/dockerconfigjson" => Some(decoded(".dockerconfigjson")?["auths"].take()),
        "kubernetes.io/dockercfg" => decoded(".dockercfg"),
        _ => None,
    }
}

/// The credentials of the entry with the longest path that leads to a repository, with that path's length.
fn in_auths(
    auths: &Value,
    registry: &str,
    repository: &str,
) -> Option<(usize, RegistryCredentials)> {
    let (wanted, _) = parts(registry);
    auths
        .as_object()?
        .iter()
        .filter_map(|(key, entry)| {
            let (host, path) = parts(key);
            let leads = host == wanted
                && (path.is_empty()
                    || repository
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
            Some((path.len(), leads.then(|| of_entry(entry))??))
        })
        // The last of equals would hold.
        .rev()
        .max_by_key(|(length, _)| *length)
}

fn of_entry(entry: &Value) -> Option<RegistryCredentials> {
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

/// Host and path of an entry, which may be written as an address: `https://index.docker.io/v1/`.
fn parts(key: &str) -> (&str, &str) {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    match path.trim_end_matches('/') {
        // Versions of the protocol.
        "v1" | "v2" => (host, ""),
        path => (host, path),
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
        match RegistryCredentials::of_pull_secrets(objects, registry, "shop/web")? {
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

    #[test]
    fn the_entry_that_leads_nearest_counts() {
        let entry = |user: &str| json!({"username": user, "password": "p"});
        let general = json!({"auths": {"quay.io": entry("all"), "quay.io/other": entry("other"), "quay.io/sho": entry("part")}});
        let near = json!({"auths": {"https://quay.io/shop": entry("shop"), "quay.io/shop/web": entry("web")}});
        let kind = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
        let objects = [
            secret(kind.0, kind.1, &general),
            secret(kind.0, kind.1, &near),
        ];
        assert_eq!(found(&objects, "quay.io").as_deref(), Some("web p"));
        assert_eq!(found(&objects[..1], "quay.io").as_deref(), Some("all p"));
        let of_file = |repository: &str| match RegistryCredentials::of_auth_file(
            &near.to_string(),
            "quay.io",
            repository,
        ) {
            Some(RegistryCredentials::Basic { username, .. }) => Some(username),
            _ => None,
        };
        assert_eq!(of_file("shop/api").as_deref(), Some("shop"));
        assert_eq!(of_file("shopping/api"), None);
    }
}
