//! Clusters: their names, and what there is to log in with.

use std::path::PathBuf;

use clap::Args;

/// Where named clusters come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Input {
    /// File with named clusters and their credentials
    #[arg(long = "input", value_name = "FILE", default_value = "input.json")]
    pub(crate) path: PathBuf,
}

/// Files that name clusters.
#[derive(Debug, Clone, Args)]
pub(crate) struct Names {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Kubeconfig whose contexts name clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// Credentials and trust of one cluster that is given by its address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) insecure: bool,
    pub(crate) oauth_ca: Option<PathBuf>,
    pub(crate) oauth_insecure: bool,
    /// Prefix of the environment variables `…_PASSWORD` and `…_TOKEN`.
    pub(crate) prefix: &'static str,
}

/// One end, with the same options under another prefix.
macro_rules! side {
    ($name:ident, $cluster:ty, $flag:literal, $prefix:literal, $id:literal, $what:literal, $heading:literal) => {
        #[doc = $what]
        #[derive(Debug, Args)]
        pub(crate) struct $name {
            #[arg(id = $id, help_heading = $heading, long = $flag, value_name = "CLUSTER", help = concat!($what, ": a kubeconfig context, a name from input.json, `in-cluster`, or an address as in api.example.com:6443"))]
            pub(crate) cluster: $cluster,
            /// User name there; the password is asked for, or comes from a file or the environment
            #[arg(help_heading = $heading, id = concat!($id, "_user"), long = concat!($flag, "-user"), value_name = "NAME")]
            user: Option<String>,
            #[arg(help_heading = $heading, help = concat!("File with the password, `-` for stdin [env: ", $prefix, "_PASSWORD]"), id = concat!($id, "_password_file"), long = concat!($flag, "-password-file"), value_name = "FILE")]
            password_file: Option<PathBuf>,
            #[arg(help_heading = $heading, help = concat!("File with a bearer token, `-` for stdin [env: ", $prefix, "_TOKEN]"), id = concat!($id, "_token_file"), long = concat!($flag, "-token-file"), value_name = "FILE")]
            token_file: Option<PathBuf>,
            /// File with a client certificate
            #[arg(help_heading = $heading, id = concat!($id, "_client_certificate"), long = concat!($flag, "-client-certificate"), value_name = "FILE", requires = concat!($id, "_client_key"))]
            client_certificate: Option<PathBuf>,
            /// File with its key
            #[arg(help_heading = $heading, id = concat!($id, "_client_key"), long = concat!($flag, "-client-key"), value_name = "FILE", requires = concat!($id, "_client_certificate"))]
            client_key: Option<PathBuf>,
            /// File with the certificate authority of the API
            #[arg(help_heading = $heading, id = concat!($id, "_ca"), long = concat!($flag, "-ca"), value_name = "FILE")]
            ca: Option<PathBuf>,
            /// Do not check the API's certificate
            #[arg(help_heading = $heading, id = concat!($id, "_insecure"), long = concat!($flag, "-insecure"))]
            insecure: bool,
            /// File with the certificate authority of the OAuth host
            #[arg(help_heading = $heading, id = concat!($id, "_oauth_ca"), long = concat!($flag, "-oauth-ca"), value_name = "FILE")]
            oauth_ca: Option<PathBuf>,
            /// Do not check the OAuth host's certificate
            #[arg(help_heading = $heading, id = concat!($id, "_oauth_insecure"), long = concat!($flag, "-oauth-insecure"))]
            oauth_insecure: bool,
        }

        impl $name {
            /// What there is to log in with.
            pub(crate) fn login(&self) -> Login {
                Login {
                    user: self.user.clone(),
                    password_file: self.password_file.clone(),
                    token_file: self.token_file.clone(),
                    client_certificate: self.client_certificate.clone(),
                    client_key: self.client_key.clone(),
                    ca: self.ca.clone(),
                    insecure: self.insecure,
                    oauth_ca: self.oauth_ca.clone(),
                    oauth_insecure: self.oauth_insecure,
                    prefix: $prefix,
                }
            }
        }
    };
}

side!(
    From,
    String,
    "from",
    "OPENSHIFTER_FROM",
    "from",
    "The source cluster",
    "Source cluster"
);
side!(
    To,
    String,
    "to",
    "OPENSHIFTER_TO",
    "to",
    "The target cluster",
    "Target cluster"
);
side!(
    FromAgain,
    Option<String>,
    "from",
    "OPENSHIFTER_FROM",
    "from",
    "The source cluster, where the run needs it [default: as in the run]",
    "Source cluster"
);
side!(
    ToAgain,
    Option<String>,
    "to",
    "OPENSHIFTER_TO",
    "to",
    "The target cluster [default: as in the run]",
    "Target cluster"
);

/// Credentials for a cluster that was given by its address, or for both of a run.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// User name; the password is asked for, or comes from a file or the environment
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File with the password, `-` for stdin [env: OPENSHIFTER_PASSWORD]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with a bearer token, `-` for stdin [env: OPENSHIFTER_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the certificate authority
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not check certificates
    #[arg(long)]
    insecure: bool,
}

impl Again {
    /// What there is to log in with.
    pub(crate) fn login(&self) -> Login {
        Login {
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            token_file: self.token_file.clone(),
            ca: self.ca.clone(),
            insecure: self.insecure,
            oauth_insecure: self.insecure,
            prefix: "OPENSHIFTER",
            ..Login::default()
        }
    }

    /// What there is to log in with at one end: its own, or else what is the same for both.
    pub(crate) fn or(&self, own: Login) -> Login {
        let same = self.login();
        let trust = Login {
            ca: own.ca.or(same.ca),
            insecure: own.insecure || same.insecure,
            oauth_insecure: own.oauth_insecure || same.oauth_insecure,
            ..own
        };
        let given = trust.user.is_some()
            || trust.password_file.is_some()
            || trust.token_file.is_some()
            || trust.client_certificate.is_some()
            || ["PASSWORD", "TOKEN"]
                .iter()
                .any(|what| std::env::var_os(format!("{}_{what}", trust.prefix)).is_some());
        match given {
            true => trust,
            false => Login {
                user: same.user,
                password_file: same.password_file,
                token_file: same.token_file,
                prefix: same.prefix,
                ..trust
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_own_login_or_that_of_both() {
        let both = Again {
            user: Some("both".to_owned()),
            password_file: Some("both.password".into()),
            token_file: None,
            ca: Some("ca.pem".into()),
            insecure: false,
        };
        let own = |token: Option<&str>| Login {
            token_file: token.map(PathBuf::from),
            prefix: "OPENSHIFTER_FROM",
            ..Login::default()
        };
        let login = both.or(own(Some("token")));
        assert_eq!((login.user, login.password_file), (None, None));
        assert_eq!(login.token_file, Some("token".into()));
        assert_eq!(login.ca, Some("ca.pem".into()));
        let login = both.or(own(None));
        assert_eq!(login.user.as_deref(), Some("both"));
        assert_eq!(login.prefix, "OPENSHIFTER");
    }
}
