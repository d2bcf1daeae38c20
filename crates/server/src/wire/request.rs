//! Requests: two ends and what is to happen between them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use openshifter_cluster::{Access, ClusterError, Credentials, Trust};
use openshifter_migrate::{
    Allow, Existing, ExportOptions, ImageChoices, ImageOptions, ImagePlatforms, ImagesError,
    ImportOptions, MigrateOptions, Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;

/// One end of a migration: a cluster, a project there, and credentials.
///
/// The cluster is given by `base` with either `username` and `password` or `token`, or by `context`, a context of the
/// service's own kubeconfig.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointSpec {
    /// What messages call the cluster; its address otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A context of the service's kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Address of the cluster's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The project.
    pub project: String,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password.
    #[serde(
        default,
        serialize_with = "exposed",
        skip_serializing_if = "Option::is_none"
    )]
    pub password: Option<SecretString>,
    /// A bearer token, instead of user name and password.
    #[serde(
        default,
        serialize_with = "exposed",
        skip_serializing_if = "Option::is_none"
    )]
    pub token: Option<SecretString>,
    /// CA certificates (PEM) that sign the API's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Accept any certificate of the API.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// CA certificates (PEM) that sign the OAuth host's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_ca: Option<String>,
    /// Accept any certificate of the OAuth host.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oauth_insecure: bool,
}

/// What a migration is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigrationRequest {
    /// Where the application is.
    pub source: EndpointSpec,
    /// Where it goes.
    pub target: EndpointSpec,
    /// `copy`, `move` or `ping-pong`.
    #[serde(
        serialize_with = "policy_to_text",
        deserialize_with = "policy_from_text"
    )]
    pub policy: Policy,
    /// Only objects with these labels, and what they need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Whether what writes to the volumes is stopped for the copy. A Move always does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub quiesce: bool,
    /// Whether claims are deleted with the objects.
    #[serde(default, skip_serializing_if = "is_false")]
    pub with_data: bool,
    /// Whether claims of the target that hold other data are overwritten, after a backup.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overwrite_data: bool,
    /// What happens to objects that exist at the target.
    #[serde(default)]
    pub existing: WhatExists,
    /// Whether CustomResourceDefinitions may be created.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_crds: bool,
    /// Whether the application may hold what grants rights beyond the project: privileged pods, grants of security
    /// context constraints.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_beyond_project: bool,
    /// Whether volumes may hold device nodes. Links out of a volume come along: the volumes are the user's own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_devices: bool,
    /// An image with `sh`, `sleep` and `tar` for helper pods; the service's own choice otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper_image: Option<String>,
    /// What becomes of images, as `--images` of the command line takes it: `copy`, `rebuild` or `external`, for all or
    /// followed by a name or pattern (`copy shop/*`), or `map OLD=NEW`. The last that fits an image holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Address of the image registry of the source's cluster, where it cannot be found by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_registry: Option<String>,
    /// A token for that registry, as of a service account that may only pull; the cluster's own otherwise.
    #[serde(
        default,
        serialize_with = "exposed",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_registry_token: Option<SecretString>,
    /// A token for the target's registry, as of a service account that may only push; the cluster's own otherwise.
    #[serde(
        default,
        serialize_with = "exposed",
        skip_serializing_if = "Option::is_none"
    )]
    pub target_registry_token: Option<SecretString>,
    /// Address of the image registry of the target's cluster, where it cannot be found by itself; of a target that is no
    /// OpenShift, the registry that copied images are pushed to, and the path there (`registry.example/team`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_registry: Option<String>,
    /// Credentials for registries outside of the clusters, in the form of Docker's `config.json`; what the project's pull
    /// secrets have otherwise.
    #[serde(
        default,
        serialize_with = "exposed_object",
        deserialize_with = "secret_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub registry_auth: Option<SecretString>,
    /// Registries that may speak plain http, or show any certificate.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub insecure_registries: BTreeSet<String>,
    /// Of an image that is made for several platforms, the first of these (`linux/amd64`) is copied; all otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// How many seconds the application may take to be ready; 600 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_seconds: Option<u64>,
    /// The digest of the plan that was shown and agreed to. Needed when anything is deleted: what is done is then what
    /// was shown, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
}

