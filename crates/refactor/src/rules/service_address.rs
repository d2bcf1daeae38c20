//! Addresses of Services.
//!
//! A copied `clusterIP` is refused with 422 (in use, or out of the target's range), and so is a
//! `clusterIPs` without it: both go. `None` (headless) is no address but a choice and stays, and an
//! ExternalName has none. Which address families there are is the cluster's network's matter.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "service-address",
    reason: "the source's cluster allotted it; the target allots its own",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("", "Service") {
        return;
    }
    let headless = draft.text("/spec/clusterIP") == Some("None")
        || draft.get("/spec/clusterIPs/0").and_then(Value::as_str) == Some("None");
    if !headless {
        draft.remove("/spec/clusterIP");
        draft.remove("/spec/clusterIPs");
    }
    draft.remove("/spec/healthCheckNodePort");
    // OpenShift 3 allots `externalIPs` to Services of the type LoadBalancer.
    for field in ["ipFamilies", "ipFamilyPolicy", "externalIPs"] {
        let asked = draft.asked_for(
            |applied| applied.pointer(&format!("/spec/{field}")).is_some(),
            |managed| managed.pointer(&format!("/f:spec/f:{field}")).is_some(),
        );
        if !asked {
            draft.remove(&format!("/spec/{field}"));
        }
    }
    for field in ["externalIPs", "loadBalancerIP"] {
        if draft.get(&format!("/spec/{field}")).is_some() {
            draft.find(
                Severity::Warning,
                format!("it asks for an address of the source's network (`spec.{field}`)"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::rules::testing::{findings, one, refactored};

    fn service(spec: Value) -> Value {
        one(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "uid": "1"}, "spec": spec}))["spec"].take()
    }

    #[test]
    fn addresses_go_together() {
        let done = service(
            json!({"clusterIP": "172.30.4.7", "clusterIPs": ["172.30.4.7"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "healthCheckNodePort": 31000, "type": "LoadBalancer"}),
        );
        assert_eq!(done, json!({"type": "LoadBalancer"}));
    }

    #[test]
    fn headless_stays_headless() {
        let spec = json!({"clusterIP": "None", "clusterIPs": ["None"]});
        assert_eq!(service(spec.clone()), spec);
    }

    #[test]
    fn addresses_that_a_person_chose_are_told() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "uid": "1"},
            "spec": {"externalIPs": ["172.29.1.1"], "loadBalancerIP": "192.0.2.1"}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["spec"],
            json!({"loadBalancerIP": "192.0.2.1"})
        );
        assert_eq!(findings(&done, "service-address").len(), 1);
    }

    #[test]
    fn families_that_a_person_chose_stay() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "uid": "1", "managedFields": [
            {"manager": "helm", "fieldsV1": {"f:spec": {"f:ipFamilyPolicy": {}}}}]},
            "spec": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}}),
        );
        assert_eq!(done["spec"], json!({"ipFamilyPolicy": "RequireDualStack"}));
    }
}
