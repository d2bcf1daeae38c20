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
    fn yaml_means_what_kubernetes_means() {
        assert_eq!(
            from_yaml("mode: 0644\nname: \"yes\"\n").unwrap(),
            json!({"mode": 420, "name": "yes"})
        );
        assert!(from_yaml("a: 1\na: 2\n").is_err());
    }
}
