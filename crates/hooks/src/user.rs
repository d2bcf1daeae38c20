//! A passwd entry for an arbitrary uid: what `generate_container_user` does, without its faults.
//!
//! The script that Python's builder images carry copies `/etc/passwd`, adds a line for the uid and points `nss_wrapper` at
//! the copy. Sourced at every probe it costs four processes, fails where its folder is read-only, and leaves a moment in
//! which the file is empty to everybody else. So a script in which every line is understood is not run: its effect is
//! made directly, in one rename, and only when something has changed. Any other script is left to bash.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::environ::Environ;

/// An understood script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerUser {
    /// Uids that have an entry already.
    except: Vec<u32>,
    passwd: PathBuf,
    group: String,
    preload: String,
    /// Renames an entry of `/etc/passwd`: its beginning and what it becomes.
    rename: Option<(String, String)>,
    /// The line to add, with `${USER_ID}`, `${GROUP_ID}` and `${HOME}`.
    entry: String,
}

impl ContainerUser {
    /// Reads a script; none when a single line of it is not understood.
    pub(crate) fn understand(script: &str) -> Option<Self> {
        let mut except = None;
        let (mut passwd, mut group, mut preload) = (None, None, None);
        let (mut copied, mut rename, mut entry, mut closed) = (false, None, None, false);
        let mut exported = Vec::new();
        let lines = script.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let assigned = |name: &str| {
                let value = line.strip_prefix(name)?.strip_prefix('=')?;
                is_plain(value).then(|| value.to_owned())
            };
            if closed {
                return None;
            } else if line == "USER_ID=$(id -u)" || line == "GROUP_ID=$(id -g)" {
                continue;
            } else if line.starts_with("if ") {
                except = Some(exceptions(line)?);
            } else if let Some(value) = assigned("NSS_WRAPPER_PASSWD") {
                passwd = Some(PathBuf::from(value));
            } else if let Some(value) = assigned("NSS_WRAPPER_GROUP") {
                group = Some(value);
            } else if let Some(value) = assigned("LD_PRELOAD") {
                preload = Some(value);
            } else if let Some(names) = line.strip_prefix("export ") {
                exported.extend(names.split_whitespace().map(str::to_owned));
            } else if let Some(source) = line.strip_suffix(" > $NSS_WRAPPER_PASSWD") {
                rename = copy(source)?;
                copied = true;
            } else if let Some(text) = appended(line) {
                entry = Some(text.to_owned());
            } else if line == "fi" {
                closed = true;
            } else {
                return None;
            }
        }
        let all = ["NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP", "LD_PRELOAD"];
        let complete = closed
            && copied
            && all
                .iter()
                .all(|name| exported.iter().any(|one| one == name));
        complete.then_some(())?;
        Some(Self {
            except: except?,
            passwd: passwd?,
            group: group?,
            preload: preload?,
            rename,
            entry: entry?,
        })
    }

    /// Makes the entry and sets the variables. Where the file cannot be written and holds no entry for the uid, nothing is
    /// set: a wrapper without an entry would hide the entries that there are.
    pub(crate) fn apply(&self, environ: &mut Environ, uid: u32, gid: u32, etc_passwd: &Path) {
        if self.except.contains(&uid) {
            return;
        }
        let home = environ
            .get("HOME")
            .map(|home| home.to_string_lossy().into_owned())
            .unwrap_or_default();
        let original = fs::read_to_string(etc_passwd).unwrap_or_default();
        let wanted = self.content(&original, uid, gid, &home);
        let present = || fs::read_to_string(&self.passwd).unwrap_or_default();
        // What could not be written may still have been written by a probe at the same time.
        if present() != wanted
            && replace(&self.passwd, &wanted).is_err()
            && !present().lines().any(|line| is_entry_of(line, uid))
        {
            return;
        }
        environ.set("NSS_WRAPPER_PASSWD", &self.passwd);
        environ.set("NSS_WRAPPER_GROUP", &self.group);
        environ.set("LD_PRELOAD", &self.preload);
    }

    fn content(&self, passwd: &str, uid: u32, gid: u32, home: &str) -> String {
        let mut content = String::with_capacity(passwd.len() + 128);
        for line in passwd.lines() {
            match &self.rename {
                Some((from, to)) if line.starts_with(from.as_str()) => {
                    content.push_str(to);
                    content.push_str(&line[from.len()..]);
                }
                _ => content.push_str(line),
            }
            content.push('\n');
        }
        let entry = self
            .entry
            .replace("${USER_ID}", &uid.to_string())
            .replace("${GROUP_ID}", &gid.to_string())
            .replace("${HOME}", home);
        content.push_str(&entry);
        content.push('\n');
        content
    }
}

fn is_entry_of(line: &str, uid: u32) -> bool {
    line.split(':').nth(2) == Some(uid.to_string().as_str())
}

/// No quotes, no expansion.
fn is_plain(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    !value.is_empty() && value.bytes().all(allowed)
}

/// The uids of `if [ x"$USER_ID" != x"0" -a … ]; then`.
fn exceptions(line: &str) -> Option<Vec<u32>> {
    let inner = line.strip_prefix("if [ ")?.strip_suffix(" ]; then")?;
    inner
        .split(" -a ")
        .map(|part| {
            let uid = part
                .strip_prefix("x\"$USER_ID\" != x\"")?
                .strip_suffix('"')?;
            uid.parse().ok()
        })
        .collect()
}

