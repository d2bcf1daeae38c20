//! Analysis: facts, variables and findings of a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::V2Error;
use crate::facts::{Cartridge, Facts, PythonLevel};
use crate::findings::{self, Business, Finding, Role, Severity, Sieve};
use crate::options::Options;
use crate::python::{Py, applies, env_reads};
use crate::tree::Tree;
use crate::variables::{self, Read, Variable};

/// What the application is, and what of it will not work on V3.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// What the application is.
    pub facts: Facts,
    /// The environment variables that its files read, and where each comes from on V3.
    pub variables: Vec<Variable>,
    /// What will not work, the worst first.
    pub findings: Vec<Finding>,
    /// What was decided for it.
    pub options: Options,
    /// Python files whose edits are known to leave a file that parses.
    #[serde(skip)]
    pub(crate) applies: BTreeSet<String>,
    /// Files of Python that are not called so.
    #[serde(skip)]
    pub(crate) executed: BTreeSet<String>,
}

impl Analysis {
    /// How many findings are that bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

/// Finds out what the application in a tree is and what of it will not work on V3.
///
/// # Errors
/// When the tree is no V2 application, holds more than one, or an option names what is not there.
pub fn analyze(tree: &Tree, options: &Options) -> Result<Analysis, V2Error> {
    options.check()?;
    let mut facts = crate::facts::discover(tree, options)?;
    let executed = crate::facts::executed(tree);
    let files = python_files(tree, &facts, &executed);
    let scans = scan(tree, &facts, options, &files);
    let mut findings = Vec::new();
    let mut reads: BTreeMap<String, Vec<Read>> = BTreeMap::new();
    let mut applies = BTreeSet::new();
    for (scan, (path, ..)) in scans.into_iter().zip(&files) {
        if scan.applies {
            applies.insert((*path).to_owned());
        }
        if scan.is_python2 {
            facts.python = PythonLevel::Python2;
        }
        findings.extend(scan.findings);
        for (name, read) in scan.reads {
            reads.entry(name).or_default().push(read);
        }
    }
    variables::of_other_files(tree, &files, &mut reads);
    let mut variables = variables::supply(reads, &facts, options, variables::of_edits(&findings));
    variables::set_by_hooks(tree, &facts, &mut variables);
    facts.data_dir.needed = needs_data(&facts, &variables, options);
    findings.extend(findings::of_tree(tree, &facts, options, &variables));
    findings.sort_by(|one, other| {
        other
            .severity
            .cmp(&one.severity)
            .then_with(|| one.path.cmp(&other.path))
            .then_with(|| one.line.cmp(&other.line))
    });
    Ok(Analysis {
        facts,
        variables,
        findings,
        options: options.clone(),
        applies,
        executed,
    })
}

/// The Python files, with what each is to the application.
fn python_files<'a>(
    tree: &'a Tree,
    facts: &Facts,
    executed: &BTreeSet<String>,
) -> Vec<(&'a str, &'a [u8], Role)> {
    if facts.cartridge != Cartridge::Python {
        return Vec::new();
    }
    let settings: Vec<&str> = facts
        .project
        .iter()
        .flat_map(|project| &project.settings)
        .map(|file| file.path.as_str())
        .collect();
    let entry = facts.entry.as_ref().map(|entry| entry.path.as_str());
    tree.files()
        .filter_map(|(path, file)| {
            let content = file.content.as_deref()?;
            let is_python = path.ends_with(".py")
                || executed.contains(path)
                || Some(path) == entry
                || path == "wsgi/application"
                || (!path.rsplit('/').next().unwrap_or_default().contains('.')
                    && content.starts_with(b"#!")
                    && content
                        .split(|byte| *byte == b'\n')
                        .next()
                        .is_some_and(|line| line.windows(6).any(|window| window == b"python")));
            let role = if settings.first() == Some(&path) {
                Role::Settings
            } else if settings.contains(&path) {
                Role::MoreSettings
            } else if Some(path) == entry {
                Role::Entry
            } else {
                Role::Other
            };
            is_python.then_some((path, content, role))
        })
        .collect()
}

