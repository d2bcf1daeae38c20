//! `openshifter cp`.

use std::path::Path;

use anyhow::Result;
use openshifter_deploy::{Copied, Place, Project, Target, TargetKind, copy_place};
use serde_json::json;

use crate::cli::Cp;
use crate::commands::Session;
use crate::commands::steps::{Steps, usage};
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

pub(crate) async fn cp(args: Cp, printer: Printer) -> Result<Exit> {
    let places = (copy_place(&args.from), copy_place(&args.to));
    let ((Some((namespace, pod, _)), None) | (None, Some((namespace, pod, _)))) = places else {
        return Err(Usage(
            "one of both must be in a container, as POD:PATH, and the other here".to_owned(),
        )
        .into());
    };
    let target = Target::parse(pod, TargetKind::Pod).map_err(usage)?;
    let session = Session::new(printer);
    let here = args.at.enter_project(&session, namespace).await?;
    let copying = async {
        let place = here
            .project
            .place(&target, args.container.as_deref())
            .await
            .map_err(usage)?;
        copied(&args, &here.project, &place, printer).await
    };
    let result = session.unless_stopped(copying).await;
    here.leave().await;
    result
}

async fn copied(args: &Cp, project: &Project, place: &Place, printer: Printer) -> Result<Exit> {
    let steps = Steps::new(printer);
    let result = match (copy_place(&args.from), copy_place(&args.to)) {
        (Some((_, _, path)), _) => {
            project
                .download(place, path, Path::new(&args.to), &steps)
                .await
        }
        (_, Some((_, _, path))) => {
            project
                .upload(Path::new(&args.from), place, path, &steps)
                .await
        }
        // The caller has looked.
        (None, None) => return Ok(Exit::Usage),
    };
    steps.finish();
    let Copied {
        files,
        bytes,
        to,
        verified,
        left_out,
    } = result.map_err(usage)?;
    for path in &left_out {
        printer.note(&format!(
            "left out: {} is neither a file nor a folder nor a link",
            path.display()
        ));
    }
    if !verified {
        printer.note("sizes were not compared: the container has no xargs and stat");
    }
    if printer.is_json() {
        let data = json!({"files": files, "bytes": bytes, "to": to, "verified": verified, "leftOut": left_out});
        printer.data(&data, |_| String::new())?;
    } else {
        printer.note(&format!("{files} files, {bytes} bytes to {to}"));
    }
    Ok(if left_out.is_empty() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}
