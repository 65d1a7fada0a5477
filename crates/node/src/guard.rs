//! The one way out of native code: panics and kernel errors become JavaScript errors.
//!
//! An error's message is JSON `{code, message, kernel}`; `src/kernels/native.ts` makes the exception.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gristmill_kernels::{KernelError, Result};

/// Runs `work`, turning its error or its panic into a JavaScript error that names `kernel`.
pub fn guard<T>(kernel: &'static str, work: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(to_js(kernel, error.code(), &error.to_string())),
        Err(panic) => {
            let reason = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_else(|| "unknown panic".to_owned());
            Err(to_js(kernel, "GM_PANIC", &format!("kernel '{kernel}' panicked: {reason}")))
        }
    }
}

/// Turns a binding-level failure (a bad argument) into the same shape.
pub fn invalid(kernel: &'static str, reason: impl std::fmt::Display) -> KernelError {
    KernelError::Option { name: kernel.to_owned(), reason: reason.to_string() }
}

/// A count or offset that came as a JavaScript number; negative ones and NaN become 0.
#[expect(clippy::cast_sign_loss, reason = "the cast saturates, which is what is wanted")]
pub fn unsigned(value: f64) -> u64 {
    value as u64
}

fn to_js(kernel: &str, code: &str, message: &str) -> napi::Error {
    napi::Error::from_reason(
        serde_json::json!({ "code": code, "message": message, "kernel": kernel }).to_string(),
    )
}
