//! The record format and its own options, as JSON.

use gristmill_kernels::formats::csv_read::{CsvFormat, CsvOptions, CsvSampler};
use gristmill_kernels::formats::jsonl::{JsonlFormat, JsonlSampler};
use gristmill_kernels::formats::records::RecordFormat;
use gristmill_kernels::formats::records::rows::RowOptions;
use gristmill_kernels::formats::text_read::{TextFormat, TextOptions};
use gristmill_kernels::{KernelError, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A format by its name.
#[derive(Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum FormatOptions {
    Jsonl,
    Csv(CsvOptions),
    Text(TextOptions),
}

impl FormatOptions {
    /// Reads rows.
    pub fn reader(self, rows: &RowOptions) -> Result<Box<dyn RecordFormat>> {
        Ok(match self {
            Self::Jsonl => Box::new(JsonlFormat::new(rows)),
            Self::Csv(options) => Box::new(CsvFormat::new(&options, rows)),
            Self::Text(options) => Box::new(TextFormat::new(options)?),
        })
    }

    /// Finds records and their columns, keeps no rows.
    pub fn sampler(self) -> Result<Box<dyn RecordFormat>> {
        Ok(match self {
            Self::Jsonl => Box::new(JsonlSampler::default()),
            Self::Csv(options) => Box::new(CsvSampler::new(&options)),
            Self::Text(options) => Box::new(TextFormat::new(options)?),
        })
    }
}

/// Options that crossed as JSON.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|error| KernelError::Option { name: "reader options".to_owned(), reason: error.to_string() })
}
