//! Filters by name, from options in JSON.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::bad_words::BadWords;
use super::c4_quality::C4Quality;
use super::fineweb_quality::FinewebQuality;
use super::gopher_quality::GopherQuality;
use super::gopher_repetition::GopherRepetition;
use super::line_filter::LineFilter;
use super::url_filter::UrlFilter;
use super::{Filter, Held, Settings, Step, held, run};
use crate::batch::Batch;
use crate::edits::Edits;
use crate::error::{KernelError, Result};
use crate::removed::RemovedLog;

/// A filter or editor that works on batches in place.
pub trait Curate: Send {
    /// Works on the selected rows; returns how many were removed.
    ///
    /// # Errors
    /// `ColumnMissing`, or `ColumnType` when a column is not utf8.
    fn run(
        &mut self,
        batch: &mut Batch,
        removed: &mut RemovedLog,
        edits: &mut Edits,
        name: &str,
    ) -> Result<u64>;

    /// All measures of one row, each with the rules in force for it; nothing is removed or changed.
    ///
    /// # Errors
    /// As `run`.
    fn held(&mut self, batch: &mut Batch, row: usize) -> Result<Vec<Held>>;

    /// Hash of the files it read, where there are any.
    fn content_hash(&self) -> Option<u128>;
}

impl<F: Filter + Send> Curate for Step<F> {
    fn run(
        &mut self,
        batch: &mut Batch,
        removed: &mut RemovedLog,
        edits: &mut Edits,
        name: &str,
    ) -> Result<u64> {
        run(self, batch, removed, edits, name)
    }

    fn held(&mut self, batch: &mut Batch, row: usize) -> Result<Vec<Held>> {
        held(self, batch, row)
    }

    fn content_hash(&self) -> Option<u128> {
        self.filter().content_hash()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options<T> {
    settings: Settings,
    filter: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Repetition {
    top_ngrams: Vec<usize>,
    duplicate_ngrams: Vec<usize>,
}

/// The filter of that name.
///
/// # Errors
/// `Option` for an unknown name and for options that are not its own.
pub fn open(name: &str, options: &str) -> Result<Box<dyn Curate>> {
    match name {
        "gopher-quality" => {
            let Options { settings, filter: () } = read(options)?;
            Ok(Box::new(Step::new(GopherQuality::new(&settings), settings)?))
        }
        "gopher-repetition" => {
            let Options { settings, filter: Repetition { top_ngrams, duplicate_ngrams } } = read(options)?;
            Ok(Box::new(Step::new(GopherRepetition::new(top_ngrams, duplicate_ngrams)?, settings)?))
        }
        "c4-quality" => {
            let Options { settings, filter } = read(options)?;
            Ok(Box::new(Step::new(C4Quality::new(filter)?, settings)?))
        }
        "fineweb-quality" => {
            let Options { settings, filter } = read(options)?;
            Ok(Box::new(Step::new(FinewebQuality::new(filter, settings.cut()), settings)?))
        }
        "line-filter" => {
            let Options { settings, filter } = read(options)?;
            Ok(Box::new(Step::new(LineFilter::new(filter, settings.cut())?, settings)?))
        }
        "bad-words" => {
            let Options { settings, filter } = read(options)?;
            Ok(Box::new(Step::new(BadWords::new(filter)?, settings)?))
        }
        "url-filter" => {
            let Options { settings, filter } = read(options)?;
            Ok(Box::new(Step::new(UrlFilter::new(&filter)?, settings)?))
        }
        _ => Err(KernelError::Option { name: "filter".to_owned(), reason: format!("there is no '{name}'") }),
    }
}

fn read<T: DeserializeOwned>(options: &str) -> Result<Options<T>> {
    serde_json::from_str(options)
        .map_err(|error| KernelError::Option { name: "filter".to_owned(), reason: error.to_string() })
}
