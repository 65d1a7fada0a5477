//! Columns of tables, made ready for training: missing values, scales, categories.
//!
//! A step states for each column what becomes of it: a [`Transform`]. Where its parameters are not given they are
//! found in the data first ([`Find`]), by a stage that sees all rows: each task [`fit::Collector`] leaves what it saw
//! of its columns, [`decide::resolve`] makes parameters of all of it, [`apply::Table`] changes batches by them.
//!
//! Parameters do not depend on how the rows were cut into tasks and batches: sums are exact ([`exact_sum`]), ranks and
//! counts are over sorted runs of all values ([`runs`]).

pub mod apply;
pub mod decide;
pub mod exact_sum;
pub mod fit;
pub mod runs;
pub mod values;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use values::{Kind, Scalar};

/// What becomes of a column. Parameters that are to be found hold stand-ins until then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Transform {
    /// Rows without a value are removed.
    Drop,
    /// Rows without a value get one.
    Fill {
        /// The value; none where there were no rows to find one in.
        value: Option<Scalar>,
        /// Type of the column afterwards.
        becomes: Kind,
    },
    /// `(x - mean) / scale`.
    Standard {
        /// None where no row had a value.
        mean: Option<f64>,
        /// Standard deviation of the population; 1 for a constant column.
        scale: Option<f64>,
    },
    /// From the column's range to another.
    MinMax {
        /// None where no row had a value.
        min: Option<f64>,
        /// None where no row had a value.
        max: Option<f64>,
        /// Where the smallest and the largest value go.
        range: [f64; 2],
        /// Whether values outside what was seen are held inside `range`.
        clip: bool,
    },
    /// A list of 0 and 1, one for each category.
    OneHot {
        /// Null for rows without a value.
        categories: Vec<Option<Scalar>>,
        /// Whether a category has no place of its own.
        drop: Dropped,
    },
    /// The place of the category, from 0.
    Ordinal {
        /// The categories in order.
        categories: Vec<Scalar>,
    },
}

/// Which category of a one-hot column has no place, since the others tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// None.
    #[default]
    None,
    /// The first.
    First,
    /// The first, where there are two.
    IfBinary,
}

/// A parameter to be found in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// Arithmetic mean.
    Mean,
    /// Middle value, or the mean of the two.
    Median,
    /// The value that occurs most often, the smallest of several.
    MostFrequent,
    /// Mean and standard deviation.
    Standard,
    /// Smallest and largest value.
    MinMax,
    /// Distinct values in rising order; in a one-hot column null follows if rows lack a value.
    Categories,
}

/// A column and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnPlan {
    /// Name of the column.
    pub name: String,
    /// Its type as it comes in.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is to be found first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// Rows without a value among those the parameters were found in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
    /// What becomes of it.
    #[serde(flatten)]
    pub transform: Transform,
}

/// A step on columns of a table, as a pipeline states it or, with all parameters, as a file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPlan {
    /// Version of the file's form.
    pub schema_version: u32,
    /// Name of the step: `missing`, `scale` or `encode`.
    pub step: String,
    /// Rows the parameters were found in; absent where all were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Columns, each once.
    pub columns: Vec<ColumnPlan>,
}
