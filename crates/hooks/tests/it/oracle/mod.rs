//! The original is the oracle: it and ours run the same command in equal images, and all that can be seen is compared.
//! Where they differ, the difference is one of those that are known ([`Bug`]) and expected at that very place. One that
//! is not expected fails the test, and so does an expected one that is not there.

mod builds;
mod commands;
mod descriptors;
mod endings;
mod environments;
mod jobs;
mod places;
mod shells;
mod signals;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::image::{Image, Runner};
use crate::seen::Seen;

pub(crate) use places::{CONTAINER_USER, nodejs_user};

/// What is wrong with the original, and mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bug {
    /// `deploy_env` is evaluated again by every nested call.
    B1,
    /// It needs Python, a version that has pkg_resources, and leaves Python's traces.
    B2,
    /// SIGTERM to process 1 during a hook or job is ignored, and the next thing is still started.
    B3,
    /// An `exit` in an environment file ends the command as a success.
    B4,
    /// A second assemble fails over `.s2i`, and so does a source that holds nothing else.
    B5,
    /// Jobs with spaces are skipped, leftovers and lists are run or fail.
    B6,
    /// Paths with spaces slip through all checks.
    B7,
    /// It needs `which` and `/usr/bin/date`.
    B8,
    /// A passwd entry that cannot be written ends the command.
    B9,
    /// Output of `deploy_env` in the command's, errors on standard output, wrong paths, late checks.
    B10,
    /// Words after the command are its own, not the hook's.
    B11,
    /// Functions are exported, carriage returns kept or not explained.
    B12,
    /// A category may be a path.
    B13,
    /// Not among the thirteen: the original goes on in the shell that has evaluated the environment file, and with what
    /// that has changed there.
    OwnShell,
}

/// A command in a situation.
pub(crate) struct Case {
    name: String,
    image: Box<dyn Fn(&mut Image) + Send + Sync>,
    words: Vec<&'static str>,
    mended: Vec<(Bug, Mend)>,
    /// What is not compared is taken out of both.
    within: Option<Mend>,
}

/// Makes of what the original does what it should do.
type Mend = Box<dyn Fn(&mut Seen) + Send + Sync>;

/// A case: its name, its words after `powershift image`, and what makes the situation.
pub(crate) fn case(
    name: impl Into<String>,
    words: &[&'static str],
    image: impl Fn(&mut Image) + Send + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        image: Box::new(image),
        words: words.to_vec(),
        mended: vec![],
        within: None,
    }
}

impl Case {
    /// Expects a difference.
    pub(crate) fn mends(
        mut self,
        bug: Bug,
        mend: impl Fn(&mut Seen) + Send + Sync + 'static,
    ) -> Self {
        self.mended.push((bug, Box::new(mend)));
        self
    }

    /// Leaves something out of the comparison.
    fn within(mut self, leave_out: impl Fn(&mut Seen) + Send + Sync + 'static) -> Self {
        self.within = Some(Box::new(leave_out));
        self
    }

    fn run(&self, runner: Runner) -> Seen {
        let mut image = Image::new();
        (self.image)(&mut image);
        let mut words = vec!["powershift", "image"];
        words.extend(&self.words);
        let output = image.run(runner, &words);
        Seen::of(&image, &output)
    }

    /// What went wrong, if anything.
    fn check(&self) -> Option<String> {
        let mut expected = self.run(Runner::Original);
        let mut ours = self.run(Runner::Ours);
        if let Some(leave_out) = &self.within {
            leave_out(&mut expected);
            leave_out(&mut ours);
        }
        for (bug, mend) in &self.mended {
            let before = expected.clone();
            mend(&mut expected);
            if expected == before {
                return Some(format!(
                    "{}: {bug:?} does not show in the original:\n{before:#?}",
                    self.name
                ));
            }
        }
        (expected != ours).then(|| {
            format!(
                "{}: not among the known differences:\n{}",
                self.name,
                expected.differences(&ours)
            )
        })
    }
}

/// What the original does in another situation, in which the bug does not show.
pub(crate) fn as_if(
    words: &[&'static str],
    image: impl Fn(&mut Image) + Send + Sync + 'static,
) -> Seen {
    case("as if", words, image).run(Runner::Original)
}

/// Python ignores SIGPIPE and SIGXFSZ, and so did whatever it started.
pub(crate) fn without_pythons_signals(seen: &mut Seen) {
    let line = |line: &str| match line.strip_prefix("SigIgn:\t") {
        Some(mask) => {
            let mask = u64::from_str_radix(mask, 16).unwrap();
            format!("SigIgn:\t{:016x}\n", mask & !(1 << 12 | 1 << 24))
        }
        None => format!("{line}\n"),
    };
    seen.stdout = seen.stdout.lines().map(line).collect();
}

/// `ERROR:` lines belong on standard error.
pub(crate) fn errors_to_stderr(seen: &mut Seen) {
    let (errors, rest): (Vec<&str>, Vec<&str>) = seen
        .stdout
        .lines()
        .partition(|line| line.starts_with("ERROR: "));
    let text = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    seen.stderr = text(&errors) + &seen.stderr;
    seen.stdout = text(&rest);
}

/// Three banners name a path that does not exist.
pub(crate) fn right_path(seen: &mut Seen) {
    seen.stdout = seen
        .stdout
        .replace("/src/action_hooks/", "/src/.s2i/action_hooks/");
}

/// The first lines of a text, so many of them.
pub(crate) fn first(text: &str, lines: usize) -> String {
    text.lines()
        .take(lines)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The part of the notes before this one.
pub(crate) fn before(events: &str, name: &str) -> String {
    let at = events.find(&format!("== {name}")).unwrap_or(events.len());
    events[..at].to_owned()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(commands::cases());
    cases.extend(builds::cases());
    cases.extend(descriptors::cases());
    cases.extend(endings::cases());
    cases.extend(environments::cases());
    cases.extend(jobs::cases());
    cases.extend(places::cases());
    cases.extend(shells::cases());
    cases.extend(signals::cases());
    cases
}

#[test]
fn the_original_differs_in_its_known_bugs_and_in_nothing_else() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let only = std::env::var("ORACLE_CASE").unwrap_or_default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if case.name.contains(&only)
                        && let Some(failure) = case.check()
                    {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn every_bug_is_shown_by_some_case() {
    let mut shown: Vec<Bug> = cases()
        .iter()
        .flat_map(|case| case.mended.iter().map(|(bug, _)| *bug))
        .collect();
    shown.sort();
    shown.dedup();
    use Bug::{B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, OwnShell};
    assert_eq!(
        shown,
        [
            B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, OwnShell
        ]
    );
}
