//! Import: a fat chart becomes a running application, its data restored and read back before it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use openshifter_chart::{Chart, ImageTag, VolumeHelper};
use openshifter_cluster::Cluster;
use openshifter_objects::Object;
use serde_json::Value;

use openshifter_volumes::Allow;

use crate::ending::ended;
use crate::error::Ended;
use crate::export::verify;
use crate::helper::Helpers;
use crate::images::{Goal, Landing, Straight};
use crate::journal::{At, Event, torn};
use crate::project::side;
use crate::quiesce::{self, Quiesced};
use crate::resume::Remembered;
use crate::{ImageOptions, MigrateError, Report, Run, VolumeAction, VolumeEntry};

mod arrived;
mod builds;
mod crds;
mod jobs;
mod leave;
mod objects;
mod prepare;
mod volumes;
mod webhooks;

pub(crate) use objects::Verdict;

/// What happens to an object that exists at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// The import is refused, unless the object is already what the chart says.
    #[default]
    Fail,
    /// It is left as it is.
    Skip,
    /// It is made what the chart says.
    Apply,
}

/// How long a build at the target may take, unless it is given longer.
const BUILD_PATIENCE: Duration = Duration::from_secs(1800);

/// How a chart is to be imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Values over the chart's own.
    pub values: Value,
    /// What happens to objects that exist. Claims follow their data instead.
    pub existing: Existing,
    /// Whether a claim that holds other data is overwritten, after a backup.
    pub overwrite_data: bool,
    /// Claims whose data is not restored: the application starts with what they hold, or empty.
    pub skip_volumes: BTreeSet<String>,
    /// Where the chart came from, when it was unpacked from an archive: `resume` opens it again.
    pub origin: Option<PathBuf>,
    /// An image with `sh`, `sleep` and `tar` for helper pods.
    pub helper_image: Option<String>,
    /// Whether CustomResourceDefinitions of the chart may be created.
    pub allow_crds: bool,
    /// Whether the chart may hold what grants rights beyond the project: privileged pods, grants of security context
    /// constraints.
    pub allow_beyond_project: bool,
    /// What was allowed in volumes when the chart was opened; `resume` opens it again.
    pub allow: Allow,
    /// What becomes of the images where the chart's own decisions do not hold, and how the target's registry is reached.
    pub images: ImageOptions,
    /// How long the application may take to be ready.
    pub patience: Duration,
    /// How long each build at the target may take.
    pub build_patience: Duration,
    /// Only says what would be done.
    pub dry_run: bool,
}

impl ImportOptions {
    /// Gives the application so long to be ready. A build may take half an hour even if that is longer.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        self.build_patience = patience.max(BUILD_PATIENCE);
    }
}

/// What a policy or `resume` knows besides.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// Claims whose data is kept already, and in which chart.
    pub(crate) kept: BTreeMap<String, PathBuf>,
    /// What an earlier part of the run has stopped at the target.
    pub(crate) quiesced: Quiesced,
    /// Images that are not in the chart, as they were found at the source.
    pub(crate) straight: Option<Straight>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            values: Value::Null,
            existing: Existing::Fail,
            overwrite_data: false,
            skip_volumes: BTreeSet::new(),
            origin: None,
            helper_image: None,
            allow_crds: false,
            allow_beyond_project: false,
            allow: Allow::default(),
            images: ImageOptions::default(),
            patience: Duration::from_secs(600),
            build_patience: BUILD_PATIENCE,
            dry_run: false,
        }
    }
}

/// Opens a chart, a folder or an archive, ours or the 2019 prototype's, and verifies all of it. An archive is
/// unpacked into `spool`. `allow` says what of a volume's content is let in that a hostile chart could harm with: links
/// out of the volume, device nodes.
///
/// # Errors
/// When it is no chart, or is damaged or hostile.
pub async fn open_chart(path: &Path, spool: &Path, allow: Allow) -> Result<Chart, MigrateError> {
    let named = |source| MigrateError::OpenChart {
        path: path.to_owned(),
        source,
    };
    let (given, spool) = (path.to_owned(), spool.to_owned());
    let chart = tokio::task::spawn_blocking(move || Chart::open_any(&given, &spool))
        .await
        .map_err(|error| MigrateError::State {
            source: std::io::Error::other(error),
        })?
        .map_err(named)?;
    match verify(chart, allow).await {
        Err(MigrateError::Chart(source)) => Err(named(source)),
        verified => verified,
    }
}

/// Imports a verified chart.
///
/// # Errors
/// When something does not fit the target (nothing is changed then), or is refused half-way (`undo` takes back
/// what was done).
pub async fn import(
    run: &Run,
    chart: &Chart,
    target: &Cluster,
    namespace: &str,
    options: &ImportOptions,
) -> Ended {
    import_after(run, chart, target, namespace, options, &Before::default()).await
}

