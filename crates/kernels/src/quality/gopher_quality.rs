//! The quality rules of Gopher: Rae et al. 2021, arXiv:2112.11446, appendix A1.1, in the order and to the letter
//! of datatrove 0.10.1 (`gopher_quality_filter.py`), where the paper leaves details open.

use std::ops::ControlFlow;

use memchr::memmem;
use rustc_hash::FxHashMap;

use super::{Document, Filter, Judge, Measures, Needs, Rule, Settings, Wanted, share};
use crate::hash::fold;
use crate::text::lines::{RowLines, python_lines, strip_end, strip_start};

const WORDS: usize = 0;
const MEAN_WORD_LENGTH: usize = 1;
const HASH_RATIO: usize = 2;
const ELLIPSIS_RATIO: usize = 3;
const BULLET_LINES: usize = 4;
const ELLIPSIS_LINES: usize = 5;
const ALPHABETIC_WORDS: usize = 6;
const STOP_WORDS: usize = 7;

/// Names of the measures, in the order they are taken.
const MEASURES: [(&str, Measures); 8] = [
    ("words", Measures::Count),
    ("mean_word_length", Measures::Number),
    ("hash_ratio", Measures::Number),
    ("ellipsis_ratio", Measures::Number),
    ("bullet_lines", Measures::Number),
    ("ellipsis_lines", Measures::Number),
    ("alphabetic_words", Measures::Number),
    ("stop_words", Measures::Count),
];

/// Measures what Gopher's quality rules look at.
#[derive(Debug)]
pub struct GopherQuality {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    /// Stop words of each set by their hash, numbered.
    stop_words: Vec<FxHashMap<u64, u32>>,
}

impl GopherQuality {
    /// The filter with the stop words of its settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let hashed =
            |words: &[String]| words.iter().map(|word| fold::hash(word.as_bytes())).zip(0..).collect();
        Self {
            measures: MEASURES.map(|(name, kind)| (name.to_owned(), kind)).into(),
            rules: vec![
                Rule::at_least("minWords", WORDS),
                Rule::at_most("maxWords", WORDS),
                Rule::at_least("minMeanWordLength", MEAN_WORD_LENGTH),
                Rule::at_most("maxMeanWordLength", MEAN_WORD_LENGTH),
                Rule::at_most("maxHashRatio", HASH_RATIO),
                Rule::at_most("maxEllipsisRatio", ELLIPSIS_RATIO),
                Rule::at_most("maxBulletLines", BULLET_LINES),
                Rule::at_most("maxEllipsisLines", ELLIPSIS_LINES),
                Rule::at_least("minAlphabeticWords", ALPHABETIC_WORDS),
                Rule::at_least("minStopWords", STOP_WORDS),
            ],
            stop_words: settings.sets.iter().map(|set| hashed(&set.stop_words)).collect(),
        }
    }
}

impl Filter for GopherQuality {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn needs(&self) -> Needs {
        Needs { words: Wanted::Always, lines: Wanted::IfKnown, script: true }
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, set, words, counts, lines, .. } = document;
        let (Some(words), Some(counts)) = (words, counts) else { return ControlFlow::Break(()) };
        let all = u64::from(counts.words);
        judge.measure(WORDS, f64::from(counts.plain))?;
        judge.measure(MEAN_WORD_LENGTH, share(counts.plain_characters, u64::from(counts.plain)))?;
        let hashes = memchr::memchr_iter(b'#', text.as_bytes()).count() as u64;
        judge.measure(HASH_RATIO, share(hashes, all))?;
        judge.measure(ELLIPSIS_RATIO, share(ellipses(text), all))?;
        let lines = Lines::of(text, lines);
        judge.measure(BULLET_LINES, share(lines.bullets, lines.all))?;
        judge.measure(ELLIPSIS_LINES, share(lines.ellipses, lines.all))?;
        judge.measure(ALPHABETIC_WORDS, share(u64::from(counts.alphabetic), all))?;
        let stop_words = &self.stop_words[set];
        let enough = if judge.stops_early() { judge.limit(self.rules.len() - 1) } else { None };
        judge.measure(STOP_WORDS, f64::from(distinct(words.iter().map(|word| word.hash), stop_words, enough)))
    }
}

/// How many of the stop words occur; counting ends once there are `enough`.
fn distinct(words: impl Iterator<Item = u64>, stop_words: &FxHashMap<u64, u32>, enough: Option<f64>) -> u32 {
    let mut met = vec![false; stop_words.len()];
    let mut count = 0;
    for word in words {
        if let Some(&number) = stop_words.get(&word)
            && !std::mem::replace(&mut met[number as usize], true)
        {
            count += 1;
            if enough.is_some_and(|enough| f64::from(count) >= enough) {
                break;
            }
        }
    }
    count
}

/// `text.count("...") + text.count("…")` of Python: occurrences that do not overlap.
fn ellipses(text: &str) -> u64 {
    let count = |needle: &[u8]| memmem::find_iter(text.as_bytes(), needle).count() as u64;
    count(b"...") + count("…".as_bytes())
}

/// Counts over `str.splitlines`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    all: u64,
    /// Lines that begin with a bullet or a hyphen.
    bullets: u64,
    /// Lines that end with an ellipsis.
    ellipses: u64,
}

impl Lines {
    fn of(text: &str, known: Option<RowLines<'_>>) -> Self {
        let mut lines = Self::default();
        python_lines(text, known, |line| {
            let (start, end) = (strip_start(line), strip_end(line));
            lines.all += 1;
            lines.bullets += u64::from(start.starts_with(['•', '-']));
            lines.ellipses += u64::from(end.ends_with("...") || end.ends_with('…'));
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_published() {
        let lines = Lines::of("• a\n  - b ...\r\nc…  \n\nd", None);
        assert_eq!(lines, Lines { all: 5, bullets: 2, ellipses: 2 });
        assert_eq!(ellipses("a....... b… c.."), 3);
    }

    #[test]
    fn a_stop_word_counts_once() {
        let stop = [(1_u64, 0_u32), (2, 1), (3, 2)].into_iter().collect();
        assert_eq!(distinct([1, 1, 9, 2].into_iter(), &stop, None), 2);
        assert_eq!(distinct([1, 1, 9, 2].into_iter(), &stop, Some(1.0)), 1);
    }
}