#[derive(Default)]
struct Scan {
    findings: Vec<Finding>,
    reads: Vec<(String, Read)>,
    is_python2: bool,
    /// Whether the findings want edits, and the file parses after them.
    applies: bool,
}

/// Looks at the files on all cores. A file in which no rule has business is not even parsed.
fn scan(tree: &Tree, facts: &Facts, options: &Options, files: &[(&str, &[u8], Role)]) -> Vec<Scan> {
    let sieve = Sieve::new();
    in_parallel(files, |file| {
        let (_, content, role) = *file;
        // The settings are few, and rules look for what is missing in them.
        let business = sieve
            .as_ref()
            .filter(|_| matches!(role, Role::Other | Role::Entry))
            .map(|sieve| sieve.look(content));
        if role == Role::Other && business.as_ref().is_some_and(|business| !business.any()) {
            return Scan::default();
        }
        look(tree, facts, options, *file, business.as_ref())
    })
}

/// How many items a worker takes at a time.
const BLOCK: usize = 16;

/// Does something with each of many on all cores, and keeps their order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    in_blocks(items, BLOCK, work)
}

/// The same with a few that each take long.
pub(crate) fn one_by_one<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    in_blocks(items, 1, work)
}

fn in_blocks<T: Sync, R: Send>(items: &[T], size: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let blocks: Vec<&[T]> = items.chunks(size).collect();
    let workers = std::thread::available_parallelism()
        .map_or(1, |count| count.get().min(8))
        .min(blocks.len());
    // Files take very different times, so nobody is given a share beforehand.
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = blocks.get(at) else {
                return done;
            };
            done.push((at, block.iter().map(&work).collect::<Vec<_>>()));
        }
    };
    let mut done: Vec<(usize, Vec<R>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(worker)).collect();
        let mut all = worker();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                // The panic was the work's own: it goes on here.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, done)| done).collect()
}

fn look(
    tree: &Tree,
    facts: &Facts,
    options: &Options,
    (path, content, role): (&str, &[u8], Role),
    business: Option<&Business>,
) -> Scan {
    let Some(py) = Py::parse(path, content) else {
        return Scan::default();
    };
    let mut findings = findings::of_file(&py, role, business, tree, facts, options);
    let reads = if business.is_none_or(|business| business.environment) {
        env_reads(&py)
    } else {
        Vec::new()
    };
    findings.extend(
        reads
            .iter()
            .filter(|read| read.partial)
            .map(|read| findings::tree::variables::put_together(path, read.line, &read.name)),
    );
    let reads = reads
        .into_iter()
        .filter(|read| !read.partial)
        .map(|read| {
            let in_hosts = variables::is_in_allowed_hosts(&py, read.node);
            (
                read.name,
                Read {
                    path: path.to_owned(),
                    line: read.line,
                    access: read.access,
                    only_as_host: in_hosts,
                },
            )
        })
        .collect();
    // While the tree is at hand: only what the edits touch is parsed again.
    let edits = findings::edits_of(&findings::in_order(findings.iter()), content);
    Scan {
        applies: !edits.is_empty() && applies(&py, &edits),
        is_python2: findings.iter().any(|finding| {
            finding.rule == "python2-syntax" && finding.severity == Severity::Blocker
        }),
        findings,
        reads,
    }
}

/// Whether anything is kept in the data directory.
fn needs_data(facts: &Facts, variables: &[Variable], options: &Options) -> bool {
    if options.data_dir.is_some() {
        return true;
    }
    let reads = variables
        .iter()
        .any(|variable| variable.name == "OPENSHIFT_DATA_DIR");
    let files = facts
        .databases
        .iter()
        .any(|database| database.in_data_dir == Some(true));
    let media = facts
        .project
        .as_ref()
        .and_then(|project| project.media.as_ref())
        .is_some_and(|media| media.in_data_dir);
    if options.database == crate::options::DatabaseChoice::Service {
        // The file of the database and the secret key are elsewhere then.
        return media || (reads && !facts.is_django());
    }
    reads || files || media
}
