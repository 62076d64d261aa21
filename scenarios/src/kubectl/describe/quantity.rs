//! Just enough arithmetic with quantities for the tables of `describe node`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go.

/// A quantity in thousandths, and whether it was written with a binary suffix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quantity {
    milli: i128,
    binary: bool,
}

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i128); 6] = [
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

impl Quantity {
    /// Reads a quantity; None if it is none.
    pub fn parse(text: &str) -> Option<Quantity> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let digits: String = format!("{fraction:0<3}").chars().take(3).collect();
        let fraction: i128 = digits.parse().ok()?;
        let milli = whole.checked_mul(1000)?.checked_add(if number.starts_with('-') { -fraction } else { fraction })?;
        let binary = BINARY.iter().find(|(name, _)| *name == suffix).map(|(_, shift)| 1i128 << shift);
        let decimal = DECIMAL.iter().find(|(name, _)| *name == suffix).map(|(_, factor)| *factor);
        match (suffix, binary, decimal) {
            ("", ..) => Some(Quantity { milli, binary: false }),
            ("m", ..) => Some(Quantity { milli: milli / 1000, binary: false }),
            (_, Some(factor), _) => Some(Quantity { milli: milli.checked_mul(factor)?, binary: true }),
            (_, _, Some(factor)) => Some(Quantity { milli: milli.checked_mul(factor)?, binary: false }),
            _ => None,
        }
    }

    /// The sum; it is shown as the first summand that is not zero.
    pub fn plus(self, other: Quantity) -> Quantity {
        let binary = if self.milli == 0 { other.binary } else { self.binary };
        Quantity { milli: self.milli.saturating_add(other.milli), binary }
    }

    pub fn max(self, other: Quantity) -> Quantity {
        if other.milli > self.milli { other } else { self }
    }

    /// How often `divisor` goes into it, rounded up; 0 of nothing.
    pub fn divided_up(self, divisor: Quantity) -> i128 {
        if divisor.milli <= 0 { 0 } else { (self.milli.max(0) + divisor.milli - 1) / divisor.milli }
    }

    /// Share of `whole` in percent, truncated; 0 of nothing.
    pub fn percent_of(self, whole: Quantity) -> i128 {
        if whole.milli == 0 { 0 } else { self.milli.saturating_mul(100) / whole.milli }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.milli % 1000 != 0 {
            return write!(f, "{}m", self.milli);
        }
        let whole = self.milli / 1000;
        let suffix = if self.binary {
            BINARY.iter().rev().map(|(name, shift)| (*name, 1i128 << shift)).find(|(_, factor)| whole % factor == 0)
        } else {
            DECIMAL.iter().rev().copied().find(|(_, factor)| whole % factor == 0)
        };
        match suffix.filter(|_| whole != 0) {
            Some((name, factor)) => write!(f, "{}{name}", whole / factor),
            None => write!(f, "{whole}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_the_way_of_writing() {
        let q = |text: &str| Quantity::parse(text).expect(text);
        assert_eq!(q("128Mi").plus(q("128Mi")).to_string(), "256Mi");
        assert_eq!(q("1.5").plus(q("250m")).to_string(), "1750m");
        assert_eq!(Quantity::default().plus(q("8Gi")).to_string(), "8Gi");
        assert_eq!(q("500m").percent_of(q("4")), 12);
        assert_eq!(Quantity::default().to_string(), "0");
    }
}
