//! Carries out what a policy's plan has shown.

use std::path::{Path, PathBuf};

use openshifter_chart::Chart;
use openshifter_cluster::Cluster;
use openshifter_volumes::Allow;

use super::kept::not_as_kept;
use crate::delete::{DeletePlan, carry_out, plan_with_objects};
use crate::ending::ended;
use crate::error::{Ended, Failed};
use crate::export::{Role, export_as, verify};
use crate::images::Onward;
use crate::import::{Before, ImportOptions, import_after};
use crate::journal::{At, Event, deleted};
use crate::project::side;
use crate::quiesce::{self, Quiesced};
use crate::report::Outcome;
use crate::way_back::import_command;
use crate::{
    ChartForm, Existing, ExportOptions, ImageOptions, MigrateError, MigrateOptions, Policy,
    PolicyPlan, Report, Run,
};

/// Migrates by a policy, as [`plan_policy`](crate::plan_policy) has shown it.
///
/// # Errors
/// When a step fails. What was deleted before is in a chart, whose path the report gives.
pub async fn migrate(
    run: &Run,
    source: &Cluster,
    source_namespace: &str,
    target: &Cluster,
    target_namespace: &str,
    options: &MigrateOptions,
    plan: &PolicyPlan,
) -> Ended {
    let mut report = Report::new(run.id.clone(), &format!("migrate ({})", options.policy));
    report.source = Some(side(source, source_namespace));
    report.target = Some(side(target, target_namespace));
    let mut state = State {
        quiesced: Quiesced::default(),
        quiesced_target: Quiesced::default(),
        keep: None,
        restore: None,
    };
    run.journal
        .write(Event::Begin {
            operation: report.operation.clone(),
            source: report.source.clone(),
            target: report.target.clone(),
            chart: None,
            options: serde_json::Value::Null,
        })
        .map_err(|error| {
            let error = MigrateError::from(error);
            report.fail(error.chain(), false);
            Box::new(Failed {
                error,
                report: report.clone(),
            })
        })?;
    let work = Work {
        run,
        source,
        source_namespace,
        target,
        target_namespace,
        options,
        plan,
    };
    let result = work.carry_out(&mut report, &mut state).await;
    // A Move that came through has deleted them; in every other case they go on.
    let released = quiesce::release(
        run,
        source,
        source_namespace,
        At::Source,
        &mut state.quiesced,
    )
    .await;
    let result = result.and(released);
    let released = quiesce::release(
        run,
        target,
        target_namespace,
        At::Target,
        &mut state.quiesced_target,
    )
    .await;
    let result = result.and(released);
    if let (Err(_), Some(command)) = (&result, &state.restore) {
        report.next.push(command.clone());
    }
    match (&state.keep, result.is_ok() && report.losses.is_empty()) {
        // Everything arrived and was checked: the chart was only the way.
        (Some(keep), true) if keep.ours => {
            let _ = fs_err::remove_dir_all(&keep.path);
            report.chart = None;
        }
        (Some(keep), _) => report.chart = Some(keep.path.clone()),
        (None, _) => {}
    }
    ended(run, report, result)
}

struct Work<'a> {
    run: &'a Run,
    source: &'a Cluster,
    source_namespace: &'a str,
    target: &'a Cluster,
    target_namespace: &'a str,
    options: &'a MigrateOptions,
    plan: &'a PolicyPlan,
}

struct State {
    quiesced: Quiesced,
    /// What was stopped of the target's present application for its backup, until it is deleted.
    quiesced_target: Quiesced,
    keep: Option<Keep>,
    /// The one command that brings a deleted application back.
    restore: Option<String>,
}

struct Keep {
    path: PathBuf,
    /// Whether it is in our own folder, and nobody asked for it.
    ours: bool,
}

