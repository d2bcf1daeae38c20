//! Objects that exist at the target: `--existing fail`, `skip` and `apply`, and what undo makes of each.

use serde_json::json;

use crate::app::{config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;

#[test]
fn objects_that_exist_follow_the_choice_and_undo_takes_it_back() {
    let (source, _) = Space::pair("there");
    source.create(&[
        config("settings", json!({"colour": "blue"})),
        config("new", json!({"a": "b"})),
        config("same", json!({"s": "s"})),
        deployment("web", None),
    ]);
    source.ready("deploy/web");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let target = Space::new(&world().target, "there");
    target.create(&[
        config("settings", json!({"colour": "red", "more": "x"})),
        config("same", json!({"s": "s"})),
    ]);
    let before = target.picture();
    let import = |more: &[&str]| {
        let to = target.import_of("chart");
        tool.run(&[&to[..], more].concat())
    };

    import(&[])
        .ended(3)
        .says("ConfigMap/settings")
        .says("--existing");
    assert_eq!(before, target.picture());

    let skipped = import(&["--existing", "skip", "--output", "json"])
        .ok()
        .report();
    let action = |report: &serde_json::Value, name: &str| {
        report["objects"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == name)
            .map(|entry| entry["action"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(action(&skipped, "settings").as_deref(), Some("skipped"));
    assert_eq!(action(&skipped, "same").as_deref(), Some("unchanged"));
    assert_eq!(action(&skipped, "new").as_deref(), Some("created"));
    assert_eq!(
        target.must("configmap", "settings")["data"]["colour"],
        "red"
    );
    target.ready("deploy/web");
    tool.run(&["undo", &tool.last_run()]).ok();
    assert_eq!(before, target.picture());

    import(&["--existing", "apply"]).ok();
    assert_eq!(
        target.must("configmap", "settings")["data"]["colour"],
        "blue"
    );
    let run = tool.last_run();
    tool.run(&["undo", &run]).ok();
    let settings = target.must("configmap", "settings");
    assert_eq!(settings["data"], json!({"colour": "red", "more": "x"}));
    assert_eq!(before, target.picture());
    tool.run(&["undo", &run]).ended(3).says("undone already");

    // An edit that came after the run is told of, and not lost.
    import(&["--existing", "apply"]).ok();
    let run = tool.last_run();
    let edit = json!({"data": {"colour": "green"}}).to_string();
    target.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "--type=merge",
        "-p",
        &edit,
    ]);
    let undone = tool.run(&["undo", &run]).ok();
    undone.says("ConfigMap/settings was changed after the run");
    assert_eq!(before, target.picture());
    let journal = tool.state().join("runs").join(&run).join("journal.jsonl");
    let journal = std::fs::read_to_string(journal).expect("there is a journal");
    let kept = journal.lines().find(|line| line.contains("putting-back"));
    assert!(kept.is_some_and(|line| line.contains("green")), "{journal}");
}
