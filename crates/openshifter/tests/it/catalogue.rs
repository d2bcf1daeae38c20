//! An application as OpenShift's catalogue makes it: a template with a Git build, a page in Python, a PostgreSQL
//! with a generated password and a claim, all rolled out by DeploymentConfigs that wait for images. It moves, and its
//! rows are compared by SQL.

use std::path::Path;
use std::process::Command;

use openshifter_testing::{GitServer, RegistryServer, run};
use serde_json::{Value, json};

use crate::support::{Dev, Space, Tool, World, is_clean, keep_secret, until};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/catalogue");

const BUILDS: &str = "builds.build.openshift.io";
const INSTANCE: &str = "notes-psql-persistent";

/// Every row, as the database itself writes it.
const ROWS: &str = "SELECT id, at, author, note FROM notes ORDER BY id";

/// Deploys the template as the catalogue does: a Secret with the parameters, and a TemplateInstance that names it.
#[track_caller]
fn instantiate(space: &Space<'_>, repository: &str) {
    let text = std::fs::read_to_string(Path::new(FOLDER).join("template.json"))
        .expect("the fixture is there");
    let template: Value = serde_json::from_str(&text).expect("it is JSON");
    space.create(&[
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "notes-parameters"},
            "stringData": {"SOURCE_REPOSITORY_URL": repository},
        }),
        json!({
            "apiVersion": "template.openshift.io/v1", "kind": "TemplateInstance",
            "metadata": {"name": INSTANCE},
            "spec": {"secret": {"name": "notes-parameters"}, "template": template},
        }),
    ]);
    let made = until("the template's objects", || {
        let instance = space.must("templateinstances", INSTANCE);
        let made = instance["status"]["objects"].as_array()?.len();
        Some((made, instance))
    });
    let (count, instance) = made;
    let wanted = template["objects"].as_array().map(Vec::len);
    assert_eq!(Some(count), wanted, "{:#}", instance["status"]);
    for key in ["database-password", "app-secret-key"] {
        let show = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        let secret = space.kubectl(&["get", "secret", "notes", "-o", &show]);
        assert!(secret.len() >= 16, "{key}");
        keep_secret(&secret);
    }
}

/// Waits for the end of a build, which must be a good one.
#[track_caller]
fn built(space: &Space<'_>, build: &str) -> Value {
    until("a build", || space.get("builds", build));
    // Its pace is that of a busy machine's Python.
    let place = format!("build/{build}");
    space.kubectl(&[
        "wait",
        "--for=jsonpath={.status.completionTimestamp}",
        &place,
        "--timeout=900s",
    ]);
    let ended = space.must("builds", build);
    assert_eq!(
        ended["status"]["phase"], "Complete",
        "{:#}",
        ended["status"]
    );
    ended
}

/// Waits until a DeploymentConfig has rolled its one pod out; it must have been an image that began it.
#[track_caller]
fn rolled_out(space: &Space<'_>, name: &str) -> Value {
    let config = until(&format!("{name} to be rolled out"), || {
        let config = space.get("deploymentconfigs", name)?;
        let status = &config["status"];
        let there = ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|field| status[*field] == 1);
        (there && config["spec"]["replicas"] == 1).then_some(config)
    });
    let image = config["spec"]["triggers"][0]["imageChangeParams"]["lastTriggeredImage"]
        .as_str()
        .unwrap_or_default();
    assert!(image.contains("@sha256:"), "{name}: {config:#}");
    assert_eq!(
        config["spec"]["template"]["spec"]["containers"][0]["image"],
        image
    );
    config
}

/// The one pod of a DeploymentConfig.
#[track_caller]
fn pod(space: &Space<'_>, config: &str) -> String {
    until(&format!("the one pod of {config}"), || {
        let label = format!("deploymentconfig={config}");
        let names = space.kubectl(&["get", "pods", "-l", &label, "-o", "name"]);
        let mut names = names.lines();
        let name = names.next()?.to_owned();
        names.next().is_none().then_some(name)
    })
}

