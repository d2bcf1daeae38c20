//! Taking on the user and groups of a container.

use std::ffi::OsString;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// User and groups to take on; read from `--uid`, `--gid` and `--group` arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<u32>,
}

impl Identity {
    /// Reads the arguments; anything else among them is an error.
    pub(crate) fn parse(args: &[OsString]) -> Result<Self, String> {
        let mut identity = Self::default();
        for pair in args.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0].display()));
            };
            let value: u32 = value
                .to_str()
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| format!("{} is not an id", value.display()))?;
            match name.to_str() {
                Some("--uid") => identity.uid = Some(value),
                Some("--gid") => identity.gid = Some(value),
                Some("--group") => identity.groups.push(value),
                _ => return Err(format!("unknown argument {}", name.display())),
            }
        }
        Ok(identity)
    }

    /// Takes it on, for good. The calls are the thread's own, so this comes before any other
    /// thread is started. Without a uid nothing happens: the sandbox has set it already.
    pub(crate) fn take_on(&self) -> Result<(), String> {
        let Some(uid) = self.uid else { return Ok(()) };
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups).map_err(|e| format!("cannot set the groups: {e}"))?;
        if let Some(gid) = self.gid {
            set_thread_gid(Gid::from_raw(gid))
                .map_err(|e| format!("cannot become group {gid}: {e}"))?;
        }
        set_thread_uid(Uid::from_raw(uid)).map_err(|e| format!("cannot become user {uid}: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let args = ["--uid", "1000660000", "--gid", "0", "--group", "7"].map(OsString::from);
        assert_eq!(
            Identity::parse(&args).unwrap(),
            Identity {
                uid: Some(1_000_660_000),
                gid: Some(0),
                groups: vec![7]
            }
        );
        assert!(Identity::parse(&["--uid".into()]).is_err());
        assert!(Identity::parse(&["--uid".into(), "root".into()]).is_err());
    }
}
