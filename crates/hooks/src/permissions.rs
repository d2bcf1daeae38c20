//! `fix-permissions` for images whose builder has none: what was built must be usable for group 0, whatever uid comes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::file;

/// Gives a tree to group 0, which may then do what the owner may. What belongs to others is passed over, as in the
/// builders' own script; links are not followed.
pub(crate) fn fix(path: &Path) {
    let Ok(stat) = file::lstat(path) else {
        return;
    };
    let (kind, now) = (file::kind(&stat), file::mode(&stat));
    if kind.is_symlink() {
        return;
    }
    if stat.st_gid != 0 {
        let _ = chown(path, None, Some(0));
    }
    let wanted = mode(now, kind.is_dir());
    if wanted != now {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(wanted));
    }
    if kind.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            fix(&entry.path());
        }
    }
}

fn mode(mode: u32, folder: bool) -> u32 {
    let enter = if folder || mode & 0o100 != 0 {
        0o010
    } else {
        0
    };
    mode | 0o060 | enter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_may_what_the_owner_may() {
        assert_eq!(mode(0o600, false), 0o660);
        assert_eq!(mode(0o755, false), 0o775);
        assert_eq!(mode(0o700, true), 0o770);
        assert_eq!(mode(0o4755, false), 0o4775);
    }
}
