//! Analyses and plans as text for a terminal and as a page of HTML that needs nothing beside it.

mod html;
mod text;

pub use html::html;
pub use text::{plan_text, text};
