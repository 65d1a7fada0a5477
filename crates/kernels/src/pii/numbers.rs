//! Numbers with a checksum: payment cards (ISO/IEC 7812, Luhn), IBANs (ISO 13616, mod 97) and Chinese resident
//! identity numbers (GB 11643-1999, ISO 7064 mod 11-2).

use super::{is_digit_at, is_thousands_at, is_word_at, run_end};

/// Digits of a payment card at most.
const LONGEST_CARD: usize = 19;
/// How cards are printed when they are not one run of digits.
const CARD_GROUPS: [&[usize]; 7] =
    [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 4, 2], &[6, 13], &[4, 4, 4, 1]];

/// Length of the IBANs of each country that has them (the IBAN registry of SWIFT).
const IBAN_LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Divisions of the first level: the first two digits of a resident identity number (GB/T 2260).
const PROVINCES: [u8; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54,
    61, 62, 63, 64, 65, 71, 81, 82, 83,
];

/// Whether what is before and after makes a stretch part of something longer.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1);
    let joined_before = is_word_at(text, before)
        || (before.is_some_and(|at| b".-+/=%".contains(&text[at])) && is_word_at(text, start.checked_sub(2)));
    let joined_after = is_word_at(text, Some(end))
        || (text.get(end).is_some_and(|byte| {
            b".-+/=%@".contains(byte) && is_word_at(text, Some(end + 1)) || is_thousands_at(text, end)
        }));
    !joined_before && !joined_after
}

/// The card number whose first digit is at `start`.
pub(super) fn card_at(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut digits = [0; LONGEST_CARD];
    let (mut count, mut groups, mut place) = (0, Vec::new(), start);
    let mut separator = None;
    loop {
        let end = run_end(text, place, |byte| byte.is_ascii_digit());
        let group = &text[place..end];
        digits.get_mut(count..count + group.len())?.copy_from_slice(group);
        count += group.len();
        groups.push(group.len());
        place = end;
        let next = text.get(end).copied().filter(|byte| matches!(byte, b' ' | b'-'));
        let goes_on =
            next.is_some() && (separator.is_none() || separator == next) && is_digit_at(text, Some(end + 1));
        // One run of digits is a whole number; so is a known grouping that fits, whatever follows it.
        if !goes_on || (groups.len() == 1 && count >= 12) || groups.len() == 5 {
            break;
        }
        if groups.len() > 1 && is_card_in_groups(&groups, &digits[..count]) && stands_alone(text, start, end)
        {
            break;
        }
        separator = next;
        place += 1;
    }
    let digits = &digits[..count];
    let fits = if groups.len() == 1 { is_card(digits) } else { is_card_in_groups(&groups, digits) };
    (fits && stands_alone(text, start, place)).then_some((start, place))
}

fn is_card_in_groups(groups: &[usize], digits: &[u8]) -> bool {
    CARD_GROUPS.contains(&groups) && is_card(digits)
}

/// Whether digits are a number of a known issuer with a right check digit.
fn is_card(digits: &[u8]) -> bool {
    let prefix = |length: usize| {
        digits.iter().take(length).fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let lengths = match (prefix(1), prefix(2), prefix(3), prefix(4)) {
        (4, ..) => [13, 16, 19].as_slice(),
        (_, 34 | 37, ..) => &[15],
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => &[16],
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => &[14, 16],
        (_, 65, ..) | (_, _, 644..=649, _) | (_, _, _, 6011 | 3528..=3589) => &[16, 19],
        (_, 62 | 81, ..) => &[16, 17, 18, 19],
        _ => return false,
    };
    // `4444 4444 4444 4448` is what people type who need some number.
    let varied =
        digits.split_last().is_some_and(|(_, before)| before.iter().any(|digit| *digit != before[0]));
    lengths.contains(&digits.len()) && varied && luhn(digits)
}

/// The check of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = (digits.iter().rev().enumerate())
        .map(|(place, digit)| {
            let doubled = u32::from(digit - b'0') << (place % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The IBAN whose first check digit is at `digit`, after its country.
pub(super) fn iban_at(text: &[u8], digit: usize) -> Option<(usize, usize)> {
    let start = digit.checked_sub(2)?;
    if is_word_at(text, start.checked_sub(1)) || !is_digit_at(text, Some(digit + 1)) {
        return None;
    }
    let country = text[start..digit].first_chunk::<2>()?;
    let (_, length) = IBAN_LENGTHS.iter().find(|(known, _)| *known == country)?;
    let (mut place, mut taken, mut since_space) = (start, 0, 0);
    let mut remainder = 0_u32;
    let mut first_four = [0; 4];
    let spaced = text.get(start + 4) == Some(&b' ');
    while taken < *length {
        let byte = *text.get(place)?;
        if spaced && byte == b' ' && since_space == 4 {
            since_space = 0;
            place += 1;
            continue;
        }
        let value = character(byte)?;
        if taken < 4 {
            first_four[taken] = value;
        } else {
            remainder = append(remainder, value);
        }
        taken += 1;
        since_space += 1;
        place += 1;
    }
    let remainder = first_four.into_iter().fold(remainder, append);
    (remainder == 1 && !is_word_at(text, Some(place))).then_some((start, place))
}

/// What a character counts in the check of ISO 13616.
fn character(byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => None,
    }
}

fn append(remainder: u32, value: u32) -> u32 {
    (if value < 10 { remainder * 10 + value } else { remainder * 100 + value }) % 97
}

/// The Chinese resident identity number whose first digit is at `start`: 18 characters, the last a check
/// digit. The 15 digits issued before 1999 have none and are not looked for.
pub(super) fn resident_id_at(text: &[u8], start: usize) -> Option<(usize, usize)> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let digits = text.get(start..start + 18)?;
    if !digits[..17].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, to: usize| {
        digits[from..to].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let check = match digits[17] {
        b'X' | b'x' => 10,
        digit if digit.is_ascii_digit() => u32::from(digit - b'0'),
        _ => return None,
    };
    let sum: u32 =
        (digits[..17].iter().zip(WEIGHTS)).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let fits = (sum + check) % 11 == 1
        && PROVINCES.iter().any(|&province| u32::from(province) == number(0, 2))
        && is_date(number(6, 10), number(10, 12), number(12, 14));
    (fits && stands_alone(text, start, start + 18)).then_some((start, start + 18))
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1880..=2099).contains(&year) && (1..=days).contains(&day)
}
