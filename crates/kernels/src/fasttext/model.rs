//! A model: read from a file, then asked for the label of texts.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::dictionary::{Dictionary, END_OF_LINE, NgramSettings, Piece, Token, hash_word};
use super::head::{Head, Loss};
use super::matrix::{Matrix, OutputRows};
use super::source::{Source, unusable};
use super::tokens::Tokens;
use super::words::{LONGEST, TOGETHER, Words};
use crate::error::{KernelError, Result};

/// What every model file starts with.
const MAGIC: i32 = 793_712_314;
/// The newest version of the format.
const VERSION: i32 = 12;
/// Rows that are collected before they are added: one after the other, they wait for memory side by side.
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
        let mut dictionary = Dictionary::read(&mut source, ngrams)?;
        let quantised = source.flag("whether the input is quantised")?;
        if dictionary.is_pruned() && !quantised {
            return Err(unusable("the file is damaged: it is pruned but not quantised"));
        }
        let mut input = Matrix::read_input(&mut source, quantised)?;
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
        if let Some((words, rows)) = dictionary.take_rows() {
            input.reorder(words, &rows);
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
        rows.clear();
        let mut features = Features { input: &self.input, rows, hidden, count: 0 };
        let joins = self.dictionary.word_ngrams() > 1;
        let (mut ended, mut empty) = (false, true);
        let mut each = |token: Token, hash: u32| {
            if joins && token != Token::Label {
                hashes.push(hash);
            }
            ended = token == Token::EndOfLine;
            !ended
        };
        let mut tokens = Tokens::of(text);
        let (mut short, mut count) = ([(0, 0); TOGETHER], 0);
        let mut goes_on = true;
        while goes_on {
            let token = tokens.next();
            empty &= token.is_none();
            let long = token.filter(|(start, end)| end - start > LONGEST);
            if let (Some(token), None) = (token, long) {
                short[count] = token;
                count += 1;
                if count < TOGETHER {
                    continue;
                }
            }
            words.look_up(&self.dictionary, (text, &short[..count]), features.rows, |token, hash| {
                goes_on = each(token, hash);
                goes_on
            });
            count = 0;
            features.add_some();
            if let Some((start, end)) = long.filter(|_| goes_on) {
                let word = &text[start..end];
                // It takes a while for what is longer than any known word, and nobody needs it then.
                let hashed = joins || word.len() <= self.dictionary.longest_word();
                let hash = if hashed { hash_word(word) } else { 0 };
                goes_on = each(self.dictionary.features(word, hash, piece, |rows| features.push(rows)), hash);
            }
            goes_on &= token.is_some();
        }
        if empty {
            return false;
        }
        if !ended {
            let hash = hash_word(END_OF_LINE);
            self.dictionary.features(END_OF_LINE, hash, piece, |rows| features.push(rows));
            hashes.push(hash);
        }
        if joins {
            self.add_word_ngrams(hashes, &mut features);
        }
        features.add_all();
        let share = (1.0 / features.count as f64) as f32;
        for value in features.hidden {
            *value *= share;
        }
        features.count > 0
    }

    /// Adds the rows of the n-grams of words.
    fn add_word_ngrams(&self, hashes: &[u32], features: &mut Features<'_>) {
        // fastText keeps hashes as signed 32-bit numbers and widens them.
        let wide = |hash: u32| i64::from(hash.cast_signed()).cast_unsigned();
        for (first, &hash) in hashes.iter().enumerate() {
            let mut hash = wide(hash);
            for &next in hashes[first + 1..].iter().take(self.dictionary.word_ngrams() - 1) {
                hash = hash.wrapping_mul(116_049_371).wrapping_add(wide(next));
                features.rows.extend(self.dictionary.word_ngram_row(hash));
            }
            features.add_some();
        }
    }
}

/// The rows of a text's features, on their way into their sum.
struct Features<'a> {
    input: &'a Matrix,
    rows: &'a mut Vec<u32>,
    hidden: &'a mut [f32],
    /// Those in the sum.
    count: usize,
}

impl Features<'_> {
    fn push(&mut self, rows: &[u32]) {
        self.rows.extend_from_slice(rows);
        self.add_some();
    }

    /// Adds what was collected when it is enough.
    #[inline]
    fn add_some(&mut self) {
        if self.rows.len() >= ROWS_AT_A_TIME {
            self.add_all();
        }
    }

    fn add_all(&mut self) {
        self.input.add_rows(self.rows, self.hidden);
        self.count += self.rows.len();
        self.rows.clear();
    }
}
