//! Sums of f64 without rounding.
//!
//! A sum of floats depends on how it is grouped, so it would depend on how the input is cut into tasks and batches.
//! Here every finite f64 is an integer number of units of 2^-1074 (its square, of 2^-2148), and integers are added:
//! the sum is exact, so any grouping and any order give the same one. It is rounded once, where a mean or a
//! deviation is made of it.
//!
//! The accumulator is a row of 32-bit digits in 64-bit places (a small superaccumulator, as in Neal, "Fast exact
//! summation using small and large superaccumulators", arXiv:1505.05571): a value touches three of them, and carries
//! wait until the places are nearly full.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits of a digit.
const DIGIT: usize = 32;
/// Exponent of the unit of a value.
const UNIT: i64 = -1074;
/// Values between two carries: each adds less than 2^33 to a place of 2^63.
const CARRY_AFTER: u32 = 1 << 28;
/// Bits of the largest f64 in units, and room for 2^64 of them.
const VALUE_BITS: usize = 2098 + 64;

/// An exact sum of f64, or of their squares, of up to 2^64 values.
#[derive(Debug, Clone)]
struct Accumulator {
    digits: Vec<i64>,
    waiting: u32,
}

impl Accumulator {
    fn new(bits: usize) -> Self {
        // Three digits more: an addition touches three, the highest one has the sign.
        Self { digits: vec![0; bits.div_ceil(DIGIT) + 3], waiting: 0 }
    }

    /// Adds `magnitude` times 2^`shift` units.
    fn add(&mut self, magnitude: u64, shift: usize, negative: bool) {
        let (at, by) = (shift / DIGIT, shift % DIGIT);
        let shifted = u128::from(magnitude) << by;
        let sign = if negative { -1 } else { 1 };
        let pieces = [shifted as u32, (shifted >> DIGIT) as u32, (shifted >> (2 * DIGIT)) as u32];
        for (digit, piece) in self.digits[at..at + 3].iter_mut().zip(pieces) {
            *digit += sign * i64::from(piece);
        }
        self.waiting += 1;
        if self.waiting == CARRY_AFTER {
            carry(&mut self.digits);
            self.waiting = 0;
        }
    }

    fn total(&self) -> BigInt {
        let mut digits = self.digits.clone();
        carry(&mut digits);
        let negative = digits.last().is_some_and(|&top| top < 0);
        if negative {
            for digit in &mut digits {
                *digit = -*digit;
            }
            carry(&mut digits);
        }
        #[expect(clippy::cast_sign_loss, reason = "carried digits lie in 0..2^32")]
        let magnitude = BigUint::new(digits.into_iter().map(|digit| digit as u32).collect());
        BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude)
    }
}

/// Brings all digits but the highest, which keeps the sign, into 0..2^32.
fn carry(digits: &mut [i64]) {
    for at in 1..digits.len() {
        let over = digits[at - 1] >> DIGIT;
        digits[at - 1] -= over << DIGIT;
        digits[at] += over;
    }
}

/// Count, sum and, where asked for, sum of squares of finite values, all exact.
#[derive(Debug, Clone)]
pub struct ExactSums {
    count: u64,
    sum: Accumulator,
    squares: Option<Accumulator>,
}

impl ExactSums {
    /// Nothing yet.
    #[must_use]
    pub fn new(squares: bool) -> Self {
        Self {
            count: 0,
            sum: Accumulator::new(VALUE_BITS),
            squares: squares.then(|| Accumulator::new(2 * VALUE_BITS)),
        }
    }

    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        // Subnormal values have the exponent of the smallest normal ones and no leading one.
        let (magnitude, shift) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        self.count += 1;
        self.sum.add(magnitude, shift, value.is_sign_negative());
        if let Some(squares) = &mut self.squares {
            let square = u128::from(magnitude) * u128::from(magnitude);
            squares.add(square as u64, 2 * shift, false);
            squares.add((square >> 64) as u64, 2 * shift + 64, false);
        }
    }

    /// What was added, to be kept.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            count: self.count,
            sum: Whole(self.sum.total()),
            squares: self.squares.as_ref().map(|squares| Whole(squares.total())),
        }
    }
}

