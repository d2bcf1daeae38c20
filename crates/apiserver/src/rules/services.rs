//! Services: addresses and node ports.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::Context;
use super::values::default;
use crate::catalogue::{ResourceId, ResourceType};
use crate::error::{ApiError, Cause};
use crate::metadata;

const NODE_PORTS: std::ops::Range<u16> = 30_000..32_768;

fn is_service(kind: &ResourceType) -> bool {
    kind.id().is("", "services")
}

fn type_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

fn takes_node_ports(service: &Value) -> bool {
    matches!(type_of(service), "NodePort" | "LoadBalancer")
}

fn complete(service: &mut Value) {
    for (field, value) in [
        ("type", json!("ClusterIP")),
        ("sessionAffinity", json!("None")),
    ] {
        default(service, &format!("spec.{field}"), value);
    }
    for port in service["spec"]
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        default(port, "protocol", json!("TCP"));
        let same = port["port"].clone();
        default(port, "targetPort", same);
    }
    if service["spec"]["sessionAffinity"] == "ClientIP" {
        default(
            service,
            "spec.sessionAffinityConfig",
            json!({"clientIP": {"timeoutSeconds": 10800}}),
        );
    }
    if type_of(service) == "ExternalName" {
        return;
    }
    default(service, "spec.internalTrafficPolicy", json!("Cluster"));
    default(service, "spec.ipFamilies", json!(["IPv4"]));
    default(service, "spec.ipFamilyPolicy", json!("SingleStack"));
    if takes_node_ports(service) {
        default(service, "spec.externalTrafficPolicy", json!("Cluster"));
    }
    if type_of(service) == "LoadBalancer" {
        default(service, "spec.allocateLoadBalancerNodePorts", json!(true));
    }
}

pub(super) fn on_create(context: &Context<'_>, service: &mut Value) -> Result<(), ApiError> {
    complete(service);
    allocate(context, service)
}

/// An update that leaves the addresses out keeps them.
pub(super) fn carry(context: &Context<'_>, current: &Value, service: &mut Value) {
    if !is_service(context.kind) || type_of(service) == "ExternalName" {
        return;
    }
    if type_of(current) != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if service["spec"][field].is_null() && !current["spec"][field].is_null() {
                service["spec"][field] = current["spec"][field].clone();
            }
        }
    }
    if takes_node_ports(service) && takes_node_ports(current) {
        let before = current["spec"]["ports"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for port in service["spec"]
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if port["nodePort"].is_null()
                && let Some(old) = before.iter().find(|old| {
                    old["port"] == port["port"]
                        && old["protocol"] == *port.get("protocol").unwrap_or(&json!("TCP"))
                })
                && !old["nodePort"].is_null()
            {
                port["nodePort"] = old["nodePort"].clone();
            }
        }
    }
}

pub(super) fn on_update(
    context: &Context<'_>,
    current: &Value,
    service: &mut Value,
) -> Result<(), ApiError> {
    let (old, new) = (
        &current["spec"]["clusterIPs"],
        &service["spec"]["clusterIPs"],
    );
    let stays = type_of(current) != "ExternalName" && type_of(service) != "ExternalName";
    let old_ip = &current["spec"]["clusterIP"];
    let new_ip = &service["spec"]["clusterIP"];
    if stays && (old != new || old_ip != new_ip) && !old.is_null() {
        let shown = if old == new {
            json!([new_ip])
        } else {
            new.clone()
        };
        return context.invalid(
            service,
            &[Cause::invalid(
                "spec.clusterIPs[0]",
                &shown,
                "may not change once set",
            )],
        );
    }
    complete(service);
    allocate(context, service)
}

struct Network {
    first: u32,
    size: u32,
}

impl Network {
    fn of(context: &Context<'_>) -> Self {
        let (address, prefix) = context.settings.service_network;
        let size = 1_u32 << (32 - u32::from(prefix.clamp(8, 30)));
        Self {
            first: u32::from(address) & !(size - 1),
            size,
        }
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(self.first);
        offset > 0 && offset < self.size - 1
    }
}

fn others<'a>(context: &'a Context<'_>, service: &Value) -> Vec<&'a Value> {
    let namespace = metadata::namespace(service).unwrap_or_default().to_owned();
    let name = metadata::name(service).to_owned();
    context
        .state
        .list(&ResourceId::core("services"), None)
        .filter(move |((other_namespace, other), _)| {
            *other_namespace != namespace || *other != name
        })
        .map(|(_, other)| &**other)
        .collect()
}

