//! The passwd entry for an arbitrary uid, as `generate_container_user` makes it, without its faults.
//!
//! The scripts that builder images carry copy `/etc/passwd` (or fill in a template), add a line for the uid and point
//! `nss_wrapper` at the copy. Sourced at every probe that costs four processes, fails where the folder is read-only, and
//! leaves a moment in which the file is empty to everybody else. So a script in which every line is understood is not run:
//! its effect is made directly, in one rename, and only when something has changed. Any other script is left to bash.

mod script;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::environ::Environ;
use crate::file;
use script::{Part, Script, Source, Step};

/// The variables by which programs find the entry.
const WRAPPER: [&str; 3] = ["NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP", "LD_PRELOAD"];

/// An understood script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerUser(Script);

/// Who needs an entry, and whence it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) passwd: &'a Path,
}

impl ContainerUser {
    /// Reads a script; none when a single line of it is not understood.
    pub(crate) fn understand(script: &str) -> Option<Self> {
        let script = script::parse(script)?;
        let steps = &script.steps;
        let count =
            |wanted: fn(&Step) -> bool| steps.iter().filter(|(_, step)| wanted(step)).count();
        let exported = |name: &str| {
            steps.iter().any(|(_, step)| match step {
                Step::Assign {
                    name: assigned,
                    exported,
                    ..
                } => *exported && assigned == name,
                Step::Export(names) => names.iter().any(|one| one == name),
                _ => false,
            })
        };
        let complete = count(|step| matches!(step, Step::Copy { .. })) == 1
            && WRAPPER.iter().all(|name| exported(name));
        complete.then_some(Self(script))
    }

    /// Makes the entry and sets the variables, and says whether it can: what the script takes for granted may not be there.
    ///
    /// Where the file cannot be written and holds no entry for the uid, none of the wrapper's variables are set: a wrapper
    /// without an entry would hide the entries that there are.
    pub(crate) fn apply(&self, environ: &mut Environ, identity: Identity<'_>) -> bool {
        let Some(effect) = self.effect(environ, identity) else {
            return false;
        };
        let wrapped = effect
            .file
            .is_none_or(|(path, wanted)| provide(&path, &wanted, identity.uid));
        for (name, value) in effect.exports {
            if wrapped || !WRAPPER.contains(&name.as_str()) {
                environ.set(&name, value);
            }
        }
        true
    }

    /// What the script comes to; none where it would fail.
    fn effect(&self, environ: &Environ, identity: Identity<'_>) -> Option<Effect> {
        let meant = self
            .0
            .conditions
            .iter()
            .all(|condition| condition.holds(identity.uid));
        let mut scope = Scope {
            environ,
            identity,
            own: BTreeMap::new(),
            exported: Vec::new(),
        };
        let mut file: Option<(PathBuf, Vec<u8>)> = None;
        for (_, step) in self
            .0
            .steps
            .iter()
            .filter(|(conditional, _)| meant || !conditional)
        {
            match step {
                Step::Assign {
                    name,
                    value,
                    exported,
                } => {
                    let value = scope.text(value)?;
                    scope.own.insert(name.clone(), value);
                    if *exported {
                        scope.exported.push(name.clone());
                    }
                }
                Step::Export(names) => scope.exported.extend(names.iter().cloned()),
                Step::Copy { from, to, rename } => {
                    let content = match from {
                        Source::Passwd => lines_of(identity.passwd, rename.as_ref()),
                        Source::Template(path) => {
                            let template = fs::read(scope.path(path)?).ok()?;
                            scope.fill_in(&template)
                        }
                    };
                    file = Some((scope.path(to)?, content));
                }
                Step::Append { text, to } => {
                    let (path, content) = file.as_mut()?;
                    (scope.path(to)? == *path).then_some(())?;
                    content.extend(scope.text(text)?.as_bytes());
                    content.push(b'\n');
                }
            }
        }
        // What the wrapper is pointed at is what has been made.
        if let Some((path, _)) = &file {
            (scope.value("NSS_WRAPPER_PASSWD") == path.as_os_str()).then_some(())?;
        }
        let exports = scope.exports();
        Some(Effect { file, exports })
    }
}

