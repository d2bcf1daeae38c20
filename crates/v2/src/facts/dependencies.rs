//! What the application needs installed: `requirements.txt` and the `install_requires` of `setup.py`; V2 installed both.

use serde::Serialize;
use tree_sitter::Node;

use crate::options::Options;
use crate::python::Py;
use crate::tree::Tree;

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// The name, as written; empty for options and addresses.
    pub name: String,
    /// The whole line, without its comment.
    pub text: String,
    /// The file.
    pub path: String,
    /// The line.
    pub line: usize,
}

impl Requirement {
    /// What follows the name, as in `==1.8.4`.
    pub(crate) fn specifier(&self) -> &str {
        let rest = self.text.get(self.name.len()..).unwrap_or_default().trim();
        match rest.strip_prefix('[') {
            Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim(),
            None => rest,
        }
    }

    /// The version after `==`, or the lowest that is allowed.
    pub(crate) fn version(&self) -> Option<&str> {
        let spec = self.specifier();
        let spec = spec.split([',', ';', ' ']).next().unwrap_or_default();
        ["==", "~=", ">=", "==="]
            .iter()
            .find_map(|operator| spec.strip_prefix(operator))
            .map(|version| version.trim_end_matches(".*").trim())
    }
}

/// What `setup.py` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SetupPy {
    /// Line of `install_requires`, or of `setup(`.
    pub line: usize,
    /// The requirements, if they are written out.
    pub install_requires: Vec<Requirement>,
    /// The expression, if they are not.
    pub dynamic: Option<String>,
    /// Lines that add to the list that is written out, or give another one.
    pub more: Vec<usize>,
    /// Line of `dependency_links`.
    pub dependency_links: Option<usize>,
    /// Whether it says which packages to install.
    pub names_packages: bool,
}

impl SetupPy {
    /// Whether the requirements seem to be read from a file.
    pub(crate) fn reads_file(&self) -> bool {
        self.dynamic.as_deref().is_some_and(|expression| {
            expression.contains("requirements") || expression.contains("open(")
        })
    }
}

/// What the application needs installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dependencies {
    /// The file that the builder's pip reads, if it is there.
    pub requirements_file: Option<String>,
    /// What is in it, and in the files that it names.
    pub requirements: Vec<Requirement>,
    /// What files of constraints hold: versions of what something else requires.
    pub constraints: Vec<Requirement>,
    /// All these files, in the order in which pip reads them.
    pub files: Vec<String>,
    /// `setup.py`.
    pub setup_py: Option<SetupPy>,
}

impl Dependencies {
    /// A requirement of that name, from either file.
    pub fn find(&self, name: &str) -> Option<&Requirement> {
        let wanted = normal_name(name);
        self.all().find(|one| normal_name(&one.name) == wanted)
    }

    /// All requirements.
    pub fn all(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter().chain(
            self.setup_py
                .iter()
                .flat_map(|setup| &setup.install_requires),
        )
    }
}

/// Names are equal whatever their case and punctuation (PEP 503).
pub(crate) fn normal_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.trim().chars() {
        match c {
            '-' | '_' | '.' => {
                if !normal.ends_with('-') {
                    normal.push('-');
                }
            }
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

/// The file that the builder reads.
pub(crate) const REQUIREMENTS: &str = "requirements.txt";

/// How deep files of requirements may name each other.
const DEPTH: usize = 8;

pub(super) fn dependencies(tree: &Tree, options: &Options) -> Dependencies {
    let mut found = Dependencies {
        requirements_file: tree.is_file(REQUIREMENTS).then(|| REQUIREMENTS.to_owned()),
        setup_py: setup_py(tree),
        ..Dependencies::default()
    };
    found.read(tree, REQUIREMENTS, false, DEPTH);
    if let Some(file) = &options.requirements {
        found.read(tree, file, false, DEPTH);
    }
    found
}

impl Dependencies {
    /// Reads a file and those that it names. What is out of the tree is nobody's.
    fn read(&mut self, tree: &Tree, path: &str, is_constraints: bool, depth: usize) {
        if depth == 0 || self.files.iter().any(|known| known == path) {
            return;
        }
        let Some(text) = tree.text(path) else {
            return;
        };
        self.files.push(path.to_owned());
        for one in parse_requirements(&text, path) {
            let named = named_file(&one);
            if is_constraints {
                self.constraints.push(one);
            } else {
                self.requirements.push(one);
            }
            if let Some((file, constrains)) = named {
                self.read(tree, &file, is_constraints || constrains, depth - 1);
            }
        }
    }
}

/// The file that a line `-r FILE` or `-c FILE` names, as a path in the tree, and whether it holds constraints.
pub(crate) fn named_file(one: &Requirement) -> Option<(String, bool)> {
    let (rest, constrains) = [
        ("--requirement", false),
        ("--constraint", true),
        ("-r", false),
        ("-c", true),
    ]
    .iter()
    .find_map(|(option, constrains)| Some((one.text.strip_prefix(option)?, *constrains)))?;
    let file = rest.trim_start_matches(['=', ' ', '\t']).trim();
    if file.is_empty() || file.starts_with('/') || file.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = one.path.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), constrains))
}