/// What happens to objects that exist at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhatExists {
    /// The migration is refused, unless they are what the chart says already.
    #[default]
    Fail,
    /// They are left as they are.
    Skip,
    /// They are made what the chart says.
    Apply,
}

/// Why a request cannot be carried out as it is.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A cluster's address, context or certificate cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Keys are missing or contradict each other.
    #[error("{0}")]
    Request(String),
}

impl EndpointSpec {
    /// How to log in. `trust` says how certificates of an address are verified when the request does not.
    ///
    /// # Errors
    /// When the address or context cannot be used, or keys are missing.
    pub async fn access(
        &self,
        kubeconfig: Option<&Path>,
        trust: impl FnOnce(&Url) -> Trust,
    ) -> Result<Access, RequestError> {
        let fail = |text: &str| Err(RequestError::Request(text.to_owned()));
        let base = match (&self.context, &self.base) {
            (Some(context), None) => {
                let mut access = Access::from_context(kubeconfig, Some(context)).await?;
                if let Some(name) = &self.name {
                    access.name.clone_from(name);
                }
                return Ok(access);
            }
            (None, Some(base)) => Access::parse_base(base)?,
            (Some(_), Some(_)) => {
                return fail("give either `base` or `context` of a cluster, not both");
            }
            (None, None) => {
                return fail("a cluster is given by `base` and credentials, or by `context`");
            }
        };
        let credentials = match (&self.username, &self.password, &self.token) {
            (Some(username), Some(password), None) => Credentials::Password {
                username: username.clone(),
                password: password.clone(),
            },
            (None, None, Some(token)) => Credentials::Token(token.clone()),
            _ => return fail("give `username` and `password`, or `token`"),
        };
        let says_nothing =
            self.ca.is_none() && self.oauth_ca.is_none() && !self.insecure && !self.oauth_insecure;
        let trust = if says_nothing {
            trust(&base)
        } else {
            let pem = |text: &Option<String>| text.clone().map(String::into_bytes);
            Trust {
                ca_pem: pem(&self.ca),
                insecure: self.insecure,
                oauth_ca_pem: pem(&self.oauth_ca),
                oauth_insecure: self.oauth_insecure || self.insecure,
            }
        };
        Ok(Access {
            name: self
                .name
                .clone()
                .unwrap_or_else(|| crate::clusters::short(&base)),
            base,
            trust,
            credentials,
        })
    }
}

impl MigrationRequest {
    /// A request with everything at its default.
    pub fn new(source: EndpointSpec, target: EndpointSpec, policy: Policy) -> Self {
        Self {
            source,
            target,
            policy,
            selector: None,
            quiesce: false,
            with_data: false,
            overwrite_data: false,
            existing: WhatExists::Fail,
            allow_crds: false,
            allow_beyond_project: false,
            allow_devices: false,
            helper_image: None,
            images: Vec::new(),
            source_registry: None,
            source_registry_token: None,
            target_registry_token: None,
            target_registry: None,
            registry_auth: None,
            insecure_registries: BTreeSet::new(),
            platforms: Vec::new(),
            patience_seconds: None,
            plan_digest: None,
        }
    }

    fn image_platforms(&self) -> Result<ImagePlatforms, RequestError> {
        if self.platforms.is_empty() {
            return Ok(ImagePlatforms::All);
        }
        let read = self.platforms.iter().map(|text| text.parse());
        read.collect::<Result<_, _>>()
            .map(ImagePlatforms::FirstOf)
            .map_err(|error: ImagesError| RequestError::Request(format!("platforms: {error}")))
    }

