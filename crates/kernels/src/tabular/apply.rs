//! Batches changed by a step's parameters.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, UInt8Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::values::{Kind, Scalar, Values, rows_with};
use super::{ColumnPlan, Dropped, StepPlan, Transform};
use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::removed::{Reason, RemovedLog};

/// What becomes of a category that is not among those of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The run stops.
    #[default]
    Error,
    /// No place of a one-hot list is 1; an ordinal is the value for unknown ones, or null.
    Ignore,
}

/// How categories are looked up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplyOptions {
    /// Types of columns that come in as another kind of number than the one their parameters were found in.
    pub types: FxHashMap<String, Kind>,
    /// What becomes of categories that are not known.
    pub unknown: Unknown,
    /// The ordinal of these; null without it.
    pub unknown_value: Option<i64>,
}

/// A step with its parameters, ready to change batches.
pub struct Table {
    columns: Vec<Column>,
    options: ApplyOptions,
}

struct Column {
    name: String,
    kind: Kind,
    change: Change,
}

enum Change {
    Drop,
    Fill {
        value: Option<Scalar>,
        becomes: Kind,
    },
    Standard(Option<(f64, f64)>),
    /// Factor and summand; limits.
    MinMax(Option<(f64, f64)>, Option<[f64; 2]>),
    OneHot {
        places: Places,
        width: usize,
        first: usize,
    },
    Ordinal(Places),
}

/// Categories by their keys.
#[derive(Default)]
struct Places {
    texts: FxHashMap<Vec<u8>, usize>,
    numbers: FxHashMap<u64, usize>,
    missing: Option<usize>,
}

impl Table {
    /// Reads parameters, as JSON of a [`StepPlan`].
    ///
    /// # Errors
    /// `Format` when they are none; `Fit` when a value does not fit its column.
    pub fn new(parameters: &str, options: ApplyOptions) -> Result<Self> {
        // sonic-rs reads every f64 back as it was written; serde_json's default does not.
        let plan: StepPlan = sonic_rs::from_str(parameters)
            .map_err(|error| KernelError::format("file of parameters", error))?;
        let columns = plan.columns.into_iter().map(|column| {
            let kind = options.types.get(&column.name).copied().unwrap_or(column.kind);
            Column::of(ColumnPlan { kind, ..column })
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { columns, options })
    }

    /// Changes a batch. Rows that a column drops are removed first and recorded with the column's name as rule.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the batch has other columns; `Category` at a category that is not known.
    pub fn apply(&self, batch: &mut Batch, log: &mut RemovedLog, step: &str) -> Result<()> {
        for Column { name, .. } in self.columns.iter().filter(|column| matches!(column.change, Change::Drop))
        {
            let keep = rows_with(batch, name)?;
            log.remove(batch, &keep, Reason { step, rule: name, values: None, threshold: None })?;
        }
        for column in &self.columns {
            if let Some((field, array)) = self.changed(batch, column)? {
                batch.set_column(field, array)?;
            }
        }
        Ok(())
    }

    fn changed(&self, batch: &Batch, column: &Column) -> Result<Option<(Field, ArrayRef)>> {
        let name = &column.name;
        let field = |data_type: DataType| Field::new(name, data_type, true);
        let floats = |array: Float64Array| Some((field(DataType::Float64), Arc::new(array) as ArrayRef));
        let values = || Values::of(batch, name, column.kind);
        Ok(match &column.change {
            Change::Drop => None,
            Change::Fill { value, becomes } => {
                let array = fill(values()?, value.as_ref(), *becomes)?;
                Some((field(array.data_type().clone()), array))
            }
            Change::Standard(None) | Change::MinMax(None, _) => floats(Float64Array::new_null(batch.rows())),
            Change::Standard(Some((mean, scale))) => floats(numbers(values()?, |x| (x - mean) / scale)),
            Change::MinMax(Some((factor, summand)), None) => {
                floats(numbers(values()?, |x| x * factor + summand))
            }
            Change::MinMax(Some((factor, summand)), Some([low, high])) => {
                floats(numbers(values()?, |x| (x * factor + summand).clamp(*low, *high)))
            }
            Change::OneHot { places, width, first } => {
                let array = self.one_hot(batch, name, values()?, places, *width, *first)?;
                Some((field(array.data_type().clone()), Arc::new(array)))
            }
            Change::Ordinal(places) => {
                let array = self.ordinals(batch, name, values()?, places)?;
                Some((field(DataType::Int64), Arc::new(array)))
            }
        })
    }

    fn one_hot(
        &self,
        batch: &Batch,
        name: &str,
        values: Values<'_>,
        places: &Places,
        width: usize,
        first: usize,
    ) -> Result<ListArray> {
        let rows = values.len();
        if i32::try_from(rows * width).is_err() {
            return Err(KernelError::Fit {
                column: name.to_owned(),
                reason: format!("{width} categories are too many for a batch of {rows} rows"),
            });
        }
        let mut ones = vec![0_u8; rows * width];
        for row in 0..rows {
            let place = places.of(values, row);
            if place.is_none() && self.options.unknown == Unknown::Error && batch.is_kept(row) {
                return Err(unknown(batch, name, values, row));
            }
            if let Some(one) = place.and_then(|place| place.checked_sub(first)) {
                ones[row * width + one] = 1;
            }
        }
        let item = Arc::new(Field::new_list_field(DataType::UInt8, false));
        let offsets = OffsetBuffer::from_repeated_length(width, rows);
        Ok(ListArray::try_new(item, offsets, Arc::new(UInt8Array::from(ones)), None)?)
    }

    fn ordinals(&self, batch: &Batch, name: &str, values: Values<'_>, places: &Places) -> Result<Int64Array> {
        (0..values.len())
            .map(|row| {
                if values.is_missing(row) {
                    return Ok(None);
                }
                let place = places.of(values, row).map(|place| place as i64);
                if place.is_none() && self.options.unknown == Unknown::Error && batch.is_kept(row) {
                    return Err(unknown(batch, name, values, row));
                }
                Ok(place.or(self.options.unknown_value))
            })
            .collect()
    }
}

impl Column {
    fn of(plan: ColumnPlan) -> Result<Self> {
        let ColumnPlan { name, kind, transform, .. } = plan;
        let unfit = |value: &Scalar| KernelError::Fit {
            column: name.clone(),
            reason: format!("{value:?} is no value of a {kind:?} column"),
        };
        let change = match transform {
            Transform::Drop => Change::Drop,
            Transform::Fill { value, becomes } => {
                if let Some(value) = &value {
                    value.key(becomes).ok_or_else(|| unfit(value))?;
                }
                Change::Fill { value, becomes }
            }
            Transform::Standard { mean, scale } => Change::Standard(mean.zip(scale)),
            Transform::MinMax { min, max, range: [low, high], clip } => {
                let linear = min.zip(max).map(|(min, max)| {
                    // As MinMaxScaler computes it, so that the last digit is the same, too.
                    let width = max - min;
                    let width = if width < 10.0 * f64::EPSILON { 1.0 } else { width };
                    let factor = (high - low) / width;
                    (factor, low - min * factor)
                });
                Change::MinMax(linear, clip.then_some([low, high]))
            }
            Transform::OneHot { categories, drop } => {
                let mut places = Places::default();
                for (place, category) in categories.iter().enumerate() {
                    match category {
                        None => places.missing = Some(place),
                        Some(value) => places.add(kind, value, place).ok_or_else(|| unfit(value))?,
                    }
                }
                let count = categories.len();
                let first = match drop {
                    Dropped::None => 0,
                    Dropped::First => count.min(1),
                    Dropped::IfBinary => usize::from(count == 2),
                };
                Change::OneHot { places, width: count - first, first }
            }
            Transform::Ordinal { categories } => {
                let mut places = Places::default();
                for (place, value) in categories.iter().enumerate() {
                    places.add(kind, value, place).ok_or_else(|| unfit(value))?;
                }
                Change::Ordinal(places)
            }
        };
        Ok(Self { name, kind, change })
    }
}

impl Places {
    /// `None` when the value is of another kind.
    fn add(&mut self, kind: Kind, value: &Scalar, place: usize) -> Option<()> {
        let key = value.key(kind)?;
        if kind == Kind::String {
            self.texts.insert(key, place);
        } else {
            self.numbers.insert(u64::from_be_bytes(key.try_into().ok()?), place);
        }
        Some(())
    }

