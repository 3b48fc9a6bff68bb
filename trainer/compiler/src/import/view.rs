//! How a tensor of a model file looks at the bytes of a value.
//!
//! Tensors have any number of axes in any order; values have `[n, h, w, c]`. Transposing and
//! reshaping a tensor changes only how it looks at the bytes, so neither becomes an operator.
//! A view cuts the bytes into atoms, axes that are never taken apart, numbered in the order in
//! which they lie in memory; each axis of the tensor is a list of atoms. Axes of size 1 have none.

use crate::graph::{Port, PortType, ValueId};

/// A run of `size` elements along one axis of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Atom {
    pub size: usize,
    /// Distance between neighbours in the tensor of the model input that these bytes come
    /// from, where they come from one without change of order.
    pub stride: usize,
}

/// A view of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// In the order of the bytes; none has size 1.
    pub atoms: Vec<Atom>,
    /// For each tensor axis the atoms it is made of, outermost first.
    pub axes: Vec<Vec<usize>>,
    /// The model input whose bytes these are, up to the order of the atoms.
    pub origin: Option<usize>,
}

impl View {
    /// The view of a value whose bytes are in the order of the tensor's axes taken by
    /// `permutation`.
    pub fn permuted(shape: &[usize], permutation: &[usize]) -> View {
        let mut strides = vec![1usize; shape.len()];
        for i in (0..shape.len().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * shape[i + 1];
        }
        let mut axes = vec![Vec::new(); shape.len()];
        let mut atoms = Vec::new();
        for &axis in permutation {
            if shape[axis] != 1 {
                axes[axis].push(atoms.len());
                atoms.push(Atom { size: shape[axis], stride: strides[axis] });
            }
        }
        View { atoms, axes, origin: None }
    }

    /// The view of a model input, `atoms` being its parts in the order of the bytes.
    pub fn of_input(input: usize, shape: &[usize], atoms: Vec<Atom>) -> View {
        let mut axes = Vec::new();
        let mut stride: usize = shape.iter().product();
        for &size in shape {
            let outer = stride;
            stride /= size.max(1);
            let mut inside: Vec<usize> =
                (0..atoms.len()).filter(|&i| atoms[i].stride >= stride && atoms[i].stride < outer).collect();
            inside.sort_by_key(|&i| std::cmp::Reverse(atoms[i].stride));
            axes.push(inside);
        }
        View { atoms, axes, origin: Some(input) }
    }

