//! `--images`: what the user wants done with which image.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{ImageReference, ImagesError};

/// What is done with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "decision")]
pub enum Decision {
    /// Its bytes are copied.
    Copy,
    /// The target builds it again.
    Rebuild,
    /// The target pulls it from where it is.
    External,
    /// Another image takes its place.
    Map {
        /// That one.
        to: ImageReference,
    },
}

/// One choice: a decision for the images whose name fits a pattern, or for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// As it was given.
    pub(crate) text: String,
    action: Action,
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Copy,
    Rebuild,
    External,
    /// What `*` stood for in the pattern takes the place of `*` in here.
    Map(String),
}

/// What the user chose, in the order in which it was given; the last choice that fits an image holds.
///
/// Each is `copy`, `rebuild` or `external`, for all images or followed by a pattern, or `map OLD=NEW`. Between the word
/// and the rest is a space or a colon. A pattern is the whole name of an image, or of its tag, in which `*` stands
/// for anything and `?` for one character; in NEW, each `*` stands for what it stood for in OLD.
///
/// ```
/// use openshifter_images::Choices;
/// let choices = Choices::parse(["copy", "external quay.io/*", "map docker.io/library/*=mirror.example.com/hub/*"])?;
/// assert!(!choices.is_empty());
/// # Ok::<(), openshifter_images::ImagesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices(pub(crate) Vec<Choice>);

impl Choices {
    /// Reads choices, each as one argument gives it.
    ///
    /// # Errors
    /// When one says nothing that is known.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, ImagesError> {
        texts
            .into_iter()
            .map(|text| choice(text.as_ref().trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The choices as they were given.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|choice| choice.text.clone()).collect()
    }

    /// What was chosen for an image that is called all these names, with the choice's text. A choice for all images is
    /// left out where it makes no sense.
    ///
    /// # Errors
    /// When what an image is mapped to cannot be one.
    pub fn choose(
        &self,
        names: &BTreeSet<String>,
        makes_sense: impl Fn(&Decision) -> bool,
    ) -> Result<Option<(Decision, String)>, ImagesError> {
        let mut chosen = None;
        for choice in &self.0 {
            if let Some(decision) = choice.decide(names)?
                && (!choice.is_for_all() || makes_sense(&decision))
            {
                chosen = Some((decision, choice.text.clone()));
            }
        }
        Ok(chosen)
    }

    /// The choices that fit none of these images, each with all that it is called: mistyped, perhaps.
    ///
    /// # Errors
    /// When what an image is mapped to cannot be one.
    pub fn unused(&self, images: &[BTreeSet<String>]) -> Result<Vec<String>, ImagesError> {
        let mut unused = Vec::new();
        for choice in &self.0 {
            let mut fits = choice.is_for_all();
            for names in images {
                fits |= choice.decide(names)?.is_some();
            }
            if !fits {
                unused.push(choice.text.clone());
            }
        }
        Ok(unused)
    }
}

impl Decision {
    /// What an image is to be by it: `copied`, as in "it is to be copied".
    pub fn participle(&self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Rebuild => "rebuilt",
            Self::External => "left where it is",
            Self::Map { .. } => "mapped",
        }
    }

    /// The decision as `--images` names it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Rebuild => "rebuild",
            Self::External => "external",
            Self::Map { .. } => "map",
        }
    }
}

