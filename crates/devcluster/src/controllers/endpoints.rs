//! Endpoints and EndpointSlices: where the ready pods of a Service are.

use std::collections::BTreeMap;

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue};
use crate::object::{self, list, number, resources, text};

/// Makes them for each Service with a selector.
pub(super) struct Services;

/// Removes Endpoints whose Service is gone.
pub(super) struct Orphans;

const MANAGED: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");

impl Controller for Services {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn resource(&self) -> ResourceId {
        resources::services()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::pods() {
            return context
                .store
                .list(&self.resource(), Some(object::namespace(&event.object)))
                .iter()
                .filter(|service| object::has_labels(&event.object, &service["spec"]["selector"]))
                .map(queue::key)
                .collect();
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(service) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        let has_selector = service["spec"]["selector"]
            .as_object()
            .is_some_and(|s| !s.is_empty());
        if !has_selector
            || service["spec"]["type"] == "ExternalName"
            || object::is_deleting(&service)
        {
            return Ok(Next::Event);
        }
        let all = context.store.list(&resources::pods(), Some(namespace));
        let mut members: Vec<Member> = all
            .iter()
            .filter(|pod| object::has_labels(pod, &service["spec"]["selector"]))
            .filter(|pod| !object::is_finished(pod) && !text(pod, "/status/podIP").is_empty())
            .map(|pod| Member {
                pod,
                ready: object::is_ready(pod) && !object::is_deleting(pod),
                ports: ports(&service, pod),
            })
            .collect();
        members.sort_by_key(|member| text(member.pod, "/status/podIP").to_owned());
        write_endpoints(context, &service, &members)?;
        write_slice(context, &service, &members)?;
        Ok(Next::Event)
    }
}

impl Controller for Orphans {
    fn name(&self) -> &'static str {
        "endpoints-orphans"
    }

    fn resource(&self) -> ResourceId {
        resources::endpoints()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        match event.resource == resources::services() && queue::is_gone(event) {
            true => vec![queue::key(&event.object)],
            false => Vec::new(),
        }
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        if context
            .store
            .get(&resources::services(), Some(namespace), name)
            .is_none()
        {
            let deleted =
                context
                    .store
                    .delete(&self.resource(), Some(namespace), name, Default::default());
            pods::gone_is_fine(deleted)?;
        }
        Ok(Next::Event)
    }
}

struct Member<'a> {
    pod: &'a Value,
    ready: bool,
    ports: Vec<Value>,
}

/// The Service's ports as this pod has them.
fn ports(service: &Value, pod: &Value) -> Vec<Value> {
    list(service, "/spec/ports")
        .iter()
        .filter_map(|port| {
            let protocol = match text(port, "/protocol") {
                "" => "TCP",
                protocol => protocol,
            };
            let target = match (&port["targetPort"], port["targetPort"].as_str()) {
                (_, Some(name)) => list(pod, "/spec/containers")
                    .iter()
                    .flat_map(|container| list(container, "/ports"))
                    .find(|port| port["name"] == name)
                    .and_then(|port| number(port, "/containerPort"))
                    .or_else(|| name.parse().ok())?,
                (target, None) => target
                    .as_i64()
                    .filter(|t| *t != 0)
                    .or_else(|| number(port, "/port"))?,
            };
            let mut one = json!({ "port": target, "protocol": protocol });
            if !text(port, "/name").is_empty() {
                one["name"] = port["name"].clone();
            }
            Some(one)
        })
        .collect()
}

/// Ready addresses, others, and the ports of both.
type Subset = (Vec<Value>, Vec<Value>, Vec<Value>);

fn target_reference(pod: &Value) -> Value {
    json!({
        "kind": "Pod",
        "namespace": object::namespace(pod),
        "name": object::name(pod),
        "uid": object::uid(pod),
    })
}

fn labels(service: &Value, more: &[(&str, &str)]) -> Value {
    let mut labels = object::merged(&service["metadata"]["labels"], more);
    if service["spec"]["clusterIP"] == "None" {
        labels = object::merged(&labels, &[("service.kubernetes.io/headless", "")]);
    }
    labels
}

