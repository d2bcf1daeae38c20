//! A tree of V2, converted, built by the builder's scripts and served by real mod_wsgi-express: as a user that no file knows, in a sandbox
//! with the folders of the builder image.
//!
//! Needs bubblewrap, Apache and the wheelhouse that `cargo xtask test` makes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openshifter_v2::{Limits, Options, RunnerFile, Tree, analyze, plan, write_out};

use crate::support::{tools, visitors};

/// What the runner does, as far as a start takes it: hooks in their order, and the builder's own scripts between them.
const RUNNER: &str = r#"#!/bin/bash
set -e
hooks=/opt/app-root/src/.s2i/action_hooks
read_env() { set -a; [ ! -f "$hooks/$1" ] || . "$hooks/$1"; set +a; }
case $1 in
    assemble)
        bash /scripts/assemble
        read_env build_env
        exec "$hooks/build" ;;
    run)
        read_env deploy_env
        "$hooks/deploy"
        exec bash /scripts/run ;;
    *)
        read_env deploy_env
        exec "$hooks/$1" ;;
esac
"#;

fn wheels() -> PathBuf {
    let wheels = tools().join("wheels");
    assert!(
        wheels.join("complete").is_file(),
        "there are no wheels in {}: make them with `cargo xtask tools`",
        wheels.display()
    );
    wheels
}

/// A folder of the machine as bubblewrap's arguments: `/bin` is a link where everything lives in `/usr`.
fn lent(folder: &str) -> Vec<String> {
    match std::fs::read_link(folder) {
        Ok(target) => vec![
            "--symlink".to_owned(),
            target.display().to_string(),
            folder.to_owned(),
        ],
        Err(_) if Path::new(folder).is_dir() => {
            vec!["--ro-bind".to_owned(), folder.to_owned(), folder.to_owned()]
        }
        Err(_) => Vec::new(),
    }
}

/// The image: what the builder made of the source, and what a container of it sees.
struct Image {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Image {
    fn root(&self) -> PathBuf {
        self.folder.path().join("app-root")
    }

