//! The policies: Copy, Move and Ping-Pong, by the rules of what may be deleted, and when.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use openshifter_chart::Chart;
use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object, ObjectKey, Selector};
use openshifter_volumes::Allow;
use serde::Serialize;
use serde_json::Value;

use crate::delete::{DeletePlan, carry_out, plan_delete, plan_with_objects};
use crate::error::{Ended, Failed};
use crate::export::{Role, ended, export_as, side, verify};
use crate::import::{Before, ImportOptions, import_after};
use crate::journal::{At, Event};
use crate::quiesce::{self, Quiesced};
use crate::report::Outcome;
use crate::{ChartForm, Existing, ExportOptions, MigrateError, Report, Run};

/// What happens to the application's present places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is deleted.
    Copy,
    /// The source's objects go when the target is ready; in place, before the import.
    Move,
    /// The target's present application is kept as a chart and deleted before the import.
    PingPong,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy",
            Self::Move => "move",
            Self::PingPong => "ping-pong",
        })
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "copy" => Ok(Self::Copy),
            "move" => Ok(Self::Move),
            "ping-pong" | "pingpong" => Ok(Self::PingPong),
            _ => Err(format!("`{text}` is no policy: copy, move or ping-pong")),
        }
    }
}

/// What a migration is to do.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// The policy.
    pub policy: Policy,
    /// How the source is read.
    pub export: ExportOptions,
    /// How the target is written.
    pub import: ImportOptions,
    /// Whether claims are deleted with the objects.
    pub with_data: bool,
    /// Where the chart is kept afterwards; otherwise it is gone when all went well.
    pub keep_chart: Option<PathBuf>,
}

/// What a migration would do, to be shown before it does.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlan {
    /// The policy.
    pub policy: Policy,
    /// Whether source and target are one project.
    pub in_place: bool,
    /// The steps, in order, each a sentence.
    pub steps: Vec<String>,
    /// What is deleted; `None` when nothing is.
    pub deletes: Option<DeletePlan>,
}

impl PolicyPlan {
    /// The plan for a person.
    pub fn text(&self) -> String {
        let place = if self.in_place { ", in place" } else { "" };
        let mut text = format!("policy {}{place}:\n", self.policy);
        for (number, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("  {}. {step}\n", number + 1));
        }
        match &self.deletes {
            Some(deletes) => text.push_str(&deletes.text()),
            None => text.push_str("nothing is deleted\n"),
        }
        text
    }
}

/// Finds out what a migration would do and delete. Changes nothing.
///
/// # Errors
/// When one of the clusters cannot be read.
pub async fn plan_policy(
    source: &Cluster,
    source_namespace: &str,
    target: &Cluster,
    target_namespace: &str,
    options: &MigrateOptions,
) -> Result<PolicyPlan, MigrateError> {
    let in_place = same_place(source, source_namespace, target, target_namespace).await?;
    let from = format!("{}/{source_namespace}", source.name());
    let to = format!("{}/{target_namespace}", target.name());
    let selector: Option<&Selector> = options.export.selector.as_ref();
    let claims = if options.with_data {
        "with its claims"
    } else {
        "its claims stay"
    };
    let (steps, deletes) = match (options.policy, in_place) {
        (Policy::Copy | Policy::PingPong, true) => {
            return Err(MigrateError::NotPossible(format!(
                "{} copies from one project to another, but {from} and {to} are the same; use the policy move for a round trip in place",
                options.policy
            )));
        }
        (Policy::Copy, false) => (
            vec![format!("export {from}"), format!("import to {to}")],
            None,
        ),
        (Policy::Move, false) => (
            vec![
                format!("stop what writes to the volumes of {from}"),
                format!("export {from}"),
                format!("import to {to}, verify, wait until it is ready"),
                format!("delete the application's objects of {from} ({claims})"),
            ],
            Some(plan_delete(source, source_namespace, selector, options.with_data).await?),
        ),
        (Policy::Move, true) => (
            vec![
                format!("stop what writes to the volumes of {from}"),
                format!("export {from}, verify and keep the chart"),
                format!("delete the application's objects of {from} ({claims})"),
                format!("import to {to}"),
            ],
            Some(plan_delete(source, source_namespace, selector, options.with_data).await?),
        ),
        (Policy::PingPong, false) => {
            let there = target.namespace_exists(target_namespace).await?;
            let deletes = if there {
                Some(plan_delete(target, target_namespace, None, options.with_data).await?)
            } else {
                None
            };
            let mut steps = vec![format!("export {from}")];
            if deletes.as_ref().is_some_and(|plan| plan.count() > 0) {
                steps.push(format!("export {to} as a backup that is kept"));
                steps.push(format!(
                    "delete the application's objects of {to} ({claims})"
                ));
            }
            steps.push(format!("import to {to}, overwriting the claims' data"));
            (steps, deletes.filter(|plan| plan.count() > 0))
        }
    };
    Ok(PolicyPlan {
        policy: options.policy,
        in_place,
        steps,
        deletes,
    })
}