fn write_endpoints(
    context: &Context,
    service: &Value,
    members: &[Member<'_>],
) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(service);
    let publish_all = service["spec"]["publishNotReadyAddresses"] == true;
    // Pods may have the same port under different numbers: a subset for each way to reach them.
    let mut subsets: BTreeMap<String, Subset> = BTreeMap::new();
    for member in members {
        let key = json!(member.ports).to_string();
        let subset = subsets
            .entry(key)
            .or_insert_with(|| (Vec::new(), Vec::new(), member.ports.clone()));
        let mut address = json!({
            "ip": member.pod["status"]["podIP"],
            "nodeName": member.pod["spec"]["nodeName"],
            "targetRef": target_reference(member.pod),
        });
        if let Some(hostname) = hostname(service, member.pod) {
            address["hostname"] = json!(hostname);
        }
        match member.ready || publish_all {
            true => subset.0.push(address),
            false => subset.1.push(address),
        }
    }
    let subsets: Vec<Value> = subsets
        .into_values()
        .map(|(ready, not_ready, ports)| {
            let mut subset = json!({});
            for (field, value) in [
                ("addresses", ready),
                ("notReadyAddresses", not_ready),
                ("ports", ports),
            ] {
                if !value.is_empty() {
                    subset[field] = json!(value);
                }
            }
            subset
        })
        .collect();
    let labels = labels(service, &[MANAGED]);
    let resource = resources::endpoints();
    if context
        .store
        .get(&resource, Some(&namespace), &name)
        .is_none()
    {
        let mut endpoints = json!({"metadata": {"name": name, "labels": labels}});
        if !subsets.is_empty() {
            endpoints["subsets"] = json!(subsets);
        }
        context
            .store
            .create(&resource, Some(&namespace), endpoints)?;
        return Ok(());
    }
    context
        .store
        .update(&resource, Some(&namespace), &name, |endpoints| {
            endpoints["metadata"]["labels"] = labels.clone();
            match (subsets.is_empty(), endpoints.as_object_mut()) {
                (true, Some(map)) => drop(map.remove("subsets")),
                _ => endpoints["subsets"] = json!(subsets),
            }
        })?;
    Ok(())
}

/// The name by which a pod is known below a headless Service.
fn hostname<'a>(service: &Value, pod: &'a Value) -> Option<&'a str> {
    let named = text(pod, "/spec/subdomain") == object::name(service);
    Some(text(pod, "/spec/hostname")).filter(|hostname| named && !hostname.is_empty())
}

fn write_slice(context: &Context, service: &Value, members: &[Member<'_>]) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(service);
    let resource = resources::endpoint_slices();
    let endpoints: Vec<Value> = members
        .iter()
        .map(|member| {
            let terminating = object::is_deleting(member.pod);
            let mut endpoint = json!({
                "addresses": [member.pod["status"]["podIP"]],
                "conditions": {
                    "ready": member.ready,
                    "serving": object::is_ready(member.pod),
                    "terminating": terminating,
                },
                "targetRef": target_reference(member.pod),
                "nodeName": member.pod["spec"]["nodeName"],
            });
            if let Some(hostname) = hostname(service, member.pod) {
                endpoint["hostname"] = json!(hostname);
            }
            endpoint
        })
        .collect();
    // One slice is enough here; it carries the ports of the first pod, or the Service's own.
    let ports: Vec<Value> = match members.first() {
        Some(member) => member.ports.clone(),
        None => ports(service, &Value::Null),
    };
    let ports: Vec<Value> = ports
        .into_iter()
        .map(|mut port| {
            if port["name"].is_null() {
                port["name"] = json!("");
            }
            port
        })
        .collect();
    let labels = labels(
        service,
        &[
            (
                "endpointslice.kubernetes.io/managed-by",
                "endpointslice-controller.k8s.io",
            ),
            ("kubernetes.io/service-name", &name),
        ],
    );
    let existing = context
        .store
        .list(&resource, Some(&namespace))
        .into_iter()
        .find(|slice| object::is_controlled_by(slice, service));
    let Some(existing) = existing else {
        let slice = json!({
            "metadata": {
                "generateName": format!("{name}-"),
                "labels": labels,
                "ownerReferences": [object::owner_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        context.store.create(&resource, Some(&namespace), slice)?;
        return Ok(());
    };
    context.store.update(
        &resource,
        Some(&namespace),
        object::name(&existing),
        |slice| {
            slice["metadata"]["labels"] = labels.clone();
            slice["endpoints"] = json!(endpoints);
            slice["ports"] = json!(ports);
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_by_number_and_by_name() {
        let service = json!({"spec": {"ports": [
            {"port": 80, "targetPort": "web", "name": "http", "protocol": "TCP"},
            {"port": 443, "targetPort": 8443},
            {"port": 9000},
        ]}});
        let pod =
            json!({"spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}});
        assert_eq!(
            json!(ports(&service, &pod)),
            json!([
                {"name": "http", "port": 8080, "protocol": "TCP"},
                {"port": 8443, "protocol": "TCP"},
                {"port": 9000, "protocol": "TCP"},
            ])
        );
    }
}
