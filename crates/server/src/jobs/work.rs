//! Plans and carries out one migration.

use std::sync::Arc;

use jiff::Timestamp;
use openshifter_cluster::Cluster;
use openshifter_migrate::{
    MigrateOptions, PolicyPlan, Report, Run, RunId, Side, migrate, place_uid, plan_policy,
};
use openshifter_objects::counted;

use super::watch::Live;
use crate::app::App;
use crate::clusters::{log_out, logged_out};
use crate::locks::Held;
use crate::problem::{Code, Problem};
use crate::wire::{EndpointSpec, JobBody, JobState, MigrationRequest, PlanBody, RequestError};

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Cluster(error) => error.into(),
            RequestError::Request(text) => Self::bad_request(text),
        }
    }
}

/// Both ends, logged in.
struct Ends {
    source: Cluster,
    source_project: String,
    target: Cluster,
    target_project: String,
}

impl Ends {
    async fn connect(app: &App, request: &MigrationRequest) -> Result<Self, Problem> {
        let source = connect(app, &request.source).await?;
        let target = match connect(app, &request.target).await {
            Ok(target) => target,
            Err(problem) => {
                log_out(&source).await;
                return Err(problem);
            }
        };
        Ok(Self {
            source,
            source_project: request.source.project.clone(),
            target,
            target_project: request.target.project.clone(),
        })
    }

    async fn plan(&self, options: &MigrateOptions) -> Result<PolicyPlan, Problem> {
        Ok(plan_policy(
            &self.source,
            &self.source_project,
            &self.target,
            &self.target_project,
            options,
        )
        .await?)
    }

    fn sides(&self) -> (Side, Side) {
        let side = |cluster: &Cluster, project: &str| Side {
            cluster: cluster.name().to_owned(),
            base: cluster.base().to_string(),
            namespace: project.to_owned(),
        };
        (
            side(&self.source, &self.source_project),
            side(&self.target, &self.target_project),
        )
    }
}

async fn connect(app: &App, end: &EndpointSpec) -> Result<Cluster, Problem> {
    let access = end
        .access(app.clusters.kubeconfig.as_deref(), |base| {
            app.clusters.trust(base)
        })
        .await?;
    Ok(Cluster::connect(&access).await?)
}

/// Finds out what a migration would do.
pub(super) async fn plan(app: &App, request: &MigrationRequest) -> Result<PlanBody, Problem> {
    let options = request.options(app.helper_image.as_deref())?;
    let ends = Ends::connect(app, request).await?;
    logged_out(&[&ends.source, &ends.target], async {
        Ok(PlanBody::of(&ends.plan(&options).await?))
    })
    .await
}

/// Begins a migration; it goes on when this has returned.
pub(super) async fn start(app: App, request: MigrationRequest) -> Result<JobBody, Problem> {
    let options = request.options(app.helper_image.as_deref())?;
    let ends = Ends::connect(&app, &request).await?;
    let begun = begin(&app, &request, &ends, &options).await;
    match begun {
        Ok(job) => {
            let body = job.live.body();
            let here = app.clone();
            app.detach(move || carry_out(here, ends, options, job))?;
            Ok(body)
        }
        Err(problem) => {
            log_out(&ends.source).await;
            log_out(&ends.target).await;
            Err(problem)
        }
    }
}

/// A job that is ready to work.
struct Job {
    live: Arc<Live>,
    run: Run,
    plan: PolicyPlan,
    held: Vec<Held>,
}

async fn begin(
    app: &App,
    request: &MigrationRequest,
    ends: &Ends,
    options: &MigrateOptions,
) -> Result<Job, Problem> {
    let held = hold(app, ends).await?;
    let plan = ends.plan(options).await?;
    let body = PlanBody::of(&plan);
    match &request.plan_digest {
        Some(digest) if *digest != body.digest => {
            return Err(Problem::new(
                Code::PlanChanged,
                "what this migration would do is not what the plan said any more; ask for the plan again",
            ));
        }
        None if body.deleted_objects > 0 => {
            return Err(Problem::new(
                Code::PlanNeeded,
                format!(
                    "this migration deletes {}: look at them with POST /v1/plans, and send the plan's digest as planDigest",
                    counted(body.deleted_objects, "object")
                ),
            ));
        }
        _ => {}
    }
    let cancel = app.stop.child_token();
    let (source, target) = ends.sides();
    let run = Run::begin(app.state.clone())?.with_cancel(cancel.clone());
    let live = Arc::new(Live::new(
        job_body(run.id.clone(), options, source, target),
        cancel,
    ));
    let run = run.with_progress(live.clone());
    app.jobs
        .begin(&live)
        .map_err(|error| Problem::local_io("the job cannot be kept", &error))?;
    Ok(Job {
        live,
        run,
        plan,
        held,
    })
}

/// The source is held too: what reads it may stop its workloads, and a Move deletes it.
async fn hold(app: &App, ends: &Ends) -> Result<Vec<Held>, Problem> {
    let mut held = vec![app.locks.write(ends.target.base(), &ends.target_project)?];
    if (ends.source.base(), &ends.source_project) != (ends.target.base(), &ends.target_project) {
        held.push(app.locks.write(ends.source.base(), &ends.source_project)?);
    }
    let (source, target) = futures::try_join!(
        place_uid(&ends.source, &ends.source_project),
        place_uid(&ends.target, &ends.target_project)
    )?;
    // Both ends may be one project by two names.
    let same = source == target;
    let ends = [
        (target, &ends.target_project),
        (source.filter(|_| !same), &ends.source_project),
    ];
    for (uid, project) in ends {
        if let Some(uid) = uid {
            held.push(app.locks.write_uid(uid, project)?);
        }
    }
    Ok(held)
}

fn job_body(id: RunId, options: &MigrateOptions, source: Side, target: Side) -> JobBody {
    JobBody {
        id,
        state: JobState::Running,
        operation: format!("migrate ({})", options.policy),
        source,
        target,
        started: Timestamp::now(),
        revision: 0,
        stage: None,
        count: None,
        volumes: Default::default(),
        notes: Vec::new(),
        report: None,
    }
}

async fn carry_out(app: App, ends: Ends, options: MigrateOptions, job: Job) {
    let Job {
        live,
        run,
        plan,
        held,
    } = job;
    let work = async {
        let ended = migrate(
            &run,
            &ends.source,
            &ends.source_project,
            &ends.target,
            &ends.target_project,
            &options,
            &plan,
        )
        .await;
        Ok(match ended {
            Ok(report) => report,
            Err(failed) => failed.report,
        })
    };
    let report = logged_out(&[&ends.source, &ends.target], work)
        .await
        .unwrap_or_else(|problem| {
            // Only a panic ends here. What it left is found by the run's journal.
            let body = live.body();
            let mut report = Report::new(run.id.clone(), &body.operation);
            report.source = Some(body.source);
            report.target = Some(body.target);
            report.fail(problem.message, true);
            report
        });
    // Whoever hears that the job has ended finds its projects free.
    drop(held);
    let body = live.end(report);
    app.jobs.end(&body);
    tracing::info!(job = %body.id, state = ?body.state, "a job ended");
}
