//! Builds `src/limits/main.rs` by itself, without a crate, once for each way to link: what the start costs are held against
//! must not carry anything of what is measured. A way that this machine cannot link is left out, and the table says so.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/limits");
    println!("cargo::rerun-if-changed=src/work.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (variable, name, feature) in [("LIMITS_DYNAMIC", "dynamic", "-crt-static"), ("LIMITS_STATIC", "static", "+crt-static")] {
        let program = out.join(format!("limits-{name}"));
        let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
        rustc.args(["--edition=2024", "-O", "-C", &format!("target-feature={feature}"), "src/limits/main.rs", "-o"]).arg(&program);
        let built = rustc.status().is_ok_and(|status| status.success());
        println!("cargo::rustc-env={variable}={}", if built { program.display().to_string() } else { String::new() });
    }
}
