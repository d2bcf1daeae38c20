//! How the program is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // `openshifter image` starts at every probe of a container. A position-independent program of this size has 64,000
    // addresses to relocate first, which takes twice as long as all else and touches 5 MiB (docs/performance.md).
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bin=openshifter=-no-pie");
    }
}
