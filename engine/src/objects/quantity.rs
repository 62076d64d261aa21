//! Quantities: the numbers with a unit of Kubernetes, `250m`, `1Gi`, `3e6`.
//!
//! A quantity is an exact number plus the family of suffixes it was written in. The number is kept in nano units, the
//! finest a quantity can be; what is written finer is rounded up, away from zero. Two quantities are equal when their
//! numbers are, whatever their suffixes.
//!
//! Left out: numbers beyond 1.7e29, which are capped (Kubernetes caps only binary ones, at 2^63-1, as done here too).
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/api/resource/{quantity,suffix,amount}.go.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

/// An exact number with the suffix family it is written in.
///
/// Compared by number alone: `1000m` equals `1`, `1Ki` equals `1024`.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// The number. [10^-9 of the unit the resource is counted in]
    nanos: i128,
    /// The suffix family of the canonical form.
    format: Format,
}

/// The suffix family of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Powers of ten with a letter: `n u m k M G T P E`, or none.
    DecimalSi,
    /// Powers of 1024: `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// Powers of ten with an exponent: `e3`.
    DecimalExponent,
}

/// Why a text is not a quantity. The texts are those of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form number, suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    FormatWrong,
    /// No digit in the number.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is not one of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Nano units in one unit, in one thousandth of it.
const NANOS_PER_UNIT: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;
/// Largest binary quantity; Kubernetes: maxAllowed. [units]
const MAX_BINARY: i128 = i64::MAX as i128;
/// Digits that fit a 64-bit integer for certain; Kubernetes: maxInt64Factors.
const SAFE_DIGITS: i64 = 18;

