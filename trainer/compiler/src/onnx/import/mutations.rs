//! Sound files with one part exchanged: what comes of it is sound or refused, never a panic.

use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

use super::{OPERATORS, import};
use crate::compile::{compile, import_quantized};
use crate::evaluate::Evaluator;
use crate::graph::{Builder, Clamp, Conv2d, Graph, Padding, Tensor, Unary};
use crate::onnx::export;
use crate::onnx::proto::{AttributeProto, GraphProto, ModelProto};
use crate::quantize::{Method, quantize};

fn network() -> Graph {
    let tensor = |shape: &[usize]| {
        let len = shape.iter().product();
        Tensor::f32(shape, (0..len).map(|i| (i as f32 * 0.7).sin()).collect()).unwrap()
    };
    let mut b = Builder::new("mutated");
    let x = b.input("x", [1, 6, 5, 2]);
    let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    let conv = Conv2d { padding, ..Conv2d::default() };
    let y = b.conv_2d("conv", x, tensor(&[4, 3, 3, 2]), Some(vec![0.1; 4]), conv);
    let y = b.unary("six", y, Unary::Clamp(Clamp::RELU6));
    let d = b.depthwise_conv_2d("depthwise", y, tensor(&[1, 3, 3, 4]), None, conv);
    let s = b.add("sum", d, y);
    let g = b.global_average_pool("gap", s);
    let g = b.unary("gate", g, Unary::Sigmoid);
    let s = b.mul("scaled", s, g);
    let s = b.pad("pad", s, Padding { top: 0, left: 1, bottom: 2, right: 0 });
    let m = b.max_pool_2d("max", s, [2, 2], [2, 2], Padding::default());
    let a = b.average_pool_2d("mean", s, [2, 2], [2, 2], Padding::default());
    let y = b.concat("both", &[m, a], 3);
    let len = b.shape(y).iter().product();
    let y = b.fully_connected("dense", y, tensor(&[3, len]), Some(vec![0.0; 3]));
    let y = b.softmax("softmax", y);
    b.output("y", y);
    b.finish().unwrap()
}

fn files() -> [ModelProto; 2] {
    let graph = network();
    let sample: Vec<f32> = (0..60).map(|i| (i as f32).cos()).collect();
    let quantized = quantize(&graph, [vec![sample.as_slice()]], Method::MinMax).unwrap();
    [&graph, &quantized].map(|g| ModelProto::decode(export(g).unwrap().as_slice()).unwrap())
}

const NUMBERS: [i64; 14] = [0, 1, 2, 3, 4, 7, 8, -1, -2, 1 << 16, 1 << 31, i64::MAX, i64::MIN, 60];

fn names(graph: &GraphProto) -> Vec<String> {
    let initializers = graph.initializer.iter().filter_map(|t| t.name.clone());
    let inputs = graph.input.iter().filter_map(|i| i.name.clone());
    initializers.chain(inputs).chain(graph.node.iter().flat_map(|n| n.output.clone())).collect()
}

