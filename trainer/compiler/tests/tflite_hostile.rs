//! Damaged and odd TensorFlow Lite files: an error that names the operator or tensor, never a panic.

mod support;
#[path = "support/tflite_file.rs"]
mod tflite_file;

use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::Op;
use teff_compiler::{Target, compile, import};
use tflite_file::{F32, Field, File, I8, I16, I32, Table, U8};

/// A quantized network: convolution, pooling, reshape, fully connected layer, softmax.
fn quantized() -> File {
    let mut file = File::default();
    let x = file.quantized_input(&[1, 4, 4, 2], I8, 0.1, 3);
    let bytes: Vec<u8> = (0..3 * 9 * 2).map(|i| (i * 37 % 251) as u8 & 0x7f).collect();
    let w = file.bytes(&[3, 3, 3, 2], I8, &bytes, &[0.01, 0.02, 0.03], &[0, 0, 0], 0);
    let bias: Vec<u8> = [1i32, 2, 3].iter().flat_map(|b| b.to_le_bytes()).collect();
    let b = file.bytes(&[3], I32, &bias, &[0.001, 0.002, 0.003], &[0, 0, 0], 0);
    let y = file.quantized("conv", &[1, 4, 4, 3], I8, 0.2, 0);
    let options = Table::default().with(1, Field::Int(1)).with(2, Field::Int(1)).with(3, Field::Byte(1));
    file.op(3, &[x, w, b], y, Some((1, options)));
    let p = file.quantized("pool", &[1, 2, 2, 3], I8, 0.2, 0);
    let pool = (1..5).fold(Table::default(), |table, number| table.with(number, Field::Int(2)));
    file.op(17, &[y], p, Some((5, pool)));
    let shape = file.ints("shape", &[2], &[1, -1]);
    let r = file.quantized("flat", &[1, 12], I8, 0.2, 0);
    file.op(22, &[p, shape], r, None);
    let w = file.bytes(&[2, 12], I8, &bytes[..24], &[0.05], &[0], 0);
    let d = file.quantized("dense", &[1, 2], I8, 0.3, 1);
    file.op(9, &[r, w, -1], d, Some((8, Table::default())));
    let s = file.quantized("scores", &[1, 2], I8, 1.0 / 256.0, -128);
    file.op(25, &[d], s, Some((9, Table::default().with(0, Field::Real(1.0)))));
    file.outputs = vec![s];
    file
}

/// A float network: transposition, addition, mean, concatenation, padding.
fn float() -> File {
    let mut file = File::default();
    let x = file.input("x", &[1, 2, 3, 4]);
    let c = file.reals("c", &[4], &[1.0, 2.0, 3.0, 4.0]);
    let a = file.real("sum", &[1, 2, 3, 4]);
    file.op(0, &[x, c], a, Some((11, Table::default().with(0, Field::Byte(3)))));
    let pads = file.ints("pads", &[4, 2], &[0, 0, 1, 1, 0, 1, 0, 0]);
    let p = file.real("padded", &[1, 4, 4, 4]);
    file.op(34, &[a, pads], p, None);
    let axes = file.ints("axes", &[2], &[1, 2]);
    let m = file.real("mean", &[1, 4]);
    file.op(40, &[p, axes], m, Some((27, Table::default())));
    let y = file.real("both", &[1, 8]);
    file.op(2, &[m, m], y, Some((10, Table::default().with(0, Field::Int(1)))));
    let t = file.real("limited", &[1, 8]);
    file.op(28, &[y], t, None);
    file.outputs = vec![t];
    file
}

/// Does all that is done with a file; what it comes to does not matter.
fn read(bytes: &[u8]) {
    let Ok(graph) = import(bytes) else { return };
    graph.verify().expect("an imported graph is sound");
    let size: usize = graph.values().iter().map(|value| value.len()).sum();
    let filters = graph.nodes.iter().filter_map(|node| match node.op {
        Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => Some(pool.filter[0].saturating_mul(pool.filter[1])),
        _ => None,
    });
    if size > 1 << 14 || filters.max().unwrap_or(0) > 1 << 10 {
        return;
    }
    let inputs: Vec<Vec<f32>> =
        graph.inputs.iter().map(|port| vec![0.5; graph.value(port.value).len()]).collect();
    if let Ok(mut evaluator) = Evaluator::new(&graph) {
        let _ = evaluator.run(&inputs.iter().map(Vec::as_slice).collect::<Vec<&[f32]>>());
    }
    let Ok(compiled) = compile(bytes, Target::Generic) else { return };
    let file = ModelFile::from_bytes(&compiled.plan).expect("a compiled plan passes its check");
    let mut arena = file.arena();
    Session::from_model(file.model(), arena.as_mut_slice()).expect("the arena suffices").invoke();
}