/// The decimal suffixes with their powers of ten.
const DECIMAL_SUFFIXES: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// The binary suffixes with their powers of two.
const BINARY_SUFFIXES: [(&str, i32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

impl Quantity {
    /// Nothing, in decimal form.
    pub const ZERO: Quantity = Quantity { nanos: 0, format: Format::DecimalSi };

    /// Reads a quantity as the API server reads it.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let parts = Parts::split(text)?;
        let suffix = Suffix::interpret(parts.suffix)?;
        if !parts.has_digit() && suffix.needs_big_number(&parts) {
            return Err(QuantityError::Numeric);
        }
        let magnitude = match suffix.format {
            Format::BinarySi => parts.scaled_by_two(suffix.exponent),
            Format::DecimalSi | Format::DecimalExponent => parts.scaled_by_ten(suffix.exponent),
        };
        let below_one = magnitude > 0 && magnitude < NANOS_PER_UNIT;
        let format = if suffix.format == Format::BinarySi && below_one { Format::DecimalSi } else { suffix.format };
        Ok(Quantity { nanos: if parts.negative { -magnitude } else { magnitude }, format })
    }

    /// `value` whole units, written in `format`.
    pub const fn from_value(value: i64, format: Format) -> Quantity {
        Quantity { nanos: value as i128 * NANOS_PER_UNIT, format }
    }

    /// `milli` thousandths of the unit, in decimal form.
    pub const fn from_milli(milli: i64) -> Quantity {
        Quantity { nanos: milli as i128 * NANOS_PER_MILLI, format: Format::DecimalSi }
    }

    /// `nanos` nano units, written in `format`.
    pub const fn from_nanos(nanos: i128, format: Format) -> Quantity {
        Quantity { nanos, format }
    }

    /// The exact number. [10^-9 units]
    pub const fn nanos(self) -> i128 {
        self.nanos
    }

    /// The suffix family.
    pub const fn format(self) -> Format {
        self.format
    }

    /// Thousandths of the unit, rounded up away from zero and capped to 64 bits; Kubernetes: MilliValue.
    pub fn milli(self) -> i64 {
        to_i64(divide_up(self.nanos, NANOS_PER_MILLI))
    }

    /// Whole units, rounded up away from zero and capped to 64 bits; Kubernetes: Value.
    pub fn value(self) -> i64 {
        to_i64(divide_up(self.nanos, NANOS_PER_UNIT))
    }

    /// True if the number is zero.
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// True if the number is below zero.
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The number rounded up, away from zero, to whole thousandths; Kubernetes: RoundUp(Milli).
    pub fn rounded_up_to_milli(self) -> Quantity {
        Quantity { nanos: divide_up(self.nanos, NANOS_PER_MILLI).saturating_mul(NANOS_PER_MILLI), ..self }
    }

    /// The sum, or none if it does not fit. A zero takes on the format of what is added.
    pub fn checked_add(self, other: Quantity) -> Option<Quantity> {
        Some(Quantity { nanos: self.nanos.checked_add(other.nanos)?, format: self.format_with(other) })
    }

    /// The difference, or none if it does not fit. A zero takes on the format of what is subtracted.
    pub fn checked_sub(self, other: Quantity) -> Option<Quantity> {
        Some(Quantity { nanos: self.nanos.checked_sub(other.nanos)?, format: self.format_with(other) })
    }

    /// The sum, capped. A zero takes on the format of what is added.
    pub fn saturating_add(self, other: Quantity) -> Quantity {
        Quantity { nanos: self.nanos.saturating_add(other.nanos), format: self.format_with(other) }
    }

    /// The difference, capped. A zero takes on the format of what is subtracted.
    pub fn saturating_sub(self, other: Quantity) -> Quantity {
        Quantity { nanos: self.nanos.saturating_sub(other.nanos), format: self.format_with(other) }
    }

    /// The number `factor` times, capped.
    pub fn saturating_mul(self, factor: i64) -> Quantity {
        Quantity { nanos: self.nanos.saturating_mul(i128::from(factor)), ..self }
    }

    /// The form in which the API server answers: the largest suffix that leaves no fraction.
    pub fn canonical(self) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        match self.format {
            Format::BinarySi if self.is_shown_binary() => self.canonical_binary(),
            Format::BinarySi | Format::DecimalSi => {
                let (number, exponent) = self.canonical_decimal();
                let suffix = DECIMAL_SUFFIXES.iter().find(|(_, power)| *power == exponent).map_or("", |(s, _)| s);
                format!("{number}{suffix}")
            }
            Format::DecimalExponent => match self.canonical_decimal() {
                (number, 0) => number.to_string(),
                (number, exponent) => format!("{number}e{exponent}"),
            },
        }
    }

    /// Binary suffixes only for whole numbers of 1024 and more: anything else would have to be rounded.
    fn is_shown_binary(self) -> bool {
        self.nanos % NANOS_PER_UNIT == 0 && (self.nanos / NANOS_PER_UNIT).unsigned_abs() >= 1024
    }

    fn canonical_binary(self) -> String {
        let mut number = self.nanos / NANOS_PER_UNIT;
        let mut suffix = "";
        for (next, _) in BINARY_SUFFIXES {
            if number % 1024 != 0 {
                break;
            }
            number /= 1024;
            suffix = next;
        }
        format!("{number}{suffix}")
    }

    /// A number and a power of ten, a multiple of three, as large as leaves no fraction. Letters end at 10^18, and so
    /// do we, for both decimal forms would otherwise be unreadable by the other.
    fn canonical_decimal(self) -> (i128, i32) {
        let (mut number, mut exponent) = (self.nanos, -9);
        let limit = if self.format == Format::DecimalExponent { i32::MAX } else { 18 };
        while number % 1000 == 0 && exponent < limit {
            number /= 1000;
            exponent += 3;
        }
        (number, exponent)
    }

    fn format_with(self, other: Quantity) -> Format {
        if self.is_zero() { other.format } else { self.format }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Quantity::ZERO
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.canonical())
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Quantity::parse(text)
    }
}

impl From<Quantity> for ApiQuantity {
    fn from(quantity: Quantity) -> ApiQuantity {
        ApiQuantity(quantity.canonical())
    }
}

impl TryFrom<&ApiQuantity> for Quantity {
    type Error = QuantityError;

    fn try_from(quantity: &ApiQuantity) -> Result<Self, Self::Error> {
        // The decoder of the API server trims white space, the parser itself does not.
        Quantity::parse(quantity.0.trim())
    }
}

/// A quantity text cut into its parts.
struct Parts<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    suffix: &'a str,
    /// True if a digit was written at all; leading zeros are no longer in `whole`.
    any_digit: bool,
}

