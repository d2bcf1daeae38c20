//! Carries a plan out: may be stopped at any time, and run again.

use std::time::Duration;

use openshifter_cluster::NamespaceState;
use openshifter_objects::{GroupKind, Object};
use openshifter_v2::manifests::Stage;
use secrecy::SecretString;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::apply::Action;
use crate::build::{PAUSE, build_kind};
use crate::expose::address;
use crate::plan::{DeployPlan, HOST, PlannedBuild, PlannedSetup};
use crate::{BuildSource, DeployError, Progress, Project, Silent};

/// How long a router may take to admit a route.
const ADMISSION: Duration = Duration::from_secs(120);

/// How long an application whose pods are ready may take to answer.
const HEALTH: Duration = Duration::from_secs(120);

/// How long a BuildConfig may take to start its first build by itself.
const FIRST_BUILD: Duration = Duration::from_secs(30);

/// What became of an object.
#[derive(Debug, Clone, Serialize)]
pub struct DeployedObject {
    /// As in `Deployment.apps/web`.
    pub object: String,
    /// What was done.
    #[serde(flatten)]
    pub action: Action,
}

/// What became of the setup hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetupOutcome {
    /// The application has none.
    None,
    /// It was not reached.
    Pending,
    /// It was run now.
    Run,
    /// It was done before.
    Done,
    /// The administrator was there already.
    Existed,
    /// It was left out, as was asked for.
    Skipped,
}

/// What a deployment did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployReport {
    /// The cluster.
    pub cluster: String,
    /// The project.
    pub namespace: String,
    /// The application.
    pub name: String,
    /// Whether the project was made.
    pub project_created: bool,
    /// Objects that were looked after, in order.
    pub objects: Vec<DeployedObject>,
    /// The build whose image runs.
    pub build: Option<String>,
    /// Whether it was started now.
    pub built: bool,
    /// The digest of its image.
    pub image: Option<String>,
    /// Whether a roll-out was begun because the last one had failed.
    pub rolled_out_again: bool,
    /// The setup hook.
    pub setup: SetupOutcome,
    /// The status that the application answers with.
    pub health: Option<u16>,
    /// Where it is.
    pub address: Option<String>,
    /// Whether all of it was done.
    pub complete: bool,
    /// What a person has to know.
    pub notes: Vec<String>,
}

/// A deployment that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// Why.
    #[source]
    pub error: DeployError,
    /// What was done until then.
    pub report: DeployReport,
}

impl DeployReport {
    fn new(plan: &DeployPlan) -> Self {
        Self {
            cluster: plan.cluster.clone(),
            namespace: plan.namespace.clone(),
            name: plan.name.clone(),
            project_created: false,
            objects: Vec::new(),
            build: None,
            built: false,
            image: None,
            rolled_out_again: false,
            setup: match plan.setup {
                PlannedSetup::None => SetupOutcome::None,
                PlannedSetup::Done => SetupOutcome::Done,
                PlannedSetup::Run => SetupOutcome::Pending,
                PlannedSetup::Skipped => SetupOutcome::Skipped,
            },
            health: None,
            address: None,
            complete: false,
            notes: plan.notes.clone(),
        }
    }

    /// Whether the cluster is another than before.
    pub fn changed(&self) -> bool {
        self.project_created
            || self.built
            || self.rolled_out_again
            || self.setup == SetupOutcome::Run
            || self
                .objects
                .iter()
                .any(|object| matches!(object.action, Action::Create | Action::Change { .. }))
    }

    /// The report in words.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let count = |wanted: fn(&Action) -> bool| {
            self.objects
                .iter()
                .filter(|object| wanted(&object.action))
                .count()
        };
        lines.push(format!(
            "{} in project {} of {}: {} objects made, {} changed, {} as they were",
            self.name,
            self.namespace,
            self.cluster,
            count(|action| *action == Action::Create),
            count(|action| matches!(action, Action::Change { .. })),
            count(|action| matches!(action, Action::Unchanged | Action::Keep)),
        ));
        if let Some(build) = &self.build {
            lines.push(if self.built {
                format!("built by {build}")
            } else {
                format!("not built again: {build} was made of this source")
            });
        }
        lines.push(
            match self.setup {
                SetupOutcome::None => "no setup hook",
                SetupOutcome::Pending => "the first administrator was not made",
                SetupOutcome::Run => "the first administrator was made",
                SetupOutcome::Done => "the first administrator was made before",
                SetupOutcome::Existed => "the first administrator was there already",
                SetupOutcome::Skipped => "the first administrator was left out",
            }
            .to_owned(),
        );
        if let Some(health) = self.health {
            lines.push(format!("it answers ({health})"));
        }
        for note in &self.notes {
            lines.push(format!("note: {note}"));
        }
        if let Some(address) = &self.address {
            lines.push(address.clone());
        }
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

