//! Without a sandbox: what stands for a container's paths and ports on the machine.

use std::path::PathBuf;

use crate::sandbox::Mount;

/// Paths in a container, and what they are on the machine. Empty with a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewrites(Vec<(PathBuf, PathBuf)>);

impl Rewrites {
    pub(crate) fn of(mounts: &[Mount]) -> Self {
        let mut pairs: Vec<_> = mounts
            .iter()
            .map(|mount| (mount.target.clone(), mount.source.clone()))
            .collect();
        // The innermost mount is the one that a path means.
        pairs.sort_by_key(|(target, _)| std::cmp::Reverse(target.components().count()));
        Self(pairs)
    }

    /// A word whose beginning is a mount path, with the real folder in its place.
    pub(crate) fn word(&self, word: &str) -> String {
        for (target, source) in &self.0 {
            let Some(target) = target.to_str() else {
                continue;
            };
            if let Some(rest) = word.strip_prefix(target.trim_end_matches('/'))
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return format!("{}{rest}", source.display());
            }
        }
        word.to_owned()
    }

    pub(crate) fn words(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.word(word)).collect()
    }
}

/// A free port of the machine. It is free when asked; another program may take it before it is used.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_path_components_are_rewritten() {
        let mount = |target: &str, source: &str| Mount {
            source: source.into(),
            target: target.into(),
            read_only: false,
        };
        let rewrites = Rewrites::of(&[mount("/data", "/v/1"), mount("/data/inner", "/v/2")]);
        assert_eq!(
            rewrites.words(&["tar", "-C", "/data"].map(str::to_owned)),
            ["tar", "-C", "/v/1"]
        );
        assert_eq!(rewrites.word("/data/inner/x"), "/v/2/x");
        assert_eq!(rewrites.word("/database"), "/database");
        assert_eq!(rewrites.word("x/data"), "x/data");
    }
}
