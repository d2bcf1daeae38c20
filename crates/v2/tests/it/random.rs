//! Whole conversions of sources of all shapes: what is not meant stays, nothing that parsed stops parsing, and a second time changes nothing.

use openshifter_v2::{Options, V2Error};
use proptest::prelude::*;

use crate::compiles;
use crate::settings::project;
use crate::support::World;

/// Statements that rules look for, and others beside them.
pub(crate) const PIECES: &[&str] = &[
    "import os\n",
    "import os, sys\n",
    "import secrets\n",
    "from secrets import getter as g\n",
    "from socket import gethostname\n",
    "ALLOWED_HOSTS = [\n    gethostname(), # one\n    os.environ.get('OPENSHIFT_APP_DNS'), # two\n    #'example.com',\n]\n",
    "ALLOWED_HOSTS = [os.getenv('OPENSHIFT_APP_DNS')]; DEBUG = True\n",
    "MIDDLEWARE_CLASSES = (\n\t'a.B',\n\t'django.contrib.auth.middleware.SessionAuthenticationMiddleware',\n)\n",
    "MIDDLEWARE_CLASSES += ('c.D',)\n",
    "INSTALLED_APPS = ('a',)\n",
    "LOGGING = {'handlers': {'f': {'class': 'logging.FileHandler'}}, 'loggers': {}}\n",
    "SECRET_KEY = os.environ['OPENSHIFT_SECRET_TOKEN']\n",
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql_psycopg2'}}\n",
    "TEMPLATE_DIRS = ()\nTEMPLATE_CONTEXT_PROCESSORS = ('django.core.context_processors.static',)\n",
    "from distutils.sysconfig import get_python_lib\nos.environ['PYTHON_EGG_CACHE'] = get_python_lib()\n",
    "try:\n     execfile('activate_this.py', {})\nexcept IOError:\n     pass\n",
    "if os.environ.has_key('OPENSHIFT_REPO_DIR'):\n\tON = 1\nelse:\n\tON = 0\n",
    "import imp\nimp.find_module('openshiftlibs')\n",
    "from django.conf.urls import patterns, include, url\nurlpatterns = patterns('', (r'^a/', v), url(r'^admin/', include(admin.site.urls)),)\n",
    "from django.conf.urls.defaults import *\n",
    "if 1:\n    from django.conf.urls import url, handler404\n",
    "from django.core.urlresolvers import reverse\n",
    "from django.utils.translation import ugettext as _, ugettext_lazy\n",
    "from django.utils.encoding import python_2_unicode_compatible, smart_text, force_text as f\n",
    "@python_2_unicode_compatible\nclass P(object):\n    pass\n",
    "class A(models.Model):\n    b = models.ForeignKey('B', null=True,)\n    c = models.OneToOneField(C)  # three\n",
    "x = request.user.is_authenticated()\n",
    "import django.core.handlers.wsgi\napplication = django.core.handlers.wsgi.WSGIHandler()\n",
    // Blocks whose only line carries a comment.
    "import imp\ntry:\n    imp.find_module('settings') # Assumed to be in the same directory.\nexcept ImportError:\n    import sys\n",
    "import imp\ndef g():\n    imp.find_module('x')  # needed\n",
    "def f():\n    # egg\n    os.environ['PYTHON_EGG_CACHE'] = '/tmp'  # only this\n",
    "if 1:\n    from distutils.sysconfig import get_python_lib  # unused\n    os.environ['PYTHON_EGG_CACHE'] = get_python_lib() # both\n",
    "try:\n    from django.utils.encoding import python_2_unicode_compatible  # py3\nexcept ImportError:\n    pass\n",
    "if 1:\n    execfile('bin/activate_this.py', {}) # one\n    execfile('more/activate_this.py', {}) # two\n",
    "try:\n    execfile('activate_this.py', {})  # x\nexcept IOError: pass\n",
    "import imp, os\n",
    "import openshiftlibs\nuse_keys = openshiftlibs.openshift_secure({'SECRET_KEY': 'x'})\nSECRET_KEY = use_keys['SECRET_KEY']\n",
    "def f(a, b=None):\n    return a.is_authenticated() if a else {}\n",
    "S = '''several\nlines'''\n",
    "\n",
];

/// Pieces of Python 2, which nobody but a person ports.
const PYTHON2: &[&str] = &[
    "print 'x', 1\n",
    "raise E, 'text'\n",
    "try:\n     y = 5\nexcept IOError, e:\n     pass\n",
    "Y = 0777 + 10L\n",
];

/// A line that was scrubbed of a secret.
const SCRUBBED: &str = "PASSWORD = ***REMOVED***\n";

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    scrubbed: bool,
}