impl<'a> Parts<'a> {
    /// Cuts as the parser of Kubernetes does, which is a little more lenient than the expression in its error text.
    fn split(text: &'a str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::FormatWrong);
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, mut rest) = take_while(unsigned, |c| c.is_ascii_digit());
        let mut fraction = "";
        if let Some(after_point) = rest.strip_prefix('.') {
            (fraction, rest) = take_while(after_point, |c| c.is_ascii_digit());
        }
        let (letters, mut tail) = take_while(rest, |c| "eEinumkKMGTP".contains(c));
        tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
        let (_, garbage) = take_while(tail, |c| c.is_ascii_digit());
        debug_assert!(letters.len() <= rest.len());
        if !garbage.is_empty() {
            return Err(QuantityError::FormatWrong);
        }
        let any_digit = !digits.is_empty() || !fraction.is_empty();
        Ok(Parts { negative, whole: digits.trim_start_matches('0'), fraction, suffix: rest, any_digit })
    }

    fn has_digit(&self) -> bool {
        self.any_digit
    }

    /// The number times 10^exponent, rounded up. [nanos]
    fn scaled_by_ten(&self, exponent: i32) -> i128 {
        let digits = [self.whole, self.fraction].concat();
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return 0;
        }
        let shift = i64::from(exponent) + 9 - self.fraction.len() as i64;
        if shift >= 0 {
            return times_power_of_ten(integer(digits), shift);
        }
        let kept = (digits.len() as i64 + shift).max(0) as usize;
        let (kept, dropped) = digits.split_at(kept);
        let round_up = dropped.bytes().any(|digit| digit != b'0');
        integer(kept).saturating_add(i128::from(round_up))
    }

    /// The number times 2^exponent, rounded up, at most [`MAX_BINARY`] units. [nanos]
    fn scaled_by_two(&self, exponent: i32) -> i128 {
        let unit: i128 = NANOS_PER_UNIT << exponent;
        // From the last digit to the first, so that every step is one small division; what the divisions lose only
        // decides about rounding up.
        let (mut part, mut lost) = (0_i128, false);
        for digit in self.fraction.bytes().rev() {
            let sum = i128::from(digit - b'0') * unit + part;
            lost |= sum % 10 != 0;
            part = sum / 10;
        }
        let whole = integer(self.whole).saturating_mul(unit);
        whole.saturating_add(part).saturating_add(i128::from(lost)).min(MAX_BINARY * NANOS_PER_UNIT)
    }
}

/// What a suffix means.
struct Suffix {
    format: Format,
    /// Power of ten, or of two for the binary family.
    exponent: i32,
}

impl Suffix {
    fn interpret(text: &str) -> Result<Self, QuantityError> {
        let known = |table: &[(&str, i32)]| table.iter().find(|(suffix, _)| *suffix == text).map(|(_, power)| *power);
        if let Some(exponent) = known(&DECIMAL_SUFFIXES) {
            return Ok(Suffix { format: Format::DecimalSi, exponent });
        }
        if let Some(exponent) = known(&BINARY_SUFFIXES) {
            return Ok(Suffix { format: Format::BinarySi, exponent });
        }
        let power = text.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
        let power: i64 = power.parse().map_err(|_| QuantityError::Suffix)?;
        // Kubernetes cuts the exponent to 32 bits without a check.
        Ok(Suffix { format: Format::DecimalExponent, exponent: power as i32 })
    }

    /// True if the number goes through the arbitrary-precision reader, which, unlike the fast one, insists on a digit.
    fn needs_big_number(&self, parts: &Parts<'_>) -> bool {
        // A missing whole part counts as the digit 0.
        let digits = (parts.whole.len().max(1) + parts.fraction.len()) as i64;
        match self.format {
            Format::BinarySi => !parts.fraction.is_empty() || 14 - digits - i64::from(self.exponent * 3 / 10) < 0,
            Format::DecimalSi | Format::DecimalExponent => {
                digits > SAFE_DIGITS || i64::from(self.exponent) - (parts.fraction.len() as i64) < -9
            }
        }
    }
}

