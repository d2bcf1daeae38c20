//! What is found out about each fixture, in all forms of the report.

use openshifter_v2::{Options, Severity, report, rules};

use crate::support::World;

fn head(name: &str) -> String {
    let text = report::text(&World::of_fixture(name).analyze(&Options::default()));
    text.split("\n\n").next().unwrap_or_default().to_owned()
}

#[test]
fn the_starter() {
    insta::assert_snapshot!(head("django-starter"), @r"
    django-starter: an OpenShift V2 application for the python cartridge, Django
      cartridge      python (because of wsgi/application)
      entry point    wsgi/application (WSGI)
      manage.py      wsgi/myproject/manage.py
      settings       myproject.settings (wsgi/myproject/myproject/settings.py)
      Django         1.8, to be 5.2
      static files   /static/ from /opt/app-root/src/wsgi/static
      Python         parses as Python 3, but uses what Python 3 or its newer releases do not have (see below); the result is for 3.12
      databases      SQLite in /opt/app-root/src/data/db.sqlite3
      hooks          build (empty), deploy, post_deploy (empty), pre_build (empty)
      cron           hourly (clear_sessions), weekly (report)
      requirements   Django==1.8.4
      data           /opt/app-root/src/data/
    ");
}

#[test]
fn flask() {
    insta::assert_snapshot!(head("flask"), @r"
    flask: an OpenShift V2 application for the python cartridge, Flask
      cartridge      python (because of wsgi.py)
      entry point    wsgi.py (WSGI)
      Python         parses as Python 3, but uses what Python 3 or its newer releases do not have (see below); the result is for 3.12
      hooks          deploy
      requirements   Flask==0.10.1, MySQL-python==1.2.5
      data           /opt/app-root/src/data/
    ");
}

#[test]
fn bottle() {
    insta::assert_snapshot!(head("bottle"), @r"
    bottle: an OpenShift V2 application for the python cartridge, Bottle
      cartridge      python (because of wsgi/application)
      entry point    wsgi/application (WSGI)
      Python         nothing found that is Python 2 only; the result is for 3.12
      markers        hot_deploy
      requirements   bottle
    ");
}

#[test]
fn bare_wsgi() {
    insta::assert_snapshot!(head("wsgi"), @r"
    wsgi: an OpenShift V2 application for the python cartridge, plain WSGI
      cartridge      python (because of wsgi.py)
      entry point    wsgi.py (WSGI)
      Python         nothing found that is Python 2 only; the result is for 3.12
      hooks          deploy (empty)
    ");
}

#[test]
fn self_serving() {
    insta::assert_snapshot!(head("app-py"), @r"
    app-py: an OpenShift V2 application for the python cartridge, plain WSGI
      cartridge      python (because of app.py, wsgi/application)
      entry point    app.py (serves by itself)
      Python         nothing found that is Python 2 only; the result is for 3.12
    ");
}

#[test]
fn the_findings_of_flask() {
    let analysis = World::of_fixture("flask").analyze(&Options::default());
    let found: String = analysis
        .findings
        .iter()
        .map(|finding| {
            format!(
                "{} {} [{}] {}\n",
                finding.severity.title(),
                finding.place(),
                finding.rule,
                finding.what
            )
        })
        .collect();
    insta::assert_snapshot!(found, @r"
    blocker  [data-directory] what is written to the data directory would be gone with each pod
    blocker .openshift/action_hooks/deploy:3 [environment] OPENSHIFT_DATA_DIR is not set by V3
    blocker guestbook/__init__.py:6 [environment] OPENSHIFT_APP_NAME is not set by V3
    blocker guestbook/__init__.py:6 [environment] OPENSHIFT_MYSQL_DB_URL is not set by V3
    blocker guestbook/__init__.py:8 [environment] OPENSHIFT_SECRET_TOKEN is not set by V3
    blocker guestbook/__init__.py:9 [environment] GUESTBOOK_ADMIN is read, and a person set it with `rhc env set`, which is not part of the source
    blocker requirements.txt:3 [requirements] MySQL-python==1.2.5: MySQL-python is for Python 2 only; mysqlclient has the same module
    blocker wsgi.py [entry-point] the V3 builder does not know this file as an entry point
    blocker wsgi.py:5 [environment] OPENSHIFT_PYTHON_DIR is not set by V3
    blocker wsgi.py:8 [activate-this] execfile() is called
    warning .openshift/action_hooks/deploy [action-hooks] V3 does not call the hook deploy
    warning requirements.txt:2 [requirements] releases of V2's time are pinned: Flask==0.10.1
    info  [web-server] mod_wsgi-express needs a full builder image; the minimal ones have no Apache
    ");
}

#[test]
fn the_page_holds_what_the_text_holds_and_nothing_from_elsewhere() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/markers/<script>x</script>"
            .replace('/', "_")
            .as_str(),
        "",
    );
    world.write(".openshift/markers/a<b>&c", "");
    let analysis = world.analyze(&Options::default());
    let page = report::html(&analysis);
    for finding in &analysis.findings {
        assert!(page.contains(finding.rule));
    }
    assert!(page.contains("a&lt;b&gt;&amp;c") && !page.contains("a<b>"));
    for elsewhere in ["http://", "https://", "<script", "<link", "src="] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn rules_have_names_and_reasons_of_their_own() {
    let mut ids: Vec<&str> = rules().map(|rule| rule.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for rule in rules() {
        assert!(
            !rule.title.is_empty() && !rule.why.is_empty() && !rule.why.ends_with('.'),
            "{}",
            rule.id
        );
    }
}

#[test]
fn findings_come_worst_first() {
    let analysis = World::of_fixture("django-starter").analyze(&Options::default());
    assert!(
        analysis
            .findings
            .is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity))
    );
    assert!(analysis.count(Severity::Blocker) > 10);
}

#[test]
fn a_second_conversion_of_a_result_changes_nothing() {
    for name in [
        "django-starter",
        "flask",
        "bottle",
        "wsgi",
        "app-py",
        "visitors",
    ] {
        for options in [
            Options::default(),
            Options {
                server: openshifter_v2::Server::Gunicorn,
                ..Options::default()
            },
            Options {
                database: openshifter_v2::DatabaseChoice::Service,
                ..Options::default()
            },
        ] {
            // Nothing but Django's settings can be given another database.
            let service = options.database == openshifter_v2::DatabaseChoice::Service;
            if service && !["django-starter", "visitors"].contains(&name) {
                continue;
            }
            let world = match name {
                "visitors" => World::of_visitors(),
                name => World::of_fixture(name),
            };
            let result = world.convert(&options);
            let after = World {
                folder: tempfile::tempdir().expect("a folder can be made"),
                root: result.root.clone(),
            };
            let again = after.plan(&options).expect("it can be converted");
            let paths: Vec<&str> = again
                .actions
                .iter()
                .map(|action| action.path.as_str())
                .collect();
            assert!(paths.is_empty(), "{name}: {paths:?}");
        }
    }
}

#[test]
fn no_finding_of_a_result_is_mended_by_another_conversion() {
    for name in ["django-starter", "flask", "bottle", "wsgi", "app-py"] {
        let result = World::of_fixture(name).convert(&Options::default());
        let tree = openshifter_v2::Tree::load(&result.root, &openshifter_v2::Limits::default())
            .expect("it can be read");
        let analysis =
            openshifter_v2::analyze(&tree, &Options::default()).expect("it is an application");
        let left: Vec<String> = analysis
            .findings
            .iter()
            .filter(|finding| {
                finding.severity == Severity::Blocker
                    && matches!(finding.remedy, openshifter_v2::Remedy::Convert(_))
            })
            // Manifests set these, not the tree.
            .filter(|finding| finding.rule != "environment")
            .filter(|finding| finding.rule != "secrets-file")
            .map(|finding| format!("{} {} {}", finding.place(), finding.rule, finding.what))
            .collect();
        assert!(left.is_empty(), "{name}: {left:#?}");
    }
}
