//! Questions and answers, a line at a time: typed at a terminal, or piped in by a script.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use secrecy::SecretString;

use crate::terminal;

/// How often a question is asked again after an answer that is none.
const TRIES: usize = 3;

/// An answer longer than this is none.
const LONGEST: usize = 64 * 1024;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The input ended.
    #[error("the input ended before all questions were answered; nothing was changed")]
    Ended,
    /// Ctrl-C.
    #[error("interrupted; nothing was changed")]
    Interrupted,
    /// Too many answers in a row that were none.
    #[error("no answer to `{question}` that can be used; nothing was changed")]
    NoAnswer {
        /// What was asked.
        question: String,
    },
    /// The terminal or pipe failed.
    #[error("cannot read the answer")]
    Io(#[from] io::Error),
}

/// Asks a person, or a script.
pub trait Prompter: Send {
    /// Lets one of several be chosen; returns its index.
    ///
    /// # Errors
    /// When there is no usable answer.
    fn choose(&mut self, question: &str, items: &[String]) -> Result<usize, PromptError>;

    /// Asks for a line that is not empty.
    ///
    /// # Errors
    /// When there is no usable answer.
    fn text(&mut self, question: &str) -> Result<String, PromptError>;

    /// Asks for a password, which is not shown.
    ///
    /// # Errors
    /// When there is no usable answer.
    fn password(&mut self, question: &str) -> Result<SecretString, PromptError>;

    /// Asks for a word that says yes. Any other answer, and the end of the input, mean no.
    ///
    /// # Errors
    /// When the terminal fails, or on Ctrl-C.
    fn confirm(&mut self, question: &str, word: &str) -> Result<bool, PromptError>;

    /// Tells something between the questions, as what is wrong with an answer.
    ///
    /// # Errors
    /// When the terminal fails.
    fn say(&mut self, text: &str) -> Result<(), PromptError>;

    /// Whether a person sits there who can answer questions that a script did not foresee.
    fn is_interactive(&self) -> bool;
}

enum Input {
    /// A terminal or pipe. It is read byte by byte: a buffer would swallow what was typed ahead for a password.
    Fd { fd: OwnedFd, terminal: bool },
    /// Anything, for scripts within a program.
    Reader(Box<dyn Read + Send>),
}

/// Asks line by line: numbered lists, passwords without echo when the input is a terminal.
pub struct LinePrompter {
    input: Input,
    output: Box<dyn Write + Send>,
}

impl LinePrompter {
    /// Reads the standard input; questions go to `output`.
    pub fn stdin(output: Box<dyn Write + Send>) -> Self {
        match rustix::io::dup(rustix::stdio::stdin()) {
            Ok(fd) => Self::fd(fd, output),
            // A closed standard input has ended.
            Err(_) => Self::new(Box::new(io::empty()), output),
        }
    }

    /// Reads a terminal or a pipe.
    pub fn fd(fd: OwnedFd, output: Box<dyn Write + Send>) -> Self {
        let terminal = rustix::termios::isatty(&fd);
        Self {
            input: Input::Fd { fd, terminal },
            output,
        }
    }

    /// Reads answers from anything.
    pub fn new(input: Box<dyn Read + Send>, output: Box<dyn Write + Send>) -> Self {
        Self {
            input: Input::Reader(input),
            output,
        }
    }

    fn ask(&mut self, question: &str) -> Result<(), PromptError> {
        write!(self.output, "{question}: ")?;
        self.output.flush()?;
        Ok(())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            let read = match &mut self.input {
                Input::Fd { fd, .. } => rustix::io::read(fd, &mut byte).map_err(io::Error::from),
                Input::Reader(reader) => reader.read(&mut byte),
            };
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A line without its end. A last line needs none.
    fn line(&mut self) -> Result<String, PromptError> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                Some(b'\n') => break,
                None if line.is_empty() => return Err(PromptError::Ended),
                None => break,
                Some(_) if line.len() >= LONGEST => {
                    return Err(io::Error::other("the line is too long").into());
                }
                Some(byte) => line.push(byte),
            }
        }
        if !self.is_interactive() {
            // A terminal shows the line break that ends an answer; a pipe does not.
            writeln!(self.output)?;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| io::Error::other("the line is not UTF-8").into())
    }
}

/// What an answer to a list means: its number, or the beginning of one item and of no other.
fn chosen(answer: &str, items: &[String]) -> Option<usize> {
    let answer = answer.trim();
    // A name made of digits is chosen by that name, if there is one.
    if let Some(exact) = items.iter().position(|item| item == answer) {
        return Some(exact);
    }
    if let Ok(number) = answer.parse::<usize>() {
        return (1..=items.len()).contains(&number).then(|| number - 1);
    }
    let answer = answer.to_lowercase();
    let mut matching = items
        .iter()
        .enumerate()
        .filter(|(_, item)| !answer.is_empty() && item.to_lowercase().starts_with(&answer));
    match (matching.next(), matching.next()) {
        (Some((index, _)), None) => Some(index),
        _ => None,
    }
}

