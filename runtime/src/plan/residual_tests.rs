//! A residual block in lock step, its sum written over the value that skips it.

use alloc::vec::Vec;
use proptest::prelude::*;

use super::tests::{features, value};
use super::*;
use crate::kernels::params::Window;
use crate::quant::AddCoefficients;
use crate::session::{Progress, Session};
use crate::shape::{Layout, View};

/// Two convolutions 3x3 on [6, 5, 2], a table, and the sum with the input. With `held`, rows of what lies between them
/// are held and the sum lies at `sum`, else every value lies apart.
fn block(held: bool, sum: u32) -> PlanWriter {
    let mut plan = PlanWriter { arena_bytes: 512, live_set_bytes: 512, ..PlanWriter::default() };
    let view = View::new(6, 5, 2, Layout::Nhwc);
    let mut between = |offset, rows| {
        let location = if held { Location::Lines { offset, rows } } else { Location::Arena(offset) };
        plan.push_value(ValueRecord { location, ..value(view, offset) }).unwrap()
    };
    let (first, second, third) = (between(80, 3), between(160, 1), between(240, 1));
    let input = plan.push_value(value(view, 0)).unwrap();
    let output = plan.push_value(value(view, sum)).unwrap();
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
        let weights: Vec<u8> = (0..36u8).map(|i| i.wrapping_mul(91) | 1).collect();
        conv.weights_offset = plan.push_data(&weights, 4).unwrap();
        conv.bias_offset = plan.push_words([-50, 70]).unwrap();
        conv.multipliers_offset = plan.push_words([1 << 23, 1 << 22]).unwrap();
        plan.push_op(conv);
    }
    let table: Vec<u8> = (0..=255u8).map(|i| i.wrapping_mul(3)).collect();
    let weights_offset = plan.push_data(&table, 4).unwrap();
    plan.push_op(OpRecord {
        weights_offset,
        weights_len: 256,
        slice_cost: 10,
        ..OpRecord::new(OpKind::Lookup, second, third)
    });
    let quant = value(view, 0).quant;
    let add = AddCoefficients::new(quant, quant, quant).unwrap();
    plan.push_op(OpRecord {
        inputs: [third, input],
        a: add.lhs,
        b: add.rhs,
        c: add.offset,
        shift: add.shift,
        slice_cost: 10,
        ..OpRecord::new(OpKind::Add, third, output)
    });
    plan
}

#[test]
fn a_sum_over_the_skipping_value_gives_the_bits_of_one_apart() {
    let run = |plan: &PlanWriter, budget| {
        let file = file::ModelFile::from_bytes(&plan.finish().unwrap()).unwrap();
        let mut arena = file.arena();
        let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        session.input_mut(0).copy_from_slice(&features(&file.model()));
        while session.step(budget) == Progress::Pending {}
        let stepped = session.output(0).values.to_vec();
        session.input_mut(0).copy_from_slice(&features(&file.model()));
        (0..4).for_each(|op| session.invoke_op(op));
        assert_eq!(session.output(0).values, stepped, "one operator after the other");
        stepped
    };
    let expected = run(&block(false, 320), u32::MAX);
    assert!(expected.iter().any(|&q| q != expected[0]), "a constant output proves nothing");
    for budget in [0, 150, 500, u32::MAX] {
        for sum in [0, 320] {
            assert_eq!(run(&block(true, sum), budget), expected, "sum at {sum}, budget {budget}");
        }
    }
}

#[test]
fn faults_of_sums_in_lock_step_are_refused() {
    let refused = |change: fn(&mut PlanWriter)| {
        let mut plan = block(true, 0);
        change(&mut plan);
        file::ModelFile::from_bytes(&plan.finish().unwrap()).expect_err("an unsafe plan was accepted")
    };
    // The sum a little beside the operand, and lines, scratch or an output on the operand.
    assert_eq!(refused(|p| p.values[4].location = Location::Arena(4)), LoadError::Overlap { op: 3 });
    let lines = |offset, rows| Location::Lines { offset, rows };
    assert!(matches!(
        refused(|p| p.values[0].location = Location::Lines { offset: 40, rows: 3 }),
        LoadError::Overlap { .. }
    ));
    assert!(matches!(refused(|p| p.ops[1].scratch_offset = 48), LoadError::Overlap { .. }));
    // The operands the other way round: the lines must be the first.
    assert_eq!(refused(|p| p.ops[3].inputs.swap(0, 1)), LoadError::Operand { op: 3 });
    assert_eq!(refused(|p| p.ops[3].inputs[1] = 2), LoadError::Operand { op: 3 });
    // A window on an element-wise member.
    assert_eq!(refused(|p| p.ops[2].window.filter_h = 2), LoadError::Operand { op: 2 });
    assert_eq!(refused(|p| p.ops[3].window.stride_h = 2), LoadError::Operand { op: 3 });
    // The sum in the middle, over an operand that it reads: rows of it are not yet read when the last one writes.
    let mut plan = block(true, 0);
    let output = plan.push_value(value(View::new(6, 5, 2, Layout::Nhwc), 0)).unwrap();
    plan.values[4].location = lines(300, 1);
    plan.push_op(OpRecord { ..OpRecord::new(OpKind::MaxPool2d, 4, output) });
    plan.outputs[0] = output;
    assert_eq!(
        file::ModelFile::from_bytes(&plan.finish().unwrap()).unwrap_err(),
        LoadError::Overlap { op: 4 }
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Damage that keeps the checksum right: what is accepted must run without a panic.
    #[test]
    fn a_hostile_block_is_refused_or_runs(
        held: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut plan = block(held, if held { 0 } else { 320 }).finish().unwrap();
        let records = plan.len().min(128 + 5 * 32 + 4 * 80 + 16);
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