    /// What the migration is told.
    ///
    /// # Errors
    /// When the selector is none.
    pub fn options(&self, helper_image: Option<&str>) -> Result<MigrateOptions, RequestError> {
        let helper_image = self
            .helper_image
            .clone()
            .or_else(|| helper_image.map(str::to_owned));
        let images =
            |choices: &[String], registry: &Option<String>, token: &Option<SecretString>| {
                Ok::<_, RequestError>(ImageOptions {
                    choices: ImageChoices::parse(choices)
                        .map_err(|error| RequestError::Request(format!("images: {error}")))?,
                    registry: registry.clone(),
                    insecure: self.insecure_registries.clone(),
                    platforms: self.image_platforms()?,
                    token: token.clone(),
                    auth_file: self.registry_auth.clone(),
                    required: false,
                })
            };
        let export = ExportOptions {
            images: images(
                &self.images,
                &self.source_registry,
                &self.source_registry_token,
            )?,
            quiesce: self.quiesce,
            helper_image: helper_image.clone(),
            selector: self
                .selector
                .as_deref()
                .map(|text| {
                    text.parse()
                        .map_err(|error| RequestError::Request(format!("selector: {error}")))
                })
                .transpose()?,
            ..ExportOptions::default()
        };
        let mut import = ImportOptions {
            // The choices are in the chart when it is imported.
            images: images(&[], &self.target_registry, &self.target_registry_token)?,
            helper_image,
            overwrite_data: self.overwrite_data,
            allow_crds: self.allow_crds,
            allow_beyond_project: self.allow_beyond_project,
            allow: Allow {
                devices: self.allow_devices,
                ..Allow::default()
            },
            existing: match self.existing {
                WhatExists::Fail => Existing::Fail,
                WhatExists::Skip => Existing::Skip,
                WhatExists::Apply => Existing::Apply,
            },
            ..ImportOptions::default()
        };
        if let Some(seconds) = self.patience_seconds {
            import.set_patience(Duration::from_secs(seconds));
        }
        Ok(MigrateOptions {
            policy: self.policy,
            export,
            import,
            with_data: self.with_data,
            keep_chart: None,
        })
    }
}

/// The one place where a secret is written: into the body of a request to the service.
fn exposed<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(|secret| secret.expose_secret())
        .serialize(serializer)
}

/// A secret that is an object: it stands in the body as one, and not as text within text.
fn exposed_object<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = secret.as_ref().map(|secret| secret.expose_secret());
    let object: Option<Value> = text
        .map(serde_json::from_str)
        .transpose()
        .map_err(|_| serde::ser::Error::custom("the credentials for registries are no object"))?;
    object.serialize(serializer)
}

fn secret_object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let object = Option::<Map<String, Value>>::deserialize(deserializer)
        // What was there instead may be a secret.
        .map_err(|_| {
            serde::de::Error::custom("`registryAuth` is an object, as in Docker's config.json")
        })?;
    Ok(object.map(|object| SecretString::from(Value::Object(object).to_string())))
}

fn policy_to_text<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(policy)
}

