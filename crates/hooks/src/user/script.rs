//! Reads the scripts that make a passwd entry: a handful of forms, each of which some builder image has.

/// What the script asks of the uid before it does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Not(u32),
    AtLeast(u32),
}

impl Condition {
    pub(super) fn holds(self, uid: u32) -> bool {
        match self {
            Self::Not(other) => uid != other,
            Self::AtLeast(least) => uid >= least,
        }
    }
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Variable(String),
    Uid,
    Gid,
    /// By `mktemp`.
    Temporary {
        folder: bool,
    },
}

/// What the file begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Passwd,
    /// By `envsubst`.
    Template(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Assign {
        name: String,
        value: Vec<Part>,
        exported: bool,
    },
    Export(Vec<String>),
    Copy {
        from: Source,
        to: Vec<Part>,
        /// Renames an entry: its beginning and what it becomes.
        rename: Option<(String, String)>,
    },
    Append {
        text: Vec<Part>,
        to: Vec<Part>,
    },
}

/// A script with one `if` at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) conditions: Vec<Condition>,
    /// What it does, and whether only under the conditions.
    pub(super) steps: Vec<(bool, Step)>,
}

pub(super) fn parse(script: &str) -> Option<Script> {
    let mut conditions = None;
    let mut steps = Vec::new();
    let mut inside = false;
    let lines = script.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(condition) = line.strip_prefix("if ") {
            if conditions.is_some() {
                return None;
            }
            conditions = Some(all(condition
                .strip_suffix("then")?
                .trim_end()
                .strip_suffix(';')?)?);
            inside = true;
        } else if line == "fi" {
            inside.then_some(())?;
            inside = false;
        } else {
            steps.extend(step(line)?.into_iter().map(|step| (inside, step)));
        }
    }
    let script = Script {
        conditions: conditions.unwrap_or_default(),
        steps,
    };
    (!inside && script.knows_its_user()).then_some(script)
}

impl Script {
    /// The conditions are about the uid only if `USER_ID` is that.
    fn knows_its_user(&self) -> bool {
        let mut set = self.steps.iter().filter_map(|(_, step)| match step {
            Step::Assign { name, value, .. } if name == "USER_ID" => Some(value == &[Part::Uid]),
            _ => None,
        });
        self.conditions.is_empty() || set.next() == Some(true) && set.all(|uid| uid)
    }
}

/// `[ … -a … ]`, `[[ … && … ]]`, or several of them after `&&`.
fn all(text: &str) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    (text.starts_with('[') && text.trim_end().ends_with(']')).then_some(())?;
    for word in text.replace(" -a ", " && ").split(" && ") {
        let word = word.trim();
        let word = word
            .strip_prefix("[[ ")
            .or_else(|| word.strip_prefix("[ "))
            .unwrap_or(word);
        let word = word
            .strip_suffix(" ]]")
            .or_else(|| word.strip_suffix(" ]"))
            .unwrap_or(word);
        conditions.push(condition(word.trim())?);
    }
    Some(conditions)
}

/// `x"$USER_ID" != x"0"`, with or without the letters and the quotes, and comparisons of numbers.
fn condition(text: &str) -> Option<Condition> {
    let bare = text
        .replace('"', "")
        .replace("$(id -u)", "$USER_ID")
        .replace("`id -u`", "$USER_ID");
    let mut words = bare.split_whitespace();
    let (mut left, operator, mut right) = (words.next()?, words.next()?, words.next()?);
    words.next().is_none().then_some(())?;
    if let (Some(one), Some(other)) = (left.strip_prefix('x'), right.strip_prefix('x')) {
        (left, right) = (one, other);
    }
    matches!(left, "$USER_ID" | "${USER_ID}" | "$UID" | "$EUID").then_some(())?;
    let number = right.parse().ok()?;
    match operator {
        "!=" | "-ne" => Some(Condition::Not(number)),
        "-ge" => Some(Condition::AtLeast(number)),
        "-gt" => Some(Condition::AtLeast(u32::checked_add(number, 1)?)),
        _ => None,
    }
}

