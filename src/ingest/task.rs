//! The reading of one source on its threads.

use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::mpsc;

use crate::config::Settings;
use crate::contract::Contract;
use crate::ingest::feed::{Feed, GROUP_BYTES};
use crate::ingest::progress::Progress;
use crate::ingest::rows::origins;
use crate::ingest::source::Looked;
use crate::ingest::work::{Done, Job, Turn, work};
use crate::ingest::{header, open};
use crate::place::suspect::Suspect;
use crate::protect::SiteKey;
use crate::time::Calendar;

/// Threads worth having for a source, at most `most`: one for each group it can have.
pub(super) fn workers(looked: &Looked, most: usize) -> usize {
    let groups = usize::try_from(looked.unpacked()).unwrap_or(usize::MAX) / GROUP_BYTES + 1;
    groups.min(most.max(1))
}

/// The work of the reading threads.
pub(super) struct Task {
    pub contract: Contract,
    pub header: header::Header,
    pub opened: open::Opened,
    pub path: PathBuf,
    pub shown: String,
    pub schema: arrow::datatypes::SchemaRef,
    pub encoder: Option<crate::lake::Encoder>,
    pub key: SiteKey,
    pub calendar: Calendar,
    pub now: i64,
    pub settings: Settings,
    pub suspect: Suspect,
    /// Threads that read the file.
    pub workers: usize,
}

impl Task {
    pub(super) fn run(self, turn: &Turn, sender: &mpsc::Sender<Done>, progress: &Progress) {
        let limits = &self.settings.limits;
        let job = Job {
            contract: &self.contract,
            header: &self.header,
            encoding: self.opened.encoding,
            width: self.opened.names.len(),
            split: self.opened.split.clone(),
            shown: &self.shown,
            first_line: self.opened.first_line,
            key: self.key,
            calendar: self.calendar,
            ingested_at: self.now,
            limits,
            record_limit: self.opened.record_limit,
            pack: self.settings.site.identifier_pack,
            progress,
            schema: self.schema,
            encoder: self.encoder,
            suspect: self.suspect,
        };
        let feed = Feed::new(
            self.path,
            self.opened.reader,
            self.opened.carry,
            self.opened.split,
            self.opened.record_limit,
        );
        let feed = Mutex::new(feed);
        let origins = origins(&self.contract);
        let worker = || {
            if let Err(error) = work(&job, &origins, &feed, turn, sender) {
                turn.fail(error);
            }
        };
        // a thread of its own for each file of a few rows would cost more memory than it saves time
        std::thread::scope(|scope| {
            for _ in 1..self.workers {
                scope.spawn(worker);
            }
            worker();
        });
    }
}
