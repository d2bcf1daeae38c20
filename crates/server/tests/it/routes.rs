//! Paths, refusals and protections of the service.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_chart::{ChartBuilder, ChartMeta, Content};
use openshifter_migrate::{Event, Run};
use openshifter_objects::Object;
use serde_json::json;

use crate::support::{Answer, Gate, Service};

/// A port of this machine on which nothing listens: none of those that the system hands out.
const CLOSED_PORT: u16 = 1;

#[tokio::test]
async fn what_is_no_request_is_refused_with_one_line() {
    let service = Service::start().await;
    let mut lines = Vec::new();
    for (method, path) in [
        ("GET", "/export/h:1/shop/dev"),
        ("GET", "/export/h:1/shop/dev/"),
        ("GET", "/export/h:1/shop/dev/pa?ss"),
        ("GET", "/nonsense/hunter2"),
        ("POST", "/export/h:1/shop/dev/hunter2"),
        ("GET", "/import/h:1/shop/dev/hunter2"),
        ("HEAD", "/delete/h:1/shop/dev/hunter2"),
        ("DELETE", "/delete/h:1/shop/dev/hunter2"),
        ("GET", "/v1/jobs/20260101-000000-00000000"),
        ("GET", "/v1/jobs/x"),
        ("PUT", "/v1/jobs"),
    ] {
        let answer = service.ask(method, path, &[], b"").await;
        assert!(!answer.body.contains("hunter2"), "{}", answer.body);
        assert!(
            answer.body.trim_end().lines().count() <= 1,
            "{}",
            answer.body
        );
        lines.push(format!("{method} {path} -> {}", answer.line()));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    GET /export/h:1/shop/dev -> 400 the path is /<verb>/<base>/<project>/<user>/<password>
    GET /export/h:1/shop/dev/ -> 400 the password in the path is empty; the path is /<verb>/<base>/<project>/<user>/<password>, percent-encode a `/` as %2F
    GET /export/h:1/shop/dev/pa?ss -> 400 the path holds a `?`; in a user or password write it as %3F
    GET /nonsense/hunter2 -> 404 there is no such route; `GET /` lists them
    POST /export/h:1/shop/dev/hunter2 -> 405 this route takes only GET
    GET /import/h:1/shop/dev/hunter2 -> 405 this route takes only POST and PUT
    HEAD /delete/h:1/shop/dev/hunter2 -> 405 
    DELETE /delete/h:1/shop/dev/hunter2 -> 405 this route takes only GET
    GET /v1/jobs/20260101-000000-00000000 -> 404 {"status":404,"code":"not-found","error":"there is no job 20260101-000000-00000000"}
    GET /v1/jobs/x -> 404 {"status":404,"code":"not-found","error":"that is not the id of a job"}
    PUT /v1/jobs -> 405 {"status":405,"code":"method-not-allowed","error":"this route does not take that method"}
    "#);
    assert_eq!(
        service
            .ask("POST", "/export/h:1/shop/dev/pw", &[], b"")
            .await
            .header("allow"),
        Some("GET")
    );
    service.server.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_a_bad_gateway_on_every_route() {
    let service = Service::start().await;
    let port = CLOSED_PORT;
    for base in [
        format!("127.0.0.1:{port}"),
        format!("https://127.0.0.1:{port}"),
        format!("https:/127.0.0.1:{port}"),
        format!("https%3A%2F%2F127.0.0.1%3A{port}"),
    ] {
        let path = format!("/volumes/{base}/shop/dev/hunter2");
        let answer = service.get(&path).await;
        assert_eq!(answer.status, 502, "{base}: {}", answer.body);
        assert!(
            answer
                .body
                .contains(&format!("cannot reach 127.0.0.1:{port}")),
            "{}",
            answer.body
        );
    }
    for (method, verb) in [
        ("GET", "export"),
        ("POST", "import"),
        ("PUT", "import"),
        ("GET", "delete"),
        ("GET", "descriptor"),
    ] {
        let path = format!("/{verb}/127.0.0.1:{port}/shop/dev/hunter2");
        let answer = service.ask(method, &path, &[], b"\x1f\x8b\x08").await;
        assert_eq!(answer.status, 502, "{verb}: {}", answer.body);
        assert!(!answer.body.contains("hunter2"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert!(service.left_in("spool").is_empty());
    service.server.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_for_json_gets_a_code() {
    let service = Service::start().await;
    let path = format!("/export/127.0.0.1:{CLOSED_PORT}/shop/dev/hunter2");
    let answer = service
        .ask("GET", &path, &[("Accept", "application/json")], b"")
        .await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["code"], "cluster-unreachable");
    assert_eq!(answer.json()["status"], 502);
    service.server.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_401_and_no_upload_is_kept() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    for (method, verb) in [("GET", "export"), ("GET", "delete"), ("POST", "import")] {
        let path = format!("/{verb}/{}/shop/dev/wrong", gate.base());
        let answer = service
            .ask(method, &path, &[], b"\x1f\x8b\x08 and more")
            .await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert!(
            answer
                .body
                .contains("wrong user name or password for `dev`")
        );
    }
    assert_eq!((gate.logins(), gate.logouts()), (0, 0));
    assert!(service.left_in("runs").is_empty());
    service.server.stop().await;
}

#[tokio::test]
async fn what_reaches_beyond_the_project_needs_a_leave_at_the_start() {
    let gate = Gate::open().await;
    let folder = tempfile::tempdir().unwrap();
    let chart = privileged_chart(folder.path()).await;
    let place = format!("/import/{}/shop/dev/hunter2", gate.base());
    let closed = Service::start().await;
    let refused = closed.ask("POST", &place, &[], &chart).await;
    insta::assert_snapshot!(refused.line(), @"422 the chart holds Pod/agent (its pods reach into the node: privileged containers), which reach beyond the project; nothing was changed: look at them, and start the service with --allow beyond-project (legacy routes) or send allowBeyondProject (/v1)");
    let open = Service::with(|config| config.leave.beyond_project = true).await;
    let let_in = open.ask("POST", &place, &[], &chart).await;
    // That the gate cannot make a project is another matter.
    assert!(!let_in.body.contains("beyond"), "{}", let_in.line());
    assert_eq!((gate.logins(), gate.logouts()), (2, 2));
    for service in [closed, open] {
        service.server.stop().await;
    }
}

/// An archive of a chart whose pods reach into the node.
async fn privileged_chart(folder: &Path) -> Vec<u8> {
    let object = Object::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent", "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]},
    }))
    .unwrap();
    let builder = ChartBuilder::create(folder.join("shop"), ChartMeta::new("shop")).unwrap();
    let content = Content {
        raw: std::slice::from_ref(&object),
        prepared: std::slice::from_ref(&object),
        ..Content::default()
    };
    let chart = builder.finish(content).unwrap();
    let archive = folder.join("shop.tgz");
    openshifter_chart::pack_to_file(chart.dir(), &archive)
        .await
        .unwrap();
    std::fs::read(archive).unwrap()
}

