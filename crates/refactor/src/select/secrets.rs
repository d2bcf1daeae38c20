//! Secrets that controllers make for service accounts and services.

use openshifter_objects::Object;
use serde_json::Value;

use super::{LeaveOut, Listing};
use crate::rules::is_generated_secret_name;

pub(super) const DOCKERCFG: LeaveOut = LeaveOut {
    id: "generated-pull-secret",
    reason: |object, _| {
        if !object.is("", "Secret")
            || object.value().get("type").and_then(Value::as_str) != Some("kubernetes.io/dockercfg")
        {
            return None;
        }
        // OpenShift 4.16 and later, and earlier ones.
        let account = object
            .annotation("openshift.io/internal-registry-auth-token.service-account")
            .or_else(|| object.annotation("kubernetes.io/service-account.name"))?;
        Some(format!(
            "the cluster makes it so that ServiceAccount/{account} can pull from the cluster's own registry"
        ))
    },
};

pub(super) const TOKEN: LeaveOut = LeaveOut {
    id: "generated-token-secret",
    reason: |object, listing| {
        if !object.is("", "Secret")
            || object.value().get("type").and_then(Value::as_str)
                != Some("kubernetes.io/service-account-token")
        {
            return None;
        }
        let account = object.annotation("kubernetes.io/service-account.name")?;
        is_generated_token(object, account, listing)
            .then(|| format!("the cluster makes tokens of ServiceAccount/{account} by itself"))
    },
};

/// Clusters before 1.24 made a token secret for each service account; people make them too, and want them.
fn is_generated_token(secret: &Object, account: &str, listing: &Listing<'_>) -> bool {
    let by_hand = !secret.labels().is_empty()
        || secret
            .annotation("kubectl.kubernetes.io/last-applied-configuration")
            .is_some();
    let like_generated = match listing.get("", "ServiceAccount", account) {
        Some(account) => is_generated_secret_name(account, secret.name()),
        // A token without its account is about to be deleted.
        None => true,
    };
    !by_hand && like_generated
}

pub(super) const SERVING_CERTIFICATE: LeaveOut = LeaveOut {
    id: "serving-certificate",
    reason: |object, _| {
        let service = [
            "service.beta.openshift.io/originating-service-name",
            "service.alpha.openshift.io/originating-service-name",
        ]
        .iter()
        .find_map(|name| object.annotation(name))?;
        object.is("", "Secret").then(|| {
            format!("the cluster's own authority signed it for Service/{service}; the target's signs another")
        })
    },
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::select::testing::left_out;

    fn secret(name: &str, kind: &str, annotations: Value, labels: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "annotations": annotations, "labels": labels}, "type": kind})
    }

    #[test]
    fn generated_secrets_are_left_out_and_hand_made_ones_are_not() {
        let of = |name: &str| json!({"kubernetes.io/service-account.name": name});
        let token = "kubernetes.io/service-account-token";
        let found = left_out(vec![
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}),
            secret("runner-token-x9k2f", token, of("runner"), json!({})),
            secret("ci", token, of("runner"), json!({})),
            secret("runner-token-named", token, of("runner"), json!({})),
            secret("lost", token, of("nobody"), json!({})),
            secret(
                "runner-dockercfg-x9k2f",
                "kubernetes.io/dockercfg",
                of("runner"),
                json!({}),
            ),
            secret(
                "old-registry",
                "kubernetes.io/dockercfg",
                json!({}),
                json!({}),
            ),
            secret(
                "web-tls",
                "kubernetes.io/tls",
                json!({"service.beta.openshift.io/originating-service-name": "web"}),
                json!({}),
            ),
            secret("own-tls", "kubernetes.io/tls", json!({}), json!({})),
        ]);
        let rules: Vec<_> = found
            .iter()
            .map(|(key, rule)| format!("{key} {rule}"))
            .collect();
        insta::assert_snapshot!(rules.join("\n"), @r"
        Secret/runner-token-x9k2f generated-token-secret
        Secret/lost generated-token-secret
        Secret/runner-dockercfg-x9k2f generated-pull-secret
        Secret/web-tls serving-certificate
        ");
    }
}
