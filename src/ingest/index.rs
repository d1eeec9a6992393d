//! The identities of a table, sorted, in one file beside the tables: what a night knows of the nights before.
//!
//! Reading every identity of a table costs as much as its history is long; a look-up here costs a few reads.
//! The file is a copy of what the table says and may be lost: it names the commit up to which it tells, and one
//! of another commit, or one that was damaged, counts as none.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};
use crate::ingest::filter::Filter;

/// Bytes before the numbers.
const HEAD_BYTES: u64 = 512;
/// Numbers read or written at once.
const BLOCK: usize = 1 << 13;
/// A look-up reads some thirty numbers; above this share of the file, reading all of it is cheaper.
const LOOKED_UP: u64 = 256;
/// Identities of one night that are held beside a file of those before.
const MOST_ADDED: usize = 1 << 20;
/// Identities that are sorted in memory at once.
pub(super) const SORTED_AT_ONCE: u64 = if cfg!(test) { 1_000 } else { 8 << 20 };
/// Rows of a table below which it is read as fast as such a file.
pub(super) const WORTH_KEEPING: u64 = if cfg!(debug_assertions) { 100 } else { 100_000 };

/// The sorted identities of one table as of one commit.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    file: File,
    count: u64,
}

/// The file of a table.
pub(super) fn path(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.identities"))
}

impl Index {
    /// The file of a table, if it can be read and tells of the commit `title`; every identity in it goes to
    /// `take`, also where it turns out to be damaged.
    pub(super) fn open(path: &Path, title: &str, take: impl FnMut(i64)) -> Option<Index> {
        // one that cannot be read is none: the table says the same
        Index::read(path, title, take).ok().flatten()
    }

    fn read(path: &Path, title: &str, mut take: impl FnMut(i64)) -> std::io::Result<Option<Index>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if length < HEAD_BYTES || !(length - HEAD_BYTES).is_multiple_of(8) {
            return Ok(None);
        }
        let mut head = vec![0u8; usize::try_from(HEAD_BYTES).unwrap_or(512)];
        let mut reader = BufReader::with_capacity(BLOCK * 8, &file);
        reader.read_exact(&mut head)?;
        let count = (length - HEAD_BYTES) / 8;
        let told = String::from_utf8_lossy(&head);
        let Some((digest, of)) = told.trim_end().split_once(' ') else {
            return Ok(None);
        };
        if of != head_line(count, title) {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        let mut bytes = vec![0u8; BLOCK * 8];
        let mut left = count;
        while left > 0 {
            let part = left.min(BLOCK as u64);
            let bytes = &mut bytes[..usize::try_from(part).unwrap_or(BLOCK) * 8];
            reader.read_exact(bytes)?;
            hasher.update(bytes);
            let numbers = bytes.as_chunks::<8>().0.iter();
            numbers.for_each(|number| take(i64::from_le_bytes(*number)));
            left -= part;
        }
        let whole = hasher.finalize().to_hex().as_str() == digest;
        Ok(whole.then(|| Index {
            path: path.to_owned(),
            file,
            count,
        }))
    }

    /// Writes the file of a table as of the commit `title`. `part` is called until it gives nothing and hands
    /// over sorted identities, each part above the one before.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be written; then there is none.
    pub(super) async fn write<P>(path: &Path, title: &str, mut part: P) -> Result<()>
    where
        P: AsyncFnMut() -> Result<Option<Vec<i64>>>,
    {
        let failed = |cause: std::io::Error| io_error(path, &cause);
        let folder = path.parent().unwrap_or(path);
        // an unfinished file has no name, so that nothing is left of it
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let mut hasher = blake3::Hasher::new();
        let mut count = 0u64;
        let mut writer = BufWriter::with_capacity(BLOCK * 8, file.as_file_mut());
        writer.seek(SeekFrom::Start(HEAD_BYTES)).map_err(failed)?;
        while let Some(identities) = part().await? {
            count += identities.len() as u64;
            for block in identities.chunks(BLOCK) {
                let bytes: Vec<u8> = block.iter().flat_map(|number| number.to_le_bytes()).collect();
                hasher.update(&bytes);
                writer.write_all(&bytes).map_err(failed)?;
            }
        }
        let head = format!("{} {}", hasher.finalize().to_hex(), head_line(count, title));
        writer.seek(SeekFrom::Start(0)).map_err(failed)?;
        let width = usize::try_from(HEAD_BYTES).unwrap_or(512);
        write!(writer, "{head:<width$}").map_err(failed)?;
        writer.flush().map_err(failed)?;
        drop(writer);
        file.persist(path).map_err(|cause| failed(cause.error))?;
        Ok(())
    }

    fn at(&self, place: u64) -> Result<i64> {
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, HEAD_BYTES + place * 8)
            .map_err(|cause| io_error(&self.path, &cause))?;
        Ok(i64::from_le_bytes(bytes))
    }

    fn holds(&self, identity: i64) -> Result<bool> {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from + (to - from) / 2;
            match self.at(middle)?.cmp(&identity) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(false)
    }

    /// Numbers from a place on.
    fn part(&self, from: u64) -> Result<Vec<i64>> {
        let count = usize::try_from((self.count - from).min(BLOCK as u64)).unwrap_or(BLOCK);
        let mut bytes = vec![0; count * 8];
        self.file
            .read_exact_at(&mut bytes, HEAD_BYTES + from * 8)
            .map_err(|cause| io_error(&self.path, &cause))?;
        Ok(bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|number| i64::from_le_bytes(*number))
            .collect())
    }
}

