//! Hooks and jobs: where they go, and what the carried-over ones do when they are run.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use openshifter_v2::{HookState, Options};

use crate::support::{Converted, World, of_rule};

fn with_hooks(hooks: &[(&str, &str)]) -> World {
    let world = World::of(&[(".openshift/x", ""), ("wsgi.py", "application = 1\n")]);
    for (name, text) in hooks {
        world.write(&format!(".openshift/action_hooks/{name}"), text);
    }
    world
}

/// Runs a hook of the result as the runner does, with a `python` that only says how it was called.
pub(crate) fn run(
    result: &Converted,
    hook: &str,
    python: &str,
    environment: &[(&str, &str)],
) -> Output {
    let bin = result.root.parent().expect("it has a parent").join("bin");
    std::fs::create_dir_all(&bin).expect("a folder can be made");
    std::fs::write(bin.join("python"), format!("#!/bin/bash\n{python}\n"))
        .expect("it can be written");
    crate::support::set_executable(&bin.join("python"));
    let slash = |path: &Path| format!("{}/", path.display());
    let mut command = Command::new(result.root.join(".s2i/action_hooks").join(hook));
    command
        .current_dir(&result.root)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("OPENSHIFT_REPO_DIR", slash(&result.root))
        .env(
            "OPENSHIFT_HOMEDIR",
            slash(result.root.parent().expect("it has a parent")),
        )
        .env("OPENSHIFT_DATA_DIR", slash(&result.root.join("data")));
    for (name, value) in environment {
        command.env(name, value);
    }
    command.output().expect("the hook can be started")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_starters_deploy_hook_is_divided() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    let python = "echo \"python ${@##*/}\"; [[ \"$*\" == *secrets.py* ]] && echo '{}'; exit 0";
    let build = run(&result, "build", python, &[]);
    assert_eq!(
        said(&build),
        "Collecting static files\npython manage.py collectstatic --noinput\n"
    );
    let deploy = run(&result, "deploy", python, &[]);
    let text = said(&deploy);
    assert!(deploy.status.success(), "{text}");
    assert!(
        text.contains("python manage.py migrate --noinput") && !text.contains("collectstatic"),
        "{text}"
    );
    assert!(text.starts_with("Making "), "{text}");
    // Made once.
    let again = said(&run(&result, "deploy", python, &[]));
    assert!(!again.contains("Making"), "{again}");
}

#[test]
fn secrets_are_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let result = World::of_fixture("django-starter").convert(&Options::default());
    let file = result.root.join("data/secrets.json");
    let failing = run(
        &result,
        "deploy",
        "[[ \"$*\" == *secrets.py* ]] && exit 1; exit 0",
        &[],
    );
    assert!(!failing.status.success());
    assert!(said(&failing).contains("could not be made"));
    assert!(!file.exists());
    let empty = run(&result, "deploy", "exit 0", &[]);
    assert!(!empty.status.success() && !file.exists());
    // An empty file of an earlier failure is no obstacle.
    std::fs::write(&file, "").expect("it can be written");
    let good = run(
        &result,
        "deploy",
        "[[ \"$*\" == *secrets.py* ]] && echo '{\"secret_key\": \"x\"}'; exit 0",
        &[],
    );
    assert!(good.status.success(), "{}", said(&good));
    assert_eq!(
        std::fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777,
        0o660
    );
    let left: Vec<_> = std::fs::read_dir(result.root.join("data"))
        .expect("it can be listed")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name != ".gitkeep")
        .collect();
    assert_eq!(left, ["secrets.json"]);
}

#[test]
fn a_failing_migration_stops_the_start() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    let output = run(
        &result,
        "deploy",
        "[[ \"$*\" == *migrate* ]] && exit 7; [[ \"$*\" == *secrets* ]] && echo x; exit 0",
        &[],
    );
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn hooks_of_all_shapes_run_as_they_did() {
    // An empty first line, no `#!`, an early exit, Windows line ends.
    let world = with_hooks(&[
        (
            "deploy*",
            "\n#!/bin/bash\necho deploy in \"$PWD\"\nexit 0\necho never\n",
        ),
        ("build*", "echo build\r\nfalse\r\necho after\r\n"),
        ("prepare*", "#!/usr/bin/env python\nprint('prepare')\n"),
    ]);
    let result = world.convert(&Options::default());
    let deploy = run(&result, "deploy", "exit 0", &[]);
    assert_eq!(
        said(&deploy),
        format!(
            "deploy in {}\n",
            result.root.parent().expect("it has a parent").display()
        )
    );
    assert!(deploy.status.success());
    let build = result.read(".s2i/action_hooks/build");
    assert!(!build.contains('\r'));
    assert!(
        build.contains("/opt/app-root/src/.s2i/v2_hooks/prepare || exit $?"),
        "{build}"
    );
    assert!(result.is_executable(".s2i/v2_hooks/prepare"));
}