#[test]
fn sound_files_are_read() {
    assert!(compile(&quantized().write(), Target::Generic).is_ok());
    assert!(import(&float().write()).is_ok());
}

#[test]
fn every_truncation_is_refused_or_sound() {
    for file in [quantized().write(), float().write()] {
        for len in 0..file.len() {
            read(&file[..len]);
        }
    }
}

#[test]
fn every_byte_can_be_another() {
    for file in [quantized().write(), float().write()] {
        for at in 0..file.len() {
            let old = file[at];
            for new in [0, 0x7f, 0xff, old.wrapping_add(1)] {
                let mut file = file.clone();
                file[at] = new;
                read(&file);
            }
        }
    }
}

#[test]
fn two_words_can_be_others() {
    let mut state = 5u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let words = [0u32, 1, 2, 3, 4, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffe, 1 << 16, 1 << 26];
    for file in [quantized().write(), float().write()] {
        for _ in 0..4000 {
            let mut file = file.clone();
            for _ in 0..2 {
                let at = next(file.len() / 4) * 4;
                file[at..at + 4].copy_from_slice(&words[next(words.len())].to_le_bytes());
            }
            read(&file);
        }
    }
}

#[test]
fn real_files_with_other_bytes() {
    let Some(dir) = support::models_dir("real_files_with_other_bytes") else { return };
    let file = std::fs::read(dir.join("hello_world_int8.tflite")).unwrap();
    for len in (0..file.len()).step_by(7) {
        read(&file[..len]);
    }
    for at in 0..file.len() {
        for new in [0, 0x7f, 0xff] {
            let mut file = file.clone();
            file[at] = new;
            read(&file);
        }
    }
}

/// The error of a file.
fn refused(file: &File) -> String {
    import(&file.write()).expect_err("a file that should be refused was read").to_string()
}

/// The quantized network after a change.
fn changed(change: impl FnOnce(&mut File)) -> String {
    let mut file = quantized();
    change(&mut file);
    refused(&file)
}

/// A float network of one operator with an input of `[1, 4, 4, 2]`.
fn one(code: i32, options: Option<(u8, Table)>) -> String {
    let mut file = File::default();
    let x = file.input("x", &[1, 4, 4, 2]);
    let y = file.real("y", &[1, 4, 4, 2]);
    file.op(code, &[x], y, options);
    file.outputs = vec![y];
    refused(&file)
}

#[track_caller]
fn says(error: String, words: &str) {
    assert!(error.contains(words), "{error}\nand not\n{words}");
}

#[test]
fn what_refers_to_nothing_is_named() {
    says(changed(|f| f.operators[0].inputs[1] = 99), "tensor 99 is referred to, and there are");
    says(changed(|f| f.outputs = vec![99]), "tensor 99 is an output of the model, and there are");
    says(changed(|f| f.inputs = vec![-5]), "tensor -5 is an input of the model");
    says(changed(|f| f.outputs.clear()), "the model has no output");
    says(
        changed(|f| f.operators[0].outputs.clear()),
        "node `pool` (MAX_POOL_2D): it reads `conv`, which nothing",
    );
    says(
        changed(|f| f.tensors[1].data = None),
        "node `conv` (CONV_2D): it reads `constant 1`, which nothing before it produces",
    );
    says(
        changed(|f| f.inputs.clear()),
        "node `conv` (CONV_2D): it reads `x`, which nothing before it produces",
    );
    says(changed(|f| f.inputs = vec![0, 0]), "value `x`: it is an input of the model twice");
}

#[test]
fn cycles_and_doubles_are_named() {
    // The first operator reads what the second gives.
    says(changed(|f| f.operators[0].inputs[0] = f.operators[1].outputs[0]), "has a cycle");
    says(
        changed(|f| {
            let again = f.operators[0].clone();
            f.operators.insert(1, again);
        }),
        "node `conv` (CONV_2D): `conv` is produced twice",
    );
    says(
        changed(|f| f.operators[1].outputs.push(0)),
        "node `pool` (MAX_POOL_2D): `x` is produced twice, or is an input of the model",
    );
}

#[test]
fn sizes_are_checked_against_the_bytes() {
    says(
        changed(|f| f.tensors[1].shape = vec![3, 3, 3, 3]),
        "shape [3, 3, 3, 3] of int8 needs 81 bytes, the file holds 54",
    );
    says(changed(|f| f.tensors[1].shape = vec![i32::MAX; 4]), "is too large");
    says(changed(|f| f.tensors[0].shape = vec![1, i32::MAX, i32::MAX, 2]), "is too large or empty");
    says(changed(|f| f.tensors[0].shape = vec![1, 4, 4, -2]), "value `x`: a size of -2");
    says(changed(|f| f.tensors[0].shape = vec![4, 4, 4, 2]), "a batch of 4 is fixed in the model");
    says(changed(|f| f.tensors[1].shape = vec![1; 9]), "a list of 9 elements, where 8 are the most");
    says(changed(|f| f.operators[0].inputs = vec![0; 300]), "a list of 300 elements, where 256 are the most");
    says(
        changed(|f| {
            f.operators[0].options =
                Some((1, Table::default().with(1, Field::Int(-1)).with(2, Field::Int(1))))
        }),
        "node `conv` (CONV_2D): its column stride is -1",
    );
}

