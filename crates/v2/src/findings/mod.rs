//! What will not work on V3, one rule per file: where, how bad, why, and what a conversion does about it or what only a person can decide.

pub(crate) mod python;
pub(crate) mod tree;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::Facts;
use crate::options::Options;
use crate::python::{Assign, Call, Edit, Import, Py};
use crate::tree::Tree;
use crate::variables::Variable;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It works differently, or less safely, or loses something.
    Warning,
    /// It does not build, does not start, or does not serve.
    Blocker,
}

impl Severity {
    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Blocker => "blocker",
        }
    }
}

/// What happens about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "does")]
pub enum Remedy {
    /// What a conversion does.
    Convert(String),
    /// What only a person can decide or do.
    Person(String),
    /// Nothing needs to be done; why.
    Nothing(String),
}

/// Something that a person or a conversion has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that found it, as in `allowed-hosts`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file, if it is about one.
    pub path: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What it is. Values of secrets are never part of it.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What happens about it.
    pub remedy: Remedy,
    /// The edits of the file that mend it.
    #[serde(skip)]
    pub(crate) edits: Vec<Edit>,
    /// Text that is put at the end of the file.
    #[serde(skip)]
    pub(crate) append: Option<String>,
}

impl Finding {
    /// `path:line`, as far as it has them.
    pub fn place(&self) -> String {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => format!("{path}:{line}"),
            (Some(path), None) => path.clone(),
            _ => String::new(),
        }
    }

    pub(crate) fn convert(mut self, does: impl Into<String>) -> Self {
        self.remedy = Remedy::Convert(does.into());
        self
    }

    pub(crate) fn person(mut self, does: impl Into<String>) -> Self {
        self.remedy = Remedy::Person(does.into());
        self
    }

    pub(crate) fn edit(mut self, start: usize, end: usize, text: impl Into<String>) -> Self {
        self.edits.push(Edit {
            start,
            end,
            text: text.into(),
            rule: self.rule,
            reason: self.why.to_owned(),
        });
        self
    }

    /// Takes out the lines of a statement that has them for itself.
    pub(crate) fn remove(self, py: &Py<'_>, statement: tree_sitter::Node<'_>) -> Self {
        let (start, end) = py.lines_of(statement);
        self.edit(start, end, "")
    }

    pub(crate) fn append(mut self, text: impl Into<String>) -> Self {
        self.append = Some(text.into());
        self
    }
}

/// What a rule is.
#[derive(Debug)]
pub struct Rule {
    /// Its name, which stays the same for ever.
    pub id: &'static str,
    /// What it looks for.
    pub title: &'static str,
    /// Why that matters.
    pub why: &'static str,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// Looks at each Python file in which this expression matches.
    Python {
        needle: &'static str,
        check: fn(&FileContext<'_>),
    },
    /// Looks at the tree as a whole.
    Tree(fn(&TreeContext<'_>)),
}

impl Rule {
    fn finding(
        &self,
        severity: Severity,
        path: Option<&str>,
        line: Option<usize>,
        what: impl Into<String>,
    ) -> Finding {
        Finding {
            rule: self.id,
            severity,
            path: path.map(str::to_owned),
            line,
            what: what.into(),
            why: self.why,
            remedy: Remedy::Nothing(String::new()),
            edits: Vec::new(),
            append: None,
        }
    }
}

/// What a Python file is to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The settings module that V2 used.
    Settings,
    /// A settings file that it takes names from, or another one beside it.
    MoreSettings,
    /// The entry point.
    Entry,
    /// Anything else.
    Other,
}

/// One Python file, for a rule to look at.
pub(crate) struct FileContext<'a> {
    pub(crate) py: &'a Py<'a>,
    pub(crate) role: Role,
    pub(crate) facts: &'a Facts,
    pub(crate) options: &'a Options,
    pub(crate) tree: &'a Tree,
    found: &'a std::cell::RefCell<Vec<Finding>>,
    // Several rules ask for these, and each answer takes a walk over the whole tree.
    calls: OnceCell<Vec<Call<'a>>>,
    imports: OnceCell<Vec<Import<'a>>>,
    assignments: OnceCell<Vec<Assign<'a>>>,
    elsewhere: OnceCell<BTreeSet<String>>,
}

impl<'a> FileContext<'a> {
    /// All calls, the outer ones first.
    fn calls(&self) -> &[Call<'a>] {
        self.calls.get_or_init(|| self.py.calls())
    }

    /// All import statements.
    fn imports(&self) -> &[Import<'a>] {
        self.imports.get_or_init(|| self.py.imports())
    }

    /// The assignments of one name, at the level of the module.
    fn assigned(&self, name: &str) -> Vec<Assign<'a>> {
        self.assignments
            .get_or_init(|| self.py.assignments())
            .iter()
            .filter(|assign| assign.name == name)
            .copied()
            .collect()
    }

    /// Names that the other files of the settings assign.
    fn assigned_elsewhere(&self) -> &BTreeSet<String> {
        self.elsewhere.get_or_init(|| {
            let mut names = BTreeSet::new();
            for other in self
                .facts
                .project
                .iter()
                .flat_map(|project| &project.settings)
            {
                if other.path == self.py.path {
                    continue;
                }
                let py = self
                    .tree
                    .content(&other.path)
                    .and_then(|content| Py::parse(&other.path, content));
                if let Some(py) = py {
                    names.extend(py.assignments().iter().map(|one| one.name.to_owned()));
                }
            }
            names
        })
    }

    fn add(&self, finding: Finding) {
        self.found.borrow_mut().push(finding);
    }

