//! The setup hook: run once, with the first administrator, whose password nobody else sees.

use std::time::Duration;

use base64::Engine as _;
use openshifter_cluster::ExecOptions;
use openshifter_objects::{GroupKind, Object};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::tail::{Tail, last_lines};
use crate::{DeployError, Place, Project};

/// Annotation of what holds the application's data: the setup was done.
pub(crate) const DONE: &str = "openshifter.dev/setup";

/// How long the hook may be silent.
const STALL: Duration = Duration::from_secs(600);

/// The values come in by lines, so they are in no process list and no audit log; the hook has them in its environment.
const SCRIPT: &str = "IFS= read -r DJANGO_SUPERUSER_USERNAME && IFS= read -r DJANGO_SUPERUSER_EMAIL && \
IFS= read -r DJANGO_SUPERUSER_PASSWORD || exit 64; \
export DJANGO_SUPERUSER_USERNAME DJANGO_SUPERUSER_EMAIL DJANGO_SUPERUSER_PASSWORD; exec \"$@\" </dev/null";

/// The first administrator of an application.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The user's name.
    pub username: String,
    /// The user's address; may be empty.
    pub email: String,
    /// The user's password.
    pub password: SecretString,
}

/// Where the first administrator comes from.
#[derive(Debug, Clone)]
pub enum AdminSource {
    /// Somebody said.
    Given(Admin),
    /// A Secret of the project with the keys `username`, `email` and `password`, or the variables of Django.
    Secret(String),
}

impl Project {
    /// Reads the first administrator from a Secret.
    pub(crate) async fn admin(&self, source: &AdminSource) -> Result<Admin, DeployError> {
        let name = match source {
            AdminSource::Given(admin) => return Ok(admin.clone()),
            AdminSource::Secret(name) => name,
        };
        let secret = self
            .cluster
            .get(&GroupKind::new("", "Secret"), Some(&self.namespace), name)
            .await?
            .ok_or_else(|| self.not_found(&format!("Secret/{name}")))?;
        let value = |names: [&str; 2]| names.into_iter().find_map(|name| key(&secret, name));
        let needed = |what: &str| DeployError::BadTarget {
            text: format!("Secret/{name}"),
            reason: format!("has no key `{what}`"),
        };
        let text = |value: SecretString| value.expose_secret().to_owned();
        Ok(Admin {
            username: value(["username", "DJANGO_SUPERUSER_USERNAME"])
                .map(text)
                .ok_or_else(|| needed("username"))?,
            email: value(["email", "DJANGO_SUPERUSER_EMAIL"])
                .map(text)
                .unwrap_or_default(),
            password: value(["password", "DJANGO_SUPERUSER_PASSWORD"])
                .ok_or_else(|| needed("password"))?,
        })
    }

    /// Runs the setup hook in a pod and notes that it was done. `true` when the user was there already.
    ///
    /// # Errors
    /// [`DeployError::SetupFailed`] with what it wrote.
    pub(crate) async fn set_up(
        &self,
        place: &Place,
        runner: &str,
        admin: &Admin,
    ) -> Result<bool, DeployError> {
        let lines = lines(admin)?;
        let mut command: Vec<String> = ["sh", "-c", SCRIPT, "sh"].map(str::to_owned).to_vec();
        command.push(runner.to_owned());
        command.push("setup".to_owned());
        let options = ExecOptions {
            stdin: true,
            stderr: true,
            stall: Some(STALL),
            ..ExecOptions::default()
        };
        let mut exec = self
            .cluster
            .exec_with(
                &self.namespace,
                &place.pod,
                Some(&place.container),
                &command,
                &options,
            )
            .await?;
        if let Some(mut stdin) = exec.stdin() {
            // A command that has ended by then says why.
            let _ = stdin.write_all(lines.expose_secret().as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
        let mut tail = Tail::default();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (exec.stdout(), exec.stderr());
        tokio::join!(
            async {
                if let Some(mut out) = out {
                    let _ = out.read_to_end(&mut stdout).await;
                }
            },
            async {
                if let Some(mut err) = err {
                    let _ = err.read_to_end(&mut stderr).await;
                }
            }
        );
        let outcome = exec.finish().await?;
        tail.push(&stdout);
        tail.push(&stderr);
        // An application may well print what it was given.
        let said = last_lines(&tail.text().replace(admin.password.expose_secret(), "…"));
        if outcome.success() {
            return Ok(false);
        }
        // Somebody else made the user, or an earlier run was stopped right after.
        if said.contains("already taken") || said.contains("already exists") {
            return Ok(true);
        }
        Err(DeployError::SetupFailed {
            cluster: self.cluster.name().to_owned(),
            pod: place.pod.clone(),
            status: outcome.exit_code,
            log: said,
        })
    }

    /// Whether the setup was done for the data that an object holds.
    pub(crate) async fn was_set_up(&self, holder: &Object) -> Result<bool, DeployError> {
        let found = self
            .cluster
            .get(&holder.group_kind(), Some(&self.namespace), holder.name())
            .await?;
        Ok(found.is_some_and(|found| found.annotation(DONE).is_some()))
    }

    /// Notes that it was done.
    pub(crate) async fn note_set_up(&self, holder: &Object) -> Result<(), DeployError> {
        let patch = json!({"metadata": {"annotations": {DONE: "done"}}});
        self.cluster
            .merge_patch(
                &holder.group_kind(),
                Some(&self.namespace),
                holder.name(),
                &patch,
            )
            .await?;
        Ok(())
    }
}

/// The lines that the script reads.
fn lines(admin: &Admin) -> Result<SecretString, DeployError> {
    let password = admin.password.expose_secret();
    for (what, text) in [
        ("user name", admin.username.as_str()),
        ("address", &admin.email),
        ("password", password),
    ] {
        if text.contains(['\n', '\r', '\0']) {
            return Err(DeployError::BadTarget {
                text: format!("the administrator's {what}"),
                reason: "has more than one line".to_owned(),
            });
        }
    }
    if admin.username.is_empty() || password.is_empty() {
        return Err(DeployError::BadTarget {
            text: "the administrator".to_owned(),
            reason: "needs a name and a password".to_owned(),
        });
    }
    Ok(SecretString::from(format!(
        "{}\n{}\n{password}\n",
        admin.username, admin.email
    )))
}

/// A key of a Secret as text.
pub(crate) fn key(secret: &Object, name: &str) -> Option<SecretString> {
    let encoded = secret.value()["data"][name].as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    Some(SecretString::from(String::from_utf8(bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_hands_the_values_on_in_the_environment() {
        let admin = Admin {
            username: "ad min".into(),
            email: String::new(),
            password: "p'w\"$x\\n".into(),
        };
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh", "sh", "-c"])
            .arg("printf '%s|%s|%s' \"$DJANGO_SUPERUSER_USERNAME\" \"$DJANGO_SUPERUSER_EMAIL\" \"$DJANGO_SUPERUSER_PASSWORD\"; cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let text = lines(&admin).unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, text.expose_secret().as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "ad min||p'w\"$x\\n"
        );
        assert!(!format!("{admin:?}").contains("p'w"));
    }

    #[test]
    fn values_are_one_line_each() {
        let admin = |username: &str, password: &str| Admin {
            username: username.into(),
            email: String::new(),
            password: password.into(),
        };
        assert!(lines(&admin("a\nb", "x")).is_err());
        assert!(lines(&admin("a", "x\ny")).is_err());
        assert!(lines(&admin("", "x")).is_err());
        assert!(lines(&admin("a", "")).is_err());
    }
}
