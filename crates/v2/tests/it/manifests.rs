//! Manifests of whole applications.

mod forms;
mod recorded;

use std::collections::BTreeMap;

use openshifter_v2::manifests::{
    BuildSource, InputValue, ManifestOptions, Manifests, Stage, Values, Workload, manifests,
};
use openshifter_v2::{DatabaseChoice, Limits, Needs, Options, Tree, V2Error};
use serde_json::{Value, json};

use crate::support::{Converted, World, fixture};

fn needs(result: &Converted) -> Needs {
    let tree = Tree::load(&result.root, &Limits::default()).expect("it can be read");
    Needs::recorded(&tree).expect("it is recorded")
}

/// The starter, which keeps SQLite on a claim and has jobs.
fn on_a_claim() -> Needs {
    needs(&World::of_fixture("django-starter").convert(&Options {
        name: Some("notes".to_owned()),
        ..Options::default()
    }))
}

/// The starter with PostgreSQL beside it.
fn with_postgresql() -> Needs {
    needs(&World::of_fixture("django-starter").convert(&Options {
        name: Some("my-notes".to_owned()),
        database: DatabaseChoice::Service,
        gear_mb: 1024,
        ..Options::default()
    }))
}

/// Flask with MySQL, a variable of a person's, and jobs.
fn flask() -> Needs {
    let world = World::of_fixture("flask");
    world.write(
        ".openshift/cron/daily/clean*",
        "#!/bin/sh\nrm -f \"$OPENSHIFT_DATA_DIR\"uploads/*.tmp\n",
    );
    world.write(
        "wsgi/.htaccess",
        "RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R]\n",
    );
    needs(&world.convert(&Options {
        name: Some("guestbook".to_owned()),
        ..Options::default()
    }))
}

fn made(needs: &Needs, options: &ManifestOptions) -> Manifests {
    manifests(needs, options).expect("it can be made")
}

/// Each application in each shape that its manifests can have.
fn all() -> Vec<(&'static str, Manifests)> {
    let git = ManifestOptions {
        workload: Workload::DeploymentConfig,
        source: BuildSource::git("https://git.example.test/notes.git#main"),
        host: Some("notes.example.test".to_owned()),
        storage_class: Some("fast".to_owned()),
        old_cluster: true,
        ..ManifestOptions::default()
    };
    let binary = ManifestOptions::default();
    vec![
        ("claim", made(&on_a_claim(), &binary)),
        ("claim, config", made(&on_a_claim(), &git)),
        ("postgresql", made(&with_postgresql(), &binary)),
        ("postgresql, config", made(&with_postgresql(), &git)),
        ("flask", made(&flask(), &binary)),
    ]
}

/// A value for everything that can be given.
fn given(manifests: &Manifests) -> BTreeMap<String, String> {
    manifests
        .inputs
        .iter()
        .map(|input| {
            let value = match &input.value {
                InputValue::Default { .. } if input.number => "3".to_owned(),
                InputValue::Default { value } => format!("{value}x"),
                _ => format!("given: \"{}\" {{{{ }}}} $1", input.name),
            };
            (input.name.clone(), value)
        })
        .collect()
}

fn values(given: &BTreeMap<String, String>) -> Values {
    let mut values = Values::new();
    for (name, value) in given {
        values.set(name, value.clone().into());
    }
    values
}

fn objects(manifests: &Manifests, given: &BTreeMap<String, String>) -> Vec<Value> {
    let filled = manifests.filled(&values(given)).expect("it can be filled");
    filled.into_iter().map(|one| one.object).collect()
}

