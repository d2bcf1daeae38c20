//! Plain manifests: one document for each object.

use super::model::{Input, InputValue, Manifests};
use super::values::Values;
use super::yaml::{self, Holes};
use crate::V2Error;

impl Manifests {
    /// The objects as YAML, with a name for a file of each. A comment names the values that are missing in an object.
    ///
    /// # Errors
    /// As [`Manifests::filled`].
    pub fn plain(&self, values: &Values) -> Result<Vec<(String, String)>, V2Error> {
        let missing: Vec<&Input> = self
            .inputs
            .iter()
            .filter(|input| !matches!(input.value, InputValue::Default { .. }))
            .filter(|input| !values.has(&input.name))
            .collect();
        let objects = self.filled(values)?;
        Ok(objects
            .iter()
            .enumerate()
            .map(|(at, manifest)| {
                let mut text = String::new();
                // Elsewhere the objects are whole as they are.
                let is_configuration = matches!(manifest.kind(), "Secret" | "ConfigMap");
                for input in missing.iter().filter(|_| is_configuration) {
                    for place in input.places.iter().filter(|place| place.object == at) {
                        let key = place.pointer.rsplit('/').next().unwrap_or_default();
                        let key = key.replace("~1", "/").replace("~0", "~");
                        let must = match input.value {
                            InputValue::Optional => "may",
                            _ => "has to",
                        };
                        text.push_str(&format!(
                            "# {key} {must} be given ({}): {}.\n",
                            input.name, input.description
                        ));
                    }
                }
                text.push_str(&yaml::document(&manifest.object, &Holes::default()));
                let name = format!(
                    "{:02}-{}-{}.yaml",
                    at + 1,
                    manifest.kind().to_lowercase(),
                    manifest.name()
                );
                (name, text)
            })
            .collect())
    }
}
