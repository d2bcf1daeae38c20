//! `openshifter migrate`.

use anyhow::Result;
use openshifter_migrate::{MigrateOptions, PolicyPlan, migrate, plan_policy};

use crate::cli::Migrate;
use crate::commands::Session;
use crate::connect::Connected;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Migrate, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    let source = session
        .connect(&args.names, &args.from.cluster, args.from.login())
        .await?;
    let target = session
        .connect(&args.names, &args.to.cluster, args.to.login())
        .await;
    let target = match target {
        Ok(target) => target,
        Err(error) => {
            source.logout().await;
            return Err(error);
        }
    };
    let result = migrated(&args, &source, &target, &session).await;
    source.logout().await;
    target.logout().await;
    result
}

async fn migrated(
    args: &Migrate,
    source: &Connected,
    target: &Connected,
    session: &Session,
) -> Result<Exit> {
    let printer = session.printer;
    let from = source.namespace(args.namespace.as_deref())?;
    let to = match (&args.to_namespace, &target.namespace) {
        (Some(asked), _) => asked.clone(),
        (None, Some(named)) => named.clone(),
        (None, None) => from.clone(),
    };
    let export = args
        .reading
        .options(args.quiesce, &args.helper, &args.images)?;
    let mut import = args.writing.options(&args.helper, &args.images, true)?;
    import.images.auth_file.clone_from(&export.images.auth_file);
    let options = MigrateOptions {
        policy: args.policy,
        export,
        import,
        with_data: args.with_data,
        keep_chart: args.keep_chart.clone(),
    };
    let planning = plan_policy(&source.cluster, &from, &target.cluster, &to, &options);
    let plan = session
        .unless_stopped(async { Ok(planning.await?) })
        .await?;
    if args.dry_run {
        printer.data(&plan, PolicyPlan::text)?;
        return Ok(Exit::of_images(&plan.images, true, printer));
    }
    printer.note(&plan.text());
    if plan.deletes.is_some()
        && !args.yes
        && !session
            .confirm("Something will be deleted, as shown.")
            .await?
    {
        printer.note("nothing was changed");
        return Ok(Exit::Failed);
    }
    let started = session.begin()?;
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
