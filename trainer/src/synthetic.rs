//! Inputs that are generated and not recorded: for golden vectors, and for sizes of models without data.

use teff_compiler::Result;
use teff_compiler::graph::Graph;
use teff_compiler::quantize::{Method, quantize};

use crate::arrays::{Array, Data, ElementType};
use crate::engine::Port;
use crate::rng::Rng;
use crate::twister::Twister;

/// Seed of golden inputs. It is part of what a golden file means: another one makes other files.
const SEED: u64 = 0x7eff;

/// A float graph quantized on random numbers: of the right size, but not to be used for anything else.
pub fn quantized(graph: &Graph) -> Result<Graph> {
    let mut rng = Rng::for_purpose(SEED, "sizes");
    let inputs: Vec<Vec<f32>> = graph
        .inputs
        .iter()
        .map(|port| (0..graph.value(port.value).len()).map(|_| rng.normal() as f32).collect())
        .collect();
    let sample: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    quantize(graph, [sample], Method::MinMax)
}

/// `count` examples in quantized units: the lowest and the highest numbers, real zero, then random ones, half of them
/// smooth.
pub fn examples(inputs: &[Port], count: usize) -> Vec<Vec<Array>> {
    let mut rng = Rng::for_purpose(SEED, "golden");
    (0..count).map(|case| inputs.iter().map(|port| example(port, case, &mut rng)).collect()).collect()
}

/// One example in quantized units: what numpy's `RandomState(0).randint(-128, 128, size=shape)` gives for each input.
pub fn as_numpy(inputs: &[Port]) -> Vec<Array> {
    let array = |port: &Port| {
        let mut twister = Twister::new(0);
        let shape: Vec<usize> = port.shape.iter().map(|size| size.unwrap_or(1)).collect();
        let numbers = (0..shape.iter().product()).map(|_| twister.int8()).collect();
        quantized_array(port, shape, numbers)
    };
    inputs.iter().map(array).collect()
}

fn quantized_array(port: &Port, shape: Vec<usize>, numbers: Vec<i8>) -> Array {
    let data = match port.element_type {
        ElementType::U8 => Data::U8(numbers.iter().map(|&q| (i16::from(q) + 128) as u8).collect()),
        _ => Data::I8(numbers),
    };
    Array { shape, data }
}

fn example(port: &Port, case: usize, rng: &mut Rng) -> Array {
    let shape: Vec<usize> = port.shape.iter().map(|size| size.unwrap_or(1)).collect();
    let len = shape.iter().product();
    let zero_point = port.quant.map_or(0, |quant| quant.zero_point);
    let numbers: Vec<i8> = match case {
        0 => vec![i8::MIN; len],
        1 => vec![i8::MAX; len],
        2 => vec![zero_point; len],
        _ if case % 2 == 1 => (0..len).map(|_| (rng.next_u64() >> 56) as i8).collect(),
        _ => smooth(len, rng),
    };
    quantized_array(port, shape, numbers)
}

/// A walk of small steps that turns back at the ends of the range. Integers only: the same on every machine.
fn smooth(len: usize, rng: &mut Rng) -> Vec<i8> {
    let mut at = rng.below(256) as i32 - 128;
    let mut numbers = Vec::with_capacity(len);
    for _ in 0..len {
        at += rng.below(17) as i32 - 8;
        if at > 127 {
            at = 254 - at;
        } else if at < -128 {
            at = -256 - at;
        }
        numbers.push(at as i8);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Quant;

    #[test]
    fn golden_inputs_do_not_change() {
        let port = Port {
            name: "x".to_string(),
            shape: vec![Some(1), Some(4)],
            element_type: ElementType::I8,
            quant: Some(Quant { scale: 1.0, zero_point: 5 }),
        };
        let examples = examples(&[port], 5);
        assert_eq!(examples[0][0], Array::i8(&[1, 4], vec![-128; 4]));
        assert_eq!(examples[2][0], Array::i8(&[1, 4], vec![5; 4]));
        assert_eq!(examples[3], self::examples(&[examples_port()], 5)[3]);
        let Data::I8(walk) = &examples[4][0].data else { panic!("int8 is generated") };
        assert!(walk.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 8));
    }

    fn examples_port() -> Port {
        Port {
            name: "y".to_string(),
            shape: vec![Some(1), Some(4)],
            element_type: ElementType::I8,
            quant: None,
        }
    }
}
