//! Whether a build is needed, by what the newest one was made of.

use openshifter_objects::{Object, places};

use super::{PlannedBuild, PlannedObject, Prepared};
use crate::apply::Action;
use crate::build::{SOURCE, fingerprint, is_over, phase};
use crate::repository::newest_commit;
use crate::{DeployError, SourceTree, Target, TargetKind};

impl Prepared {
    /// Whether a build is needed, by what the newest one was made of.
    pub(super) async fn plan_build(
        &self,
        objects: &[PlannedObject],
    ) -> Result<(Option<SourceTree>, PlannedBuild), DeployError> {
        let planned = objects
            .iter()
            .find(|planned| planned.step.object.kind() == "BuildConfig")
            .ok_or_else(|| DeployError::NotDeployable {
                path: self.dir.clone(),
                why: "nothing says how it is built".to_owned(),
                hint: "convert it again".to_owned(),
            })?;
        let config = &planned.step.object;
        let uploads = config.value()["spec"]["source"]["binary"].is_object()
            || config.value()["spec"]["source"]["type"] == "Binary";
        let source = if uploads {
            let folder = self.dir.clone();
            let read = tokio::task::spawn_blocking(move || SourceTree::of_build(&folder));
            let tree = read
                .await
                .map_err(|error| DeployError::Task(error.to_string()))??;
            Some(tree)
        } else {
            None
        };
        let build = match &source {
            Some(tree) => PlannedBuild::Build {
                files: tree.files(),
                bytes: tree.bytes(),
            },
            None if planned.action == Action::Create && builds_itself(config.value()) => {
                return Ok((source, PlannedBuild::ByItself));
            }
            None => PlannedBuild::Configured,
        };
        if self.options.rebuild || is_built_anew(&planned.action) {
            return Ok((source, build));
        }
        let builds = self.project.builds_of(config.name()).await?;
        let newest = builds.first();
        let same = match &source {
            Some(tree) => {
                let target = Target::new(TargetKind::BuildConfig, config.name());
                let live = self.project.get(&target).await?;
                let fingerprint = fingerprint(tree, &live).await?;
                newest.filter(|build| build.annotation(SOURCE) == Some(&fingerprint))
            }
            None => self.of_newest_commit(config, newest).await,
        };
        let build = match same {
            Some(same) if !is_over(same) => PlannedBuild::Join {
                build: same.name().to_owned(),
            },
            Some(same) if phase(same) == "Complete" => PlannedBuild::Unchanged {
                build: same.name().to_owned(),
            },
            _ => build,
        };
        Ok((source, build))
    }

    /// The newest build, if it is of what the repository holds by now. One that has just begun does not know yet what it is of.
    async fn of_newest_commit<'a>(
        &self,
        config: &Object,
        newest: Option<&'a Object>,
    ) -> Option<&'a Object> {
        let newest = newest?;
        let of = newest.value()["spec"]["revision"]["git"]["commit"].as_str();
        if of.is_none() && !is_over(newest) {
            return Some(newest);
        }
        let now = newest_commit(config.value()).await?;
        (of == Some(now.as_str())).then_some(newest)
    }
}

/// Whether a BuildConfig is not yet there, or builds another way from now on.
fn is_built_anew(config: &Action) -> bool {
    match config {
        Action::Create => true,
        Action::Change { fields } => fields.iter().any(|field| field.starts_with("/spec/")),
        Action::Unchanged | Action::Keep => false,
    }
}

/// Whether a BuildConfig starts its first build when it is made.
fn builds_itself(config: &serde_json::Value) -> bool {
    places(config, "/spec/triggers/*/type")
        .into_iter()
        .any(|(_, kind)| kind == "ConfigChange")
}