    /// Shape of the tensor.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| self.size_of(axis)).collect()
    }

    /// Product of the sizes of some atoms.
    pub fn size_of(&self, atoms: &[usize]) -> usize {
        atoms.iter().map(|&a| self.atoms[a].size).product()
    }

    /// All atoms in the order of the tensor.
    pub fn sequence(&self) -> Vec<usize> {
        self.axes.iter().flatten().copied().collect()
    }

    /// True where the tensor's elements lie in its own order.
    pub fn is_in_order(&self) -> bool {
        self.sequence().windows(2).all(|w| w[0] < w[1])
    }

    /// The view after a transposition.
    pub fn transposed(&self, permutation: &[usize]) -> View {
        let axes = permutation.iter().map(|&p| self.axes[p].clone()).collect();
        View { axes, ..self.clone() }
    }

    /// The view after a reshape, or `None` where the new axes cut through the old ones.
    pub fn reshaped(&self, shape: &[usize]) -> Option<View> {
        match self.cut(shape, self.origin.is_none()) {
            Some(view) => Some(view),
            // Atoms joined without regard to the model input have no place in its order any more.
            None => self.cut(shape, true).map(|view| view.detached()),
        }
    }

    /// The view cut into new axes. Atoms that lie together are joined before: all of them, or those that lie
    /// together in the model input as well.
    fn cut(&self, shape: &[usize], all: bool) -> Option<View> {
        // Work on the sequence in ONNX order; split an atom where an axis ends inside it.
        let mut parts: Vec<(usize, Atom)> = self.sequence().into_iter().map(|a| (a, self.atoms[a])).collect();
        merge_neighbours(&mut parts, all);
        let mut axes: Vec<Vec<(usize, Atom)>> = Vec::new();
        let mut queue = std::collections::VecDeque::from(parts);
        for &size in shape {
            let mut axis = Vec::new();
            let mut wanted = size;
            while wanted > 1 {
                let (place, atom) = queue.pop_front()?;
                if wanted % atom.size == 0 {
                    wanted /= atom.size;
                    axis.push((place, atom));
                } else if atom.size % wanted == 0 {
                    let inner = atom.size / wanted;
                    axis.push((place, Atom { size: wanted, stride: atom.stride * inner }));
                    queue.push_front((place, Atom { size: inner, stride: atom.stride }));
                    wanted = 1;
                } else {
                    return None;
                }
            }
            axes.push(axis);
        }
        if !queue.is_empty() {
            return None;
        }
        Some(number(axes, self.origin))
    }

    /// True where the atoms, in this order, are those that lie at `start` and after.
    pub fn lies_at(&self, start: usize, atoms: &[usize]) -> bool {
        atoms.iter().enumerate().all(|(i, &a)| a == start + i)
    }

    /// The view of an operator's result that has fresh axes in memory order, given as tensor axis
    /// and size, among `rank` tensor axes.
    pub fn fresh(rank: usize, memory: &[(usize, usize)]) -> View {
        let mut axes = vec![Vec::new(); rank];
        let mut atoms = Vec::new();
        for &(axis, size) in memory {
            if size != 1 {
                axes[axis].push(atoms.len());
                atoms.push(Atom { size, stride: 0 });
            }
        }
        View { atoms, axes, origin: None }
    }

    /// The same view of a value that an operator has made.
    pub fn detached(&self) -> View {
        View { origin: None, ..self.clone() }
    }

    /// The view with the atoms of one axis replaced by a single one of `size`, at the same place
    /// in memory. The axis' atoms must lie together; where it has none, the new one lies at
    /// `place`.
    pub fn with_axis(&self, axis: usize, size: usize, place: usize) -> View {
        let old = &self.axes[axis];
        let start = old.iter().copied().min().unwrap_or(place);
        let removed = old.len();
        let added = usize::from(size != 1);
        let mut atoms = self.atoms.clone();
        let new = (added == 1).then_some(Atom { size, stride: 0 });
        atoms.splice(start..start + removed, new);
        let axes = (0..self.axes.len())
            .map(|i| {
                if i == axis {
                    (0..added).map(|_| start).collect()
                } else {
                    self.axes[i].iter().map(|&a| if a >= start { a - removed + added } else { a }).collect()
                }
            })
            .collect();
        View { atoms, axes, origin: None }
    }

    /// The four axes of a value that nothing has asked anything of yet.
    pub fn nhwc(&self) -> [usize; 4] {
        let sizes: Vec<usize> = self.atoms.iter().map(|a| a.size).collect();
        match *sizes.as_slice() {
            [] => [1, 1, 1, 1],
            [c] => [1, 1, 1, c],
            [h, c] => [1, h, 1, c],
            [ref front @ .., w, c] => [1, front.iter().product(), w, c],
        }
    }

    /// The input or output of the model that looks at a value in this way.
    pub fn port(&self, value: ValueId, name: &str, kind: PortType) -> Port {
        let mut axes = Vec::new();
        let mut ones = Vec::new();
        let mut places = vec![0; self.atoms.len()];
        for axis in &self.axes {
            if axis.is_empty() {
                ones.push(axes.len());
                axes.push(1);
            }
            for &atom in axis {
                places[atom] = axes.len();
                axes.push(self.atoms[atom].size);
            }
        }
        let permutation = ones.into_iter().chain(places).collect();
        Port { value, name: name.to_string(), shape: self.shape(), axes, permutation, kind }
    }
}

/// Joins atoms that follow one another both in the tensor and in memory; unless `all`, only where they do so in the
/// model input too.
fn merge_neighbours(parts: &mut Vec<(usize, Atom)>, all: bool) {
    let mut merged: Vec<(usize, usize, Atom)> = Vec::new();
    for &(place, atom) in parts.iter() {
        match merged.last_mut() {
            Some((_, last, before))
                if place == *last + 1 && (all || before.stride == atom.size * atom.stride) =>
            {
                *before = Atom { size: before.size * atom.size, stride: atom.stride };
                *last = place;
            }
            _ => merged.push((place, place, atom)),
        }
    }
    *parts = merged.into_iter().map(|(first, _, atom)| (first, atom)).collect();
}

