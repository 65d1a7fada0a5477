//! Evaluation of expressions over batches.
//!
//! `src/expressions` reads and types an expression; this module computes it, a batch at a time, a column
//! at a time. Logic is SQL's: a row for which a condition is unknown is neither in nor out, and a filter
//! keeps only the rows for which it holds. The language is documented in `docs/expressions.md`.

pub mod ast;
mod functions;
mod operators;
mod pattern;
pub(crate) mod value;

use arrow_array::Float64Array;
use arrow_schema::{DataType, Field};
use regex::Regex;
use sonic_rs::PointerNode;

use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::removed::{Reason, RemovedLog};
use ast::{Ast, Comparison, Literal, Operator, Whole};
use functions::Function;
use operators::Members;
use pattern::Pattern;
pub use pattern::regex_problem;
use value::{Lane, Texts, Truth, Value};

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    root: Node,
}

/// A node with its constants compiled.
#[derive(Debug)]
enum Node {
    Literal(Literal),
    Column(String),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare { op: Comparison, left: Box<Node>, right: Box<Node> },
    In { operand: Box<Node>, members: Members, negated: bool },
    Between { operand: Box<Node>, low: Box<Node>, high: Box<Node>, negated: bool },
    Like { operand: Box<Node>, pattern: Pattern, negated: bool },
    Matches { operand: Box<Node>, regex: Regex },
    IsNull { operand: Box<Node>, negated: bool },
    Arithmetic { op: Operator, left: Box<Node>, right: Box<Node> },
    Round { operand: Box<Node>, digits: i32 },
    JsonValue { operand: Box<Node>, path: Vec<PointerNode> },
    Call { function: Function, arguments: Vec<Node> },
}

impl Expression {
    /// Compiles the JSON form of an AST.
    ///
    /// # Errors
    /// `Internal` when it is no AST; `Option` when a pattern does not compile.
    pub fn from_json(ast: &str) -> Result<Self> {
        let ast: Ast = serde_json::from_str(ast).map_err(KernelError::internal)?;
        Ok(Self { root: compile(ast)? })
    }

    /// Keeps the rows for which the condition holds and records the others. With a `threshold`, the
    /// expression compares a measure with it, and the measure is recorded. Returns how many rows left.
    ///
    /// # Errors
    /// `ColumnMissing`, or `Option` when a column's type is not what the expression was typed with.
    pub fn filter(
        &self,
        batch: &mut Batch,
        log: &mut RemovedLog,
        step: &str,
        rule: &str,
        threshold: Option<f64>,
    ) -> Result<u64> {
        let (truth, measured) = match (&self.root, threshold) {
            (Node::Compare { op, left, right }, Some(_)) => {
                let rows = batch.rows();
                let (a, b) = (evaluate(left, batch)?, evaluate(right, batch)?);
                let measure = if matches!(**right, Node::Literal(_)) { a.clone() } else { b.clone() };
                (operators::compare(*op, a, b, rows)?, Some(measure))
            }
            _ => (self.condition(batch)?, None),
        };
        let values = match measured {
            // Not turned into a column when every row stays.
            Some(measure) if truth.yes.count_set_bits() < batch.rows() => {
                Some(value::into_array(measure, &DataType::Float64, batch.rows())?)
            }
            _ => None,
        };
        let values = values.as_ref().and_then(|array| array.as_any().downcast_ref::<Float64Array>());
        log.remove(batch, &truth.yes, Reason { step, rule, values, threshold })
    }

    /// Keeps the rows for which the condition holds, without a record. Returns how many rows left.
    ///
    /// # Errors
    /// As [`Self::filter`].
    pub fn prune(&self, batch: &mut Batch) -> Result<u64> {
        let before = batch.kept_rows();
        let truth = self.condition(batch)?;
        batch.retain(&truth.yes)?;
        Ok((before - batch.kept_rows()) as u64)
    }

    /// Computes the expression into a column, which is replaced or added. `data_type` is the static type
    /// of the expression.
    ///
    /// # Errors
    /// As [`Self::filter`]; `Internal` when the expression gives another type.
    pub fn set_column(&self, batch: &mut Batch, name: &str, data_type: &DataType) -> Result<()> {
        let value = evaluate(&self.root, batch)?;
        let array = value::into_array(value, data_type, batch.rows())?;
        batch.set_column(Field::new(name, data_type.clone(), true), array)
    }

