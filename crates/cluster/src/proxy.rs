//! Which proxy, if any, leads to a host: `HTTPS_PROXY` and `NO_PROXY`, as other tools read them.
//!
//! kube compares `NO_PROXY` with the proxy's own address, so a cluster on this machine would be asked for elsewhere.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::access::is_loopback;

/// The proxy that the environment names for a host. This machine is never reached through one.
pub(crate) fn proxy_for(base: &Url, variable: impl Fn(&str) -> Option<String>) -> Option<Uri> {
    let either = |upper: &str, lower: &str| {
        [upper, lower]
            .into_iter()
            .filter_map(&variable)
            .find(|value| !value.is_empty())
    };
    if base.scheme() != "https" || is_loopback(base) {
        return None;
    }
    let proxy = either("HTTPS_PROXY", "https_proxy")?;
    let matcher = Matcher::builder()
        .https(proxy.clone())
        .no(either("NO_PROXY", "no_proxy").unwrap_or_default())
        .build();
    matcher.intercept(&base.as_str().parse().ok()?)?;
    // The matcher's own address lacks user and password.
    let full = if proxy.contains("://") {
        proxy
    } else {
        format!("http://{proxy}")
    };
    full.parse().ok()
}

/// The environment of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(base: &str, no: &str) -> Option<String> {
        let base = Url::parse(base).unwrap();
        proxy_for(&base, |name| match name {
            "https_proxy" => Some("dev:pw@proxy:3128".to_owned()),
            "NO_PROXY" => Some(no.to_owned()),
            _ => None,
        })
        .map(|uri| uri.to_string())
    }

    #[test]
    fn hosts_of_no_proxy_and_this_machine_are_reached_directly() {
        let through = Some("http://dev:pw@proxy:3128/".to_owned());
        let no = "10.0.0.0/8,.internal,api.example.org";
        assert_eq!(proxy("https://api.example.com:6443/", no), through);
        assert_eq!(proxy("https://192.168.1.1:6443/", no), through);
        for direct in [
            "https://api.internal:6443/",
            "https://api.example.org/",
            "https://10.1.2.3:8443/",
            "https://127.0.0.1:8443/",
            "https://localhost:8443/",
            "http://127.0.0.1:8080/",
        ] {
            assert_eq!(proxy(direct, no), None, "{direct}");
        }
    }
}