#[test]
fn a_hook_that_failed_the_push_fails_the_build() {
    let world = with_hooks(&[("build*", "#!/bin/bash\nfalse\necho goes on\nexit 3\n")]);
    let output = run(&world.convert(&Options::default()), "build", "exit 0", &[]);
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(3), "goes on\n")
    );
}

#[test]
fn an_activation_before_a_command_goes_and_the_command_stays() {
    let world = with_hooks(&[(
        "deploy*",
        "#!/bin/bash\nsource $OPENSHIFT_HOMEDIR/python/virtenv/bin/activate && echo one\n  . \"$VIRTUAL_ENV\"/bin/activate; echo two\ncd . && echo three\n",
    )]);
    let result = world.convert(&Options::default());
    let output = run(&result, "deploy", "exit 0", &[]);
    assert_eq!(said(&output), "one\ntwo\nthree\n");
    assert!(output.status.success());
}

#[test]
fn blocks_stay_whole() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\nset -e\nexport SHOP=1\nif [ -n \"$SHOP\" ]; then\n    python manage.py collectstatic --noinput\nfi\nif true; then\n    python manage.py migrate\n    python manage.py loaddata x\nfi\npython manage.py syncdb --noinput\nmkdir -p $OPENSHIFT_DATA_DIR/x\n",
    );
    let result = world.convert(&Options::default());
    let build = result.read(".s2i/action_hooks/build");
    assert!(build.contains("set -e\nexport SHOP=1\nif [ -n \"$SHOP\" ]; then\n    python manage.py collectstatic --noinput\nfi\n"), "{build}");
    let migrate = result.read(".s2i/action_hooks/migrate");
    assert!(
        migrate.contains("python manage.py migrate --run-syncdb --noinput")
            && !migrate.contains("loaddata"),
        "{migrate}"
    );
    let deploy = result.read(".s2i/action_hooks/deploy");
    // The first block came before the last migration, and the folder after it.
    let at = |text: &str| {
        deploy
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {deploy}"))
    };
    assert!(
        at("loaddata x\nfi\n") < at("action_hooks/migrate")
            && at("action_hooks/migrate") < at("mkdir -p $OPENSHIFT_DATA_DIR/x"),
        "{deploy}"
    );
}

#[test]
fn what_the_parts_share_is_in_all_of_them() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\nDIR=$(cd \"$OPENSHIFT_REPO_DIR\" && pwd)\n. \"$DIR/common.sh\"\nif [ -z \"$SHOP\" ]; then export SHOP=1; fi\nmanage() {\n    python manage.py \"$@\" $COMMON $SHOP\n}\nmanage collectstatic\nmanage migrate\nmanage loaddata\n",
    );
    world.write("common.sh", "COMMON=common\n");
    let result = world.convert(&Options::default());
    let python = "echo \"${@##*/}\"";
    for (hook, expected) in [
        ("build", "manage.py collectstatic common 1\n"),
        ("migrate", "manage.py migrate common 1\n"),
        (
            "deploy",
            "manage.py migrate common 1\nmanage.py loaddata common 1\n",
        ),
    ] {
        assert_eq!(said(&run(&result, hook, python, &[])), expected, "{hook}");
    }
    // A function that does both is not taken apart.
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\nall() {\n    python manage.py collectstatic\n    python manage.py migrate\n}\nall\n",
    );
    let deploy = world
        .convert(&Options::default())
        .read(".s2i/action_hooks/deploy");
    assert!(
        deploy.contains(
            "all() {\n    python manage.py collectstatic\n    python manage.py migrate\n}\nall\n"
        ),
        "{deploy}"
    );
}

