//! A root laid out like an S2I image, and commands in it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openshifter_testing::Terminal;
use tempfile::TempDir;

/// What OpenShift gives a project's pods: no passwd entry, group 0.
pub(crate) const ARBITRARY: u32 = 1_000_650_000;
/// The user that builds run as.
pub(crate) const BUILDER: u32 = 1001;

/// Where the original's virtual environment is in an image.
const ORIGINAL: &str = "/mnt/original";

/// As the original's own, but for `pkg_resources`: reading what is installed takes it three quarters of its time, and there
/// is this one plug-in.
const ORIGINAL_PROGRAM: &str = r#"import sys, types
plugin = types.SimpleNamespace(module_name="powershift.image")
sys.modules["pkg_resources"] = types.SimpleNamespace(iter_entry_points=lambda group: [plugin])
from powershift.cli import main
sys.exit(main())
"#;

/// Notes who was called, where, with what, and with which environment.
const NOTE: &str = r#"#!/bin/bash
{
  echo "== $*"
  pwd
  echo "umask $(umask), files $(ulimit -n), ids $(id -u):$(id -g)"
  env -0 | sort -z | tr '\n\0' '\001\n'
} >> /log/events
"#;

/// As the builders' own: whatever else it does, the group may read and write.
const FIX_PERMISSIONS: &str = "#!/bin/sh\nnote fix-permissions \"$@\"\nchmod -R g+rwX \"$1\"\n";

/// As the builders' own: moves the source into place, hidden files included.
const ASSEMBLE: &str =
    "#!/bin/bash\nset -e\nshopt -s dotglob\nnote builder-assemble \"$@\"\nmv /tmp/src/* ./\n";

const RUN: &str = "#!/bin/bash\nnote builder-run \"pid $$\" \"$@\"\n";

/// A program that is being written cannot be started ("text file busy"), and a process that another test starts at that
/// moment has the file open, too, until it has become its own program. So nothing is written while something starts.
static STARTING: RwLock<()> = RwLock::new(());

/// While this is held, nothing is written that others start.
fn starting() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

/// While this is held, nothing starts.
pub(crate) fn writing() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a command.
pub(crate) fn start(command: &mut Command) -> Child {
    let _starting = starting();
    command.spawn().unwrap()
}

/// Starts a command on a terminal.
pub(crate) fn terminal(command: Command) -> Terminal {
    let _starting = starting();
    Terminal::start(command)
}

/// Runs a command to its end, with nothing to read.
pub(crate) fn output(command: &mut Command) -> Output {
    let captured = command.stdin(Stdio::null()).stdout(Stdio::piped());
    start(captured.stderr(Stdio::piped()))
        .wait_with_output()
        .unwrap()
}

/// Which runner is called `powershift` in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    Original,
    Ours,
}

/// An image, to be changed before it is started.
pub(crate) struct Image {
    folder: TempDir,
    pub(crate) uid: u32,
    pub(crate) read_only: bool,
    /// Another place than /opt/app-root.
    pub(crate) root: &'static str,
    /// The working directory, unless it is the source folder.
    pub(crate) directory: Option<&'static str>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Programs of /usr/bin that cannot be run.
    pub(crate) without: Vec<&'static str>,
    /// What is typed.
    pub(crate) stdin: &'static str,
    /// Nothing can be written but what S2I writes: the application's folders and /tmp.
    pub(crate) sealed: bool,
    /// There is no `/proc`.
    pub(crate) without_proc: bool,
    /// The numbers of system calls that are refused with EPERM, as a container engine does that does not know them.
    pub(crate) refused: Vec<u32>,
    /// What bash does as process 1, with the command as its words; otherwise the command is process 1.
    pub(crate) below: Option<&'static str>,
}

