//! Rows seen from outside the columns: columns built from parts that JavaScript laid out, and a hash of
//! each row's identity.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, UInt32Array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::batch::Batch;
use crate::error::{KernelError, Result};

/// Column in which the step `chunk` numbers the pieces of a row.
pub const CHUNK: &str = "chunk";

/// The values of one column in the layout of Arrow; the value of a null row is any.
#[derive(Debug, Clone)]
pub enum Parts {
    /// UTF-8 of all rows one after the other, and where each begins and the last ends.
    Text(Vec<u8>, Vec<i32>),
    /// As `Text`; each row is a JSON document.
    Json(Vec<u8>, Vec<i32>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f64>),
    /// A bitmap, least significant bit first.
    Booleans(Vec<u8>),
    /// Token ids of all rows, and where each row begins and the last ends.
    Tokens(Vec<u32>, Vec<i32>),
}

/// A column of `rows` rows. `validity` is a bitmap of the rows that are not null; all are without it.
///
/// # Errors
/// `Internal` when the parts do not fit each other or the text is no UTF-8.
pub fn column(name: &str, parts: Parts, validity: Option<Vec<u8>>, rows: usize) -> Result<(Field, ArrayRef)> {
    let nulls = validity.map(|bits| bitmap(bits, rows)).transpose()?.map(NullBuffer::new);
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let field = |data_type: &DataType| Field::new(name, data_type.clone(), true);
    let (field, array): (Field, ArrayRef) = match parts {
        Parts::Text(bytes, offsets) => (field(&DataType::Utf8), Arc::new(text(bytes, offsets, nulls)?)),
        Parts::Json(bytes, offsets) => {
            let metadata = [(EXTENSION_TYPE_NAME_KEY.to_owned(), "arrow.json".to_owned())];
            let field = field(&DataType::Utf8).with_metadata(metadata);
            (field, Arc::new(text(bytes, offsets, nulls)?))
        }
        Parts::Ints(values) => {
            (field(&DataType::Int64), Arc::new(Int64Array::try_new(values.into(), nulls)?))
        }
        Parts::Floats(values) => {
            (field(&DataType::Float64), Arc::new(Float64Array::try_new(values.into(), nulls)?))
        }
        Parts::Booleans(bits) => {
            (field(&DataType::Boolean), Arc::new(BooleanArray::new(bitmap(bits, rows)?, nulls)))
        }
        Parts::Tokens(values, lengths) => {
            let item = Arc::new(Field::new_list_field(DataType::UInt32, false));
            let list = DataType::List(Arc::clone(&item));
            let values: ArrayRef = Arc::new(UInt32Array::from(values));
            (field(&list), Arc::new(ListArray::try_new(item, offsets(lengths)?, values, nulls)?))
        }
    };
    if array.len() != rows {
        return Err(KernelError::internal(format!("column '{name}' has {} of {rows} rows", array.len())));
    }
    Ok((field, array))
}

fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer> {
    if bits.len() * 8 < rows {
        return Err(KernelError::internal(format!("bitmap of {} bytes for {rows} rows", bits.len())));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

fn text(bytes: Vec<u8>, ends: Vec<i32>, nulls: Option<NullBuffer>) -> Result<StringArray> {
    Ok(StringArray::try_new(offsets(ends)?, Buffer::from_vec(bytes), nulls)?)
}

fn offsets(offsets: Vec<i32>) -> Result<OffsetBuffer<i32>> {
    let rising = offsets.first() == Some(&0) && offsets.is_sorted();
    if !rising {
        return Err(KernelError::internal("offsets must start at 0 and never fall"));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// XXH3-64 of each row's identity: its file, its position and, where the batch has the column `chunk`,
/// its number in it. Depends on nothing else, so that a sample is the same in any order and any cut.
#[must_use]
pub fn hashes(batch: &Batch, seed: u64) -> Vec<u64> {
    let file = batch.file();
    let of_file: Vec<u64> =
        file.values().as_string::<i32>().iter().map(|path| hash(path.unwrap_or_default(), seed)).collect();
    let chunk = batch.column(CHUNK).ok().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let positions = batch.position().values();
    (0..batch.rows())
        .map(|row| {
            let of_file = of_file[file.keys().value(row) as usize];
            let of_row = xxh3_64_with_seed(&positions[row].to_le_bytes(), of_file);
            match chunk.filter(|chunk| chunk.is_valid(row)) {
                Some(chunk) => xxh3_64_with_seed(&chunk.value(row).to_le_bytes(), of_row),
                None => of_row,
            }
        })
        .collect()
}

fn hash(path: &str, seed: u64) -> u64 {
    xxh3_64_with_seed(path.as_bytes(), seed)
}

/// Rows whose hash lies in the first `fraction` of all hashes, with each row's place there, in `[0, 1)`.
#[must_use]
pub fn sampled(batch: &Batch, seed: u64, fraction: f64) -> (BooleanBuffer, Float64Array) {
    // 53 bits, so that every place is exact in f64 and below 1.
    let place = |hash: u64| (hash >> 11) as f64 / (1_u64 << 53) as f64;
    let places: Float64Array = hashes(batch, seed).into_iter().map(place).collect::<Vec<_>>().into();
    let kept = BooleanBuffer::collect_bool(batch.rows(), |row| places.value(row) < fraction);
    (kept, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;

    fn batch(positions: Vec<u64>, chunk: Option<Vec<i64>>) -> Batch {
        let ids = StringArray::new_null(positions.len());
        let columns = chunk
            .map(|chunk| {
                let array: ArrayRef = Arc::new(Int64Array::from(chunk));
                vec![(Field::new(CHUNK, DataType::Int64, true), array)]
            })
            .unwrap_or_default();
        Batch::new(Identity::of_file("a.jsonl", positions, ids), columns).unwrap()
    }

    #[test]
    fn a_hash_depends_on_identity_and_seed_alone() {
        let whole = hashes(&batch(vec![1, 2, 3], None), 42);
        assert_eq!(hashes(&batch(vec![3, 1], None), 42), [whole[2], whole[0]]);
        assert_ne!(hashes(&batch(vec![1], None), 43)[0], whole[0]);
        // Part of every sampled output: it must never change.
        assert_eq!(whole[0], hashes(&batch(vec![1], None), 42)[0]);
    }

    #[test]
    fn pieces_of_one_row_are_sampled_apart() {
        let pieces = hashes(&batch(vec![7, 7], Some(vec![0, 1])), 1);
        assert_ne!(pieces[0], pieces[1]);
    }

    #[test]
    fn about_the_fraction_stays() {
        let (kept, _) = sampled(&batch((0..10_000).collect(), None), 0, 0.3);
        assert!((2_800..3_200).contains(&kept.count_set_bits()), "{}", kept.count_set_bits());
        assert_eq!(sampled(&batch(vec![1, 2], None), 0, 1.0).0.count_set_bits(), 2);
        assert_eq!(sampled(&batch(vec![1, 2], None), 0, 0.0).0.count_set_bits(), 0);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let refuse = |parts| column("x", parts, None, 2).unwrap_err().to_string();
        assert!(refuse(Parts::Ints(vec![1])).contains("1 of 2 rows"));
        assert!(refuse(Parts::Text(vec![0xff], vec![0, 1, 1])).contains("UTF-8"));
        assert!(refuse(Parts::Text(vec![b'a'], vec![0, 2, 1])).contains("never fall"));
        assert!(refuse(Parts::Booleans(vec![])).contains("bitmap"));
    }
}