fn policy_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back() {
        let text = r#"{"source": {"base": "h:1", "project": "shop", "username": "dev", "password": "hunter2"},
            "target": {"context": "prod", "project": "shop"}, "policy": "ping-pong", "existing": "apply"}"#;
        let request: MigrationRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.policy, Policy::PingPong);
        assert!(!format!("{request:?}").contains("hunter2"));
        let again = serde_json::to_string(&request).unwrap();
        let again: MigrationRequest = serde_json::from_str(&again).unwrap();
        assert_eq!(again.source.password.unwrap().expose_secret(), "hunter2");
        assert_eq!(again.existing, WhatExists::Apply);
    }

    #[test]
    fn credentials_for_registries_are_read_and_not_shown() {
        let text = r#"{"source": {"base": "h:1", "project": "shop"}, "target": {"context": "prod", "project": "shop"},
            "policy": "copy", "sourceRegistryToken": "hunter1", "targetRegistryToken": "hunter2",
            "registryAuth": {"auths": {"quay.io": {"auth": "hunter3"}}}}"#;
        let request: MigrationRequest = serde_json::from_str(text).unwrap();
        assert!(!format!("{request:?}").contains("hunter"));
        let again = serde_json::to_string(&request).unwrap();
        let again: MigrationRequest = serde_json::from_str(&again).unwrap();
        let options = again.options(None).unwrap();
        assert!(!format!("{options:?}").contains("hunter"));
        let of =
            |secret: &Option<SecretString>| secret.as_ref().unwrap().expose_secret().to_owned();
        assert_eq!(of(&options.export.images.token), "hunter1");
        assert_eq!(of(&options.import.images.token), "hunter2");
        assert_eq!(
            of(&options.export.images.auth_file),
            r#"{"auths":{"quay.io":{"auth":"hunter3"}}}"#
        );
        let wrong = text.replace(
            r#"{"auths": {"quay.io": {"auth": "hunter3"}}}"#,
            r#""hunter3""#,
        );
        let error = serde_json::from_str::<MigrationRequest>(&wrong).unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
    }

    #[test]
    fn choices_for_images_are_the_exports() {
        let end = || EndpointSpec::default();
        let mut request = MigrationRequest::new(end(), end(), Policy::Copy);
        request.images = vec!["copy shop/*".to_owned()];
        request.source_registry = Some("registry.dev.test".to_owned());
        request.target_registry = Some("registry.prod.test".to_owned());
        let options = request.options(None).unwrap();
        let (from, to) = (options.export.images, options.import.images);
        assert_eq!(from.choices.texts(), ["copy shop/*"]);
        assert_eq!(from.registry.as_deref(), Some("registry.dev.test"));
        assert!(to.choices.is_empty());
        assert_eq!(to.registry.as_deref(), Some("registry.prod.test"));
        request.platforms = vec!["linux".to_owned()];
        let error = request.options(None).unwrap_err();
        assert!(matches!(error, RequestError::Request(text) if text.starts_with("platforms: ")));
        request.platforms = vec!["linux/s390x".to_owned(), "linux/arm64/v8".to_owned()];
        assert!(matches!(
            request.options(None).unwrap().export.images.platforms,
            ImagePlatforms::FirstOf(platforms) if platforms.len() == 2
        ));
        request.images = vec!["keep".to_owned()];
        let error = request.options(None).unwrap_err();
        assert!(matches!(error, RequestError::Request(text) if text.starts_with("images: ")));
    }

    #[test]
    fn what_needs_leave_is_refused_unless_it_is_given() {
        let end = || EndpointSpec::default();
        let mut request = MigrationRequest::new(end(), end(), Policy::Copy);
        let import = request.options(None).unwrap().import;
        assert!(!import.allow_crds && !import.allow_beyond_project);
        assert_eq!(import.allow, Allow::default());
        request.allow_beyond_project = true;
        request.allow_devices = true;
        let import = request.options(None).unwrap().import;
        assert!(import.allow_beyond_project && import.allow.devices && !import.allow_crds);
    }

    #[tokio::test]
    async fn an_end_needs_a_cluster_and_credentials() {
        let mut lines = Vec::new();
        for text in [
            r#"{"project": "p"}"#,
            r#"{"project": "p", "base": "h:1"}"#,
            r#"{"project": "p", "base": "h:1", "context": "c"}"#,
            r#"{"project": "p", "base": "h:1", "username": "u"}"#,
            r#"{"project": "p", "base": "ftp://h", "token": "t"}"#,
        ] {
            let spec: EndpointSpec = serde_json::from_str(text).unwrap();
            let error = spec.access(None, |_| Trust::default()).await.unwrap_err();
            lines.push(error.to_string());
        }
        insta::assert_snapshot!(lines.join("\n"), @r"
        a cluster is given by `base` and credentials, or by `context`
        give `username` and `password`, or `token`
        give either `base` or `context` of a cluster, not both
        give `username` and `password`, or `token`
        `ftp://h` is no address of a cluster: its scheme is not https
        ");
    }
}
