//! From a user's arrays to single inferences, and back.
//!
//! Arrays are matched to inputs by name, or by their order where the names do not match. An array may have the shape of
//! the input, or a leading axis of any length in place of (or before) the input's first axis, which then is 1 or open.
//! int8 numbers are quantized units wherever the model computes in int8; numbers of any other type are real numbers.

use std::path::Path;

use anyhow::{Result, anyhow, bail};

use super::{Engine, Port, shape_text};
use crate::arrays::{Array, Data, ElementType, Named};
use crate::error::InputError;

/// The inferences that a set of arrays asks for: per example one array per input.
pub fn examples(inputs: &[Port], arrays: &[Named], file: &Path) -> Result<Vec<Vec<Array>>> {
    let chosen = choose(inputs, arrays, file)?;
    let mut columns = Vec::with_capacity(inputs.len());
    for (port, named) in inputs.iter().zip(chosen) {
        columns.push(split(port, named, file)?);
    }
    let count = columns.first().map_or(0, Vec::len);
    if let Some(odd) = columns.iter().position(|column| column.len() != count) {
        bail!(InputError::new(
            file,
            format!(
                "has {count} examples for input `{}` but {} for `{}`",
                inputs[0].name,
                columns[odd].len(),
                inputs[odd].name
            ),
            "give every input the same number of examples",
        ));
    }
    let mut examples: Vec<Vec<Array>> = (0..count).map(|_| Vec::with_capacity(inputs.len())).collect();
    for column in columns {
        for (example, array) in examples.iter_mut().zip(column) {
            example.push(array);
        }
    }
    Ok(examples)
}

/// Runs all inferences and stacks what they give: one array per output.
pub fn run(
    engine: &mut dyn Engine,
    examples: &[Vec<Array>],
    mut progress: impl FnMut(usize),
) -> Result<Vec<Named>> {
    let mut stacked: Vec<Option<Array>> = vec![None; engine.outputs().len()];
    for chunk in examples.chunks(engine.chunk()) {
        for outputs in engine.run(chunk)? {
            for (stack, output) in stacked.iter_mut().zip(outputs) {
                push(stack, output)?;
            }
        }
        progress(chunk.len());
    }
    let ports = engine.outputs();
    let named = ports.iter().zip(stacked).map(|(port, array)| {
        let array = array.ok_or_else(|| anyhow!("output `{}`: there is no example to run", port.name))?;
        Ok(Named { name: port.name.clone(), array })
    });
    named.collect()
}

/// Arrays of single examples as one, with the examples along its first axis.
///
/// # Errors
/// There is none, or their shapes or types differ.
pub fn stack<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Result<Array> {
    let mut stacked = None;
    for array in arrays {
        push(&mut stacked, array.clone())?;
    }
    stacked.ok_or_else(|| anyhow!("there is no example"))
}

/// Adds one inference's output to those before it, along the first axis.
fn push(stack: &mut Option<Array>, mut output: Array) -> Result<()> {
    if output.shape.first() != Some(&1) {
        output.shape.insert(0, 1);
    }
    let Some(stack) = stack else {
        *stack = Some(output);
        return Ok(());
    };
    if stack.shape[1..] != output.shape[1..] || !stack.append(&output) {
        bail!("an output changes its shape or type from one example to the next");
    }
    stack.shape[0] += 1;
    Ok(())
}

/// The array for each input: by name where every input finds one, else by order.
fn choose<'a>(inputs: &[Port], arrays: &'a [Named], file: &Path) -> Result<Vec<&'a Named>> {
    let by_name: Option<Vec<&Named>> =
        inputs.iter().map(|port| arrays.iter().find(|named| named.name == port.name)).collect();
    if let Some(chosen) = by_name {
        return Ok(chosen);
    }
    if arrays.len() < inputs.len() {
        let names: Vec<String> = inputs.iter().map(|port| format!("`{}`", port.name)).collect();
        bail!(InputError::new(
            file,
            format!("has {} arrays; the model reads {}", arrays.len(), inputs.len()),
            format!("give one array for each of {}", names.join(", ")),
        ));
    }
    Ok(arrays.iter().take(inputs.len()).collect())
}