    fn of(&self, values: Values<'_>, row: usize) -> Option<usize> {
        if values.is_missing(row) {
            return self.missing;
        }
        match values {
            Values::Text(texts) => self.texts.get(texts.value(row).as_bytes()).copied(),
            _ => self.numbers.get(&values.small_key(row)).copied(),
        }
    }
}

fn unknown(batch: &Batch, name: &str, values: Values<'_>, row: usize) -> KernelError {
    KernelError::Category {
        column: name.to_owned(),
        value: if values.is_missing(row) { "no value".to_owned() } else { values.show(row) },
        row: batch.id_of(row),
    }
}

/// Every number changed; rows without one stay so.
fn numbers(values: Values<'_>, change: impl Fn(f64) -> f64) -> Float64Array {
    match values {
        Values::Int(array) => array.unary(|value| change(value as f64)),
        Values::Float(array) => array.unary(change),
        Values::Text(_) | Values::Bool(_) => Float64Array::new_null(values.len()),
    }
}

/// The column with a value in the rows that had none.
fn fill(values: Values<'_>, value: Option<&Scalar>, becomes: Kind) -> Result<ArrayRef> {
    let missing = || (0..values.len()).map(|row| values.is_missing(row));
    Ok(match (values, becomes) {
        (Values::Float(_) | Values::Int(_), Kind::Float64) => {
            let filling = value.and_then(Scalar::number);
            let of = |row: usize| values.number(row).unwrap_or_default();
            let filled: Vec<f64> = missing()
                .enumerate()
                .map(|(row, missing)| if missing { filling.unwrap_or_default() } else { of(row) })
                .collect();
            let nulls = filling.is_none().then(|| missing().map(|missing| !missing).collect::<NullBuffer>());
            Arc::new(Float64Array::new(filled.into(), nulls))
        }
        (Values::Int(array), _) => {
            let Some(Scalar::Int(value)) = value else { return Ok(Arc::new(array.clone())) };
            Arc::new(array.iter().map(|own| Some(own.unwrap_or(*value))).collect::<Int64Array>())
        }
        (Values::Text(array), _) => {
            let Some(Scalar::Text(value)) = value else { return Ok(Arc::new(array.clone())) };
            Arc::new(array.iter().map(|own| Some(own.unwrap_or(value))).collect::<StringArray>())
        }
        (Values::Bool(array), _) => {
            let Some(Scalar::Bool(value)) = value else { return Ok(Arc::new(array.clone())) };
            Arc::new(array.iter().map(|own| Some(own.unwrap_or(*value))).collect::<BooleanArray>())
        }
        (Values::Float(_), _) => return Err(KernelError::internal("numbers become numbers only")),
    })
}
