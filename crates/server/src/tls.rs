//! The service's certificate: one that it makes, or one that it is given.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use crate::{ServerError, private};

const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";
const CA: &str = "ca.pem";
const ABOUT: &str = "certificate.json";

/// How long a certificate of ours is valid.
const VALID: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long before its end it is made anew.
const RENEW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is remembered of a certificate that was made, so that it need not be parsed.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    names: Vec<String>,
    until: Timestamp,
}

/// Loads the certificate of an earlier start if it is still good for these names, or makes one. Returns what clients
/// verify it with, too.
pub(crate) fn self_signed(
    folder: &Path,
    names: &[String],
) -> Result<(Arc<ServerConfig>, String), ServerError> {
    private::folder(folder)?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let about: Option<About> = read(ABOUT).and_then(|text| serde_json::from_str(&text).ok());
    let good = about.is_some_and(|about| {
        about.until > Timestamp::now() + RENEW
            && names.iter().all(|name| about.names.contains(name))
    });
    if good
        && let Some(ca) = read(CA)
        && let Ok(config) = from_files(&folder.join(CERT), &folder.join(KEY))
    {
        return Ok((config, ca));
    }
    let ca = make(folder, names)?;
    Ok((from_files(&folder.join(CERT), &folder.join(KEY))?, ca))
}

/// Makes a certificate authority, signs one certificate with it, and forgets the authority's key: nobody can sign
/// another one that clients would believe.
fn make(folder: &Path, names: &[String]) -> Result<String, ServerError> {
    let fail = ServerError::MakeCertificate;
    let now = Timestamp::now();
    let until = now + VALID;
    let date = |time: Timestamp| {
        let date = time.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // A day back, for clients whose clock is behind.
    let from = date(now - SignedDuration::from_hours(24));

    let ca_key = KeyPair::generate().map_err(fail)?;
    let mut ca = CertificateParams::new(Vec::new()).map_err(fail)?;
    ca.not_before = from;
    ca.not_after = date(until);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // Each has another name, so that clients do not mix them up.
    let name = format!("openshifter {}", uuid::Uuid::new_v4().simple());
    ca.distinguished_name.push(DnType::CommonName, name);
    let ca_pem = ca.self_signed(&ca_key).map_err(fail)?.pem();

    let key = KeyPair::generate().map_err(fail)?;
    let mut cert = CertificateParams::new(names.to_vec()).map_err(fail)?;
    cert.not_before = from;
    cert.not_after = date(until);
    cert.distinguished_name
        .push(DnType::CommonName, "openshifter");
    cert.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    cert.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    cert.use_authority_key_identifier_extension = true;
    let cert = cert
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .map_err(fail)?;

    let about = About {
        names: names.to_vec(),
        until: until - SignedDuration::from_hours(24),
    };
    let about = serde_json::to_string_pretty(&about).unwrap_or_default();
    for (name, content) in [
        (KEY, key.serialize_pem()),
        (CERT, format!("{}{ca_pem}", cert.pem())),
        (CA, ca_pem.clone()),
        (ABOUT, about),
    ] {
        let path = folder.join(name);
        private::write(&path, content.as_bytes()).map_err(|source| ServerError::File {
            action: "write",
            path,
            source,
        })?;
    }
    Ok(ca_pem)
}

/// Loads a certificate chain and its key.
pub(crate) fn from_files(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, ServerError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| ServerError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })
    };
    let bad = |path: &Path, reason: String| ServerError::Certificate {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(bad(cert, "it holds no certificate in PEM form".to_owned()));
    }
    let private_key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| {
        bad(
            key,
            format!("it holds no private key in PEM form ({error})"),
        )
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ServerError::Tls)?
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(|error| bad(cert, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept_to_oneself() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("service");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let (_, first) = self_signed(&folder, &names).unwrap();
        let (_, second) = self_signed(&folder, &names).unwrap();
        assert_eq!(first, second);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(KEY)), 0o600);
        // Another name needs another certificate.
        let more = [names[0].clone(), "mover.example.com".to_owned()];
        assert_ne!(self_signed(&folder, &more).unwrap().1, first);
    }

    #[test]
    fn one_that_soon_ends_or_is_broken_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned()];
        let (_, first) = self_signed(folder.path(), &names).unwrap();
        fs::write(folder.path().join(KEY), "nonsense").unwrap();
        let (_, second) = self_signed(folder.path(), &names).unwrap();
        assert_ne!(first, second);
        let soon = About {
            names: names.to_vec(),
            until: Timestamp::now() + SignedDuration::from_hours(24),
        };
        fs::write(
            folder.path().join(ABOUT),
            serde_json::to_string(&soon).unwrap(),
        )
        .unwrap();
        assert_ne!(self_signed(folder.path(), &names).unwrap().1, second);
    }

    #[test]
    fn files_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        assert!(
            from_files(&cert, &key)
                .unwrap_err()
                .to_string()
                .contains("c.pem")
        );
        fs::write(&cert, "").unwrap();
        fs::write(&key, "").unwrap();
        assert!(
            from_files(&cert, &key)
                .unwrap_err()
                .to_string()
                .contains("it holds no certificate")
        );
    }
}