/// [`import`] as a part of a policy, or gone on with.
pub(crate) async fn import_after(
    run: &Run,
    chart: &Chart,
    target: &Cluster,
    namespace: &str,
    options: &ImportOptions,
    before: &Before,
) -> Ended {
    let mut report = Report::new(
        run.id.clone(),
        if options.dry_run {
            "import (dry run)"
        } else {
            "import"
        },
    );
    report.dry_run = options.dry_run;
    report.target = Some(side(target, namespace));
    report.chart = Some(
        options
            .origin
            .clone()
            .unwrap_or_else(|| chart.dir().to_owned()),
    );
    let helpers = Helpers::new(run, target, namespace, At::Target);
    let mut quiesced = before.quiesced.clone();
    let result = run
        .or_cancelled(work(
            run,
            chart,
            target,
            namespace,
            options,
            before,
            &helpers,
            &mut quiesced,
            &mut report,
        ))
        .await;
    report.losses.extend(helpers.remove_all().await);
    // An application that starts on a part of its data may take it for all of it, or destroy it.
    let torn = match run.journal.events() {
        Ok(events) => torn(&events),
        // Nobody knows: what is stopped stays so.
        Err(error) => return ended(run, report, Err(error.into())),
    };
    for (key, claim) in quiesced.without_users_of(&torn) {
        report.next.push(format!(
            "{key} stays stopped, since claim {claim} holds only a part of its data"
        ));
    }
    let released = quiesce::release(run, target, namespace, At::Target, &mut quiesced).await;
    ended(run, report, result.and(released))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one run, taken apart for its clean-up"
)]
async fn work(
    run: &Run,
    chart: &Chart,
    target: &Cluster,
    namespace: &str,
    options: &ImportOptions,
    before: &Before,
    helpers: &Helpers<'_>,
    quiesced: &mut Quiesced,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let origin = options
        .origin
        .clone()
        .unwrap_or_else(|| chart.dir().to_owned());
    run.progress
        .stage("preparing the objects for their new place");
    let spool = run
        .state
        .spool()
        .map_err(|source| MigrateError::State { source })?;
    let records = crate::images::chosen(&chart.manifest().images, &options.images)?;
    let there = target.namespace_exists(namespace).await?;
    let landing = Landing::of(target, namespace, there, records, &options.images).await?;
    let mut prepared = prepare::prepare(chart, options, namespace, spool.path(), &landing).await?;
    if !jobs::can_suspend(&target.version().await?.kubernetes) {
        jobs::hold_without_suspend(&mut prepared.objects, &mut prepared.findings);
    }
    report.findings.clone_from(&prepared.findings);
    report.left_out.clone_from(&prepared.left_out);
    report.losses.extend(prepared.losses.iter().cloned());
    for claim in &prepared.skipped {
        report.volumes.push(VolumeEntry::without_data(
            claim,
            VolumeAction::Skipped,
            "as asked for",
        ));
    }

    run.progress
        .stage(&format!("looking at {}/{namespace}", target.name()));
    leave::check(&prepared, options)?;
    crds::check(target, &prepared, options).await?;
    let decided = objects::decide(
        run,
        target,
        namespace,
        there,
        &prepared.objects,
        &builds::held(&prepared.objects, &landing.records, namespace),
        options.existing,
    )
    .await?;
    let (records, sent) = (&landing.records, &prepared.objects);
    crate::images::check_mapped(records, sent, &options.images, report).await?;
    let standing = match there {
        true => {
            builds::look(
                run,
                (target, namespace),
                sent,
                records,
                options.existing,
                report,
            )
            .await?
        }
        false => builds::Standing::default(),
    };
    let images = crate::images::look_at_target(
        run,
        chart,
        Goal {
            target,
            namespace,
            there,
            options: &options.images,
            existing: options.existing,
            objects: sent,
        },
        &landing,
        before.straight.as_ref(),
    )
    .await?;
    let work = Work {
        run,
        target,
        namespace,
        helpers,
        prepared: &prepared,
        objects: &prepared.objects,
        options,
    };
    // Comparing the claims that exist needs pods: a run that is killed meanwhile is to be known.
    if !options.dry_run {
        run.journal.write(Event::Begin {
            operation: "import".to_owned(),
            source: None,
            target: report.target.clone(),
            chart: Some(origin.clone()),
            options: serde_json::to_value(Remembered::new(
                origin,
                options,
                before.straight.as_ref(),
            ))
            .unwrap_or_default(),
        })?;
    }
    let decided_volumes = if there {
        volumes::look(work).await?
    } else {
        volumes::all_new(&prepared)
    };
    if options.dry_run {
        images.dry_run(target, namespace, report).await?;
        objects::dry_run(target, namespace, there, &decided, report).await?;
        volumes::dry_run(&decided_volumes, report);
        return Ok(());
    }

    crds::create(run, target, &prepared, report).await?;
    if !there {
        run.progress.stage(&format!("creating {namespace}"));
        run.journal.write(Event::NamespaceCreating {
            at: At::Target,
            namespace: namespace.to_owned(),
        })?;
        target.ensure_namespace(namespace).await?;
        objects::settled(target, namespace).await;
    }

    run.progress.stage("creating the objects, stopped");
    let (now, later): (Vec<_>, Vec<_>) =
        decided.into_iter().partition(|decided| !decided.is_later());
    // A stream imports its tags when it is made, and not again when it could not: pull secrets are there before. Images
    // come before all else, since a build or a trigger of what comes after them may start something.
    let is_secret = |decided: &&objects::Decided| decided.object.is("", "Secret");
    let secrets = now.iter().filter(is_secret);
    objects::carry_out(run, target, namespace, secrets, report, true).await?;
    let is_stream =
        |decided: &&objects::Decided| decided.object.is("image.openshift.io", "ImageStream");
    let streams = now.iter().filter(is_stream);
    objects::carry_out(run, target, namespace, streams, report, true).await?;
    images.give(run, target, namespace, report).await?;
    let others = now
        .iter()
        .filter(|decided| !is_secret(decided) && !is_stream(decided));
    objects::carry_out(run, target, namespace, others, report, true).await?;
    webhooks::tell(target, namespace, &now, report);

    // Before the data: a helper pod is best made of the application's own image, which may have to be built here.
    builds::run(
        run,
        target,
        namespace,
        &prepared.objects,
        &landing.records,
        (&standing, options.build_patience),
        report,
    )
    .await?;
    let objects = builds::with_images(target, namespace, &prepared.objects).await?;
    let work = Work {
        objects: &objects,
        ..work
    };
    volumes::restore(work, decided_volumes, before, quiesced, report).await?;
    // The application's own pods may be on another node. What cannot be removed now is tried again at the end.
    let _ = helpers.remove_all().await;

    run.progress.stage("starting the application");
    objects::release(run, target, namespace, &now).await?;
    objects::carry_out(run, target, namespace, later.iter(), report, false).await?;
    quiesce::release(run, target, namespace, At::Target, quiesced).await?;

    run.progress.stage("waiting until the application is ready");
    let waited: BTreeSet<_> = now
        .iter()
        .chain(&later)
        .filter(|decided| {
            decided.verdict != Verdict::Skip && crate::ready::is_waited_for(&decided.object)
        })
        .map(|decided| decided.object.key())
        .collect();
    let waited: Vec<_> = waited.into_iter().collect();
    for (key, reason) in
        crate::ready::wait_ready(run, target, namespace, &waited, options.patience).await?
    {
        report.losses.push(format!("{key} is not ready: {reason}"));
    }
    objects::check(target, namespace, now.iter().chain(&later), report).await?;
    let sent: Vec<&Object> = now
        .iter()
        .filter(|decided| decided.verdict != Verdict::Skip)
        .map(|decided| &decided.object)
        .collect();
    arrived::imported(target, namespace, &sent, &prepared.had, report).await?;
    let (records, sent) = (&landing.records, &prepared.objects);
    arrived::moved(target, namespace, records, sent, &options.images, report).await
}