/// What a statement gives, row by row.
#[track_caller]
fn sql(space: &Space<'_>, statement: &str) -> Vec<String> {
    let pod = pod(space, "postgresql");
    let words = [
        "exec",
        &pod,
        "--",
        "psql",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--dbname=default",
        "--command",
        statement,
    ];
    let answer = space.attempt(&words);
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Keeps notes, as a person would by the page, who tries again while the application is rolled out.
#[track_caller]
fn write(space: &Space<'_>, notes: &[(&str, &str)]) {
    for (author, note) in notes {
        let form = format!("author={author}&note={note}");
        until("a note to be kept", || {
            let host = host(space);
            let (status, _) = space
                .cluster
                .ask_router(&host, "/notes", &["--data", &form]);
            (status == 303).then_some(())
        });
    }
}

/// The host of the page, when it and its database answer.
#[track_caller]
fn host(space: &Space<'_>) -> String {
    until("the page", || {
        let route = space.must("route", "notes");
        let host = route["spec"]["host"].as_str()?.to_owned();
        let (status, _) = space.cluster.page(&host, "/ready");
        (status == 200).then_some(host)
    })
}

/// The page must show these notes.
#[track_caller]
fn shows(space: &Space<'_>, notes: &[&str]) {
    until("the page with its notes", || {
        let (status, page) = space.cluster.page(&host(space), "/");
        (status == 200 && notes.iter().all(|note| page.contains(note))).then_some(())
    });
}

/// Digests of the images that the application's stream leads to, and led to, the newest first.
#[track_caller]
fn images(space: &Space<'_>) -> Vec<String> {
    let stream = space.must("imagestreams", "notes");
    let tags = stream["status"]["tags"].as_array();
    tags.into_iter()
        .flatten()
        .filter(|tag| tag["tag"] == "latest")
        .flat_map(|tag| tag["items"].as_array().cloned().unwrap_or_default())
        .filter_map(|item| item["image"].as_str().map(str::to_owned))
        .collect()
}

/// The application, rolled out by its builds and triggers, with rows.
struct Notes {
    repository: GitServer,
    commit: String,
    rows: Vec<String>,
}

impl Notes {
    #[track_caller]
    fn deploy(space: &Space<'_>) -> Self {
        let repository = GitServer::start();
        let commit = repository.commit("notes", &Path::new(FOLDER).join("app"), "A page of notes");
        instantiate(space, &repository.url("notes"));
        let build = built(space, "notes-1");
        assert_eq!(build["spec"]["revision"]["git"]["commit"], commit.as_str());
        rolled_out(space, "postgresql");
        rolled_out(space, "notes");
        // It waits for its build and for both roll-outs.
        let ready = format!("templateinstance/{INSTANCE}");
        space.kubectl(&["wait", "--for=condition=Ready", &ready, "--timeout=180s"]);
        write(
            space,
            &[
                ("Ada", "first"),
                ("Grace", "2%2B2%3D4%2C%20isn%27t%20it%3F"),
                ("%C3%89mile", "%3Cb%3E%20Gr%C3%BC%C3%9Fe"),
            ],
        );
        shows(space, &["Ada: first", "Émile: &lt;b&gt; Grüße"]);
        let rows = sql(space, ROWS);
        // One that was tried again may be there twice.
        assert!(rows.len() >= 3, "{rows:?}");
        Self {
            repository,
            commit,
            rows,
        }
    }

    /// It must be there as it was, and go on.
    #[track_caller]
    fn is_at(&self, space: &Space<'_>) {
        rolled_out(space, "postgresql");
        rolled_out(space, "notes");
        assert_eq!(sql(space, ROWS), self.rows, "in {}", space.name);
        shows(space, &["Ada: first", "Grace: 2+2=4, isn&#x27;t it?"]);
        write(space, &[("Ada", "there")]);
        let rows = sql(space, ROWS);
        let (old, new) = rows.split_at(self.rows.len());
        assert_eq!(old, self.rows, "in {}", space.name);
        assert!(!new.is_empty(), "in {}", space.name);
    }
}

/// Lets the developer reach the cluster's registry, which is not exposed: through the API server.
#[track_caller]
fn open_registry(cluster: &Dev) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let metadata = json!({"name": "registry-by-port", "namespace": "openshift-image-registry"});
    let role = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": metadata,
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        ],
    });
    let binding = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "registry-by-port"},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "developer"}],
    });
    for object in [role, binding] {
        cluster.admin(&["create", "-f", "-"], &object.to_string());
    }
}

/// Migrates the application; the arguments say how its images come along.
#[track_caller]
fn migrate(tool: &Tool, space: &Space<'_>, there: &Space<'_>, more: &[&str]) {
    let words = [
        "migrate",
        "--from",
        "minishift",
        "--namespace",
        &space.name,
        "--to",
        "production",
        "--to-namespace",
        &there.name,
        "--quiesce",
        "--timeout",
        "30m",
    ];
    tool.run(&[&words, more].concat()).ok();
}

