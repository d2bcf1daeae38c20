//! The Django project: `manage.py`, settings modules and what they say about files.

use std::collections::BTreeMap;

use super::databases::{self, Database};
use super::discover::SOURCE_DIR;
use super::{Dependencies, Entry, Media, Project, SettingsFile, StaticFiles};
use crate::V2Error;
use crate::options::{Options, Version};
use crate::python::{Folder, Names, Py, children, visit};
use crate::tree::Tree;

/// What the project says, and the databases of its settings.
pub(super) struct Found {
    pub(super) project: Project,
    pub(super) databases: Vec<Database>,
}

pub(super) fn project(
    tree: &Tree,
    options: &Options,
    entry: Option<&Entry>,
    dependencies: &Dependencies,
    environment: &BTreeMap<String, String>,
    data_dir: &str,
) -> Result<Option<Found>, V2Error> {
    let names = Names {
        constants: BTreeMap::new(),
        environment: environment.clone(),
    };
    let mut search = vec!["wsgi".to_owned(), String::new(), "libs".to_owned()];
    let mut module = options.settings.clone();
    if let Some(entry) = entry {
        let (found, paths) = settings_of_entry(tree, &entry.path, &names);
        for path in paths {
            search.insert(0, path);
        }
        module = module.or(found);
    }
    let manage = manage(tree, options, &search)?;
    if let Some(manage) = &manage {
        search.insert(0, parent(manage).to_owned());
        if module.is_none() {
            module = named_settings(tree, manage);
        }
    }
    let settings = module
        .as_deref()
        .map(|module| settings_files(tree, module, &search))
        .unwrap_or_default();
    if let Some(named) = &options.settings
        && settings.is_empty()
    {
        return Err(V2Error::NoSuchFile {
            option: "--settings",
            path: named.clone(),
        });
    }
    let is_django =
        !settings.is_empty() || manage.is_some() || dependencies.find("Django").is_some();
    if !is_django {
        return Ok(None);
    }
    let mut project = Project {
        manage,
        settings_module: module,
        django: dependencies
            .find("Django")
            .and_then(|found| Version::of_prefix(found.version()?)),
        settings,
        static_files: StaticFiles {
            url: None,
            root: None,
        },
        media: None,
        users: true,
        admin_path: None,
    };
    let databases = read_settings(tree, &mut project, names, data_dir);
    project.admin_path = admin_path(tree);
    Ok(Some(Found { project, databases }))
}

/// The folder of a path, empty for the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path in the image as one in the tree.
pub(crate) fn in_tree(path: &str) -> Option<&str> {
    if path == SOURCE_DIR.trim_end_matches('/') {
        return Some("");
    }
    path.strip_prefix(SOURCE_DIR)
        .map(|path| path.trim_end_matches('/'))
}

/// The settings module that an entry point names, and the folders that it puts on `sys.path`.
fn settings_of_entry(tree: &Tree, entry: &str, names: &Names) -> (Option<String>, Vec<String>) {
    let mut paths = Vec::new();
    let mut file = entry.to_owned();
    // `from myproject.wsgi import application` leads on, a few times at most.
    for _ in 0..4 {
        let Some(py) = tree
            .content(&file)
            .and_then(|content| Py::parse(&file, content))
        else {
            break;
        };
        let folder = Folder::new(&py, format!("{SOURCE_DIR}{file}"), names);
        for call in py.calls() {
            if matches!(
                call.name.as_str(),
                "sys.path.append" | "sys.path.insert" | "site.addsitedir"
            ) && let Some(path) = call.positional.last().and_then(|node| folder.fold(*node))
                && let Some(path) = in_tree(&crate::python::normal(&path))
                && !paths.contains(&path.to_owned())
            {
                paths.push(path.to_owned());
            }
        }
        if let Some(module) = settings_named_in(&py) {
            return (Some(module), paths);
        }
        let next = py
            .imports()
            .into_iter()
            .filter_map(|import| import.from.map(|(module, _)| module))
            .filter(|module| module.ends_with("wsgi"))
            .find_map(|module| {
                let mut search = paths.clone();
                search.extend(["wsgi", "", "libs"].map(str::to_owned));
                module_file(tree, &module, &search)
            });
        match next {
            Some(next) if next != file => file = next,
            _ => break,
        }
    }
    (None, paths)
}

