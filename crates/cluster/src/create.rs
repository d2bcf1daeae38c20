//! Creates an object exactly once, also when an answer is lost on the way.

use std::time::Duration;

use http::{Method, header};
use jiff::{SignedDuration, Timestamp};
use openshifter_objects::{Object, ResourceType};
use serde_json::Value;

use crate::answer::Answer;
use crate::call::{Call, path};
use crate::objects::{MANAGER, namespace_for, subject};
use crate::retry::{Failure, Repeat};
use crate::{Cluster, ClusterError, DryRun};

/// `creationTimestamp` has whole seconds, and the servers behind one address need not agree to the last one.
const SLACK: Duration = Duration::from_secs(3);

impl Cluster {
    /// Creates an object, and gives it back as the server made it (as it was sent, for kinds that only stand for an
    /// action and are answered with a bare success).
    ///
    /// When the connection breaks or the server is in trouble (5xx) after the request was sent, the object may have
    /// been made. Then it is looked for: if it is there, was created since the first attempt by the server's own
    /// clock, and holds everything that was sent (labels and annotations included, so a run's id too), it is ours and
    /// counts as created. If it is not there, the request is repeated. If it is there and is not ours, the answer is
    /// the server's `AlreadyExists`.
    ///
    /// # Errors
    /// When one of that name exists, the object is refused, its kind or version is not served, the server cannot be
    /// reached; and for a dry run of a ProjectRequest, which servers would carry out.
    pub async fn create(
        &self,
        namespace: Option<&str>,
        object: &Object,
        dry_run: DryRun,
    ) -> Result<Object, ClusterError> {
        let kind = object.group_kind();
        if dry_run == DryRun::All && kind.is("project.openshift.io", "ProjectRequest") {
            return Err(ClusterError::NoDryRun {
                cluster: self.name().to_owned(),
                kind,
            });
        }
        let resource = self.resource_in(&kind, object.version()).await?;
        let namespace = namespace_for(&resource, namespace, Some(object));
        let action = format!("create {}", subject(&kind, namespace, object.name()));
        let mut call = Call::with_body(
            Method::POST,
            path(&resource, namespace, None)?,
            object.value(),
            action,
        )
        .query("fieldManager", MANAGER);
        if dry_run == DryRun::All {
            // Nothing is made, so nothing can be made twice.
            call = call.query("dryRun", "All").harmless();
            return made(&self.call(&call).await?, object);
        }
        let mut attempts = self.link().attempts();
        let mut unsure = false;
        loop {
            let failure = match self.link().once(&call).await {
                Ok(answer) => return made(&answer, object),
                Err(failure) => failure,
            };
            if let Failure::Final(error) = &failure
                && !(unsure && error.is_already_exists())
            {
                // Goes on only if the login had expired.
                attempts.pause(failure, Repeat::Harmless).await?;
                continue;
            }
            unsure |= matches!(failure, Failure::Unknown(_));
            if unsure {
                match self
                    .find_ours(&resource, namespace, object, attempts.elapsed())
                    .await
                {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    // The connection may still be broken: the next attempt finds out.
                    Err(error) if error.is_unreachable() => {}
                    Err(_) => return Err(failure.into_error()),
                }
            }
            attempts.pause(failure, Repeat::Harmless).await?;
        }
    }

    /// The object of that name, if it is what an earlier attempt of ours made.
    async fn find_ours(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        sent: &Object,
        since: Duration,
    ) -> Result<Option<Object>, ClusterError> {
        let action = format!(
            "look for {}",
            subject(&resource.group_kind(), namespace, sent.name())
        );
        let call = Call::get(path(resource, namespace, Some(sent.name()))?, action);
        let answer = match self.call(&call).await {
            Ok(answer) => answer,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = answer.object()?;
        let now = answer
            .headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
            .map_or_else(Timestamp::now, |date| date.timestamp());
        let fresh = created_since(&found, now, since + SLACK);
        Ok((fresh && holds(found.value(), sent.value())).then_some(found))
    }
}

/// What was made. Kinds that stand for an action, as ImageStreamMapping, are answered with a `Status` alone.
fn made(answer: &Answer, sent: &Object) -> Result<Object, ClusterError> {
    let value = answer.value()?;
    if value["kind"] == "Status" && value["status"] == "Success" {
        return Ok(sent.clone());
    }
    Object::from_value(value).map_err(|error| answer.bad(error.to_string()))
}

fn created_since(object: &Object, now: Timestamp, age: Duration) -> bool {
    let Some(created) = object.value()["metadata"]
        .get("creationTimestamp")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok())
    else {
        return false;
    };
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.duration_since(created) <= age
}

/// Whether `found` has everything that `sent` has: servers add fields, defaults and list entries' fields.
///
/// What servers set themselves, and so never equals what was sent, is not compared.
pub(crate) fn holds(found: &Value, sent: &Value) -> bool {
    const SERVERS: [&str; 7] = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "selfLink",
        "status",
    ];
    // A Secret's `stringData` is write-only: it comes back as `data`.
    const WRITE_ONLY: &str = "stringData";
    match (found, sent) {
        (Value::Object(found), Value::Object(sent)) => sent.iter().all(|(name, value)| {
            SERVERS.contains(&name.as_str())
                || name == WRITE_ONLY
                || is_nothing(value)
                || found.get(name).is_some_and(|there| holds(there, value))
        }),
        (Value::Array(found), Value::Array(sent)) => {
            found.len() >= sent.len()
                && sent
                    .iter()
                    .zip(found)
                    .all(|(sent, found)| holds(found, sent))
        }
        (found, sent) => found == sent,
    }
}

/// Servers drop empty fields.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_servers_add_does_not_matter_and_what_was_sent_does() {
        let sent = json!({"metadata": {"name": "a", "labels": {"run": "1"}, "creationTimestamp": null},
            "spec": {"ports": [{"port": 80}], "selector": {}}, "status": {}});
        let found = json!({"metadata": {"name": "a", "labels": {"run": "1"}, "uid": "u"},
            "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "clusterIP": "10.0.0.1"}});
        assert!(holds(&found, &sent));
        let mut other = found.clone();
        other["metadata"]["labels"]["run"] = "2".into();
        assert!(!holds(&other, &sent));
        let mut other = found;
        other["spec"]["ports"] = json!([]);
        assert!(!holds(&other, &sent));
    }

    #[test]
    fn age_is_measured_by_the_servers_clock() {
        let object = Object::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "creationTimestamp": "2026-11-22T04:33:50Z"}}))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let age = Duration::from_secs(5);
        assert!(created_since(&object, at("2026-11-22T04:33:55Z"), age));
        assert!(!created_since(&object, at("2026-11-22T04:33:56Z"), age));
    }
}
