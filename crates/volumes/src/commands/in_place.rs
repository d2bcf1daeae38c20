//! Looks at large files where they are: their hash, and what `stat` says of them. What is equal need not be sent back to
//! be proven so.

use crate::digest::unhex;
use crate::{FileEntry, FileKind};

use super::{DRAINED, Probe, archive, fed, owned};

/// The command whose output [`looked_at`] reads: it tells of each file in the volume mounted at `path` whose name comes
/// by standard input, ended by a NUL; `length` bytes in all. Needs what [`Probe::sha256`] says.
pub fn look_at_files(path: &str, length: u64) -> Vec<String> {
    // 255 makes xargs stop.
    const EACH: &str = r#"xargs -0 sh -c 'for f do stat -c "%f %u %g %Y %s %h" -- "./$f" && sha256sum <"./$f" || exit 255; done' sh"#;
    fed(path, length, false, EACH)
}

/// The command that writes the archive of a volume as [`archive`] does, without the files whose paths come by standard
/// input, one a line as in `./a/b`; `length` bytes in all. `None` where this tar cannot be told so.
///
/// A tar may take the lines for patterns: names with `*`, `?`, `[` or `\` are not to be among them.
pub fn archive_of_the_rest(path: &str, length: u64, probe: &Probe) -> Option<Vec<String>> {
    let mut tar = archive(path, probe);
    if tar.first().is_none_or(|program| program != "tar") {
        return None;
    }
    tar.splice(1..1, ["-X", "/dev/stdin"].map(str::to_owned));
    let script = format!(r#"n=$1; shift; head -c "$n" | {{ "$@"; {DRAINED}; }}"#);
    let mut command = owned(&["sh", "-c", &script, "sh", &length.to_string()]);
    command.append(&mut tar);
    Some(command)
}

/// What two lines of the output of [`look_at_files`] say of the file at `path`; `None` when it is no regular file with
/// one name, or the lines say something else.
pub fn looked_at(path: &[u8], stat: &str, hash: &str) -> Option<FileEntry> {
    let mut fields = stat.split_ascii_whitespace();
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (mtime, size) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let names: u32 = fields.next()?.parse().ok()?;
    const REGULAR: u32 = 0o100_000;
    if mode & 0o170_000 != REGULAR || names != 1 || fields.next().is_some() {
        return None;
    }
    Some(FileEntry {
        path: path.to_vec(),
        kind: FileKind::File,
        size,
        mode: mode & 0o7777,
        uid,
        gid,
        mtime,
        mtime_nanos: 0,
        xattrs: std::collections::BTreeMap::new(),
        sha256: Some(unhex(hash.split_ascii_whitespace().next()?)?),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Output, Stdio};

    use super::*;
    use crate::commands::{Tar, parse_probe, probe};

    fn ran(command: &[String], input: &[u8]) -> Output {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    #[test]
    fn files_are_looked_at_where_they_are_and_the_rest_is_archived() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("db")).unwrap();
        std::fs::write(at("db/large file"), "abc").unwrap();
        std::fs::write(at("large file"), "small").unwrap();
        let path = folder.path().to_str().unwrap();
        let probe = parse_probe(&ran(&probe(path), b"").stdout);
        assert!(
            probe.sha256 && probe.dd && probe.tar == Tar::Gnu,
            "{probe:?}"
        );

        let output = ran(&look_at_files(path, 14), b"db/large file\0 and more");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let entry = looked_at(b"db/large file", lines[0], lines[1]).unwrap();
        assert_eq!((entry.size, entry.kind), (3, FileKind::File));
        assert_eq!(entry.sha256.unwrap()[..2], [0xba, 0x78]);
        assert_eq!(lines.len(), 2);

        // A name that is not there ends it, whatever follows.
        let output = ran(&look_at_files(path, 24), b"none\0db/large file\0large\0");
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );

        let command = archive_of_the_rest(path, 16, &probe).unwrap();
        let output = ran(&command, b"./db/large file\n and more");
        assert!(output.status.success(), "{output:?}");
        let mut names: Vec<String> = tar::Archive::new(output.stdout.as_slice())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        names.sort();
        // The other one of that name stays.
        assert_eq!(names, ["./", "./db/", "./large file"]);
    }

    #[test]
    fn what_is_no_plain_file_is_none() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -";
        assert!(looked_at(b"a", "81a4 0 0 1700000000 3 1", hash).is_some());
        for bad in [
            "41ed 0 0 1700000000 3 1",
            "a1ff 0 0 1700000000 3 1",
            "81a4 0 0 1700000000 3 2",
            "81a4 0 0 1700000000 3",
            "81a4 0 0 1700000000 3 1 x",
            "",
        ] {
            assert_eq!(looked_at(b"a", bad, hash), None, "{bad}");
        }
        assert_eq!(looked_at(b"a", "81a4 0 0 1700000000 3 1", "ba78"), None);
    }
}
