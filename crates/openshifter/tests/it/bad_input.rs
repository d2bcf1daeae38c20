//! Wrong names, passwords, addresses, certificates and files: one clear message, an exit status, and nothing changed.

use serde_json::json;

use crate::support::{Tool, World, closed_port, config, fill, show, shows, token_name};

#[test]
fn what_cannot_be_reached_or_is_not_believed() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    shop.create(&[config("settings", json!({"a": "b"}))]);
    let picture = shop.picture();
    let tool = Tool::with_projects(&world, "shop", "shop");
    let ca = world.minishift.ca().to_string_lossy().into_owned();
    let base = world.minishift.base();
    let token = world.minishift.log_in("developer");
    tool.write("token", &token);
    // It is taken back through the API, as `oc logout` does.
    let name = token_name(&token);
    world
        .minishift
        .admin(&["delete", "oauthaccesstoken", &name], "");
    tool.write("wrong", "not-the-password\n");
    tool.write("right", world.minishift.password("developer"));
    let closed = closed_port();

    let user = ["--from-user", "developer"];
    let trusted = ["--from-ca", ca.as_str()];
    let with = |file: &'static str| ["--from-password-file", file];
    let mut text = String::new();
    for (title, from, more) in [
        (
            "wrong password",
            base,
            [&user[..], &trusted, &with("wrong")].concat(),
        ),
        (
            "revoked token",
            base,
            [&trusted[..], &["--from-token-file", "token"]].concat(),
        ),
        (
            "unreachable",
            closed.as_str(),
            [&user[..], &trusted, &with("right")].concat(),
        ),
        ("untrusted", base, [&user[..], &with("right")].concat()),
        (
            "no such file",
            base,
            [&user[..], &trusted, &with("absent")].concat(),
        ),
        ("nothing to log in with", base, trusted.to_vec()),
        ("nobody to ask", base, [&user[..], &trusted].concat()),
        ("unknown cluster", "nowhere", Vec::new()),
    ] {
        for command in [&["export", "-o", "chart"][..], &["delete", "--yes"]] {
            let args = [command, &["-n", "shop", "--from", from], &more].concat();
            let ran = tool.run(&args);
            if command[0] == "export" {
                show(&mut text, title, &ran);
            } else {
                assert!(matches!(ran.status, Some(2 | 3)), "{title}: {ran:?}");
            }
        }
    }
    show(
        &mut text,
        "unknown project",
        &tool.export("nowhere", "chart"),
    );
    world.minishift.project("empty");
    show(&mut text, "empty project", &tool.export("empty", "chart"));
    assert_eq!(shop.picture(), picture);
    assert_eq!(world.minishift.sessions(), 0);
    tool.write(
        "input.json",
        r#"{"credentials": {"minishift": {"base": "x",}}}"#,
    );
    show(
        &mut text,
        "broken input.json",
        &tool.run(&["export", "--from", "minishift", "-n", "shop"]),
    );
    assert!(!tool.path("chart").exists());
    shows!(tool, text, @r#"
    wrong password: 3
    error: [address]: wrong user name or password for `developer`
    hint: check both; an account may also be locked after many attempts

    revoked token: 3
    error: [address]: the token is not accepted: expired, revoked, or of another cluster
    hint: log in again and use the new credentials

    unreachable: 3
    error: [address]: cannot reach [address]: Connection refused (os error 111)
    hint: check the address, the network, and whether the cluster is up

    untrusted: 3
    error: [address]: the certificate of [address] is not trusted: it is signed by an unknown authority
    hint: give the CA certificate that signed it, or allow this one cluster to be insecure

    no such file: 2
    error: failed to open file `absent`: No such file or directory (os error 2)

    nothing to log in with: 2
    error: no credentials for https://[address]/: give a user name (the password is asked for), a token file, or a client certificate

    nobody to ask: 2
    error: no password for developer at [address]: give it in a file, on stdin or in the environment

    unknown cluster: 2
    error: `nowhere` is neither a name in input.json (minishift), nor a kubeconfig context, nor the address of a cluster

    unknown project: 3
    export from minishift/nowhere: failed, nothing was changed ([seconds])
      error: minishift: there is no namespace `nowhere`, or this user may not see it
      next: check the spelling, or ask for access to it with a role such as `view` or `admin`

    empty project: 3
    export from minishift/empty: failed, nothing was changed ([seconds])
      error: nothing to move: empty holds no objects of an application

    broken input.json: 2
    error: input.json is not right: trailing comma at line 1 column [n]; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}
    "#);
}

