//! Volumes through a door: read into a chart, written from one, compared.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openshifter_cluster::{Cluster, ExecOptions, ExecStdin};
use openshifter_volumes::commands::{self, StatList, Tar};
use openshifter_volumes::{
    Compare, FileList, Progress as Bytes, RecordOptions, Recorded, StoredVolume, VolumeError,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::helper::{Door, MOST_SAID, run_command};
use crate::{MigrateError, Run};

/// Differences that a message names before it says how many more there are.
const NAMED: usize = 5;

/// Bytes of a listing of change times: some four million files.
const MOST_LISTED: u64 = 512 << 20;

/// How long a command may be silent that works through a whole volume: removing or changing millions of files says
/// nothing on the way.
const LONG: Duration = Duration::from_secs(3600);

/// A volume that was read.
pub(crate) struct Read {
    pub(crate) recorded: Recorded,
    /// Files that were written to meanwhile, for the list of losses.
    pub(crate) changed: Vec<String>,
}

/// Tells the run's progress about bytes of one volume.
fn bytes(run: &Run, claim: &str, total: Option<u64>) -> Bytes {
    let progress = Arc::clone(&run.progress);
    let claim = claim.to_owned();
    let done = AtomicU64::new(0);
    Bytes::new(move |more| {
        let now = done.fetch_add(more, Ordering::Relaxed) + more;
        progress.volume(&claim, now, total);
    })
}

fn failed(claim: &str, what: &str) -> impl FnOnce(VolumeError) -> MigrateError {
    let (claim, what) = (claim.to_owned(), what.to_owned());
    move |source| MigrateError::Volume {
        claim,
        what,
        source,
    }
}

/// Reads a volume into the folder of a chart.
///
/// With `watch`, the files' change times are read before and after: what is written to meanwhile is named.
pub(crate) async fn read(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
    directory: &Path,
    watch: bool,
) -> Result<Read, MigrateError> {
    let before = if watch {
        settled(cluster, namespace, door).await?
    } else {
        None
    };
    let command = commands::archive(&door.path, &door.probe);
    let mut exec = cluster
        .exec(namespace, &door.pod, Some(&door.container), &command, false)
        .await?;
    let stdout = exec.stdout().ok_or_else(|| no_stream(claim))?;
    let options = RecordOptions {
        progress: bytes(run, claim, None),
        excluded: match door.probe.lost_found_unreadable {
            true => vec!["lost+found".to_owned()],
            false => Vec::new(),
        },
        ..RecordOptions::default()
    };
    let recorded = openshifter_volumes::record(stdout, directory, &options).await;
    let outcome = exec.finish().await;
    run.progress.volume_done(claim);
    // What the remote side said is the better explanation of a torn stream.
    let outcome = match (&recorded, outcome) {
        (_, Ok(outcome)) => outcome,
        (Ok(_), Err(error)) => return Err(error.into()),
        (Err(_), Err(error)) => return Err(error.into()),
    };
    let mut changed = Vec::new();
    match outcome.exit_code {
        0 => {}
        // GNU tar: a file changed while it was read. Named by the watch below. BusyBox's says the same of a file that
        // it could not open and left out.
        1 if watch && recorded.is_ok() && door.probe.tar == Tar::Gnu => {
            changed.extend(
                outcome
                    .stderr
                    .lines()
                    .take(NAMED)
                    .map(|line| line.trim().to_owned()),
            );
        }
        code => {
            return Err(tar_failed(claim, door, code, &outcome.stderr));
        }
    }
    let recorded = recorded.map_err(failed(claim, "reading it"))?;
    if watch {
        let after = stat_list(cluster, namespace, door).await?;
        match (before, after) {
            (Some(before), Some(after)) => {
                let files = commands::changed(&before, &after);
                let texts = files.iter().map(|path| {
                    format!(
                        "`{}` was written to during the copy",
                        String::from_utf8_lossy(path).escape_debug()
                    )
                });
                let seen = named(texts, files.len());
                // What the listings saw is named better; what only tar saw stays.
                if !seen.is_empty() {
                    changed = seen;
                }
            }
            // It looks at each file before and after.
            _ if door.probe.tar == Tar::Gnu => {}
            _ => changed.push(format!(
                "{}/{} could not list its files twice (it has no `find` and `stat`, or there are too many), so a \
                 change during the copy would not have been noticed; --quiesce makes it certain",
                door.pod, door.container
            )),
        }
    }
    Ok(Read { recorded, changed })
}

/// The first listing of a watch. Its clock counts seconds, so what was written in the very second of the listing
/// could not be told from what is written later: it is taken again when that second has passed.
async fn settled(
    cluster: &Cluster,
    namespace: &str,
    door: &Door,
) -> Result<Option<StatList>, MigrateError> {
    const TRIES: usize = 3;
    let mut list = stat_list(cluster, namespace, door).await?;
    for _ in 1..TRIES {
        let fresh = list.as_ref().is_some_and(|list| {
            list.entries
                .values()
                .any(|entry| entry.changed >= list.taken)
        });
        if !fresh {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        list = stat_list(cluster, namespace, door).await?;
    }
    Ok(list)
}

/// Change times of all files, where the container has the commands for it.
async fn stat_list(
    cluster: &Cluster,
    namespace: &str,
    door: &Door,
) -> Result<Option<StatList>, MigrateError> {
    if !door.probe.stat {
        return Ok(None);
    }
    let command = commands::stat_list(&door.path);
    let (code, output) = run_command(
        cluster,
        namespace,
        &door.pod,
        &door.container,
        &command,
        MOST_LISTED,
        Some(LONG),
    )
    .await?;
    // One that was cut off has no end, and is none.
    Ok(if code == 0 {
        commands::parse_stat_list(&output)
    } else {
        None
    })
}

fn no_stream(claim: &str) -> MigrateError {
    MigrateError::VolumeAccess {
        claim: claim.to_owned(),
        reason: "the cluster gave no output stream".to_owned(),
    }
}

fn tar_failed(claim: &str, door: &Door, code: i32, said: &str) -> MigrateError {
    MigrateError::TarFailed {
        claim: claim.to_owned(),
        place: format!("{}/{}", door.pod, door.container),
        code,
        said: said.trim().to_owned(),
    }
}

/// Lists what a volume holds, with the hash of every file.
pub(crate) async fn scan(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
    total: Option<u64>,
) -> Result<FileList, MigrateError> {
    let command = commands::archive(&door.path, &door.probe);
    let mut exec = cluster
        .exec(namespace, &door.pod, Some(&door.container), &command, false)
        .await?;
    let stdout = exec.stdout().ok_or_else(|| no_stream(claim))?;
    let list = openshifter_volumes::scan_with(stdout, &bytes(run, claim, total)).await;
    let outcome = exec.finish().await?;
    run.progress.volume_done(claim);
    if outcome.exit_code != 0 {
        return Err(tar_failed(claim, door, outcome.exit_code, &outcome.stderr));
    }
    list.map_err(failed(claim, "reading it back"))
}

/// Lists what a volume holds that should hold what is stored, without having its large files sent back: they are hashed
/// where they are. `None` when that is not worth it, not possible there, or something is not as it should be: what is
/// different is for [`scan`] to say.
pub(crate) async fn scan_in_place(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
    stored: &StoredVolume,
) -> Result<Option<FileList>, MigrateError> {
    if !door.probe.sha256 {
        return Ok(None);
    }
    let volume = stored.clone();
    let large = tokio::task::spawn_blocking(move || volume.large_files())
        .await
        .map_err(|error| MigrateError::State {
            source: std::io::Error::other(error),
        })?
        .map_err(failed(claim, "reading its list of files"))?;
    if large.is_empty() {
        return Ok(None);
    }
    let (mut names, mut left_out) = (Vec::new(), Vec::new());
    for entry in &large {
        names.extend_from_slice(&entry.path);
        names.push(0);
        left_out.extend_from_slice(b"./");
        left_out.extend_from_slice(&entry.path);
        left_out.push(b'\n');
    }
    let Some(rest) = commands::archive_of_the_rest(&door.path, left_out.len() as u64, &door.probe)
    else {
        return Ok(None);
    };
    let progress = bytes(run, claim, Some(stored.tar_len()));
    let options = ExecOptions {
        stdin: true,
        stall: Some(LONG),
        ..ExecOptions::default()
    };
    let exec = |command: Vec<String>| {
        let options = &options;
        async move {
            cluster
                .exec_with(
                    namespace,
                    &door.pod,
                    Some(&door.container),
                    &command,
                    options,
                )
                .await
        }
    };

    let mut looking = exec(commands::look_at_files(&door.path, names.len() as u64)).await?;
    let (Some(stdin), Some(stdout)) = (looking.stdin(), looking.stdout()) else {
        return Ok(None);
    };
    let (_, found) = tokio::join!(put(stdin, &names), async {
        let mut lines = BufReader::new(stdout.take(512 * large.len() as u64)).lines();
        let mut found = Vec::with_capacity(large.len());
        for entry in &large {
            let (Ok(Some(stat)), Ok(Some(hash))) =
                (lines.next_line().await, lines.next_line().await)
            else {
                break;
            };
            let Some(seen) = commands::looked_at(&entry.path, &stat, &hash) else {
                break;
            };
            progress.add(seen.size);
            found.push(seen);
        }
        found
    });
    if !looking.finish().await?.success() || found.len() != large.len() {
        run.progress.volume_done(claim);
        return Ok(None);
    }

    let mut archiving = exec(rest).await?;
    let (Some(stdin), Some(stdout)) = (archiving.stdin(), archiving.stdout()) else {
        return Ok(None);
    };
    let (_, list) = tokio::join!(
        put(stdin, &left_out),
        openshifter_volumes::scan_with(stdout, &progress)
    );
    let outcome = archiving.finish().await?;
    run.progress.volume_done(claim);
    Ok(match list {
        Ok(list) if outcome.success() => list.with(found),
        _ => None,
    })
}

/// Gives a command its whole input. One that ended early says why by its exit code.
async fn put(mut stdin: ExecStdin, input: &[u8]) {
    let _ = stdin.write_all(input).await;
    let _ = stdin.shutdown().await;
}

/// Writes a stored volume into a claim that is empty, or was emptied. Tells whether the times of folders and
/// symbolic links are right too.
pub(crate) async fn write(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
    volume: &StoredVolume,
) -> Result<bool, MigrateError> {
    let tar = door.probe.tar;
    let total = volume.len_for(tar).map_err(failed(claim, "preparing it"))?;
    let length = commands::restore_length(total, &door.probe);
    // Whether standard input can be closed shows only when the stream stands; reading by length suits both.
    let by_length = door.probe.head || door.probe.dd;
    let command = commands::restore(&door.path, length, !by_length, &door.probe);
    let mut exec = cluster
        .exec(namespace, &door.pod, Some(&door.container), &command, true)
        .await?;
    let Some(mut stdin) = exec.stdin() else {
        return Err(no_stream(claim));
    };
    let sent = volume
        .send(tar, &mut stdin, &bytes(run, claim, Some(total)))
        .await;
    if sent.is_ok() {
        // Without an end the input counts as torn. What fails here shows in the command's end.
        if length > total {
            let _ = stdin.write_all(&vec![0; (length - total) as usize]).await;
        }
        let _ = stdin.shutdown().await;
    }
    drop(stdin);
    let outcome = exec.finish().await;
    run.progress.volume_done(claim);
    match outcome {
        Ok(outcome) if outcome.exit_code != 0 => Err(MigrateError::VolumeAccess {
            claim: claim.to_owned(),
            reason: format!(
                "tar ended with {}: {}",
                outcome.exit_code,
                outcome.stderr.trim()
            ),
        }),
        Ok(_) => {
            sent.map_err(failed(claim, "writing it"))?;
            finish(run, cluster, namespace, claim, door, volume).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Sets what a tar other than GNU's does not: modes, which BusyBox's leaves to the umask unless it is root; owners of
/// symbolic links; times of folders and of symbolic links. Tells whether the times are right.
async fn finish(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
    volume: &StoredVolume,
) -> Result<bool, MigrateError> {
    if door.probe.tar == Tar::Gnu {
        return Ok(true);
    }
    let closes = !door.probe.head;
    let prepared = || failed(claim, "preparing it");
    let modes = volume.modes_to_set().map_err(prepared())?;
    let command = commands::set_modes(&door.path, modes.len() as u64, closes);
    feed(cluster, namespace, door, &command, &modes)
        .await?
        .map_err(|reason| not_set(claim, "its files' modes", &reason))?;
    if door.probe.uid == Some(0) {
        let owners = volume.owners_to_set().map_err(prepared())?;
        let command = commands::set_owners(&door.path, owners.len() as u64, closes);
        feed(cluster, namespace, door, &command, &owners)
            .await?
            .map_err(|reason| not_set(claim, "the owners of its symbolic links", &reason))?;
    }
    let times = volume.times_to_set().map_err(prepared())?;
    let command = commands::set_times(&door.path, times.len() as u64, closes);
    let set = feed(cluster, namespace, door, &command, &times).await?;
    if let Err(reason) = &set {
        // Not every small `touch` can do it, and no content hangs on it.
        run.progress.note(&format!(
            "volume {claim}: the times of its folders and symbolic links could not be set: {reason}"
        ));
    }
    Ok(set.is_ok())
}

fn not_set(claim: &str, what: &str, reason: &str) -> MigrateError {
    MigrateError::VolumeAccess {
        claim: claim.to_owned(),
        reason: format!("{what} could not be set: {reason}"),
    }
}

/// Runs a command with this input, unless there is none; in the inner result why it did not come through.
async fn feed(
    cluster: &Cluster,
    namespace: &str,
    door: &Door,
    command: &[String],
    input: &[u8],
) -> Result<Result<(), String>, MigrateError> {
    if input.is_empty() {
        return Ok(Ok(()));
    }
    let mut exec = cluster
        .exec_with_stall(
            namespace,
            &door.pod,
            Some(&door.container),
            command,
            true,
            LONG,
        )
        .await?;
    let Some(stdin) = exec.stdin() else {
        return Ok(Err("the cluster gave no input stream".to_owned()));
    };
    put(stdin, input).await;
    let outcome = exec.finish().await?;
    Ok(if outcome.success() {
        Ok(())
    } else {
        Err(outcome.stderr.trim().to_owned())
    })
}

/// Empties a volume.
pub(crate) async fn wipe(
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    door: &Door,
) -> Result<(), MigrateError> {
    let command = commands::wipe(&door.path);
    let (code, output) = run_command(
        cluster,
        namespace,
        &door.pod,
        &door.container,
        &command,
        MOST_SAID,
        Some(LONG),
    )
    .await?;
    if code == 0 {
        return Ok(());
    }
    Err(MigrateError::VolumeAccess {
        claim: claim.to_owned(),
        reason: format!(
            "it could not be emptied: {}",
            String::from_utf8_lossy(&output).trim()
        ),
    })
}

/// How a volume was found that is compared with a chart's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has just been restored; `times` says whether those of folders and symbolic links were set.
    Restored { times: bool },
    /// It was there. Other pods may have mounted it, and their `fsGroup` changed its modes; which tar restored it,
    /// and what that could do, is not known.
    There,
}

/// What is not as stored, of all that this door's user and tar can restore: owners need root.
pub(crate) fn differences(
    claim: &str,
    stored: &StoredVolume,
    found: &FileList,
    door: &Door,
    how: Found,
) -> Result<Vec<String>, MigrateError> {
    let times = how == Found::Restored { times: true };
    let how = Compare {
        owners: door.probe.uid == Some(0),
        fs_group: how == Found::There,
        directory_times: times,
        link_times: times,
        ..Compare::default()
    };
    let differences = stored
        .compare(found, &how)
        .map_err(failed(claim, "reading its list of files"))?;
    Ok(named(
        differences.first.iter().map(ToString::to_string),
        differences.count,
    ))
}

fn named(texts: impl Iterator<Item = String>, count: usize) -> Vec<String> {
    let mut named: Vec<String> = texts.take(NAMED).collect();
    if count > NAMED {
        named.push(format!("and {} more", count - NAMED));
    }
    named
}