#[test]
fn what_stands_beside_the_making_of_secrets_stays() {
    let python = "[[ \"$*\" == *secrets.py* ]] && echo '{}'; exit 0";
    for hook in [
        "if [ ! -f \"$OPENSHIFT_DATA_DIR\"secrets.json ]; then\n    mkdir -p \"$OPENSHIFT_DATA_DIR\"uploads\n    python libs/secrets.py > \"$OPENSHIFT_DATA_DIR\"secrets.json\n    touch \"$OPENSHIFT_DATA_DIR\"first\nfi\n",
        "if [ ! -f \"$OPENSHIFT_DATA_DIR\"secrets.json ]; then mkdir -p \"$OPENSHIFT_DATA_DIR\"uploads; python libs/secrets.py > \"$OPENSHIFT_DATA_DIR\"secrets.json; touch \"$OPENSHIFT_DATA_DIR\"first; fi\n",
        "mkdir -p \"$OPENSHIFT_DATA_DIR\"uploads\n[ -f \"$OPENSHIFT_DATA_DIR\"secrets.json ] || python libs/secrets.py > \"$OPENSHIFT_DATA_DIR\"secrets.json && touch \"$OPENSHIFT_DATA_DIR\"first\n",
    ] {
        let world = World::of_fixture("django-starter");
        world.write(
            ".openshift/action_hooks/deploy*",
            format!("#!/bin/bash\n{hook}"),
        );
        let result = world.convert(&Options::default());
        let deploy = run(&result, "deploy", python, &[]);
        assert!(deploy.status.success(), "{hook}{}", said(&deploy));
        for made in ["secrets.json", "uploads", "first"] {
            assert!(result.has(&format!("data/{made}")), "{made}: {hook}");
        }
    }
    // Alone, it is all that the statement was about, on one line or on several.
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\nif [ ! -f \"$OPENSHIFT_DATA_DIR\"secrets.json ]; then python libs/secrets.py > \"$OPENSHIFT_DATA_DIR\"secrets.json; fi\n",
    );
    let deploy = world
        .convert(&Options::default())
        .read(".s2i/action_hooks/deploy");
    assert!(!deploy.contains("-f \"$OPENSHIFT_DATA_DIR\""), "{deploy}");
}

#[test]
fn only_code_that_collects_switches_collection_off() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/build*",
        "#!/bin/bash\n# collectstatic with manage.py is the platform's\necho \"manage.py collectstatic follows\"\ntrue x\n",
    );
    world.write(".openshift/action_hooks/deploy*", "#!/bin/bash\nrun\n");
    let build = world
        .convert(&Options::default())
        .read(".s2i/action_hooks/build");
    assert!(
        build.contains("collectstatic --noinput || exit $?"),
        "{build}"
    );
    world.write(
        ".openshift/action_hooks/build*",
        "#!/bin/bash\npython manage.py \\\n    collectstatic -l\n",
    );
    let build = world
        .convert(&Options::default())
        .read(".s2i/action_hooks/build");
    assert!(!build.contains("--noinput"), "{build}");
}

#[test]
fn syncdb_of_south_is_djangos_migrate() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\n# syncdb --migrate is what South wants\necho \"syncdb --all\"; python manage.py \\\n    syncdb --noinput --migrate\npython manage.py syncdb --all && cp -r syncdb --all\n",
    );
    let result = world.convert(&Options::default());
    let migrate = result.read(".s2i/action_hooks/migrate");
    let deploy = result.read(".s2i/action_hooks/deploy");
    let text = migrate + &deploy;
    for line in [
        "# syncdb --migrate is what South wants\n",
        "echo \"syncdb --all\"; python manage.py \\\n    migrate --run-syncdb --noinput\n",
        "python manage.py migrate --run-syncdb && cp -r syncdb --all\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn hooks_without_a_place_and_hooks_that_never_ran_are_reported() {
    let world = with_hooks(&[
        ("post_restart*", "#!/bin/bash\nrun\n"),
        ("post_stop_python*", "#!/bin/bash\nrun\n"),
        ("deploy", "#!/bin/bash\nrun\n"),
        ("build*", "#!/bin/bash\n# nothing\n"),
        (
            "pre_start_python",
            "export LD_LIBRARY_PATH=$OPENSHIFT_DATA_DIR/lib:$LD_LIBRARY_PATH\n",
        ),
        ("README.md", "x"),
    ]);
    let analysis = world.analyze(&Options::default());
    let state = |name: &str| {
        analysis
            .facts
            .hooks
            .iter()
            .find(|hook| hook.name == name)
            .map(|hook| hook.state)
    };
    assert_eq!(state("deploy"), Some(HookState::NotExecutable));
    assert_eq!(state("build"), Some(HookState::Empty));
    // Hooks of one cartridge were sourced, executable or not.
    assert_eq!(state("pre_start_python"), Some(HookState::Live));
    assert_eq!(state("README.md"), None);
    let people: Vec<_> = of_rule(&analysis, "action-hooks")
        .into_iter()
        .filter(|finding| matches!(finding.remedy, openshifter_v2::Remedy::Person(_)))
        .filter_map(|finding| finding.path.clone())
        .collect();
    assert_eq!(
        people,
        [
            ".openshift/action_hooks/deploy",
            ".openshift/action_hooks/post_restart",
            ".openshift/action_hooks/post_stop_python"
        ]
    );
    let result = world.convert(&Options::default());
    let deploy_env = result.read(".s2i/action_hooks/deploy_env");
    assert!(
        deploy_env.contains("export LD_LIBRARY_PATH="),
        "{deploy_env}"
    );
    assert!(!result.has(".s2i/action_hooks/build"));
    let deploy = result.read(".s2i/action_hooks/deploy");
    assert!(
        !deploy.contains("\nrun\n"),
        "what V2 did not run is not run: {deploy}"
    );
}

