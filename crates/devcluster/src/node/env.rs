//! A container's environment and the folders of its volumes' files: what pods take from ConfigMaps,
//! Secrets and themselves.

use std::collections::BTreeMap;

use base64::Engine;
use openshifter_apiserver::{ResourceId, Store};
use serde_json::Value;

use crate::object::{self, list, resources, text};

/// Why a container cannot be configured yet, in the words of a kubelet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

/// Addresses that fields may refer to.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) pod: String,
    pub(crate) host: String,
}

/// The contents of a ConfigMap or Secret by key.
pub(crate) fn contents(
    store: &Store,
    resource: &ResourceId,
    namespace: &str,
    name: &str,
) -> Option<BTreeMap<String, Vec<u8>>> {
    let object = store.get(resource, Some(namespace), name)?;
    let decode = |value: &Value| {
        let text = value.as_str()?;
        base64::engine::general_purpose::STANDARD.decode(text).ok()
    };
    let mut contents = BTreeMap::new();
    let encoded = if *resource == resources::secrets() {
        "data"
    } else {
        "binaryData"
    };
    for (key, value) in object[encoded].as_object().into_iter().flatten() {
        contents.insert(key.clone(), decode(value).unwrap_or_default());
    }
    if encoded == "binaryData" {
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            contents.insert(
                key.clone(),
                value.as_str().unwrap_or_default().as_bytes().to_vec(),
            );
        }
    }
    Some(contents)
}

/// The environment of a container: the image's, `envFrom`, then `env`, with `$(NAME)` expanded.
pub(crate) fn environment(
    store: &Store,
    pod: &Value,
    container: &Value,
    image: &[(String, String)],
    addresses: &Addresses,
) -> Result<Vec<(String, String)>, ConfigError> {
    let namespace = object::namespace(pod);
    let hostname = hostname(pod);
    let mut env: Vec<(String, String)> = vec![
        ("PATH".to_owned(), crate::images::DEFAULT_PATH.to_owned()),
        ("HOSTNAME".to_owned(), hostname.to_owned()),
        ("HOME".to_owned(), "/".to_owned()),
    ];
    for (name, value) in image {
        set(&mut env, name, value.clone());
    }
    if pod["spec"]["enableServiceLinks"] != false {
        for (name, value) in super::services::variables(store, namespace) {
            set(&mut env, &name, value);
        }
    }
    for source in list(container, "/envFrom") {
        let prefix = text(source, "/prefix");
        for (field, resource, kind) in [
            ("configMapRef", resources::config_maps(), "configmap"),
            ("secretRef", resources::secrets(), "secret"),
        ] {
            let reference = &source[field];
            let Some(name) = reference["name"].as_str() else {
                continue;
            };
            match contents(store, &resource, namespace, name) {
                Some(contents) => {
                    for (key, value) in contents {
                        set(
                            &mut env,
                            &format!("{prefix}{key}"),
                            String::from_utf8_lossy(&value).into_owned(),
                        );
                    }
                }
                None if reference["optional"] == true => {}
                None => return Err(ConfigError(format!("{kind} {name:?} not found"))),
            }
        }
    }
    for variable in list(container, "/env") {
        let name = text(variable, "/name");
        let value = match variable.get("valueFrom").filter(|source| !source.is_null()) {
            None => Some(expand(text(variable, "/value"), &env)),
            Some(source) => value_from(store, pod, source, addresses)?,
        };
        if let Some(value) = value {
            set(&mut env, name, value);
        }
    }
    Ok(env)
}

fn set(env: &mut Vec<(String, String)>, name: &str, value: String) {
    match env.iter_mut().find(|(other, _)| other == name) {
        Some(old) => old.1 = value,
        None => env.push((name.to_owned(), value)),
    }
}

