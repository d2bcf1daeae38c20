//! What to do next after an error: one sentence for the person who asked.

use crate::{ApiError, ClusterError};

impl ClusterError {
    /// What to do next, where there is something sensible to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::BadBase { .. } => {
                "write it as `host:port` or `https://host:port`, as in `api.example.com:6443`".into()
            }
            Self::Kubeconfig { .. } | Self::NoCurrentContext => {
                "name a file with KUBECONFIG and a context of it, or give a base URL and credentials".into()
            }
            Self::NoSuchContext { known, .. } if known.is_empty() => {
                "the kubeconfig has no context at all: log in with `oc login` first, or give a base URL".into()
            }
            Self::NoSuchContext { known, .. } => format!("it has: {}", known.join(", ")),
            Self::NotInCluster { .. } => "this works only in a pod with a mounted service account token".into(),
            Self::Unreachable { .. } => "check the address, the network, and whether the cluster is up".into(),
            Self::UntrustedCertificate { oauth: false, .. } => {
                "give the CA certificate that signed it, or allow this one cluster to be insecure".into()
            }
            Self::UntrustedCertificate { oauth: true, .. } => {
                "the OAuth host has a certificate of its own: give the CA certificate that signed it, or allow \
                 this cluster's OAuth host to be insecure"
                    .into()
            }
            Self::NoAnswer { .. } => "try again; whatever was changed is found again by its name".into(),
            Self::WrongPassword { .. } => "check both; an account may also be locked after many attempts".into(),
            Self::LoginRefused { .. } | Self::NoPasswordLogin { .. } => {
                "use a token (`oc whoami --show-token`, or \"Copy login command\" of the web console) or a \
                 kubeconfig context"
                    .into()
            }
            Self::Unauthorized { .. } => "log in again and use the new credentials".into(),
            Self::Anonymous { .. } => "give a user and password, a token or a client certificate".into(),
            Self::NoSuchNamespace { hidden: true, .. } => {
                "check the spelling, or ask for access to it with a role such as `view` or `admin`".into()
            }
            Self::NoSuchNamespace { hidden: false, .. } => "check the spelling and the cluster".into(),
            Self::NamespaceTerminating { .. } => "wait until it is gone, or use another name".into(),
            Self::NamespaceTaken { .. } => "use another name, or ask its owner for access".into(),
            Self::KindNotServed { served, .. } if !served.is_empty() => {
                format!("it serves {}", served.join(", "))
            }
            Self::KindNotServed { .. } => {
                "install what brings this kind (its CustomResourceDefinition or operator) first, or leave it out"
                    .into()
            }
            Self::WaitTimeout { .. } => "look at its events and conditions, or wait longer".into(),
            Self::ExecTorn { .. } | Self::ExecStalled { .. } => "try again; what arrived so far is incomplete".into(),
            Self::ExecFailed { .. } => "check that the container runs and has this program".into(),
            Self::ForwardFailed { .. } => "check that a pod of it runs and listens on this port".into(),
            Self::Api(error) => return api_hint(error),
            _ => return None,
        })
    }
}

fn api_hint(error: &ApiError) -> Option<String> {
    let quota = error.message.contains("exceeded quota");
    let scc = error
        .message
        .contains("unable to validate against any security context constraint");
    let sends_object = ["create ", "replace ", "apply "]
        .iter()
        .any(|verb| error.action.starts_with(verb));
    let hint = match (error.status, error.reason.as_deref()) {
        (403, _) if quota => "raise the quota of the namespace, or ask for less",
        (403, _) if scc => {
            "the pod asks for more than its service account may: grant it a fitting SCC, or ask for less"
        }
        (403, _) => "ask for a role that allows it, such as `admin` in the namespace",
        (409, Some("AlreadyExists")) => "delete it, or say what is to happen to objects that exist",
        (409, _) => "somebody else changed it meanwhile: read it again and repeat",
        (422, _) => "the cluster refuses these values: change what the message names",
        (429, _) => {
            "the server is overloaded or an eviction budget stands against it: try again later"
        }
        (500, None) if sends_object => {
            "the server gives no reason; what was sent may hold fields that only servers set"
        }
        (500.., _) => {
            "the server is in trouble: try again later, and ask its administrator if it stays"
        }
        _ => return None,
    };
    Some(hint.into())
}
