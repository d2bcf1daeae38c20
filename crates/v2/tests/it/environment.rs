//! The environment: each variable that a file reads is supplied, or asked of a person.

use openshifter_v2::{Options, SecretOf, Source, Supply};

use crate::support::{World, of_rule};

fn supply(world: &World, name: &str) -> Supply {
    world
        .analyze(&Options::default())
        .variables
        .into_iter()
        .find(|variable| variable.name == name)
        .unwrap_or_else(|| panic!("{name} is not accounted for"))
        .supply
}

fn reading(names: &[&str]) -> World {
    let mut text = String::from("import os\napplication = 1\n");
    for name in names {
        text.push_str(&format!("x = os.environ['{name}']\n"));
    }
    World::of(&[(".openshift/x", ""), ("wsgi.py", &text)])
}

fn image(value: &str) -> Supply {
    Supply::Image {
        value: value.to_owned(),
    }
}

#[test]
fn folders_end_in_a_slash_as_they_did() {
    for (name, value) in [
        ("OPENSHIFT_REPO_DIR", "/opt/app-root/src/"),
        ("OPENSHIFT_DATA_DIR", "/opt/app-root/src/data/"),
        ("OPENSHIFT_TMP_DIR", "/tmp/"),
        ("OPENSHIFT_HOMEDIR", "/opt/app-root/"),
        ("OPENSHIFT_PYTHON_DIR", "/opt/app-root/"),
        ("OPENSHIFT_LOG_DIR", "/tmp/"),
        ("OPENSHIFT_PYTHON_LOG_DIR", "/tmp/"),
        ("OPENSHIFT_APP_NAME", "shop"),
        ("OPENSHIFT_PYTHON_IP", "0.0.0.0"),
        ("OPENSHIFT_PYTHON_PORT", "8080"),
        ("OPENSHIFT_GEAR_MEMORY_MB", "512"),
    ] {
        assert_eq!(supply(&reading(&[name]), name), image(value), "{name}");
    }
}

#[test]
fn secrets_and_databases_come_from_the_workload() {
    let world = reading(&[
        "OPENSHIFT_MYSQL_DB_URL",
        "OPENSHIFT_SECRET_TOKEN",
        "OPENSHIFT_POSTGRESQL_DB_PASSWORD",
        "OPENSHIFT_NAMESPACE",
    ]);
    let value = |text: &str| Supply::Deployment {
        source: Source::Value {
            value: text.to_owned(),
        },
    };
    assert_eq!(
        supply(&world, "OPENSHIFT_MYSQL_DB_URL"),
        value(
            "mysql://$(OPENSHIFT_MYSQL_DB_USERNAME):$(OPENSHIFT_MYSQL_DB_PASSWORD)@$(OPENSHIFT_MYSQL_DB_HOST):$(OPENSHIFT_MYSQL_DB_PORT)/"
        )
    );
    // Its parts come along, and before it.
    let names: Vec<String> = world
        .analyze(&Options::default())
        .variables
        .into_iter()
        .map(|variable| variable.name)
        .collect();
    let at = |name: &str| {
        names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    for part in ["USERNAME", "PASSWORD", "HOST", "PORT"] {
        assert!(at(&format!("OPENSHIFT_MYSQL_DB_{part}")) < at("OPENSHIFT_MYSQL_DB_URL"));
    }
    let secret = |of: SecretOf, key: &str| Supply::Deployment {
        source: Source::Secret {
            of,
            key: key.to_owned(),
            generated: true,
        },
    };
    assert_eq!(
        supply(&world, "OPENSHIFT_SECRET_TOKEN"),
        secret(SecretOf::Application, "secret-token")
    );
    assert_eq!(
        supply(&world, "OPENSHIFT_POSTGRESQL_DB_PASSWORD"),
        secret(SecretOf::Database, "database-password")
    );
    let result = world.convert(&Options::default());
    let environment = result.read(".s2i/environment");
    assert!(
        !environment.contains("MYSQL") && !environment.contains("SECRET"),
        "{environment}"
    );
    // What the settings demand at build has a stand-in there, and only there.
    let build = result.read(".s2i/action_hooks/build_env");
    assert!(
        build.contains("OPENSHIFT_SECRET_TOKEN=\"${OPENSHIFT_SECRET_TOKEN:-not-the-secret"),
        "{build}"
    );
    assert!(build.contains("OPENSHIFT_MYSQL_DB_URL=\"${OPENSHIFT_MYSQL_DB_URL:-mysql://build:build@build.invalid:1/}\""), "{build}");
    assert!(!result.is_executable(".s2i/action_hooks/build_env"));
    // Whoever deploys it by hand is told of both.
    let document = result.read("CONVERSION.md");
    assert!(
        document.contains("OPENSHIFT_SECRET_TOKEN (`rhc env list`) is SECRET_TOKEN there")
            && document.contains("Secret and ConfigMap `shop-environment`"),
        "{document}"
    );
}

#[test]
fn the_address_is_the_routes_unless_it_is_only_an_allowed_host() {
    let world = reading(&["OPENSHIFT_APP_DNS"]);
    assert_eq!(
        supply(&world, "OPENSHIFT_APP_DNS"),
        Supply::Deployment {
            source: Source::RouteHost
        }
    );
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "wsgi.py",
            "import os\nALLOWED_HOSTS = [os.environ['OPENSHIFT_APP_DNS']]\napplication = 1\n",
        ),
    ]);
    assert_eq!(supply(&world, "OPENSHIFT_APP_DNS"), image("*"));
}

