//! Manifests of a converted application: what it needs of a cluster, as objects, as a Helm chart and as an OpenShift Template.
//!
//! [`manifests`] is pure: it makes the objects in the order in which they are to be created, and lists the values that are not part of
//! them ([`Input`]): secrets, and what only a person knows. Where a value is missing its key is missing in the Secret or ConfigMap, so a pod
//! waits and names the key; nothing runs with a value that everybody knows. All three forms are made of the same objects:
//! [`Manifests::filled`] for plain manifests, [`Manifests::template`] with parameters, and [`Manifests::chart`] with values.
//!
//! ```
//! use openshifter_v2::manifests::{ManifestOptions, Stage, Values, manifests};
//! # let recorded = r#"{"name":"notes","builder":"python:3.12","full_builder":false,"port":8080,"runner":"openshifter-image",
//! #   "hooks":["ready","alive","verify"],"variables":[],"claim":null,"databases":[],"migration":"none","cron":[],
//! #   "redirect_to_https":true,"memory_mb":512,"scaled":false,"health":{"path":"/"},"clean_build":false}"#;
//! # let needs: openshifter_v2::Needs = serde_json::from_str(recorded)?;
//! let manifests = manifests(&needs, &ManifestOptions::default())?;
//! let objects = manifests.filled(&Values::new())?;
//! assert_eq!(objects[0].stage, Stage::Build);
//! assert_eq!(objects[0].object["kind"], "ImageStream");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod application;
mod build;
mod chart;
mod cron;
mod database;
mod draft;
mod environment;
mod live;
mod model;
mod options;
mod plain;
mod pods;
mod template;
mod values;
mod workload;
mod yaml;

pub use model::{Input, InputValue, Manifest, Manifests, Place, Stage};
pub use options::{BuildSource, ManifestOptions, Workload};
pub use values::Values;

use draft::Draft;

use crate::{Needs, V2Error};

/// Makes the manifests of a converted application.
///
/// # Errors
/// When a claim would hide files of the application, an option makes no sense, or names would clash.
pub fn manifests(needs: &Needs, options: &ManifestOptions) -> Result<Manifests, V2Error> {
    options.check(needs)?;
    if let Some(claim) = &needs.claim
        && !claim.hides.is_empty()
    {
        return Err(V2Error::ClaimHides {
            mount_path: claim.mount_path.clone(),
            files: claim.hides.clone(),
        });
    }
    let mut draft = Draft::new(needs, options);
    build::add(&mut draft);
    let env = environment::add(&mut draft);
    database::add(&mut draft);
    application::add(&mut draft, &env);
    cron::add(&mut draft, &env);
    Ok(draft.finish())
}
