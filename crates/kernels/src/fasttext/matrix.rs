//! Matrices of a model: dense, or product-quantised (Jégou et al. 2011; Joulin et al. 2016,
//! arXiv:1612.03651), where each stretch of a row is one of 256 centroids and the row may have a norm.

use std::io::Read;

use super::source::{Source, unusable};
use crate::error::Result;

/// Centroids of each stretch of a row.
const CENTROIDS: usize = 256;
/// A quantised matrix up to this size is kept as plain numbers, which are faster to add.
const DEQUANTISE_BYTES: u64 = 512 << 20;

pub(super) enum Matrix {
    Dense { columns: usize, values: Vec<f32> },
    Quantised(Quantised),
}

pub(super) struct Quantised {
    rows: u64,
    quantizer: ProductQuantizer,
    codes: Vec<u8>,
    norms: Option<Norms>,
}

struct Norms {
    codes: Vec<u8>,
    /// The norm each code stands for.
    values: Vec<f32>,
}

struct ProductQuantizer {
    dimension: usize,
    parts: usize,
    /// Numbers of each part but the last, and of the last.
    width: usize,
    last_width: usize,
    centroids: Vec<f32>,
}

impl ProductQuantizer {
    fn read<R: Read>(source: &mut Source<R>, dimension: u64) -> Result<Self> {
        let what = "a quantiser";
        let quantizer = Self {
            dimension: source.count(what)?,
            parts: source.count(what)?,
            width: source.count(what)?,
            last_width: source.count(what)?,
            centroids: source.floats(dimension * CENTROIDS as u64, "the centroids")?,
        };
        let Self { parts, width, last_width, .. } = quantizer;
        let whole = parts.checked_sub(1).and_then(|parts| parts.checked_mul(width)?.checked_add(last_width));
        if quantizer.dimension as u64 != dimension || whole != Some(quantizer.dimension) || last_width > width
        {
            return Err(unusable(format!(
                "the file is damaged: a quantiser of {} columns in {parts} parts for {dimension} columns",
                quantizer.dimension
            )));
        }
        Ok(quantizer)
    }

    /// The centroid that `code` stands for in a part.
    #[inline]
    fn centroid(&self, part: usize, code: u8) -> &[f32] {
        let width = if part + 1 == self.parts { self.last_width } else { self.width };
        let start = part * CENTROIDS * self.width + usize::from(code) * width;
        &self.centroids[start..start + width]
    }
}

impl Quantised {
    fn read<R: Read>(source: &mut Source<R>) -> Result<Self> {
        let has_norms = source.flag("whether norms are quantised")?;
        let (rows, columns) = size(source)?;
        let codes = source.count("the number of codes")? as u64;
        let codes = source.bytes(codes, "the codes")?;
        let quantizer = ProductQuantizer::read(source, columns)?;
        if codes.len() as u64 != rows * quantizer.parts as u64 {
            return Err(unusable(format!("the file is damaged: {} codes for {rows} rows", codes.len())));
        }
        let norms = if has_norms {
            let codes = source.bytes(rows, "the codes of norms")?;
            Some(Norms { codes, values: ProductQuantizer::read(source, 1)?.centroids })
        } else {
            None
        };
        Ok(Self { rows, quantizer, codes, norms })
    }

    fn codes(&self, row: usize) -> &[u8] {
        let parts = self.quantizer.parts;
        &self.codes[row * parts..(row + 1) * parts]
    }

    fn norm(&self, row: usize) -> f32 {
        self.norms.as_ref().map_or(1.0, |norms| norms.values[usize::from(norms.codes[row])])
    }

    #[inline]
    fn add_row(&self, row: usize, norm: f32, sum: &mut [f32]) {
        for (part, &code) in self.codes(row).iter().enumerate() {
            let from = part * self.quantizer.width;
            for (into, &value) in sum[from..].iter_mut().zip(self.quantizer.centroid(part, code)) {
                *into += norm * value;
            }
        }
    }
}

impl Matrix {
    /// Reads the input matrix; one that is quantised becomes dense where that takes little memory.
    pub fn read_input<R: Read>(source: &mut Source<R>, quantised: bool) -> Result<Self> {
        if !quantised {
            return Self::read_dense(source);
        }
        let quantised = Quantised::read(source)?;
        let columns = quantised.quantizer.dimension;
        if quantised.rows * columns as u64 * 4 > DEQUANTISE_BYTES {
            return Ok(Self::Quantised(quantised));
        }
        let mut values = vec![0.0; quantised.rows as usize * columns];
        for (row, into) in values.chunks_exact_mut(columns).enumerate() {
            quantised.add_row(row, quantised.norm(row), into);
        }
        Ok(Self::Dense { columns, values })
    }

