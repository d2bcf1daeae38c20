//! Times as text, in UTC, without a library for it: the binary is counted in kilobytes.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the epoch; carried from one process image to the next, so no `Instant`.
pub(crate) fn now_micros() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros())
}

/// As `date` prints it in the C locale, in UTC: the value of `S2I_MARKERS_ENVIRON`.
pub(crate) fn as_date(micros: u128) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Civil {
        year,
        month,
        day,
        second,
        days,
    } = civil(micros);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let name = MONTHS[month as usize - 1];
    let weekday = DAYS[(days % 7) as usize];
    format!("{weekday} {name} {day:2} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// As RFC 3339 has it, with milliseconds.
pub(crate) fn as_rfc3339(micros: u128) -> String {
    let Civil {
        year,
        month,
        day,
        second,
        ..
    } = civil(micros);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milli = micros / 1000 % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

struct Civil {
    year: u64,
    month: u64,
    day: u64,
    /// Of the day.
    second: u64,
    /// Since the epoch, a Thursday.
    days: u64,
}

/// The date of a time, in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the
/// last of its year.
fn civil(micros: u128) -> Civil {
    let seconds = u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
    let days = seconds / 86_400;
    // Days since 1 March of the year 0.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    Civil {
        year: year_of_era + era * 400 + u64::from(month <= 2),
        month,
        day: of_year - (153 * march_month + 2) / 5 + 1,
        second: seconds % 86_400,
        days,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |seconds: u128| as_date(seconds * 1_000_000);
        assert_eq!(at(0), "Thu Jan  1 00:00:00 UTC 1970");
        assert_eq!(at(951_782_400), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(at(1_709_251_199), "Thu Feb 29 23:59:59 UTC 2024");
        assert_eq!(at(4_107_542_400), "Mon Mar  1 00:00:00 UTC 2100");
        assert_eq!(
            as_rfc3339(1_709_251_199_123_456),
            "2024-02-29T23:59:59.123Z"
        );
    }
}
