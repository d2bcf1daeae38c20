//! What a project holds: the application's objects, the definitions of its custom resources, the state of its claims.

use std::collections::BTreeSet;

use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Inventory, Object, Selector, Unlisted, is_built_in_group};
use openshifter_refactor::{Choices, Source};

use crate::{MigrateError, Side};

/// One end of a run, for its report.
pub(crate) fn side(cluster: &Cluster, namespace: &str) -> Side {
    Side {
        cluster: cluster.name().to_owned(),
        base: cluster.base().to_string(),
        namespace: namespace.to_owned(),
    }
}

/// The application's objects, and all pods of the namespace.
pub(crate) async fn inventory(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&Selector>,
) -> Result<(Inventory, Vec<Object>), MigrateError> {
    let listing = cluster.list_namespace(namespace, None).await?;
    let pods = listing
        .objects
        .iter()
        .filter(|object| object.is("", "Pod"))
        .cloned()
        .collect();
    Ok((
        openshifter_refactor::select(listing.objects, listing.unlisted, selector),
        pods,
    ))
}

/// The definitions of the application's custom resources. What may not be read is said.
pub(crate) async fn definitions(
    cluster: &Cluster,
    namespace: &str,
    objects: &[Object],
) -> (Vec<Object>, Vec<Unlisted>) {
    let definition = GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition");
    let Ok(discovery) = cluster.discovery().await else {
        return (Vec::new(), Vec::new());
    };
    let mut names = BTreeSet::new();
    for object in objects {
        if let Some(resource) = discovery.find(&object.group_kind())
            && !is_built_in_group(&resource.group)
        {
            names.insert(format!("{}.{}", resource.plural, resource.group));
        }
    }
    let (mut found, mut trouble) = (Vec::new(), Vec::new());
    for name in names {
        match cluster.get(&definition, None, &name).await {
            Ok(Some(crd)) => found.push(crd),
            // An aggregated API server serves it, not a definition.
            Ok(None) => {}
            Err(error) => trouble.push(Unlisted {
                resource: format!("customresourcedefinition {name}"),
                reason: error.to_string(),
                forbidden: error.is_forbidden(),
            }),
        }
    }
    // What the server set is not installed elsewhere.
    let source = Source {
        namespace: namespace.to_owned(),
        openshift: false,
    };
    let refactored = openshifter_refactor::refactor(&found, &source, &Choices::default());
    (
        refactored
            .objects
            .into_iter()
            .map(|entry| entry.object)
            .collect(),
        trouble,
    )
}

/// Whether a claim has data that can be moved.
pub(crate) enum ClaimState {
    Bound,
    Unbound,
    Trouble(String),
}

pub(crate) fn claim_state(claim: &Object) -> ClaimState {
    let value = claim.value();
    if value["spec"]["volumeMode"] == "Block" {
        return ClaimState::Trouble(
            "it is a block device; only file systems can be moved yet: leave it out with --skip-volume"
                .to_owned(),
        );
    }
    match value["status"]["phase"].as_str() {
        Some("Bound") => ClaimState::Bound,
        Some("Lost") => ClaimState::Trouble(
            "its persistent volume is lost: leave it out with --skip-volume".to_owned(),
        ),
        _ => ClaimState::Unbound,
    }
}