    fn condition(&self, batch: &Batch) -> Result<Truth> {
        evaluate(&self.root, batch)?.into_truth(batch.rows())
    }
}

fn compile(ast: Ast) -> Result<Node> {
    let below = |inner: Box<Ast>| compile(*inner).map(Box::new);
    let all = |inner: Vec<Ast>| inner.into_iter().map(compile).collect::<Result<Vec<_>>>();
    Ok(match ast {
        Ast::Literal(Literal::Int64(Whole::Digits(digits))) => {
            let number = digits.parse().map_err(KernelError::internal)?;
            Node::Literal(Literal::Int64(Whole::Number(number)))
        }
        Ast::Literal(literal) => Node::Literal(literal),
        Ast::Column { name } => Node::Column(name),
        Ast::And { operands } => Node::All(all(operands)?),
        Ast::Or { operands } => Node::Any(all(operands)?),
        Ast::Not { operand } => Node::Not(below(operand)?),
        Ast::Compare { op, left, right } => Node::Compare { op, left: below(left)?, right: below(right)? },
        Ast::In { operand, values, negated } => {
            let constants: Vec<Value> = all(values)?
                .into_iter()
                .map(|node| match node {
                    Node::Literal(literal) => Ok(constant(&literal, 1)),
                    _ => Err(KernelError::internal("the values of 'in' are literals")),
                })
                .collect::<Result<_>>()?;
            Node::In { operand: below(operand)?, members: Members::new(&constants)?, negated }
        }
        Ast::Between { operand, low, high, negated } => {
            Node::Between { operand: below(operand)?, low: below(low)?, high: below(high)?, negated }
        }
        Ast::Like { operand, pattern, negated } => {
            Node::Like { operand: below(operand)?, pattern: Pattern::new(&pattern)?, negated }
        }
        Ast::IsNull { operand, negated } => Node::IsNull { operand: below(operand)?, negated },
        Ast::Arithmetic { op, left, right } => {
            Node::Arithmetic { op, left: below(left)?, right: below(right)? }
        }
        // Zero minus the operand, but of -0.0 and of i64::MIN the product is the honest negative.
        Ast::Negate { operand } => Node::Arithmetic {
            op: Operator::Multiply,
            left: Box::new(Node::Literal(Literal::Int64(Whole::Number(-1)))),
            right: below(operand)?,
        },
        Ast::Call { function, arguments } => compile_call(&function, arguments)?,
    })
}

fn compile_call(name: &str, mut arguments: Vec<Ast>) -> Result<Node> {
    let unknown = || KernelError::internal(format!("function '{name}' with these arguments"));
    let operand = |arguments: &mut Vec<Ast>| -> Result<Box<Node>> {
        if arguments.is_empty() { Err(unknown()) } else { compile(arguments.remove(0)).map(Box::new) }
    };
    match name {
        "matches" => {
            let operand = operand(&mut arguments)?;
            let [Ast::Literal(Literal::String(pattern))] = arguments.as_slice() else {
                return Err(unknown());
            };
            let regex = Regex::new(pattern).map_err(|error| KernelError::Option {
                name: "matches".to_owned(),
                reason: error.to_string(),
            })?;
            Ok(Node::Matches { operand, regex })
        }
        "json_value" => {
            let operand = operand(&mut arguments)?;
            let [Ast::Literal(Literal::String(path))] = arguments.as_slice() else { return Err(unknown()) };
            Ok(Node::JsonValue { operand, path: functions::json_path(path) })
        }
        "round" => {
            let operand = operand(&mut arguments)?;
            let digits = match arguments.as_slice() {
                [] => 0,
                [Ast::Literal(Literal::Int64(Whole::Number(digits)))] if digits.abs() <= 15 => *digits as i32,
                _ => return Err(unknown()),
            };
            Ok(Node::Round { operand, digits })
        }
        _ => {
            let function = Function::named(name).ok_or_else(unknown)?;
            let arguments = arguments.into_iter().map(compile).collect::<Result<_>>()?;
            Ok(Node::Call { function, arguments })
        }
    }
}

