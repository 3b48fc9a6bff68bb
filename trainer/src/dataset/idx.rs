//! The IDX files of the MNIST family: `train-images-idx3-ubyte[.gz]` and its three companions.
//!
//! An IDX file is two zero bytes, a type (8 is `u8`), the number of dimensions, each dimension as a big-endian `u32`,
//! and the values. Images have the dimensions count, rows, columns and, for colour, channels.

use std::path::{Path, PathBuf};

use super::{DataSet, Example, Samples, SignalKind, Skipped, Split, archive, split};
use crate::error::{InputError, Result};
use crate::recipe::data::Data;

/// Bytes of one unpacked file at most.
const FILE_BYTES: u64 = 1 << 30;

/// A checked IDX file of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The dimensions, outermost first; their product is the length of `values`.
    pub dimensions: Vec<usize>,
    /// The values, last dimension fastest.
    pub values: Vec<u8>,
}

impl Idx {
    /// Reads a file, unpacking it where its name ends in `.gz`.
    pub fn read(file: &Path) -> Result<Self> {
        Self::parse(archive::read_file(file, FILE_BYTES)?, file)
    }

    /// Checks the bytes of a file; `file` is for messages.
    pub fn parse(mut bytes: Vec<u8>, file: &Path) -> Result<Self> {
        let fault = |byte: u64, problem: String, remedy: &str| {
            Err(InputError::new(file, problem, remedy).at_byte(byte))
        };
        let Some(&[zero_0, zero_1, kind, n_dimensions]) = bytes.first_chunk::<4>() else {
            return fault(
                0,
                format!("has {} bytes, too few for an IDX header", bytes.len()),
                "fetch the file again",
            );
        };
        if (zero_0, zero_1) != (0, 0) {
            return fault(
                0,
                "does not begin as an IDX file does (two zero bytes)".into(),
                "check that it is an IDX file",
            );
        }
        if kind != 8 {
            return fault(
                2,
                format!("has values of type {kind:#04x}"),
                "only unsigned bytes (type 0x08) are read",
            );
        }
        if !(1..=4).contains(&n_dimensions) {
            return fault(3, format!("has {n_dimensions} dimensions"), "only 1 to 4 dimensions are read");
        }
        let header_len = 4 + 4 * usize::from(n_dimensions);
        let Some(header) = bytes.get(4..header_len) else {
            return fault(4, "ends inside its dimensions".into(), "the file is cut off; fetch it again");
        };
        let dimensions: Vec<usize> = header
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&dimension| u32::from_be_bytes(dimension) as usize)
            .collect();
        let claimed =
            dimensions.iter().try_fold(1_usize, |product, &dimension| product.checked_mul(dimension));
        let present = bytes.len() - header_len;
        if claimed != Some(present) {
            let claimed =
                claimed.map_or_else(|| "more than the address space".into(), |claimed| claimed.to_string());
            return fault(
                bytes.len() as u64,
                format!("has {present} values, but its header says {dimensions:?}, which is {claimed}"),
                "the file is cut off or damaged; fetch it again",
            );
        }
        bytes.drain(..header_len);
        Ok(Self { dimensions, values: bytes })
    }
}

