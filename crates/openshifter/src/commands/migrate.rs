//! `openshifter migrate`.

use anyhow::Result;
use openshifter_migrate::{
    ExportOptions, ImportOptions, MigrateOptions, PolicyPlan, migrate, plan_policy,
};

use crate::cli::{Allow, Migrate};
use crate::commands::{Started, confirm};
use crate::connect::Connected;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Migrate, printer: Printer) -> Result<Exit> {
    let source = args
        .names
        .connect(&args.from.cluster, &args.from.login())
        .await?;
    let target = match args.names.connect(&args.to.cluster, &args.to.login()).await {
        Ok(target) => target,
        Err(error) => {
            source.logout().await;
            return Err(error);
        }
    };
    let result = migrated(&args, &source, &target, printer).await;
    source.logout().await;
    target.logout().await;
    result
}

async fn migrated(
    args: &Migrate,
    source: &Connected,
    target: &Connected,
    printer: Printer,
) -> Result<Exit> {
    let from = source.namespace(args.namespace.as_deref())?;
    let to = match (&args.to_namespace, &target.namespace) {
        (Some(asked), _) => asked.clone(),
        (None, Some(named)) => named.clone(),
        (None, None) => from.clone(),
    };
    let options = MigrateOptions {
        policy: args.policy,
        export: ExportOptions {
            selector: args.reading.selector.clone(),
            quiesce: args.quiesce,
            skip_volumes: args.reading.skip_volume.iter().cloned().collect(),
            helper_image: args.helper.helper_image.clone(),
            choices: args.reading.choices(),
            ..ExportOptions::default()
        },
        import: ImportOptions {
            values: args.writing.overrides()?,
            existing: args.writing.existing.into(),
            overwrite_data: args.writing.overwrite_data,
            helper_image: args.helper.helper_image.clone(),
            allow_crds: args.writing.allow.contains(&Allow::Crds),
            allow_beyond_project: args.writing.allow.contains(&Allow::BeyondProject),
            allow: args.writing.in_volumes(),
            patience: args.writing.timeout,
            ..ImportOptions::default()
        },
        with_data: args.with_data,
        keep_chart: args.keep_chart.clone(),
    };
    let plan = plan_policy(&source.cluster, &from, &target.cluster, &to, &options).await?;
    if args.dry_run {
        printer.data(&plan, PolicyPlan::text)?;
        return Ok(Exit::Complete);
    }
    printer.note(&plan.text());
    if plan.deletes.is_some()
        && !args.yes
        && !confirm(printer, "Something will be deleted, as shown.")?
    {
        printer.note("nothing was changed");
        return Ok(Exit::Failed);
    }
    let started = Started::new(printer, None)?;
    let result = migrate(
        &started.run,
        &source.cluster,
        &from,
        &target.cluster,
        &to,
        &options,
        &plan,
    )
    .await;
    started.end(printer, &result, false)
}
