//! The path of a legacy request: `/<verb>/<base>/<project>/<user>/<password>`.
//!
//! `<base>` may hold slashes (`https://…` as users paste it), so the path is read from its right end.

use std::fmt;

use openshifter_cluster::Access;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::problem::Problem;

/// Where a legacy request goes, and who asks.
pub(crate) struct Place {
    /// Address of the cluster's API.
    pub(crate) base: Url,
    /// The project.
    pub(crate) project: String,
    /// Who.
    pub(crate) username: String,
    /// Proof.
    pub(crate) password: SecretString,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("base", &self.base.as_str())
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// Reads what stands behind `/<verb>/`, still percent-encoded.
    pub(crate) fn parse(rest: &str) -> Result<Self, Problem> {
        let mut parts = rest.rsplitn(4, '/');
        let (password, user, project, base) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(password), Some(user), Some(project), Some(base)) =
            (password, user, project, base)
        else {
            return Err(Problem::bad_request(
                "the path is /<verb>/<base>/<project>/<user>/<password>",
            ));
        };
        let base = decoded("base", base.trim_start_matches('/'))?;
        Ok(Self {
            base: Access::parse_base(&with_both_slashes(&base))?,
            project: filled("project", project)?,
            username: filled("user", user)?,
            password: filled("password", password)?.into(),
        })
    }
}

/// Some clients and proxies merge `//` into `/`.
fn with_both_slashes(base: &str) -> String {
    for scheme in ["https:/", "http:/"] {
        if let Some(host) = base.strip_prefix(scheme) {
            return format!("{scheme}/{}", host.trim_start_matches('/'));
        }
    }
    base.to_owned()
}

fn decoded(what: &str, text: &str) -> Result<String, Problem> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Problem::bad_request(format!("the {what} in the path is not UTF-8")))?;
    Ok(text.into_owned())
}

fn filled(what: &str, text: &str) -> Result<String, Problem> {
    let text = decoded(what, text)?;
    if text.is_empty() {
        return Err(Problem::bad_request(format!(
            "the {what} in the path is empty; the path is /<verb>/<base>/<project>/<user>/<password>, percent-encode a `/` as %2F"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(rest: &str) -> Result<(String, String, String, String), String> {
        Place::parse(rest)
            .map(|place| {
                (
                    place.base.to_string(),
                    place.project,
                    place.username,
                    place.password.expose_secret().to_owned(),
                )
            })
            .map_err(|problem| problem.line())
    }

    #[test]
    fn a_base_is_taken_in_every_form_that_users_write() {
        for base in [
            "192.168.42.10:8443",
            "https://192.168.42.10:8443",
            "https:/192.168.42.10:8443",
            "https://192.168.42.10:8443/",
            "https%3A%2F%2F192.168.42.10%3A8443",
            "https%3a//192.168.42.10:8443",
            "/192.168.42.10:8443",
        ] {
            let (base_read, project, user, password) =
                read(&format!("{base}/shop/dev/pw")).unwrap();
            assert_eq!(base_read, "https://192.168.42.10:8443/", "{base}");
            assert_eq!((&*project, &*user, &*password), ("shop", "dev", "pw"));
        }
        assert_eq!(
            read("https://rancher.example.com/k8s/clusters/c-1/shop/dev/pw")
                .unwrap()
                .0,
            "https://rancher.example.com/k8s/clusters/c-1"
        );
    }

    #[test]
    fn a_password_may_hold_anything_percent_encoded() {
        let read = read("h:1/shop/dev%40example.com/p%2Fw%20%25+%3F").unwrap();
        assert_eq!(read.2, "dev@example.com");
        assert_eq!(read.3, "p/w %+?");
    }

    #[test]
    fn what_is_missing_is_said() {
        let lines: Vec<String> = [
            "",
            "h:1/shop/dev",
            "h:1/shop/dev/",
            "h:1//dev/pw",
            "/shop/dev/pw",
            "http://api.example.com/shop/dev/pw",
            "h:1/shop/dev/%ff",
            "https://u:secret@h/shop/dev/pw",
        ]
        .into_iter()
        .map(|rest| read(rest).unwrap_err())
        .collect();
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("secret") || line.contains("pw"))
        );
        insta::assert_snapshot!(lines.join("\n"), @r"
        the path is /<verb>/<base>/<project>/<user>/<password>
        the path is /<verb>/<base>/<project>/<user>/<password>
        the password in the path is empty; the path is /<verb>/<base>/<project>/<user>/<password>, percent-encode a `/` as %2F
        the project in the path is empty; the path is /<verb>/<base>/<project>/<user>/<password>, percent-encode a `/` as %2F
        `` is no address of a cluster: empty host; write it as `host:port` or `https://host:port`, as in `api.example.com:6443`
        `http://api.example.com` is no address of a cluster: plain http would show the credentials to the network; use https; write it as `host:port` or `https://host:port`, as in `api.example.com:6443`
        the password in the path is not UTF-8
        `…@h` is no address of a cluster: it must not hold a user or password; write it as `host:port` or `https://host:port`, as in `api.example.com:6443`
        ");
    }

    #[test]
    fn debug_output_shows_no_credentials() {
        let place = Place::parse("h:1/shop/dev/hunter2").unwrap();
        assert!(!format!("{place:?}").contains("hunter2"));
    }
}
