//! Runs a filter over a batch: measures, decides, records, annotates.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field};
use serde::Deserialize;

use super::limits::{Languages, LimitSet, Limits};
use super::{Cuts, Document, Edited, Filter, Judge, Measures, Needs, Wanted};
use crate::batch::Batch;
use crate::edits::{Edit, Edits};
use crate::error::{KernelError, Result};
use crate::removed::{Reason, RemovedLog};
use crate::text::lines::{Lines, known_lines, lines_of};
use crate::text::rewrite::Rewriter;
use crate::text::segment::Split;
use crate::text::words::{Cut, WordCounts, Words, count_words, known_words, words_of};

/// What all filters are told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Column that holds the document.
    pub column: String,
    /// Add the measures as columns instead of removing rows.
    pub annotate: bool,
    /// What the names of these columns begin with.
    pub prefix: String,
    /// Words by white space instead of by UAX #29.
    #[serde(default)]
    pub whitespace_words: bool,
    /// Which set of limits a row is held against.
    #[serde(default)]
    pub languages: Languages,
    /// The sets.
    pub sets: Vec<LimitSet>,
}

impl Settings {
    /// How the text is cut into words.
    #[must_use]
    pub fn cut(&self) -> Cut {
        Cut {
            split: if self.whitespace_words { Split::Whitespace } else { Split::Unicode },
            language: self.languages.column.clone().filter(|_| self.languages.fixed.is_none()),
            fixed: self.languages.fixed.clone(),
        }
    }
}

/// A filter with its settings, ready to run.
#[derive(Debug)]
pub struct Step<F> {
    filter: F,
    settings: Settings,
    limits: Vec<Limits>,
}

impl<F: Filter> Step<F> {
    /// A filter held against the limits of the settings.
    ///
    /// # Errors
    /// `Option` when a limit belongs to no rule or a set does not exist.
    pub fn new(filter: F, settings: Settings) -> Result<Self> {
        let limits: Vec<Limits> = settings
            .sets
            .iter()
            .map(|set| Limits::by_name(filter.rules(), &set.limits))
            .collect::<Result<_>>()?;
        let languages = &settings.languages;
        let sets = languages.codes.values().copied().chain([languages.latin, languages.other]);
        if let Some(set) = sets.max().filter(|&set| set >= limits.len()) {
            return Err(KernelError::Option {
                name: "sets".to_owned(),
                reason: format!("there is no set {set}"),
            });
        }
        Ok(Self { filter, settings, limits })
    }

    /// The filter.
    pub(super) fn filter(&self) -> &F {
        &self.filter
    }
}

/// A measure of a row, held against a limit where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The rule; the measure's name where no rule is in force.
    pub name: String,
    /// NaN where there was nothing to measure.
    pub value: f64,
    /// The limit of the row's language.
    pub threshold: Option<f64>,
    /// Whether the row passes the rule.
    pub passes: Option<bool>,
}

/// What happened to the rows of a batch.
struct Verdicts {
    /// The first rule that failed, with the set it was held against.
    failed: Vec<Option<(usize, usize)>>,
    /// All measures of all rows, row by row.
    values: Vec<f64>,
    edited: Rewriter,
}

/// Runs a filter over the selected rows of a batch: removes those that fail a rule, with a record each, or adds
/// the measures and the name of the first failing rule as columns. Returns how many rows were removed.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when a column is not utf8.
pub fn run<F: Filter>(
    step: &mut Step<F>,
    batch: &mut Batch,
    removed: &mut RemovedLog,
    edits: &mut Edits,
    name: &str,
) -> Result<u64> {
    let found = Found::of(batch, &step.settings, step.filter.needs())?;
    let mut verdicts = judge_all(step, batch, &found, edits, name)?;
    if step.settings.annotate {
        annotate(step, batch, &verdicts)?;
        return Ok(0);
    }
    let count = remove(step, batch, removed, name, &verdicts)?;
    if let Some(text) = verdicts.edited.finish()? {
        let field = batch.schema().field_with_name(&step.settings.column)?.clone();
        batch.set_column(field, Arc::new(text))?;
    }
    Ok(count)
}

/// All measures of one row, each with the rules in force for the row's language; nothing is removed or changed.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when a column is not utf8.
pub fn held<F: Filter>(step: &mut Step<F>, batch: &mut Batch, row: usize) -> Result<Vec<Held>> {
    let found = Found::of(batch, &step.settings, step.filter.needs())?;
    let Step { filter, settings, limits } = step;
    let rules = filter.rules().to_vec();
    let text = batch.text(&settings.column)?;
    let document = found.document(row, text, settings.languages.codes_in(batch)?, &settings.languages);
    let set = document.set;
    let mut values = vec![f64::NAN; filter.measures().len()];
    let mut judge =
        Judge { rules: &rules, limits: &limits[set], stop_early: false, values: &mut values, failed: None };
    let _ = filter.judge(document, &mut judge);
    let mut all = Vec::new();
    for (measure, (name, _)) in filter.measures().iter().enumerate() {
        let value = values[measure];
        let before = all.len();
        for (rule, known) in rules.iter().enumerate().filter(|(_, known)| known.measure == measure) {
            let Some(limit) = limits[set].of(rule) else { continue };
            let passes = Some(!known.is_broken_by(value, limit));
            all.push(Held { name: known.name.clone(), value, threshold: Some(limit), passes });
        }
        if all.len() == before {
            all.push(Held { name: name.clone(), value, threshold: None, passes: None });
        }
    }
    Ok(all)
}

