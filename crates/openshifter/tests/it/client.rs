//! The interactive client, on a terminal, with a person who reads and types.

use crate::support::{Terminal, Tool, World, archive, guestbook, is_clean};

const IMAGE: [&str; 3] = ["client", "--helper-image", "openshifter.test/shell:1"];

/// Chooses both ends from `input.json`.
#[track_caller]
fn choose(client: &mut Terminal, source: &str, target: &str) {
    client.answer("Number: ", "1");
    client.answer("Number: ", source);
    client.answer("Number: ", "1");
    client.answer("Number: ", target);
}

/// Shows what a person sees, in this order.
#[track_caller]
fn in_order(shown: &str, texts: &[&str]) {
    let mut from = 0;
    for text in texts {
        let at = shown[from..]
            .find(text)
            .unwrap_or_else(|| panic!("`{text}` is not there, or not in its place: {shown}"));
        from += at + text.len();
    }
}

#[test]
fn copy_deletes_nothing_and_asks_nothing_more() {
    let world = World::start();
    let (shop, live) = (
        world.minishift.project("shop"),
        world.production().absent("live"),
    );
    guestbook(&shop, &["first", "second"]);
    let before = archive(&shop, "deploy/guestbook");
    let picture = shop.picture();
    let tool = Tool::with_projects(&world, "shop", "live");

    let mut client = Terminal::start(tool.command(&IMAGE));
    choose(&mut client, "minishift", "2");
    client.answer("Number: ", "3");
    let (status, shown) = client.end();
    assert_eq!(status, Some(0), "{shown}");
    in_order(
        &shown,
        &[
            "Source: where the application is",
            "1) minishift",
            "2) production",
            "Target: where the application goes",
            "Policy: copy",
            "Nothing is deleted.",
            "complete: everything is there and was checked",
        ],
    );
    assert!(!shown.contains(&world.minishift.password("developer")));
    assert_eq!(shop.picture(), picture);
    assert!(before == archive(&shop, "deploy/guestbook"));
    assert_eq!(live.messages(), ["first", "second"]);
    assert!(before == archive(&live, "deploy/guestbook"));
    is_clean(&[&shop, &live]);
}

#[test]
fn move_deletes_the_source_at_last_and_only_after_yes_and_hides_the_password() {
    let world = World::start();
    let (shop, live) = (
        world.minishift.project("shop"),
        world.production().absent("live"),
    );
    guestbook(&shop, &["first"]);
    let before = archive(&shop, "deploy/guestbook");
    let picture = shop.picture();
    let tool = Tool::with_projects(&world, "shop", "live");
    let password = world.production().password("developer");

    for (agreed, expected) in [("no", 3), ("y", 3), ("yes", 0)] {
        let mut client = Terminal::start(tool.command(&IMAGE));
        client.answer("Number: ", "1");
        client.answer("Number: ", "minishift");
        // The target is typed in.
        client.answer("Number: ", "2");
        client.answer("Base URL (host:port): ", world.production().base());
        client.answer("Project: ", "live");
        client.answer("Username: ", "developer");
        client.answer("Password: ", &password);
        client.answer("Number: ", "move");
        // Its certificate is nobody's that the machine knows.
        client.answer("Type `insecure` to go on", "insecure");
        client.answer("Type `yes` to go on, and to delete these 3 objects", agreed);
        let (status, shown) = client.end();
        assert_eq!(status, Some(expected), "{shown}");
        assert!(!shown.contains(&password), "the password was shown");
        in_order(
            &shown,
            &[
                "Policy: move",
                "What is deleted, in this order:",
                "claims that stay",
            ],
        );
        if expected == 0 {
            in_order(
                &shown,
                &[
                    "waiting until the application is ready",
                    "deleting 3 objects",
                    "complete: everything is there and was checked",
                ],
            );
        } else {
            assert_eq!(shop.picture(), picture);
            assert!(!live.exists());
            assert!(!tool.state().join("runs").exists());
        }
    }
    shop.until_gone("deployments,services,routes,pods");
    assert_eq!(
        shop.names("persistentvolumeclaims"),
        ["persistentvolumeclaim/guestbook-data"]
    );
    assert_eq!(live.messages(), ["first"]);
    assert!(before == archive(&live, "deploy/guestbook"));
    is_clean(&[&shop, &live]);
}

