//! Nodes run in the order that needs the least memory, whatever the order of the file.

mod support;

use teff::kernels::generic::Generic;
use teff::{AnyModel, Model, ModelFile, Session};
use teff_compiler::graph::{Builder, Conv2d, Graph, Tensor, ValueId};
use teff_compiler::lower::{Compiled, lower_with};
use teff_compiler::{Options, Target};

use support::quantized::{Random, quantized};

const BRANCHES: usize = 3;
const SIDE: usize = 12;

/// Branches that each widen the input and narrow it again, and their sum: all branches side by side, or one after the
/// other. Weights go by the branch.
fn branches(side_by_side: bool) -> Graph {
    let mut b = Builder::new("branches");
    let x = b.input("x", [1, SIDE, SIDE, 8]);
    let filter = |layer: usize, branch: usize, shape: &[usize]| -> Tensor {
        Random((layer * BRANCHES + branch) as u64).tensor(shape)
    };
    let widen = |b: &mut Builder, branch: usize| -> ValueId {
        let wide = filter(0, branch, &[32, 1, 1, 8]);
        b.conv_2d(&format!("widen{branch}"), x, wide, None, Conv2d::default())
    };
    let narrow = |b: &mut Builder, branch: usize, x: ValueId| -> ValueId {
        let narrow = filter(1, branch, &[8, 1, 1, 32]);
        b.conv_2d(&format!("narrow{branch}"), x, narrow, None, Conv2d::default())
    };
    let add = |b: &mut Builder, sum: &mut Option<ValueId>, branch: usize, narrow: ValueId| {
        *sum = Some(sum.map_or(narrow, |sum| b.add(&format!("sum{branch}"), sum, narrow)));
    };
    let mut sum = None;
    if side_by_side {
        let wide: Vec<ValueId> = (0..BRANCHES).map(|branch| widen(&mut b, branch)).collect();
        let narrowed: Vec<ValueId> =
            wide.into_iter().enumerate().map(|(branch, wide)| narrow(&mut b, branch, wide)).collect();
        narrowed.into_iter().enumerate().for_each(|(branch, x)| add(&mut b, &mut sum, branch, x));
    } else {
        for branch in 0..BRANCHES {
            let wide = widen(&mut b, branch);
            let narrowed = narrow(&mut b, branch, wide);
            add(&mut b, &mut sum, branch, narrowed);
        }
    }
    b.output("y", sum.unwrap());
    let mut random = Random(99);
    let input: Vec<f32> = (0..SIDE * SIDE * 8).map(|_| random.real()).collect();
    quantized(b.finish().unwrap(), &input)
}

fn compile(graph: &Graph, options: &Options) -> Result<Compiled, String> {
    lower_with(graph, Target::Generic, options, [0; 32]).map_err(|error| error.to_string())
}

fn run(plan: &[u8]) -> Vec<i8> {
    let file = ModelFile::from_bytes(plan).unwrap();
    let model = Model::open::<AnyModel, Generic>(file.model().as_bytes()).unwrap();
    let mut arena = file.arena();
    let mut session = Session::<AnyModel, Generic>::with_model(model, arena.as_mut_slice()).unwrap();
    session.input_mut(0).iter_mut().enumerate().for_each(|(i, q)| *q = (i * 89 + i / 7) as i8);
    session.invoke();
    session.output(0).values.to_vec()
}

#[test]
fn branches_run_one_after_the_other() {
    let [apart, together] = [false, true].map(branches);
    for overlap in [true, false] {
        let options = Options { overlap, ..Options::default() };
        let [apart, together] = [&apart, &together].map(|graph| compile(graph, &options).unwrap());
        assert_eq!(together.report.arena_bytes, apart.report.arena_bytes, "overlap: {overlap}");
        let notes = |compiled: &Compiled| {
            compiled.report.notes.iter().filter(|note| note.contains("another order")).count()
        };
        assert_eq!((notes(&apart), notes(&together)), (0, 1));
        // Two wide values never stand beside each other.
        let wide = (SIDE * SIDE * 32) as u64;
        assert!(together.report.live_set_bytes < 2 * wide, "{} bytes", together.report.live_set_bytes);
        assert_eq!(run(&together.plan), run(&apart.plan), "overlap: {overlap}");
    }
}

#[test]
fn a_ram_budget_is_kept_whatever_the_order() {
    let [apart, together] = [false, true].map(branches);
    let expected = run(&compile(&apart, &Options::default()).unwrap().plan);
    let budget = compile(&apart, &Options::default()).unwrap().report.arena_bytes as usize;
    let options = Options { ram_bytes: Some(budget), ..Options::default() };
    let compiled = compile(&together, &options).unwrap();
    assert!(compiled.report.arena_bytes <= budget as u64);
    assert_eq!(run(&compiled.plan), expected);
}

#[test]
fn an_order_that_gains_nothing_is_left_as_it_is() {
    let graph = branches(false);
    let compiled = compile(&graph, &Options::default()).unwrap();
    let names: Vec<&str> = compiled.report.layers.iter().map(|layer| layer.name.as_str()).collect();
    let own: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, own);
}