/// What a filter looks at besides the texts of a batch.
struct Found {
    words: Option<Arc<Words>>,
    lines: Option<Arc<Lines>>,
    /// How words are cut where a row's script decides about its limits.
    cut: Option<Cut>,
}

impl Found {
    fn of(batch: &mut Batch, settings: &Settings, needs: Needs) -> Result<Self> {
        let (column, cut) = (&settings.column, settings.cut());
        let words = match needs.words {
            Wanted::Never => None,
            Wanted::IfKnown => known_words(batch, column, &cut)?,
            Wanted::Always => Some(words_of(batch, column, &cut)?),
        };
        let lines = match needs.lines {
            Wanted::Never => None,
            Wanted::IfKnown => known_lines(batch, column)?,
            Wanted::Always => Some(lines_of(batch, column)?),
        };
        Ok(Self { words, lines, cut: needs.script.then_some(cut) })
    }

    fn document<'a>(
        &'a self,
        row: usize,
        text: &'a StringArray,
        codes: Option<&'a StringArray>,
        languages: &'a Languages,
    ) -> Document<'a> {
        let text = if text.is_valid(row) { text.value(row) } else { "" };
        let words = self.words.as_deref();
        let mut counts = words.map(|words| words.counts(row));
        let (language, set) = languages.of_row(codes, row, || {
            self.cut.as_ref().is_some_and(|cut| {
                let counts: &mut WordCounts = counts.get_or_insert_with(|| count_words(text, cut, None));
                counts.mostly_not_latin()
            })
        });
        let words = words.map(|words| words.of(row));
        let lines = self.lines.as_deref().map(|lines| lines.of(row));
        Document { text, set, language, words, counts, lines }
    }
}

fn judge_all<F: Filter>(
    step: &mut Step<F>,
    batch: &Batch,
    found: &Found,
    edits: &mut Edits,
    name: &str,
) -> Result<Verdicts> {
    let Step { filter, settings, limits } = step;
    let rules = filter.rules().to_vec();
    let text = batch.text(&settings.column)?;
    let codes = settings.languages.codes_in(batch)?;
    let width = filter.measures().len();
    let rows = batch.rows();
    // Annotated, all measures are kept; else only those of the row at hand.
    let mut values = vec![f64::NAN; if settings.annotate { rows * width } else { rows + width }];
    let mut failed = vec![None; rows];
    let mut edited = Rewriter::of(text);
    for row in (0..rows).filter(|&row| batch.is_kept(row)) {
        let document = found.document(row, text, codes, &settings.languages);
        let set = document.set;
        let from = if settings.annotate { row * width } else { rows };
        let mut judge = Judge {
            rules: &rules,
            limits: &limits[set],
            stop_early: !settings.annotate,
            values: &mut values[from..from + width],
            failed: None,
        };
        let _ = filter.judge(document, &mut judge);
        if let Some(rule) = judge.failed {
            failed[row] = Some((rule, set));
            if !settings.annotate {
                values[row] = values[rows + rules[rule].measure];
            }
        } else if !settings.annotate
            && let Some(Edited { text, cuts }) = filter.edited()
        {
            edited.edit(row, text)?;
            for &Cuts { rule, count, bytes } in cuts {
                edits.record(batch, row, Edit { step: name, rule, count, bytes });
            }
        }
    }
    Ok(Verdicts { failed, values, edited })
}

fn remove<F: Filter>(
    step: &Step<F>,
    batch: &mut Batch,
    removed: &mut RemovedLog,
    name: &str,
    verdicts: &Verdicts,
) -> Result<u64> {
    let values = Float64Array::from(verdicts.values[..batch.rows()].to_vec());
    let mut count = 0;
    for (row, failed) in verdicts.failed.iter().enumerate() {
        let Some((rule, set)) = *failed else { continue };
        let threshold = step.limits[set].of(rule);
        let rule = &step.filter.rules()[rule].name;
        removed.record(batch, row, Reason { step: name, rule, values: Some(&values), threshold }, None);
        count += 1;
    }
    if count > 0 {
        batch.retain(&BooleanBuffer::collect_bool(batch.rows(), |row| verdicts.failed[row].is_none()))?;
    }
    Ok(count)
}

fn annotate<F: Filter>(step: &Step<F>, batch: &mut Batch, verdicts: &Verdicts) -> Result<()> {
    let measures = step.filter.measures();
    let rows = batch.rows();
    let name = |measure: &str| format!("{}{measure}", step.settings.prefix);
    for (index, (measure, kind)) in measures.iter().enumerate() {
        let values = (0..rows).map(|row| verdicts.values[row * measures.len() + index]);
        let values = values.map(|value| (!value.is_nan()).then_some(value));
        let (data_type, array): (DataType, ArrayRef) = match kind {
            Measures::Number => {
                let mut column = Float64Builder::with_capacity(rows);
                values.for_each(|value| column.append_option(value));
                (DataType::Float64, Arc::new(column.finish()))
            }
            Measures::Count => {
                let mut column = Int64Builder::with_capacity(rows);
                values.for_each(|value| column.append_option(value.map(|value| value as i64)));
                (DataType::Int64, Arc::new(column.finish()))
            }
        };
        batch.set_column(Field::new(name(measure), data_type, true), array)?;
    }
    let mut rule = StringBuilder::new();
    for failed in &verdicts.failed {
        rule.append_option(failed.map(|(rule, _)| &step.filter.rules()[rule].name));
    }
    batch.set_column(Field::new(name("rule"), DataType::Utf8, true), Arc::new(rule.finish()))
}