impl Image {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = Self {
            folder,
            uid: ARBITRARY,
            read_only: false,
            root: "/opt/app-root",
            directory: None,
            environment: vec![],
            without: vec![],
            stdin: "",
            sealed: false,
            without_proc: false,
            refused: vec![],
            below: None,
        };
        for name in [
            "app/src", "app/etc", "app/bin", "s2i", "local", "tmp", "log", "etc",
        ] {
            fs::create_dir_all(image.at(name)).unwrap();
        }
        image.script("local/note", NOTE);
        image.script("local/fix-permissions", FIX_PERMISSIONS);
        image.script("s2i/assemble", ASSEMBLE);
        image.script("s2i/run", RUN);
        image.file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\ndefault:x:1001:0::/opt/app-root/src:/sbin/nologin\n",
        );
        image.file("etc/group", "root:x:0:\n");
        image
    }

    /// A path outside, of `app/…` for the application's root, `s2i/…`, `tmp/…`, `log/…`.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> &Self {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _whole = writing();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn script(&self, name: &str, content: &str) -> &Self {
        self.file(name, content);
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// An executable hook in place.
    pub(crate) fn hook(&self, name: &str, body: &str) -> &Self {
        self.script(
            &format!("app/src/.s2i/action_hooks/{name}"),
            &format!("#!/bin/bash\n{body}\n"),
        )
    }

    /// An environment file in place; it needs neither `#!` nor the executable bit.
    pub(crate) fn env(&self, name: &str, body: &str) -> &Self {
        self.file(&format!("app/src/.s2i/action_hooks/{name}"), body)
    }

    /// An executable job.
    pub(crate) fn job(&self, name: &str, body: &str) -> &Self {
        self.script(
            &format!("app/src/.s2i/{name}"),
            &format!("#!/bin/bash\n{body}\n"),
        )
    }

    /// Sorts by the locale that the builders have, which puts `a` before `B`.
    pub(crate) fn sorts_as_people_do(&mut self) {
        let folder = self.at("local/locales");
        fs::create_dir_all(&folder).unwrap();
        let made = {
            let _starting = starting();
            Command::new("localedef")
                .args(["--no-archive", "--quiet", "-i", "en_US", "-f", "UTF-8"])
                .arg(folder.join("en_US.UTF-8"))
                .spawn()
        };
        let made = made.and_then(|mut child| child.wait());
        assert!(
            made.is_ok_and(|status| status.success()),
            "no locale can be made: install Debian's `locales`, as `cargo xtask test` does"
        );
        self.environment.extend([
            ("LOCPATH", "/usr/local/bin/locales"),
            ("LC_ALL", "en_US.UTF-8"),
        ]);
    }

    /// An uploaded source with these executable hooks.
    pub(crate) fn upload(&self, hooks: &[(&str, &str)]) -> &Self {
        self.file("tmp/src/app.py", "print()\n");
        for (name, body) in hooks {
            self.script(
                &format!("tmp/src/.s2i/action_hooks/{name}"),
                &format!("#!/bin/bash\n{body}\n"),
            );
        }
        self
    }

    /// The command line in this image, as process 1 of its own world.
    pub(crate) fn command(&self, runner: Runner, words: &[&str]) -> Command {
        self.install(runner);
        let mut command = Command::new("bwrap");
        if !self.refused.is_empty() {
            let filter = self.at("filter");
            fs::write(&filter, filter_of(&self.refused)).unwrap();
            command = Command::new("sh");
            command.args(["-c", "exec bwrap --seccomp 9 \"$@\" 9<\"$0\""]);
            command.arg(filter);
        }
        command.args([
            "--unshare-all",
            "--as-pid-1",
            "--die-with-parent",
            "--cap-drop",
            "ALL",
        ]);
        command.args(["--uid", &self.uid.to_string(), "--gid", "0", "--clearenv"]);
        for folder in [
            "/usr/bin",
            "/usr/sbin",
            "/usr/lib",
            "/usr/lib64",
            "/usr/libexec/coreutils",
            "/etc/alternatives",
            "/etc/ld.so.cache",
        ] {
            command.args(["--ro-bind-try", folder, folder]);
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            let link = Path::new("/").join(name);
            if link.is_symlink() {
                command
                    .args(["--symlink", &format!("usr/{name}")])
                    .arg(link);
            } else {
                command.arg("--ro-bind-try").args([&link, &link]);
            }
        }
        if !self.without_proc {
            command.args(["--proc", "/proc"]);
        }
        command.args(["--dev", "/dev"]);
        let mut bind = |how: &str, name: &str, to: &str| {
            command.arg(how).arg(self.at(name)).arg(to);
        };
        bind(
            if self.read_only {
                "--ro-bind"
            } else {
                "--bind"
            },
            "app",
            self.root,
        );
        bind("--ro-bind", "s2i", "/usr/libexec/s2i");
        bind("--ro-bind", "local", "/usr/local/bin");
        bind("--ro-bind", "etc/passwd", "/etc/passwd");
        bind("--ro-bind", "etc/group", "/etc/group");
        bind("--bind", "tmp", "/tmp");
        bind("--bind", "log", "/log");
        if runner == Runner::Original {
            let original = original();
            command.arg("--ro-bind").arg(original.venv).arg(ORIGINAL);
            for folder in original.needs {
                command.arg("--ro-bind").args([&folder, &folder]);
            }
        }
        for program in &self.without {
            // A file that cannot be run stands in the program's place, behind all links to it.
            let nothing = self.at("nothing");
            fs::write(&nothing, "").unwrap();
            let real = fs::canonicalize(Path::new("/usr/bin").join(program)).unwrap();
            command.arg("--ro-bind").args([&nothing, &real]);
        }
        if self.sealed {
            command.args(["--remount-ro", "/"]);
        }
        let source = format!("{}/src", self.root);
        command.args(["--chdir", self.directory.unwrap_or(&source)]);
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", self.root);
        for (name, value) in [
            ("PATH", path.as_str()),
            ("HOME", &source),
            ("LC_ALL", "C.UTF-8"),
        ] {
            command.args(["--setenv", name, value]);
        }
        for (name, value) in &self.environment {
            command.args(["--setenv", name, value]);
        }
        // Whoever runs the tests in the background has some signals ignored.
        command.args(["--", "env", "--default-signal"]);
        if let Some(line) = self.below {
            command.args(["bash", "-c", line, "bash"]);
        }
        command.args(words);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, runner: Runner, words: &[&str]) -> Output {
        let mut command = self.command(runner, words);
        let mut child = start(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        // Whoever reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(self.stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs ours with these words after `powershift image`.
    pub(crate) fn ours(&self, words: &[&str]) -> Output {
        let mut all = vec!["powershift", "image"];
        all.extend(words);
        self.run(Runner::Ours, &all)
    }

    /// What was noted.
    pub(crate) fn events(&self) -> String {
        fs::read_to_string(self.at("log/events")).unwrap_or_default()
    }

    /// Who was called, in order.
    pub(crate) fn called(&self) -> Vec<String> {
        let events = self.events();
        events
            .lines()
            .filter_map(|line| line.strip_prefix("== "))
            .map(str::to_owned)
            .collect()
    }

    fn install(&self, runner: Runner) {
        match runner {
            Runner::Ours => {
                for name in ["powershift", "openshifter-image"] {
                    let to = self.at("app/bin").join(name);
                    if !to.exists() {
                        let _whole = writing();
                        // A link would be the program that other tests run, too.
                        fs::copy(crate::program(), to).unwrap();
                    }
                }
            }
            Runner::Original => {
                let to = self.at("app/bin/powershift");
                if !to.exists() {
                    self.script(
                        "app/bin/powershift",
                        &format!("#!{ORIGINAL}/bin/python3\n{ORIGINAL_PROGRAM}"),
                    );
                }
            }
        }
    }
}

/// A seccomp filter (a program of classic BPF) that answers these system calls with EPERM.
fn filter_of(refused: &[u32]) -> Vec<u8> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let mut filter = Vec::new();
    let mut put = |code: u16, otherwise: u8, value: u32| {
        filter.extend(code.to_ne_bytes());
        filter.extend([0, otherwise]);
        filter.extend(value.to_ne_bytes());
    };
    // The call's number is the first word of what a filter sees.
    put(LOAD, 0, 0);
    for number in refused {
        put(JUMP_IF_EQUAL, 1, *number);
        put(RETURN, 0, 0x0005_0000 | 1);
    }
    put(RETURN, 0, 0x7fff_0000);
    filter
}

/// The original, as `cargo xtask test` installs it.
struct Original {
    venv: PathBuf,
    /// Folders that it needs besides.
    needs: Vec<PathBuf>,
}

fn original() -> Original {
    let tools = std::env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
        PathBuf::from,
    );
    let venv = tools.join("powershift");
    let program = venv.join("bin/powershift");
    assert!(
        program.is_file(),
        "`{}` is missing: run `cargo xtask test`, which installs the original runner",
        program.display()
    );
    let mut needs = vec![];
    // Where the environment's Python is, when that is not the system's.
    let python = fs::canonicalize(venv.join("bin/python")).unwrap();
    if !python.starts_with("/usr/bin") {
        let prefix = python.parent().and_then(Path::parent).unwrap().to_owned();
        needs.push(prefix);
    }
    Original { venv, needs }
}

/// A link in an image.
pub(crate) fn link(image: &Image, target: &str, name: &str) {
    let path = image.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}
