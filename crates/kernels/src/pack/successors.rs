//! A set of small numbers that finds the smallest member not below a given one.
//!
//! Words of 64 bits in levels: a bit of a level says that the word below it is not empty. A look-up
//! touches two words a level, and 2²⁴ numbers need four levels.

/// A set of numbers below a bound.
pub(super) struct Successors {
    /// The members first, the single top word last.
    levels: Vec<Vec<u64>>,
}

impl Successors {
    /// An empty set for numbers below `bound`.
    pub(super) fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = bound.max(1);
        loop {
            let words = bits.div_ceil(64);
            levels.push(vec![0; words]);
            if words == 1 {
                return Self { levels };
            }
            bits = words;
        }
    }

    pub(super) fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    pub(super) fn remove(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            level[at / 64] &= !(1 << (at % 64));
            if level[at / 64] != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The smallest member that is at least `number`.
    pub(super) fn at_least(&self, number: usize) -> Option<usize> {
        let mut at = number;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / 64)? & (!0 << (at % 64));
            if word != 0 {
                let found = at / 64 * 64 + word.trailing_zeros() as usize;
                return Some(self.first_below(height, found));
            }
            at = at / 64 + 1;
        }
        None
    }

    /// The smallest member under a bit of a level.
    fn first_below(&self, height: usize, bit: usize) -> usize {
        self.levels[..height]
            .iter()
            .rev()
            .fold(bit, |at, level| at * 64 + level[at].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(
            steps in prop::collection::vec((0_usize..10_000, any::<bool>(), 0_usize..10_000), 0..300)
        ) {
            let mut ours = Successors::new(10_000);
            let mut theirs = BTreeSet::new();
            for (number, insert, asked) in steps {
                if insert {
                    ours.insert(number);
                    theirs.insert(number);
                } else {
                    ours.remove(number);
                    theirs.remove(&number);
                }
                prop_assert_eq!(ours.at_least(asked), theirs.range(asked..).next().copied());
            }
        }
    }

    #[test]
    fn the_smallest_bounds_work() {
        for bound in [1, 64, 65, 4096, 4097] {
            let mut set = Successors::new(bound);
            assert_eq!(set.at_least(0), None);
            set.insert(bound - 1);
            assert_eq!(set.at_least(0), Some(bound - 1));
            assert_eq!(set.at_least(bound), None);
        }
    }
}
