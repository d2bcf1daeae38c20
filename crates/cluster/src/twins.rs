//! Kinds that a listing of a namespace leaves out: views of other objects, records, and second names of the same objects.

use openshifter_objects::{GroupKind, ResourceType};

use crate::Discovery;

/// Kinds whose "objects" are records of what happened or views of other objects. Nobody can create them anew in a
/// meaningful way, so a listing of a namespace does not ask for them.
const VIEWS: [(&str, &str); 6] = [
    // Records, kept for an hour; served by two groups.
    ("", "Event"),
    ("events.k8s.io", "Event"),
    // Rows of an ImageStream: servers take a copy of one with 201 and keep nothing.
    ("image.openshift.io", "ImageStreamTag"),
    ("image.openshift.io", "ImageTag"),
    // Measurements.
    ("metrics.k8s.io", "PodMetrics"),
    // A global catalogue, shown again in every namespace.
    ("packages.operators.coreos.com", "PackageManifest"),
];

/// Groups that serve the same objects under two names: the one to ask, then the one to leave out where both are served.
const SAME: [(&str, &str); 4] = [
    ("rbac.authorization.k8s.io", "authorization.openshift.io"),
    ("apps", "extensions"),
    ("networking.k8s.io", "extensions"),
    ("policy", "extensions"),
];

/// The types whose objects make up a namespace: namespaced, listable, no views, each object under one name.
pub(crate) fn listable(discovery: &Discovery) -> Vec<ResourceType> {
    discovery
        .all()
        .iter()
        .filter(|one| one.namespaced && one.can("list"))
        .filter(|one| !VIEWS.contains(&(one.group.as_str(), one.kind.as_str())))
        .filter(|one| !has_better_twin(one, discovery))
        .cloned()
        .collect()
}

fn has_better_twin(resource: &ResourceType, discovery: &Discovery) -> bool {
    SAME.iter()
        .filter(|(_, worse)| *worse == resource.group)
        .any(|(better, _)| {
            discovery
                .find(&GroupKind::new(*better, &resource.kind))
                .is_some_and(|twin| twin.can("list"))
        })
}
