//! What a deployment is to do: the plan that a dry run shows is the one that is carried out.

mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use openshifter_objects::{GroupKind, Object, places};
use openshifter_v2::manifests::{InputValue, ManifestOptions, Manifests, Stage, Values, manifests};
use openshifter_v2::{Limits, Needs, Tree, V2Error};
use secrecy::SecretString;
use serde::Serialize;

use crate::apply::{Action, Step};
use crate::setup::{AdminSource, key};
use crate::{DeployError, Project, SourceTree, Target, TargetKind};

/// The input that is known once the Route is there.
pub(crate) const HOST: &str = "HOST";

/// What a person decides about a deployment.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// About the objects.
    pub manifests: ManifestOptions,
    /// Values that the application needs, and that were given.
    pub values: Values,
    /// The first administrator.
    pub admin: Option<AdminSource>,
    /// Whether the setup hook is left out.
    pub skip_setup: bool,
    /// Whether a build is started although the source is that of the newest one.
    pub rebuild: bool,
    /// How long the build may take, and how long the roll-out.
    pub within: Duration,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            manifests: ManifestOptions::default(),
            values: Values::new(),
            admin: None,
            skip_setup: false,
            rebuild: false,
            within: Duration::from_secs(1800),
        }
    }
}

/// A value that nobody gave yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValue {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether it must not be shown.
    pub secret: bool,
}

/// What is known before a plan is made: what is still to be asked for.
#[derive(Debug)]
pub struct Prepared {
    project: Project,
    dir: PathBuf,
    options: DeployOptions,
    needs: Needs,
    manifests: Manifests,
    exists: bool,
    holder: Option<Object>,
    set_up: bool,
}

/// An object of the plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedObject {
    /// As in `Deployment.apps/web`.
    pub object: String,
    /// What becomes of it.
    #[serde(flatten)]
    pub action: Action,
    #[serde(skip)]
    pub(crate) stage: Stage,
    #[serde(skip)]
    pub(crate) step: Step,
}

/// What becomes of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum PlannedBuild {
    /// A build is started with the folder as its source.
    Build {
        /// Files that are uploaded.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A build is started of what its configuration names.
    Configured,
    /// The configuration is made, and starts a build of what it names by itself.
    ByItself,
    /// A build of this very source is under way.
    Join {
        /// Its name.
        build: String,
    },
    /// The newest build was made of this very source.
    Unchanged {
        /// Its name.
        build: String,
    },
}

/// What becomes of the first administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedSetup {
    /// The application has no setup hook.
    None,
    /// It was done for this data.
    Done,
    /// It is run once the application is up.
    Run,
    /// It is left out, as was asked for.
    Skipped,
}

/// What a deployment is to do.
#[derive(Debug, Serialize)]
pub struct DeployPlan {
    /// The cluster.
    pub cluster: String,
    /// The project.
    pub namespace: String,
    /// Whether the project is made.
    pub creates_project: bool,
    /// The application's name.
    pub name: String,
    /// The objects, in the order in which they are made.
    pub objects: Vec<PlannedObject>,
    /// The build.
    pub build: PlannedBuild,
    /// The setup hook.
    pub setup: PlannedSetup,
    /// What is asked to find out whether it answers.
    pub health: String,
    /// What a person has to know.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(crate) inner: Inner,
}

/// What carrying it out needs besides.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: DeployOptions,
    pub(crate) needs: Needs,
    pub(crate) manifests: Manifests,
    /// Whether a value has to be filled in that the Route decides.
    pub(crate) host_is_missing: bool,
    pub(crate) source: Option<SourceTree>,
    /// What holds the data that the setup is for.
    pub(crate) holder: Option<Object>,
}

fn object_of(value: &serde_json::Value) -> Result<Object, DeployError> {
    Object::from_value(value.clone()).map_err(|error| DeployError::Task(error.to_string()))
}