/// The longest prefix of `text` made of characters that `wanted` accepts, and the rest.
fn take_while(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// The value of a string of digits, capped; nothing is zero.
fn integer(digits: &str) -> i128 {
    digits.bytes().fold(0, |sum: i128, digit| sum.saturating_mul(10).saturating_add(i128::from(digit - b'0')))
}

/// `number` times 10^`power`, capped.
fn times_power_of_ten(number: i128, power: i64) -> i128 {
    // 10^38 is the largest power of ten that fits.
    u32::try_from(power)
        .ok()
        .and_then(|power| 10_i128.checked_pow(power))
        .map_or(i128::MAX, |factor| number.saturating_mul(factor))
}

/// `number` / `unit` rounded away from zero.
fn divide_up(number: i128, unit: i128) -> i128 {
    number / unit + if number % unit == 0 { 0 } else { number.signum() }
}

/// `number` capped to 64 bits.
fn to_i64(number: i128) -> i64 {
    number.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    //! Texts in, canonical texts and numbers out.
    use super::*;

    fn canonical(text: &str) -> String {
        Quantity::parse(text).map_or_else(|error| error.to_string(), Quantity::canonical)
    }

    #[test]
    fn canonical_form_takes_the_largest_suffix_without_fraction() {
        let cases = [
            ("0", "0"),
            ("0Gi", "0"),
            ("2000m", "2"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1Gi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e4", "120e3"),
            ("1e1", "10"),
            ("1e-1", "100e-3"),
            ("1.5Gi", "1536Mi"),
            ("0.5Mi", "512Ki"),
            ("512Ki", "512Ki"),
            ("1000Ki", "1000Ki"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1000k", "1M"),
            ("1000000", "1M"),
            ("134217728", "134217728"),
            ("1.1Ki", "1126400m"),
            ("-1", "-1"),
            ("-2000m", "-2"),
            ("+1", "1"),
            ("01", "1"),
            ("1.", "1"),
            (".5", "500m"),
            ("1E", "1E"),
            ("1.G", "1G"),
            ("100n", "100n"),
            ("0.0001m", "100n"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn finer_than_nano_is_rounded_up_away_from_zero() {
        assert_eq!(canonical("0.1n"), "1n");
        assert_eq!(canonical("-0.1n"), "-1n");
        assert_eq!(canonical("1.0000000001"), "1000000001n");
        assert_eq!(canonical("1e-400"), "1e-9");
        assert_eq!(canonical("0.0000000000001Ki"), "1n");
    }

    #[test]
    fn too_large_is_capped() {
        assert_eq!(canonical("16Ei"), "9223372036854775807");
        assert_eq!(canonical("99999999999999999999999999999999999999999999Ki"), "9223372036854775807");
        assert_eq!(Quantity::parse("1e30").unwrap().value(), i64::MAX);
        assert_eq!(Quantity::parse("-1e4000").unwrap().milli(), -i64::MAX - 1);
        assert_eq!(canonical("1000E"), "1000E");
    }

    #[test]
    fn each_mistake_has_its_text() {
        let wrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        for text in ["", "1.1.M", "1+1.0M", "0.1am", "aoeu", "1 Gi", "1Gi5x", "ü"] {
            assert_eq!(canonical(text), wrong, "{text}");
        }
        for text in [
            "--1",
            "1i",
            ".5i",
            "-3.01i",
            "-3.01e-",
            "1e",
            "1ee5",
            "0.1mi",
            "1mm",
            "1KiB".trim_end_matches('B').trim_end_matches('i'),
        ] {
            assert_eq!(canonical(text), "unable to parse quantity's suffix", "{text}");
        }
        assert_eq!(canonical(".e-10"), "unable to parse numeric part of quantity");
    }

    #[test]
    fn integers_are_rounded_up() {
        let quantity = |text| Quantity::parse(text).unwrap();
        assert_eq!((quantity("1500u").milli(), quantity("1500u").value()), (2, 1));
        assert_eq!((quantity("-1500u").milli(), quantity("-1500m").value()), (-2, -2));
        assert_eq!((quantity("0.1").milli(), quantity("1Gi").value()), (100, 1 << 30));
        assert_eq!(quantity("1100u").rounded_up_to_milli().canonical(), "2m");
    }

    #[test]
    fn equality_looks_at_the_number_and_zero_takes_the_other_format() {
        let quantity = |text| Quantity::parse(text).unwrap();
        assert_eq!(quantity("1Ki"), quantity("1024"));
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!(Quantity::ZERO.saturating_add(quantity("2Gi")).canonical(), "2Gi");
        assert_eq!(quantity("3Gi").saturating_sub(quantity("1024")).canonical(), "3145727Ki");
        assert_eq!(quantity("1").saturating_add(quantity("1Gi")).canonical(), "1073741825");
        assert!(Quantity::from_nanos(i128::MAX, Format::DecimalSi).checked_add(quantity("1")).is_none());
    }
}
