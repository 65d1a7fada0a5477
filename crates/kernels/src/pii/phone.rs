//! Phone numbers: international ones with `+` or `00` (ITU-T E.164), Chinese mobile and fixed lines, and
//! North American numbers in their written forms. National numbers of other countries look like any number.

use super::{is_digit_at, is_thousands_at, is_word_at, run_end};

/// Digits of the national number, least and most, by country code (ITU-T E.164 and national plans). Codes
/// that are not listed take 7 to 12.
const NATIONAL_LENGTHS: [(u32, usize, usize); 40] = [
    (1, 10, 10),
    (7, 10, 10),
    (20, 8, 10),
    (27, 9, 9),
    (30, 10, 10),
    (31, 9, 9),
    (32, 8, 9),
    (33, 9, 9),
    (34, 9, 9),
    (36, 8, 9),
    (39, 6, 11),
    (40, 9, 9),
    (41, 9, 9),
    (43, 7, 13),
    (44, 9, 10),
    (45, 8, 8),
    (46, 7, 9),
    (47, 8, 8),
    (48, 9, 9),
    (49, 6, 11),
    (51, 8, 9),
    (52, 10, 10),
    (54, 10, 11),
    (55, 10, 11),
    (56, 9, 9),
    (57, 10, 10),
    (60, 8, 10),
    (61, 9, 9),
    (62, 8, 12),
    (63, 8, 10),
    (64, 8, 10),
    (65, 8, 8),
    (66, 8, 9),
    (81, 9, 10),
    (82, 8, 10),
    (84, 9, 10),
    (86, 10, 12),
    (90, 10, 10),
    (91, 10, 10),
    (92, 9, 10),
];
/// Country codes of two digits; 1 and 7 stand alone, all others have three.
const TWO_DIGIT_CODES: [u32; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
/// Words before a number that is no phone number.
const OTHER_NUMBERS: [&str; 44] = [
    "id",
    "no",
    "nr",
    "isbn",
    "issn",
    "ean",
    "upc",
    "sku",
    "imei",
    "serial",
    "order",
    "invoice",
    "tracking",
    "ticket",
    "case",
    "account",
    "acct",
    "part",
    "ref",
    "reference",
    "doi",
    "pmid",
    "qq",
    "uid",
    "userid",
    "订单",
    "订单号",
    "编号",
    "单号",
    "运单号",
    "流水号",
    "货号",
    "型号",
    "序列号",
    "账号",
    "帐号",
    "卡号",
    "学号",
    "工号",
    "书号",
    "证号",
    "批号",
    "文号",
    "期号",
];

/// Digits of a number and where its groups end.
struct Digits {
    values: [u8; 16],
    count: usize,
    /// Digits up to the end of each group, and the place of that end.
    ends: [(usize, usize); 8],
    groups: usize,
    /// What is before each group but the first.
    separators: [Separator; 8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Space,
    Hyphen,
    Dot,
    Parenthesis,
    Slash,
}

impl Digits {
    /// The digits from `start` on, as far as a number may go.
    fn read(text: &[u8], start: usize) -> Self {
        let mut digits = Self {
            values: [0; 16],
            count: 0,
            ends: [(0, 0); 8],
            groups: 0,
            separators: [Separator::Space; 8],
        };
        let mut place = start;
        while digits.groups < 8 {
            let end = run_end(text, place, |byte| byte.is_ascii_digit());
            if digits.count + (end - place) > 16 {
                break;
            }
            for &byte in &text[place..end] {
                digits.values[digits.count] = byte - b'0';
                digits.count += 1;
            }
            digits.ends[digits.groups] = (digits.count, end);
            digits.groups += 1;
            let Some((separator, next)) = separator(text, end) else { break };
            if digits.groups < 8 {
                digits.separators[digits.groups] = separator;
            }
            place = next;
        }
        digits
    }

    fn number(&self, from: usize, to: usize) -> u32 {
        self.values[from..to].iter().fold(0, |sum, &digit| sum * 10 + u32::from(digit))
    }

    /// Ends of groups, the longest number first.
    fn ends(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ends[..self.groups].iter().rev().copied()
    }

    fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.groups).map(|group| self.ends[group].0 - if group == 0 { 0 } else { self.ends[group - 1].0 })
    }

    /// Whether the first groups have these lengths, joined by separators that `fits` accepts.
    fn is_grouped(&self, lengths: &[usize], fits: impl Fn(Separator) -> bool) -> bool {
        self.groups >= lengths.len()
            && self.lengths().zip(lengths).all(|(got, want)| got == *want)
            && self.separators[1..lengths.len()].iter().all(|&separator| fits(separator))
    }
}

