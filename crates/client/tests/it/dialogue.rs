//! The dialogue as users know it, its answers piped in or scripted.

use std::path::Path;

use openshifter_client::{ClientError, ClientOptions, Happening, Output, TerminalOutput};
use openshifter_migrate::StateDir;
use openshifter_server::{Server, ServerConfig, Tls};

use crate::answered::{Written, answered, options};

/// A port of this machine on which nothing listens: none of those that the system hands out.
const CLOSED_PORT: u16 = 1;

fn write_input(folder: &Path, port: u16) {
    let entry = |project: &str| {
        format!(
            r#"{{"base": "127.0.0.1:{port}", "project": "{project}", "username": "dev", "password": "hunter2"}}"#
        )
    };
    let text = format!(
        r#"{{"credentials": {{"minishift": {}, "production": {}}}}}"#,
        entry("shop"),
        entry("live")
    );
    std::fs::write(folder.join("input.json"), text).unwrap();
}

#[tokio::test]
async fn the_questions_come_in_the_known_order() {
    let folder = tempfile::tempdir().unwrap();
    let port = CLOSED_PORT;
    write_input(folder.path(), port);
    // Source from file, target typed in, Copy; then both ends are looked at.
    let answers = format!("1\nminishift\n2\n127.0.0.1:{port}\nlive\ndev\nhunter2\ncopy\n");
    let (result, shown) = answered(options(folder.path()), &answers).await;
    let error = result.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("minishift: cannot reach 127.0.0.1:{port}")),
        "{error}"
    );
    assert_eq!(error.exit_status(), 3);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown, @r"
    Source: where the application is
      1) from file (input.json)
      2) typed in
    Number: 
    Which one?
      1) minishift
      2) production
    Number: 
    Target: where the application goes
      1) from file (input.json)
      2) typed in
    Number: 
    Base URL (host:port): 
    Project: 
    Username: 
    Password: 
    Policy
      1) Move: the source is deleted when the target is ready; in one and the same project, before the import
      2) Ping-Pong: what is at the target is kept as a backup and deleted before the import
      3) Copy: nothing is deleted
    Number: 
    looking at both ends
    ");
}

#[tokio::test]
async fn a_bad_input_file_is_one_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.json");
    let mut messages = Vec::new();
    for text in [
        None,
        Some(
            "{\"credentials\": {\n  \"a\": {\"base\": \"h:1\", \"project\": \"p\", \"username\": \"u\", \"password\": \"hunter2\"},\n}}",
        ),
        Some(
            "{\"credentials\": {\"a\": {\"base\": \"h:1\", \"project\": \"p\", \"username\": \"hunter2\"}}}",
        ),
        Some("{\"credentials\": {}}"),
        Some("{}"),
        Some(
            "{\"credentials\": {\"a\": {\"base\": \"http://h:1\", \"project\": \"p\", \"username\": \"u\", \"password\": \"hunter2\"}}}",
        ),
    ] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let (result, _) = answered(options(folder.path()), "1\n1\n").await;
        let error = result.unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let message = error.chain();
        assert!(!message.contains("hunter2"), "{message}");
        messages.push(message.replace(&folder.path().display().to_string(), "FOLDER"));
    }
    insta::assert_snapshot!(messages.join("\n"), @r#"
    cannot read FOLDER/input.json: failed to open file `FOLDER/input.json`: No such file or directory (os error 2)
    FOLDER/input.json is not right: trailing comma at line 3 column 1; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}
    FOLDER/input.json is not right: missing field `password` at line 1 column 76; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}
    FOLDER/input.json names no cluster under `credentials`
    FOLDER/input.json is not right: missing field `credentials` at line 1 column 2; it looks like {"credentials": {"NAME": {"base": "HOST:PORT", "project": "…", "username": "…", "password": "…"}}}
    `http://h:1` is no address of a cluster: plain http would show the credentials to the network; use https
    "#);
    assert!(!folder.path().join("state").exists());
}

#[tokio::test]
async fn an_end_of_input_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_input(folder.path(), CLOSED_PORT);
    for answers in ["", "1\n", "1\n1\n1\n2\n", "2\nh:1\nshop\n"] {
        let (result, _) = answered(options(folder.path()), answers).await;
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the input ended before all questions were answered; nothing was changed"
        );
        assert_eq!(error.exit_status(), 2);
    }
}

/// A service without clusters behind it.
async fn service(folder: &Path, tls: bool) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ServerConfig::new(StateDir::new(folder.join("state")));
    config.listen = "127.0.0.1:0".parse().unwrap();
    if !tls {
        config.tls = Tls::None;
    }
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn the_service_does_the_work_and_its_refusals_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    write_input(folder.path(), CLOSED_PORT);
    for tls in [true, false] {
        let server = service(folder.path(), tls).await;
        let mut options = options(folder.path());
        // The certificate of this user's own service is known.
        options.service = Some(ClientOptions::parse_service(&server.url()).unwrap());
        let (result, shown) = answered(options, "1\n1\n1\n2\nmove\n").await;
        let error = result.unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
        assert!(
            error.to_string().starts_with("minishift: cannot reach"),
            "{error}"
        );
        assert!(!shown.contains("hunter2"));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_verified_or_is_none_is_named() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = CLOSED_PORT;
    write_input(ours.path(), port);
    let server = service(theirs.path(), true).await;
    let mut with_ca = options(ours.path());
    with_ca.service = Some(ClientOptions::parse_service(&server.url()).unwrap());
    with_ca.ca = Some(ours.path().join("ca.pem"));
    // A CA that signed something else.
    let other = service(ours.path(), true).await;
    std::fs::write(ours.path().join("ca.pem"), other.ca_pem().unwrap()).unwrap();
    let (result, _) = answered(with_ca.clone(), "1\n1\n1\n2\ncopy\n").await;
    let error = result.unwrap_err();
    assert!(
        error.to_string().contains("invalid peer certificate"),
        "{error}"
    );
    with_ca.insecure = true;
    let (result, _) = answered(with_ca.clone(), "1\n1\n1\n2\ncopy\n").await;
    assert!(matches!(result.unwrap_err(), ClientError::Refused(_)));
    with_ca.service =
        Some(ClientOptions::parse_service(&format!("http://127.0.0.1:{port}")).unwrap());
    let (result, _) = answered(with_ca, "1\n1\n1\n2\ncopy\n").await;
    let error = result.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!(
            "cannot reach the service at http://127.0.0.1:{port}/"
        )),
        "{error}"
    );
    server.stop().await;
    other.stop().await;
}

#[test]
fn progress_without_a_terminal_is_lines() {
    let written = Written::default();
    let mut output = TerminalOutput::plain(Box::new(written.clone()));
    output.progress(&Happening::Stage("reading 1 volumes".into()));
    output.progress(&Happening::Volume {
        claim: "data".into(),
        done: 1,
        total: None,
    });
    output.progress(&Happening::Note("one file changed".into()));
    output.end_progress();
    output.line("done\n");
    assert_eq!(
        written.text(),
        "- reading 1 volumes\n  note: one file changed\ndone\n"
    );
}
