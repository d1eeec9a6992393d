//! A source file as groups of whole records, in order.
//!
//! Workers take groups in turn. Where a group ends depends on the bytes alone, never on who reads or
//! how fast, so that the output of one worker and of ten is the same.

use std::io::Read;
use std::path::PathBuf;

use memchr::memchr;

use crate::contract::Dialect;
use crate::error::{Result, io_error};
use crate::ingest::scan;

/// Bytes of a group, before the record that ends it.
pub(super) const GROUP_BYTES: usize = 16 << 20;

/// How records are told apart.
#[derive(Debug, Clone)]
pub(super) enum Split {
    /// Delimited text.
    Delimited(Dialect),
    /// One record a line.
    Lines,
    /// One record a line, made from a source that is no text; a line can also be a refusal.
    Converted,
}

/// The groups of one source.
pub(super) struct Feed<'a> {
    path: PathBuf,
    reader: Box<dyn Read + Send + 'a>,
    split: Split,
    record_limit: usize,
    group_bytes: usize,
    /// Read, and not yet handed out.
    carry: Vec<u8>,
    /// The rest of an oversized record is passed over.
    skipping: bool,
    ended: bool,
    next: usize,
}

impl<'a> Feed<'a> {
    /// Groups of what `reader` gives after the header, `carry` being what was read beyond it.
    pub(super) fn new(
        path: PathBuf,
        reader: Box<dyn Read + Send + 'a>,
        carry: Vec<u8>,
        split: Split,
        record_limit: usize,
    ) -> Feed<'a> {
        Feed {
            path,
            reader,
            split,
            record_limit,
            group_bytes: GROUP_BYTES.max(record_limit.saturating_mul(2)),
            carry,
            skipping: false,
            ended: false,
            next: 0,
        }
    }

    /// Puts the next group into `group` and tells its number; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` where the source cannot be read.
    pub(super) fn next(&mut self, group: &mut Vec<u8>) -> Result<Option<usize>> {
        group.clear();
        group.append(&mut self.carry);
        loop {
            self.fill(group)?;
            if self.skipping {
                match memchr(b'\n', group) {
                    Some(end) => {
                        group.drain(..=end);
                        self.skipping = false;
                        continue;
                    }
                    None => group.clear(),
                }
                if !self.ended {
                    continue;
                }
            }
            if group.is_empty() {
                return Ok(None);
            }
            let cut = match &self.split {
                Split::Delimited(dialect) => scan::boundary(group, dialect, self.ended, self.record_limit),
                Split::Lines | Split::Converted if self.ended => group.len(),
                Split::Lines | Split::Converted => memchr::memrchr(b'\n', group).map_or(0, |end| end + 1),
            };
            if cut == 0 {
                // one record fills the group: it is handed out cut short, and refused as too large
                self.skipping = true;
            } else {
                self.carry.extend_from_slice(&group[cut..]);
                group.truncate(cut);
            }
            self.next += 1;
            return Ok(Some(self.next - 1));
        }
    }

    /// Reads until the group has its size or the source ends.
    fn fill(&mut self, group: &mut Vec<u8>) -> Result<()> {
        let missing = self.group_bytes.saturating_sub(group.len());
        if self.ended || missing == 0 {
            return Ok(());
        }
        // reads into spare capacity: the buffer is reused and never cleared byte by byte
        let mut part = (&mut self.reader).take(missing as u64);
        let count = part.read_to_end(group).map_err(|cause| io_error(&self.path, &cause))?;
        self.ended = count < missing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &[u8], split: Split, group_bytes: usize, limit: usize) -> Vec<Vec<u8>> {
        let mut feed = Feed::new(PathBuf::from("test"), Box::new(text), Vec::new(), split, limit);
        feed.group_bytes = group_bytes;
        let (mut all, mut group) = (Vec::new(), Vec::new());
        while let Some(number) = feed.next(&mut group).expect("no error") {
            assert_eq!(number, all.len());
            all.push(group.clone());
        }
        all
    }

    #[test]
    fn groups_end_at_records_and_lose_no_byte() {
        let text = b"1,a\n2,\"b\nb\"\n3,c\n4,d\n".repeat(4);
        for size in 24..90 {
            let found = groups(&text, Split::Delimited(Dialect::default()), size, 12);
            assert_eq!(found.concat(), text, "{size}");
            assert!(found.iter().all(|group| group[0].is_ascii_digit()), "{size}");
        }
    }

    #[test]
    fn the_rest_of_an_endless_record_is_passed_over() {
        let mut text = vec![b'x'; 100];
        text.extend(b"\n2,b\n");
        let found = groups(&text, Split::Lines, 10, 4);
        assert_eq!(found, [vec![b'x'; 10], b"2,b\n".to_vec()]);
    }
}
