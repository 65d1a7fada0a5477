//! Which row groups cannot hold a row that a predicate accepts, by their statistics.
//!
//! The predicate is the expression tree of `src/expressions/ast.ts` as JSON. What is not understood here,
//! and what statistics leave open, counts as possible, so leaving a group out never changes which rows
//! come through. Comparison is that of the evaluator (crates/kernels/src/expr): null is unknown, texts
//! compare byte by byte, an integer and a float as floats, NaN is above all numbers.
//!
//! A group with null documents is kept while those go to quarantine: they are reported whatever `where` says.

use std::cmp::Ordering;

use arrow_schema::DataType;
use parquet::file::statistics::Statistics;
use serde_json::Value;

use crate::batch::{FILE, ID, POSITION, TEXT};
use crate::formats::columnar::{OnMissing, Selection, WantedType};
use crate::formats::parquet_read::{FileColumn, ParquetReader};

/// A value that statistics or literals hold.
#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Int(i64),
    Float(f64),
    Text(Vec<u8>),
    Bool(bool),
}

impl Scalar {
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Float(b)) => (*a as f64).partial_cmp(b),
            (Self::Float(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// What statistics say about a column of a row group.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Bounds that no value that is not null lies outside of.
    bounds: Option<(Scalar, Scalar)>,
    /// Whether the bounds are values of the column.
    exact: bool,
    /// Whether NaN, which bounds leave out, may occur.
    nan: bool,
    nulls: Option<u64>,
    rows: u64,
}

impl Known {
    fn all_null(&self) -> bool {
        self.nulls == Some(self.rows)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterEqual,
            _ => return None,
        })
    }

    /// The operator that is true where this one is false.
    fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterEqual,
            Self::LessEqual => Self::Greater,
            Self::Greater => Self::LessEqual,
            Self::GreaterEqual => Self::Less,
        }
    }

    /// The operator with its sides exchanged.
    fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }
}

/// Whether row group `group`, which starts with row `first_row` of the file, may hold rows for which
/// `predicate` is true.
#[must_use]
pub fn may_match(reader: &ParquetReader, group: usize, first_row: u64, predicate: &Value) -> bool {
    let context = Context { reader, group, first_row };
    context.quarantines() || context.can(predicate, true)
}

struct Context<'a> {
    reader: &'a ParquetReader,
    group: usize,
    first_row: u64,
}