/// The examples of one array, each with the port's shape and type.
fn split(port: &Port, named: &Named, file: &Path) -> Result<Vec<Array>> {
    let Named { name, array } = named;
    if let Some(at) = array.to_f64().iter().position(|x| !x.is_finite()) {
        bail!(InputError::new(
            file.join(name),
            format!("number {at} is not finite"),
            "replace infinities and what is not a number",
        ));
    }
    let fits = |shape: &[usize], wanted: &[Option<usize>]| {
        shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(&size, wanted)| wanted.is_none_or(|wanted| wanted == size))
    };
    let shape = array.shape.as_slice();
    let open_first = port.shape.first().is_some_and(|first| first.is_none_or(|first| first == 1));
    let (count, one) = if open_first
        && !shape.is_empty()
        && fits(&shape[1..], &port.shape[1..])
        && shape.len() == port.shape.len()
    {
        (shape[0], [&[1], &shape[1..]].concat())
    } else if fits(shape, &port.shape) {
        (1, shape.to_vec())
    } else if !shape.is_empty() && fits(&shape[1..], &port.shape) {
        (shape[0], shape[1..].to_vec())
    } else if open_first && fits(shape, &port.shape[1..]) {
        (1, [&[1], shape].concat())
    } else {
        bail!(InputError::new(
            file.join(name),
            format!(
                "has shape {shape:?}, but input `{}` of the model is {}",
                port.name,
                shape_text(&port.shape)
            ),
            "give an array of that shape, or one with a leading axis of examples",
        ));
    };
    if count == 0 || array.is_empty() {
        bail!(InputError::new(file.join(name), "holds no example", "give at least one"));
    }
    let len = one.iter().product::<usize>();
    let converted = convert(port, array).map_err(|problem| {
        InputError::new(file.join(name), problem, "give float32, or int8 in the model's quantized units")
    })?;
    Ok((0..count).map(|i| converted.slice(i * len, (i + 1) * len, &one)).collect())
}

/// The same numbers in the port's type.
pub(crate) fn convert(port: &Port, array: &Array) -> std::result::Result<Array, String> {
    let (from, to) = (array.element_type(), port.element_type);
    let data = match (&array.data, to, port.quant) {
        _ if from == to => array.data.clone(),
        (Data::I8(raw), ElementType::F32, Some(quant)) => {
            Data::F32(raw.iter().map(|&q| quant.dequantize(q)).collect())
        }
        (_, ElementType::I8, Some(quant)) => {
            Data::I8(array.to_f32().iter().map(|&real| quant.quantize(real)).collect())
        }
        (Data::I8(raw), ElementType::U8, Some(_)) => Data::U8(raw.iter().map(|&q| shifted(q)).collect()),
        (_, ElementType::U8, Some(quant)) => {
            Data::U8(array.to_f32().iter().map(|&real| shifted(quant.quantize(real))).collect())
        }
        (_, ElementType::F32, _) => Data::F32(array.to_f32()),
        (_, ElementType::F64, _) => Data::F64(array.to_f64()),
        (_, ElementType::I64, _) if is_whole(array) => {
            Data::I64(array.to_f64().iter().map(|&x| x as i64).collect())
        }
        (_, ElementType::I32, _) if is_whole(array) => {
            Data::I32(array.to_f64().iter().map(|&x| x as i32).collect())
        }
        _ => {
            return Err(format!(
                "holds {}, but input `{}` of the model takes {}",
                from.name(),
                port.name,
                to.name()
            ));
        }
    };
    Ok(Array { shape: array.shape.clone(), data })
}

fn is_whole(array: &Array) -> bool {
    array.to_f64().iter().all(|x| x.fract() == 0.0)
}

/// The uint8 that means the same as an int8.
fn shifted(q: i8) -> u8 {
    (i16::from(q) + 128) as u8
}

