//! Applications without Django: Flask, Bottle and a bare WSGI function, each by Apache's mod_wsgi and by gunicorn, built and
//! served. And the upload of a large folder, in little memory.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde_json::json;

use crate::support::{Tool, World, deploy, runner, until, with_wheels};

const PROGRAM: &str = env!("CARGO_BIN_EXE_openshifter");

const FLASK: &str = "from flask import Flask\n\napplication = Flask(__name__)\n\n\n\
    @application.route('/')\ndef index():\n    return 'hello of Flask'\n";

/// Its template is found by the place of the repository.
const BOTTLE: &str = "import os\n\nimport bottle\n\n\
    bottle.TEMPLATE_PATH.append(os.path.join(os.environ['OPENSHIFT_REPO_DIR'], 'views'))\n\n\n\
    @bottle.route('/')\ndef index():\n    return bottle.template('index', name='Bottle')\n\n\n\
    application = bottle.default_app()\n";

/// Its module is in a folder that V2 had on `sys.path`.
const BARE: &str = "from greeting import hello\n\n\n\
    def application(environ, start_response):\n    \
    start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
    return [hello().encode('utf-8')]\n";

/// Name, entry point and other files of each.
const TREES: &[(&str, &[(&str, &str)])] = &[
    (
        "flask",
        &[("requirements.txt", "Flask\n"), ("wsgi/application", FLASK)],
    ),
    (
        "bottle",
        &[
            ("requirements.txt", "bottle\n"),
            ("wsgi/application", BOTTLE),
            ("views/index.tpl", "hello of {{name}}\n"),
        ],
    ),
    (
        "bare",
        &[
            ("requirements.txt", ""),
            ("wsgi.py", BARE),
            (
                "libs/greeting.py",
                "def hello():\n    return u'hello of nobody'\n",
            ),
        ],
    ),
];

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("there is room");
    std::fs::write(path, text).expect("there is room");
}

#[test]
fn other_frameworks_are_served_by_both_servers() {
    let world = World::small();
    let tool = Tool::new(&world);
    let runner = runner();
    let space = world.minishift.project("shop");
    let mut names = Vec::new();
    for (kind, files) in TREES {
        for server in ["mod-wsgi", "gunicorn"] {
            let name = format!("{kind}-{server}");
            let tree = tool.path(&name);
            for (path, text) in *files {
                write(&tree.join(path), text);
            }
            write(&tree.join(".openshift/markers/README.md"), "none\n");
            write(&tree.join("wsgi/static/style.css"), "body {}\n");
            tool.run(&[
                "v2",
                "convert",
                &name,
                "--server",
                server,
                "--name",
                &name,
                "--runner-binary",
                &runner,
            ])
            .ok();
            with_wheels(&tool.path(&format!("{name}-v3")));
            names.push(name);
        }
    }
    let trees: Vec<String> = names.iter().map(|name| format!("{name}-v3")).collect();
    // Side by side, since each waits most of the time.
    let running: Vec<_> = trees
        .iter()
        .map(|tree| tool.start(&deploy(tree, "shop", &["--timeout", "15m"])))
        .collect();
    for deploying in running {
        deploying.end().ok();
    }
    let mut served = String::new();
    for name in &names {
        let route = space.must("route", name);
        let host = route["spec"]["host"].as_str().expect("it has a host");
        for path in ["/", "/static/style.css"] {
            let page = until("the page", || {
                let (status, page) = space.cluster.page(host, path);
                (status == 200).then_some(page)
            });
            let page = page.trim_end();
            writeln!(served, "{name} {path}: {page}").expect("text grows");
        }
    }
    insta::assert_snapshot!(served, @r"
    flask-mod-wsgi /: hello of Flask
    flask-mod-wsgi /static/style.css: body {}
    flask-gunicorn /: hello of Flask
    flask-gunicorn /static/style.css: body {}
    bottle-mod-wsgi /: hello of Bottle
    bottle-mod-wsgi /static/style.css: body {}
    bottle-gunicorn /: hello of Bottle
    bottle-gunicorn /static/style.css: body {}
    bare-mod-wsgi /: hello of nobody
    bare-mod-wsgi /static/style.css: body {}
    bare-gunicorn /: hello of nobody
    bare-gunicorn /static/style.css: body {}
    ");
}

/// Runs a program and says how much memory it had at its peak, in KiB.
const WATCH: &str = "import resource, subprocess, sys\nstatus = subprocess.call(sys.argv[1:])\n\
    print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(status)\n";

#[test]
fn two_hundred_megabytes_are_uploaded_by_a_client_that_stays_small() {
    let world = World::small();
    let tool = Tool::new(&world);
    let space = world.minishift.project("shop");
    space.create(&[
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "large"}}),
        json!({
            "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "large"},
            "spec": {
                "source": {"type": "Binary", "binary": {}},
                "strategy": {"type": "Source", "sourceStrategy": {
                    "from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
                "output": {"to": {"kind": "ImageStreamTag", "name": "large:latest"}},
                "postCommit": {"script": "set -- $(cat noise/* | wc -c); echo \"$1 bytes came\""},
            },
        }),
    ]);
    // What no compression makes smaller.
    let mut noise = std::fs::File::open("/dev/urandom").expect("there is noise");
    let mut part = vec![0; 4 << 20];
    std::fs::create_dir_all(tool.path("large/noise")).expect("there is room");
    for number in 0..50 {
        noise.read_exact(&mut part).expect("there is noise");
        std::fs::write(tool.path("large/noise").join(number.to_string()), &part)
            .expect("there is room");
    }
    let args = [
        "-c",
        WATCH,
        PROGRAM,
        "build",
        "start",
        "large",
        "--from-dir=large",
        "--follow",
        "--at",
        "minishift",
        "-n",
        "shop",
    ];
    let ran = tool.spawn(tool.wrapped("python3", &args)).end().ok();
    assert!(ran.stdout.contains("209715200 bytes came"), "{ran:?}");
    let (_, peak) = ran.stdout.rsplit_once("peak ").expect("it is said");
    let peak: u64 = peak.trim().parse().expect("it is a number");
    assert!(peak < 64 * 1024, "{peak} KiB at the peak");
}
