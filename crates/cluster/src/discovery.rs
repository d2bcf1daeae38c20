//! What a server serves: two requests where it aggregates discovery (Kubernetes 1.26 on), one per group version before.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use http::header;
use openshifter_objects::{GroupKind, ResourceType};
use serde::Deserialize;
use serde_json::Value;

use crate::ClusterError;
use crate::call::{Call, Link};

/// Aggregated discovery in the versions that servers had, plain JSON otherwise.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Plain discovery: group versions read at once.
const PARALLEL: usize = 24;

/// What a cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    preferred: Vec<ResourceType>,
    by_kind: HashMap<GroupKind, usize>,
    /// All versions; those of a group in the server's order of preference.
    every: Vec<ResourceType>,
    /// Group, version and plural of resources with a `scale` subresource.
    scalable: Vec<(String, String, String)>,
    failed: Vec<String>,
}

impl Discovery {
    /// Every kind once, in the version that the server prefers.
    pub fn all(&self) -> &[ResourceType] {
        &self.preferred
    }

    /// A kind, in the version that the server prefers.
    pub fn find(&self, kind: &GroupKind) -> Option<&ResourceType> {
        self.by_kind
            .get(kind)
            .and_then(|index| self.preferred.get(*index))
    }

    /// A kind in one version, preferred or not.
    pub fn find_version(&self, kind: &GroupKind, version: &str) -> Option<&ResourceType> {
        self.every
            .iter()
            .filter(|one| {
                one.group == kind.group && one.kind == kind.kind && one.version == version
            })
            .max_by_key(|one| one.verbs.len())
    }

    /// Versions (`apiVersion`) that serve a kind, the preferred first.
    pub fn versions(&self, kind: &GroupKind) -> Vec<String> {
        let mut versions = Vec::new();
        for one in &self.every {
            if one.group == kind.group && one.kind == kind.kind {
                let version = one.api_version();
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
        }
        versions
    }

    /// Whether objects of this type have a `scale` subresource.
    pub fn has_scale(&self, resource: &ResourceType) -> bool {
        self.scalable.iter().any(|(group, version, plural)| {
            *group == resource.group && *version == resource.version && *plural == resource.plural
        })
    }

    /// Group versions whose server did not answer, as `metrics.k8s.io/v1beta1`: what they serve is not known.
    pub fn failed_groups(&self) -> &[String] {
        &self.failed
    }

    fn add(&mut self, resource: ResourceType, scale: bool) {
        if scale {
            self.scalable.push((
                resource.group.clone(),
                resource.version.clone(),
                resource.plural.clone(),
            ));
        }
        self.every.push(resource);
    }

    /// Chooses the preferred version of each kind. Versions were added in the order of preference, and not every
    /// version of a group has every kind: Kubernetes 1.20 prefers `batch/v1` but has CronJob in `v1beta1` only.
    fn choose(mut self) -> Self {
        for candidate in &self.every {
            match self.by_kind.get(&candidate.group_kind()) {
                None => {
                    self.by_kind
                        .insert(candidate.group_kind(), self.preferred.len());
                    self.preferred.push(candidate.clone());
                }
                // Two resources of one kind and version: the one that can do more is the real one.
                Some(&index) => {
                    let chosen = &mut self.preferred[index];
                    if chosen.version == candidate.version
                        && chosen.verbs.len() < candidate.verbs.len()
                    {
                        *chosen = candidate.clone();
                    }
                }
            }
        }
        self
    }
}

#[derive(Debug, Deserialize)]
struct Aggregated {
    #[serde(default)]
    items: Vec<AggregatedGroup>,
}

#[derive(Debug, Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    #[serde(default)]
    freshness: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    subresources: Vec<AggregatedSubresource>,
}

#[derive(Debug, Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct AggregatedSubresource {
    subresource: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersions {
    #[serde(default)]
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Debug, Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Debug, Deserialize)]
struct PlainList {
    #[serde(default)]
    resources: Vec<PlainResource>,
}

