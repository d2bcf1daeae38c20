//! Watches for secrets where everybody on the machine can read them: command lines of processes.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Begins to look at the command lines of all processes.
pub(crate) fn begin() {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        std::thread::spawn(|| {
            loop {
                look();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
    });
}

fn look() {
    let secrets = secrets();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        // Processes end while one looks.
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if secrets.iter().any(|secret| line.contains(secret.as_str())) {
            LEAKS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    }
}

fn secrets() -> Vec<String> {
    SECRETS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// A value that must appear nowhere, in no encoding that is usual.
pub(crate) fn keep_secret(value: &str) {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(value);
    SECRETS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend([value.to_owned(), encoded]);
}

/// Fails when a text holds a secret, or a command line did.
pub(crate) fn nothing_leaked(what: &str, text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{what} holds a secret: {text}");
    }
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(leaks.is_empty(), "on a command line: {leaks:?}");
}
