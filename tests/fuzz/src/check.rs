//! What is done with a hostile file, and what must hold.

use teff::plan::file::ModelFile;
use teff::{AnyModel, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Graph, Op};
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, compile, onnx, passes};

/// Models that need more multiply-accumulates are imported and compiled, but not run.
const WORK: usize = 2_000_000;

/// What the importer says where no layout suits all operators.
const LAYOUT: [&str; 6] = [
    "have to be transposed",
    "different orders",
    "cannot be seen as",
    "have to move elements",
    "cannot be combined",
    "repeating",
];

/// Reads a model file; what is read is compiled and run, a float model after quantization.
pub fn model(bytes: &[u8]) {
    let Ok(graph) = teff_compiler::import(bytes) else { return };
    graph.verify().expect("an imported graph is sound");
    let mut simple = graph.clone();
    passes::simplify(&mut simple);
    simple.verify().expect("a simplified graph is sound");
    if graph.has_integers() {
        if let Ok(compiled) = compile(bytes, Target::Generic) {
            plan_of_ours(&compiled.plan, work(&graph) < WORK);
        }
        return;
    }
    if work(&graph) >= WORK {
        return;
    }
    let inputs: Vec<Vec<f32>> = graph
        .inputs
        .iter()
        .map(|port| (0..graph.value(port.value).len()).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect())
        .collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    if let Ok(mut evaluator) = Evaluator::new(&graph) {
        let _ = evaluator.run(&inputs);
    }
    let Ok(quantized) = quantize(&graph, [inputs], Method::MinMax) else { return };
    quantized.verify().expect("a quantized graph is sound");
    let Ok(file) = onnx::export(&quantized) else { return };
    let again = match onnx::import(&file) {
        Ok(again) => again,
        // Axes of size 1 leave the layout open, and the importer may settle for one that a later operator refuses.
        Err(error) if LAYOUT.iter().any(|words| error.reason.contains(words)) => return,
        Err(error) => panic!("an exported file cannot be imported: {error}"),
    };
    again.verify().expect("and is sound");
    if let Ok(compiled) = compile(&file, Target::Generic) {
        plan_of_ours(&compiled.plan, true);
    }
}

/// Multiply-accumulates and elements of one inference, roughly.
fn work(graph: &Graph) -> usize {
    let mut work = 0usize;
    for node in &graph.nodes {
        let outputs: usize = node.outputs.iter().map(|&id| graph.value(id).len()).sum();
        let filter = || node.inputs.get(1).map_or(1, |&id| graph.value(id).len());
        let each = match &node.op {
            Op::Conv2d(_) | Op::FullyConnected { .. } | Op::DepthwiseConv2d(_) => filter(),
            Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => pool.filter[0].saturating_mul(pool.filter[1]),
            _ => 1,
        };
        work = work.saturating_add(outputs.saturating_mul(each));
    }
    work
}

fn plan_of_ours(plan: &[u8], run: bool) {
    let file = ModelFile::from_bytes(plan).expect("a compiled plan passes its check");
    if run {
        run_plan(&file);
    }
}

/// Runs a plan, once in one go and once in the smallest steps: the same outputs.
fn run_plan(file: &ModelFile) {
    let outputs = |steps: bool| {
        let mut arena = file.arena();
        let model = file.model();
        let (n_inputs, n_outputs) = (model.n_inputs(), model.n_outputs());
        let mut session = Session::<AnyModel>::from_model(model, arena.as_mut_slice())
            .expect("the arena is of the size that the plan asks for");
        for input in 0..n_inputs {
            for (i, q) in session.input_mut(input).iter_mut().enumerate() {
                *q = (i * 89 % 251) as u8 as i8;
            }
        }
        if steps {
            while session.step(1) == teff::Progress::Pending {}
        } else {
            session.invoke();
        }
        (0..n_outputs).map(|i| session.output(i).values.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(outputs(false), outputs(true), "steps give what one inference gives");
}

/// Reads a plan; its checksum is made right first, or nothing would ever get behind it.
pub fn plan(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 16 {
        let crc = crc32(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    let Ok(file) = ModelFile::from_bytes(&bytes) else { return };
    let model = file.model();
    let small = |ops: usize| ops <= 64;
    let elements: usize = model.ops().map(|op| cost(&model, &op)).fold(0, usize::saturating_add);
    let _ = model.metadata().count();
    if small(model.ops().count()) && elements < WORK && model.header().arena_bytes < 1 << 24 {
        run_plan(&file);
    }
}

fn cost(model: &teff::Model<'_>, op: &teff::plan::OpRecord) -> usize {
    let outputs = model.value(op.output).view.extent.len();
    let window = op.window.filter_h.saturating_mul(op.window.filter_w).max(1);
    let channels = model.value(op.inputs[0]).view.extent.c.max(1);
    outputs.saturating_mul(window).saturating_mul(channels)
}

/// CRC-32 (ISO-HDLC), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}
