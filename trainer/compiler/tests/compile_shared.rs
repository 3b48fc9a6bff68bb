//! Quantized ONNX files of other tools, compiled and run.

mod support;

use teff::{ModelFile, Session};
use teff_compiler::{Target, compile};

#[test]
fn quantized_files_of_other_tools_compile() {
    let Some(folder) = support::models_dir("quantized_files_of_other_tools_compile") else { return };
    let mut faults = Vec::new();
    for name in [
        "ad01_qdq_tfl",
        "ic_qdq_tfl",
        "kws_qdq_tfl",
        "sww_qdq_tfl",
        "vww_qdq_tfl",
        "ic_ort_qdq",
        "kws_ort_qdq",
        "pt_cnn_ort_qdq",
        "ic_ort_qop",
        "kws_ort_qop",
        "pt_cnn_ort_qop",
    ] {
        let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        match compile(&bytes, Target::Generic) {
            Ok(compiled) => {
                let again = compile(&bytes, Target::Generic).unwrap();
                assert_eq!(compiled.plan, again.plan, "{name}: two plans of one file");
                let file = ModelFile::from_bytes(&compiled.plan).unwrap();
                let mut arena = file.arena();
                let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
                for (i, q) in session.input_mut(0).iter_mut().enumerate() {
                    *q = (i * 37) as i8;
                }
                session.invoke();
                let r = compiled.report;
                println!(
                    "{name}: arena {} live {} plan {} macs {}",
                    r.arena_bytes, r.live_set_bytes, r.plan_bytes, r.macs
                );
            }
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
