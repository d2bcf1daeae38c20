//! The published walk-through, by the lines that its users type, and the other routes they script against.

use serde_json::{Value, json};

use crate::support::{
    Dev, Service, Tool, World, archive, closed_port, config, describe, fill, guestbook, is_clean,
    same,
};

#[test]
fn the_published_lines_move_an_application_into_its_own_project_and_to_another_cluster() {
    let world = World::start();
    let tool = Tool::alone();
    let service = Service::start(&world, &tool, true, &[]);
    let (shop, there) = world.pair("shop");
    let messages = ["first", "2%2B2=4%2C isn't it?", "Gr%C3%BC%C3%9Fe"];
    guestbook(&shop, &messages);
    let written = shop.messages();
    assert_eq!(written.len(), 3);
    let before = archive(&shop, "deploy/guestbook");
    let (url, source, target) = (service.url(), shop.place(), there.place());

    service.shell(&format!("curl {url}/export/{source} > _output"));
    service.shell("base64 -d < _output > _output.tgz");
    let said = service.shell(&format!("curl {url}/delete/{source}"));
    assert!(said.contains("guestbook-data"), "{said}");
    shop.until_gone("deployments,services,routes,pods");
    assert_eq!(
        shop.names("persistentvolumeclaims"),
        ["persistentvolumeclaim/guestbook-data"]
    );

    let import =
        |place: &str| format!("curl -X POST --data-urlencode @_output.tgz {url}/import/{place}");
    let said = service.shell(&import(&source));
    assert!(said.contains("volume guestbook-data"), "{said}");
    assert_eq!(shop.messages(), written);
    assert!(before == archive(&shop, "deploy/guestbook"));

    service.shell(&import(&target));
    assert_eq!(there.messages(), written);
    assert!(before == archive(&there, "deploy/guestbook"));
    is_clean(&[&shop, &there]);
    service.stop();
}

#[test]
fn a_chart_is_taken_in_every_form_that_curl_can_send_and_overwrites_what_was_there() {
    let world = World::start();
    let tool = Tool::alone();
    let service = Service::start(&world, &tool, true, &[]);
    let shop = world.minishift.project("shop");
    fill(&shop, 1);
    let before = archive(&shop, "deploy/web");
    let url = service.url();
    service.shell(&format!(
        "curl {url}/export/{} > _output
         base64 -d < _output > _output.tgz
         base64 < _output.tgz > _wrapped",
        shop.place()
    ));

    for (number, form) in [
        "--data-binary @_output.tgz",
        "--data-binary @_output",
        "--data-binary @_wrapped",
        "-T _output.tgz",
        "-T _output",
        "-X POST --data-urlencode @_output.tgz",
        "--data-urlencode chart@_output.tgz",
    ]
    .into_iter()
    .enumerate()
    {
        let there = world.production().absent(&format!("shop-{number}"));
        let said = service.shell(&format!(
            "curl --fail-with-body {form} {url}/import/{}",
            there.place()
        ));
        assert!(said.contains("volume web-data restored"), "{form}: {said}");
        there.ready("deploy/web");
        assert!(before == archive(&there, "deploy/web"), "{form}");
    }

    // Round trips rely on it that the same route overwrites, and what was there is kept.
    let there = world.production().absent("shop-0");
    there.shell(
        "deploy/web",
        "echo other > /data/plain; echo more > /data/more",
    );
    let said = service.shell(&format!(
        "curl --fail-with-body -T _output.tgz {url}/import/{}",
        there.place()
    ));
    assert!(said.contains("/charts/"), "{said}");
    assert!(before == archive(&there, "deploy/web"));
    is_clean(&[&shop, &there]);
    service.stop();
}

/// The forms of `<base>` that people write.
fn bases(cluster: &Dev) -> Vec<String> {
    let base = cluster.base();
    vec![
        base.to_owned(),
        format!("https://{base}"),
        format!("https://{base}/"),
        format!("https%3A%2F%2F{base}"),
        base.replace(':', "%3A"),
    ]
}

