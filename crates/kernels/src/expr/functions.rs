//! The functions of the language; `src/expressions/functions.ts` is the table of what they take and give.

use std::cmp::Ordering;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use sonic_rs::{JsonValueTrait, PointerNode};

use super::operators::order;
use super::value::{Lane, Texts, Truth, Value, Values};
use crate::error::{KernelError, Result};
use crate::text::count;

/// A function whose arguments are all evaluated row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Length,
    Bytes,
    Words,
    Lines,
    Lower,
    Upper,
    Trim,
    Replace,
    Concat,
    Contains,
    StartsWith,
    EndsWith,
    Coalesce,
    Abs,
    Floor,
    Ceil,
    Least,
    Greatest,
    Number,
    String,
}

impl Function {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "length" => Self::Length,
            "bytes" => Self::Bytes,
            "words" => Self::Words,
            "lines" => Self::Lines,
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "trim" => Self::Trim,
            "replace" => Self::Replace,
            "concat" => Self::Concat,
            "contains" => Self::Contains,
            "starts_with" => Self::StartsWith,
            "ends_with" => Self::EndsWith,
            "coalesce" => Self::Coalesce,
            "abs" => Self::Abs,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            "least" => Self::Least,
            "greatest" => Self::Greatest,
            "number" => Self::Number,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub fn call(self, arguments: Vec<Value>, rows: usize) -> Result<Value> {
        match self {
            Self::Coalesce => return common(arguments, rows, |_| false),
            Self::Least => return common(arguments, rows, Ordering::is_lt),
            Self::Greatest => return common(arguments, rows, Ordering::is_gt),
            Self::Concat => return concat(arguments, rows),
            Self::Replace | Self::Contains | Self::StartsWith | Self::EndsWith => {
                return self.on_several_texts(arguments, rows);
            }
            _ => {}
        }
        let [value] = <[Value; 1]>::try_from(arguments)
            .map_err(|given| KernelError::internal(format!("{self:?} of {} arguments", given.len())))?;
        match self {
            Self::Length if matches!(value, Value::Opaque(_)) => list_lengths(&value),
            Self::Length => counts(value, rows, count::code_points),
            Self::Bytes => counts(value, rows, str::len),
            Self::Words => counts(value, rows, count::words),
            Self::Lines => counts(value, rows, count::lines),
            Self::Lower => recase(value, str::to_lowercase, u8::to_ascii_lowercase),
            Self::Upper => recase(value, str::to_uppercase, u8::to_ascii_uppercase),
            Self::Trim => Ok(match value.into_texts()? {
                None => Value::Null,
                Some(Texts::All(text)) => Value::Texts(Texts::All(text.trim().to_owned())),
                Some(Texts::Each(array)) => {
                    Value::Texts(Texts::Each(array.iter().map(|text| text.map(str::trim)).collect()))
                }
            }),
            Self::Abs => numeric(value, rows, |n| (n.wrapping_abs(), n == i64::MIN), f64::abs),
            Self::Floor => numeric(value, rows, |n| (n, false), f64::floor),
            Self::Ceil => numeric(value, rows, |n| (n, false), f64::ceil),
            Self::Number => number(value, rows),
            _ => Ok(string(&value, rows)),
        }
    }

    fn on_several_texts(self, arguments: Vec<Value>, rows: usize) -> Result<Value> {
        let texts: Option<Vec<Texts>> =
            arguments.into_iter().map(Value::into_texts).collect::<Result<Option<Vec<_>>>>()?;
        let Some(texts) = texts else {
            return Ok(match self {
                Self::Replace => Value::Null,
                _ => Value::Truth(Truth::constant(None, rows)),
            });
        };
        let nulls = texts.iter().fold(None, |nulls, text| NullBuffer::union(nulls.as_ref(), text.nulls()));
        let holds = |test: &dyn Fn(&str, &str) -> bool| {
            let set = arrow_buffer::BooleanBuffer::collect_bool(rows, |row| {
                test(texts[0].at(row), texts[1].at(row))
            });
            Ok(Value::Truth(Truth::new(set, nulls.as_ref())))
        };
        match self {
            Self::StartsWith => holds(&|text, start| text.starts_with(start)),
            Self::EndsWith => holds(&|text, end| text.ends_with(end)),
            Self::Contains => {
                if let Texts::All(part) = &texts[1] {
                    let finder = memchr::memmem::Finder::new(part);
                    return holds(&|text, _| finder.find(text.as_bytes()).is_some());
                }
                holds(&|text, part| memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some())
            }
            _ => {
                let replaced = (0..rows).map(|row| {
                    let known = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
                    let (text, from, to) = (texts[0].at(row), texts[1].at(row), texts[2].at(row));
                    known.then(|| if from.is_empty() { text.to_owned() } else { text.replace(from, to) })
                });
                Ok(Value::Texts(Texts::Each(replaced.collect())))
            }
        }
    }
}

