//! Folders that are served: never one with the database, secrets or sources in it.

use openshifter_v2::{Options, Remedy, Server};

use crate::support::{World, of_rule};

const SETTINGS: &str = "wsgi/myproject/myproject/settings.py";

/// The starter with more at the end of its settings.
fn with_settings(more: &str) -> World {
    let world = World::of_fixture("django-starter");
    let before = std::fs::read_to_string(world.root.join(SETTINGS)).expect("it can be read");
    world.write(SETTINGS, format!("{before}\nimport os\n{more}"));
    world
}

#[test]
fn the_data_directory_is_not_served() {
    for media in [
        "os.environ['OPENSHIFT_DATA_DIR']",
        "'/opt/app-root'",
        "os.path.dirname(os.path.abspath(__file__))",
    ] {
        let world = with_settings(&format!("MEDIA_ROOT = {media}\nMEDIA_URL = '/media/'\n"));
        let script = world.convert(&Options::default()).read("app.sh");
        assert!(!script.contains("--url-alias /media"), "{media}: {script}");
        let analysis = world.analyze(&Options::default());
        let found = of_rule(&analysis, "media-files");
        assert!(
            found.iter().any(|finding| finding.what.contains("publishes")
                && matches!(&finding.remedy, Remedy::Person(advice) if advice.contains("a folder of their own"))),
            "{media}: {found:?}"
        );
    }
    // A folder of its own is.
    let world = with_settings(
        "MEDIA_ROOT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'media')\nMEDIA_URL = '/media/'\n",
    );
    let script = world.convert(&Options::default()).read("app.sh");
    assert!(script.contains("--url-alias /media data/media"), "{script}");
}

#[test]
fn a_folder_with_the_database_or_the_secrets_is_not_served() {
    let world = with_settings(
        "KEPT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'kept')\nMEDIA_ROOT = KEPT\nMEDIA_URL = '/media/'\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.path.join(KEPT, 'db.sqlite3')}}\n",
    );
    assert!(
        !world
            .convert(&Options::default())
            .read("app.sh")
            .contains("--url-alias /media")
    );
    let world = with_settings(
        "MEDIA_ROOT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'kept')\nMEDIA_URL = '/media/'\n",
    );
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\npython libs/secrets.py > ${OPENSHIFT_DATA_DIR}/kept/secrets.json\n",
    );
    assert!(
        !world
            .convert(&Options::default())
            .read("app.sh")
            .contains("--url-alias /media")
    );
}

#[test]
fn sources_are_not_served_as_static_files() {
    let world = with_settings(
        "STATIC_URL = '/static/'\nSTATIC_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n",
    );
    let script = world.convert(&Options::default()).read("app.sh");
    assert!(!script.contains("--url-alias /static"), "{script}");
    let analysis = world.analyze(&Options::default());
    assert!(
        of_rule(&analysis, "static-files")
            .iter()
            .any(|finding| finding.what.contains("publishes the sources"))
    );
    // Where only Django knows the folder, the start looks at it.
    let world = with_settings("");
    let settings = std::fs::read_to_string(world.root.join(SETTINGS)).expect("it can be read");
    let unknown: String = settings
        .lines()
        .map(|line| match line.starts_with("STATIC_ROOT") {
            true => "STATIC_ROOT = somewhere()\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    assert_ne!(unknown, settings);
    world.write(SETTINGS, unknown);
    let result = world.convert(&Options::default());
    let script = result.read("app.sh");
    let bin = result.root.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder can be made");
    std::fs::create_dir_all(result.root.join("collected")).expect("a folder can be made");
    let served = |root: &str| {
        for (name, text) in [
            (
                "python",
                format!("#!/bin/bash\necho /static/\necho '{root}'\n"),
            ),
            ("mod_wsgi-express", "#!/bin/bash\necho \"$@\"\n".to_owned()),
        ] {
            std::fs::write(bin.join(name), text).expect("it can be written");
            crate::support::set_executable(&bin.join(name));
        }
        let output = std::process::Command::new("bash")
            .arg(result.root.join("app.sh"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("OPENSHIFT_DATA_DIR", "/usr/share/")
            .output()
            .expect("there is bash");
        assert!(output.status.success(), "{script}");
        String::from_utf8_lossy(&output.stdout).contains("--url-alias /static ")
    };
    let root = result.root.display().to_string();
    assert!(served(&format!("{root}/collected")), "{script}");
    for folder in [
        "/",
        "/usr",
        root.as_str(),
        &format!("{root}/wsgi"),
        &format!("{root}/wsgi/myproject/myproject"),
        "",
    ] {
        assert!(!served(folder), "{folder}");
    }
    let options = Options {
        server: Server::Gunicorn,
        ..Options::default()
    };
    assert!(
        world
            .convert(&options)
            .read("openshift_wsgi.py")
            .contains("place.startswith(root)")
    );
}

#[test]
fn uploads_without_an_address_are_not_said_to_be_served() {
    let world = with_settings(
        "MEDIA_ROOT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'media')\nMEDIA_URL = ''\n",
    );
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "media-files");
    assert!(
        found.len() == 1 && matches!(found[0].remedy, Remedy::Nothing(_)),
        "{found:?}"
    );
}
