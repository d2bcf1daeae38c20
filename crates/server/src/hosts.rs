//! Which `Host` a request may name. A web page can make a browser call any address under a name of its own
//! (DNS rebinding); it cannot make it send the service's own name.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use http::uri::Authority;
use http::{HeaderMap, Uri, header};

use crate::problem::{Code, Problem};

/// The service's own names.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(listen: SocketAddr, allowed: &[String]) -> Self {
        let mut names: Vec<String> = allowed
            .iter()
            .map(|name| bare(name).to_ascii_lowercase())
            .collect();
        names.push("localhost".to_owned());
        if !listen.ip().is_unspecified() {
            names.push(listen.ip().to_string());
        }
        Self { names }
    }

    /// Names and addresses for a certificate.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Refuses a request for another host.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        // HTTP/2 carries the host in the URI, HTTP/1.1 in a header. Two headers, or none, are no browser's.
        let from_header = || {
            let mut hosts = headers.get_all(header::HOST).iter();
            let first = hosts.next()?.to_str().ok()?;
            hosts.next().is_none().then(|| first.parse().ok())?
        };
        let authority: Option<Authority> = uri.authority().cloned().or_else(from_header);
        let host = authority
            .as_ref()
            .map(|authority| bare(authority.host()).to_ascii_lowercase());
        match host {
            Some(host) if self.is_own(&host) => Ok(()),
            _ => Err(Problem::new(
                Code::BadHost,
                "this service does not answer under that host name; --allowed-host adds one",
            )),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        if self.names.iter().any(|name| name == host) {
            return true;
        }
        host.parse::<IpAddr>().is_ok_and(|ip| {
            let one = !ip.is_unspecified() && !ip.is_multicast();
            // Only an address of this machine can be bound to.
            one && (ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok())
        })
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> bool {
        let hosts = Hosts::new(
            "127.0.0.1:8443".parse().unwrap(),
            &["Mover.example.com".to_owned()],
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        hosts
            .check(&Uri::from_static("/contexts"), &headers)
            .is_ok()
    }

    #[test]
    fn only_its_own_names_are_answered() {
        for host in [
            "localhost:8443",
            "127.0.0.1:8443",
            "127.0.0.1",
            "[::1]:8443",
            "mover.example.com",
            "LOCALHOST",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "evil.example.com",
            "localhost.evil.example.com",
            "192.0.2.1:8443",
            "0.0.0.0:8443",
            "",
        ] {
            assert!(!allowed(host), "{host}");
        }
        let hosts = Hosts::new("127.0.0.1:8443".parse().unwrap(), &[]);
        assert!(
            hosts
                .check(&Uri::from_static("/x"), &HeaderMap::new())
                .is_err()
        );
        assert!(
            hosts
                .check(
                    &Uri::from_static("https://evil.example.com/x"),
                    &HeaderMap::new()
                )
                .is_err()
        );
    }
}
