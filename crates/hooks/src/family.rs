//! Who descends from this process, as /proc has it.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use rustix::process::Pid;

/// All processes below this one that still run, but for those in `without` and what is below them. None where there is no
/// /proc.
pub(crate) fn below(without: &HashSet<Pid>) -> HashSet<Pid> {
    descend(rustix::process::getpid(), without)
}

/// The same below another one.
pub(crate) fn of(pid: Pid) -> HashSet<Pid> {
    descend(pid, &HashSet::new())
}

fn descend(from: Pid, without: &HashSet<Pid>) -> HashSet<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may just have ended.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = HashSet::new();
    let mut next = vec![from.as_raw_pid()];
    while let Some(parent) = next.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            match Pid::from_raw(pid) {
                Some(child) if !without.contains(&child) => {
                    found.insert(child);
                    next.push(pid);
                }
                _ => {}
            }
        }
    }
    found
}

/// The parent in a line of `/proc/PID/stat`; none for what has ended and only waits to be reaped. The program's name stands
/// in parentheses and may hold anything, further parentheses too.
fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_may_hold_anything() {
        assert_eq!(parent("7 (a) R 9 (b) S 3 7 7 0"), Some(3));
        assert_eq!(parent("7 (sleep) Z 3 7 7 0"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_child_is_below_unless_it_is_left_out() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        assert!(below(&HashSet::new()).contains(&pid));
        assert!(!below(&HashSet::from([pid])).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
