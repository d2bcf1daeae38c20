//! `openshifter import`.

use anyhow::{Context as _, Result};
use openshifter_chart::Chart;
use openshifter_migrate::{ImportOptions, import};

use crate::cli::Import;
use crate::commands::{Session, state};
use crate::connect::Connected;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Import, printer: Printer) -> Result<Exit> {
    let mut options = ImportOptions {
        origin: Some(std::path::absolute(&args.chart).context("finding the chart")?),
        dry_run: args.dry_run,
        skip_volumes: args.skip_volume.iter().cloned().collect(),
        ..args.writing.options(&args.helper, &args.images, false)?
    };
    options.images.auth_file = args.registries.auth_file()?;
    let session = Session::new(printer);
    // A bad chart is found before anybody logs in.
    let spool = state()?
        .spool()
        .context("making a folder to unpack the chart")?;
    let opened = session.open(&args.chart, spool, options.allow).await?;
    let target = session
        .connect(&args.names, &args.to.cluster, args.to.login())
        .await?;
    let result = imported(&args, &opened.chart, &target, &options, &session).await;
    target.logout().await;
    result
}

async fn imported(
    args: &Import,
    chart: &Chart,
    target: &Connected,
    options: &ImportOptions,
    session: &Session,
) -> Result<Exit> {
    let namespace = target.namespace(args.namespace.as_deref())?;
    let started = session.begin()?;
    let result = import(&started.run, chart, &target.cluster, &namespace, options).await;
    started.end(session.printer, &result, false)
}