#[test]
fn hooks_of_later_moments_have_their_places() {
    let world = with_hooks(&[
        ("post_deploy*", "#!/bin/bash\necho deployed\nexit 4\n"),
        ("post_start_python", "echo started\n"),
        ("post_start*", "#!/usr/bin/env python\nprint('python')\n"),
        ("pre_stop*", "#!/bin/bash\necho stopping\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    assert!(
        of_rule(&analysis, "action-hooks")
            .iter()
            .all(|finding| matches!(finding.remedy, openshifter_v2::Remedy::Convert(_)))
    );
    let result = world.convert(&Options::default());
    let output = run(&result, "post_deploy", "exit 0", &[]);
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(4), "deployed\n")
    );
    assert!(
        result
            .read(".s2i/bin/run")
            .contains("openshifter-image\" --init run \"$@\"")
    );
    // It waits for the server, which is there here.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let port = listener.local_addr().expect("it has an address").port();
    let start = result.read(".s2i/lifecycle/post_start");
    assert!(
        start.contains("echo started\n") && start.contains(".s2i/v2_hooks/post_start || exit $?"),
        "{start}"
    );
    let asks = start.replace("/opt/app-root/src/.s2i/v2_hooks/post_start", "true");
    std::fs::write(result.root.join(".s2i/lifecycle/post_start"), asks).expect("it can be written");
    for (hook, expected) in [("post_start", "started\n"), ("pre_stop", "stopping\n")] {
        // Not to the log of this machine's first process.
        let path = result.root.join(".s2i/lifecycle").join(hook);
        let text = std::fs::read_to_string(&path).expect("it is there");
        std::fs::write(&path, text.replace("/proc/1/", "/proc/none/")).expect("it can be written");
        let output = run(
            &result,
            &format!("../lifecycle/{hook}"),
            "exit 0",
            &[("PORT", &port.to_string())],
        );
        assert_eq!(said(&output), expected, "{hook}");
        assert!(output.status.success());
    }
    let lifecycle = &result.plan.needs.lifecycle;
    assert_eq!(
        (
            lifecycle.post_start.as_deref(),
            lifecycle.pre_stop.as_deref()
        ),
        (
            Some("/opt/app-root/src/.s2i/lifecycle/post_start"),
            Some("/opt/app-root/src/.s2i/lifecycle/pre_stop")
        )
    );
    // Nothing stays as process 1 where nothing wants it to.
    let plain = with_hooks(&[("deploy*", "#!/bin/bash\nrun\n")]).convert(&Options::default());
    assert!(!plain.read(".s2i/bin/run").contains("--init"));
}