/// What stands between two groups of digits at `place`, and where the next begins.
fn separator(text: &[u8], place: usize) -> Option<(Separator, usize)> {
    let rest = &text[place..];
    let forms: [(&[u8], Separator); 11] = [
        (b" ", Separator::Space),
        (b"-", Separator::Hyphen),
        (b".", Separator::Dot),
        (b"/", Separator::Slash),
        (b") ", Separator::Parenthesis),
        (b")-", Separator::Parenthesis),
        (b")", Separator::Parenthesis),
        (b" (", Separator::Parenthesis),
        (b"(", Separator::Parenthesis),
        ("）".as_bytes(), Separator::Parenthesis),
        ("\u{a0}".as_bytes(), Separator::Space),
    ];
    let (form, separator) =
        forms.iter().find(|(form, _)| rest.starts_with(form) && is_digit_at(rest, Some(form.len())))?;
    Some((*separator, place + form.len()))
}

/// The number whose first digit is at `start`; it may begin before, with `+` or a parenthesis.
pub(super) fn at(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let before = start.checked_sub(1).map(|at| text[at]);
    if before == Some(b'+') {
        return international(text, start, start - 1);
    }
    let full_width = text[..start].ends_with("＋".as_bytes());
    if full_width {
        return international(text, start, start - "＋".len());
    }
    if is_word_at(text, start.checked_sub(1)) || is_other_number(text, start) {
        return None;
    }
    let digits = Digits::read(text, start);
    if digits.groups == 0 {
        return None;
    }
    let open = before == Some(b'(') || text[..start].ends_with("（".as_bytes());
    let end = match digits.values[0] {
        0 if digits.values[1] == 0 => return with_exit_code(text, start, &digits),
        0 => chinese_fixed(&digits),
        _ => chinese_mobile(&digits).or_else(|| north_american(&digits, open)),
    }?;
    let joined = before.is_some_and(|byte| b".-/#$%&=*~<".contains(&byte))
        && !(before == Some(b'=') || follows_scheme(text, start));
    if joined || !ends_well(text, end) {
        return None;
    }
    // The parenthesis belongs to the number where the number closes it.
    let number = &text[start..end];
    let closes = open && (number.contains(&b')') || memchr::memmem::find(number, "）".as_bytes()).is_some());
    let opening = if before == Some(b'(') { 1 } else { "（".len() };
    Some((if closes { start - opening } else { start }, end))
}

/// `tel:` and the like.
fn follows_scheme(text: &[u8], start: usize) -> bool {
    text[..start].ends_with(b"tel:") || text[..start].ends_with(b"tel://")
}

fn ends_well(text: &[u8], end: usize) -> bool {
    let next = text.get(end).copied();
    let goes_on = is_word_at(text, Some(end))
        || matches!(next, Some(b'%' | b'@' | b'='))
        || (matches!(next, Some(b'.' | b'-' | b'/' | b':')) && is_word_at(text, Some(end + 1)))
        || (end < text.len() && is_thousands_at(text, end));
    !goes_on
}

