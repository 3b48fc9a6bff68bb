//! Files that broke something once: every one of them is read soundly or refused.

use std::path::Path;

#[test]
fn nothing_breaks_twice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    let mut files = 0;
    for (kind, check) in [
        ("onnx", teff_fuzz::check::model as fn(&[u8])),
        ("tflite", teff_fuzz::check::model),
        ("plan", teff_fuzz::check::plan),
    ] {
        let Ok(folder) = std::fs::read_dir(root.join(kind)) else { continue };
        for file in folder {
            let path = file.unwrap().path();
            println!("{}", path.display());
            check(&std::fs::read(&path).unwrap());
            files += 1;
        }
    }
    assert!(files > 0, "no files in {}", root.display());
}

#[test]
fn generated_files_are_read_soundly_or_refused() {
    // The generator of the fuzz target, driven by a counter in place of coverage.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut imported = 0;
    for _ in 0..3000 {
        let bytes: Vec<u8> = (0..600)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let file = teff_fuzz::generate::onnx(&bytes).unwrap();
        imported += usize::from(teff_compiler::import(&file).is_ok());
        teff_fuzz::check::model(&file);
    }
    println!("{imported} of 3000 files were imported");
    assert!(imported > 100, "{imported}");
}