#[tokio::test]
async fn an_upload_that_is_no_chart_changes_nothing_and_is_logged_out() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    let path = format!("/import/{}/shop/dev/hunter2", gate.base());
    // A gzip stream that ends in its header, and one of something else than a tar archive.
    let torn = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec();
    let other = gzip(b"hello");
    let mut lines = Vec::new();
    for body in [
        b"_output.tgz".to_vec(),
        b"--x\r\nContent-Disposition: form-data\r\n".to_vec(),
        b"H4sIAAAA**".to_vec(),
        b"%1F%8B%0".to_vec(),
        torn.clone(),
        STANDARD.encode(&torn).into_bytes(),
        other,
    ] {
        let answer = service.ask("POST", &path, &[], &body).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(answer.body.trim_end().lines().count(), 1);
        lines.push(hide_folder(&answer, &service));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    422 the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; was the `@` before the file's name forgotten?
    422 the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; it looks like a multipart form (curl -F): send it with --data-binary @FILE instead
    422 byte 8 of the base64 text is not base64 (0x2a)
    422 byte 6 of the form is a `%` without two hexadecimal digits
    422 the archive is torn or broken: after 0 bytes, incomplete deflate stream
    422 the archive is torn or broken: after 0 bytes, incomplete deflate stream
    422 the archive is torn or broken: the volume's archive is torn: it ends without its end marker, after 5 bytes; read the volume again
    ");
    assert_eq!((gate.logins(), gate.logouts()), (7, 7));
    assert_eq!(gate.changes(), Vec::<String>::new());
    assert!(service.left_in("spool").is_empty());
    assert!(
        service
            .left_in("runs")
            .iter()
            .all(|path| !path.ends_with("chart.tgz"))
    );
    service.server.stop().await;
}

