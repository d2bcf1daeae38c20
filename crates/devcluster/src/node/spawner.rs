//! Starts processes from one thread that lives as long as the node: the kernel ends a sandbox when
//! the *thread* that started it ends, and a runtime's threads come and go.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// Hands commands to the thread. It ends, and with it every process, when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread. To be called inside a runtime.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("devcluster-spawn".to_owned())
            .spawn(move || {
                let _runtime = runtime.enter();
                for (mut command, answer) in queue {
                    // Nobody waits when the pod was deleted meanwhile; the child then ends by being dropped.
                    let _ = answer.send(command.spawn());
                }
            })?;
        Ok(Self { jobs })
    }

    /// Starts a process.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the node is stopping");
        let (answer, child) = oneshot::channel();
        self.jobs.send((command, answer)).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