impl Prompter for LinePrompter {
    fn choose(&mut self, question: &str, items: &[String]) -> Result<usize, PromptError> {
        writeln!(self.output, "{question}")?;
        for (index, item) in items.iter().enumerate() {
            writeln!(self.output, "  {}) {item}", index + 1)?;
        }
        for _ in 0..TRIES {
            self.ask("Number")?;
            let answer = self.line()?;
            if let Some(index) = chosen(&answer, items) {
                return Ok(index);
            }
            writeln!(
                self.output,
                "`{}` is none of them; answer with a number from 1 to {}",
                answer.trim(),
                items.len()
            )?;
        }
        Err(PromptError::NoAnswer {
            question: question.to_owned(),
        })
    }

    fn text(&mut self, question: &str) -> Result<String, PromptError> {
        for _ in 0..TRIES {
            self.ask(question)?;
            let answer = self.line()?.trim().to_owned();
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
        Err(PromptError::NoAnswer {
            question: question.to_owned(),
        })
    }

    fn password(&mut self, question: &str) -> Result<SecretString, PromptError> {
        for _ in 0..TRIES {
            self.ask(question)?;
            let answer = match &self.input {
                Input::Fd { fd, terminal: true } => {
                    let answer = terminal::hidden(fd.as_fd());
                    // The person's own line break was not shown either.
                    writeln!(self.output)?;
                    answer?
                }
                _ => self.line()?,
            };
            if !answer.is_empty() {
                return Ok(answer.into());
            }
        }
        Err(PromptError::NoAnswer {
            question: question.to_owned(),
        })
    }

    fn confirm(&mut self, question: &str, word: &str) -> Result<bool, PromptError> {
        self.ask(question)?;
        match self.line() {
            Ok(answer) => Ok(answer.trim().eq_ignore_ascii_case(word)),
            Err(PromptError::Ended) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), PromptError> {
        writeln!(self.output, "{text}")?;
        Ok(())
    }

    fn is_interactive(&self) -> bool {
        matches!(self.input, Input::Fd { terminal: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<String> {
        ["minishift", "production", "pre-production", "2019"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn a_list_is_answered_by_number_or_name() {
        for (answer, index) in [
            ("1", Some(0)),
            (" 2 ", Some(1)),
            ("mini", Some(0)),
            ("PROD", Some(1)),
            ("pre-", Some(2)),
            ("2019", Some(3)),
            ("pr", None),
            ("0", None),
            ("5", None),
            ("", None),
            ("other", None),
        ] {
            assert_eq!(chosen(answer, &items()), index, "{answer}");
        }
    }

    #[test]
    fn answers_may_be_piped_in() {
        let (written, output) = Shared::new();
        let mut prompter = LinePrompter::new(
            Box::new(&b"9\r\n2\n\n shop \nhunter2\nyes"[..]),
            Box::new(output),
        );
        assert_eq!(prompter.choose("Which?", &items()).unwrap(), 1);
        assert_eq!(prompter.text("Project").unwrap(), "shop");
        use secrecy::ExposeSecret as _;
        assert_eq!(
            prompter.password("Password").unwrap().expose_secret(),
            "hunter2"
        );
        assert!(prompter.confirm("Sure?", "yes").unwrap());
        assert!(!prompter.confirm("Sure?", "yes").unwrap());
        assert!(matches!(prompter.text("More"), Err(PromptError::Ended)));
        insta::assert_snapshot!(written.text(), @r"
        Which?
          1) minishift
          2) production
          3) pre-production
          4) 2019
        Number: 
        `9` is none of them; answer with a number from 1 to 4
        Number: 
        Project: 
        Project: 
        Password: 
        Sure?: 
        Sure?: More:
        ");
    }

    #[test]
    fn wrong_answers_end_at_last() {
        let (_, output) = Shared::new();
        let mut prompter = LinePrompter::new(Box::new(&b"x\ny\nz\n1\n"[..]), Box::new(output));
        let error = prompter.choose("Which?", &items()).unwrap_err();
        assert!(matches!(error, PromptError::NoAnswer { .. }));
    }

    #[derive(Clone)]
    pub(crate) struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Shared {
        fn new() -> (Self, Self) {
            let shared = Self(std::sync::Arc::default());
            (shared.clone(), shared)
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
