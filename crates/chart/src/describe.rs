//! A chart for people, and the definitions that it brings along.

use std::fmt::Write as _;

use openshifter_objects::{Object, counted};
use serde_json::Value;

use crate::{Chart, ChartError, Manifest};

/// Limit for one definition: API servers refuse objects over 1.5 MiB, YAML adds indentation.
const MAX_CRD: u64 = 16 << 20;

/// Reads one YAML document as Kubernetes means it: octal numbers with a leading zero, no duplicate keys.
///
/// # Errors
/// When it is not YAML, or holds a key twice.
pub fn from_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options)
}

impl Chart {
    /// The CustomResourceDefinitions of the chart, as they are to be installed.
    ///
    /// # Errors
    /// When a file cannot be read or is no object.
    pub fn crds(&self) -> Result<Vec<Object>, ChartError> {
        let paths = self
            .manifest()
            .objects
            .iter()
            .filter_map(|record| record.template.as_deref());
        paths
            .filter(|path| path.starts_with("crds/"))
            .map(|path| {
                let bytes = crate::disk::read(&self.dir().join(path), MAX_CRD)?;
                let text = String::from_utf8_lossy(&bytes);
                let value = from_yaml(&text)
                    .map_err(|error| ChartError::damaged(path, format!("is no YAML ({error})")))?;
                Object::from_value(value)
                    .map_err(|error| ChartError::damaged(path, format!("is no object ({error})")))
            })
            .collect()
    }
}

impl Manifest {
    /// The ledger for a person: what is in the chart, and what is not.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "{}: exported from {}/{} at {} by openshifter {}",
            self.chart.name,
            self.chart.source_cluster,
            self.chart.source_namespace,
            self.chart.created,
            self.chart.tool_version
        )?;
        writeln!(out, "objects: {}", self.objects.len())?;
        for record in &self.objects {
            writeln!(out, "  {}", record.key)?;
        }
        writeln!(out, "volumes: {}", self.volumes.len())?;
        for volume in &self.volumes {
            writeln!(
                out,
                "  {}: {}, {}, sha256 {}",
                volume.claim,
                counted(volume.files, "file"),
                counted(volume.bytes, "byte"),
                volume.tree
            )?;
        }
        if !self.images.is_empty() {
            writeln!(out, "images: {}", self.images.len())?;
        }
        for image in &self.images {
            write!(out, "  {}: {}", image.name, image.decision)?;
            if let Some(to) = &image.to {
                write!(out, " to {to}")?;
            }
            match &image.digest {
                Some(digest) if image.included => {
                    writeln!(out, ", {} bytes, {digest}", image.bytes)?;
                }
                Some(digest) if image.comes_along() => writeln!(
                    out,
                    ", not in the chart: its migration copies it straight from the source's registry, {digest}"
                )?,
                _ => writeln!(out)?,
            }
        }
        if !self.left_out.is_empty() {
            writeln!(out, "left out:")?;
        }
        for left in &self.left_out {
            writeln!(out, "  {}: {}", left.key, left.reason)?;
        }
        for unlisted in &self.unlisted {
            writeln!(
                out,
                "not listed: {}: {}",
                unlisted.resource, unlisted.reason
            )?;
        }
        for loss in &self.losses {
            writeln!(out, "missing: {loss}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_that_went_straight_is_said_not_to_be_in_the_chart() {
        let image = |text: &str| {
            serde_json::from_value(json!({"name": text, "origin": "o", "decision": "copy",
            "digest": "sha256:00", "bytes": 7, "included": text == "a", "straightFrom": (text == "b").then_some("shop/b")}))
        };
        let manifest = Manifest {
            format: 1,
            chart: crate::ChartMeta::new("shop"),
            totals: crate::Totals::default(),
            objects: Vec::new(),
            volumes: Vec::new(),
            skipped: Vec::new(),
            images: ["a", "b"].map(|name| image(name).unwrap()).into(),
            left_out: Vec::new(),
            unlisted: Vec::new(),
            losses: Vec::new(),
            files: Vec::new(),
        };
        let text = manifest.text();
        let images = text
            .lines()
            .filter(|line| line.contains(": copy"))
            .collect::<Vec<_>>();
        insta::assert_snapshot!(images.join("\n"), @r"
        a: copy, 7 bytes, sha256:00
        b: copy, not in the chart: its migration copies it straight from the source's registry, sha256:00
        ");
        let readme = crate::readme::readme(&manifest, "shop");
        let (_, images) = readme.split_once("\n## Images\n").unwrap();
        let (_, images) = images.split_once("| --- | --- |").unwrap();
        let (images, _) = images.split_once("\n## Objects").unwrap();
        insta::assert_snapshot!(images.trim(), @r"
        | a | sha256:00 |

        ## Images that are not in the chart

        The migration that wrote this chart copies them straight from the source's registry into the target's.

        | name | digest |
        | --- | --- |
        | b | sha256:00 |
        ");
    }

    #[test]
    fn yaml_means_what_kubernetes_means() {
        assert_eq!(
            from_yaml("mode: 0644\nname: \"yes\"\n").unwrap(),
            json!({"mode": 420, "name": "yes"})
        );
        assert!(from_yaml("a: 1\na: 2\n").is_err());
    }
}