#[test]
fn an_application_of_the_catalogue_goes_elsewhere_by_a_build_or_a_copy_and_finds_its_rows() {
    let world = World::start();
    let tool = Tool::new(&world);
    let shop = world.minishift.project("shop");
    let notes = Notes::deploy(&shop);
    let built_here = images(&shop);
    assert_eq!(built_here.len(), 1, "{built_here:?}");

    // Built again from the same commit.
    let rebuilt = world.production().absent("rebuilt");
    migrate(&tool, &shop, &rebuilt, &["--images", "rebuild"]);
    let build = built(&rebuilt, "notes-1");
    assert_eq!(
        build["spec"]["revision"]["git"]["commit"],
        notes.commit.as_str()
    );
    assert_eq!(
        build["spec"]["source"]["git"]["uri"],
        notes.repository.url("notes")
    );
    notes.is_at(&rebuilt);

    // The very image; that of the database is the target's own.
    let copied = world.production().absent("copied");
    open_registry(&world.minishift);
    open_registry(world.production());
    let choices = ["--images", "copy", "--images", "external:*postgresql*"];
    migrate(&tool, &shop, &copied, &choices);
    assert_eq!(images(&copied), built_here);
    assert_eq!(copied.names(BUILDS), [""; 0]);
    notes.is_at(&copied);

    // Another image in its place: the very one, which an independent program took from the chart's layout elsewhere.
    let hub = RegistryServer::start();
    let export = [
        "export",
        "--from",
        "minishift",
        "--namespace",
        "shop",
        "-o",
        "chart",
        "--quiesce",
        "--images",
        "copy",
        "--images",
        "external:*postgresql*",
    ];
    tool.run(&export).ok();
    let layout = tool.path("chart/data/images");
    let mut skopeo = Command::new("skopeo");
    skopeo
        .args([
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
        ])
        .arg(format!("oci:{}:shop/notes:latest", layout.display()))
        .arg(format!("docker://{}/hub/notes:1", hub.address()));
    run(&mut skopeo, b"");
    let mapped = world.production().absent("mapped");
    let instead = format!("map shop/notes:latest={}/hub/notes:1", hub.address());
    let choices = [
        "--images",
        &instead,
        "--images",
        "map openshift/postgresql:*=openshifter.test/postgresql:1",
        "--insecure-registry",
        hub.address(),
    ];
    migrate(&tool, &shop, &mapped, &choices);
    shows(&mapped, &["Ada: first"]);
    assert_eq!(sql(&mapped, ROWS), notes.rows);
    assert_eq!(mapped.names(BUILDS), [""; 0]);
    let running = mapped.must("pods", &pod(&mapped, "notes").replace("pod/", ""));
    let image = &running["status"]["containerStatuses"][0]["imageID"];
    let image = image.as_str().expect("it runs");
    assert!(image.ends_with(&built_here[0]), "{image}");

    // The source was stopped for the copies alone.
    rolled_out(&shop, "postgresql");
    rolled_out(&shop, "notes");
    assert_eq!(sql(&shop, ROWS), notes.rows);

    // The instance stays behind, and takes nothing of the target's with it when it goes.
    let plan = tool.run(&[
        "--output",
        "json",
        "export",
        "--from",
        "minishift",
        "--namespace",
        "shop",
        "--dry-run",
    ]);
    let plan: Value = serde_json::from_str(&plan.ok().stdout).expect("it is JSON");
    let left = plan["leftOut"]
        .as_array()
        .expect("it says what it leaves out");
    let instance = left
        .iter()
        .find(|left| left["key"]["kind"] == "TemplateInstance")
        .unwrap_or_else(|| panic!("it is not in {left:#?}"));
    assert_eq!(
        instance["reason"],
        "created again it would make its objects again; these are taken themselves"
    );
    assert_eq!(copied.names("templateinstances"), [""; 0]);
    let before = copied.picture();
    shop.kubectl(&["delete", "templateinstance", INSTANCE]);
    shop.until_gone("deploymentconfigs,services,routes,buildconfigs");
    assert_eq!(copied.picture(), before);
    rolled_out(&copied, "postgresql");
    assert_eq!(sql(&copied, ROWS)[..notes.rows.len()], notes.rows);
    is_clean(&[&shop, &rebuilt, &copied, &mapped]);
}
