//! The environment as a value: read once, changed by steps, given whole to what is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// Set by whoever evaluated `deploy_env`, to anything but the empty string.
pub(crate) const MARKER: &str = "S2I_MARKERS_ENVIRON";
/// The builder's scripts.
pub(crate) const SCRIPTS_PATH: &str = "S2I_SCRIPTS_PATH";
/// The application's root folder.
pub(crate) const APPLICATION_PATH: &str = "S2I_APPLICATION_PATH";
/// Its source folder, where every command runs.
pub(crate) const SOURCE_PATH: &str = "S2I_SOURCE_PATH";
/// How many shells are above.
pub(crate) const SHELL_LEVEL: &str = "SHLVL";

/// Names and values of all variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environ(BTreeMap<OsString, OsString>);

impl Environ {
    /// This process's.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value, unless it is empty: the original takes empty variables for unset ones.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// How many shells are above, as a shell reads it: what is no number is none.
    pub(crate) fn level(&self) -> u32 {
        let level = self.get(SHELL_LEVEL).and_then(|level| level.to_str());
        level
            .and_then(|level| level.trim().parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// Names of the functions that bash hands on.
    pub(crate) fn functions(&self) -> Vec<OsString> {
        self.0
            .keys()
            .filter_map(|name| Some(function(name)?.to_owned()))
            .collect()
    }

    /// Whether nothing in it changes how bash goes about its lines: no functions, no file to source first, no modes.
    pub(crate) fn leaves_bash_alone(&self) -> bool {
        !self.0.keys().any(|name| {
            function(name).is_some()
                || ["BASH_ENV", "BASHOPTS", "POSIXLY_CORRECT", "SHELLOPTS"]
                    .iter()
                    .any(|special| name == special)
        })
    }

    /// Adds what the lines around a file leave in the environment, before a file that only sets variables: the mark of an
    /// evaluated environment, and the working directory as the former one, to which the lines return.
    pub(crate) fn set_for_plain(&mut self, mark: Option<&str>) {
        if let Some(mark) = mark {
            self.set(MARKER, mark);
        }
        if let Some(pwd) = self.get("PWD").map(OsStr::to_owned) {
            self.set("OLDPWD", pwd);
        }
    }

    /// Drops the functions that are not in `keep`: allexport has exported them along with the variables.
    pub(crate) fn drop_functions(&mut self, keep: &[OsString]) {
        self.0.retain(|name, _| match function(name) {
            Some(function) => keep.iter().any(|name| name == function),
            None => true,
        });
    }
}

/// The name of the function in a variable of this name: `BASH_FUNC_module%%`, and with `()` from the first shells that had
/// such variables.
fn function(name: &OsStr) -> Option<&OsStr> {
    let name = name.as_bytes().strip_prefix(b"BASH_FUNC_")?;
    let bare = name.strip_suffix(b"%%").or(name.strip_suffix(b"()"));
    Some(OsStr::from_bytes(bare.unwrap_or(name)))
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environ {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let owned = |(name, value): (&str, &str)| (name.into(), value.into());
        Self(pairs.map(owned).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_functions_stay_and_new_ones_go() {
        let mut environ = Environ::from([
            ("BASH_FUNC_module%%", "() { :; }"),
            ("BASH_FUNC_helper%%", "() { :; }"),
            ("A", "1"),
        ]);
        assert_eq!(environ.functions(), ["helper", "module"]);
        environ.drop_functions(&["module".into()]);
        assert_eq!(
            environ,
            Environ::from([("BASH_FUNC_module%%", "() { :; }"), ("A", "1")])
        );
    }

    #[test]
    fn empty_is_unset() {
        assert_eq!(Environ::from([("A", "")]).get("A"), None);
    }
}
