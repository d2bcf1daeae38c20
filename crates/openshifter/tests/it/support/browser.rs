//! The sample application of V2 as its users see it: by curl, with TLS, cookies and forms.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Dev, Space, Tool, run, until};

/// The administrator's password.
pub(crate) const PASSWORD: &str = "a horse of 1885, correct and stapled";

/// Who the administrator is, as a deployment is told, and how long its build may take.
pub(crate) const ADMIN: [&str; 6] = [
    "--admin-user",
    "admin",
    "--admin-password-file",
    "password",
    "--timeout",
    "15m",
];

/// What a visitor signs with, as forms have it.
pub(crate) const NAME: &str = "J%C3%BCrg";

/// A person at a browser, who comes through the router with TLS.
pub(crate) struct Browser<'a> {
    cluster: &'a Dev,
    host: String,
    cookies: PathBuf,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(tool: &Tool, space: &Space<'a>, name: &str) -> Self {
        let host = until("the route to be admitted", || {
            let route = space.get("route", "visitors")?;
            Some(route["status"]["ingress"][0]["host"].as_str()?.to_owned())
        });
        Self {
            cluster: space.cluster,
            host,
            cookies: tool.path(name),
        }
    }

    /// Status, content type and page.
    pub(crate) fn ask(&self, path: &str, form: Option<&str>) -> (u16, String, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--insecure"])
            .arg("--connect-to")
            .arg(format!("{}:443:{}", self.host, self.cluster.router()))
            .arg("--cookie")
            .arg(&self.cookies)
            .arg("--cookie-jar")
            .arg(&self.cookies)
            .args(["--write-out", "\n%{http_code} %{content_type}"]);
        if let Some(form) = form {
            // The token of the page that showed the form, as the page's own cookie has it.
            let origin = format!("Origin: https://{}", self.host);
            curl.args(["--header", &origin])
                .arg("--referer")
                .arg(format!("https://{}{path}", self.host))
                .arg("--data")
                .arg(form);
        }
        curl.arg(format!("https://{}{path}", self.host));
        let answer = run(&mut curl, b"");
        let (page, last) = answer.rsplit_once('\n').expect("curl adds a line");
        let (status, kind) = last.split_once(' ').expect("curl adds both");
        (
            status.parse().expect("it is a number"),
            kind.to_owned(),
            page.to_owned(),
        )
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let (status, _, page) = self.ask(path, None);
        assert_eq!(status, 200, "{path}: {page}");
        page
    }

    /// Fills in the form of a page.
    pub(crate) fn fill(&self, path: &str, fields: &str) -> (u16, String) {
        let page = self.page(path);
        let token = page
            .split_once("name=\"csrfmiddlewaretoken\" value=\"")
            .and_then(|(_, rest)| rest.split('"').next())
            .unwrap_or_else(|| panic!("{path} has no form: {page}"));
        let form = format!("csrfmiddlewaretoken={token}&{fields}");
        let (status, _, page) = self.ask(path, Some(&form));
        (status, page)
    }

    /// The administrator logs in.
    pub(crate) fn log_in(&self) {
        // A container that was just started may still be loading.
        until("the login page", || {
            (self.ask("/admin/login/", None).0 == 200).then_some(())
        });
        let password = PASSWORD.replace(' ', "+");
        let fields = format!("username=admin&password={password}&next=/admin/");
        let (status, page) = self.fill("/admin/login/", &fields);
        assert_eq!(status, 302, "{page}");
        let page = self.page("/admin/");
        assert!(page.contains("Site administration"), "{page}");
    }

    /// Makes an entry of this name.
    pub(crate) fn sign(&self, name: &str) {
        let fields = format!("name={name}&words=It+was+good+to+be+here.");
        let (status, page) = self.fill("/admin/visitors/visitor/add/", &fields);
        assert_eq!(status, 302, "{page}");
    }

    /// Who has signed, as everybody sees it.
    pub(crate) fn signed(&self) -> String {
        self.page("/")
    }
}
