//! Python sources, 2 and 3: an error-tolerant syntax tree to look at, and edits of byte spans.

mod blocks;
mod edit;
mod env;
mod fold;
mod syntax;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use blocks::keep_a_statement;
pub(crate) use edit::{Edit, applies, apply, splice};
pub use env::Access;
pub(crate) use env::{env_reads, is_name as is_env_name};
pub(crate) use fold::{Folder, Names, normal};
pub(crate) use syntax::{Py, line_at, visit};
pub(crate) use view::{Assign, Call, Import, children, enclosing_statement};
