//! Values waiting for their group to end: flat (group, value) vectors in blocks.
//!
//! What an aggregate over many small groups keeps. A vector per group would cost an allocation and
//! a cache miss for each; here a value costs twelve bytes and groups are told apart once, by a
//! counting sort. Blocks exist so that letting the first groups go does not walk over the values of
//! those that stay. It deliberately does not know what is computed from the values.

/// Values a block holds; about one input batch, so that ordered input frees whole blocks.
const BLOCK: usize = 8192;

/// Values by group, the groups numbered from 0 and renumbered when the first ones leave.
#[derive(Debug, Default)]
pub struct GroupedValues {
    blocks: Vec<Block>,
    /// Groups known, counted from the first that has not left.
    groups: usize,
    /// Groups that have left. Blocks count from the beginning, so that leaving renumbers nothing.
    gone: usize,
}

#[derive(Debug)]
struct Block {
    /// Groups are stored relative to this absolute number, which keeps them in 32 bits.
    origin: usize,
    groups: Vec<u32>,
    values: Vec<i64>,
    /// Smallest and largest stored group, relative like them.
    low: u32,
    high: u32,
}

/// The values of consecutive groups, one group after another.
#[derive(Debug, PartialEq, Eq)]
pub struct Runs {
    /// Group `g` has the values from `starts[g]` up to `starts[g + 1]`; one longer than the number
    /// of groups.
    pub starts: Vec<usize>,
    /// All values; within a group in no promised order.
    pub values: Vec<i64>,
}

impl GroupedValues {
    /// Says that groups `0..groups` exist, with or without values. Never shrinks.
    pub fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    /// How many groups have not left.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Adds a value to a group, which exists from now on.
    pub fn push(&mut self, group: usize, value: i64) {
        self.grow(group + 1);
        let absolute = self.gone + group;
        let fitting = self.blocks.last_mut().and_then(|block| {
            let relative = u32::try_from(absolute.checked_sub(block.origin)?).ok()?;
            (block.values.len() < BLOCK).then_some((block, relative))
        });
        match fitting {
            Some((block, relative)) => block.push(relative, value),
            None => self.blocks.push(Block::starting(absolute, self.gone, value)),
        }
    }

    /// Lets every group go, leaving nothing.
    pub fn take_all(&mut self) -> Runs {
        self.take_first(self.groups)
    }

    /// Lets the first `n` groups go; group `n` becomes group 0. Missing groups come back empty.
    pub fn take_first(&mut self, n: usize) -> Runs {
        let end = self.gone + n;
        let mut leaving = Vec::new();
        let mut staying = Vec::new();
        for block in std::mem::take(&mut self.blocks) {
            if block.origin + block.low as usize >= end {
                staying.push(block);
            } else if block.origin + (block.high as usize) < end {
                leaving.push(block);
            } else {
                let (before, after) = block.split(end);
                leaving.push(before);
                staying.push(after);
            }
        }
        let runs = sort_by_counting(&leaving, self.gone, n);
        self.blocks = staying;
        self.gone = end;
        self.groups = self.groups.saturating_sub(n);
        runs
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        let held: usize = self.blocks.iter().map(Block::size).sum();
        held + self.blocks.capacity() * size_of::<Block>()
    }
}

impl Block {
    /// A block of one value. Counting from the groups already gone lets any live group join it,
    /// unless it is four thousand million groups away, whence the other origin.
    fn starting(absolute: usize, gone: usize, value: i64) -> Self {
        let (origin, relative) = match u32::try_from(absolute - gone) {
            Ok(relative) => (gone, relative),
            Err(_) => (absolute, 0),
        };
        Self {
            origin,
            groups: vec![relative],
            values: vec![value],
            low: relative,
            high: relative,
        }
    }

    fn push(&mut self, relative: u32, value: i64) {
        self.groups.push(relative);
        self.values.push(value);
        self.low = self.low.min(relative);
        self.high = self.high.max(relative);
    }

