//! A model: read from a file, then asked for the label of texts.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::dictionary::{Dictionary, END_OF_LINE, NgramSettings, Piece, Token, hash_word};
use super::head::{Head, Loss};
use super::matrix::{Matrix, OutputRows};
use super::source::{Source, unusable};
use super::words::{LONGEST, Words};
use crate::error::{KernelError, Result};

/// What every model file starts with.
const MAGIC: i32 = 793_712_314;
/// The newest version of the format.
const VERSION: i32 = 12;
/// Rows of word n-grams that are collected before they are added.
const ROWS_AT_A_TIME: usize = 1 << 12;

/// A supervised fastText model.
pub struct Model {
    dictionary: Dictionary,
    input: Matrix,
    head: Head,
    content_hash: u128,
}

/// The best label of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Its place in [`Model::labels`].
    pub label: usize,
    /// Its score as fastText prints it: the probability plus 10⁻⁵, so at most 1.00001.
    pub score: f32,
}

/// What one thread keeps from text to text; holds for one model.
#[derive(Default)]
pub struct Scratch {
    words: Words,
    piece: Piece,
    hashes: Vec<u32>,
    rows: Vec<u32>,
    hidden: Vec<f32>,
    scores: Vec<f32>,
}

struct Settings {
    dimension: usize,
    loss: Loss,
    ngrams: NgramSettings,
}

impl Settings {
    fn read<R: Read>(source: &mut Source<R>) -> Result<Self> {
        if source.i32("the header")? != MAGIC {
            return Err(unusable("this is not a fastText model file"));
        }
        let version = source.i32("the header")?;
        if !(1..=VERSION).contains(&version) {
            return Err(unusable(format!("the model has version {version}, known are 1 to {VERSION}")));
        }
        let dimension = source.count("the dimension")?;
        for _ in 0..4 {
            source.i32("the settings")?; // window, epochs, least count, negative samples
        }
        let words = source.count("the length of word n-grams")?;
        let loss = source.i32("the loss")?;
        let kind = source.i32("the kind of model")?;
        let buckets = source.count("the number of buckets")? as u32;
        let shortest = source.count("the length of n-grams")?;
        let longest = source.count("the length of n-grams")?;
        source.i32("the settings")?; // how often the learning rate is updated
        source.i64("the settings")?; // the sampling threshold, a double
        match kind {
            3 => {}
            1 | 2 => {
                return Err(unusable("this is a model of word vectors (cbow or skipgram), not a classifier"));
            }
            _ => return Err(unusable(format!("the model is of kind {kind}, which is not known"))),
        }
        let loss = match loss {
            1 => Loss::HierarchicalSoftmax,
            2 => Loss::NegativeSampling,
            3 => Loss::Softmax,
            4 => Loss::OneAgainstAll,
            _ => return Err(unusable(format!("the model has loss {loss}, which is not known"))),
        };
        // Version 11 did not use character n-grams in classifiers.
        let longest = if version == 11 { 0 } else { longest };
        if buckets == 0 && (longest > 0 || words > 1) {
            return Err(unusable("the file is damaged: n-grams without buckets"));
        }
        Ok(Self { dimension, loss, ngrams: NgramSettings { words, shortest, longest, buckets } })
    }
}

