//! `openshifter chart`.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use openshifter_chart::{Chart as FatChart, UnpackLimits};
use openshifter_migrate::{Allow, open_chart};

use crate::cli::Chart;
use crate::commands::state;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Chart, printer: Printer) -> Result<Exit> {
    // Looking at a chart lets nothing of it out.
    let any = Allow {
        escaping_links: true,
        devices: true,
    };
    match args {
        Chart::Inspect { chart } => {
            let spool = state()?.spool()?;
            let chart = opened(&chart, spool.path()).await?;
            printer.data(chart.manifest(), |manifest| manifest.text())?;
        }
        Chart::Verify { chart: path } => {
            let spool = state()?.spool()?;
            let chart = open_chart(&path, spool.path(), any).await?;
            printer.data(chart.manifest(), |manifest| {
                format!("{}\nall of it was checked\n", manifest.text().trim_end())
            })?;
        }
        Chart::Unpack { chart, folder } => {
            let folder = match folder {
                Some(folder) => folder,
                None => {
                    let name = chart
                        .file_name()
                        .and_then(|name| name.to_str())
                        .unwrap_or_default();
                    let stem = name
                        .strip_suffix(".tgz")
                        .or_else(|| name.strip_suffix(".tar.gz"));
                    stem.ok_or_else(|| anyhow!("say which folder: {name} does not end in .tgz"))?
                        .into()
                }
            };
            if folder.exists() {
                return Err(anyhow!("{} exists already", folder.display()));
            }
            let parent = folder
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).to_owned();
            let unpacked = tokio::task::spawn_blocking(move || {
                let file = fs_err::File::open(&chart)?;
                let unpacked = openshifter_chart::unpack(file, &parent, &UnpackLimits::default())?;
                Ok::<_, anyhow::Error>(unpacked)
            })
            .await??;
            fs_err::rename(unpacked, &folder)?;
            printer.note(&format!("unpacked to {}", folder.display()));
        }
        Chart::Pack { chart, archive } => {
            let spool = state()?.spool()?;
            let chart = open_chart(&chart, spool.path(), any).await?;
            openshifter_chart::pack_to_file(chart.dir(), &archive).await?;
            printer.note(&format!("packed to {}", archive.display()));
        }
    }
    Ok(Exit::Complete)
}

async fn opened(path: &Path, spool: &Path) -> Result<FatChart> {
    let (path, spool) = (path.to_owned(), spool.to_owned());
    tokio::task::spawn_blocking(move || FatChart::open_any(&path, &spool))
        .await
        .context("opening the chart")?
        .map_err(Into::into)
}
