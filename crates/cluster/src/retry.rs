//! When a failed request is sent again, and after how long.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ClusterError;
use crate::session::Session;

/// Whether sending a request twice does what sending it once does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Reads, patches, and whatever has a precondition.
    Harmless,
    /// Only when the server cannot have acted on it.
    OnlyIfUnsent,
}

/// A request that failed, and what that says about the server's state.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server cannot have acted: nothing reached it, or it turned the request away unseen (429).
    NotDone(ClusterError),
    /// The server may have acted: the connection broke, time ran out, or something on the way failed (5xx).
    Unknown(ClusterError),
    /// The server decided against it. Sending it again changes nothing.
    Final(ClusterError),
}

impl Failure {
    pub(crate) fn into_error(self) -> ClusterError {
        match self {
            Self::NotDone(error) | Self::Unknown(error) | Self::Final(error) => error,
        }
    }

    pub(crate) fn error(&self) -> &ClusterError {
        match self {
            Self::NotDone(error) | Self::Unknown(error) | Self::Final(error) => error,
        }
    }

    /// Whether to send it again.
    pub(crate) fn again(&self, repeat: Repeat, attempt: u32) -> bool {
        // A plain 500 is more often a fixed refusal than a hiccup: it gets one more chance only.
        if self.error().status() == Some(500) && attempt > 1 {
            return false;
        }
        match self {
            Self::NotDone(_) => true,
            Self::Unknown(_) => repeat == Repeat::Harmless,
            Self::Final(_) => false,
        }
    }
}

/// Bounds of retrying: in number and in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Attempts in all.
    pub(crate) attempts: u32,
    /// No attempt starts later than this after the first.
    pub(crate) total: Duration,
    /// Delay after the first failure; it doubles from there on.
    pub(crate) first: Duration,
    /// The longest delay of our own choosing.
    pub(crate) longest: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 6,
            total: Duration::from_secs(60),
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
        }
    }
}

/// The course of one request's attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: Policy,
    started: Instant,
    made: u32,
    /// The login to repeat when its token is refused, and which one it was; once for a request.
    login: Option<(Arc<Session>, u64)>,
}

impl Attempts {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            started: Instant::now(),
            made: 0,
            login: None,
        }
    }

    /// Logs in again when the token of this session is refused.
    pub(crate) fn with_login(mut self, session: Option<&Arc<Session>>) -> Self {
        self.login = session.map(|session| (session.clone(), session.generation()));
        self
    }

    /// How long ago the first attempt was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits before the next attempt, or gives up. A login that has expired is made anew: whatever was refused for
    /// that was not begun.
    ///
    /// # Errors
    /// The failure, when it is final or the bounds are reached; that of the new login.
    pub(crate) async fn pause(
        &mut self,
        failure: Failure,
        repeat: Repeat,
    ) -> Result<(), ClusterError> {
        if matches!(failure.error(), ClusterError::Unauthorized { .. })
            && let Some((session, refused)) = self.login.take()
            && session.renew(refused).await?
        {
            return Ok(());
        }
        self.made += 1;
        if self.made >= self.policy.attempts || !failure.again(repeat, self.made) {
            return Err(failure.into_error());
        }
        let asked = failure.error().api().and_then(|error| error.retry_after);
        let delay = asked.unwrap_or_else(|| self.backoff());
        if self.started.elapsed() + delay > self.policy.total {
            return Err(failure.into_error());
        }
        tracing::debug!(error = %failure.error(), delay_ms = delay.as_millis() as u64, "trying again");
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Doubles from attempt to attempt, and is spread so that parallel requests do not come back all at once.
    fn backoff(&self) -> Duration {
        let doubled = self
            .policy
            .first
            .saturating_mul(1 << self.made.saturating_sub(1).min(16));
        let spread = RandomState::new().build_hasher().finish() % 50;
        doubled
            .min(self.policy.longest)
            .mul_f64(0.75 + spread as f64 / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiError;

    fn failed(status: u16, wrap: fn(ClusterError) -> Failure) -> Failure {
        wrap(ClusterError::Api(Box::new(ApiError {
            cluster: "c".into(),
            action: "x".into(),
            status,
            reason: None,
            message: "m".into(),
            causes: Vec::new(),
            retry_after: None,
        })))
    }

    #[test]
    fn what_may_have_been_done_is_repeated_only_where_harmless() {
        assert!(failed(503, Failure::Unknown).again(Repeat::Harmless, 1));
        assert!(!failed(503, Failure::Unknown).again(Repeat::OnlyIfUnsent, 1));
        assert!(failed(429, Failure::NotDone).again(Repeat::OnlyIfUnsent, 5));
        assert!(!failed(409, Failure::Final).again(Repeat::Harmless, 1));
    }

    #[test]
    fn a_plain_500_gets_one_more_chance() {
        assert!(failed(500, Failure::Unknown).again(Repeat::Harmless, 1));
        assert!(!failed(500, Failure::Unknown).again(Repeat::Harmless, 2));
    }

    #[test]
    fn delays_grow_to_a_bound() {
        let mut attempts = Attempts::new(Policy::default());
        attempts.made = 1;
        assert!(attempts.backoff() <= Duration::from_millis(250));
        attempts.made = 40;
        let late = attempts.backoff();
        assert!(late >= Duration::from_millis(7_500) && late <= Duration::from_millis(12_500));
    }
}
