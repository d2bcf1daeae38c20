//! Names of kinds and of objects, as they are written in messages and reports.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An API group and a kind, without the version: what stays the same when a cluster is upgraded.
///
/// The core group is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind, as in `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// Names a kind of a group.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// Whether this is `kind` of `group`.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for GroupKind {
    /// Writes `Deployment.apps`, and `Service` for the core group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// Whether an API group is one that Kubernetes or OpenShift serves itself; other groups are of custom
/// resources. `*.k8s.io` alone does not tell: add-ons as the Gateway API use it too.
pub fn is_built_in_group(group: &str) -> bool {
    const BUILT_IN: &[&str] = &[
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "apps.openshift.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "authorization.openshift.io",
        "autoscaling",
        "batch",
        "build.openshift.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "image.openshift.io",
        "network.openshift.io",
        "networking.k8s.io",
        "node.k8s.io",
        "oauth.openshift.io",
        "policy",
        "project.openshift.io",
        "quota.openshift.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "route.openshift.io",
        "scheduling.k8s.io",
        "security.openshift.io",
        "settings.k8s.io",
        "storage.k8s.io",
        "template.openshift.io",
        "user.openshift.io",
    ];
    BUILT_IN.contains(&group)
}

/// What names an object within one namespace, or within a cluster for a cluster-scoped kind.
///
/// The namespace is not part of it: an application keeps its keys when it moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Group and kind.
    #[serde(flatten)]
    pub kind: GroupKind,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectKey {
    /// Names an object.
    pub fn new(group: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: GroupKind::new(group, kind),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    /// Writes `Deployment.apps/web`, and `Service/web` for the core group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
