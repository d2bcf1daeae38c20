//! Quantities such as `10Gi` and `250m`.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde_json::Value;

/// An amount in thousandths, and whether it is written in powers of two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    thousandths: i128,
    binary: bool,
}

const BINARY: [(&str, u32); 6] = [
    ("Ki", 1),
    ("Mi", 2),
    ("Gi", 3),
    ("Ti", 4),
    ("Pi", 5),
    ("Ei", 6),
];
const DECIMAL: [(&str, u32); 6] = [("k", 1), ("M", 2), ("G", 3), ("T", 4), ("P", 5), ("E", 6)];

impl Quantity {
    pub(crate) const ZERO: Self = Self {
        thousandths: 0,
        binary: false,
    };

    pub(crate) fn count(number: usize) -> Self {
        Self {
            thousandths: i128::try_from(number).unwrap_or(i128::MAX / 1000) * 1000,
            binary: false,
        }
    }

    /// Reads one; none if it is none.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let suffix = &text[digits.len()..];
        let find = |list: &[(&str, u32)]| {
            let found = list.iter().find(|(name, _)| *name == suffix);
            found.map(|(_, power)| *power)
        };
        let (factor, binary) = if let Some(power) = find(&BINARY) {
            (1000 * 1024_i128.pow(power), true)
        } else if let Some(power) = find(&DECIMAL) {
            (1000 * 1000_i128.pow(power), false)
        } else {
            match suffix {
                "" => (1000, false),
                "m" => (1, false),
                _ => return None,
            }
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let fraction: i128 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().ok()?
        };
        let scaled = whole
            .checked_mul(scale)?
            .checked_add(fraction)?
            .checked_mul(factor)?;
        Some(Self {
            // Rounded up, as servers do.
            thousandths: (scaled + scale - 1).div_euclid(scale),
            binary,
        })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.thousandths == other.thousandths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.thousandths.cmp(&other.thousandths)
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths.saturating_add(other.thousandths),
            binary: self.binary || other.binary,
        }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.thousandths % 1000 != 0 {
            return write!(f, "{}m", self.thousandths);
        }
        let number = self.thousandths / 1000;
        let (list, base) = if self.binary {
            (&BINARY, 1024_i128)
        } else {
            (&DECIMAL, 1000)
        };
        let whole = |power: u32| number != 0 && number % base.pow(power) == 0;
        match list.iter().rev().find(|(_, power)| whole(*power)) {
            Some((suffix, power)) => write!(f, "{}{suffix}", number / base.pow(*power)),
            None => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, wanted) in [
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("500m", "500m"),
            ("1.5k", "1500"),
            ("2000m", "2"),
            ("0.5", "500m"),
            ("0", "0"),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), wanted, "{text}");
        }
        for text in ["", "x", "1Xi", ".", "1.2.3", "Gi"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9.a-zA-Z+-]{0,24}") {
            let _ = Quantity::parse(&text).map(|quantity| quantity.to_string());
        }
    }
}
