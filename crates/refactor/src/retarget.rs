//! Points values at a target: the places where a namespace is only a part of a text, which no template
//! expression can replace.

use openshifter_objects::InternalImage;
use serde_json::Value;

use crate::report::Change;

const RULE: &str = "retarget";

/// Rewrites the values of a chart for a namespace, and says what it rewrote.
///
/// Images in the registry built into an OpenShift cluster name a namespace: those that name `from` are
/// made to name `to`, and the registry becomes `registry` where one is given (as
/// `image-registry.openshift-image-registry.svc:5000`). Groups of service accounts
/// (`system:serviceaccounts:<from>`) are made to be of `to`. Pointers of the changes are into the values.
///
/// ```
/// use openshifter_refactor::retarget;
/// let mut values = serde_json::json!({"images": {"Deployment": {"web": {"web": "172.30.1.1:5000/app/application:1"}}}});
/// retarget(&mut values, "app", "prod", Some("image-registry.openshift-image-registry.svc:5000"));
/// assert_eq!(
///     values["images"]["Deployment"]["web"]["web"],
///     "image-registry.openshift-image-registry.svc:5000/prod/application:1"
/// );
/// ```
pub fn retarget(values: &mut Value, from: &str, to: &str, registry: Option<&str>) -> Vec<Change> {
    let mut changes = Vec::new();
    let image = |text: &str| retarget_image(text, from, to, registry);
    let group = |text: &str| {
        (text.strip_prefix(SERVICE_ACCOUNTS) == Some(from))
            .then(|| format!("{SERVICE_ACCOUNTS}{to}"))
    };
    if let Some(images) = values.get_mut("images") {
        rewrite(
            images,
            &mut "/images".to_owned(),
            &image,
            "the image is in a registry of the source's cluster",
            &mut changes,
        );
    }
    if let Some(groups) = values.get_mut("groups") {
        rewrite(
            groups,
            &mut "/groups".to_owned(),
            &group,
            "the group is of the source's namespace",
            &mut changes,
        );
    }
    changes
}

/// An image in the registry built into an OpenShift cluster as [`retarget`] makes it; `None` for any other.
pub fn retarget_image(text: &str, from: &str, to: &str, registry: Option<&str>) -> Option<String> {
    let mut image = InternalImage::parse(text)?;
    if image.namespace == from {
        to.clone_into(&mut image.namespace);
    }
    if let Some(registry) = registry {
        registry.clone_into(&mut image.registry);
    }
    Some(image.to_string())
}

/// Start of the group that holds the service accounts of a namespace.
pub(crate) const SERVICE_ACCOUNTS: &str = "system:serviceaccounts:";

fn rewrite(
    value: &mut Value,
    at: &mut String,
    rewritten: &dyn Fn(&str) -> Option<String>,
    reason: &str,
    changes: &mut Vec<Change>,
) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let length = at.len();
                at.push('/');
                at.push_str(&openshifter_objects::escape(key));
                rewrite(inner, at, rewritten, reason, changes);
                at.truncate(length);
            }
        }
        Value::String(text) => {
            if let Some(after) = rewritten(text).filter(|after| after != text) {
                changes.push(Change {
                    rule: RULE.to_owned(),
                    pointer: at.clone(),
                    reason: reason.to_owned(),
                    before: Some(text.as_str().into()),
                    after: Some(after.as_str().into()),
                });
                *text = after;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_namespaces_are_rewritten() {
        let mut values = json!({
            "images": {"Deployment": {"app": {
                "application": "172.30.1.1:5000/app/application@sha256:00",
                "other": "172.30.1.1:5000/application/app:app",
                "public": "registry.example.org/app/app:1"}}},
            "groups": {"pullers": {"system:serviceaccounts:app": "system:serviceaccounts:app",
                "system:serviceaccounts:application": "system:serviceaccounts:application"}},
            "secrets": {"app": {"data": {"app": "app"}}}});
        let changes = retarget(&mut values, "app", "target", None);
        insta::assert_json_snapshot!(values["images"]["Deployment"]["app"], @r#"
        {
          "application": "172.30.1.1:5000/target/application@sha256:00",
          "other": "172.30.1.1:5000/application/app:app",
          "public": "registry.example.org/app/app:1"
        }
        "#);
        assert_eq!(
            values["groups"]["pullers"]["system:serviceaccounts:app"],
            "system:serviceaccounts:target"
        );
        assert_eq!(
            values["groups"]["pullers"]["system:serviceaccounts:application"],
            "system:serviceaccounts:application"
        );
        assert_eq!(values["secrets"], json!({"app": {"data": {"app": "app"}}}));
        assert_eq!(changes.len(), 2);
        assert!(retarget(&mut values, "app", "target", None).is_empty());
    }
}
