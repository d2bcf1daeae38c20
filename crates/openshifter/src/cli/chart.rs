//! Fat charts on disk.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Chart {
    /// Say what a chart holds
    Inspect {
        /// A folder or an archive
        chart: PathBuf,
    },
    /// Check everything in a chart against its ledger
    Verify {
        /// A folder or an archive
        chart: PathBuf,
    },
    /// Make the folder of an archive, for helm
    Unpack {
        /// The archive
        chart: PathBuf,
        /// The folder, which must not exist [default: the archive's name without .tgz]
        folder: Option<PathBuf>,
    },
    /// Make an archive of a folder
    Pack {
        /// The folder
        chart: PathBuf,
        /// The archive
        archive: PathBuf,
    },
}