impl Project {
    /// Reads a converted tree, and says what is still to be asked for. Changes nothing.
    ///
    /// # Errors
    /// When the tree is not converted, or the cluster cannot be asked.
    pub async fn prepare_deploy(
        &self,
        dir: &Path,
        options: DeployOptions,
    ) -> Result<Prepared, DeployError> {
        let folder = dir.to_owned();
        let needs = tokio::task::spawn_blocking(move || -> Result<Needs, V2Error> {
            let tree = Tree::load(&folder, &Limits::default())?;
            Needs::recorded(&tree).ok_or(V2Error::NotConverted { path: folder })
        })
        .await
        .map_err(|error| DeployError::Task(error.to_string()))??;
        let made = manifests(&needs, &options.manifests)?;
        let exists = match self.cluster.namespace_exists(&self.namespace).await {
            Ok(exists) => exists,
            // Who may not know may still work in it.
            Err(error) if error.is_forbidden() => true,
            Err(error) => return Err(error.into()),
        };
        let holder =
            made.objects
                .iter()
                .find(|manifest| manifest.kind() == "PersistentVolumeClaim")
                .or_else(|| {
                    made.objects.iter().rev().find(|manifest| {
                        matches!(manifest.kind(), "Deployment" | "DeploymentConfig")
                    })
                })
                .map(|manifest| object_of(&manifest.object))
                .transpose()?;
        let set_up = match &holder {
            Some(holder) if exists => self.was_set_up(holder).await?,
            _ => false,
        };
        let mut prepared = Prepared {
            project: self.clone(),
            dir: dir.to_owned(),
            options,
            needs,
            manifests: made,
            exists,
            holder,
            set_up,
        };
        prepared.read_secrets().await?;
        Ok(prepared)
    }
}

