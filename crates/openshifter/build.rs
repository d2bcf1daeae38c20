//! How the program is linked: with a static C library where there is one, and at a fixed address.
//!
//! `openshifter image` starts at every probe of a container, and in images whose C library is older than the build
//! machine's. A program of this size that is loaded by the dynamic linker has libraries to map and, when it is
//! position-independent, 64,000 addresses to relocate first (docs/performance.md).
//!
//! The target feature `crt-static` is set for a whole build or not at all, and without `--target` it breaks the macros,
//! which are libraries. So the linker is told instead: the libraries that Rust asks for by name are found as static ones.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link");
    let is = |what: &str, value: &str| {
        env::var(format!("CARGO_CFG_TARGET_{what}")).is_ok_and(|it| it == value)
    };
    if !is("OS", "linux") || !is("ENV", "gnu") {
        return;
    }
    link("-no-pie");
    // Only a compiler for this machine is known by its name.
    let native = env::var_os("TARGET") == env::var_os("HOST");
    let already = env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|features| features.split(',').any(|feature| feature == "crt-static"));
    if native
        && !already
        && let Some(argument) = static_library()
    {
        for argument in [argument, "-static".to_owned()] {
            link(&argument);
        }
        for wrapped in ["getaddrinfo", "getpwuid_r"] {
            link(&format!("-Wl,--wrap={wrapped}"));
        }
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=openshifter={argument}");
}

/// Makes a folder in which the linker finds each of the C library's parts as a static one, and returns the words for it;
/// none where the machine has no static C library, or one that cannot look names up by itself.
fn static_library() -> Option<String> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?).join("static");
    fs::create_dir_all(&out).ok()?;
    let [c, gcc, unwind] = ["libc.a", "libgcc.a", "libgcc_eh.a"].map(compilers_own);
    let (c, gcc, unwind) = (c?, gcc?, unwind?);
    // Since glibc 2.34; an earlier one loads modules for names.
    let names = b"_nss_dns_gethostbyname4_r";
    let content = fs::read(&c).ok()?;
    content.windows(names.len()).find(|part| part == names)?;
    // They need one another, whichever is asked for.
    let all = format!(
        "GROUP ( {} {} {} )\n",
        c.display(),
        unwind.display(),
        gcc.display()
    );
    for name in ["libc.a", "libgcc_s.a"] {
        fs::write(out.join(name), &all).ok()?;
    }
    for name in ["libm.a", "libpthread.a", "libdl.a", "librt.a", "libutil.a"] {
        let part = compilers_own(name)?;
        fs::write(out.join(name), format!("INPUT ( {} )\n", part.display())).ok()?;
    }
    let object = out.join("names.o");
    let source = Path::new("link/names.c");
    let compiled = compiler()
        .args([
            OsStr::new("-O2"),
            OsStr::new("-c"),
            source.as_os_str(),
            OsStr::new("-o"),
        ])
        .arg(&object)
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return None;
    }
    link(object.to_str()?);
    Some(format!("-L{}", out.to_str()?))
}

/// Where the compiler has a file of its own.
fn compilers_own(name: &str) -> Option<PathBuf> {
    let output = compiler()
        .arg(format!("-print-file-name={name}"))
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // What it does not have, it repeats.
    (path.is_absolute() && path.is_file()).then_some(path)
}

/// What Rust links by.
fn compiler() -> Command {
    Command::new(env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into()))
}
