//! Normalisation of a text column: entities, Unicode form, controls, white space, in this order.
//!
//! Clean text costs a few checks at memory speed and is copied in bulk; a batch without an unclean row
//! keeps its column.

use std::borrow::Cow;

use arrow_array::{Array, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _};

use super::scrub;
use crate::batch::Batch;
use crate::error::{KernelError, Result};

/// Which of the Unicode normalisation forms (UAX #15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Composed.
    Nfc,
    /// Decomposed.
    Nfd,
    /// Composed, compatibility characters replaced.
    Nfkc,
    /// Decomposed, compatibility characters replaced.
    Nfkd,
}

/// What happens to control characters; see [`normalize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// They go.
    Strip,
    /// Each becomes a space.
    Space,
}

/// What to normalise; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Replace HTML entities.
    pub unescape_html: bool,
    /// Unicode form.
    pub form: Option<Form>,
    /// Control characters.
    pub controls: Option<Controls>,
    /// White space.
    pub whitespace: bool,
}

/// Normalises one text; borrowed when nothing changes.
///
/// 1. Entities: as HTML 5 reads text outside attributes, all named ones and numbers, once over
///    (`&amp;lt;` becomes `&lt;`).
/// 2. Unicode form.
/// 3. Controls: C0, C1 and DEL, but for tab and line feed; carriage return, with a line feed after it as
///    one, and U+0085 are line ends and become line feeds.
/// 4. White space: carriage returns likewise; a run of spaces and tabs becomes one space (a lone tab
///    stays) and goes at the end of a line; a run of line feeds becomes two at most; all go at both ends.
#[must_use]
pub fn normalize(text: &str, options: Options) -> Cow<'_, str> {
    let mut result = Cow::Borrowed(text);
    if options.unescape_html && memchr::memchr(b'&', text.as_bytes()).is_some() {
        let unescaped = htmlize::unescape(text);
        // Borrowed or not, an ampersand that is no entity leaves the text as it is.
        if *unescaped != *text {
            result = Cow::Owned(unescaped.into_owned());
        }
    }
    if let Some(form) = options.form
        && !is_normal(&result, form)
    {
        let characters = result.chars();
        let formed: String = match form {
            Form::Nfc => characters.nfc().collect(),
            Form::Nfd => characters.nfd().collect(),
            Form::Nfkc => characters.nfkc().collect(),
            Form::Nfkd => characters.nfkd().collect(),
        };
        // The check may say "maybe" of a text that is normal.
        if formed != *result {
            result = Cow::Owned(formed);
        }
    }
    if let Some(mode) = options.controls
        && !scrub::controls_are_clean(&result)
    {
        let mut cleaned = String::with_capacity(result.len());
        scrub::clean_controls(&result, mode, &mut cleaned);
        result = Cow::Owned(cleaned);
    }
    if options.whitespace && !scrub::whitespace_is_clean(&result) {
        let mut cleaned = String::with_capacity(result.len());
        scrub::clean_whitespace(&result, &mut cleaned);
        result = Cow::Owned(cleaned);
    }
    result
}

fn is_normal(text: &str, form: Form) -> bool {
    if text.is_ascii() {
        return true;
    }
    let quick = match form {
        Form::Nfc => {
            return text.chars().all(is_plain_in_nfc)
                || unicode_normalization::is_nfc_quick(text.chars()) == IsNormalized::Yes;
        }
        Form::Nfd => unicode_normalization::is_nfd_quick(text.chars()),
        Form::Nfkc => unicode_normalization::is_nfkc_quick(text.chars()),
        Form::Nfkd => unicode_normalization::is_nfkd_quick(text.chars()),
    };
    quick == IsNormalized::Yes
}

/// Characters of combining class 0 that NFC never changes nor joins with a neighbour before them, in the
/// ranges most text is made of; the full check looks every character up in tables and is several times
/// slower. A test holds each of them against the tables.
fn is_plain_in_nfc(character: char) -> bool {
    matches!(character,
        '\0'..='\u{2ff}'
        | '\u{400}'..='\u{482}'
        | '\u{2010}'..='\u{2027}'
        | '\u{3000}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a0}'..='\u{30ff}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff01}'..='\u{ff9d}'
    )
}

/// Normalises a text column in place; returns how many rows changed. Null stays null.
///
/// # Errors
/// `ColumnMissing`, or `ColumnType` when it is not utf8.
pub fn normalize_column(batch: &mut Batch, column: &str, options: Options) -> Result<u64> {
    let array = batch.text(column)?;
    let Some((array, changed)) = normalize_array(array, options)? else { return Ok(0) };
    let field = batch.schema().field_with_name(column)?.clone();
    batch.set_column(field, std::sync::Arc::new(array))?;
    Ok(changed)
}

