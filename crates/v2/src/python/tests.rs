use proptest::prelude::*;

use super::edit::{Edit, applies, apply, splice};
use super::syntax::{Py, parse, readable, visit};

fn edit(start: usize, end: usize, text: &str) -> Edit {
    Edit {
        start,
        end,
        text: text.to_owned(),
        rule: "test",
        reason: String::new(),
    }
}

#[test]
fn an_edit_takes_the_files_newlines() {
    let source = b"a = 1\r\nb = 2\r\n";
    let result = apply(
        "x.py",
        source,
        &[edit(source.len(), source.len(), "\nc = 3\n")],
        false,
    )
    .expect("it is applied");
    assert_eq!(result, b"a = 1\r\nb = 2\r\n\r\nc = 3\r\n");
}

#[test]
fn a_file_that_does_not_parse_is_refused_with_its_line() {
    let source = b"a = 1\nKEY = ***REMOVED***\nb = 2\n";
    let error = apply("x.py", source, &[edit(0, 1, "z")], false).expect_err("it is refused");
    assert!(error.to_string().contains("x.py:2"), "{error}");
}

#[test]
fn an_edit_that_breaks_the_file_is_refused() {
    let error = apply("x.py", b"a = 1\n", &[edit(4, 5, "(")], false).expect_err("it is refused");
    assert!(
        error
            .to_string()
            .contains("would make it a file that does not parse"),
        "{error}"
    );
}

