//! A set that answers "certainly new" or "perhaps known" in two bytes an identity.
//!
//! A split-block Bloom filter, as in the Parquet format: one 256-bit block per identity, one bit in
//! each of its eight words, so that a look-up touches one cache line. At 16 bits an identity about one
//! answer in a thousand is a false "perhaps", which costs an exact look-up later and nothing else.

/// The odd constants of the Parquet specification, one for each word of a block.
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];
/// Bytes beyond which the filter does not grow; it then only says "perhaps" more often.
const MOST_BYTES: usize = 256 << 20;
/// Parts of the filter that are filled one after another.
const PARTS: usize = 256;

/// The filter. Identities are tokens, so their bits are spread already.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<[u32; 8]>,
    /// Identities that were called new.
    held: u64,
}

impl Filter {
    /// A filter with room for this many identities.
    pub(super) fn with_room_for(identities: u64) -> Filter {
        let wanted = usize::try_from(identities.saturating_mul(2)).unwrap_or(MOST_BYTES);
        let blocks = wanted.clamp(1 << 10, MOST_BYTES) / 32;
        Filter {
            blocks: vec![[0; 8]; blocks],
            held: 0,
        }
    }

    /// Whether this many more leave it as exact as a new one would be.
    pub(super) fn has_room_for(&self, more: u64) -> bool {
        let blocks = self.blocks.len() as u64;
        (self.held + more).saturating_mul(2) <= blocks * 32 || blocks * 32 >= MOST_BYTES as u64
    }

    /// Adds identities; for each whether it was perhaps there before, or came twice. They are taken by
    /// their place in the filter, part after part, so that each part is fetched from memory once.
    pub(super) fn insert_all(&mut self, identities: &[i64], known: &mut Vec<bool>) {
        let part = |identity: i64| (identity.cast_unsigned() >> 56) as usize;
        let mut starts = [0usize; PARTS + 1];
        for identity in identities {
            starts[part(*identity) + 1] += 1;
        }
        for at in 0..PARTS {
            starts[at + 1] += starts[at];
        }
        let mut order = vec![0u32; identities.len()];
        for (row, identity) in (0u32..).zip(identities) {
            let next = &mut starts[part(*identity)];
            order[*next] = row;
            *next += 1;
        }
        known.clear();
        known.resize(identities.len(), false);
        for row in order {
            known[row as usize] = self.insert(identities[row as usize]);
        }
    }

    /// Adds an identity; whether it was perhaps there before.
    pub(super) fn insert(&mut self, identity: i64) -> bool {
        let hash = identity.cast_unsigned();
        let blocks = self.blocks.len() as u64;
        // the high half chooses the block without a division, the low half its bits
        let at = ((hash >> 32) * blocks) >> 32;
        let Some(block) = usize::try_from(at).ok().and_then(|at| self.blocks.get_mut(at)) else {
            return true;
        };
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = hash as u32;
        let mut known = true;
        for (word, salt) in block.iter_mut().zip(SALT) {
            let bit = 1 << (low.wrapping_mul(salt) >> 27);
            known &= *word & bit != 0;
            *word |= bit;
        }
        self.held += u64::from(!known);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(number: u64) -> i64 {
        crate::ingest::known::spread(number).cast_signed()
    }

    #[test]
    fn what_was_added_is_never_called_new_and_few_new_ones_are_called_known() {
        let mut filter = Filter::with_room_for(200_000);
        let wrong = (0..200_000).filter(|number| filter.insert(spread(*number))).count();
        assert!(wrong < 400, "{wrong} of 200 000 new identities were called known");
        assert!((0..200_000).all(|number| filter.insert(spread(number))));
    }

    #[test]
    fn many_at_once_are_told_as_one_by_one_and_what_comes_twice_is_known() {
        let identities: Vec<i64> = (0..50_000u64).map(|number| spread(number % 40_000)).collect();
        let mut filter = Filter::with_room_for(50_000);
        let mut known = Vec::new();
        filter.insert_all(&identities, &mut known);
        assert!(known[40_000..].iter().all(|known| *known));
        let wrong = known[..40_000].iter().filter(|known| **known).count();
        assert!(wrong < 80, "{wrong} of 40 000 new identities were called known");
        let mut singly = Filter::with_room_for(50_000);
        for identity in &identities {
            singly.insert(*identity);
        }
        assert!(filter.blocks == singly.blocks);
    }

    #[test]
    fn a_full_filter_still_never_forgets() {
        let mut filter = Filter::with_room_for(10);
        (0..5_000).for_each(|number| {
            filter.insert(spread(number));
        });
        assert!((0..5_000).all(|number| filter.insert(spread(number))));
    }
}
