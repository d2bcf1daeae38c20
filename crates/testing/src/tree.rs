//! Trees of files in volumes: made by a shell, and described so that two can be compared without the program
//! under test.

use std::collections::BTreeSet;

use crate::Project;

/// Makes every sort of entry below `/data`, with modes, owners, times and names that are easily lost. Needs root.
pub const ODDITIES: &str = r#"
set -e
cd /data
mkdir -p 'sub/a b' empty 'odd' 'no-access'
echo hello > plain; echo "with space" > 'sub/a b/c d'
printf 'nl' > "odd/$(printf 'new\nline')"
printf 'latin' > "odd/$(printf 'n\374ll')"
printf 'bytes' > "odd/$(printf '\377\376')"
printf 'dash' > ./-rf; printf 'star' > 'odd/*'; printf 'q' > "odd/\"quote' \$x \`y\`"
printf 'utf' > 'odd/größe'; printf 'dots' > odd/...; : > odd/nothing
n=a; i=0; while [ $i -lt 7 ]; do n=$n$n; i=$((i+1)); done; printf 'long' > "odd/$n-${n#aaaaaa}"
mkdir -p deep; d=deep; i=0; while [ $i -lt 30 ]; do d=$d/0123456789; i=$((i+1)); done; mkdir -p "$d"; echo deep > "$d/file"
ln plain hard1; ln plain sub/hard2
ln -s plain soft; ln -s ../plain sub/up; ln -s nowhere dangling; ln -s 'sub/a b' folder-link
mkfifo pipe; chmod 640 pipe
chmod 600 plain; chmod 4755 'sub/a b/c d'; chmod 1777 empty; chmod 000 no-access; chmod 2770 odd
chown 1234:5678 plain; chown 65534:65534 empty; chown -h 42:43 soft
dd if=/dev/zero of=sparse bs=1 count=1 seek=67108863 2>/dev/null
touch -d '2001-02-03 04:05:06' 'sub/a b/c d'; touch -d '1999-12-31 23:59:59' sub; touch -d '2011-11-11 11:11:11' empty
"#;

/// What of each entry counts besides its name, type, mode and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Owners, and times in seconds: what BusyBox can give a file.
    Owners,
    /// Times in nanoseconds; owners are the project's business.
    Nanoseconds,
}

/// Describes what a folder of a pod holds: one line for each entry and each file's content, sorted.
#[track_caller]
pub fn describe(project: &Project, pod: &str, folder: &str, detail: Detail) -> Vec<String> {
    let (owner, time) = match detail {
        Detail::Owners => ("%u %g ", "%Y"),
        Detail::Nanoseconds => ("", "%y"),
    };
    let script = format!(
        r#"cd {folder} || exit 1
find . -mindepth 1 -type d -exec stat -c 'dir %a {owner}%Y %n' {{}} +
find . -type f -exec stat -c 'file %a {owner}%s {time} %h %n' {{}} +
find . -type f -exec sha256sum {{}} +
find . -type l -exec stat -c 'link {owner}%N' {{}} +
find . ! -type d ! -type f ! -type l -exec stat -c 'other %F %a {owner}%Y %n' {{}} +
if [ -e hard1 ]; then [ plain -ef hard1 ] && [ plain -ef sub/hard2 ] && echo one inode; fi
true"#
    );
    let output = project.shell(pod, &script);
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
pub fn same(before: &[String], after: &[String]) {
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
