//! Puts the facts together.

use std::collections::BTreeMap;

use super::model::{DataDir, Facts, Framework, PythonLevel};
use super::{Cartridge, cartridge, cron, dependencies, entry, hooks, project};
use crate::V2Error;
use crate::options::{DatabaseChoice, Options, is_dns_label};
use crate::tree::{Leads, Node, Tree};

/// Where the builder image keeps the application.
pub(crate) const APP_ROOT: &str = "/opt/app-root/";
/// Where its sources are. It ends in `/`, as every folder in V2's variables did.
pub(crate) const SOURCE_DIR: &str = "/opt/app-root/src/";

pub(crate) fn discover(tree: &Tree, options: &Options) -> Result<Facts, V2Error> {
    refuse_what_is_no_application(tree, options)?;
    if let Some(file) = options
        .requirements
        .as_ref()
        .filter(|file| !tree.is_file(file))
    {
        return Err(V2Error::Option {
            option: "--requirements",
            reason: format!("there is no file {file}"),
        });
    }
    let name = options.name.clone().unwrap_or_else(|| name_of(tree));
    let (cartridge, cartridge_signs) = cartridge::cartridge(tree, options);
    let is_python = cartridge == Cartridge::Python;
    let dependencies = dependencies::dependencies(tree, options);
    let entry = if is_python {
        entry::entry(tree, options)?
    } else {
        None
    };
    let mut data_dir = data_dir(tree, options);
    let environment = image_environment(&name, &data_dir);
    let mut databases = Vec::new();
    let mut found = None;
    if is_python
        && let Some(project) = project::project(
            tree,
            options,
            entry.as_ref(),
            &dependencies,
            &environment,
            &data_dir.path,
        )?
    {
        databases = project.databases;
        found = Some(project.project);
    }
    let framework = is_python.then(|| {
        if found.is_some() {
            Framework::Django
        } else if uses(tree, &dependencies, "flask") {
            Framework::Flask
        } else if uses(tree, &dependencies, "bottle") {
            Framework::Bottle
        } else {
            Framework::Wsgi
        }
    });
    if is_python && found.is_none() && options.database == DatabaseChoice::Service {
        return Err(V2Error::Option {
            option: "--database",
            reason: "`service` rewrites the settings of Django, and there are none here: leave it out, and give what the application reads its database from".to_owned(),
        });
    }
    data_dir.needed = options.database == DatabaseChoice::Keep || options.data_dir.is_some();
    let markers = markers(tree);
    let scaled = options
        .cartridges
        .iter()
        .any(|name| name.starts_with("haproxy"))
        && !markers.iter().any(|name| name == "disable_auto_scaling");
    Ok(Facts {
        cron: cron::cron(tree, &name),
        hooks: hooks::hooks(tree),
        python_files: tree
            .files()
            .filter(|(path, _)| path.ends_with(".py"))
            .count(),
        files: tree.len(),
        forces_https: forces_https(tree),
        name,
        cartridge,
        cartridge_signs,
        framework,
        entry,
        project: found,
        databases,
        markers,
        dependencies,
        python: PythonLevel::Either,
        data_dir,
        scaled,
    })
}

