//! Whole conversions: the ways to carry them out agree, and a second one changes nothing.

use std::process::Command;

use openshifter_v2::{ActionKind, DatabaseChoice, Options, Runner, Server, Tree, apply_in_place};

use crate::bad_input::listing;
use crate::support::{World, git};

const PYTHON: &[&str] = &["django-starter", "flask", "bottle", "wsgi", "app-py"];

/// As a fixture can be converted: a service in place of a database of the settings is for Django alone.
fn suited(name: &str, options: Options) -> Options {
    if ["django-starter", "visitors"].contains(&name) {
        return options;
    }
    Options {
        database: DatabaseChoice::Keep,
        ..options
    }
}

fn choices() -> Vec<Options> {
    vec![
        Options::default(),
        Options {
            server: Server::Gunicorn,
            runner: Runner::Pip,
            ..Options::default()
        },
        Options {
            database: DatabaseChoice::Service,
            runner: Runner::Image,
            ..Options::default()
        },
        Options {
            python: "2.7".parse().expect("a version"),
            django: "1.8".parse().expect("a version"),
            ..Options::default()
        },
    ]
}

#[test]
fn converting_the_result_changes_nothing() {
    let fixtures = PYTHON
        .iter()
        .map(|name| (*name, World::of_fixture(name)))
        .chain([("visitors", World::of_visitors())]);
    for (name, world) in fixtures {
        for options in choices() {
            let options = suited(name, options);
            let result = world.convert(&options);
            let again = World {
                folder: tempfile::tempdir().expect("a folder can be made"),
                root: result.root.clone(),
            };
            // What was decided is remembered.
            let recorded = Options::recorded(&again.tree()).expect("it is recorded");
            assert_eq!(recorded, options);
            let plan = again.plan(&recorded).expect("it can be converted");
            assert!(
                plan.is_empty(),
                "{name}: {:?}",
                plan.actions
                    .iter()
                    .map(|action| &action.path)
                    .collect::<Vec<_>>()
            );
            assert_eq!(plan.needs, result.plan.needs, "{name}");
        }
    }
}

#[test]
fn all_ways_make_the_same_tree() {
    for name in PYTHON {
        let world = World::of_fixture(name);
        std::os::unix::fs::symlink("wsgi.py", world.root.join("link"))
            .expect("the link can be made");
        world.write("caf\u{e9} \"x\".bin", b"\0\x01");
        let out = world.convert(&Options::default());
        let wanted = listing(&out.root);

        let patched = World::of_fixture(name);
        std::os::unix::fs::symlink("wsgi.py", patched.root.join("link"))
            .expect("the link can be made");
        patched.write("caf\u{e9} \"x\".bin", b"\0\x01");
        std::fs::write(
            patched.folder.path().join("patch"),
            patched.plan(&Options::default()).expect("a plan").patch(),
        )
        .expect("it can be written");
        git(&patched.root, &["init", "-q"]);
        git(&patched.root, &["apply", "--whitespace=nowarn", "../patch"]);
        same(&listing(&patched.root), &wanted, name);

        apply_in_place(&world.tree(), &out.plan).expect("it can be changed in place");
        same(&listing(&world.root), &wanted, name);
    }
}

/// Listings without folders, which a patch does not know when they are empty.
fn same(found: &[(String, Vec<u8>)], wanted: &[(String, Vec<u8>)], name: &str) {
    let files = |list: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        list.iter()
            .filter(|(_, content)| content != b"folder")
            .cloned()
            .collect()
    };
    let (found, wanted) = (files(found), files(wanted));
    let names = |list: &[(String, Vec<u8>)]| {
        list.iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(&wanted), "{name}");
    for (one, other) in found.iter().zip(&wanted) {
        assert!(one == other, "{name}: {} differs", one.0);
    }
}

#[test]
fn a_patch_of_a_file_in_another_encoding_applies() {
    let text =
        b"# -*- coding: latin-1 -*-\r\nname = 'caf\xe9'\r\nimport secrets\r\napplication = secrets";
    let make = || {
        let world = World::of(&[(".openshift/x", ""), ("libs/secrets.py", "")]);
        world.write("wsgi.py", text);
        world
    };
    let world = make();
    let plan = world.plan(&Options::default()).expect("a plan");
    std::fs::write(world.folder.path().join("patch"), plan.patch()).expect("it can be written");
    git(&world.root, &["init", "-q"]);
    git(&world.root, &["apply", "--whitespace=nowarn", "../patch"]);
    let result = std::fs::read(world.root.join("wsgi.py")).expect("it can be read");
    assert_eq!(result, b"# -*- coding: latin-1 -*-\r\nname = 'caf\xe9'\r\nimport openshift_secrets as secrets\r\napplication = secrets");
}

