//! Files between this machine and containers: a tar stream through a command, whole or an error.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openshifter_cluster::{Exec, ExecOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::io::{InspectReader, SyncIoBridge};

use crate::{DeployError, Place, Progress, Project, SourceTree};

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Where they are now.
    pub to: String,
    /// Whether the sizes of all files were compared at the other end.
    pub verified: bool,
    /// What could not be copied: sockets, pipes and devices.
    pub left_out: Vec<PathBuf>,
}

/// Reads `[PROJECT/]POD:PATH`; `None` for a path of this machine. A path with a colon is written `./a:b`.
pub fn copy_place(text: &str) -> Option<(Option<&str>, &str, &str)> {
    let (place, path) = text.split_once(':')?;
    if place.is_empty() || place.starts_with(['.', '/', '~']) {
        return None;
    }
    // Kinds have a slash as well: `deployment/web` is a workload, not a pod `web` of a project `deployment`.
    match place.split_once('/') {
        Some((project, pod)) if crate::Target::parse(place, crate::TargetKind::Pod).is_err() => {
            Some((Some(project), pod, path))
        }
        _ => Some((None, place, path)),
    }
}

/// What is at a path of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    File,
    Folder,
}

impl Project {
    /// Copies a file or folder of this machine into a container. Into a folder that exists it goes under its own name,
    /// else under the name given; the folder above must exist. What is there is overwritten, file by file.
    ///
    /// # Errors
    /// When something cannot be read or written, the container has no `tar`, or what arrived is not what was sent.
    pub async fn upload(
        &self,
        from: &Path,
        place: &Place,
        to: &str,
        progress: &dyn Progress,
    ) -> Result<Copied, DeployError> {
        let shown = format!("{}:{to}", place.pod);
        let failed = |why: String| DeployError::Copy {
            from: from.display().to_string(),
            to: shown.clone(),
            why,
        };
        let own = own_name(from).ok_or_else(|| failed("it has no name".to_owned()))?;
        let is_folder = std::fs::metadata(from)
            .map_err(|source| DeployError::Read {
                path: from.to_owned(),
                source,
            })?
            .is_dir();
        let there = self.there(place, to).await?;
        let (folder, name) = match there {
            There::Folder => (to.to_owned(), own),
            There::File if is_folder => {
                return Err(failed("there is a file, and this is a folder".to_owned()));
            }
            There::Nothing if to.ends_with('/') => {
                return Err(failed("there is no such folder".to_owned()));
            }
            There::File | There::Nothing => {
                above(to).ok_or_else(|| failed("that names no file".to_owned()))?
            }
        };
        let (source, called) = (from.to_owned(), name.clone());
        let tree = blocking(move || SourceTree::named(&source, Path::new(&called))).await??;
        let left_out = tree.left_out().to_vec();
        let sizes: Vec<(PathBuf, u64)> = tree
            .sizes()
            .map(|(name, size)| (name.to_owned(), size))
            .collect();
        let (length, bytes) = (tree.length(), tree.bytes());
        // Before Kubernetes 1.30 the end of the input cannot be told, so it is read by its length. What `tar` leaves
        // unread is read as well: a command that ends before its input may never be known to have ended.
        let script =
            "cd -- \"$1\" && head -c \"$2\" | { tar -xof - ; s=$?; cat > /dev/null; exit $s; }";
        let mut exec = self
            .script(place, script, &[&folder, &length.to_string()], true)
            .await?;
        let passed = Arc::new(AtomicU64::new(0));
        let mut stream = tree.into_stream(false, Arc::clone(&passed));
        let sending = async {
            let Some(mut stdin) = exec.stdin() else {
                return Ok(());
            };
            let copied = tokio::io::copy(&mut stream, &mut stdin).await;
            match copied {
                Ok(_) => {
                    // It may have ended by now, which its status says.
                    let _ = stdin.shutdown().await;
                    Ok(())
                }
                // So may have a command that takes no more.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    let _ = stdin.shutdown().await;
                    Ok(())
                }
                Err(error) => Err(failed(error.to_string())),
            }
        };
        Self::with_bytes(sending, &passed, length, progress).await?;
        let outcome = exec.finish().await?;
        ended(&outcome, "tar").map_err(failed)?;
        let verified = self
            .same_sizes(place, &folder, &sizes)
            .await?
            .map_err(failed)?;
        Ok(Copied {
            files: sizes.len(),
            bytes,
            to: format!("{}:{}", place.pod, join(&folder, &name)),
            verified,
            left_out,
        })
    }

    /// Copies a file or folder out of a container. Into a folder that exists it goes under its own name, else under the
    /// name given. It appears whole or not at all.
    ///
    /// # Errors
    /// When something cannot be read or written, the container has no `tar`, a folder of that name exists, or what
    /// arrived is not what was sent.
    pub async fn download(
        &self,
        place: &Place,
        from: &str,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<Copied, DeployError> {
        let shown = format!("{}:{from}", place.pod);
        let failed = |why: String| DeployError::Copy {
            from: shown.clone(),
            to: to.display().to_string(),
            why,
        };
        let (folder, name) = above(from).ok_or_else(|| failed("that names no file".to_owned()))?;
        let there = self.there(place, from).await?;
        if there == There::Nothing {
            return Err(failed("there is no such file".to_owned()));
        }
        let target = if to.is_dir() {
            to.join(&name)
        } else {
            to.to_owned()
        };
        let exists = std::fs::symlink_metadata(&target).ok();
        if exists.is_some_and(|exists| exists.is_dir() || there == There::Folder) {
            return Err(failed(format!(
                "{} exists: remove it, or give another name",
                target.display()
            )));
        }
        let beside = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let write = |source| DeployError::Write {
            path: beside.clone(),
            source,
        };
        // On the same file system, so that it can be renamed.
        let work = tempfile::Builder::new()
            .prefix(".openshifter-")
            .tempdir_in(&beside)
            .map_err(write)?;
        // A link that was named is followed, as every copying program does.
        let script = "cd -- \"$1\" && if [ -d \"$2\" ] || [ ! -L \"$2\" ]; then tar -cf - -- \"$2\"; else tar -chf - -- \"$2\"; fi";
        let inside = format!("./{name}");
        let mut exec = self
            .script(place, script, &[&folder, &inside], false)
            .await?;
        let stdout = exec
            .stdout()
            .ok_or_else(|| failed("there is no output".to_owned()))?;
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        let stream = InspectReader::new(stdout, move |bytes| {
            counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        });
        let (into, only) = (work.path().to_owned(), name.clone());
        let unpacking = blocking(move || unpack(SyncIoBridge::new(stream), &into, &only));
        let unpacked = Self::with_bytes(unpacking, &passed, 0, progress).await?;
        let outcome = exec.finish().await?;
        ended(&outcome, "tar").map_err(failed)?;
        let (files, bytes) = unpacked.map_err(failed)?;
        let unpacked = work.path().join(&name);
        std::fs::rename(&unpacked, &target).map_err(|source| DeployError::Write {
            path: target.clone(),
            source,
        })?;
        Ok(Copied {
            files,
            bytes,
            to: target.display().to_string(),
            verified: true,
            left_out: Vec::new(),
        })
    }

    /// Starts a shell script with arguments.
    async fn script(
        &self,
        place: &Place,
        script: &str,
        args: &[&str],
        stdin: bool,
    ) -> Result<Exec, DeployError> {
        let mut command: Vec<String> = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        command.extend(args.iter().map(|&arg| arg.to_owned()));
        Ok(self
            .cluster
            .exec(
                &self.namespace,
                &place.pod,
                Some(&place.container),
                &command,
                stdin,
            )
            .await?)
    }

    async fn there(&self, place: &Place, path: &str) -> Result<There, DeployError> {
        let script = "if [ -d \"$1\" ]; then echo folder; elif [ -e \"$1\" ] || [ -L \"$1\" ]; then echo file; else echo nothing; fi";
        let mut exec = self.script(place, script, &[path], false).await?;
        let mut text = String::new();
        if let Some(mut stdout) = exec.stdout() {
            // A torn connection shows at its end.
            let _ = stdout.read_to_string(&mut text).await;
        }
        let outcome = exec.finish().await?;
        let failed = |why| DeployError::Copy {
            from: "this machine".to_owned(),
            to: format!("{}:{path}", place.pod),
            why,
        };
        ended(&outcome, "sh").map_err(failed)?;
        match text.trim() {
            "folder" => Ok(There::Folder),
            "file" => Ok(There::File),
            "nothing" => Ok(There::Nothing),
            other => Err(failed(format!("its shell said {other:?}"))),
        }
    }

    /// Compares the sizes of files that were sent. The inner error says which differs; `false` when the container cannot
    /// tell sizes.
    async fn same_sizes(
        &self,
        place: &Place,
        folder: &str,
        sizes: &[(PathBuf, u64)],
    ) -> Result<Result<bool, String>, DeployError> {
        if sizes.is_empty() {
            return Ok(Ok(true));
        }
        let mut names = Vec::new();
        for (name, _) in sizes {
            // So that none begins with a dash.
            names.extend_from_slice(b"./");
            names.extend_from_slice(name.as_os_str().as_bytes());
            names.push(0);
        }
        let script = "cd -- \"$1\" && head -c \"$2\" | xargs -0 stat -c %s";
        let length = names.len().to_string();
        let mut exec = self.script(place, script, &[folder, &length], true).await?;
        let (stdin, stdout) = (exec.stdin(), exec.stdout());
        let mut text = Vec::new();
        let write = async {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&names).await;
                let _ = stdin.shutdown().await;
            }
        };
        let read = async {
            if let Some(mut stdout) = stdout {
                let _ = stdout.read_to_end(&mut text).await;
            }
        };
        tokio::join!(write, read);
        let outcome = exec.finish().await?;
        if matches!(outcome.exit_code, 126 | 127) || outcome.stderr.contains("not found") {
            return Ok(Ok(false));
        }
        if let Err(why) = ended(&outcome, "stat") {
            return Ok(Err(why));
        }
        let text = String::from_utf8_lossy(&text);
        let found: Vec<&str> = text.split_whitespace().collect();
        if found.len() != sizes.len() {
            return Ok(Err(format!(
                "{} of {} files are there",
                found.len(),
                sizes.len()
            )));
        }
        for ((name, size), found) in sizes.iter().zip(found) {
            if found != size.to_string() {
                return Ok(Err(format!(
                    "{} has {found} bytes there, and {size} here",
                    name.display()
                )));
            }
        }
        Ok(Ok(true))
    }
}

