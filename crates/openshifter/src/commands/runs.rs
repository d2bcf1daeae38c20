//! `openshifter runs`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use openshifter_migrate::{Ends, KeptChart, Report, Run, Side, StateDir};
use serde::Serialize;

use crate::cli::Runs;
use crate::commands::state;
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

/// A line of the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    run: String,
    operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Exit status; none when the program was stopped in the middle.
    status: Option<u8>,
    /// Whether another process is carrying it out now.
    at_work: bool,
    /// What to do about one that was stopped in the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Removes the backup charts whose time is over, and says why others stay.
fn prune(state: &StateDir, age: Duration, dry_run: bool, printer: Printer) -> Result<Exit> {
    let charts = state.kept_charts(age)?;
    if !dry_run {
        state.prune(&charts)?;
    }
    printer.data(&charts, |charts| {
        let removed = if dry_run {
            "would be removed"
        } else {
            "removed"
        };
        let line = |kept: &KeptChart| {
            let what = match &kept.stays {
                None => removed.to_owned(),
                Some(why) => format!("stays: {why}"),
            };
            format!("{}  {what}\n", kept.chart.display())
        };
        charts.iter().map(line).collect()
    })?;
    Ok(Exit::Complete)
}

pub(crate) fn run(args: Runs, printer: Printer) -> Result<Exit> {
    let state = state()?;
    if let Some(id) = args.run {
        let path = state
            .path()
            .join("runs")
            .join(id.as_str())
            .join("report.json");
        if !path.exists() {
            return Err(Usage(format!("there is no report of a run {id}")).into());
        }
        let report: Report = serde_json::from_slice(&fs_err::read(&path)?)
            .with_context(|| path.display().to_string())?;
        printer.report(&report, false)?;
        return Ok(Exit::Complete);
    }
    if let Some(age) = args.prune {
        return prune(&state, age, args.dry_run, printer);
    }
    let mut lines = Vec::new();
    for id in state.runs()? {
        let run = match Run::look(state.clone(), id.clone()) {
            Ok(run) => run,
            Err(error) => {
                // One that cannot be read must not hide the others.
                printer.note(&format!("run {id}: {}", error.chain()));
                continue;
            }
        };
        let Ok(ends) = Ends::of(&run) else { continue };
        let place = |side: Side| format!("{}/{}", side.cluster, side.namespace);
        lines.push(Line {
            run: id.to_string(),
            operation: ends.operation,
            source: ends.source.map(place),
            target: ends.target.map(place),
            status: run.journal.status()?,
            at_work: run.journal.at_work(),
            next: openshifter_migrate::way_on(&run)?,
        });
    }
    printer.data(&lines, |lines| {
        let mut text = String::new();
        for line in lines {
            let status = match line.status {
                _ if line.at_work => "at work".to_owned(),
                Some(status) => format!("exit {status}"),
                None => "did not end".to_owned(),
            };
            let ends: Vec<&str> = [&line.source, &line.target]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
            text.push_str(&format!(
                "{}  {}  {}  {status}\n",
                line.run,
                line.operation,
                ends.join(" -> ")
            ));
            if let Some(next) = &line.next {
                text.push_str(&format!("    {next}\n"));
            }
        }
        text
    })?;
    Ok(Exit::Complete)
}
