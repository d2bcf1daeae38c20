//! Images that the Dockerfile within a BuildConfig names: what its stages start from, and what they copy files of.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use crate::Object;

/// Where a BuildConfig holds a Dockerfile.
const PLACE: &str = "/spec/source/dockerfile";

/// An image that the Dockerfile of a BuildConfig names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineImage {
    /// Where: below the pointer of the Dockerfile, the number of the image in it, as in `/spec/source/dockerfile/0`.
    pub place: String,
    /// The image, build arguments put in.
    pub image: String,
    /// Where its name is written.
    at: Range<usize>,
}

/// The images that the Dockerfile within a BuildConfig names: not `scratch`, nor earlier stages, nor what another image
/// takes the place of by `dockerStrategy.from`, nor what an argument names that has no value.
///
/// ```
/// use openshifter_objects::{Object, inline_images};
/// let config = Object::from_value(serde_json::json!({
///     "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
///     "spec": {"source": {"dockerfile": "FROM quay.io/base:1\nRUN make"}, "strategy": {"dockerStrategy": {}}},
/// }))?;
/// assert_eq!(inline_images(&config)[0].image, "quay.io/base:1");
/// # Ok::<(), openshifter_objects::ObjectError>(())
/// ```
pub fn inline_images(config: &Object) -> Vec<InlineImage> {
    let spec = &config.value()["spec"];
    let strategy = &spec["strategy"]["dockerStrategy"];
    let Some(text) = spec["source"]["dockerfile"]
        .as_str()
        .filter(|_| config.is("build.openshift.io", "BuildConfig") && strategy.is_object())
    else {
        return Vec::new();
    };
    let given = strategy["buildArgs"].as_array().into_iter().flatten();
    let given: BTreeMap<&str, &str> = given
        .filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)))
        .collect();
    let mut named = named(text, &given);
    if strategy["from"].is_object()
        && let Some(last) = named.iter_mut().rfind(|one| one.starts_stage)
    {
        last.image = None;
    }
    named
        .into_iter()
        .enumerate()
        .filter_map(|(index, one)| {
            Some(InlineImage {
                place: format!("{PLACE}/{index}"),
                image: one.image?,
                at: one.at,
            })
        })
        .collect()
}

/// Writes another image in the place of one that the Dockerfile within a BuildConfig names. Says whether there is one.
pub fn set_inline_image(config: &mut Object, place: &str, image: &str) -> bool {
    let Some(found) = inline_images(config)
        .into_iter()
        .find(|one| one.place == place)
    else {
        return false;
    };
    match config.value_mut().pointer_mut(PLACE) {
        Some(Value::String(text)) => text.replace_range(found.at, image),
        _ => return false,
    }
    true
}

/// A place of a Dockerfile where an image or a stage is named.
struct Named {
    at: Range<usize>,
    /// Whether it is what a stage starts from.
    starts_stage: bool,
    /// `None` where it is no image, or nothing tells which.
    image: Option<String>,
}

fn named(text: &str, given: &BTreeMap<&str, &str>) -> Vec<Named> {
    let mut named: Vec<Named> = Vec::new();
    let mut stages: Vec<String> = Vec::new();
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut begun = false;
    for words in instructions(text) {
        let mut words = words.into_iter();
        let Some(instruction) = words.next() else {
            continue;
        };
        let instruction = text[instruction].to_ascii_uppercase();
        match instruction.as_str() {
            // What is declared within a stage names no image to start from.
            "ARG" if !begun => {
                for word in words {
                    let (name, default) = match text[word.clone()].split_once('=') {
                        Some((name, default)) => (name, Some(unquoted(default))),
                        None => (&text[word], None),
                    };
                    let value = match given.get(name) {
                        Some(given) => Some((*given).to_owned()),
                        None => default.and_then(|default| expanded(default, &arguments)),
                    };
                    if let Some(value) = value {
                        arguments.insert(name.to_owned(), value);
                    }
                }
            }
            "FROM" => {
                begun = true;
                let mut words = words.filter(|word| !text[word.clone()].starts_with("--"));
                let Some(at) = words.next().map(|word| within_quotes(text, word)) else {
                    continue;
                };
                let image = expanded(&text[at.clone()], &arguments);
                named.push(Named {
                    image: image.filter(|image| is_image(image, &stages)),
                    at,
                    starts_stage: true,
                });
                // `AS name`
                let name = words.nth(1).map(|word| text[word].to_ascii_lowercase());
                stages.push(name.unwrap_or_default());
            }
            "COPY" | "ADD" => {
                const FLAG: &str = "--from=";
                let from = words
                    .take_while(|word| text[word.clone()].starts_with("--"))
                    .find(|word| text[word.clone()].starts_with(FLAG));
                let Some(word) = from else { continue };
                let at = within_quotes(text, word.start + FLAG.len()..word.end);
                let source = text[at.clone()].to_owned();
                let is_number = source.bytes().all(|byte| byte.is_ascii_digit());
                named.push(Named {
                    // No argument counts here.
                    image: Some(source).filter(|source| {
                        !is_number && !source.contains('$') && is_image(source, &stages)
                    }),
                    at,
                    starts_stage: false,
                });
            }
            _ => {}
        }
    }
    named
}

fn is_image(name: &str, stages: &[String]) -> bool {
    name != "scratch" && !stages.contains(&name.to_ascii_lowercase())
}