impl Work<'_> {
    async fn carry_out(&self, report: &mut Report, state: &mut State) -> Result<(), MigrateError> {
        let Self { run, options, .. } = *self;
        let mut before = Before::default();
        let chart = self.export(report, state, &mut before).await?;
        let mut import_options = options.import.clone();
        // Asked for with the export, and known.
        import_options
            .skip_volumes
            .clone_from(&options.export.skip_volumes);
        match (options.policy, self.plan.in_place) {
            (Policy::Copy, _) => self.import(&chart, &import_options, &before, report).await,
            (Policy::Move, false) => {
                self.import(&chart, &import_options, &before, report)
                    .await?;
                if let Some(loss) = report.losses.first() {
                    return Err(MigrateError::NotPossible(format!(
                        "the source is not deleted, since the target is not complete: {loss}"
                    )));
                }
                let deletes = self.deletes()?;
                self.delete(self.source, deletes, &chart, At::Source, state, report)
                    .await
            }
            (Policy::Move, true) => {
                // From here on the chart is the only copy.
                if let Some(loss) = report.losses.first() {
                    return Err(MigrateError::NotPossible(format!(
                        "nothing is deleted, since the chart is not complete: {loss}"
                    )));
                }
                let deletes = self.deletes()?;
                let images = &chart.manifest().images;
                let kept = images
                    .iter()
                    .any(|image| image.decision == "rebuild" && image.included);
                state.restore = Some(format!(
                    "{} brings the application back{}",
                    self.restore_command(chart.dir()),
                    match kept {
                        true => ", with `--images copy` where its images cannot be built any more",
                        false => "",
                    }
                ));
                let event = Event::ChartKept {
                    at: At::Source,
                    chart: chart.dir().to_owned(),
                };
                run.journal.write(event)?;
                self.delete(self.source, deletes, &chart, At::Source, state, report)
                    .await?;
                import_options.existing = Existing::Apply;
                self.import(&chart, &import_options, &before, report)
                    .await?;
                state.restore = None;
                Ok(())
            }
            (Policy::PingPong, _) => {
                if let Some(deletes) = &self.plan.deletes {
                    let backup = self.back_up_target(report, state).await?;
                    state.restore = Some(format!(
                        "{} brings the target's former application back",
                        self.restore_command(&backup)
                    ));
                    let event = Event::ChartKept {
                        at: At::Target,
                        chart: backup.clone(),
                    };
                    run.journal.write(event)?;
                    let kept = Chart::open(&backup)?;
                    before.kept = kept
                        .volumes()?
                        .into_iter()
                        .map(|(claim, _)| (claim, backup.clone()))
                        .collect();
                    self.delete(self.target, deletes, &kept, At::Target, state, report)
                        .await?;
                }
                import_options.overwrite_data = true;
                self.import(&chart, &import_options, &before, report)
                    .await?;
                state.restore = None;
                run.progress.stage("both ends have the application now");
                Ok(())
            }
        }
    }

    fn deletes(&self) -> Result<&DeletePlan, MigrateError> {
        self.plan.deletes.as_ref().ok_or_else(|| {
            MigrateError::NotPossible("the plan says nothing of what to delete".to_owned())
        })
    }

    fn restore_command(&self, chart: &Path) -> String {
        import_command(chart, &side(self.target, self.target_namespace))
    }

    /// Where the images go after the export. In place they are deleted meanwhile, and a chart that was asked for has
    /// them, too.
    fn onward(&self) -> Option<Onward<'_>> {
        let import = &self.options.import;
        (!self.plan.in_place).then_some(Onward {
            target: self.target,
            namespace: self.target_namespace,
            options: &import.images,
            existing: import.existing,
            replaces: self.options.policy == Policy::PingPong && self.plan.deletes.is_some(),
            straight: self.options.keep_chart.is_none(),
        })
    }

    async fn export(
        &self,
        report: &mut Report,
        state: &mut State,
        before: &mut Before,
    ) -> Result<Chart, MigrateError> {
        let Self { run, options, .. } = *self;
        let (path, ours) = match &options.keep_chart {
            Some(path) => (path.clone(), false),
            None => {
                let charts = run
                    .state
                    .charts()
                    .map_err(|source| MigrateError::State { source })?;
                (
                    charts.join(format!("{}-{}", self.source_namespace, run.id)),
                    true,
                )
            }
        };
        let mut export_options = options.export.clone();
        if options.policy == Policy::Move {
            export_options.quiesce = true;
        }
        let form = ChartForm::Folder(path.clone());
        let role = Role {
            at: At::Source,
            stay_quiesced: options.policy == Policy::Move,
            planned: Some(&self.plan.images),
            keeps_built: self.plan.in_place,
            onward: self.onward(),
        };
        let exported = match export_as(
            run,
            self.source,
            self.source_namespace,
            &export_options,
            &form,
            role,
        )
        .await
        {
            Ok(exported) => exported,
            Err(failed) => return Err(take(report, *failed)),
        };
        state.quiesced = exported.quiesced;
        before.straight = exported.straight;
        state.keep = Some(Keep {
            path: path.clone(),
            ours,
        });
        report.left_out = exported.report.left_out;
        report.unlisted = exported.report.unlisted;
        report.losses.extend(exported.report.losses);
        report.next.extend(exported.report.next);
        // The export has read it back a moment ago. It is the user's own: links may point where they like. Devices are
        // made only where that is asked for.
        let chart = Chart::open(&path)?;
        let devices = chart
            .volumes()?
            .iter()
            .any(|(_, volume)| volume.meta().features.devices);
        if devices && !options.import.allow.devices {
            // Names the first one.
            let allow = Allow {
                escaping_links: true,
                ..options.import.allow
            };
            return verify(chart, allow).await;
        }
        Ok(chart)
    }

    async fn import(
        &self,
        chart: &Chart,
        options: &ImportOptions,
        before: &Before,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        let (run, target, namespace) = (self.run, self.target, self.target_namespace);
        match import_after(run, chart, target, namespace, options, before).await {
            Ok(imported) => {
                absorb(report, imported);
                Ok(())
            }
            Err(failed) => Err(take(report, *failed)),
        }
    }

    /// Deletes what was shown and is in `chart` as it is there now.
    async fn delete(
        &self,
        cluster: &Cluster,
        plan: &DeletePlan,
        chart: &Chart,
        at: At,
        state: &mut State,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        // Stopping the workloads has changed them since the plan was shown: look again, and take what was shown.
        let selector = match at {
            At::Source => self.options.export.selector.as_ref(),
            At::Target => None,
        };
        let (now, live) = plan_with_objects(
            cluster,
            &plan.at.namespace,
            selector,
            self.options.with_data,
        )
        .await?;
        let plan = now.only_what_was_shown(plan);
        if let Some(key) = not_as_kept(&plan, &live, &chart.objects()?) {
            return Err(MigrateError::ChangedMeanwhile { key });
        }
        let quiesced = match at {
            At::Source => &mut state.quiesced,
            At::Target => &mut state.quiesced_target,
        };
        // What somebody has written since is not in the chart.
        quiesced.still(cluster, &plan.at.namespace).await?;
        let result = self
            .run
            .or_cancelled(carry_out(self.run, cluster, &plan, at, report))
            .await;
        // A part of an application is not started again; all of it goes on where nothing was deleted.
        if deleted(&self.run.journal.events()?, at) {
            *quiesced = Quiesced::default();
        }
        result
    }

    async fn back_up_target(
        &self,
        report: &mut Report,
        state: &mut State,
    ) -> Result<PathBuf, MigrateError> {
        let charts = self
            .run
            .state
            .charts()
            .map_err(|source| MigrateError::State { source })?;
        let path = charts.join(format!("{}-before-{}", self.target_namespace, self.run.id));
        let options = ExportOptions {
            quiesce: true,
            helper_image: self.options.import.helper_image.clone(),
            // Its registry is the one that the import pushes to.
            images: ImageOptions {
                registry: self.options.import.images.registry.clone(),
                insecure: self.options.import.images.insecure.clone(),
                ..ImageOptions::default()
            },
            ..ExportOptions::default()
        };
        let form = ChartForm::Folder(path.clone());
        let role = Role {
            at: At::Target,
            stay_quiesced: true,
            planned: None,
            keeps_built: true,
            onward: None,
        };
        match export_as(
            self.run,
            self.target,
            self.target_namespace,
            &options,
            &form,
            role,
        )
        .await
        {
            Ok(exported) => {
                state.quiesced_target = exported.quiesced;
                report.next.extend(exported.report.next);
                if exported.report.outcome != Outcome::Complete {
                    let first = exported.report.losses.first().cloned().unwrap_or_default();
                    return Err(MigrateError::NotPossible(format!(
                        "the target's present application is not deleted, since its backup is not complete: {first}"
                    )));
                }
            }
            Err(failed) => return Err(take(report, *failed)),
        }
        report.next.push(format!(
            "the target's former application is kept in {}",
            path.display()
        ));
        Ok(path)
    }
}

/// Takes over what a part of the run reports.
fn absorb(report: &mut Report, part: Report) {
    report.objects.extend(part.objects);
    report.volumes.extend(part.volumes);
    report.images.extend(part.images);
    report.webhooks.extend(part.webhooks);
    report.findings.extend(part.findings);
    for loss in part.losses {
        if !report.losses.contains(&loss) {
            report.losses.push(loss);
        }
    }
}

fn take(report: &mut Report, failed: Failed) -> MigrateError {
    absorb(report, failed.report);
    failed.error
}
