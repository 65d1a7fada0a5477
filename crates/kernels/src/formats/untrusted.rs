//! Runs a decoder over bytes nobody vouches for.
//!
//! The decoders of Parquet and Arrow check what they read, but damaged bytes have made both panic before.
//! Damage is bad input, not a bug of the run: such a panic becomes a reason like any other.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`decode`], whose panics are nothing to print.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Makes the process's panic message leave out panics inside [`decode`]; all others print as before.
fn silence() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !DECODING.get() {
                print(panic);
            }
        }));
    });
}

/// The result of `work`, or why the bytes are damaged.
///
/// What `work` borrows must not be used again after a panic.
///
/// # Errors
/// The decoder's error or panic, as text.
pub fn decode<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    silence();
    let outer = DECODING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DECODING.set(outer);
    match outcome {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "the decoder failed".to_owned())),
    }
}
