//! `openshifter logs`.

use std::io::Write as _;

use anyhow::Result;
use openshifter_cluster::LogOptions;
use openshifter_deploy::{Target, TargetKind};

use crate::cli::Logs;
use crate::commands::Session;
use crate::commands::steps::{usage, within};
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn logs(args: Logs, printer: Printer) -> Result<Exit> {
    let target = Target::parse(&args.target, TargetKind::Pod).map_err(usage)?;
    let options = LogOptions {
        follow: args.follow,
        tail: args.tail,
        since_seconds: args.since.map(|since| since.as_secs()),
        timestamps: args.timestamps,
        previous: args.previous,
    };
    let session = Session::new(printer);
    within!(args.at, session, |project| {
        let mut log = project
            .open_log(&target, args.container.as_deref(), &options)
            .await
            .map_err(usage)?;
        while let Some(bytes) = log.chunk().await? {
            let mut to = std::io::stdout().lock();
            // Nobody is left to be told when the pipe is closed.
            if to.write_all(&bytes).and_then(|()| to.flush()).is_err() {
                break;
            }
        }
        Ok(Exit::Complete)
    })
}
