//! Objects that a cluster serves a second time under another group or version.

use openshifter_objects::Object;

use super::{LeaveOut, Listing};

pub(super) const RULE: LeaveOut = LeaveOut {
    id: "twin",
    reason: |object, listing| {
        let twin = twin(object, listing)?;
        Some(format!(
            "it is the same as {} ({})",
            twin.key(),
            twin.api_version()
        ))
    },
};

fn twin<'a>(object: &Object, listing: &Listing<'a>) -> Option<&'a Object> {
    // A tag is part of its image stream, which the target fills by pushes and imports.
    if object.group() == "image.openshift.io"
        && matches!(object.kind(), "ImageStreamTag" | "ImageTag")
    {
        let stream = object.name().split(':').next().unwrap_or_default();
        return listing.get("image.openshift.io", "ImageStream", stream);
    }
    let forms = listing.forms.get(&(object.kind(), object.name()))?;
    forms.iter().copied().find(|other| {
        other.namespace() == object.namespace()
            && (other.uid().is_none() || object.uid().is_none() || other.uid() == object.uid())
            && better(other, object)
    })
}

/// Whether `other` is the one to take of two forms of an object.
fn better(other: &Object, object: &Object) -> bool {
    if other.group() == object.group() {
        return version_rank(other.version()) > version_rank(object.version());
    }
    let replaced_by: &[&str] = match object.group() {
        "extensions" => &["apps", "networking.k8s.io", "policy", "autoscaling"],
        "authorization.openshift.io" => &["rbac.authorization.k8s.io"],
        _ => &[],
    };
    replaced_by.contains(&other.group())
}

/// Kubernetes' own order of versions: `v2` over `v1` over `v1beta1` over `v1alpha1`.
fn version_rank(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    let number = |text: &str| text.parse().unwrap_or(0);
    if let Some((major, minor)) = rest.split_once("beta") {
        (2, number(major), number(minor))
    } else if let Some((major, minor)) = rest.split_once("alpha") {
        (1, number(major), number(minor))
    } else {
        (3, number(rest), 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::select::testing::left_out;

    fn object(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
    }

    #[test]
    fn the_better_form_is_taken() {
        let found = left_out(vec![
            object("authorization.openshift.io/v1", "RoleBinding", "both"),
            object("rbac.authorization.k8s.io/v1", "RoleBinding", "both"),
            object("authorization.openshift.io/v1", "RoleBinding", "only"),
            object("autoscaling/v1", "HorizontalPodAutoscaler", "web"),
            object("autoscaling/v2", "HorizontalPodAutoscaler", "web"),
            object("autoscaling/v2beta2", "HorizontalPodAutoscaler", "web"),
            object("extensions/v1beta1", "Ingress", "web"),
            object("networking.k8s.io/v1", "Ingress", "web"),
            object("image.openshift.io/v1", "ImageStream", "tools"),
            object("image.openshift.io/v1", "ImageStreamTag", "tools:1"),
            object("serving.knative.dev/v1", "Service", "web"),
            object("v1", "Service", "web"),
        ]);
        let rules: Vec<_> = found
            .iter()
            .map(|(key, rule)| format!("{key} {rule}"))
            .collect();
        insta::assert_snapshot!(rules.join("\n"), @r"
        RoleBinding.authorization.openshift.io/both twin
        HorizontalPodAutoscaler.autoscaling/web twin
        HorizontalPodAutoscaler.autoscaling/web twin
        Ingress.extensions/web twin
        ImageStreamTag.image.openshift.io/tools:1 twin
        ");
    }
}