#[tokio::test]
async fn an_empty_body_and_one_that_breaks_off_are_refused() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    let path = format!("/import/{}/shop/dev/hunter2", gate.base());
    let answer = service
        .ask("POST", &path, &[("Content-Length", "0")], b"")
        .await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("the body is empty"), "{}", answer.body);
    service.server.stop().await;
    assert_eq!((gate.logins(), gate.logouts()), (1, 1));
}

#[tokio::test]
async fn an_unknown_project_is_404_and_is_logged_out() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    for verb in ["export", "delete", "descriptor", "volumes"] {
        let answer = service
            .get(&format!("/{verb}/{}/shop/dev/hunter2", gate.base()))
            .await;
        assert_eq!(answer.status, 404, "{verb}: {}", answer.body);
        assert!(
            answer.body.contains("there is no namespace `shop`"),
            "{verb}: {}",
            answer.body
        );
    }
    assert_eq!((gate.logins(), gate.logouts()), (4, 4));
    assert!(service.left_in("spool").is_empty());
    service.server.stop().await;
}

#[tokio::test]
async fn a_request_for_another_host_or_from_another_site_is_refused() {
    let service =
        Service::with(|config| config.allowed_hosts = vec!["mover.example.com".into()]).await;
    let refused = |headers: &'static [(&str, &str)], path: &'static str| {
        let service = &service;
        async move { service.ask("GET", path, headers, b"").await.status }
    };
    assert_eq!(
        refused(&[("Host", "evil.example.com")], "/contexts").await,
        421
    );
    assert_eq!(
        refused(&[("Host", "evil.example.com")], "/healthz").await,
        200
    );
    assert_eq!(
        refused(&[("Host", "mover.example.com")], "/version").await,
        200
    );
    assert_eq!(refused(&[("Host", "localhost:1")], "/version").await, 200);
    assert_eq!(
        refused(&[("Origin", "https://evil.example.com")], "/v1/jobs").await,
        403
    );
    assert_eq!(
        refused(&[("Origin", "https://localhost:8443")], "/v1/jobs").await,
        200
    );
    assert_eq!(
        refused(&[("Sec-Fetch-Site", "cross-site")], "/delete/h:1/a/b/c").await,
        403
    );
    service.server.stop().await;
}

#[tokio::test]
async fn contexts_and_spaces_come_from_the_kubeconfig() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    // A named kubeconfig that is not there is a mistake.
    assert_eq!(service.get("/contexts").await.status, 400);
    let port = CLOSED_PORT;
    let kubeconfig = format!(
        r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{{"name": "c", "cluster": {{"server": "{}"}}}}, {{"name": "d", "cluster": {{"server": "http://127.0.0.1:{port}"}}}}],
        "users": [{{"name": "u", "user": {{"token": "sha256~t0ken"}}}}],
        "contexts": [{{"name": "here", "context": {{"cluster": "c", "user": "u"}}}}, {{"name": "down", "context": {{"cluster": "d", "user": "u"}}}}]}}"#,
        gate.base()
    );
    std::fs::write(service.state.path().join("kubeconfig"), kubeconfig).unwrap();
    assert_eq!(service.get("/contexts").await.body, r#"["here","down"]"#);
    let answer = service.get("/spaces").await;
    // This cluster does not let its namespaces be listed, the other is down: there is nothing to tell.
    assert!(answer.status >= 400, "{}", answer.body);
    // Contexts of the service are for its owner.
    let body = br#"{"source": {"context": "here", "project": "a"}, "target": {"context": "here", "project": "b"}, "policy": "copy"}"#;
    let json = [("Content-Type", "application/json")];
    let answer = service.ask("POST", "/v1/plans", &json, body).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["code"], "missing-token");
    service.server.stop().await;
}

