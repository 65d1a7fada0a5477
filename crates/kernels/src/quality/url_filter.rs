//! Judges the address a document came from: `RefinedWeb` (Penedo et al. 2023, arXiv:2306.01116, section 3.1 and appendix
//! G.1), in the order and with the thresholds of datatrove 0.10.1 (`URLFilter`). The lists are the user's.
//!
//! Differences: a listed domain stands for all domains below it, at any depth; case never counts; letters outside
//! ASCII are letters. A row without an address stays.

use std::ops::ControlFlow;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use rustc_hash::FxHashSet;
use serde::Deserialize;

use super::lists::{Entries, List, content_hash, of_lists};
use super::{Document, Filter, Judge, Measures, Rule};
use crate::error::{KernelError, Result};
use crate::hash::digest128;
use crate::shared::Shared;

/// Measures are the rules, by index.
const MEASURES: [&str; 5] = ["domains", "urls", "words", "soft_words", "substrings"];
const RULES: [&str; 5] = ["domains", "urls", "words", "maxSoftWords", "substrings"];

/// The lists of a filter.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Domains, each with all below it.
    pub domains: Option<List>,
    /// Whole addresses.
    pub urls: Option<List>,
    /// Words between characters that are no letters or digits.
    pub words: Option<List>,
    /// Words of which several must occur.
    pub soft_words: Option<List>,
    /// Anywhere in the letters and digits of an address.
    pub substrings: Option<List>,
    /// Hash of the lists, where they were read before.
    #[serde(default, deserialize_with = "content_hash")]
    pub content_hash: Option<u128>,
}

/// What is made of the lists. Domains and addresses are held as hashes, since lists of them reach millions.
#[derive(Debug, Default)]
struct Blocked {
    domains: FxHashSet<u128>,
    urls: FxHashSet<u128>,
    words: FxHashSet<String>,
    soft_words: FxHashSet<String>,
    substrings: Option<AhoCorasick>,
}

static LISTS: Shared<Blocked> = Shared::new();

/// Looks addresses up.
#[derive(Debug)]
pub struct UrlFilter {
    measures: Vec<(String, Measures)>,
    rules: Vec<Rule>,
    blocked: Arc<Blocked>,
    content_hash: u128,
    /// Letters and digits of the address at hand.
    letters: String,
}

impl UrlFilter {
    /// Reads the lists.
    ///
    /// # Errors
    /// As [`of_lists`].
    pub fn new(options: &Options) -> Result<Self> {
        let Options { domains, urls, words, soft_words, substrings, content_hash } = options;
        let lists = [
            ("domains", domains),
            ("urls", urls),
            ("words", words),
            ("softWords", soft_words),
            ("substrings", substrings),
        ];
        let given: Vec<(&str, &List)> =
            lists.iter().filter_map(|(option, list)| Some((*option, list.as_ref()?))).collect();
        let (blocked, content_hash) = of_lists(&LISTS, &given, *content_hash, |lists| {
            let mut blocked = Blocked::default();
            lists.iter().try_for_each(|list| blocked.read(list))?;
            Ok(blocked)
        })?;
        Ok(Self {
            measures: MEASURES.map(|name| (name.to_owned(), Measures::Count)).into(),
            rules: (0..).zip(RULES).map(|(measure, rule)| Rule::at_most(rule, measure)).collect(),
            blocked,
            content_hash,
            letters: String::new(),
        })
    }
}

impl Blocked {
    fn read(&mut self, list: &Entries<'_>) -> Result<()> {
        match list.option() {
            "domains" => list.each(|entry| {
                self.domains.insert(digest128(domain(entry)?.as_bytes()));
                Ok(())
            }),
            "urls" => list.each(|entry| {
                self.urls.insert(digest128(entry.to_lowercase().as_bytes()));
                Ok(())
            }),
            "words" => list.each(|entry| word(entry).map(|word| _ = self.words.insert(word))),
            "softWords" => list.each(|entry| word(entry).map(|word| _ = self.soft_words.insert(word))),
            _ => {
                let mut parts = FxHashSet::default();
                list.each(|entry| word(entry).map(|part| _ = parts.insert(part)))?;
                let mut parts: Vec<String> = parts.into_iter().collect();
                parts.sort_unstable();
                self.substrings = Some(AhoCorasick::new(parts).map_err(KernelError::internal)?);
                Ok(())
            }
        }
    }
}