#[test]
fn what_was_not_edited_is_as_it_was() {
    let world = World::of_fixture("django-starter");
    let result = world.convert(&Options::default());
    let changed: Vec<&str> = result
        .plan
        .actions
        .iter()
        .flat_map(|action| [Some(action.path.as_str()), action.from.as_deref()])
        .flatten()
        .collect();
    let before = listing(&world.root);
    let after = listing(&result.root);
    for entry in &before {
        if !changed.contains(&entry.0.as_str()) {
            assert!(after.contains(entry), "{} changed", entry.0);
        }
    }
}

#[test]
fn each_change_has_a_reason() {
    for name in PYTHON {
        let plan = World::of_fixture(name)
            .plan(&Options::default())
            .expect("a plan");
        let document = World::of_fixture(name)
            .convert(&Options::default())
            .read("CONVERSION.md");
        for action in &plan.actions {
            assert!(!action.reasons.is_empty(), "{}", action.path);
            assert!(action.reasons.iter().all(|reason| !reason.text.is_empty()));
            if action.path != "CONVERSION.md" {
                assert!(
                    document.contains(&format!("`{}`", action.title())),
                    "{} is not in CONVERSION.md",
                    action.path
                );
            }
        }
    }
}

#[test]
fn what_a_person_wrote_for_v3_stays() {
    let world = World::of_fixture("django-starter");
    world.write("app.sh", "#!/bin/bash\nmine\n");
    world.write(
        ".s2i/environment",
        "# mine\nOPENSHIFT_DATA_DIR=/mine\nOTHER=1",
    );
    world.write(".s2i/action_hooks/deploy*", "#!/bin/bash\nmine\n");
    world.write(".gitignore", "*.pyc\n");
    let result = world.convert(&Options::default());
    assert_eq!(result.read("app.sh"), "#!/bin/bash\nmine\n");
    // The builder executes it, so it has to be executable.
    assert!(result.is_executable("app.sh"));
    assert!(
        result
            .plan
            .actions
            .iter()
            .any(|action| action.path == "app.sh" && action.kind == ActionKind::Mode)
    );
    assert_eq!(
        result.read(".s2i/action_hooks/deploy"),
        "#!/bin/bash\nmine\n"
    );
    let environment = result.read(".s2i/environment");
    assert!(
        environment
            .starts_with("# mine\nOPENSHIFT_DATA_DIR=/mine\nOTHER=1\nDISABLE_COLLECTSTATIC=1\n"),
        "{environment}"
    );
    assert_eq!(environment.matches("OPENSHIFT_DATA_DIR").count(), 1);
    assert!(
        result
            .read(".gitignore")
            .starts_with("*.pyc\n__pycache__/\n")
    );
}

#[test]
fn the_original_runner_is_replaced() {
    let world = World::of_fixture("wsgi");
    world.write(
        ".s2i/bin/assemble*",
        "#!/bin/bash\n\npip install powershift-cli[image]\n\nexec powershift image assemble\n",
    );
    world.write(
        ".s2i/bin/run*",
        "#!/bin/bash\necho mine\nexec powershift image run\n",
    );
    let result = world.convert(&Options::default());
    assert!(!result.read(".s2i/bin/assemble").contains("powershift"));
    assert!(result.is_executable(".s2i/bin/assemble"));
    assert!(
        result.read(".s2i/bin/run").contains("echo mine"),
        "a person has to see to it"
    );
}