    fn read_dense<R: Read>(source: &mut Source<R>) -> Result<Self> {
        let (rows, columns) = size(source)?;
        let values = rows.checked_mul(columns).ok_or_else(|| unusable("the file is damaged: its matrix"))?;
        Ok(Self::Dense { columns: columns as usize, values: source.floats(values, "a matrix")? })
    }

    pub fn columns(&self) -> usize {
        match self {
            Self::Dense { columns, .. } => *columns,
            Self::Quantised(quantised) => quantised.quantizer.dimension,
        }
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::Dense { columns, values } => (values.len() / columns) as u64,
            Self::Quantised(quantised) => quantised.rows,
        }
    }

    /// Puts other rows of it after the first `first`.
    pub fn reorder(&mut self, first: usize, rows: &[u32]) {
        match self {
            Self::Dense { columns, values } => *values = reordered(values, *columns, first, rows),
            Self::Quantised(quantised) => {
                quantised.codes = reordered(&quantised.codes, quantised.quantizer.parts, first, rows);
                if let Some(norms) = &mut quantised.norms {
                    norms.codes = reordered(&norms.codes, 1, first, rows);
                }
                quantised.rows = (first + rows.len()) as u64;
            }
        }
    }

    /// Adds rows to `sum` one after the other, as fastText does: the order decides the last bits.
    #[inline]
    pub fn add_rows(&self, rows: &[u32], sum: &mut [f32]) {
        match self {
            Self::Dense { columns: 16, values } if sum.len() == 16 => add_sixteen(rows, values, sum),
            Self::Dense { columns, values } => {
                for &row in rows {
                    let row = &values[row as usize * columns..][..*columns];
                    for (into, value) in sum.iter_mut().zip(row) {
                        *into += value;
                    }
                }
            }
            Self::Quantised(quantised) => {
                for &row in rows {
                    quantised.add_row(row as usize, quantised.norm(row as usize), sum);
                }
            }
        }
    }
}

fn reordered<T: Copy>(values: &[T], width: usize, first: usize, rows: &[u32]) -> Vec<T> {
    let mut all = Vec::with_capacity((first + rows.len()) * width);
    all.extend_from_slice(&values[..first * width]);
    for &row in rows {
        all.extend_from_slice(&values[row as usize * width..][..width]);
    }
    all
}

/// The width of the published language models: the sum stays in registers.
#[inline]
fn add_sixteen(rows: &[u32], values: &[f32], sum: &mut [f32]) {
    let (values, _) = values.as_chunks::<16>();
    let Some(sum) = sum.first_chunk_mut::<16>() else { return };
    let mut local = *sum;
    for &row in rows {
        let row = &values[row as usize];
        for column in 0..16 {
            local[column] += row[column];
        }
    }
    *sum = local;
}

/// A matrix whose rows are multiplied with a vector: plain numbers, and a factor for each row where it
/// was quantised with norms.
pub(super) struct OutputRows {
    pub columns: usize,
    pub values: Vec<f32>,
    pub factors: Option<Vec<f32>>,
}

impl OutputRows {
    pub fn read<R: Read>(source: &mut Source<R>, quantised: bool) -> Result<Self> {
        if !quantised {
            let Matrix::Dense { columns, values } = Matrix::read_dense(source)? else {
                return Err(unusable("the output matrix is not dense"));
            };
            return Ok(Self { columns, values, factors: None });
        }
        let quantised = Quantised::read(source)?;
        let columns = quantised.quantizer.dimension;
        let rows = quantised.rows as usize;
        let cells = rows.checked_mul(columns).ok_or_else(|| unusable("the file is damaged: its matrix"))?;
        let mut values = vec![0.0; cells];
        for (row, into) in values.chunks_exact_mut(columns).enumerate() {
            quantised.add_row(row, 1.0, into);
        }
        let factors = quantised.norms.is_some().then(|| (0..rows).map(|row| quantised.norm(row)).collect());
        Ok(Self { columns, values, factors })
    }
}

fn size<R: Read>(source: &mut Source<R>) -> Result<(u64, u64)> {
    let rows = source.long_count("the rows of a matrix")?;
    let columns = source.long_count("the columns of a matrix")?;
    if columns == 0 || columns > 1 << 20 || rows > u64::from(u32::MAX) {
        return Err(unusable(format!("the file is damaged: a matrix of {rows} × {columns}")));
    }
    Ok((rows, columns))
}
