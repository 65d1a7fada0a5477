//! The line-wise corrections of `RefinedWeb`: Penedo et al. 2023, arXiv:2306.01116, appendix G.2. What the paper leaves
//! open is as DCLM's reproduction has it (Li et al. 2024, arXiv:2406.11794; `modifiers.py`), with two differences:
//! white space at the ends of a line does not count, and words are those of the other filters.
//!
//! Lines are what line feeds separate; blank ones stay and count for nothing. A line is cut by the first rule that
//! fails; phrases are taken out of short lines. A document that loses too many of its words leaves.

use std::ops::ControlFlow;

use regex::Regex;
use serde::Deserialize;

use super::kept_lines::KeptLines;
use super::{Cuts, Document, Edited, Filter, Judge, Measures, Needs, Rule, Wanted, share};
use crate::error::{KernelError, Result};
use crate::text::count::code_points;
use crate::text::lines::strip;
use crate::text::words::{Cut, count_words};

const REMOVED_WORDS: usize = 0;
const LINES: usize = 1;
/// Measures of cut lines follow those of the document.
const FIRST_CUT: usize = 2;

/// What makes a line worth cutting.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Cut lines with a larger share of upper-case characters.
    pub max_uppercase: Option<f64>,
    /// Cut lines of digits alone.
    pub numbers: bool,
    /// Cut lines of a number and one of these words.
    pub counters: Vec<String>,
    /// Cut lines with fewer words.
    pub min_words: Option<u64>,
    /// Taken out of short lines, wherever they are.
    pub phrases: Vec<String>,
    /// Taken away from the end of short lines.
    pub suffixes: Vec<String>,
    /// Taken away from the start of short lines.
    pub prefixes: Vec<String>,
    /// A line of at most so many words is short.
    pub short_line: u64,
}

/// Rules that cut, in the order they are asked.
const CUTS: [Cuts; 7] = [
    Cuts::of("maxUppercase"),
    Cuts::of("numbers"),
    Cuts::of("counters"),
    Cuts::of("minWords"),
    Cuts::of("phrases"),
    Cuts::of("suffixes"),
    Cuts::of("prefixes"),
];
const UPPERCASE: usize = 0;
const NUMBER: usize = 1;
const COUNTER: usize = 2;
const FEW_WORDS: usize = 3;
const PHRASE: usize = 4;
const SUFFIX: usize = 5;
const PREFIX: usize = 6;

/// Cuts lines and measures what was lost.
#[derive(Debug)]
pub struct LineFilter {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    options: Options,
    cut: Cut,
    counter: Option<Regex>,
    /// Phrases, with the rule that takes them out.
    phrases: Vec<(Regex, usize)>,
    kept: KeptLines<7>,
    /// The line at hand without phrases.
    line: String,
}

/// What became of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Cut,
    /// Without phrases, which are gone.
    Edited,
    Kept,
}

impl LineFilter {
    /// The filter; `cut` is how words are cut where no step before did it.
    ///
    /// # Errors
    /// `Option` when the phrases are too many for a regular expression.
    pub fn new(options: Options, cut: Cut) -> Result<Self> {
        let count = |name: &str| (name.to_owned(), Measures::Count);
        let counter = match any_of(&options.counters) {
            None => None,
            Some(words) => {
                let pattern = format!(r"(?i)^\W*\d[,.\d]*[kmb]?\s+(?:{words})\W*$");
                Some(compiled(&pattern, "counters")?)
            }
        };
        let groups = [
            (&options.phrases, r"(?i)\s?(?:{})", PHRASE),
            (&options.suffixes, r"(?i)\s?(?:{})$", SUFFIX),
            (&options.prefixes, r"(?i)^(?:{})\s?", PREFIX),
        ];
        let mut phrases = Vec::new();
        for (list, pattern, rule) in groups {
            if let Some(list) = any_of(list) {
                phrases.push((compiled(&pattern.replace("{}", &list), CUTS[rule].rule)?, rule));
            }
        }
        Ok(Self {
            measures: vec![
                ("removed_words".to_owned(), Measures::Number),
                count("lines"),
                count("uppercase_lines"),
                count("number_lines"),
                count("counter_lines"),
                count("short_lines"),
                count("phrases"),
                count("suffixes"),
                count("prefixes"),
            ],
            rules: vec![Rule::at_most("maxRemovedWords", REMOVED_WORDS), Rule::at_least("minLines", LINES)],
            options,
            cut,
            counter,
            phrases,
            kept: KeptLines::new(CUTS),
            line: String::new(),
        })
    }

    /// Judges a line without white space at its ends.
    fn line(&mut self, line: &str, words: u64) -> Line {
        let options = &self.options;
        let cut_by = if options.max_uppercase.is_some_and(|limit| uppercase(line) > limit) {
            UPPERCASE
        } else if options.numbers && line.chars().all(char::is_numeric) {
            NUMBER
        } else if self.counter.as_ref().is_some_and(|counter| counter.is_match(line)) {
            COUNTER
        } else if options.min_words.is_some_and(|least| words < least) {
            FEW_WORDS
        } else if words > options.short_line {
            return Line::Kept;
        } else {
            return self.without_phrases(line);
        };
        self.kept.cut(cut_by, line);
        Line::Cut
    }

