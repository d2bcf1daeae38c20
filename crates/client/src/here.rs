//! Migrations in this process.

use std::sync::Arc;

use openshifter_cluster::{Cluster, ClusterError, Trust};
use openshifter_migrate::{
    MigrateError, MigrateOptions, PolicyPlan, Progress, Report, Run, StateDir, migrate, plan_policy,
};
use openshifter_server::{MigrationRequest, PlanBody};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::{ClientError, Happening, Output};

/// Works in this process.
pub(crate) struct Here {
    state: StateDir,
    planned: Option<Planned>,
}

/// A plan with the sessions that it was made with, so that what is done is what was shown.
struct Planned {
    source: Cluster,
    target: Cluster,
    options: MigrateOptions,
    plan: PolicyPlan,
}

impl Here {
    pub(crate) fn new(state: StateDir) -> Self {
        Self {
            state,
            planned: None,
        }
    }

    /// Logs in at both ends and finds out what would be done.
    pub(crate) async fn plan(
        &mut self,
        request: &MigrationRequest,
    ) -> Result<PlanBody, ClientError> {
        let options = request.options(None)?;
        let source = connect(&request.source).await?;
        let target = match connect(&request.target).await {
            Ok(target) => target,
            Err(error) => {
                log_out(&source).await;
                return Err(error);
            }
        };
        let plan = plan_policy(
            &source,
            &request.source.project,
            &target,
            &request.target.project,
            &options,
        )
        .await;
        match plan {
            Ok(plan) => {
                let body = PlanBody::of(&plan);
                self.planned = Some(Planned {
                    source,
                    target,
                    options,
                    plan,
                });
                Ok(body)
            }
            Err(error) => {
                log_out(&source).await;
                log_out(&target).await;
                Err(error.into())
            }
        }
    }

    /// Does what was planned.
    pub(crate) async fn migrate(
        &mut self,
        request: &MigrationRequest,
        cancel: CancellationToken,
        output: &mut dyn Output,
    ) -> Result<Report, ClientError> {
        let planned = self
            .planned
            .as_ref()
            .ok_or_else(|| MigrateError::NotPossible("nothing was planned".to_owned()))?;
        let (sender, mut happenings) = unbounded_channel();
        let run = Run::begin(self.state.clone())?
            .with_cancel(cancel)
            .with_progress(Arc::new(Teller(sender)));
        let work = migrate(
            &run,
            &planned.source,
            &request.source.project,
            &planned.target,
            &request.target.project,
            &planned.options,
            &planned.plan,
        );
        let ended = tell_while(work, &mut happenings, output).await;
        Ok(match ended {
            Ok(report) => report,
            Err(failed) => failed.report,
        })
    }

    /// Logs out.
    pub(crate) async fn close(&mut self) {
        if let Some(planned) = self.planned.take() {
            log_out(&planned.source).await;
            log_out(&planned.target).await;
        }
    }
}

async fn connect(end: &openshifter_server::EndpointSpec) -> Result<Cluster, ClientError> {
    let access = end.access(None, |_| Trust::default()).await?;
    Ok(Cluster::connect(&access)
        .await
        .map_err(MigrateError::from)?)
}

/// Logs out. That this failed does not undo what was done.
async fn log_out(cluster: &Cluster) {
    match cluster.logout().await {
        Ok(()) | Err(ClusterError::Unauthorized { .. }) => {}
        Err(error) => {
            tracing::warn!(cluster = cluster.name(), %error, "the login token could not be revoked");
        }
    }
}

/// Does the work and tells what happens meanwhile.
async fn tell_while<T>(
    work: impl Future<Output = T>,
    happenings: &mut UnboundedReceiver<Happening>,
    output: &mut dyn Output,
) -> T {
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            Some(happening) = happenings.recv() => output.progress(&happening),
            result = &mut work => break result,
        }
    };
    while let Ok(happening) = happenings.try_recv() {
        output.progress(&happening);
    }
    result
}

struct Teller(UnboundedSender<Happening>);

impl Teller {
    fn tell(&self, happening: Happening) {
        // Whoever listened is gone; the work goes on.
        let _ = self.0.send(happening);
    }
}

impl Progress for Teller {
    fn stage(&self, text: &str) {
        self.tell(Happening::Stage(text.to_owned()));
    }

    fn note(&self, text: &str) {
        self.tell(Happening::Note(text.to_owned()));
    }

    fn volume(&self, claim: &str, done: u64, total: Option<u64>) {
        self.tell(Happening::Volume {
            claim: claim.to_owned(),
            done,
            total,
        });
    }

    fn volume_done(&self, claim: &str) {
        self.tell(Happening::VolumeDone {
            claim: claim.to_owned(),
        });
    }

    fn count(&self, done: usize, total: usize) {
        self.tell(Happening::Count { done, total });
    }
}