    /// A finding of this file.
    fn at(&self, rule: &Rule, severity: Severity, line: usize, what: impl Into<String>) -> Finding {
        rule.finding(severity, Some(self.py.path), Some(line), what)
    }

    fn is_settings(&self) -> bool {
        matches!(self.role, Role::Settings | Role::MoreSettings)
    }

    /// Whether the sources are to run on Python 3.
    fn to_python3(&self) -> bool {
        self.options.python3()
    }

    /// Whether the sources are to run on this Django or a later one.
    fn to_django(&self, major: u16, minor: u16) -> bool {
        self.facts.is_django() && self.options.django >= crate::options::Version::new(major, minor)
    }
}

/// The whole tree, for a rule to look at.
pub(crate) struct TreeContext<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) facts: &'a Facts,
    pub(crate) options: &'a Options,
    pub(crate) variables: &'a [Variable],
    found: &'a std::cell::RefCell<Vec<Finding>>,
}

impl TreeContext<'_> {
    fn add(&self, finding: Finding) {
        self.found.borrow_mut().push(finding);
    }
}

/// All rules, in the order in which their edits follow each other.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    python::RULES.iter().chain(tree::RULES).copied()
}

/// The edits that these findings of one file want, in the order of the rules: those within it, then what goes to its end.
pub(crate) fn edits_of(findings: &[&Finding], source: &[u8]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = findings
        .iter()
        .flat_map(|finding| finding.edits.iter().cloned())
        .collect();
    let tail: String = findings
        .iter()
        .filter_map(|finding| finding.append.as_deref())
        .collect();
    if !tail.is_empty() {
        let newline = if source.is_empty() || source.ends_with(b"\n") {
            ""
        } else {
            "\n"
        };
        edits.push(Edit {
            start: source.len(),
            end: source.len(),
            text: format!("{newline}{tail}"),
            rule: "convert",
            reason: String::new(),
        });
    }
    edits
}

/// Those that want edits, in the order of the rules, which is the order of what is put at the end of a file.
pub(crate) fn in_order<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<&'f Finding> {
    let mut editing: Vec<&Finding> = findings
        .filter(|finding| !finding.edits.is_empty() || finding.append.is_some())
        .collect();
    editing.sort_by_key(|finding| {
        (
            rules().position(|rule| rule.id == finding.rule),
            std::cmp::Reverse(finding.severity),
            finding.line,
        )
    });
    editing
}

/// Tells, before a file is parsed, which rules have business in it.
pub(crate) struct Sieve {
    set: regex::bytes::RegexSet,
}

/// What the sieve found in a file.
pub(crate) struct Business {
    rules: Vec<bool>,
    /// Whether it may read variables.
    pub(crate) environment: bool,
}

impl Business {
    /// Whether there is any.
    pub(crate) fn any(&self) -> bool {
        self.environment || self.rules.iter().any(|rule| *rule)
    }
}

impl Sieve {
    /// The expressions of all rules. A test compiles them, so they do compile.
    pub(crate) fn new() -> Option<Self> {
        let mut all = vec!["OPENSHIFT_|environ|getenv|decouple|expandvars"];
        for rule in python::RULES {
            if let Check::Python { needle, .. } = rule.check {
                all.push(needle);
            }
        }
        match regex::bytes::RegexSet::new(all) {
            Ok(set) => Some(Self { set }),
            Err(error) => {
                tracing::error!(%error, "an expression of a rule does not compile");
                None
            }
        }
    }

    /// Looks at a file's bytes.
    pub(crate) fn look(&self, content: &[u8]) -> Business {
        let matches = self.set.matches(content);
        Business {
            environment: matches.matched(0),
            rules: (1..self.set.len()).map(|at| matches.matched(at)).collect(),
        }
    }
}

/// Runs the rules for Python files on one file: all of them, or those that have business in it.
pub(crate) fn of_file(
    py: &Py<'_>,
    role: Role,
    business: Option<&Business>,
    tree: &Tree,
    facts: &Facts,
    options: &Options,
) -> Vec<Finding> {
    let found = std::cell::RefCell::new(Vec::new());
    let context = FileContext {
        py,
        role,
        facts,
        options,
        tree,
        found: &found,
        calls: OnceCell::new(),
        imports: OnceCell::new(),
        assignments: OnceCell::new(),
        elsewhere: OnceCell::new(),
    };
    for (at, rule) in python::RULES.iter().enumerate() {
        // Whether a file parses is known once it was parsed.
        let wanted = at == 0
            || business.is_none_or(|business| business.rules.get(at).copied().unwrap_or(true));
        if let Check::Python { check, .. } = rule.check
            && wanted
        {
            check(&context);
        }
    }
    let mut found = found.into_inner();
    // Rules take statements out without a look at what else goes: together they must not empty a block.
    let mut edits: Vec<&mut Edit> = found
        .iter_mut()
        .flat_map(|finding| &mut finding.edits)
        .collect();
    crate::python::keep_a_statement(py, &mut edits);
    found
}

/// Runs the rules for the tree.
pub(crate) fn of_tree(
    tree: &Tree,
    facts: &Facts,
    options: &Options,
    variables: &[Variable],
) -> Vec<Finding> {
    crate::analysis::one_by_one(tree::RULES, |rule| {
        let found = std::cell::RefCell::new(Vec::new());
        if let Check::Tree(check) = rule.check {
            check(&TreeContext {
                tree,
                facts,
                options,
                variables,
                found: &found,
            });
        }
        found.into_inner()
    })
    .into_iter()
    .flatten()
    .collect()
}
