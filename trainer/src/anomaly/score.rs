//! The score of one window: as on the device where the numbers are its integers, and in the same unit where they are
//! real.

use anyhow::{Result, bail};
use teff_app::anomaly::{self, Reconstruction};
use teff_app::decision::{Kind, MOST};

use super::Subject;
use crate::arrays::{Array, ElementType};
use crate::engine::exact::signed;
use crate::engine::{Port, Quant};
use crate::error::InputError;

/// How inputs and outputs become scores.
#[derive(Debug)]
pub struct Comparison {
    how: How,
    /// For each number of the output, the number of the input that it is compared with.
    order: Option<Vec<usize>>,
}

#[derive(Debug)]
enum How {
    /// The only output, in steps above its zero point.
    Score(Quant),
    /// The device's integers.
    Integers(Reconstruction),
    /// Real numbers: the step of the input, and what the input is rounded to where the model does that.
    Real { step: f64, rounded: Option<Quant> },
}

impl Comparison {
    /// For the ports of an engine; `order` gives, for each number of the input as `[h, w, c]`, its index in the array.
    ///
    /// # Errors
    /// The ports are not those of such a model, or the engine does not tell the scale of what is needed.
    pub fn new(
        subject: &Subject<'_>,
        inputs: &[Port],
        outputs: &[Port],
        order: &[usize],
    ) -> Result<Comparison> {
        let fault = |problem: String, remedy: &str| InputError::new(subject.model, problem, remedy);
        let len = |port: &Port| port.shape.iter().map(|size| size.unwrap_or(1)).product::<usize>();
        let ([input], [output]) = (inputs, outputs) else {
            bail!(fault(
                format!("has {} inputs and {} outputs", inputs.len(), outputs.len()),
                "a score is computed of one input and one output",
            ));
        };
        if subject.kind == Kind::Score {
            let Some(quant) = output.quant else {
                bail!(fault(
                    "is run by an engine that does not tell the scale of its output".to_string(),
                    "use `--engine teff`, `exact` or `float`",
                ));
            };
            if len(output) != 1 {
                bail!(fault(
                    format!("is to give one score, but has an output of {} numbers", len(output)),
                    "correct `kind` in its line `teff.decision`",
                ));
            }
            return Ok(Comparison { how: How::Score(quant), order: None });
        }
        if len(input) != len(output) {
            bail!(fault(
                format!("is to give its {} inputs again, but gives {} numbers", len(input), len(output)),
                "end the network with as many outputs as features",
            ));
        }
        let is_real = |port: &Port| port.element_type == ElementType::F32;
        let how = match (input.quant, output.quant, subject.input_step) {
            (Some(a), Some(b), _) if !is_real(input) && !is_real(output) => {
                let Some(reconstruction) = Reconstruction::new(a, b) else {
                    bail!(fault(
                        format!("has an output of scale {}, its input one of {}", b.scale, a.scale),
                        "quantize it again: devices take output steps of 2^-16 to 64 input steps",
                    ));
                };
                How::Integers(reconstruction)
            }
            (Some(quant), ..) => How::Real { step: f64::from(quant.scale), rounded: Some(quant) },
            (None, _, Some(step)) => How::Real { step: f64::from(step), rounded: None },
            (None, _, None) => bail!(fault(
                "computes in floating point, but its threshold is in steps of a quantized input".to_string(),
                "give the quantized model",
            )),
        };
        // Of an input of the output's shape the numbers are in the same order.
        let order = (input.shape != output.shape && !order.is_empty()).then(|| order.to_vec());
        Ok(Comparison { how, order })
    }

    /// The score, in 256ths; nothing where a number is none.
    pub fn score(&self, input: &Array, output: &Array) -> Option<u32> {
        match &self.how {
            How::Score(quant) => match signed(output) {
                Some(output) => Some(anomaly::score(&output, *quant)),
                None => {
                    let real = output.to_f32().first().copied().filter(|real| real.is_finite())?;
                    Some(anomaly::score(&[quant.quantize(real)], *quant))
                }
            },
            How::Integers(reconstruction) => {
                Some(reconstruction.score(&self.ordered(&signed(input)?), &signed(output)?))
            }
            How::Real { step, rounded } => {
                let (a, b) = (self.ordered(&input.to_f32()), output.to_f32());
                let sum: f64 = a
                    .iter()
                    .zip(&b)
                    .map(|(&a, &b)| {
                        let a = rounded.map_or(a, |quant| quant.dequantize(quant.quantize(a)));
                        let steps = (f64::from(a) - f64::from(b)) / step;
                        steps * steps
                    })
                    .sum();
                let mean = sum / a.len().max(1) as f64;
                mean.is_finite().then(|| (mean * 256.0).min(f64::from(MOST)) as u32)
            }
        }
    }