impl Project {
    /// Carries a plan out.
    ///
    /// # Errors
    /// With what was done until then. Running the same again goes on from there.
    pub async fn deploy(
        &self,
        plan: DeployPlan,
        progress: &dyn Progress,
    ) -> Result<DeployReport, Box<Failed>> {
        let mut report = DeployReport::new(&plan);
        match self.deploying(plan, &mut report, progress).await {
            Ok(()) => {
                report.complete = report.setup != SetupOutcome::Pending;
                Ok(report)
            }
            Err(error) => Err(Box::new(Failed { error, report })),
        }
    }

    async fn deploying(
        &self,
        mut plan: DeployPlan,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        if plan.creates_project {
            progress.stage(&format!("making project {}", self.namespace));
            let state = self.cluster.ensure_namespace(&self.namespace).await?;
            report.project_created = state == NamespaceState::Created;
        }
        progress.stage("making what the build needs");
        self.objects(&mut plan, &[Stage::Build], report).await?;
        if plan.inner.host_is_missing {
            self.host(&mut plan, report, progress).await?;
        }
        self.objects(&mut plan, &[Stage::Configuration, Stage::Database], report)
            .await?;
        let digest = self.image(&mut plan, report, progress).await?;
        // What migrates a database would else fail until it is there, and be given up.
        self.roll_outs((&plan, &[Stage::Database]), None, report, progress)
            .await?;
        progress.stage("making what runs");
        self.objects(&mut plan, &[Stage::Application, Stage::Jobs], report)
            .await?;
        let stages = [Stage::Application, Stage::Jobs];
        self.roll_outs((&plan, &stages), digest.as_deref(), report, progress)
            .await?;
        self.first_administrator(&plan, report, progress).await?;
        self.answers(&plan, report, progress).await
    }

    /// Waits for the workloads of some stages, one after the other.
    async fn roll_outs(
        &self,
        (plan, stages): (&DeployPlan, &[Stage]),
        digest: Option<&str>,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        for target in plan.workloads(stages) {
            progress.stage(&format!("rolling out {target}"));
            if self.roll_out_again(&target).await? {
                report.rolled_out_again = true;
                progress.note("its last roll-out had failed: a new one begins");
            }
            let digest = digest.filter(|_| target.name == plan.name);
            self.roll_out(&target, digest, plan.inner.options.within, progress)
                .await?;
        }
        Ok(())
    }

    /// Makes the objects of some stages.
    async fn objects(
        &self,
        plan: &mut DeployPlan,
        stages: &[Stage],
        report: &mut DeployReport,
    ) -> Result<(), DeployError> {
        for planned in &plan.objects {
            if !stages.contains(&planned.stage)
                || report
                    .objects
                    .iter()
                    .any(|done| done.object == planned.object)
            {
                continue;
            }
            self.carry_out(&planned.step).await?;
            report.objects.push(DeployedObject {
                object: planned.object.clone(),
                action: planned.action.clone(),
            });
        }
        Ok(())
    }

    /// Makes the Route first, and puts the host that the cluster gave it into what needs it.
    async fn host(
        &self,
        plan: &mut DeployPlan,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        let Some(planned) = plan
            .objects
            .iter()
            .find(|planned| planned.step.object.kind() == "Route")
        else {
            return Ok(());
        };
        progress.stage("asking for the route's host");
        self.carry_out(&planned.step).await?;
        report.objects.push(DeployedObject {
            object: planned.object.clone(),
            action: planned.action.clone(),
        });
        let kind = planned.step.object.group_kind();
        let name = planned.step.object.name().to_owned();
        let host = |route: &Object| -> Option<String> {
            let host = route.value()["spec"]["host"].as_str();
            host.filter(|host| !host.is_empty()).map(str::to_owned)
        };
        let found = self
            .cluster
            .wait(&kind, Some(&self.namespace), &name, ADMISSION, |route| {
                route.is_none_or(|route| host(route).is_some())
            })
            .await?;
        let host = found
            .as_ref()
            .and_then(host)
            .ok_or_else(|| self.not_found(&format!("Route/{name}")))?;
        let inner = &mut plan.inner;
        inner.options.values.set(HOST, SecretString::from(host));
        let filled = inner.manifests.filled(&inner.options.values)?;
        for (manifest, planned) in filled.iter().zip(&mut plan.objects) {
            let wanted = Object::from_value(manifest.object.clone())
                .map_err(|error| DeployError::Task(error.to_string()))?;
            let done = report
                .objects
                .iter()
                .any(|done| done.object == planned.object);
            if !done {
                planned.step = self.look(&wanted, true).await?;
                planned.action = planned.step.action.clone();
            }
        }
        Ok(())
    }

