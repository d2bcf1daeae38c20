//! The action-hook runner: how it comes into the image, and the two scripts that hand a build and a start over to it.

use std::path::Path;

use super::draft::{Draft, Reason};
use super::scripts::quote;
use crate::options::Runner;
use crate::{Options, Tree, V2Error};

/// Where the vendored program lies in the tree.
pub(crate) const VENDORED: &str = ".s2i/runner/openshifter-image";

/// The same under the original's name, which hooks in the field call. The program puts its folder on their path.
const FORMER: &str = ".s2i/runner/powershift";

/// A script in place of a link: not every checkout keeps those.
const FORMER_SCRIPT: &str = "#!/bin/sh\n# Hooks call the action-hook runner by this name, as in `powershift image migrate`.\nexec \"${0%/*}/openshifter-image\" \"$@\"\n";

/// The most that a runner may weigh, in bytes.
const LARGEST: usize = 32 << 20;

/// Bytes of the header of a 64-bit ELF file.
const ELF_HEADER: usize = 64;

/// The program that is put into the tree.
#[derive(Debug, Clone)]
pub struct RunnerFile {
    content: Vec<u8>,
}

impl RunnerFile {
    /// Whether a conversion puts the program into this tree: it is to be vendored, and is not there yet.
    pub fn is_needed(tree: &Tree, options: &Options) -> bool {
        options.runner == Runner::Vendored && !tree.is_file(VENDORED)
    }

    /// Reads and checks the program: it has to be a Linux program, and to need no library of the image it will run in.
    ///
    /// # Errors
    /// When it cannot be read, or could not work in an image.
    pub fn read(path: &Path) -> Result<Self, V2Error> {
        let bad = |reason: String| V2Error::BadRunner {
            path: path.to_owned(),
            reason,
        };
        let content = fs_err::read(path).map_err(|error| bad(error.to_string()))?;
        Self::new(content).map_err(bad)
    }

    /// The same, of bytes.
    ///
    /// # Errors
    /// Why it could not work in an image.
    pub fn new(content: Vec<u8>) -> Result<Self, String> {
        if content.len() > LARGEST {
            return Err(format!("it is larger than {} MiB", LARGEST >> 20));
        }
        if !content.starts_with(b"\x7fELF") {
            // A script needs its interpreter only, which images have.
            if content.starts_with(b"#!") {
                return Ok(Self { content });
            }
            return Err("it is no Linux program".to_owned());
        }
        if content.len() < ELF_HEADER {
            return Err("it is cut off".to_owned());
        }
        if interpreter(&content) {
            return Err("it is linked dynamically, and the image may have other libraries: take the static one".to_owned());
        }
        Ok(Self { content })
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }
}

/// Whether a 64-bit ELF file asks for a dynamic loader (a `PT_INTERP` program header).
fn interpreter(elf: &[u8]) -> bool {
    let at = |offset: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(offset..offset + size)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |value, byte| (value << 8) | u64::from(*byte)),
        )
    };
    // Class 2 is 64 bit, data 1 is little endian; anything else is not looked into.
    if elf.get(4..6) != Some(&[2, 1]) {
        return false;
    }
    let (Some(table), Some(size), Some(count)) = (at(32, 8), at(54, 2), at(56, 2)) else {
        return false;
    };
    (0..count).any(|index| {
        let offset = table.saturating_add(index.saturating_mul(size));
        usize::try_from(offset)
            .ok()
            .and_then(|offset| at(offset, 4))
            == Some(3)
    })
}

/// How hooks, probes and jobs call the runner in the image.
pub(crate) fn command(runner: Runner) -> &'static str {
    match runner {
        Runner::Vendored => "/opt/app-root/src/.s2i/runner/openshifter-image",
        Runner::Pip | Runner::Image => "openshifter-image",
    }
}

/// Whether a script does nothing but install the original runner with pip and hand over to it. `None` when it has nothing to do with it.
pub(crate) fn old_runner(text: &str) -> Option<bool> {
    if !text.contains("powershift") {
        return None;
    }
    Some(
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("set -"))
            .all(|line| {
                (line.starts_with("pip install") && line.contains("powershift"))
                    || line.starts_with("exec powershift image assemble")
                    || line.starts_with("exec powershift image run")
            }),
    )
}