/// A whole number that JSON holds as hexadecimal text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Whole(BigInt);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_str_radix(16))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = BigInt::parse_bytes(text.as_bytes(), 16);
        number.map(Self).ok_or_else(|| serde::de::Error::custom("not a hexadecimal number"))
    }
}

/// Sums of one part of the data, which add up to those of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    count: u64,
    /// In units of 2^-1074.
    sum: Whole,
    /// In units of 2^-2148.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    squares: Option<Whole>,
}

impl Totals {
    /// Values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds those of another part.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum.0 += other.sum.0;
        if let Some(Whole(more)) = other.squares {
            self.squares.get_or_insert_default().0 += more;
        }
    }

    /// Adds a finite value so many times.
    pub fn add_repeated(&mut self, value: f64, times: u64) {
        let mut one = ExactSums::new(self.squares.is_some());
        one.add(value);
        let Totals { sum, squares, .. } = one.totals();
        self.count += times;
        self.sum.0 += sum.0 * times;
        if let (Some(Whole(own)), Some(Whole(square))) = (&mut self.squares, squares) {
            *own += square * times;
        }
    }

    /// The mean, rounded once; `None` of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| Float::quotient(&self.sum.0, &BigInt::from(self.count), UNIT).value())
    }

    /// The population's variance (divided by the count) and its square root; `None` of nothing.
    ///
    /// `(count Σx² - (Σx)²) / count²`, which cancels nothing here, since every term is exact. The root is right
    /// even where the variance itself is too large or too small for f64.
    #[must_use]
    pub fn variance(&self) -> Option<(f64, f64)> {
        let squares = &self.squares.as_ref()?.0;
        if self.count == 0 {
            return None;
        }
        let count = BigInt::from(self.count);
        let variance =
            Float::quotient(&(squares * &count - &self.sum.0 * &self.sum.0), &(&count * &count), 2 * UNIT);
        Some((variance.value(), variance.root()))
    }
}

/// `significand` times 2^`exponent`, of a wider range than f64.
struct Float {
    significand: f64,
    exponent: i64,
}

impl Float {
    /// `numerator / denominator * 2^unit`, rounded to 53 bits, ties to even.
    fn quotient(numerator: &BigInt, denominator: &BigInt, unit: i64) -> Self {
        let (sign, magnitude) = (numerator.sign(), numerator.magnitude());
        if sign == Sign::NoSign {
            return Self { significand: 0.0, exponent: 0 };
        }
        // 64 bits of the quotient at least; those below the 64th only say which way to round.
        let missing = 66 + denominator.bits() as i64 - magnitude.bits() as i64;
        let (magnitude, unit) = match missing.cmp(&0) {
            Ordering::Greater => (magnitude << missing, unit - missing),
            _ => (magnitude.clone(), unit),
        };
        let quotient = &magnitude / denominator.magnitude();
        let rest = &quotient * denominator.magnitude() != magnitude;
        let below = quotient.bits() as i64 - 64;
        let top = &quotient >> below;
        let rest = rest || (&top << below) != quotient;
        let top = top.iter_u64_digits().next().unwrap_or_default() | u64::from(rest);
        let significand = if sign == Sign::Minus { -(top as f64) } else { top as f64 };
        Self { significand, exponent: unit + below }
    }

    /// The nearest f64; infinite where it is too large.
    fn value(&self) -> f64 {
        let (mut value, mut left) = (self.significand, self.exponent);
        // The significand is near 2^64: in two strides it stays a normal number until the last.
        while left != 0 {
            let stride = left.clamp(-1000, 1000);
            value *= 2_f64.powi(stride as i32);
            left -= stride;
        }
        value
    }

