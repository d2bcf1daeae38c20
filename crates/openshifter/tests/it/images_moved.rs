//! What was agreed to is what is copied: an image that was pushed since the plan was shown stops the run.

use serde_json::json;

use crate::images::{
    build_config, build_from_folder, deployment_config, let_forward, names, running, stream,
};
use crate::support::{Dev, Service, Terminal, Tool, World, is_clean};

#[test]
fn an_image_that_was_pushed_after_the_plan_was_shown_does_not_go() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let tool = Tool::with_projects(&world, "shop", "shop");
    let_forward(&world.minishift);
    let registry = world.production().expose_registry();
    shop.create(&[
        stream("web"),
        build_config(&json!({"type": "Binary", "binary": {}})),
        deployment_config(),
    ]);
    let shown = build_from_folder(&world, &shop, "as shown");
    running(&shop, "web");
    let args = [
        "migrate",
        "--from",
        "minishift",
        "--to",
        "production",
        "--policy",
        "move",
        "--to-registry",
        &registry,
    ];
    let service = Service::start(&world, &tool, true, &[]);
    let end = |cluster: &Dev| {
        json!({"base": cluster.base(), "project": "shop", "username": "developer",
            "password": cluster.password("developer")})
    };
    let mut request = json!({"source": end(&world.minishift), "target": end(world.production()),
        "policy": "copy", "targetRegistry": registry});
    let ask = |path: &str, request: &serde_json::Value| {
        tool.write("request.json", request.to_string());
        let file = format!("@{}", tool.path("request.json").display());
        let json = "Content-Type: application/json";
        service.curl(path, &["--data-binary", &file, "--header", json])
    };
    let plan = ask("/v1/plans", &request).is(200);
    let plan: serde_json::Value = serde_json::from_str(&plan.body).expect("it is JSON");
    request["planDigest"] = plan["digest"].clone();

    let mut terminal = Terminal::start(tool.command(&args));
    terminal.until_shows(&shown[..19]);
    terminal.until_shows("Type yes to go on:");
    let pushed = build_from_folder(&world, &shop, "pushed meanwhile");
    terminal.answer("", "yes");
    let (status, screen) = terminal.end();
    assert_eq!(status, Some(3), "{screen}");
    names(
        &screen,
        &format!("has moved: it was {shown} in the plan and is {pushed} now"),
    );
    assert!(!there.exists());
    assert_eq!(running(&shop, "web").1, "pushed meanwhile");
    ask("/v1/migrations", &request)
        .is(409)
        .says("\"plan-changed\"");
    assert!(!there.exists());
    service.stop();
    is_clean(&[&shop]);
}
