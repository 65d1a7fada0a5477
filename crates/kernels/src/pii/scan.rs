//! All kinds in one pass: a table tells the few bytes where something may begin.

use super::secrets::Secrets;
use super::{Kind, Match, email, ip, is_digit_at, numbers, phone, run_end};
use crate::error::Result;

/// Finds private data of chosen kinds.
pub struct Finder {
    kinds: [bool; Kind::ALL.len()],
    secrets: Option<Secrets>,
    /// Bytes at which something may begin.
    interesting: [bool; 256],
}

impl Finder {
    /// Looks for `kinds`.
    ///
    /// # Errors
    /// `Internal` never; the patterns are fixed.
    pub fn new(kinds: &[Kind]) -> Result<Self> {
        let mut chosen = [false; Kind::ALL.len()];
        for &kind in kinds {
            chosen[kind as usize] = true;
        }
        let wants = |some: &[Kind]| some.iter().any(|&kind| chosen[kind as usize]);
        let mut interesting = [false; 256];
        interesting[usize::from(b'@')] = wants(&[Kind::Email]);
        interesting[usize::from(b':')] = wants(&[Kind::Ip]);
        for digit in b'0'..=b'9' {
            interesting[usize::from(digit)] =
                wants(&[Kind::Phone, Kind::Ip, Kind::CreditCard, Kind::Iban, Kind::ResidentId]);
        }
        let secrets = wants(&[Kind::ApiKey, Kind::PrivateKey]).then(Secrets::new).transpose()?;
        Ok(Self { kinds: chosen, secrets, interesting })
    }

    fn wants(&self, kind: Kind) -> bool {
        self.kinds[kind as usize]
    }

    /// Puts all matches of a text into `found`, in order and without overlaps: keys come first, then what
    /// begins first.
    pub fn find(&self, text: &str, found: &mut Vec<Match>) {
        let bytes = text.as_bytes();
        found.clear();
        if let Some(secrets) = &self.secrets {
            secrets.find(bytes, found);
            found.retain(|one| self.wants(one.kind));
        }
        let keys = found.len();
        let (mut place, mut next_key) = (0, 0);
        while let Some(skipped) = bytes[place..].iter().position(|&byte| self.interesting[usize::from(byte)])
        {
            place += skipped;
            while next_key < keys && found[next_key].end <= place {
                next_key += 1;
            }
            if let Some(key) = found[..keys].get(next_key).filter(|key| key.start <= place) {
                place = key.end;
                continue;
            }
            let floor = if next_key == 0 { 0 } else { found[next_key - 1].end };
            let ceiling = found[..keys].get(next_key).map_or(bytes.len(), |key| key.start);
            let Some(one) = self.at(bytes, place).filter(|one| one.start >= floor && one.end <= ceiling)
            else {
                place = after_candidate(bytes, place);
                continue;
            };
            // An address may hold digits that were taken for a number.
            while found.len() > keys && found[found.len() - 1].end > one.start {
                found.pop();
            }
            place = one.end;
            found.push(one);
        }
        if keys > 0 {
            found.sort_by_key(|one| one.start);
        }
    }

    /// What begins or stands around the byte at `place`.
    fn at(&self, text: &[u8], place: usize) -> Option<Match> {
        let found = |kind: Kind, bounds: Option<(usize, usize)>| {
            bounds.map(|(start, end)| Match { kind, start, end })
        };
        match text[place] {
            b'@' => found(Kind::Email, email::around(text, place)),
            b':' => found(Kind::Ip, ip::v6_around(text, place)),
            _ => {
                type At = fn(&[u8], usize) -> Option<(usize, usize)>;
                let numbers: [(Kind, At); 5] = [
                    (Kind::Iban, numbers::iban_at),
                    (Kind::ResidentId, numbers::resident_id_at),
                    (Kind::CreditCard, numbers::card_at),
                    (Kind::Ip, ip::v4_at),
                    (Kind::Phone, phone::at),
                ];
                numbers
                    .into_iter()
                    .filter(|&(kind, _)| self.wants(kind))
                    .find_map(|(kind, at)| found(kind, at(text, place)))
            }
        }
    }
}

/// Where to look on when nothing was found: a run of digits is one candidate.
fn after_candidate(text: &[u8], place: usize) -> usize {
    if is_digit_at(text, Some(place)) {
        run_end(text, place, |byte| byte.is_ascii_digit())
    } else {
        place + 1
    }
}
