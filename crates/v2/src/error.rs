//! Why an application could not be read or converted.

use std::path::PathBuf;

use thiserror::Error;

/// Why an application could not be read or converted. Nothing was changed when one of these comes back, unless it says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum V2Error {
    /// The folder is none, or cannot be listed.
    #[error("cannot read the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The tree is larger than any application.
    #[error("{} holds more than {limit} files: name the folder of one application", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// How many files are read at most.
        limit: usize,
    },
    /// Nothing in the folder was made for OpenShift V2.
    #[error(
        "{} is no OpenShift V2 application: there is no .openshift folder, no entry point of a V2 cartridge, and no file reads an OPENSHIFT_* variable",
        path.display()
    )]
    NotV2 {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is made for V3 and holds nothing of V2.
    #[error(
        "{} is an OpenShift V3 source tree already ({}), and holds nothing of V2 that could be converted",
        path.display(), signs.join(", ")
    )]
    AlreadyV3 {
        /// The folder.
        path: PathBuf,
        /// The files that say so.
        signs: Vec<String>,
    },
    /// There is more than one application in the folder.
    #[error(
        "{} holds more than one application ({}): convert each by itself, naming its folder",
        path.display(), roots.join(", ")
    )]
    TwoApplications {
        /// The folder.
        path: PathBuf,
        /// The folders of the applications.
        roots: Vec<String>,
    },
    /// The application is not written in Python.
    #[error(
        "this is an application for V2's {cartridge} cartridge ({signs}), and only Python applications can be converted; for this one a person would: {advice}"
    )]
    OtherCartridge {
        /// The cartridge.
        cartridge: String,
        /// What says so.
        signs: String,
        /// What a person would do.
        advice: String,
    },
    /// Nothing tells which cartridge the application was for.
    #[error(
        "nothing tells which cartridge this application was for: say it with --cartridge, as in --cartridge python-2.7"
    )]
    UnknownCartridge,
    /// There is no file that V2 would have started.
    #[error(
        "there is no entry point: V2 started app.py, else $OPENSHIFT_PYTHON_WSGI_APPLICATION, else wsgi/application, else wsgi.py, and none is there{hint}"
    )]
    NoEntryPoint {
        /// Files that may be one, and how to say so.
        hint: String,
    },
    /// A file that was named does not exist.
    #[error("{option} names {path}, which is no file of the application")]
    NoSuchFile {
        /// The option.
        option: &'static str,
        /// The file.
        path: String,
    },
    /// Files that would have to be edited do not parse.
    #[error(
        "these files do not parse, so they cannot be edited: {}; mend them first{hint}",
        list(files)
    )]
    DoesNotParse {
        /// Each file with the line of its first error.
        files: Vec<(String, usize)>,
        /// A guess at why.
        hint: String,
    },
    /// Symbolic links lead out of the tree.
    #[error(
        "these symbolic links lead out of the application: {}; replace them by what they point to, or remove them",
        links.join(", ")
    )]
    EscapingLinks {
        /// The links and where they point.
        links: Vec<String>,
    },
    /// Files that cannot be read.
    #[error("these files cannot be read: {}; make them readable first", files.join(", "))]
    Unreadable {
        /// The files, with what the system said.
        files: Vec<String>,
    },
    /// Files that are edited are too large, or are no text.
    #[error("{path} cannot be edited: {reason}")]
    NotEditable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The edited file would be worse than the original.
    #[error(
        "editing {path} would make it a file that does not parse (line {line}); it was left alone, please report this"
    )]
    WouldBreak {
        /// The file.
        path: String,
        /// The first line that does not parse.
        line: usize,
    },
    /// Two rules want to edit the same bytes.
    #[error("two edits of {path} overlap at line {line} ({first}, {second}); please report this")]
    Overlap {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// One rule.
        first: String,
        /// The other.
        second: String,
    },
    /// The result's folder exists.
    #[error("{} exists already: name a folder that does not, or remove it", path.display())]
    OutExists {
        /// The folder.
        path: PathBuf,
    },
    /// The result's folder lies in the source or the other way round.
    #[error("{} lies within the application: name a folder beside it", path.display())]
    OutInside {
        /// The folder.
        path: PathBuf,
    },
    /// Changing files in place could not be taken back.
    #[error(
        "{} is {state}, so a conversion in place could not be taken back: {advice}, or pass --force, or use --out",
        path.display()
    )]
    Unclean {
        /// The folder.
        path: PathBuf,
        /// What is the matter.
        state: String,
        /// What to do first.
        advice: String,
    },
    /// git could not be asked.
    #[error("cannot ask git about {}: {reason}", path.display())]
    Git {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The runner to copy into the tree was not found.
    #[error(
        "there is no action-hook runner to put into the tree: looked for {looked}; name it with --runner-binary FILE, or choose --runner pip (installed by the build) or --runner image (part of the builder image)"
    )]
    NoRunner {
        /// Where it was looked for.
        looked: String,
    },
    /// What was named as the runner is none.
    #[error("{} is no runner that could work in an image: {reason}", path.display())]
    BadRunner {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A claim would hide files of the application.
    #[error(
        "a claim at {mount_path} would hide files of the application ({}): convert with another --data-dir, as in /opt/app-root/data, or remove them from the sources",
        files.join(", ")
    )]
    ClaimHides {
        /// Where the claim is to be mounted.
        mount_path: String,
        /// Some of the files.
        files: Vec<String>,
    },
    /// The tree is not the result of a conversion.
    #[error(
        "{} was not converted: there is no .s2i/openshifter.json; run `openshifter v2 convert` first, and name its result",
        path.display()
    )]
    NotConverted {
        /// The folder.
        path: PathBuf,
    },
    /// An option's value makes no sense.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Writing failed; everything is as it was before.
    #[error("cannot write {}; everything is as it was before", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Writing failed, and so did taking it back.
    #[error(
        "cannot write {}, and these files could not be put back: {}; their former content is in {}",
        path.display(), left.join(", "), backup.display()
    )]
    HalfWritten {
        /// The file that could not be written.
        path: PathBuf,
        /// The files that are changed now.
        left: Vec<String>,
        /// The folder with the former files.
        backup: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl V2Error {
    /// Whether the way the program was called is at fault, rather than what it found.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Option { .. }
                | Self::NoSuchFile { .. }
                | Self::OutExists { .. }
                | Self::OutInside { .. }
        )
    }
}

fn list(files: &[(String, usize)]) -> String {
    files
        .iter()
        .map(|(path, line)| format!("{path}:{line}"))
        .collect::<Vec<_>>()
        .join(", ")
}
