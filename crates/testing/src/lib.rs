//! What end-to-end tests stand on, whatever the clusters are: the program under test as a process, `kubectl` and
//! projects as it sees them, small applications, a Git server, an image registry, trees of files described without the program under test, a
//! pseudo-terminal, and a watch over secrets.
//!
//! Everything here fails a test by panicking, and says why.

mod app;
mod command;
mod git;
mod kubectl;
mod project;
mod registry;
mod relay;
mod running;
mod terminal;
mod tool;
mod tree;
mod wait;
mod watch;

pub use app::{Containers, claim, config};
pub use command::{closed_port, run, tools};
pub use git::GitServer;
pub use kubectl::{Kubectl, items};
pub use project::Project;
pub use registry::{OCI_LAYER, OCI_MANIFEST, RegistryServer};
pub use relay::Relay;
pub use running::{Ran, Running};
pub use terminal::Terminal;
pub use tool::Tool;
pub use tree::{Detail, ODDITIES, describe, same};
pub use wait::{PATIENCE, until};
pub use watch::{keep_secret, nothing_leaked, secrets_in_files};
