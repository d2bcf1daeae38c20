//! The journal: every change to a cluster is written down before it is made, so that a crash between the two
//! is found again, and `undo` knows exactly what to take back.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use openshifter_objects::{Object, ObjectKey};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::Side;
use crate::quiesce::Quiesced;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("the run's journal cannot be used")]
    Io(#[from] std::io::Error),
    /// A line of it is damaged.
    #[error("line {line} of {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A part of the program failed while it held the journal.
    #[error("the run's journal was left in an unknown state")]
    Poisoned,
    /// Another process, or another part of this one, is at work on the run.
    #[error("the run is still at work; wait until it has ended, or stop it first ({})", path.display())]
    AtWork {
        /// The journal.
        path: PathBuf,
    },
}

/// Which end of a run a change is made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// Where the application comes from.
    Source,
    /// Where it goes.
    Target,
}

/// One line of the journal. What ends in `-ing` is written before the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins, or goes on.
    Begin {
        /// What was asked for.
        operation: String,
        /// Where the application comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Side>,
        /// Where it goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<Side>,
        /// The chart that is imported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chart: Option<PathBuf>,
        /// What was chosen, for `resume`. Values that were given may be secret: the file is its owner's alone.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        options: serde_json::Value,
    },
    /// A project is made.
    NamespaceCreating {
        /// Which end.
        at: At,
        /// Its name.
        namespace: String,
    },
    /// An object is made; it carries the run's label.
    Creating {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
    },
    /// It was made.
    Created {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: String,
    },
    /// An object that was there is changed.
    Changing {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
        /// What it was.
        before: Object,
    },
    /// It was changed.
    Changed {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
        /// Its resourceVersion afterwards.
        resource_version: String,
        /// What a person could have written into it, as it was afterwards; tells later edits.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        content: serde_json::Value,
    },
    /// An undo gives it the content that it had before the run.
    PuttingBack {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
        /// What it is now.
        now: Object,
    },
    /// An image is pushed, and a tag of an ImageStream of the target made to lead to it.
    ImagePushing {
        /// The ImageStream.
        stream: String,
        /// The tag.
        tag: String,
        /// The image's digest.
        image: String,
        /// The digest that the tag led to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// The repository, where it is one that somebody named and the target has no image streams:
        /// `registry.example/team/web`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named: Option<String>,
    },
    /// A build that was started for a BuildConfig has made its image.
    Built {
        /// The BuildConfig.
        key: ObjectKey,
    },
    /// A short-lived pod of our own is started.
    HelperStarting {
        /// Which end.
        at: At,
        /// Name of the pod.
        pod: String,
    },
    /// It is gone.
    HelperRemoved {
        /// Which end.
        at: At,
        /// Name of the pod.
        pod: String,
    },
    /// A workload is scaled for the time of the copy.
    Scaling {
        /// Which end.
        at: At,
        /// The workload.
        key: ObjectKey,
        /// Replicas before.
        from: i64,
        /// Replicas from now on.
        to: i64,
        /// The claims for whose sake it is stopped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claims: Vec<String>,
    },
    /// A CronJob starts nothing for the time of the copy.
    Suspending {
        /// Which end.
        at: At,
        /// The CronJob.
        key: ObjectKey,
        /// The claims for whose sake it is stopped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claims: Vec<String>,
    },
    /// A workload of the run itself is released.
    Releasing {
        /// The workload.
        key: ObjectKey,
        /// Its replicas from now on.
        to: i64,
    },
    /// A BuildConfig that was built by gets the triggers that were held back for so long.
    GivingTriggers {
        /// The BuildConfig.
        key: ObjectKey,
    },
    /// A scaled workload has its replicas back.
    Rescaled {
        /// Which end.
        at: At,
        /// The workload.
        key: ObjectKey,
    },
    /// A claim that was there, and empty, is about to be filled.
    VolumeFilling {
        /// The claim.
        claim: String,
    },
    /// A volume's own data is about to be replaced.
    VolumeOverwriting {
        /// The claim.
        claim: String,
        /// The chart that keeps what was there.
        backup: PathBuf,
    },
    /// All that is in a claim is about to be removed, to be overwritten.
    VolumeWiping {
        /// The claim.
        claim: String,
    },
    /// A volume is restored and was read back equal.
    VolumeVerified {
        /// The claim.
        claim: String,
        /// Digest of its list of files.
        digest: String,
    },
    /// An object is removed.
    Deleting {
        /// Which end.
        at: At,
        /// The object.
        key: ObjectKey,
        /// Its uid.
        uid: String,
    },
    /// A verified chart holds what is about to be deleted: the way back after a crash.
    ChartKept {
        /// Which end it was made of.
        at: At,
        /// Its folder.
        chart: PathBuf,
    },
    /// Objects of that end were removed on purpose: the other end may be the last copy.
    DeletedApplication {
        /// Which end.
        at: At,
    },
    /// None of the objects that were to be removed was: the server refused the first.
    DeletedNothing {
        /// Which end.
        at: At,
    },
    /// The run ended by itself.
    Finished {
        /// Its exit status.
        status: u8,
    },
    /// The run was undone.
    Undone,
}