/// How the file is copied: as it is, or with one entry renamed by sed.
#[expect(
    clippy::option_option,
    reason = "not understood, or understood as no renaming"
)]
fn copy(command: &str) -> Option<Option<(String, String)>> {
    let command = command.strip_prefix("cat /etc/passwd")?.trim_start();
    if command.is_empty() {
        return Some(None);
    }
    let expression = command.strip_prefix("| sed -e 's/^")?.strip_suffix("/'")?;
    let (from, to) = expression.split_once('/')?;
    let allowed = |text: &str| {
        text.strip_suffix(':').is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    (allowed(from) && allowed(to)).then(|| Some((from.to_owned(), to.to_owned())))
}

/// The text of `echo "…" >> $NSS_WRAPPER_PASSWD`.
fn appended(line: &str) -> Option<&str> {
    let text = line
        .strip_prefix("echo \"")?
        .strip_suffix("\" >> $NSS_WRAPPER_PASSWD")?;
    let rest = text
        .replace("${USER_ID}", "")
        .replace("${GROUP_ID}", "")
        .replace("${HOME}", "");
    (text.split(':').count() == 7 && !rest.contains(['$', '`', '"', '\\'])).then_some(text)
}

/// Writes a file beside and renames it into place, so that nobody ever reads half of it; readable and writable by the
/// group, which is 0 for whatever uid comes next.
fn replace(path: &Path, content: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    // A process id alone is not enough: containers that share the folder count theirs from 1 each.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    name.push(format!(".{}.{}", std::process::id(), now.as_nanos()));
    let beside = PathBuf::from(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o664)
        .open(&beside)?;
    let written = file
        .write_all(content.as_bytes())
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(passwd: &str) -> String {
        format!(
            "# a comment\nUSER_ID=$(id -u)\nGROUP_ID=$(id -g)\n\n\
             if [ x\"$USER_ID\" != x\"0\" -a x\"$USER_ID\" != x\"1001\" ]; then\n\n\
             \x20   NSS_WRAPPER_PASSWD={passwd}\n    NSS_WRAPPER_GROUP=/etc/group\n\n\
             \x20   cat /etc/passwd | sed -e 's/^default:/builder:/' > $NSS_WRAPPER_PASSWD\n\n\
             \x20   echo \"default:x:${{USER_ID}}:${{GROUP_ID}}:Someone:${{HOME}}:/sbin/nologin\" >> $NSS_WRAPPER_PASSWD\n\n\
             \x20   export NSS_WRAPPER_PASSWD\n    export NSS_WRAPPER_GROUP\n\n\
             \x20   LD_PRELOAD=libnss_wrapper.so\n    export LD_PRELOAD\nfi\n"
        )
    }

    #[test]
    fn an_entry_is_made_once_and_in_one_go() {
        let folder = tempfile::tempdir().unwrap();
        let (etc, own) = (folder.path().join("etc"), folder.path().join("passwd"));
        fs::write(
            &etc,
            "root:x:0:0::/root:/bin/sh\ndefault:x:1001:0::/:/bin/sh",
        )
        .unwrap();
        let user = ContainerUser::understand(&script(own.to_str().unwrap())).unwrap();
        let mut environ = Environ::from([("HOME", "/opt/app-root/src")]);
        user.apply(&mut environ, 1_000_650_000, 0, &etc);
        assert_eq!(
            fs::read_to_string(&own).unwrap(),
            "root:x:0:0::/root:/bin/sh\nbuilder:x:1001:0::/:/bin/sh\n\
             default:x:1000650000:0:Someone:/opt/app-root/src:/sbin/nologin\n"
        );
        assert_eq!(environ.get("LD_PRELOAD").unwrap(), "libnss_wrapper.so");
        let first = fs::metadata(&own).unwrap();
        user.apply(&mut environ, 1_000_650_000, 0, &etc);
        let second = fs::metadata(&own).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(first.ino(), second.ino(), "written again without need");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn uids_with_an_entry_are_left_alone() {
        let user = ContainerUser::understand(&script("/nowhere/passwd")).unwrap();
        let mut environ = Environ::default();
        user.apply(&mut environ, 1001, 0, Path::new("/etc/passwd"));
        assert_eq!(environ, Environ::default());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let user = ContainerUser::understand(&script("/nowhere/passwd")).unwrap();
        let mut environ = Environ::default();
        user.apply(&mut environ, 5, 0, Path::new("/etc/passwd"));
        assert_eq!(environ, Environ::default());
    }

    #[test]
    fn a_line_that_is_not_understood_is_left_to_bash() {
        let plain = script("/opt/app-root/etc/passwd");
        assert!(ContainerUser::understand(&plain).is_some());
        for (from, to) in [
            ("fi\n", "fi\nmkdir -p /opt/app-root/src/share\n"),
            ("/etc/group", "$(pwd)/group"),
            ("s/^default:/builder:/", "s/^default:/builder:/;s/a/b/"),
            ("Someone", "$(whoami)"),
            ("    export LD_PRELOAD\n", ""),
            ("-a x\"$USER_ID\"", "-o x\"$USER_ID\""),
        ] {
            let other = plain.replace(from, to);
            assert_ne!(other, plain);
            assert_eq!(ContainerUser::understand(&other), None, "{to}");
        }
    }
}
