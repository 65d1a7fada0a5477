//! What each step kept and removed of each source and language, and of each pair of both, as Parquet.
//!
//! The rows are counted where the steps run (see [`crate::groups`]) and added up by the engine.

use std::path::Path;
use std::sync::Arc;

use arrow_array::Float64Array;
use arrow_schema::{DataType, Field};

use super::table::{Table, options, texts, u64s};
use crate::error::Result;
use crate::formats::shard_file::FinishedFile;

/// Rows of one value of a column, or of a pair of values, at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepShare {
    /// Name of the step.
    pub step: String,
    /// `source`, `lang` or [`crate::groups::PAIR`].
    pub column: String,
    /// Its value.
    pub value: String,
    /// The value of the second column of a pair.
    pub other_value: Option<String>,
    /// Rows that entered the step.
    pub rows_in: u64,
    /// Those among them that it removed.
    pub removed: u64,
}

/// Writes the shares in the order given.
///
/// # Errors
/// `Io` when writing fails.
pub fn write(path: impl AsRef<Path>, shares: &[StepShare]) -> Result<FinishedFile> {
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    let fields = vec![
        field("step", DataType::Utf8),
        field("field", DataType::Utf8),
        field("value", DataType::Utf8),
        Field::new("value_2", DataType::Utf8, true),
        field("rows_in", DataType::UInt64),
        field("kept", DataType::UInt64),
        field("removed", DataType::UInt64),
        field("kept_share", DataType::Float64),
    ];
    let kept = |share: &StepShare| share.rows_in.saturating_sub(share.removed);
    let kept_share = shares.iter().map(|share| kept(share) as f64 / share.rows_in.max(1) as f64);
    let mut table = Table::create(path, fields)?;
    table.write(vec![
        texts(shares.iter().map(|share| share.step.as_str())),
        texts(shares.iter().map(|share| share.column.as_str())),
        texts(shares.iter().map(|share| share.value.as_str())),
        options(shares.iter().map(|share| share.other_value.as_deref())),
        u64s(shares.iter().map(|share| share.rows_in)),
        u64s(shares.iter().map(kept)),
        u64s(shares.iter().map(|share| share.removed)),
        Arc::new(Float64Array::from_iter_values(kept_share)),
    ])?;
    table.finish()
}
