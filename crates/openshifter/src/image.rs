//! `openshifter image`: the action-hook runner, whose words are its own and are not looked at here.

use std::ffi::OsString;

/// Whether these words (`argv[0]` first) are for the runner: `image` comes first, or the program is called `powershift`.
pub(crate) fn is_meant(mut argv: impl Iterator<Item = OsString>) -> bool {
    let called = argv.next();
    called.is_some_and(|name| openshifter_hooks::is_runner(&name))
        || argv.next().is_some_and(|first| first == "image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_is_called_by_its_first_word_or_its_old_name() {
        let meant = |line: &str| is_meant(line.split(' ').map(OsString::from));
        assert!(meant("openshifter image exec export"));
        assert!(meant("/opt/app-root/bin/powershift image run"));
        assert!(meant("powershift"));
        assert!(!meant("openshifter export image"));
        assert!(!meant("openshifter"));
    }
}
