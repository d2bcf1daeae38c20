//! What a project holds: the application's objects, the definitions of its custom resources, the state of its claims.

use std::collections::{BTreeSet, HashSet};

use openshifter_cluster::Cluster;
use openshifter_objects::{
    GroupKind, Inventory, Object, ObjectKey, Selector, Unlisted, is_built_in_group,
};
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

/// What a project holds.
pub(crate) struct Project {
    /// The application's objects.
    pub(crate) application: Inventory,
    /// All pods.
    pub(crate) pods: Vec<Object>,
    /// What controllers made, which tells where images come from.
    made: Vec<Object>,
}

impl Project {
    /// Reads a project.
    pub(crate) async fn read(
        cluster: &Cluster,
        namespace: &str,
        selector: Option<&Selector>,
    ) -> Result<Self, MigrateError> {
        let listing = cluster.list_namespace(namespace, None).await?;
        let of_kinds = |kinds: &[&str]| {
            let listed = listing.objects.iter();
            listed
                .filter(|object| kinds.contains(&object.kind()))
                .cloned()
                .collect()
        };
        let pods = of_kinds(&["Pod"]);
        let made = of_kinds(&["Build", "ReplicaSet", "ReplicationController"]);
        Ok(Self {
            application: openshifter_refactor::select(listing.objects, listing.unlisted, selector),
            pods,
            made,
        })
    }

    /// Everything that tells which images the application uses and where they come from.
    pub(crate) fn with_images(&self) -> Vec<Object> {
        let mut objects = self.application.objects.clone();
        // What nobody made is the application's own, or no part of it.
        let is_made = |object: &&Object| {
            object.kind() == "Build" || object.owners().iter().any(|owner| owner.controller)
        };
        let known: HashSet<ObjectKey> = objects.iter().map(Object::key).collect();
        let more: Vec<Object> = self
            .pods
            .iter()
            .chain(&self.made)
            .filter(is_made)
            .filter(|made| !known.contains(&made.key()))
            .cloned()
            .collect();
        objects.extend(more);
        objects
    }
}

/// The application's objects, and all pods of the namespace.
pub(crate) async fn inventory(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&Selector>,
) -> Result<(Inventory, Vec<Object>), MigrateError> {
    let project = Project::read(cluster, namespace, selector).await?;
    Ok((project.application, project.pods))
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