/// Loads `train-*` (training) and `t10k-*` (test) from a folder.
pub fn load(root: &Path, data: &Data, seed: u64) -> Result<DataSet> {
    let mut kind = None;
    let mut examples = Vec::new();
    for (stem, split) in [("train", Split::Train), ("t10k", Split::Test)] {
        let images_file = find(root, stem, "images")?;
        let labels_file = find(root, stem, "labels")?;
        let images = Idx::read(&images_file)?;
        let (count, shape) = image_shape(&images, &images_file)?;
        if *kind.get_or_insert_with(|| shape.clone()) != shape {
            return Err(InputError::new(
                images_file,
                format!("its images are {shape:?}, those of the training file are not"),
                "fetch both files from the same place",
            ));
        }
        let labels = Idx::read(&labels_file)?;
        if labels.dimensions != [count] {
            return Err(InputError::new(
                labels_file,
                format!("has the dimensions {:?}, but there are {count} images", labels.dimensions),
                "images and labels must come from the same place",
            ));
        }
        let pixels = images.values.len() / count.max(1);
        for (n, (image, &label)) in images.values.chunks_exact(pixels.max(1)).zip(&labels.values).enumerate()
        {
            let label = usize::from(label);
            if label >= data.labels.len() {
                return Err(InputError::new(
                    labels_file,
                    format!("label {n} is {label}, but the recipe has {} labels", data.labels.len()),
                    "name every class in `labels` of [data]",
                )
                .at_byte(8 + n as u64));
            }
            examples.push(Example {
                samples: Samples::U8(image.to_vec()),
                label,
                group: format!("{stem}-{n}"),
                split,
                source: format!("{}#{n}", images_file.display()),
            });
        }
    }
    split::assign(&mut examples, true, &data.split, seed, root)?;
    Ok(DataSet {
        name: data.path.clone(),
        labels: data.labels.clone(),
        kind: kind.unwrap_or(SignalKind::Image { h: 0, w: 0, c: 0 }),
        examples,
        skipped: Skipped::default(),
        withheld: 0,
    })
}

/// Number and shape of the images.
fn image_shape(images: &Idx, file: &Path) -> Result<(usize, SignalKind)> {
    let (count, h, w, c) = match images.dimensions[..] {
        [count, h, w] => (count, h, w, 1),
        [count, h, w, c] => (count, h, w, c),
        _ => {
            return Err(InputError::new(
                file,
                format!("has the dimensions {:?}, which are no images", images.dimensions),
                "images have the dimensions count, rows, columns and possibly channels",
            ));
        }
    };
    if count == 0 || h == 0 || w == 0 || c == 0 {
        return Err(InputError::new(file, "holds no image", "fetch the file again"));
    }
    Ok((count, SignalKind::Image { h, w, c }))
}

/// The file of one part, under the names it goes by.
fn find(root: &Path, stem: &str, part: &str) -> Result<PathBuf> {
    let kinds: &[&str] = if part == "images" { &["idx3", "idx4"] } else { &["idx1"] };
    for kind in kinds {
        for dash in ["-", "."] {
            for ending in ["", ".gz"] {
                let file = root.join(format!("{stem}-{part}{dash}{kind}-ubyte{ending}"));
                if file.is_file() {
                    return Ok(file);
                }
            }
        }
    }
    Err(InputError::new(
        root.join(format!("{stem}-{part}-{}-ubyte.gz", kinds[0])),
        "is not there, nor is its unpacked form",
        "pass --data with the folder that holds the four IDX files, or its parent",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn parse(bytes: &[u8]) -> Result<Idx> {
        Idx::parse(bytes.to_vec(), Path::new("x-idx3-ubyte"))
    }

    fn header(dimensions: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        dimensions.iter().for_each(|dimension| bytes.extend(dimension.to_be_bytes()));
        bytes
    }

    #[test]
    fn a_file_is_its_dimensions_and_values() {
        let bytes = [header(&[2, 3]), vec![1, 2, 3, 4, 5, 6]].concat();
        assert_eq!(parse(&bytes).unwrap(), Idx { dimensions: vec![2, 3], values: vec![1, 2, 3, 4, 5, 6] });
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = [header(&[2, 2, 2]), vec![7; 8]].concat();
        for len in 0..bytes.len() {
            let error = parse(&bytes[..len]).unwrap_err();
            assert!(error.place != Place::File && !error.remedy.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_claim_of_four_gigabytes_is_refused_without_allocating_them() {
        for dimensions in [vec![u32::MAX], vec![u32::MAX; 4], vec![1 << 16, 1 << 16]] {
            let error = parse(&[header(&dimensions), vec![0; 10]].concat()).unwrap_err();
            assert!(error.problem.contains("has 10 values"), "{error}");
        }
    }

    #[test]
    fn every_flipped_bit_of_the_header_is_refused() {
        let bytes = [header(&[2, 2, 2]), vec![7; 8]].concat();
        for bit in 0..16 * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged).is_err(), "bit {bit}");
        }
    }
}
