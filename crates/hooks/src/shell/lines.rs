//! The lines that bash runs between two lives of the runner, or before the command takes over: as few as the case needs,
//! since bash reads them at every probe.
//!
//! The words are, in this order: the runner; its `argv[0]`; a script for the passwd entry; the name and the readable path
//! of the file to evaluate; the mark of an evaluated environment; the path of a file in memory for traps; what `BASH_ENV`
//! is for all but this shell; the number of words that make up the command; these words; and then the positional parameters
//! that the sourced files shall see. What a case does not need is empty. Descriptors are part of the text.
//!
//! The file may define functions named as builtins, and none of them is meant for these lines: hence `builtin`. What
//! `builtin exec` redirects is undone at once, so a function of that name is removed.

/// What the lines have to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lines {
    /// Bash is process 1.
    pub(super) first_process: bool,
    /// Nothing of the files' own output on standard output, and no banner.
    pub(super) quiet: bool,
    /// A script makes the passwd entry.
    pub(super) user: bool,
    /// The descriptor by which that script is locked.
    pub(super) lock: Option<i32>,
    /// `BASH_ENV` has been sourced for this command before.
    pub(super) bash_env: bool,
    /// The environment is marked as evaluated.
    pub(super) mark: bool,
    /// There is a file to evaluate.
    pub(super) file: bool,
    /// The descriptor that it is read from, where it has one.
    pub(super) open: Option<i32>,
    /// It is read from a copy with a name, to be removed.
    pub(super) copy: bool,
    /// It may send this shell's standard output elsewhere: a descriptor of what that is meanwhile, to compare with.
    pub(super) redirects: Option<i32>,
    /// A failure is told to the runner, as the word of this number, instead of being said.
    pub(super) failed: Option<usize>,
    /// The functions that are exported before the file are told to the runner, in the word of this number.
    pub(super) functions: Option<usize>,
    /// What the file has trapped is told to the runner, as the word of this number.
    pub(super) traps: Option<usize>,
    /// The descriptor of a file in memory that takes the traps.
    pub(super) memory: Option<i32>,
    /// Bash becomes the command itself where nothing more is to do.
    pub(super) direct: Option<Direct>,
    /// The file only sets variables and nothing else is sourced, so that there is nothing to watch and to tidy up: the
    /// number of words that make up the command.
    pub(super) plain: Option<usize>,
}

/// A command that needs no second start of the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direct {
    /// The positional parameters.
    Parameters,
    /// `/bin/bash`.
    Shell,
}

/// Stands for a word's number.
const WORD: &str = "__OI_WORD__";
/// Stands for a descriptor.
const FD: &str = "__OI_FD__";

const WORDS: &str = r#"
__oi=("${@:1:9}"); builtin shift 9
__oi_words=("${@:1:__oi[8]}"); builtin shift "${__oi[8]}"
"#;

/// Bash would source it once more, at each start.
const BASH_ENV: &str = r#"
builtin export BASH_ENV="${__oi[7]}"
"#;

