//! `openshifter delete`.

use anyhow::Result;
use openshifter_migrate::{DeletePlan, delete, plan_delete};

use crate::cli::Delete;
use crate::commands::{Started, confirm};
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Delete, printer: Printer) -> Result<Exit> {
    let source = args
        .names
        .connect(&args.from.cluster, &args.from.login())
        .await?;
    let result = deleted(&args, &source, printer).await;
    source.logout().await;
    result
}

async fn deleted(
    args: &Delete,
    source: &crate::connect::Connected,
    printer: Printer,
) -> Result<Exit> {
    let namespace = source.namespace(args.namespace.as_deref())?;
    let plan = plan_delete(
        &source.cluster,
        &namespace,
        args.selector.as_ref(),
        args.with_data,
    )
    .await?;
    if args.dry_run {
        printer.data(&plan, DeletePlan::text)?;
        return Ok(Exit::Complete);
    }
    if plan.count() == 0 {
        printer.note(&format!("nothing to delete in {namespace}"));
        return Ok(Exit::Complete);
    }
    printer.note(&plan.text());
    if !args.yes && !confirm(printer, &format!("Delete these {} objects?", plan.count()))? {
        printer.note("nothing was deleted");
        return Ok(Exit::Failed);
    }
    let started = Started::new(printer, None)?;
    let result = delete(&started.run, &source.cluster, &plan).await;
    started.end(printer, &result, false)
}
