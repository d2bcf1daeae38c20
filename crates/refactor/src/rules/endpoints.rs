//! Hand-made Endpoints.
//!
//! They lead out of the cluster, to addresses that the target may not reach; and the administrator of a
//! project may not create them (403).

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "hand-made-endpoints",
    reason: "it is a pod or node of the source's cluster",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !(draft.object().is("", "Endpoints")
        || draft.object().is("discovery.k8s.io", "EndpointSlice"))
    {
        return;
    }
    for pattern in [
        "/subsets/*/addresses/*/targetRef",
        "/subsets/*/addresses/*/nodeName",
        "/subsets/*/notReadyAddresses/*/targetRef",
        "/subsets/*/notReadyAddresses/*/nodeName",
        "/endpoints/*/targetRef",
        "/endpoints/*/nodeName",
    ] {
        for at in draft.places(pattern) {
            draft.remove(&at);
        }
    }
    draft.find(
        Severity::Warning,
        "its addresses are kept: check that the target reaches them; creating it takes more rights than a project's administrator has",
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn addresses_stay_and_pods_go() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "legacy"},
            "subsets": [{"addresses": [{"ip": "192.0.2.7", "nodeName": "n"}]}]}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["subsets"],
            json!([{"addresses": [{"ip": "192.0.2.7"}]}])
        );
        assert_eq!(findings(&done, "hand-made-endpoints").len(), 1);
    }
}
