//! The `[network]` table: the layers, first to last.

use super::reader::Section;
use crate::error::Result;

/// The `[network]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The layers, first to last. The last dense layer has one unit per label, or per feature.
    pub layers: Vec<Layer>,
}

/// What a network gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// A score for each of so many classes.
    Classes(usize),
    /// So many features, which are to be those of its input.
    Features(usize),
}

impl Outputs {
    /// How many numbers that is.
    pub fn count(self) -> usize {
        match self {
            Outputs::Classes(count) | Outputs::Features(count) => count,
        }
    }
}

/// One layer. Spatial sizes are `[vertical, horizontal]`; a signal in time runs vertically.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Convolution.
    Conv {
        /// Output channels.
        filters: usize,
        /// Filter size.
        kernel: [usize; 2],
        /// Step.
        stride: [usize; 2],
        /// Borders.
        padding: Padding,
        /// Followed by batch normalization (the bias is then left to it).
        batch_norm: bool,
    },
    /// Depthwise convolution: each channel with a filter of its own.
    Depthwise {
        /// Filter size.
        kernel: [usize; 2],
        /// Step.
        stride: [usize; 2],
        /// Borders.
        padding: Padding,
        /// Followed by batch normalization (the bias is then left to it).
        batch_norm: bool,
    },
    /// Fully connected, over everything that comes in.
    Dense {
        /// Outputs.
        units: usize,
    },
    /// The largest value of each window.
    MaxPool {
        /// Window size.
        kernel: [usize; 2],
        /// Step.
        stride: [usize; 2],
    },
    /// The mean of each window.
    AveragePool {
        /// Window size.
        kernel: [usize; 2],
        /// Step.
        stride: [usize; 2],
    },
    /// The mean of each channel.
    GlobalAveragePool,
    /// All values in one row.
    Flatten,
    /// In training, zeroes this share of the values at random.
    Dropout {
        /// The share.
        rate: f64,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Borders of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros around the input, so that the output has `ceil(size / stride)` places; the odd one goes to the end.
    Same,
    /// None.
    Valid,
}

impl Network {
    pub(super) fn read(section: &Section, outputs: Outputs) -> Result<Self> {
        let tables = section.sections("layers", "[[network.layers]]")?;
        section.finish()?;
        if tables.is_empty() {
            return Err(section.fault(
                "layers",
                "is missing or empty",
                "add at least one [[network.layers]]",
            ));
        }
        let mut layers = Vec::new();
        for (n, table) in tables.iter().enumerate() {
            let is_last = n + 1 == tables.len();
            layers.push(Layer::read(table, outputs.count(), is_last)?);
            let activations = [("none", None), ("relu", Some(Layer::Relu)), ("relu6", Some(Layer::Relu6))];
            if let Some(activation) = table.choice("activation", &activations)?.flatten() {
                if is_last {
                    let remedy = "remove it: what the last layer gives is taken as it is";
                    return Err(table.fault("activation", "stands at the last layer", remedy));
                }
                layers.push(activation);
            }
            table.finish()?;
        }
        match layers.last() {
            Some(Layer::Dense { units }) if *units == outputs.count() => Ok(Self { layers }),
            _ => Err(tables[tables.len() - 1].fault_of_table(
                match outputs {
                    Outputs::Classes(count) => {
                        format!("is the last layer and does not give the {count} scores of the labels")
                    }
                    Outputs::Features(count) => {
                        format!("is the last layer and does not give the {count} features of the input again")
                    }
                },
                "end with a layer of type `dense` without `units`",
            )),
        }
    }
}

impl Layer {
    fn read(table: &Section, n_outputs: usize, is_last: bool) -> Result<Self> {
        let types = [
            "conv",
            "depthwise",
            "dense",
            "max_pool",
            "average_pool",
            "global_average_pool",
            "flatten",
            "dropout",
            "relu",
            "relu6",
        ];
        let kernel = || table.required("kernel", table.pair("kernel", 1..=255)?);
        let stride = || Ok(table.pair("stride", 1..=64)?.unwrap_or([1, 1]));
        let padding = || {
            let choices = [("same", Padding::Same), ("valid", Padding::Valid)];
            Ok(table.choice("padding", &choices)?.unwrap_or(Padding::Same))
        };
        let batch_norm = || Ok(table.boolean("batch_norm")?.unwrap_or(false));
        Ok(match table.required("type", table.word("type", &types)?)? {
            "conv" => Layer::Conv {
                filters: table.required("filters", table.size("filters", 1..=4_096)?)?,
                kernel: kernel()?,
                stride: stride()?,
                padding: padding()?,
                batch_norm: batch_norm()?,
            },
            "depthwise" => Layer::Depthwise {
                kernel: kernel()?,
                stride: stride()?,
                padding: padding()?,
                batch_norm: batch_norm()?,
            },
            "dense" => {
                let units = table.size("units", 1..=65_536)?;
                Layer::Dense {
                    units: if is_last {
                        units.unwrap_or(n_outputs)
                    } else {
                        table.required("units", units)?
                    },
                }
            }
            "max_pool" => {
                let kernel = kernel()?;
                Layer::MaxPool { kernel, stride: table.pair("stride", 1..=64)?.unwrap_or(kernel) }
            }
            "average_pool" => {
                let kernel = kernel()?;
                Layer::AveragePool { kernel, stride: table.pair("stride", 1..=64)?.unwrap_or(kernel) }
            }
            "global_average_pool" => Layer::GlobalAveragePool,
            "flatten" => Layer::Flatten,
            "dropout" => Layer::Dropout { rate: table.required("rate", table.number("rate", 0.0..=0.95)?)? },
            "relu" => Layer::Relu,
            _ => Layer::Relu6,
        })
    }
}
