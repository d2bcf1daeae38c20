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
    ($name:ident, $flag:literal, $prefix:literal, $id:literal, $what:literal, $heading:literal) => {
        #[doc = $what]
        #[derive(Debug, Args)]
        pub(crate) struct $name {
            #[arg(id = $id, help_heading = $heading, long = $flag, value_name = "CLUSTER", help = concat!($what, ": a kubeconfig context, a name from input.json, `in-cluster`, or an address as in api.example.com:6443"))]
            pub(crate) cluster: String,
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
    "from",
    "OPENSHIFTER_FROM",
    "from",
    "The source cluster",
    "Source cluster"
);
side!(
    To,
    "to",
    "OPENSHIFTER_TO",
    "to",
    "The target cluster",
    "Target cluster"
);

/// Credentials for the clusters of a run that were given by their address.
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
}
