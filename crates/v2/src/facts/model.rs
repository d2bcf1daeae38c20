//! The facts as values.

use serde::Serialize;

use super::{Cartridge, CronCategory, Database, Dependencies, Entry, Hook};
use crate::options::Version;

/// The web framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// Django.
    Django,
    /// Flask.
    Flask,
    /// Bottle.
    Bottle,
    /// Another one, or none.
    Wsgi,
}

impl Framework {
    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Django => "Django",
            Self::Flask => "Flask",
            Self::Bottle => "Bottle",
            Self::Wsgi => "plain WSGI",
        }
    }
}

/// A file of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingsFile {
    /// Its path.
    pub path: String,
    /// Its module, as in `myproject.settings`.
    pub module: String,
    /// The settings files that it takes all names from, by path.
    pub star_imports: Vec<String>,
}

/// Where static files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaticFiles {
    /// `STATIC_URL`, if it could be worked out.
    pub url: Option<String>,
    /// `STATIC_ROOT` as a path in the image, if it could be worked out.
    pub root: Option<String>,
}

/// Where uploaded files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Media {
    /// `MEDIA_URL`.
    pub url: Option<String>,
    /// `MEDIA_ROOT` as a path in the image.
    pub root: Option<String>,
    /// Whether that is in the data directory.
    pub in_data_dir: bool,
}

/// A Django project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Project {
    /// `manage.py`.
    pub manage: Option<String>,
    /// The settings module that V2 used.
    pub settings_module: Option<String>,
    /// The settings' files, the used one first.
    pub settings: Vec<SettingsFile>,
    /// The version that the application asks for, as far as it says.
    pub django: Option<Version>,
    /// Static files.
    pub static_files: StaticFiles,
    /// Uploaded files.
    pub media: Option<Media>,
    /// Whether it has Django's users (`django.contrib.auth`), as far as the settings tell.
    pub users: bool,
    /// Whether the admin site has an address; the path of its login page.
    pub admin_path: Option<String>,
}

/// The directory for data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataDir {
    /// Its path in the image, with a `/` at the end.
    pub path: String,
    /// Whether anything needs it.
    pub needed: bool,
    /// Why it is there and not elsewhere.
    pub why: String,
}

/// Python 2 or 3, as far as the sources tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PythonLevel {
    /// Some file is Python 2 and nothing else.
    Python2,
    /// Nothing says that it would not run on Python 3.
    Either,
}

/// What the application is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The application's name.
    pub name: String,
    /// Its cartridge.
    pub cartridge: Cartridge,
    /// What says so.
    pub cartridge_signs: Vec<String>,
    /// Its web framework; `None` for other languages.
    pub framework: Option<Framework>,
    /// What V2 started.
    pub entry: Option<Entry>,
    /// The Django project.
    pub project: Option<Project>,
    /// The databases that it uses.
    pub databases: Vec<Database>,
    /// The action hooks.
    pub hooks: Vec<Hook>,
    /// The markers.
    pub markers: Vec<String>,
    /// Jobs.
    pub cron: Vec<CronCategory>,
    /// What it needs installed.
    pub dependencies: Dependencies,
    /// The Python of its sources.
    pub python: PythonLevel,
    /// The data directory.
    pub data_dir: DataDir,
    /// Whether a `.htaccess` sends all requests to https.
    pub forces_https: bool,
    /// Whether V2 would have scaled it: `disable_auto_scaling` is not there, and a haproxy cartridge was named.
    pub scaled: bool,
    /// Python files in the application.
    pub python_files: usize,
    /// All files in the application.
    pub files: usize,
}

impl Facts {
    /// Whether it is a Django application.
    pub fn is_django(&self) -> bool {
        self.framework == Some(Framework::Django)
    }

    /// Whether it is a Django application with users, whose first administrator somebody has to make.
    pub(crate) fn has_users(&self) -> bool {
        self.is_django() && self.project.as_ref().is_some_and(|project| project.users)
    }

    /// Whether V2 ran `app.py`, which serves by itself.
    pub fn serves_itself(&self) -> bool {
        self.entry
            .as_ref()
            .is_some_and(|entry| entry.kind == super::EntryKind::SelfServing)
    }
}
