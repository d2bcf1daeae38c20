//! What V2's deploy hook did keeps its order around migrations, and its way to fail.

use openshifter_v2::{DatabaseChoice, Options};

use crate::hooks::{run, said};
use crate::support::World;

/// A `python` with a database: tables are there once something has migrated, and what wants them fails before.
const PYTHON: &str = "tables=$OPENSHIFT_DATA_DIR/tables\ncase \"$*\" in\n    *secrets.py*) echo '{}' ;;\n    *migrate*) touch \"$tables\"; echo migrated ;;\n    *manage.py*) [ -f \"$tables\" ] || { echo 'no such table'; exit 1; }; echo \"${@: -1}\" ;;\nesac";

fn with_deploy(text: &str) -> World {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        format!("#!/bin/bash\n{text}"),
    );
    world
}

#[test]
fn what_needs_tables_runs_after_migrations() {
    for (hook, expected) in [
        (
            "set -e\npython manage.py migrate\npython manage.py loaddata initial\n",
            "migrated\ninitial\n",
        ),
        (
            "set -e\ncd $OPENSHIFT_REPO_DIR/wsgi\npython manage.py syncdb --noinput\npython manage.py migrate\npython manage.py createcachetable\necho 'from x import y' | python manage.py shell\npython manage.py collectstatic --noinput\n",
            "migrated\nmigrated\ncreatecachetable\nshell\n",
        ),
        // Between two migrations.
        (
            "set -e\npython manage.py migrate one\npython manage.py loaddata initial\npython manage.py migrate two\n",
            "migrated\ninitial\nmigrated\n",
        ),
        // V2's tables were made by hand; here the first start makes them.
        (
            "set -e\npython libs/secrets.py > \"$OPENSHIFT_DATA_DIR\"secrets.json\npython manage.py loaddata initial\n",
            "Making DATA/secrets.json\nmigrated\ninitial\n",
        ),
        (
            "all() {\n    python manage.py loaddata initial\n    python manage.py collectstatic\n}\nset -e\nall\n",
            "migrated\ninitial\ncollectstatic\n",
        ),
    ] {
        let result = with_deploy(hook).convert(&Options::default());
        std::fs::create_dir_all(result.root.join("data")).expect("a folder can be made");
        let output = run(&result, "deploy", PYTHON, &[]);
        let data = format!("{}", result.root.join("data").display());
        let text = said(&output).replace(&data, "DATA");
        assert!(output.status.success(), "{hook}{text}");
        assert_eq!(text, expected, "{hook}");
    }
}

#[test]
fn where_migrations_run_before_the_container_the_rest_stays_in_the_deploy_hook() {
    let options = Options {
        database: DatabaseChoice::Service,
        ..Options::default()
    };
    let result =
        with_deploy("mkdir -p x\npython manage.py migrate\npython manage.py loaddata initial\n")
            .convert(&options);
    let deploy = result.read(".s2i/action_hooks/deploy");
    assert!(
        !deploy.contains("action_hooks/migrate")
            && deploy.find("mkdir -p x") < deploy.find("loaddata"),
        "{deploy}"
    );
    let migrate = result.read(".s2i/action_hooks/migrate");
    assert!(!migrate.contains("loaddata"), "{migrate}");
}

#[test]
fn a_hook_that_stops_at_failures_still_does() {
    let world = with_deploy("set -e\nfalse\necho goes on\n");
    let output = run(&world.convert(&Options::default()), "deploy", "exit 0", &[]);
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(1), "")
    );
    // Without it, the last command decides, as in V2.
    let world = with_deploy("false\nfalse | true\nls -d /\n");
    let output = run(&world.convert(&Options::default()), "deploy", "exit 0", &[]);
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(0), "/\n")
    );
}

#[test]
fn a_link_into_the_data_directory_may_be_all_that_is_in_its_folder() {
    let world = World::of_fixture("django-starter");
    std::fs::remove_dir_all(world.root.join("wsgi/static")).ok();
    std::fs::create_dir_all(world.root.join("wsgi/static")).expect("a folder can be made");
    for (target, link) in [
        ("data/media", "wsgi/static/media"),
        ("data/conf/local.py", "local.py"),
    ] {
        std::os::unix::fs::symlink(
            format!("/var/lib/openshift/abc/app-root/{target}"),
            world.root.join(link),
        )
        .expect("the link can be made");
    }
    let result = world.convert(&Options::default());
    assert!(result.has("wsgi/static/.gitkeep"));
    // Git does not keep it in an image that was built of less.
    std::fs::remove_dir_all(result.root.join("wsgi/static")).expect("it was there");
    let output = run(&result, "deploy", PYTHON, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let media = result.root.join("wsgi/static/media");
    assert!(media.is_dir() && result.root.join("data/media").is_dir());
    // A file is not made into a folder.
    assert!(result.root.join("data/conf").is_dir());
    assert!(!result.root.join("data/conf/local.py").exists());

    let again = World::of_fixture("django-starter");
    std::fs::remove_dir_all(&again.root).expect("it is there");
    crate::support::copy(&world.convert(&Options::default()).root, &again.root);
    let plan = again
        .plan(&Options::default())
        .expect("it can be converted");
    let paths: Vec<_> = plan.actions.iter().map(|action| &action.path).collect();
    assert!(plan.is_empty(), "{paths:?}");
}