/// Whether both ends are the same project of the same cluster, whatever they are called.
async fn same_place(
    source: &Cluster,
    source_namespace: &str,
    target: &Cluster,
    target_namespace: &str,
) -> Result<bool, MigrateError> {
    if source_namespace != target_namespace {
        return Ok(false);
    }
    if source.base() == target.base() {
        return Ok(true);
    }
    let (a, b) = futures::try_join!(
        place_uid(source, source_namespace),
        place_uid(target, target_namespace)
    )?;
    Ok(a.is_some() && a == b)
}

/// The uid of a project, which no two clusters share.
async fn place_uid(cluster: &Cluster, namespace: &str) -> Result<Option<String>, MigrateError> {
    for kind in [
        GroupKind::new("project.openshift.io", "Project"),
        GroupKind::new("", "Namespace"),
    ] {
        if cluster.discovery().await?.find(&kind).is_none() {
            continue;
        }
        match cluster.get(&kind, None, namespace).await {
            Ok(Some(place)) => return Ok(place.uid().map(str::to_owned)),
            Ok(None) => {}
            Err(error) if error.is_forbidden() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Migrates by a policy, as [`plan_policy`] has shown it.
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
        let chart = self.export(report, state).await?;
        let mut import_options = options.import.clone();
        let mut before = Before::default();
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
                let deletes = self.deletes()?;
                state.restore = Some(self.restore_command(&chart));
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
                    let backup = self.back_up_target(report).await?;
                    state.restore = Some(format!(
                        "openshifter import {} --to {} -n {} --overwrite-data brings the target's former application back",
                        backup.display(),
                        self.target.name(),
                        self.target_namespace
                    ));
                    let event = Event::ChartKept {
                        at: At::Target,
                        chart: backup.clone(),
                    };
                    run.journal.write(event)?;
                    let kept = Chart::open(&backup)?;
                    before.kept = Some(backup);
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

    fn restore_command(&self, chart: &Chart) -> String {
        format!(
            "openshifter import {} --to {} -n {} brings the application back",
            chart.dir().display(),
            self.target.name(),
            self.target_namespace
        )
    }

    async fn export(&self, report: &mut Report, state: &mut State) -> Result<Chart, MigrateError> {
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
        state.keep = Some(Keep {
            path: path.clone(),
            ours,
        });
        report.left_out = exported.report.left_out;
        report.unlisted = exported.report.unlisted;
        report.losses.extend(exported.report.losses);
        report.next.extend(exported.report.next);
        // It was read from the user's own volumes a moment ago: links may point where they like. Devices are
        // made only where that is asked for.
        let allow = Allow {
            escaping_links: true,
            ..options.import.allow
        };
        verify(Chart::open(&path)?, allow).await
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
        if at == At::Source {
            // They are deleted, so nothing is left that could go on.
            state.quiesced = Quiesced::default();
        }
        self.run
            .or_cancelled(carry_out(self.run, cluster, &plan, at, report))
            .await
    }

    async fn back_up_target(&self, report: &mut Report) -> Result<PathBuf, MigrateError> {
        let charts = self
            .run
            .state
            .charts()
            .map_err(|source| MigrateError::State { source })?;
        let path = charts.join(format!("{}-before-{}", self.target_namespace, self.run.id));
        let options = ExportOptions {
            quiesce: true,
            helper_image: self.options.import.helper_image.clone(),
            ..ExportOptions::default()
        };
        let form = ChartForm::Folder(path.clone());
        let role = Role {
            at: At::Target,
            stay_quiesced: true,
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
            Ok(exported) if exported.report.outcome == Outcome::Complete => {}
            Ok(mut exported) => {
                let first = exported.report.losses.first().cloned().unwrap_or_default();
                quiesce::release(
                    self.run,
                    self.target,
                    self.target_namespace,
                    At::Target,
                    &mut exported.quiesced,
                )
                .await?;
                return Err(MigrateError::NotPossible(format!(
                    "the target's present application is not deleted, since its backup is not complete: {first}"
                )));
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

/// The first object of a plan that the chart does not hold as it is at the cluster: it would be lost.
fn not_as_kept(plan: &DeletePlan, live: &[Object], kept: &[Object]) -> Option<ObjectKey> {
    plan.steps.iter().flatten().find_map(|step| {
        let by_uid = |object: &&Object| object.uid() == Some(step.uid.as_str());
        let (live, kept) = (live.iter().find(by_uid), kept.iter().find(by_uid));
        let same = match (live, kept) {
            (Some(live), Some(kept)) => content(live) == content(kept),
            _ => false,
        };
        (!same).then(|| step.key.clone())
    })
}

/// What a person wrote into an object: no status, no bookkeeping, and not the replicas, which stopping it changes.
fn content(object: &Object) -> Value {
    let mut value = object.value().clone();
    // Controllers add tokens to accounts, and bind claims, whenever they get to it.
    let by_controllers: &[&str] = match object.kind() {
        "ServiceAccount" if object.group().is_empty() => &["secrets", "imagePullSecrets"],
        _ => &[],
    };
    if let Some(fields) = value.as_object_mut() {
        for field in ["metadata", "status"].iter().chain(by_controllers) {
            fields.remove(*field);
        }
        if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("replicas");
        }
    }
    value
}

/// Takes over what a part of the run reports.
fn absorb(report: &mut Report, part: Report) {
    report.objects.extend(part.objects);
    report.volumes.extend(part.volumes);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{DeleteStep, Side};

    fn object(kind: &str, uid: &str, extra: Value) -> Object {
        let mut value = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web", "uid": uid,
            "resourceVersion": "1"}});
        if let Some(extra) = extra.as_object() {
            for (key, more) in extra {
                value[key] = more.clone();
            }
        }
        Object::from_value(value).unwrap()
    }

    fn plan(objects: &[Object]) -> DeletePlan {
        let steps = objects
            .iter()
            .map(|object| DeleteStep {
                key: object.key(),
                uid: object.uid().unwrap_or_default().to_owned(),
                resource_version: "1".to_owned(),
                generation: None,
            })
            .collect();
        DeletePlan {
            at: Side {
                cluster: "c".to_owned(),
                base: "b".to_owned(),
                namespace: "n".to_owned(),
            },
            steps: vec![steps],
            kept_claims: Vec::new(),
            left_out: Vec::new(),
            unlisted: Vec::new(),
        }
    }

    #[test]
    fn stopping_a_workload_is_no_change() {
        let kept = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 1}, "status": {"a": 1}}),
        )];
        let live = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 0, "x": 1}, "status": {"a": 2}}),
        )];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), None);
    }

    #[test]
    fn what_was_changed_after_the_export_is_not_deleted() {
        let kept = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 1}}),
        )];
        let live = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 2}}),
        )];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), Some(live[0].key()));
    }

    #[test]
    fn what_is_not_in_the_chart_is_not_deleted() {
        let live = [object("Deployment", "another", json!({"spec": {}}))];
        let kept = [object("Deployment", "u", json!({"spec": {}}))];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), Some(live[0].key()));
    }

    #[test]
    fn only_what_was_shown_is_deleted() {
        let (old, new) = (
            object("Deployment", "u", json!({})),
            object("Deployment", "v", json!({})),
        );
        let now = plan(&[old.clone(), new]).only_what_was_shown(&plan(&[old]));
        let uids: Vec<&str> = now
            .steps
            .iter()
            .flatten()
            .map(|step| step.uid.as_str())
            .collect();
        assert_eq!(uids, ["u"]);
    }
}