/// The column with its texts normalised and how many changed; `None` when none does.
fn normalize_array(array: &StringArray, options: Options) -> Result<Option<(StringArray, u64)>> {
    let source = array.values().as_slice();
    let offsets = array.value_offsets();
    let mut bytes: Vec<u8> = Vec::new();
    let mut ends: Vec<i32> = Vec::new();
    let mut changed = 0_u64;
    // Bytes of the source before this were dealt with; rows that stay are copied together.
    let mut copied = offsets[0].as_usize();
    for row in 0..array.len() {
        let (from, to) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        if array.is_valid(row)
            && let Cow::Owned(text) = normalize(array.value(row), options)
        {
            if changed == 0 {
                bytes.reserve(source.len());
                ends.reserve(array.len() + 1);
                ends.extend(offsets[..=row].iter().map(|end| end - offsets[0]));
            }
            changed += 1;
            bytes.extend_from_slice(&source[copied..from]);
            bytes.extend_from_slice(text.as_bytes());
            copied = to;
        }
        if changed > 0 {
            let end = i32::try_from(bytes.len() + (to - copied)).map_err(KernelError::internal)?;
            ends.push(end);
        }
    }
    if changed == 0 {
        return Ok(None);
    }
    bytes.extend_from_slice(&source[copied..offsets[array.len()].as_usize()]);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), array.nulls().cloned())?;
    Ok(Some((array, changed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Options = Options {
        unescape_html: true,
        form: Some(Form::Nfc),
        controls: Some(Controls::Strip),
        whitespace: true,
    };

    fn whitespace(text: &str) -> String {
        normalize(text, Options { whitespace: true, ..Options::default() }).into_owned()
    }

    #[test]
    fn white_space_follows_the_stated_rules() {
        for (text, expected) in [
            ("a\r\nb\rc", "a\nb\nc"),
            ("a  b \t c\td", "a b c\td"),
            ("a \nb\t\n", "a\nb"),
            ("a\n\n\n\n b", "a\n\n b"),
            ("a\n \n\t\nb", "a\n\nb"),
            (" \n a", "a"),
            (" \n", ""),
            ("a\r", "a"),
            ("a\r\r\rb", "a\n\nb"),
            ("a\u{a0}\u{a0}b", "a\u{a0}\u{a0}b"),
        ] {
            assert_eq!(whitespace(text), expected, "{text:?}");
        }
    }

    #[test]
    fn controls_follow_the_stated_rules() {
        let clean = |controls| {
            let options = Options { controls: Some(controls), ..Options::default() };
            normalize("a\0b\tc\r\nd\u{85}e\u{9f}f\u{7f}\u{a0}g", options).into_owned()
        };
        assert_eq!(clean(Controls::Strip), "ab\tc\nd\nef\u{a0}g");
        assert_eq!(clean(Controls::Space), "a b\tc\nd\ne f \u{a0}g");
    }

    #[test]
    fn plain_characters_are_normal_by_the_tables() {
        for character in ('\0'..=char::MAX).filter(|&c| is_plain_in_nfc(c)) {
            // After a base and before a mark, as part of whatever sequence: it starts anew by itself.
            assert_eq!(
                unicode_normalization::is_nfc_quick(character.to_string().chars()),
                IsNormalized::Yes,
                "{character:?}"
            );
            assert_eq!(unicode_normalization::char::canonical_combining_class(character), 0);
        }
    }

    fn plain_whitespace(text: &str) -> String {
        let lines: Vec<String> = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .split('\n')
            .map(|line| {
                let line = line.trim_end_matches([' ', '\t']);
                regex::Regex::new("[ \t]{2,}").unwrap().replace_all(line, " ").into_owned()
            })
            .collect();
        let joined = lines.join("\n");
        let joined = regex::Regex::new("\n{3,}").unwrap().replace_all(&joined, "\n\n");
        joined.trim_matches([' ', '\t', '\n']).to_owned()
    }

    proptest! {
        #[test]
        fn white_space_agrees_with_plain_replacements(text in "[ab\u{a0} \t\r\n]{0,40}") {
            prop_assert_eq!(whitespace(&text), plain_whitespace(&text));
        }

        #[test]
        fn checks_agree_with_rewrites(text in "(?s)[ab é\u{80}\u{85}\u{9f}\u{a0}\u{300}\u{1100}\u{1161} \t\r\n\0\u{7f}]{0,12}") {
            for options in [
                Options { controls: Some(Controls::Strip), ..Options::default() },
                Options { controls: Some(Controls::Space), ..Options::default() },
                Options { whitespace: true, ..Options::default() },
                Options { form: Some(Form::Nfc), ..Options::default() },
            ] {
                let once = normalize(&text, options);
                // Owned exactly when something changed, so that the count of edits is true.
                prop_assert_eq!(matches!(once, Cow::Owned(_)), *once != *text);
                prop_assert!(matches!(normalize(&once, options), Cow::Borrowed(_)));
            }
            prop_assert_eq!(
                normalize(&text, Options { form: Some(Form::Nfc), ..Options::default() }).into_owned(),
                text.nfc().collect::<String>()
            );
        }

        #[test]
        fn a_column_is_its_texts_normalised(texts in prop::collection::vec(prop::option::of("[a&; \u{300}\r]{0,6}(&lt;)?"), 0..20), skip in 0_usize..4) {
            let whole = StringArray::from(texts);
            let skip = skip.min(whole.len());
            let array = whole.slice(skip, whole.len() - skip);
            let expected: StringArray = array.iter().map(|text| text.map(|t| normalize(t, ALL).into_owned())).collect();
            let differing = array.iter().zip(expected.iter()).filter(|(a, b)| a != b).count() as u64;
            match normalize_array(&array, ALL).unwrap() {
                None => prop_assert_eq!(differing, 0),
                Some((got, changed)) => {
                    prop_assert_eq!(changed, differing);
                    prop_assert_eq!(got, expected);
                }
            }
        }
    }
}