fn allocate(context: &Context<'_>, service: &mut Value) -> Result<(), ApiError> {
    let kind = type_of(service).to_owned();
    if kind == "ExternalName" {
        if let Some(spec) = service["spec"].as_object_mut() {
            for field in ["clusterIP", "clusterIPs"] {
                spec.remove(field);
            }
        }
        return Ok(());
    }
    let spec = &service["spec"];
    let address = spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    let addresses = spec["clusterIPs"].clone();
    if address.is_empty() && addresses.as_array().is_some_and(|all| !all.is_empty()) {
        return context.invalid(
            service,
            &[Cause::invalid(
                "spec.clusterIPs",
                &addresses,
                "must be empty when `clusterIP` is not specified",
            )],
        );
    }
    let others = others(context, service);
    let used = |address: &str| {
        others
            .iter()
            .any(|other| other["spec"]["clusterIP"] == address)
    };
    let network = Network::of(context);
    let address = match address.as_str() {
        "" => {
            let mut offset = 1 + rand::random_range(0..network.size - 2);
            loop {
                let address = Ipv4Addr::from(network.first + offset).to_string();
                if !used(&address) {
                    break address;
                }
                offset = 1 + offset % (network.size - 2);
            }
        }
        "None" => "None".to_owned(),
        _ => {
            let why = match address.parse::<Ipv4Addr>() {
                Ok(ip) if !network.contains(ip) => {
                    Some("the provided network does not match the current range".to_owned())
                }
                Ok(_) if used(&address) => Some("provided IP is already allocated".to_owned()),
                Ok(_) => None,
                Err(_) => {
                    return context.invalid(
                        service,
                        &[Cause::invalid(
                            "spec.clusterIPs[0]",
                            &json!(address),
                            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                        )],
                    );
                }
            };
            if let Some(why) = why {
                let why = format!("failed to allocate IP {address}: {why}");
                return context.invalid(
                    service,
                    &[Cause::invalid("spec.clusterIPs", &json!([address]), why)],
                );
            }
            address
        }
    };
    let mut taken: Vec<i64> = others
        .iter()
        .flat_map(|other| other["spec"]["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["nodePort"].as_i64())
        .collect();
    let mut causes = Vec::new();
    let with_ports = takes_node_ports(service);
    for (index, port) in service["spec"]
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = format!("spec.ports[{index}].nodePort");
        match port["nodePort"].as_i64().filter(|port| *port != 0) {
            Some(_) if !with_ports && context.user.is_some() => {
                causes.push(Cause::forbidden(
                    field,
                    "may not be used when `type` is 'ClusterIP'",
                ));
            }
            Some(_) if !with_ports => {}
            Some(wanted) if taken.contains(&wanted) => {
                causes.push(Cause::invalid(
                    field,
                    &json!(wanted),
                    "provided port is already allocated",
                ));
            }
            Some(wanted) if !NODE_PORTS.contains(&u16::try_from(wanted).unwrap_or(0)) => {
                causes.push(Cause::invalid(
                    field,
                    &json!(wanted),
                    "provided port is not in the valid range. The range of valid ports is 30000-32767",
                ));
            }
            Some(wanted) => taken.push(wanted),
            None if with_ports => {
                let free = (0..NODE_PORTS.len())
                    .map(|_| i64::from(rand::random_range(NODE_PORTS)))
                    .find(|port| !taken.contains(port));
                if let Some(free) = free {
                    taken.push(free);
                    port["nodePort"] = json!(free);
                }
            }
            None => {}
        }
    }
    context.invalid(service, &causes)?;
    service["spec"]["clusterIP"] = json!(address);
    service["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

/// What is wrong with a service, apart from its addresses.
pub(super) fn problems(kind: &ResourceType, service: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !is_service(kind) {
        return causes;
    }
    let spec = &service["spec"];
    if type_of(service) == "ExternalName" {
        if spec["externalName"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required("spec.externalName", ""));
        }
        return causes;
    }
    let ports = spec["ports"].as_array().cloned().unwrap_or_default();
    if ports.is_empty() && spec["clusterIP"] != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let place = format!("spec.ports[{index}]");
        if ports.len() > 1 && port["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(format!("{place}.name"), ""));
        }
        if !port["port"]
            .as_i64()
            .is_some_and(|port| (1..=65_535).contains(&port))
        {
            causes.push(Cause::invalid(
                format!("{place}.port"),
                &port["port"],
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    causes
}
