//! The ways to registries: the cluster's own, and those of others.

use std::collections::BTreeSet;

use openshifter_cluster::Cluster;
use openshifter_images::{
    Choices, ClusterRegistry, ImageReference, ImagesError, Platforms, Registry, RegistryAccess,
    RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning,
};
use openshifter_objects::Object;
use secrecy::{ExposeSecret as _, SecretString};

/// What is done with the images, and how their registries are reached.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// What becomes of which image. By default what the target can build is built there, what is nowhere but in the
    /// source's registry is copied, and all others stay where they are.
    pub choices: Choices,
    /// Address of the registry of this end's cluster, where it cannot be found by itself. Of a target without image
    /// streams: the registry that copied images are pushed to, and the path there (`registry.example/team`).
    pub registry: Option<String>,
    /// Registries (`host` or `host:port`) that may speak plain http, or show any certificate.
    pub insecure: BTreeSet<String>,
    /// The token for the registry of this end's cluster, as of a service account that may pull or push only; else the
    /// cluster's own.
    pub token: Option<SecretString>,
    /// What Docker's `config.json` holds: credentials for other registries, before those of the project's pull secrets.
    pub auth_file: Option<SecretString>,
    /// For which platforms images are copied.
    pub platforms: Platforms,
    /// Whether an export fails when an image that is to be copied cannot be had, instead of telling it as a loss: for
    /// callers whom the report does not reach.
    pub required: bool,
}

impl ImageOptions {
    /// Whether the registry of an image may speak plain http, or show any certificate.
    pub(crate) fn is_insecure(&self, image: Option<&str>) -> bool {
        image
            .and_then(|image| image.parse::<ImageReference>().ok())
            .is_some_and(|image| self.insecure.contains(image.registry()))
    }

    fn trust(&self, host: &str) -> RegistryTrust {
        let insecure = self.insecure.contains(host);
        RegistryTrust {
            ca_pem: None,
            insecure,
            plain_http: insecure,
        }
    }

    /// Finds the way to the registry of a cluster. `namespace` is a project that this user may read.
    ///
    /// Its route has the certificate of the cluster's router, as its OAuth host has.
    pub(crate) async fn cluster_registry(
        &self,
        cluster: &Cluster,
        namespace: Option<&str>,
        exposed: Vec<String>,
    ) -> Result<ClusterRegistry, ImagesError> {
        let mut trust = self.trust(self.registry.as_deref().unwrap_or_default());
        let of_cluster = cluster.trust();
        let known = [&of_cluster.ca_pem, &of_cluster.oauth_ca_pem];
        let pem: Vec<u8> = known
            .into_iter()
            .flatten()
            .flat_map(|pem| [pem.as_slice(), b"\n"].concat())
            .collect();
        trust.ca_pem = (!pem.is_empty()).then_some(pem);
        trust.insecure |= of_cluster.insecure || of_cluster.oauth_insecure;
        let access = RegistryAccess {
            host: self.registry.clone(),
            exposed,
            trust,
            insecure: self.insecure.clone(),
            credentials: self
                .token
                .clone()
                .map(|token| RegistryCredentials::openshift("", token)),
            namespace: namespace.map(str::to_owned),
            ..RegistryAccess::default()
        };
        ClusterRegistry::find(cluster, &access).await
    }

    /// Connects to a registry outside of the cluster, with what the project's pull secrets have for this repository.
    pub(crate) async fn other_registry(
        &self,
        host: &str,
        repository: &str,
        objects: &[Object],
    ) -> Result<Registry, ImagesError> {
        self.other_registry_tuned(host, repository, objects, RegistryTuning::default())
            .await
    }

    /// Connects to a registry that was named for this end: the token given for it is before all other credentials.
    pub(super) async fn named_registry(
        &self,
        host: &str,
        repository: &str,
        objects: &[Object],
    ) -> Result<Registry, ImagesError> {
        let Some(token) = &self.token else {
            return self.other_registry(host, repository, objects).await;
        };
        let endpoint = RegistryEndpoint::parse(host, self.trust(host))?;
        Registry::connect(&endpoint, RegistryCredentials::openshift("", token.clone())).await
    }

    /// [`ImageOptions::other_registry`] with other limits.
    pub(crate) async fn other_registry_tuned(
        &self,
        host: &str,
        repository: &str,
        objects: &[Object],
        tuning: RegistryTuning,
    ) -> Result<Registry, ImagesError> {
        let endpoint = RegistryEndpoint::parse(host, self.trust(host))?;
        let given = self.auth_file.as_ref().and_then(|text| {
            RegistryCredentials::of_auth_file(text.expose_secret(), host, repository)
        });
        let credentials = given
            .or_else(|| RegistryCredentials::of_pull_secrets(objects, host, repository))
            .unwrap_or_default();
        Registry::connect_tuned(&endpoint, credentials, tuning).await
    }
}

/// What can be done about an image that cannot be copied.
pub(crate) const OTHERWISE: &str = "decide otherwise about the image: `--images external`, `--images rebuild`, `--images 'map OLD=NEW'`";

/// What to do about an image that cannot be read or written, where there is something to say.
pub(crate) fn hint(error: &ImagesError) -> Option<String> {
    match error {
        ImagesError::NoWay { cluster, .. } => Some(format!(
            "have an administrator expose the registry of {cluster} (on OpenShift 4: `oc patch configs.imageregistry.operator.openshift.io/cluster --type merge -p '{{\"spec\":{{\"defaultRoute\":true}}}}'`), \
             give its address, log in as somebody who may forward ports of its pods, or decide otherwise about the images: `--images rebuild`, `--images external`, `--images 'map OLD=NEW'`"
        )),
        error => error.hint(),
    }
}
