//! Watches for secrets where others can read them: output, logs, charts, and the command lines of all processes.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A value that must appear nowhere, in no usual encoding. From now on command lines are watched for it.
pub fn keep_secret(value: &str) {
    static BEGUN: OnceLock<()> = OnceLock::new();
    let encoded = base64::engine::general_purpose::STANDARD.encode(value);
    SECRETS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend([value.to_owned(), encoded]);
    BEGUN.get_or_init(|| {
        std::thread::spawn(|| {
            loop {
                look();
                std::thread::sleep(Duration::from_millis(25));
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
        // The walk-through's requests carry passwords in the address that its user gives to curl.
        let by_contract = line.starts_with("curl ") || line.starts_with("sh -c curl ");
        if !by_contract && secrets.iter().any(|secret| line.contains(secret.as_str())) {
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

/// Fails when a text holds a secret, or a command line did.
#[track_caller]
pub fn nothing_leaked(what: &str, text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{what} holds a secret: {text}");
    }
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(leaks.is_empty(), "on a command line: {leaks:?}");
}

/// The files below a folder that hold one of these values as they are, as paths within the folder. Compressed files
/// are looked into.
pub fn secrets_in_files(folder: &Path, secrets: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)
            .expect("the folder can be read")
            .flatten()
        {
            let path = entry.path();
            let kind = entry.file_type().expect("the file is there");
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = readable(&path);
                let holds = |secret: &str| {
                    bytes
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes())
                };
                if secrets.iter().any(|secret| holds(secret)) {
                    let within = path.strip_prefix(folder).expect("it is below the folder");
                    found.push(within.to_string_lossy().into_owned());
                }
            }
        }
    }
    found.sort();
    found
}

/// A file's bytes, decompressed where it is compressed.
fn readable(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        let output = std::process::Command::new("zstd")
            .args(["-dc", "--"])
            .arg(path)
            .output()
            .expect("zstd is installed: run `cargo xtask test`, which installs it");
        assert!(output.status.success(), "{} is no zstd", path.display());
        return output.stdout;
    }
    std::fs::read(path).expect("the file can be read")
}
