//! The repetition rules of Gopher: Rae et al. 2021, arXiv:2112.11446, table A1, in the order and to the letter of
//! datatrove 0.10.1 (`gopher_repetition_filter.py`).

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Document, Filter, Judge, Measures, Rule, Settings, share};
use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::hash::counter::Counter;
use crate::hash::fold;
use crate::text::count::code_points;
use crate::text::lines::{split_at_line_feeds, strip};
use crate::text::ngrams::Ngrams;
use crate::text::words::{Words, words_of};

const CHARACTERS: usize = 0;
const DUPLICATE_PARAGRAPHS: usize = 1;
const DUPLICATE_PARAGRAPH_CHARACTERS: usize = 2;
const DUPLICATE_LINES: usize = 3;
const DUPLICATE_LINE_CHARACTERS: usize = 4;
const FIRST_NGRAM: usize = 5;

/// Measures what Gopher's repetition rules look at.
#[derive(Debug)]
pub struct GopherRepetition {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    top: Vec<usize>,
    duplicate: Vec<usize>,
    words: Option<Arc<Words>>,
    ngrams: Ngrams,
    seen: Counter,
}

impl GopherRepetition {
    /// The filter for top n-grams and duplicate n-grams of the given lengths, in the order they are judged.
    ///
    /// # Errors
    /// `Option` when a length is 0 or above 64.
    pub fn new(top: Vec<usize>, duplicate: Vec<usize>) -> Result<Self> {
        if let Some(length) = top.iter().chain(&duplicate).find(|&&length| length == 0 || length > 64) {
            return Err(KernelError::Option {
                name: "n-gram length".to_owned(),
                reason: format!("{length} is not from 1 to 64"),
            });
        }
        let number = |name: &str| (name.to_owned(), Measures::Number);
        let mut measures = vec![
            ("characters".to_owned(), Measures::Count),
            number("duplicate_paragraphs"),
            number("duplicate_paragraph_characters"),
            number("duplicate_lines"),
            number("duplicate_line_characters"),
        ];
        let mut rules = vec![
            Rule::at_least("minCharacters", CHARACTERS),
            Rule::at_most("maxDuplicateParagraphs", DUPLICATE_PARAGRAPHS),
            Rule::at_most("maxDuplicateParagraphCharacters", DUPLICATE_PARAGRAPH_CHARACTERS),
            Rule::at_most("maxDuplicateLines", DUPLICATE_LINES),
            Rule::at_most("maxDuplicateLineCharacters", DUPLICATE_LINE_CHARACTERS),
        ];
        for n in &top {
            rules.push(Rule::at_most(format!("maxTop{n}Gram"), measures.len()));
            measures.push(number(&format!("top_{n}_gram")));
        }
        for n in &duplicate {
            rules.push(Rule::at_most(format!("maxDuplicate{n}Grams"), measures.len()));
            measures.push(number(&format!("duplicate_{n}_grams")));
        }
        let (words, ngrams, seen) = (None, Ngrams::default(), Counter::default());
        Ok(Self { measures, rules, top, duplicate, words, ngrams, seen })
    }

    /// Shares of the parts of a text that repeat an earlier one, by number and by code points.
    fn duplicates(&mut self, text: &str, least: usize, characters: u64) -> (f64, f64) {
        let (mut parts, mut repeated, mut repeated_characters) = (0_u64, 0_u64, 0_u64);
        let seen = &mut self.seen;
        seen.reset(text.len() / 64);
        let mut count = |part: &str| {
            parts += 1;
            if seen.seen(fold::hash(part.as_bytes())) {
                repeated += 1;
                repeated_characters += code_points(part) as u64;
            }
        };
        split_at_line_feeds(text, least, &mut count);
        (share(repeated, parts), share(repeated_characters, characters))
    }
}

impl Filter for GopherRepetition {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn prepare(&mut self, batch: &mut Batch, settings: &Settings) -> Result<()> {
        self.words = Some(words_of(batch, &settings.column, &settings.cut())?);
        Ok(())
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { row, text, .. } = document;
        let characters = code_points(text) as u64;
        judge.measure(CHARACTERS, characters as f64)?;
        if characters == 0 {
            return ControlFlow::Break(());
        }
        let (number, size) = self.duplicates(strip(text), 2, characters);
        judge.measure(DUPLICATE_PARAGRAPHS, number)?;
        judge.measure(DUPLICATE_PARAGRAPH_CHARACTERS, size)?;
        let (number, size) = self.duplicates(text, 1, characters);
        judge.measure(DUPLICATE_LINES, number)?;
        judge.measure(DUPLICATE_LINE_CHARACTERS, size)?;
        let Some(words) = &self.words else { return ControlFlow::Break(()) };
        let words = words.of(row);
        self.ngrams.load(text, words);
        let mut measure = FIRST_NGRAM;
        for &n in &self.top {
            let value = self.ngrams.top(words, n).map_or(f64::NAN, |top| share(top, characters));
            judge.measure(measure, value)?;
            measure += 1;
        }
        let shortest = self.duplicate.iter().copied().min().unwrap_or(1);
        for &n in &self.duplicate {
            judge.measure(measure, share(self.ngrams.duplicates(n, shortest), characters))?;
            measure += 1;
        }
        ControlFlow::Continue(())
    }

    fn mostly_not_latin(&mut self, row: usize, _text: &str) -> bool {
        self.words.as_ref().is_some_and(|words| words.counts(row).mostly_not_latin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_at_both_ends_repeat_each_other() {
        let mut filter = GopherRepetition::new(vec![], vec![]).unwrap();
        assert_eq!(filter.duplicates("\nab\nab\n", 1, 7), (0.5, 2.0 / 7.0));
        assert_eq!(filter.duplicates("a\n\nb\n\n\na", 2, 10), (1.0 / 3.0, 0.1));
    }

    #[test]
    fn lengths_of_ngrams_are_bounded() {
        assert!(GopherRepetition::new(vec![0], vec![]).is_err());
        assert!(GopherRepetition::new(vec![], vec![65]).is_err());
    }
}
