//! `openshifter export`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use openshifter_migrate::{ChartForm, export};

use crate::cli::Export;
use crate::commands::Session;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Export, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    let source = session
        .connect(&args.names, &args.from.cluster, args.from.login())
        .await?;
    let result = exported(&args, &source, &session).await;
    source.logout().await;
    result
}

async fn exported(
    args: &Export,
    source: &crate::connect::Connected,
    session: &Session,
) -> Result<Exit> {
    let printer = session.printer;
    let namespace = source.namespace(args.namespace.as_deref())?;
    let options = args
        .reading
        .options(args.quiesce, &args.helper, &args.images)?;
    if args.dry_run {
        let planning = openshifter_migrate::plan_export(&source.cluster, &namespace, &options);
        let plan = session
            .unless_stopped(async { Ok(planning.await?) })
            .await?;
        printer.data(&plan, openshifter_migrate::ExportPlan::text)?;
        return Ok(Exit::of_images(&plan.images, false, printer));
    }
    let started = session.begin()?;
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    let spool = started
        .run
        .state
        .spool()
        .context("making a folder for the archive")?;
    let form = match &args.out {
        _ if to_stdout => ChartForm::Archive(spool.path().join("chart.tgz")),
        Some(path) if is_archive(path) => ChartForm::Archive(path.clone()),
        Some(path) => ChartForm::Folder(path.clone()),
        None => ChartForm::Folder(PathBuf::from(format!("{namespace}-chart"))),
    };
    let mut result = export(&started.run, &source.cluster, &namespace, &options, &form)
        .await
        .map(|exported| exported.report);
    if let (true, Ok(report)) = (to_stdout, &mut result) {
        report.chart = None;
        let mut chart = tokio::fs::File::open(spool.path().join("chart.tgz")).await?;
        let mut stdout = tokio::io::stdout();
        tokio::io::copy(&mut chart, &mut stdout)
            .await
            .context("writing the chart to stdout")?;
        tokio::io::AsyncWriteExt::flush(&mut stdout)
            .await
            .context("writing the chart to stdout")?;
    }
    started.end(printer, &result, to_stdout)
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".tgz") || name.ends_with(".tar.gz")
}
