//! Routes to services.

use openshifter_cluster::DryRun;
use openshifter_objects::{GroupKind, Object};
use serde_json::{Value, json};
use std::time::Duration;

use crate::{DeployError, Project, Target, TargetKind};

/// How a service is exposed.
#[derive(Debug, Clone, Default)]
pub struct ExposeOptions {
    /// The route's name; the service's when none is given.
    pub name: Option<String>,
    /// Its host; the cluster's choice when none is given.
    pub hostname: Option<String>,
    /// Name or number of the service's port; its only or first one when none is given.
    pub port: Option<String>,
    /// Its path, as in `/static`.
    pub path: Option<String>,
    /// Whether the router takes TLS and speaks plainly to the service (edge termination).
    pub tls: bool,
}

pub(crate) fn route_kind() -> GroupKind {
    GroupKind::new("route.openshift.io", "Route")
}

impl Project {
    /// Makes a Route to a Service, with the labels of the service.
    ///
    /// # Errors
    /// When the service is not there or has no such port, a route of that name exists, or the cluster refuses or has no
    /// routes.
    pub async fn expose(
        &self,
        target: &Target,
        options: &ExposeOptions,
    ) -> Result<Object, DeployError> {
        let target = target
            .clone()
            .one_of(&[TargetKind::Service], "be exposed: a service can")?;
        let service = self.get(&target).await?;
        let route = route(&service, options)?;
        Ok(self
            .cluster
            .create(Some(&self.namespace), &route, DryRun::No)
            .await?)
    }

    /// Waits until a router has admitted a route; gives its address, as in `https://web.example.com/`.
    ///
    /// # Errors
    /// When it is gone, or no router admits it in time.
    pub async fn address(&self, route: &str, within: Duration) -> Result<String, DeployError> {
        let admitted = |route: &Object| {
            route.value()["status"]["ingress"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|ingress| ingress["conditions"].as_array().into_iter().flatten())
                .any(|condition| condition["type"] == "Admitted" && condition["status"] == "True")
        };
        let found = self
            .cluster
            .wait(
                &route_kind(),
                Some(&self.namespace),
                route,
                within,
                |route| route.is_none_or(admitted),
            )
            .await?
            .ok_or_else(|| self.not_found(&format!("Route/{route}")))?;
        Ok(address(&found))
    }
}

/// The address that a route is reached at.
pub(crate) fn address(route: &Object) -> String {
    let spec = &route.value()["spec"];
    let host = spec["host"].as_str().filter(|host| !host.is_empty());
    let host = host
        .or_else(|| route.value()["status"]["ingress"][0]["host"].as_str())
        .unwrap_or_default();
    let scheme = if spec["tls"].is_object() {
        "https"
    } else {
        "http"
    };
    let path = spec["path"].as_str().filter(|path| !path.is_empty());
    format!("{scheme}://{host}{}", path.unwrap_or("/"))
}

fn route(service: &Object, options: &ExposeOptions) -> Result<Object, DeployError> {
    let bad = |reason: String| DeployError::BadTarget {
        text: format!("Service/{}", service.name()),
        reason,
    };
    let ports = service.value()["spec"]["ports"].as_array();
    let ports = ports.map_or(&[][..], Vec::as_slice);
    let port = match &options.port {
        Some(asked) => ports
            .iter()
            .find(|port| {
                let number = asked.parse::<u64>().ok();
                let is = |field: &Value| {
                    field == asked.as_str() || number.is_some() && field.as_u64() == number
                };
                is(&port["name"]) || is(&port["port"]) || is(&port["targetPort"])
            })
            .ok_or_else(|| bad(format!("has no port {asked}")))?,
        None => ports
            .first()
            .ok_or_else(|| bad("has no ports".to_owned()))?,
    };
    // A route means ports of the service by their name, else by the number at the pods.
    let target = match &port["name"] {
        Value::String(name) if !name.is_empty() => json!(name),
        _ => match &port["targetPort"] {
            Value::Null => port["port"].clone(),
            target => target.clone(),
        },
    };
    let mut spec = json!({
        "to": {"kind": "Service", "name": service.name()},
        "port": {"targetPort": target},
    });
    if let Some(host) = &options.hostname {
        spec["host"] = json!(host);
    }
    if let Some(path) = &options.path {
        spec["path"] = json!(path);
    }
    if options.tls {
        spec["tls"] = json!({"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"});
    }
    let name = options.name.as_deref().unwrap_or(service.name());
    let object = json!({
        "apiVersion": "route.openshift.io/v1", "kind": "Route",
        "metadata": {"name": name, "labels": service.labels()},
        "spec": spec,
    });
    Object::from_value(object).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(ports: Value) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "labels": {"app": "shop"}},
            "spec": {"ports": ports}}))
        .unwrap()
    }

    #[test]
    fn a_route_names_a_port_as_routes_do() {
        let named = service(
            json!([{"name": "8080-tcp", "port": 8080, "targetPort": 8080}, {"name": "m", "port": 9}]),
        );
        let plain = service(json!([{"port": 80, "targetPort": 8080}]));
        let target = |service: &Object, port: Option<&str>| {
            let options = ExposeOptions {
                port: port.map(str::to_owned),
                ..ExposeOptions::default()
            };
            route(service, &options)
                .map(|route| route.value()["spec"]["port"]["targetPort"].clone())
        };
        assert_eq!(target(&named, None).unwrap(), "8080-tcp");
        assert_eq!(target(&named, Some("9")).unwrap(), "m");
        assert_eq!(target(&plain, None).unwrap(), 8080);
        assert_eq!(target(&plain, Some("80")).unwrap(), 8080);
        assert_eq!(
            target(&plain, Some("81")).unwrap_err().to_string(),
            "`Service/web` has no port 81"
        );
        assert!(target(&service(Value::Null), None).is_err());
    }

    #[test]
    fn an_address_has_its_scheme() {
        let options = ExposeOptions {
            hostname: Some("web.example.com".into()),
            tls: true,
            ..ExposeOptions::default()
        };
        let made = route(&service(json!([{"port": 80}])), &options).unwrap();
        assert_eq!(address(&made), "https://web.example.com/");
        assert_eq!(made.label("app"), Some("shop"));
    }
}