#[test]
fn files_beside_hooks_are_found_from_the_carried_over_ones() {
    let world = with_hooks(&[
        (
            "deploy*",
            "#!/bin/bash\n. \"$(dirname \"$0\")/common.sh\"\ncat \"${0%/*}/list.txt\"\nDIR=$(cd $(dirname ${BASH_SOURCE[0]}) && pwd)\ncat $DIR/list.txt\n",
        ),
        ("common.sh", "echo common\n"),
        ("list.txt", "listed\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    let beside: Vec<_> = of_rule(&analysis, "action-hooks")
        .into_iter()
        .filter(|finding| finding.what.contains("lies beside the hooks"))
        .map(|finding| finding.severity.title())
        .collect();
    assert_eq!(beside, ["info", "info"]);
    let output = run(&world.convert(&Options::default()), "deploy", "exit 0", &[]);
    assert_eq!(said(&output), "common\nlisted\nlisted\n");
}

#[test]
fn markers_and_rules_of_htaccess_become_options_of_the_server() {
    let world = World::of(&[
        (".openshift/markers/enable_public_server_status", ""),
        ("wsgi/application", "application = 1\n"),
        ("wsgi/static/robots.txt", "x"),
        ("wsgi/media/a.png", "x"),
        (
            "wsgi/.htaccess",
            "RewriteEngine On\nRewriteRule ^robots\\.txt$ /static/robots.txt [L]\nRewriteRule ^files/(.*)$ /media/$1\nRewriteRule ^gone.txt /static/gone.txt\nRewriteRule ^(.*)\\.php$ /index.php\nRewriteCond %{HTTP_HOST} x\nRewriteRule ^a.png$ /media/a.png\nRewriteRule ^old$ /media/a.png [R=301]\n",
        ),
    ]);
    let result = world.convert(&Options::default());
    let text = result.read("app.sh");
    let aliases: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("args+=(--url-alias"))
        .collect();
    assert_eq!(
        aliases,
        [
            "args+=(--url-alias /robots.txt wsgi/static/robots.txt)",
            "args+=(--url-alias /files wsgi/media)"
        ]
    );
    assert!(text.contains("\n    --server-status\n"), "{text}");
    let analysis = world.analyze(&Options::default());
    let converted = |rule: &str| {
        of_rule(&analysis, rule)
            .iter()
            .filter(|finding| matches!(finding.remedy, openshifter_v2::Remedy::Convert(_)))
            .map(|finding| finding.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(converted("htaccess"), [Some(2), Some(3)]);
    assert_eq!(converted("markers"), [None]);
}

#[test]
fn what_the_builder_starts_first_and_what_keeps_a_claim_is_told() {
    let world = World::of_fixture("django-starter");
    world.write("gunicorn.conf.py", "workers = 2\n");
    let told = |options: &Options, rule: &str, what: &str| {
        of_rule(&world.analyze(options), rule)
            .iter()
            .any(|finding| finding.what.contains(what))
    };
    assert!(told(
        &Options::default(),
        "entry-point",
        "before it looks for app.sh"
    ));
    let path = "wsgi/myproject/myproject/settings.py";
    let settings = std::fs::read_to_string(world.root.join(path)).expect("it is there");
    world.write(
        path,
        settings + "\nMEDIA_ROOT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'media')\nMEDIA_URL = '/media/'\n",
    );
    let service = Options {
        database: openshifter_v2::DatabaseChoice::Service,
        ..Options::default()
    };
    let what = "needs a claim although the database is a service";
    assert!(told(&service, "media-files", what));
    assert!(world.convert(&service).plan.needs.claim.is_some());
    assert!(!told(&Options::default(), "media-files", what));
}

#[test]
fn a_password_in_a_hook_is_reported_and_not_shown() {
    let world = with_hooks(&[(
        "deploy*",
        "#!/bin/bash\nexport DB_PASSWORD=hunter2\nexport API_KEY=\"$OTHER\"\nrun\n",
    )]);
    let analysis = world.analyze(&Options::default());
    let found: Vec<_> = of_rule(&analysis, "action-hooks")
        .into_iter()
        .filter(|finding| finding.what.contains("everybody"))
        .collect();
    assert_eq!(found.len(), 1);
    assert!(!openshifter_v2::report::text(&analysis).contains("hunter2"));
    let result = world.convert(&Options::default());
    assert!(!result.read("CONVERSION.md").contains("hunter2"));
}

#[test]
fn jobs_follow_the_rules_of_v2s_cron() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/cron/hourly/clear_sessions",
        "#!/bin/bash\nrun\n",
    );
    world.write(".openshift/cron/hourly/notes.txt~", "x");
    world.write(".openshift/cron/daily/a", "#!/bin/bash\nrun\n");
    world.write(".openshift/cron/daily/lib/more/helper.sh*", "run\n");
    world.write(".openshift/cron/daily/lib/list.txt", "x\n");
    world.write(".openshift/cron/daily/denied*", "#!/bin/bash\n");
    world.write(".openshift/cron/daily/jobs.deny", "denied\n");
    let analysis = world.analyze(&Options::default());
    let jobs: Vec<_> = analysis
        .facts
        .cron
        .iter()
        .map(|category| (category.category.as_str(), category.jobs.clone()))
        .collect();
    assert_eq!(
        jobs,
        [
            ("hourly", vec!["clear_sessions".to_owned()]),
            ("daily", vec!["a".to_owned()]),
            ("weekly", vec!["report".to_owned()])
        ]
    );
    let result = world.convert(&Options::default());
    assert!(
        result.is_executable(".s2i/jobs/daily/a"),
        "V2 made jobs executable"
    );
    assert!(!result.is_executable(".s2i/jobs/weekly/report.dat"));
    assert_eq!(result.read(".s2i/jobs/weekly/jobs.allow"), "report\n");
    assert_eq!(result.read(".s2i/jobs/daily/jobs.allow"), "a\n");
    assert!(result.is_executable(".s2i/jobs/daily/lib/more/helper.sh"));
    assert_eq!(result.read(".s2i/jobs/daily/lib/list.txt"), "x\n");
    assert!(!result.has(".s2i/jobs/weekly/README") && !result.has(".s2i/jobs/monthly"));
    let schedules: Vec<_> = result
        .plan
        .needs
        .cron
        .iter()
        .map(|cron| cron.schedule.split(' ').count())
        .collect();
    assert_eq!(schedules, [5, 5, 5]);
}

/// A server that answers one request, and gives what was asked.
fn answering(status: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let port = listener.local_addr().expect("it has an address").port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("someone asks");
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1)
        {
            asked.push(byte[0]);
        }
        stream
            .write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes())
            .expect("it can be answered");
        String::from_utf8_lossy(&asked).into_owned()
    });
    (port, thread)
}