#[test]
fn quantization_is_checked() {
    says(changed(|f| f.tensors[1].scales = vec![0.1, 0.2]), "2 scales for axis 0 of shape [3, 3, 3, 2]");
    says(changed(|f| f.tensors[1].axis = 9), "it is quantized along axis 9 of 4");
    says(changed(|f| f.tensors[1].axis = 1), "along axis 1, not along the output channels");
    says(changed(|f| f.tensors[1].scales[1] = 0.0), "value `constant 1`: its scale is 0");
    says(changed(|f| f.tensors[0].scales[0] = f32::NAN), "value `x`: its scale is NaN");
    says(changed(|f| f.tensors[0].zero_points = vec![500]), "a zero point of 500 for int8");
    says(changed(|f| f.tensors[0].scales.clear()), "value `x`: it is int8 without a scale");
    says(changed(|f| f.tensors[0].scales = vec![0.1, 0.2]), "an activation is quantized per channel");
    says(changed(|f| f.tensors[0].kind = I16), "activations of type int16 are not supported");
    says(changed(|f| f.tensors[1].kind = 17), "constants of type int4 are not read");
    says(changed(|f| f.tensors[3].kind = F32), "node `conv` (CONV_2D): it reads i8 and gives f32");
    says(
        changed(|f| {
            f.tensors[0].kind = F32;
            f.tensors[0].scales.clear();
        }),
        "node `conv` (CONV_2D): its bias `constant 2` is i32",
    );
    let unsigned = changed(|f| {
        f.tensors[0].kind = U8;
        f.tensors[0].zero_points = vec![-1];
    });
    says(unsigned, "a zero point of -1 for uint8");
}

#[test]
fn operators_are_refused_by_name() {
    says(one(49, None), "node `y` (SPLIT): this operator is not supported; docs/operators.md");
    says(one(54, None), "node `y` (PRELU): a slope per channel is not supported");
    says(one(100, None), "node `y` (MIRROR_PAD): only padding with a constant is supported");
    says(one(119, None), "node `y` (WHILE): the flow of control cannot depend on data");
    says(one(44, None), "(UNIDIRECTIONAL_SEQUENCE_LSTM): recurrent operators are not supported");
    says(one(32, None), "node `y` (custom ): this operator is not supported");
    says(one(9999, None), "node `y` (operator code 9999): this operator is not supported");
    says(one(53, None), "node `y` (CAST): a change of type is supported for constants only");
    says(one(45, None), "(STRIDED_SLICE): it is supported for shapes and other constants only");
    says(one(25, Some((9, Table::default()))), "node `y` (SOFTMAX): its beta is 0");
    says(one(25, Some((8, Table::default()))), "node `y` (SOFTMAX): its options are of kind 8, not 9");
    says(one(1, Some((5, Table::default()))), "node `y` (AVERAGE_POOL_2D): its row stride is 0");
    says(one(0, None), "node `y` (ADD): operand 1 is missing");
    let mut file = quantized();
    file.operators[0].options =
        Some((1, Table::default().with(1, Field::Int(1)).with(2, Field::Int(1)).with(3, Field::Byte(4))));
    says(refused(&file), "node `conv` (CONV_2D): a fused TANH in integers is not supported");
}

#[test]
fn a_reshape_that_would_move_elements_is_refused() {
    let mut file = File::default();
    let x = file.input("x", &[1, 4, 6]);
    let doubled = file.real("doubled", &[1, 4, 6]);
    file.op(0, &[x, x], doubled, None);
    let order = file.ints("order", &[3], &[0, 2, 1]);
    let t = file.real("t", &[1, 6, 4]);
    file.op(39, &[doubled, order], t, None);
    let shape = file.ints("shape", &[2], &[3, 8]);
    let r = file.real("r", &[3, 8]);
    file.op(22, &[t, shape], r, None);
    let y = file.real("y", &[3, 8]);
    file.op(25, &[r], y, None);
    file.outputs = vec![y];
    let error = refused(&file);
    assert!(error.starts_with("node `"), "{error}");
    assert!(error.contains("would have to"), "{error}");
}

#[test]
fn other_files_are_no_tensorflow_lite_files() {
    says(teff_compiler::tflite::import(b"not at all").unwrap_err().to_string(), "it has no mark `TFL3`");
    let mut file = quantized().write();
    file[4..8].copy_from_slice(b"TFL2");
    assert!(import(&file).is_err());
}
