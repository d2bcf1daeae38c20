//! What refactoring starts from, besides the objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Where the objects come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Their namespace.
    pub namespace: String,
    /// Whether the cluster is an OpenShift.
    pub openshift: bool,
}

/// What a person chose. The default changes nothing that a target could take as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Choices {
    /// Hosts of Routes, by the Route's name.
    pub route_hosts: BTreeMap<String, String>,
    /// Hosts of Ingresses, by the host at the source.
    pub ingress_hosts: BTreeMap<String, String>,
    /// Storage classes, from the source's to the target's; `*` stands for every other class, and for none
    /// named. An empty target means the target's default class.
    pub storage_classes: BTreeMap<String, String>,
    /// Whether Jobs that finished at the source run again at the target.
    pub rerun_finished_jobs: bool,
    /// BuildConfigs whose image is copied, left where it is, or has another in its place: they must not build one more as
    /// soon as they are there.
    pub copied_builds: BTreeSet<String>,
}

impl Choices {
    /// The class chosen for claims of `class`; `None` where nothing was chosen.
    pub(crate) fn storage_class(&self, class: Option<&str>) -> Option<&str> {
        class
            .and_then(|class| self.storage_classes.get(class))
            .or_else(|| self.storage_classes.get("*"))
            .map(String::as_str)
    }
}
