//! Rules that look at one Python file.

mod activate_this;
mod admin_include;
mod allowed_hosts;
mod assignment_tag;
mod auto_field;
mod context_processors;
mod database_engine;
mod database_service;
mod database_socket;
mod distutils;
mod elements;
mod execute_manager;
mod has_key;
mod imp_module;
mod include_namespace;
mod is_ajax;
mod log_files;
mod logging_console;
mod middleware_setting;
mod mimetype;
mod model_form_fields;
mod moved_names;
mod on_delete;
mod openshift_secure;
mod proxy_header;
mod python2_syntax;
mod python2_unicode;
mod removed_apps;
mod removed_classes;
mod removed_fields;
mod removed_names;
mod secret_key;
mod sqlite_place;
mod static_root;
pub(crate) mod stdlib_shadow;
mod syntax_error;
mod templates_setting;
mod time_zone;
mod url_functions;
mod wsgi_handler;

use super::Rule;

/// In the order in which texts at the end of a file follow each other.
pub(super) const RULES: &[&Rule] = &[
    &syntax_error::RULE,
    &python2_syntax::RULE,
    &stdlib_shadow::RULE,
    &distutils::RULE,
    &activate_this::RULE,
    &execute_manager::RULE,
    &imp_module::RULE,
    &has_key::RULE,
    &openshift_secure::RULE,
    &wsgi_handler::RULE,
    &allowed_hosts::RULE,
    &secret_key::RULE,
    &sqlite_place::RULE,
    &database_engine::RULE,
    &database_socket::RULE,
    &static_root::RULE,
    &middleware_setting::RULE,
    &context_processors::RULE,
    &templates_setting::RULE,
    &time_zone::RULE,
    &auto_field::RULE,
    &url_functions::RULE,
    &admin_include::RULE,
    &moved_names::RULE,
    &removed_names::RULE,
    &removed_apps::RULE,
    &removed_classes::RULE,
    &removed_fields::RULE,
    &assignment_tag::RULE,
    &mimetype::RULE,
    &is_ajax::RULE,
    &model_form_fields::RULE,
    &include_namespace::RULE,
    &python2_unicode::RULE,
    &on_delete::RULE,
    &log_files::RULE,
    &logging_console::RULE,
    &database_service::RULE,
    &proxy_header::RULE,
];
