//! `openshifter undo` and `openshifter resume`.

use anyhow::Result;
use openshifter_migrate::{Ends, Side};

use crate::cli::{Login, Names, Resume, Undo};
use crate::commands::Started;
use crate::connect::Connected;
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

/// Connects to an end of a run: by the name given now, by the name it had then, or by its address.
async fn again(
    names: &Names,
    login: &Login,
    asked: Option<&str>,
    side: Option<&Side>,
) -> Result<Option<Connected>> {
    let Some(side) = side else { return Ok(None) };
    let name = asked.unwrap_or(&side.cluster);
    Ok(Some(names.connect(name, login).await?))
}

pub(crate) async fn undo(args: Undo, printer: Printer) -> Result<Exit> {
    let started = Started::new(printer, Some(args.run.clone()))?;
    let ends = Ends::of(&started.run)?;
    let login = args.again.login();
    // Only ends at which something was changed are needed.
    let (at_source, at_target) = started.run.journal.touched()?;
    let source = match at_source {
        true => {
            again(
                &args.names,
                &login,
                args.from.as_deref(),
                ends.source.as_ref(),
            )
            .await?
        }
        false => None,
    };
    let target = match at_target {
        true => {
            again(
                &args.names,
                &login,
                args.to.as_deref(),
                ends.target.as_ref(),
            )
            .await?
        }
        false => None,
    };
    let result = openshifter_migrate::undo(
        &started.run,
        source.as_ref().map(|end| &end.cluster),
        target.as_ref().map(|end| &end.cluster),
    )
    .await;
    let exit = started.end(printer, &result, false);
    for end in [source, target].into_iter().flatten() {
        end.logout().await;
    }
    exit
}

pub(crate) async fn resume(args: Resume, printer: Printer) -> Result<Exit> {
    let started = Started::new(printer, Some(args.run.clone()))?;
    let ends = Ends::of(&started.run)?;
    let target = again(
        &args.names,
        &args.again.login(),
        args.to.as_deref(),
        ends.target.as_ref(),
    )
    .await?;
    let Some(target) = target else {
        return Err(Usage(format!("run {} has no target", args.run)).into());
    };
    let result = openshifter_migrate::resume(&started.run, &target.cluster).await;
    let exit = started.end(printer, &result, false);
    target.logout().await;
    exit
}