    fn root(&self) -> f64 {
        let odd = self.exponent.rem_euclid(2);
        let significand = if odd == 1 { self.significand * 2.0 } else { self.significand };
        Self { significand: significand.sqrt(), exponent: (self.exponent - odd) / 2 }.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Totals {
        let mut sums = ExactSums::new(true);
        for &value in values {
            sums.add(value);
        }
        sums.totals()
    }

    /// A value as a number of units of 2^-1074, by halving and doubling.
    fn units(value: f64) -> BigInt {
        let (mut whole, mut exponent) = (value.abs(), 1074_usize);
        while whole >= 2_f64.powi(53) {
            whole /= 2.0;
            exponent += 1;
        }
        while whole.fract() != 0.0 {
            whole *= 2.0;
            exponent -= 1;
        }
        let units = BigInt::from(whole as i64) << exponent;
        if value < 0.0 { -units } else { units }
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
            -1e3..1e3_f64,
            Just(f64::MAX),
            Just(f64::MIN),
            Just(f64::from_bits(1)),
            Just(-0.0),
        ]
    }

    proptest! {
        #[test]
        fn a_sum_is_that_of_whole_numbers(values in prop::collection::vec(finite(), 0..40)) {
            let totals = of(&values);
            let sum: BigInt = values.iter().map(|&value| units(value)).sum();
            let squares: BigInt = values.iter().map(|&value| units(value) * units(value)).sum();
            prop_assert_eq!(totals.sum.0, sum);
            prop_assert_eq!(totals.squares.unwrap().0, squares);
        }

        #[test]
        fn parts_in_any_order_give_the_bits_of_the_whole(
            (values, cuts) in (prop::collection::vec(finite(), 1..60), prop::collection::vec(0_usize..60, 0..5))
        ) {
            let whole = of(&values);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(values.len())).collect();
            cuts.extend([0, values.len()]);
            cuts.sort_unstable();
            let mut merged = Totals::default();
            for part in cuts.windows(2).rev() {
                let mut part = values[part[0]..part[1]].to_vec();
                part.reverse();
                let json = serde_json::to_string(&of(&part)).unwrap();
                merged.merge(serde_json::from_str(&json).unwrap());
            }
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.mean().map(f64::to_bits), whole.mean().map(f64::to_bits));
        }

        #[test]
        fn a_value_added_so_many_times(values in prop::collection::vec(finite(), 0..9), value in finite(), times in 0_u64..9) {
            let mut repeated = of(&values);
            repeated.add_repeated(value, times);
            prop_assert_eq!(repeated, of(&[values, vec![value; times as usize]].concat()));
        }

        #[test]
        fn a_mean_of_one_value_is_that_value(value in finite()) {
            prop_assert_eq!(of(&[value; 3]).mean(), Some(value));
            prop_assert_eq!(of(&[value; 3]).variance(), Some((0.0, 0.0)));
        }

        #[test]
        fn moderate_values_have_the_variance_of_the_textbook(values in prop::collection::vec(-1e3..1e3_f64, 2..200)) {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let expected = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let (variance, root) = of(&values).variance().unwrap();
            prop_assert!((variance - expected).abs() <= 1e-12 * expected);
            prop_assert!((root - expected.sqrt()).abs() <= 1e-12 * expected.sqrt());
        }
    }

    #[test]
    fn a_far_origin_costs_no_digit() {
        let near: Vec<f64> = (0..1000).map(|at| f64::from(at * 7 % 1000) / 1024.0).collect();
        let far: Vec<f64> = near.iter().map(|value| value + 1e12).collect();
        assert_eq!(of(&near).variance(), of(&far).variance());
    }

    #[test]
    fn a_deviation_outside_the_range_of_variances_is_right() {
        assert_eq!(of(&[1e200, -1e200]).variance(), Some((f64::INFINITY, 1e200)));
        let (variance, root) = of(&[1e-200, -1e-200]).variance().unwrap();
        assert_eq!(variance.to_bits(), 0);
        assert!((root - 1e-200).abs() <= f64::EPSILON * 1e-200);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(of(&[]).mean(), None);
        assert_eq!(of(&[]).variance(), None);
    }
}
