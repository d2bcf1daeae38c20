//! As much of HTTP/1.1 as the guestbook needs: one request a connection, small bodies.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::Serialize;

/// Longest head and longest body that are read.
const MAX_HEAD: u64 = 64 << 10;
const MAX_BODY: u64 = 1 << 20;

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path without the query.
    pub(crate) path: String,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    location: Option<&'static str>,
    body: Vec<u8>,
}

impl Request {
    /// A field of the form that was posted.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.body.split(|b| *b == b'&').find_map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            (decode(halves.next()?) == name).then(|| decode(halves.next().unwrap_or_default()))
        })
    }

    /// Reads one; `None` when the client said nothing.
    fn read(from: impl Read) -> io::Result<Option<Self>> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut from = BufReader::new(from);
        let mut head = from.by_ref().take(MAX_HEAD);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(bad("not a request line"));
        };
        let path = target.split('?').next().unwrap_or(target).to_owned();
        let method = method.to_owned();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 {
                return Err(bad("the head ends early"));
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value
                    .trim()
                    .parse()
                    .map_err(|_| bad("content-length is not a number"))?;
            }
        }
        if length > MAX_BODY {
            return Err(bad("the body is too long"));
        }
        let mut body = Vec::new();
        if from.take(length).read_to_end(&mut body)? as u64 != length {
            return Err(bad("the body ends early"));
        }
        Ok(Some(Self { method, path, body }))
    }
}

impl Answer {
    pub(crate) fn html(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/html; charset=utf-8",
            location: None,
            body: body.into(),
        }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            location: None,
            body: body.into(),
        }
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self {
                status: 200,
                content_type: "application/json",
                location: None,
                body,
            },
            Err(e) => Self::text(500, &format!("{e}\n")),
        }
    }

    pub(crate) fn see_other(location: &'static str) -> Self {
        Self {
            location: Some(location),
            ..Self::text(303, "")
        }
    }

    fn write(&self, mut to: impl Write, head_only: bool) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            303 => "See Other",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let location = self
            .location
            .map(|to| format!("location: {to}\r\n"))
            .unwrap_or_default();
        write!(
            to,
            "HTTP/1.1 {} {reason}\r\ncontent-type: {}\r\ncontent-length: {}\r\n{location}connection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        )?;
        if !head_only {
            to.write_all(&self.body)?;
        }
        to.flush()
    }
}

/// Serves one connection.
pub(crate) fn serve(connection: TcpStream, answer: impl Fn(&Request) -> Answer) {
    let _ = connection.set_read_timeout(Some(Duration::from_secs(30)));
    let _ = match Request::read(&connection) {
        Ok(None) => Ok(()),
        Ok(Some(request)) => answer(&request).write(&connection, request.method == "HEAD"),
        Err(e) => Answer::text(400, &format!("{e}\n")).write(&connection, false),
    };
}

/// Decodes `application/x-www-form-urlencoded`.
fn decode(text: &[u8]) -> String {
    let digit = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = tail;
                }
                _ => bytes.push(b'%'),
            },
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read() {
        let text = "POST /entries?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 39\r\n\r\nname=Gr%C3%BC%26&message=a+b%3D100%25+%";
        let request = Request::read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/entries")
        );
        assert_eq!(request.field("name").as_deref(), Some("Grü&"));
        assert_eq!(request.field("message").as_deref(), Some("a b=100% %"));
        assert_eq!(request.field("other"), None);
    }

    #[test]
    fn torn_and_oversized_requests_are_refused() {
        for text in [
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\na: b",
        ] {
            assert!(Request::read(text.as_bytes()).is_err(), "{text}");
        }
        let text = "POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n";
        assert!(Request::read(text.as_bytes()).is_err());
    }
}