/// Objects of the chart as they will be created, and what goes with them.
pub(crate) struct Prepared {
    /// Objects without a namespace of another cluster, knobs turned.
    pub(crate) objects: Vec<Object>,
    /// Tags that have an image at the source.
    pub(crate) had: BTreeSet<ImageTag>,
    /// Definitions of the custom resources.
    pub(crate) crds: Vec<Object>,
    /// Claims and their data.
    pub(crate) volumes: Vec<(String, openshifter_volumes::StoredVolume)>,
    /// What the claims were read with at the source: a chart of claims alone names no other image.
    pub(crate) helpers: BTreeMap<String, VolumeHelper>,
    pub(crate) findings: Vec<openshifter_refactor::Finding>,
    pub(crate) left_out: Vec<openshifter_objects::LeftOut>,
    /// What the chart says is missing in it.
    pub(crate) losses: Vec<String>,
    /// Claims whose data is not restored, as was asked for.
    pub(crate) skipped: Vec<String>,
}

/// What the parts of an import share.
#[derive(Clone, Copy)]
struct Work<'a> {
    run: &'a Run,
    target: &'a Cluster,
    namespace: &'a str,
    helpers: &'a Helpers<'a>,
    prepared: &'a Prepared,
    /// The application's objects with images that the target has, as far as that is known yet.
    objects: &'a [Object],
    options: &'a ImportOptions,
}

impl Work<'_> {
    /// Images that a helper pod for this claim may be made of, the best first.
    fn images(&self, claim: &str) -> Vec<VolumeHelper> {
        crate::helper::candidates(
            claim,
            self.objects,
            self.options.helper_image.as_deref(),
            self.prepared.helpers.get(claim),
        )
    }
}
