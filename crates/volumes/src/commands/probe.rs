//! What a container has to move a volume with.

/// Which tar a container has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tar {
    /// GNU tar.
    Gnu,
    /// BusyBox's.
    BusyBox,
    /// Some other that says it is one, as bsdtar.
    Other,
    /// None.
    #[default]
    Missing,
}

/// What a container has and may do. [`Probe::default`] is a container of which nothing is known: no tar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probe {
    /// Its tar.
    pub tar: Tar,
    /// What the tar says of itself, for a log.
    pub tar_version: String,
    /// It has a shell: the probe itself ran.
    pub shell: bool,
    /// It has `head`, which a restore needs where standard input cannot be closed.
    pub head: bool,
    /// It has a `dd` that fills its blocks from a pipe: it reads by length many times as fast as a small `head`, which
    /// goes byte by byte.
    pub dd: bool,
    /// It has `sha256sum`, `stat`, `head` and `xargs`, which [`look_at_files`](super::look_at_files) needs.
    pub sha256: bool,
    /// It has `find` and `stat`, which [`stat_list`](super::stat_list) needs.
    pub stat: bool,
    /// There is a `lost+found` at the volume's root that cannot be read.
    pub lost_found_unreadable: bool,
    /// The volume's root can be written to.
    pub writable: bool,
    /// What else is mounted inside of the volume, as another claim or a ConfigMap: a helper that mounts the claim
    /// alone is the better door then, and the only one for a tar other than GNU's.
    pub nested_mounts: Vec<String>,
    /// User id that commands run as.
    pub uid: Option<u32>,
}

/// The command whose output [`parse_probe`] reads, for the volume mounted at `path`. It needs a shell: where it
/// cannot even be started, there is no use in looking further.
pub fn probe(path: &str) -> Vec<String> {
    const SCRIPT: &str = r#"v=$(tar --version 2>&1 </dev/null) || v=$(tar --help 2>&1 </dev/null) || v=
echo "tar=$(printf '%s\n' "$v" | { read -r first; printf %s "$first"; })"
command -v tar >/dev/null 2>&1 && echo has-tar
command -v head >/dev/null 2>&1 && echo has-head
command -v find >/dev/null 2>&1 && command -v stat >/dev/null 2>&1 && echo has-stat
[ "$(printf abcd | dd bs=2 count=2 iflag=fullblock 2>/dev/null)" = abcd ] && echo has-dd
case "$(printf abc | sha256sum 2>/dev/null)" in
ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad*)
  command -v stat >/dev/null 2>&1 && command -v xargs >/dev/null 2>&1 && command -v head >/dev/null 2>&1 && echo has-sha256;;
esac
if [ -d "$1/lost+found" ] && { [ ! -r "$1/lost+found" ] || [ ! -x "$1/lost+found" ]; }; then echo lost-found-unreadable; fi
[ -w "$1" ] && echo writable
here=$(cd -- "$1" 2>/dev/null && pwd -P)
if [ -n "$here" ] && [ -r /proc/self/mountinfo ]; then
  while read -r _ _ _ _ mount _; do
    case $mount in "${here%/}"/*) echo "nested=$mount";; esac
  done </proc/self/mountinfo
fi
echo "uid=$(id -u 2>/dev/null)"
exit 0"#;
    ["sh", "-c", SCRIPT, "sh", path].map(str::to_owned).to_vec()
}

/// Reads the output of [`probe`].
pub fn parse_probe(output: &[u8]) -> Probe {
    let text = String::from_utf8_lossy(output);
    let mut probe = Probe {
        shell: true,
        ..Probe::default()
    };
    let mut has_tar = false;
    for line in text.lines() {
        match line.split_once('=').unwrap_or((line, "")) {
            ("tar", version) => probe.tar_version = version.trim().to_owned(),
            ("has-tar", _) => has_tar = true,
            ("has-head", _) => probe.head = true,
            ("has-stat", _) => probe.stat = true,
            ("has-dd", _) => probe.dd = true,
            ("has-sha256", _) => probe.sha256 = true,
            ("lost-found-unreadable", _) => probe.lost_found_unreadable = true,
            ("writable", _) => probe.writable = true,
            ("nested", mount) => probe.nested_mounts.push(mount.to_owned()),
            ("uid", uid) => probe.uid = uid.trim().parse().ok(),
            _ => {}
        }
    }
    let says = probe.tar_version.to_lowercase();
    probe.tar = match () {
        () if !has_tar => Tar::Missing,
        () if says.contains("gnu tar") => Tar::Gnu,
        () if says.contains("busybox") => Tar::BusyBox,
        () => Tar::Other,
    };
    probe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tars_are_known_by_what_they_say() {
        let tar = |output: &str| parse_probe(output.as_bytes()).tar;
        assert_eq!(tar("tar=tar (GNU tar) 1.34\nhas-tar\n"), Tar::Gnu);
        assert_eq!(
            tar("tar=BusyBox v1.35.0 (Debian 1:1.35.0-4) multi-call binary.\nhas-tar\n"),
            Tar::BusyBox
        );
        assert_eq!(
            tar("tar=bsdtar 3.6.2 - libarchive 3.6.2\nhas-tar\n"),
            Tar::Other
        );
        assert_eq!(tar("tar=sh: 1: tar: not found\n"), Tar::Missing);
    }

    #[test]
    fn everything_is_read() {
        let probe = parse_probe(b"tar=tar (busybox) 1.36.1\nhas-tar\nhas-head\nhas-stat\nhas-dd\nhas-sha256\nlost-found-unreadable\nwritable\nnested=/data/conf\nuid=1000680000\n");
        assert_eq!(
            probe,
            Probe {
                tar: Tar::BusyBox,
                tar_version: "tar (busybox) 1.36.1".into(),
                shell: true,
                head: true,
                dd: true,
                sha256: true,
                stat: true,
                lost_found_unreadable: true,
                writable: true,
                nested_mounts: vec!["/data/conf".into()],
                uid: Some(1_000_680_000),
            }
        );
    }
}
