//! The words of a batch, found once for each version of its text and shared by the steps that look at words.

use std::sync::Arc;

use arrow_array::{Array, StringArray};

use super::ascii_words::AsciiWords;
use super::characters::{ALPHABETIC, Characters, LATIN};
use super::segment::{Found, Han, Split, Word, each_word, find_words};
use super::spans::{Span, Spans};
use crate::batch::Batch;
use crate::error::Result;
use crate::hash::fold;

/// How a text column is cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// What separates words.
    pub split: Split,
    /// Column of language codes, which decides how Han and kana are cut.
    pub language: Option<String>,
    /// The language of all rows is this one, whatever the column says.
    pub fixed: Option<String>,
}

impl Cut {
    /// How Han and kana of a text in a language are cut.
    fn han(&self, language: Option<&str>) -> Han {
        match self.fixed.as_deref().or(language) {
            None => Han::Guess,
            Some(code) if code == "ja" || code.starts_with("jpn") || code.starts_with("ja-") => {
                Han::Dictionary
            }
            Some(_) => Han::Characters,
        }
    }
}

/// Counts over the words of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WordCounts {
    /// All words.
    pub words: u32,
    /// Words that are not punctuation alone.
    pub plain: u32,
    /// Code points of those.
    pub plain_characters: u64,
    /// Words with a letter.
    pub alphabetic: u32,
    /// Words with a letter and none of the Latin script.
    pub not_latin: u32,
}

impl WordCounts {
    /// Counts a word.
    #[inline]
    pub fn add(&mut self, word: &Word) {
        let plain = !word.is_symbol();
        let alphabetic = word.any(ALPHABETIC);
        self.words += 1;
        self.plain += u32::from(plain);
        self.plain_characters += if plain { word.characters as u64 } else { 0 };
        self.alphabetic += u32::from(alphabetic);
        self.not_latin += u32::from(alphabetic && !word.any(LATIN));
    }

    /// Whether most words with a letter are not in the Latin script.
    #[must_use]
    pub fn mostly_not_latin(&self) -> bool {
        self.not_latin * 2 > self.alphabetic
    }
}

impl Found for WordCounts {
    #[inline]
    fn word(&mut self, word: Word) {
        self.add(&word);
    }

    #[inline]
    fn ascii(&mut self, words: &AsciiWords, _at: usize, _table: Characters) {
        let (words, alphabetic, bytes) = words.counts();
        self.words += words;
        self.plain += words;
        self.plain_characters += u64::from(bytes);
        self.alphabetic += alphabetic;
    }
}

/// The words of all rows of a text column that were selected when they were cut.
#[derive(Debug)]
pub struct Words {
    cut: Cut,
    spans: Spans,
    counts: Vec<WordCounts>,
}

impl Words {
    fn find(batch: &Batch, column: &str, cut: &Cut) -> Result<Self> {
        let text = batch.text(column)?;
        let languages = match &cut.language {
            Some(language) => Some(batch.text(language)?),
            None => None,
        };
        let mut counts = vec![WordCounts::default(); text.len()];
        // A word and the space after it take six bytes in English.
        let spans = Spans::find(batch, text, text.values().len() / 5, |row, text, spans| {
            let (bytes, counts) = (text.as_bytes(), &mut counts[row]);
            each_word(text, cut.split, cut.han(language_of(languages, row)), |word| {
                counts.add(&word);
                let hash = fold::hash_within(bytes, word.start, word.end);
                spans.push(Span { start: word.start as u32, end: word.end as u32, hash });
            });
        });
        Ok(Self { cut: cut.clone(), spans, counts })
    }

    /// Words of a row; none for a row that was removed before they were cut.
    pub fn of(&self, row: usize) -> &[Span] {
        self.spans.of(row)
    }

    /// Counts of a row.
    pub fn counts(&self, row: usize) -> WordCounts {
        self.counts[row]
    }
}

/// The language code of a row, lower-case as it is.
pub(crate) fn language_of(languages: Option<&StringArray>, row: usize) -> Option<&str> {
    languages
        .filter(|codes| codes.is_valid(row))
        .map(|codes| codes.value(row))
        .filter(|code| !code.is_empty())
}

/// Counts of one text without keeping its words.
#[must_use]
pub fn count_words(text: &str, cut: &Cut, language: Option<&str>) -> WordCounts {
    let mut counts = WordCounts::default();
    find_words(text, cut.split, cut.han(language), &mut counts);
    counts
}

/// The words of a batch's column: those found before, where the text has not changed since.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when a column is not utf8.
pub fn words_of(batch: &mut Batch, column: &str, cut: &Cut) -> Result<Arc<Words>> {
    if let Some(words) = known_words(batch, column, cut)? {
        return Ok(words);
    }
    let words = Arc::new(Words::find(batch, column, cut)?);
    batch.remember_words(Arc::clone(&words));
    Ok(words)
}

/// The words of a batch's column if they were found before.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when the column is not utf8.
pub fn known_words(batch: &Batch, column: &str, cut: &Cut) -> Result<Option<Arc<Words>>> {
    let text = batch.text(column)?;
    Ok(batch.known_words().filter(|words| words.cut == *cut && words.spans.are_of(text)).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;
    use arrow_array::ArrayRef;
    use arrow_buffer::BooleanBuffer;
    use arrow_schema::{DataType, Field};

    fn batch(texts: Vec<Option<&str>>) -> Batch {
        let ids = StringArray::new_null(texts.len());
        let positions = (0..texts.len() as u64).collect();
        let array: ArrayRef = Arc::new(StringArray::from(texts));
        let field = Field::new("text", DataType::Utf8, true);
        Batch::new(Identity::of_file("f", positions, ids), vec![(field, array)]).unwrap()
    }

    const CUT: Cut = Cut { split: Split::Unicode, language: None, fixed: None };

    #[test]
    fn words_are_found_once_for_each_version_of_the_text() {
        let mut batch = batch(vec![Some("a b"), None, Some("c")]);
        let first = words_of(&mut batch, "text", &CUT).unwrap();
        assert_eq!((first.of(0).len(), first.of(1).len(), first.of(2).len()), (2, 0, 1));
        batch.retain(&BooleanBuffer::from(vec![true, true, false])).unwrap();
        assert!(Arc::ptr_eq(&first, &words_of(&mut batch, "text", &CUT).unwrap()));
        let other = Cut { split: Split::Whitespace, ..CUT };
        assert!(!Arc::ptr_eq(&first, &words_of(&mut batch, "text", &other).unwrap()));
        let field = Field::new("text", DataType::Utf8, true);
        let changed: ArrayRef = Arc::new(StringArray::from(vec!["x", "y z", "c"]));
        batch.set_column(field, changed).unwrap();
        let second = words_of(&mut batch, "text", &CUT).unwrap();
        assert_eq!((second.of(0).len(), second.of(1).len(), second.of(2).len()), (1, 2, 0));
    }

    #[test]
    fn the_language_decides_about_kana() {
        let cut = |language| count_words("東京へ行きました", &CUT, language).words;
        assert_eq!((cut(Some("zh")), cut(Some("ja")), cut(None)), (8, 5, 5));
        assert_eq!(
            (count_words("東京大学", &CUT, None).words, count_words("東京大学", &CUT, Some("ja")).words),
            (4, 2)
        );
    }
}
