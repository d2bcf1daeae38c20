//! Finding a command as a container runtime does, so that a failure can be named before anything is started.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::wire::Refusal;

/// The path of `command`, looked up in `path` (the value of `$PATH`) unless it holds a slash.
///
/// # Errors
///
/// Why there is no such command, and a line about it in the words of runc.
pub(crate) fn find(command: &str, path: &str, cwd: &Path) -> Result<PathBuf, (Refusal, String)> {
    if command.contains('/') {
        let found = cwd.join(command);
        return match check(&found) {
            Ok(()) => Ok(found),
            Err(Refusal::Permission) => Err((
                Refusal::Permission,
                format!("exec: \"{command}\": permission denied"),
            )),
            Err(_) => Err((
                Refusal::NotFound,
                format!("exec: \"{command}\": stat {command}: no such file or directory"),
            )),
        };
    }
    path.split(':')
        .map(|folder| {
            cwd.join(if folder.is_empty() { "." } else { folder })
                .join(command)
        })
        .find(|candidate| check(candidate).is_ok())
        .ok_or_else(|| {
            (
                Refusal::NotInPath,
                format!("exec: \"{command}\": executable file not found in $PATH"),
            )
        })
}

fn check(path: &Path) -> Result<(), Refusal> {
    let metadata = path.metadata().map_err(|_| Refusal::NotFound)?;
    if !metadata.is_file() || rustix::fs::access(path, Access::EXEC_OK).is_err() {
        return Err(Refusal::Permission);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_is_named_as_the_runtime_names_it() {
        let root = Path::new("/");
        assert_eq!(
            find("no-such-binary", "/usr/bin:/bin", root).unwrap_err(),
            (
                Refusal::NotInPath,
                "exec: \"no-such-binary\": executable file not found in $PATH".into()
            )
        );
        assert_eq!(
            find("/bin/none", "/bin", root).unwrap_err(),
            (
                Refusal::NotFound,
                "exec: \"/bin/none\": stat /bin/none: no such file or directory".into()
            )
        );
        assert_eq!(find("/etc", "", root).unwrap_err().0, Refusal::Permission);
        assert_eq!(
            find("sh", "/nowhere:/bin", root).unwrap(),
            Path::new("/bin/sh")
        );
    }
}