fn file() -> impl Strategy<Value = File> {
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(str::to_owned),
        2 => prop::sample::select(PYTHON2).prop_map(str::to_owned),
        3 => "[a-z]{1,5}".prop_map(|name| format!("{name}_ = '{name}'\n")),
        2 => Just("NAME = u'\u{fc}\u{4e2d}'  # \u{43f}\u{440}\n".to_owned()),
    ];
    (
        prop::collection::vec(piece, 0..10),
        prop::bool::weighted(0.05),
        prop::bool::ANY,
        prop::bool::ANY,
        prop::sample::select(vec!["", "latin-1", "utf-8", "bom"]),
    )
        .prop_map(|(pieces, scrubbed, windows, cut, coding)| {
            let mut text = String::new();
            if matches!(coding, "latin-1" | "utf-8") {
                text.push_str(&format!("# -*- coding: {coding} -*-\n"));
            }
            for (at, piece) in pieces.iter().enumerate() {
                // What no rule may touch.
                text.push_str(&format!("# keep {at}  \n"));
                text.push_str(piece);
            }
            if scrubbed {
                text.push_str(SCRUBBED);
            }
            if cut && text.ends_with('\n') {
                text.pop();
            }
            if windows {
                text = text.replace('\n', "\r\n");
            }
            let mut bytes = if coding == "latin-1" {
                text.chars()
                    .map(|c| if c.is_ascii() { c as u8 } else { 0xe9 })
                    .collect()
            } else {
                text.into_bytes()
            };
            if coding == "bom" {
                bytes.splice(0..0, *b"\xef\xbb\xbf");
            }
            File { bytes, scrubbed }
        })
}

const SETTINGS: &str = "wsgi/shop/shop/settings.py";
const OTHER: &str = "wsgi/shop/models.py";

fn world(settings: &File, other: &File) -> World {
    let world = project("");
    world.write(SETTINGS, &settings.bytes);
    world.write(OTHER, &other.bytes);
    world.write("libs/secrets.py", "KEY = 1\n");
    world
}

/// The first line of each file that does not parse.
fn broken(world: &World) -> Vec<(Option<String>, Option<usize>)> {
    world
        .analyze(&Options::default())
        .findings
        .into_iter()
        .filter(|finding| finding.rule == "does-not-parse")
        .map(|finding| (finding.path, finding.line))
        .collect()
}

/// The lines that no rule may touch, each with its end.
fn kept(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"# keep "))
        .map(<[u8]>::to_vec)
        .collect()
}

fn above_ascii(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sources_of_all_shapes(settings in file(), other in file()) {
        let before = world(&settings, &other);
        let was_broken = broken(&before);
        let plan = match before.plan(&Options::default()) {
            Ok(plan) => plan,
            Err(error) => {
                // Only what does not parse stands in the way: edits never meet, and never break a file.
                prop_assert!(matches!(error, V2Error::DoesNotParse { .. }), "{error}");
                prop_assert!(!was_broken.is_empty());
                return Ok(());
            }
        };
        drop(plan);
        let result = before.convert(&Options::default());
        let after = World {
            folder: tempfile::tempdir().expect("a folder can be made"),
            root: result.root.clone(),
        };
        prop_assert_eq!(broken(&after), was_broken);
        for (path, file) in [(SETTINGS, &settings), (OTHER, &other)] {
            let converted = std::fs::read(result.root.join(path)).expect("it is there");
            let mut lines = kept(&file.bytes);
            let mut found = kept(&converted);
            // A last line without an end gets one when something follows.
            for last in [lines.last_mut(), found.last_mut()].into_iter().flatten() {
                while last.ends_with(b"\n") || last.ends_with(b"\r") {
                    last.pop();
                }
            }
            prop_assert_eq!(found, lines);
            prop_assert_eq!(above_ascii(&converted), above_ascii(&file.bytes));

            if file.bytes.contains(&b'\r') {
                let lone = converted.iter().enumerate().any(|(at, byte)| {
                    *byte == b'\n' && at.checked_sub(1).and_then(|at| converted.get(at)) != Some(&b'\r')
                });
                prop_assert!(!lone, "{}", String::from_utf8_lossy(&converted));
            } else {
                prop_assert!(!converted.contains(&b'\r'));
            }
            if file.scrubbed {
                prop_assert_eq!(converted, file.bytes.clone());
            }
        }
        let of = |root: &std::path::Path| [SETTINGS, OTHER].map(|path| root.join(path));
        let compiled = compiles::broken(&[of(&before.root), of(&result.root)].concat());
        for path in [SETTINGS, OTHER] {
            prop_assert!(
                compiled.contains(&before.root.join(path)) || !compiled.contains(&result.root.join(path)),
                "{} does not compile any more: {}", path, result.read(path)
            );
        }
        let again = after.plan(&Options::default()).expect("it can be converted");
        let paths: Vec<&str> = again.actions.iter().map(|action| action.path.as_str()).collect();
        prop_assert!(paths.is_empty(), "the second conversion changes {:?}", paths);
    }
}