/// A measure of each text.
fn counts(value: Value, rows: usize, measure: impl Fn(&str) -> usize) -> Result<Value> {
    let Some(texts) = value.into_texts()? else { return Ok(Value::Null) };
    Ok(Value::Ints(match &texts {
        Texts::All(text) => Lane::constant(i64::usize_as(measure(text))),
        Texts::Each(array) => Lane {
            values: Values::Each((0..rows).map(|row| i64::usize_as(measure(array.value(row)))).collect()),
            nulls: array.nulls().cloned(),
        },
    }))
}

fn list_lengths(value: &Value) -> Result<Value> {
    let Value::Opaque(array) = value else { return Err(KernelError::internal("not a list")) };
    let lengths: ScalarBuffer<i64> = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().offsets().lengths().map(i64::usize_as).collect(),
        DataType::LargeList(_) => array.as_list::<i64>().offsets().lengths().map(i64::usize_as).collect(),
        other => {
            return Err(KernelError::Option {
                name: "length".to_owned(),
                reason: format!("it takes a text or tokens, this is {other}"),
            });
        }
    };
    Ok(Value::Ints(Lane { values: Values::Each(lengths), nulls: array.logical_nulls() }))
}

/// Another case. A batch of ASCII is changed byte by byte, with the offsets kept.
fn recase(value: Value, full: impl Fn(&str) -> String, ascii: impl Fn(&u8) -> u8) -> Result<Value> {
    Ok(match value.into_texts()? {
        None => Value::Null,
        Some(Texts::All(text)) => Value::Texts(Texts::All(full(&text))),
        Some(Texts::Each(array)) if array.values().is_ascii() => {
            let bytes: Vec<u8> = array.values().iter().map(ascii).collect();
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Value::Texts(Texts::Each(StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?))
        }
        Some(Texts::Each(array)) => {
            Value::Texts(Texts::Each(array.iter().map(|text| text.map(&full)).collect()))
        }
    })
}

/// Another number for each; the function on whole numbers also says when there is none.
fn numeric(
    value: Value,
    rows: usize,
    ints: impl Fn(i64) -> (i64, bool),
    floats: impl Fn(f64) -> f64,
) -> Result<Value> {
    match value {
        Value::Ints(lane) => {
            let none = |row: usize| lane.get(row).is_some_and(|n| ints(n).1);
            let any = (0..rows).any(none);
            let mut result = lane.map(|n| ints(n).0);
            if any {
                let fits = arrow_buffer::BooleanBuffer::collect_bool(rows, |row| !none(row));
                result.nulls = NullBuffer::union(result.nulls.as_ref(), Some(&NullBuffer::new(fits)));
            }
            Ok(Value::Ints(result))
        }
        other => Ok(other.into_floats()?.map_or(Value::Null, |lane| Value::Floats(lane.map(floats)))),
    }
}

/// To `digits` decimal digits, halves away from zero.
pub fn round(value: Value, digits: i32, rows: usize) -> Result<Value> {
    let unit = 10_i64.pow(digits.unsigned_abs());
    numeric(
        value,
        rows,
        |n| {
            if digits >= 0 {
                return (n, false);
            }
            let rest = n % unit;
            let down = n - rest;
            if rest.abs() * 2 >= unit { down.overflowing_add(unit * rest.signum()) } else { (down, false) }
        },
        |x| {
            let scale = unit as f64;
            let rounded = if digits >= 0 { (x * scale).round() / scale } else { (x / scale).round() * scale };
            // Past the range of f64 there are no digits left to round.
            if rounded.is_finite() { rounded } else { x }
        },
    )
}

/// One of the arguments for each row, of their common type; `better(order)` says whether an argument
/// that compares as `order` to the one taken so far replaces it. Nulls are passed over.
fn common(arguments: Vec<Value>, rows: usize, better: impl Fn(Ordering) -> bool) -> Result<Value> {
    let arguments: Vec<Value> = arguments.into_iter().filter(|value| !matches!(value, Value::Null)).collect();
    let any = |test: fn(&Value) -> bool| arguments.iter().any(test);
    if any(|value| matches!(value, Value::Floats(_))) {
        let lanes: Vec<Lane<f64>> = arguments
            .into_iter()
            .map(|value| value.into_floats().map(|lane| lane.unwrap_or(Lane::constant(0.0))))
            .collect::<Result<_>>()?;
        return Ok(Value::Floats(choose_numbers(&lanes, rows, better, |a, b| order(*a, *b))));
    }
    if any(|value| matches!(value, Value::Ints(_))) {
        let lanes: Vec<Lane<i64>> = arguments
            .into_iter()
            .map(|value| match value {
                Value::Ints(lane) => Ok(lane),
                _ => Err(KernelError::internal("arguments of one type")),
            })
            .collect::<Result<_>>()?;
        return Ok(Value::Ints(choose_numbers(&lanes, rows, better, i64::cmp)));
    }
    if any(|value| matches!(value, Value::Truth(_))) {
        let truths: Vec<Truth> =
            arguments.into_iter().map(|value| value.into_truth(rows)).collect::<Result<_>>()?;
        let chosen = (0..rows).map(|row| choose(truths.iter().map(|t| t.get(row)), &better, bool::cmp));
        let array: arrow_array::BooleanArray = chosen.collect();
        return Ok(Value::Truth(Truth::new(array.values().clone(), array.nulls())));
    }
    let texts: Option<Vec<Texts>> = arguments.into_iter().map(Value::into_texts).collect::<Result<_>>()?;
    let Some(texts) = texts.filter(|texts| !texts.is_empty()) else { return Ok(Value::Null) };
    let chosen = (0..rows).map(|row| choose(texts.iter().map(|text| text.get(row)), &better, Ord::cmp));
    Ok(Value::Texts(Texts::Each(chosen.collect())))
}