#[test]
fn an_address_is_understood_in_every_form_that_people_write() {
    let world = World::small();
    let tool = Tool::alone();
    let kubeconfig = world.minishift.kubeconfig().to_string_lossy().into_owned();
    let service = Service::start(&world, &tool, false, &["--kubeconfig", &kubeconfig]);
    let shop = world.minishift.project("shop");
    fill(&shop, 1);
    shop.create(&[config("settings", json!({"colour": "blue"}))]);

    for base in bases(&world.minishift) {
        let answer = service
            .curl(&format!("/descriptor/{base}/{}", shop.end()), &[])
            .is(200);
        let list: Value = serde_json::from_str(&answer.body).expect("it is JSON");
        assert_eq!(list["kind"], "List", "{base}");
        let mut names: Vec<String> = list["items"]
            .as_array()
            .expect("it has items")
            .iter()
            .map(|item| format!("{}/{}", item["kind"], item["metadata"]["name"]).replace('"', ""))
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "ConfigMap/settings",
                "Deployment/web",
                "PersistentVolumeClaim/web-data"
            ],
            "{base}"
        );

        let answer = service
            .curl(&format!("/volumes/{base}/{}", shop.end()), &[])
            .is(200);
        let volumes: Value = serde_json::from_str(&answer.body).expect("it is JSON");
        let pods = volumes.as_object().expect("it is an object");
        assert_eq!(pods.len(), 1, "{volumes}");
        let (pod, paths) = pods.iter().next().expect("there is one");
        assert!(pod.starts_with("web-"), "{volumes}");
        assert_eq!(paths, &json!(["/data"]));

        let answer = service
            .curl(&format!("/export/{base}/{}", shop.end()), &[])
            .is(200);
        let length = format!("content-length: {}", answer.body.len());
        assert!(
            answer.headers.to_lowercase().contains(&length),
            "{}",
            answer.headers
        );
    }

    let contexts = service.curl("/contexts", &[]).is(200);
    assert_eq!(contexts.body.trim(), r#"["minishift"]"#);
    let spaces = service.curl("/spaces", &[]).is(200);
    let spaces: Value = serde_json::from_str(&spaces.body).expect("it is JSON");
    assert_eq!(spaces, json!({"minishift": ["shop"]}));
    is_clean(&[&shop]);
    service.stop();
}

#[test]
fn failures_answer_their_status_with_one_line_and_change_nothing() {
    let world = World::start();
    let tool = Tool::alone();
    let service = Service::start(&world, &tool, true, &[]);
    let (shop, there) = world.pair("shop");
    fill(&shop, 1);
    let full = world.production().project("full");
    fill(&full, 1);
    let before = describe(&full, "deploy/web");
    service.shell(&format!(
        "curl {}/export/{} > _output
         base64 -d < _output > _output.tgz",
        service.url(),
        shop.place()
    ));
    let chart = std::fs::read(tool.path("_output.tgz")).expect("it was written");
    tool.write("truncated.tgz", &chart[..chart.len() / 2]);
    let mut tampered = chart.clone();
    tampered[chart.len() / 2] ^= 1;
    tool.write("tampered.tgz", tampered);
    tool.write("text.tgz", "this is no chart at all");
    tool.write("empty.tgz", "");

    let base = world.minishift.base();
    let password = world.minishift.password("developer");
    for route in ["export", "descriptor", "volumes", "delete"] {
        let answer = |path: String| service.curl(&format!("/{route}/{path}"), &[]);
        answer(format!("{base}/shop/developer/wrong"))
            .is(401)
            .says("developer");
        answer(format!("{base}/nowhere/developer/{password}"))
            .is(404)
            .says("nowhere");
        answer(format!("{}/shop/developer/{password}", closed_port()))
            .is(502)
            .says("127.0.0.1");
    }
    assert_eq!(shop.names("deployments"), ["deployment.apps/web"]);

    let picture = full.picture();
    for (file, word) in [
        ("truncated.tgz", "the archive is torn or broken"),
        ("tampered.tgz", ""),
        ("text.tgz", "chart"),
        ("empty.tgz", "chart"),
    ] {
        for space in [&full, &there] {
            for form in [
                ["-T", file].as_slice(),
                &["--data-binary", &format!("@{file}")],
            ] {
                service
                    .curl(&format!("/import/{}", space.place()), form)
                    .is(422)
                    .says(word);
            }
        }
    }
    let refused = service
        .curl(
            &format!(
                "/import/{}/full/developer/not-the-one",
                there.cluster.base()
            ),
            &["-T", "_output.tgz"],
        )
        .is(401);
    assert!(!refused.body.contains("not-the-one"), "{}", refused.body);
    assert_eq!(full.picture(), picture);
    same(&before, &describe(&full, "deploy/web"));
    // Its Deployment is not what the chart says.
    full.kubectl(&[
        "patch",
        "deploy/web",
        "-p",
        r#"{"spec": {"revisionHistoryLimit": 3}}"#,
    ]);
    full.ready("deploy/web");
    let (before, picture) = (describe(&full, "deploy/web"), full.picture());
    service
        .curl(&format!("/import/{}", full.place()), &["-T", "_output.tgz"])
        .is(409)
        .says("web");
    assert_eq!(full.picture(), picture);
    same(&before, &describe(&full, "deploy/web"));
    assert!(!there.exists());
    is_clean(&[&shop, &full]);
    service.stop();
}
