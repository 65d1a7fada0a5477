//! Where sentences begin, as spaCy's `sentencizer` has it on the tokens of its English tokenizer (3.8).
//!
//! A sentence begins at the first token that is no punctuation after one that is a full stop, an exclamation mark
//! or a question mark. Which full stop is a token of its own is the tokenizer's affair: in "Mr. A. Smith of the
//! U.S. paid 3.50." only the last is. So this follows the tokenizer where full stops are concerned: its
//! abbreviations, prefixes, suffixes and the one infix with a full stop. Beyond ASCII the marks of all scripts
//! end sentences, those of scripts without spaces wherever they stand.

use super::characters::{ALPHABETIC, Characters, PUNCTUATION_MARK, SPACE, TERMINAL, decode};
use super::windows::first_byte;

/// Abbreviations that the tokenizer keeps whole (its exceptions with a full stop), sorted by bytes.
#[rustfmt::skip]
const ABBREVIATIONS: &[&str] = &[
    "(._.)", "._.", "0.0", "0.o", "Adm.", "Ak.", "Ala.", "Apr.", "Ariz.", "Ark.", "Aug.", "Bros.", "Calif.", "Co.",
    "Colo.", "Conn.", "Corp.", "D.C.", "Dec.", "Del.", "Dr.", "E.G.", "E.g.", "Feb.", "Fla.", "Ga.", "Gen.", "Gov.",
    "I.E.", "I.e.", "Ia.", "Id.", "Ill.", "Inc.", "Ind.", "Jan.", "Jr.", "Jul.", "Jun.", "Kan.", "Kans.", "Ky.", "La.",
    "Ltd.", "Mar.", "Mass.", "Md.", "Messrs.", "Mich.", "Minn.", "Miss.", "Mo.", "Mont.", "Mr.", "Mrs.", "Ms.", "Mt.",
    "N.C.", "N.D.", "N.H.", "N.J.", "N.M.", "N.Y.", "Neb.", "Nebr.", "Nev.", "Nov.", "O.O", "O.o", "Oct.", "Okla.",
    "Ore.", "Pa.", "Ph.D.", "Prof.", "Rep.", "Rev.", "S.C.", "Sen.", "Sep.", "Sept.", "St.", "Tenn.", "V.V", "Va.",
    "Wash.", "Wis.", "a.m.", "co.", "e.g.", "i.e.", "o.0", "o.O", "o.o", "p.m.", "v.s.", "v.v", "vs.",
];

fn is_abbreviation(chunk: &str) -> bool {
    let bytes = chunk.as_bytes();
    if !(2..=7).contains(&bytes.len()) || !bytes.contains(&b'.') {
        return false;
    }
    // Single letters, and times such as 11p.m.
    if bytes.len() == 2 && bytes[0].is_ascii_lowercase() || matches!(chunk, "ä." | "ö." | "ü.") {
        return true;
    }
    let hour = chunk.strip_suffix("a.m.").or_else(|| chunk.strip_suffix("p.m."));
    hour.is_some_and(|hour| matches!(hour.parse(), Ok(1_u8..=12)) && !hour.starts_with(['0', '+']))
        || ABBREVIATIONS.binary_search(&chunk).is_ok()
}

/// What a token is to the sentencizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Ends a sentence.
    End,
    /// Other punctuation: belongs to the sentence before it.
    Punctuation,
    Other,
}

#[rustfmt::skip]
fn is_quote(character: char) -> bool {
    matches!(
        character,
        '\'' | '"' | '”' | '“' | '`' | '‘' | '´' | '’' | '‚' | ',' | '„' | '»' | '«' | '「' | '」' | '『' | '』' | '（'
            | '）' | '〔' | '〕' | '【' | '】' | '《' | '》' | '〈' | '〉' | '⟦' | '⟧'
    )
}

#[rustfmt::skip]
fn is_sign(character: char) -> bool {
    matches!(
        character,
        '…' | ',' | ':' | ';' | '!' | '?' | '¿' | '؟' | '¡' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '_' | '#'
            | '*' | '&' | '。' | '？' | '！' | '，' | '、' | '；' | '：' | '～' | '·' | '।' | '،' | '۔' | '؛' | '٪'
    )
}

fn is_currency(character: char) -> bool {
    matches!(character, '$' | '£' | '¥' | '฿' | '₽' | '﷼' | '₠'..='₼' | '₾' | '₿')
}

/// The sentences of a text one after the other, as datatrove cuts them: each with the white space before it.
pub fn each_sentence<'a>(text: &'a str, mut sentence: impl FnMut(&'a str)) {
    let (mut from, mut first) = (0, true);
    Sentences::default().each_start(text, |start| {
        if !std::mem::replace(&mut first, false) {
            let end = super::lines::strip_end(&text[..start]).len().max(from);
            sentence(&text[from..end]);
            from = end;
        }
        true
    });
    if !first {
        sentence(&text[from..]);
    }
}