impl Context<'_> {
    fn selection(&self) -> &Selection {
        self.reader.selection()
    }

    fn rows(&self) -> u64 {
        self.reader.footer().rows(self.group)
    }

    /// Whether documents of the group may go to quarantine for being null or no text.
    fn quarantines(&self) -> bool {
        if self.selection().on_missing != OnMissing::Quarantine {
            return false;
        }
        let Some(text) = self.selection().columns.iter().find(|column| column.name == TEXT) else {
            return false;
        };
        match self.file_column(&text.source) {
            Some(column) if matches!(column.kind, "string" | "json" | "binary") => {
                self.statistics(column).nulls != Some(0)
            }
            _ => true,
        }
    }

    /// Whether `node` can be `wanted` for some row; true when that is not known.
    fn can(&self, node: &Value, wanted: bool) -> bool {
        self.try_can(node, wanted).unwrap_or(true)
    }

    fn try_can(&self, node: &Value, wanted: bool) -> Option<bool> {
        Some(match node["kind"].as_str()? {
            "literal" => node["value"].as_bool() == Some(wanted),
            "not" => self.can(&node["operand"], !wanted),
            kind @ ("and" | "or") => {
                let mut operands = node["operands"].as_array()?.iter();
                if (kind == "and") == wanted {
                    operands.all(|operand| self.can(operand, wanted))
                } else {
                    operands.any(|operand| self.can(operand, wanted))
                }
            }
            "column" => self.can_compare(node, Op::Equal, &Scalar::Bool(wanted))?,
            "is-null" => self.can_be_null(node, wanted)?,
            "compare" => {
                let op = Op::parse(node["op"].as_str()?)?;
                let (column, op, literal) = match literal(&node["right"]) {
                    Some(right) => (&node["left"], op, right),
                    None => (&node["right"], op.flipped(), literal(&node["left"])?),
                };
                self.can_compare(column, if wanted { op } else { op.negated() }, &literal)?
            }
            "between" => {
                let (low, high) = (literal(&node["low"])?, literal(&node["high"])?);
                let column = &node["operand"];
                if wanted == node["negated"].as_bool()? {
                    self.can_compare(column, Op::Less, &low)?
                        || self.can_compare(column, Op::Greater, &high)?
                } else {
                    self.can_compare(column, Op::GreaterEqual, &low)?
                        && self.can_compare(column, Op::LessEqual, &high)?
                }
            }
            "in" => self.can_be_in(node, wanted)?,
            _ => return None,
        })
    }

    fn can_be_null(&self, node: &Value, wanted: bool) -> Option<bool> {
        let known = self.known(&node["operand"])?;
        let nulls = known.nulls?;
        Some(if wanted == node["negated"].as_bool()? { nulls < known.rows } else { nulls > 0 })
    }

    fn can_be_in(&self, node: &Value, wanted: bool) -> Option<bool> {
        if wanted == node["negated"].as_bool()? {
            // Not in the list: only ruled out when nothing but nulls is there.
            return Some(!self.known(&node["operand"])?.all_null());
        }
        for value in node["values"].as_array()? {
            if value["type"] == "null" {
                continue;
            }
            if self.can_compare(&node["operand"], Op::Equal, &literal(value)?)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn can_compare(&self, column: &Value, op: Op, literal: &Scalar) -> Option<bool> {
        let known = self.known(column)?;
        if known.all_null() {
            return Some(false);
        }
        let (low, high) = known.bounds?;
        let (low, high) = (low.compare(literal)?, high.compare(literal)?);
        let inside = match op {
            Op::Equal => low.is_le() && high.is_ge(),
            Op::NotEqual => known.nan || !(known.exact && low.is_eq() && high.is_eq()),
            Op::Less => low.is_lt(),
            Op::LessEqual => low.is_le(),
            Op::Greater => known.nan || high.is_gt(),
            Op::GreaterEqual => known.nan || high.is_ge(),
        };
        Some(inside)
    }

    /// What is known about a column of the expression, which goes by its name in the batch.
    fn known(&self, node: &Value) -> Option<Known> {
        if node["kind"] != "column" {
            return None;
        }
        let rows = self.rows();
        let of =
            |low, high| Known { bounds: Some((low, high)), exact: true, nan: false, nulls: Some(0), rows };
        match node["name"].as_str()? {
            FILE => {
                let file = Scalar::Text(self.selection().file.clone().into_bytes());
                Some(of(file.clone(), file))
            }
            POSITION => {
                let last = self.first_row.saturating_add(rows.max(1) - 1);
                Some(of(
                    Scalar::Int(i64::try_from(self.first_row).ok()?),
                    Scalar::Int(i64::try_from(last).ok()?),
                ))
            }
            // Integer ids are compared as text, which their statistics are not ordered by.
            ID => self.statistics_of(self.selection().id.as_deref()?, WantedType::String),
            name => {
                let wanted = self.selection().columns.iter().find(|column| column.name == name)?;
                let known = self.statistics_of(&wanted.source, wanted.kind)?;
                // What becomes of null documents is the policy's choice.
                let document = name == TEXT || wanted.kind == WantedType::Tokens;
                (!document || known.nulls == Some(0)).then_some(known)
            }
        }
    }

    fn file_column(&self, name: &str) -> Option<&FileColumn> {
        self.reader.footer().columns().iter().find(|column| column.name == name)
    }

    /// Statistics of a column of the file, when its values reach the batch as they are.
    fn statistics_of(&self, source: &str, wanted: WantedType) -> Option<Known> {
        let column = self.file_column(source)?;
        let same = match wanted {
            WantedType::String | WantedType::Json => matches!(column.kind, "string" | "json" | "binary"),
            WantedType::Int64 => column.kind == "int64",
            WantedType::Float64 => matches!(column.kind, "float64" | "int64"),
            WantedType::Boolean => column.kind == "boolean",
            WantedType::Tokens | WantedType::Other => false,
        };
        let known = self.statistics(column);
        Some(if same { known } else { Known { bounds: None, ..known } })
    }

    fn statistics(&self, column: &FileColumn) -> Known {
        let rows = self.rows();
        let group = self.reader.footer().metadata().row_group(self.group);
        let chunk =
            group.columns().iter().find(|chunk| chunk.column_path().parts() == [column.name.as_str()]);
        match chunk.and_then(|chunk| chunk.statistics()) {
            Some(statistics) => Known {
                bounds: bounds(statistics, &column.data_type),
                exact: statistics.min_is_exact() && statistics.max_is_exact(),
                nan: matches!(statistics, Statistics::Float(_) | Statistics::Double(_)),
                nulls: statistics.null_count_opt(),
                rows,
            },
            None => Known { rows, ..Known::default() },
        }
    }
}

fn bounds(statistics: &Statistics, data_type: &DataType) -> Option<(Scalar, Scalar)> {
    // Bounds in the old fields were ordered as signed bytes whatever the type, which fits integers only.
    let old = statistics.is_min_max_deprecated();
    match statistics {
        Statistics::Boolean(of) if !old => Some((Scalar::Bool(*of.min_opt()?), Scalar::Bool(*of.max_opt()?))),
        Statistics::Int32(of) => {
            let (min, max) = (*of.min_opt()?, *of.max_opt()?);
            match data_type {
                DataType::Int8 | DataType::Int16 | DataType::Int32 => {
                    Some((Scalar::Int(i64::from(min)), Scalar::Int(i64::from(max))))
                }
                DataType::UInt8 | DataType::UInt16 | DataType::UInt32 if !old => {
                    let unsigned = |value: i32| Scalar::Int(i64::from(value.cast_unsigned()));
                    Some((unsigned(min), unsigned(max)))
                }
                _ => None,
            }
        }
        Statistics::Int64(of) if data_type == &DataType::Int64 => {
            Some((Scalar::Int(*of.min_opt()?), Scalar::Int(*of.max_opt()?)))
        }
        Statistics::Float(of) if !old => float_bounds(f64::from(*of.min_opt()?), f64::from(*of.max_opt()?)),
        Statistics::Double(of) if !old => float_bounds(*of.min_opt()?, *of.max_opt()?),
        Statistics::ByteArray(of) if !old => {
            Some((Scalar::Text(of.min_opt()?.data().to_vec()), Scalar::Text(of.max_opt()?.data().to_vec())))
        }
        _ => None,
    }
}

fn float_bounds(min: f64, max: f64) -> Option<(Scalar, Scalar)> {
    (!min.is_nan() && !max.is_nan()).then_some((Scalar::Float(min), Scalar::Float(max)))
}

fn literal(node: &Value) -> Option<Scalar> {
    if node["kind"] != "literal" {
        return None;
    }
    let value = &node["value"];
    Some(match node["type"].as_str()? {
        "string" => Scalar::Text(value.as_str()?.as_bytes().to_vec()),
        "int64" => Scalar::Int(value.as_i64().or_else(|| value.as_str()?.parse().ok())?),
        "float64" => Scalar::Float(value.as_f64()?),
        "boolean" => Scalar::Bool(value.as_bool()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
