//! What compiled on Python 3 compiles after a conversion: the parser that edits are checked with takes more than Python does.

use std::path::PathBuf;
use std::process::Command;

use openshifter_v2::Options;

use crate::random::PIECES;
use crate::settings::{WHOLE, project};

/// Those of these files that Python 3 does not compile.
pub(crate) fn broken(files: &[PathBuf]) -> Vec<PathBuf> {
    let output = Command::new("python3")
        .args([
            "-W",
            "ignore",
            "-c",
            "import sys\nfor path in sys.argv[1:]:\n    try:\n        compile(open(path, 'rb').read(), path, 'exec', dont_inherit=True)\n    except (SyntaxError, ValueError):\n        print(path)\n",
        ])
        .args(files)
        .output()
        .expect("python3 starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[test]
fn each_piece_in_each_kind_of_block_compiles_as_before() {
    let world = project(WHOLE);
    let mut paths = Vec::new();
    for (at, piece) in PIECES.iter().enumerate() {
        let inner = indented(piece);
        for (kind, text) in [
            ("plain", (*piece).to_owned()),
            ("if", format!("if 1:\n{inner}")),
            (
                "try",
                format!("try:\n    # first\n{inner}except ImportError:\n    pass\n"),
            ),
            ("def", format!("import os\ndef f():\n{inner}\nx = 1\n")),
            ("class", format!("class A:\n{inner}")),
            (
                "deep",
                format!(
                    "if 1:\n    pass\nelse:\n    try:\n{}    finally:\n        pass\n",
                    indented(&inner)
                ),
            ),
            ("cut", piece.trim_end().to_owned()),
        ] {
            let path = format!("wsgi/shop/p{at}_{kind}.py");
            world.write(&path, text);
            paths.push(path);
        }
    }
    let result = world.convert(&Options::default());
    let before: Vec<PathBuf> = paths.iter().map(|path| world.root.join(path)).collect();
    let after: Vec<PathBuf> = paths.iter().map(|path| result.root.join(path)).collect();
    let was_broken = broken(&before);
    // Pieces of Python 2 and stars within functions never compiled.
    assert!(was_broken.len() < paths.len() / 2);
    for path in broken(&after) {
        let name = path
            .strip_prefix(&result.root)
            .expect("it is of the result");
        assert!(
            was_broken.contains(&world.root.join(name)),
            "{}: {}",
            name.display(),
            result.read(&name.to_string_lossy())
        );
    }
}

#[test]
fn a_block_keeps_a_statement_and_its_comment() {
    let world = project(WHOLE);
    world.write(
        "wsgi/shop/old.py",
        "import imp\ntry:\n    imp.find_module('settings') # Assumed to be in the same directory.\nexcept ImportError:\n    pass\ndef g():\n    # why\n    imp.find_module('x')  # needed\n",
    );
    world.write(
        "wsgi/shop/two.py",
        "import os\nif os.environ.get('EGG'):\n    execfile('bin/activate_this.py')\n    os.environ['PYTHON_EGG_CACHE'] = '/x' # c\n    execfile('more/activate_this.py')\n",
    );
    let result = world.convert(&Options::default());
    assert_eq!(
        result.read("wsgi/shop/old.py"),
        "try:\n    pass # Assumed to be in the same directory.\nexcept ImportError:\n    pass\ndef g():\n    # why\n    pass  # needed\n"
    );
    assert_eq!(
        result.read("wsgi/shop/two.py"),
        "import os\nif os.environ.get('EGG'):\n#     execfile('bin/activate_this.py')\n    pass\n#     execfile('more/activate_this.py')\n"
    );
}

#[test]
fn imp_beside_others_is_taken_out_where_nothing_uses_it() {
    let world = project(WHOLE);
    world.write("wsgi/shop/a.py", "import imp, os\n");
    world.write("wsgi/shop/b.py", "import os, imp as i, sys  # c\n");
    world.write("wsgi/shop/c.py", "import imp, os\nimp.reload(os)\n");
    let result = world.convert(&Options::default());
    assert_eq!(result.read("wsgi/shop/a.py"), "import os\n");
    assert_eq!(result.read("wsgi/shop/b.py"), "import os, sys  # c\n");
    assert_eq!(
        result.read("wsgi/shop/c.py"),
        "import imp, os\nimp.reload(os)\n"
    );
}
