//! Tokenising a batch: the column `text` becomes the column `tokens`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, ListArray, UInt32Array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use tokenizers::pipeline::PipelineToken;

use super::tokenizer::{EncodeRules, Tokenizer};
use crate::batch::{Batch, TEXT};
use crate::error::{KernelError, Result};

/// Name of the column that holds the ids.
pub const TOKENS: &str = "tokens";

/// Bytes of text to one token, for the first allocation: English has 4.4 in cl100k, code fewer.
const BYTES_A_TOKEN: usize = 4;

/// What [`Tokenizer::apply`] does with each row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// How texts become ids.
    pub rules: EncodeRules,
    /// Ids put before each text.
    pub prepend: Vec<u32>,
    /// Ids put after each text.
    pub append: Vec<u32>,
    /// Keeps the column `text` beside `tokens`.
    pub keep_text: bool,
    /// Remembers ids and gives them to equal texts that come later; the result is the same.
    pub reuse: bool,
}

/// What [`Tokenizer::apply`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Tokens made.
    pub tokens: u64,
    /// Rows whose tokens were remembered; it depends on what other threads did before.
    pub reused: u64,
}

/// The field of the column that [`Tokenizer::apply`] makes: a list of u32, never null.
#[must_use]
pub fn tokens_field() -> Field {
    Field::new(TOKENS, DataType::List(Arc::new(item_field())), false)
}

fn item_field() -> Field {
    Field::new("item", DataType::UInt32, false)
}

impl Tokenizer {
    /// Replaces the column `text` by `tokens`. A null text counts as empty; rows that are not
    /// selected get an empty list.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when there is no utf8 column `text`; `Tokenizer`, naming the
    /// row, when the crate refuses a text or panics on it, or when a batch has 2³¹ tokens.
    pub fn apply(&self, batch: &mut Batch, options: &ApplyOptions) -> Result<Applied> {
        let text = batch.text(TEXT)?;
        let around = options.prepend.len() + options.append.len() + self.prefix.len() + self.suffix.len();
        let bytes = text.value_data().len();
        let mut tokens: Vec<PipelineToken> =
            Vec::with_capacity(bytes / BYTES_A_TOKEN + batch.rows() * around + 64);
        let mut offsets: Vec<i32> = Vec::with_capacity(batch.rows() + 1);
        offsets.push(0);
        let row_at_work = Cell::new(0);
        let (mut repeats, mut reused) = (self.repeats(), 0);
        let run = || -> Result<()> {
            for row in 0..text.len() {
                row_at_work.set(row);
                if batch.is_kept(row) {
                    tokens.extend(options.prepend.iter().copied().map(PipelineToken::from));
                    let value = if text.is_valid(row) { text.value(row) } else { "" };
                    if options.reuse {
                        let known = self.encode_once(value, options.rules, &mut repeats, &mut tokens)?;
                        reused += u64::from(known);
                    } else {
                        self.encode_into(value, options.rules, &mut tokens)?;
                    }
                    tokens.extend(options.append.iter().copied().map(PipelineToken::from));
                }
                offsets.push(i32::try_from(tokens.len()).map_err(|_| KernelError::Tokenizer {
                    reason: "the batch has more than 2^31 tokens".to_owned(),
                })?);
            }
            Ok(())
        };
        // One guard a batch: the crate is a release candidate, and a text that trips it must be named.
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|panic| Err(KernelError::Tokenizer { reason: panic_text(panic.as_ref()) }))
            .map_err(|error| name_row(error, batch, row_at_work.get()))?;
        let applied = Applied { tokens: tokens.len() as u64, reused };
        if tokens.capacity() > tokens.len() + tokens.len() / 4 {
            tokens.shrink_to_fit();
        }
        // Collects in place: a token is its id, so this allocates and copies nothing.
        let ids: Vec<u32> = tokens.into_iter().map(u32::from).collect();
        let list = ListArray::try_new(
            Arc::new(item_field()),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Arc::new(UInt32Array::from(ids)),
            None,
        )?;
        replace_text(batch, list, options.keep_text)?;
        Ok(applied)
    }
}

/// Puts `tokens` where `text` was, or last when that stays.
fn replace_text(batch: &mut Batch, tokens: ListArray, keep_text: bool) -> Result<()> {
    batch.set_column(tokens_field(), Arc::new(tokens))?;
    if keep_text {
        return Ok(());
    }
    let schema = batch.schema();
    let columns: Vec<(String, String)> = schema.fields()[crate::batch::RESERVED..]
        .iter()
        .filter(|field| field.name() != TOKENS)
        .map(|field| if field.name() == TEXT { TOKENS } else { field.name() })
        .map(|name| (name.to_owned(), name.to_owned()))
        .collect();
    batch.project(&columns)
}

