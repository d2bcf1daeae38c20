//! What an import makes of the images of a chart: what was decided at the export, unless something else is chosen now.

use std::collections::BTreeSet;

use openshifter_chart::ImageRecord;
use openshifter_images::Decision;

use super::ImageOptions;
use crate::MigrateError;

/// The images of a chart with the decisions that hold for this import. Those that are still to be copied come along.
///
/// # Errors
/// When a choice fits no image, or cannot be done with what the chart has.
pub(crate) fn chosen(
    records: &[ImageRecord],
    options: &ImageOptions,
) -> Result<Vec<ImageRecord>, MigrateError> {
    let choices = &options.choices;
    let names: Vec<BTreeSet<String>> = records
        .iter()
        .map(|record| record.names.iter().cloned().collect())
        .collect();
    if let Some(choice) = choices.unused(&names)?.into_iter().next() {
        return Err(MigrateError::UnusedChoice {
            choice,
            images: records
                .iter()
                .map(|record| record.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        });
    }
    records
        .iter()
        .zip(&names)
        .map(|(record, names)| {
            let decided = choices.choose(names, |decision| match decision {
                Decision::Copy => record.comes_along(),
                Decision::Rebuild => record.rebuildable,
                Decision::External => !record.internal,
                Decision::Map { .. } => true,
            })?;
            let record = match decided {
                None => record.clone(),
                Some((decision, _)) => decide(record, &decision)?,
            };
            let insecure = record.insecure || options.is_insecure(record.to.as_deref());
            Ok(ImageRecord { insecure, ..record })
        })
        .collect()
}

fn decide(record: &ImageRecord, decision: &Decision) -> Result<ImageRecord, MigrateError> {
    let refuse = |reason: &str| {
        Err(MigrateError::NotPossible(format!(
            "image {}: {reason}",
            record.name
        )))
    };
    let changed = ImageRecord {
        decision: decision.word().to_owned(),
        to: None,
        insecure: false,
        ..record.clone()
    };
    // Any other decision than a copy.
    let left = || ImageRecord {
        included: false,
        straight_from: None,
        ..changed.clone()
    };
    match decision {
        Decision::Copy if record.comes_along() => Ok(changed),
        Decision::Copy => refuse(
            "it is not in the chart; export it again with `--images 'copy …'`, or map it to an image that the target can pull",
        ),
        Decision::Rebuild if record.rebuildable => Ok(left()),
        Decision::Rebuild => {
            refuse("no BuildConfig of the chart makes it from a source that the target can have")
        }
        Decision::External => Ok(ImageRecord {
            to: record.to.clone().filter(|_| record.decision == "external"),
            insecure: record.insecure && record.decision == "external",
            ..left()
        }),
        Decision::Map { to } => Ok(ImageRecord {
            to: Some(to.to_string()),
            tags: match &record.spare {
                Some(spare) if record.tags.is_empty() => vec![spare.clone()],
                _ => record.tags.clone(),
            },
            ..left()
        }),
    }
}

#[cfg(test)]
mod tests {
    use openshifter_images::Choices;

    use super::*;

    fn record(name: &str, included: bool, rebuildable: bool) -> ImageRecord {
        ImageRecord {
            name: name.to_owned(),
            decision: "copy".to_owned(),
            names: vec![name.to_owned()],
            internal: true,
            included,
            rebuildable,
            ..ImageRecord::default()
        }
    }

    fn shown(choices: &[&str]) -> String {
        let records = [
            record("shop/web:1", true, false),
            record("shop/api:1", true, true),
            record("shop/gone:1", false, false),
            ImageRecord {
                straight_from: Some("shop/far".to_owned()),
                ..record("shop/far:1", false, false)
            },
        ];
        let options = ImageOptions {
            choices: Choices::parse(choices).unwrap(),
            ..ImageOptions::default()
        };
        match chosen(&records, &options) {
            Ok(records) => records
                .iter()
                .map(|record| {
                    format!(
                        "{} {} {}",
                        record.decision,
                        record.comes_along(),
                        record.to.as_deref().unwrap_or("-")
                    )
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_import_may_decide_otherwise_where_the_chart_allows_it() {
        let all = [
            shown(&[]),
            shown(&["rebuild"]),
            shown(&["map shop/*:1=quay.io/me/*:2"]),
            shown(&["copy shop/gone:1"]),
            shown(&["copy shop/far:1"]),
            shown(&["rebuild shop/web:1"]),
            shown(&["external other"]),
        ]
        .join("\n");
        insta::assert_snapshot!(all, @r"
        copy true -, copy true -, copy false -, copy true -
        copy true -, rebuild false -, copy false -, copy true -
        map false quay.io/me/web:2, map false quay.io/me/api:2, map false quay.io/me/gone:2, map false quay.io/me/far:2
        image shop/gone:1: it is not in the chart; export it again with `--images 'copy …'`, or map it to an image that the target can pull
        copy true -, copy true -, copy false -, copy true -
        image shop/web:1: no BuildConfig of the chart makes it from a source that the target can have
        `--images external other` fits no image of the application; there are shop/web:1, shop/api:1, shop/gone:1, shop/far:1
        ");
    }
}
