//! Trees of files in volumes, described so that two can be compared without the program under test.

use std::collections::BTreeSet;

use crate::support::Space;

/// What `/data` holds in a pod, as one archive that is equal for equal trees.
#[track_caller]
pub(crate) fn archive(space: &Space<'_>, pod: &str) -> Vec<u8> {
    let bytes = space.shell(
        pod,
        "cd /data && find . -mindepth 1 -print0 | sort -z | tar --null --no-recursion -T - --numeric-owner --owner=0 --group=0 -cf -",
    );
    assert!(bytes.len() >= 1024, "no archive");
    bytes
}

/// Describes what `/data` holds in a pod: one line for each entry and each file's content, sorted. Owners are the
/// project's business.
#[track_caller]
pub(crate) fn describe(space: &Space<'_>, pod: &str) -> Vec<String> {
    let script = r#"cd /data || exit 1
find . -mindepth 1 -type d -exec stat -c 'dir %a %Y %n' {} +
find . -type f -exec stat -c 'file %a %s %y %h %n' {} +
find . -type f -exec sha256sum {} +
find . -type l -exec stat -c 'link %N' {} +
find . ! -type d ! -type f ! -type l -exec stat -c 'other %F %a %Y %n' {} +
if [ -e hard1 ]; then [ plain -ef hard1 ] && [ plain -ef sub/hard2 ] && echo one inode; fi
true"#;
    let output = space.shell(pod, script);
    let mut lines: Vec<String> = output
        .split(|&byte| byte == b'\n')
        .map(|line| line.escape_ascii().to_string())
        .filter(|line| !line.is_empty())
        .collect();
    lines.sort();
    lines
}

/// Fails when two descriptions differ, naming the first differences.
#[track_caller]
pub(crate) fn same(before: &[String], after: &[String]) {
    let (was, is): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let missing: Vec<_> = was.difference(&is).take(5).collect();
    let more: Vec<_> = is.difference(&was).take(5).collect();
    assert!(
        before == after,
        "{} entries became {}; missing: {missing:#?}; more: {more:#?}",
        before.len(),
        after.len()
    );
}