/// The values that V2's variables get in the image; they are set by `.s2i/environment`.
pub(crate) fn image_environment(name: &str, data_dir: &DataDir) -> BTreeMap<String, String> {
    [
        ("OPENSHIFT_REPO_DIR", SOURCE_DIR),
        ("OPENSHIFT_DATA_DIR", data_dir.path.as_str()),
        ("OPENSHIFT_TMP_DIR", "/tmp/"),
        ("OPENSHIFT_HOMEDIR", APP_ROOT),
        ("OPENSHIFT_PYTHON_DIR", APP_ROOT),
        // What the first cartridges called it.
        ("APPDIR", APP_ROOT),
        ("OPENSHIFT_LOG_DIR", "/tmp/"),
        ("OPENSHIFT_PYTHON_LOG_DIR", "/tmp/"),
        ("OPENSHIFT_APP_NAME", name),
        ("OPENSHIFT_PYTHON_IP", "0.0.0.0"),
        ("OPENSHIFT_PYTHON_PORT", "8080"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn refuse_what_is_no_application(tree: &Tree, options: &Options) -> Result<(), V2Error> {
    let root = tree.root().to_owned();
    let has_v2_folder = tree.is_folder(".openshift");
    // An application's folder within another is a second application.
    let mut roots: Vec<String> = tree
        .nodes()
        .filter_map(|(path, _)| {
            let (folder, _) = path.split_once("/.openshift/")?;
            Some(folder.to_owned())
        })
        .collect();
    roots.dedup();
    if has_v2_folder {
        roots.insert(0, ".".to_owned());
    }
    if roots.len() > 1 {
        return Err(V2Error::TwoApplications { path: root, roots });
    }
    if let [only] = roots.as_slice()
        && only != "."
    {
        return Err(V2Error::Option {
            option: "DIR",
            reason: format!("the application is in the folder {only}: name that one"),
        });
    }
    if has_v2_folder || !options.cartridges.is_empty() {
        return Ok(());
    }
    let reads = tree.files().any(|(path, file)| {
        !path.starts_with(".s2i/")
            && !is_prose(path)
            && path != "CONVERSION.md"
            && path != "app.sh"
            && file
                .content
                .as_deref()
                .is_some_and(|content| content.windows(10).any(|window| window == b"OPENSHIFT_"))
    });
    let signs: Vec<String> = [
        ".s2i/environment",
        ".s2i/bin/assemble",
        ".s2i/bin/run",
        "app.sh",
        "CONVERSION.md",
    ]
    .into_iter()
    .filter(|path| tree.is_file(path))
    .map(str::to_owned)
    .collect();
    if !signs.is_empty()
        && (!reads || tree.is_file("CONVERSION.md"))
        && !tree.is_file(crate::convert::RECORD)
    {
        return Err(V2Error::AlreadyV3 { path: root, signs });
    }
    let entry = ["wsgi/application", "app.py", "wsgi.py"]
        .iter()
        .any(|path| tree.is_file(path));
    if reads || entry || tree.is_file(crate::convert::RECORD) {
        Ok(())
    } else {
        Err(V2Error::NotV2 { path: root })
    }
}

/// Files for people: what they mention is read by nobody.
pub(crate) fn is_prose(path: &str) -> bool {
    [
        ".md",
        ".rst",
        ".txt",
        ".markdown",
        ".adoc",
        ".textile",
        ".html",
        ".htm",
    ]
    .iter()
    .any(|end| path.ends_with(end))
        || path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("README") || name.starts_with("LICENSE"))
}

/// A name that objects may have, made of the folder's.
fn name_of(tree: &Tree) -> String {
    // A converted tree remembers what it was called.
    if let Some(name) = crate::convert::recorded_name(tree) {
        return name;
    }
    let name = tree
        .root()
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let mut label: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    label.truncate(40);
    let label = label.trim_matches('-').to_owned();
    // Services refuse a name that begins with a digit.
    let label = if label.starts_with(|c: char| c.is_ascii_digit()) {
        format!("app-{label}")
    } else {
        label
    };
    if is_dns_label(&label) {
        label
    } else {
        "application".to_owned()
    }
}

fn data_dir(tree: &Tree, options: &Options) -> DataDir {
    let with_slash = |path: &str| format!("{}/", path.trim_end_matches('/'));
    if let Some(chosen) = &options.data_dir {
        return DataDir {
            path: with_slash(chosen),
            needed: true,
            why: "it was named with --data-dir".to_owned(),
        };
    }
    let tracked: Vec<&str> = tree
        .below("data")
        .filter(|(path, node)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            !matches!(node, Node::EmptyFolder)
                // It goes, and must not count the first time only.
                && !matches!(node, Node::Link(link) if link.leads == Leads::OldPlatform)
                && !matches!(name, ".gitkeep" | ".gitignore" | ".keep")
        })
        .map(|(path, _)| path)
        .take(3)
        .collect();
    if tracked.is_empty() {
        DataDir {
            path: format!("{SOURCE_DIR}data/"),
            needed: true,
            why: "the application's folder data/ holds no files that a volume would hide"
                .to_owned(),
        }
    } else {
        DataDir {
            path: format!("{APP_ROOT}data/"),
            needed: true,
            why: format!(
                "data/ holds files of the application ({}), which a volume there would hide",
                tracked.join(", ")
            ),
        }
    }
}

/// Whether some Python file or a requirement names the framework.
fn uses(tree: &Tree, dependencies: &super::Dependencies, framework: &str) -> bool {
    if dependencies.find(framework).is_some() {
        return true;
    }
    let needles = [format!("import {framework}"), format!("from {framework}")];
    tree.files().any(|(path, file)| {
        (path.ends_with(".py") || path == "wsgi/application")
            && file.content.as_deref().is_some_and(|content| {
                let text = String::from_utf8_lossy(content);
                text.lines().any(|line| {
                    let line = line.trim_start();
                    needles
                        .iter()
                        .any(|needle| line.starts_with(needle.as_str()))
                })
            })
    })
}

fn markers(tree: &Tree) -> Vec<String> {
    tree.files_in(".openshift/markers")
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| {
            !name.starts_with("README") && !name.starts_with('.') && !name.ends_with(".md")
        })
        .collect()
}

/// `RewriteCond %{HTTP:X-Forwarded-Proto} !https` with a rule that leads to https.
fn forces_https(tree: &Tree) -> bool {
    [".htaccess", "wsgi/.htaccess", "wsgi/static/.htaccess"]
        .iter()
        .filter_map(|path| tree.text(path))
        .any(|text| {
            text.lines().map(str::trim).any(|line| {
                !line.starts_with('#') && line.contains("RewriteRule") && line.contains("https://")
            })
        })
}
