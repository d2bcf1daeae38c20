//! What follows an image of another project follows its copy, or the image that was put in its place.

use serde_json::json;

use crate::images::{
    INTERNAL, STREAM, build_config, build_from_folder, deployment_config, json_of, let_forward,
    names, running, stream,
};
use crate::support::{Tool, World, is_clean, until};

#[test]
fn what_follows_an_image_of_another_project_does_so_at_the_target() {
    let world = World::start();
    let base = world.minishift.project("base");
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let_forward(&world.minishift);
    base.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:image-puller"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts:shop"}]}),
    ]);
    let digest = build_from_folder(&world, &base, "of another project");

    // A DeploymentConfig and a build follow the other project's tag; another DeploymentConfig follows the build.
    let folder = world.path("git");
    std::fs::create_dir(&folder).expect("there is room");
    std::fs::write(folder.join("message.txt"), "built on it\n").expect("there is room");
    let uri = format!("file://{}", folder.display());
    let from = json!({"kind": "ImageStreamTag", "name": "web:latest", "namespace": "base"});
    let mut app = build_config(&json!({"type": "Git", "git": {"uri": uri}}));
    app["metadata"]["name"] = json!("app");
    app["spec"]["output"]["to"]["name"] = json!("app:latest");
    app["spec"]["strategy"]["sourceStrategy"]["from"] = from.clone();
    let mut follows = deployment_config();
    follows["spec"]["triggers"][1]["imageChangeParams"]["from"] = from;
    let mut of_app = deployment_config();
    of_app["metadata"]["name"] = json!("app");
    of_app["spec"]["selector"]["app"] = json!("app");
    of_app["spec"]["template"]["metadata"]["labels"]["app"] = json!("app");
    of_app["spec"]["triggers"][1]["imageChangeParams"]["from"]["name"] = json!("app:latest");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"}, "stringData": {"a": "b"}});
    shop.create(&[stream("app"), app, follows, of_app, secret]);
    assert_eq!(running(&shop, "web").1, "of another project");
    assert_eq!(running(&shop, "app").1, "built on it");

    // The target's registry is reached through its API server, and its CA found in a project that is there already.
    let_forward(world.production());
    world.production().project("mine");
    let migrate = |project: &str, more: &[&str]| {
        let base = [
            "--output",
            "json",
            "migrate",
            "--from",
            "minishift",
            "--to",
            "production",
            "--to-namespace",
            project,
        ];
        json_of(&tool.run(&[&base, more].concat()), 0)
    };
    // Left where it is, it is shown with its digest all the same, and the target's project of that name has none.
    world.production().project("base");
    let external = ["--images", "external base/web:latest"];
    let of_shop = ["export", "--from", "minishift", "-n", "shop"];
    let plan = [
        &["--output", "json"],
        &of_shop[..],
        &external,
        &["--dry-run"],
    ]
    .concat();
    let plan = json_of(&tool.run(&plan), 0);
    let planned = plan["images"].as_array().expect("it lists images");
    let of_base = planned
        .iter()
        .find(|one| one["image"]["name"] == "base/web:latest");
    let of_base = of_base.expect("the image is in the plan");
    assert_eq!(of_base["image"]["digest"], digest, "{of_base:#}");
    tool.run(&[&of_shop[..], &external, &["-o", "left"]].concat())
        .ok();
    let import = "--output json import left --to production -n left --dry-run";
    let refused = tool.run(&import.split(' ').collect::<Vec<_>>());
    let losses = json_of(&refused, 1)["losses"].to_string();
    names(&losses, "image base/web:latest is not at the target");

    let report = migrate("shop", &[]);
    // A stream imports its tags once: pull secrets are there before.
    let version = |kind: &str, name: &str| -> u64 {
        let object = there.must(kind, name);
        let version = object["metadata"]["resourceVersion"].as_str();
        version
            .and_then(|text| text.parse().ok())
            .expect("a number")
    };
    assert!(version("secret", "pull") < version(STREAM, "web"));
    let (image, said) = running(&there, "web");
    assert_eq!(image, format!("{INTERNAL}/shop/web@{digest}"), "{report:#}");
    assert_eq!(said, "of another project");
    assert_eq!(running(&there, "app").1, "built on it");
    let here = json!({"kind": "ImageStreamTag", "name": "web:latest", "namespace": "shop"});
    let config = there.must("deploymentconfigs.apps.openshift.io", "web");
    let trigger = &config["spec"]["triggers"][1]["imageChangeParams"]["from"];
    assert_eq!(trigger, &here, "{config:#}");
    assert!(
        !report["findings"]
            .to_string()
            .contains("of the namespace base"),
        "{report:#}"
    );

    // Others in their places: no build puts its own there again.
    let shell = "openshifter.test/shell:1";
    let report = migrate(
        "mapped",
        &[
            "--images",
            &format!("map base/web:latest={shell}"),
            "--images",
            &format!("map shop/app:latest={shell}"),
        ],
    );
    let mapped = world.production().absent("mapped");
    for app in ["web", "app"] {
        assert_eq!(running(&mapped, app).1, "another", "{app}: {report:#}");
        let stream = until("the tag", || mapped.get(STREAM, app));
        assert_eq!(stream["spec"]["tags"][0]["from"]["name"], shell);
    }
    assert_eq!(mapped.names("builds.build.openshift.io"), [""; 0]);
    is_clean(&[&base, &shop, &there]);
}