/// Outputs in quantized units as the real numbers that they stand for; others stay.
pub fn dequantize(ports: &[Port], outputs: &mut [Named]) {
    for (port, Named { array, .. }) in ports.iter().zip(outputs) {
        let Some(quant) = port.quant else { continue };
        match &array.data {
            Data::I8(raw) => array.data = Data::F32(raw.iter().map(|&q| quant.dequantize(q)).collect()),
            Data::U8(raw) => {
                let real = |&q: &u8| quant.dequantize((i16::from(q) - 128) as i8);
                array.data = Data::F32(raw.iter().map(real).collect());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Quant;

    fn port(shape: &[Option<usize>], element_type: ElementType, quant: Option<Quant>) -> Port {
        Port { name: "in".to_string(), shape: shape.to_vec(), element_type, quant }
    }

    fn named(name: &str, array: Array) -> Named {
        Named { name: name.to_string(), array }
    }

    fn shapes(port: &Port, shape: &[usize]) -> Option<(usize, Vec<usize>)> {
        let array = Array::f32(shape, vec![0.0; shape.iter().product()]);
        let examples = examples(std::slice::from_ref(port), &[named("x", array)], Path::new("x.npz")).ok()?;
        Some((examples.len(), examples[0][0].shape.clone()))
    }

    #[test]
    fn leading_axes_are_examples() {
        for first in [Some(1), None] {
            let port = port(&[first, Some(2), Some(3)], ElementType::F32, None);
            assert_eq!(shapes(&port, &[1, 2, 3]), Some((1, vec![1, 2, 3])));
            assert_eq!(shapes(&port, &[5, 2, 3]), Some((5, vec![1, 2, 3])));
            assert_eq!(shapes(&port, &[5, 1, 2, 3]), Some((5, vec![1, 2, 3])));
            assert_eq!(shapes(&port, &[2, 3]), Some((1, vec![1, 2, 3])));
            assert_eq!(shapes(&port, &[3, 2]), None);
            assert_eq!(shapes(&port, &[0, 2, 3]), None);
        }
        let fixed = port(&[Some(4), Some(2)], ElementType::F32, None);
        assert_eq!(shapes(&fixed, &[4, 2]), Some((1, vec![4, 2])));
        assert_eq!(shapes(&fixed, &[8, 2]), None);
    }

    #[test]
    fn names_come_before_order() {
        let inputs = [port(&[Some(1), Some(1)], ElementType::F32, None)];
        let arrays = [named("first", Array::f32(&[1], vec![1.0])), named("in", Array::f32(&[1], vec![2.0]))];
        let examples = examples(&inputs, &arrays, Path::new("x.npz")).unwrap();
        assert_eq!(examples[0][0].data, Data::F32(vec![2.0]));
    }

    #[test]
    fn real_numbers_are_quantized_and_raw_ones_taken() {
        let quant = Some(Quant { scale: 0.5, zero_point: -3 });
        let integer = port(&[Some(1), Some(4)], ElementType::I8, quant);
        let real = Array::f32(&[4], vec![0.0, 0.75, 1000.0, f32::NAN]);
        assert_eq!(convert(&integer, &real).unwrap().data, Data::I8(vec![-3, -1, 127, -3]));
        let raw = Array::i8(&[4], vec![-128, 0, 1, 127]);
        assert_eq!(convert(&integer, &raw).unwrap(), raw);
        let float = port(&[Some(1), Some(4)], ElementType::F32, quant);
        assert_eq!(convert(&float, &raw).unwrap().data, Data::F32(vec![-62.5, 1.5, 2.0, 65.0]));
        let without = port(&[Some(1), Some(4)], ElementType::I8, None);
        assert!(convert(&without, &real).is_err());
    }

    #[test]
    fn wrong_shapes_name_file_and_remedy() {
        let inputs = [port(&[Some(1), Some(2)], ElementType::F32, None)];
        let arrays = [named("x", Array::f32(&[3], vec![0.0; 3]))];
        let error = examples(&inputs, &arrays, Path::new("a.npz")).unwrap_err().to_string();
        assert!(error.contains("a.npz/x") && error.contains("[1, 2]") && error.contains("Remedy"), "{error}");
    }
}
