//! What goes wrong before the first change: the target stays as it was, and no login and no file is left.

use serde_json::json;

use crate::support::{
    Service, Space, Tool, World, closed_port, config, fill, show, shows, token_name,
};

/// An application at the source with its chart `chart`, and a project at the target that holds something of its own.
fn prepared(world: &World) -> (Space<'_>, Space<'_>, Tool) {
    let shop = world.minishift.project("shop");
    fill(&shop, 1);
    let held = world.production().project("held");
    held.create(&[config("own", json!({"a": "b"}))]);
    let tool = Tool::with_projects(world, "shop", "held");
    tool.run(&["export", "--from", "minishift", "-o", "chart"])
        .ok();
    (shop, held, tool)
}

#[test]
fn a_target_that_cannot_be_logged_in_to_stays_as_it_is_and_so_does_the_source() {
    let world = World::start();
    let (shop, held, tool) = prepared(&world);
    let pictures = (shop.picture(), held.picture());
    let ca = world.production().ca().to_string_lossy().into_owned();
    let base = world.production().base();
    let (expired, revoked) = (
        world.production().expired_token(),
        world.production().log_in("developer"),
    );
    let production = world.production();
    production.admin(&["delete", "oauthaccesstoken", &token_name(&revoked)], "");
    tool.write("expired", &expired);
    tool.write("revoked", &revoked);
    tool.write("wrong", "not-the-password\n");
    tool.write("right", world.production().password("developer"));
    let closed = closed_port();
    let runs = tool.runs();

    let user = ["--to-user", "developer"];
    let trusted = ["--to-ca", ca.as_str()];
    let password = |file: &'static str| ["--to-password-file", file];
    let token = |file: &'static str| ["--to-token-file", file];
    let mut text = String::new();
    for (title, to, more) in [
        (
            "wrong password",
            base,
            [&user[..], &trusted, &password("wrong")].concat(),
        ),
        (
            "expired token",
            base,
            [&trusted[..], &token("expired")].concat(),
        ),
        (
            "revoked token",
            base,
            [&trusted[..], &token("revoked")].concat(),
        ),
        (
            "unreachable",
            closed.as_str(),
            [&user[..], &trusted, &password("right")].concat(),
        ),
        ("untrusted", base, [&user[..], &password("right")].concat()),
        (
            "another cluster's authority",
            base,
            [
                &user[..],
                &password("right"),
                &["--to-ca", &world.minishift.ca().to_string_lossy()],
            ]
            .concat(),
        ),
        ("unknown cluster", "nowhere", Vec::new()),
    ] {
        let import = ["import", "chart", "-n", "held", "--to", to];
        let imported = tool.run(&[&import[..], &more].concat());
        show(&mut text, title, &imported);
        for policy in ["copy", "move", "ping-pong"] {
            let migrate = [
                "migrate",
                "--from",
                "minishift",
                "--to-namespace",
                "held",
                "--yes",
                "--policy",
                policy,
                "--to",
                to,
            ];
            let migrated = tool.run(&[&migrate[..], &more].concat());
            assert_eq!(migrated.status, imported.status, "{title}: {migrated:?}");
            assert_eq!(migrated.stderr, imported.stderr, "{title}");
        }
    }
    assert_eq!((shop.picture(), held.picture()), pictures);
    assert_eq!(world.minishift.sessions(), 0);
    // One that has expired is an object still.
    assert_eq!(world.production().sessions(), 1);
    assert_eq!(tool.runs(), runs);
    shows!(tool, text, @r#"
    wrong password: 3
    error: [address]: wrong user name or password for `developer`
    hint: check both; an account may also be locked after many attempts

    expired token: 3
    error: [address]: the token is not accepted: expired, revoked, or of another cluster
    hint: log in again and use the new credentials

    revoked token: 3
    error: [address]: the token is not accepted: expired, revoked, or of another cluster
    hint: log in again and use the new credentials

    unreachable: 3
    error: [address]: cannot reach [address]: Connection refused (os error 111)
    hint: check the address, the network, and whether the cluster is up

    untrusted: 3
    error: [address]: the certificate of [address] is not trusted: it is signed by an unknown authority
    hint: give the CA certificate that signed it, or allow this one cluster to be insecure

    another cluster's authority: 3
    error: [address]: the certificate of [address] is not trusted: it is signed by an unknown authority
    hint: give the CA certificate that signed it, or allow this one cluster to be insecure

    unknown cluster: 2
    error: `nowhere` is neither a name in input.json (minishift, production), nor a kubeconfig context, nor the address of a cluster
    "#);
}

#[test]
fn a_migration_of_what_is_not_there_changes_nothing() {
    let world = World::start();
    let (_, held, tool) = prepared(&world);
    world.minishift.project("empty");
    let picture = held.picture();
    let mut text = String::new();
    for project in ["nowhere", "empty"] {
        for policy in ["copy", "move", "ping-pong"] {
            let ran = tool.run(&[
                "migrate",
                "--from",
                "minishift",
                "-n",
                project,
                "--to",
                "production",
                "--policy",
                policy,
                "--yes",
            ]);
            show(&mut text, &format!("{policy} of {project}"), &ran);
        }
    }
    assert_eq!(held.picture(), picture);
    assert!(!world.production().absent("nowhere").exists());
    assert_eq!(world.minishift.sessions(), 0);
    assert_eq!(world.production().sessions(), 0);
    shows!(tool, text, @r#"
    copy of nowhere: 3
    policy copy:
      1. export minishift/nowhere
      2. import to production/held
    nothing is deleted

    migrate (copy) from minishift/nowhere to production/held: failed, nothing was changed ([seconds])
      error: minishift: there is no namespace `nowhere`, or this user may not see it
      next: check the spelling, or ask for access to it with a role such as `view` or `admin`

    move of nowhere: 3
    error: minishift: there is no namespace `nowhere`, or this user may not see it
    hint: check the spelling, or ask for access to it with a role such as `view` or `admin`

    ping-pong of nowhere: 3
    policy ping-pong:
      1. export minishift/nowhere
      2. export production/held as a backup that is kept
      3. delete the application's objects of production/held (its claims stay)
      4. import to production/held, overwriting the claims' data
    1 object goes from production/held:
      ConfigMap/own
    not looked at: podtemplates: podtemplates is forbidden: User "developer" cannot list resource "podtemplates" in API group "" in the namespace "held" (403)

    migrate (ping-pong) from minishift/nowhere to production/held: failed, nothing was changed ([seconds])
      error: minishift: there is no namespace `nowhere`, or this user may not see it
      next: check the spelling, or ask for access to it with a role such as `view` or `admin`

    copy of empty: 3
    policy copy:
      1. export minishift/empty
      2. import to production/held
    nothing is deleted

    migrate (copy) from minishift/empty to production/held: failed, nothing was changed ([seconds])
      error: nothing to move: empty holds no objects of an application

    move of empty: 3
    policy move:
      1. stop what writes to the volumes of minishift/empty
      2. export minishift/empty
      3. import to production/held, verify, wait until it is ready
      4. delete the application's objects of minishift/empty (its claims stay)
    0 objects go from minishift/empty:
    not looked at: podtemplates: podtemplates is forbidden: User "developer" cannot list resource "podtemplates" in API group "" in the namespace "empty" (403)

    migrate (move) from minishift/empty to production/held: failed, nothing was changed ([seconds])
      error: nothing to move: empty holds no objects of an application

    ping-pong of empty: 3
    policy ping-pong:
      1. export minishift/empty
      2. export production/held as a backup that is kept
      3. delete the application's objects of production/held (its claims stay)
      4. import to production/held, overwriting the claims' data
    1 object goes from production/held:
      ConfigMap/own
    not looked at: podtemplates: podtemplates is forbidden: User "developer" cannot list resource "podtemplates" in API group "" in the namespace "held" (403)

    migrate (ping-pong) from minishift/empty to production/held: failed, nothing was changed ([seconds])
      error: nothing to move: empty holds no objects of an application
    "#);
}

#[test]
fn an_input_file_that_cannot_be_used_is_told_with_its_place() {
    let world = World::start();
    let (_, held, tool) = prepared(&world);
    let picture = held.picture();
    let good = std::fs::read_to_string(tool.path("input.json")).expect("it is there");
    let mut text = String::new();
    for (title, content) in [
        ("missing key", good.replace("\"password\"", "\"passwort\"")),
        ("trailing comma", good.replacen("}}}", "},}}", 1)),
        (
            "cut off",
            r#"{"credentials": {"production": {"base": "127"#.to_owned(),
        ),
        ("another type", good.replacen("\"developer\"", "7", 1)),
        ("no JSON at all", "credentials: yaml\n".to_owned()),
        ("empty", String::new()),
    ] {
        assert_ne!(content, good, "{title}");
        tool.write("input.json", &content);
        let ran = tool.run(&["import", "chart", "--to", "production"]);
        let password = world.production().password("developer");
        assert!(!ran.stderr.contains(&password));
        show(&mut text, title, &ran);
    }
    assert_eq!(held.picture(), picture);
    shows!(tool, text, @r#"
    missing key: 2
    error: input.json is not right: missing field `password` at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}

    trailing comma: 2
    error: input.json is not right: trailing comma at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}

    cut off: 2
    error: input.json is not right: EOF while parsing a string at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}

    another type: 2
    error: input.json is not right: invalid type: integer `7`, expected a string at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}

    no JSON at all: 2
    error: input.json is not right: expected value at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}

    empty: 2
    error: input.json is not right: EOF while parsing a value at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}
    "#);
}