    fn ordered<T: Copy>(&self, input: &[T]) -> Vec<T> {
        match &self.order {
            Some(order) => order.iter().map(|&index| input[index]).collect(),
            None => input.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::Facts;
    use std::path::Path;

    fn port(shape: &[usize], element_type: ElementType, quant: Option<Quant>) -> Port {
        let shape = shape.iter().map(|&size| Some(size)).collect();
        Port { name: "x".into(), shape, element_type, quant }
    }

    fn facts() -> Facts {
        let mut builder = teff_compiler::graph::Builder::new("x");
        let x = builder.input("x", [1, 1, 1, 2]);
        let y = builder.softmax("s", x);
        builder.output("y", y);
        Facts::of_graph(&builder.finish().unwrap())
    }

    fn compare(
        kind: Kind,
        step: Option<f32>,
        input: Port,
        output: Port,
        order: &[usize],
    ) -> Result<Comparison> {
        let facts = facts();
        let subject = Subject { model: Path::new("m.onnx"), facts: &facts, kind, input_step: step };
        Comparison::new(&subject, &[input], &[output], order)
    }

    const STEP: Quant = Quant { scale: 0.5, zero_point: -3 };

    #[test]
    fn integers_and_real_numbers_have_one_unit() {
        let port_of = |element_type, quant| port(&[1, 4], element_type, quant);
        let integers = compare(
            Kind::Reconstruction,
            None,
            port_of(ElementType::I8, Some(STEP)),
            port_of(ElementType::I8, Some(STEP)),
            &[],
        );
        let real = compare(
            Kind::Reconstruction,
            Some(0.5),
            port_of(ElementType::F32, None),
            port_of(ElementType::F32, None),
            &[],
        );
        let (a, b) = ([1_i8, 2, 3, 4], [3_i8, 2, 3, -4]);
        let real_of = |q: [i8; 4]| Array::f32(&[1, 4], q.map(|q| STEP.dequantize(q)).to_vec());
        let expected = (4 + 64) * 256 / 4;
        let given = (Array::i8(&[1, 4], a.to_vec()), Array::i8(&[1, 4], b.to_vec()));
        assert_eq!(integers.unwrap().score(&given.0, &given.1), Some(expected));
        let real = real.unwrap();
        assert_eq!(real.score(&real_of(a), &real_of(b)), Some(expected));
        let none = Array::f32(&[1, 4], vec![0.0, f32::NAN, 0.0, 0.0]);
        assert_eq!(real.score(&real_of(a), &none), None);
        let far = Array::f32(&[1, 4], vec![1e6; 4]);
        assert_eq!(real.score(&real_of(a), &far), Some(MOST));
    }

    #[test]
    fn places_are_compared_as_the_device_has_them() {
        // Two channels of two rows as ONNX has them, against a flat output.
        let order = [0, 2, 1, 3];
        let input = port(&[1, 2, 2, 1], ElementType::I8, Some(STEP));
        let flat =
            compare(Kind::Reconstruction, None, input, port(&[1, 4], ElementType::I8, Some(STEP)), &order);
        let given = (Array::i8(&[1, 2, 2, 1], vec![1, 2, 3, 4]), Array::i8(&[1, 4], vec![1, 3, 2, 4]));
        assert_eq!(flat.unwrap().score(&given.0, &given.1), Some(0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let int = |shape: &[usize], scale| port(shape, ElementType::I8, Some(Quant { scale, zero_point: 0 }));
        let refused = |kind, input, output| compare(kind, None, input, output, &[]).unwrap_err().to_string();
        let error = refused(Kind::Reconstruction, int(&[1, 4], 1.0), int(&[1, 3], 1.0));
        assert!(error.contains("4 inputs again, but gives 3"), "{error}");
        let error = refused(Kind::Reconstruction, int(&[1, 4], 1.0), int(&[1, 4], 65.0));
        assert!(error.contains("64 input steps"), "{error}");
        assert!(refused(Kind::Score, int(&[1, 4], 1.0), int(&[1, 2], 1.0)).contains("one score"));
        let float = || port(&[1, 4], ElementType::F32, None);
        assert!(refused(Kind::Reconstruction, float(), float()).contains("floating point"));
        assert!(refused(Kind::Score, float(), float()).contains("scale of its output"));
    }
}
