//! Runs a plan in a fixed arena.

mod lock_step;
mod places;

use core::marker::PhantomData;
use core::ops::Range;

use crate::arena::Arena;
use crate::kernels::params::Place;
use crate::kernels::{Kernels, Native};
use crate::plan::{
    AnyModel, LoadError, Model, OUTPUTS_PER_SLICE, OpKind, OpWords, Ops, StaticModel, arena_range,
};
use crate::quant::QuantParams;
use places::{Bands, Cells, pair, whole};

/// What [`Session::step`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Slices remain: call again.
    Pending,
    /// The outputs are ready; the next call begins a new inference.
    Done,
}

/// Bytes of stack that an inference takes at most on a Cortex-M, below the caller of [`Session::invoke`] or [`Session::step`].
///
/// It was measured by painting, with every operator linked; one that embeds a model takes less. The linker scripts of the boards
/// ask for room for it, and a test holds every emulated board to it.
pub const STACK_BYTES: usize = 2304;

/// One model at work: a checked plan and the arena it runs in.
///
/// `M` says which operators are linked, `K` which kernels run them. Several sessions can share one plan. Nothing
/// fails after construction.
#[derive(Debug)]
pub struct Session<'a, M: Ops, K: Kernels = Native> {
    model: Model<'a>,
    arena: &'a mut [i8],
    next_op: u16,
    next_slice: usize,
    marker: PhantomData<(M, K)>,
}

impl<'a, M: StaticModel, K: Kernels> Session<'a, M, K> {
    /// A session of an embedded model. Its plan was checked in full while the program was compiled, so that there is
    /// nothing to do here; a plan that is packed for kernels other than `K` does not compile.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`] where `N` is less than `M::ARENA_BYTES`.
    #[inline]
    pub fn new<const N: usize>(arena: &'a mut Arena<N>) -> Result<Self, LoadError> {
        const {
            assert!(
                M::MODEL.not_read(K::READS).is_none(),
                "the plan has weights packed for kernels that this program does not have: compile the ONNX for its processor",
            );
        }
        let needed = M::HEADER.arena_bytes;
        if N < needed as usize {
            return Err(LoadError::ArenaTooSmall { needed, given: N as u32 });
        }
        let arena = arena.as_mut_slice();
        Ok(Self { model: M::MODEL, arena, next_op: 0, next_slice: 0, marker: PhantomData })
    }
}

impl<'a> Session<'a, AnyModel> {
    /// A session of a model known at run time, with every operator linked and the native kernels.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`], [`LoadError::ArenaAlignment`].
    pub fn from_model(model: Model<'a>, arena: &'a mut [i8]) -> Result<Self, LoadError> {
        Self::with_model(model, arena)
    }
}

impl<'a, M: Ops, K: Kernels> Session<'a, M, K> {
    /// A session of a model that [`Model::open`] checked for `M` and `K`. `arena` begins on a 16-byte boundary.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`], [`LoadError::ArenaAlignment`]; [`LoadError::NotLinked`] where the model has operators
    /// outside of `M`.
    pub fn with_model(model: Model<'a>, arena: &'a mut [i8]) -> Result<Self, LoadError> {
        let needed = model.header().arena_bytes;
        let given = arena.len().min(u32::MAX as usize) as u32;
        if given < needed {
            return Err(LoadError::ArenaTooSmall { needed, given });
        }
        if arena.as_ptr().align_offset(crate::plan::ALIGNMENT) != 0 {
            return Err(LoadError::ArenaAlignment);
        }
        if !M::OPS.contains_all(model.header().ops) {
            return Err(LoadError::NotLinked { op: 0 });
        }
        Ok(Self { model, arena, next_op: 0, next_slice: 0, marker: PhantomData })
    }