/// A domain in lower case, without the dots or the `*.` it may start or end with.
fn domain(entry: &str) -> Result<String, String> {
    let name = entry.strip_prefix('*').unwrap_or(entry).trim_matches('.').to_lowercase();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "/:@?#*".contains(c)) {
        return Err(format!("'{entry}' is no domain; whole addresses belong under urls"));
    }
    Ok(name)
}

/// The letters and digits of a word in lower case.
fn word(entry: &str) -> Result<String, String> {
    let mut word = String::new();
    letters_of(&entry.to_lowercase(), &mut word);
    if word.is_empty() { Err(format!("'{entry}' holds no letter or digit")) } else { Ok(word) }
}

fn letters_of(lowered: &str, into: &mut String) {
    into.clear();
    into.extend(lowered.chars().filter(|c| c.is_alphanumeric()));
}

/// The host of an address: without scheme, user, port and path.
fn host(url: &str) -> &str {
    let is_scheme = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
    };
    let rest = match url.split_once("//") {
        Some(("", rest)) => rest,
        Some((scheme, rest)) if scheme.strip_suffix(':').is_some_and(is_scheme) => rest,
        _ => url,
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.trim_end_matches('.')
}

/// A domain has no more bytes (RFC 1035, section 2.3.4); what has is no address, and may be of any length.
const LONGEST_DOMAIN: usize = 255;

/// A name and all it is below, the longest first.
fn with_parents(host: &str) -> impl Iterator<Item = &str> {
    let name = (host.len() <= LONGEST_DOMAIN).then_some(host);
    std::iter::successors(name, |name| name.split_once('.').map(|(_, parent)| parent))
}

/// How many of the listed words stand in an address, each counted once.
fn count_words(lowered: &str, listed: &FxHashSet<String>) -> usize {
    if listed.is_empty() {
        return 0;
    }
    let words = lowered.split(|c: char| !c.is_alphanumeric()).filter(|word| listed.contains(*word));
    words.collect::<FxHashSet<&str>>().len()
}

impl Filter for UrlFilter {
    fn measures(&self) -> &[(String, Measures)] {
        &self.measures
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn content_hash(&self) -> Option<u128> {
        Some(self.content_hash)
    }

    fn judge(&mut self, document: Document<'_>, judge: &mut Judge<'_>) -> ControlFlow<()> {
        let url = document.text.trim().to_lowercase();
        let blocked = &*self.blocked;
        let is_listed = |name: &str| blocked.domains.contains(&digest128(name.as_bytes()));
        let domains = !blocked.domains.is_empty() && with_parents(host(&url)).any(is_listed);
        judge.measure(0, f64::from(u8::from(domains)))?;
        judge.measure(1, f64::from(u8::from(blocked.urls.contains(&digest128(url.as_bytes())))))?;
        judge.measure(2, count_words(&url, &blocked.words) as f64)?;
        judge.measure(3, count_words(&url, &blocked.soft_words) as f64)?;
        let substrings = blocked.substrings.as_ref().map_or(0, |substrings| {
            letters_of(&url, &mut self.letters);
            substrings.find_overlapping_iter(&self.letters).count()
        });
        judge.measure(4, substrings as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_whatever_looks_like_an_address() {
        for (url, expected) in [
            ("https://user:pass@a.example.com:8080/b?c#d", "a.example.com"),
            ("a.example.com/?to=http://b.example", "a.example.com"),
            ("//cdn.example.com/x", "cdn.example.com"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("http://example.com.", "example.com"),
            ("http://例え.jp/", "例え.jp"),
            ("", ""),
            ("//", ""),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
        assert_eq!(with_parents("a.b.c").collect::<Vec<_>>(), ["a.b.c", "b.c", "c"]);
        assert_eq!(with_parents(&"a.".repeat(1000)).count(), 0);
    }

    #[test]
    fn entries_are_brought_into_one_form_or_refused() {
        assert_eq!(domain("*.Example.COM.").unwrap(), "example.com");
        assert!(domain("http://example.com/").unwrap_err().contains("belong under urls"));
        assert!(domain("0.0.0.0 example.com").is_err() && domain(".").is_err());
        assert_eq!(word("Foo-Bar").unwrap(), "foobar");
        assert!(word("--").unwrap_err().contains("no letter or digit"));
    }

    #[test]
    fn words_count_once() {
        let listed = ["bad", "worse"].map(str::to_owned).into_iter().collect();
        assert_eq!(count_words("http://bad.com/bad-worse/badly", &listed), 2);
    }
}
