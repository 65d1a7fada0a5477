//! The rules of C4: Raffel et al. 2020, JMLR 21(140), section 2.2, with those of its published code, in the order and
//! to the letter of datatrove 0.10.1 (`c4_filters.py`).
//!
//! Lines are cut by the first rule that fails; what is left is the new text. Two findings and too few sentences
//! remove the document. Letters are compared regardless of case in ASCII.

use std::ops::ControlFlow;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memrchr};
use serde::Deserialize;

use super::kept_lines::KeptLines;
use super::{Cuts, Document, Edited, Filter, Judge, Measures, Needs, Rule, Wanted};
use crate::error::{KernelError, Result};
use crate::text::characters::{Characters, SPACE};
use crate::text::citations::remove_citations;
use crate::text::count::code_points;
use crate::text::lines::{python_lines, strip};
use crate::text::sentences::{Sentences, each_sentence};
use crate::text::windows::any_window;

const LOREM_IPSUM: usize = 0;
const CURLY_BRACKETS: usize = 1;
const SENTENCES: usize = 2;
/// Measures of cut lines follow those of the document.
const FIRST_CUT: usize = 3;

/// What is searched for in a line, regardless of case: first the placeholder text, then the language, then policies.
const PHRASES: [&str; 8] = [
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];

/// Which rules are on.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that is on or off by itself")]
pub struct Options {
    /// Judge sentences instead of lines, joined by a space.
    pub sentences: bool,
    /// Take away `[1]`, `[edit]` and `[citation needed]`.
    pub remove_citations: bool,
    /// Cut lines that do not end with `.`, `?`, `!`, `"` or `'`, or end with `...`.
    pub terminal_punctuation: bool,
    /// Cut lines with fewer words.
    pub min_words_per_line: Option<usize>,
    /// Cut lines with a word of more code points.
    pub max_word_length: Option<usize>,
    /// Remove texts with `lorem ipsum`.
    pub lorem_ipsum: bool,
    /// Cut lines with `javascript`.
    pub javascript: bool,
    /// Remove texts with a curly bracket.
    pub curly_bracket: bool,
    /// Cut lines that speak of terms, privacy or cookies.
    pub policy: bool,
}

/// Rules that cut, in the order they are asked.
const CUTS: [Cuts; 6] = [
    Cuts::of("maxWordLength"),
    Cuts::of("removeCitations"),
    Cuts::of("terminalPunctuation"),
    Cuts::of("minWordsPerLine"),
    Cuts::of("javascript"),
    Cuts::of("policy"),
];
const LONG_WORD: usize = 0;
const CITATION: usize = 1;
const UNPUNCTUATED: usize = 2;
const FEW_WORDS: usize = 3;
const JAVASCRIPT: usize = 4;
const POLICY: usize = 5;

/// Cuts lines and measures what is left.
#[derive(Debug)]
pub struct C4Quality {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    options: Options,
    phrases: AhoCorasick,
    sentences: Sentences,
    kept: KeptLines<6>,
    /// The line at hand without citations.
    line: String,
}

/// What became of one line.
enum Line {
    Cut,
    LoremIpsum,
    CurlyBracket,
    Kept,
}

impl C4Quality {
    /// The filter with its rules on or off.
    ///
    /// # Errors
    /// `Internal` when the phrases cannot be compiled.
    pub fn new(options: Options) -> Result<Self> {
        let count = |name: &str| (name.to_owned(), Measures::Count);
        let phrases = AhoCorasick::builder().ascii_case_insensitive(true).build(PHRASES);
        Ok(Self {
            measures: vec![
                count("lorem_ipsum"),
                count("curly_brackets"),
                count("sentences"),
                count("long_word_lines"),
                count("citations"),
                count("unpunctuated_lines"),
                count("short_lines"),
                count("javascript_lines"),
                count("policy_lines"),
            ],
            rules: vec![
                Rule::at_most("loremIpsum", LOREM_IPSUM),
                Rule::at_most("curlyBracket", CURLY_BRACKETS),
                Rule::at_least("minSentences", SENTENCES),
            ],
            options,
            phrases: phrases.map_err(KernelError::internal)?,
            sentences: Sentences::default(),
            kept: KeptLines::new(CUTS),
            line: String::new(),
        })
    }