struct Effect {
    file: Option<(PathBuf, Vec<u8>)>,
    exports: Vec<(String, OsString)>,
}

/// The variables while a script is gone through.
struct Scope<'a> {
    environ: &'a Environ,
    identity: Identity<'a>,
    own: BTreeMap<String, OsString>,
    exported: Vec<String>,
}

impl Scope<'_> {
    fn value(&self, name: &str) -> OsString {
        let own = self.own.get(name).cloned();
        own.unwrap_or_else(|| self.environ.get(name).unwrap_or_default().to_owned())
    }

    fn text(&self, parts: &[Part]) -> Option<OsString> {
        let mut text = OsString::new();
        for part in parts {
            match part {
                Part::Literal(literal) => text.push(literal),
                Part::Variable(name) => text.push(self.value(name)),
                Part::Uid => text.push(self.identity.uid.to_string()),
                Part::Gid => text.push(self.identity.gid.to_string()),
                Part::Temporary { folder } => text.push(self.temporary(*folder)?),
            }
        }
        Some(text)
    }

    /// A path as a redirection has it: what a shell would split, or look for, is not understood.
    fn path(&self, parts: &[Part]) -> Option<PathBuf> {
        let text = self.text(parts)?;
        let plain = text.to_str().is_some_and(script::is_plain);
        plain.then(|| PathBuf::from(text))
    }

    /// Instead of a new folder at each probe, which nobody would ever remove, one for each uid that nobody else can have
    /// made.
    fn temporary(&self, folder: bool) -> Option<PathBuf> {
        let place = self.environ.get("TMPDIR").unwrap_or(OsStr::new("/tmp"));
        let path = Path::new(place).join(format!("passwd.{}", self.identity.uid));
        let _ = fs::DirBuilder::new().mode(0o700).create(&path);
        let stat = file::lstat(&path).ok()?;
        let ours = file::kind(&stat).is_dir()
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && file::mode(&stat) & 0o022 == 0;
        ours.then(|| if folder { path } else { path.join("passwd") })
    }

    /// As `envsubst` does it: from what is exported.
    fn fill_in(&self, template: &[u8]) -> Vec<u8> {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let mut filled = Vec::with_capacity(template.len() + 64);
        let mut rest = template;
        while let Some((byte, after)) = rest.split_first() {
            let braced = after.first() == Some(&b'{');
            let from = usize::from(braced);
            let length = after[from.min(after.len())..]
                .iter()
                .take_while(|byte| is_name(byte))
                .count();
            let name = &after[from.min(after.len())..][..length];
            let starts = name.first().is_some_and(|byte| !byte.is_ascii_digit());
            let closed = !braced || after.get(from + length) == Some(&b'}');
            match std::str::from_utf8(name) {
                Ok(name) if *byte == b'$' && starts && closed => {
                    if self.exported.iter().any(|one| one == name)
                        || self.environ.get(name).is_some()
                    {
                        filled.extend(self.value(name).into_vec());
                    }
                    rest = &after[from + length + from..];
                }
                _ => {
                    filled.push(*byte);
                    rest = after;
                }
            }
        }
        filled
    }

    /// What a variable that was exported before is set to is exported as well.
    fn exports(&self) -> Vec<(String, OsString)> {
        let known =
            |name: &&String| self.exported.contains(name) || self.environ.get(name).is_some();
        let names = self.own.keys().filter(known);
        names.map(|name| (name.clone(), self.value(name))).collect()
    }
}

/// The lines of a passwd file, with an entry renamed; none where there is no such file.
fn lines_of(passwd: &Path, rename: Option<&(String, String)>) -> Vec<u8> {
    let original = fs::read(passwd).unwrap_or_default();
    let mut content = Vec::with_capacity(original.len() + 128);
    for line in original.split_inclusive(|byte| *byte == b'\n') {
        match rename {
            Some((from, to)) if line.starts_with(from.as_bytes()) => {
                content.extend(to.as_bytes());
                content.extend(&line[from.len()..]);
            }
            _ => content.extend(line),
        }
    }
    if content.last().is_some_and(|byte| *byte != b'\n') {
        content.push(b'\n');
    }
    content
}

