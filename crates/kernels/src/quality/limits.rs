//! Limits by language: which set of limits a row is held against.

use arrow_array::StringArray;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::Rule;
use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::text::words::language_of;

/// On which side of its limit a measure must stay; the limit itself is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Not below.
    AtLeast,
    /// Not above.
    AtMost,
}

/// Limits of a filter's rules, by the index of the rule; a rule without one is off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits(Vec<Option<f64>>);

impl Limits {
    /// Limits given by name.
    ///
    /// # Errors
    /// `Option` for a name that is no rule.
    pub fn by_name(rules: &[Rule], named: &FxHashMap<String, Option<f64>>) -> Result<Self> {
        if let Some(name) = named.keys().find(|name| rules.iter().all(|rule| rule.name != **name)) {
            return Err(KernelError::Option { name: name.clone(), reason: "no such rule".to_owned() });
        }
        Ok(Self(rules.iter().map(|rule| named.get(&rule.name).copied().flatten()).collect()))
    }

    /// The limit of a rule.
    #[must_use]
    #[inline]
    pub fn of(&self, rule: usize) -> Option<f64> {
        self.0.get(rule).copied().flatten()
    }
}

/// Limits and stop words of some languages.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSet {
    /// Limits by the name of the rule; null switches a rule off.
    pub limits: FxHashMap<String, Option<f64>>,
    /// Words that every text of the language holds.
    #[serde(default)]
    pub stop_words: Vec<String>,
}

/// How the set of a row is chosen.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Languages {
    /// Column of language codes.
    pub column: Option<String>,
    /// The language of every row, whatever a column says.
    pub fixed: Option<String>,
    /// Sets by lower-case code.
    pub codes: FxHashMap<String, usize>,
    /// Set of rows without a language whose words are mostly of the Latin script.
    pub latin: usize,
    /// Set of all other rows.
    pub other: usize,
}

impl Languages {
    /// The set of a language: by the whole code, else by what stands before a `-` or `_`.
    #[must_use]
    pub fn set_of(&self, code: &str) -> usize {
        let code = code.to_ascii_lowercase();
        let known = |code: &str| self.codes.get(code).copied();
        known(&code)
            .or_else(|| known(code.split(['-', '_']).next().unwrap_or_default()))
            .unwrap_or(self.other)
    }

    /// The column of codes, where there is one.
    ///
    /// # Errors
    /// `ColumnMissing`, or `ColumnType` when it is not utf8.
    pub fn codes_in<'a>(&self, batch: &'a Batch) -> Result<Option<&'a StringArray>> {
        self.column.as_deref().filter(|_| self.fixed.is_none()).map(|column| batch.text(column)).transpose()
    }

    /// Language and set of a row; `not_latin` is asked where there is no language.
    pub(super) fn of_row<'a>(
        &'a self,
        codes: Option<&'a StringArray>,
        row: usize,
        not_latin: impl FnOnce() -> bool,
    ) -> (Option<&'a str>, usize) {
        let language = self.fixed.as_deref().or_else(|| language_of(codes, row));
        let set = match language {
            Some(code) => self.set_of(code),
            None if self.latin != self.other && not_latin() => self.other,
            None => self.latin,
        };
        (language, set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_code_or_the_start_of_it() {
        let codes = [("de", 1), ("zh", 2), ("zh-tw", 3), ("cmn_hani", 2)];
        let codes = codes.map(|(code, set)| (code.to_owned(), set)).into_iter().collect();
        let languages = Languages { codes, other: 9, ..Languages::default() };
        let sets = ["de", "DE", "de-AT", "zh-CN", "zh-TW", "cmn_Hani", "xx", "deu"]
            .map(|code| languages.set_of(code));
        assert_eq!(sets, [1, 1, 1, 2, 3, 2, 9, 9]);
    }

    #[test]
    fn an_unknown_rule_is_named() {
        let rules = [Rule::at_least("minWords", 0)];
        let limits =
            |name: &str| Limits::by_name(&rules, &[(name.to_owned(), Some(1.0))].into_iter().collect());
        assert_eq!(limits("minWords").unwrap().of(0), Some(1.0));
        assert!(limits("minWord").unwrap_err().to_string().contains("minWord"));
    }
}
