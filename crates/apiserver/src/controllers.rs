//! What the cluster does by itself, besides running pods: fills namespaces and empties them, collects
//! garbage, looks after tokens.

mod bootstrap;
mod claims;
mod garbage;
mod namespaces;
mod quotas;
mod tokens;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::tokens::Signer;
use crate::store::Store;

pub(crate) use bootstrap::bootstrap;

/// Starts all controllers; they end with `stopping`.
pub(crate) fn start(
    store: &Store,
    signer: &Arc<Signer>,
    stopping: &CancellationToken,
    tasks: &TaskTracker,
) {
    let until = |work| stopping.clone().run_until_cancelled_owned(work);
    tasks.spawn(until(
        Box::pin(garbage::run(store.clone())) as futures::future::BoxFuture<'static, ()>
    ));
    tasks.spawn(until(Box::pin(namespaces::run(store.clone())) as _));
    tasks.spawn(until(Box::pin(claims::run(store.clone())) as _));
    tasks.spawn(until(Box::pin(quotas::run(store.clone())) as _));
    tasks.spawn(until(
        Box::pin(tokens::run(store.clone(), Arc::clone(signer))) as _,
    ));
}