    /// Judges a line; what stays is handed to `keep` too.
    fn line(&mut self, raw: &str, searched: Searched, keep: impl FnOnce(&str)) -> Line {
        let options = &self.options;
        let line = strip(raw);
        if options.max_word_length.is_some_and(|limit| has_longer_word(line, limit)) {
            self.kept.cut(LONG_WORD, raw);
            return Line::Cut;
        }
        let few = options.min_words_per_line.is_some_and(|least| !has_words(line, least));
        let mut text = line;
        if options.remove_citations && searched.bracket {
            self.line.clear();
            let kept = &mut self.kept;
            if remove_citations(line, &mut self.line, |citation| kept.cut(CITATION, citation)) {
                text = &self.line;
            }
        }
        if options.terminal_punctuation
            && (!text.ends_with(['.', '?', '!', '"', '\'']) || text.ends_with("..."))
        {
            self.kept.cut(UNPUNCTUATED, raw);
            return Line::Cut;
        }
        if few {
            self.kept.cut(FEW_WORDS, raw);
            return Line::Cut;
        }
        let found = if searched.phrase { Found::of(text, &self.phrases) } else { Found::default() };
        if options.lorem_ipsum && found.lorem_ipsum {
            return Line::LoremIpsum;
        }
        if options.javascript && found.javascript {
            self.kept.cut(JAVASCRIPT, raw);
            return Line::Cut;
        }
        if options.curly_bracket && searched.curly && memchr(b'{', text.as_bytes()).is_some() {
            return Line::CurlyBracket;
        }
        if options.policy && found.policy {
            self.kept.cut(POLICY, raw);
            return Line::Cut;
        }
        self.kept.keep(text, if options.sentences { ' ' } else { '\n' });
        keep(text);
        Line::Kept
    }
}

/// What the whole text holds at all, so that its lines need not be searched.
#[derive(Clone, Copy)]
struct Searched {
    phrase: bool,
    bracket: bool,
    curly: bool,
}

/// What was found in a line.
#[derive(Default)]
struct Found {
    lorem_ipsum: bool,
    javascript: bool,
    policy: bool,
}

/// Whether a text may hold one of the phrases, by a few of their letters that are rare side by side. What the search
/// for the phrases themselves costs, most texts are spared.
fn may_hold_phrase(text: &str) -> bool {
    any_window(text.as_bytes(), |[a, b, c, d]| {
        // One by one: `map` over the array keeps the compiler from making vectors.
        let (a, b, c, d) = (a | 0x20, b | 0x20, c | 0x20, d | 0x20);
        (a == b'j' && c == b'v') // javascript
            || (a == b'k' && b == b'i' && c == b'e') // cookie
            || (a == b'i' && b == b'c' && c == b'y') // policy
            || (a == b'p' && b == b's' && c == b'u') // ipsum
            || (a == b'e' && b == b'r' && c == b'm' && d == b's') // terms
    })
}

impl Found {
    fn of(line: &str, phrases: &AhoCorasick) -> Self {
        let mut found = Self::default();
        // Overlapping, so that one phrase hides no other.
        for matched in phrases.find_overlapping_iter(line) {
            match matched.pattern().as_usize() {
                0 => found.lorem_ipsum = true,
                1 => found.javascript = true,
                _ => found.policy = true,
            }
        }
        found
    }
}

/// A limit as a number to count up to.
#[expect(clippy::cast_sign_loss, reason = "a negative limit becomes 0, which is met at once")]
fn at_least_as_much(limit: f64) -> usize {
    limit.ceil() as usize
}

/// Calls `word` for each stretch without white space until it says no.
fn words_until(line: &str, mut word: impl FnMut(&str) -> bool) {
    let table = Characters::table();
    for stretch in line.split(|c: char| table.of(c as u32).is(SPACE)).filter(|stretch| !stretch.is_empty()) {
        if !word(stretch) {
            return;
        }
    }
}

fn has_longer_word(line: &str, limit: usize) -> bool {
    let mut longer = false;
    if has_longer_stretch(line, limit) {
        words_until(line, |word| {
            longer = word.len() > limit && code_points(word) > limit;
            !longer
        });
    }
    longer
}

/// Whether more than so many bytes lie between two spaces. From space to space at most `limit` bytes on, so that few of
/// a long line's bytes are looked at.
fn has_longer_stretch(line: &str, limit: usize) -> bool {
    let (bytes, mut at) = (line.as_bytes(), 0);
    while bytes.len() - at > limit {
        let Some(space) = memrchr(b' ', &bytes[at..=at + limit]) else { return true };
        at += space + 1;
    }
    false
}

fn has_words(line: &str, least: usize) -> bool {
    let mut left = least;
    if left > 0 {
        words_until(line, |_| {
            left -= 1;
            left > 0
        });
    }
    left == 0
}

