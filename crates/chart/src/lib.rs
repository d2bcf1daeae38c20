//! The fat chart: an application's objects as a helm chart, with the data of its volumes.
//!
//! A chart is a folder that `helm` accepts as it is. [`ChartBuilder`] makes one, whole or not at all;
//! [`Chart`] reads and verifies one; [`pack`] and [`unpack`] are its archive form. Charts of the 2019
//! prototype are read too.
//!
//! ```
//! use openshifter_chart::{Chart, ChartBuilder, ChartMeta, Content};
//! use openshifter_objects::Object;
//!
//! let spool = tempfile::tempdir()?;
//! let service = Object::parse(br#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"}}"#)?;
//! let builder = ChartBuilder::create(spool.path().join("shop"), ChartMeta::new("shop"))?;
//! let chart = builder.finish(Content {
//!     raw: &[service.clone()],
//!     prepared: &[service],
//!     ..Content::default()
//! })?;
//! assert_eq!(chart.verify()?.objects, 1);
//! assert!(chart.dir().join("templates/service-web.yaml").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod builder;
mod chart;
mod describe;
mod disk;
mod error;
mod legacy;
mod manifest;
mod meta;
mod names;
mod readme;
mod schema;
mod template;
mod unpack;
mod verify;
mod yaml;

pub use archive::{Packed, pack, pack_to_file};
pub use builder::{ChartBuilder, Content, VolumeNote};
pub use chart::Chart;
pub use describe::from_yaml;
pub use error::ChartError;
pub use legacy::LegacyVolume;
pub use manifest::{
    FileRecord, ImageFollower, ImagePlace, ImageRecord, ImageTag, Manifest, ObjectRecord, Totals,
    VolumeHelper, VolumeRecord,
};
pub use meta::ChartMeta;
pub use unpack::{UnpackLimits, unpack};
pub use verify::VerifyReport;
