//! Words that no document should hold, by language: C4 (Raffel et al. 2020, JMLR 21(140), section 2.2) and mC4, as
//! datatrove 0.10.1 has it (`C4BadWordsFilter`). The lists are the user's.
//!
//! Case does not count. An entry stands between characters that are no letters, digits, marks or underscores; next
//! to a character of a script without spaces (Han, kana, Thai, Lao, Khmer, Burmese) nothing is asked for. The
//! published filter drops the question for the languages ja, th and zh, Latin words of their lists included.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::lists::{Entries, List, content_hash, of_lists};
use super::{Document, Filter, Judge, Measures, Rule};
use crate::error::{KernelError, Result};
use crate::shared::Shared;
use crate::text::characters::{ALPHANUMERIC, Break, Characters, Kind, decode, decode_last};

const MATCHES: usize = 0;

/// The lists of a filter.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The lists.
    pub lists: Vec<List>,
    /// Lists of each set, by their index.
    pub sets: Vec<Vec<usize>>,
    /// Hash of the lists, where they were read before.
    #[serde(default, deserialize_with = "content_hash")]
    pub content_hash: Option<u128>,
}

/// Counts listed words.
#[derive(Debug)]
pub struct BadWords {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    lists: Arc<Vec<AhoCorasick>>,
    sets: Vec<Vec<usize>>,
    content_hash: u128,
    /// The text at hand in lower case, where it is not ASCII.
    lowered: String,
}

static LISTS: Shared<Vec<AhoCorasick>> = Shared::new();

impl BadWords {
    /// Reads the lists.
    ///
    /// # Errors
    /// As [`of_lists`]; `Option` when a set names no list.
    pub fn new(options: Options) -> Result<Self> {
        let Options { lists, sets, content_hash } = options;
        if sets.iter().flatten().any(|&list| list >= lists.len()) {
            return Err(KernelError::Option { name: "sets".to_owned(), reason: "no such list".to_owned() });
        }
        let named: Vec<(&str, &List)> = lists.iter().map(|list| ("lists", list)).collect();
        let (lists, content_hash) =
            of_lists(&LISTS, &named, content_hash, |lists| lists.iter().map(automaton).collect())?;
        let measures = vec![("matches".to_owned(), Measures::Count)];
        let rules = vec![Rule::at_most("maxMatches", MATCHES)];
        Ok(Self { measures, rules, lists, sets, content_hash, lowered: String::new() })
    }
}

/// Finds the entries of a list in lower-case text, and in ASCII of any case.
fn automaton(entries: &Entries<'_>) -> Result<AhoCorasick> {
    let mut words = BTreeSet::new();
    entries.each(|entry| {
        words.insert(entry.to_lowercase());
        Ok(())
    })?;
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).map_err(KernelError::internal)
}

impl Filter for BadWords {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn content_hash(&self) -> Option<u128> {
        Some(self.content_hash)
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let Document { text, set, .. } = document;
        let searched = if text.is_ascii() {
            text
        } else {
            self.lowered = text.to_lowercase();
            &self.lowered
        };
        // Counting on would not change the verdict.
        let enough = judge.limit(0).filter(|_| judge.stops_early());
        let mut matches = 0_u64;
        for &list in &self.sets[set] {
            for found in self.lists[list].find_overlapping_iter(searched) {
                matches += u64::from(stands_alone(searched, found.start(), found.end()));
                if enough.is_some_and(|enough| matches as f64 > enough) {
                    break;
                }
            }
        }
        judge.measure(MATCHES, matches as f64)
    }
}

/// Whether the characters beside a stretch do not belong to it.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let (bytes, table) = (text.as_bytes(), Characters::table());
    let ends_before = |at: usize| table.of(decode_last(bytes, at).0);
    let starts_at = |at: usize| table.of(decode(bytes, at).0);
    let apart =
        |inside: Kind, outside: Kind| is_unspaced(inside) || is_unspaced(outside) || !in_word(outside);
    (start == 0 || apart(starts_at(start), ends_before(start)))
        && (end == bytes.len() || apart(ends_before(end), starts_at(end)))
}

/// Letters, digits, marks and underscores.
fn in_word(kind: Kind) -> bool {
    kind.is(ALPHANUMERIC) || kind.class_bit() & (Break::Extend.bit() | Break::Connector.bit()) != 0
}

/// Characters of scripts that write no spaces.
fn is_unspaced(kind: Kind) -> bool {
    let scripts = [Break::Alone, Break::Hiragana, Break::Katakana, Break::Complex];
    scripts.iter().any(|script| kind.class_bit() == script.bit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(words: &[&str], text: &str) -> i64 {
        let list = List::Entries(words.iter().map(|&word| word.to_owned()).collect());
        let options = Options { lists: vec![list], sets: vec![vec![], vec![0]], content_hash: None };
        let mut filter = BadWords::new(options).unwrap();
        let (rules, limits) = (filter.rules().to_vec(), super::super::limits::Limits::default());
        let count = |filter: &mut BadWords, set| {
            let mut values = [f64::NAN];
            let mut judge = Judge {
                rules: &rules,
                limits: &limits,
                stop_early: false,
                values: &mut values,
                failed: None,
            };
            let _ = filter.judge(Document { text, set, ..Document::default() }, &mut judge);
            values[0] as i64
        };
        assert_eq!(count(&mut filter, 0), 0);
        count(&mut filter, 1)
    }

    #[test]
    fn words_stand_alone_and_case_does_not_count() {
        let list = ["darn", "Straße", "two words", "d'oh"];
        for (text, expected) in [
            ("Darn, darn.", 2),
            ("darning undarn darn_ darn1 darné darn\u{301}", 0),
            ("éDARN STRASSE STRAßE", 1),
            ("two words two  words", 1),
            ("\"d'oh\"", 1),
            ("darn", 1),
            ("", 0),
        ] {
            assert_eq!(matches(&list, text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_without_spaces_need_none() {
        assert_eq!(matches(&["笨蛋", "fool"], "你这个笨蛋啊,fool!是fool吗"), 3);
        assert_eq!(matches(&["คนโง่"], "เขาเป็นคนโง่มาก"), 1);
        assert_eq!(matches(&["sm"], "smile 小sm女"), 1);
    }
}
