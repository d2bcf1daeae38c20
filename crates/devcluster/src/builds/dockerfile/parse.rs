//! Dockerfiles: read as far as this cluster builds them, and refused where it does not.

use std::collections::BTreeMap;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instruction {
    /// The image to start from.
    From(String),
    /// Sources of the context, and where they go.
    Copy { from: Vec<String>, to: String },
    /// Variables.
    Env(Vec<(String, String)>),
    /// Labels.
    Label(Vec<(String, String)>),
    /// Ports.
    Expose(Vec<u16>),
    /// The user of containers.
    User(String),
    /// The folder for what follows, and of containers.
    Workdir(String),
    /// A command that is run now.
    Run(Vec<String>),
    /// What containers run.
    Cmd(Vec<String>),
    /// What containers run before all else.
    Entrypoint(Vec<String>),
}

/// An instruction as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, the first being 1.
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) rest: String,
}

/// Splits a text into its instructions: comments go, continued lines are joined.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, String> {
    let mut all: Vec<Line> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix('#') {
            let directive = comment.trim().to_ascii_lowercase();
            if all.is_empty() && directive.starts_with("escape=") && directive != "escape=\\" {
                return Err(format!(
                    "line {number}: this cluster knows no other escape than \\"
                ));
            }
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        let (number, mut whole) = open.take().unwrap_or((number, String::new()));
        match trimmed.strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                open = Some((number, whole));
            }
            None => {
                whole.push_str(trimmed);
                all.push(split(number, &whole)?);
            }
        }
    }
    if let Some((number, whole)) = open {
        all.push(split(number, &whole)?);
    }
    Ok(all)
}

fn split(number: usize, text: &str) -> Result<Line, String> {
    let text = text.trim();
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if rest.contains("<<") {
        return Err(format!(
            "line {number}: this cluster does not build Dockerfiles with here-documents"
        ));
    }
    Ok(Line {
        number,
        name: name.to_ascii_uppercase(),
        rest: rest.trim().to_owned(),
    })
}

impl Line {
    /// Reads it; `variables` are those that were set before.
    pub(super) fn read(&self, variables: &BTreeMap<String, String>) -> Result<Instruction, String> {
        let fail = |why: &str| format!("line {}: {} {why}", self.number, self.name);
        let bare = |text: &str| expand(text, variables);
        let expand = |text: &str| bare(text).map_err(|why| fail(&why));
        if self.rest.is_empty() {
            return Err(fail("says nothing"));
        }
        let no_options = || match self.rest.starts_with("--") {
            true => Err(fail("with options is not built by this cluster")),
            false => Ok(()),
        };
        Ok(match self.name.as_str() {
            "FROM" => {
                no_options()?;
                let mut words = self.rest.split_whitespace();
                Instruction::From(words.next().unwrap_or_default().to_owned())
            }
            "COPY" => {
                no_options()?;
                let mut words = match exec_form(&self.rest) {
                    Some(words) => words,
                    None => words(&self.rest).map_err(|why| fail(&why))?,
                };
                for word in &mut words {
                    *word = expand(word)?;
                }
                let to = words.pop().unwrap_or_default();
                if words.is_empty() {
                    return Err(fail("names no source or no place"));
                }
                if words.iter().any(|word| word.contains(['*', '?', '['])) {
                    return Err(fail(
                        "with a pattern is not built by this cluster: name the files",
                    ));
                }
                Instruction::Copy { from: words, to }
            }
            "ENV" => Instruction::Env(pairs(&self.rest, true, &bare).map_err(|why| fail(&why))?),
            "LABEL" => {
                Instruction::Label(pairs(&self.rest, false, &bare).map_err(|why| fail(&why))?)
            }
            "EXPOSE" => {
                let ports = self.rest.split_whitespace().map(|word| {
                    let word = expand(word)?;
                    let port = word.strip_suffix("/tcp").unwrap_or(&word);
                    port.parse()
                        .map_err(|_| fail(&format!("names {word:?}, which is no TCP port")))
                });
                Instruction::Expose(ports.collect::<Result<_, String>>()?)
            }
            "USER" => Instruction::User(expand(&self.rest)?),
            "WORKDIR" => Instruction::Workdir(expand(&self.rest)?),
            "RUN" => {
                no_options()?;
                Instruction::Run(command(&self.rest))
            }
            "CMD" => Instruction::Cmd(command(&self.rest)),
            "ENTRYPOINT" => Instruction::Entrypoint(command(&self.rest)),
            _ => return Err(fail("is not built by this cluster")),
        })
    }
}

