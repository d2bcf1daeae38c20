//! The sample application: a guestbook that keeps its entries in a folder, so that moving it
//! means moving data that can be compared.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | port to listen on, on all addresses | `8080` |
//! | `DATA_DIR` | folder of the entries | `/data` |
//! | `GUESTBOOK_TITLE` | heading of the page | `Guestbook` |
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | the page; the same bytes for the same entries |
//! | `GET /entries.json` | the entries |
//! | `GET /healthz` | `ok` while the folder can be read |
//! | `POST /entries` | adds an entry from the form fields `name` and `message`; 303 to `/` |

mod entries;
mod http;
mod page;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use self::entries::Entries;
use self::http::{Answer, Request};
use super::Done;

/// Serves until it is ended.
pub(crate) fn run() -> Done {
    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port
            .parse()
            .map_err(|_| format!("PORT is not a port number: {port}"))?,
        Err(_) => 8080,
    };
    let folder = std::env::var_os("DATA_DIR").unwrap_or_else(|| "/data".into());
    let title = std::env::var("GUESTBOOK_TITLE").unwrap_or_else(|_| "Guestbook".to_owned());
    let entries = Entries::open(folder.into())?;
    let listener = TcpListener::bind(("0.0.0.0", port))
        .map_err(|e| format!("cannot listen on port {port}: {e}"))?;
    log(&format!("listening on port {port}"));
    let shared = Arc::new((entries, title));
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            http::serve(connection, |request| answer(&shared.0, &shared.1, request));
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(entries: &Entries, title: &str, request: &Request) -> Answer {
    let (status, answer) = match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "HEAD", "/") => match entries.all() {
            Ok(all) => (200, Answer::html(page::render(title, &all))),
            Err(e) => (
                500,
                Answer::text(500, &format!("cannot read the entries: {e}\n")),
            ),
        },
        ("GET" | "HEAD", "/entries.json") => match entries.all() {
            Ok(all) => (200, Answer::json(&all)),
            Err(e) => (
                500,
                Answer::text(500, &format!("cannot read the entries: {e}\n")),
            ),
        },
        ("GET" | "HEAD", "/healthz") => match entries.check() {
            Ok(()) => (200, Answer::text(200, "ok\n")),
            Err(e) => (503, Answer::text(503, &format!("no data folder: {e}\n"))),
        },
        ("POST", "/entries") => {
            let (name, message) = (request.field("name"), request.field("message"));
            match (name, message) {
                (Some(name), Some(message)) if !message.trim().is_empty() => {
                    match entries.add(&name, &message) {
                        Ok(_) => (303, Answer::see_other("/")),
                        Err(e) => (
                            500,
                            Answer::text(500, &format!("cannot keep the entry: {e}\n")),
                        ),
                    }
                }
                _ => (
                    400,
                    Answer::text(400, "the form fields name and message are needed\n"),
                ),
            }
        }
        (_, "/" | "/entries.json" | "/healthz" | "/entries") => {
            (405, Answer::text(405, "method not allowed\n"))
        }
        _ => (404, Answer::text(404, "not found\n")),
    };
    log(&format!("{} {} {status}", request.method, request.path));
    answer
}

/// A line in the container's log, which nobody may be reading.
fn log(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "guestbook: {line}");
}
