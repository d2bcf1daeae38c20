//! The way to the registry that is built into an OpenShift cluster: through its exposed route where there is one, else
//! through the API server.

use std::collections::BTreeSet;
use std::sync::Arc;

use openshifter_cluster::{Cluster, ClusterError, PortForward};
use openshifter_objects::GroupKind;
use secrecy::SecretString;
use serde_json::Value;

use crate::registry::Renew;
use crate::{
    ImagesError, Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning,
};

/// Services of the registry, of OpenShift 4 and 3, and what else leads to it.
const PLACES: &[Place] = &[
    Place {
        namespace: "openshift-image-registry",
        service: "image-registry",
        route: "default-route",
    },
    Place {
        namespace: "default",
        service: "docker-registry",
        route: "docker-registry",
    },
];

/// Its port within the cluster, in all generations.
const PORT: u16 = 5000;

struct Place {
    namespace: &'static str,
    service: &'static str,
    route: &'static str,
}

/// How to get at a cluster's registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryAccess {
    /// Its address, where the user gave one; no other way is tried then.
    pub host: Option<String>,
    /// Hosts under which it is exposed, as [`Inventory::exposed`](crate::Inventory::exposed) tells.
    pub exposed: Vec<String>,
    /// Which certificates are believed. On the way through the API server the cluster's service CA is, too.
    pub trust: RegistryTrust,
    /// Hosts (`host` or `host:port`) that may speak plain http, or show any certificate.
    pub insecure: BTreeSet<String>,
    /// Who we are to it, as a service account that may only pull or only push; else the cluster's own credentials.
    pub credentials: Option<RegistryCredentials>,
    /// A project that this user may read, in which the cluster's service CA can be found.
    pub namespace: Option<String>,
    /// Limits of the connection.
    pub tuning: RegistryTuning,
}

/// A cluster's registry. The way to it, if it is one through the API server, is open for as long as this value lives.
#[derive(Debug)]
pub struct ClusterRegistry {
    registry: Registry,
    forward: Option<PortForward>,
}

impl ClusterRegistry {
    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether it is reached through the API server.
    pub fn is_forwarded(&self) -> bool {
        self.forward.is_some()
    }

    /// Why the last connection through the API server failed, if one did.
    pub fn failure(&self) -> Option<String> {
        self.forward.as_ref()?.failure()
    }

    /// Finds a way to the registry of a cluster and logs in with the cluster's own token, unless other credentials are
    /// given.
    ///
    /// # Errors
    /// When the credentials are refused, or no way leads there: then each that was tried is named with its reason.
    pub async fn find(cluster: &Cluster, access: &RegistryAccess) -> Result<Self, ImagesError> {
        let login = login(cluster, access).await?;
        if let Some(host) = &access.host {
            return connect(cluster, host, access, &login).await;
        }
        let mut reasons = Vec::new();
        let mut hosts = access.exposed.clone();
        if hosts.is_empty() {
            hosts = exposed(cluster, &mut reasons).await?;
        }
        for host in &hosts {
            match connect(cluster, host, access, &login).await {
                Ok(found) => return Ok(found),
                // This is the registry, and it has decided.
                Err(error @ (ImagesError::Unauthorized { .. } | ImagesError::Denied { .. })) => {
                    return Err(error);
                }
                Err(error) => reasons.push(format!("exposed as {host}: {error}")),
            }
        }
        for place in PLACES {
            match forwarded(cluster, place, access, &login).await {
                Ok(found) => return Ok(found),
                Err(error @ (ImagesError::Unauthorized { .. } | ImagesError::Denied { .. })) => {
                    return Err(error);
                }
                Err(error) => reasons.push(format!("through the API server: {error}")),
            }
        }
        Err(ImagesError::NoWay {
            cluster: cluster.name().to_owned(),
            reason: reasons.join("; "),
        })
    }
}

/// Who we are to the registry.
struct Login {
    credentials: RegistryCredentials,
    /// The cluster's own token may end in the middle of a copy.
    renew: Option<Renew>,
}

async fn login(cluster: &Cluster, access: &RegistryAccess) -> Result<Login, ImagesError> {
    if let Some(credentials) = &access.credentials {
        return Ok(Login {
            credentials: credentials.clone(),
            renew: None,
        });
    }
    let token: SecretString = cluster.bearer_token().await?.ok_or_else(|| ImagesError::NoWay {
        cluster: cluster.name().to_owned(),
        reason: "it wants a token, and these credentials of the cluster are none; give credentials for the registry, or log in with a token or a password".to_owned(),
    })?;
    // Any name will do when nobody tells ours.
    let user = cluster.user().await.unwrap_or_default();
    let again = cluster.clone();
    let renew: Renew = Arc::new(move |refused| {
        let cluster = again.clone();
        Box::pin(async move {
            let other = cluster.other_token(&refused).await;
            other.unwrap_or_else(|error| {
                tracing::debug!(%error, "there is no other token for the registry");
                None
            })
        })
    });
    Ok(Login {
        credentials: RegistryCredentials::openshift(&user, token),
        renew: Some(renew),
    })
}

impl Login {
    async fn connect(
        &self,
        endpoint: &RegistryEndpoint,
        access: &RegistryAccess,
    ) -> Result<Registry, ImagesError> {
        let (credentials, renew) = (self.credentials.clone(), self.renew.clone());
        Registry::connect_renewing(endpoint, credentials, access.tuning, renew).await
    }
}