/// Why a command did not do its work.
fn ended(outcome: &ExecOutcome, program: &str) -> Result<(), String> {
    if outcome.success() {
        return Ok(());
    }
    let said = crate::tail::last_lines(&outcome.stderr);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    Err(format!(
        "{program} in the container ended with exit status {}{said}",
        outcome.exit_code
    ))
}

/// The last part of a path of this machine.
fn own_name(path: &Path) -> Option<String> {
    let named = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    // `.` and `..` have a name, too.
    named(path).or_else(|| named(&std::fs::canonicalize(path).ok()?))
}

/// The folder and the name of a path in a container.
fn above(path: &str) -> Option<(String, String)> {
    let path = path.trim_end_matches('/');
    let (folder, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    };
    if matches!(name, "" | "." | "..") {
        return None;
    }
    Some((folder.to_owned(), name.to_owned()))
}

fn join(folder: &str, name: &str) -> String {
    if folder == "." {
        return name.to_owned();
    }
    format!("{}/{name}", folder.trim_end_matches('/'))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DeployError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DeployError::Task(error.to_string()))
}

/// Unpacks what may only hold `name` and what is below it; gives how many files and bytes it held.
fn unpack(stream: impl std::io::Read, into: &Path, name: &str) -> Result<(usize, u64), String> {
    let mut archive = tar::Archive::new(stream);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(false);
    let (mut files, mut bytes) = (0, 0);
    // Folders that cannot be written to would refuse what is in them: their modes come last.
    let mut folders = Vec::new();
    let says = |error: std::io::Error| error.to_string();
    for entry in archive.entries().map_err(says)? {
        let mut entry = entry.map_err(says)?;
        let path = entry.path().map_err(says)?.into_owned();
        let inside: PathBuf = path
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        let plain = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || !inside.starts_with(name) {
            return Err(format!(
                "the archive holds {}, which was not asked for",
                path.display()
            ));
        }
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::Directory => {
                let mode = entry.header().mode().map_err(says)?;
                fs_err::create_dir_all(into.join(&inside)).map_err(says)?;
                folders.push((into.join(&inside), mode & 0o777));
                continue;
            }
            tar::EntryType::Regular
            | tar::EntryType::Continuous
            | tar::EntryType::GNUSparse
            | tar::EntryType::Symlink
            | tar::EntryType::Link => {}
            // Sockets, pipes and devices stay where they are.
            _ => continue,
        }
        let size = entry.size();
        if !entry.unpack_in(into).map_err(|error| {
            let why = std::error::Error::source(&error)
                .map_or(String::new(), |source| format!(": {source}"));
            format!("{error}{why}")
        })? {
            return Err(format!("{} leads out of the folder", path.display()));
        }
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            continue;
        }
        let written = std::fs::symlink_metadata(into.join(&inside)).map_err(says)?;
        if written.len() != size {
            return Err(format!(
                "{} has {} bytes here, and {size} there",
                inside.display(),
                written.len()
            ));
        }
        files += 1;
        bytes += size;
    }
    // What follows the last entry has to be read, else the other side never ends.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(says)?;
    for (path, mode) in folders.into_iter().rev() {
        use std::os::unix::fs::PermissionsExt as _;
        // Ours to remove again, whatever they were there.
        let mode = std::fs::Permissions::from_mode(mode | 0o700);
        std::fs::set_permissions(path, mode).map_err(says)?;
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_pods_and_paths_are_files() {
        for (text, expected) in [
            ("web-1:/data", Some((None, "web-1", "/data"))),
            ("shop/web-1:a:b", Some((Some("shop"), "web-1", "a:b"))),
            ("dc/web:/data", Some((None, "dc/web", "/data"))),
            ("./a:b", None),
            ("/a:b", None),
            ("plain", None),
            (":x", None),
        ] {
            assert_eq!(copy_place(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_has_a_folder_and_a_name() {
        let of = |path: &str| above(path).map(|(folder, name)| format!("{folder} {name}"));
        assert_eq!(of("/data/x/"), Some("/data x".into()));
        assert_eq!(of("/x"), Some("/ x".into()));
        assert_eq!(of("x"), Some(". x".into()));
        for none in ["/", "", "..", "a/.."] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(0);
            // Names as a hostile sender would write them.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            if kind.is_symlink() {
                header.set_link_name(content).unwrap();
                header.set_cksum();
                archive.append(&header, std::io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                archive.append(&header, content.as_bytes()).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn only_what_was_asked_for_is_unpacked() {
        use tar::EntryType as T;
        let unpacked = |entries: &[(&str, T, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            let result = unpack(&archive(entries)[..], folder.path(), "x");
            let there = folder.path().join("x/a").exists();
            result.map(|(files, bytes)| format!("{files} {bytes} {there}"))
        };
        assert_eq!(
            unpacked(&[("./x/", T::Directory, ""), ("./x/a", T::Regular, "abc")]),
            Ok("1 3 true".into())
        );
        for hostile in ["../x", "/x", "x/../../y", "y", "xy"] {
            assert!(
                unpacked(&[(hostile, T::Regular, "abc")]).is_err(),
                "{hostile}"
            );
        }
        let through = [
            ("x/", T::Directory, ""),
            ("x/out", T::Symlink, "/tmp"),
            ("x/out/gotcha", T::Regular, "abc"),
        ];
        assert!(unpacked(&through).is_err());
        let cut = archive(&[("x", T::Regular, "abc")]);
        let folder = tempfile::tempdir().unwrap();
        assert!(unpack(&cut[..514], folder.path(), "x").is_err());
    }
}
