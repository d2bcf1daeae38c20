//! An application of OpenShift V2, ten years on: analysed, converted, deployed with real pip, Django and Apache's mod_wsgi,
//! used through its route, restarted, moved to another cluster, and moved again by the published lines.
//!
//! Needs bubblewrap, Apache and the wheelhouse that `cargo xtask test` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Dev, Service, Space, Tool, World, keep_secret, run, tools, until};

pub(crate) const PASSWORD: &str = "a horse of 1885, correct and stapled";

/// What a visitor signs with, as forms have it.
pub(crate) const NAME: &str = "J%C3%BCrg";

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("the entry has a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("the file can be copied");
        }
    }
}

/// The static runner, as it is handed to users.
pub(crate) fn runner() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("scripts/build-image-runner"))
        .output()
        .expect("the script can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the runner cannot be built: {said}"
    );
    let program = String::from_utf8_lossy(&output.stdout);
    root.join(program.trim()).display().to_string()
}

/// Puts the wheels into the converted tree, as one does for builds without a network.
pub(crate) fn with_wheels(tree: &Path) {
    let wheels = tools().join("wheels");
    assert!(
        wheels.join("complete").is_file(),
        "there are no wheels in {}: make them with `cargo xtask tools`",
        wheels.display()
    );
    let to = tree.join("wheels");
    std::fs::create_dir(&to).expect("a folder can be made");
    for entry in std::fs::read_dir(&wheels).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        if entry.path().extension().is_some_and(|end| end == "whl") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
    let environment = tree.join(".s2i/environment");
    let text = std::fs::read_to_string(&environment).expect("a conversion wrote it");
    let text = format!("{text}PIP_NO_INDEX=1\nPIP_FIND_LINKS=/opt/app-root/src/wheels\n");
    std::fs::write(&environment, text).expect("it can be written");
}

/// A person at a browser, who comes through the router with TLS.
pub(crate) struct Browser<'a> {
    cluster: &'a Dev,
    host: String,
    cookies: PathBuf,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(tool: &Tool, space: &Space<'a>, name: &str) -> Self {
        let host = until("the route to be admitted", || {
            let route = space.get("route", "visitors")?;
            Some(route["status"]["ingress"][0]["host"].as_str()?.to_owned())
        });
        Self {
            cluster: space.cluster,
            host,
            cookies: tool.path(name),
        }
    }

    /// Status, content type and page.
    pub(crate) fn ask(&self, path: &str, form: Option<&str>) -> (u16, String, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--insecure"])
            .arg("--connect-to")
            .arg(format!("{}:443:{}", self.host, self.cluster.router()))
            .arg("--cookie")
            .arg(&self.cookies)
            .arg("--cookie-jar")
            .arg(&self.cookies)
            .args(["--write-out", "\n%{http_code} %{content_type}"]);
        if let Some(form) = form {
            // The token of the page that showed the form, as the page's own cookie has it.
            let origin = format!("Origin: https://{}", self.host);
            curl.args(["--header", &origin])
                .arg("--referer")
                .arg(format!("https://{}{path}", self.host))
                .arg("--data")
                .arg(form);
        }
        curl.arg(format!("https://{}{path}", self.host));
        let answer = run(&mut curl, b"");
        let (page, last) = answer.rsplit_once('\n').expect("curl adds a line");
        let (status, kind) = last.split_once(' ').expect("curl adds both");
        (
            status.parse().expect("it is a number"),
            kind.to_owned(),
            page.to_owned(),
        )
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let (status, _, page) = self.ask(path, None);
        assert_eq!(status, 200, "{path}: {page}");
        page
    }

    /// Fills in the form of a page.
    pub(crate) fn fill(&self, path: &str, fields: &str) -> (u16, String) {
        let page = self.page(path);
        let token = page
            .split_once("name=\"csrfmiddlewaretoken\" value=\"")
            .and_then(|(_, rest)| rest.split('"').next())
            .unwrap_or_else(|| panic!("{path} has no form: {page}"));
        let form = format!("csrfmiddlewaretoken={token}&{fields}");
        let (status, _, page) = self.ask(path, Some(&form));
        (status, page)
    }

    /// The administrator logs in.
    pub(crate) fn log_in(&self) {
        // A container that was just started may still be loading.
        until("the login page", || {
            (self.ask("/admin/login/", None).0 == 200).then_some(())
        });
        let password = PASSWORD.replace(' ', "+");
        let fields = format!("username=admin&password={password}&next=/admin/");
        let (status, page) = self.fill("/admin/login/", &fields);
        assert_eq!(status, 302, "{page}");
        let page = self.page("/admin/");
        assert!(page.contains("Site administration"), "{page}");
    }

    /// Who has signed, as everybody sees it.
    pub(crate) fn signed(&self) -> String {
        self.page("/")
    }
}

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
    let deploy = [
        "v2",
        "deploy",
        "visitors-v3",
        "--to",
        "minishift",
        "-n",
        "shop",
        "--builder",
        "python:latest",
        "--admin-user",
        "admin",
        "--admin-password-file",
        "password",
        "--timeout",
        "15m",
    ];
    let deployed = tool.run(&deploy).ok();
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
    let fields = format!("name={NAME}&words=It+was+good+to+be+here.");
    let (status, page) = browser.fill("/admin/visitors/visitor/add/", &fields);
    assert_eq!(status, 302, "{page}");
    assert!(browser.signed().contains("Jürg"));

    // Again: nothing is built, and nobody is made. A restart keeps everything, the session too.
    tool.run(&deploy)
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
    let fields = "name=Ada&words=Moved.";
    let (status, page) = browser.fill("/admin/visitors/visitor/add/", fields);
    assert_eq!(status, 302, "{page}");

    by_the_published_lines(&world, &tool);
}

/// What the service's users type: out of one project, away, and back into it.
fn by_the_published_lines(world: &World, tool: &Tool) {
    let alone = Tool::alone();
    let service = Service::start(world, &alone, true, &[]);
    let there = world.production().absent("shop");
    let (url, place) = (service.url(), there.place());
    service.shell(&format!(
        "curl {url}/export/{place} > _output
         base64 -d < _output > _output.tgz
         curl {url}/delete/{place}"
    ));
    there.until_gone("deployments,services,routes,pods");
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
    service.stop();
}
