//! Which pod a request is for: host and path to Route, Route to Service, Service to ready pods.

use openshifter_apiserver::Store;
use serde_json::Value;

use crate::object::{self, list, number, resources, text};

/// A port of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) port: u16,
    /// It speaks TLS, with a certificate for this name.
    pub(crate) tls_name: Option<String>,
}

/// Pods that may answer, in the order of their names; empty if no Route is meant or none is ready.
pub(crate) fn find(store: &Store, host: &str, path: &str) -> Vec<Backend> {
    let routes = store.list(&resources::routes(), None);
    best(&routes, host, path)
        .map(|route| backends(store, route))
        .unwrap_or_default()
}

/// The admitted Route of the host with the longest path.
fn best<'a>(routes: &'a [Value], host: &str, path: &str) -> Option<&'a Value> {
    let host = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    routes
        .iter()
        .filter(|route| is_admitted(route) && text(route, "/spec/host").eq_ignore_ascii_case(host))
        .filter(|route| covers(text(route, "/spec/path"), path))
        .max_by_key(|route| text(route, "/spec/path").len())
}

fn is_admitted(route: &Value) -> bool {
    list(route, "/status/ingress").iter().any(|ingress| {
        list(ingress, "/conditions")
            .iter()
            .any(|c| c["type"] == "Admitted" && c["status"] == "True")
    })
}

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with(['/', '?']),
        None => false,
    }
}

fn backends(store: &Store, route: &Value) -> Vec<Backend> {
    let namespace = object::namespace(route);
    let name = text(route, "/spec/to/name");
    let Some(service) = store.get(&resources::services(), Some(namespace), name) else {
        return Vec::new();
    };
    let wanted = wanted_port(&service, &route["spec"]["port"]["targetPort"]);
    let mut found = ready(store, &service, &wanted);
    if text(route, "/spec/tls/termination") == "reencrypt" {
        for backend in &mut found {
            backend.tls_name = Some(format!("{name}.{namespace}.svc"));
        }
    }
    found
}

/// Pods that may answer at a port of a Service.
pub(crate) fn service_backends(store: &Store, service: &Value, port: u16) -> Vec<Backend> {
    let port = list(service, "/spec/ports")
        .iter()
        .find(|one| number(one, "/port") == Some(i64::from(port)));
    let wanted = match port.map(|port| text(port, "/name")) {
        None => return Vec::new(),
        Some("") => Wanted::Any,
        Some(name) => Wanted::Named(name.to_owned()),
    };
    ready(store, service, &wanted)
}

fn ready(store: &Store, service: &Value, wanted: &Wanted) -> Vec<Backend> {
    let (namespace, name) = (object::namespace(service), object::name(service));
    let Some(endpoints) = store.get(&resources::endpoints(), Some(namespace), name) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for subset in list(&endpoints, "/subsets") {
        let port = list(subset, "/ports").iter().find(|port| match wanted {
            Wanted::Any => true,
            Wanted::Named(name) => text(port, "/name") == name,
            Wanted::Number(number) => port["port"] == *number,
        });
        let port = port
            .and_then(|port| number(port, "/port"))
            .and_then(|port| u16::try_from(port).ok());
        let Some(port) = port else { continue };
        for address in list(subset, "/addresses") {
            if text(address, "/targetRef/kind") == "Pod" {
                found.push(Backend {
                    namespace: namespace.to_owned(),
                    pod: text(address, "/targetRef/name").to_owned(),
                    port,
                    tls_name: None,
                });
            }
        }
    }
    found.sort_by(|a, b| a.pod.cmp(&b.pod));
    found
}

enum Wanted {
    Any,
    Named(String),
    Number(i64),
}

/// Which of the endpoints' ports a Route's `targetPort` means.
fn wanted_port(service: &Value, target: &Value) -> Wanted {
    match (target.as_str(), target.as_i64()) {
        (Some(name), _) => Wanted::Named(name.to_owned()),
        (None, Some(number)) => Wanted::Number(number),
        // None: the Service's first one.
        (None, None) => match list(service, "/spec/ports").first() {
            Some(port) if !text(port, "/name").is_empty() => {
                Wanted::Named(text(port, "/name").to_owned())
            }
            _ => Wanted::Any,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(name: &str, host: &str, path: &str, admitted: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"host": host, "path": path},
            "status": {"ingress": [{"conditions": [{"type": "Admitted", "status": admitted}]}]},
        })
    }

    #[test]
    fn the_longest_path_of_an_admitted_route_wins() {
        let routes = [
            route("all", "a.test", "", "True"),
            route("api", "a.test", "/api", "True"),
            route("refused", "b.test", "", "False"),
        ];
        let find = |host, path| best(&routes, host, path).map(|r| object::name(r).to_owned());
        assert_eq!(find("a.test", "/x").as_deref(), Some("all"));
        assert_eq!(find("A.TEST:8080", "/api/x").as_deref(), Some("api"));
        assert_eq!(find("a.test", "/apix").as_deref(), Some("all"));
        assert_eq!(find("b.test", "/"), None);
        assert_eq!(find("c.test", "/"), None);
    }
}
