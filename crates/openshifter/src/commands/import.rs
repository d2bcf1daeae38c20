//! `openshifter import`.

use anyhow::{Context as _, Result};
use openshifter_migrate::{ImportOptions, import, open_chart};

use crate::cli::{Allow, Import};
use crate::commands::Started;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Import, printer: Printer) -> Result<Exit> {
    let options = ImportOptions {
        values: args.writing.overrides()?,
        existing: args.writing.existing.into(),
        overwrite_data: args.writing.overwrite_data,
        origin: Some(std::path::absolute(&args.chart).context("finding the chart")?),
        helper_image: args.helper.helper_image.clone(),
        allow_crds: args.writing.allow.contains(&Allow::Crds),
        allow_beyond_project: args.writing.allow.contains(&Allow::BeyondProject),
        allow: args.writing.in_volumes(),
        patience: args.writing.timeout,
        dry_run: args.dry_run,
    };
    // A bad chart is found before anybody logs in.
    let started = Started::new(printer, None)?;
    let spool = started
        .run
        .state
        .spool()
        .context("making a folder to unpack the chart")?;
    let chart = open_chart(&args.chart, spool.path(), options.allow).await?;
    let target = args
        .names
        .connect(&args.to.cluster, &args.to.login())
        .await?;
    let result = match target.namespace(args.namespace.as_deref()) {
        Ok(namespace) => {
            let result = import(&started.run, &chart, &target.cluster, &namespace, &options).await;
            started.end(printer, &result, false)
        }
        Err(error) => Err(error),
    };
    target.logout().await;
    result
}
