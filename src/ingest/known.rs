//! Identities: which rows are certainly new, and the exact verdict on the others.
//!
//! A filter of two bytes an identity calls nearly every new row new. The few rows it cannot clear wait
//! in a spill file until the source has ended, and are then held against every identity of the table
//! and of this file, a bounded number at a time. So memory does not grow with the table, and a file
//! that repeats millions of rows costs passes over one column instead of a set of them all.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};
use crate::ingest::index::Held;
use crate::protect::Renewal;

/// Rows decided at once: 16 bytes and a map entry each.
const DECIDED_AT_ONCE: u64 = if cfg!(test) { 1_000 } else { 2_000_000 };

/// Who a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// By its key.
    Key(i64),
    /// By its content, and by how many equal rows came before it in the file; the key is empty.
    Content(i64),
}

impl Identity {
    /// The identity as stored, were the row the `nth` of its content, counted from 1.
    pub(super) fn stored(self, nth: u64) -> i64 {
        match self {
            Identity::Key(key) => key,
            Identity::Content(content) => spread(
                content
                    .cast_unsigned()
                    .wrapping_add(nth.wrapping_mul(0xA24B_AED4_963E_E407)),
            )
            .cast_signed(),
        }
    }
}

/// Spreads the bits of a number over all of it, one to one (the finaliser of splitmix64).
pub(super) fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Identities are spread already.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = spread(self.0 ^ number);
    }
    fn write_i64(&mut self, number: i64) {
        self.0 ^= number.cast_unsigned();
    }
}

type ByIdentity<T> = HashMap<i64, T, BuildHasherDefault<AsIs>>;

/// Numbers on disk that vanish with the process: keyed identities, nothing clear.
#[derive(Debug)]
struct Spill {
    folder: PathBuf,
    file: BufWriter<File>,
    count: u64,
}

impl Spill {
    fn new(folder: &Path) -> Result<Spill> {
        let file = tempfile::tempfile_in(folder).map_err(|cause| io_error(folder, &cause))?;
        Ok(Spill {
            folder: folder.to_owned(),
            file: BufWriter::with_capacity(1 << 16, file),
            count: 0,
        })
    }

    fn push(&mut self, number: i64) -> Result<()> {
        self.count += 1;
        self.file
            .write_all(&number.to_le_bytes())
            .map_err(|cause| io_error(&self.folder, &cause))
    }

    fn each(&mut self, take: impl FnMut(i64)) -> Result<()> {
        self.part(0, self.count, take)
    }

    /// Hands over numbers `from` on, `count` of them.
    fn part(&mut self, from: u64, count: u64, mut take: impl FnMut(i64)) -> Result<()> {
        let failed = |cause: std::io::Error| io_error(&self.folder, &cause);
        self.file.flush().map_err(failed)?;
        let file = self.file.get_mut();
        file.seek(std::io::SeekFrom::Start(from * 8)).map_err(failed)?;
        let mut bytes = vec![0u8; 1 << 16];
        let mut left = usize::try_from(count * 8).unwrap_or(usize::MAX);
        while left > 0 {
            let part = left.min(bytes.len());
            file.read_exact(&mut bytes[..part]).map_err(failed)?;
            for number in bytes[..part].as_chunks::<8>().0 {
                take(i64::from_le_bytes(*number));
            }
            left -= part;
        }
        file.seek(std::io::SeekFrom::End(0)).map(|_| ()).map_err(failed)
    }
}

/// What this ingest knows of the identities of one table and one file.
#[derive(Debug)]
pub(super) struct Known {
    held: Held,
    /// Rows that were erased and stay away.
    erased: Vec<i64>,
    /// What brings identities to the newest key, as they are stored.
    renewal: Renewal,
    /// Stored identities of the rows of this file that were called new.
    taken: Spill,
    /// Rows of this file that wait for the exact verdict, two numbers each: kind and value.
    waiting: Spill,
    /// How many of them have it.
    decided: u64,
    /// How many rows of each content came so far, among those that waited.
    counts: ByIdentity<u64>,
}