/// How a build installs the runner with pip.
fn installing(tree: &Tree, options: &Options) -> Result<String, V2Error> {
    let Some(requirement) = &options.runner_requirement else {
        // A release that is not this program's may be anybody's.
        return Ok(format!(
            "pip install --no-cache-dir openshifter-image=={} || exit\n",
            env!("CARGO_PKG_VERSION")
        ));
    };
    let file = requirement.strip_prefix("./").unwrap_or(requirement);
    let is_file = !requirement.contains("://")
        && (requirement.starts_with("./") || file.ends_with(".whl") || file.contains('/'));
    if !is_file {
        return Ok(format!(
            "pip install --no-cache-dir {} || exit\n",
            quote(requirement)
        ));
    }
    if !tree.is_file(file) {
        return Err(V2Error::Option {
            option: "--runner-requirement",
            reason: format!("there is no file {file} in the tree"),
        });
    }
    // Sources are in the first place, and in the second one when an image is built on by itself.
    Ok(format!(
        "wheel={}\nfor place in /tmp/src \"${{S2I_SOURCE_PATH:-/opt/app-root/src}}\"; do\n    if [ -f \"$place/$wheel\" ]; then\n        pip install --no-cache-dir \"$place/$wheel\" || exit\n        break\n    fi\ndone\n",
        quote(file)
    ))
}

pub(super) fn scripts(draft: &mut Draft<'_>, options: &Options) -> Result<(), V2Error> {
    let (assemble, run) = match options.runner {
        Runner::Vendored => (
            "#!/bin/bash\n# Hands the build over to the action-hook runner, which calls the builder's own assemble between the hooks.\nfor runner in {/tmp/src,\"${S2I_SOURCE_PATH:-/opt/app-root/src}\"}/.s2i/runner/openshifter-image; do [ ! -f \"$runner\" ] || break; done\n[ -x \"$runner\" ] || chmod +x \"${runner%/*}\"/*; exec \"$runner\" assemble \"$@\"\n".to_owned(),
            "#!/bin/bash\n# Hands the start over to the action-hook runner, which becomes the application.\nexec \"${S2I_SOURCE_PATH:-/opt/app-root/src}/.s2i/runner/openshifter-image\" run \"$@\"\n".to_owned(),
        ),
        Runner::Pip => (
            format!(
                "#!/bin/bash\n# Installs the action-hook runner, and hands the build over to it.\nset -e\n{}exec openshifter-image assemble \"$@\"\n",
                installing(draft.tree, options)?
            ),
            "#!/bin/bash\n# Hands the start over to the action-hook runner, which becomes the application.\nexec openshifter-image run \"$@\"\n".to_owned(),
        ),
        Runner::Image => (
            "#!/bin/bash\n# Hands the build over to the builder image's action-hook runner.\nexec openshifter-image assemble \"$@\"\n".to_owned(),
            "#!/bin/bash\n# Hands the start over to the builder image's action-hook runner, which becomes the application.\nexec openshifter-image run \"$@\"\n".to_owned(),
        ),
    };
    if options.runner == Runner::Vendored {
        draft.create(
            FORMER,
            FORMER_SCRIPT,
            true,
            "hooks call the runner by the name of the original",
        );
    }
    // Only a runner that stays can call a hook once the application answers.
    let run = if draft.has(".s2i/action_hooks/post_deploy") {
        run.replace("openshifter-image\" run", "openshifter-image\" --init run")
            .replace("openshifter-image run", "openshifter-image --init run")
            .replace(
                ", which becomes the application.",
                ", which stays as process 1 and calls post_deploy.",
            )
    } else {
        run
    };
    for (path, text, why) in [
        (
            ".s2i/bin/assemble",
            assemble,
            "lets the runner call the hooks before and after the builder's own assemble script",
        ),
        (
            ".s2i/bin/run",
            run,
            "lets the runner call the deploy hook before the application starts",
        ),
    ] {
        let before = draft.tree.text(path).unwrap_or_default();
        if old_runner(&before) == Some(true) {
            draft.put(
                path,
                text,
                vec![Reason {
                    rule: "old-runner",
                    line: None,
                    text: "the original runner does not work on Python 3.12 and later, and needs the network for each build".to_owned(),
                }],
            );
        } else {
            draft.create(path, text, true, why);
        }
    }
    Ok(())
}
