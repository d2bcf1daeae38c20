//! The lossless object model: a Kubernetes or OpenShift object is JSON kept whole, looked at through
//! typed views. Nothing here does input or output.
//!
//! ```
//! use openshifter_objects::Object;
//! let object = Object::parse(br#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"}}"#)?;
//! assert_eq!(object.key().to_string(), "Service/web");
//! # Ok::<(), openshifter_objects::ObjectError>(())
//! ```

mod claims;
mod counted;
mod dockerfile;
mod image;
mod inventory;
mod key;
mod knob;
mod object;
mod places;
mod reference;
mod resource;
mod selector;

pub use claims::claims_of;
pub use counted::counted;
pub use dockerfile::{InlineImage, inline_images, set_inline_image};
pub use image::InternalImage;
pub use inventory::{Inventory, LeftOut, Unlisted};
pub use key::{GroupKind, ObjectKey, is_built_in_group};
pub use knob::{Knob, KnobError, KnobSource};
pub use object::{Object, ObjectError, OwnerReference};
pub use places::{escape, places};
pub use reference::{Reference, references};
pub use resource::ResourceType;
pub use selector::{Selector, SelectorError};
