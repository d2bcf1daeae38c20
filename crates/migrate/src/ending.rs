//! How an operation ends: its report is closed, kept, and says the ways on.

use crate::error::{Ended, Failed};
use crate::journal::{At, Event, deleted};
use crate::way_back::word;
use crate::{Ends, MigrateError, Report, Run};

/// Closes the report of an operation, however it ended.
pub(crate) fn ended(run: &Run, mut report: Report, result: Result<(), MigrateError>) -> Ended {
    match result {
        Ok(()) => {
            report.finish();
            note_end(run, &report);
            Ok(report)
        }
        Err(error) => {
            let changed = run.journal.changed_something();
            report.fail(error.chain(), changed);
            if let Some(hint) = error.hint() {
                report.next.push(hint);
            }
            if changed {
                report.next.extend(ways_on(run, &report.operation));
            }
            note_end(run, &report);
            Err(Box::new(Failed { error, report }))
        }
    }
}

/// What can be done about a run that changed something and failed.
fn ways_on(run: &Run, operation: &str) -> Vec<String> {
    let events = run.journal.events().unwrap_or_default();
    // Undo would remove what may be the last copy, and refuses.
    if deleted(&events, At::Source) {
        if operation == "delete" {
            return vec!["the same command again deletes what is left".to_owned()];
        }
        let source = Ends::of(run).ok().and_then(|ends| ends.source);
        return source
            .map(|source| {
                format!(
                    "`openshifter delete --from {} -n {}` deletes what is left at the source",
                    word(&source.cluster),
                    source.namespace
                )
            })
            .into_iter()
            .collect();
    }
    let mut ways = vec![format!(
        "openshifter undo {} takes back what this run changed",
        run.id
    )];
    if operation == "import" {
        ways.push(format!("openshifter resume {} goes on", run.id));
    } else if came_to_import(&events) {
        ways.push(format!(
            "openshifter resume {} goes on with its import, and deletes nothing",
            run.id
        ));
    }
    ways
}

/// Whether the import of a run began, be it a part of a migration: `resume` goes on with it.
pub(crate) fn came_to_import(events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, Event::Begin { operation, .. } if operation == "import"))
}

fn note_end(run: &Run, report: &Report) {
    // The run is over either way; a full disk here must not hide how it ended.
    if let Err(error) = run.journal.write(Event::Finished {
        status: report.exit_status(),
    }) {
        tracing::warn!(%error, "the end of the run could not be journaled");
    }
    let path = run.journal.path().with_file_name("report.json");
    let written = serde_json::to_vec_pretty(report)
        .map_err(std::io::Error::other)
        .and_then(|json| crate::state::write_private(&path, &json));
    if let Err(error) = written {
        tracing::warn!(%error, "the report could not be kept");
    }
}
