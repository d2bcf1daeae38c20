//! `openshifter build`.

use anyhow::{Context as _, Result};
use openshifter_deploy::{BuildSource, Project, SourceTree, Target, TargetKind};
use serde::Serialize;

use crate::cli::{Build, StartBuild};
use crate::commands::Session;
use crate::commands::steps::{Steps, usage, within};
use crate::exit::Exit;
use crate::printer::Printer;

/// What became of it.
#[derive(Serialize)]
struct Started {
    build: String,
    phase: String,
}

pub(crate) async fn build(args: Build, printer: Printer) -> Result<Exit> {
    let Build::Start(args) = args;
    let config = Target::parse(&args.name, TargetKind::BuildConfig)
        .and_then(|target| target.one_of(&[TargetKind::BuildConfig], "be built"))
        .map_err(usage)?
        .name;
    // What is wrong here is found before anybody logs in.
    let source = source(&args).await?;
    let session = Session::new(printer);
    within!(args.at, session, |project| {
        start(&args, &config, source, project, printer).await
    })
}

async fn start(
    args: &StartBuild,
    config: &str,
    source: BuildSource,
    project: &Project,
    printer: Printer,
) -> Result<Exit> {
    let steps = if printer.is_json() {
        Steps::new(printer)
    } else {
        Steps::with_logs(printer)
    };
    let mut build = project
        .start_build(config, source, &steps)
        .await
        .map_err(usage)?;
    let name = build.name().to_owned();
    steps.finish();
    printer.note(&format!("build {name} started"));
    if args.follow {
        build = project.follow_build(&name, args.timeout, &steps).await?;
    } else if args.wait {
        build = project.wait_build(&name, args.timeout).await?;
    }
    let phase = build.value()["status"]["phase"].as_str().unwrap_or("New");
    let started = Started {
        build: name,
        phase: phase.to_owned(),
    };
    printer.data(&started, |started| {
        // A log that was asked for stands alone.
        if args.follow {
            String::new()
        } else {
            format!("build/{}\n", started.build)
        }
    })?;
    Ok(Exit::Complete)
}

async fn source(args: &StartBuild) -> Result<BuildSource> {
    if let Some(file) = &args.from_file {
        return Ok(BuildSource::File(file.clone()));
    }
    if let Some(archive) = &args.from_archive {
        return Ok(BuildSource::Archive(archive.clone()));
    }
    let Some(folder) = args.from_dir.clone() else {
        return Ok(BuildSource::Configured {
            env: args.env.clone(),
        });
    };
    let tree = tokio::task::spawn_blocking(move || SourceTree::of_build(&folder))
        .await
        .context("reading the source")?
        .map_err(usage)?;
    Ok(BuildSource::Folder(tree))
}