/// Sees to it that a file has this content, or an entry for the uid at least: what could not be written may still have been
/// written by a probe at the same time.
fn provide(path: &Path, wanted: &[u8], uid: u32) -> bool {
    let present = || fs::read(path).unwrap_or_default();
    present() == wanted
        || replace(path, wanted).is_ok()
        || present()
            .split(|byte| *byte == b'\n')
            .any(|line| is_entry_of(line, uid))
}

fn is_entry_of(line: &[u8], uid: u32) -> bool {
    line.split(|byte| *byte == b':').nth(2) == Some(uid.to_string().as_bytes())
}

/// Writes a file beside and renames it into place, so that nobody ever reads half of it; readable and writable by the
/// group, which is 0 for whatever uid comes next. Where the folder cannot be written but the file can, it is written over.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let path = behind_links(path);
    let mut name = path.as_os_str().to_owned();
    // A process id alone is not enough: containers that share the folder count theirs from 1 each.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    name.push(format!(".{}.{}", std::process::id(), now.as_nanos()));
    let beside = PathBuf::from(name);
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o664)
        .open(&beside);
    let written = made.and_then(|mut file| {
        let written = file
            .write_all(content)
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    });
    written.or_else(|_| {
        // Not emptied first: who reads it meanwhile finds the entries that stay.
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        file.write_all(content)?;
        file.set_len(content.len() as u64)
    })
}