    /// A command in a container, as an arbitrary user of group 0 and without a network.
    fn run(&self, uid: u32, env: &[(&str, &str)], command: &[&str]) -> Output {
        let scripts =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../devcluster/src/images/s2i-python");
        let bind = |how: &str, from: &Path, to: &str| {
            vec![how.to_owned(), from.display().to_string(), to.to_owned()]
        };
        let etc = self.folder.path().join("etc");
        let mut args: Vec<String> = [
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend([
            "--uid".to_owned(),
            uid.to_string(),
            "--gid".to_owned(),
            "0".to_owned(),
        ]);
        for folder in ["/usr", "/bin", "/sbin", "/lib", "/lib64"] {
            args.extend(lent(folder));
        }
        for file in ["/etc/ld.so.cache", "/etc/alternatives", "/etc/mime.types"] {
            if Path::new(file).exists() {
                args.extend(bind("--ro-bind", Path::new(file), file));
            }
        }
        // Nobody but root is in there, as in an image of which an arbitrary user makes a container.
        args.extend(bind("--ro-bind", &etc.join("passwd"), "/etc/passwd"));
        args.extend(bind("--ro-bind", &etc.join("group"), "/etc/group"));
        args.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"].map(str::to_owned));
        args.extend(bind("--bind", &self.root(), "/opt/app-root"));
        args.extend(bind(
            "--bind",
            &self.folder.path().join("upload"),
            "/tmp/src",
        ));
        args.extend(bind("--ro-bind", &scripts, "/scripts"));
        args.extend(bind("--ro-bind", &wheels(), "/wheels"));
        args.extend(bind(
            "--ro-bind",
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/express.py"),
            "/express.py",
        ));
        args.extend(["--chdir".to_owned(), "/opt/app-root/src".to_owned()]);
        let base = [
            (
                "PATH",
                "/opt/app-root/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/opt/app-root/src"),
            ("APP_ROOT", "/opt/app-root"),
            ("PYTHONUNBUFFERED", "1"),
            ("LC_ALL", "C.UTF-8"),
            ("PIP_NO_INDEX", "1"),
            ("PIP_FIND_LINKS", "/wheels"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ];
        let of_image = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in base.into_iter().chain(of_image).chain(env.iter().copied()) {
            args.extend(["--setenv".to_owned(), name.to_owned(), value.to_owned()]);
        }
        Command::new("bwrap")
            .args(args)
            .arg("--")
            .args(command)
            .output()
            .expect("bubblewrap can be started; install it: apt-get install bubblewrap")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Converts the tree and runs the builder.
fn build() -> Image {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let tree = Tree::load(&visitors(), &Limits::default()).expect("the tree can be read");
    let analysis = analyze(&tree, &Options::default()).expect("it is an application");
    let runner = RunnerFile::new(RUNNER.as_bytes().to_vec()).expect("a script may be a runner");
    let plan = plan(&tree, &analysis, Some(&runner)).expect("it can be converted");
    let upload = folder.path().join("upload");
    write_out(&tree, &plan, &upload).expect("the result can be written");
    let environment = std::fs::read_to_string(upload.join(".s2i/environment"))
        .expect("there are variables")
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for made in ["app-root", "app-root/src", "etc"] {
        std::fs::create_dir(folder.path().join(made)).expect("a folder can be made");
    }
    for (name, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("group", "root:x:0:\n"),
    ] {
        std::fs::write(folder.path().join("etc").join(name), text).expect("it can be written");
    }
    let image = Image {
        folder,
        environment,
    };
    let built = image.run(1_000_660_000, &[], &["/tmp/src/.s2i/bin/assemble"]);
    let log = said(&built);
    assert!(built.status.success(), "{log}");
    assert!(
        log.contains("---> Installing dependencies ...")
            && log.contains("Successfully installed")
            && log.contains("mod_wsgi-"),
        "{log}"
    );
    assert!(
        log.contains("static files copied to '/opt/app-root/src/wsgi/static'"),
        "{log}"
    );
    image
}

#[test]
fn mod_wsgi_express_serves_the_converted_tree() {
    let image = build();
    let verified = image.run(
        1_000_660_000,
        &[],
        &["/opt/app-root/src/.s2i/action_hooks/verify"],
    );
    assert!(verified.status.success(), "{}", said(&verified));

    // Without the Secret nothing starts: the stand-in of the build is not part of the image.
    let start = ["/opt/app-root/src/.s2i/bin/run"];
    let without = image.run(1_000_660_000, &[], &start);
    assert!(
        !without.status.success() && said(&without).contains("OPENSHIFT_SECRET_TOKEN"),
        "{}",
        said(&without)
    );

    let token = ("OPENSHIFT_SECRET_TOKEN", "a token of the old platform");
    let first = image.run(
        1_000_660_000,
        &[token],
        &["python3", "/express.py", "first"],
    );
    assert!(
        first.status.success() && said(&first).contains("served: first"),
        "{}",
        said(&first)
    );
    let data = image.root().join("src/data");
    let secrets = std::fs::read(data.join("secrets.json")).expect("there are secrets");
    for name in ["db.sqlite3", "secrets.json"] {
        let mode = std::fs::metadata(data.join(name))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o660,
            0o660,
            "{name} is of use to one user only: {mode:o}"
        );
    }

    // Another container, another user: what the first one left is found again.
    let second = image.run(
        1_000_720_000,
        &[token],
        &["python3", "/express.py", "second"],
    );
    assert!(
        second.status.success() && said(&second).contains("served: second"),
        "{}",
        said(&second)
    );
    assert_eq!(
        std::fs::read(data.join("secrets.json")).expect("there are secrets"),
        secrets
    );
}
