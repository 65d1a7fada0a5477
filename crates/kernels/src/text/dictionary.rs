//! Words of scripts that write no spaces: Thai, Lao, Khmer, Burmese and Japanese, by the dictionaries of ICU4X.

use std::sync::LazyLock;

use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed, options::WordBreakInvariantOptions};

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// Calls `found` with the first byte of each word and the byte after its last; the words lie side by side.
pub fn each_word(stretch: &str, mut found: impl FnMut(usize, usize)) {
    let mut start = 0;
    for end in SEGMENTER.segment_str(stretch).filter(|&end| end > 0) {
        found(start, end);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(stretch: &str) -> Vec<&str> {
        let mut found = Vec::new();
        each_word(stretch, |from, to| found.push(&stretch[from..to]));
        found
    }

    #[test]
    fn each_script_has_its_dictionary() {
        assert_eq!(words("ภาษาไทย"), ["ภาษา", "ไทย"]);
        assert_eq!(words("東京へ行きました"), ["東京", "へ", "行き", "まし", "た"]);
        assert_eq!(words("ភាសាខ្មែរ"), ["ភាសាខ្មែរ"]);
        assert_eq!(words("ພາສາລາວ"), ["ພາສາ", "ລາວ"]);
        assert_eq!(words(""), [""; 0]);
    }
}