/// An append-only file of [`Event`]s, 0600, synced after each line.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` for a journal that is only looked at.
    file: Option<fs::File>,
    events: Vec<Event>,
    at_work: bool,
}

impl Journal {
    /// Opens a journal to write to, which is made when it is not there. It is locked until this is dropped, however
    /// the process ends: nobody else may go on with the run, or take it back, meanwhile.
    ///
    /// A last line without an end was being written when the program died: its change was not made, and it
    /// is cut off.
    ///
    /// # Errors
    /// When it cannot be read, a line in it is damaged, or somebody else is at work on the run.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(JournalError::AtWork {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let (events, good) = read(path)?;
        if file.metadata()?.len() > good {
            file.file().set_len(good)?;
        }
        Ok(Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner {
                file: Some(file),
                events,
                at_work: false,
            }),
        })
    }

    /// Looks at a journal that others may be writing to. Changes nothing, and nothing can be written to it.
    ///
    /// # Errors
    /// When it cannot be read, or a line in it is damaged.
    pub fn look(path: &Path) -> Result<Self, JournalError> {
        // Asked first: an event that is written in between is then one too many, not one too few.
        let at_work = fs::File::open(path).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        });
        let (events, _) = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner {
                file: None,
                events,
                at_work,
            }),
        })
    }

    /// Whether somebody was at work on the run when it was [looked at](Journal::look).
    pub fn at_work(&self) -> bool {
        self.inner.lock().is_ok_and(|inner| inner.at_work)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an event down; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then the change must not be made.
    pub fn write(&self, event: Event) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(&event).map_err(std::io::Error::other)?;
        line.push(b'\n');
        let mut inner = self.inner.lock().map_err(|_| JournalError::Poisoned)?;
        let file = inner.file.as_mut().ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::ReadOnlyFilesystem,
                "it is only looked at",
            )
        })?;
        let whole = file.metadata()?.len();
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_data()) {
            // A half of it would spoil the next line. What cannot be cut off now is, when the journal is opened again.
            let _ = file.file().set_len(whole);
            return Err(error.into());
        }
        inner.events.push(event);
        Ok(())
    }

    /// All events so far, those of earlier parts of the run first.
    ///
    /// # Errors
    /// When a part of the program failed while it held the journal.
    pub fn events(&self) -> Result<Vec<Event>, JournalError> {
        Ok(self
            .inner
            .lock()
            .map_err(|_| JournalError::Poisoned)?
            .events
            .clone())
    }

    /// Whether a cluster was changed and is so still, helper pods aside.
    pub fn changed_something(&self) -> bool {
        self.events().is_ok_and(|events| {
            let stopped = |at| !Quiesced::of(&events, at).is_empty();
            let changed = events.iter().any(|event| {
                !matches!(
                    event,
                    Event::Begin { .. }
                        | Event::ChartKept { .. }
                        | Event::Finished { .. }
                        | Event::HelperStarting { .. }
                        | Event::HelperRemoved { .. }
                        | Event::DeletedNothing { .. }
                        | Event::VolumeVerified { .. }
                        | Event::Scaling { .. }
                        | Event::Suspending { .. }
                        | Event::Rescaled { .. }
                )
            });
            changed || stopped(At::Source) || stopped(At::Target)
        })
    }
}