fn named_settings(tree: &Tree, path: &str) -> Option<String> {
    let py = Py::parse(path, tree.content(path)?)?;
    settings_named_in(&py)
}

/// `os.environ['DJANGO_SETTINGS_MODULE'] = '…'` and `os.environ.setdefault('DJANGO_SETTINGS_MODULE', '…')`.
fn settings_named_in(py: &Py<'_>) -> Option<String> {
    let mut module = None;
    visit(py.root(), &mut |node| {
        if module.is_some() {
            return false;
        }
        if node.kind() == "assignment"
            && let (Some(left), Some(right)) = (
                node.child_by_field_name("left"),
                node.child_by_field_name("right"),
            )
            && left.kind() == "subscript"
            && left
                .child_by_field_name("subscript")
                .and_then(|key| py.string(key))
                .as_deref()
                == Some("DJANGO_SETTINGS_MODULE")
        {
            module = py.string(right);
        }
        if let Some(call) = py.call(node)
            && call.last() == "setdefault"
            && let [key, value, ..] = call.positional.as_slice()
            && py.string(*key).as_deref() == Some("DJANGO_SETTINGS_MODULE")
        {
            module = py.string(*value);
        }
        true
    });
    module
}

fn manage(tree: &Tree, options: &Options, search: &[String]) -> Result<Option<String>, V2Error> {
    if let Some(named) = &options.manage {
        if !tree.is_file(named) {
            return Err(V2Error::NoSuchFile {
                option: "--manage",
                path: named.clone(),
            });
        }
        return Ok(Some(named.clone()));
    }
    let mut found: Vec<&str> = tree
        .files()
        .map(|(path, _)| path)
        .filter(|path| path.rsplit('/').next() == Some("manage.py"))
        .collect();
    // The one that the entry point's paths reach comes first, then the one nearest to the root.
    found.sort_by_key(|path| {
        let folder = parent(path);
        let reached = search.iter().position(|one| one == folder);
        (
            reached.unwrap_or(usize::MAX),
            path.matches('/').count(),
            *path,
        )
    });
    Ok(found.first().map(|path| (*path).to_owned()))
}

/// The file of a module, looked for in these folders and then anywhere.
pub(super) fn module_file(tree: &Tree, module: &str, search: &[String]) -> Option<String> {
    let tail = module.replace('.', "/");
    let here = |folder: &str| {
        let base = if folder.is_empty() {
            tail.clone()
        } else {
            format!("{folder}/{tail}")
        };
        [format!("{base}.py"), format!("{base}/__init__.py")]
            .into_iter()
            .find(|path| tree.is_file(path))
    };
    search.iter().find_map(|folder| here(folder)).or_else(|| {
        let ends = [format!("/{tail}.py"), format!("/{tail}/__init__.py")];
        tree.files()
            .map(|(path, _)| path)
            .find(|path| ends.iter().any(|end| path.ends_with(end.as_str())))
            .map(str::to_owned)
    })
}

/// The settings file of a module and those that it takes all names from.
fn settings_files(tree: &Tree, module: &str, search: &[String]) -> Vec<SettingsFile> {
    let mut files: Vec<SettingsFile> = Vec::new();
    let Some(first) = module_file(tree, module, search) else {
        return files;
    };
    let mut todo = vec![(first, module.to_owned())];
    while let Some((path, module)) = todo.pop() {
        if files.iter().any(|file| file.path == path) || files.len() > 32 {
            continue;
        }
        let mut file = SettingsFile {
            path: path.clone(),
            module: module.clone(),
            star_imports: Vec::new(),
        };
        if let Some(py) = tree
            .content(&path)
            .and_then(|content| Py::parse(&path, content))
        {
            for import in py.imports().into_iter().filter(|import| import.star) {
                let Some((from, _)) = import.from else {
                    continue;
                };
                let target = if from.starts_with('.') {
                    relative(tree, &path, &from)
                } else {
                    let mut near = vec![parent(&path).to_owned()];
                    near.extend(search.iter().cloned());
                    near.into_iter()
                        .find_map(|folder| module_file_at(tree, &from, &folder))
                };
                if let Some(target) = target {
                    file.star_imports.push(target.clone());
                    todo.push((target, from));
                }
            }
        }
        files.push(file);
    }
    files
}

