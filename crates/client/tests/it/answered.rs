//! Runs the client with its answers piped in.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openshifter_client::{ClientError, ClientOptions, LinePrompter, TerminalOutput, run};
use openshifter_migrate::StateDir;

/// What was written.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs the client with these answers; returns how it ended and what it showed.
pub(crate) async fn answered(
    options: ClientOptions,
    answers: &str,
) -> (Result<u8, ClientError>, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let written = Written::default();
    let input = std::io::Cursor::new(answers.to_owned().into_bytes());
    let mut prompter = LinePrompter::new(Box::new(input), Box::new(written.clone()));
    let mut output = TerminalOutput::plain(Box::new(written.clone()));
    let result = run(options, &mut prompter, &mut output).await;
    (result, written.text())
}

/// Everything in one folder.
pub(crate) fn options(folder: &Path) -> ClientOptions {
    let mut options = ClientOptions::new(StateDir::new(folder.join("state")));
    options.input = folder.join("input.json");
    options
}
