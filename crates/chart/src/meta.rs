//! Where a chart comes from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a chart's making. Nothing here may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartMeta {
    /// Name of the chart, usually the application's or the namespace's.
    pub name: String,
    /// Version of the application, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The source cluster's address, without any user or password.
    #[serde(default)]
    pub source_cluster: String,
    /// The source namespace.
    #[serde(default)]
    pub source_namespace: String,
    /// When the export began.
    pub created: Timestamp,
    /// Version of the program that made the chart.
    #[serde(default)]
    pub tool_version: String,
    /// Whether the application was stopped while its volumes were read.
    #[serde(default)]
    pub quiesced: bool,
    /// Version of Kubernetes of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Version of OpenShift of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openshift_version: Option<String>,
}

impl ChartMeta {
    /// A chart made now by this version, of which nothing more is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            app_version: None,
            source_cluster: String::new(),
            source_namespace: String::new(),
            created: Timestamp::now(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            quiesced: false,
            kubernetes_version: None,
            openshift_version: None,
        }
    }
}

/// The address without user, password, query and fragment, however it was written: a chart is handed around.
pub(crate) fn without_credentials(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let mut clean = scheme
        .map(|scheme| format!("{scheme}://"))
        .unwrap_or_default();
    clean.push_str(host);
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        clean.push('/');
        clean.push_str(path);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_it_must_not_tell() {
        assert_eq!(
            without_credentials("https://admin:pw@api.example.com:6443/?token=x"),
            "https://api.example.com:6443"
        );
        assert_eq!(without_credentials("u:p@ss@10.0.0.1:8443"), "10.0.0.1:8443");
        assert_eq!(
            without_credentials("https://host/k8s/clusters/c-1"),
            "https://host/k8s/clusters/c-1"
        );
    }
}
