//! `openshifter export`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use openshifter_migrate::{ChartForm, ExportOptions, export};

use crate::cli::Export;
use crate::commands::Started;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Export, printer: Printer) -> Result<Exit> {
    let source = args
        .names
        .connect(&args.from.cluster, &args.from.login())
        .await?;
    let result = exported(&args, &source, printer).await;
    source.logout().await;
    result
}

async fn exported(
    args: &Export,
    source: &crate::connect::Connected,
    printer: Printer,
) -> Result<Exit> {
    let namespace = source.namespace(args.namespace.as_deref())?;
    let options = ExportOptions {
        selector: args.reading.selector.clone(),
        quiesce: args.quiesce,
        skip_volumes: args.reading.skip_volume.iter().cloned().collect(),
        helper_image: args.helper.helper_image.clone(),
        choices: args.reading.choices(),
        ..ExportOptions::default()
    };
    if args.dry_run {
        let plan = openshifter_migrate::plan_export(&source.cluster, &namespace, &options).await?;
        printer.data(&plan, openshifter_migrate::ExportPlan::text)?;
        return Ok(Exit::Complete);
    }
    let started = Started::new(printer, None)?;
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    let spool = tempfile_for(&started)?;
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

fn tempfile_for(started: &Started) -> Result<tempfile::TempDir> {
    started
        .run
        .state
        .spool()
        .context("making a folder for the archive")
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".tgz") || name.ends_with(".tar.gz")
}
