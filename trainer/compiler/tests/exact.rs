//! The exact engine and the rounding rules of the field, against recorded outputs of the engines that follow them.

mod support;

use std::path::Path;

use support::{Npz, models_dir};
use teff_compiler::compile::import_quantized;
use teff_compiler::evaluate::exact::{Exact, Rule};
use teff_compiler::graph::{Graph, Op};

/// The integers of every value, with a rule for each operator.
fn chain(graph: &Graph, exact: &Exact<'_>, input: &[i8], rule: impl Fn(&Op) -> Rule) -> Vec<Vec<i8>> {
    let mut values: Vec<Vec<i8>> = graph.value_ids().map(|id| exact.value(id).to_vec()).collect();
    values[graph.inputs[0].value.index()] = input.to_vec();
    for (index, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<&[i8]> = node.inputs.iter().map(|id| values[id.index()].as_slice()).collect();
        let outcome = exact.run_node(index, &operands, rule(&node.op)).unwrap();
        values[node.output().index()] = outcome.integers;
    }
    values
}

/// Elements of `reference` (a file and an array in it) that differ, and how many there are. The reference is that of
/// the model's output, or of the softmax's input.
fn differing(
    folder: &Path,
    model: &str,
    reference: (&str, &str),
    rule: impl Fn(&Op) -> Rule + Copy,
) -> (usize, usize) {
    let bytes = std::fs::read(folder.join(format!("{model}.onnx"))).unwrap();
    let graph = import_quantized(&bytes).unwrap();
    let exact = Exact::new(&graph).unwrap();
    let x = Npz::open(&folder.join(format!("{model}.npz"))).unwrap().f32("x").unwrap().1;
    let y = Npz::open(&folder.join(format!("{}.npz", reference.0))).unwrap().f32(reference.1).unwrap().1;
    let (input, output) = (&graph.inputs[0], &graph.outputs[0]);
    let logits = reference.1.starts_with("logits");
    let softmax = graph.nodes.iter().find(|node| node.op == Op::Softmax);
    let mut wrong = 0;
    let cases = x.len() / input.shape.iter().product::<usize>();
    for (x, y) in x.chunks_exact(x.len() / cases).zip(y.chunks_exact(y.len() / cases)) {
        let x: Vec<i8> = x.iter().map(|&q| q as i8).collect();
        let values = chain(&graph, &exact, &input.to_value(&x), rule);
        let got = match softmax.filter(|_| logits) {
            Some(node) => values[node.inputs[0].index()].clone(),
            None => output.to_onnx(&values[output.value.index()]),
        };
        wrong += got.iter().zip(y).filter(|(a, b)| f32::from(**a) != **b).count();
    }
    (wrong, y.len())
}

/// TensorFlow Lite's reference kernels: one rounding in fully connected layers, two elsewhere.
fn lite(op: &Op) -> Rule {
    if let Op::FullyConnected { .. } = op { Rule::Single } else { Rule::Double }
}

#[test]
fn each_rule_gives_what_its_engine_gave() {
    let Some(folder) = models_dir("each_rule_gives_what_its_engine_gave") else { return };
    let mut faults = Vec::new();
    let mut check = |model: &str, reference: (&str, &str), rule: &dyn Fn(&Op) -> Rule, most: usize| {
        let (wrong, of) = differing(&folder, model, reference, rule);
        println!("{model}, {}: {wrong} of {of} differ", reference.1);
        if wrong > most {
            faults.push(format!("{model}, {}: {wrong} of {of} differ", reference.1));
        }
    };
    // An auto-encoder of ten fully connected layers: every rule shows end to end.
    for rule in [Rule::Exact, Rule::Single, Rule::Float] {
        check("ad01_qdq_tfl", ("ad01_int8", "y_ref"), &|_| rule, 0);
        check("ad01_qdq_tfl", ("ad01_qdq_tfl", "y_ort_off"), &|_| rule, 0);
    }
    check("ad01_qdq_tfl", ("ad01_int8", "y_tflm"), &|_| Rule::Double, 0);
    // Of the others the input of the softmax is recorded.
    check("kws_qdq_tfl", ("kws_ref_model", "logits_ref"), &lite, 0);
    check("sww_qdq_tfl", ("str_ww_ref_model", "logits_ref"), &lite, 0);
    check("vww_qdq_tfl", ("vww_96_int8", "logits_ref"), &lite, 0);
    check("ic_qdq_tfl", ("pretrainedResnet_quant", "logits_ref"), &lite, 0);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