#[test]
fn charts_that_are_none_or_were_changed() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, 1);
    let tool = Tool::new(&world);
    tool.export("shop", "good.tgz").ok();
    let good = std::fs::read(tool.path("good.tgz")).expect("there is a chart");
    tool.write("short.tgz", &good[..good.len() / 2]);
    tool.write("text.tgz", "not a chart at all\n");
    tool.write("empty.tgz", "");
    std::fs::create_dir(tool.path("folder")).expect("there is room");
    for (name, change) in [
        ("changed-object", "templates"),
        ("changed-data", "data/volumes"),
        ("more", ""),
        ("less", ""),
    ] {
        tool.run(&["chart", "unpack", "good.tgz", name]).ok();
        let root = tool.path(name);
        match name {
            "more" => {
                std::fs::write(root.join("templates/more.yaml"), "a: b\n").expect("it is ours")
            }
            "less" => std::fs::remove_file(root.join("templates/deployment.apps-web.yaml"))
                .expect("it is there"),
            _ => {
                let file = first_file(&root.join(change));
                let mut bytes = std::fs::read(&file).expect("it is ours");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&file, bytes).expect("it is ours");
            }
        }
    }
    let mut text = String::new();
    for chart in [
        "text.tgz",
        "empty.tgz",
        "short.tgz",
        "folder",
        "nothing-there",
        "changed-object",
        "changed-data",
        "more",
        "less",
    ] {
        let ran = tool.run(&["import", chart, "--to", "production", "-n", "shop"]);
        assert_eq!(ran.status, Some(3), "{chart}: {ran:?}");
        show(&mut text, chart, &ran);
        let ran = tool.run(&["chart", "verify", chart]);
        assert_eq!(ran.status, Some(3), "{chart}: {ran:?}");
    }
    assert!(!there.exists());
    shows!(tool, text, @r#"
    text.tgz: 3
    error: the chart text.tgz cannot be used: `text.tgz` is not a chart: it is neither a folder nor a gzip archive

    empty.tgz: 3
    error: the chart empty.tgz cannot be used: `empty.tgz` is not a chart: it is neither a folder nor a gzip archive

    short.tgz: 3
    error: the chart short.tgz cannot be used: the archive is torn or broken: after [n] bytes, incomplete deflate stream

    folder: 3
    error: the chart folder cannot be used: `folder` is not a chart: it has no `data/manifest.json`, nor what a chart of 2019 has

    nothing-there: 3
    error: the chart nothing-there cannot be used: reading `nothing-there` failed: No such file or directory (os error 2)

    changed-object: 3
    error: the chart changed-object cannot be used: the chart is damaged: `templates/_openshifter.tpl` has the SHA-256 [sha256] and not [sha256]

    changed-data: 3
    error: the chart changed-data cannot be used: the volume of the claim `web-data` cannot be used: `changed-data/data/volumes/web-data/segments/000000-[sha256].tar.zst` is damaged: its SHA-256 is [sha256] and not [sha256]

    more: 3
    error: the chart more cannot be used: the chart is damaged: `templates/more.yaml` is not in the ledger

    less: 3
    error: the chart less cannot be used: the chart is damaged: `templates/deployment.apps-web.yaml` is missing
    "#);
}

/// The first file below a folder, by name; of a volume's, a segment.
fn first_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    let first = entries
        .iter()
        .find(|path| path.is_dir())
        .or_else(|| entries.first())
        .expect("it is not empty");
    if first.is_dir() {
        first_file(first)
    } else {
        first.clone()
    }
}
