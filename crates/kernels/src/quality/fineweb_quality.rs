//! The rules that `FineWeb` added to those of Gopher and C4: Penedo et al. 2024, arXiv:2406.17557, section 3.6 and
//! appendix, in the order and to the letter of datatrove 0.10.1 (`fineweb_quality_filter.py`).

use std::ops::ControlFlow;

use serde::Deserialize;

use super::{Document, Filter, Judge, Measures, Needs, Rule, Wanted, share};
use crate::hash::counter::Counter;
use crate::text::characters::{Characters, TERMINAL, decode_last};
use crate::text::count::code_points;
use crate::text::lines::{RowLines, is_blank};
use crate::text::words::{Cut, count_words};

const LINES: usize = 0;
const TERMINAL_LINES: usize = 1;
const SHORT_LINES: usize = 2;
const DUPLICATE_LINE_CHARACTERS: usize = 3;
const LINE_FEEDS: usize = 4;

/// What `FineWeb`'s rules are told besides limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// A line of at most so many code points is short.
    pub short_line_length: usize,
    /// Characters that end a sentence; those of all scripts when left out.
    pub terminal_punctuation: Option<String>,
    /// Let a text stay of which no line ends with punctuation.
    pub allow_none_terminal: bool,
}

/// Measures what `FineWeb`'s rules look at.
#[derive(Debug)]
pub struct FinewebQuality {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    options: Options,
    cut: Cut,
    seen: Counter,
}

impl FinewebQuality {
    /// The filter; `cut` is how words are cut where no step before did it.
    #[must_use]
    pub fn new(options: Options, cut: Cut) -> Self {
        let number = |name: &str| (name.to_owned(), Measures::Number);
        Self {
            measures: vec![
                ("lines".to_owned(), Measures::Count),
                number("terminal_lines"),
                number("short_lines"),
                number("duplicate_line_characters"),
                number("line_feeds"),
            ],
            rules: vec![
                Rule::at_least("minLines", LINES),
                Rule::at_least("minTerminalLines", TERMINAL_LINES),
                Rule::at_most("maxShortLines", SHORT_LINES),
                Rule::at_most("maxDuplicateLineCharacters", DUPLICATE_LINE_CHARACTERS),
                Rule::at_most("maxLineFeeds", LINE_FEEDS),
            ],
            options,
            cut,
            seen: Counter::default(),
        }
    }

    fn ends_sentence(&self, line: &str) -> bool {
        if line.is_empty() {
            return false;
        }
        let (last, _) = decode_last(line.as_bytes(), line.len());
        match &self.options.terminal_punctuation {
            None => Characters::table().of(last).is(TERMINAL),
            Some(marks) => marks.chars().any(|mark| mark as u32 == last),
        }
    }
}

impl Filter for FinewebQuality {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn needs(&self) -> Needs {
        Needs { words: Wanted::IfKnown, lines: Wanted::Always, script: true }
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, language, counts, lines, .. } = document;
        let spans = lines.map_or(&[][..], RowLines::spans);
        let (mut lines, mut terminal, mut short, mut duplicate) = (0_u64, 0_u64, 0_u64, 0_u64);
        self.seen.reset(text.len() / 64);
        for span in spans {
            let line = span.of(text);
            if is_blank(line) {
                continue;
            }
            lines += 1;
            terminal += u64::from(self.ends_sentence(line));
            let limit = self.options.short_line_length;
            short +=
                u64::from(line.len() <= limit || (line.len() <= limit * 4 && code_points(line) <= limit));
            if self.seen.seen(span.hash) {
                duplicate += code_points(line) as u64;
            }
        }
        judge.measure(LINES, lines as f64)?;
        if lines == 0 {
            return ControlFlow::Break(());
        }
        let ending = share(terminal, lines);
        if terminal > 0 || !self.options.allow_none_terminal {
            judge.measure(TERMINAL_LINES, ending)?;
        }
        judge.measure(SHORT_LINES, share(short, lines))?;
        let feeds = spans.len() as u64 - 1;
        let characters = code_points(text) as u64 - feeds;
        judge.measure(DUPLICATE_LINE_CHARACTERS, share(duplicate, characters))?;
        let words = counts.unwrap_or_else(|| count_words(text, &self.cut, language)).words;
        judge.measure(LINE_FEEDS, share(feeds, u64::from(words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::segment::Split;

    #[test]
    fn a_line_ends_a_sentence_with_a_mark_of_any_script_or_the_stated_ones() {
        let cut = Cut { split: Split::Unicode, language: None, fixed: None };
        let filter = |marks: Option<&str>| {
            let terminal_punctuation = marks.map(str::to_owned);
            let options = Options { short_line_length: 30, terminal_punctuation, allow_none_terminal: false };
            FinewebQuality::new(options, cut.clone())
        };
        let ends = |marks, line| filter(marks).ends_sentence(line);
        assert!(ends(None, "a.") && ends(None, "好。") && !ends(None, "a. ") && !ends(None, "a\""));
        assert!(ends(Some("\""), "a\"") && !ends(Some("\""), "a."));
    }
}
