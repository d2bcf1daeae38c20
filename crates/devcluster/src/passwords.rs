//! Passwords of a cluster's users: given or random, and kept in one file for its owner.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};

/// By user.
pub(crate) type Passwords = BTreeMap<String, SecretString>;

/// Fills in what was not given.
pub(crate) fn complete(users: Vec<(String, Option<SecretString>)>) -> Passwords {
    users
        .into_iter()
        .map(|(user, given)| (user, given.unwrap_or_else(random)))
        .collect()
}

/// Writes `user:password` lines, readable by the owner alone.
pub(crate) fn write(path: &Path, passwords: &Passwords) -> std::io::Result<()> {
    let mut file = private(path)?;
    for (user, password) in passwords {
        writeln!(file, "{user}:{}", password.expose_secret())?;
    }
    file.sync_all()
}

/// Makes a file with mode 0600, whatever was there before.
pub(crate) fn private(path: &Path) -> std::io::Result<fs_err::File> {
    match fs_err::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let options = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .clone();
    fs_err::OpenOptions::from_options(options).open(path)
}

/// Opens or makes a file that only holds a lock.
pub(crate) fn private_lock(path: &Path) -> std::io::Result<std::os::fd::OwnedFd> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = fs_err::OpenOptions::from_options(options).open(path)?;
    Ok(file.into_parts().0.into())
}

/// 120 random bits, in letters and digits that are not mistaken for each other.
fn random() -> SecretString {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567899";
    let mut rng = rand::rng();
    let text: String = (0..24)
        .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
        .collect();
    SecretString::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_random_unless_given_and_kept_private() {
        let given = SecretString::from("given".to_owned());
        let passwords = complete(vec![
            ("a".into(), None),
            ("b".into(), None),
            ("c".into(), Some(given)),
        ]);
        assert_ne!(
            passwords["a"].expose_secret(),
            passwords["b"].expose_secret()
        );
        assert_eq!(passwords["a"].expose_secret().len(), 24);
        assert_eq!(passwords["c"].expose_secret(), "given");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        std::fs::write(&path, "old").unwrap();
        write(&path, &passwords).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .ends_with("c:given\n")
        );
    }
}