    /// Makes the image; gives its digest where the cluster tells it.
    async fn image(
        &self,
        plan: &mut DeployPlan,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<Option<String>, DeployError> {
        let within = plan.inner.options.within;
        let build = match &plan.build {
            PlannedBuild::Unchanged { build } => {
                let build = self
                    .cluster
                    .get(&build_kind(), Some(&self.namespace), build)
                    .await?
                    .ok_or_else(|| self.not_found(&format!("Build/{build}")))?;
                report.build = Some(build.name().to_owned());
                return Ok(digest(&build, report));
            }
            PlannedBuild::Join { build } => {
                progress.stage(&format!("following {build}"));
                report.build = Some(build.clone());
                report.built = true;
                build.clone()
            }
            PlannedBuild::ByItself => {
                progress.stage("waiting for the first build");
                let build = self.first_build(&plan.name).await?;
                report.build = Some(build.clone());
                report.built = true;
                progress.stage(&format!("building {build}"));
                build
            }
            PlannedBuild::Build { .. } | PlannedBuild::Configured => {
                let source = match plan.inner.source.take() {
                    Some(tree) => {
                        progress.stage(&format!(
                            "uploading {} files, {} bytes",
                            tree.files(),
                            tree.bytes()
                        ));
                        BuildSource::Folder(tree)
                    }
                    None => {
                        progress.stage("starting the build");
                        BuildSource::Configured { env: Vec::new() }
                    }
                };
                let build = self.start_build(&plan.name, source, progress).await?;
                report.build = Some(build.name().to_owned());
                report.built = true;
                progress.stage(&format!("building {}", build.name()));
                build.name().to_owned()
            }
        };
        let build = self.follow_build(&build, within, progress).await?;
        Ok(digest(&build, report))
    }

    /// The build that a configuration begins by itself; another one, where it does not.
    async fn first_build(&self, config: &str) -> Result<String, DeployError> {
        let deadline = Instant::now() + FIRST_BUILD;
        loop {
            let builds = self.builds_of(config).await?;
            if let Some(build) = builds.first() {
                return Ok(build.name().to_owned());
            }
            if Instant::now() >= deadline {
                let source = BuildSource::Configured { env: Vec::new() };
                let build = self.start_build(config, source, &Silent).await?;
                return Ok(build.name().to_owned());
            }
            sleep(PAUSE).await;
        }
    }

    async fn first_administrator(
        &self,
        plan: &DeployPlan,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        if plan.setup != PlannedSetup::Run {
            return Ok(());
        }
        let inner = &plan.inner;
        let Some(admin) = &inner.options.admin else {
            report.notes.push(
                "nobody said who the first administrator is: deploy again with --admin-user, or --skip-setup"
                    .to_owned(),
            );
            return Ok(());
        };
        let Some(target) = plan.workload() else {
            return Ok(());
        };
        progress.stage("making the first administrator");
        let admin = self.admin(admin).await?;
        let place = self.place(&target, None).await?;
        let existed = self.set_up(&place, &inner.needs.runner, &admin).await?;
        if let Some(holder) = &inner.holder {
            self.note_set_up(holder).await?;
        }
        report.setup = if existed {
            SetupOutcome::Existed
        } else {
            SetupOutcome::Run
        };
        Ok(())
    }

    async fn answers(
        &self,
        plan: &DeployPlan,
        report: &mut DeployReport,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        let of_kind = |kind: &str| {
            plan.objects
                .iter()
                .map(|planned| &planned.step.object)
                .find(|object| object.kind() == kind && object.name() == plan.name)
        };
        let mut host = "localhost".to_owned();
        if let Some(route) = of_kind("Route") {
            progress.stage("waiting for the route");
            report.address = Some(self.address(route.name(), ADMISSION).await?);
            let found = self
                .get_route(route.name())
                .await?
                .ok_or_else(|| self.not_found(&format!("Route/{}", route.name())))?;
            let address = address(&found);
            if let Some((_, rest)) = address.split_once("://") {
                host = rest.split('/').next().unwrap_or_default().to_owned();
            }
        }
        let Some(service) = of_kind("Service") else {
            return Ok(());
        };
        let port = service.value()["spec"]["ports"][0]["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        let Some(port) = port else { return Ok(()) };
        progress.stage(&format!("asking for {}", plan.health));
        match self
            .healthy(service.name(), port, &plan.health, &host, HEALTH)
            .await
        {
            Ok(status) => report.health = Some(status),
            // Its pods are ready, as their own probes say.
            Err(DeployError::Cluster(error)) if error.is_forbidden() => report.notes.push(
                "whether it answers was not asked: this user may not forward ports".to_owned(),
            ),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn get_route(&self, name: &str) -> Result<Option<Object>, DeployError> {
        let kind = GroupKind::new("route.openshift.io", "Route");
        Ok(self.cluster.get(&kind, Some(&self.namespace), name).await?)
    }
}

/// The digest of a build's image, noted.
fn digest(build: &Object, report: &mut DeployReport) -> Option<String> {
    let digest = build.value()["status"]["output"]["to"]["imageDigest"].as_str()?;
    report.image = Some(digest.to_owned());
    Some(digest.to_owned())
}
