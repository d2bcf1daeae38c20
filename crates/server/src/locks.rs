//! Who works on which project. Reading may go on side by side; whatever writes to a project has it for itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use openshifter_cluster::Cluster;
use openshifter_migrate::place_uid;
use url::Url;

use crate::problem::{Code, Problem};

/// What names a project: an address of its cluster and its name, or its uid, which it has under every address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(String, String),
    Uid(String),
}

/// The projects that are worked on at this moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks(Arc<Mutex<HashMap<Key, Use>>>);

#[derive(Debug)]
enum Use {
    Read(usize),
    Written,
}

/// A project that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    locks: Locks,
    key: Key,
}

impl Locks {
    /// Reads a project.
    pub(crate) fn read(&self, base: &Url, project: &str) -> Result<Held, Problem> {
        self.hold(address(base, project), project, false)
    }

    /// Has a project for itself.
    pub(crate) fn write(&self, base: &Url, project: &str) -> Result<Held, Problem> {
        self.hold(address(base, project), project, true)
    }

    /// Reads a project, also where requests reach its cluster by another name; none if it is not there yet.
    pub(crate) async fn read_place(
        &self,
        cluster: &Cluster,
        project: &str,
    ) -> Result<Option<Held>, Problem> {
        self.hold_place(cluster, project, false).await
    }

    /// Has a project for itself, also where requests reach its cluster by another name; none if it is not there yet.
    pub(crate) async fn write_place(
        &self,
        cluster: &Cluster,
        project: &str,
    ) -> Result<Option<Held>, Problem> {
        self.hold_place(cluster, project, true).await
    }

    /// Has the project of this uid for itself.
    pub(crate) fn write_uid(&self, uid: String, project: &str) -> Result<Held, Problem> {
        self.hold(Key::Uid(uid), project, true)
    }

    async fn hold_place(
        &self,
        cluster: &Cluster,
        project: &str,
        write: bool,
    ) -> Result<Option<Held>, Problem> {
        match place_uid(cluster, project).await? {
            Some(uid) => self.hold(Key::Uid(uid), project, write).map(Some),
            None => Ok(None),
        }
    }

    fn hold(&self, key: Key, project: &str, write: bool) -> Result<Held, Problem> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.entry(key.clone()) {
            Entry::Vacant(free) => {
                free.insert(if write { Use::Written } else { Use::Read(1) });
            }
            Entry::Occupied(mut held) => match held.get_mut() {
                Use::Read(readers) if !write => *readers += 1,
                used => {
                    let what = match used {
                        Use::Read(_) => "read",
                        Use::Written => "written to",
                    };
                    return Err(Problem::new(
                        Code::Busy,
                        format!(
                            "the project {project} is being {what} by another request; try again when that is done"
                        ),
                    ));
                }
            },
        }
        drop(map);
        Ok(Held {
            locks: self.clone(),
            key,
        })
    }
}

fn address(base: &Url, project: &str) -> Key {
    Key::Address(base.as_str().to_owned(), project.to_owned())
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut map = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut held) = map.entry(self.key.clone()) {
            match held.get_mut() {
                Use::Read(readers) if *readers > 1 => *readers -= 1,
                _ => {
                    held.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_writers_do_not() {
        let locks = Locks::default();
        let here = Url::parse("https://h:1/").unwrap();
        let there = Url::parse("https://h:2/").unwrap();
        let first = locks.read(&here, "shop").unwrap();
        let second = locks.read(&here, "shop").unwrap();
        assert!(locks.write(&here, "shop").is_err());
        drop(first);
        assert!(locks.write(&here, "shop").is_err());
        drop(second);
        let written = locks.write(&here, "shop").unwrap();
        assert_eq!(
            locks.read(&here, "shop").unwrap_err().line(),
            "the project shop is being written to by another request; try again when that is done"
        );
        let other = locks.write(&here, "blog").unwrap();
        let elsewhere = locks.write(&there, "shop").unwrap();
        drop((written, other, elsewhere));
        assert!(locks.0.lock().unwrap().is_empty());
    }
}
