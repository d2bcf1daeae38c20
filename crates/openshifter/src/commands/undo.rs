//! `openshifter undo` and `openshifter resume`.

use anyhow::Result;
use openshifter_migrate::{Ends, ResumeOptions, Side, resume_reads_source};

use crate::cli::{Login, Names, Resume, Undo};
use crate::commands::Session;
use crate::connect::Connected;
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

/// Connects to an end of a run: by the name given now, by the name it had then, or by its address.
async fn again(
    session: &Session,
    names: &Names,
    (asked, login): (Option<&str>, Login),
    side: Option<&Side>,
) -> Result<Option<Connected>> {
    let Some(side) = side else { return Ok(None) };
    let name = asked.unwrap_or(&side.cluster);
    Ok(Some(session.connect(names, name, login).await?))
}

pub(crate) async fn undo(args: Undo, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    let started = session.take_up(&args.taken.run)?;
    let ends = Ends::of(&started.run)?;
    let taken = &args.taken;
    // Only ends at which something was changed are needed.
    let (at_source, at_target) = started.run.journal.touched()?;
    let source = match at_source {
        true => again(&session, &taken.names, taken.source(), ends.source.as_ref()).await?,
        false => None,
    };
    let target = match at_target {
        true => again(&session, &taken.names, taken.target(), ends.target.as_ref()).await,
        false => Ok(None),
    };
    let (exit, target) = match target {
        Ok(target) => {
            let result = openshifter_migrate::undo(
                &started.run,
                source.as_ref().map(|end| &end.cluster),
                target.as_ref().map(|end| &end.cluster),
            )
            .await;
            (started.end(printer, &result, false), target)
        }
        Err(error) => (Err(error), None),
    };
    for end in [source, target].into_iter().flatten() {
        end.logout().await;
    }
    exit
}

pub(crate) async fn resume(args: Resume, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    let started = session.take_up(&args.taken.run)?;
    let ends = Ends::of(&started.run)?;
    let taken = &args.taken;
    let (source_token, target_token) = (args.registries.token()?, args.to_registry.token()?);
    let auth_file = args.registries.auth_file()?;
    let target = again(&session, &taken.names, taken.target(), ends.target.as_ref()).await?;
    let Some(target) = target else {
        return Err(Usage(format!("run {} has no target", args.taken.run)).into());
    };
    let source = match resume_reads_source(&started.run)? {
        true => again(&session, &taken.names, taken.source(), ends.source.as_ref()).await,
        false => Ok(None),
    };
    let source = match source {
        // The target may have its images by now. One that was named is meant.
        Err(error) if taken.from.cluster.is_none() => {
            printer.note(&format!("the source cannot be asked for images: {error:#}"));
            None
        }
        Err(error) => {
            target.logout().await;
            return Err(error);
        }
        Ok(source) => source,
    };
    let options = ResumeOptions {
        source: source.as_ref().map(|end| &end.cluster),
        source_registry: args.registries.from_registry.as_deref(),
        source_token: source_token.as_ref(),
        target_token: target_token.as_ref(),
        auth_file: auth_file.as_ref(),
        patience: args.timeout,
    };
    let result = openshifter_migrate::resume(&started.run, &target.cluster, &options).await;
    let exit = started.end(printer, &result, false);
    for end in source.into_iter().chain([target]) {
        end.logout().await;
    }
    exit
}
