//! Notices files that change while a volume is copied that nobody quiesced.

use std::collections::{BTreeMap, BTreeSet};

/// What is remembered of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatEntry {
    /// Time of the last change of content or metadata, in seconds.
    pub changed: i64,
    /// Size in bytes.
    pub size: u64,
    /// Inode.
    pub inode: u64,
}

/// A listing of a volume at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatList {
    /// The remote clock in seconds, before the listing began.
    pub taken: i64,
    /// By path, as in `a/b`; the root has the empty path.
    pub entries: BTreeMap<Vec<u8>, StatEntry>,
}

/// The command whose output [`parse_stat_list`] reads, for the volume mounted at `path`. Needs a shell, `find`
/// and `stat`; GNU's and BusyBox's understand it alike.
pub fn stat_list(path: &str) -> Vec<String> {
    // The lost+found of another user is not part of the copy either.
    const SCRIPT: &str = r#"cd -- "$1" || exit 1
date +%s
find . -xdev ! -path './lost+found' ! -path './lost+found/*' -exec stat -c '%Z %s %i %n' {} + 2>/dev/null
echo end"#;
    ["sh", "-c", SCRIPT, "sh", path].map(str::to_owned).to_vec()
}

/// Reads the output of [`stat_list`]; `None` when it is not complete.
///
/// A name that holds a newline goes on in the next line. One that imitates a line of the listing gives
/// entries that do not exist, in both listings alike.
pub fn parse_stat_list(output: &[u8]) -> Option<StatList> {
    let body = output.strip_suffix(b"end\n")?;
    let clock = body.iter().position(|&byte| byte == b'\n')?;
    let taken = std::str::from_utf8(&body[..clock])
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let mut entries = BTreeMap::new();
    let mut last: Option<(Vec<u8>, StatEntry)> = None;
    let rest = body[clock + 1..]
        .strip_suffix(b"\n")
        .unwrap_or(&body[clock + 1..]);
    if !rest.is_empty() {
        for line in rest.split(|&byte| byte == b'\n') {
            match entry(line) {
                Some(next) => entries.extend(last.replace(next)),
                None => {
                    let (path, _) = last.as_mut()?;
                    path.push(b'\n');
                    path.extend_from_slice(line);
                }
            }
        }
    }
    entries.extend(last);
    Some(StatList { taken, entries })
}

fn entry(line: &[u8]) -> Option<(Vec<u8>, StatEntry)> {
    let mut fields = line.splitn(4, |&byte| byte == b' ');
    let mut number = || {
        std::str::from_utf8(fields.next()?)
            .ok()?
            .parse::<i128>()
            .ok()
    };
    let (changed, size, inode) = (i64::try_from(number()?).ok()?, number()?, number()?);
    let name = fields.next()?;
    let path = if name == b"." {
        &[][..]
    } else {
        name.strip_prefix(b"./")?
    };
    let entry = StatEntry {
        changed,
        size: u64::try_from(size).ok()?,
        inode: u64::try_from(inode).ok()?,
    };
    Some((path.to_vec(), entry))
}

/// Paths of which one cannot say that they stayed the same between two listings: they appeared, vanished,
/// were replaced or resized, or were changed at or after the second in which the first listing began (a clock of
/// seconds cannot tell a change before it from one after it).
pub fn changed(before: &StatList, after: &StatList) -> Vec<Vec<u8>> {
    let paths: BTreeSet<&Vec<u8>> = before.entries.keys().chain(after.entries.keys()).collect();
    paths
        .into_iter()
        .filter(
            |&path| match (before.entries.get(path), after.entries.get(path)) {
                (Some(a), Some(b)) => a != b || b.changed >= before.taken,
                _ => true,
            },
        )
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &[u8] = b"1000\n900 3 11 ./a\n900 5 12 ./b\nwith newline\n900 4096 10 .\nend\n";

    #[test]
    fn names_with_newlines_are_kept() {
        let list = parse_stat_list(BEFORE).unwrap();
        assert_eq!(list.taken, 1000);
        let paths: Vec<&[u8]> = list.entries.keys().map(Vec::as_slice).collect();
        assert_eq!(paths, [&b""[..], b"a", b"b\nwith newline"]);
    }

    #[test]
    fn a_listing_that_was_cut_is_none() {
        assert_eq!(parse_stat_list(&BEFORE[..BEFORE.len() - 2]), None);
    }

    #[test]
    fn a_change_in_the_second_of_the_first_listing_counts() {
        let before = parse_stat_list(BEFORE).unwrap();
        assert!(changed(&before, &before).is_empty());
        let touched = parse_stat_list(
            b"1000\n1000 3 11 ./a\n900 5 12 ./b\nwith newline\n900 4096 10 .\nend\n",
        )
        .unwrap();
        assert_eq!(changed(&touched, &touched), [b"a".to_vec()]);
        let gone = parse_stat_list(b"1002\n900 3 11 ./a\n1001 4096 10 .\nend\n").unwrap();
        assert_eq!(
            changed(&before, &gone),
            [b"".to_vec(), b"b\nwith newline".to_vec()]
        );
    }
}