#[test]
fn bodies_that_are_no_chart_are_refused_with_one_line() {
    let world = World::start();
    let (_, held, tool) = prepared(&world);
    tool.run(&["chart", "pack", "chart", "chart.tgz"]).ok();
    let picture = held.picture();
    let service = Service::start(&world, &tool, true, &[]);
    let password = world.production().password("developer");
    let base = world.production().base();
    service.shell("base64 < chart.tgz | head -c 1001 > half");
    service.shell("base64 < chart.tgz | sed '2s/^...../*****/' > wrong");
    service.shell("base64 < chart.tgz | base64 -w 0 > twice");
    service.shell("tar -czf other.tgz input.json");
    service.shell("head -c 300M /dev/zero | gzip > bomb.tgz");
    let mut text = String::new();
    for (title, args) in [
        ("nothing", &["-X", "POST"][..]),
        ("an empty file", &["-T", "/dev/null"]),
        ("the @ forgotten", &["--data-urlencode", "chart.tgz"]),
        ("a multipart form", &["-F", "chart=@chart.tgz"]),
        ("JSON", &["--json", "{}"]),
        ("a broken escape", &["--data", "%1F%8B%0"]),
        ("half of the base64", &["--data-binary", "@half"]),
        ("wrong base64", &["--data-binary", "@wrong"]),
        ("base64 twice", &["--data-binary", "@twice"]),
        ("another archive", &["-T", "other.tgz"]),
        ("a bomb", &["-T", "bomb.tgz"]),
    ] {
        let answer = service.curl(&format!("/import/{base}/held/developer/{password}"), args);
        assert!((400..500).contains(&answer.status), "{title}: {answer:?}");
        let status = answer.status;
        let answer = answer.is(status);
        text.push_str(&format!("{title}: {status} {}\n", answer.body.trim_end()));
    }
    // Without its newlines the archive is broken, somewhere.
    service
        .curl(
            &format!("/import/{base}/held/developer/{password}"),
            &["--data", "@chart.tgz"],
        )
        .is(422);
    assert_eq!(held.picture(), picture);
    assert_eq!(world.production().sessions(), 0);
    let spool = std::fs::read_dir(tool.state().join("spool")).expect("it was used");
    assert_eq!(spool.count(), 0);
    service.stop();
    shows!(tool, text, @r#"
    nothing: 422 the body is empty; send the chart with --data-urlencode @FILE, --data-binary @FILE or -T FILE
    an empty file: 422 the body is empty; send the chart with --data-urlencode @FILE, --data-binary @FILE or -T FILE
    the @ forgotten: 422 the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; was the `@` before the file's name forgotten?
    a multipart form: 422 the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; it looks like a multipart form (curl -F): send it with --data-binary @FILE instead
    JSON: 422 {"status":422,"code":"bad-chart","error":"the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; was the `@` before the file's name forgotten?"}
    a broken escape: 422 byte 6 of the form is a `%` without two hexadecimal digits
    half of the base64: 422 the archive is torn or broken: after [n] bytes, incomplete deflate stream
    wrong base64: 422 byte 77 of the base64 text is not base64 (0x2a)
    base64 twice: 422 the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding
    another archive: 422 refused the archive: `input.json` is not in the one folder that a chart's archive is
    a bomb: 413 refused the archive: it grows to more than 200 times its size when it is unpacked
    "#);
}

#[test]
fn a_cluster_that_the_service_has_no_reason_to_trust_gets_no_password() {
    let world = World::start();
    let (_, held, tool) = prepared(&world);
    tool.run(&["chart", "pack", "chart", "chart.tgz"]).ok();
    let picture = held.picture();
    // It knows the first cluster's certificate alone.
    let service = Service::start(&world, &tool, false, &[]);
    let password = world.production().password("developer");
    let end = format!("{}/held/developer/{password}", world.production().base());
    for (route, args) in [
        ("export", &[][..]),
        ("delete", &[]),
        ("import", &["-T", "chart.tgz"]),
    ] {
        service
            .curl(&format!("/{route}/{end}"), args)
            .is(502)
            .says("not trusted");
    }
    assert_eq!(held.picture(), picture);
    assert_eq!(world.production().sessions(), 0);
    service.stop();
}

#[test]
fn a_service_whose_disk_is_full_says_so_and_sends_no_torn_chart() {
    let world = World::start();
    let (shop, held, tool) = prepared(&world);
    shop.shell("deploy/web", "head -c 20M /dev/urandom > /data/more");
    tool.run(&["export", "--from", "minishift", "-o", "large.tgz"])
        .ok();
    let pictures = (shop.picture(), held.picture());
    let service = Service::with_spool_of(&world, &tool, "8000000");
    service
        .curl(&format!("/export/{}", shop.place()), &[])
        .is(507)
        .says("No space left on device");
    // What it would become is seen before the disk is full.
    service
        .curl(&format!("/import/{}", held.place()), &["-T", "large.tgz"])
        .is(507)
        .says("there is no room for the archive");
    assert_eq!((shop.picture(), held.picture()), pictures);
    for cluster in [&world.minishift, world.production()] {
        assert_eq!(cluster.sessions(), 0, "at {}", cluster.name);
    }
    assert_eq!(shop.helpers(), [""; 0]);
    assert_eq!(held.helpers(), [""; 0]);
}
