//! Images of applications that are moved once more, or in other ways than one tag and one build.

use openshifter_testing::{GitServer, OCI_LAYER, RegistryServer, config};
use serde_json::{Value, json};

use crate::builds_again::{build_anew, commit, from_git};
use crate::images::{
    INTERNAL, STREAM, build_config, build_from_folder, deployment, deployment_config, json_of,
    let_forward, names, running, stream, tagged,
};
use crate::support::{Ran, Space, Tool, World, is_clean, until};

const MIGRATE: [&str; 5] = ["migrate", "--from", "minishift", "--to", "production"];

fn migrate(tool: &Tool, more: &[&str]) -> Ran {
    tool.run(&[&["--output", "json"], &MIGRATE[..], more].concat())
}

/// The digest that a tag leads to.
fn tag_of(space: &Space<'_>, stream: &str, tag: &str) -> Option<String> {
    let stream = space.get(STREAM, stream)?;
    let tags = stream["status"]["tags"].as_array()?;
    let status = tags.iter().find(|status| status["tag"] == tag)?;
    Some(status["items"][0]["image"].as_str()?.to_owned())
}

/// A CronJob that is not due.
fn nightly(image: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": image, "command": ["true"]}]}}}}}})
}

#[test]
fn a_second_migration_builds_what_the_source_runs_by_then() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let (git, folder) = (GitServer::start(), world.path("tree"));
    commit(&git, "web", &folder, "at first");
    shop.create(&[
        stream("web"),
        build_config(&from_git(&git, "web")),
        deployment_config(),
    ]);
    assert_eq!(running(&shop, "web").1, "at first");
    json_of(&migrate(&tool, &[]), 0);
    let first = tagged(&there).expect("it is built");
    // Nothing is new.
    json_of(&migrate(&tool, &[]), 0);
    assert_eq!(tagged(&there).as_ref(), Some(&first));

    let second = commit(&git, "web", &folder, "since then");
    build_anew(&shop, &tool);
    let refused = migrate(&tool, &[]).ended(3);
    names(
        &refused.stdout,
        "the tag web:latest of shop has the image of Build",
    );
    names(&refused.stdout, "--existing apply builds that");
    let kept = json_of(&migrate(&tool, &["--existing", "skip"]), 1);
    names(
        &kept["losses"].to_string(),
        "which stays with `--existing skip`",
    );
    assert_eq!(tagged(&there).as_ref(), Some(&first));
    let done = json_of(&migrate(&tool, &["--existing", "apply"]), 0);
    let now = tagged(&there).expect("it is built");
    assert_ne!(now, first);
    names(&done["images"].to_string(), &second);
    until("the new image to run", || {
        (running(&there, "web").1 == "since then").then_some(())
    });

    // What was built over is led back to.
    let_forward(world.production());
    let id = done["run"].as_str().expect("it has an id");
    tool.run(&["undo", id]).ok();
    assert_eq!(tagged(&there), Some(first));
    is_clean(&[&shop, &there]);
}

#[test]
fn an_image_of_others_is_not_built_over_by_accident() {
    let world = World::start();
    let (shop, _) = world.pair("shop");
    let there = world.production().project("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let git = GitServer::start();
    commit(&git, "web", &world.path("tree"), "of the source");
    shop.create(&[stream("web"), build_config(&from_git(&git, "web"))]);
    until("it is built", || tagged(&shop));
    there.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    let theirs = build_from_folder(&world, &there, "of somebody at the target");
    there.kubectl(&["delete", "buildconfigs.build.openshift.io", "web"]);
    let refused = migrate(&tool, &[]).ended(3);
    names(&refused.stdout, &theirs);
    assert_eq!(tagged(&there), Some(theirs));
    is_clean(&[&shop, &there]);
}

#[test]
fn all_tags_of_an_image_lead_to_the_one_that_is_built() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let git = GitServer::start();
    commit(&git, "web", &world.path("tree"), "promoted");
    shop.create(&[
        stream("web"),
        stream("live"),
        build_config(&from_git(&git, "web")),
    ]);
    let digest = until("it is built", || tagged(&shop));
    // As `oc tag web:latest web:prod` and `oc tag web:latest live:1` write it.
    for (stream, tag) in [("web", "prod"), ("live", "1")] {
        let from = json!({"kind": "ImageStreamImage", "name": format!("web@{digest}"), "namespace": "shop"});
        let patch = json!({"spec": {"tags": [{"name": tag, "from": from}]}}).to_string();
        shop.kubectl(&["patch", STREAM, stream, "--type=merge", "-p", &patch]);
        until("the tag", || tag_of(&shop, stream, tag));
    }
    let mut follows = deployment_config();
    follows["spec"]["triggers"][1]["imageChangeParams"]["from"]["name"] = "web:prod".into();
    shop.create(&[follows]);
    assert_eq!(running(&shop, "web").1, "promoted");
    json_of(&migrate(&tool, &[]), 0);
    assert_eq!(running(&there, "web").1, "promoted");
    let built = tag_of(&there, "web", "latest").expect("it is built");
    assert_eq!(tag_of(&there, "web", "prod").as_ref(), Some(&built));
    assert_eq!(tag_of(&there, "live", "1").as_ref(), Some(&built));
    // Once more, nothing is against it.
    json_of(&migrate(&tool, &[]), 0);
    is_clean(&[&shop, &there]);
}