#[test]
fn probes_ask_under_a_host_that_is_allowed() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    for (hook, status, good) in [
        ("ready", "200 OK", true),
        ("ready", "302 Found", true),
        ("ready", "400 Bad Request", false),
        ("ready", "500 Oh", false),
        ("alive", "500 Oh", true),
    ] {
        let (port, thread) = answering(status);
        let output = run(
            &result,
            hook,
            "exit 1",
            &[("PORT", &port.to_string()), ("OPENSHIFT_APP_DNS", "*")],
        );
        assert_eq!(
            output.status.success(),
            good,
            "{hook} {status}: {}",
            said(&output)
        );
        let asked = thread.join().expect("the server ends");
        assert!(
            asked.starts_with(
                "GET /admin/login/ HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n"
            ),
            "{asked}"
        );
    }
    let (port, thread) = answering("200 OK");
    run(
        &result,
        "ready",
        "exit 1",
        &[
            ("PORT", &port.to_string()),
            ("OPENSHIFT_APP_DNS", "notes.example.com"),
        ],
    );
    assert!(
        thread
            .join()
            .expect("the server ends")
            .contains("Host: notes.example.com\r\n")
    );
    // Nobody listens: it is none of the ports that the system hands out.
    assert!(
        !run(&result, "ready", "exit 1", &[("PORT", "1")])
            .status
            .success()
    );
}

#[test]
fn markers_htaccess_and_old_tools_are_reported() {
    let world = World::of(&[
        (".openshift/markers/force_clean_build", ""),
        (".openshift/markers/hot_deploy", ""),
        ("wsgi/application", "application = 1\n"),
        (
            "wsgi/.htaccess",
            "RewriteEngine On\nRewriteCond %{HTTP:X-Forwarded-Proto} !https\nRewriteRule .* https://%{HTTP_HOST}%{REQUEST_URI} [R,L]\nRewriteRule ^robots.txt /static/robots.txt\n",
        ),
        ("README.md", "    rhc app create x python-2.7\n"),
        ("lib.cfg", "log = /var/lib/openshift/x/log\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    assert_eq!(analysis.facts.markers, ["force_clean_build", "hot_deploy"]);
    assert_eq!(of_rule(&analysis, "markers").len(), 2);
    assert_eq!(of_rule(&analysis, "htaccess").len(), 2);
    assert_eq!(of_rule(&analysis, "rhc-steps").len(), 1);
    assert_eq!(of_rule(&analysis, "platform-paths").len(), 1);
    let needs = world.convert(&Options::default()).plan.needs;
    assert!(needs.redirect_to_https && needs.clean_build);
}
