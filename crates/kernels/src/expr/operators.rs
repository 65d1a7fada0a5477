//! Comparison, arithmetic and membership over lanes.

use std::cmp::Ordering;

use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, ScalarBuffer};
use rustc_hash::FxHashSet;

use super::ast::{Comparison, Operator};
use super::value::{Lane, Texts, Truth, Value, Values};
use crate::error::{KernelError, Result};

/// `left op right`, unknown where a side is null.
///
/// Numbers of both kinds compare as `f64`; NaN equals itself and is above all numbers, as in
/// `PostgreSQL` and `DuckDB`. Texts compare by bytes, which is by code points. False is below true.
pub fn compare(op: Comparison, left: Value, right: Value, rows: usize) -> Result<Truth> {
    Ok(match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Truth::constant(None, rows),
        (Value::Ints(left), Value::Ints(right)) => match op {
            Comparison::Equal => test(&left, &right, rows, |a, b| a == b),
            Comparison::NotEqual => test(&left, &right, rows, |a, b| a != b),
            Comparison::Less => test(&left, &right, rows, |a, b| a < b),
            Comparison::LessOrEqual => test(&left, &right, rows, |a, b| a <= b),
            Comparison::Greater => test(&left, &right, rows, |a, b| a > b),
            Comparison::GreaterOrEqual => test(&left, &right, rows, |a, b| a >= b),
        },
        (Value::Texts(left), Value::Texts(right)) => compare_texts(op, &left, &right, rows),
        (Value::Truth(left), Value::Truth(right)) => {
            let nulls = NullBuffer::union(left.nulls().as_ref(), right.nulls().as_ref());
            let holds = BooleanBuffer::collect_bool(rows, |row| {
                accepts(op, left.yes.value(row).cmp(&right.yes.value(row)))
            });
            Truth::new(holds, nulls.as_ref())
        }
        (left, right) => match (left.into_floats()?, right.into_floats()?) {
            (Some(left), Some(right)) => test(&left, &right, rows, |a, b| accepts(op, order(a, b))),
            _ => Truth::constant(None, rows),
        },
    })
}

/// Order of two numbers: NaN last and equal to itself, both zeros equal.
pub fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn accepts(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn test<T: ArrowNativeType>(
    left: &Lane<T>,
    right: &Lane<T>,
    rows: usize,
    holds: impl Fn(T, T) -> bool,
) -> Truth {
    let nulls = NullBuffer::union(left.nulls.as_ref(), right.nulls.as_ref());
    let holds = match (&left.values, &right.values) {
        (Values::Each(a), Values::Each(b)) => BooleanBuffer::collect_bool(rows, |row| holds(a[row], b[row])),
        (Values::Each(a), Values::All(b)) => BooleanBuffer::collect_bool(rows, |row| holds(a[row], *b)),
        (Values::All(a), Values::Each(b)) => BooleanBuffer::collect_bool(rows, |row| holds(*a, b[row])),
        (Values::All(a), Values::All(b)) => BooleanBuffer::collect_bool(rows, |_| holds(*a, *b)),
    };
    Truth::new(holds, nulls.as_ref())
}

fn compare_texts(op: Comparison, left: &Texts, right: &Texts, rows: usize) -> Truth {
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let holds = match op {
        // Equality looks at the lengths first, ordering cannot.
        Comparison::Equal => BooleanBuffer::collect_bool(rows, |row| left.at(row) == right.at(row)),
        Comparison::NotEqual => BooleanBuffer::collect_bool(rows, |row| left.at(row) != right.at(row)),
        _ => BooleanBuffer::collect_bool(rows, |row| accepts(op, left.at(row).cmp(right.at(row)))),
    };
    Truth::new(holds, nulls.as_ref())
}

/// `left op right`. Whole numbers stay whole except when divided; a result that does not fit, and division
/// or remainder by zero, give null.
pub fn arithmetic(op: Operator, left: Value, right: Value, rows: usize) -> Result<Value> {
    if let (Value::Ints(a), Value::Ints(b)) = (&left, &right)
        && op != Operator::Divide
    {
        return Ok(Value::Ints(match op {
            Operator::Add => whole(a, b, rows, i64::overflowing_add),
            Operator::Subtract => whole(a, b, rows, i64::overflowing_sub),
            Operator::Multiply => whole(a, b, rows, i64::overflowing_mul),
            _ => whole(a, b, rows, |a, b| if b == 0 { (0, true) } else { (a.wrapping_rem(b), false) }),
        }));
    }
    let (Some(a), Some(b)) = (left.into_floats()?, right.into_floats()?) else { return Ok(Value::Null) };
    Ok(Value::Floats(match op {
        Operator::Add => whole(&a, &b, rows, |a, b| (a + b, false)),
        Operator::Subtract => whole(&a, &b, rows, |a, b| (a - b, false)),
        Operator::Multiply => whole(&a, &b, rows, |a, b| (a * b, false)),
        Operator::Divide => whole(&a, &b, rows, |a, b| (a / b, b == 0.0)),
        Operator::Remainder => whole(&a, &b, rows, |a, b| (a % b, b == 0.0)),
    }))
}

/// Combines two lanes by a function that gives a number and whether it is null instead.
fn whole<T: ArrowNativeType>(
    left: &Lane<T>,
    right: &Lane<T>,
    rows: usize,
    f: impl Fn(T, T) -> (T, bool),
) -> Lane<T> {
    if let (Values::All(a), Values::All(b)) = (&left.values, &right.values) {
        let (value, null) = f(*a, *b);
        return Lane { values: Values::All(value), nulls: null.then(|| NullBuffer::new_null(rows)) };
    }
    let at = |lane: &Values<T>, row: usize| match lane {
        Values::Each(values) => values[row],
        Values::All(value) => *value,
    };
    let mut any = false;
    let values: ScalarBuffer<T> = (0..rows)
        .map(|row| {
            let (value, null) = f(at(&left.values, row), at(&right.values, row));
            any |= null;
            value
        })
        .collect();
    let mut nulls = NullBuffer::union(left.nulls.as_ref(), right.nulls.as_ref());
    if any {
        let fits =
            BooleanBuffer::collect_bool(rows, |row| !f(at(&left.values, row), at(&right.values, row)).1);
        nulls = NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(fits)));
    }
    Lane { values: Values::Each(values), nulls }
}