    /// The model.
    #[inline(always)]
    pub fn model(&self) -> &Model<'a> {
        known::<M>(&self.model)
    }

    /// Input `i` in quantized units, to be written before [`Session::invoke`]; empty beyond the last input. Running
    /// the model may overwrite it.
    pub fn input_mut(&mut self, i: usize) -> &mut [i8] {
        let range = self.model().input(i).as_ref().and_then(arena_range);
        range.and_then(|range| self.arena.get_mut(range)).unwrap_or(&mut [])
    }

    /// Scale and zero point of input `i`.
    pub fn input_quant(&self, i: usize) -> Option<QuantParams> {
        self.model().input(i).map(|value| value.quant)
    }

    /// Output `i`, valid after [`Session::invoke`]; empty beyond the last output.
    pub fn output(&self, i: usize) -> Output<'_> {
        let Some(value) = self.model().output(i) else {
            return Output { values: &[], quant: QuantParams { scale: 1.0, zero_point: 0 } };
        };
        let values = arena_range(&value).and_then(|range| self.arena.get(range)).unwrap_or(&[]);
        Output { values, quant: value.quant }
    }

    /// Runs one inference. A started [`Session::step`] sequence is begun anew.
    pub fn invoke(&mut self) {
        (self.next_op, self.next_slice) = (0, 0);
        while self.step(u32::MAX) == Progress::Pending {}
    }

    /// Works until `budget` predicted instructions are used or the inference is done; at least one slice runs.
    ///
    /// Slices are rows of a layer; their predicted instructions stand in the plan. The inputs are written before the
    /// first step of an inference and left alone until the last.
    pub fn step(&mut self, budget: u32) -> Progress {
        let model = known::<M>(&self.model);
        let mut left = budget;
        let mut first = true;
        while let Some(op) = model.op_words(self.next_op) {
            let output = model.value_words(op.output());
            if M::OPS.contains_groups() && output.is_lines() {
                let group = lock_step::Group::new(model, self.next_op);
                while self.next_slice < group.slices() {
                    let cost = group.cost(model, self.next_slice);
                    if !first && cost > left {
                        return Progress::Pending;
                    }
                    first = false;
                    left = left.saturating_sub(cost);
                    group.run::<M, K>(model, self.arena, self.next_slice, |_| {});
                    self.next_slice += 1;
                }
                (self.next_op, self.next_slice) = (group.last + 1, 0);
                continue;
            }
            let slices = model.slices_of(op.kind(), op.inputs()[0], output, M::OPS);
            let remaining = slices.saturating_sub(self.next_slice).max(1);
            let affordable = (left.saturating_sub(op.call_cost()) / op.slice_cost().max(1)) as usize;
            let count = remaining.min(if first { affordable.max(1) } else { affordable });
            if count == 0 {
                return Progress::Pending;
            }
            first = false;
            let cost = (count as u32).saturating_mul(op.slice_cost()).saturating_add(op.call_cost());
            left = left.saturating_sub(cost);
            let end = self.next_slice + count;
            run::<M, K>(model, self.arena, op, self.next_slice..end, 0);
            if end >= slices {
                (self.next_op, self.next_slice) = (self.next_op + 1, 0);
            } else {
                self.next_slice = end;
            }
        }
        self.next_op = 0;
        Progress::Done
    }

    /// Runs operator `index` alone, whole, on what the arena holds. For comparing operators one by one. Of operators that
    /// run in lock step the first runs all, and the others do nothing.
    pub fn invoke_op(&mut self, index: u16) {
        self.invoke_op_with(index, |_| {});
    }

    /// As [`Session::invoke_op`]; `observe` is called with the number of an operator whenever that one goes to work. For
    /// telling apart what operators in lock step cost.
    pub fn invoke_op_with(&mut self, index: u16, mut observe: impl FnMut(u16)) {
        let model = known::<M>(&self.model);
        let Some(op) = model.op_words(index) else { return };
        if M::OPS.contains_groups() && model.reads_lines(op) {
            return;
        }
        let output = model.value_words(op.output());
        if M::OPS.contains_groups() && output.is_lines() {
            let group = lock_step::Group::new(model, index);
            (0..group.slices()).for_each(|y| group.run::<M, K>(model, self.arena, y, &mut observe));
            return;
        }
        observe(index);
        let slices = model.slices_of(op.kind(), op.inputs()[0], output, M::OPS);
        run::<M, K>(model, self.arena, op, 0..slices, 0);
    }

    /// Elements of value `index` as the arena (or the plan) holds them now.
    pub fn value(&self, index: u16) -> &[i8] {
        let value = self.model().value(index);
        match arena_range(&value) {
            Some(range) => self.arena.get(range).unwrap_or(&[]),
            None => self.model().constant(&value),
        }
    }

    /// Elements of value `index`, to be written before [`Session::invoke_op`]; empty for a constant.
    pub fn value_mut(&mut self, index: u16) -> &mut [i8] {
        let range = arena_range(&self.model().value(index));
        range.and_then(|range| self.arena.get_mut(range)).unwrap_or(&mut [])
    }
}