async fn connect(
    cluster: &Cluster,
    host: &str,
    access: &RegistryAccess,
    login: &Login,
) -> Result<ClusterRegistry, ImagesError> {
    let mut trust = access.trust.clone();
    if access.insecure.contains(host) {
        trust.insecure = true;
        trust.plain_http = true;
    }
    let endpoint = RegistryEndpoint::parse(host, trust)?.of_cluster(cluster.base());
    Ok(ClusterRegistry {
        registry: login.connect(&endpoint, access).await?,
        forward: None,
    })
}

/// Hosts under which a cluster exposes its registry: its routes say so to who may read them, the ImageStreams of
/// project `openshift` to everybody.
async fn exposed(cluster: &Cluster, reasons: &mut Vec<String>) -> Result<Vec<String>, ImagesError> {
    let mut hosts = Vec::new();
    let route = GroupKind::new("route.openshift.io", "Route");
    for place in PLACES {
        match cluster
            .get(&route, Some(place.namespace), place.route)
            .await
        {
            Ok(Some(found)) => {
                if let Some(host) = found.value().pointer("/spec/host").and_then(Value::as_str) {
                    hosts.push(host.to_owned());
                }
            }
            Ok(None) => {}
            Err(error) if error.is_forbidden() || error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    let stream = GroupKind::new("image.openshift.io", "ImageStream");
    let discovery = cluster.discovery().await?;
    let Some(streams) = discovery.find(&stream) else {
        return Err(ImagesError::NoWay {
            cluster: cluster.name().to_owned(),
            reason:
                "it is no OpenShift, so it has no registry of its own; name the registry to use"
                    .to_owned(),
        });
    };
    match cluster.list(streams, Some("openshift"), None).await {
        Ok(found) => {
            let host = found.iter().find_map(|stream| {
                let text = stream
                    .value()
                    .pointer("/status/publicDockerImageRepository")?
                    .as_str()?;
                Some(text.split_once('/')?.0.to_owned())
            });
            match host {
                Some(host) => hosts.push(host),
                None => reasons.push("it is not exposed".to_owned()),
            }
        }
        Err(error) if error.is_forbidden() || error.is_not_found() => {
            reasons.push("whether it is exposed cannot be seen".to_owned());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(hosts)
}

async fn forwarded(
    cluster: &Cluster,
    place: &Place,
    access: &RegistryAccess,
    login: &Login,
) -> Result<ClusterRegistry, ImagesError> {
    let forward = cluster
        .forward_service(place.namespace, place.service, PORT)
        .await?;
    let mut trust = access.trust.clone();
    if let Some(ca) = service_ca(cluster, place, access).await? {
        let pem = trust.ca_pem.get_or_insert_default();
        pem.push(b'\n');
        pem.extend_from_slice(ca.as_bytes());
    }
    let host = format!("{}.{}.svc:{PORT}", place.service, place.namespace);
    let endpoint = RegistryEndpoint::through(forward.address(), &host, trust)?;
    let endpoint = endpoint.of_cluster(cluster.base());
    let registry = login.connect(&endpoint, access).await.map_err(|error| {
        match (error, forward.failure()) {
            // All that a client sees is the end of its connection.
            (
                ImagesError::Lost {
                    registry, action, ..
                },
                Some(reason),
            ) => ImagesError::Lost {
                registry,
                action,
                reason,
            },
            (error, _) => error,
        }
    })?;
    Ok(ClusterRegistry {
        registry,
        forward: Some(forward),
    })
}

/// Projects of the user that are asked for the CA.
const PROJECTS: usize = 8;

/// The CA that signs certificates of services: OpenShift 4 puts it into every project, and an ordinary user may not
/// read the registry's own.
async fn service_ca(
    cluster: &Cluster,
    place: &Place,
    access: &RegistryAccess,
) -> Result<Option<String>, ClusterError> {
    for namespace in access
        .namespace
        .as_deref()
        .into_iter()
        .chain([place.namespace])
    {
        if let Some(ca) = service_ca_of(cluster, namespace).await? {
            return Ok(Some(ca));
        }
    }
    // The one project that was named may not be there yet.
    for namespace in projects(cluster).await? {
        if let Some(ca) = service_ca_of(cluster, &namespace).await? {
            return Ok(Some(ca));
        }
    }
    Ok(None)
}

async fn service_ca_of(cluster: &Cluster, namespace: &str) -> Result<Option<String>, ClusterError> {
    let kind = GroupKind::new("", "ConfigMap");
    match cluster
        .get(&kind, Some(namespace), "openshift-service-ca.crt")
        .await
    {
        Ok(found) => Ok(found
            .as_ref()
            .and_then(|found| found.value().pointer("/data/service-ca.crt")?.as_str())
            // It is empty until its controller comes by.
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)),
        Err(error) if error.is_forbidden() || error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Some projects that the user may see.
async fn projects(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    let project = GroupKind::new("project.openshift.io", "Project");
    let discovery = cluster.discovery().await?;
    let Some(projects) = discovery.find(&project) else {
        return Ok(Vec::new());
    };
    match cluster.list(projects, None, None).await {
        Ok(found) => Ok(found
            .iter()
            .take(PROJECTS)
            .map(|project| project.name().to_owned())
            .collect()),
        Err(error) if error.is_forbidden() || error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
