//! Values by an expression: `[a-zA-Z0-9]{16}` stands for sixteen characters of these, everything else for itself.

use rand::RngExt as _;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const SYMBOLS: &str = "~!@#$%^&*()-_+={}[]\\|<,>.?/\"';:`";

/// Most characters that one pair of brackets may stand for.
const MOST: usize = 255;

/// A value that the expression describes, another one each time.
///
/// # Errors
/// Which part of the expression cannot be.
pub(super) fn generate(expression: &str) -> Result<String, String> {
    let mut value = String::new();
    let mut rest = expression;
    while let Some(at) = rest.find('[') {
        value.push_str(&rest[..at]);
        let Some((class, count, after)) = group(&rest[at..]) else {
            // A bracket that begins no group stands for itself.
            value.push('[');
            rest = &rest[at + 1..];
            continue;
        };
        let count: usize = count
            .parse()
            .ok()
            .filter(|count| (1..=MOST).contains(count))
            .ok_or_else(|| format!("range must be within [1-{MOST}] characters ({count})"))?;
        let characters = characters(class)?;
        let mut random = rand::rng();
        value.extend((0..count).map(|_| characters[random.random_range(0..characters.len())]));
        rest = after;
    }
    value.push_str(rest);
    Ok(value)
}

/// Takes `[class]{count}` off the beginning.
fn group(text: &str) -> Option<(&str, &str, &str)> {
    let (class, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (count, after) = rest.strip_prefix('{')?.split_once('}')?;
    let good = !class.is_empty()
        && class
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'\\');
    let number = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    (good && number).then_some((class, count, after))
}

/// The characters that a class means, each once.
fn characters(class: &str) -> Result<Vec<char>, String> {
    let mut all = String::new();
    let mut rest = class;
    while let Some(first) = rest.chars().next() {
        if let Some((escape, after)) = escape(rest) {
            all.push_str(&escape);
            rest = after;
            continue;
        }
        let mut next = rest[1..].chars();
        match (next.next(), next.next()) {
            (Some('-'), Some(last)) if first.is_ascii_alphanumeric() => {
                all.push_str(range(first, last)?);
                rest = &rest[3..];
            }
            _ => {
                all.push(first);
                rest = &rest[1..];
            }
        }
    }
    let mut characters: Vec<char> = all.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    Ok(characters)
}

/// Takes an escape off the beginning: `\w`, `\d`, `\a` or `\A`.
fn escape(text: &str) -> Option<(String, &str)> {
    let rest = text.strip_prefix('\\')?;
    let meant = match rest.chars().next()? {
        'w' => [LOWER, UPPER, DIGITS, "_"].concat(),
        'd' => DIGITS.to_owned(),
        'a' => [LOWER, UPPER, DIGITS].concat(),
        'A' => SYMBOLS.to_owned(),
        _ => return None,
    };
    Some((meant, &rest[1..]))
}

fn range(first: char, last: char) -> Result<&'static str, String> {
    [LOWER, UPPER, DIGITS]
        .into_iter()
        .find_map(|row| row.get(row.find(first)?..=row.find(last)?))
        .ok_or_else(|| format!("invalid range specified: {first}-{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_describe_values() {
        for (expression, length, allowed) in [
            ("[a-zA-Z0-9]{40}", 40, [LOWER, UPPER, DIGITS].concat()),
            (r"[\w]{200}", 200, [LOWER, UPPER, DIGITS, "_"].concat()),
            (r"[\d]{3}", 3, DIGITS.to_owned()),
            (r"[\A]{50}", 50, SYMBOLS.to_owned()),
            ("[x]{2}", 2, "x".to_owned()),
            ("[ab-c]{9}", 9, "abc".to_owned()),
        ] {
            let value = generate(expression).unwrap();
            assert_eq!(value.len(), length, "{expression}: {value}");
            assert!(
                value.chars().all(|c| allowed.contains(c)),
                "{expression}: {value}"
            );
        }
        // Two of the same by chance are less likely than anything else that could go wrong.
        let password = "[a-zA-Z0-9]{40}";
        assert_ne!(generate(password).unwrap(), generate(password).unwrap());
        let value = generate("user[A-Z]{3}").unwrap();
        assert!(value.starts_with("user") && value.len() == 7, "{value}");
    }

    #[test]
    fn what_is_no_group_stands_for_itself() {
        for same in ["plain", "a[b", "[a-z]", "[]{3}", "[a-z]{x}", "[é]{3}"] {
            assert_eq!(generate(same).unwrap(), same);
        }
    }

    #[test]
    fn impossible_groups_are_refused() {
        assert_eq!(
            generate("[a-z]{0}").unwrap_err(),
            "range must be within [1-255] characters (0)"
        );
        assert_eq!(
            generate("[z-a]{3}").unwrap_err(),
            "invalid range specified: z-a"
        );
    }
}
