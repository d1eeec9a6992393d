//! The recorder: entries of many requests at once, one write to the disk for all that wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::audit::{Chain, Decision, Entry, Head};
use crate::error::{Error, Kind, Result, fail};
use crate::time::Clock;

/// Entries that one write to the disk takes at most.
const GROUP: usize = 256;
/// Entries after which the chain is vouched for.
const CHECKPOINT_ENTRIES: usize = 1_000;
/// Time after which it is, where something was added.
const CHECKPOINT_TIME: Duration = Duration::from_secs(60);
/// Bytes from the end of the chain in which requests that were never ended are looked for.
const TAIL_BYTES: u64 = 64 << 20;

type Answer = oneshot::Sender<std::result::Result<Head, String>>;

/// What the recorder is told.
#[derive(Debug)]
enum Told {
    /// To write an entry, and to whom that it is written.
    Write(Box<Entry>, Option<Answer>),
    /// To vouch for what was added, where it is time.
    Vouch,
    /// To end in good order.
    Close,
}

/// Records what is decided and what ended.
#[derive(Debug, Clone)]
pub struct Audit {
    send: UnboundedSender<Told>,
    trouble: Arc<Mutex<Option<Error>>>,
    writes: Arc<AtomicBool>,
    recorder: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Audit {
    /// Begins to record. Requests that an earlier process left without an end are ended as broken off.
    ///
    /// # Errors
    /// As the chain cannot be written.
    pub fn start(mut chain: Chain, clock: Arc<dyn Clock>) -> Result<Audit> {
        let left: Vec<Entry> = left_open(&chain)?;
        chain.add(&left, clock.now())?;
        chain.checkpoint(clock.now())?;
        let (send, receive) = unbounded_channel();
        let trouble = Arc::new(Mutex::new(None));
        let told = trouble.clone();
        let writes = Arc::new(AtomicBool::new(true));
        let wrote = writes.clone();
        let recorder = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || record(chain, receive, clock.as_ref(), &told, &wrote))
            .map_err(|cause| fail(Kind::Unavailable, "runtime_failed", &[]).because(cause))?;
        let recorder = Arc::new(Mutex::new(Some(recorder)));
        Ok(Audit {
            send,
            trouble,
            writes,
            recorder,
        })
    }

    /// Records an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// `Unavailable` where the chain cannot be written: nothing may leave.
    pub async fn add(&self, entry: Entry) -> Result<Head> {
        let failed = |cause: String| fail(Kind::Unavailable, "audit_failed", &[]).because(cause);
        let (answer, told) = oneshot::channel();
        self.send
            .send(Told::Write(Box::new(entry), Some(answer)))
            .map_err(|cause| failed(cause.to_string()))?;
        told.await.map_err(|cause| failed(cause.to_string()))?.map_err(failed)
    }

    /// Records how a request ended, without waiting for the disk.
    pub fn end(&self, entry: Entry) {
        // a recorder that is gone refuses the next request, which says so
        let _ = self.send.send(Told::Write(Box::new(entry), None));
    }

    /// Has the chain vouched for, where something was added and it is time: a silent server leaves no open end.
    pub fn vouch(&self) {
        // a recorder that is gone refuses the next request, which says so
        let _ = self.send.send(Told::Vouch);
    }

    /// Ends the record in good order: what was told before is on the disk when this returns, and vouched for. What is
    /// asked later is refused.
    pub fn close(&self) {
        // a recorder that is gone has nothing left to write
        let _ = self.send.send(Told::Close);
        let recorder = self.recorder.lock().ok().and_then(|mut recorder| recorder.take());
        if let Some(recorder) = recorder {
            let _ = recorder.join();
        }
    }

    /// Whether the last write reached the disk; after one that did not, each look tries again.
    pub fn writes(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// What went wrong with vouching since it was asked for last; the record itself is whole.
    pub fn trouble(&self) -> Option<Error> {
        self.trouble.lock().ok()?.take()
    }
}

fn record(
    mut chain: Chain,
    mut receive: UnboundedReceiver<Told>,
    clock: &dyn Clock,
    trouble: &Mutex<Option<Error>>,
    writes: &AtomicBool,
) {
    let (mut since, mut vouched, mut open) = (0, Instant::now(), true);
    // ends that could not be written: they wait for the next write, with which they are tried again
    let mut kept: Vec<Entry> = Vec::new();
    while open {
        let Some(first) = receive.blocking_recv() else { break };
        let (mut entries, mut answers, mut next) = (std::mem::take(&mut kept), Vec::new(), Some(first));
        let waiting = entries.len();
        while let Some(told) = next {
            match told {
                Told::Write(entry, answer) => {
                    entries.push(*entry);
                    answers.push(answer);
                }
                Told::Vouch => {}
                Told::Close => open = false,
            }
            next = (entries.len() < waiting + GROUP && open)
                .then(|| receive.try_recv().ok())
                .flatten();
        }
        let done = match entries.is_empty() && !writes.load(Ordering::Relaxed) {
            // nothing to write would tell nothing of the disk
            true => chain.checkpoint(clock.now()),
            false => chain.add(&entries, clock.now()),
        };
        writes.store(done.is_ok(), Ordering::Relaxed);
        if done.is_err() {
            let told = std::iter::repeat_n(true, waiting).chain(answers.iter().map(Option::is_none));
            kept = entries
                .into_iter()
                .zip(told)
                .filter(|(_, end)| *end)
                .map(|(entry, _)| entry)
                .collect();
        } else {
            since += entries.len();
        }
        if done.is_ok() && (since >= CHECKPOINT_ENTRIES || (since > 0 && vouched.elapsed() >= CHECKPOINT_TIME)) {
            // what was written stands; that it is not vouched for is told, and tried again with the next look
            match chain.checkpoint(clock.now()) {
                Ok(_) => (since, vouched) = (0, Instant::now()),
                Err(error) => {
                    if let Ok(mut trouble) = trouble.lock() {
                        *trouble = Some(error);
                    }
                }
            }
        }
        for answer in answers.into_iter().flatten() {
            let told = done.as_ref().map(Head::clone).map_err(ToString::to_string);
            // whoever asked may have gone
            let _ = answer.send(told);
        }
    }
    // the process ends in good order: what it recorded is vouched for
    let _ = chain.checkpoint(clock.now());
}

/// Ends for requests that were allowed and never ended.
fn left_open(chain: &Chain) -> Result<Vec<Entry>> {
    let mut open: BTreeMap<String, Entry> = BTreeMap::new();
    for line in chain.tail(TAIL_BYTES)? {
        match line.entry.decision {
            // what is done at this site itself ends by itself
            Decision::Allow if line.entry.address.is_empty() => {}
            Decision::Allow => drop(open.insert(line.entry.request.clone(), line.entry)),
            _ => drop(open.remove(&line.entry.request)),
        }
    }
    let broken_off = open.into_values().map(|entry| Entry {
        decision: Decision::Part,
        reason: "the process ended".to_owned(),
        ..entry
    });
    Ok(broken_off.collect())
}