#[test]
fn the_runner_comes_in_three_ways() {
    let scripts = |runner| {
        let result = World::of_fixture("wsgi").convert(&Options {
            runner,
            ..Options::default()
        });
        (
            result.read(".s2i/bin/assemble"),
            result.read(".s2i/bin/run"),
            result.has(".s2i/runner/openshifter-image"),
        )
    };
    let (assemble, run, vendored) = scripts(Runner::Vendored);
    assert!(
        vendored
            && assemble.contains(".s2i/runner/openshifter-image")
            && run.contains(".s2i/runner/openshifter-image\" run")
    );
    let (assemble, run, vendored) = scripts(Runner::Pip);
    assert!(
        !vendored
            && assemble.contains("pip install --no-cache-dir openshifter-image==")
            && run.contains("exec openshifter-image run")
    );
    let world = World::of_fixture("django-starter");
    world.write("wheels/runner.whl", "x");
    for (requirement, expected) in [
        (
            "https://files.example.com/runner-0.1.0.whl",
            "pip install --no-cache-dir https://files.example.com/runner-0.1.0.whl || exit\n",
        ),
        (
            "openshifter_image>=0.1",
            "pip install --no-cache-dir 'openshifter_image>=0.1' || exit\n",
        ),
        (
            "./wheels/runner.whl",
            "wheel=wheels/runner.whl\nfor place in /tmp/src ",
        ),
    ] {
        let result = world.convert(&Options {
            runner: Runner::Pip,
            runner_requirement: Some(requirement.to_owned()),
            ..Options::default()
        });
        let assemble = result.read(".s2i/bin/assemble");
        assert!(assemble.contains(expected), "{assemble}");
    }
    for (runner, requirement) in [
        (Runner::Pip, "wheels/gone.whl"),
        (Runner::Pip, "--index-url=x"),
        (Runner::Image, "openshifter_image"),
    ] {
        let error = world
            .plan(&Options {
                runner,
                runner_requirement: Some(requirement.to_owned()),
                ..Options::default()
            })
            .expect_err("it is refused");
        assert!(error.is_usage(), "{error}");
    }
    let (assemble, _, vendored) = scripts(Runner::Image);
    assert!(
        !vendored
            && !assemble.contains("pip")
            && assemble.contains("exec openshifter-image assemble")
    );
}

#[test]
fn links_into_the_old_platform_are_made_anew_at_deploy() {
    let world = World::of_fixture("django-starter");
    std::os::unix::fs::symlink(
        "/var/lib/openshift/0123456789abcdef/app-root/data/media",
        world.root.join("wsgi/static/media"),
    )
    .expect("the link can be made");
    std::os::unix::fs::symlink(
        "/var/lib/openshift/0123456789abcdef/other",
        world.root.join("gone"),
    )
    .expect("the link can be made");
    let result = world.convert(&Options::default());
    assert!(!result.has("wsgi/static/media") && !result.has("gone"));
    let deploy = result.read(".s2i/action_hooks/deploy");
    assert!(deploy.contains("mkdir -p \"$OPENSHIFT_DATA_DIR\"media \"$OPENSHIFT_REPO_DIR\"wsgi/static && ln -sfn \"$OPENSHIFT_DATA_DIR\"media \"$OPENSHIFT_REPO_DIR\"wsgi/static/media || exit $?\n"), "{deploy}");
}

#[test]
fn modes_are_gits_where_the_checkout_lost_them() {
    let world = World::of(&[
        (".openshift/action_hooks/deploy*", "#!/bin/bash\nrun\n"),
        ("wsgi.py", "application = 1\n"),
    ]);
    git(&world.root, &["init", "-q"]);
    git(&world.root, &["add", "-A"]);
    world.write(".openshift/action_hooks/deploy", "#!/bin/bash\nrun\n");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(
        world.root.join(".openshift/action_hooks/deploy"),
        std::fs::Permissions::from_mode(0o644),
    )
    .expect("the mode can be set");
    let hooks = world.analyze(&Options::default()).facts.hooks;
    assert_eq!(hooks[0].state, openshifter_v2::HookState::Live);
}

