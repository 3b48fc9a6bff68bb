//! Says which kernels the processor has instructions for, since rustc shows Arm's features to nightly compilers only.
//!
//! `teff_dsp`: the DSP extension of Armv7E-M and Armv8-M (Cortex-M4, M7, M33 and up). `teff_armv8m`: Armv8-M.
//! Without that extension `teff_armv7m` (Cortex-M3) or `teff_armv6m` (Cortex-M0, and M23, which has little more).

use std::env;

/// Processors of `thumbv8m.main` with the DSP extension.
const DSP_PROCESSORS: [&str; 5] = ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(teff_dsp)");
    for name in ["teff_armv8m", "teff_armv7m", "teff_armv6m"] {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=teff_armv8m");
    }
    let words = || flags.split(['\u{1f}', ' ', '=', ',']);
    let named = words().any(|word| DSP_PROCESSORS.contains(&word) || word == "+dsp");
    let excluded = words().any(|word| word == "-dsp");
    let has_dsp = target.starts_with("thumbv7em") || (target.starts_with("thumbv8") && named);
    if has_dsp && !excluded {
        println!("cargo::rustc-cfg=teff_dsp");
    } else if target.starts_with("thumbv7m")
        || target.starts_with("thumbv7em")
        || target.starts_with("thumbv8m.main")
    {
        println!("cargo::rustc-cfg=teff_armv7m");
    } else if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo::rustc-cfg=teff_armv6m");
    }
}
