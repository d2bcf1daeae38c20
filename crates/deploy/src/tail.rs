//! The end of a log, for messages.

/// Lines that are kept, and bytes of all of them.
const LINES: usize = 20;
const BYTES: usize = 8 << 10;

/// Keeps the last lines of what passes.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * BYTES {
            self.0.drain(..self.0.len() - BYTES);
        }
    }

    pub(crate) fn text(&self) -> String {
        last_lines(&String::from_utf8_lossy(&self.0))
    }
}

/// The last lines of a text, without what moves a terminal's cursor.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .trim_end()
        .lines()
        // What was overwritten on the same line was progress.
        .map(|line| {
            line.trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or_default()
        })
        .collect();
    let lines = &lines[lines.len().saturating_sub(LINES)..];
    let text: String = lines
        .join("\n")
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    match text.char_indices().rev().nth(BYTES) {
        Some((at, _)) => format!("…{}", &text[at..]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_stay() {
        let mut tail = Tail::default();
        for number in 0..5000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert_eq!(text.lines().count(), LINES);
        assert!(text.starts_with("line 4980\n") && text.ends_with("line 4999"));
        assert_eq!(
            last_lines("10%\r20%\r100%\r\n\x1b[1mdone\n\n"),
            "100%\n[1mdone"
        );
    }
}