fn name_row(error: KernelError, batch: &Batch, row: usize) -> KernelError {
    match error {
        KernelError::Tokenizer { reason } => {
            KernelError::Tokenizer { reason: format!("row {}: {reason}", batch.id_of(row)) }
        }
        other => other,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("the tokenizers library failed on this text: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;
    use crate::tokenize::LoadOptions;
    use arrow_array::StringArray;
    use arrow_buffer::BooleanBuffer;

    /// Words of a few letters; the unknown one is 0.
    fn words() -> Tokenizer {
        let json = serde_json::json!({
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
                        "pad_id": 0, "pad_type_id": 0, "pad_token": "[UNK]"},
            "added_tokens": [{"id": 3, "content": "[END]", "single_word": false, "lstrip": false,
                              "rstrip": false, "normalized": false, "special": true}],
            "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 1}}, {"SpecialToken": {"id": "[END]", "type_id": 1}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"[END]": {"id": "[END]", "ids": [3], "tokens": ["[END]"]}}},
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "one": 1, "two": 2, "[END]": 3}, "unk_token": "[UNK]"}
        });
        Tokenizer::load(json.to_string().as_bytes(), &LoadOptions::default()).unwrap()
    }

    fn batch(texts: &[Option<&str>]) -> Batch {
        let ids = StringArray::from_iter_values((0..texts.len()).map(|row| format!("r{row}")));
        let identity = Identity::of_file("a", (0..texts.len() as u64).collect(), ids);
        let text = StringArray::from(texts.to_vec());
        let lang = StringArray::from_iter_values(texts.iter().map(|_| "en"));
        let field = |name: &str| Field::new(name, DataType::Utf8, true);
        Batch::new(identity, vec![(field(TEXT), Arc::new(text)), (field("lang"), Arc::new(lang))]).unwrap()
    }

    fn ids(batch: &Batch) -> Vec<Vec<u32>> {
        let list: &ListArray = batch.typed(TOKENS, "list").unwrap();
        list.iter()
            .map(|row| row.unwrap().as_any().downcast_ref::<UInt32Array>().unwrap().values().to_vec())
            .collect()
    }

    #[test]
    fn the_text_becomes_tokens_in_its_place() {
        let mut batch = batch(&[Some("one two one"), Some(""), None, Some("two")]);
        batch.retain(&BooleanBuffer::from(vec![true, true, true, false])).unwrap();
        let options = ApplyOptions { prepend: vec![9], append: vec![8, 7], ..ApplyOptions::default() };
        assert_eq!(words().apply(&mut batch, &options).unwrap(), Applied { tokens: 12, reused: 0 });
        assert_eq!(ids(&batch), [vec![9, 1, 2, 1, 8, 7], vec![9, 8, 7], vec![9, 8, 7], vec![]]);
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["__file", "__position", "id", TOKENS, "lang"]);
    }

    #[test]
    fn equal_texts_are_tokenised_once_and_get_the_same() {
        let texts = [Some("one two"), Some("two"), Some("one two"), Some(""), None, Some("one two")];
        let tokenizer = words();
        let special = EncodeRules { add_special_tokens: true, ..EncodeRules::default() };
        for rules in [EncodeRules::default(), special] {
            let plain = ApplyOptions { rules, prepend: vec![9], append: vec![8], ..ApplyOptions::default() };
            let mut expected = batch(&texts);
            tokenizer.apply(&mut expected, &plain).unwrap();
            for reused in [3, 3, 6] {
                let mut found = batch(&texts);
                let applied =
                    tokenizer.apply(&mut found, &ApplyOptions { reuse: true, ..plain.clone() }).unwrap();
                assert_eq!(applied.reused, reused, "from the third batch on all texts are known");
                assert_eq!(ids(&found), ids(&expected));
            }
        }
    }

    #[test]
    fn the_text_stays_when_asked() {
        let mut batch = batch(&[Some("one")]);
        words().apply(&mut batch, &ApplyOptions { keep_text: true, ..ApplyOptions::default() }).unwrap();
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["__file", "__position", "id", TEXT, "lang", TOKENS]);
    }

    #[test]
    fn special_tokens_are_added_and_matched_only_when_asked() {
        let check = |rules: EncodeRules, expected: &[u32]| {
            assert_eq!(words().encode("one [END]", rules).unwrap(), expected, "{rules:?}");
        };
        // As text, "[END]" is three words that are not in the vocabulary.
        check(EncodeRules::default(), &[1, 0, 0, 0]);
        check(EncodeRules { add_special_tokens: true, ..EncodeRules::default() }, &[1, 0, 0, 0, 3]);
        check(EncodeRules { special_tokens_in_text: true, ..EncodeRules::default() }, &[1, 3]);
    }

    #[test]
    fn a_vocabulary_is_asked_by_token() {
        let tokenizer = words();
        assert_eq!(tokenizer.vocabulary_size(), 4);
        assert_eq!(tokenizer.token_id("two"), Some(2));
        assert_eq!(tokenizer.token_id("[END]"), Some(3));
        assert_eq!(tokenizer.token_id("three"), None);
        assert_eq!(tokenizer.added_tokens(), ["[END]"]);
    }
}