/// A command in one of its two forms.
fn command(text: &str) -> Vec<String> {
    exec_form(text).unwrap_or_else(|| ["/bin/sh", "-c", text].map(str::to_owned).to_vec())
}

/// The words of a JSON list; none if it is no such list.
fn exec_form(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// Words, of which some may be in quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("has an open quotation mark".to_owned());
    }
    all.extend(word);
    Ok(all)
}

/// Names and values: `NAME=value …`, or in the old form `NAME value`.
fn pairs(
    text: &str,
    old_form: bool,
    expand: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if old_form && !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| "names no value".to_owned())?;
        return Ok(vec![(name.to_owned(), expand(value.trim())?)]);
    }
    words(text)?
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), expand(value)?)),
            _ => Err(format!("has {word:?}, which is no NAME=value")),
        })
        .collect()
}

/// Puts the values of variables where they are named, `$NAME` or `${NAME}`; others are empty.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = match rest.strip_prefix('{') {
            Some(inside) => {
                let (name, after) = inside
                    .split_once('}')
                    .ok_or_else(|| "has an open brace".to_owned())?;
                rest = after;
                name
            }
            None => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let name = &rest[..end];
                rest = &rest[end..];
                name
            }
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!(
                "has ${{{name}}}, which this cluster does not expand"
            ));
        }
        done.push_str(variables.get(name).map_or("", String::as_str));
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Instruction, String>> {
        let variables = BTreeMap::from([("HOME".to_owned(), "/srv/app".to_owned())]);
        lines(text)
            .unwrap()
            .iter()
            .map(|line| line.read(&variables))
            .collect()
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn instructions_are_read() {
        let text = r#"
# comment
FROM openshifter.test/shell:1 AS only
env A=b C="d e" H=$HOME/x
ENV OLD a value
COPY one.txt "two words.txt" ${HOME}/
RUN touch a && \
    # between
    touch b
CMD ["sleep", "10"]
ENTRYPOINT exec sleep 10
EXPOSE 8080/tcp 9000
LABEL io.test.name="x y"
"#;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            Instruction::From("openshifter.test/shell:1".to_owned()),
            Instruction::Env(vec![
                pair("A", "b"),
                pair("C", "d e"),
                pair("H", "/srv/app/x"),
            ]),
            Instruction::Env(vec![pair("OLD", "a value")]),
            Instruction::Copy {
                from: strings(&["one.txt", "two words.txt"]),
                to: "/srv/app/".to_owned(),
            },
            Instruction::Run(strings(&["/bin/sh", "-c", "touch a && touch b"])),
            Instruction::Cmd(strings(&["sleep", "10"])),
            Instruction::Entrypoint(strings(&["/bin/sh", "-c", "exec sleep 10"])),
            Instruction::Expose(vec![8080, 9000]),
            Instruction::Label(vec![pair("io.test.name", "x y")]),
        ];
        let found: Vec<Instruction> = read(text).into_iter().map(Result::unwrap).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_built_is_named() {
        let text = "VOLUME /data\nCOPY --from=build /a /b\nCOPY *.py /app\nADD x /\nENV A\nRUN --mount=type=cache true\nEXPOSE 53/udp\nENV B=${HOME:-x}\nCOPY alone\nUSER\n";
        let found: Vec<String> = read(text).into_iter().map(|one| one.unwrap_err()).collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        line 1: VOLUME is not built by this cluster
        line 2: COPY with options is not built by this cluster
        line 3: COPY with a pattern is not built by this cluster: name the files
        line 4: ADD is not built by this cluster
        line 5: ENV names no value
        line 6: RUN with options is not built by this cluster
        line 7: EXPOSE names "53/udp", which is no TCP port
        line 8: ENV has ${HOME:-x}, which this cluster does not expand
        line 9: COPY names no source or no place
        line 10: USER says nothing
        "#);
        assert!(lines("RUN <<EOF\ntrue\nEOF\n").is_err());
        assert!(lines("# escape=`\nFROM x\n").is_err());
    }
}
