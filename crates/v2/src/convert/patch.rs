//! Changes as a patch that `git apply` reads.

use std::fmt::Write as _;
use std::io::Write as _;

use similar::TextDiff;

use super::draft::{Action, ActionKind};

/// `prefix` is the folder that the paths are below, with a `/` at its end; `git apply` wants them from the top of the repository.
pub(super) fn patch(actions: &[Action], with_binary: bool, prefix: &str) -> String {
    let mut out = String::new();
    for action in actions {
        one(&mut out, action, with_binary, prefix);
    }
    out
}

fn mode(executable: bool) -> &'static str {
    if executable { "100755" } else { "100644" }
}

fn one(out: &mut String, action: &Action, with_binary: bool, prefix: &str) {
    let old = format!("{prefix}{}", action.from.as_deref().unwrap_or(&action.path));
    let new = format!("{prefix}{}", action.path);
    let (old, new) = (old.as_str(), new.as_str());
    let _ = writeln!(out, "diff --git {} {}", name("a/", old), name("b/", new));
    match action.kind {
        ActionKind::Create => {
            let _ = writeln!(out, "new file mode {}", mode(action.executable));
        }
        ActionKind::Delete => {
            let _ = writeln!(
                out,
                "deleted file mode {}",
                if action.link.is_some() {
                    "120000"
                } else {
                    mode(action.was_executable)
                }
            );
        }
        ActionKind::Rename => {
            let _ = writeln!(
                out,
                "similarity index {}%",
                if action.before == action.after {
                    100
                } else {
                    50
                }
            );
            let _ = writeln!(out, "rename from {}", name("", old));
            let _ = writeln!(out, "rename to {}", name("", new));
        }
        ActionKind::Edit | ActionKind::Mode => {}
    }
    if matches!(action.kind, ActionKind::Edit | ActionKind::Mode)
        && action.executable != action.was_executable
    {
        let _ = writeln!(out, "old mode {}", mode(action.was_executable));
        let _ = writeln!(out, "new mode {}", mode(action.executable));
    }
    if let Some(target) = &action.link {
        let _ = writeln!(
            out,
            "--- {}\n+++ /dev/null\n@@ -1 +0,0 @@\n-{target}\n\\ No newline at end of file",
            name("a/", old)
        );
        return;
    }
    if action.before == action.after {
        return;
    }
    let before = action.before.as_deref().unwrap_or_default();
    let after = action.after.as_deref().unwrap_or_default();
    let exact = std::str::from_utf8(before).is_ok() && std::str::from_utf8(after).is_ok();
    if is_binary(before) || is_binary(after) || (with_binary && !exact) {
        if with_binary {
            let old = match action.before.as_deref() {
                Some(before) => object_id(before),
                None => "0".repeat(40),
            };
            let _ = writeln!(
                out,
                "index {old}..{}{}",
                object_id(after),
                match action.kind {
                    ActionKind::Edit if action.executable == action.was_executable =>
                        format!(" {}", mode(action.executable)),
                    _ => String::new(),
                }
            );
            binary(out, before, after);
        } else {
            let _ = writeln!(out, "Binary file, {} bytes", after.len());
        }
        return;
    }
    if before.is_empty() && after.is_empty() {
        return;
    }
    let from = if action.kind == ActionKind::Create {
        "/dev/null".to_owned()
    } else {
        name("a/", old)
    };
    let to = if action.kind == ActionKind::Delete {
        "/dev/null".to_owned()
    } else {
        name("b/", new)
    };
    // A file of another encoding is shown as far as it can be; an edit touches ASCII only.
    let (before, after) = (
        String::from_utf8_lossy(before),
        String::from_utf8_lossy(after),
    );
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
    let _ = write!(
        out,
        "{}",
        diff.unified_diff().context_radius(3).header(&from, &to)
    );
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// What git calls a content; it checks a binary patch by it.
fn object_id(content: &[u8]) -> String {
    use sha1::{Digest as _, Sha1};
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hash.finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn is_binary(content: &[u8]) -> bool {
    content.contains(&0)
}

/// A name as git writes it: in quotes where it holds what would end it.
fn name(prefix: &str, path: &str) -> String {
    let plain = path
        .bytes()
        .all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\');
    if plain {
        return format!("{prefix}{path}");
    }
    let mut out = format!("\"{prefix}");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..0x7f => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out.push('"');
    out
}

/// The two halves of git's binary patch: forth and back.
fn binary(out: &mut String, before: &[u8], after: &[u8]) {
    out.push_str("GIT binary patch\n");
    literal(out, after);
    literal(out, before);
}

fn literal(out: &mut String, content: &[u8]) {
    let _ = writeln!(out, "literal {}", content.len());
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail.
    let packed = packer
        .write_all(content)
        .and_then(|()| packer.finish())
        .unwrap_or_default();
    for line in packed.chunks(52) {
        // A-Z are 1 to 26 bytes, a-z 27 to 52.
        let length = u8::try_from(line.len()).unwrap_or(0);
        let mark = if length <= 26 {
            b'A' + length - 1
        } else {
            b'a' + length - 27
        };
        out.push(char::from(mark));
        for group in line.chunks(4) {
            let mut word = [0u8; 4];
            for (to, from) in word.iter_mut().zip(group) {
                *to = *from;
            }
            let mut value = u32::from_be_bytes(word);
            let mut digits = [0u8; 5];
            for digit in digits.iter_mut().rev() {
                *digit = ALPHABET
                    .get(usize::try_from(value % 85).unwrap_or(0))
                    .copied()
                    .unwrap_or(b'0');
                value /= 85;
            }
            out.extend(digits.iter().map(|digit| char::from(*digit)));
        }
        out.push('\n');
    }
    out.push('\n');
}

/// Git's alphabet of base 85.
const ALPHABET: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
