//! `requirements.txt` and `setup.py`.

use openshifter_v2::{Options, Server};

use crate::support::{World, of_rule};

fn after(requirements: Option<&str>, setup: Option<&str>, options: &Options) -> (String, String) {
    let mut files = vec![
        (".openshift/x", ""),
        ("wsgi.py", "import flask\napplication = 1\n"),
    ];
    if let Some(text) = requirements {
        files.push(("requirements.txt", text));
    }
    if let Some(text) = setup {
        files.push(("setup.py", text));
    }
    let world = World::of(&files);
    let result = world.convert(options);
    let text = result.read("requirements.txt");
    world.write("requirements.txt", &text);
    let again = world.plan(options).expect("it can be converted");
    assert!(
        again
            .actions
            .iter()
            .all(|action| action.path != "requirements.txt"),
        "the second conversion changes it"
    );
    (text, result.read(".s2i/environment"))
}

const SETUP: &str = "from setuptools import setup\nNEEDS = ['Flask>=0.10', \"requests\"]\nsetup(name='x', install_requires=NEEDS, dependency_links=['http://example.com/x'])\n";

#[test]
fn requirements_of_setup_py_are_carried_over() {
    let (text, environment) = after(None, Some(SETUP), &Options::default());
    assert_eq!(text, "Flask>=0.10\nrequests\nmod_wsgi>=5.0\n");
    assert!(environment.contains("DISABLE_SETUP_PY_PROCESSING=1\n"));
    // Both files counted in V2.
    let (text, _) = after(
        Some("# mine\nflask==2.0  # pinned\n"),
        Some(SETUP),
        &Options::default(),
    );
    assert_eq!(
        text,
        "# mine\nflask==2.0  # pinned\nrequests\nmod_wsgi>=5.0\n"
    );
}

#[test]
fn requirements_that_are_worked_out_are_reported() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        (
            "setup.py",
            "from setuptools import setup\nsetup(install_requires=needs())\n",
        ),
    ]);
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "setup-py");
    assert!(found[0].what.contains("needs()"), "{}", found[0].what);
}

#[test]
fn packages_of_python_2_become_what_they_are_now() {
    let options = Options {
        server: Server::Gunicorn,
        pins: vec!["Flask>=3".to_owned(), "extra".to_owned()],
        ..Options::default()
    };
    let (text, _) = after(
        Some(
            "Flask==0.10.1\r\nMySQL-python==1.2.5\r\nPIL\r\nargparse\r\ngit+git://example.com/x.git\r\n--index-url http://example.com/simple\r\n",
        ),
        None,
        &options,
    );
    assert_eq!(
        text,
        "Flask>=3\r\nmysqlclient>=2.2\r\nPillow\r\ngit+https://example.com/x.git\r\n# --index-url http://example.com/simple\r\ngunicorn>=22\r\nwhitenoise>=6.6\r\nextra\r\n"
    );
}

#[test]
fn old_pins_and_the_application_itself_are_left_to_a_person() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("requirements.txt", "-e .\nWerkzeug==0.9\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    let found: Vec<_> = of_rule(&analysis, "requirements")
        .iter()
        .map(|finding| (finding.line, finding.severity.title()))
        .collect();
    assert_eq!(found, [(Some(1), "blocker"), (Some(2), "warning")]);
    assert!(
        world
            .convert(&Options::default())
            .read("requirements.txt")
            .starts_with("-e .\nWerkzeug==0.9\n")
    );
}
