//! Citations in the way of Wikipedia: `\[\d*]|\[edit]|\[citation needed]` as Python's `re` matches it.

use std::sync::LazyLock;

use memchr::memchr;
use regex::Regex;

/// Anchored: the caller finds the bracket.
static CITATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\[(?:\p{Nd}*|edit|citation needed)\]").expect("the pattern is a constant")
});

/// Appends the line without its citations and calls `cut` for each; false, and nothing appended, when it has none.
pub fn remove_citations(line: &str, into: &mut String, mut cut: impl FnMut(&str)) -> bool {
    let (mut from, mut at) = (0, 0);
    while let Some(found) = memchr(b'[', &line.as_bytes()[at..]) {
        at += found;
        match CITATION.find(&line[at..]) {
            Some(citation) => {
                into.push_str(&line[from..at]);
                cut(citation.as_str());
                at += citation.len();
                from = at;
            }
            None => at += 1,
        }
    }
    if from > 0 {
        into.push_str(&line[from..]);
    }
    from > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_go_and_other_brackets_stay() {
        for (line, expected, cuts) in [
            ("a[1] b[23][edit].", "a b.", 3),
            ("[citation needed]a[]", "a", 2),
            ("a[Edit] [x] [[2]", "a[Edit] [x] [", 1),
        ] {
            let (mut text, mut count) = (String::new(), 0);
            assert!(remove_citations(line, &mut text, |_| count += 1));
            assert_eq!((text.as_str(), count), (expected, cuts));
        }
        assert!(!remove_citations("a [b", &mut String::new(), |_| ()));
    }
}
