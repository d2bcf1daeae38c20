//! What a person may decide about the manifests.

use serde::{Deserialize, Serialize};

use crate::{Needs, V2Error};

/// What keeps the application's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// A Deployment, with the annotation that lets it follow the image stream.
    #[default]
    Deployment,
    /// A DeploymentConfig, as V3 began with: hooks of the rollout are its own.
    DeploymentConfig,
}

impl Workload {
    /// The kind, as manifests spell it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::DeploymentConfig => "DeploymentConfig",
        }
    }

    /// The resource, as commands name it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::DeploymentConfig => "deploymentconfig",
        }
    }
}

/// Where builds have the sources from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum BuildSource {
    /// They are uploaded when a build is started.
    #[default]
    Binary,
    /// From a Git repository.
    Git {
        /// Its address.
        uri: String,
        /// A branch, a tag or a commit; the repository's own choice otherwise.
        reference: Option<String>,
    },
}

impl BuildSource {
    /// Reads `URI` or `URI#REF`.
    pub fn git(text: &str) -> Self {
        match text.split_once('#') {
            Some((uri, reference)) if !reference.is_empty() => Self::Git {
                uri: uri.to_owned(),
                reference: Some(reference.to_owned()),
            },
            Some((uri, _)) => Self::Git {
                uri: uri.to_owned(),
                reference: None,
            },
            None => Self::Git {
                uri: text.to_owned(),
                reference: None,
            },
        }
    }
}

/// What a person may decide about the manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOptions {
    /// What keeps the pods.
    pub workload: Workload,
    /// Where builds have the sources from.
    pub source: BuildSource,
    /// Tag of the builder's image stream, as in `python:3.12-ubi9`; the one that the conversion chose otherwise.
    pub builder: Option<String>,
    /// The project of the builder's image stream; `None` for the application's own.
    pub builder_namespace: Option<String>,
    /// Tag of PostgreSQL's image stream in the project `openshift`.
    pub postgresql: String,
    /// How many pods. One otherwise, and two where V2 scaled it and nothing keeps it on one node.
    pub replicas: Option<u32>,
    /// The Route's host; the cluster's choice otherwise.
    pub host: Option<String>,
    /// Size of each claim, a quantity as in `1Gi`.
    pub claim_size: String,
    /// The claims' storage class; the cluster's default otherwise.
    pub storage_class: Option<String>,
    /// For clusters before OpenShift 4.11 (Kubernetes 1.24): CronJobs of `batch/v1beta1`, no startup probe, and no seccomp profile, which
    /// their `restricted` constraints refuse.
    pub old_cluster: bool,
}

impl Default for ManifestOptions {
    fn default() -> Self {
        Self {
            workload: Workload::default(),
            source: BuildSource::default(),
            builder: None,
            builder_namespace: Some("openshift".to_owned()),
            postgresql: "postgresql:latest".to_owned(),
            replicas: None,
            host: None,
            claim_size: "1Gi".to_owned(),
            storage_class: None,
            old_cluster: false,
        }
    }
}

impl ManifestOptions {
    /// Refuses what cannot work.
    pub(super) fn check(&self, needs: &Needs) -> Result<(), V2Error> {
        let wrong = |option, reason: String| Err(V2Error::Option { option, reason });
        let name = &needs.name;
        if !crate::options::is_dns_label(name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return wrong(
                "--name",
                format!(
                    "a Service cannot be called `{name}`: convert with another name, which begins with a letter"
                ),
            );
        }
        if let Some(database) = needs.databases.iter().find(|one| one.service == *name) {
            return wrong(
                "--name",
                format!(
                    "the application is called `{name}`, and so is the Service of its database ({}): convert with another name",
                    database.port
                ),
            );
        }
        for (option, tag) in [
            ("--builder", self.builder.as_deref()),
            ("--postgresql", Some(self.postgresql.as_str())),
        ] {
            if let Some(tag) = tag
                && !is_image_stream_tag(tag)
            {
                return wrong(
                    option,
                    format!("`{tag}` is no tag of an image stream, as in python:3.12-ubi9"),
                );
            }
        }
        if !is_quantity(&self.claim_size) {
            return wrong(
                "--claim-size",
                format!("`{}` is no size, as in 1Gi", self.claim_size),
            );
        }
        if let Some(host) = &self.host
            && !(host.len() <= 253
                && host.contains('.')
                && host.split('.').all(crate::options::is_dns_label))
        {
            return wrong(
                "--host",
                format!("`{host}` is no host name, as in notes.example.com"),
            );
        }
        if let BuildSource::Git { uri, reference } = &self.source {
            let is_odd = |text: &str| {
                text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace)
            };
            if is_odd(uri) || reference.as_deref().is_some_and(is_odd) {
                return wrong("--git", "name a repository, as URI or URI#REF".to_owned());
            }
            if has_password(uri) {
                return wrong(
                    "--git",
                    "the address holds a password, which everybody who sees the BuildConfig could read: put it into a Secret, and name that as the BuildConfig's source secret".to_owned(),
                );
            }
        }
        if needs.claim.is_some() && self.replicas.is_some_and(|replicas| replicas > 1) {
            return wrong(
                "--replicas",
                "one pod at a time can have the application's claim: convert with --database service, so that nothing needs one".to_owned(),
            );
        }
        Ok(())
    }
}

fn is_image_stream_tag(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, tag)| {
        !name.is_empty()
            && !tag.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ":._-".contains(c))
            && !tag.contains(':')
    })
}

fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
        && digits.chars().any(|c| c != '0')
        && ["", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"].contains(&unit)
}

/// Whether an address holds a password: `https://user:password@host/`.
fn has_password(uri: &str) -> bool {
    uri.split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_tags() {
        for good in ["1Gi", "500M", "10"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "Gi", "1 Gi", "1Gb", "-1Gi", "0Gi", "1.5Gi"] {
            assert!(!is_quantity(bad), "{bad}");
        }
        assert!(is_image_stream_tag("python:3.12-ubi9"));
        for bad in ["python", "python:", ":3", "a:b:c", "a b:c", "r.io/python:3"] {
            assert!(!is_image_stream_tag(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_of_repositories() {
        assert_eq!(
            BuildSource::git("https://git.example.test/notes.git#main"),
            BuildSource::Git {
                uri: "https://git.example.test/notes.git".to_owned(),
                reference: Some("main".to_owned())
            }
        );
        assert!(has_password("https://me:secret@git.example.test/notes.git"));
        for open in [
            "https://git@git.example.test/notes.git",
            "ssh://git@git.example.test:2222/notes.git",
            "git@git.example.test:notes.git",
            "https://git.example.test/a:b@c",
        ] {
            assert!(!has_password(open), "{open}");
        }
    }
}
