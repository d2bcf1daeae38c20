//! Who asks, and what they may do.

pub(crate) mod access;
pub(crate) mod authenticate;
pub(crate) mod oauth;
pub(crate) mod rbac;
pub(crate) mod reviews;
pub(crate) mod tokens;
