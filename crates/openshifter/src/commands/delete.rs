//! `openshifter delete`.

use anyhow::Result;
use openshifter_migrate::{DeletePlan, delete, plan_delete};
use openshifter_objects::counted;

use crate::cli::Delete;
use crate::commands::Session;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Delete, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    let source = session
        .connect(&args.names, &args.from.cluster, args.from.login())
        .await?;
    let result = deleted(&args, &source, &session).await;
    source.logout().await;
    result
}

async fn deleted(
    args: &Delete,
    source: &crate::connect::Connected,
    session: &Session,
) -> Result<Exit> {
    let printer = session.printer;
    let namespace = source.namespace(args.namespace.as_deref())?;
    let planning = plan_delete(
        &source.cluster,
        &namespace,
        args.only.selector.as_ref(),
        args.with_data,
    );
    let plan = session
        .unless_stopped(async { Ok(planning.await?) })
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
    let these = if plan.count() == 1 { "this" } else { "these" };
    let question = format!("Delete {these} {}?", counted(plan.count(), "object"));
    if !args.yes && !session.confirm(&question).await? {
        printer.note("nothing was deleted");
        return Ok(Exit::Failed);
    }
    let started = session.begin()?;
    let result = delete(&started.run, &source.cluster, &plan).await;
    started.end(printer, &result, false)
}
