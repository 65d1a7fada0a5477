//! Rows across the seam: columns that JavaScript laid out, and what its row objects read.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, StringArray, UInt32Array, UInt64Array};
use arrow_schema::Field;
use gristmill_kernels::batch::Identity;
use gristmill_kernels::removed::Reason;
use gristmill_kernels::rows::{self, Parts};
use gristmill_kernels::{Batch, KernelError, Result};
use napi::bindgen_prelude::{
    BigInt64Array, BigUint64Array, Float64Array, Int32Array, Uint8Array, Uint32Array,
};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::guard;
use crate::removed::NativeRemovedLog;

/// A column laid out by JavaScript. `kind` says which of the arrays are read: `string` and `json` read
/// `bytes` and `offsets`, `int64` `ints`, `float64` `floats`, `boolean` `bytes` (a bitmap), `tokens`
/// `tokens` and `offsets`.
#[napi(object)]
pub struct NativeColumnParts {
    /// Name of the column.
    pub name: String,
    /// Type of the column.
    pub kind: String,
    /// Bitmap of the rows that are not null, least significant bit first; all are without it.
    pub validity: Option<Uint8Array>,
    /// UTF-8 of all rows, or a bitmap.
    pub bytes: Option<Uint8Array>,
    /// Where each row begins in `bytes` or `tokens`, and where the last ends.
    pub offsets: Option<Int32Array>,
    /// Whole numbers.
    pub ints: Option<BigInt64Array>,
    /// Numbers.
    pub floats: Option<Float64Array>,
    /// Token ids of all rows.
    pub tokens: Option<Uint32Array>,
}

/// Token ids of a column: a copy.
#[napi(object)]
pub struct NativeLists {
    /// Where each row begins in `values`, and where the last ends.
    pub offsets: Int32Array,
    /// Ids of all rows.
    pub values: Uint32Array,
}

impl NativeColumnParts {
    fn build(self, rows: usize) -> Result<(Field, ArrayRef)> {
        let missing = || KernelError::internal(format!("parts of a {} column are missing", self.kind));
        let bytes = || self.bytes.as_ref().map(|bytes| bytes.to_vec()).ok_or_else(missing);
        let offsets = || self.offsets.as_ref().map(|offsets| offsets.to_vec()).ok_or_else(missing);
        let parts = match self.kind.as_str() {
            "string" => Parts::Text(bytes()?, offsets()?),
            "json" => Parts::Json(bytes()?, offsets()?),
            "boolean" => Parts::Booleans(bytes()?),
            "int64" => Parts::Ints(self.ints.as_ref().ok_or_else(missing)?.to_vec()),
            "float64" => Parts::Floats(self.floats.as_ref().ok_or_else(missing)?.to_vec()),
            "tokens" => Parts::Tokens(self.tokens.as_ref().ok_or_else(missing)?.to_vec(), offsets()?),
            _ => return Err(KernelError::internal(format!("no column is made of {}", self.kind))),
        };
        rows::column(&self.name, parts, self.validity.as_ref().map(|bits| bits.to_vec()), rows)
    }
}

/// Replaces a column of the batch or adds it as the last; its rows are all rows, selected or not.
#[napi]
pub fn set_column(batch: &mut NativeBatch, column: NativeColumnParts) -> napi::Result<()> {
    guard("rows.setColumn", || {
        batch.change(|batch| {
            let (field, array) = column.build(batch.rows())?;
            batch.set_column(field, array)
        })
    })
}

/// A batch of rows laid out by JavaScript. `file` has the place of each row's file in `files`.
#[napi]
pub fn batch_from_columns(
    files: Vec<String>,
    file: Uint32Array,
    position: BigUint64Array,
    ids: Vec<Option<String>>,
    columns: Vec<NativeColumnParts>,
) -> napi::Result<NativeBatch> {
    guard("rows.fromColumns", || {
        let rows = position.len();
        let values: ArrayRef = std::sync::Arc::new(StringArray::from(files));
        let identity = Identity {
            file: DictionaryArray::<UInt32Type>::try_new(UInt32Array::from(file.to_vec()), values)?,
            position: UInt64Array::from(position.to_vec()),
            id: StringArray::from(ids),
        };
        let columns = columns.into_iter().map(|column| column.build(rows)).collect::<Result<Vec<_>>>()?;
        Ok(NativeBatch::wrap(Batch::new(identity, columns)?))
    })
}

/// Paths of the files that `__file` of the batch points at.
#[napi]
pub fn file_names(batch: &NativeBatch) -> napi::Result<Vec<String>> {
    guard("rows.fileNames", || {
        let names = batch.get()?.file().values().as_string::<i32>();
        Ok(names.iter().map(|name| name.unwrap_or_default().to_owned()).collect())
    })
}

/// Token ids of a column.
#[napi]
pub fn token_lists(batch: &NativeBatch, name: String) -> napi::Result<NativeLists> {
    guard("rows.tokenLists", || {
        let batch = batch.get()?;
        let column = batch.column(&name)?;
        let wrong = || KernelError::ColumnType {
            name: name.clone(),
            expected: "tokens".to_owned(),
            got: column.data_type().to_string(),
        };
        let list = column.as_list_opt::<i32>().ok_or_else(wrong)?;
        let values = list.values().as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        Ok(NativeLists { offsets: list.offsets().to_vec().into(), values: values.values().to_vec().into() })
    })
}

/// XXH3-64 of each row's identity; see `rows::hashes`.
#[napi]
pub fn row_hashes(batch: &NativeBatch, seed: i64) -> napi::Result<BigUint64Array> {
    guard("rows.hashes", || Ok(rows::hashes(batch.get()?, seed.cast_unsigned()).into()))
}

/// Keeps the rows whose hash lies in the first `fraction` of all hashes and records the others under the
/// rule `fraction`; returns how many left.
#[napi]
pub fn sample_rows(
    batch: &mut NativeBatch,
    removed: &mut NativeRemovedLog,
    step: String,
    seed: i64,
    fraction: f64,
) -> napi::Result<u32> {
    guard("rows.sample", || {
        let log = removed.get()?;
        batch.change(|batch| {
            let (kept, places) = rows::sampled(batch, seed.cast_unsigned(), fraction);
            let reason =
                Reason { step: &step, rule: "fraction", values: Some(&places), threshold: Some(fraction) };
            Ok(log.remove(batch, &kept, reason)? as u32)
        })
    })
}