#[test]
fn hooks_of_pods_and_an_autoscaler_are_made_where_v2_had_them() {
    let world = World::of_fixture("django-starter");
    world.write(".openshift/action_hooks/post_start*", "#!/bin/bash\nrun\n");
    world.write(".openshift/action_hooks/pre_stop*", "#!/bin/bash\nrun\n");
    let mut options = Options {
        database: DatabaseChoice::Service,
        name: Some("notes".to_owned()),
        cartridges: vec!["python-2.7".to_owned(), "haproxy-1.4".to_owned()],
        ..Options::default()
    };
    let scaled = needs(&world.convert(&options));
    for (workload, kind) in [
        (Workload::Deployment, "Deployment"),
        (Workload::DeploymentConfig, "DeploymentConfig"),
    ] {
        let manifests = made(
            &scaled,
            &ManifestOptions {
                workload,
                ..ManifestOptions::default()
            },
        );
        let all = objects(&manifests, &BTreeMap::new());
        let of = |kind: &str| {
            all.iter()
                .find(|one| one["kind"] == kind && one["metadata"]["name"] == "notes")
                .unwrap_or_else(|| panic!("there is no {kind}"))
        };
        let hooks = &of(kind)["spec"]["template"]["spec"]["containers"][0]["lifecycle"];
        for (hook, script) in [("postStart", "post_start"), ("preStop", "pre_stop")] {
            assert_eq!(
                hooks[hook]["exec"]["command"],
                json!([
                    "/opt/app-root/src/.s2i/runner/openshifter-image",
                    "exec",
                    format!("/opt/app-root/src/.s2i/lifecycle/{script}")
                ])
            );
        }
        let scaler = &of("HorizontalPodAutoscaler")["spec"];
        assert_eq!(scaler["scaleTargetRef"]["kind"], kind);
        assert_eq!(
            (&scaler["minReplicas"], &scaler["maxReplicas"]),
            (&json!(2), &json!(4))
        );
    }
    world.write(".openshift/markers/disable_auto_scaling", "");
    options.cartridges = vec!["python-2.7".to_owned(), "haproxy-1.4".to_owned()];
    let fixed = made(
        &needs(&world.convert(&options)),
        &ManifestOptions::default(),
    );
    assert!(
        objects(&fixed, &BTreeMap::new())
            .iter()
            .all(|one| one["kind"] != "HorizontalPodAutoscaler")
    );
}

fn plain(manifests: &Manifests, values: &Values) -> String {
    let files = manifests.plain(values).expect("it can be written");
    files
        .iter()
        .map(|(name, text)| format!("# {name}\n{text}"))
        .collect::<Vec<_>>()
        .join("---\n")
}

#[test]
fn django_with_sqlite_on_a_claim() {
    let manifests = made(&on_a_claim(), &ManifestOptions::default());
    insta::assert_snapshot!(plain(&manifests, &Values::new()));
}