fn choose<T>(
    values: impl Iterator<Item = Option<T>>,
    better: &impl Fn(Ordering) -> bool,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Option<T> {
    values.flatten().fold(None, |taken, value| match taken {
        None => Some(value),
        Some(taken) if better(compare(&value, &taken)) => Some(value),
        taken => taken,
    })
}

fn choose_numbers<T: ArrowNativeType>(
    lanes: &[Lane<T>],
    rows: usize,
    better: impl Fn(Ordering) -> bool,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Lane<T> {
    let chosen: Vec<Option<T>> =
        (0..rows).map(|row| choose(lanes.iter().map(|lane| lane.get(row)), &better, &compare)).collect();
    let nulls = chosen.iter().map(Option::is_some).collect::<NullBuffer>();
    let values = chosen.into_iter().map(Option::unwrap_or_default).collect();
    Lane { values: Values::Each(values), nulls: (nulls.null_count() > 0).then_some(nulls) }
}

fn concat(arguments: Vec<Value>, rows: usize) -> Result<Value> {
    let texts: Vec<Texts> =
        arguments.into_iter().filter_map(|value| value.into_texts().transpose()).collect::<Result<_>>()?;
    let mut builder = StringBuilder::new();
    for row in 0..rows {
        for text in &texts {
            let part = text.get(row).unwrap_or_default();
            std::fmt::Write::write_str(&mut builder, part).map_err(KernelError::internal)?;
        }
        builder.append_value("");
    }
    Ok(Value::Texts(Texts::Each(builder.finish())))
}

fn number(value: Value, rows: usize) -> Result<Value> {
    let read = |text: Option<&str>| text.and_then(parse_number);
    let numbers: arrow_array::Float64Array = match &value {
        Value::Null => return Ok(Value::Null),
        Value::Ints(_) | Value::Floats(_) => {
            return Ok(value.into_floats()?.map_or(Value::Null, Value::Floats));
        }
        Value::Truth(truth) => {
            (0..rows).map(|row| truth.get(row).map(|holds| f64::from(u8::from(holds)))).collect()
        }
        Value::Texts(texts) => (0..rows).map(|row| read(texts.get(row))).collect(),
        Value::Opaque(array) => {
            return Err(KernelError::Option {
                name: "number".to_owned(),
                reason: format!("it takes a text, this is {}", array.data_type()),
            });
        }
    };
    let (_, values, nulls) = numbers.into_parts();
    Ok(Value::Floats(Lane { values: Values::Each(values), nulls }))
}

/// A decimal number with white space around it; words such as `inf` and `nan` are none.
fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| digits && number.is_finite())
}

fn string(value: &Value, rows: usize) -> Value {
    let texts: StringArray = match value {
        Value::Null | Value::Opaque(_) => return Value::Null,
        Value::Texts(_) => return value.clone(),
        Value::Truth(truth) => (0..rows).map(|row| truth.get(row).map(|holds| holds.to_string())).collect(),
        Value::Ints(lane) => (0..rows).map(|row| lane.get(row).map(|n| n.to_string())).collect(),
        Value::Floats(lane) => (0..rows).map(|row| lane.get(row).map(|n| n.to_string())).collect(),
    };
    Value::Texts(Texts::Each(texts))
}

/// Reads `a.b[0]` into the steps of a path.
pub fn json_path(path: &str) -> Vec<PointerNode> {
    path.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => PointerNode::Index(index),
            _ => PointerNode::Key(part.to_owned().into()),
        })
        .collect()
}

/// The value at `path` in each JSON text, as text; null where there is none, or it is null, or the text is
/// no JSON up to there.
pub fn json_value(value: Value, path: &[PointerNode], rows: usize) -> Result<Value> {
    let Some(texts) = value.into_texts()? else { return Ok(Value::Null) };
    let found = (0..rows).map(|row| {
        let found = sonic_rs::get(texts.get(row)?, path).ok()?;
        if found.is_null() {
            return None;
        }
        Some(found.as_str().map_or_else(|| found.as_raw_str().to_owned(), str::to_owned))
    });
    let array: StringArray = found.collect();
    Ok(Value::Texts(Texts::Each(array)))
}
