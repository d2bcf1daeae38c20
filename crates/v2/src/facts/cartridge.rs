//! Which cartridge the application was for. That is not part of the source, so signs have to tell.

use serde::Serialize;

use crate::options::Options;
use crate::tree::Tree;

/// A language of V2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cartridge {
    /// python-2.6, python-2.7, python-3.3
    Python,
    /// php-5.3, php-5.4
    Php,
    /// ruby-1.9, ruby-2.0
    Ruby,
    /// nodejs-0.6, nodejs-0.10
    Nodejs,
    /// perl-5.10
    Perl,
    /// jbossews, jbossas, jbosseap, wildfly
    Jboss,
    /// diy-0.1
    Diy,
    /// None that is known.
    Unknown,
}

impl Cartridge {
    /// As V2 called it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Php => "php",
            Self::Ruby => "ruby",
            Self::Nodejs => "nodejs",
            Self::Perl => "perl",
            Self::Jboss => "jboss",
            Self::Diy => "diy",
            Self::Unknown => "unknown",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let base = name
            .split(['-', '@'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        Some(match base.as_str() {
            "python" => Self::Python,
            "php" | "zend" => Self::Php,
            "ruby" => Self::Ruby,
            "nodejs" => Self::Nodejs,
            "perl" => Self::Perl,
            "jbossews" | "jbossas" | "jbosseap" | "wildfly" | "tomcat" => Self::Jboss,
            "diy" => Self::Diy,
            _ => return None,
        })
    }

    /// What a person does with such an application on V3.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Python => "",
            Self::Php => {
                "build it with the s2i PHP image, with DOCUMENTROOT set to the first of php/, public/, public_html/, web/, www/ that is there, list what .openshift/pear.txt or deplist.txt names in composer.json, give the database's address and password from a Secret as variables, and mount a claim where OPENSHIFT_DATA_DIR was (.htaccess goes on working)"
            }
            Self::Ruby => {
                "build it with the s2i Ruby image, add puma to the Gemfile, give RAILS_ENV and SECRET_KEY_BASE as variables (the latter from a Secret), move db:migrate from the deploy hook to an init container or a migrate hook, log to standard output, and name the public gem index in the Gemfile instead of V2's mirror"
            }
            Self::Nodejs => {
                "build it with the s2i Node.js image, set scripts.start in package.json (V2 started server.js when it was missing), listen on 0.0.0.0 and port 8080 where it used OPENSHIFT_NODEJS_IP and OPENSHIFT_NODEJS_PORT, add the modules that V2 installed globally to the dependencies, and take node_modules out of the repository"
            }
            Self::Perl => {
                "build it with the s2i Perl image (index.pl in the root or in perl/ runs under mod_perl), and list what .openshift/cpan.txt or deplist.txt names in a cpanfile"
            }
            Self::Jboss => {
                "build it with the s2i Java, Tomcat or EAP image and the pom's `openshift` profile, move *.war from webapps/ or deployments/ to deployments/, rewrite the ${env.OPENSHIFT_*} of .openshift/config/*.xml (address 0.0.0.0, port 8080), and choose the image's tag where a marker chose the Java version"
            }
            Self::Diy => {
                "choose a base image, make what the `start` hook does the image's command (in the foreground, listening on 0.0.0.0:8080), and what `stop` does a preStop hook"
            }
            Self::Unknown => "say which cartridge it was with --cartridge",
        }
    }
}

/// The cartridge and what says so.
pub(super) fn cartridge(tree: &Tree, options: &Options) -> (Cartridge, Vec<String>) {
    for named in &options.cartridges {
        if let Some(cartridge) = Cartridge::of_name(named) {
            return (cartridge, vec![format!("--cartridge {named}")]);
        }
    }
    for (cartridge, is_sign) in SIGNS {
        let signs = is_sign(tree);
        if !signs.is_empty() {
            return (*cartridge, signs);
        }
    }
    (Cartridge::Unknown, Vec::new())
}

type Sign = fn(&Tree) -> Vec<String>;

/// In the order in which they count: a Python application may well have a package.json for its style sheets.
const SIGNS: &[(Cartridge, Sign)] = &[
    (Cartridge::Python, |tree| {
        any(tree, &["app.py", "wsgi/application", "wsgi.py"])
    }),
    (Cartridge::Jboss, |tree| {
        let mut signs = any(
            tree,
            &[
                "pom.xml",
                ".openshift/config/standalone.xml",
                ".openshift/config/server.xml",
                ".openshift/config/context.xml",
            ],
        );
        signs.extend(
            tree.files()
                .map(|(path, _)| path)
                .filter(|path| {
                    path.ends_with(".war")
                        && (path.starts_with("webapps/") || path.starts_with("deployments/"))
                })
                .map(str::to_owned)
                .take(3),
        );
        signs
    }),
    (Cartridge::Ruby, |tree| any(tree, &["config.ru", "Gemfile"])),
    (Cartridge::Php, |tree| {
        let mut signs = any(
            tree,
            &[
                "index.php",
                "php/index.php",
                "public/index.php",
                "public_html/index.php",
                "web/index.php",
                "www/index.php",
                "composer.json",
                ".openshift/pear.txt",
            ],
        );
        signs.truncate(3);
        signs
    }),
    (Cartridge::Nodejs, |tree| {
        any(tree, &["package.json", "server.js"])
    }),
    (Cartridge::Perl, |tree| {
        any(
            tree,
            &[
                "index.pl",
                "perl/index.pl",
                ".openshift/cpan.txt",
                "Makefile.PL",
            ],
        )
    }),
    (Cartridge::Diy, |tree| {
        any(tree, &[".openshift/action_hooks/start"])
    }),
    // An application without an entry point that V2 would have found is still Python.
    (Cartridge::Python, |tree| {
        let mut signs = any(tree, &["setup.py", "requirements.txt", "manage.py"]);
        signs.extend(
            tree.files()
                .map(|(path, _)| path)
                .filter(|path| path.ends_with("/manage.py") || path.ends_with("/wsgi.py"))
                .map(str::to_owned)
                .take(3),
        );
        signs
    }),
];

fn any(tree: &Tree, paths: &[&str]) -> Vec<String> {
    paths
        .iter()
        .filter(|path| tree.is_file(path))
        .map(|path| (*path).to_owned())
        .collect()
}