fn head_line(count: u64, title: &str) -> String {
    format!("{count} {title}")
}

/// What is known of the identities of one table, from file to file of a night.
#[derive(Debug)]
pub(super) struct Held {
    pub filter: Filter,
    /// The identities before this night, where they are kept.
    index: Option<Index>,
    /// Those that came since, while they are few.
    added: Option<Vec<i64>>,
}

impl Held {
    /// What `filter` and, exactly, `index` tell.
    pub(super) fn new(filter: Filter, index: Option<Index>) -> Held {
        Held {
            filter,
            added: index.as_ref().map(|_| Vec::new()),
            index,
        }
    }

    /// Marks those of the asked identities that are stored; `false` where the table itself must be asked.
    pub(super) fn mark_stored(&self, asked: &[i64], mark: &mut dyn FnMut(i64)) -> Result<bool> {
        let (Some(index), Some(added)) = (&self.index, &self.added) else {
            return Ok(false);
        };
        if asked.len() as u64 > index.count / LOOKED_UP + 1_000 {
            return Ok(false);
        }
        added.iter().for_each(|identity| mark(*identity));
        for identity in asked {
            if index.holds(*identity)? {
                mark(*identity);
            }
        }
        Ok(true)
    }

    /// Takes in the identities that a file brought; more than can be held are not.
    pub(super) fn add(&mut self, count: u64, each: impl FnOnce(&mut dyn FnMut(i64)) -> Result<()>) -> Result<()> {
        let Some(added) = &mut self.added else { return Ok(()) };
        if added.len() as u64 + count > MOST_ADDED as u64 {
            self.added = None;
            return Ok(());
        }
        each(&mut |identity| added.push(identity))
    }

    /// All identities, sorted, part after part, where they are known without asking the table.
    pub(super) fn sorted(self) -> Option<impl FnMut() -> Result<Option<Vec<i64>>>> {
        let (index, mut added) = (self.index?, self.added?);
        added.sort_unstable();
        let (mut read, mut taken) = (0, 0);
        Some(move || {
            if read == index.count {
                let rest = added[taken..].to_vec();
                taken = added.len();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            let part = index.part(read)?;
            read += part.len() as u64;
            let last = part.last().copied().unwrap_or(i64::MAX);
            let upto = taken + added[taken..].partition_point(|identity| *identity <= last);
            let mut merged = part;
            merged.extend_from_slice(&added[taken..upto]);
            merged.sort_unstable();
            taken = upto;
            Ok(Some(merged))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::known::spread;

    fn identities(range: std::ops::Range<u64>) -> Vec<i64> {
        range.map(|number| spread(number).cast_signed()).collect()
    }

    async fn written(path: &Path, mut all: Vec<i64>) {
        all.sort_unstable();
        let mut all = Some(all);
        Index::write(path, "1@7 night", async || Ok(all.take()))
            .await
            .expect("written");
    }

    #[tokio::test]
    async fn what_was_kept_and_what_came_since_is_told_exactly() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path(folder.path(), "source.alarm");
        written(&path, identities(0..30_000)).await;
        for night in 0..3u64 {
            let new = 30_000 + night * 500..30_000 + (night + 1) * 500;
            let mut seen = Vec::new();
            let title = if night == 0 {
                "1@7 night".to_owned()
            } else {
                format!("1@8 night {night}")
            };
            let index = Index::open(&path, &title, |identity| seen.push(identity)).expect("whole");
            let mut before = identities(0..new.start);
            before.sort_unstable();
            assert!(seen == before, "night {night}");
            let mut held = Held::new(Filter::with_room_for(1), Some(index));
            let fresh = identities(new.clone());
            held.add(500, |take| {
                fresh.iter().for_each(|identity| take(*identity));
                Ok(())
            })
            .expect("added");
            let asked: Vec<i64> = identities(new.end - 700..new.end + 50);
            let mut marked = std::collections::BTreeSet::new();
            assert!(
                held.mark_stored(&asked, &mut |identity| _ = marked.insert(identity))
                    .expect("asked")
            );
            let known = asked.iter().filter(|identity| marked.contains(identity)).count();
            assert_eq!(known, 700, "night {night}");
            let mut sorted = held.sorted().expect("known");
            Index::write(&path, &format!("1@8 night {}", night + 1), async || sorted())
                .await
                .expect("written");
        }
    }

    #[tokio::test]
    async fn a_file_of_another_commit_or_with_a_changed_byte_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path(folder.path(), "source.alarm");
        let open = |title: &str| Index::open(&path, title, |_| {}).is_some();
        assert!(!open("1@7 night"));
        written(&path, identities(0..3_000)).await;
        assert!(open("1@7 night"));
        assert!(!open("1@8 night"));
        assert!(!open("2@7 night"));
        let whole = std::fs::read(&path).expect("bytes");
        for at in [3, 80, 512, 9_000, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).expect("written");
            assert!(!open("1@7 night"), "byte {at}");
        }
        std::fs::write(&path, &whole[..whole.len() - 8]).expect("written");
        assert!(!open("1@7 night"), "cut");
    }
}