fn constant(literal: &Literal, rows: usize) -> Value {
    match literal {
        Literal::Null | Literal::Int64(Whole::Digits(_)) => Value::Null,
        Literal::Boolean(answer) => Value::Truth(Truth::constant(Some(*answer), rows)),
        Literal::Int64(Whole::Number(number)) => Value::Ints(Lane::constant(*number)),
        Literal::Float64(number) => Value::Floats(Lane::constant(*number)),
        Literal::String(text) => Value::Texts(Texts::All(text.clone())),
    }
}

fn evaluate(node: &Node, batch: &Batch) -> Result<Value> {
    let rows = batch.rows();
    let negate = |truth: Truth, negated: bool| Value::Truth(if negated { truth.not() } else { truth });
    Ok(match node {
        Node::Literal(literal) => constant(literal, rows),
        Node::Column(name) => value::column(batch, name)?,
        // Later operands are not computed once no row can change any more.
        Node::All(operands) => {
            let mut truth = Truth::constant(Some(true), rows);
            for operand in operands {
                truth = truth.and(&evaluate(operand, batch)?.into_truth(rows)?);
                if truth.no.count_set_bits() == rows {
                    break;
                }
            }
            Value::Truth(truth)
        }
        Node::Any(operands) => {
            let mut truth = Truth::constant(Some(false), rows);
            for operand in operands {
                truth = truth.or(&evaluate(operand, batch)?.into_truth(rows)?);
                if truth.yes.count_set_bits() == rows {
                    break;
                }
            }
            Value::Truth(truth)
        }
        Node::Not(operand) => negate(evaluate(operand, batch)?.into_truth(rows)?, true),
        Node::Compare { op, left, right } => {
            Value::Truth(operators::compare(*op, evaluate(left, batch)?, evaluate(right, batch)?, rows)?)
        }
        Node::In { operand, members, negated } => {
            negate(members.contain(evaluate(operand, batch)?, rows)?, *negated)
        }
        Node::Between { operand, low, high, negated } => {
            let value = evaluate(operand, batch)?;
            let low = evaluate(low, batch)?;
            let above = operators::compare(Comparison::GreaterOrEqual, value.clone(), low, rows)?;
            let below = operators::compare(Comparison::LessOrEqual, value, evaluate(high, batch)?, rows)?;
            negate(above.and(&below), *negated)
        }
        Node::Like { operand, pattern, negated } => {
            let text = evaluate(operand, batch)?;
            negate(test_texts(text, rows, |text| pattern.matches(text))?, *negated)
        }
        Node::Matches { operand, regex } => {
            Value::Truth(test_texts(evaluate(operand, batch)?, rows, |text| regex.is_match(text))?)
        }
        Node::IsNull { operand, negated } => {
            let known = match evaluate(operand, batch)?.nulls(rows) {
                None => Truth::constant(Some(true), rows),
                Some(nulls) => Truth::new(nulls.inner().clone(), None),
            };
            negate(known, !*negated)
        }
        Node::Arithmetic { op, left, right } => {
            operators::arithmetic(*op, evaluate(left, batch)?, evaluate(right, batch)?, rows)?
        }
        Node::Round { operand, digits } => functions::round(evaluate(operand, batch)?, *digits, rows)?,
        Node::JsonValue { operand, path } => functions::json_value(evaluate(operand, batch)?, path, rows)?,
        Node::Call { function, arguments } => {
            let values = arguments.iter().map(|node| evaluate(node, batch)).collect::<Result<_>>()?;
            function.call(values, rows)?
        }
    })
}

fn test_texts(value: Value, rows: usize, test: impl Fn(&str) -> bool) -> Result<Truth> {
    Ok(match value.into_texts()? {
        None => Truth::constant(None, rows),
        Some(texts) => {
            let holds = arrow_buffer::BooleanBuffer::collect_bool(rows, |row| test(texts.at(row)));
            Truth::new(holds, texts.nulls())
        }
    })
}
