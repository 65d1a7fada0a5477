//! Which of several equal rows stays.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, Float64Array};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::batch::{self, Batch};
use crate::error::{KernelError, Result};

/// Which of the equal rows stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Keep {
    /// The first in row order.
    First,
    /// The last in row order.
    Last,
    /// The one with the most bytes of text, the first of those.
    Longest,
    /// The one with the highest value of a column, the first of those; null is lowest.
    Highest {
        /// A numeric column.
        column: String,
    },
}

/// What `keep` compares, higher wins; `None` when only the order counts.
///
/// # Errors
/// `ColumnMissing` or `ColumnType` when the batch lacks a numeric column of that name.
pub(crate) fn priorities(batch: &Batch, keep: &Keep) -> Result<Option<Float64Array>> {
    Ok(match keep {
        Keep::First | Keep::Last => None,
        Keep::Longest => {
            let text = batch.text(batch::TEXT)?;
            Some(Float64Array::from_iter_values(text.offsets().lengths().map(|length| length as f64)))
        }
        Keep::Highest { column } => {
            let array = batch.column(column)?;
            Some(match array.data_type() {
                DataType::Float64 => array.as_primitive::<Float64Type>().clone(),
                DataType::Int64 => {
                    array.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v as f64)).collect()
                }
                other => {
                    return Err(KernelError::ColumnType {
                        name: column.clone(),
                        expected: "a number".to_owned(),
                        got: other.to_string(),
                    });
                }
            })
        }
    })
}

/// Whether `a` is strictly higher than `b`; null and NaN are lowest.
pub(crate) fn higher(a: Option<f64>, b: Option<f64>) -> bool {
    let rank = |value: Option<f64>| value.filter(|value| !value.is_nan());
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => a > b,
        (a, b) => a.is_some() && b.is_none(),
    }
}