#[test]
fn edits_that_overlap_are_refused() {
    let error =
        splice("x.py", b"abcdef", &[edit(0, 3, "x"), edit(2, 4, "y")]).expect_err("they overlap");
    assert!(error.to_string().contains("overlap"), "{error}");
    let error = splice("x.py", b"abc", &[edit(2, 9, "x")]).expect_err("it ends outside");
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn insertions_in_one_place_keep_their_order() {
    let result =
        splice("x.py", b"ab", &[edit(1, 1, "1"), edit(1, 1, "2")]).expect("they follow each other");
    assert_eq!(result, b"a12b");
}

#[test]
fn encodings_in_which_ascii_is_not_ascii_are_refused() {
    for name in ["shift_jis", "gbk", "big5", "utf-16"] {
        let source = format!("# -*- coding: {name} -*-\na = 1\n");
        let error = apply("x.py", source.as_bytes(), &[edit(0, 0, "# x\n")], false)
            .expect_err("it is refused");
        assert!(error.to_string().contains(name), "{error}");
    }
    let mac = b"a = 1\rb = 2\r";
    assert!(apply("x.py", mac, &[edit(0, 1, "c")], false).is_err());
}

#[test]
fn an_8_bit_encoding_is_edited_around() {
    let source = b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'  # \xfc\nimport secrets\n";
    let py = Py::parse("x.py", source).expect("it parses");
    assert_eq!(py.first_error(), None);
    let import = py.imports().remove(0);
    let at = import.names[0].node.byte_range();
    let result =
        apply("x.py", source, &[edit(at.start, at.end, "other")], false).expect("it is applied");
    assert_eq!(
        result,
        b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'  # \xfc\nimport other\n"
    );
}

#[test]
fn a_byte_order_mark_stays() {
    let source = b"\xef\xbb\xbfimport secrets\n";
    let py = Py::parse("x.py", source).expect("it parses");
    let import = py.imports().remove(0);
    let at = import.names[0].node.byte_range();
    assert_eq!(&source[at.clone()], b"secrets");
    let result =
        apply("x.py", source, &[edit(at.start, at.end, "other")], false).expect("it is applied");
    assert_eq!(result, b"\xef\xbb\xbfimport other\n");
}

#[test]
fn python_2_parses() {
    let source = b"print 'x'\nprint >>f, 'y'\nexec 'code' in d\ntry:\n\tpass\nexcept (A, B), e:\n\traise E, 'text'\nx = 0777\ny = 10L\nif a <> b: pass\nz = ur'x'\n";
    let py = Py::parse("x.py", source).expect("it parses");
    assert_eq!(py.first_error(), None);
}

#[test]
fn paths_are_worked_out() {
    use super::fold::{Folder, Names};
    let source = b"import os\nfrom os.path import *\nHERE = os.path.dirname(os.path.realpath(__file__))\nUP = abspath(join(HERE, '..'))\nDATA = os.environ.get('OPENSHIFT_DATA_DIR', HERE)\nSTATIC = os.path.normpath(os.path.join(UP, os.pardir, 'static'))\nDB = '%s/db.sqlite3' % DATA\nLOOP = LOOP + 'x'\nLOG = os.environ['NOWHERE'] + 'x'\nPLUS = os.environ['OPENSHIFT_REPO_DIR'] + 'wsgi' + os.sep\n";
    let py = Py::parse("wsgi/project/settings.py", source).expect("it parses");
    let names = Names {
        environment: [
            ("OPENSHIFT_DATA_DIR", "/data/"),
            ("OPENSHIFT_REPO_DIR", "/src/"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..Names::default()
    };
    let folder = Folder::new(&py, "/src/wsgi/project/settings.py".to_owned(), &names);
    insta::assert_debug_snapshot!(folder.all(), @r#"
    {
        "DATA": "/data/",
        "DB": "/data//db.sqlite3",
        "HERE": "/src/wsgi/project",
        "PLUS": "/src/wsgi/",
        "STATIC": "/src/static",
        "UP": "/src/wsgi",
    }
    "#);
}

#[test]
fn reads_of_the_environment_are_found() {
    use super::env::env_reads;
    let source = b"import os\nfrom os import environ as e, getenv\nimport os as system\nenv = os.environ\nA = os.environ['A']\nB = os.environ.get('B')\nC = os.environ.get('C', 1)\nD = e['D']\nE = getenv('E')\nF = env['F']\nG = 'G' in os.environ\nH = os.environ.has_key('H')\nos.environ['WRITTEN'] = 'x'\nI = system.environ['I']\ndef required(name):\n    try:\n        return os.environ[name]\n    except KeyError:\n        raise\nJ = required('J')\nNAMES = ['OPENSHIFT_K']\ndef application(environ, start_response):\n    return environ['PATH_INFO']\n# os.environ['COMMENT']\n";
    let py = Py::parse("x.py", source).expect("it parses");
    let found: Vec<String> = env_reads(&py)
        .into_iter()
        .map(|read| format!("{} {:?} {}", read.name, read.access, read.line))
        .collect();
    insta::assert_debug_snapshot!(found, @r#"
    [
        "A Required 5",
        "B Empty 6",
        "C Default 7",
        "D Required 8",
        "E Empty 9",
        "F Required 10",
        "G Asked 11",
        "H Asked 12",
        "I Required 14",
        "J Required 20",
        "OPENSHIFT_K Mentioned 21",
    ]
    "#);
}

#[test]
fn reads_of_names_within_texts_copies_and_loops_are_found() {
    use super::env::env_reads;
    let source = b"import os\nA = os.environb[b'A']\nB = '%(B)s/%(C)s' % os.environ\nD = '{D}/{E:>3}/{0}'.format(**os.environ)\nfor k in ('F', 'G'):\n    print(os.environ[k])\nH = dict(os.environ)['H']\nI = os.path.expandvars(os.path.join('$I/x', '${J}y'))\nNAMES = ['K', 'L']\nALL = [os.environ.get(n) for n in NAMES]\nM = 'MINE'\nN = os.getenv(M, 1)\nmine = os.environ.copy()\nmine['WRITTEN'] = 'x'\nO = mine['O']\nP = os.environ.copy().get('P')\nfor q in NAMES:\n    if q in os.environ:\n        pass\ndef f(M, k):\n    return os.environ[M], other[k], '{Z}'.format(**other)\nR = '{R}'.format_map(os.environ)\n";
    let py = Py::parse("x.py", source).expect("it parses");
    let found: Vec<String> = env_reads(&py)
        .into_iter()
        .map(|read| format!("{} {:?} {}", read.name, read.access, read.line))
        .collect();
    assert_eq!(
        found,
        [
            "A Required 2",
            "B Required 3",
            "C Required 3",
            "D Required 4",
            "E Required 4",
            "F Required 6",
            "G Required 6",
            "H Required 7",
            "I Empty 8",
            "J Empty 8",
            "K Empty 10",
            "L Empty 10",
            "MINE Default 12",
            "O Required 15",
            "P Empty 16",
            "K Asked 18",
            "L Asked 18",
            "R Required 22",
        ]
    );
}

#[test]
fn reads_of_names_that_are_put_together_and_of_libraries_are_found() {
    use super::env::env_reads;
    let source = b"import os\nfrom decouple import config\nimport decouple as d\nimport environ\nfrom environ import Env\nA = os.environ['OPENSHIFT_%s_DB_HOST' % kind]\nB = os.environ.get('OPENSHIFT_' + kind)\nC = os.environ[f'OPENSHIFT_{kind}_IP']\nD = os.environ['OPENSHIFT_{0}_PORT'.format(kind)]\nE = config('E')\nF = d.config('F', default='x')\nenv = environ.Env(DEBUG=(bool, False))\nG = env('G')\nH = env.bool('H', default=False)\nI = environ.Env()('I')\nJ = env.db()\nenv.read_env('.env')\nK = Env()\nL = K.str('L')\nM = other.config('M')\n";
    let py = Py::parse("x.py", source).expect("it parses");
    let found: Vec<String> = env_reads(&py)
        .into_iter()
        .map(|read| {
            let partial = if read.partial { " partial" } else { "" };
            format!("{} {:?} {}{partial}", read.name, read.access, read.line)
        })
        .collect();
    assert_eq!(
        found,
        [
            "OPENSHIFT_%s_DB_HOST Mentioned 6 partial",
            "OPENSHIFT_ Mentioned 7 partial",
            "OPENSHIFT_{kind}_IP Mentioned 8 partial",
            "OPENSHIFT_{0}_PORT Mentioned 9 partial",
            "E Required 10",
            "F Default 11",
            "G Required 13",
            "H Default 14",
            "I Required 15",
            "DATABASE_URL Required 16",
            "L Required 19",
        ]
    );
}

/// Pieces of Python files of both kinds, each of them whole.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "import os\n",
        "import secrets\n",
        "from socket import gethostname\n",
        "ALLOWED_HOSTS = [\n    gethostname(), # here\n    os.environ.get('OPENSHIFT_APP_DNS'),\n]\n",
        "MIDDLEWARE_CLASSES = (\n\t'a.B',\n\t'c.D'\n)\n",
        "print 'x', 1\n",
        "if ON:\n\tx = 1\nelse:\n\tx = 2\n",
        "try:\n     y = 5\nexcept IOError, e:\n     pass\n",
        "# \u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\n",
        "S = u'\u{fc}\u{4e2d}'\n",
        "def f(a, (b, c)):\n    return a\n",
        "class A(object):\n    '''doc'''\n    def m(self):\n        exec 'x' in {}\n",
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}}\n",
        "\n",
        "    \n",
        "X = '''several\nlines ** of it'''\n",
        "raise E, 'text'\n",
        "Y = 0x1F + 0777 + 10L\n",
        "from django.conf.urls import patterns, include, url\nurlpatterns = patterns('', (r'^a/', v), url(r'^b/', w))\n",
    ])
    .prop_map(str::to_owned);
    let names = "[a-z]{1,6}".prop_map(|name| format!("{name}_ = '{name}'\n"));
    prop_oneof![4 => fixed, 1 => names]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    (
        prop::collection::vec(piece(), 0..12),
        prop::bool::ANY,
        prop::bool::ANY,
        prop::bool::ANY,
        prop::option::of(prop::sample::select(vec!["latin-1", "utf-8"])),
    )
        .prop_map(|(pieces, windows, bom, cut, coding)| {
            let mut text: String = pieces.concat();
            if let Some(coding) = coding {
                text = format!("# -*- coding: {coding} -*-\n{text}");
            }
            if cut && text.ends_with('\n') {
                text.pop();
            }
            if windows {
                text = text.replace('\n', "\r\n");
            }
            let mut bytes = if coding == Some("latin-1") {
                // Each character above ASCII as one byte.
                text.chars()
                    .map(|c| if c.is_ascii() { c as u8 } else { 0xe9 })
                    .collect()
            } else {
                text.into_bytes()
            };
            if bom && coding != Some("latin-1") {
                bytes.splice(0..0, *b"\xef\xbb\xbf");
            }
            bytes
        })
}