/// Finds where sentences begin; reused from text to text.
#[derive(Debug, Default)]
pub struct Sentences {
    /// Tokens split off at the end of a chunk, last first.
    suffixes: Vec<(Token, usize)>,
    /// Whether there was a token.
    any: bool,
    /// Whether a sentence has ended and no other has begun.
    ended: bool,
}

impl Sentences {
    /// Counts the sentences of a text, up to `enough`; a text without tokens has none.
    pub fn count(&mut self, text: &str, enough: usize) -> usize {
        let mut count = 0;
        self.each_start(text, |_| {
            count += 1;
            count < enough
        });
        count
    }

    /// Calls `found` with the byte at which each sentence begins, until it says no.
    fn each_start(&mut self, text: &str, mut found: impl FnMut(usize) -> bool) {
        let bytes = text.as_bytes();
        let table = Characters::table();
        (self.any, self.ended) = (false, false);
        let mut at = 0;
        while at < bytes.len() {
            if self.any && !self.ended {
                // Within a sentence only a mark that may end it matters, with the chunk it is in.
                let Some(mark) = next_mark(text, at) else { return };
                let space = text[at..mark].char_indices().rev().find(|&(_, c)| table.of(c as u32).is(SPACE));
                at += space.map_or(0, |(space, c)| space + c.len_utf8());
            }
            let rest = &text[at..];
            let space = rest.find(|c: char| !table.of(c as u32).is(SPACE)).unwrap_or(rest.len());
            // White space other than a single space between tokens is a token itself.
            let plain = space == 0 || (space == 1 && bytes[at] == b' ' && at > 0);
            if !plain && !self.token(Token::Other, at, &mut found) {
                return;
            }
            let chunk = &rest[space..];
            let length = chunk.find(|c: char| table.of(c as u32).is(SPACE)).unwrap_or(chunk.len());
            if length > 0 && !self.chunk(&chunk[..length], at + space, &mut found) {
                return;
            }
            at += space + length;
        }
    }

    fn token(&mut self, token: Token, start: usize, found: &mut impl FnMut(usize) -> bool) -> bool {
        let begins = !self.any || (self.ended && token == Token::Other);
        self.any = true;
        self.ended = token == Token::End || (self.ended && !begins);
        !begins || found(start)
    }

    /// The tokens of a stretch without white space.
    fn chunk(&mut self, chunk: &str, start: usize, found: &mut impl FnMut(usize) -> bool) -> bool {
        let table = Characters::table();
        let may_end = chunk.chars().any(|c| table.of(c as u32).is(TERMINAL));
        if !may_end && !self.ended {
            // Ends no sentence, and begins the first at most.
            return self.any || self.token(Token::Other, start, found);
        }
        let (mut from, mut to) = (0, chunk.len());
        self.suffixes.clear();
        while from < to {
            let core = &chunk[from..to];
            if is_abbreviation(core) {
                break;
            }
            let before = prefix(core);
            if before > 0 && is_abbreviation(&core[before..]) {
                if !self.token(kind(&core[..before]), start + from, found) {
                    return false;
                }
                from += before;
                break;
            }
            let after = suffix(&core[before..]);
            if after > 0 && is_abbreviation(&core[..core.len() - after]) {
                self.suffixes.push((kind(&core[core.len() - after..]), start + to - after));
                to -= after;
                break;
            }
            if before + after == 0 {
                break;
            }
            if before > 0 && !self.token(kind(&core[..before]), start + from, found) {
                return false;
            }
            from += before;
            if after > 0 && before + after <= core.len() {
                self.suffixes.push((kind(&core[core.len() - after..]), start + to - after));
                to -= after;
            }
        }
        if from < to && !self.core(&chunk[from..to], start + from, found) {
            return false;
        }
        while let Some((token, at)) = self.suffixes.pop() {
            if !self.token(token, at, found) {
                return false;
            }
        }
        true
    }

    /// What is left of a chunk without its affixes: cut at "lower.Upper" and at the marks of scripts without spaces.
    fn core(&mut self, core: &str, start: usize, found: &mut impl FnMut(usize) -> bool) -> bool {
        if is_abbreviation(core) {
            return self.token(Token::Other, start, found);
        }
        let whole = kind(core);
        if whole != Token::Other {
            return self.token(whole, start, found);
        }
        let mut open = true; // a piece begins here
        let mut previous = None;
        let mut characters = core.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            let infix = character == '.'
                && previous.is_some_and(|c| is_lower(c) || is_quote(c))
                && next.is_some_and(|c| is_upper(c) || is_quote(c));
            if infix || is_wide_end(character) {
                if !self.token(Token::End, start + at, found) {
                    return false;
                }
                open = true;
            } else if std::mem::replace(&mut open, false) && !self.token(Token::Other, start + at, found) {
                return false;
            }
            previous = Some(character);
        }
        true
    }
}

