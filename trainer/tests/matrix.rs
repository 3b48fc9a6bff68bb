//! The Teff column of `docs/import-matrix.md` is what Teff does.

use std::path::Path;
use std::process::Command;

use teff_trainer::conformance::model_files;
use teff_trainer::matrix::Cell;
use teff_trainer::test_data;

#[test]
fn teff_does_what_the_import_matrix_says() {
    let Some(folder) = test_data::find("teff_does_what_the_import_matrix_says", "models") else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/import-matrix.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut faults = Vec::new();
    for file in model_files(&folder).unwrap() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
            .arg("matrix")
            .arg(&file)
            .args(["--json", "--cell", "teff"])
            .output()
            .unwrap();
        let cell: Cell = serde_json::from_slice(&output.stdout).unwrap();
        let row = format!("| {name} | {} |", cell.text());
        if !page.lines().any(|line| line.starts_with(&row)) {
            faults.push(row);
        }
    }
    assert!(
        faults.is_empty(),
        "docs/import-matrix.md says otherwise; run `trainer matrix MODELS --out docs/import-matrix.md`:\n{}",
        faults.join("\n")
    );
}
