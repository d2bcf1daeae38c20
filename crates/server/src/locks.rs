//! Who works on which project. Reading may go on side by side; whatever writes to a project has it for itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use crate::problem::{Code, Problem};

type Key = (String, String);

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
        self.hold(base, project, false)
    }

    /// Has a project for itself.
    pub(crate) fn write(&self, base: &Url, project: &str) -> Result<Held, Problem> {
        self.hold(base, project, true)
    }

    fn hold(&self, base: &Url, project: &str, write: bool) -> Result<Held, Problem> {
        let key = (base.as_str().to_owned(), project.to_owned());
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
