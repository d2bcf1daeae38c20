//! One 512-byte header block.

use super::BLOCK;

/// A header block whose checksum is right.
pub(super) struct Header<'a>(pub(super) &'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Checks the checksum. Both sums that exist in the wild are taken: of unsigned and of signed bytes.
    pub(super) fn checked(block: &'a [u8; BLOCK]) -> Option<Self> {
        let expected = i64::try_from(octal(&block[148..156])?).ok()?;
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (at, &byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        (expected == unsigned || expected == signed).then_some(Self(block))
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// The POSIX layout. GNU's own (`ustar  `) has other things where this has the path's prefix.
    fn is_ustar(&self) -> bool {
        &self.0[257..263] == b"ustar\0"
    }

    /// The name, with the prefix that only the POSIX layout has.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.0[..100]);
        let prefix = if self.is_ustar() {
            until_nul(&self.0[345..500])
        } else {
            b""
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> &'a [u8] {
        until_nul(&self.0[157..257])
    }

    pub(super) fn mode(&self) -> Option<u64> {
        number(&self.0[100..108]).and_then(|n| u64::try_from(n).ok())
    }

    pub(super) fn uid(&self) -> Option<i128> {
        number(&self.0[108..116])
    }

    pub(super) fn gid(&self) -> Option<i128> {
        number(&self.0[116..124])
    }

    pub(super) fn size(&self) -> Option<u64> {
        number(&self.0[124..136]).and_then(|n| u64::try_from(n).ok())
    }

    pub(super) fn mtime(&self) -> Option<i64> {
        number(&self.0[136..148]).and_then(|n| i64::try_from(n).ok())
    }

    pub(super) fn device(&self) -> Option<(u32, u32)> {
        let part = |range: std::ops::Range<usize>| {
            number(&self.0[range]).and_then(|n| u32::try_from(n).ok())
        };
        Some((part(329..337)?, part(337..345)?))
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes
        .iter()
        .position(|&byte| byte == 0)
        .map_or(bytes, |end| &bytes[..end])
}

/// Octal digits between blanks and NULs; a field of blanks alone is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    if !digits[end..].iter().all(blank) {
        return None;
    }
    digits[..end]
        .iter()
        .try_fold(0u64, |value, &digit| match digit {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
            _ => None,
        })
}

/// A number field: octal, or GNU's big-endian binary marked by the highest bit.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    match field[0] {
        0x80 | 0xff => {
            let start = if field[0] == 0xff { -1i128 } else { 0 };
            // Twelve bytes at most, so this cannot overflow.
            Some(
                field[1..]
                    .iter()
                    .fold(start, |value, &byte| (value << 8) | i128::from(byte)),
            )
        }
        _ => octal(field).map(i128::from),
    }
}