fn value_from(
    store: &Store,
    pod: &Value,
    source: &Value,
    addresses: &Addresses,
) -> Result<Option<String>, ConfigError> {
    let namespace = object::namespace(pod);
    for (field, resource, kind) in [
        ("configMapKeyRef", resources::config_maps(), "configmap"),
        ("secretKeyRef", resources::secrets(), "secret"),
    ] {
        let reference = &source[field];
        if reference.is_null() {
            continue;
        }
        let (name, key) = (text(reference, "/name"), text(reference, "/key"));
        let optional = reference["optional"] == true;
        return match contents(store, &resource, namespace, name) {
            None if optional => Ok(None),
            None => Err(ConfigError(format!("{kind} {name:?} not found"))),
            Some(contents) => match contents.get(key) {
                Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
                None if optional => Ok(None),
                None => Err(ConfigError(format!(
                    "couldn't find key {key} in {kind} {namespace}/{name}"
                ))),
            },
        };
    }
    let path = text(source, "/fieldRef/fieldPath");
    field(pod, path, addresses).map(Some).ok_or_else(|| {
        ConfigError(format!(
            "the node cannot resolve {source} for an environment variable"
        ))
    })
}

/// A field of the pod, as the downward API names it.
pub(crate) fn field(pod: &Value, path: &str, addresses: &Addresses) -> Option<String> {
    let plain = |pointer: &str| Some(text(pod, pointer).to_owned());
    match path {
        "metadata.name" => plain("/metadata/name"),
        "metadata.namespace" => plain("/metadata/namespace"),
        "metadata.uid" => plain("/metadata/uid"),
        "metadata.labels" => Some(lines(&pod["metadata"]["labels"])),
        "metadata.annotations" => Some(lines(&pod["metadata"]["annotations"])),
        "spec.nodeName" => plain("/spec/nodeName"),
        "spec.serviceAccountName" => plain("/spec/serviceAccountName"),
        "status.podIP" | "status.podIPs" => Some(addresses.pod.clone()),
        "status.hostIP" | "status.hostIPs" => Some(addresses.host.clone()),
        path => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            let map = match map {
                "metadata.labels" => &pod["metadata"]["labels"],
                "metadata.annotations" => &pod["metadata"]["annotations"],
                _ => return None,
            };
            Some(map[key].as_str().unwrap_or_default().to_owned())
        }
    }
}

fn lines(map: &Value) -> String {
    let line = |(name, value): (&String, &Value)| format!("{name}={value}");
    map.as_object()
        .into_iter()
        .flatten()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Replaces `$(NAME)` by what is set; `$$` is a dollar, and unknown names stay as they are.
pub(crate) fn expand(value: &str, env: &[(String, String)]) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match env.iter().find(|(other, _)| other == name) {
                Some((_, value)) => out.push_str(value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// The host name of a pod.
pub(crate) fn hostname(pod: &Value) -> &str {
    let name = match text(pod, "/spec/hostname") {
        "" => object::name(pod),
        hostname => hostname,
    };
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_expanded() {
        let env = [("A".to_owned(), "1".to_owned())];
        assert_eq!(expand("x$(A)$$(A)$(B)$", &env), "x1$(A)$(B)$");
    }

    #[test]
    fn the_environment_is_taken_from_everywhere() {
        let store = Store::in_memory("test");
        store
            .create(
                &ResourceId::core("namespaces"),
                None,
                json!({"metadata": {"name": "shop"}}),
            )
            .unwrap();
        let config = json!({"metadata": {"name": "c"}, "data": {"GREETING": "hi"}});
        store
            .create(&resources::config_maps(), Some("shop"), config)
            .unwrap();
        let secret = json!({"metadata": {"name": "s"}, "data": {"password": "c2VjcmV0"}});
        store
            .create(&resources::secrets(), Some("shop"), secret)
            .unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "shop", "labels": {"app": "a"}}});
        let container = json!({
            "envFrom": [{"prefix": "C_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
                {"name": "URL", "value": "x:$(PW)@$(C_GREETING)"},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ]
        });
        let addresses = Addresses {
            pod: "10.0.0.2".into(),
            host: "10.0.0.1".into(),
        };
        let env = environment(&store, &pod, &container, &[], &addresses).unwrap();
        let get = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("URL"), Some("x:secret@hi"));
        assert_eq!(get("APP"), Some("a"));
        assert_eq!(get("IP"), Some("10.0.0.2"));

        let missing = json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "no"}}}]});
        let error = environment(&store, &pod, &missing, &[], &addresses).unwrap_err();
        assert_eq!(
            error.to_string(),
            "couldn't find key no in configmap shop/c"
        );
    }
}
