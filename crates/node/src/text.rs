//! Text operators: normalisation and cutting.

use gristmill_kernels::Result;
use gristmill_kernels::text::chunk::{self, Boundary, Size};
use gristmill_kernels::text::normalize::{self, Controls, Form, Options};
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::guard::{guard, invalid};

/// What to normalise.
#[napi(object)]
pub struct NativeNormalizeOptions {
    /// Replace HTML entities.
    pub unescape_html: bool,
    /// `NFC`, `NFD`, `NFKC`, `NFKD` or `none`.
    pub form: String,
    /// `keep`, `strip` or `space`.
    pub controls: String,
    /// Tidy white space.
    pub whitespace: bool,
}

impl NativeNormalizeOptions {
    fn read(&self) -> Result<Options> {
        let unknown = |what: &str| invalid("normalize", format!("unknown value '{what}'"));
        Ok(Options {
            unescape_html: self.unescape_html,
            form: match self.form.as_str() {
                "none" => None,
                "NFC" => Some(Form::Nfc),
                "NFD" => Some(Form::Nfd),
                "NFKC" => Some(Form::Nfkc),
                "NFKD" => Some(Form::Nfkd),
                other => return Err(unknown(other)),
            },
            controls: match self.controls.as_str() {
                "keep" => None,
                "strip" => Some(Controls::Strip),
                "space" => Some(Controls::Space),
                other => return Err(unknown(other)),
            },
            whitespace: self.whitespace,
        })
    }
}

/// Normalises a text column in place; returns how many rows changed.
#[napi]
pub fn normalize_text(
    batch: &mut NativeBatch,
    column: String,
    options: NativeNormalizeOptions,
) -> napi::Result<u32> {
    guard("text.normalize", || {
        let options = options.read()?;
        batch.change(|batch| Ok(normalize::normalize_column(batch, &column, options)? as u32))
    })
}

/// The selected rows with `text` cut into pieces of `size` code points, in a new batch.
#[napi]
pub fn chunk_characters(
    batch: &NativeBatch,
    size: u32,
    overlap: u32,
    at_spaces: bool,
) -> napi::Result<NativeBatch> {
    guard("text.chunkCharacters", || {
        let boundary = if at_spaces { Boundary::Space } else { Boundary::None };
        let size = Size::new(size as usize, overlap as usize)?;
        chunk::by_characters(batch.get()?, size, boundary).map(NativeBatch::wrap)
    })
}

/// The selected rows with a column of tokens cut into pieces of `size` tokens, in a new batch without the
/// columns named in `leave_out`.
#[napi]
pub fn chunk_tokens(
    batch: &NativeBatch,
    column: String,
    size: u32,
    overlap: u32,
    leave_out: Vec<String>,
) -> napi::Result<NativeBatch> {
    guard("text.chunkTokens", || {
        let size = Size::new(size as usize, overlap as usize)?;
        let leave_out: Vec<&str> = leave_out.iter().map(String::as_str).collect();
        chunk::by_tokens(batch.get()?, &column, size, &leave_out).map(NativeBatch::wrap)
    })
}