#[test]
fn what_manifests_need_can_be_read_from_the_result() {
    let world = World::of_fixture("django-starter");
    let result = world.convert(&Options {
        name: Some("notes".to_owned()),
        gear_mb: 1024,
        ..Options::default()
    });
    let tree =
        Tree::load(&result.root, &openshifter_v2::Limits::default()).expect("it can be read");
    let needs = openshifter_v2::Needs::recorded(&tree).expect("it is recorded");
    assert_eq!(needs, result.plan.needs);
    insta::assert_json_snapshot!(needs, @r#"
    {
      "name": "notes",
      "builder": "python:3.12",
      "full_builder": true,
      "port": 8080,
      "runner": "/opt/app-root/src/.s2i/runner/openshifter-image",
      "hooks": [
        "ready",
        "alive",
        "verify",
        "migrate",
        "setup"
      ],
      "variables": [
        {
          "name": "DEBUG",
          "source": null,
          "required": false,
          "secret": false
        },
        {
          "name": "DJANGO_LOG_LEVEL",
          "source": null,
          "required": false,
          "secret": false
        }
      ],
      "claim": {
        "mount_path": "/opt/app-root/src/data",
        "why": "the application's folder data/ holds no files that a volume would hide"
      },
      "databases": [],
      "migration": "deploy-hook",
      "cron": [
        {
          "category": "hourly",
          "schedule": "14 * * * *",
          "deadline_seconds": 1200
        },
        {
          "category": "weekly",
          "schedule": "14 1 * * 0",
          "deadline_seconds": 1200
        }
      ],
      "redirect_to_https": false,
      "memory_mb": 1024,
      "scaled": false,
      "health": {
        "path": "/admin/login/"
      },
      "clean_build": false
    }
    "#);
}

#[test]
fn the_plan_of_the_starter() {
    let world = World::of_fixture("django-starter");
    let plan = world.plan(&Options::default()).expect("a plan");
    let text: String = plan
        .actions
        .iter()
        .map(|action| format!("{} {}\n", action.kind.verb(), action.title()))
        .collect();
    insta::assert_snapshot!(text, @r"
    create .gitignore
    create .s2i/action_hooks/alive
    create .s2i/action_hooks/build
    create .s2i/action_hooks/deploy
    create .s2i/action_hooks/migrate
    create .s2i/action_hooks/ready
    create .s2i/action_hooks/setup
    create .s2i/action_hooks/verify
    create .s2i/bin/assemble
    create .s2i/bin/run
    create .s2i/environment
    create .s2i/jobs/hourly/clear_sessions
    create .s2i/jobs/weekly/jobs.allow
    create .s2i/jobs/weekly/report
    create .s2i/jobs/weekly/report.dat
    create .s2i/openshifter.json
    create .s2i/runner/openshifter-image
    create .s2i/runner/powershift
    create CONVERSION.md
    create app.sh
    rename libs/secrets.py -> libs/openshift_secrets.py
    create requirements.txt
    edit wsgi/application
    edit wsgi/myproject/myproject/settings.py
    edit wsgi/myproject/myproject/urls.py
    edit wsgi/myproject/notes/migrations/0001_initial.py
    edit wsgi/myproject/notes/models.py
    edit wsgi/myproject/notes/templates/notes/index.html
    edit wsgi/myproject/notes/urls.py
    edit wsgi/myproject/notes/views.py
    ");
    let deploy = world.convert(&Options::default()).read("CONVERSION.md");
    let deploy = deploy
        .split("## How it is deployed")
        .nth(1)
        .expect("it says so")
        .trim();
    insta::assert_snapshot!(deploy, @r#"
    `openshifter v2 deploy . --to CLUSTER -n PROJECT` does all of this. By hand, logged in to the project:

    ```sh
    # Secrets are made up and kept in ../django-starter.values, for the next time.
    openshifter v2 manifests . --generate --save-values ../django-starter.values | oc apply -f -
    oc start-build django-starter --from-dir=. --follow
    oc rollout status deployment/django-starter
    ```

    The manifests are all that it needs of the cluster:

    - ImageStream and BuildConfig on `python:3.12`: after each build the hook `verify` runs in the new image, which is kept only if that succeeds
    - Secret and ConfigMap `django-starter-environment`: the variables that the image does not have
    - Deployment, Service and Route, with the hooks `ready` and `alive` as probes
    - a claim at `/opt/app-root/src/data`, so that one pod runs at a time
    - nothing for migrations: the deploy hook runs them at each start, before the application
    - a CronJob for the hourly jobs, at `0 * * * *`: `/opt/app-root/src/.s2i/runner/openshifter-image jobs hourly --keep-going`
    - a CronJob for the weekly jobs, at `0 22 * * 0`: `/opt/app-root/src/.s2i/runner/openshifter-image jobs weekly --keep-going`

    The first administrator: `oc rsh deployment/django-starter /opt/app-root/src/.s2i/runner/openshifter-image setup`.
    mod_wsgi-express needs a full builder image; the minimal ones have no Apache.
    The runner is `.s2i/runner/openshifter-image`; replace the file to update it.
    "#);
}

#[test]
fn all_scripts_are_scripts() {
    for name in PYTHON {
        for options in choices() {
            let result = World::of_fixture(name).convert(&suited(name, options));
            for action in &result.plan.actions {
                let is_script = action.path == "app.sh"
                    || (action.path.starts_with(".s2i/bin/")
                        || action.path.starts_with(".s2i/action_hooks/"));
                if is_script {
                    let done = Command::new("bash")
                        .arg("-n")
                        .arg(result.root.join(&action.path))
                        .output()
                        .expect("there is bash");
                    assert!(
                        done.status.success(),
                        "{name}: {}: {}",
                        action.path,
                        String::from_utf8_lossy(&done.stderr)
                    );
                    let is_sourced = action.path.ends_with("_env");
                    assert_eq!(
                        result.is_executable(&action.path),
                        !is_sourced,
                        "{}",
                        action.path
                    );
                }
            }
        }
    }
}
