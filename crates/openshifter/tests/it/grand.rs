//! An application of OpenShift V2, ten years on: analysed, converted, deployed with real pip, Django and Apache's mod_wsgi,
//! used through its route, restarted, moved to another cluster, and moved again by the published lines, with its image and
//! without.
//!
//! Needs bubblewrap, Apache and the wheelhouse that `cargo xtask test` makes.

use std::path::Path;

use openshifter_testing::GitServer;

use crate::support::{
    ADMIN, Browser, Dev, NAME, PASSWORD, Service, Space, Tool, World, copy, deploy, keep_secret,
    runner, until, with_wheels,
};

/// Lets the developer reach a cluster's registry, which is not exposed: through the API server.
fn open_registry(cluster: &Dev) {
    let place = ["-n", "openshift-image-registry"];
    let role = [
        "create",
        "role",
        "registry",
        "--verb=get,list,create",
        "--resource=services,pods,pods/portforward",
    ];
    cluster.admin(&[&role[..], &place].concat(), "");
    let binding = [
        "create",
        "rolebinding",
        "registry",
        "--role=registry",
        "--user=developer",
    ];
    cluster.admin(&[&binding[..], &place].concat(), "");
}

#[test]
fn an_application_of_v2_lives_on() {
    keep_secret(PASSWORD);
    let world = World::start();
    open_registry(&world.minishift);
    open_registry(world.production());
    let tool = Tool::new(&world);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2-django");
    copy(&fixture, &tool.path("visitors"));
    let runner = runner();

    tool.run(&["v2", "analyze", "visitors"])
        .ok()
        .says("OpenShift V2 application");
    tool.run(&["v2", "convert", "visitors", "--runner-binary", &runner])
        .ok();
    with_wheels(&tool.path("visitors-v3"));

    tool.write("password", PASSWORD);
    let (shop, there) = world.pair("shop");
    let args = deploy("visitors-v3", "shop", &ADMIN);
    let deployed = tool.run(&args).ok();
    deployed
        .says("static files copied to '/opt/app-root/src/wsgi/static'")
        .says("the first administrator was made");

    // The login page has its style, the administrator comes in through TLS, and an entry is written.
    let browser = Browser::new(&tool, &shop, "cookies");
    let login = browser.page("/admin/login/");
    assert!(login.contains("/static/admin/css/base.css"), "{login}");
    let (status, kind, style) = browser.ask("/static/admin/css/base.css", None);
    assert_eq!(status, 200);
    assert!(kind.starts_with("text/css"), "{kind}");
    assert!(style.len() > 10_000, "{style}");
    browser.log_in();
    browser.sign(NAME);
    assert!(browser.signed().contains("Jürg"));

    // Again: nothing is built, and nobody is made. A restart keeps everything, the session too.
    tool.run(&args)
        .ok()
        .says("not built again: visitors-1")
        .says("the first administrator was made before");
    for replicas in ["--replicas=0", "--replicas=1"] {
        tool.run(&[
            "scale",
            "--at",
            "minishift",
            "-n",
            "shop",
            "deployment/visitors",
            replicas,
            "--timeout=5m",
        ])
        .ok();
    }
    until("the application after its restart", || {
        (browser.ask("/", None).0 == 200).then_some(())
    });
    assert!(browser.signed().contains("Jürg"));
    assert!(browser.page("/admin/").contains("Site administration"));

    // To production: the same user, the same entry, and the image that was built here.
    tool.run(&[
        "migrate",
        "--from",
        "minishift",
        "-n",
        "shop",
        "--to",
        "production",
        "--to-namespace",
        "shop",
    ])
    .ok();
    let browser = Browser::new(&tool, &there, "cookies-of-production");
    browser.log_in();
    assert!(browser.signed().contains("Jürg"));
    browser.sign("Ada");

    let alone = Tool::alone();
    let service = Service::start(&world, &alone, true, &[]);
    with_its_image(&world, &tool, &service);
    built_at_the_target(&world, &tool, &service);
    service.stop();
}

/// The first of the published lines: a project is exported to `_output.tgz`, and deleted.
fn take_out(service: &Service<'_>, space: &Space<'_>) {
    let (url, place) = (service.url(), space.place());
    service.shell(&format!(
        "curl {url}/export/{place} > _output
         base64 -d < _output > _output.tgz
         curl {url}/delete/{place}"
    ));
    space.until_gone("deployments,services,routes,pods");
}

/// What the service's users type: out of one project, away, and back into it.
fn with_its_image(world: &World, tool: &Tool, service: &Service<'_>) {
    let there = world.production().absent("shop");
    take_out(service, &there);
    let (url, place) = (service.url(), there.place());
    // With its image the chart is larger than what curl encodes by itself.
    service.shell(&format!(
        "curl --fail-with-body -T _output.tgz {url}/import/{place}"
    ));
    let browser = Browser::new(tool, &there, "cookies-after-all");
    browser.log_in();
    let signed = browser.signed();
    assert!(
        signed.contains("Jürg") && signed.contains("Ada"),
        "{signed}"
    );
}

/// The walk-through to its last letter: from Minishift to production, where the application is built of its repository.
fn built_at_the_target(world: &World, tool: &Tool, service: &Service<'_>) {
    let repository = GitServer::start();
    repository.commit("visitors", &tool.path("visitors-v3"), "as it was converted");
    let git = repository.url("visitors");
    let (town, there) = world.pair("town");
    let from = ["--git", git.as_str()];
    let more = [&from[..], &ADMIN].concat();
    tool.run(&deploy("visitors-v3", "town", &more)).ok();
    let browser = Browser::new(tool, &town, "cookies-of-town");
    browser.log_in();
    browser.sign(NAME);
    take_out(service, &town);
    let (url, target) = (service.url(), there.place());
    service.shell(&format!(
        "curl -X POST --data-urlencode @_output.tgz {url}/import/{target}"
    ));
    let browser = Browser::new(tool, &there, "cookies-of-town-after-all");
    browser.log_in();
    assert!(browser.signed().contains("Jürg"));
    let builds = there.names("builds.build.openshift.io");
    assert_eq!(builds, ["build.build.openshift.io/visitors-1"]);
}
