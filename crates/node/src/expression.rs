//! `NativeExpression`: a compiled expression.

use arrow_schema::DataType;
use gristmill_kernels::KernelError;
use gristmill_kernels::expr::{self, Expression};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::guard;
use crate::removed::NativeRemovedLog;

/// A compiled expression; shared memory of no batch hangs on it.
#[napi]
pub struct NativeExpression {
    inner: Expression,
}

#[napi]
impl NativeExpression {
    /// Compiles the JSON form of an AST (see `src/expressions/ast.ts`).
    #[napi(constructor)]
    pub fn new(ast: String) -> napi::Result<Self> {
        guard("expression.compile", || Ok(Self { inner: Expression::from_json(&ast)? }))
    }

    /// Keeps the rows for which the condition holds and records the others, with the measured value when
    /// the expression compares a measure with `threshold`; returns how many left.
    #[napi]
    pub fn filter(
        &self,
        batch: &mut NativeBatch,
        removed: &mut NativeRemovedLog,
        step: String,
        rule: String,
        threshold: Option<f64>,
    ) -> napi::Result<u32> {
        guard("expression.filter", || {
            let log = removed.get()?;
            batch.change(|batch| Ok(self.inner.filter(batch, log, &step, &rule, threshold)? as u32))
        })
    }

    /// Keeps the rows for which the condition holds, without a record; returns how many left.
    #[napi]
    pub fn prune(&self, batch: &mut NativeBatch) -> napi::Result<u32> {
        guard("expression.prune", || batch.change(|batch| Ok(self.inner.prune(batch)? as u32)))
    }

    /// Computes the expression into a column of the given type: string, int64, float64 or boolean.
    #[napi]
    pub fn set_column(&self, batch: &mut NativeBatch, name: String, column_type: String) -> napi::Result<()> {
        guard("expression.setColumn", || {
            let data_type = match column_type.as_str() {
                "string" => DataType::Utf8,
                "int64" => DataType::Int64,
                "float64" => DataType::Float64,
                "boolean" => DataType::Boolean,
                other => return Err(KernelError::internal(format!("no expression gives {other}"))),
            };
            batch.change(|batch| self.inner.set_column(batch, &name, &data_type))
        })
    }
}

/// Why a regular expression cannot be compiled; null when it can.
#[napi]
pub fn regex_problem(pattern: String) -> Option<String> {
    expr::regex_problem(&pattern)
}