fn module_file_at(tree: &Tree, module: &str, folder: &str) -> Option<String> {
    let base = if folder.is_empty() {
        module.replace('.', "/")
    } else {
        format!("{folder}/{}", module.replace('.', "/"))
    };
    [format!("{base}.py"), format!("{base}/__init__.py")]
        .into_iter()
        .find(|path| tree.is_file(path))
}

fn relative(tree: &Tree, path: &str, from: &str) -> Option<String> {
    let dots = from.chars().take_while(|c| *c == '.').count();
    let mut folder = parent(path).to_owned();
    for _ in 1..dots {
        folder = parent(&folder).to_owned();
    }
    module_file_at(tree, from.get(dots..)?, &folder)
}

/// Reads paths and databases from the settings, the base files first.
fn read_settings(
    tree: &Tree,
    project: &mut Project,
    mut names: Names,
    data_dir: &str,
) -> Vec<Database> {
    let mut databases = Vec::new();
    for file in project.settings.iter().rev() {
        let Some(py) = tree
            .content(&file.path)
            .and_then(|content| Py::parse(&file.path, content))
        else {
            continue;
        };
        let folder = Folder::new(&py, format!("{SOURCE_DIR}{}", file.path), &names);
        databases.extend(databases::of_settings(&py, &folder, data_dir));
        let found = folder.all();
        drop(folder);
        names.constants.extend(found);
    }
    project.users = users(tree, &project.settings);
    let value = |name: &str| names.constants.get(name).cloned();
    let folder = |name: &str| {
        value(name)
            .map(|path| crate::python::normal(&path))
            .filter(|path| path.len() > 1)
    };
    project.static_files = StaticFiles {
        url: value("STATIC_URL"),
        root: folder("STATIC_ROOT"),
    };
    let root = folder("MEDIA_ROOT");
    if root.is_some() {
        project.media = Some(Media {
            url: value("MEDIA_URL").filter(|url| !url.is_empty()),
            in_data_dir: root
                .as_deref()
                .is_some_and(|root| format!("{root}/").starts_with(data_dir)),
            root,
        });
    }
    databases
}

/// Whether the settings install Django's users. What cannot be told counts as a yes: a hook too many does no harm.
fn users(tree: &Tree, settings: &[SettingsFile]) -> bool {
    let mut told = false;
    for file in settings {
        let Some(py) = tree
            .content(&file.path)
            .and_then(|content| Py::parse(&file.path, content))
        else {
            return true;
        };
        told |= !py.assigned("INSTALLED_APPS").is_empty();
        let mut found = false;
        visit(py.root(), &mut |node| {
            found |= node.kind() == "string"
                && py.string(node).is_some_and(|text| {
                    // Django 1.7 and later take the application's configuration, too.
                    text == "django.contrib.auth" || text.starts_with("django.contrib.auth.apps.")
                });
            !found
        });
        if found {
            return true;
        }
    }
    !told
}

/// The login page of the admin site, if the root URLs include it in a plain way.
fn admin_path(tree: &Tree) -> Option<String> {
    tree.files()
        .filter(|(path, _)| path.rsplit('/').next() == Some("urls.py"))
        .find_map(|(path, file)| {
            let content = file.content.as_deref()?;
            if !content.windows(10).any(|window| window == b"admin.site") {
                return None;
            }
            let py = Py::parse(path, content)?;
            let mut found = None;
            visit(py.root(), &mut |node| {
                // `url(r'^admin/', …)`, and the plain tuples that patterns() took.
                let (pattern, all) = match py.call(node) {
                    Some(call) if matches!(call.last(), "url" | "re_path" | "path") => {
                        (call.positional.first().copied(), call.arguments)
                    }
                    _ if node.kind() == "tuple" => (children(node).first().copied(), node),
                    _ => return found.is_none(),
                };
                if found.is_none()
                    && py.text(all).contains("admin.site")
                    && let Some(pattern) = pattern.and_then(|pattern| py.string(pattern))
                {
                    let plain = pattern.trim_start_matches('^');
                    found = plain
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "/-_".contains(c))
                        .then(|| format!("/{plain}login/"));
                }
                found.is_none()
            });
            found
        })
}

/// The values of a list or tuple of strings.
pub(crate) fn strings(py: &Py<'_>, node: tree_sitter::Node<'_>) -> Vec<String> {
    children(node)
        .into_iter()
        .filter_map(|item| py.string(item))
        .collect()
}
