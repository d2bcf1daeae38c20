//! The entries on disk: one line each in `entries.jsonl`, and one file each under `entries/`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) message: String,
}

/// The folder they are kept in.
#[derive(Debug)]
pub(crate) struct Entries {
    folder: PathBuf,
    writing: Mutex<()>,
}

impl Entries {
    /// Opens the folder and makes what is missing below it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs_err::create_dir_all(folder.join("entries"))?;
        Ok(Self {
            folder,
            writing: Mutex::new(()),
        })
    }

    /// Whether the folder is there.
    pub(crate) fn check(&self) -> io::Result<()> {
        fs_err::read_dir(self.folder.join("entries")).map(drop)
    }

    /// All entries, oldest first. A line torn by a crash is left out.
    pub(crate) fn all(&self) -> io::Result<Vec<Entry>> {
        let text = match fs_err::read_to_string(self.folder.join("entries.jsonl")) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Adds an entry and waits until it is on disk.
    pub(crate) fn add(&self, name: &str, message: &str) -> io::Result<Entry> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut id = self.all()?.last().map_or(1, |last| last.id + 1);
        // Another replica may write to the same folder: whoever makes the file has the number.
        let mut file = loop {
            let path = self.folder.join("entries").join(format!("{id:06}.txt"));
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(file) => break file,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => id += 1,
                Err(e) => return Err(e),
            }
        };
        let entry = Entry {
            id,
            name: name.to_owned(),
            message: message.to_owned(),
        };
        write!(file, "{}\n{}\n", entry.name, entry.message)?;
        file.sync_all()?;
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let mut journal = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("entries.jsonl"))?;
        journal.write_all(&line)?;
        journal.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_a_restart_and_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let entries = Entries::open(folder.path().into()).unwrap();
        entries.add("Ada", "first").unwrap();
        entries.add("Grace", "second\nline").unwrap();
        let path = folder.path().join("entries.jsonl");
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"id\":3,\"na");
        std::fs::write(&path, torn).unwrap();

        let again = Entries::open(folder.path().into()).unwrap().all().unwrap();
        assert_eq!(
            again
                .iter()
                .map(|e| (e.id, e.name.as_str()))
                .collect::<Vec<_>>(),
            [(1, "Ada"), (2, "Grace")]
        );
        assert_eq!(
            std::fs::read_to_string(folder.path().join("entries/000002.txt")).unwrap(),
            "Grace\nsecond\nline\n"
        );
    }
}
