//! `app.sh`, and for gunicorn the module that it serves.

use super::draft::Draft;
use super::scripts::quote;
use super::served::published;
use crate::analysis::Analysis;
use crate::facts::{EntryKind, in_tree};
use crate::options::{Options, Server};
use crate::tree::Tree;

pub(super) fn server(draft: &mut Draft<'_>, analysis: &Analysis) {
    let Some(entry) = &analysis.facts.entry else {
        return;
    };
    if entry.kind == EntryKind::SelfServing {
        return;
    }
    match analysis.options.server {
        Server::ModWsgi => {
            let text = mod_wsgi(draft.tree, analysis, &entry.path);
            draft.create(
                "app.sh",
                text,
                true,
                format!("the builder starts it; it serves {} with mod_wsgi-express, with the paths, processes and threads that V2 had", entry.path),
            );
        }
        Server::Gunicorn => {
            let text = gunicorn(&analysis.options);
            let created = draft.create(
                "app.sh",
                text,
                true,
                format!(
                    "the builder starts it; it serves {} with gunicorn",
                    entry.path
                ),
            );
            if created {
                let text = module(draft.tree, analysis, &entry.path);
                draft.create(
                    "openshift_wsgi.py",
                    text,
                    false,
                    "gunicorn serves modules, and V2's entry point is a script; WhiteNoise serves the static files",
                );
            }
        }
    }
}

/// Threads of each of the two processes, as V2 counted them from the gear's memory.
fn threads(options: &Options) -> u32 {
    (options.gear_mb * 4 / 5 / 80).max(1)
}

/// The folders that V2 had on `sys.path`, as far as they are there.
fn paths(tree: &Tree) -> Vec<&'static str> {
    ["libs", "", "wsgi"]
        .into_iter()
        .filter(|folder| folder.is_empty() || tree.is_folder(folder))
        .collect()
}

const HEAD: &str = "#!/bin/bash\n# Started by the builder's run script. Whatever exec starts is the container's process 1.\nset -eo pipefail\ncd \"$(dirname \"${BASH_SOURCE[0]}\")\"\n# Files on the claim stay usable for the group, whichever user id the next pod has.\numask 002\n";

fn mod_wsgi(tree: &Tree, analysis: &Analysis, entry: &str) -> String {
    let mut text = String::from(HEAD);
    text.push_str(&format!(
        "\nargs=(\n    --log-to-terminal\n    --port \"${{PORT:-8080}}\"\n    --processes \"${{WSGI_PROCESSES:-2}}\"\n    --threads \"${{WSGI_THREADS:-{}}}\"\n    # The router ends TLS and says so in these headers.\n    --trust-proxy-header X-Forwarded-For\n    --trust-proxy-header X-Forwarded-Port\n    --trust-proxy-header X-Forwarded-Proto\n    # The folders that V2 had on sys.path, in its order.\n",
        threads(&analysis.options)
    ));
    if analysis
        .facts
        .markers
        .iter()
        .any(|marker| marker == "enable_public_server_status")
    {
        // Before the folders, whose comment stands above them.
        text = text.replace(
            "    # The router ends TLS",
            "    # The marker enable_public_server_status asked for it.\n    --server-status\n    # The router ends TLS",
        );
    }
    for folder in paths(tree) {
        match folder {
            "" => text.push_str("    --python-path \"$PWD\"\n"),
            folder => text.push_str(&format!("    --python-path \"$PWD/{folder}\"\n")),
        }
    }
    text.push_str(")\n");
    for (url, root) in aliases(tree, analysis) {
        text.push_str(&format!(
            "\n# A folder that is not there would answer 403 in the application's place.\nif [ -d {root} ]; then\n    args+=(--url-alias {url} {root})\nfi\n",
            root = quote(&root),
            url = quote(&url)
        ));
    }
    for alias in crate::findings::tree::htaccess::aliases(tree) {
        if published(tree, &analysis.facts, &alias.place).is_some() {
            continue;
        }
        text.push_str(&format!(
            "\n# A rule of .htaccess.\nargs+=(--url-alias {} {})\n",
            quote(&alias.url),
            quote(&alias.place)
        ));
    }
    if let Some(ask) = ask_django(analysis) {
        text.push_str(&ask);
    }
    text.push_str(&format!(
        "\nexec mod_wsgi-express start-server \"${{args[@]}}\" {}\n",
        quote(entry)
    ));
    text
}

/// Addresses and the folders that are served under them.
fn aliases(tree: &Tree, analysis: &Analysis) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match &analysis.facts.project {
        Some(project) => {
            if let (Some(url), Some(root)) = (&project.static_files.url, &project.static_files.root)
            {
                found.extend(url_path(url).map(|url| (url, relative(root))));
            }
            if let Some(media) = &project.media
                && let (Some(url), Some(root)) = (&media.url, &media.root)
            {
                found.extend(url_path(url).map(|url| (url, relative(root))));
            }
        }
        None => {
            if tree.is_folder("wsgi/static") {
                found.push(("/static".to_owned(), "wsgi/static".to_owned()));
            }
        }
    }
    found.retain(|(_, root)| published(tree, &analysis.facts, root).is_none());
    found
}

