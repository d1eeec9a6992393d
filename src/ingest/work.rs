//! Workers: each takes the next group of a source, reads it, waits its turn for what must happen in
//! order (line numbers, identities, counts), and encodes its rows.
//!
//! There are no stages and no queues between them: a worker carries a group from bytes to an encoded
//! row group, so that memory is a few groups whatever the size of the file. What is in order depends on
//! the number of the group alone, so that one worker and ten write the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use tokio::sync::mpsc;

use crate::config::settings::{Limits, Pack};
use crate::contract::{Contract, Reason};
use crate::error::{Error, Kind, Result, fail};
use crate::ingest::batch::Reject;
use crate::ingest::cells::Refusals;
use crate::ingest::counts::Tally;
use crate::ingest::feed::{Feed, Split};
use crate::ingest::header::Header;
use crate::ingest::json::Names;
use crate::ingest::kernel::Kernels;
use crate::ingest::known::{Identity, Known};
use crate::ingest::lines::lines;
use crate::ingest::progress::Progress;
use crate::ingest::rows::{Refused, Rows, Stamp};
use crate::ingest::scan::{Broken, Records, Scanner};
use crate::ingest::span::{Group, Span};
use crate::lake::days::UNDATED;
use crate::lake::{Encoded, Encoder};
use crate::place::suspect::Suspect;
use crate::protect::SiteKey;
use crate::time::{Calendar, LocalDays};

/// Rows read column by column at once: their fields and cells stay in the second-level cache.
const BLOCK_ROWS: usize = 2048;
/// Rows gathered and encoded at once.
const SLICE_ROWS: usize = 4096;

/// What the workers of one file share and do not change.
pub(super) struct Job<'a> {
    pub contract: &'a Contract,
    pub header: &'a Header,
    /// Encoding of the bytes as the feed gives them.
    pub encoding: &'static encoding_rs::Encoding,
    pub split: Split,
    /// Fields of a delimited record.
    pub width: usize,
    pub shown: &'a str,
    /// The line of the first record.
    pub first_line: u64,
    pub key: SiteKey,
    pub calendar: Calendar,
    pub ingested_at: i64,
    pub limits: &'a Limits,
    /// Bytes of one record.
    pub record_limit: usize,
    pub pack: Pack,
    pub progress: &'a Progress,
    pub schema: SchemaRef,
    pub encoder: Option<Encoder>,
    /// Positions of earlier batches, to hold those of this one against.
    pub suspect: Suspect,
}

/// The account of a file so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub read: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub rejected: u64,
    pub blanked: u64,
    pub reasons: BTreeMap<String, u64>,
    pub rejects: Vec<Reject>,
    pub unknown: BTreeSet<String>,
    /// Columns of the contract that some record brought, where each brings its own names.
    pub met: Vec<bool>,
    /// What the positions of the file look like as a whole.
    pub suspect: Option<Suspect>,
}

/// What happens in the order of the groups.
struct Ordered {
    next: usize,
    lines: u64,
    /// Groups whose rows stand in their files.
    written: usize,
    failed: Option<Error>,
    /// The name of the batch, once it is known and known to be new.
    batch: Option<String>,
    known: Option<Known>,
    tally: Option<Tally>,
    account: Account,
}

/// What the workers leave behind.
pub(super) struct Finished {
    pub known: Option<Known>,
    pub tally: Option<Tally>,
    pub account: Account,
}

/// The turn of the workers.
pub(super) struct Turn {
    ordered: Mutex<Ordered>,
    moved: Condvar,
    workers: usize,
}

/// The rows of one group, ready for their files.
pub(super) struct Done {
    pub group: usize,
    pub parts: Vec<(Option<String>, Encoded)>,
    /// Rows that wait for the exact verdict on their identity, in the columns of the table.
    pub late: Option<RecordBatch>,
    /// Statistics days of the rows.
    pub days: BTreeSet<i32>,
}

fn interrupted() -> Error {
    fail(Kind::Interrupted, "interrupted", &[])
}

