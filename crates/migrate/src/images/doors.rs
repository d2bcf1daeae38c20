//! Looking for the images that are to be copied, in the registries that have them.

use std::collections::BTreeMap;

use openshifter_cluster::Cluster;
use openshifter_images::{
    ClusterRegistry, ImagesError, Inventory, Platforms, Registry, Survey, Wanted,
};
use openshifter_objects::Object;

use super::{ImageOptions, PlannedImages};

/// What was found of the images that are to be copied.
pub(super) struct Looked {
    /// By the image's name.
    pub(super) found: Vec<(String, Survey)>,
    /// Images that cannot be had, by their names.
    pub(super) trouble: Vec<(String, ImagesError)>,
    /// Hosts under which the cluster's registry is exposed.
    pub(super) exposed: Vec<String>,
    /// Open for as long as images are read.
    pub(super) registry: Option<ClusterRegistry>,
}

/// Looks for the images that are to be copied. One that cannot be had has a problem afterwards, one whose digest the
/// objects do not tell has the one of its tag. Changes nothing else.
pub(super) async fn survey_all(
    source: &Cluster,
    namespace: &str,
    objects: &[Object],
    options: &ImageOptions,
    planned: &mut PlannedImages,
) -> Looked {
    let exposed: Vec<String> = Inventory::of(objects).exposed.into_iter().collect();
    let mut doors = Doors::new(source, namespace, objects, options, exposed.clone());
    let (mut found, mut trouble) = (Vec::new(), Vec::new());
    for one in &mut planned.0 {
        if !one.is_taken() || one.problem.is_some() {
            continue;
        }
        let image = &one.image;
        let host = match (&image.internal, &image.reference) {
            (None, Some(reference)) => Some(reference.registry()),
            _ => None,
        };
        let repository = image.repository().unwrap_or_default();
        let wanted = image.wanted();
        match doors
            .survey(host, repository, &wanted, &options.platforms)
            .await
        {
            Ok(survey) => {
                one.image.digest.get_or_insert(survey.digest());
                found.push((one.image.name.clone(), survey));
            }
            Err(error) => {
                one.problem = Some(match one.kept {
                    true => format!(
                        "it cannot be kept in case its build fails: {error}; `--images 'rebuild {}'` goes on without",
                        one.image.name
                    ),
                    false => error.to_string(),
                });
                trouble.push((one.image.name.clone(), error));
            }
        }
    }
    Looked {
        found,
        trouble,
        exposed,
        registry: doors.into_registry(),
    }
}

/// Registries that images are read from, each opened when it is first asked for.
pub(super) struct Doors<'a> {
    source: &'a Cluster,
    namespace: &'a str,
    objects: &'a [Object],
    options: &'a ImageOptions,
    exposed: Vec<String>,
    cluster: Option<Result<ClusterRegistry, NoWay>>,
    others: BTreeMap<String, Registry>,
}

/// Why the cluster's registry cannot be reached, told for each image.
#[derive(Clone)]
struct NoWay {
    cluster: String,
    reason: String,
}

impl<'a> Doors<'a> {
    pub(super) fn new(
        source: &'a Cluster,
        namespace: &'a str,
        objects: &'a [Object],
        options: &'a ImageOptions,
        exposed: Vec<String>,
    ) -> Self {
        Self {
            source,
            namespace,
            objects,
            options,
            exposed,
            cluster: None,
            others: BTreeMap::new(),
        }
    }

    /// Finds an image in a repository of another registry, or of the cluster's own where no host is named.
    pub(super) async fn survey(
        &mut self,
        host: Option<&str>,
        repository: &str,
        wanted: &Wanted,
        platforms: &Platforms,
    ) -> Result<Survey, ImagesError> {
        let registry = match host {
            Some(host) => self.other(host, repository).await?,
            None => self.cluster().await?,
        };
        registry
            .repository(repository)?
            .survey(wanted, platforms)
            .await
    }

    /// The cluster's registry, where it was needed: the way to it is open for as long as this lives.
    pub(super) fn into_registry(self) -> Option<ClusterRegistry> {
        self.cluster.and_then(Result::ok)
    }

    async fn cluster(&mut self) -> Result<Registry, ImagesError> {
        if self.cluster.is_none() {
            let found = self
                .options
                .cluster_registry(self.source, Some(self.namespace), self.exposed.clone())
                .await;
            self.cluster = Some(match found {
                Err(ImagesError::NoWay { cluster, reason }) => Err(NoWay { cluster, reason }),
                Err(error) => return Err(error),
                Ok(registry) => Ok(registry),
            });
        }
        match &self.cluster {
            Some(Ok(registry)) => Ok(registry.registry().clone()),
            Some(Err(NoWay { cluster, reason })) => Err(ImagesError::NoWay {
                cluster: cluster.clone(),
                reason: reason.clone(),
            }),
            None => Err(ImagesError::NoWay {
                cluster: self.source.name().to_owned(),
                reason: "nobody looked".to_owned(),
            }),
        }
    }

    /// Each repository may have credentials of its own.
    async fn other(&mut self, host: &str, repository: &str) -> Result<Registry, ImagesError> {
        let place = format!("{host}/{repository}");
        if let Some(registry) = self.others.get(&place) {
            return Ok(registry.clone());
        }
        let (options, objects) = (self.options, self.objects);
        let registry = options.other_registry(host, repository, objects).await?;
        self.others.insert(place, registry.clone());
        Ok(registry)
    }
}