#[test]
fn django_with_postgresql_beside_it() {
    let manifests = made(&with_postgresql(), &ManifestOptions::default());
    insta::assert_snapshot!(plain(&manifests, &Values::new()));
    insta::assert_snapshot!(manifests.notes.join("\n"), @r"
    builds take an upload: `oc start-build my-notes --from-dir=. --follow` in the converted tree
    the builder is the tag python:3.12 of the project openshift; clusters differ in the tags they have (`oc get imagestreamtags -n openshift`)
    the builder has to be a full image: mod_wsgi-express needs Apache, which the minimal ones lack
    PostgreSQL is the tag postgresql:latest of the project openshift; the Django of today wants PostgreSQL 14 or later
    the first administrator: `oc rsh deployment/my-notes /opt/app-root/src/.s2i/runner/openshifter-image setup`, once
    ");
}

#[test]
fn flask_with_jobs_and_a_database_elsewhere() {
    let options = ManifestOptions {
        workload: Workload::DeploymentConfig,
        source: BuildSource::git("https://git.example.test/guestbook.git#v2"),
        old_cluster: true,
        ..ManifestOptions::default()
    };
    let manifests = made(&flask(), &options);
    insta::assert_snapshot!(plain(&manifests, &Values::new()));
    insta::assert_snapshot!(manifests.notes.join("\n"), @r"
    the builder is the tag python:3.12 of the project openshift; clusters differ in the tags they have (`oc get imagestreamtags -n openshift`)
    the builder has to be a full image: mod_wsgi-express needs Apache, which the minimal ones lack
    the database is not part of this: a Service called mysql has to lead to it at port 3306 (of the type ExternalName, if it is outside of the cluster), and the Secret guestbook-mysql takes its user and password
    the claim guestbook-data is mounted at /opt/app-root/src/data and one pod at a time can have it, so a rollout stops the old pod first
    jobs run beside the application, on its node, because of the claim; while it is scaled down they wait
    ");
}

#[test]
fn objects_come_in_the_order_in_which_they_are_to_be_created() {
    for (title, manifests) in all() {
        let stages: Vec<Stage> = manifests.objects.iter().map(|one| one.stage).collect();
        assert!(stages.is_sorted(), "{title}: {stages:?}");
    }
}

#[test]
fn a_missing_value_is_a_missing_key_and_a_made_up_one_is_new_each_time() {
    let manifests = made(&flask(), &ManifestOptions::default());
    let secret = |values: &Values| {
        let objects = manifests.filled(values).expect("it can be filled");
        let secret = objects
            .iter()
            .find(|one| one.kind() == "Secret" && one.name() == "guestbook-environment")
            .expect("there is one");
        secret.object["stringData"].clone()
    };
    assert_eq!(secret(&Values::new()), Value::Null);
    let missing: Vec<&str> = manifests
        .missing(&Values::new())
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(
        missing,
        [
            "SECRET_TOKEN",
            "GUESTBOOK_ADMIN",
            "MYSQL_USER",
            "MYSQL_PASSWORD"
        ]
    );
    let generated = || {
        let mut values = Values::new();
        let mut random = std::fs::File::open("/dev/urandom").expect("it can be opened");
        manifests
            .generate(&mut values, &mut random)
            .expect("there is randomness");
        values
    };
    let (first, second) = (generated(), generated());
    let token = |values: &Values| secret(values)["secret-token"].to_string();
    assert_eq!(token(&first).len(), 64 + 2);
    assert_ne!(token(&first), token(&second));
    assert_eq!(manifests.missing(&first).len(), missing.len() - 1);
    // What is given is not made up again.
    let mut own = values(&[("SECRET_TOKEN".to_owned(), "mine".to_owned())].into());
    manifests
        .generate(&mut own, &mut std::io::empty())
        .expect("nothing is needed");
    assert_eq!(secret(&own), json!({"secret-token": "mine"}));
}

#[test]
fn values_that_have_no_place_are_refused() {
    let manifests = made(&with_postgresql(), &ManifestOptions::default());
    for (name, value, says) in [
        ("SECRET_TOKE", "x", "no place for SECRET_TOKE"),
        ("REPLICAS", "many", "REPLICAS has to be a number"),
    ] {
        let values = values(&[(name.to_owned(), value.to_owned())].into());
        let error = manifests.filled(&values).expect_err("it is refused");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.is_usage());
    }
}

#[test]
fn no_form_holds_a_secret() {
    for (title, manifests) in all() {
        let template = manifests.template_yaml();
        let chart: String = manifests
            .chart()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        let objects = serde_json::to_string(&manifests.objects).expect("it is JSON");
        for input in manifests.inputs.iter().filter(|input| input.secret) {
            assert!(
                !matches!(input.value, InputValue::Default { .. }),
                "{title}: {}",
                input.name
            );
        }
        for text in [template, chart, objects] {
            assert!(!text.contains("stand-in"), "{title}");
        }
    }
}

#[test]
fn migrations_run_where_one_pod_does_them_for_all() {
    let of = |needs: &Needs, workload| {
        let options = ManifestOptions {
            workload,
            ..ManifestOptions::default()
        };
        let manifests = made(needs, &options);
        manifests
            .objects
            .iter()
            .find(|one| one.kind() == workload.kind() && one.name() == needs.name)
            .expect("there is one")
            .object["spec"]
            .clone()
    };
    let command = json!(["/opt/app-root/src/.s2i/runner/openshifter-image", "migrate"]);
    let deployment = of(&with_postgresql(), Workload::Deployment);
    let init = &deployment["template"]["spec"]["initContainers"];
    assert_eq!(init[0]["command"], command);
    assert_eq!(
        init[0]["env"],
        deployment["template"]["spec"]["containers"][0]["env"]
    );
    let config = of(&with_postgresql(), Workload::DeploymentConfig);
    let hook = &config["strategy"]["rollingParams"]["pre"]["execNewPod"];
    assert_eq!(hook["command"], command);
    assert_eq!(hook["containerName"], "my-notes");
    assert_eq!(config["template"]["spec"]["initContainers"], Value::Null);
    // Scaled in V2, with a claim all the same: the old pod is gone while it migrates.
    let mut scaled = on_a_claim();
    scaled.migration = openshifter_v2::Migration::InitContainer;
    let config = of(&scaled, Workload::DeploymentConfig);
    let hook = &config["strategy"]["recreateParams"]["mid"]["execNewPod"];
    assert_eq!(hook["volumes"], json!(["data"]));
    // With the data of one pod the deploy hook does it.
    let deployment = of(&on_a_claim(), Workload::Deployment);
    assert_eq!(
        deployment["template"]["spec"]["initContainers"],
        Value::Null
    );
}

#[test]
fn the_route_s_host_is_told_to_an_application_that_asks() {
    let world = World::of_fixture("wsgi");
    world.write(
        "mail.py",
        "import os\n\nLINK = 'https://' + os.environ['OPENSHIFT_APP_DNS'] + '/'\n",
    );
    let needs = needs(&world.convert(&Options {
        name: Some("shop".to_owned()),
        ..Options::default()
    }));
    let manifests = made(&needs, &ManifestOptions::default());
    assert_eq!(
        manifests.input("HOST").map(|input| &input.value),
        Some(&InputValue::Required)
    );
    let given = [("HOST".to_owned(), "shop.example.test".to_owned())].into();
    let objects = objects(&manifests, &given);
    let of = |kind: &str| {
        objects
            .iter()
            .find(|one| one["kind"] == kind)
            .expect("there is one")
    };
    assert_eq!(of("Route")["spec"]["host"], "shop.example.test");
    assert_eq!(
        of("ConfigMap")["data"]["OPENSHIFT_APP_DNS"],
        "shop.example.test"
    );
}

#[test]
fn a_variable_called_like_an_input_has_another_name_there() {
    let mut needs = on_a_claim();
    needs.variables.push(openshifter_v2::NeedsVariable {
        name: "HOST".to_owned(),
        source: None,
        required: true,
        secret: false,
    });
    let manifests = made(&needs, &ManifestOptions::default());
    let places = |name: &str| {
        let input = manifests.input(name).expect("there is one");
        input
            .places
            .iter()
            .map(|place| place.pointer.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(places("HOST"), ["/spec/host"]);
    assert_eq!(places("APP_HOST"), ["/data/HOST"]);
}

#[test]
fn a_claim_that_would_hide_files_is_refused() {
    let world = World::of_fixture("django-starter");
    let result = world.convert(&Options::default());
    std::fs::write(result.root.join("data/initial.json"), "[]").expect("it can be written");
    let error = manifests(&needs(&result), &ManifestOptions::default()).expect_err("it is refused");
    insta::assert_snapshot!(error, @"a claim at /opt/app-root/src/data would hide files of the application (data/initial.json): convert with another --data-dir, as in /opt/app-root/data, or remove them from the sources");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    type Change = fn(&mut ManifestOptions, &mut Needs);
    let cases: [(&str, Change); 9] = [
        ("--replicas", |options, _| options.replicas = Some(2)),
        ("--claim-size", |options, _| {
            options.claim_size = "much".to_owned();
        }),
        ("--host", |options, _| {
            options.host = Some("https://notes.example.test".to_owned());
        }),
        ("--builder", |options, _| {
            options.builder = Some("python".to_owned());
        }),
        ("--postgresql", |options, _| {
            options.postgresql = "postgresql".to_owned();
        }),
        ("--git", |options, _| {
            options.source = BuildSource::git("#main");
        }),
        ("--git", |options, _| {
            options.source = BuildSource::git("https://me:secret@git.example.test/notes.git");
        }),
        ("--name", |_, needs| needs.name = "2048".to_owned()),
        ("--name", |_, needs| {
            needs.name = "mysql".to_owned();
            needs.databases = flask().databases;
        }),
    ];
    for (expected, change) in cases {
        let (mut options, mut needs) = (ManifestOptions::default(), on_a_claim());
        change(&mut options, &mut needs);
        match manifests(&needs, &options) {
            Err(V2Error::Option { option, reason }) => {
                assert_eq!(option, expected);
                assert!(!reason.contains("secret@"), "{reason}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn fixtures_of_all_kinds_have_manifests() {
    for name in ["django-starter", "flask", "bottle", "wsgi", "app-py"] {
        assert!(fixture(name).is_dir());
        let manifests = made(
            &needs(&World::of_fixture(name).convert(&Options::default())),
            &ManifestOptions::default(),
        );
        let kinds: Vec<&str> = manifests.objects.iter().map(|one| one.kind()).collect();
        for kind in [
            "ImageStream",
            "BuildConfig",
            "Deployment",
            "Service",
            "Route",
        ] {
            assert!(kinds.contains(&kind), "{name}: {kinds:?}");
        }
    }
}