impl Model {
    /// Reads a model of `bytes` bytes.
    ///
    /// # Errors
    /// `Model` when it is damaged, truncated, or no supervised model.
    pub fn read(reader: impl Read, bytes: u64) -> Result<Self> {
        let mut source = Source::new(reader, bytes);
        let Settings { dimension, loss, ngrams } = Settings::read(&mut source)?;
        let dictionary = Dictionary::read(&mut source, ngrams)?;
        let quantised = source.flag("whether the input is quantised")?;
        if dictionary.is_pruned() && !quantised {
            return Err(unusable("the file is damaged: it is pruned but not quantised"));
        }
        let input = Matrix::read_input(&mut source, quantised)?;
        let quantised_output = source.flag("whether the output is quantised")?;
        let output = OutputRows::read(&mut source, quantised && quantised_output)?;
        if (input.columns(), output.columns) != (dimension, dimension) || input.rows() < dictionary.rows() {
            return Err(unusable(format!(
                "the file is damaged: matrices of {} × {} and … × {} for {} rows of dimension {dimension}",
                input.rows(),
                input.columns(),
                output.columns,
                dictionary.rows()
            )));
        }
        let head = Head::new(loss, output, dictionary.label_counts())?;
        Ok(Self { dictionary, input, head, content_hash: source.finish()? })
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Model::read`], naming the file; `Io` when it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(KernelError::io("open", path))?;
        let bytes = file.metadata().map_err(KernelError::io("read", path))?.len();
        Self::read(BufReader::with_capacity(1 << 20, file), bytes).map_err(|error| match error {
            KernelError::Model { reason } => unusable(format!("{}: {reason}", path.display())),
            other => other,
        })
    }

    /// The labels without `__label__`, as the file orders them.
    pub fn labels(&self) -> &[String] {
        self.dictionary.labels()
    }

    /// XXH3-128 of the file.
    pub fn content_hash(&self) -> u128 {
        self.content_hash
    }

    /// The best label of a text; none when it has no words. Line ends count as spaces, and as in fastText
    /// the word `</s>` ends the text.
    pub fn top(&self, text: &str, scratch: &mut Scratch) -> Option<Answer> {
        self.embed(text.as_bytes(), scratch).then(|| {
            let (label, score) = self.head.top(&scratch.hidden, &mut scratch.scores);
            Answer { label, score }
        })
    }

    /// The best label of a text and the score of another; none when it has no words.
    pub fn top_and(&self, text: &str, label: usize, scratch: &mut Scratch) -> Option<(Answer, f32)> {
        let answer = self.top(text, scratch)?;
        Some((answer, self.head.score(label, &scratch.hidden, &scratch.scores)))
    }

    /// Puts the mean of the rows of all features into `scratch.hidden`; false when there are none.
    fn embed(&self, text: &[u8], scratch: &mut Scratch) -> bool {
        let Scratch { words, piece, hashes, rows, hidden, .. } = scratch;
        hidden.clear();
        hidden.resize(self.input.columns(), 0.0);
        hashes.clear();
        let joins = self.dictionary.word_ngrams() > 1;
        let (mut features, mut place, mut ended, mut empty) = (0_usize, 0, false, true);
        while !ended {
            while text.get(place).is_some_and(|&byte| is_space(byte)) {
                place += 1;
            }
            let start = place;
            while text.get(place).is_some_and(|&byte| !is_space(byte)) {
                place += 1;
            }
            if start == place {
                break;
            }
            empty = false;
            let (token, hash) = if place - start <= LONGEST {
                let seen = words.look_up(&self.dictionary, text, start, place);
                self.input.add_rows(seen.rows, hidden);
                features += seen.rows.len();
                (seen.token, seen.hash)
            } else {
                let hash = hash_word(&text[start..place]);
                let token = self.dictionary.features_in_pieces(&text[start..place], hash, piece, |rows| {
                    self.input.add_rows(rows, hidden);
                    features += rows.len();
                });
                (token, hash)
            };
            if joins && token != Token::Label {
                hashes.push(hash);
            }
            ended = token == Token::EndOfLine;
        }
        if empty {
            return false;
        }
        if !ended {
            rows.clear();
            let hash = hash_word(END_OF_LINE);
            self.dictionary.features(END_OF_LINE, hash, rows);
            self.input.add_rows(rows, hidden);
            features += rows.len();
            hashes.push(hash);
        }
        if joins {
            features += self.add_word_ngrams(hashes, rows, hidden);
        }
        let share = (1.0 / features as f64) as f32;
        for value in hidden {
            *value *= share;
        }
        features > 0
    }

    /// Adds the rows of the n-grams of words to `hidden`, a piece at a time; returns how many.
    fn add_word_ngrams(&self, hashes: &[u32], rows: &mut Vec<u32>, hidden: &mut [f32]) -> usize {
        // fastText keeps hashes as signed 32-bit numbers and widens them.
        let wide = |hash: u32| i64::from(hash.cast_signed()).cast_unsigned();
        let mut features = 0;
        rows.clear();
        for (first, &hash) in hashes.iter().enumerate() {
            let mut hash = wide(hash);
            for &next in hashes[first + 1..].iter().take(self.dictionary.word_ngrams() - 1) {
                hash = hash.wrapping_mul(116_049_371).wrapping_add(wide(next));
                rows.extend(self.dictionary.word_ngram_row(hash));
            }
            if rows.len() >= ROWS_AT_A_TIME || first + 1 == hashes.len() {
                self.input.add_rows(rows, hidden);
                features += rows.len();
                rows.clear();
            }
        }
        features
    }
}

/// Where fastText ends a word; the line feed, which ends its text, is a space here.
#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0)
}
