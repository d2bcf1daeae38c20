//! Text of others, made fit for a message.

/// The text on one line without control characters, at most about `most` bytes long.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if line.len() > most {
        let end = (0..=most).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or(0));
        line.push('…');
    }
    line
}

/// An error and its sources, each text once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    shortened(&text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_servers_becomes_one_line() {
        assert_eq!(shortened("a\n  b\u{7}\u{1b}[31mc", 100), "a b[31mc");
        assert_eq!(shortened("äöü", 3), "ä…");
    }
}
