//! Bearer tokens: those of a login are random and kept as hashes; those of service accounts are signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PREFIX: &str = "sha256~";

/// A fresh login token and the name of the object that stands for it.
pub(crate) fn login_token() -> (SecretString, String) {
    let token = format!(
        "{PREFIX}{}",
        URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
    );
    let name = login_token_name(&token).unwrap_or_default();
    (token.into(), name)
}

/// Name of the object that stands for a login token, if the text has the form of one.
pub(crate) fn login_token_name(token: &str) -> Option<String> {
    let secret = token.strip_prefix(PREFIX)?;
    let digest = Sha256::digest(secret.as_bytes());
    Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(digest)))
}

/// Compares two secrets without telling by its time where they differ.
pub(crate) fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a.as_bytes()), Sha256::digest(b.as_bytes()));
    a.iter().zip(b.iter()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Signs and checks the tokens of service accounts (JSON Web Tokens, HS256).
pub(crate) struct Signer {
    key: SecretBox<[u8; 32]>,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountClaims {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Signer {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            key: SecretBox::new(Box::new(key)),
        }
    }

    /// A token for a service account; without a lifetime (seconds) it lasts as long as the account.
    pub(crate) fn sign(&self, account: &AccountClaims, lifetime: Option<i64>) -> SecretString {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": "https://kubernetes.default.svc",
            "aud": ["https://kubernetes.default.svc"],
            "iat": now,
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
            "kubernetes.io": {
                "namespace": account.namespace,
                "serviceaccount": {"name": account.name, "uid": account.uid},
            },
        });
        if let Some(lifetime) = lifetime {
            claims["exp"] = json!(now + lifetime);
        }
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signature = self.mac(&format!("{header}.{claims}"));
        format!("{header}.{claims}.{signature}").into()
    }

    /// Whose token it is, if this server signed it and it has not expired.
    pub(crate) fn check(&self, token: &str) -> Option<AccountClaims> {
        let (signed, signature) = token.rsplit_once('.')?;
        if !equal(&self.mac(signed), signature) {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        if let Some(end) = claims["exp"].as_i64()
            && end < jiff::Timestamp::now().as_second()
        {
            return None;
        }
        let about = &claims["kubernetes.io"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(AccountClaims {
            namespace: text(&about["namespace"])?,
            name: text(&about["serviceaccount"]["name"])?,
            uid: text(&about["serviceaccount"]["uid"])?,
        })
    }

    /// HMAC-SHA256 (RFC 2104).
    fn mac(&self, text: &str) -> String {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            for (slot, key) in block.iter_mut().zip(self.key.expose_secret()) {
                *slot ^= key;
            }
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(text.as_bytes())
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        URL_SAFE_NO_PAD.encode(outer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_account_until_it_expires_or_is_touched() {
        let signer = Signer::new([7; 32]);
        let account = AccountClaims {
            namespace: "shop".to_owned(),
            name: "default".to_owned(),
            uid: "u".to_owned(),
        };
        let token = signer.sign(&account, Some(60));
        let token = token.expose_secret();
        assert_eq!(signer.check(token), Some(account.clone()));
        assert_eq!(Signer::new([8; 32]).check(token), None);
        assert_eq!(signer.check(&token.replace('.', "x.")), None);
        let old = signer.sign(&account, Some(-1));
        assert_eq!(signer.check(old.expose_secret()), None);
    }

    #[test]
    fn a_login_token_is_found_by_its_hash() {
        let (token, name) = login_token();
        assert_eq!(login_token_name(token.expose_secret()), Some(name));
        assert_eq!(login_token_name("garbage"), None);
    }
}