/// Numbers atoms by their place in memory, where those with one place follow one another as they
/// stand.
fn number(axes: Vec<Vec<(usize, Atom)>>, origin: Option<usize>) -> View {
    let mut flat: Vec<(usize, usize, usize, Atom)> = Vec::new();
    for (axis, parts) in axes.iter().enumerate() {
        for &(place, atom) in parts {
            flat.push((place, flat.len(), axis, atom));
        }
    }
    flat.sort_by_key(|&(place, order, _, _)| (place, order));
    let mut numbered = vec![Vec::new(); axes.len()];
    let mut by_order: Vec<(usize, usize, usize)> =
        flat.iter().enumerate().map(|(number, &(_, order, axis, _))| (order, axis, number)).collect();
    by_order.sort_unstable();
    for (_, axis, number) in by_order {
        numbered[axis].push(number);
    }
    let atoms = flat.into_iter().map(|(_, _, _, atom)| atom).collect();
    View { atoms, axes: numbered, origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flatten_keeps_the_bytes() {
        let nchw = View::permuted(&[1, 8, 4, 5], &[0, 2, 3, 1]);
        assert_eq!(nchw.axes, vec![vec![], vec![2], vec![0], vec![1]]);
        let flat = nchw.reshaped(&[1, 160]).unwrap();
        assert_eq!(flat.shape(), vec![1, 160]);
        let sizes: Vec<usize> = flat.axes[1].iter().map(|&a| flat.atoms[a].size).collect();
        assert_eq!(sizes, vec![8, 20]);
        assert!(!flat.is_in_order());
        let back = flat.reshaped(&[1, 8, 4, 5]).unwrap();
        assert_eq!(back.shape(), vec![1, 8, 4, 5]);
        assert_eq!(back.sequence(), vec![2, 0, 1]);
    }

    #[test]
    fn parts_of_a_model_input_keep_their_place_in_it() {
        // [1, 3, 6, 3] with its axes 2, 3, 1 in memory order; axes 3 and 1 lie together in memory only.
        let input = View { origin: Some(0), ..View::permuted(&[1, 3, 6, 3], &[0, 2, 3, 1]) };
        let view = input.transposed(&[0, 3, 1, 2]);
        let same = view.reshaped(&[1, 3, 3, 6]).unwrap();
        assert_eq!(same.atoms, input.atoms);
        assert_eq!(same.origin, Some(0));
        let cut = view.reshaped(&[1, 9, 6]).unwrap();
        assert_eq!((cut.shape(), cut.origin), (vec![1, 9, 6], Some(0)));
        let through = View { origin: Some(0), ..View::permuted(&[2, 3], &[0, 1]) };
        assert_eq!(through.reshaped(&[3, 2]).unwrap().origin, Some(0));
        let apart = View { origin: Some(0), ..View::permuted(&[3, 2], &[1, 0]) }.transposed(&[1, 0]);
        assert_eq!(apart.reshaped(&[3, 2]).unwrap().origin, None);
    }

    #[test]
    fn reshape_that_cuts_through_is_refused() {
        let nchw = View::permuted(&[1, 3, 4, 5], &[0, 2, 3, 1]);
        assert!(nchw.reshaped(&[2, 30]).is_none());
        let plain = View::permuted(&[1, 3, 4, 5], &[0, 1, 2, 3]);
        assert_eq!(plain.reshaped(&[2, 30]).unwrap().shape(), vec![2, 30]);
        assert!(plain.reshaped(&[7, 9]).is_none());
    }

    #[test]
    fn input_parts_are_found_by_stride() {
        let atoms = vec![Atom { size: 5, stride: 1 }, Atom { size: 4, stride: 5 }];
        let view = View::of_input(0, &[1, 4, 5], atoms);
        assert_eq!(view.axes, vec![vec![], vec![1], vec![0]]);
    }

    #[test]
    fn one_axis_replaced() {
        let view = View::permuted(&[1, 8, 4, 5], &[0, 2, 3, 1]);
        let other = view.with_axis(1, 3, 2);
        assert_eq!(other.shape(), vec![1, 3, 4, 5]);
        let gone = view.with_axis(1, 1, 2);
        assert_eq!(gone.shape(), vec![1, 1, 4, 5]);
        assert_eq!(gone.atoms.len(), 2);
        let again = gone.with_axis(1, 6, 2);
        assert_eq!(again.shape(), vec![1, 6, 4, 5]);
        assert_eq!(again.axes[1], vec![2]);
    }
}