/// The model that is known while compiling, else that of the session.
#[inline(always)]
fn known<'m, 'a, M: Ops>(own: &'m Model<'a>) -> &'m Model<'a> {
    match const { &M::EMBEDDED } {
        Some(model) => model,
        None => own,
    }
}

/// An output of a session.
#[derive(Clone, Copy, Debug)]
pub struct Output<'s> {
    /// Elements in the value's layout.
    pub values: &'s [i8],
    /// Scale and zero point.
    pub quant: QuantParams,
}

impl Output<'_> {
    /// Position of the largest element, the first of equal ones; 0 for an empty output.
    pub fn argmax(&self) -> usize {
        let mut best = 0;
        let mut largest = i8::MIN;
        for (i, &value) in self.values.iter().enumerate() {
            if value > largest {
                (best, largest) = (i, value);
            }
        }
        best
    }

    /// Real value of element `i`; 0 beyond the last.
    pub fn real(&self, i: usize) -> f32 {
        self.values.get(i).map_or(0.0, |&q| self.quant.dequantize(q))
    }
}

/// Runs the slices `slices` of one operator. The comparison with `M::OPS` is constant, so the arms of operators that
/// the model does not have are dropped. Where only lines of the output are held, the first is row `held_from`.
fn run<M: Ops, K: Kernels>(
    model: &Model<'_>,
    arena: &mut [i8],
    op: OpWords<'_>,
    slices: Range<usize>,
    held_from: usize,
) {
    let linked = |kind: OpKind| M::OPS.contains(kind);
    let Some(kind) = op.known_kind() else { return };
    match kind {
        OpKind::Conv2d if linked(OpKind::Conv2d) => {
            let mut params = model.conv_2d(op);
            let mut bands = Bands::new(model, op, slices, held_from);
            while let Some(part) = bands.next::<M>(arena) {
                part.band.cut(&mut params.input, &mut params.output, &mut params.window);
                let rows = 0..params.output.extent.h;
                K::For::<M>::conv_2d(&params, part.input, part.output, rows, part.scratch);
            }
        }
        OpKind::DepthwiseConv2d if linked(OpKind::DepthwiseConv2d) => {
            let mut params = model.depthwise_conv_2d(op);
            let mut bands = Bands::new(model, op, slices, held_from);
            while let Some(part) = bands.next::<M>(arena) {
                part.band.cut(&mut params.input, &mut params.output, &mut params.window);
                let rows = 0..params.output.extent.h;
                K::For::<M>::depthwise_conv_2d(&params, part.input, part.output, rows, part.scratch);
            }
        }
        OpKind::FullyConnected if linked(OpKind::FullyConnected) => {
            fully_connected::<M, K>(model, arena, op, slices);
        }
        OpKind::MaxPool2d if linked(OpKind::MaxPool2d) => {
            let mut params = model.max_pool_2d(op);
            let mut bands = Bands::new(model, op, slices, held_from);
            while let Some(part) = bands.next::<M>(arena) {
                part.band.cut(&mut params.input, &mut params.output, &mut params.window);
                K::For::<M>::max_pool_2d(&params, part.input, part.output, 0..params.output.extent.h);
            }
        }
        OpKind::AveragePool2d if linked(OpKind::AveragePool2d) => {
            let mut params = model.average_pool_2d(op);
            let mut bands = Bands::new(model, op, slices, held_from);
            while let Some(part) = bands.next::<M>(arena) {
                part.band.cut(&mut params.input, &mut params.output, &mut params.window);
                K::For::<M>::average_pool_2d(&params, part.input, part.output, 0..params.output.extent.h);
            }
        }
        OpKind::Add if linked(OpKind::Add) => {
            let Some(cells) = Cells::new::<M>(model, arena, op, slices, held_from) else { return };
            K::For::<M>::add(&model.add(op), cells.lhs, cells.rhs, cells.output);
        }
        OpKind::Mul if linked(OpKind::Mul) => {
            let Some(cells) = Cells::new::<M>(model, arena, op, slices, held_from) else { return };
            K::For::<M>::mul(&model.mul(op), cells.lhs, cells.rhs, cells.output);
        }
        OpKind::Lookup if linked(OpKind::Lookup) => {
            let Some(cells) = Cells::new::<M>(model, arena, op, slices, held_from) else { return };
            K::For::<M>::lookup(model.table(op), cells.lhs, cells.output);
        }
        OpKind::Softmax if linked(OpKind::Softmax) => {
            let Some(cells) = Cells::new::<M>(model, arena, op, slices, held_from) else { return };
            K::For::<M>::softmax(&model.softmax(op), cells.lhs, cells.output);
        }
        OpKind::Concat if linked(OpKind::Concat) => {
            let (input, output) = (model.value_words(op.inputs()[0]), model.value_words(op.output()));
            let Some((input, output)) = whole::<M>(model, arena, input, output) else { return };
            K::For::<M>::place(&model.concat(op), input, output, slices);
        }
        OpKind::Pad if linked(OpKind::Pad) => {
            let (input, output) = (model.value_words(op.inputs()[0]), model.value_words(op.output()));
            let Some((input, output)) = whole::<M>(model, arena, input, output) else { return };
            if slices.start == 0 {
                output.fill(op.c() as i8);
            }
            K::For::<M>::place(&model.pad(op), input, output, slices);
        }
        OpKind::Copy if linked(OpKind::Copy) => {
            let (input, output) = (model.value_words(op.inputs()[0]), model.value_words(op.output()));
            let params = Place::relayout(input.view(), output.view());
            let Some((input, output)) = whole::<M>(model, arena, input, output) else { return };
            K::For::<M>::place(&params, input, output, slices);
        }
        OpKind::MatMul if linked(OpKind::MatMul) => {
            let params = model.mat_mul(op);
            let Some((lhs, rhs, output)) = pair::<M>(model, arena, op) else { return };
            let outputs = slices.start * params.columns..slices.end * params.columns;
            if let Some(output) = output.get_mut(outputs) {
                K::For::<M>::mat_mul(&params, lhs, rhs, output, slices);
            }
        }
        _ => {}
    }
}

/// The slices `slices` of a fully connected layer. Such layers are small and many: a function of its own keeps what it
/// works on in registers.
#[inline(never)]
fn fully_connected<M: Ops, K: Kernels>(
    model: &Model<'_>,
    arena: &mut [i8],
    op: OpWords<'_>,
    slices: Range<usize>,
) {
    let (input, output) = (model.value_words(op.inputs()[0]), model.value_words(op.output()));
    let params = model.fully_connected(op, input, output);
    let outputs = slices.start * OUTPUTS_PER_SLICE..slices.end * OUTPUTS_PER_SLICE;
    let outputs = outputs.start..outputs.end.min(params.outputs);
    let Some((input, output)) = whole::<M>(model, arena, input, output) else { return };
    if let Some(output) = output.get_mut(outputs.clone()) {
        K::For::<M>::fully_connected(&params, input, output, outputs);
    }
}
