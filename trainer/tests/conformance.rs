//! The promise of `docs/conformance.md`: no element of any operator is more than 1 from exact arithmetic.

use std::path::Path;

use teff_trainer::conformance::{EXACT_BEGIN, EXACT_END, measure, model_files, page};
use teff_trainer::test_data;

/// The part of the page that depends on this project alone.
fn exact_part(page: &str) -> Option<&str> {
    page.split_once(EXACT_BEGIN)?.1.split_once(EXACT_END).map(|(part, _)| part)
}

#[test]
fn every_operator_is_within_one_of_exact_arithmetic() {
    let Some(folder) = test_data::find("every_operator_is_within_one_of_exact_arithmetic", "models") else {
        return;
    };
    let mut models = Vec::new();
    for file in model_files(&folder).unwrap() {
        models.extend(measure(&file, false).unwrap());
    }
    assert!(models.len() >= 19, "only {} models are quantized", models.len());
    for model in &models {
        assert!(!model.end_to_end.is_empty(), "{}: no reference", model.model);
        for (kind, operator) in &model.operators {
            assert!(operator.teff.largest_lsb <= 1, "{}: {kind}: {operator:?}", model.model);
            // Apart from ties, what differs is rare.
            let rare = operator.ties + operator.elements / 10_000;
            assert!(operator.teff.elements <= rare, "{}: {kind}: {operator:?}", model.model);
        }
    }
    let committed =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md"))
            .unwrap();
    assert!(
        exact_part(&committed) == exact_part(&page(&models)),
        "docs/conformance.md is not what is measured: run `trainer conformance MODELS --out docs/conformance.md`"
    );
}
