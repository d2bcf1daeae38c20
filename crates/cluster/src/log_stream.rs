//! Logs of pods and of builds, as they are written.

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::timeout;

use crate::call::{Call, segment};
use crate::{Cluster, ClusterError};

/// Which part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether it goes on until the container or build ends.
    pub follow: bool,
    /// Its last lines only.
    pub tail: Option<u64>,
    /// What was written in the last seconds only.
    pub since_seconds: Option<u64>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
    /// The log of the container before this one.
    pub previous: bool,
}

/// A log that is being read.
#[derive(Debug)]
pub struct LogStream {
    call: Call,
    cluster: Cluster,
    body: Body,
    follow: bool,
}

impl Cluster {
    /// Reads the log of a container, as a stream.
    ///
    /// # Errors
    /// When the pod or container is not there or has not started, the server refuses, or cannot be reached.
    pub async fn pod_log(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        options: &LogOptions,
    ) -> Result<LogStream, ClusterError> {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/log",
            segment(namespace, "a namespace")?,
            segment(pod, "a pod")?
        );
        let mut call = Call::get(
            path,
            format!("read the log of Pod/{pod} in namespace {namespace}"),
        );
        if let Some(container) = container {
            call = call.query("container", container);
        }
        self.log(call, options).await
    }

    /// Reads the log of a build, as a stream.
    ///
    /// # Errors
    /// When there is no such build, it does not start within the ten seconds that servers wait for it (504), the server
    /// refuses, or cannot be reached.
    pub async fn build_log(
        &self,
        namespace: &str,
        build: &str,
        options: &LogOptions,
    ) -> Result<LogStream, ClusterError> {
        let path = format!(
            "/apis/build.openshift.io/v1/namespaces/{}/builds/{}/log",
            segment(namespace, "a namespace")?,
            segment(build, "a build")?
        );
        let action = format!("read the log of Build/{build} in namespace {namespace}");
        self.log(Call::get(path, action), options).await
    }

    async fn log(&self, mut call: Call, options: &LogOptions) -> Result<LogStream, ClusterError> {
        for (name, wanted) in [
            ("follow", options.follow),
            ("timestamps", options.timestamps),
            ("previous", options.previous),
        ] {
            if wanted {
                call = call.query(name, "true");
            }
        }
        if let Some(tail) = options.tail {
            call = call.query("tailLines", tail.to_string());
        }
        if let Some(since) = options.since_seconds {
            call = call.query("sinceSeconds", since.to_string());
        }
        // Compressed streams come in pieces that decoders take for the end.
        call = call
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity");
        let link = self.link();
        let response = if options.follow {
            // Servers answer with the first byte of the log, which may take its time.
            let request = call.request().map_err(|error| ClusterError::BadAnswer {
                cluster: link.cluster.clone(),
                action: call.action.clone(),
                reason: error.to_string(),
            })?;
            link.clients
                .plain
                .send(request)
                .await
                .map_err(|error| link.failed(&call, &error).into_error())?
        } else {
            link.send(&call)
                .await
                .map_err(|failure| failure.into_error())?
        };
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            let text = timeout(link.tuning.idle_timeout, body.collect()).await;
            let text = text
                .ok()
                .and_then(Result::ok)
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            return Err(link
                .refusal(&call, parts.status, &parts.headers, &text)
                .into_error());
        }
        Ok(LogStream {
            call,
            cluster: self.clone(),
            body,
            follow: options.follow,
        })
    }
}

impl LogStream {
    /// The next bytes; `None` at its end.
    ///
    /// A followed log also ends when the server, or something on the way, gives it up: whether what writes it has ended
    /// shows in its status alone.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes of a log that is not followed.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClusterError> {
        let link = self.cluster.link();
        loop {
            let frame = if self.follow {
                self.body.frame().await
            } else {
                match timeout(link.tuning.idle_timeout, self.body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => {
                        return Err(ClusterError::NoAnswer {
                            cluster: link.cluster.clone(),
                            action: self.call.action.clone(),
                            reason: format!(
                                "nothing came for {} s",
                                link.tuning.idle_timeout.as_secs()
                            ),
                        });
                    }
                }
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
                Some(Err(error)) => return Err(link.failed(&self.call, &error).into_error()),
            }
        }
    }
}
