//! Addresses of pods, which controllers write.

use serde_json::Value;

use super::{LeaveOut, Listing};

pub(super) const ENDPOINTS: LeaveOut = LeaveOut {
    id: "endpoints-of-service",
    reason: |object, listing| {
        if !object.is("", "Endpoints") {
            return None;
        }
        // The label also tells when the Service was deleted between two lists.
        let managed = object.label("endpoints.kubernetes.io/managed-by").is_some();
        (managed || selects_pods(listing, object.name())).then(|| {
            format!(
                "the addresses are those of the pods that Service/{} selects",
                object.name()
            )
        })
    },
};

/// Slices always have a controller, or mirror an Endpoints; only those of a hand-made kind are kept.
pub(super) const SLICE: LeaveOut = LeaveOut {
    id: "endpoint-slice",
    reason: |object, listing| {
        if !object.is("discovery.k8s.io", "EndpointSlice") {
            return None;
        }
        let by = object
            .label("endpointslice.kubernetes.io/managed-by")
            .unwrap_or_default();
        let service = object
            .label("kubernetes.io/service-name")
            .unwrap_or_default();
        (by.ends_with(".k8s.io") || selects_pods(listing, service))
            .then(|| "a controller writes it from a Service or an Endpoints".to_owned())
    },
};

fn selects_pods(listing: &Listing<'_>, service: &str) -> bool {
    listing
        .get("", "Service", service)
        .and_then(|service| service.value().pointer("/spec/selector"))
        .and_then(Value::as_object)
        .is_some_and(|selector| !selector.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::select::testing::left_out;

    #[test]
    fn hand_made_endpoints_stay() {
        let found = left_out(vec![
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "legacy"}, "spec": {"ports": []}}),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}}),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "legacy"}}),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "gluster"}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "web-1", "labels":
                {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "own", "labels":
                {"endpointslice.kubernetes.io/managed-by": "me", "kubernetes.io/service-name": "legacy"}}}),
        ]);
        assert_eq!(
            found,
            [
                (
                    "Endpoints/web".to_owned(),
                    "endpoints-of-service".to_owned()
                ),
                (
                    "EndpointSlice.discovery.k8s.io/web-1".to_owned(),
                    "endpoint-slice".to_owned()
                )
            ]
        );
    }
}