/// What a line does, which may be more than one thing: `export A=1 B=2`.
fn step(line: &str) -> Option<Vec<Step>> {
    let one = |step: Option<Step>| step.map(|step| vec![step]);
    if let Some(rest) = line.strip_prefix("export ") {
        return rest
            .trim()
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(exported)
            .collect::<Option<_>>()
            .or_else(|| one(assignment(rest.trim(), true)));
    }
    if let Some(rest) = line.strip_prefix("echo ") {
        let (text, to) = rest
            .rsplit_once(" >> ")
            .or_else(|| rest.rsplit_once(" >>"))?;
        let text = text.trim();
        // Anything else than one word in quotes is split and put together again by the shell.
        text.starts_with('"').then_some(())?;
        let (text, to) = (word(text)?, word(to.trim())?);
        return Some(vec![Step::Append { text, to }]);
    }
    if let Some(rest) = line.strip_prefix("cp /etc/passwd ") {
        let to = word(rest.trim())?;
        return Some(vec![copy(Source::Passwd, to, None)]);
    }
    if let Some(rest) = line.strip_prefix("envsubst <") {
        let (template, to) = rest.split_once('>')?;
        let from = Source::Template(word(template.trim())?);
        return Some(vec![copy(from, word(to.trim())?, None)]);
    }
    if let Some((command, to)) = line.split_once('>')
        && let Some(rename) = source(command.trim())
    {
        return Some(vec![copy(Source::Passwd, word(to.trim())?, rename)]);
    }
    one(assignment(line, false))
}

fn copy(from: Source, to: Vec<Part>, rename: Option<(String, String)>) -> Step {
    Step::Copy { from, to, rename }
}

/// One word after `export`.
fn exported(text: &str) -> Option<Step> {
    if text.contains('=') {
        assignment(text, true)
    } else {
        is_name(text).then(|| Step::Export(vec![text.to_owned()]))
    }
}

fn assignment(text: &str, exported: bool) -> Option<Step> {
    let (name, value) = text.split_once('=')?;
    is_name(name).then_some(())?;
    let value = match value {
        "$(id -u)" | "`id -u`" => vec![Part::Uid],
        "$(id -g)" | "`id -g`" => vec![Part::Gid],
        "$(mktemp -d)" | "`mktemp -d`" => vec![Part::Temporary { folder: true }],
        "$(mktemp)" | "`mktemp`" => vec![Part::Temporary { folder: false }],
        value => word(value)?,
    };
    Some(Step::Assign {
        name: name.to_owned(),
        value,
        exported,
    })
}

/// How the passwd file is copied: as it is, or with one entry renamed by sed.
#[expect(
    clippy::option_option,
    reason = "not understood, or understood as no renaming"
)]
fn source(command: &str) -> Option<Option<(String, String)>> {
    let sed = match command.strip_prefix("cat /etc/passwd") {
        Some("") => return Some(None),
        Some(rest) => rest.trim_start().strip_prefix('|')?.trim_start(),
        None => command.strip_suffix(" /etc/passwd")?.trim_end(),
    };
    let sed = sed.strip_prefix("sed ")?.trim_start();
    let sed = sed.strip_prefix("-e ").unwrap_or(sed).trim_start();
    let expression = sed.strip_prefix("'s/^")?.strip_suffix("/'")?;
    let (from, to) = expression.split_once('/')?;
    let allowed = |text: &str| {
        text.strip_suffix(':').is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    (allowed(from) && allowed(to)).then(|| Some((from.to_owned(), to.to_owned())))
}

/// A word of plain text and variables, or the same in double quotes, where there may be more in it.
fn word(text: &str) -> Option<Vec<Part>> {
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let mut parts = Vec::new();
    let mut rest = quoted.unwrap_or(text);
    while let Some(at) = rest.find('$') {
        literal(&rest[..at], quoted.is_some(), &mut parts)?;
        let after = &rest[at + 1..];
        (rest, _) = if let Some(after) = after.strip_prefix("(id -u)") {
            (after, parts.push(Part::Uid))
        } else if let Some(after) = after.strip_prefix("(id -g)") {
            (after, parts.push(Part::Gid))
        } else if let Some(braced) = after.strip_prefix('{') {
            let (name, after) = braced.split_once('}')?;
            is_name(name).then_some(())?;
            (after, parts.push(Part::Variable(name.to_owned())))
        } else {
            let end = after.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
            let (name, after) = after.split_at(end.unwrap_or(after.len()));
            is_name(name).then_some(())?;
            (after, parts.push(Part::Variable(name.to_owned())))
        };
    }
    literal(rest, quoted.is_some(), &mut parts)?;
    Some(parts)
}

fn literal(text: &str, quoted: bool, parts: &mut Vec<Part>) -> Option<()> {
    let allowed = |char: char| match quoted {
        true => !matches!(char, '"' | '`' | '\\' | '!') && !char.is_control(),
        false => char.is_ascii_alphanumeric() || "/._:-".contains(char),
    };
    text.chars().all(allowed).then_some(())?;
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Some(())
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    // Such a name would change how the shell that is not there goes on.
    let special = matches!(text, "IFS" | "PATH" | "UID" | "EUID" | "BASH_ENV");
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !special
}

/// No quotes, no expansion, nothing that a shell splits.
pub(super) fn is_plain(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:-".contains(&byte);
    !value.is_empty() && value.bytes().all(allowed)
}