#[test]
fn a_tag_that_the_target_cannot_import_is_missing_and_one_that_moved_is_told() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let [moves, ends] = [RegistryServer::start(), RegistryServer::start()];
    let imports = |name: &str, registry: &RegistryServer| {
        registry.image((name, "1"), "amd64", (OCI_LAYER, b"a layer"));
        let mut stream = stream(name);
        let from =
            json!({"kind": "DockerImage", "name": format!("{}/{name}:1", registry.address())});
        stream["spec"]["tags"] = json!([{"name": "1", "from": from, "importPolicy": {"insecure": true},
            "referencePolicy": {"type": "Local"}}]);
        stream
    };
    shop.create(&[
        imports("moves", &moves),
        imports("ends", &ends),
        nightly(&format!("{INTERNAL}/shop/ends:1")),
    ]);
    let before = until("the import", || tag_of(&shop, "moves", "1"));
    until("the import", || tag_of(&shop, "ends", "1"));
    moves.image(("moves", "1"), "amd64", (OCI_LAYER, b"another layer"));
    drop(ends);
    let report = json_of(&migrate(&tool, &["--policy", "move", "--yes"]), 4);
    names(
        &report["losses"].to_string(),
        "the tag ends:1 of shop has no image: the target could not import",
    );
    names(
        &report["findings"].to_string(),
        &format!("is {before} at the source: its tag has moved since"),
    );
    assert_ne!(tag_of(&there, "moves", "1"), Some(before));
    // It is not deleted where something is missing.
    assert!(shop.get("cronjobs", "nightly").is_some());
    is_clean(&[&shop, &there]);
}

#[test]
fn the_only_copy_of_an_image_is_not_deleted() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        deployment_config(),
    ]);
    let digest = build_from_folder(&world, &shop, "nowhere else");
    let in_place = "migrate --from minishift --to minishift --policy move --images external";
    let in_place: Vec<&str> = in_place.split(' ').collect();
    let said = "it is deleted with the application, and is nowhere else; `--images 'copy shop/web:latest'`";
    let plan = tool.run(&[&in_place[..], &["--dry-run"]].concat()).ended(3);
    names(&plan.stdout, said);
    let refused = tool.run(&[&in_place[..], &["--yes"]].concat()).ended(3);
    names(&refused.stderr, said);

    // Where the source's registry is exposed, another project would pull it from there.
    let host = world.minishift.expose_registry();
    until("the stream to say where it is exposed", || {
        let stream = shop.get("imagestreams", "web")?;
        let public = stream["status"]["publicDockerImageRepository"].as_str()?;
        (public == format!("{host}/shop/web")).then_some(())
    });
    let elsewhere = ["--to-namespace", "other", "--yes"];
    let refused = tool.run(&[&in_place[..], &elsewhere].concat()).ended(3);
    names(
        &refused.stderr,
        "the target would pull it from the source's registry, where it is deleted",
    );
    assert_eq!(tagged(&shop), Some(digest));
    is_clean(&[&shop]);
}

#[test]
fn a_tag_that_follows_another_project_leads_to_the_copy() {
    let world = World::start();
    let base = world.minishift.project("base");
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    for cluster in [&world.minishift, world.production()] {
        let_forward(cluster);
    }
    base.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
    ]);
    let digest = build_from_folder(&world, &base, "of another project");
    let mut app = stream("app");
    app["spec"]["tags"] = json!([
        {"name": "a", "from": {"kind": "ImageStreamTag", "name": "web:latest", "namespace": "base"}},
        {"name": "b", "from": {"kind": "ImageStreamImage", "name": format!("web@{digest}"), "namespace": "base"}},
    ]);
    shop.create(&[
        app,
        deployment("direct", &format!("{INTERNAL}/base/web@{digest}")),
    ]);
    until("both tags", || {
        let tags = ["a", "b"].map(|tag| tag_of(&shop, "app", tag));
        tags.iter().all(Option::is_some).then_some(())
    });
    json_of(&migrate(&tool, &[]), 0);
    for tag in ["a", "b"] {
        assert_eq!(tag_of(&there, "app", tag).as_ref(), Some(&digest), "{tag}");
    }
    is_clean(&[&shop, &there]);
}

#[test]
fn an_image_by_its_plain_name_comes_along_with_what_is_selected() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let_forward(&world.minishift);
    let_forward(world.production());
    let mut web = stream("web");
    web["spec"]["lookupPolicy"] = json!({"local": true});
    shop.create(&[web, build_config(&json!({"type": "Binary", "binary": {}}))]);
    let digest = build_from_folder(&world, &shop, "by its plain name");
    let mut job = nightly("web:latest");
    job["metadata"]["labels"] = json!({"app": "n"});
    shop.create(&[job, config("other", json!({"a": "b"}))]);
    let report = json_of(&migrate(&tool, &["-l", "app=n"]), 0);
    names(&report["images"].to_string(), &digest);
    assert_eq!(tagged(&there), Some(digest));
    assert!(there.get("configmaps", "other").is_none());
    is_clean(&[&shop, &there]);
}