    /// Takes phrases out of a short line; what is left is in `self.line`.
    fn without_phrases(&mut self, line: &str) -> Line {
        let mut fate = Line::Kept;
        for (phrases, rule) in &self.phrases {
            let from = if fate == Line::Kept { line } else { &self.line };
            if !phrases.is_match(from) {
                continue;
            }
            phrases.find_iter(from).for_each(|phrase| self.kept.cut(*rule, phrase.as_str()));
            self.line = phrases.replace_all(from, "").into_owned();
            fate = Line::Edited;
        }
        if fate == Line::Edited && strip(&self.line).is_empty() { Line::Cut } else { fate }
    }
}

/// Share of a line's characters that are upper-case.
fn uppercase(line: &str) -> f64 {
    let count = if line.is_ascii() {
        line.bytes().filter(u8::is_ascii_uppercase).count()
    } else {
        line.chars().filter(|c| c.is_uppercase()).count()
    };
    share(count as u64, code_points(line) as u64)
}

/// A regular expression for any of the phrases; `None` when there are none.
fn any_of(phrases: &[String]) -> Option<String> {
    let escaped: Vec<String> = phrases.iter().map(|phrase| regex::escape(phrase)).collect();
    (!escaped.is_empty()).then(|| escaped.join("|"))
}

fn compiled(pattern: &str, option: &str) -> Result<Regex> {
    Regex::new(pattern)
        .map_err(|error| KernelError::Option { name: option.to_owned(), reason: error.to_string() })
}

impl Filter for LineFilter {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn needs(&self) -> Needs {
        Needs { words: Wanted::IfKnown, ..Needs::default() }
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, language, words: mut spans, .. } = document;
        self.kept.clear();
        let (mut words, mut left, mut lines, mut end) = (0, 0, 0, 0);
        let mut changed = false;
        for raw in text.split('\n') {
            end += raw.len();
            let count = match &mut spans {
                None => u64::from(count_words(raw, &self.cut, language).words),
                // No word reaches over a line feed.
                Some(spans) => {
                    let inside = spans.partition_point(|word| word.end as usize <= end);
                    *spans = &spans[inside..];
                    inside as u64
                }
            };
            end += 1;
            words += count;
            let line = strip(raw);
            let fate = if line.is_empty() { Line::Kept } else { self.line(line, count) };
            changed |= fate != Line::Kept;
            if fate == Line::Cut {
                continue;
            }
            if fate == Line::Edited {
                left += u64::from(count_words(&self.line, &self.cut, language).words);
                self.kept.keep(&self.line, '\n');
            } else {
                left += count;
                self.kept.keep(raw, '\n');
            }
            lines += u64::from(!line.is_empty());
        }
        self.kept.finish(|_| changed);
        judge.measure(REMOVED_WORDS, share(words - left.min(words), words))?;
        judge.measure(LINES, lines as f64)?;
        self.kept.measure(FIRST_CUT, judge)
    }

    fn edited(&self) -> Option<Edited<'_>> {
        self.kept.edited()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::segment::Split;

    fn filter() -> LineFilter {
        let list = |entries: &[&str]| entries.iter().map(|&entry| entry.to_owned()).collect();
        let options = Options {
            max_uppercase: Some(0.5),
            numbers: true,
            counters: list(&["likes", "c++"]),
            min_words: Some(2),
            phrases: list(&["items in cart"]),
            suffixes: list(&["read more..."]),
            prefixes: list(&["sign-in"]),
            short_line: 10,
        };
        LineFilter::new(options, Cut { split: Split::Unicode, language: None, fixed: None }).unwrap()
    }

    #[test]
    fn a_line_is_cut_by_the_first_rule_it_fails() {
        let mut filter = filter();
        let cuts = |line: &str, words| {
            filter.kept.clear();
            let fate = filter.line(line, words);
            (fate, filter.kept.cuts().iter().find(|cut| cut.count > 0).map_or("", |cut| cut.rule))
        };
        let mut cuts = cuts;
        assert_eq!(cuts("ALL Caps", 2), (Line::Kept, ""));
        assert_eq!(cuts("ALL CAPs", 2), (Line::Cut, "maxUppercase"));
        assert_eq!(cuts("ÄÖÜ ß", 2), (Line::Cut, "maxUppercase"));
        assert_eq!(cuts("2024", 1), (Line::Cut, "numbers"));
        assert_eq!(cuts("٢٠٢٤", 1), (Line::Cut, "numbers"));
        assert_eq!(cuts("» 1,2k Likes!", 2), (Line::Cut, "counters"));
        assert_eq!(cuts("3 c++", 2), (Line::Cut, "counters"));
        assert_eq!(cuts("3 likes it", 3), (Line::Kept, ""));
        assert_eq!(cuts("word", 1), (Line::Cut, "minWords"));
        assert_eq!(cuts("Items in cart", 3), (Line::Cut, "phrases"));
    }

    #[test]
    fn phrases_leave_short_lines_and_stay_in_long_ones() {
        let mut filter = filter();
        assert_eq!(filter.line("Sign-In now: 3 items in cart, go on. Read More...", 10), Line::Edited);
        assert_eq!(filter.line, "now: 3, go on.");
        assert_eq!(filter.kept.cuts()[PHRASE..].iter().map(|cut| cut.bytes).collect::<Vec<_>>(), [14, 13, 8]);
        assert_eq!(filter.line("Sign-in is what this line of more words speaks of.", 11), Line::Kept);
        assert_eq!(filter.line("then sign-in", 3), Line::Kept);
    }
}
