//! ControllerRevisions: the templates that a StatefulSet or DaemonSet has had.

use openshifter_apiserver::ApiError;
use serde_json::{Value, json};

use super::{Context, queue};
use crate::object::{self, number, resources};

/// The revision of an owner's present template, made if there is none; its hash.
pub(super) fn current(context: &Context, owner: &Value) -> Result<String, ApiError> {
    let (namespace, name) = queue::key(owner);
    let mut template = owner["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    let data = json!({"spec": {"template": template}});
    let hash = object::hash(&data);
    let resource = resources::controller_revisions();
    let revision_name = format!("{name}-{hash}");
    if context
        .store
        .get(&resource, Some(&namespace), &revision_name)
        .is_none()
    {
        let owned = context.store.list(&resource, Some(&namespace));
        let highest = owned
            .iter()
            .filter(|revision| object::is_controlled_by(revision, owner))
            .filter_map(|revision| number(revision, "/revision"))
            .max();
        let labels = object::merged(
            &owner["spec"]["template"]["metadata"]["labels"],
            &[("controller.kubernetes.io/hash", &hash)],
        );
        let revision = json!({
            "metadata": {
                "name": revision_name,
                "labels": labels,
                "ownerReferences": [object::owner_reference(owner)],
            },
            "data": data,
            "revision": highest.unwrap_or(0) + 1,
        });
        context
            .store
            .create(&resource, Some(&namespace), revision)?;
    }
    Ok(hash)
}