/// The path of an address on this host, without the `/` at its end.
pub(crate) fn url_path(url: &str) -> Option<String> {
    let path = url.trim_matches('/');
    (!path.is_empty() && !url.contains("://") && !url.starts_with("//")).then(|| format!("/{path}"))
}

fn relative(path: &str) -> String {
    in_tree(path)
        .filter(|path| !path.is_empty())
        .unwrap_or(path)
        .to_owned()
}

/// Asks Django where static files are, when the settings do not tell it plainly.
fn ask_django(analysis: &Analysis) -> Option<String> {
    let project = analysis.facts.project.as_ref()?;
    let unknown = project.static_files.root.is_none() || project.static_files.url.is_none();
    let manage = project.manage.as_ref()?;
    let module = project.settings_module.as_ref()?;
    unknown.then(|| {
        let folder = manage.rsplit_once('/').map_or(".", |(folder, _)| folder);
        format!(
            "\n# Where static files are is worked out by the settings.\n{{ read -r url; read -r root; }} < <(\n    cd {folder} && DJANGO_SETTINGS_MODULE={module} python -c 'from django.conf import settings; print(settings.STATIC_URL); print(settings.STATIC_ROOT or \"\")'\n) || true\nroot=$(cd {folder} && cd \"${{root:-/dev/null}}\" 2> /dev/null && pwd) || root=\n# Never a folder that has the sources or the data in it.\nfolder=${{root%/}}\nfor place in \"$PWD/\"{folder}/ \"$OPENSHIFT_DATA_DIR\"; do\n    case $place in \"$folder\"/*) root= ;; esac\ndone\nif [ -n \"$root\" ] && ! compgen -G \"$root/*.py\" > /dev/null; then\n    args+=(--url-alias \"${{url%/}}\" \"$root\")\nfi\n",
            folder = quote(folder),
        )
    })
}

fn gunicorn(options: &Options) -> String {
    format!(
        "{HEAD}\n# The router is the only one that reaches this port, and its X-Forwarded-* headers are true.\nexec gunicorn \\\n    --bind \"0.0.0.0:${{PORT:-8080}}\" \\\n    --workers \"${{WSGI_PROCESSES:-2}}\" \\\n    --threads \"${{WSGI_THREADS:-{}}}\" \\\n    --access-logfile - \\\n    --forwarded-allow-ips '*' \\\n    openshift_wsgi:application\n",
        threads(options)
    )
}

fn module(tree: &Tree, analysis: &Analysis, entry: &str) -> String {
    let mut folders: Vec<String> = Vec::new();
    for folder in paths(tree) {
        folders.push(match folder {
            "" => "REPO".to_owned(),
            folder => format!("os.path.join(REPO, '{folder}')"),
        });
    }
    let entry = entry.replace('\\', "\\\\").replace('\'', "\\'");
    let (imports, load) = if analysis.options.python3() {
        (
            "from importlib.machinery import SourceFileLoader\nfrom importlib.util import module_from_spec, spec_from_loader\n",
            format!(
                "loader = SourceFileLoader('openshift_entry', os.path.join(REPO, '{entry}'))\nentry = module_from_spec(spec_from_loader(loader.name, loader))\nsys.modules[loader.name] = entry\nloader.exec_module(entry)\n"
            ),
        )
    } else {
        (
            "import imp\n",
            format!("entry = imp.load_source('openshift_entry', os.path.join(REPO, '{entry}'))\n"),
        )
    };
    let files = if analysis.facts.is_django() {
        "from django.conf import settings\n\nif settings.STATIC_ROOT and '://' not in settings.STATIC_URL:\n    root = os.path.join(os.path.abspath(str(settings.STATIC_ROOT)), '')\n    places = [os.path.join(REPO, ''), os.environ.get('OPENSHIFT_DATA_DIR', ''),\n              os.path.abspath(sys.modules[os.environ['DJANGO_SETTINGS_MODULE']].__file__)]\n    # Never a folder that has the sources or the data in it.\n    if not any(place.startswith(root) for place in places):\n        application.add_files(root, prefix=settings.STATIC_URL)\n"
    } else {
        "static = os.path.join(REPO, 'wsgi', 'static')\nif os.path.isdir(static):\n    application.add_files(static, prefix='static')\n"
    };
    format!(
        "\"\"\"What gunicorn serves: the entry point that V2 had, and static files beside it.\"\"\"\nimport os\nimport sys\n{imports}\nfrom whitenoise import WhiteNoise\n\nREPO = os.path.dirname(os.path.abspath(__file__))\n\n# The folders that V2 had on sys.path, in its order.\nsys.path[:0] = [{}]\n\n# The entry point may be a file without .py in its name.\n{load}\napplication = WhiteNoise(entry.application)\n\n{files}",
        folders.join(", ")
    )
}