/// The words of each instruction, by where they are.
fn instructions(text: &str) -> Vec<Vec<Range<usize>>> {
    let mut all = Vec::new();
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut escape = '\\';
    let mut waiting: Vec<String> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let bare = line.trim();
        // A document within an instruction is no instruction.
        if let Some(end) = waiting.first() {
            if bare == end {
                waiting.remove(0);
            }
            continue;
        }
        if let Some(comment) = bare.strip_prefix('#') {
            if let Some(("escape", "`")) = comment
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
                && all.is_empty()
            {
                escape = '`';
            }
            continue;
        }
        if bare.is_empty() {
            continue;
        }
        let content = line.trim_end();
        let goes_on = content.ends_with(escape);
        let content = content.strip_suffix(escape).unwrap_or(content);
        let mut end = 0;
        for word in content.split_whitespace() {
            let begin = content
                .get(end..)
                .and_then(|rest| rest.find(word))
                .map_or(end, |found| end + found);
            end = begin + word.len();
            words.push(at + begin..at + end);
            if let Some(document) = word.strip_prefix("<<") {
                let name = document.trim_start_matches('-').trim_matches(['"', '\'']);
                if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    waiting.push(name.to_owned());
                }
            }
        }
        if !goes_on && !words.is_empty() {
            all.push(std::mem::take(&mut words));
        }
    }
    if !words.is_empty() {
        all.push(words);
    }
    all
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(text)
}

fn within_quotes(text: &str, word: Range<usize>) -> Range<usize> {
    let inner = unquoted(&text[word.clone()]);
    let quotes = (word.len() - inner.len()) / 2;
    word.start + quotes..word.end - quotes
}

/// Text with `$NAME`, `${NAME}` and `${NAME:-default}` replaced; `None` where one has no value.
fn expanded(text: &str, arguments: &BTreeMap<String, String>) -> Option<String> {
    let mut pieces = text.split('$');
    let mut done = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, default, rest) = match piece.strip_prefix('{') {
            Some(braced) => {
                let (inner, rest) = braced.split_once('}')?;
                match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default), rest),
                    None => (inner, None, rest),
                }
            }
            None => {
                let end = piece
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(piece.len());
                let (name, rest) = piece.split_at(end);
                (name, None, rest)
            }
        };
        let value = arguments
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty());
        done.push_str(value.or(default)?);
        done.push_str(rest);
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(dockerfile: &str, strategy: &Value) -> Object {
        Object::from_value(json!({
            "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"source": {"type": "Dockerfile", "dockerfile": dockerfile}, "strategy": {"dockerStrategy": strategy}},
        }))
        .unwrap()
    }

    fn images(dockerfile: &str, strategy: &Value) -> Vec<String> {
        inline_images(&config(dockerfile, strategy))
            .into_iter()
            .map(|one| one.image)
            .collect()
    }

    const STAGES: &str = "# syntax=docker/dockerfile:1\n\
        ARG REGISTRY=\"quay.io\"\nARG TAG\n\
        from --platform=linux/amd64 \\\n  # the compiler\n  ${REGISTRY}/go:${TAG:-1} AS build\n\
        RUN <<END\nFROM nowhere\nEND\n\
        RUN echo FROM nothing && \\\n  FROM=no\n\
        FROM scratch AS files\nCOPY --from=build /a /a\n\
        FROM build AS tests\n\
        FROM 'registry.local:5000/shop/base:1'\n\
        COPY --chown=1 --from=files / /\nCOPY --from=0 / /\nCOPY --from=quay.io/tools:2 /t /t\n";

    #[test]
    fn every_stage_names_what_it_starts_from() {
        assert_eq!(
            images(STAGES, &json!({})),
            [
                "quay.io/go:1",
                "registry.local:5000/shop/base:1",
                "quay.io/tools:2"
            ]
        );
        let arguments =
            json!({"buildArgs": [{"name": "TAG", "value": "2"}, {"name": "OTHER", "value": "x"}]});
        assert_eq!(images(STAGES, &arguments)[0], "quay.io/go:2");
        // The strategy's image takes the place of the last stage's.
        let from = json!({"from": {"kind": "ImageStreamTag", "name": "base:1"}});
        assert_eq!(images(STAGES, &from), ["quay.io/go:1", "quay.io/tools:2"]);
        assert!(images("FROM $UNKNOWN", &json!({})).is_empty());
        assert_eq!(
            images("# escape=`\r\nFROM `\r\n  a/b:1\r\n", &json!({})),
            ["a/b:1"]
        );
        // Another strategy does not read it.
        let mut source = config("FROM a", &json!({}));
        source.value_mut()["spec"]["strategy"] = json!({"sourceStrategy": {}});
        assert!(inline_images(&source).is_empty());
    }

    #[test]
    fn another_image_is_written_in_its_place_and_nowhere_else() {
        let mut config = config(STAGES, &json!({}));
        for one in inline_images(&config) {
            assert!(set_inline_image(
                &mut config,
                &one.place,
                &format!("new/{}", one.image)
            ));
        }
        let text = config.value()["spec"]["source"]["dockerfile"].as_str();
        let expected = STAGES
            .replace("${REGISTRY}/go:${TAG:-1}", "new/quay.io/go:1")
            .replace("'registry", "'new/registry")
            .replace("=quay.io/tools", "=new/quay.io/tools");
        assert_eq!(text, Some(expected.as_str()));
        assert!(!set_inline_image(
            &mut config,
            "/spec/source/dockerfile/99",
            "x"
        ));
        assert!(!set_inline_image(&mut config, "/spec/output/to/name", "x"));
    }
}