impl Known {
    /// Identities beside those that are `held`; spills go to unnamed files in `folder`.
    ///
    /// # Errors
    /// `Unavailable` where no file can be made there.
    pub(super) fn new(folder: &Path, held: Held, renewal: Renewal) -> Result<Known> {
        Ok(Known {
            held,
            erased: Vec::new(),
            renewal,
            taken: Spill::new(folder)?,
            waiting: Spill::new(folder)?,
            decided: 0,
            counts: ByIdentity::default(),
        })
    }

    /// An identity stored in the table.
    pub(super) fn stored(&mut self, identity: i64) {
        self.held.filter.insert(identity);
    }

    /// Rows that stay away whoever sends them: they count as stored.
    pub(super) fn keep_away(&mut self, erased: Vec<i64>) {
        erased
            .iter()
            .for_each(|identity| _ = self.held.filter.insert(*identity));
        self.erased = erased;
    }

    /// Rows that stay away.
    pub(super) fn erased(&self) -> &[i64] {
        &self.erased
    }

    /// Rows of the file, in their order: `known` tells for each whether it waits; a row that does not
    /// is stored under its identity as the first of its content.
    ///
    /// # Errors
    /// `Unavailable` where the spill cannot be written.
    pub(super) fn take(&mut self, rows: &[Identity], known: &mut Vec<bool>) -> Result<()> {
        let identities: Vec<i64> = rows.iter().map(|row| self.renewal.apply(row.stored(1))).collect();
        self.held.filter.insert_all(&identities, known);
        for ((row, identity), known) in rows.iter().zip(identities).zip(known) {
            if *known {
                let (kind, value) = match row {
                    Identity::Key(key) => (0, *key),
                    Identity::Content(content) => (1, *content),
                };
                self.waiting.push(kind)?;
                self.waiting.push(value)?;
            } else {
                self.taken.push(identity)?;
            }
        }
        Ok(())
    }

