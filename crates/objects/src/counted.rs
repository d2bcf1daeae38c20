//! How many of something there are, in words for a person.

use std::fmt::Display;

/// A count with its noun, in the plural unless there is exactly one. For nouns whose plural is made by an `s`.
///
/// ```
/// use openshifter_objects::counted;
/// assert_eq!(counted(1, "volume"), "1 volume");
/// assert_eq!(counted(0, "object of shop"), "0 objects of shop");
/// ```
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let s = if count == N::from(1) { "" } else { "s" };
    // What follows the noun stays behind it.
    match what.split_once(' ') {
        Some((noun, rest)) => format!("{count} {noun}{s} {rest}"),
        None => format!("{count} {what}{s}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        let volumes = [0_u64, 1, 2].map(|count| counted(count, "volume"));
        assert_eq!(volumes, ["0 volumes", "1 volume", "2 volumes"]);
        assert_eq!(counted(1_i64, "replica"), "1 replica");
        assert_eq!(counted(2_usize, "file of it"), "2 files of it");
    }
}