impl Journal {
    /// At which ends something was changed: source, target.
    ///
    /// # Errors
    /// When a part of the program failed while it held the journal.
    pub fn touched(&self) -> Result<(bool, bool), JournalError> {
        let events = self.events()?;
        let mut touched = (is_left(&events, At::Source), is_left(&events, At::Target));
        for event in events {
            let at = match event {
                Event::NamespaceCreating { at, .. }
                | Event::Creating { at, .. }
                | Event::Changing { at, .. }
                | Event::Deleting { at, .. } => at,
                Event::ImagePushing { .. } | Event::VolumeFilling { .. } => At::Target,
                _ => continue,
            };
            match at {
                At::Source => touched.0 = true,
                At::Target => touched.1 = true,
            }
        }
        Ok(touched)
    }

    /// Exit status with which the run ended last; `None` when it did not end by itself.
    ///
    /// # Errors
    /// When a part of the program failed while it held the journal.
    pub fn status(&self) -> Result<Option<u8>, JournalError> {
        // The parts of a migration end too: only what stands last is the end of the run.
        Ok(match self.events()?.last() {
            Some(Event::Finished { status }) => Some(*status),
            _ => None,
        })
    }
}

/// Whether something of an end waits to be removed or started again that is no object of the run.
fn is_left(events: &[Event], end: At) -> bool {
    helper_left(events, end) || !Quiesced::of(events, end).is_empty()
}

/// Whether a helper pod of an end was started and not removed, as far as is known.
pub(crate) fn helper_left(events: &[Event], end: At) -> bool {
    events.iter().any(|event| {
        let Event::HelperStarting { at, pod } = event else {
            return false;
        };
        let removed = Event::HelperRemoved {
            at: *at,
            pod: pod.clone(),
        };
        *at == end && !events.contains(&removed)
    })
}