impl Turn {
    pub(super) fn new(known: Option<Known>, tally: Option<Tally>, workers: usize) -> Turn {
        Turn {
            ordered: Mutex::new(Ordered {
                next: 0,
                lines: 0,
                written: 0,
                failed: None,
                batch: None,
                known,
                tally,
                account: Account::default(),
            }),
            moved: Condvar::new(),
            workers,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ordered> {
        // a worker that panicked ends the process; its half-done state is nobody's
        self.ordered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits until `ready` gives something, or somebody failed.
    fn wait<T>(&self, mut ready: impl FnMut(&mut Ordered) -> Option<T>) -> Result<(MutexGuard<'_, Ordered>, T)> {
        let mut ordered = self.lock();
        loop {
            if ordered.failed.is_some() {
                return Err(interrupted());
            }
            if let Some(found) = ready(&mut ordered) {
                return Ok((ordered, found));
            }
            ordered = self
                .moved
                .wait(ordered)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Stops everybody; the first reason is kept.
    pub(super) fn fail(&self, error: Error) {
        let mut ordered = self.lock();
        if ordered.failed.is_none() {
            ordered.failed = Some(error);
        }
        drop(ordered);
        self.moved.notify_all();
    }

    /// Names the batch: from now on rows may be encoded.
    pub(super) fn name(&self, batch: String) {
        self.lock().batch = Some(batch);
        self.moved.notify_all();
    }

    /// Says how many groups stand in their files.
    pub(super) fn written(&self, groups: usize) {
        self.lock().written = groups;
        self.moved.notify_all();
    }

    /// Stops everybody without a reason of its own: the caller has one.
    pub(super) fn stop(&self) {
        self.fail(interrupted());
    }

    /// The end: what was counted, or why there is none.
    ///
    /// # Errors
    /// The first failure of a worker.
    pub(super) fn finish(&self) -> Result<Finished> {
        let mut ordered = self.lock();
        match ordered.failed.take() {
            Some(error) => Err(error),
            None => Ok(Finished {
                known: ordered.known.take(),
                tally: ordered.tally.take(),
                account: std::mem::take(&mut ordered.account),
            }),
        }
    }
}

/// Gathers records to blocks and reads their columns.
pub(super) struct Block<'w, 'a> {
    job: &'w Job<'a>,
    kernels: &'w mut Kernels<'a>,
    rows: &'w mut Rows<'a>,
    rejects: &'w mut Vec<Reject>,
    refusals: &'w mut Refusals,
    group: Group<'w>,
    /// Fields of the block by column.
    fields: &'w mut [Vec<Span>],
    lines: &'w mut Vec<u32>,
    wholes: &'w mut Vec<Span>,
    read: u64,
    /// Whether records come with the fields of the contract, not of the file.
    direct: bool,
}

impl Block<'_, '_> {
    pub(super) fn push(&mut self, line: usize, whole: Span, fields: &[Span], side: &mut Vec<u8>) {
        self.read += 1;
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        self.wholes.push(whole);
        if self.direct {
            for (column, span) in self.fields.iter_mut().zip(fields) {
                column.push(*span);
            }
        } else {
            for (column, at) in self.fields.iter_mut().zip(&self.job.header.positions) {
                column.push(at.and_then(|at| fields.get(at)).copied().unwrap_or_default());
            }
        }
        if self.lines.len() == BLOCK_ROWS {
            self.flush(side);
        }
    }

    pub(super) fn refuse(&mut self, line: usize, refused: Refused) {
        self.read += 1;
        self.rejects.push(Reject {
            line: line as u64,
            refused,
        });
    }

    fn flush(&mut self, side: &mut Vec<u8>) {
        let refusals = &mut *self.refusals;
        refusals.reset(self.lines.len());
        for (at, fields) in self.fields.iter_mut().enumerate() {
            self.kernels.column(at, fields, self.group, side, refusals);
            fields.clear();
        }
        self.rows
            .add(self.kernels, self.lines, self.wholes, self.group.bytes, refusals);
        for (row, refused) in refusals.take() {
            self.rejects.push(Reject {
                line: u64::from(self.lines[row]),
                refused,
            });
        }
        self.job
            .progress
            .rows
            .fetch_add(self.lines.len() as u64, Ordering::Relaxed);
        self.lines.clear();
        self.wholes.clear();
        side.clear();
    }
}

impl Records for Block<'_, '_> {
    fn record(&mut self, line: usize, whole: Span, fields: &[Span], side: &mut Vec<u8>) {
        self.push(line, whole, fields, side);
    }

    fn broken(&mut self, line: usize, _: Span, why: Broken) {
        let (reason, value) = match why {
            Broken::Quote => (Reason::Quote, String::new()),
            Broken::TooLarge(bytes) => (Reason::TooLarge, format!("{bytes} bytes")),
            Broken::Fields(found) => (Reason::Ragged, format!("{found} / {}", self.job.width)),
        };
        let refused = Refused {
            reason,
            column: String::new(),
            value,
        };
        self.refuse(line, refused);
    }
}

/// One worker's state, reused from group to group.
struct Worker<'a> {
    kernels: Kernels<'a>,
    rows: Rows<'a>,
    refusals: Refusals,
    fields: Vec<Vec<Span>>,
    lines: Vec<u32>,
    wholes: Vec<Span>,
    side: Vec<u8>,
    group: Vec<u8>,
    unknown: BTreeSet<String>,
    names: Names,
}

/// Takes groups until the source ends or somebody fails.
///
/// # Errors
/// As the source, the contract and the lexicon say; `Interrupted` where another worker failed first.
pub(super) fn work<'a>(
    job: &'a Job<'a>,
    origins: &'a [String],
    feed: &Mutex<Feed<'_>>,
    turn: &Turn,
    sender: &mpsc::Sender<Done>,
) -> Result<()> {
    let days = LocalDays::new(job.calendar);
    let mut worker = Worker {
        kernels: Kernels::new(job.contract, job.encoding, &job.key, days.clone(), job.pack, origins),
        rows: Rows::new(
            job.contract,
            origins,
            &job.key,
            days,
            job.ingested_at,
            job.suspect.clone(),
        ),
        refusals: Refusals::default(),
        fields: vec![Vec::with_capacity(BLOCK_ROWS); job.contract.columns.len()],
        lines: Vec::with_capacity(BLOCK_ROWS),
        wholes: Vec::with_capacity(BLOCK_ROWS),
        side: Vec::new(),
        group: Vec::new(),
        unknown: job.header.unknown.clone(),
        names: Names::new(&job.header.fields, job.contract.columns.len()),
    };
    loop {
        let number = {
            let mut feed = feed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            feed.next(&mut worker.group)?
        };
        let Some(number) = number else { return Ok(()) };
        // a worker far ahead of the files would pile up encoded groups
        let room = 2 * turn.workers;
        drop(turn.wait(|ordered| (number <= ordered.written + room).then_some(()))?);
        let mut rejects = Vec::new();
        let (read, lines) = worker.read(job, &mut rejects)?;
        let done = worker.in_turn(job, turn, number, read, lines, rejects)?;
        let (first_line, batch, late) = done;
        let Some(encoder) = &job.encoder else { continue };
        let stamp = Stamp {
            ingested_at: job.ingested_at,
            batch,
        };
        let done = worker.encode(job, encoder, number, first_line, &stamp, &late)?;
        sender.blocking_send(done).map_err(|_| interrupted())?;
    }
}

impl<'a> Worker<'a> {
    /// Reads the group to cells and rows; records read and lines passed.
    fn read(&mut self, job: &'a Job<'a>, rejects: &mut Vec<Reject>) -> Result<(u64, u64)> {
        self.kernels.clear();
        self.rows.clear();
        self.side.clear();
        let mut block = Block {
            job,
            kernels: &mut self.kernels,
            rows: &mut self.rows,
            rejects,
            refusals: &mut self.refusals,
            group: Group::new(&self.group, job.encoding),
            fields: &mut self.fields,
            lines: &mut self.lines,
            wholes: &mut self.wholes,
            read: 0,
            direct: !matches!(job.split, Split::Delimited(_)),
        };
        let lines = match &job.split {
            Split::Delimited(dialect) => {
                let mut scanner = Scanner::new(dialect, job.width, job.record_limit);
                scanner.scan(&self.group, &mut self.side, &mut block)
            }
            Split::Lines | Split::Converted => {
                let (names, unknown) = (&mut self.names, &mut self.unknown);
                lines(job, &self.group, &mut self.side, names, unknown, &mut block)?
            }
        };
        if !block.lines.is_empty() {
            block.flush(&mut self.side);
        }
        let read = block.read;
        // an oversized record is handed out without its line end
        let cut = usize::from(!self.group.ends_with(b"\n"));
        Ok((read, (lines + cut) as u64))
    }

    /// What happens in the order of the file. Returns the line of the group's first record, the name
    /// of the batch, and the rows whose identity is not certainly new.
    fn in_turn(
        &mut self,
        job: &Job<'_>,
        turn: &Turn,
        number: usize,
        read: u64,
        lines: u64,
        mut rejects: Vec<Reject>,
    ) -> Result<(u64, String, Vec<u32>)> {
        let (mut ordered, batch) = turn.wait(|ordered| {
            let mine = ordered.next == number;
            ordered.batch.clone().filter(|_| mine)
        })?;
        let first_line = job.first_line + ordered.lines;
        ordered.lines += lines;
        ordered.next += 1;
        if job.encoder.is_none() {
            // nothing goes to files, so nothing is waited for
            ordered.written = ordered.next;
        }
        let mut late = Vec::new();
        let rows = &mut self.rows;
        let Ordered {
            known, tally, account, ..
        } = &mut *ordered;
        let good = rows.good.len() as u64;
        if let Some(tally) = tally {
            let contract = job.contract;
            let refuse = |line: u32, refused: Refused| {
                rejects.push(Reject {
                    line: u64::from(line),
                    refused,
                })
            };
            let counted = tally.add(contract, &self.kernels.cells, rows, refuse);
            account.accepted += counted.0;
            account.duplicate += counted.1;
        } else if let Some(known) = known {
            let identities: Vec<Identity> = rows.good.iter().map(|row| rows.identity[*row as usize]).collect();
            let mut waits = Vec::with_capacity(identities.len());
            known.take(&identities, &mut waits)?;
            let mut waits = waits.into_iter();
            rows.good.retain(|row| {
                let waits = waits.next().unwrap_or(false);
                if waits {
                    late.push(*row);
                }
                !waits
            });
            account.accepted += good - late.len() as u64;
        } else {
            account.accepted += good;
        }
        account.read += read;
        match &mut account.suspect {
            Some(suspect) => suspect.merge(&rows.suspect),
            None => account.suspect = Some(rows.suspect.clone()),
        }
        account.blanked += self.kernels.blanked;
        account.rejected += rejects.len() as u64;
        account.unknown.append(&mut self.unknown.clone());
        account.met.resize(self.names.met.len(), false);
        for (met, here) in account.met.iter_mut().zip(&self.names.met) {
            *met |= here;
        }
        rejects.sort_by_key(|reject| reject.line);
        for mut reject in rejects {
            *account
                .reasons
                .entry(reject.refused.reason.code().to_owned())
                .or_insert(0) += 1;
            reject.line += first_line;
            account.rejects.push(reject);
        }
        let too_many = account.rejects.len() > job.limits.rejects_per_batch;
        let reasons = too_many.then(|| format!("{:?}", account.reasons));
        drop(ordered);
        turn.moved.notify_all();
        if let Some(reasons) = reasons {
            let error = fail(
                Kind::Limit,
                "too_many_rejects",
                &[&job.shown, &job.limits.rejects_per_batch],
            );
            return Err(error.because(reasons));
        }
        Ok((first_line, batch, late))
    }

    fn encode(
        &mut self,
        job: &Job<'_>,
        encoder: &Encoder,
        group: usize,
        first_line: u64,
        stamp: &Stamp,
        late: &[u32],
    ) -> Result<Done> {
        let cells = &self.kernels.cells;
        let mut days = BTreeSet::new();
        let mut parts = Vec::new();
        for (month, order) in self.rows.by_month() {
            let mut last = None;
            for row in &order {
                let day = self.rows.day(*row);
                if last != Some(day) {
                    days.insert(day.unwrap_or(UNDATED));
                    last = Some(day);
                }
            }
            let slices = order
                .chunks(SLICE_ROWS)
                .map(|rows| self.rows.arrays(cells, encoder.schema(), rows, first_line, stamp));
            parts.push((month, encoder.encode(order.len(), slices)?));
        }
        let late = if late.is_empty() {
            None
        } else {
            Some(self.late_rows(job, encoder.schema(), late, first_line, stamp)?)
        };
        Ok(Done {
            group,
            parts,
            late,
            days,
        })
    }

    /// Rows that wait, in the columns of the table: those of the files and the partition's.
    fn late_rows(
        &self,
        job: &Job<'_>,
        files: &SchemaRef,
        late: &[u32],
        first_line: u64,
        stamp: &Stamp,
    ) -> Result<RecordBatch> {
        let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
        let mut arrays = self.rows.arrays(&self.kernels.cells, files, late, first_line, stamp)?;
        let mut fields: Vec<_> = files.fields().iter().cloned().collect();
        for field in job.schema.fields() {
            if files.field_with_name(field.name()).is_err() {
                let months = late
                    .iter()
                    .map(|row| self.rows.day(*row).map(crate::time::calendar::month));
                arrays.push(std::sync::Arc::new(StringArray::from_iter(months)) as ArrayRef);
                fields.push(field.clone());
            }
        }
        RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), arrays).map_err(broken)
    }
}