#[tokio::test]
async fn a_migration_that_cannot_begin_is_refused_and_logged_out() {
    let service = Service::start().await;
    let gate = Gate::open().await;
    let json = [("Content-Type", "application/json")];
    let body = |password: &str, policy: &str| {
        format!(
            r#"{{"source": {{"base": "{0}", "project": "a", "username": "dev", "password": "hunter2"}},
            "target": {{"base": "{0}", "project": "b", "username": "dev", "password": "{password}"}}, "policy": "{policy}"}}"#,
            gate.base()
        )
    };
    let mut lines = Vec::new();
    for (path, body) in [
        ("/v1/plans", body("wrong", "copy")),
        ("/v1/migrations", body("hunter2", "move")),
        ("/v1/plans", body("hunter2", "steal")),
        ("/v1/plans", "{}".to_owned()),
        ("/v1/plans", "{\"source\": 1,}".to_owned()),
    ] {
        let answer = service.ask("POST", path, &json, body.as_bytes()).await;
        assert!(!answer.body.contains("hunter2"));
        lines.push(format!(
            "{} {} {}",
            answer.status,
            answer.json()["code"],
            answer.json()["error"]
                .as_str()
                .unwrap()
                .replace(&gate.base(), "http://GATE")
                .replace(&gate.base()[7..], "GATE")
        ));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    401 "not-logged-in" http://GATE: wrong user name or password for `dev`
    404 "no-such-project" http://GATE: there is no namespace `a`
    400 "bad-request" Failed to deserialize the JSON body into the target type: policy: `steal` is no policy: copy, move or ping-pong at line 2 column 134
    400 "bad-request" Failed to deserialize the JSON body into the target type: missing field `source` at line 1 column 2
    400 "bad-request" Failed to deserialize the JSON body into the target type: source: invalid type: integer `1`, expected struct EndpointSpec at line 1 column 12
    "#);
    assert_eq!(gate.logins(), gate.logouts());
    assert_eq!(service.get("/v1/jobs").await.body, "[]");
    // Without a content type a page of another site could send it.
    let answer = service
        .ask("POST", "/v1/plans", &[], body("hunter2", "copy").as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    service.server.stop().await;
}

#[tokio::test]
async fn off_loopback_there_is_a_token_and_a_list_of_clusters() {
    let gate = Gate::open().await;
    let service = Service::with(|config| {
        config.listen = "0.0.0.0:0".parse().unwrap();
        config.allowed_clusters = vec!["api.example.com:6443".into()];
    })
    .await;
    let host = [("Host", "127.0.0.1")];
    let path = format!("/volumes/{}/shop/dev/hunter2", gate.base());
    let answer = service.ask("GET", &path, &host, b"").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(gate.logins(), 0);
    let answer = service.ask("GET", "/v1/jobs", &host, b"").await;
    assert_eq!(answer.status, 401);
    let path = service.state.path().join("state/service/token");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let token = std::fs::read_to_string(path).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Host", "127.0.0.1"), ("Authorization", bearer.as_str())];
    let answer = service.ask("GET", "/v1/jobs", &headers, b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[]"));
    service.server.stop().await;
}

#[tokio::test]
async fn tls_with_its_own_certificate_and_http_2() {
    let service = Service::with(|config| {
        config.tls = openshifter_server::Tls::SelfSigned {
            dir: config.state.path().join("service"),
        };
    })
    .await;
    let ca = service.server.ca_pem().unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/version", service.server.addr().port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.contains("\"openshifter\""), "{text}");
    assert!(service.server.url().starts_with("https://127.0.0.1:"));
    service.server.stop().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The answer without what differs from run to run.
fn hide_folder(answer: &Answer, service: &Service) -> String {
    let state = service.state.path().join("state");
    let line = answer.line().replace(&state.display().to_string(), "STATE");
    match (line.find("/runs/"), line.find("/chart.tgz")) {
        (Some(from), Some(to)) if from < to => format!("{}/runs/RUN{}", &line[..from], &line[to..]),
        _ => line,
    }
}

#[tokio::test]
async fn backups_are_removed_when_their_time_is_over() {
    let mut charts = Vec::new();
    let service = Service::with(|config| {
        config.keep_backups = Some(Duration::ZERO);
        for status in [0, 1] {
            let run = Run::begin(config.state.clone()).unwrap();
            run.journal.write(Event::Finished { status }).unwrap();
            let chart = config
                .state
                .charts()
                .unwrap()
                .join(format!("shop-before-{}", run.id));
            std::fs::create_dir(&chart).unwrap();
            charts.push(chart);
        }
    })
    .await;
    let over = async {
        while charts[0].exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), over)
        .await
        .expect("it is removed in time");
    // Its run failed: it may be the only copy.
    service.server.stop().await;
    assert!(charts[1].exists());
}