fn mutate(graph: &mut GraphProto, kind: u8, at: Index, second: Index, third: Index) {
    let names = names(graph);
    let number = *third.get(&NUMBERS);
    let (nodes, tensors) = (graph.node.len(), graph.initializer.len());
    if nodes == 0 || tensors == 0 {
        return;
    }
    match kind {
        0 => graph.node[at.index(nodes)].op_type = Some(second.get(OPERATORS).name.to_string()),
        1 => {
            let inputs = &mut graph.node[at.index(nodes)].input;
            if !inputs.is_empty() {
                let place = third.index(inputs.len());
                inputs[place] = second.get(&names).clone();
            }
        }
        2 => {
            graph.node[at.index(nodes)].input.push(second.get(&names).clone());
        }
        3 => {
            graph.node[at.index(nodes)].input.pop();
        }
        4 => {
            let attributes = &mut graph.node[at.index(nodes)].attribute;
            if !attributes.is_empty() {
                let place = second.index(attributes.len());
                let attribute = &mut attributes[place];
                if attribute.i.is_some() {
                    attribute.i = Some(number);
                } else if !attribute.ints.is_empty() {
                    let place = at.index(attribute.ints.len());
                    attribute.ints[place] = number;
                }
            }
        }
        5 => {
            let attributes = &mut graph.node[at.index(nodes)].attribute;
            if !attributes.is_empty() {
                attributes.remove(second.index(attributes.len()));
            }
        }
        6 => {
            const NAMES: [&str; 9] =
                ["axis", "axes", "perm", "ceil_mode", "auto_pad", "keepdims", "transA", "dilations", "mode"];
            graph.node[at.index(nodes)].attribute.push(AttributeProto {
                name: Some(second.get(&NAMES).to_string()),
                i: (number % 2 == 0).then_some(number),
                ints: if number % 2 == 0 { vec![] } else { vec![number, 1] },
                ..AttributeProto::default()
            });
        }
        7 => {
            let dims = &mut graph.initializer[at.index(tensors)].dims;
            if dims.is_empty() {
                dims.push(1);
            } else {
                let (a, b) = (second.index(dims.len()), third.index(dims.len()));
                dims.swap(a, b);
            }
        }
        8 => graph.initializer[at.index(tensors)].data_type = Some((number % 18) as i32),
        9 => {
            graph.initializer.remove(at.index(tensors));
        }
        10 => {
            if let Some(raw) = &mut graph.initializer[at.index(tensors)].raw_data
                && !raw.is_empty()
            {
                let place = second.index(raw.len());
                raw[place] = number as u8;
            }
        }
        11 => {
            graph.node.remove(at.index(nodes));
        }
        12 => {
            let tensor = graph.input[0].r#type.as_mut().and_then(|t| t.tensor_type.as_mut());
            if let Some(tensor) = tensor {
                tensor.elem_type = Some((number % 12) as i32);
                if let Some(shape) = &mut tensor.shape {
                    let place = at.index(shape.dim.len());
                    if third.index(3) == 0 {
                        shape.dim.remove(place);
                    } else {
                        shape.dim[place].dim_value = Some(number);
                    }
                }
            }
        }
        13 => {
            // An initializer seen under another shape of as many elements.
            let tensor = &mut graph.initializer[at.index(tensors)];
            let len: i64 = tensor.dims.iter().product();
            tensor.dims =
                [vec![len], vec![1, len], vec![len, 1], vec![1, 1, len], vec![]][second.index(5)].clone();
        }
        _ => {
            let place = at.index(nodes);
            graph.node[place].op_type = Some(
                ["Transpose", "Flatten", "Squeeze", "Identity", "ReduceMean", "Neg", "Softmax"]
                    [second.index(7)]
                .to_string(),
            );
            graph.node[place].attribute.clear();
            graph.node[place].input.truncate(1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn one_part_exchanged(
        quantized: bool,
        edits in prop::collection::vec((0u8..15, any::<Index>(), any::<Index>(), any::<Index>()), 1..3),
    ) {
        thread_local! {
            static FILES: [ModelProto; 2] = files();
        }
        let mut model = FILES.with(|f| f[usize::from(quantized)].clone());
        if let Some(graph) = &mut model.graph {
            for (kind, at, second, third) in edits {
                mutate(graph, kind, at, second, third);
            }
        }
        let bytes = model.encode_to_vec();
        if let Ok(graph) = import(&bytes)
            && graph.values().iter().all(|v| v.len() < 1 << 16)
        {
            let mut evaluator = Evaluator::new(&graph).unwrap();
            let inputs: Vec<Vec<f32>> =
                graph.inputs.iter().map(|p| vec![0.5; graph.value(p.value).len()]).collect();
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            evaluator.run(&inputs).unwrap();
            if import_quantized(&bytes).is_ok() {
                let _ = compile(&bytes, crate::Target::Generic);
            } else {
                let _ = quantize(&graph, [inputs], Method::MinMax).map(|q| export(&q));
            }
        }
    }
}
