//! The typed form of an expression, as `src/expressions/ast.ts` documents it.

use serde::Deserialize;

/// One node.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ast {
    /// A constant.
    Literal(Literal),
    /// A column, by the batch's name of it.
    Column {
        /// The name.
        name: String,
    },
    /// True where all operands are.
    And {
        /// Two or more.
        operands: Vec<Ast>,
    },
    /// True where any operand is.
    Or {
        /// Two or more.
        operands: Vec<Ast>,
    },
    /// The opposite.
    Not {
        /// A condition.
        operand: Box<Ast>,
    },
    /// A comparison.
    Compare {
        /// The operator.
        op: Comparison,
        /// Left side.
        left: Box<Ast>,
        /// Right side.
        right: Box<Ast>,
    },
    /// `operand in (values)`.
    In {
        /// What is looked up.
        operand: Box<Ast>,
        /// Literals, tagged as such.
        values: Vec<Ast>,
        /// `not in`.
        negated: bool,
    },
    /// `operand between low and high`, bounds included.
    Between {
        /// What is compared.
        operand: Box<Ast>,
        /// Lower bound.
        low: Box<Ast>,
        /// Upper bound.
        high: Box<Ast>,
        /// `not between`.
        negated: bool,
    },
    /// `operand like pattern`.
    Like {
        /// A text.
        operand: Box<Ast>,
        /// The pattern.
        pattern: String,
        /// `not like`.
        negated: bool,
    },
    /// `operand is null`.
    IsNull {
        /// Anything.
        operand: Box<Ast>,
        /// `is not null`.
        negated: bool,
    },
    /// Arithmetic.
    Arithmetic {
        /// The operator.
        op: Operator,
        /// Left side.
        left: Box<Ast>,
        /// Right side.
        right: Box<Ast>,
    },
    /// Minus.
    Negate {
        /// A number.
        operand: Box<Ast>,
    },
    /// A function.
    Call {
        /// Its name in the table of `functions.ts`.
        function: String,
        /// What it is given.
        arguments: Vec<Ast>,
    },
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
pub enum Literal {
    /// A text.
    String(String),
    /// A whole number.
    Int64(Whole),
    /// A number.
    Float64(f64),
    /// True or false.
    Boolean(bool),
    /// Unknown.
    Null,
}

/// A whole number: as a JSON number where JavaScript can hold it, as digits otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Whole {
    /// A safe integer.
    Number(i64),
    /// Decimal digits.
    Digits(String),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Comparison {
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// Sum.
    #[serde(rename = "+")]
    Add,
    /// Difference.
    #[serde(rename = "-")]
    Subtract,
    /// Product.
    #[serde(rename = "*")]
    Multiply,
    /// Quotient, never whole-number division.
    #[serde(rename = "/")]
    Divide,
    /// Remainder, with the sign of the left side.
    #[serde(rename = "%")]
    Remainder,
}
