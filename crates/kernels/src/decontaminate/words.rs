//! The words of a text: lowercased, without punctuation, split at white space. A character of a script that
//! writes no spaces is a word of its own.

/// A word: a hash of its letters, and where it stands in the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub hash: u64,
    pub start: usize,
    pub end: usize,
}

/// What an ASCII byte is: a letter or digit, in lower case; white space; or 0, punctuation.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        table[byte] = if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else if character.is_ascii_whitespace() || character == 0x0b {
            b' '
        } else {
            0
        };
        byte += 1;
    }
    table
};

/// FNV-1a with 64 bits; `finish` mixes what it leaves unmixed.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    #[inline]
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    #[inline]
    fn finish(self) -> u64 {
        mix(self.0)
    }
}

/// The finaliser of `MurmurHash3`.
#[inline]
pub(super) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Han, kana, Thai, Lao, Myanmar and Khmer.
fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Calls `each` with the words of a text, in order.
#[inline]
pub(super) fn each_word(text: &str, mut each: impl FnMut(Word)) {
    let bytes = text.as_bytes();
    let mut open: Option<(Hash, usize, usize)> = None;
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        if byte < 128 {
            match ASCII[usize::from(byte)] {
                0 => {}
                b' ' => {
                    if let Some(word) = open.take() {
                        each(closed(word));
                    }
                }
                letter => {
                    let (hash, _, end) = open.get_or_insert((Hash::EMPTY, place, place));
                    hash.add(letter);
                    *end = place + 1;
                }
            }
            place += 1;
            continue;
        }
        let Some(character) = text[place..].chars().next() else { break };
        let next = place + character.len_utf8();
        let is_letter = character.is_alphanumeric();
        let alone = is_letter && stands_alone(character);
        if (alone || character.is_whitespace())
            && let Some(word) = open.take()
        {
            each(closed(word));
        }
        if is_letter {
            let (mut hash, start, _) = open.take().unwrap_or((Hash::EMPTY, place, next));
            let mut buffer = [0; 4];
            for lower in character.to_lowercase() {
                lower.encode_utf8(&mut buffer).bytes().for_each(|byte| hash.add(byte));
            }
            if alone {
                each(closed((hash, start, next)));
            } else {
                open = Some((hash, start, next));
            }
        }
        place = next;
    }
    if let Some(word) = open {
        each(closed(word));
    }
}

fn closed((hash, start, end): (Hash, usize, usize)) -> Word {
    Word { hash: hash.finish(), start, end }
}