/// Whether objects of an end were removed on purpose, or may have been.
pub(crate) fn deleted(events: &[Event], end: At) -> bool {
    let last = events.iter().rev().find_map(|event| match event {
        Event::DeletedApplication { at } if *at == end => Some(true),
        Event::DeletedNothing { at } if *at == end => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}

/// Claims that a run has begun to write to and not verified: they may hold a part of their data.
pub(crate) fn torn(events: &[Event]) -> Vec<String> {
    let mut torn: Vec<String> = Vec::new();
    for event in events {
        match event {
            Event::VolumeFilling { claim } | Event::VolumeWiping { claim } => {
                torn.push(claim.clone());
            }
            Event::VolumeVerified { claim, .. } => torn.retain(|one| one != claim),
            _ => {}
        }
    }
    torn
}

/// The events of a journal, and where the last whole line ends.
fn read(path: &Path) -> Result<(Vec<Event>, u64), JournalError> {
    let mut events = Vec::new();
    let mut good = 0_u64;
    let mut reader = match fs::File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((events, good)),
        Err(error) => return Err(error.into()),
    };
    // Bytes: the last line may end within a character.
    let mut line = Vec::new();
    let mut number = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        if !line.ends_with(b"\n") {
            break;
        }
        let event = serde_json::from_slice(&line).map_err(|source| JournalError::Damaged {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        events.push(event);
        good += line.len() as u64;
        line.clear();
    }
    Ok((events, good))
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| {
            std::io::Error::new(error.kind(), format!("making {}: {error}", path.display()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creating(name: &str) -> Event {
        Event::Creating {
            at: At::Target,
            key: ObjectKey::new("", "ConfigMap", name),
        }
    }

    #[test]
    fn events_are_read_back_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.write(creating("a")).unwrap();
        drop(journal);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(
            "{\"event\":\"creating\",\"at\":\"\u{e4}"
                .as_bytes()
                .split_last()
                .unwrap()
                .1,
        )
        .unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.write(creating("b")).unwrap();
        assert_eq!(
            Journal::look(&path).unwrap().events().unwrap(),
            [creating("a"), creating("b")]
        );
    }

    #[test]
    fn a_run_at_work_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.write(creating("a")).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(
            error.to_string().starts_with("the run is still at work"),
            "{error}"
        );
        // Half a line of the other one.
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"ev")
            .unwrap();
        let looked = Journal::look(&path).unwrap();
        assert!(looked.at_work());
        assert_eq!(looked.events().unwrap(), [creating("a")]);
        assert!(looked.write(creating("b")).is_err());
        assert!(fs::read_to_string(&path).unwrap().ends_with("{\"ev"));
        drop(journal);
        assert!(!Journal::look(&path).unwrap().at_work());
        Journal::open(&path).unwrap();
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        fs::write(&path, "{\"event\":\"undone\"}\nnonsense\n").unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(error.to_string().starts_with("line 2 of "), "{error}");
    }

    #[test]
    fn what_was_scaled_back_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
        let key = ObjectKey::new("apps", "Deployment", "web");
        let pod = "openshifter-1".to_owned();
        journal
            .write(Event::HelperStarting {
                at: At::Source,
                pod,
            })
            .unwrap();
        assert!(!journal.changed_something());
        assert_eq!(journal.touched().unwrap(), (true, false));
        let scaling = Event::Scaling {
            at: At::Source,
            key: key.clone(),
            from: 2,
            to: 0,
            claims: vec!["data".to_owned()],
        };
        journal.write(scaling).unwrap();
        assert!(journal.changed_something());
        let at = At::Source;
        let removed = Event::HelperRemoved {
            at,
            pod: "openshifter-1".to_owned(),
        };
        journal.write(removed).unwrap();
        assert_eq!(journal.touched().unwrap(), (true, false));
        journal.write(Event::Rescaled { at, key }).unwrap();
        assert!(!journal.changed_something());
        // Nobody is asked for a cluster at which nothing is left.
        assert_eq!(journal.touched().unwrap(), (false, false));
    }

    #[test]
    fn a_claim_is_torn_until_it_is_verified() {
        let claim = || "data".to_owned();
        let verified = Event::VolumeVerified {
            claim: claim(),
            digest: String::new(),
        };
        let mut events = vec![Event::VolumeFilling { claim: claim() }];
        assert_eq!(torn(&events), ["data"]);
        events.push(verified);
        assert_eq!(torn(&events), [""; 0]);
        events.push(Event::VolumeWiping { claim: claim() });
        assert_eq!(torn(&events), ["data"]);
    }

    #[test]
    fn what_was_refused_at_once_is_not_deleted() {
        let at = At::Source;
        let mut events = vec![Event::DeletedApplication { at }];
        assert!(deleted(&events, At::Source) && !deleted(&events, At::Target));
        events.push(Event::DeletedNothing { at });
        assert!(!deleted(&events, At::Source));
        events.push(Event::DeletedApplication { at });
        assert!(deleted(&events, At::Source));
    }

    #[test]
    fn a_helper_pod_that_is_gone_is_no_reason_to_ask_for_its_cluster() {
        let pod = || "openshifter-1".to_owned();
        let at = At::Source;
        let mut events = vec![Event::HelperStarting { at, pod: pod() }];
        assert!(helper_left(&events, at) && !helper_left(&events, At::Target));
        events.push(Event::HelperRemoved { at, pod: pod() });
        assert!(!helper_left(&events, at));
    }

    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
