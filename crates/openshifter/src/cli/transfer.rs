//! How an application is read from its source and written to its target.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use openshifter_cluster::SecretString;
use openshifter_migrate::{
    ExportOptions, ImageChoices, ImageOptions, ImagePlatform, ImagePlatforms, ImportOptions,
};
use openshifter_objects::Selector;
use serde_json::Value;

use crate::cli::parse::{duration, pair};
use crate::connect::{given_text, secret};
use crate::exit::Usage;

/// A part of a project.
#[derive(Debug, Args)]
pub(crate) struct Only {
    /// Only objects with these labels, and what they need
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub(crate) selector: Option<Selector>,
}

/// How the source is read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) only: Only,
    /// Leave this claim's data out; may be given more than once
    #[arg(long, value_name = "CLAIM")]
    pub(crate) skip_volume: Vec<String>,
    /// Host of a route at the target; may be given more than once
    #[arg(long, value_name = "ROUTE=HOST", value_parser = pair)]
    pub(crate) route_host: Vec<(String, String)>,
    /// Storage class at the target, `*` for all; may be given more than once
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    pub(crate) storage_class: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) registries: FromRegistries,
    /// Of an image that is made for several platforms, copy this one's only (`linux/amd64`, `linux/arm64/v8`); may be
    /// given more than once, the first that there is holds [default: all]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<ImagePlatform>,
}

/// How the registries are reached that the images come from.
#[derive(Debug, Args)]
pub(crate) struct FromRegistries {
    /// Address of the image registry of the source's cluster, where it cannot be found by itself
    #[arg(long, value_name = "HOST")]
    pub(crate) from_registry: Option<String>,
    /// File with a token for that registry, as of a service account that may only pull, `-` for stdin
    /// [env: OPENSHIFTER_FROM_REGISTRY_TOKEN; default: the cluster's own]
    #[arg(long, value_name = "FILE")]
    from_registry_token_file: Option<PathBuf>,
    #[command(flatten)]
    others: OtherRegistries,
}

/// Who we are to registries outside of the clusters.
#[derive(Debug, Args)]
pub(crate) struct OtherRegistries {
    /// File with credentials for registries outside of the cluster, in the form of Docker's config.json
    /// [default: the project's pull secrets]
    #[arg(long, value_name = "FILE")]
    registry_auth_file: Option<PathBuf>,
}

impl FromRegistries {
    /// The token for the registry of the source's cluster.
    pub(crate) fn token(&self) -> Result<Option<SecretString>> {
        secret(
            self.from_registry_token_file.as_ref(),
            "OPENSHIFTER_FROM_REGISTRY_TOKEN",
        )
    }

    /// Credentials for other registries.
    pub(crate) fn auth_file(&self) -> Result<Option<SecretString>> {
        self.others.auth_file()
    }
}

impl OtherRegistries {
    /// Credentials for other registries.
    pub(crate) fn auth_file(&self) -> Result<Option<SecretString>> {
        let path = self.registry_auth_file.as_ref();
        path.map(|path| given_text(path).map(SecretString::from))
            .transpose()
    }
}

/// Who we are to the registry that the images go to.
#[derive(Debug, Args)]
pub(crate) struct ToRegistry {
    /// File with a token for the image registry of the target's cluster, as of a service account that may only push, `-`
    /// for stdin [env: OPENSHIFTER_TO_REGISTRY_TOKEN; default: the cluster's own]
    #[arg(long, value_name = "FILE")]
    to_registry_token_file: Option<PathBuf>,
}

impl ToRegistry {
    /// The token for the registry of the target's cluster.
    pub(crate) fn token(&self) -> Result<Option<SecretString>> {
        secret(
            self.to_registry_token_file.as_ref(),
            "OPENSHIFTER_TO_REGISTRY_TOKEN",
        )
    }
}

/// What becomes of the images.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// What becomes of images: `copy`, `rebuild` or `external`, for all or followed by a name or pattern
    /// (`copy:shop/*`), or `map:OLD=NEW`; may be given more than once, the last that fits holds
    #[arg(long, value_name = "CHOICE", value_parser = image_choice)]
    pub(crate) images: Vec<String>,
    /// Registry that may speak plain http, or show any certificate; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
}

impl Images {
    /// What is done at the end whose cluster has its registry there, where an address was given.
    fn options(&self, choices: bool, registry: Option<&String>) -> Result<ImageOptions> {
        let chosen: &[String] = if choices { &self.images } else { &[] };
        Ok(ImageOptions {
            choices: ImageChoices::parse(chosen)?,
            registry: registry.cloned(),
            insecure: self.insecure_registry.iter().cloned().collect(),
            ..ImageOptions::default()
        })
    }
}