/// Where a link leads to, which a rename would put an end to.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as the kernel follows.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PASSWD: &str = "NSS_WRAPPER_PASSWD=";

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

    fn identity(uid: u32, passwd: &Path) -> Identity<'_> {
        Identity {
            uid,
            gid: 0,
            passwd,
        }
    }

    #[test]
    fn an_entry_is_made_once_and_in_one_go() {
        let folder = tempfile::tempdir().unwrap();
        let (etc, own) = (folder.path().join("etc"), folder.path().join("passwd"));
        // Whoever has a name in Latin-1 keeps it.
        fs::write(
            &etc,
            b"root:x:0:0:\xe9:/root:/bin/sh\ndefault:x:1001:0::/:/bin/sh",
        )
        .unwrap();
        let user = ContainerUser::understand(&script(own.to_str().unwrap())).unwrap();
        let mut environ = Environ::from([("HOME", "/opt/app-root/src")]);
        assert!(user.apply(&mut environ, identity(1_000_650_000, &etc)));
        assert_eq!(
            fs::read(&own).unwrap(),
            b"root:x:0:0:\xe9:/root:/bin/sh\nbuilder:x:1001:0::/:/bin/sh\n\
             default:x:1000650000:0:Someone:/opt/app-root/src:/sbin/nologin\n"
        );
        assert_eq!(environ.get("LD_PRELOAD").unwrap(), "libnss_wrapper.so");
        assert_eq!(environ.get("USER_ID"), None);
        let first = file::stat(&own).unwrap();
        user.apply(&mut environ, identity(1_000_650_000, &etc));
        let second = file::stat(&own).unwrap();
        assert_eq!(first.st_ino, second.st_ino, "written again without need");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn uids_with_an_entry_are_left_alone() {
        let user = ContainerUser::understand(&script("/nowhere/passwd")).unwrap();
        let mut environ = Environ::default();
        assert!(user.apply(&mut environ, identity(1001, Path::new("/etc/passwd"))));
        assert_eq!(environ, Environ::default());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let user = ContainerUser::understand(&script("/nowhere/passwd")).unwrap();
        let mut environ = Environ::default();
        assert!(user.apply(&mut environ, identity(5, Path::new("/etc/passwd"))));
        assert_eq!(environ, Environ::default());
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        fs::write(at("data/passwd"), "old").unwrap();
        std::os::unix::fs::symlink("data/passwd", at("passwd")).unwrap();
        replace(&at("passwd"), b"new\n").unwrap();
        assert_eq!(fs::read(at("data/passwd")).unwrap(), b"new\n");
        assert!(fs::read_link(at("passwd")).is_ok());
    }

    /// The scripts of builder images, each a way to the same end.
    fn variants() -> Vec<String> {
        let python = script("/PLACE/passwd");
        let nodejs = python.replace(
            "    LD_PRELOAD=libnss_wrapper.so\n    export LD_PRELOAD\n",
            "    export LD_PRELOAD=libnss_wrapper.so\n",
        );
        let nginx = "passwd_dir=\"/PLACE\"\n\nexport USER_ID=$(id -u)\nexport GROUP_ID=$(id -g)\n\
             envsubst < ${passwd_dir}/template > ${passwd_dir}/passwd\n\
             export LD_PRELOAD=libnss_wrapper.so\nexport NSS_WRAPPER_PASSWD=${passwd_dir}/passwd\n\
             export NSS_WRAPPER_GROUP=/etc/group\n"
            .to_owned();
        let others = [
            (
                "cat /etc/passwd | sed -e 's/^default:/builder:/' >",
                "cp /etc/passwd",
            ),
            ("cat /etc/passwd | sed -e", "sed"),
            ("> $NSS_WRAPPER_PASSWD", "> \"${NSS_WRAPPER_PASSWD}\""),
            (
                "NSS_WRAPPER_GROUP=/etc/group",
                "export NSS_WRAPPER_GROUP=\"/etc/group\"",
            ),
            (
                "-a x\"$USER_ID\" != x\"1001\" ]",
                "] && [ $USER_ID -ge 1002 ]",
            ),
            (
                "[ x\"$USER_ID\" != x\"0\" -a x\"$USER_ID\" != x\"1001\" ]",
                "[[ \"${USER_ID}\" != \"0\" && $(id -u) -ne 1001 ]]",
            ),
            (
                "    export NSS_WRAPPER_PASSWD\n    export NSS_WRAPPER_GROUP\n",
                "    export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP\n",
            ),
            ("${USER_ID}:${GROUP_ID}", "$(id -u):$GROUP_ID"),
            ("fi\n", "fi\nexport FURTHER=\"a b  $HOME\"\n"),
            ("USER_ID=$(id -u)", "USER_ID=`id -u`"),
            ("/builder:/' > ", "/builder:/'  >  "),
        ]
        .map(|(from, to)| {
            let other = match (from.starts_with("cat /etc/passwd | sed -e"), to) {
                (true, "sed") => python.replace(
                    "cat /etc/passwd | sed -e 's/^default:/builder:/' >",
                    "sed 's/^default:/builder:/' /etc/passwd >",
                ),
                _ => python.replace(from, to),
            };
            assert_ne!(other, python, "{from}");
            other
        });
        [python, nodejs, nginx].into_iter().chain(others).collect()
    }

    #[test]
    fn what_is_understood_is_what_bash_makes_of_it() {
        for variant in variants() {
            for uid in [1_000_650_000, 1001, 0] {
                let [by_bash, ours] = [true, false].map(|bash| {
                    let folder = tempfile::tempdir().unwrap();
                    let place = folder.path();
                    let at = |name: &str| place.join(name);
                    fs::write(at("etc"), "root:x:0:0:root:/root:/bin/sh\ndefault:x:1001:0::/:/bin/sh\n").unwrap();
                    fs::write(at("template"), "root:x:0:0::/:/bin/sh\na:x:${USER_ID}:$GROUP_ID:$NONE$1$:$HOME:/x\n").unwrap();
                    let text = variant.replace("/PLACE", place.to_str().unwrap());
                    let mut environ = Environ::from([("HOME", "/home of mine"), ("PATH", "/usr/bin:/bin")]);
                    if bash {
                        let text = text.replace("/etc/passwd", at("etc").to_str().unwrap());
                        // Where the test's machine has no `envsubst`, perl does.
                        let line = format!(
                            "id() {{ [ \"$1\" = -g ] && echo 0 || echo {uid}; }}\n\
                             envsubst() {{ perl -pe 's/\\$(?:\\{{([A-Za-z_]\\w*)\\}}|([A-Za-z_]\\w*))/$ENV{{$1 || $2}}/ge'; }}\n{text}\nenv -0"
                        );
                        let output = Command::new("bash").args(["--norc", "-c", &line]).env_clear().envs(environ.iter()).output().unwrap();
                        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{text}");
                        for pair in output.stdout.split(|byte| *byte == 0) {
                            let pair = String::from_utf8(pair.to_vec()).unwrap();
                            if let Some((name, value)) = pair.split_once('=')
                                && !matches!(name, "_" | "SHLVL" | "PWD" | "OLDPWD")
                            {
                                environ.set(name, value);
                            }
                        }
                    } else {
                        let user = ContainerUser::understand(&text);
                        let user = user.unwrap_or_else(|| panic!("not understood: {text}"));
                        assert!(user.apply(&mut environ, identity(uid, &at("etc"))), "{text}");
                    }
                    let content = fs::read_to_string(at("passwd")).ok();
                    let environ = format!("{environ:?}").replace(place.to_str().unwrap(), "/PLACE");
                    (content, environ)
                });
                assert_eq!(by_bash, ours, "{variant}");
            }
        }
    }

    #[test]
    fn a_temporary_folder_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let text = script("PLACE").replace(
            "NSS_WRAPPER_PASSWD=PLACE",
            "PLACE=$(mktemp -d)\nNSS_WRAPPER_PASSWD=$PLACE/passwd",
        );
        let user = ContainerUser::understand(&text).unwrap();
        let tmp = folder.path().to_str().unwrap();
        for _ in 0..2 {
            let mut environ = Environ::from([("TMPDIR", tmp)]);
            assert!(user.apply(&mut environ, identity(7, Path::new("/etc/passwd"))));
            let made = environ.get("NSS_WRAPPER_PASSWD").unwrap();
            assert_eq!(made, format!("{tmp}/passwd.7/passwd").as_str());
            assert!(fs::read_to_string(made).unwrap().contains(":7:0:Someone:"));
        }
        // Somebody else's is not used: bash makes one, as the script says.
        let mut environ = Environ::from([("TMPDIR", tmp)]);
        fs::remove_dir_all(folder.path().join("passwd.7")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("passwd.7")).unwrap();
        assert!(!user.apply(&mut environ, identity(7, Path::new("/etc/passwd"))));
    }

    #[test]
    fn a_line_that_is_not_understood_is_left_to_bash() {
        let plain = script("/opt/app-root/etc/passwd");
        assert!(ContainerUser::understand(&plain).is_some());
        for (from, to) in [
            ("fi\n", "fi\nmkdir -p /opt/app-root/src/share\n"),
            ("fi\n", ""),
            ("fi\n", "fi\nif [ $USER_ID -ge 5 ]; then\nA=1\nfi\n"),
            ("/etc/group", "$(pwd)/group"),
            ("s/^default:/builder:/", "s/^default:/builder:/;s/a/b/"),
            ("Someone", "$(whoami)"),
            ("Someone", "${SOMEONE:-x}"),
            ("Someone", "\\$x"),
            ("echo \"default", "echo -e \"default"),
            ("    export LD_PRELOAD\n", ""),
            ("-a x\"$USER_ID\"", "-o x\"$USER_ID\""),
            ("!= x\"0\"", "= x\"0\""),
            (PASSWD, "PATH="),
            ("USER_ID=$(id -u)", "USER_ID=5"),
            ("USER_ID=$(id -u)", ""),
            ("if [ ", "if "),
        ] {
            let other = plain.replace(from, to);
            assert_ne!(other, plain);
            assert_eq!(ContainerUser::understand(&other), None, "{to}");
        }
    }
}
