//! Round trips, damage, and stepping, on a small plan written here.

use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;
use crate::kernels::generic::Generic;
use crate::kernels::params::Window;
use crate::kernels::reference::Reference;
use crate::quant::{AddCoefficients, QuantParams};
use crate::session::{Progress, Session};
use crate::shape::{Layout, View};

const QUANT: QuantParams = QuantParams { scale: 0.1, zero_point: -3 };

pub(super) fn value(view: View, offset: u32) -> ValueRecord {
    ValueRecord { view, location: Location::Arena(offset), quant: QUANT }
}

/// conv 3x3 on [6, 5, 2] to four channels, added to itself in place, pooled, fully connected, softmax in place.
fn writer() -> PlanWriter {
    let mut plan = PlanWriter { arena_bytes: 512, live_set_bytes: 180, ..PlanWriter::default() };
    let nhwc = |h, w, c| View::new(h, w, c, Layout::Nhwc);
    let input = plan.push_value(value(nhwc(6, 5, 2), 0)).unwrap();
    let features = plan.push_value(value(nhwc(6, 5, 4), 64)).unwrap();
    let doubled = plan.push_value(value(nhwc(6, 5, 4), 64)).unwrap();
    let pooled = plan.push_value(value(nhwc(3, 2, 4), 0)).unwrap();
    let scores = plan.push_value(value(nhwc(1, 1, 3), 32)).unwrap();
    plan.inputs.push(input);
    plan.outputs.push(scores);
    let mut byte = 1u8;
    let mut weights = |count: usize| -> Vec<u8> {
        core::iter::repeat_with(|| {
            byte = byte.wrapping_mul(37).wrapping_add(11);
            byte | 1
        })
        .take(count)
        .collect()
    };

    let window = Window {
        filter_h: 3,
        filter_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
    };
    let mut conv = OpRecord {
        window,
        weights_len: 72,
        scratch_offset: 192,
        scratch_len: 36,
        slice_cost: 100,
        ..OpRecord::new(OpKind::Conv2d, input, features)
    };
    conv.weights_offset = plan.push_data(&weights(72), 4).unwrap();
    conv.bias_offset = plan.push_words([100, -200, 300, 0]).unwrap();
    conv.multipliers_offset = plan.push_words([1 << 23, 1 << 22, 1 << 24, 1 << 20]).unwrap();
    plan.push_op(conv);

    let sum = AddCoefficients::new(QUANT, QUANT, QUANT).unwrap();
    plan.push_op(OpRecord {
        inputs: [features, features],
        a: sum.lhs,
        b: sum.rhs,
        c: sum.offset,
        shift: sum.shift,
        slice_cost: 20,
        ..OpRecord::new(OpKind::Add, features, doubled)
    });
    let window =
        Window { filter_h: 2, filter_w: 2, stride_h: 2, stride_w: 2, pad_top: 0, pad_left: 0, ..window };
    plan.push_op(OpRecord { window, slice_cost: 10, ..OpRecord::new(OpKind::MaxPool2d, doubled, pooled) });

    let mut dense =
        OpRecord { weights_len: 72, slice_cost: 30, ..OpRecord::new(OpKind::FullyConnected, pooled, scores) };
    dense.weights_offset = plan.push_data(&weights(72), 4).unwrap();
    dense.bias_offset = plan.push_words([5, 6, 7]).unwrap();
    dense.multipliers_offset = plan.push_words([1 << 22; 3]).unwrap();
    plan.push_op(dense);

    let mut softmax =
        OpRecord { a: 1 << 16, weights_len: 1024, ..OpRecord::new(OpKind::Softmax, scores, scores) };
    softmax.weights_offset = plan.push_words((0..256).map(|d| (1 << 24) >> (d / 8))).unwrap();
    plan.push_op(softmax);
    plan.metadata.push(("teff.labels".to_string(), "yes\nno\nnoise".to_string()));
    plan
}

pub(super) fn features(model: &Model<'_>) -> Vec<i8> {
    let len = model.input(0).unwrap().view.extent.len();
    (0..len).map(|i| (i * 53 % 256) as u8 as i8).collect()
}