/// One `--images`, as it was given.
fn image_choice(text: &str) -> Result<String, String> {
    ImageChoices::parse([text])
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// Image of helper pods.
#[derive(Debug, Args)]
pub(crate) struct Helper {
    /// Image with sh, sleep and tar for the pods that reach volumes which no running container reaches
    #[arg(long, value_name = "IMAGE")]
    pub(crate) helper_image: Option<String>,
}

/// How the target is written.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    /// File with values over the chart's own, `-` for standard input; may be given more than once
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value over the chart's own, as in helm, but for secrets; may be given more than once
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// What happens to objects that exist at the target
    #[arg(long, value_enum, default_value_t = Existing::Fail, value_name = "WHAT")]
    pub(crate) existing: Existing,
    /// Replace the data of claims that hold other data; a backup of it is kept
    #[arg(long)]
    pub(crate) overwrite_data: bool,
    /// Allow what reaches beyond the project
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) allow: Vec<Allow>,
    /// Address of the image registry of the target's cluster, where it cannot be found by itself; where the target is no
    /// OpenShift, the registry that copied images are pushed to, and the path there [default path: the project]
    #[arg(long, value_name = "HOST[/PATH]")]
    pub(crate) to_registry: Option<String>,
    #[command(flatten)]
    pub(crate) to_registry_as: ToRegistry,
    /// How long the application may take to be ready; each build of its images has half an hour, or this if it is longer
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Existing {
    /// Refuse the import
    Fail,
    /// Leave them as they are
    Skip,
    /// Make them what the chart says
    Apply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allow {
    /// Custom resource definitions of the chart
    Crds,
    /// Symbolic links in volumes that point out of the volume
    Links,
    /// Device nodes in volumes
    Devices,
    /// Privileged pods, grants of security context constraints and the like
    BeyondProject,
}

impl Reading {
    /// What an export is to do.
    pub(crate) fn options(
        &self,
        quiesce: bool,
        helper: &Helper,
        images: &Images,
    ) -> Result<ExportOptions> {
        Ok(ExportOptions {
            selector: self.only.selector.clone(),
            quiesce,
            skip_volumes: self.skip_volume.iter().cloned().collect(),
            helper_image: helper.helper_image.clone(),
            images: ImageOptions {
                platforms: match self.platform.as_slice() {
                    [] => ImagePlatforms::All,
                    platforms => ImagePlatforms::FirstOf(platforms.to_vec()),
                },
                token: self.registries.token()?,
                auth_file: self.registries.auth_file()?,
                ..images.options(true, self.registries.from_registry.as_ref())?
            },
            choices: self.choices(),
            ..ExportOptions::default()
        })
    }

    /// The choices for refactoring.
    fn choices(&self) -> openshifter_refactor::Choices {
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
        openshifter_refactor::Choices {
            route_hosts: map(&self.route_host),
            storage_classes: map(&self.storage_class),
            ..openshifter_refactor::Choices::default()
        }
    }
}

impl Writing {
    /// What an import is to do. In a migration the choices for images are the export's.
    pub(crate) fn options(
        &self,
        helper: &Helper,
        images: &Images,
        migrates: bool,
    ) -> Result<ImportOptions> {
        let mut options = ImportOptions {
            values: self.overrides()?,
            existing: self.existing.into(),
            overwrite_data: self.overwrite_data,
            helper_image: helper.helper_image.clone(),
            allow_crds: self.allow.contains(&Allow::Crds),
            allow_beyond_project: self.allow.contains(&Allow::BeyondProject),
            allow: in_volumes(&self.allow),
            images: ImageOptions {
                token: self.to_registry_as.token()?,
                ..images.options(!migrates, self.to_registry.as_ref())?
            },
            ..ImportOptions::default()
        };
        options.set_patience(self.timeout);
        Ok(options)
    }

    /// What is put over the chart's own values.
    fn overrides(&self) -> Result<Value> {
        let mut values = Value::Null;
        for path in &self.values {
            let text = given_text(path)?;
            let more: Value = openshifter_chart::from_yaml(&text)
                .with_context(|| format!("reading {}", path.display()))?;
            merge(&mut values, more);
        }
        for text in &self.set {
            if text.starts_with("secrets.") {
                let (path, _) = text.split_once('=').unwrap_or((text, ""));
                return Err(Usage(format!(
                    "{path} is secret, and everybody on this machine sees arguments: put it in a file for --values, or give it there on standard input (`-`)"
                ))
                .into());
            }
            openshifter_migrate::set_value(&mut values, text)?;
        }
        Ok(values)
    }
}

/// What of a volume's content is let in.
pub(crate) fn in_volumes(allow: &[Allow]) -> openshifter_migrate::Allow {
    openshifter_migrate::Allow {
        escaping_links: allow.contains(&Allow::Links),
        devices: allow.contains(&Allow::Devices),
    }
}

impl From<Existing> for openshifter_migrate::Existing {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Fail => Self::Fail,
            Existing::Skip => Self::Skip,
            Existing::Apply => Self::Apply,
        }
    }
}

/// Puts one values file over another, as helm does.
fn merge(into: &mut Value, over: Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (place, value) => *place = value,
    }
}
