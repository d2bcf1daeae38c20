//! The interactive client: asks where an application is and where it goes, shows what will be done and deleted, has it
//! done, and reports. It works in this process, or through the REST service when it is given one.
//!
//! ```no_run
//! use openshifter_client::{ClientOptions, LinePrompter, TerminalOutput, run};
//! use openshifter_migrate::StateDir;
//! # async fn example() -> Result<(), openshifter_client::ClientError> {
//! let options = ClientOptions::new(StateDir::new("/home/dev/.local/state/openshifter"));
//! let mut prompter = LinePrompter::stdin(Box::new(std::io::stderr()));
//! let mut output = TerminalOutput::stderr();
//! let status = run(options, &mut prompter, &mut output).await?;
//! std::process::exit(status.into());
//! # }
//! ```

mod dialogue;
mod error;
mod here;
mod options;
mod output;
mod prompt;
mod run;
mod service;
mod terminal;

pub use error::ClientError;
pub use options::ClientOptions;
pub use output::{Happening, Output, TerminalOutput};
pub use prompt::{LinePrompter, PromptError, Prompter};
pub use run::run;