#[test]
fn a_plan_reads_back_as_written() {
    let file = file::ModelFile::from_bytes(&writer().finish().unwrap()).unwrap();
    let model = file.model();
    assert_eq!(model.labels().collect::<Vec<_>>(), ["yes", "no", "noise"]);
    assert_eq!((model.n_inputs(), model.n_outputs(), model.header().n_ops), (1, 1, 5));
    assert_eq!(model.op_set(), model.header().ops);
    assert_eq!(model.output(0).unwrap().quant, QUANT);
    assert_eq!(model.op(0).unwrap().window.pad_left, 1);
    assert!(model.op(5).is_none());
}

#[test]
fn stepping_gives_the_bits_of_invoke_for_every_budget_and_kernel_set() {
    let file = file::ModelFile::from_bytes(&writer().finish().unwrap()).unwrap();
    let model = file.model();
    let input = features(&model);
    let mut arena = file.arena();
    let mut session = Session::from_model(model, arena.as_mut_slice()).unwrap();
    session.input_mut(0).copy_from_slice(&input);
    session.invoke();
    let expected = session.output(0).values.to_vec();
    assert!(expected.iter().any(|&q| q != expected[0]), "a constant output proves nothing");

    let mut arena = file.arena();
    let mut naive = Session::<AnyModel, Reference>::with_model(model, arena.as_mut_slice()).unwrap();
    let mut arena = file.arena();
    let mut fast = Session::<AnyModel, Generic>::with_model(model, arena.as_mut_slice()).unwrap();
    for budget in [0, 1, 35, 99, 250, 1000, u32::MAX] {
        naive.input_mut(0).copy_from_slice(&input);
        let mut steps = 1;
        while naive.step(budget) == Progress::Pending {
            steps += 1;
        }
        assert_eq!(naive.output(0).values, expected, "budget {budget}");
        if budget == 0 {
            assert_eq!(steps, 6 + 6 + 3 + 1 + 1, "one slice a step");
        }
        fast.input_mut(0).copy_from_slice(&input);
        while fast.step(budget) == Progress::Pending {}
        assert_eq!(fast.output(0).values, expected, "budget {budget}");
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let plan = writer().finish().unwrap();
    for len in 0..plan.len() {
        assert!(file::ModelFile::from_bytes(&plan[..len]).is_err(), "{len} bytes");
    }
    for bit in 0..plan.len() * 8 {
        let mut damaged = plan.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // Target, arena size, operator set and hash are covered by the checksum as well.
        assert!(file::ModelFile::from_bytes(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn overwritten_values_are_refused() {
    let refused = |change: fn(&mut PlanWriter)| {
        let mut plan = writer();
        change(&mut plan);
        let bytes = plan.finish().unwrap();
        file::ModelFile::from_bytes(&bytes).expect_err("an unsafe plan was accepted")
    };
    // The convolution's output moves onto its input.
    assert_eq!(refused(|p| p.values[1].location = Location::Arena(48)), LoadError::Overlap { op: 0 });
    assert_eq!(refused(|p| p.ops[1].from_last_row = true), LoadError::Parameters { op: 1 });
    // The pooled value is made where the features are, then the features' scratch.
    assert_eq!(refused(|p| p.values[3].location = Location::Arena(100)), LoadError::Overlap { op: 2 });
    assert_eq!(refused(|p| p.arena_bytes = 100), LoadError::Value { value: 1 });
    assert_eq!(refused(|p| p.ops[0].weights_len = 71), LoadError::Parameters { op: 0 });
    assert_eq!(refused(|p| p.ops[3].inputs[0] = 77), LoadError::Operand { op: 3 });
    assert_eq!(refused(|p| p.ops[2].window.stride_h = 0), LoadError::Shape { op: 2 });
    assert_eq!(refused(|p| p.values[4].quant.scale = f32::NAN), LoadError::Value { value: 4 });
}

/// The small plan with its convolution run over its own input: the output begins `gap` bytes before the input, or
/// behind its beginning. A row has 10 bytes in the input and 20 in the output.
fn over_its_own_input(gap: u32, from_last_row: bool) -> PlanWriter {
    let mut plan = writer();
    let (input, output) = if from_last_row { (0, gap) } else { (gap, 0) };
    plan.values[0].location = Location::Arena(input);
    for value in &mut plan.values[1..3] {
        value.location = Location::Arena(output);
    }
    plan.values[3].location = Location::Arena(400);
    plan.values[4].location = Location::Arena(432);
    plan.ops[0].from_last_row = from_last_row;
    plan
}

#[test]
fn a_convolution_over_its_own_input_gives_the_bits_of_one_beside_it() {
    let apart = file::ModelFile::from_bytes(&writer().finish().unwrap()).unwrap();
    let input = features(&apart.model());
    let mut arena = apart.arena();
    let mut session = Session::from_model(apart.model(), arena.as_mut_slice()).unwrap();
    session.input_mut(0).copy_from_slice(&input);
    session.invoke();
    let expected = session.output(0).values.to_vec();
    // Six rows are written before the last of 10 bytes is read but for one; the first reads two rows of 10 bytes.
    for (least, from_last_row) in [(80, false), (20, true)] {
        for gap in [least, least + 1, least + 19] {
            let plan = over_its_own_input(gap, from_last_row).finish().unwrap();
            let file = file::ModelFile::from_bytes(&plan).unwrap();
            let mut arena = file.arena();
            let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
            for budget in [0, 250, u32::MAX] {
                session.input_mut(0).copy_from_slice(&input);
                while session.step(budget) == Progress::Pending {}
                assert_eq!(
                    session.output(0).values,
                    expected,
                    "gap {gap}, from the last row: {from_last_row}"
                );
            }
        }
        let closer = over_its_own_input(least - 1, from_last_row).finish().unwrap();
        assert_eq!(file::ModelFile::from_bytes(&closer).unwrap_err(), LoadError::Overlap { op: 0 });
        // Rows in the other order meet what they still need.
        let mut turned = over_its_own_input(least, from_last_row);
        turned.ops[0].from_last_row = !from_last_row;
        let turned = turned.finish().unwrap();
        assert_eq!(file::ModelFile::from_bytes(&turned).unwrap_err(), LoadError::Overlap { op: 0 });
    }
}

/// Two convolutions 3x3 on [6, 5, 2], and a pooling of their result, with `lines` rows held of what lies between them.
/// The output begins `gap` bytes before the input.
fn in_lock_step(lines: u16, gap: u32) -> PlanWriter {
    let mut plan = PlanWriter { arena_bytes: 512, live_set_bytes: 512, ..PlanWriter::default() };
    let view = |h, w| View::new(h, w, 2, Layout::Nhwc);
    let held = |offset| match lines {
        0 => Location::Arena(offset),
        rows => Location::Lines { offset, rows },
    };
    let input = plan.push_value(value(view(6, 5), 60 + gap)).unwrap();
    let between = |offset| ValueRecord { location: held(offset), ..value(view(6, 5), 0) };
    let first = plan.push_value(between(240)).unwrap();
    let second = plan.push_value(between(320)).unwrap();
    let output = plan.push_value(value(view(3, 5), 60)).unwrap();
    plan.inputs.push(input);
    plan.outputs.push(output);
    let window = Window {
        filter_h: 3,
        filter_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
    };
    for (from, to) in [(input, first), (first, second)] {
        let mut conv = OpRecord {
            window,
            weights_len: 36,
            scratch_offset: 400,
            scratch_len: 36,
            slice_cost: 100,
            ..OpRecord::new(OpKind::Conv2d, from, to)
        };
        let weights: Vec<u8> = (0..36u8).map(|i| i.wrapping_mul(77) | 1).collect();
        conv.weights_offset = plan.push_data(&weights, 4).unwrap();
        conv.bias_offset = plan.push_words([100, -200]).unwrap();
        conv.multipliers_offset = plan.push_words([1 << 23, 1 << 22]).unwrap();
        plan.push_op(conv);
    }
    let window = Window { filter_h: 2, filter_w: 1, stride_h: 2, pad_top: 0, pad_left: 0, ..window };
    plan.push_op(OpRecord { window, slice_cost: 10, ..OpRecord::new(OpKind::MaxPool2d, second, output) });
    plan
}

#[test]
fn operators_in_lock_step_give_the_bits_of_whole_ones() {
    let run = |plan: &PlanWriter, budget| {
        let file = file::ModelFile::from_bytes(&plan.finish().unwrap()).unwrap();
        let mut arena = file.arena();
        let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        session.input_mut(0).copy_from_slice(&features(&file.model()));
        let mut steps = 1;
        while session.step(budget) == Progress::Pending {
            steps += 1;
        }
        let stepped = session.output(0).values.to_vec();
        session.input_mut(0).copy_from_slice(&features(&file.model()));
        (0..3).for_each(|op| session.invoke_op(op));
        assert_eq!(session.output(0).values, stepped, "one operator after the other");
        (stepped, steps)
    };
    let expected = run(&in_lock_step(0, 60), u32::MAX).0;
    assert!(expected.iter().any(|&q| q != expected[0]), "a constant output proves nothing");
    for lines in 3..=6 {
        for budget in [0, 500, u32::MAX] {
            // Six bytes of a row are written when four rows of the input are free for good.
            let (found, steps) = run(&in_lock_step(lines, 10), budget);
            assert_eq!(found, expected, "{lines} lines, budget {budget}");
            assert!(
                budget > 0 || steps == 3 + 1 || steps == 3,
                "a row of the last operator is one slice: {steps}"
            );
        }
    }
}

#[test]
fn faults_of_operators_in_lock_step_are_refused() {
    let refused = |change: fn(&mut PlanWriter)| {
        let mut plan = in_lock_step(3, 10);
        change(&mut plan);
        file::ModelFile::from_bytes(&plan.finish().unwrap()).expect_err("an unsafe plan was accepted")
    };
    let lines = |offset, rows| Location::Lines { offset, rows };
    // Fewer rows than one row of the reader needs; more than there are.
    assert_eq!(
        refused(|p| p.values[1].location = Location::Lines { offset: 240, rows: 2 }),
        LoadError::Operand { op: 1 }
    );
    assert_eq!(
        refused(|p| p.values[1].location = Location::Lines { offset: 240, rows: 7 }),
        LoadError::Value { value: 1 }
    );
    assert_eq!(
        refused(|p| p.values[1].location = Location::Lines { offset: 490, rows: 3 }),
        LoadError::Value { value: 1 }
    );
    // Lines over other lines, over the scratch of a later member, over the input.
    for offset in [300, 345] {
        let mut plan = in_lock_step(3, 10);
        plan.values[1].location = lines(offset, 3);
        let error = file::ModelFile::from_bytes(&plan.finish().unwrap()).unwrap_err();
        assert!(matches!(error, LoadError::Overlap { .. }), "{offset}: {error:?}");
    }
    assert_eq!(
        refused(|p| p.values[2].location = Location::Lines { offset: 100, rows: 3 }),
        LoadError::Overlap { op: 2 }
    );
    assert_eq!(refused(|p| p.ops[1].scratch_offset = 112), LoadError::Overlap { op: 2 });
    // The output on rows that the first operator still reads.
    assert_eq!(refused(|p| p.values[3].location = Location::Arena(80)), LoadError::Overlap { op: 2 });
    // Lines that something else reads, that nobody reads, or that are an input or an output of the model.
    assert_eq!(refused(|p| p.ops[2].inputs[0] = 1), LoadError::Operand { op: 2 });
    assert_eq!(
        refused(|p| p.values[3].location = Location::Lines { offset: 60, rows: 3 }),
        LoadError::Value { value: 3 }
    );
    assert_eq!(refused(|p| p.inputs[0] = 1), LoadError::Value { value: 1 });
    assert!(matches!(
        refused(|p| {
            p.ops.pop();
            p.outputs[0] = 0;
        }),
        LoadError::Operand { op: 1 }
    ));
    assert_eq!(refused(|p| p.ops[1].from_last_row = true), LoadError::Operand { op: 1 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Damage that keeps the checksum right: what is accepted must run without a panic.
    #[test]
    fn a_hostile_plan_is_refused_or_runs(lines in 0u16..7, gap in 0u32..140, from_last_row: bool, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let plan = if lines == 0 { over_its_own_input(gap, from_last_row) } else { in_lock_step(lines, gap) };
        let mut plan = plan.finish().unwrap();
        // The records; weights and text are harmless.
        let records = plan.len().min(128 + 5 * 32 + 5 * 80 + 16);
        for (place, byte) in edits {
            let at = place.index(records);
            if !(12..16).contains(&at) {
                plan[at] = byte;
            }
        }
        let crc = super::format::crc32(&plan[16..]);
        plan[12..16].copy_from_slice(&crc.to_le_bytes());
        if let Ok(file) = file::ModelFile::from_bytes(&plan) {
            let model = file.model();
            if model.header().arena_bytes < 1 << 20 {
                let mut arena = file.arena();
                let mut session = Session::from_model(model, arena.as_mut_slice()).unwrap();
                session.invoke();
                while session.step(7) == Progress::Pending {}
            }
        }
    }
}
