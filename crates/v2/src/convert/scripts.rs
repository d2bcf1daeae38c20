//! Pieces of shell scripts.

/// A word for the shell, in quotes where it needs them.
pub(super) fn quote(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c));
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Unix line ends, whatever the script had, and a newline at its end.
pub(super) fn unix(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A script of V2 without the activation of V2's virtual environment, and with files under their new names.
pub(super) fn carried(text: &str, renames: &[(String, String)]) -> String {
    let mut out = String::new();
    for line in unix(text).split_inclusive('\n') {
        if crate::findings::tree::hooks::is_activation(line) {
            continue;
        }
        let mut line = crate::findings::tree::hooks::without_activation(line);
        for (old, new) in renames {
            if line.contains(old.as_str()) {
                line = line.replace(old.as_str(), new);
            }
        }
        out.push_str(&line);
    }
    out
}