/// An `exit` in a sourced file would end the process as a success. A trap notices it, and a function of that name does
/// where the file sets a trap of its own. `exit` in a subshell stays what it is.
///
/// A signal that ends bash runs the trap, too, and is nothing to complain of. What has ended it shows in the command that
/// bash was at. After an `exit` by whatever spelling, a `return`, a failing command or a mistake of syntax, that is the line
/// here that sources the file. A value that cannot be had (`set -u`, `${A:?}`, a variable that is readonly) leaves the command
/// in the file that asked for it, which has not begun then, and so does a file that the file sources. A signal leaves one that
/// has, or one with nothing to fail by, or a subshell in the foreground (`jobs` shows no `&` behind it).
const WATCH: &str = r#"
__oi_file=${__oi[2]}
__oi_end() {
  if [[ -z $__oi_file ]]; then
    :
  elif [[ ( $2 == 'builtin . '* || $2 =~ (^|' ')exit($|' ') ) && $(builtin jobs -r) != *[^\&] ]]; then
    __OI_SAY__
    [[ $1 != 0 ]] || builtin exit 1
  elif [[ $1 != 0 && $2 == @(*[\$\`*?=[]*|.\ *|source\ *) && $(builtin jobs -r) != *[^\&] ]]; then
    __OI_PERHAPS__
  fi
  builtin exit "$1"
}
[[ -o posix ]] || builtin eval 'exit() {
  local __oi_status=${1-$?}
  if [[ $BASHPID == "$$" ]]; then __oi_end "$__oi_status" exit; else builtin exit "$__oi_status"; fi
}'
builtin trap '__oi_end "$?" "$BASH_COMMAND"' EXIT
"#;

const SAY: &str = r#"
    builtin printf 'ERROR: Script %s ended with status %s before its last line was done.\n' "$__oi_file" "$1" >&2
    __oi_file=
"#;

/// The same as an object of the log: the runner is not to be started in a shell that a signal may be ending.
const SAY_JSON: &str = r#"
    builtin local __oi_name=${__oi_file//\\/'\\'} __oi_time
    __oi_name=${__oi_name//'"'/'\"'}
    TZ=UTC0 builtin printf -v __oi_time '%(%Y-%m-%dT%H:%M:%S)T' -1
    builtin printf '{"time":"%s.000Z","error":"Script %s ended with status %s before its last line was done."}\n' "$__oi_time" "$__oi_name" "$1" >&2
    __oi_file=
"#;

const TELL: &str = r#"
    __oi_file=
    builtin trap - EXIT
    __oi_words[__OI_WORD__]=$1
    builtin exec -a "${__oi[1]}" "${__oi[0]}" "${__oi_words[@]}"
"#;

/// As process 1, bash would ignore them; with a trap it ends instead of starting an application that is to stop. Elsewhere
/// they end bash at once, which a trap would put off until the program that it waits for has ended.
const FIRST_PROCESS: &str = r#"
builtin trap '__oi_file=; builtin exit 129' HUP
builtin trap '__oi_file=; builtin exit 130' INT
builtin trap '__oi_file=; builtin exit 131' QUIT
builtin trap '__oi_file=; builtin exit 143' TERM
"#;

/// A wrapper that is pointed at no file would hide the entries that there are.
const WRAPPER: &str = r#"
[[ -z ${NSS_WRAPPER_PASSWD-} || -s $NSS_WRAPPER_PASSWD ]] || builtin unset NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
"#;

/// A failing passwd script is no reason to stop: its folder may be read-only.
const USER: &str = r#"
builtin . "${__oi[2]}" || :
"#;

const USER_QUIET: &str = r#"
builtin . "${__oi[2]}" >&2 || :
"#;

/// What the script leaves in the background has the lock no more: bash closes the descriptor for as long, and what it
/// keeps for itself is closed in programs.
const USER_LOCKED: &str = r#"
builtin . "${__oi[2]}" __OI_QUIET__ __OI_FD__<&- || :
builtin unset -f exec
exec __OI_FD__<&-
"#;

const MARK: &str = r#"
builtin export "S2I_MARKERS_ENVIRON=${__oi[5]}"
"#;

const FAIL_FAST: &str = r#"
builtin set -eo pipefail
__oi_file=${__oi[3]}
"#;

const BANNER: &str = r#"
builtin printf ' -----> Running %s\n' "$__oi_file"
"#;

/// Functions that are exported already, by what `BASH_ENV` names, are told to the runner: they are not allexport's doing.
const KEEP: &str = r#"
__oi_words[__OI_WORD__]+=$'\n'$(builtin declare -Fx)
"#;

const HERE: &str = r#"
S2I_SHELL_PWD=$PWD
builtin set -a
"#;

const FILE: &str = r#"
builtin . "${__oi[4]}"
"#;

/// The command's standard output is out of the file's reach, and out of that of the programs that it leaves in the
/// background: bash keeps it where they do not inherit it, and takes it back itself, which needs no further descriptor.
const FILE_QUIET: &str = r#"
builtin . "${__oi[4]}" >&2
"#;

/// A trace that the file has switched on ends with it, and does not show the end.
const AFTER: &str = r#"
{ builtin set +ax; } 2>/dev/null || builtin set +ax
builtin unset -f exec
"#;

/// What the file has made of standard output itself is kept. Whether it is another one, only /proc can tell.
const FILE_REDIRECTS: &str = r#"
{
  builtin . "${__oi[4]}"
  { builtin set +ax; } 2>/dev/null || builtin set +ax
  builtin unset -f exec
  if [[ -e /dev/fd/__OI_FD__ && ! /dev/fd/1 -ef /dev/fd/__OI_FD__ ]]; then
    __oi_out=-
    [[ ! -e /dev/fd/1 ]] || exec {__oi_out}>&1
  fi
} >&2
if [[ -n ${__oi_out-} ]]; then
  exec >&"$__oi_out"
  [[ $__oi_out == - ]] || exec {__oi_out}>&-
fi
exec __OI_FD__>&-
"#;

const BACK: &str = r#"
builtin cd "$S2I_SHELL_PWD"
"#;

const CLOSE: &str = "
exec __OI_FD__<&-
";

/// The file may have changed where programs are looked for.
const REMOVE: &str = r#"
builtin command -p rm -f -- "${__oi[4]}" || :
"#;

const END: &str = "
__oi_file=
";

/// The list of traps without a process for it: each probe passes here. The file may have closed what it does not know, or
/// left no descriptor to be had; then there is another way, or none.
const TRAPS_IN_MEMORY: &str = r#"
__oi_traps=
if [[ -e ${__oi[6]} ]] && builtin trap -p EXIT ERR >&__OI_FD__; then
  IFS= builtin read -r -d '' __oi_traps <"${__oi[6]}" || :
else
  __oi_traps=$(builtin trap -p EXIT ERR) || :
fi
exec __OI_FD__>&-
"#;

const TRAPS: &str = r#"
__oi_traps=$(builtin trap -p EXIT ERR) || :
"#;

/// Functions go along only where a trap may call them. The kernel takes no word of 128 KiB: see [`super::TOO_LARGE`].
const TELL_TRAPS: &str = r#"
__oi_traps=${__oi_traps#"trap -- '__oi_end "*"' EXIT"}
if [[ $__oi_traps == *trap* ]]; then
  builtin trap - EXIT ERR
  builtin unset -f exit __oi_end
  __oi_traps=$(builtin declare -f)$'\n'$__oi_traps
  __oi_fits() { builtin local LC_ALL=C; [[ ${#__oi_traps} -lt 131000 ]]; }
  if __oi_fits; then
    __oi_words[__OI_WORD__]=$__oi_traps
  else
    __oi_words[__OI_WORD__]='!'
  fi
  builtin unset -f __oi_fits
fi
"#;

const CLEAR: &str = "
builtin trap - EXIT ERR DEBUG RETURN
builtin unset -f exit __oi_end
";

/// Functions that are left have been exported and have to be taken out of the environment, which bash cannot do without
/// losing those that the file only used. A command that is not found is the runner's to complain about.
const DIRECT: &str = r#"
__oi_left=0; builtin compgen -A function >/dev/null || __oi_left=$?
if [[ $__oi_left == 1 ]] && builtin type -P -- "${__oi_command[0]}" >/dev/null; then
  builtin shopt -s execfail
  builtin exec "${__oi_command[@]}"
fi
"#;

const RESUME: &str = r#"
builtin exec -a "${__oi[1]}" "${__oi[0]}" "${__oi_words[@]}"
"#;

const PLAIN_BANNER: &str = r#"
printf ' -----> Running %s\n' "$4" || exit
"#;

const PLAIN_FILE: &str = r#"
set -a
. "$5" || exit
"#;

/// The first word of the command, among the positional parameters.
const FIRST_WORD: usize = 10;

impl Lines {
    /// What bash is given before its lines.
    pub(super) fn options(&self) -> &'static [&'static str] {
        if self.plain.is_some() && self.direct.is_some() {
            // The runner has more to say about a program that cannot be run.
            &["--norc", "-O", "execfail", "-c"]
        } else {
            &["--norc", "-c"]
        }
    }

    pub(super) fn text(&self) -> String {
        match self.plain {
            Some(words) => self.plain_text(words),
            None => self.full_text(),
        }
    }

    /// A tenth of the other text, which takes bash a quarter of the time that it needs to start. Bash finds the mark in its
    /// environment, and what the other text's `cd` leaves there.
    fn plain_text(&self, words: usize) -> String {
        let mut text = String::with_capacity(256);
        if !self.quiet {
            text.push_str(&PLAIN_BANNER[1..]);
        }
        text.push_str(&PLAIN_FILE[1..]);
        match self.direct {
            Some(Direct::Parameters) => {
                text.push_str(&format!("exec \"${{@:{}}}\"\n", FIRST_WORD + words));
            }
            Some(Direct::Shell) => text.push_str("exec /bin/bash\n"),
            None => {}
        }
        text.push_str(&format!(
            "exec -a \"$2\" \"$1\" \"${{@:{FIRST_WORD}:{words}}}\"\n"
        ));
        text
    }

    fn full_text(&self) -> String {
        let mut text = String::with_capacity(2048);
        let mut put = |lines: &str, wanted: bool| {
            if wanted {
                // All but the line break that each begins with for the eye.
                text.push_str(&lines[1..]);
            }
        };
        put(WORDS, true);
        put(
            "\n__oi_command=(\"$@\")\n",
            self.direct == Some(Direct::Parameters),
        );
        put(
            "\n__oi_command=(/bin/bash)\n",
            self.direct == Some(Direct::Shell),
        );
        let (say, perhaps) = match self.failed {
            Some(word) => (TELL.replace(WORD, &word.to_string()), SAY_JSON),
            None => (SAY.to_owned(), SAY),
        };
        let watch = WATCH
            .replace("__OI_SAY__", say.trim())
            .replace("__OI_PERHAPS__", perhaps.trim());
        put(&watch, self.file || self.user);
        put(FIRST_PROCESS, self.first_process);
        put(BASH_ENV, self.bash_env);
        let number =
            |lines: &str, fd: Option<i32>| lines.replace(FD, &fd.unwrap_or(-1).to_string());
        let locked = USER_LOCKED.replace("__OI_QUIET__", if self.quiet { ">&2" } else { "" });
        put(
            &number(&locked, self.lock),
            self.user && self.lock.is_some(),
        );
        put(USER, self.user && self.lock.is_none() && !self.quiet);
        put(USER_QUIET, self.user && self.lock.is_none() && self.quiet);
        put(WRAPPER, self.user);
        put(MARK, self.mark);
        put(FAIL_FAST, true);
        put(BANNER, self.file && !self.quiet);
        if self.file {
            let redirects = self.quiet && self.redirects.is_some();
            if let Some(word) = self.functions {
                put(&KEEP.replace(WORD, &word.to_string()), true);
            }
            put(HERE, true);
            put(&number(FILE_REDIRECTS, self.redirects), redirects);
            put(FILE_QUIET, self.quiet && !redirects);
            put(FILE, !self.quiet);
            put(AFTER, !redirects);
            put(BACK, true);
            put(&number(CLOSE, self.open), self.open.is_some());
            put(REMOVE, self.copy);
        }
        put(END, true);
        if let Some(word) = self.traps.filter(|_| self.file) {
            put(&number(TRAPS_IN_MEMORY, self.memory), self.memory.is_some());
            put(TRAPS, self.memory.is_none());
            put(&TELL_TRAPS.replace(WORD, &word.to_string()), true);
        }
        put(CLEAR, true);
        put(DIRECT, self.direct.is_some());
        put(RESUME, true);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    use proptest::prelude::*;

    use super::super::plain;
    use super::*;
    use crate::environ::Environ;

    /// What comes of a file by these lines, with `env` in the place of the runner and of the command.
    fn evaluate(file: &Path, direct: bool, plain: bool) -> Output {
        let lines = Lines {
            quiet: direct,
            mark: true,
            file: true,
            direct: direct.then_some(Direct::Parameters),
            plain: plain.then_some(1),
            ..Lines::default()
        };
        let folder = file.parent().unwrap();
        let environ = [("PATH", "/usr/bin:/bin"), ("HOME", "/"), ("LEVEL", "3")];
        let mut environ: Environ = environ.into();
        environ.set("PWD", folder);
        if plain {
            environ.set_for_plain(Some("a mark"));
        }
        Command::new("/bin/bash")
            .args(lines.options())
            .arg(lines.text())
            .arg("runner")
            .args(["/usr/bin/env", "env", ""])
            .args([file, file])
            .args(["a mark", "", "", "1", "-0"])
            .args(["env", "-0"].into_iter().filter(|_| direct))
            .env_clear()
            .envs(environ.iter())
            .current_dir(folder)
            .output()
            .unwrap()
    }

    fn line() -> impl Strategy<Value = String> {
        let name = "[A-Z][A-Z0-9_]{0,2}|HOME|LEVEL|LANG|LC_ALL|LINES|HISTSIZE|SHELL|CDPATH|TMOUT|HOSTNAME|OPTARG|TERM|PATH";
        let value = r#"[a-z0-9_./:,@%+=-]{0,4}|'[^'\n\r\x00]{0,6}'|"[^"$`\\\n\r\x00]{0,6}"|[$](HOME|A|LEVEL)"#;
        let default = r"[$]\{(HOME|NONE|A)(:?-[a-z0-9/:.=@%+-]{0,3})?\}";
        let words = prop::collection::vec(prop_oneof![value, default], 0..3);
        let start = prop::sample::select(vec!["", "export ", "  ", "export\t "]);
        let end = prop::sample::select(vec!["", " ", " # it's $(why)"]);
        (start, name, words, end).prop_map(|(start, name, words, end)| {
            format!("{start}{name}={}{end}\n", words.concat())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn plain_files_come_to_the_same_with_fewer_lines(lines in prop::collection::vec(line(), 0..8)) {
            let text = lines.concat();
            prop_assert!(plain::names(text.as_bytes()).is_some(), "{text}");
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("deploy_env");
            fs::write(&file, &text).unwrap();
            let found = !text.contains("PATH=");
            for direct in [false, true].into_iter().take(1 + usize::from(found)) {
                let (few, all) = (evaluate(&file, direct, true), evaluate(&file, direct, false));
                let words = |output: &Output| {
                    let mut words: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
                    words.sort();
                    words
                };
                prop_assert_eq!(words(&few), words(&all));
                prop_assert_eq!(few.stderr, all.stderr);
                prop_assert!(few.status.success() && all.status.success());
            }
        }
    }
}
