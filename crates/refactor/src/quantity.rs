//! Quantities of the Kubernetes API (`500m`, `1Gi`), compared by what they mean.

/// Whether two texts are the same quantity; `None` when one of them is none, or too large to tell.
pub(crate) fn same(left: &str, right: &str) -> Option<bool> {
    Some(nano(left)? == nano(right)?)
}

/// The quantity in billionths, the finest unit there is.
pub(crate) fn nano(text: &str) -> Option<i128> {
    let digits_end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let unit: i128 = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => 1_000_000_000,
        "k" => 10_i128.pow(12),
        "M" => 10_i128.pow(15),
        "G" => 10_i128.pow(18),
        "T" => 10_i128.pow(21),
        "P" => 10_i128.pow(24),
        "E" => 10_i128.pow(27),
        "Ki" => 1_000_000_000 << 10,
        "Mi" => 1_000_000_000 << 20,
        "Gi" => 1_000_000_000 << 30,
        "Ti" => 1_000_000_000 << 40,
        "Pi" => 1_000_000_000 << 50,
        "Ei" => 1_000_000_000 << 60,
        exponent => {
            let power: u32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_i128.checked_pow(power.checked_add(9)?)?
        }
    };
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || !all_digits(whole)
        || !all_digits(fraction)
        || fraction.len() > 18
    {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(unit)?;
    let divisor = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    (scaled % divisor == 0).then_some(sign * (scaled / divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quantity_has_many_spellings() {
        for (left, right) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1e3", "1k"),
            ("1.5Gi", "1536Mi"),
            ("+2", "2"),
        ] {
            assert_eq!(same(left, right), Some(true), "{left} {right}");
        }
        assert_eq!(same("1G", "1Gi"), Some(false));
    }

    #[test]
    fn what_is_none_is_not_compared() {
        for text in [
            "",
            "m",
            "1.2.3",
            "1 Gi",
            "abc",
            "1-2",
            "1e99",
            "--1",
            "99999999999999999999999999999999999999Ei",
        ] {
            assert_eq!(nano(text), None, "{text}");
        }
    }
}
