//! Files with holes, in the four forms that GNU tar has written: the old header type `S`, and PAX 0.0, 0.1
//! and 1.0.

use std::io::BufRead;

use super::{
    BLOCK, Reader,
    header::{self, Header},
    pax::{Pax, decimal},
};
use crate::VolumeError;

/// Most parts that a sparse file may have.
const MAX_PARTS: usize = 1 << 20;

/// The parts of a sparse file that the archive holds: offset and length, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Map(pub(super) Vec<(u64, u64)>);

impl Map {
    /// Takes the numbers of a map, checks that the parts are in order and within `real` bytes, and that
    /// they add up to `stored`.
    pub(super) fn new(numbers: &[u64], real: u64, stored: u64) -> Option<Self> {
        if !numbers.len().is_multiple_of(2) {
            return None;
        }
        let mut parts = Vec::with_capacity(numbers.len() / 2);
        let (mut end, mut sum) = (0u64, 0u64);
        for pair in numbers.chunks(2) {
            let (offset, length) = (pair[0], pair[1]);
            if offset < end {
                return None;
            }
            end = offset.checked_add(length)?;
            sum = sum.checked_add(length)?;
            if length > 0 {
                parts.push((offset, length));
            }
        }
        (end <= real && sum == stored).then_some(Self(parts))
    }

    /// The number pairs of a block of GNU's old form; unused ones are empty.
    pub(super) fn old_pairs(block: &[u8], count: usize, numbers: &mut Vec<u64>) -> Option<()> {
        for pair in block.chunks_exact(24).take(count) {
            if pair[0] == 0 {
                break;
            }
            for half in [&pair[..12], &pair[12..]] {
                numbers.push(header::number(half).and_then(|n| u64::try_from(n).ok())?);
            }
        }
        Some(())
    }

    /// The comma-separated numbers of PAX 0.1.
    pub(super) fn comma_separated(text: &[u8]) -> Option<Vec<u64>> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(|&byte| byte == b',').map(decimal).collect()
    }
}

impl<R: BufRead> Reader<R> {
    /// The map of a sparse file and the file's real size, in whichever form it comes.
    pub(super) fn sparse(
        &mut self,
        header: &Header<'_>,
        pax: &Pax,
    ) -> Result<Option<(Map, u64)>, VolumeError> {
        let (numbers, real) = if header.typeflag() == b'S' {
            let block = header.0;
            let mut numbers = Vec::new();
            let mut pairs = Map::old_pairs(&block[386..482], 4, &mut numbers);
            let real = header::number(&block[483..495]).and_then(|n| u64::try_from(n).ok());
            let mut more = block[482] != 0;
            while more && pairs.is_some() {
                let mut block = [0; BLOCK];
                self.fill(&mut block, "between a member's headers")?;
                pairs = Map::old_pairs(&block[..504], 21, &mut numbers);
                more = block[504] != 0 && numbers.len() < 2 * MAX_PARTS;
            }
            (pairs.map(|()| numbers), real)
        } else if pax.get("GNU.sparse.major") == Some(b"1") {
            let real = pax.number("GNU.sparse.realsize").flatten();
            (Some(self.leading_map()?), real)
        } else if let Some(real) = pax.number("GNU.sparse.size") {
            match pax.get("GNU.sparse.map") {
                Some(text) => (Map::comma_separated(text), real),
                None => (Some(pax.sparse_pairs.clone()), real),
            }
        } else {
            return Ok(None);
        };
        let map = numbers.zip(real).and_then(|(numbers, real)| {
            Some((Map::new(&numbers, real, self.content.stored)?, real))
        });
        map.map(Some)
            .ok_or_else(|| self.not_tar("a sparse file with a wrong map"))
    }

    /// The map of PAX 1.0, which is decimal lines in the first blocks of the content.
    fn leading_map(&mut self) -> Result<Vec<u64>, VolumeError> {
        let mut numbers = Vec::new();
        let mut wanted = None;
        let mut number: Option<u64> = None;
        while wanted.is_none_or(|wanted| numbers.len() < wanted) {
            let mut block = [0; BLOCK];
            let Some(left) = self.content.stored.checked_sub(BLOCK as u64) else {
                return Err(self.not_tar("a sparse file with a wrong map"));
            };
            self.fill(&mut block, "in the middle of a file")?;
            self.content.stored = left;
            for byte in block {
                match (byte, number) {
                    (b'0'..=b'9', value) => {
                        number = value
                            .unwrap_or(0)
                            .checked_mul(10)
                            .and_then(|n| n.checked_add(u64::from(byte - b'0')));
                        if number.is_none() {
                            return Err(self.not_tar("a sparse file with a wrong map"));
                        }
                    }
                    (b'\n', Some(value)) => {
                        number = None;
                        match wanted {
                            None => match usize::try_from(value)
                                .ok()
                                .filter(|count| *count <= MAX_PARTS)
                            {
                                Some(count) => wanted = Some(count * 2),
                                None => {
                                    return Err(self.not_tar("a sparse file with too many parts"));
                                }
                            },
                            Some(_) => numbers.push(value),
                        }
                        if wanted == Some(numbers.len()) {
                            break;
                        }
                    }
                    _ => return Err(self.not_tar("a sparse file with a wrong map")),
                }
            }
        }
        Ok(numbers)
    }
}
