//! What a person may decide.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::V2Error;

/// A version of two numbers, as in `3.12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    /// The version of these numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The first two numbers of a longer version, as in `1.8.4`.
    pub(crate) fn of_prefix(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().ok()
        });
        Some(Self {
            major: parts.next()??,
            minor: parts.next().flatten().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no version of two numbers, as in 3.12");
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self {
            major: major.parse().map_err(|_| wrong())?,
            minor: minor.parse().map_err(|_| wrong())?,
        })
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// What serves the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// Apache with mod_wsgi, as in V2; the builder image needs Apache's headers (the full images have them).
    #[default]
    ModWsgi,
    /// gunicorn, with WhiteNoise for static files; builds on the minimal images, too.
    Gunicorn,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModWsgi => "mod_wsgi-express",
            Self::Gunicorn => "gunicorn with WhiteNoise",
        })
    }
}

/// How the action-hook runner comes into the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// The static program lies in the source tree: builds need nothing from anywhere.
    #[default]
    Vendored,
    /// `pip install` of the wheel `openshifter-image` at the start of each build.
    Pip,
    /// The builder image has it on its `PATH`.
    Image,
}

/// Where the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseChoice {
    /// Where the application has it: a file in the data directory, or the service of its cartridge.
    #[default]
    Keep,
    /// PostgreSQL beside the application; the secret key comes from a Secret, and nothing needs a claim, so that it scales and rolls.
    Service,
}

/// What a person may decide about the conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Python of the builder image.
    pub python: Version,
    /// Django that the sources are brought to.
    pub django: Version,
    /// What serves the application.
    pub server: Server,
    /// How the action-hook runner comes into the image.
    pub runner: Runner,
    /// What [`Runner::Pip`] installs: an address, a file of the tree, or a name in an index.
    pub runner_requirement: Option<String>,
    /// Where the database is.
    pub database: DatabaseChoice,
    /// The application's name; the folder's name otherwise.
    pub name: Option<String>,
    /// The data directory, an absolute path in the image.
    pub data_dir: Option<String>,
    /// The entry point, as `OPENSHIFT_PYTHON_WSGI_APPLICATION` named it in V2.
    pub entry: Option<String>,
    /// The project's `manage.py`.
    pub manage: Option<String>,
    /// The settings module, as in `myproject.settings`.
    pub settings: Option<String>,
    /// The cartridges that the application had, as in `python-2.7`; they are not part of the source.
    pub cartridges: Vec<String>,
    /// The file of requirements that `OPENSHIFT_PYTHON_REQUIREMENTS_PATH` named in V2; `requirements.txt` otherwise.
    pub requirements: Option<String>,
    /// Requirements that take the place of the application's, as in `Pillow>=10`.
    pub pins: Vec<String>,
    /// Memory of the gear in MiB: small 512, medium 1024, large 2048.
    pub gear_mb: u32,
    /// Path that the `ready` and `alive` hooks ask for; they find one otherwise.
    pub health_path: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            python: Version::new(3, 12),
            django: Version::new(5, 2),
            server: Server::default(),
            runner: Runner::default(),
            runner_requirement: None,
            database: DatabaseChoice::default(),
            name: None,
            data_dir: None,
            entry: None,
            manage: None,
            settings: None,
            cartridges: Vec::new(),
            requirements: None,
            pins: Vec::new(),
            gear_mb: 512,
            health_path: None,
        }
    }
}

/// Django releases, with the first and last Python that each supports.
const DJANGO_PYTHON: &[(Version, Version, Version)] = &[
    (Version::new(1, 8), Version::new(2, 7), Version::new(3, 5)),
    (Version::new(1, 11), Version::new(2, 7), Version::new(3, 7)),
    (Version::new(2, 2), Version::new(3, 5), Version::new(3, 9)),
    (Version::new(3, 2), Version::new(3, 6), Version::new(3, 10)),
    (Version::new(4, 2), Version::new(3, 8), Version::new(3, 12)),
    (Version::new(5, 2), Version::new(3, 10), Version::new(3, 14)),
    (Version::new(6, 0), Version::new(3, 12), Version::new(3, 14)),
];

impl Options {
    /// Whether the target is Python 3.
    pub(crate) fn python3(&self) -> bool {
        self.python.major >= 3
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// When a value makes no sense, or two do not go together.
    pub fn check(&self) -> Result<(), V2Error> {
        let wrong = |option, reason: String| Err(V2Error::Option { option, reason });
        if !(Version::new(2, 7)..=Version::new(3, 99)).contains(&self.python) {
            return wrong("--python", format!("there is no Python {}", self.python));
        }
        let Some((_, first, last)) = DJANGO_PYTHON
            .iter()
            .find(|(django, _, _)| *django == self.django)
        else {
            let known: Vec<String> = DJANGO_PYTHON
                .iter()
                .map(|(django, _, _)| django.to_string())
                .collect();
            return wrong(
                "--django",
                format!(
                    "Django {} is no long-term release that sources can be brought to: choose one of {}",
                    self.django,
                    known.join(", ")
                ),
            );
        };
        if !(*first..=*last).contains(&self.python) {
            return wrong(
                "--django",
                format!(
                    "Django {} runs on Python {first} to {last}, not on {}",
                    self.django, self.python
                ),
            );
        }
        if let Some(requirement) = &self.runner_requirement {
            if self.runner != Runner::Pip {
                return wrong(
                    "--runner-requirement",
                    "it is what --runner pip installs".to_owned(),
                );
            }
            if requirement.is_empty()
                || requirement.starts_with('-')
                || requirement.contains(char::is_control)
            {
                return wrong(
                    "--runner-requirement",
                    "name an address, a file of the tree, or a package of an index".to_owned(),
                );
            }
        }
        if let Some(folder) = &self.data_dir
            && (!folder.starts_with('/')
                || folder.contains("/../")
                || folder.ends_with("/..")
                || folder.contains(|c: char| c.is_whitespace() || c.is_control())
                || folder.trim_end_matches('/').is_empty())
        {
            return wrong(
                "--data-dir",
                "name an absolute path in the image, without blanks, as in /opt/app-root/data"
                    .to_owned(),
            );
        }
        if let Some(folder) = &self.data_dir
            && [crate::facts::SOURCE_DIR, "/opt/app-root/"]
                .contains(&format!("{}/", folder.trim_end_matches('/')).as_str())
        {
            return wrong(
                "--data-dir",
                format!("a volume at {folder} would hide the application"),
            );
        }
        if let Some(name) = &self.name
            && (!is_dns_label(name) || name.starts_with(|c: char| c.is_ascii_digit()))
        {
            return wrong(
                "--name",
                format!(
                    "`{name}` is no name for an application: use lower case letters, digits and `-`, a letter first"
                ),
            );
        }
        if let Some(path) = &self.health_path
            && (!path.starts_with('/')
                || path.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || "'\"\\$`".contains(c)
                }))
        {
            return wrong(
                "--health-path",
                "it begins with / and holds no blanks or quotes".to_owned(),
            );
        }
        if !(64..=1 << 20).contains(&self.gear_mb) {
            return wrong("--gear", format!("{} MiB is no gear", self.gear_mb));
        }
        Ok(())
    }
}

/// A name that objects of Kubernetes may have.
pub(crate) fn is_dns_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