impl Prepared {
    /// Takes values of Secrets that are there: they are never made up anew.
    async fn read_secrets(&mut self) -> Result<(), DeployError> {
        if !self.exists {
            return Ok(());
        }
        let mut live: Vec<Option<Option<Object>>> = vec![None; self.manifests.objects.len()];
        for input in &self.manifests.inputs {
            if self.options.values.has(&input.name) {
                continue;
            }
            for place in &input.places {
                let Some(manifest) = self.manifests.objects.get(place.object) else {
                    continue;
                };
                if !matches!(manifest.kind(), "Secret" | "ConfigMap") {
                    continue;
                }
                let slot = &mut live[place.object];
                if slot.is_none() {
                    let found = self
                        .project
                        .cluster
                        .get(
                            &GroupKind::new("", manifest.kind()),
                            Some(&self.project.namespace),
                            manifest.name(),
                        )
                        .await?;
                    *slot = Some(found);
                }
                let Some(Some(found)) = slot else { continue };
                let name = place.pointer.rsplit('/').next().unwrap_or_default();
                let name = name.replace("~1", "/").replace("~0", "~");
                let value = match manifest.kind() {
                    "Secret" => key(found, &name),
                    _ => found.value()["data"][&name]
                        .as_str()
                        .map(SecretString::from),
                };
                if let Some(value) = value {
                    self.options.values.set(input.name.clone(), value);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Values without which the application would wait for ever.
    pub fn missing(&self) -> Vec<MissingValue> {
        self.manifests
            .missing(&self.options.values)
            .into_iter()
            .filter(|input| input.value == InputValue::Required && input.name != HOST)
            .map(|input| MissingValue {
                name: input.name.clone(),
                description: input.description.clone(),
                secret: input.secret,
            })
            .collect()
    }

    /// Gives one.
    pub fn set(&mut self, name: &str, value: SecretString) {
        self.options.values.set(name, value);
    }

    /// Whether the setup hook is to be run, and nobody said who the first administrator is.
    pub fn needs_admin(&self) -> bool {
        self.setup() == PlannedSetup::Run && self.options.admin.is_none()
    }

    /// Says who it is.
    pub fn set_admin(&mut self, admin: AdminSource) {
        self.options.admin = Some(admin);
    }

    fn setup(&self) -> PlannedSetup {
        if !self.needs.hooks.iter().any(|hook| hook == "setup") {
            PlannedSetup::None
        } else if self.set_up {
            PlannedSetup::Done
        } else if self.options.skip_setup {
            PlannedSetup::Skipped
        } else {
            PlannedSetup::Run
        }
    }

    /// Looks at the cluster and the source, and says what is to be done. Changes nothing.
    ///
    /// # Errors
    /// When values are missing, the builder image or a kind is not there, or something cannot be read.
    pub async fn plan(mut self) -> Result<DeployPlan, DeployError> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(DeployError::MissingValues {
                names: missing.into_iter().map(|value| value.name).collect(),
            });
        }
        let setup = self.setup();
        if setup == PlannedSetup::Run
            && let Some(AdminSource::Secret(_)) = &self.options.admin
            && let (true, Some(admin)) = (self.exists, &self.options.admin)
        {
            // What is wrong with it is better known before the build.
            self.project.admin(admin).await?;
        }
        let manifests = &self.manifests;
        std::fs::File::open("/dev/urandom")
            .and_then(|mut random| manifests.generate(&mut self.options.values, &mut random))
            .map_err(|source| DeployError::Read {
                path: "/dev/urandom".into(),
                source,
            })?;
        self.check_builder().await?;
        let host_is_missing = manifests
            .missing(&self.options.values)
            .iter()
            .any(|input| input.name == HOST);
        let filled = manifests.filled(&self.options.values)?;
        let mut objects = Vec::with_capacity(filled.len());
        for manifest in &filled {
            let wanted = object_of(&manifest.object)?;
            let step = self.project.look(&wanted, self.exists).await?;
            objects.push(PlannedObject {
                object: wanted.key().to_string(),
                action: step.action.clone(),
                stage: manifest.stage,
                step,
            });
        }
        let (source, build) = self.plan_build(&objects).await?;
        // What they say to type is done here.
        let mut notes: Vec<String> = manifests
            .notes
            .iter()
            .filter(|note| !note.contains("`oc "))
            .cloned()
            .collect();
        if let Some(source) = &source {
            for path in source.left_out() {
                notes.push(format!(
                    "{} is neither a file nor a folder nor a link, and is not uploaded",
                    path.display()
                ));
            }
        }
        Ok(DeployPlan {
            cluster: self.project.cluster.name().to_owned(),
            namespace: self.project.namespace.clone(),
            creates_project: !self.exists,
            name: manifests.name.clone(),
            objects,
            build,
            setup,
            health: self.needs.health.path.clone(),
            notes,
            inner: Inner {
                options: self.options,
                needs: self.needs,
                host_is_missing,
                source,
                holder: self.holder,
                manifests: self.manifests,
            },
        })
    }

    /// The builder image has to be there: else the upload would be for nothing.
    async fn check_builder(&self) -> Result<(), DeployError> {
        let cluster = &self.project.cluster;
        let config = self
            .manifests
            .objects
            .iter()
            .find(|manifest| manifest.kind() == "BuildConfig");
        let Some(from) = config
            .map(|config| &config.object["spec"]["strategy"]["sourceStrategy"]["from"])
            .filter(|from| from["kind"] == "ImageStreamTag")
        else {
            return Ok(());
        };
        let name = from["name"].as_str().unwrap_or_default();
        let namespace = from["namespace"]
            .as_str()
            .unwrap_or(&self.project.namespace);
        let (stream, tag) = name.split_once(':').unwrap_or((name, "latest"));
        let kind = GroupKind::new("image.openshift.io", "ImageStream");
        let found = match cluster.get(&kind, Some(namespace), stream).await {
            Ok(found) => found,
            // Who may not look may still build.
            Err(error) if error.is_forbidden() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let missing = |why: String, hint: String| {
            Err(DeployError::NotDeployable {
                path: self.dir.clone(),
                why,
                hint,
            })
        };
        let Some(found) = found else {
            return missing(
                format!(
                    "{} has no builder image: there is no image stream {stream} in {namespace}",
                    cluster.name()
                ),
                "name one with --builder TAG and --builder-namespace PROJECT".to_owned(),
            );
        };
        let mut tags: Vec<&str> = ["/spec/tags/*/name", "/status/tags/*/tag"]
            .iter()
            .flat_map(|pattern| places(found.value(), pattern))
            .filter_map(|(_, tag)| tag.as_str())
            .collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.contains(&tag) {
            return Ok(());
        }
        let known: Vec<String> = tags.iter().map(|tag| format!("{stream}:{tag}")).collect();
        missing(
            format!("{} has no builder image {name}", cluster.name()),
            format!(
                "it has {}: name one with --builder, or convert for its version with `openshifter v2 convert --python`",
                known.join(", ")
            ),
        )
    }
}

impl DeployPlan {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        !self.creates_project
            && self
                .objects
                .iter()
                .all(|object| matches!(object.action, Action::Unchanged | Action::Keep))
            && matches!(self.build, PlannedBuild::Unchanged { .. })
            && self.setup != PlannedSetup::Run
    }

    /// The workloads of some stages, whose pods are waited for.
    pub(crate) fn workloads(&self, stages: &[Stage]) -> Vec<Target> {
        self.objects
            .iter()
            .filter(|planned| stages.contains(&planned.stage))
            .filter_map(|planned| {
                let kind = match planned.step.object.kind() {
                    "Deployment" => TargetKind::Deployment,
                    "DeploymentConfig" => TargetKind::DeploymentConfig,
                    "StatefulSet" => TargetKind::StatefulSet,
                    _ => return None,
                };
                Some(Target::new(kind, planned.step.object.name()))
            })
            .collect()
    }

    /// The application's own workload: what `logs`, `rsh` and `scale` are called with.
    pub fn workload(&self) -> Option<Target> {
        self.workloads(&[Stage::Application])
            .into_iter()
            .find(|target| target.name == self.name)
    }

    /// The plan in words, a line per step.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} to {}, project {}{}",
            self.name,
            self.cluster,
            self.namespace,
            if self.creates_project {
                ", which is made"
            } else {
                ""
            }
        )];
        for planned in &self.objects {
            lines.push(match &planned.action {
                Action::Create => format!("  create     {}", planned.object),
                Action::Change { fields } => {
                    format!("  change     {} ({})", planned.object, fields.join(", "))
                }
                Action::Unchanged => format!("  unchanged  {}", planned.object),
                Action::Keep => format!("  keep       {}", planned.object),
            });
        }
        lines.push(match &self.build {
            PlannedBuild::Build { files, bytes } => {
                format!("  build      upload {files} files, {bytes} bytes, and follow the build")
            }
            PlannedBuild::Configured => {
                "  build      from its repository, and follow the build".to_owned()
            }
            PlannedBuild::ByItself => {
                "  build      begins by itself, from its repository: follow it".to_owned()
            }
            PlannedBuild::Join { build } => {
                format!("  build      {build} of this source is under way: follow it")
            }
            PlannedBuild::Unchanged { build } => {
                format!("  build      not needed: {build} was made of this source")
            }
        });
        lines.push("  roll out   wait until the pods are available".to_owned());
        match self.setup {
            PlannedSetup::None => {}
            PlannedSetup::Run => lines.push("  setup      make the first administrator".to_owned()),
            PlannedSetup::Done => lines.push("  setup      was done".to_owned()),
            PlannedSetup::Skipped => lines.push("  setup      left out".to_owned()),
        }
        lines.push(format!("  health     ask for {}", self.health));
        for note in &self.notes {
            lines.push(format!("note: {note}"));
        }
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}