/// What may break a file, put in anywhere.
fn anything() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "(",
        ")",
        "'''",
        "'",
        "\n",
        ":",
        "x",
        "\n    y",
        "if x:\n",
        "\t",
        "# ",
        "\\",
        "pass\n",
        "def f():\n    ",
    ])
}

fn count(bytes: &[u8]) -> usize {
    let tree = parse(readable(bytes).as_bytes(), None).expect("the parser answers");
    let mut count = 0;
    visit(tree.root_node(), &mut |node| {
        count += usize::from(node.is_error() || node.is_missing());
        true
    });
    count
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_outside_of_the_spans_stay(source in file(), picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4), 0..5), text in "[a-z_ ]{0,8}") {
        // Names of the file, replaced by names: an edit as the rules make them.
        let mut spans: Vec<(usize, usize)> = Vec::new();
        {
            let py = Py::parse("x.py", &source).expect("it parses");
            let mut names = Vec::new();
            visit(py.root(), &mut |node| {
                if node.kind() == "identifier" {
                    names.push((node.start_byte(), node.end_byte()));
                }
                true
            });
            if !names.is_empty() {
                for (pick, _) in &picks {
                    spans.push(*pick.get(&names));
                }
            }
        }
        spans.sort_unstable();
        spans.dedup();
        let edits: Vec<Edit> = spans.iter().map(|(start, end)| edit(*start, *end, &format!("n{}", text.replace(' ', "_")))).collect();
        match apply("x.py", &source, &edits, false) {
            Err(_) => prop_assert!(!edits.is_empty()),
            Ok(result) => {
                // Take the replacements out again, and the rest has to be the original's rest.
                let length = 1 + text.len();
                let (mut rest_before, mut rest_after) = (Vec::new(), Vec::new());
                let (mut at, mut shift) = (0usize, 0isize);
                for (start, end) in &spans {
                    rest_before.extend_from_slice(&source[at..*start]);
                    let from = at.checked_add_signed(shift).expect("in bounds");
                    rest_after.extend_from_slice(&result[from..start.checked_add_signed(shift).expect("in bounds")]);
                    shift += isize::try_from(length).expect("small") - isize::try_from(end - start).expect("small");
                    at = *end;
                }
                rest_before.extend_from_slice(&source[at..]);
                rest_after.extend_from_slice(&result[at.checked_add_signed(shift).expect("in bounds")..]);
                prop_assert_eq!(rest_before, rest_after);
                prop_assert!(count(&result) <= count(&source));
            }
        }
        // What is told from the parts that changed is what a whole parse tells.
        if !edits.is_empty() {
            let py = Py::parse("x.py", &source).expect("it parses");
            prop_assert_eq!(applies(&py, &edits), apply("x.py", &source, &edits, false).is_ok());
        }
    }

    #[test]
    fn parts_tell_what_the_whole_tells(
        source in file(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, anything()), 1..4),
    ) {
        // Anything anywhere, at borders of characters.
        let borders: Vec<usize> = (0..=source.len())
            .filter(|at| source.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80))
            .collect();
        let mut edits: Vec<Edit> = edits
            .into_iter()
            .map(|(start, length, text)| {
                let first = start.index(borders.len());
                let last = (first + length).min(borders.len() - 1);
                edit(borders[first], borders[last], text)
            })
            .collect();
        edits.sort_by_key(|edit| (edit.start, edit.end));
        let mut at = 0;
        edits.retain(|edit| {
            let fits = edit.start >= at;
            if fits {
                at = edit.end + 1;
            }
            fits
        });
        let py = Py::parse("x.py", &source).expect("it parses");
        prop_assert_eq!(applies(&py, &edits), apply("x.py", &source, &edits, false).is_ok());
    }

    #[test]
    fn no_input_makes_the_views_fail(source in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Some(py) = Py::parse("x.py", &source) {
            let _ = py.assignments();
            let _ = py.imports();
            let _ = py.calls();
            let _ = super::env_reads(&py);
            let names = super::Names::default();
            let _ = super::Folder::new(&py, "/src/x.py".to_owned(), &names).all();
        }
    }
}
