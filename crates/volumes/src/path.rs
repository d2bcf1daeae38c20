//! Paths inside a volume: byte strings, relative, without `.` and `..`.

use crate::Refusal;

/// The path of an archive member as it is kept in lists: `./a//b/` becomes `a/b`, `./` the empty path.
pub(crate) fn normalise(raw: &[u8]) -> Result<Vec<u8>, Refusal> {
    if raw.is_empty() || raw.contains(&0) {
        return Err(Refusal::BadName);
    }
    if raw[0] == b'/' {
        return Err(Refusal::Absolute);
    }
    let mut path = Vec::with_capacity(raw.len());
    for part in raw.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Refusal::Parent),
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Ok(path)
}

/// Whether a symbolic link at `path` with this target stays inside the volume, going by names alone.
pub(crate) fn link_stays_inside(path: &[u8], target: &[u8]) -> bool {
    if target.first() == Some(&b'/') {
        return false;
    }
    let mut depth = path.iter().filter(|&&byte| byte == b'/').count();
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

/// The folder that `path` is in; `None` for the root itself.
pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(
        path.iter()
            .rposition(|&byte| byte == b'/')
            .map_or(&[][..], |at| &path[..at]),
    )
}

/// A path for a message: what is not printable text is escaped, the root is `.`.
pub(crate) fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_lose_dots_and_doubled_slashes() {
        assert_eq!(normalise(b"./a//b/./c/").unwrap(), b"a/b/c");
        assert_eq!(normalise(b"./").unwrap(), b"");
        assert_eq!(normalise(b"...").unwrap(), b"...");
    }

    #[test]
    fn paths_out_of_the_volume_are_refused() {
        assert_eq!(normalise(b"/etc/passwd"), Err(Refusal::Absolute));
        assert_eq!(normalise(b"a/../../b"), Err(Refusal::Parent));
        assert_eq!(normalise(b""), Err(Refusal::BadName));
        assert_eq!(normalise(b"a\0b"), Err(Refusal::BadName));
    }

    #[test]
    fn links_are_followed_by_name() {
        assert!(link_stays_inside(b"a/b/link", b"../c"));
        assert!(link_stays_inside(b"a/link", b".."));
        assert!(!link_stays_inside(b"link", b".."));
        assert!(!link_stays_inside(b"a/link", b"x/../../.."));
        assert!(!link_stays_inside(b"link", b"/etc/passwd"));
    }

    proptest! {
        #[test]
        fn a_normal_path_stays_as_it_is(raw in proptest::collection::vec(any::<u8>(), 1..40)) {
            if let Ok(path) = normalise(&raw) && !path.is_empty() {
                prop_assert_eq!(normalise(&path).unwrap(), path);
            }
        }
    }
}
