//! Rules that look at the tree as a whole.

mod absolute_paths;
mod conversion_left;
mod cron;
mod data_tracked;
mod entry_point;
mod files_unreadable;
pub(crate) mod hooks;
pub(crate) mod htaccess;
pub(crate) mod links;
mod markers;
mod media;
mod platform_tools;
pub(crate) mod requirements;
pub(crate) mod secrets_file;
mod settings_differ;
mod setup_py;
mod static_alias;
mod template_tags;
mod template_urls;
pub(crate) mod variables;
mod web_server;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &files_unreadable::RULE,
    &links::RULE,
    &entry_point::RULE,
    &web_server::RULE,
    &static_alias::RULE,
    &setup_py::RULE,
    &requirements::RULE,
    &variables::RULE,
    &data_tracked::RULE,
    &secrets_file::RULE,
    &settings_differ::RULE,
    &media::RULE,
    &template_tags::RULE,
    &template_urls::RULE,
    &hooks::RULE,
    &cron::RULE,
    &markers::RULE,
    &htaccess::RULE,
    &absolute_paths::RULE,
    &platform_tools::RULE,
    &conversion_left::RULE,
];