#[test]
fn what_a_person_set_is_asked_for() {
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "wsgi.py",
            "import os\nA = os.environ['MAIL_PASSWORD']\nB = os.environ.get('DEBUG', '')\napplication = 1\n",
        ),
        ("tools/send.sh*", "#!/bin/sh\nmail \"$MAIL_TO\"\n"),
        (
            ".openshift/action_hooks/deploy*",
            "#!/bin/bash\nX=1\necho $X $GREETING\n",
        ),
        ("config/site.conf", "host = ${OPENSHIFT_CUSTOM_THING}\n"),
    ]);
    assert_eq!(
        supply(&world, "MAIL_PASSWORD"),
        Supply::Input {
            required: true,
            secret: true
        }
    );
    assert_eq!(
        supply(&world, "DEBUG"),
        Supply::Input {
            required: false,
            secret: false
        }
    );
    assert_eq!(
        supply(&world, "MAIL_TO"),
        Supply::Input {
            required: false,
            secret: false
        }
    );
    assert_eq!(
        supply(&world, "GREETING"),
        Supply::Input {
            required: false,
            secret: false
        }
    );
    assert_eq!(
        supply(&world, "OPENSHIFT_CUSTOM_THING"),
        Supply::Input {
            required: true,
            secret: false
        }
    );
    let document = world.convert(&Options::default()).read("CONVERSION.md");
    assert!(
        document.contains("| `MAIL_PASSWORD` | **you, from a Secret** |"),
        "{document}"
    );
}

#[test]
fn what_a_sourced_hook_exports_is_not_asked_for() {
    let world = World::of(&[
        (
            ".openshift/action_hooks/pre_start_python",
            "export GREETING='hello'\n",
        ),
        (
            "wsgi.py",
            "import os\nG = os.environ['GREETING']\nO = os.environ['OTHER']\napplication = 1\n",
        ),
    ]);
    let asked = |required| Supply::Input {
        required,
        secret: false,
    };
    assert_eq!(supply(&world, "GREETING"), asked(false));
    assert_eq!(supply(&world, "OTHER"), asked(true));
    let result = world.convert(&Options::default());
    assert!(
        result
            .read(".s2i/action_hooks/deploy_env")
            .contains("export GREETING='hello'")
    );
    // A build has no deploy_env.
    assert!(
        result
            .read(".s2i/action_hooks/build_env")
            .contains("GREETING=")
    );
}

#[test]
fn every_variable_that_a_file_names_is_accounted_for() {
    for fixture in [
        "django-starter",
        "flask",
        "bottle",
        "wsgi",
        "app-py",
        "php",
        "nodejs",
        "jboss",
    ] {
        let world = World::of_fixture(fixture);
        let analysis = world.analyze(&Options::default());
        let mut todo = vec![world.root.clone()];
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(folder)
                .expect("the folder can be listed")
                .flatten()
            {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                    continue;
                }
                if path.extension().is_some_and(|extension| extension == "md") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                    if word.starts_with("OPENSHIFT_") {
                        assert!(
                            analysis
                                .variables
                                .iter()
                                .any(|variable| variable.name == word),
                            "{word} of {} is not accounted for",
                            path.display()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_data_folder_with_files_is_not_hidden() {
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "wsgi.py",
            "import os\nD = os.environ['OPENSHIFT_DATA_DIR']\napplication = 1\n",
        ),
        ("data/local_settings.py", "X = 1\n"),
    ]);
    assert_eq!(
        supply(&world, "OPENSHIFT_DATA_DIR"),
        image("/opt/app-root/data/")
    );
    let needs = world.convert(&Options::default()).plan.needs;
    assert_eq!(
        needs.claim.expect("data is kept").mount_path,
        "/opt/app-root/data"
    );
}

#[test]
fn names_that_are_put_together_are_told_and_ask_for_nothing() {
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "wsgi.py",
            "import os\napplication = 1\nfor kind in KINDS:\n    HOST = os.environ['OPENSHIFT_%s_DB_HOST' % kind]\n    IP = os.environ.get('OPENSHIFT_' + kind)\n",
        ),
    ]);
    let analysis = world.analyze(&Options::default());
    assert!(
        analysis
            .variables
            .iter()
            .all(|variable| variable.name != "OPENSHIFT_" && !variable.name.contains("_DB_"))
    );
    let told: Vec<_> = of_rule(&analysis, "environment")
        .into_iter()
        .filter(|finding| finding.what.contains("put together"))
        .map(|finding| (finding.line, finding.what.clone()))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|(line, what)| *line == Some(4)
            && what.ends_with(
                "OPENSHIFT_MYSQL_DB_HOST, OPENSHIFT_POSTGRESQL_DB_HOST, OPENSHIFT_MONGODB_DB_HOST"
            )),
        "{told:?}"
    );
}

#[test]
fn the_applications_id_stays_the_same() {
    assert_eq!(
        supply(&reading(&["OPENSHIFT_APP_UUID"]), "OPENSHIFT_APP_UUID"),
        Supply::Deployment {
            source: Source::Secret {
                of: SecretOf::Application,
                key: "app-uuid".to_owned(),
                generated: true,
            }
        }
    );
}
