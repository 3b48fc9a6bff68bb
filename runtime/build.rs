//! Says which kernels the processor has instructions for, since rustc shows Arm's features to nightly compilers only.
//!
//! `teff_mve`: Helium, the vector extension of Armv8.1-M (Cortex-M52, M55, M85). Else `teff_dsp`: the DSP extension of
//! Armv7E-M and Armv8-M (Cortex-M4, M7, M33). `teff_armv8m`: Armv8-M.
//! Without that extension `teff_armv7m` (Cortex-M3) or `teff_armv6m` (Cortex-M0, and M23, which has little more).

use std::env;

/// Processors of `thumbv8m.main` with Helium. All of them have the DSP extension.
const MVE_PROCESSORS: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];
/// The others with the DSP extension.
const DSP_PROCESSORS: [&str; 2] = ["cortex-m33", "cortex-m35p"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["teff_mve", "teff_dsp", "teff_armv8m", "teff_armv7m", "teff_armv6m"] {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=teff_armv8m");
    }
    let words = || flags.split(['\u{1f}', ' ', '=', ',']);
    let armv8m = target.starts_with("thumbv8m.main");
    let says = |feature: &str| words().any(|word| word == feature);
    let has_mve = says("+mve") || words().any(|word| MVE_PROCESSORS.contains(&word));
    let has_dsp = has_mve || says("+dsp") || words().any(|word| DSP_PROCESSORS.contains(&word));
    if armv8m && has_mve && !says("-mve") && !says("-dsp") {
        println!("cargo::rustc-cfg=teff_mve");
    } else if (target.starts_with("thumbv7em") || (armv8m && has_dsp)) && !says("-dsp") {
        println!("cargo::rustc-cfg=teff_dsp");
    } else if target.starts_with("thumbv7m") || target.starts_with("thumbv7em") || armv8m {
        println!("cargo::rustc-cfg=teff_armv7m");
    } else if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo::rustc-cfg=teff_armv6m");
    }
}