/// Where the next mark that may end a sentence is, from byte `at` on.
fn next_mark(text: &str, mut at: usize) -> Option<usize> {
    let (bytes, table) = (text.as_bytes(), Characters::table());
    loop {
        at = first_byte(bytes, at, |byte| byte >= 0x80 || byte == b'.' || byte == b'!' || byte == b'?')?;
        while bytes.get(at).is_some_and(|&byte| byte >= 0x80) {
            let (code_point, length) = decode(bytes, at);
            if table.of(code_point).is(TERMINAL) {
                return Some(at);
            }
            at += length;
        }
        if matches!(bytes.get(at), Some(b'.' | b'!' | b'?')) {
            return Some(at);
        }
    }
}

fn is(character: char, flag: u16) -> bool {
    Characters::table().of(character as u32).is(flag)
}

/// Lower-case, or of a script without cases.
fn is_lower(character: char) -> bool {
    is(character, ALPHABETIC) && !character.is_uppercase()
}

/// Upper-case, or of a script without cases.
fn is_upper(character: char) -> bool {
    is(character, ALPHABETIC) && !character.is_lowercase()
}

/// Marks that end sentences in scripts written without spaces.
fn is_wide_end(character: char) -> bool {
    matches!(character, '。' | '！' | '？' | '｡' | '．')
}

/// The token of an affix, or of a core without a letter.
fn kind(token: &str) -> Token {
    let mut characters = token.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) if is(only, TERMINAL) => Token::End,
        _ if token.chars().all(|c| is(c, PUNCTUATION_MARK)) => Token::Punctuation,
        _ => Token::Other,
    }
}

/// Bytes of the prefix that the tokenizer splits off; 0 where there is none.
fn prefix(core: &str) -> usize {
    let dots = core.bytes().take_while(|&byte| byte == b'.').count();
    if dots > 1 {
        return dots;
    }
    let mut characters = core.chars();
    let Some(first) = characters.next() else { return 0 };
    let next = characters.next();
    let splits = match first {
        '§' | '%' | '=' | '—' | '–' => true,
        '+' => !next.is_some_and(|c| c.is_ascii_digit()),
        'U' if core.starts_with("US$") => return 3,
        'C' | 'A' if next == Some('$') => return 2,
        _ => is_sign(first) || is_quote(first) || is_currency(first),
    };
    if splits { first.len_utf8() } else { 0 }
}

/// Bytes of the suffix that the tokenizer splits off; 0 where there is none.
fn suffix(core: &str) -> usize {
    let mut backwards = core.chars().rev();
    let Some(last) = backwards.next() else { return 0 };
    let before = backwards.next();
    match last {
        '.' => {
            let dots = core.bytes().rev().take_while(|&byte| byte == b'.').count();
            if dots > 1 {
                return dots;
            }
            let Some(before) = before else { return 0 };
            let upper = is_upper(before) && backwards.next().is_some_and(is_upper);
            let degrees = matches!(before, 'F' | 'f' | 'C' | 'c' | 'K' | 'k') && core.contains('°');
            let splits = before.is_ascii_digit()
                || is_lower(before)
                || matches!(before, '%' | '²' | '-' | '+' | '|')
                || is_sign(before)
                || is_quote(before)
                || upper
                || degrees;
            usize::from(splits)
        }
        's' | 'S' if matches!(before, Some('\'' | '’')) => 1 + before.map_or(0, char::len_utf8),
        '—' | '–' => last.len_utf8(),
        '+' => usize::from(before.is_some_and(|c| c.is_ascii_digit())),
        _ if is_currency(last) && before.is_some_and(|c| c.is_ascii_digit()) => last.len_utf8(),
        _ if is_sign(last) || is_quote(last) => last.len_utf8(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        each_sentence(text, |sentence| found.push(sentence));
        assert_eq!(Sentences::default().count(text, usize::MAX), found.len());
        assert_eq!(found.concat(), text);
        found
    }

    #[test]
    fn abbreviations_are_sorted() {
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn only_full_stops_that_are_tokens_end_a_sentence() {
        assert_eq!(
            sentences("Mr. A. Smith of the U.S. paid 3.50. He left."),
            ["Mr. A. Smith of the U.S. paid 3.50.", " He left."]
        );
        assert_eq!(
            sentences("He said \"Go!\" (twice). And went?! Yes... no"),
            ["He said \"Go!\" (", "twice).", " And went?!", " Yes... no"]
        );
        assert_eq!(
            sentences("One end.Next at NASA. In 11p.m. or 13p.m. it"),
            ["One end.", "Next at NASA.", " In 11p.m. or 13p.m.", " it"]
        );
    }

    #[test]
    fn marks_of_other_scripts_end_sentences() {
        assert_eq!(sentences("你好。世界！好吗？"), ["你好。", "世界！", "好吗？"]);
        assert_eq!(sentences("यह है। और यह।"), ["यह है।", " और यह।"]);
    }

    #[test]
    fn a_text_without_tokens_has_no_sentence() {
        assert_eq!(sentences(""), [""; 0]);
        assert_eq!(Sentences::default().count("ab. cd. ef. gh.", 2), 2);
    }
}
