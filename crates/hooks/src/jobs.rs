//! Which files of a category are jobs, by the rules that V2's cron followed.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::environ::Environ;
use crate::{file, program};

/// Leftovers of package managers, editors and configuration managers.
const IGNORED: [&[u8]; 8] = [
    b"~",
    b",",
    b",v",
    b".rpmsave",
    b".rpmorig",
    b".rpmnew",
    b".swp",
    b".cfsaved",
];

/// The jobs in a folder, sorted by name; none where there is no such folder.
///
/// Left out are names that begin with a dot, leftovers, what `jobs.deny` names, and, where there is a `jobs.allow`, all
/// that it does not name. A README that is not executable is no job, since V2's own templates had one beside the jobs; any
/// other file is one, executable or not.
pub(crate) fn list(folder: &Path) -> Vec<PathBuf> {
    let names = |file: &str| named(&folder.join(file));
    let (deny, allow) = (names("jobs.deny"), names("jobs.allow"));
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut jobs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
            let allowed = allow.as_ref().is_none_or(|allow| allow.contains(name));
            let denied = deny.as_ref().is_some_and(|deny| deny.contains(name));
            is_job_name(name) && allowed && !denied && file::is_file(path) && !is_readme(path, name)
        })
        .collect();
    jobs.sort();
    jobs
}

/// Sorts jobs of a folder as `*` of a shell lists them there, which is how the original sorted them: in the builders'
/// `en_US.UTF-8`, `a` comes before `B`. Only the C library knows the locale's order, so bash is asked; without bash, and for
/// what it does not list, bytes decide.
pub(crate) fn sort_as_shell(folder: &Path, jobs: &mut [PathBuf], environ: &Environ) {
    if jobs.len() < 2 || is_sorted_by_bytes(environ) {
        return;
    }
    let Some(bash) = program::bash(environ) else {
        return;
    };
    let mut command = std::process::Command::new(bash);
    command
        .args(["--norc", "-c"])
        .arg("builtin shopt -s nullglob; builtin cd -- \"$1\" && builtin printf '%s\\0' *")
        .arg("bash")
        .arg(folder);
    program::give(&mut command, environ);
    command.env_remove("BASH_ENV").stdin(Stdio::null());
    let Ok(output) = command.output() else {
        return;
    };
    let places: HashMap<&[u8], usize> = output
        .stdout
        .split(|byte| *byte == 0)
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    let place = |path: &PathBuf| {
        let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        places.get(name).copied().unwrap_or(usize::MAX)
    };
    // Stable: what has no place stays sorted by bytes.
    jobs.sort_by_key(place);
}

/// Whether the environment's locale sorts by bytes.
fn is_sorted_by_bytes(environ: &Environ) -> bool {
    let locale = ["LC_ALL", "LC_COLLATE", "LANG"]
        .into_iter()
        .filter_map(|name| environ.get(name))
        .find(|value| !value.is_empty())
        .unwrap_or(OsStr::new("C"));
    let language = locale.as_bytes().split(|byte| *byte == b'.').next();
    matches!(language, Some(b"C" | b"POSIX"))
}

/// Whether a file of this name can be a job.
pub(crate) fn is_job_name(name: &[u8]) -> bool {
    !name.starts_with(b".")
        && !IGNORED.iter().any(|end| name.ends_with(end))
        && !matches!(name, b"jobs.allow" | b"jobs.deny")
}

fn is_readme(path: &Path, name: &[u8]) -> bool {
    matches!(name, b"README" | b"README.md" | b"README.txt") && !crate::script::is_executable(path)
}

/// The names in a list, one a line; comments and blanks do not count.
fn named(file: &Path) -> Option<BTreeSet<Vec<u8>>> {
    let content = fs::read(file).ok()?;
    Some(
        content
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .map(<[u8]>::to_vec)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn listed(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        list(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn odd_names_are_jobs_and_leftovers_are_not() {
        let files = [
            "b",
            "a b",
            "a\nb",
            ".hidden",
            "a~",
            "a,",
            "a,v",
            "a.swp",
            "x.rpmsave",
            "z.sh",
        ];
        assert_eq!(
            listed(&files.map(|name| (name, ""))),
            ["a\nb", "a b", "b", "z.sh"]
        );
    }

    #[test]
    fn the_weekly_folder_of_v2s_templates() {
        let files = [
            ("README", ""),
            ("chrono.dat", ""),
            ("chronograph", ""),
            ("jobs.allow", "# those\r\n\n chronograph\r\n"),
            ("jobs.deny", "chrono.dat\n"),
        ];
        assert_eq!(listed(&files), ["chronograph"]);
    }

    #[test]
    fn an_empty_list_of_the_allowed_allows_nothing() {
        assert!(listed(&[("a", ""), ("jobs.allow", "# none\n")]).is_empty());
        assert_eq!(listed(&[("a", ""), ("b", ""), ("jobs.deny", "a\n")]), ["b"]);
    }

    #[test]
    fn a_readme_that_is_executable_is_meant_as_a_job() {
        let folder = tempfile::tempdir().unwrap();
        let readme = folder.path().join("README");
        fs::write(&readme, "").unwrap();
        assert!(list(folder.path()).is_empty());
        fs::set_permissions(&readme, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(list(folder.path()), [readme]);
        assert!(list(&folder.path().join("none")).is_empty());
    }
}
