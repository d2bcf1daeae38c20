//! `openshifter chart`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use openshifter_chart::{Chart as FatChart, UnpackLimits};
use openshifter_migrate::{Allow, Spool};
use tokio_util::sync::CancellationToken;

use crate::cli::Chart;
use crate::commands::session::clear;
use crate::commands::{Session, state};
use crate::exit::{Exit, Interrupted};
use crate::printer::Printer;

pub(crate) async fn run(args: Chart, printer: Printer) -> Result<Exit> {
    let session = Session::new(printer);
    match args {
        Chart::Inspect { chart } => {
            let spool = state()?.spool()?;
            let chart = inspected(&session, &chart, spool).await?;
            printer.data(chart.manifest(), |manifest| manifest.text())?;
        }
        Chart::Verify { chart } => {
            let opened = session.open(&chart, state()?.spool()?, ANYTHING).await?;
            printer.data(opened.chart.manifest(), |manifest| {
                format!("{}\nall of it was checked\n", manifest.text().trim_end())
            })?;
        }
        Chart::Unpack { chart, folder } => unpack(&session, chart, folder).await?,
        Chart::Pack { chart, archive } => {
            let opened = session.open(&chart, state()?.spool()?, ANYTHING).await?;
            let packing = openshifter_chart::pack_to_file(opened.chart.dir(), &archive);
            session.unless_stopped(async { Ok(packing.await?) }).await?;
            printer.note(&format!("packed to {}", archive.display()));
        }
    }
    Ok(Exit::Complete)
}

/// Looking at a chart lets nothing of it out.
const ANYTHING: Allow = Allow {
    escaping_links: true,
    devices: true,
};

/// Opens a chart without a look at its data.
async fn inspected(session: &Session, path: &Path, spool: Spool) -> Result<FatChart> {
    let (path, within) = (path.to_owned(), spool.path().to_owned());
    let opening = tokio::task::spawn_blocking(move || FatChart::open_any(&path, &within));
    let opened = session
        .unless_stopped(async { Ok(opening.await.context("opening the chart")??) })
        .await;
    clear(spool.keep()).await;
    opened
}

/// A file that ends with an error once the program is to stop.
struct Stoppable {
    file: fs_err::File,
    cancel: CancellationToken,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(std::io::Error::other("stopped on request"));
        }
        self.file.read(buffer)
    }
}

/// Makes the folder of an archive, whole or not at all.
async fn unpack(session: &Session, chart: PathBuf, folder: Option<PathBuf>) -> Result<()> {
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
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Beside its place, so that it can be moved there.
    let work = tempfile::Builder::new()
        .prefix(".openshifter-unpack-")
        .tempdir_in(parent)
        .with_context(|| format!("making a folder in {}", parent.display()))?;
    let within = work.path().to_owned();
    let cancel = session.cancel.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let file = fs_err::File::open(&chart)?;
        let limits = UnpackLimits::default();
        let unpacked = openshifter_chart::unpack(Stoppable { file, cancel }, &within, &limits)?;
        Ok::<_, anyhow::Error>(unpacked)
    });
    // Waited for in any case: a thread that goes on would make its folder anew after it was removed.
    let unpacked = unpacking.await.context("unpacking the chart");
    let unpacked = match session.cancel.is_cancelled() {
        true => Err(Interrupted.into()),
        false => unpacked.and_then(|unpacked| unpacked),
    };
    let moved = unpacked.and_then(|unpacked| Ok(fs_err::rename(unpacked, &folder)?));
    clear(work.keep()).await;
    moved?;
    session
        .printer
        .note(&format!("unpacked to {}", folder.display()));
    Ok(())
}