#[test]
fn move_in_place_deploys_anew_and_keeps_the_data() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    guestbook(&shop, &["first", "second"]);
    let before = archive(&shop, "deploy/guestbook");
    let uid = |kind: &str, name: &str| shop.must(kind, name)["metadata"]["uid"].to_string();
    let (claim, deployment) = (uid("pvc", "guestbook-data"), uid("deployment", "guestbook"));
    let tool = Tool::with_projects(&world, "shop", "-");

    for (agreed, expected) in [("no", 3), ("yes", 0)] {
        let mut client = Terminal::start(tool.command(&IMAGE));
        choose(&mut client, "1", "1");
        client.answer("Number: ", "1");
        client.answer("Type `yes` to go on", agreed);
        let (status, shown) = client.end();
        assert_eq!(status, Some(expected), "{shown}");
        in_order(
            &shown,
            &["Policy: move, in place", "guestbook", "claims that stay"],
        );
        if expected == 3 {
            assert_eq!(uid("deployment", "guestbook"), deployment);
        }
    }
    assert_ne!(uid("deployment", "guestbook"), deployment);
    assert_eq!(uid("pvc", "guestbook-data"), claim);
    assert_eq!(shop.messages(), ["first", "second"]);
    assert!(before == archive(&shop, "deploy/guestbook"));
    is_clean(&[&shop]);
}

#[test]
fn ping_pong_goes_there_and_back_and_keeps_backups() {
    let world = World::start();
    let (shop, live) = (
        world.minishift.project("shop"),
        world.production().project("live"),
    );
    guestbook(&shop, &["first"]);
    guestbook(&live, &["old at the target"]);
    let tool = Tool::with_projects(&world, "shop", "live");

    let round = |source: &str, target: &str| {
        let mut client = Terminal::start(tool.command(&IMAGE));
        choose(&mut client, source, target);
        client.answer("Number: ", "ping");
        client.answer("Type `yes` to go on, and to delete these 3 objects", "yes");
        let (status, shown) = client.end();
        assert_eq!(status, Some(0), "{shown}");
        in_order(
            &shown,
            &[
                "backup",
                "What is deleted, in this order:",
                "complete: everything",
            ],
        );
    };
    round("minishift", "production");
    assert_eq!(shop.messages(), ["first"]);
    assert_eq!(live.messages(), ["first"]);

    let host = live.host("guestbook");
    live.cluster
        .ask_router(&host, "/entries", &["--data", "name=Ada&message=second"]);
    round("production", "minishift");
    assert_eq!(shop.messages(), ["first", "second"]);
    assert_eq!(live.messages(), ["first", "second"]);
    let backups = std::fs::read_dir(tool.state().join("charts")).expect("there are backups");
    assert!(backups.count() >= 2);
    is_clean(&[&shop, &live]);
}

#[test]
fn a_service_does_the_work_for_the_client() {
    let world = World::start();
    let (shop, live) = (
        world.minishift.project("shop"),
        world.production().absent("live"),
    );
    guestbook(&shop, &["first"]);
    let tool = Tool::with_projects(&world, "shop", "live");
    let service = crate::support::Service::start(&world, &tool, true, &[]);
    let mut client = Terminal::start(tool.command(&["client", service.url()]));
    choose(&mut client, "minishift", "production");
    client.answer("Number: ", "move");
    client.answer("Type `yes` to go on", "yes");
    let (status, shown) = client.end();
    assert_eq!(status, Some(0), "{shown}");
    assert_eq!(live.messages(), ["first"]);
    shop.until_gone("deployments,services,routes,pods");
    is_clean(&[&shop, &live]);
    service.stop();
}

#[test]
fn an_input_file_that_cannot_be_used_gets_one_clear_message() {
    let world = World::small();
    let tool = Tool::with_projects(&world, "shop", "-");
    let good = std::fs::read_to_string(tool.path("input.json")).expect("it is there");
    let without = good.replace("\"project\"", "\"projekt\"");
    let comma = good.replacen("},", "},,", 1).replacen("}}}", "},}}", 1);
    assert!(without != good && comma != good);
    for (content, words) in [
        (Some(without.as_str()), ["input.json", "project"]),
        (Some(comma.as_str()), ["input.json", "line 1"]),
        (Some("{\"credentials\": {}}"), ["input.json", "no cluster"]),
        (None, ["input.json", "No such file"]),
    ] {
        match content {
            Some(content) => {
                tool.write("input.json", content);
            }
            None => std::fs::remove_file(tool.path("input.json")).expect("it is there"),
        }
        let mut client = Terminal::start(tool.command(&["client"]));
        client.answer("Number: ", "1");
        let (status, shown) = client.end();
        assert_eq!(status, Some(2), "{shown}");
        let errors: Vec<&str> = shown
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{shown}");
        for word in words {
            assert!(errors[0].contains(word), "no `{word}` in {shown}");
        }
        assert!(!shown.contains(&world.minishift.password("developer")));
    }
}
