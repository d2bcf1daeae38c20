//! The commands that run beside a volume, as argument vectors: what makes its archive, takes one, looks into
//! it. Pure functions; nothing here runs anything.
//!
//! Paths are arguments of their own and never part of a shell text.

mod changes;
mod in_place;
mod probe;

pub use changes::{StatEntry, StatList, changed, parse_stat_list, stat_list};
pub use in_place::{archive_of_the_rest, look_at_files, looked_at};
pub use probe::{Probe, Tar, parse_probe, probe};

/// The command that writes the archive of the volume mounted at `path` to its standard output.
///
/// GNU tar is asked for everything (fractions of seconds, holes, attributes of users) and to stay on the
/// volume; others write what they know. `lost+found` is left out where the probe could not read it: say so in
/// [`RecordOptions::excluded`](crate::RecordOptions::excluded).
///
/// Tars other than GNU's would read what is mounted inside of the volume too: see
/// [`Probe::nested_mounts`].
///
/// GNU tar's exit status 1 means that a file changed while it was read; the archive is complete nevertheless.
pub fn archive(path: &str, probe: &Probe) -> Vec<String> {
    let mut command = vec!["tar", "-C", path];
    if probe.tar == Tar::Gnu {
        // Options that could not be undone by a later TAR_OPTIONS of the image come as arguments.
        command.extend([
            "--format=posix",
            "--pax-option=delete=atime,delete=ctime",
            "--numeric-owner",
            "--sparse",
            "--xattrs",
            "--xattrs-include=user.*",
            "--one-file-system",
        ]);
    }
    if probe.lost_found_unreadable {
        if probe.tar != Tar::Gnu {
            // Small tars have no way to leave something out, so the shell names everything else.
            const SCRIPT: &str = r#"cd -- "$1" || exit 1
set --
for f in * .[!.]* ..?*; do
  if [ "$f" != lost+found ] && { [ -e "$f" ] || [ -L "$f" ]; }; then set -- "$@" "./$f"; fi
done
if [ $# -eq 0 ]; then exec dd if=/dev/zero bs=1024 count=1 2>/dev/null; fi
exec tar -cf - "$@""#;
            return owned(&["sh", "-c", SCRIPT, "sh", path]);
        }
        command.push("--exclude=./lost+found");
    }
    command.extend(["-cf", "-", "."]);
    owned(&command)
}

/// Ends a script with the status of its last command, after reading what that left of the input: a server whose
/// command ends with input on its way may never say how it ended (seen with containerd 1.6, and `kubectl exec -i`
/// hangs there, too), so that a full disk would be told as a stall.
const DRAINED: &str = "s=$?; cat >/dev/null; exit $s";

/// Bytes that `dd` reads at a time.
const BLOCK: u64 = 64 << 10;

/// How many bytes [`restore`] reads for an archive of `length` bytes: what is sent is filled up with zeros, which every
/// tar expects after the end, to the blocks that `dd` reads.
pub fn restore_length(length: u64, probe: &Probe) -> u64 {
    match probe.dd {
        true => length.next_multiple_of(BLOCK),
        false => length,
    }
}

/// The command that unpacks an archive from its standard input into the volume mounted at `path`.
///
/// `length` is the exact length of what is sent, [`restore_length`] of the archive's. Where standard input can be closed
/// the archive's end is the input's; where it cannot (`v4.channel.k8s.io`) the remote side reads exactly `length` bytes,
/// since some tars wait for the end of their input. GNU tar gets what
/// [`StoredVolume::copy_to`](crate::StoredVolume::copy_to) writes, any other what
/// [`StoredVolume::copy_plain_to`](crate::StoredVolume::copy_plain_to) does.
///
/// Neither form holds the mount point itself, which keeps its mode and time: whoever restores often does not
/// own it.
pub fn restore(path: &str, length: u64, can_close_stdin: bool, probe: &Probe) -> Vec<String> {
    let mut tar = vec!["tar", "-C", path];
    if probe.tar == Tar::Gnu {
        tar.extend([
            "--numeric-owner",
            "--delay-directory-restore",
            "--xattrs",
            "--xattrs-include=user.*",
        ]);
    }
    tar.extend(["-xpf", "-"]);
    // Small tars apply the mask to everything that an ordinary user unpacks, `-p` or not.
    let mask = if probe.tar == Tar::Gnu || !probe.shell {
        ""
    } else {
        "umask 0; "
    };
    if can_close_stdin && !probe.shell {
        return owned(&tar);
    }
    let script = if can_close_stdin {
        format!("{mask}shift; \"$@\"; {DRAINED}")
    } else {
        let read = match probe.dd {
            true => r#"dd bs=65536 count="$n" iflag=fullblock 2>/dev/null"#,
            false => r#"head -c "$n""#,
        };
        format!("{mask}n=$1; shift; {read} | {{ \"$@\"; {DRAINED}; }}")
    };
    let length = match probe.dd {
        true => (length / BLOCK).to_string(),
        false => length.to_string(),
    };
    let mut command = vec!["sh", "-c", &script, "sh", &length];
    command.extend(tar);
    owned(&command)
}

/// The command that sets the modes that small tars cannot: after a restore by a tar other than GNU's, with
/// [`StoredVolume::modes_to_set`](crate::StoredVolume::modes_to_set) as its standard input. Needs a shell and
/// `xargs`.
pub fn set_modes(path: &str, length: u64, can_close_stdin: bool) -> Vec<String> {
    // As for a restore: where standard input cannot be closed it is read by its length.
    fed(path, length, can_close_stdin, "xargs -0 -n 2 chmod")
}

/// The command that gives symbolic links to their owners, which small tars do not: after a restore by root, with
/// [`StoredVolume::owners_to_set`](crate::StoredVolume::owners_to_set) as its standard input. Needs a shell and
/// `xargs`.
pub fn set_owners(path: &str, length: u64, can_close_stdin: bool) -> Vec<String> {
    fed(path, length, can_close_stdin, "xargs -0 -n 2 chown -h")
}

/// The command that sets the times of folders and symbolic links: small tars make hard links after everything else,
/// which changes the times of the folders that they are in, and leave those of symbolic links. After all else, with
/// [`StoredVolume::times_to_set`](crate::StoredVolume::times_to_set) as its standard input. Needs a shell,
/// `xargs` and a `touch` that takes `-h` and seconds, as BusyBox's does.
pub fn set_times(path: &str, length: u64, can_close_stdin: bool) -> Vec<String> {
    fed(path, length, can_close_stdin, "xargs -0 -n 3 touch -c -h")
}

fn fed(path: &str, length: u64, can_close_stdin: bool, program: &str) -> Vec<String> {
    let script = if can_close_stdin {
        format!("cd -- \"$1\" && {program}; {DRAINED}")
    } else {
        format!("head -c \"$2\" | {{ cd -- \"$1\" && {program}; {DRAINED}; }}")
    };
    owned(&["sh", "-c", &script, "sh", path, &length.to_string()])
}

/// The command that removes everything in the volume mounted at `path` and keeps the mount point, and a
/// `lost+found` that belongs to somebody else. It fails when anything else is left.
///
/// Needs a shell, `rm` and `chmod`. Nothing is followed out of the volume: where something else is mounted inside
/// of it, which would be emptied too, it refuses.
pub fn wipe(path: &str) -> Vec<String> {
    const SCRIPT: &str = r#"cd -- "$1" || exit 1
here=$(pwd -P)
if [ -r /proc/self/mountinfo ]; then
  while read -r _ _ _ _ mount _; do
    case $mount in "$here"/*) echo "$mount is mounted inside of the volume" >&2; exit 1;; esac
  done </proc/self/mountinfo
fi
left=0
for f in * .[!.]* ..?*; do
  if [ ! -e "$f" ] && [ ! -L "$f" ]; then continue; fi
  if [ "$f" = lost+found ] && [ -d "$f" ] && [ ! -L "$f" ] && [ ! -O "$f" ]; then continue; fi
  rm -rf -- "./$f" 2>/dev/null && continue
  # Folders without write permission keep their content from being removed.
  if [ ! -L "$f" ]; then chmod -R u+rwX -- "./$f" 2>/dev/null; fi
  rm -rf -- "./$f" || left=1
done
exit $left"#;
    owned(&["sh", "-c", SCRIPT, "sh", path])
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busybox() -> Probe {
        Probe {
            tar: Tar::BusyBox,
            shell: true,
            ..Probe::default()
        }
    }

    #[test]
    fn a_simple_tar_is_asked_for_nothing_that_it_does_not_know() {
        assert_eq!(
            archive("/data", &busybox()).join(" "),
            "tar -C /data -cf - ."
        );
        let no_shell = Probe {
            shell: false,
            ..busybox()
        };
        assert_eq!(
            restore("/data", 9, true, &no_shell).join(" "),
            "tar -C /data -xpf -"
        );
        insta::assert_snapshot!(
            restore("/data", 9, true, &busybox()).join("|"),
            @r#"sh|-c|umask 0; shift; "$@"; s=$?; cat >/dev/null; exit $s|sh|9|tar|-C|/data|-xpf|-"#
        );
    }

    #[test]
    fn an_open_standard_input_is_read_by_length() {
        insta::assert_snapshot!(
            restore("/da ta", 1024, false, &busybox()).join("|"),
            @r#"sh|-c|umask 0; n=$1; shift; head -c "$n" | { "$@"; s=$?; cat >/dev/null; exit $s; }|sh|1024|tar|-C|/da ta|-xpf|-"#
        );
    }

    #[test]
    fn a_dd_that_fills_its_blocks_reads_whole_ones() {
        let probe = Probe {
            dd: true,
            ..busybox()
        };
        assert_eq!(restore_length(1024, &probe), 65536);
        assert_eq!(restore_length(65536, &probe), 65536);
        assert_eq!(restore_length(1024, &busybox()), 1024);
        insta::assert_snapshot!(
            restore("/d", 3 << 16, false, &probe).join("|"),
            @r#"sh|-c|umask 0; n=$1; shift; dd bs=65536 count="$n" iflag=fullblock 2>/dev/null | { "$@"; s=$?; cat >/dev/null; exit $s; }|sh|3|tar|-C|/d|-xpf|-"#
        );
        assert_ne!(fed_much(&restore("/nowhere", 20 << 16, false, &probe)), 0);
    }

    /// Runs a command with twenty times as much input as a pipe holds; gives its status.
    fn fed_much(command: &[String]) -> i32 {
        use std::{io::Write as _, process::Stdio};
        let input = vec![b'x'; 20 << 16];
        let mut child = std::process::Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Fails with a broken pipe where the command leaves its input unread.
        child.stdin.take().unwrap().write_all(&input).unwrap();
        child.wait().unwrap().code().unwrap()
    }

    #[test]
    fn what_fails_reads_its_input_to_the_end_and_keeps_its_status() {
        for can_close in [true, false] {
            let restored = restore("/nowhere at all", 20 << 16, can_close, &busybox());
            assert_ne!(fed_much(&restored), 0);
            assert_ne!(
                fed_much(&set_modes("/nowhere at all", 20 << 16, can_close)),
                0
            );
        }
    }

    #[test]
    fn an_unreadable_lost_found_is_left_out() {
        let probe = |tar| Probe {
            lost_found_unreadable: true,
            tar,
            ..busybox()
        };
        assert!(archive("/data", &probe(Tar::Gnu)).contains(&"--exclude=./lost+found".to_owned()));
        assert_eq!(archive("/data", &probe(Tar::BusyBox))[0], "sh");
    }
}
