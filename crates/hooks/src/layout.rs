//! Where things are in an image made by source-to-image, and whether we were started there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::environ::{APPLICATION_PATH, Environ, SCRIPTS_PATH, SOURCE_PATH};
use crate::error::Error;
use crate::file;

const SCRIPTS: &str = "/usr/libexec/s2i";
const APPLICATION: &str = "/opt/app-root";

/// The folders of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The builder's own `assemble` and `run`.
    pub(crate) scripts: PathBuf,
    pub(crate) application: PathBuf,
    pub(crate) source: PathBuf,
    /// Where source-to-image put the source before `assemble`.
    pub(crate) upload: PathBuf,
}

impl Layout {
    /// From the variables, `has` telling whether a file exists.
    ///
    /// Builders differ in where their scripts are. The image's label `io.openshift.s2i.scripts-url` cannot be seen from
    /// inside, but builders set variables to the same value; these are looked at where the usual folder is not there.
    pub(crate) fn of(environ: &Environ, has: impl Fn(&Path) -> bool) -> Self {
        let path = |name, default: &str| {
            environ
                .get(name)
                .map_or_else(|| PathBuf::from(default), PathBuf::from)
        };
        let application = path(APPLICATION_PATH, APPLICATION);
        let source = environ.get(SOURCE_PATH).map_or_else(
            || {
                // As the shell does it, so that a final slash stays what it was.
                let mut text = application.clone().into_os_string();
                text.push("/src");
                PathBuf::from(text)
            },
            PathBuf::from,
        );
        let scripts = environ
            .get(SCRIPTS_PATH)
            .map(PathBuf::from)
            .unwrap_or_else(|| discover(environ, has));
        Self {
            scripts,
            application,
            source,
            upload: PathBuf::from("/tmp/src"),
        }
    }

    /// Exports the three paths.
    pub(crate) fn export(&self, environ: &mut Environ) {
        environ.set(SCRIPTS_PATH, &self.scripts);
        environ.set(APPLICATION_PATH, &self.application);
        environ.set(SOURCE_PATH, &self.source);
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.source.join(".s2i/action_hooks")
    }

    pub(crate) fn hook(&self, name: &str) -> PathBuf {
        self.hooks().join(name)
    }

    pub(crate) fn builder(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }

    /// Sourced for a passwd entry where the image runs under an arbitrary uid.
    pub(crate) fn container_user(&self) -> PathBuf {
        self.application.join("etc/generate_container_user")
    }

    /// The folders of a category's jobs: the old name first, as the original has it.
    pub(crate) fn jobs(&self, category: &str) -> [PathBuf; 2] {
        let s2i = self.source.join(".s2i");
        [
            s2i.join("cron_jobs").join(category),
            s2i.join("jobs").join(category),
        ]
    }

    /// Refuses any working directory but the source folder. The comparison is the original's: byte by byte with what a
    /// shell's `pwd` says, which is `$PWD` where that names the current folder.
    pub(crate) fn check_directory(
        &self,
        command: &'static str,
        pwd: Option<&OsStr>,
    ) -> Result<(), Error> {
        let here = self.source.as_os_str().as_bytes();
        let wrong = || Error::WrongDirectory {
            command,
            expected: self.source.clone(),
        };
        if pwd.is_some_and(|pwd| pwd.as_bytes() == here && is_plain(pwd) && is_here(Path::new(pwd)))
        {
            return Ok(());
        }
        let physical = std::env::current_dir().map_err(|_| wrong())?;
        if physical.as_os_str().as_bytes() == here {
            Ok(())
        } else {
            Err(wrong())
        }
    }
}

/// Whether a shell would believe this `$PWD`: absolute, without `.` and `..`, and with no slash at its end.
fn is_plain(pwd: &OsStr) -> bool {
    let bytes = pwd.as_bytes();
    bytes.first() == Some(&b'/')
        && (bytes.len() == 1
            || bytes[1..]
                .split(|byte| *byte == b'/')
                .all(|part| !part.is_empty() && part != b"." && part != b".."))
}

fn is_here(path: &Path) -> bool {
    file::same(path, Path::new("."))
}

fn discover(environ: &Environ, has: impl Fn(&Path) -> bool) -> PathBuf {
    let usual = PathBuf::from(SCRIPTS);
    if has(&usual.join("run")) || has(&usual.join("assemble")) {
        return usual;
    }
    let urls = ["STI_SCRIPTS_URL", "S2I_SCRIPTS_URL"]
        .into_iter()
        .filter_map(|name| environ.get(name)?.to_str()?.strip_prefix("image://"))
        .map(PathBuf::from);
    let named = environ.get("STI_SCRIPTS_PATH").map(PathBuf::from);
    named
        .into_iter()
        .chain(urls)
        .chain(["/usr/local/s2i", "/usr/local/sti"].map(PathBuf::from))
        .find(|folder| has(&folder.join("run")) || has(&folder.join("assemble")))
        .unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_overrides() {
        let layout = Layout::of(&Environ::default(), |_| false);
        assert_eq!(layout.source, Path::new("/opt/app-root/src"));
        assert_eq!(layout.scripts, Path::new("/usr/libexec/s2i"));
        let environ = Environ::from([
            ("S2I_APPLICATION_PATH", "/home/app"),
            ("S2I_SCRIPTS_PATH", ""),
        ]);
        let layout = Layout::of(&environ, |_| false);
        assert_eq!(layout.source, Path::new("/home/app/src"));
    }

    #[test]
    fn other_builders_scripts_are_found_where_the_usual_folder_is_missing() {
        let environ = Environ::from([("STI_SCRIPTS_URL", "image:///usr/local/java/s2i")]);
        let there = |path: &Path| path == Path::new("/usr/local/java/s2i/run");
        assert_eq!(
            Layout::of(&environ, there).scripts,
            Path::new("/usr/local/java/s2i")
        );
        assert_eq!(
            Layout::of(&environ, |_| true).scripts,
            Path::new("/usr/libexec/s2i")
        );
    }

    #[test]
    fn a_shell_believes_only_plain_paths() {
        for (pwd, plain) in [
            ("/opt/app-root/src", true),
            ("/", true),
            ("/opt/app-root/src/", false),
            ("/opt/./src", false),
            ("/opt/../src", false),
            ("src", false),
        ] {
            assert_eq!(is_plain(OsStr::new(pwd)), plain, "{pwd}");
        }
    }
}