#[derive(Debug, Deserialize)]
struct PlainResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

/// Asks a server what it serves.
pub(crate) async fn read(link: &Link) -> Result<Discovery, ClusterError> {
    let action = "discover what is served";
    let core = Call::get("/api", action).header(header::ACCEPT, ACCEPT);
    let groups = Call::get("/apis", action).header(header::ACCEPT, ACCEPT);
    let (core, groups) = tokio::try_join!(link.call(&core), link.call(&groups))?;
    let mut discovery = Discovery::default();
    let mut plain = Vec::new();
    for (answer, is_core) in [(&core, true), (&groups, false)] {
        let value = answer.value()?;
        if value["kind"] == "APIGroupDiscoveryList" {
            let list: Aggregated =
                serde_json::from_value(value).map_err(|error| answer.bad(error.to_string()))?;
            add_aggregated(&mut discovery, list);
        } else if is_core {
            plain.extend(
                value["versions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|version| (String::new(), version.to_owned())),
            );
        } else {
            let list: Vec<GroupVersions> = serde_json::from_value(value["groups"].clone())
                .map_err(|error| answer.bad(error.to_string()))?;
            plain.extend(list.into_iter().flat_map(by_preference));
        }
    }
    let lists: Vec<_> = stream::iter(plain)
        .map(|(group, version)| async move {
            let list = plain_list(link, &group, &version).await?;
            Ok::<_, ClusterError>((group, version, list))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    for (group, version, list) in lists {
        match list {
            Some(list) => add_plain(&mut discovery, &group, &version, list),
            None => discovery.failed.push(join(&group, &version)),
        }
    }
    Ok(discovery.choose())
}

fn by_preference(group: GroupVersions) -> Vec<(String, String)> {
    let mut versions: Vec<String> = group
        .preferred_version
        .into_iter()
        .map(|one| one.version)
        .collect();
    for one in group.versions {
        if !versions.contains(&one.version) {
            versions.push(one.version);
        }
    }
    versions
        .into_iter()
        .map(|version| (group.name.clone(), version))
        .collect()
}

/// `None` when the server of this group does not answer; the others are still of use.
async fn plain_list(
    link: &Link,
    group: &str,
    version: &str,
) -> Result<Option<PlainList>, ClusterError> {
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let action = format!("discover {}", join(group, version));
    match link.call(&Call::get(path, action)).await {
        Ok(answer) => Ok(Some(answer.json()?)),
        Err(error @ ClusterError::Api(_)) => {
            tracing::warn!(%error, "an API group does not answer");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn add_aggregated(discovery: &mut Discovery, list: Aggregated) {
    for group in list.items {
        let name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                discovery.failed.push(join(&name, &version.version));
            }
            for one in version.resources {
                let Some(kind) = one.response_kind.filter(|kind| !kind.kind.is_empty()) else {
                    continue;
                };
                let scale = one
                    .subresources
                    .iter()
                    .any(|sub| sub.subresource == "scale");
                let resource = ResourceType {
                    group: name.clone(),
                    version: version.version.clone(),
                    kind: kind.kind,
                    plural: one.resource,
                    namespaced: one.scope == "Namespaced",
                    verbs: one.verbs,
                };
                discovery.add(resource, scale);
            }
        }
    }
}

fn add_plain(discovery: &mut Discovery, group: &str, version: &str, list: PlainList) {
    let scalable: Vec<String> = list
        .resources
        .iter()
        .filter_map(|one| one.name.strip_suffix("/scale"))
        .map(str::to_owned)
        .collect();
    for one in list.resources {
        if one.name.contains('/') {
            continue;
        }
        let scale = scalable.contains(&one.name);
        let resource = ResourceType {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: one.kind,
            plural: one.name,
            namespaced: one.namespaced,
            verbs: one.verbs,
        };
        discovery.add(resource, scale);
    }
}

fn join(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