    /// Rows that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.count / 2
    }

    /// What is known once the rows are stored, for the next file of the table.
    ///
    /// # Errors
    /// `Unavailable` where the spill cannot be read.
    pub(super) fn into_held(mut self) -> Result<Held> {
        let taken = &mut self.taken;
        self.held.add(taken.count, |take| taken.each(take))?;
        Ok(self.held)
    }

    /// The rows that wait next, at most so many as are decided at once.
    fn next_waiting(&mut self) -> Result<Vec<Identity>> {
        let count = (self.waiting() - self.decided).min(DECIDED_AT_ONCE);
        let mut rows = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut kind = None;
        self.waiting
            .part(self.decided * 2, count * 2, |number| match kind.take() {
                None => kind = Some(number),
                Some(0) => rows.push(Identity::Key(number)),
                Some(_) => rows.push(Identity::Content(number)),
            })?;
        self.decided += count;
        Ok(rows)
    }

    /// Verdicts on the rows that wait next, in their order: the identity to store a row under, or `None`
    /// for a duplicate; empty when all are decided. `table` calls its argument with every identity of
    /// the table.
    ///
    /// # Errors
    /// `Unavailable` where the table or the spill cannot be read.
    pub(super) async fn verdicts<T>(&mut self, table: &mut T) -> Result<Vec<Option<i64>>>
    where
        T: AsyncFnMut(&mut dyn FnMut(i64)) -> Result<()>,
    {
        let part = self.next_waiting()?;
        if part.is_empty() {
            return Ok(Vec::new());
        }
        // how many rows of each content were taken before the first that waits: one or none
        let contents = part.iter().filter(|row| matches!(row, Identity::Content(_)));
        let mut first: ByIdentity<bool> = contents.map(|row| (self.renewal.apply(row.stored(1)), false)).collect();
        if !first.is_empty() {
            self.taken.each(|identity| {
                if let Some(known) = first.get_mut(&identity) {
                    *known = true;
                }
            })?;
        }
        let (counts, renewal) = (&mut self.counts, &self.renewal);
        let named: Vec<i64> = part
            .iter()
            .map(|row| match row {
                Identity::Key(key) => renewal.apply(*key),
                Identity::Content(content) => {
                    let first = first.get(&renewal.apply(row.stored(1)));
                    let before = u64::from(first.copied().unwrap_or(false));
                    let count = counts.entry(*content).or_insert(before);
                    *count += 1;
                    renewal.apply(row.stored(*count))
                }
            })
            .collect();
        let mut known: ByIdentity<bool> = named.iter().map(|identity| (*identity, false)).collect();
        let mut mark = |identity: i64| {
            if let Some(known) = known.get_mut(&identity) {
                *known = true;
            }
        };
        self.taken.each(&mut mark)?;
        self.erased.iter().for_each(|identity| mark(*identity));
        if !self.held.mark_stored(&named, &mut mark)? {
            table(&mut mark).await?;
        }
        let mut verdicts = Vec::with_capacity(named.len());
        for identity in named {
            let seen = known.insert(identity, true).unwrap_or(false);
            verdicts.push((!seen).then_some(identity));
            if !seen {
                self.taken.push(identity)?;
            }
        }
        Ok(verdicts)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::ingest::filter::Filter;

    /// What a set of all identities would say.
    fn plainly(stored: &HashSet<i64>, rows: &[Identity]) -> Vec<Option<i64>> {
        let mut seen = stored.clone();
        let mut counts: HashMap<i64, u64> = HashMap::new();
        rows.iter()
            .map(|row| {
                let identity = match row {
                    Identity::Key(key) => *key,
                    Identity::Content(content) => {
                        let count = counts.entry(*content).or_insert(0);
                        *count += 1;
                        row.stored(*count)
                    }
                };
                seen.insert(identity).then_some(identity)
            })
            .collect()
    }

    #[tokio::test]
    async fn the_verdict_is_that_of_a_set_of_all_identities() {
        for room in [1, 64, 10_000] {
            let number = |n: u64| spread(n).cast_signed();
            let stored: HashSet<i64> = (0..500)
                .map(number)
                .chain((0..50).map(|n| Identity::Content(number(n)).stored(1)))
                .chain((0..9).map(|n| Identity::Content(number(n)).stored(2)))
                .collect();
            let rows: Vec<Identity> = (0..6_000u64)
                .map(|n| match n % 3 {
                    0 => Identity::Content(number(n % 97)),
                    1 => Identity::Key(number(n % 1_400)),
                    _ => Identity::Key(number(n)),
                })
                .collect();
            let folder = tempfile::tempdir().expect("a folder");
            let mut known = Known::new(
                folder.path(),
                Held::new(Filter::with_room_for(room), None),
                Renewal::default(),
            )
            .expect("a spill");
            stored.iter().for_each(|identity| known.stored(*identity));
            let mut found: Vec<Option<i64>> = Vec::new();
            let mut late = Vec::new();
            let mut waits = Vec::new();
            for (number, part) in rows.chunks(700).enumerate() {
                known.take(part, &mut waits).expect("a spill");
                for (at, (row, waits)) in part.iter().zip(&waits).enumerate() {
                    if *waits {
                        late.push(number * 700 + at);
                    }
                    found.push((!waits).then_some(row.stored(1)));
                }
            }
            assert!(known.waiting() > 0);
            let mut table = async |mark: &mut dyn FnMut(i64)| {
                stored.iter().for_each(|identity| mark(*identity));
                Ok(())
            };
            let mut verdicts = Vec::new();
            loop {
                let part = known.verdicts(&mut table).await.expect("verdicts");
                if part.is_empty() {
                    break;
                }
                verdicts.extend(part);
            }
            assert!(verdicts.len() > 1_000, "decided in one part: {}", verdicts.len());
            for (at, verdict) in late.into_iter().zip(verdicts) {
                found[at] = verdict;
            }
            assert_eq!(found, plainly(&stored, &rows), "room {room}");
        }
    }
}
