//! A Git server on loopback: smart HTTP by git's own `http-backend`, which speaks CGI (RFC 3875).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

/// Repositories that everybody on this machine may clone over HTTP, until this is dropped.
#[derive(Debug)]
pub struct GitServer {
    folder: TempDir,
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Starts it, without a repository.
    ///
    /// # Panics
    /// When there is no port or no room.
    pub fn start() -> Self {
        Self::start_for(None)
    }

    /// Starts it for those alone who know a user's password (basic authentication).
    ///
    /// # Panics
    /// As [`GitServer::start`].
    pub fn with_password(user: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        Self::start_for(Some(format!("Basic {pair}")))
    }

    fn start_for(authorization: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let ending = Arc::new(AtomicBool::new(false));
        let serving = {
            let (root, ending) = (folder.path().to_owned(), Arc::clone(&ending));
            std::thread::spawn(move || serve(&listener, &root, &ending, authorization))
        };
        Self {
            folder,
            address,
            ending,
            serving: Some(serving),
        }
    }

    /// The address of a repository, `http://127.0.0.1:41234/shop.git`.
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}.git", self.address)
    }

    /// Commits what a folder holds to the branch `main` of a repository, which is made if it is missing; the
    /// commit's name.
    ///
    /// # Panics
    /// When git fails, or is not installed.
    #[track_caller]
    pub fn commit(&self, repository: &str, folder: &Path, message: &str) -> String {
        let bare = self.folder.path().join(format!("{repository}.git"));
        if !bare.exists() {
            git(
                &["init", "--quiet", "--bare", "--initial-branch=main"],
                &bare,
                None,
            );
            // Whether any commit may be asked for is the server's choice; forges allow it.
            git(
                &["config", "uploadpack.allowAnySHA1InWant", "true"],
                &bare,
                Some(&bare),
            );
        }
        let place = [
            format!("--git-dir={}", bare.display()),
            format!("--work-tree={}", folder.display()),
        ];
        let run = |words: &[&str]| {
            let words: Vec<&str> = place
                .iter()
                .map(String::as_str)
                .chain(words.iter().copied())
                .collect();
            git(&words, folder, Some(folder))
        };
        run(&["add", "--all"]);
        run(&["commit", "--quiet", "--message", message]);
        run(&["rev-parse", "HEAD"])
    }

    /// Removes a repository: the next commit to it begins another history.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn forget(&self, repository: &str) {
        let bare = self.folder.path().join(format!("{repository}.git"));
        std::fs::remove_dir_all(bare).expect("there is such a repository");
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Whoever waits for a connection sees that it was the last.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// Runs git with nobody's settings. `at` is where it runs; without one `made` is what it makes.
#[track_caller]
fn git(words: &[&str], made: &Path, at: Option<&Path>) -> String {
    let mut git = Command::new("git");
    git.args(words);
    match at {
        Some(at) => git.current_dir(at),
        None => git.arg(made),
    };
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "Ada");
        git.env(format!("GIT_{who}_EMAIL"), "ada@example.test");
    }
    bare_of_settings(&mut git);
    crate::run(&mut git, b"").trim().to_owned()
}

fn bare_of_settings(git: &mut Command) {
    git.env("GIT_CONFIG_NOSYSTEM", "1");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null");
}

fn serve(listener: &TcpListener, root: &Path, ending: &AtomicBool, authorization: Option<String>) {
    for connection in listener.incoming() {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let (root, authorization) = (root.to_owned(), authorization.clone());
        std::thread::spawn(move || {
            // A client that goes away is no matter of the server's.
            let _ = answer(connection, root, authorization.as_deref());
        });
    }
}

/// A request as far as CGI wants it.
#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}

/// Answers one request; the connection ends with it.
fn answer(
    mut connection: TcpStream,
    root: PathBuf,
    authorization: Option<&str>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let Some(request) = read(&mut reader, &mut connection)? else {
        return Ok(());
    };
    if authorization.is_some_and(|known| request.header("authorization") != known) {
        return connection.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
              Content-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    bare_of_settings(&mut backend);
    let mut backend = backend.spawn()?;
    if let Some(mut stdin) = backend.stdin.take() {
        let body = request.body;
        // It may answer without reading everything.
        std::thread::spawn(move || drop(stdin.write_all(&body)));
    }
    let output = backend.wait_with_output()?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = match end {
        Some(end) => (&output[..end], &output[end + 4..]),
        None => (
            b"Status: 500 Internal Server Error".as_slice(),
            b"".as_slice(),
        ),
    };
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
    write!(connection, "HTTP/1.1 {}\r\n", status.unwrap_or("200 OK"))?;
    for line in head.lines().filter(|line| !line.starts_with("Status: ")) {
        write!(connection, "{line}\r\n")?;
    }
    write!(
        connection,
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    connection.write_all(body)?;
    connection.flush()
}

/// Reads a request of HTTP/1.1; none when the client said nothing.
fn read(from: &mut impl BufRead, to: &mut impl Write) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => request
                .headers
                .push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    if request
        .header("expect")
        .eq_ignore_ascii_case("100-continue")
    {
        to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request
        .header("transfer-encoding")
        .eq_ignore_ascii_case("chunked")
    {
        request.body = chunks(from)?;
    } else if let Ok(length) = request.header("content-length").parse::<u64>() {
        from.by_ref().take(length).read_to_end(&mut request.body)?;
    }
    Ok(Some(request))
}

/// Reads a body in chunks, as git sends what is long.
fn chunks(from: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        from.by_ref().take(size).read_to_end(&mut body)?;
        let mut end = String::new();
        from.read_line(&mut end)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
