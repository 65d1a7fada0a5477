//! The repetition rules of Gopher: Rae et al. 2021, arXiv:2112.11446, table A1, in the order and to the letter of
//! datatrove 0.10.1 (`gopher_repetition_filter.py`).

use std::ops::ControlFlow;

use super::{Document, Filter, Judge, Measures, Needs, Rule, Wanted, share};
use crate::error::{KernelError, Result};
use crate::hash::counter::Counter;
use crate::hash::fold;
use crate::text::count::code_points;
use crate::text::lines::{RowLines, split_at_line_feeds, strip};
use crate::text::ngrams::Ngrams;

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
        let (ngrams, seen) = (Ngrams::default(), Counter::default());
        Ok(Self { measures, rules, top, duplicate, ngrams, seen })
    }

    /// Paragraphs of a text, which blank lines separate.
    fn duplicate_paragraphs(&mut self, text: &str) -> Duplicates {
        let text = strip(text);
        let mut duplicates = Duplicates::new(&mut self.seen, text);
        split_at_line_feeds(text, 2, |part| {
            duplicates.count(part, fold::hash(part.as_bytes()), &mut self.seen);
        });
        duplicates
    }

    /// Lines of a text: what any number of line feeds separate, so that only the first and the last can be empty.
    fn duplicate_lines(&mut self, text: &str, lines: RowLines<'_>) -> Duplicates {
        let mut duplicates = Duplicates::new(&mut self.seen, text);
        let last = lines.spans().len() - 1;
        for (at, line) in lines.spans().iter().enumerate() {
            if line.start < line.end || at == 0 || at == last {
                duplicates.count(line.of(text), line.hash, &mut self.seen);
            }
        }
        duplicates
    }
}

/// Parts of a text, and those that repeat an earlier one.
#[derive(Debug, PartialEq, Eq)]
struct Duplicates {
    parts: u64,
    repeated: u64,
    /// Code points of those.
    characters: u64,
}

impl Duplicates {
    fn new(seen: &mut Counter, text: &str) -> Self {
        seen.reset(text.len() / 64);
        Self { parts: 0, repeated: 0, characters: 0 }
    }

    fn count(&mut self, part: &str, hash: u64, seen: &mut Counter) {
        self.parts += 1;
        if seen.seen(hash) {
            self.repeated += 1;
            self.characters += code_points(part) as u64;
        }
    }

    /// Their share by number, and by code points of so many.
    fn shares(&self, characters: u64) -> (f64, f64) {
        (share(self.repeated, self.parts), share(self.characters, characters))
    }
}

impl Filter for GopherRepetition {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn needs(&self) -> Needs {
        Needs { words: Wanted::Always, lines: Wanted::Always, script: true }
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, words, lines, .. } = document;
        let (Some(words), Some(lines)) = (words, lines) else { return ControlFlow::Break(()) };
        let characters = code_points(text) as u64;
        judge.measure(CHARACTERS, characters as f64)?;
        if characters == 0 {
            return ControlFlow::Break(());
        }
        let (number, size) = self.duplicate_paragraphs(text).shares(characters);
        judge.measure(DUPLICATE_PARAGRAPHS, number)?;
        judge.measure(DUPLICATE_PARAGRAPH_CHARACTERS, size)?;
        let (number, size) = self.duplicate_lines(text, lines).shares(characters);
        judge.measure(DUPLICATE_LINES, number)?;
        judge.measure(DUPLICATE_LINE_CHARACTERS, size)?;
        self.ngrams.load(text, words);
        let mut measure = FIRST_NGRAM;
        let shortest = self.top.iter().copied().min().unwrap_or(1);
        for &n in &self.top {
            // Each measure has one rule, of the same number. A value within its limit is nobody's if the first failure
            // is all that is asked for, and most are so far within it that this is seen without the value.
            let limit = judge.limit(measure).filter(|_| judge.stops_early());
            let within = limit.is_some_and(|limit| {
                let most = self.ngrams.top_at_most(words, n, shortest);
                most.is_some_and(|most| share(most, characters) <= limit)
            });
            if !within {
                let value = self.ngrams.top(words, n).map_or(f64::NAN, |top| share(top, characters));
                judge.measure(measure, value)?;
            }
            measure += 1;
        }
        let shortest = self.duplicate.iter().copied().min().unwrap_or(1);
        for &n in &self.duplicate {
            judge.measure(measure, share(self.ngrams.duplicates(n, shortest), characters))?;
            measure += 1;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_at_both_ends_repeat_each_other() {
        let mut filter = GopherRepetition::new(vec![], vec![]).unwrap();
        let lines = "\n\nab\nab\n\n";
        let found = filter.duplicate_lines(lines, RowLines::of(lines, &mut Vec::new()));
        assert_eq!(found, Duplicates { parts: 4, repeated: 2, characters: 2 });
        let found = filter.duplicate_paragraphs("a\n\nb\n\n\na");
        assert_eq!(found, Duplicates { parts: 3, repeated: 1, characters: 1 });
    }

    #[test]
    fn lengths_of_ngrams_are_bounded() {
        assert!(GopherRepetition::new(vec![0], vec![]).is_err());
        assert!(GopherRepetition::new(vec![], vec![65]).is_err());
    }
}