impl Filter for C4Quality {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn needs(&self) -> Needs {
        Needs { lines: Wanted::IfKnown, ..Needs::default() }
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, lines, .. } = document;
        self.kept.clear();
        let searched = Searched {
            phrase: may_hold_phrase(text) && self.phrases.is_match(text),
            bracket: memchr(b'[', text.as_bytes()).is_some(),
            curly: memchr(b'{', text.as_bytes()).is_some(),
        };
        let enough = match judge.limit(2) {
            // Counting on would not change the verdict.
            Some(limit) if judge.stops_early() => at_least_as_much(limit),
            None if judge.stops_early() => 0,
            _ => usize::MAX,
        };
        let (mut lorem_ipsum, mut curly_brackets, mut sentences) = (0_u64, 0_u64, 0_usize);
        let (stop, by_sentence) = (judge.stops_early(), self.options.sentences);
        let mut counter = std::mem::take(&mut self.sentences);
        let mut each = |line: &str| {
            if stop && lorem_ipsum + curly_brackets > 0 {
                return;
            }
            let count = |kept: &str| {
                if by_sentence {
                    sentences += 1;
                } else if sentences < enough {
                    sentences += counter.count(kept, enough - sentences);
                }
            };
            match self.line(line, searched, count) {
                Line::LoremIpsum => lorem_ipsum += 1,
                Line::CurlyBracket => curly_brackets += 1,
                Line::Cut | Line::Kept => {}
            }
        };
        if by_sentence {
            each_sentence(text, &mut each);
        } else {
            python_lines(text, lines, &mut each);
        }
        self.sentences = counter;
        self.kept.finish(|kept| kept != text);
        judge.measure(LOREM_IPSUM, lorem_ipsum as f64)?;
        judge.measure(CURLY_BRACKETS, curly_brackets as f64)?;
        judge.measure(SENTENCES, sentences as f64)?;
        self.kept.measure(FIRST_CUT, judge)
    }

    fn edited(&self) -> Option<Edited<'_>> {
        self.kept.edited()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Options = Options {
        sentences: false,
        remove_citations: true,
        terminal_punctuation: true,
        min_words_per_line: Some(3),
        max_word_length: Some(10),
        lorem_ipsum: true,
        javascript: true,
        curly_bracket: true,
        policy: true,
    };

    fn cut(options: Options, text: &str) -> (String, Vec<(&'static str, u64)>) {
        let mut filter = C4Quality::new(options).unwrap();
        let all = Searched { phrase: true, bracket: true, curly: true };
        python_lines(text, None, |line| {
            filter.line(line, all, |_| ());
        });
        let cuts = filter.kept.cuts().iter().filter(|cut| cut.count > 0);
        (filter.kept.text().to_owned(), cuts.map(|cut| (cut.rule, cut.count)).collect())
    }

    #[test]
    fn a_line_is_cut_by_the_first_rule_it_fails() {
        let text = " A good[1] line[edit] here. \nno end\nToo short.\nAll JavaScript is off.\n\
            Our Privacy Policy is long.\nabcdefghijk is long.\nAnd so on ...";
        let (kept, cuts) = cut(ALL, text);
        assert_eq!(kept, "A good line here.");
        assert_eq!(
            cuts,
            [
                ("maxWordLength", 1),
                ("removeCitations", 2),
                ("terminalPunctuation", 2),
                ("minWordsPerLine", 1),
                ("javascript", 1),
                ("policy", 1)
            ]
        );
    }

    #[test]
    fn the_first_look_misses_no_phrase() {
        for phrase in PHRASES {
            assert!(may_hold_phrase(phrase) && may_hold_phrase(&phrase.to_uppercase()), "{phrase}");
        }
        assert!(!may_hold_phrase("It was the best of times, it was the worst of times."));
    }

    #[test]
    fn long_words_are_found_wherever_they_stand() {
        for (line, expected) in [
            ("abc defghi jk", true),
            ("abcdef", true),
            ("a b c d abcdef", true),
            ("ab cde f ghijk", false),
            ("ééééé é", false),
            ("éééééé", true),
            ("abc\tdefg", false),
            ("", false),
        ] {
            assert_eq!(has_longer_word(line, 5), expected, "{line}");
        }
    }

    #[test]
    fn rules_that_are_off_cut_nothing() {
        let off = Options {
            sentences: false,
            remove_citations: false,
            terminal_punctuation: false,
            min_words_per_line: None,
            max_word_length: None,
            lorem_ipsum: false,
            javascript: false,
            curly_bracket: false,
            policy: false,
        };
        assert_eq!(cut(off, "a [1]\njavascript {\n").0, "a [1]\njavascript {");
    }
}