/// A line of requirements as pip puts it together: with its continuations, and without its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logical {
    /// Its first line in the file.
    pub(crate) first: usize,
    /// How many lines of the file it takes.
    pub(crate) lines: usize,
    /// What it requires, without hashes; empty for comments and blank lines.
    pub(crate) code: String,
    /// The comment at its end.
    pub(crate) comment: String,
    /// Whether it has hashes.
    pub(crate) hashed: bool,
}

pub(crate) fn logical_lines(text: &str) -> Vec<Logical> {
    let mut found = Vec::new();
    let mut open = String::new();
    let mut count = 0;
    let last = text.lines().count();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}');
        count += 1;
        // A line that is a comment ends what goes on, and does not go on itself.
        let is_comment = line.trim_start().starts_with('#');
        if let Some(more) = line.strip_suffix('\\')
            && !is_comment
        {
            open.push_str(more);
            if at + 1 < last {
                continue;
            }
        } else {
            if is_comment {
                open.push(' ');
            }
            open.push_str(line);
        }
        let whole = std::mem::take(&mut open);
        let lines = std::mem::take(&mut count);
        let (code, comment) = without_comment(&whole);
        let words: Vec<&str> = code.split_whitespace().collect();
        let is_hash = |word: &&str| word.starts_with("--hash=") || word.starts_with("--hash:");
        let hashed = words.iter().any(is_hash);
        let code = if hashed {
            words
                .into_iter()
                .filter(|word| !is_hash(word))
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            code.trim().to_owned()
        };
        found.push(Logical {
            first: at + 2 - lines,
            lines,
            code,
            comment: comment.trim().to_owned(),
            hashed,
        });
    }
    found
}

/// Divides a line before a `#` that begins it or follows a blank.
fn without_comment(line: &str) -> (&str, &str) {
    let start = line.char_indices().find_map(|(at, c)| {
        let before = line.get(..at)?;
        (c == '#' && (before.is_empty() || before.ends_with(char::is_whitespace))).then_some(at)
    });
    line.split_at_checked(start.unwrap_or(line.len()))
        .unwrap_or((line, ""))
}

pub(crate) fn parse_requirements(text: &str, path: &str) -> Vec<Requirement> {
    logical_lines(text)
        .into_iter()
        .filter(|line| !line.code.is_empty())
        .map(|line| requirement(&line.code, path, line.first))
        .collect()
}

pub(crate) fn requirement(text: &str, path: &str, line: usize) -> Requirement {
    let name: String = if text.starts_with('-')
        || text.contains("://") && !text.contains('@')
        || text.starts_with('.')
    {
        String::new()
    } else {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
            .collect()
    };
    let name = if text.starts_with("git+") || text.starts_with("hg+") || text.starts_with("svn+") {
        String::new()
    } else {
        name
    };
    Requirement {
        name,
        text: text.to_owned(),
        path: path.to_owned(),
        line,
    }
}

/// The lines of what changes a list by its name, besides the assignment that is read.
fn more(py: &Py<'_>, name: &str, read: Option<Node<'_>>) -> Vec<usize> {
    let others = py
        .assigned(name)
        .into_iter()
        .filter(|assign| assign.value != read)
        .map(|assign| py.line(assign.statement))
        .collect::<Vec<_>>();
    let calls = py.calls();
    let calls = calls
        .iter()
        .filter(|call| {
            call.name.strip_suffix(call.last()) == Some(format!("{name}.").as_str())
                && matches!(call.last(), "append" | "extend" | "insert" | "remove")
        })
        .map(|call| py.line(call.node));
    let mut lines: Vec<usize> = others.into_iter().chain(calls).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn setup_py(tree: &Tree) -> Option<SetupPy> {
    let path = "setup.py";
    let content = tree.content(path)?;
    let py = Py::parse(path, content)?;
    let call = py.calls().into_iter().find(|call| call.last() == "setup")?;
    let mut setup = SetupPy {
        line: py.line(call.node),
        names_packages: ["packages", "py_modules"]
            .iter()
            .any(|name| call.keyword(name).is_some()),
        dependency_links: call.keyword("dependency_links").map(|node| py.line(node)),
        ..SetupPy::default()
    };
    if call.splat && call.keyword("install_requires").is_none() {
        // The arguments are in a dictionary, or read from elsewhere.
        setup.dynamic = Some(py.text(call.arguments).chars().take(120).collect());
    }
    let Some(value) = call
        .keyword("install_requires")
        .or_else(|| call.keyword("requires"))
    else {
        return Some(setup);
    };
    setup.line = py.line(value);
    // A list that has a name of its own.
    let list = match value.kind() {
        "identifier" => {
            let assigned = py.assigned(py.text(value));
            let list = assigned
                .iter()
                .rev()
                .filter(|assign| !assign.augmented)
                .find_map(|assign| assign.value);
            setup.more = more(&py, py.text(value), list);
            list.unwrap_or(value)
        }
        _ => value,
    };
    let items = matches!(list.kind(), "list" | "tuple").then(|| {
        crate::python::children(list)
            .into_iter()
            .map(|item| py.string(item).map(|text| (text, py.line(item))))
            .collect::<Option<Vec<_>>>()
    });
    match items.flatten() {
        Some(items) => {
            setup.install_requires = items
                .into_iter()
                .map(|(text, line)| requirement(text.trim(), path, line))
                .collect();
        }
        None => setup.dynamic = Some(py.text(list).chars().take(120).collect()),
    }
    Some(setup)
}