/// The values of `in (…)`, ready for look-up.
#[derive(Debug)]
pub struct Members {
    texts: FxHashSet<String>,
    ints: FxHashSet<i64>,
    floats: Vec<f64>,
    booleans: Vec<bool>,
    /// A null among the values: what is not found is unknown.
    null: bool,
}

impl Members {
    /// Takes the constants, which are texts, numbers or conditions, and nulls.
    pub fn new(values: &[Value]) -> Result<Self> {
        let mut members = Self {
            texts: FxHashSet::default(),
            ints: FxHashSet::default(),
            floats: Vec::new(),
            booleans: Vec::new(),
            null: false,
        };
        for value in values {
            match value {
                Value::Null => members.null = true,
                Value::Texts(Texts::All(text)) => drop(members.texts.insert(text.clone())),
                Value::Ints(Lane { values: Values::All(value), .. }) => drop(members.ints.insert(*value)),
                Value::Floats(Lane { values: Values::All(value), .. }) => members.floats.push(*value),
                Value::Truth(truth) => members.booleans.push(truth.get(0) == Some(true)),
                _ => return Err(KernelError::internal("the values of 'in' are literals")),
            }
        }
        Ok(members)
    }

    /// Where `operand` is one of the values.
    pub fn contain(&self, operand: Value, rows: usize) -> Result<Truth> {
        let nulls = operand.nulls(rows);
        let found = match operand {
            Value::Null => return Ok(Truth::constant(None, rows)),
            Value::Texts(texts) => {
                BooleanBuffer::collect_bool(rows, |row| self.texts.contains(texts.at(row)))
            }
            Value::Truth(truth) => {
                BooleanBuffer::collect_bool(rows, |row| self.booleans.contains(&truth.yes.value(row)))
            }
            Value::Ints(lane) if self.floats.is_empty() => {
                BooleanBuffer::collect_bool(rows, |row| lane.get(row).is_some_and(|n| self.ints.contains(&n)))
            }
            other => {
                let lane = other.into_floats()?;
                let all: Vec<f64> =
                    self.ints.iter().map(|&n| n as f64).chain(self.floats.iter().copied()).collect();
                BooleanBuffer::collect_bool(rows, |row| {
                    lane.as_ref().and_then(|lane| lane.get(row)).is_some_and(|n| all.contains(&n))
                })
            }
        };
        let mut truth = Truth::new(found, nulls.as_ref());
        if self.null {
            truth.no = BooleanBuffer::new_unset(rows);
        }
        Ok(truth)
    }
}