    /// Parts of both sides of an absolute group; neither is empty, since the bounds straddle it.
    fn split(self, end: usize) -> (Self, Self) {
        let empty = || Self {
            origin: self.origin,
            groups: vec![],
            values: vec![],
            low: u32::MAX,
            high: 0,
        };
        let (mut before, mut after) = (empty(), empty());
        for (&group, &value) in self.groups.iter().zip(&self.values) {
            let side = if self.origin + (group as usize) < end {
                &mut before
            } else {
                &mut after
            };
            side.push(group, value);
        }
        (before, after)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<u32>() + self.values.capacity() * size_of::<i64>()
    }
}

/// Sorts blocks of groups `first..first + n` by group: count, add up, place.
fn sort_by_counting(blocks: &[Block], first: usize, n: usize) -> Runs {
    // starts[g + 2] counts group g; added up, starts[g + 1] is where its next value goes and ends
    // as where it ends
    let mut starts = vec![0_usize; n + 2];
    for block in blocks {
        for &group in &block.groups {
            starts[block.origin + group as usize - first + 2] += 1;
        }
    }
    for g in 2..starts.len() {
        starts[g] += starts[g - 1];
    }
    let mut values = vec![0_i64; starts[n + 1]];
    for block in blocks {
        for (&group, &value) in block.groups.iter().zip(&block.values) {
            let place = &mut starts[block.origin + group as usize - first + 1];
            values[*place] = value;
            *place += 1;
        }
    }
    starts.truncate(n + 1);
    Runs { starts, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn listed(runs: &Runs) -> Vec<Vec<i64>> {
        let sorted = |w: &[usize]| {
            let mut values = runs.values[w[0]..w[1]].to_vec();
            values.sort_unstable();
            values
        };
        runs.starts.windows(2).map(sorted).collect()
    }

    #[test]
    fn values_come_back_with_their_group_and_empty_groups_stay_empty() {
        let mut store = GroupedValues::default();
        for (group, value) in [(2, 5), (0, 1), (2, -4), (0, 1)] {
            store.push(group, value);
        }
        store.grow(4);
        assert_eq!(listed(&store.take_all()), vec![vec![1, 1], vec![], vec![-4, 5], vec![]]);
        assert_eq!((store.groups(), store.size()), (0, 0));
    }

    #[test]
    fn nothing_at_all_is_one_start_and_no_values() {
        assert_eq!(
            GroupedValues::default().take_all(),
            Runs {
                starts: vec![0],
                values: vec![]
            }
        );
    }

    #[test]
    fn letting_first_groups_go_in_turns_equals_a_vector_a_group() {
        let mut store = GroupedValues::default();
        let mut plain: VecDeque<Vec<i64>> = VecDeque::new();
        let mut state = 12_345_u64;
        for round in 0..60_usize {
            for i in 0..997 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let group = (state >> 33) as usize % 50;
                plain.resize_with(plain.len().max(group + 1), Vec::new);
                plain[group].push(i);
                store.push(group, i);
            }
            assert_eq!(store.groups(), plain.len());
            let n = (round * 7) % 40;
            let mut expected: Vec<Vec<i64>> = plain.drain(..n).collect();
            expected.iter_mut().for_each(|values| values.sort_unstable());
            assert_eq!(listed(&store.take_first(n)), expected, "round {round}");
        }
    }

    #[test]
    fn groups_in_order_leave_without_touching_the_blocks_that_stay() {
        let mut store = GroupedValues::default();
        for i in 0..10 * BLOCK {
            store.push(i / 100, 1);
        }
        let runs = store.take_first(5);
        assert_eq!((runs.values.len(), runs.starts.len()), (500, 6));
        let whole = store.blocks.iter().filter(|block| block.values.len() == BLOCK).count();
        assert_eq!((store.blocks.len(), whole), (10, 9));
    }

    #[test]
    fn size_grows_with_the_values_and_falls_when_they_leave() {
        let mut store = GroupedValues::default();
        (0..100_000).for_each(|i| store.push(i % 10, 7));
        assert!(store.size() >= 12 * 100_000);
        store.take_all();
        assert!(store.size() < 1000);
    }
}