fn choice(text: &str) -> Result<Choice, ImagesError> {
    let fail = |reason: &str| ImagesError::BadChoice {
        text: crate::words::shortened(text, 200),
        reason: reason.to_owned(),
    };
    let (word, rest) = match text.find([' ', '\t', ':']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let pattern = |text: &str| (!text.is_empty()).then(|| Pattern::new(text));
    let (action, pattern) = match word {
        "copy" => (Action::Copy, pattern(rest)),
        "rebuild" => (Action::Rebuild, pattern(rest)),
        "external" => (Action::External, pattern(rest)),
        "map" => {
            let (old, new) = rest
                .split_once('=')
                .map(|(old, new)| (old.trim(), new.trim()))
                .filter(|(old, new)| !old.is_empty() && !new.is_empty())
                .ok_or_else(|| fail("it has to be `map OLD=NEW`"))?;
            let stars = |text: &str| text.matches('*').count();
            if stars(new) > stars(old) {
                return Err(fail("NEW has more `*` than OLD"));
            }
            if stars(new) == 0 {
                new.parse::<ImageReference>()?;
            }
            (Action::Map(new.to_owned()), Some(Pattern::new(old)))
        }
        _ => {
            return Err(fail(
                "it has to begin with `copy`, `rebuild`, `external` or `map`",
            ));
        }
    };
    Ok(Choice {
        text: text.to_owned(),
        action,
        pattern,
    })
}

impl Choice {
    /// Whether this choice is for all images.
    pub(crate) fn is_for_all(&self) -> bool {
        self.pattern.is_none()
    }

    /// Whether it asks for something to be built again.
    pub(crate) fn is_rebuild(&self) -> bool {
        self.action == Action::Rebuild
    }

    /// The decision for an image of these names; `None` when it is about others.
    ///
    /// # Errors
    /// When what an image is mapped to cannot be one.
    pub(crate) fn decide<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<Decision>, ImagesError> {
        let stood_for = match &self.pattern {
            None => Vec::new(),
            Some(pattern) => match names.into_iter().find_map(|name| pattern.matches(name)) {
                Some(stood_for) => stood_for,
                None => return Ok(None),
            },
        };
        Ok(Some(match &self.action {
            Action::Copy => Decision::Copy,
            Action::Rebuild => Decision::Rebuild,
            Action::External => Decision::External,
            Action::Map(new) => {
                let mut pieces = new.split('*');
                let mut text = pieces.next().unwrap_or_default().to_owned();
                for (piece, part) in pieces.zip(stood_for) {
                    text.push_str(&part);
                    text.push_str(piece);
                }
                Decision::Map { to: text.parse()? }
            }
        }))
    }
}

/// A name in which `*` stands for anything and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<char>);

impl Pattern {
    fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// What each `*` stands for, when the name fits. The first ones stand for as little as they can.
    fn matches(&self, name: &str) -> Option<Vec<String>> {
        let name: Vec<char> = name.chars().collect();
        let pattern = &self.0;
        // For each `*` of the pattern so far: where in the pattern it is, and which part of the name it stands for.
        let mut stars: Vec<(usize, usize, usize)> = Vec::new();
        let (mut at, mut p) = (0, 0);
        loop {
            if p < pattern.len() && pattern[p] == '*' {
                stars.push((p, at, at));
                p += 1;
            } else if at < name.len()
                && p < pattern.len()
                && (pattern[p] == '?' || pattern[p] == name[at])
            {
                at += 1;
                p += 1;
            } else if at == name.len() && p == pattern.len() {
                return Some(
                    stars
                        .iter()
                        .map(|(_, from, to)| name[*from..*to].iter().collect())
                        .collect(),
                );
            } else {
                // Only the last `*` needs to take more: an earlier one would only bring the same again.
                let (star, _, to) = stars.last_mut()?;
                if *to == name.len() {
                    return None;
                }
                *to += 1;
                at = *to;
                p = *star + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(choice: &str, name: &str) -> String {
        let choices = match Choices::parse([choice]) {
            Ok(choices) => choices,
            Err(error) => return error.to_string(),
        };
        match choices.0[0].decide([&name.to_owned()]) {
            Ok(Some(Decision::Map { to })) => format!("map {to}"),
            Ok(Some(decision)) => format!("{decision:?}"),
            Ok(None) => "-".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_image_has_the_last_choice_that_fits_and_what_fits_none_is_told() {
        let names = |name: &str| BTreeSet::from([name.to_owned()]);
        let choices =
            Choices::parse(["external", "copy shop/*", "rebuild:shop/api:1", "map x=y"]).unwrap();
        let chosen = |name: &str, for_all: bool| {
            let chosen = choices.choose(&names(name), |_| for_all).unwrap();
            chosen.map(|(decision, text)| format!("{} ({text})", decision.word()))
        };
        assert_eq!(
            chosen("shop/web:1", true).as_deref(),
            Some("copy (copy shop/*)")
        );
        assert_eq!(
            chosen("shop/api:1", true).as_deref(),
            Some("rebuild (rebuild:shop/api:1)")
        );
        assert_eq!(
            chosen("quay.io/a:1", true).as_deref(),
            Some("external (external)")
        );
        assert_eq!(chosen("quay.io/a:1", false), None);
        let unused = choices.unused(&[names("shop/web:1"), names("shop/api:1")]);
        assert_eq!(unused.unwrap(), ["map x=y"]);
    }

    #[test]
    fn choices_fit_by_pattern() {
        for (choice, name, decision) in [
            ("copy", "anything", "Copy"),
            ("copy shop/*", "shop/web:latest", "Copy"),
            ("copy:shop/*", "shop/web:latest", "Copy"),
            ("rebuild shop/web:?", "shop/web:1", "Rebuild"),
            ("rebuild shop/web:?", "shop/web:12", "-"),
            ("external *", "", "External"),
            ("external quay.io/*:1", "quay.io/a:11", "-"),
            (
                "map quay.io/a:1=mirror.local/b:2",
                "quay.io/a:1",
                "map mirror.local/b:2",
            ),
            (
                "map quay.io/*:*=mirror.local/q/*:*",
                "quay.io/a/b:7",
                "map mirror.local/q/a/b:7",
            ),
            (
                "map *=mirror.local/a b",
                "x",
                "`mirror.local/a b` is no image: its repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them",
            ),
        ] {
            assert_eq!(decide(choice, name), decision, "{choice} {name}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        insta::assert_snapshot!(["keep", "map a", "map a*=b*/*", "map =b", ""].map(|text| decide(text, "x")).join("\n"), @r"
        `keep` says nothing about images: it has to begin with `copy`, `rebuild`, `external` or `map`
        `map a` says nothing about images: it has to be `map OLD=NEW`
        `map a*=b*/*` says nothing about images: NEW has more `*` than OLD
        `map =b` says nothing about images: it has to be `map OLD=NEW`
        `` says nothing about images: it has to begin with `copy`, `rebuild`, `external` or `map`
        ");
    }

    proptest::proptest! {
        /// The parts that the stars stand for, put back in their places, make the name.
        #[test]
        fn a_pattern_takes_names_apart(parts in proptest::collection::vec("[a-c]{0,3}", 1..5), fixed in "[a-c]{0,2}") {
            let name = parts.join(&fixed);
            let pattern = vec!["*"; parts.len()].join(&fixed);
            let stood = Pattern::new(&pattern).matches(&name).unwrap();
            proptest::prop_assert_eq!(stood.join(&fixed), name);
        }
    }
}
