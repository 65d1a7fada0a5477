//! The text that an editing filter makes of a document, line by line.

use std::ops::ControlFlow;

use super::{Cuts, Edited, Judge};
use crate::text::lines::strip_in_place;

/// Lines that stay, and what each rule took away; reused from document to document.
#[derive(Debug)]
pub(super) struct KeptLines<const RULES: usize> {
    rules: [Cuts; RULES],
    cuts: [Cuts; RULES],
    text: String,
    changed: bool,
}

impl<const RULES: usize> KeptLines<RULES> {
    /// Lines under rules that have taken nothing away yet.
    pub fn new(rules: [Cuts; RULES]) -> Self {
        Self { rules, cuts: rules, text: String::new(), changed: false }
    }

    /// Forgets the document before.
    pub fn clear(&mut self) {
        self.cuts = self.rules;
        self.text.clear();
        self.changed = false;
    }

    /// Counts what a rule takes away.
    pub fn cut(&mut self, rule: usize, cut: &str) {
        self.cuts[rule].add(cut);
    }

    /// Appends a line; blank ones before the first go in the end anyway, and get no separator.
    pub fn keep(&mut self, line: &str, separator: char) {
        if !self.text.is_empty() {
            self.text.push(separator);
        }
        self.text.push_str(line);
    }

    /// Takes away white space at the ends; `changed` says of what is left whether it is another text.
    pub fn finish(&mut self, changed: impl FnOnce(&str) -> bool) {
        strip_in_place(&mut self.text);
        self.changed = changed(&self.text);
    }

    /// Hands the number of cuts of each rule to the judge, as measures from `first` on.
    pub fn measure(&self, first: usize, judge: &mut Judge<'_>) -> ControlFlow<()> {
        (first..).zip(&self.cuts).try_for_each(|(measure, cuts)| judge.measure(measure, cuts.count as f64))
    }

    /// What became of the document; `None` where it stays as it is.
    pub fn edited(&self) -> Option<Edited<'_>> {
        self.changed.then_some(Edited { text: &self.text, cuts: &self.cuts })
    }

    #[cfg(test)]
    pub fn cuts(&self) -> &[Cuts] {
        &self.cuts
    }

    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }
}