/// Whether the word before says that this is another number, as in `order no. 13812345678`.
fn is_other_number(text: &[u8], start: usize) -> bool {
    let mut from = start.saturating_sub(24);
    while from < start && text[from] & 0xC0 == 0x80 {
        from += 1;
    }
    let Ok(before) = str::from_utf8(&text[from..start]) else { return false };
    let before = before.trim_end_matches([' ', ':', '：', '#', '=', '.', '"', '\'', '为', '是', '№']);
    OTHER_NUMBERS.iter().any(|word| {
        let Some(rest) = before.len().checked_sub(word.len()).filter(|&at| before.is_char_boundary(at))
        else {
            return false;
        };
        before[rest..].eq_ignore_ascii_case(word)
            && (!word.is_ascii() || !before[..rest].ends_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

/// Length of the country code the digits from `from` on begin with; none where no country has it.
fn country_code(digits: &Digits, from: usize) -> Option<usize> {
    let two = digits.number(from, from + 2);
    let assigned = || {
        matches!(digits.number(from, from + 3),
            211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=383 | 385..=387
            | 389 | 420 | 421 | 423 | 500..=509 | 590..=599 | 670 | 672..=683 | 685..=692 | 800 | 808 | 850 | 852 | 853
            | 855 | 856 | 870 | 878 | 880..=883 | 886 | 888 | 960..=968 | 970..=977 | 979 | 992..=996 | 998)
    };
    match digits.values[from] {
        1 | 7 => Some(1),
        _ if TWO_DIGIT_CODES.contains(&two) => Some(2),
        _ => assigned().then_some(3),
    }
}

fn national_lengths(code: u32) -> (usize, usize) {
    let known = NATIONAL_LENGTHS.iter().find(|(known, ..)| *known == code);
    known.map_or((7, 12), |&(_, least, most)| (least, most))
}

/// Where the longest number that the plan of its country allows ends; its code is at `from`.
fn longest_of_country(text: &[u8], digits: &Digits, from: usize) -> Option<usize> {
    let code_length = country_code(digits, from).filter(|length| from + length < digits.count)?;
    let code = digits.number(from, from + code_length);
    let (least, most) = national_lengths(code);
    let ends = digits.ends().find(|&(count, end)| {
        let mut national = count.saturating_sub(from + code_length);
        // `+44 (0)20 …`: the zero is dialled only within the country.
        let trunk = digits.values[from + code_length] == 0 && national > least && code != 39;
        national -= usize::from(trunk);
        (least..=most).contains(&national) && count - from <= 15 + usize::from(trunk) && ends_well(text, end)
    })?;
    let first = digits.values[from + code_length];
    let fits = match code {
        1 => first >= 2 && digits.values[from + code_length + 3] >= 2,
        86 => first != 0 || ends.0 > from + 12,
        _ => true,
    };
    fits.then_some(ends.1)
}

fn international(text: &[u8], start: usize, plus: usize) -> Option<(usize, usize)> {
    let before = plus.checked_sub(1);
    if is_word_at(text, before) || before.is_some_and(|at| matches!(text[at], b'+' | b')' | b']' | b'.')) {
        return None;
    }
    let digits = Digits::read(text, start);
    if digits.groups == 0 {
        return None;
    }
    // `+40.7128` is a coordinate; `+1.4155552671` and `+1.415.555.2671` are numbers.
    let dots = digits.separators[1..digits.groups].iter().filter(|&&one| one == Separator::Dot).count();
    if dots > 0 && dots + 1 != digits.groups {
        return None;
    }
    longest_of_country(text, &digits, 0).map(|end| (plus, end))
}

/// `0044 20 7946 0958`: the exit code, a country code, and groups.
fn with_exit_code(text: &[u8], start: usize, digits: &Digits) -> Option<(usize, usize)> {
    let separated = digits.groups > 1 && (3..=5).contains(&digits.ends[0].0);
    let mobile =
        digits.number(2, 4) == 86 && digits.groups == 1 && digits.count == 15 && digits.values[4] == 1;
    if digits.count < 10 || !(separated || mobile) {
        return None;
    }
    let plain = start.checked_sub(1).is_none_or(|at| !b".-/#$%&*~<".contains(&text[at]));
    longest_of_country(text, digits, 2).filter(|_| plain).map(|end| (start, end))
}

/// 1, a prefix in use, eight digits: in one run, as 3-4-4, or after 86.
fn chinese_mobile(digits: &Digits) -> Option<usize> {
    let is_mobile = |from: usize| {
        digits.values[from] == 1
            && match digits.values[from + 1] {
                3 | 8 => true,
                4 => digits.values[from + 2] >= 5,
                5 | 9 => digits.values[from + 2] != 4,
                6 => matches!(digits.values[from + 2], 2 | 5 | 6 | 7),
                7 => digits.values[from + 2] != 9,
                _ => false,
            }
            // Powers of two that computers print.
            && digits.values[from..from + 11] != [1, 7, 1, 7, 9, 8, 6, 9, 1, 8, 4]
    };
    let even = |separator| matches!(separator, Separator::Space | Separator::Hyphen);
    let after_code = |separator| even(separator) || separator == Separator::Parenthesis;
    let first = digits.ends[0];
    if first.0 == 11 && is_mobile(0) {
        return Some(first.1);
    }
    if first.0 == 13 && digits.number(0, 2) == 86 && is_mobile(2) {
        return Some(first.1);
    }
    if digits.is_grouped(&[3, 4, 4], even) && digits.separators[1] == digits.separators[2] && is_mobile(0) {
        return Some(digits.ends[2].1);
    }
    if digits.number(0, 2) != 86 {
        return None;
    }
    if digits.is_grouped(&[2, 11], after_code) && is_mobile(2) {
        return Some(digits.ends[1].1);
    }
    (digits.is_grouped(&[2, 3, 4, 4], after_code) && is_mobile(2)).then(|| digits.ends[3].1)
}

/// An area code with its zero, a separator, seven or eight digits.
fn chinese_fixed(digits: &Digits) -> Option<usize> {
    let area = digits.ends[0].0;
    let known = match digits.values[1] {
        1 => area == 3 && digits.values[2] == 0,
        2 => area == 3 && digits.values[2] != 6,
        3..=9 => area == 4,
        _ => false,
    };
    if !known || digits.groups < 2 || !(2..=8).contains(&digits.values[area]) {
        return None;
    }
    let fits = |lengths: &[usize]| {
        let parts =
            |separator| matches!(separator, Separator::Space | Separator::Hyphen | Separator::Parenthesis);
        // Three groups with nothing but spaces are any three numbers.
        let spaces = lengths.len() == 3 && digits.separators[1] == Separator::Space;
        (digits.is_grouped(lengths, parts) && !spaces).then(|| digits.ends[lengths.len() - 1].1)
    };
    let eight = || fits(&[area, 8]).or_else(|| fits(&[area, 4, 4]));
    if area == 3 { eight() } else { fits(&[area, 7]).or_else(|| fits(&[area, 3, 4])).or_else(eight) }
}

/// 3-3-4 with hyphens or dots, or with the area code in parentheses; a 1 may come first.
fn north_american(digits: &Digits, open: bool) -> Option<usize> {
    let from = usize::from(digits.ends[0].0 == 1 && digits.values[0] == 1);
    let lengths: &[usize] = if from == 1 { &[1, 3, 3, 4] } else { &[3, 3, 4] };
    if digits.values[from] < 2 || digits.values[from + 3] < 2 {
        return None;
    }
    let same = |wanted: Separator| digits.is_grouped(lengths, |separator| separator == wanted);
    let last = lengths.len() - 1;
    let parenthesised = (open || from == 1)
        && digits.is_grouped(lengths, |separator| separator != Separator::Slash)
        && digits.separators[from + 1] == Separator::Parenthesis
        && digits.separators[last] != Separator::Parenthesis;
    let hyphens = same(Separator::Hyphen)
        || (from == 1
            && digits.is_grouped(lengths, |one| matches!(one, Separator::Hyphen | Separator::Space))
            && digits.separators[3] == Separator::Hyphen);
    (parenthesised || hyphens || same(Separator::Dot)).then(|| digits.ends[last].1)
}
