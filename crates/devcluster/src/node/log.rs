//! Logs: what containers write, kept in one file a run.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openshifter_apiserver::{LogRequest, NodeError};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::pod::{PodRun, Slot};
use super::status::Phase;
use crate::object::{list, text};

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

impl PodRun {
    fn log_path(&self, container: &str, run: i64) -> PathBuf {
        self.node
            .pod_folder(self.uid())
            .join("logs")
            .join(container)
            .join(format!("{run}.log"))
    }

    /// Makes the log of the next run; of older runs only the previous one is kept.
    pub(super) fn open_log(&self, slot: Slot, container: &Value) -> std::io::Result<std::fs::File> {
        let name = text(container, "/name");
        let run = {
            let state = self.state();
            let state = match slot {
                Slot::Init(at) => state.init.get(at),
                Slot::Main(at) => state.main.get(at),
            };
            state.map_or(0, |state| state.restarts)
        };
        let path = self.log_path(name, run);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let _ = std::fs::remove_file(self.log_path(name, run - 2));
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        Ok(file.into_parts().0)
    }

    /// The end of a container's log, for a message.
    pub(super) async fn last_words(&self, slot: Slot, container: &Value) -> String {
        // The process may still be writing its last line.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let run = match slot {
            Slot::Init(at) => self.state().init.get(at).map_or(0, |s| s.restarts),
            Slot::Main(at) => self.state().main.get(at).map_or(0, |s| s.restarts),
        };
        let text = fs_err::read(self.log_path(text(container, "/name"), run)).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .last()
            .unwrap_or("no reason was given")
            .to_owned()
    }

    /// The run of a container, and what it does.
    fn current(&self, container: &str) -> Option<(i64, Phase)> {
        let state = self.state();
        let find = |pointer, states: &[super::status::ContainerState]| {
            list(&self.pod, pointer)
                .iter()
                .position(|c| c["name"] == container)
                .and_then(|at| states.get(at).map(|s| (s.restarts, s.phase.clone())))
        };
        find("/spec/containers", &state.main).or_else(|| find("/spec/initContainers", &state.init))
    }
}

/// Reads a log of a running pod.
pub(super) async fn read(
    run: Arc<PodRun>,
    request: LogRequest,
) -> Result<Box<dyn AsyncRead + Send + Unpin>, NodeError> {
    let container = match request.container.clone() {
        Some(container) => container,
        None => text(&run.pod, "/spec/containers/0/name").to_owned(),
    };
    let (current, phase) = run
        .current(&container)
        .ok_or_else(|| NodeError::NotStarted(container.clone()))?;
    // After a restart the run that ended is the current one until the next has begun.
    let wanted = match request.previous {
        true => Some(current - 1),
        false => [current, current - 1]
            .into_iter()
            // What runs already, and is not said to run before its hook is through, has no log yet.
            .skip(usize::from(matches!(phase, Phase::Waiting { .. })))
            .find(|run_no| run.log_path(&container, *run_no).exists()),
    };
    let path = wanted
        .map(|wanted| run.log_path(&container, wanted))
        .filter(|path| path.exists())
        .ok_or_else(|| NodeError::NotStarted(container.clone()))?;
    let is_over = move || match run.current(&container) {
        Some((now, phase)) => !matches!(phase, Phase::Running { .. }) || Some(now) != wanted,
        None => true,
    };
    from_file(path, request, is_over).await
}

/// Reads the log files that a finished pod has left behind.
pub(crate) async fn from_file(
    path: PathBuf,
    request: LogRequest,
    is_over: impl Fn() -> bool + Send + 'static,
) -> Result<Box<dyn AsyncRead + Send + Unpin>, NodeError> {
    if request.timestamps {
        return Err(NodeError::Unsupported(
            "log lines with timestamps".to_owned(),
        ));
    }
    if request.since_seconds.is_some() {
        return Err(NodeError::Unsupported("logs since a time".to_owned()));
    }
    let failed = |e: std::io::Error| NodeError::Other(e.to_string());
    let tail = request.tail_lines;
    let file = tokio::task::spawn_blocking(move || -> std::io::Result<std::fs::File> {
        let mut file = fs_err::File::open(path)?.into_parts().0;
        let start = match tail {
            Some(lines) => tail_start(&mut file, lines)?,
            None => 0,
        };
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    })
    .await
    .map_err(|e| NodeError::Other(e.to_string()))?
    .map_err(failed)?;
    let file = tokio::fs::File::from_std(file);
    let limit = request.limit_bytes.unwrap_or(u64::MAX);
    if !request.follow {
        return Ok(Box::new(file.take(limit)));
    }
    let (mut to, from) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        let mut file = file;
        let mut buffer = vec![0; 64 << 10];
        loop {
            // Asked before the read: what was written before the end is then read for certain.
            let over = is_over();
            match file.read(&mut buffer).await {
                Ok(0) if over => return,
                // An empty write notices that the reader is gone.
                Ok(0) if to.write(&[]).await.is_err() => return,
                Ok(0) => tokio::time::sleep(FOLLOW).await,
                Ok(n) if to.write_all(&buffer[..n]).await.is_err() => return,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    Ok(Box::new(from.take(limit)))
}

/// Where the last `lines` lines begin.
fn tail_start(file: &mut (impl Read + Seek), lines: usize) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let mut position = end;
    let mut found = 0;
    while position > 0 {
        let start = position.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref()
            .take(position - start)
            .read_to_end(&mut block)?;
        for (at, byte) in block.iter().enumerate().rev() {
            let offset = start + at as u64;
            // The line break at the very end ends the last line and begins none.
            if *byte == b'\n' && offset + 1 != end {
                found += 1;
                if found == lines {
                    return Ok(offset + 1);
                }
            }
        }
        position = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_tail_is_found() {
        let tail = |text: &str, lines| {
            let start = tail_start(&mut Cursor::new(text.as_bytes()), lines).unwrap();
            text[usize::try_from(start).unwrap()..].to_owned()
        };
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(tail("a\nb\nc", 1), "c");
        assert_eq!(tail("a\n", 5), "a\n");
        assert_eq!(tail("a\n", 0), "");
        let long = "x\n".repeat(100_000);
        assert_eq!(tail(&long, 70_000).len(), 140_000);
    }
}
