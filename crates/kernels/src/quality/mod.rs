//! Filters that judge a document by what it measures: the published heuristics.
//!
//! A filter takes measures of a document in the published order and hands each to its [`Judge`]. The judge holds
//! them against the limits of the document's language; the first rule that fails is why the document leaves.
//! In `annotate` mode nothing leaves and all measures become columns.

pub mod bad_words;
pub mod c4_quality;
pub mod fineweb_quality;
pub mod gopher_quality;
pub mod gopher_repetition;
mod kept_lines;
pub mod limits;
pub mod line_filter;
pub mod lists;
mod open;
mod run;
#[cfg(test)]
mod tests;
pub mod url_filter;

use std::ops::ControlFlow;

use crate::text::lines::RowLines;
use crate::text::spans::Span;
use crate::text::words::WordCounts;
use limits::{Bound, Limits};

pub use open::{Curate, open};
pub use run::{Held, Settings, Step, held, run};

/// One document before a filter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Document<'a> {
    /// Its text; a null is the empty text.
    pub text: &'a str,
    /// Which set of limits it is held against.
    pub set: usize,
    /// Its language code, where there is one.
    pub language: Option<&'a str>,
    /// Its words, where the filter asked for them and they are there.
    pub words: Option<&'a [Span]>,
    /// Counts of its words, where they were counted.
    pub counts: Option<WordCounts>,
    /// Its lines, where the filter asked for them and they are there.
    pub lines: Option<RowLines<'a>>,
}

/// How much a filter wants of what the filters of a chain share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: it does not look at them.
    #[default]
    Never,
    /// What a step before it found; where none did, the filter finds out by itself what little it wants to know.
    IfKnown,
    /// All, for itself and for the steps after it.
    Always,
}

/// What a filter looks at besides the text, found once for each version of the text of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Words with their hashes.
    pub words: Wanted,
    /// Lines between line feeds with their hashes.
    pub lines: Wanted,
    /// Whether a row without a language has its limits by the script of most of its words.
    pub script: bool,
}

/// A rule holds a measure against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Name of the limit, which is the option that sets it.
    pub name: String,
    /// Index of the measure.
    pub measure: usize,
    /// On which side of the limit the measure must stay.
    pub bound: Bound,
}

impl Rule {
    /// A rule that the measure is at least the limit.
    pub fn at_least(name: impl Into<String>, measure: usize) -> Self {
        Self { name: name.into(), measure, bound: Bound::AtLeast }
    }

    /// A rule that the measure is at most the limit.
    pub fn at_most(name: impl Into<String>, measure: usize) -> Self {
        Self { name: name.into(), measure, bound: Bound::AtMost }
    }

    /// Whether the measure is on the wrong side; NaN, the measure of nothing, never is.
    #[inline]
    fn is_broken_by(&self, value: f64, limit: f64) -> bool {
        match self.bound {
            Bound::AtLeast => value < limit,
            Bound::AtMost => value > limit,
        }
    }
}

/// Takes the measures of one document.
#[derive(Debug)]
pub struct Judge<'a> {
    rules: &'a [Rule],
    limits: &'a Limits,
    stop_early: bool,
    /// The measures; NaN where there was nothing to measure.
    values: &'a mut [f64],
    /// The first rule that failed.
    failed: Option<usize>,
}

impl Judge<'_> {
    /// Takes a measure. Breaks when the document's fate is known and nothing else is wanted. NaN, the measure of
    /// nothing, fails no rule.
    #[inline]
    pub fn measure(&mut self, measure: usize, value: f64) -> ControlFlow<()> {
        self.values[measure] = value;
        if self.failed.is_none() {
            self.failed = self.rules.iter().enumerate().position(|(index, rule)| {
                rule.measure == measure
                    && self.limits.of(index).is_some_and(|limit| rule.is_broken_by(value, limit))
            });
        }
        if self.failed.is_some() && self.stop_early {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The limit of a rule for this document.
    #[must_use]
    pub fn limit(&self, rule: usize) -> Option<f64> {
        self.limits.of(rule)
    }

    /// Whether measuring may stop at the first failure.
    #[must_use]
    pub fn stops_early(&self) -> bool {
        self.stop_early
    }
}

/// A share, NaN of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}

/// Whether a measure is a count or a number with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measures {
    /// A whole number: an int64 column.
    Count,
    /// A float64 column.
    Number,
}

/// A filter: its measures, its rules in the published order, and how it measures.
pub trait Filter {
    /// Names of the measures and of the columns in `annotate` mode.
    fn measures(&self) -> &[(String, Measures)];

    /// The rules in the published order; limits are theirs by index.
    fn rules(&self) -> &[Rule];

    /// What it looks at besides the text.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Hands the measures of a document to the judge, in order, until it breaks.
    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()>;

    /// Hash of the files it read, where there are any.
    fn content_hash(&self) -> Option<u128> {
        None
    }

    /// The text of the document judged last as the filter would have it; `None` where it stays as it is.
    fn edited(&self) -> Option<Edited<'_>> {
        None
    }
}

/// What an editing filter made of a document.
#[derive(Debug, Clone, Copy)]
pub struct Edited<'a> {
    /// The new text.
    pub text: &'a str,
    /// What each rule took away.
    pub cuts: &'a [Cuts],
}

/// What one editing rule took away from a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuts {
    /// The option that switches the rule on.
    pub rule: &'static str,
    /// How often it applied.
    pub count: u64,
    /// UTF-8 bytes it took away.
    pub bytes: u64,
}

impl Cuts {
    /// A rule that has taken nothing away yet.
    #[must_use]
    pub const fn of(rule: &'static str) -> Self {
        Self { rule, count: 0, bytes: 0 }
    }

    /// Counts one cut.
    pub fn add(&mut self, cut: &str) {
        self.count += 1;
        self.bytes += cut.len() as u64;
    }
}
