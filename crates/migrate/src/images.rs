//! The application's images: decided about, taken from their registries into the chart, and given to the target's,
//! or copied straight from one to the other.

mod access;
mod back;
mod chosen;
mod doors;
mod elsewhere;
mod give;
mod land;
mod lead;
mod manual;
mod meter;
mod named;
mod place;
mod plan;
mod straight;
mod take;

pub use access::ImageOptions;
pub(crate) use plan::Afterwards;
pub use plan::PlannedImages;

pub(crate) use access::{OTHERWISE, hint};
pub(crate) use back::{lead, lead_back};
pub(crate) use chosen::chosen;
pub(crate) use elsewhere::{are_one, check_mapped};
pub(crate) use give::{Goal, image_of, look as look_at_target, streams};
pub(crate) use land::{Landing, not_worrying};
pub(crate) use lead::{adapt, held_builds, hold_where_present};
pub(crate) use named::NamedPlace;
pub(crate) use straight::{Onward, Straight};
pub(crate) use take::look as look_at_source;
