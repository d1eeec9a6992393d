//! The recorder: entries of many requests at once, one write to the disk for all that wait.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::audit::chain::parsed;
use crate::audit::{Chain, Decision, Entry, Head};
use crate::error::{Kind, Result, fail};
use crate::time::Clock;

/// Entries that one write to the disk takes at most.
const GROUP: usize = 256;
/// Entries after which the chain is vouched for.
const CHECKPOINT_ENTRIES: usize = 1_000;
/// Time after which it is.
const CHECKPOINT_TIME: Duration = Duration::from_secs(600);
/// Bytes from the end of the chain in which requests that were never ended are looked for.
const TAIL_BYTES: usize = 64 << 20;

type Answer = oneshot::Sender<std::result::Result<Head, String>>;

/// Records what is decided and what ended.
#[derive(Debug, Clone)]
pub struct Audit {
    send: UnboundedSender<(Entry, Option<Answer>)>,
    head: Arc<RwLock<Head>>,
}

impl Audit {
    /// Begins to record. Requests that an earlier process left without an end are ended as broken off.
    ///
    /// # Errors
    /// As the chain cannot be written.
    pub fn start(mut chain: Chain, clock: Arc<dyn Clock>) -> Result<Audit> {
        let left: Vec<Entry> = left_open(&chain)?;
        chain.add(&left, clock.now())?;
        let head = Arc::new(RwLock::new(chain.checkpoint(clock.now())?));
        let (send, receive) = unbounded_channel();
        let shown = head.clone();
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || record(chain, receive, clock.as_ref(), &shown))
            .map_err(|cause| fail(Kind::Unavailable, "runtime_failed", &[]).because(cause))?;
        Ok(Audit { send, head })
    }

    /// Records an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// `Unavailable` where the chain cannot be written: nothing may leave.
    pub async fn add(&self, entry: Entry) -> Result<Head> {
        let failed = |cause: String| fail(Kind::Unavailable, "audit_failed", &[]).because(cause);
        let (answer, told) = oneshot::channel();
        self.send
            .send((entry, Some(answer)))
            .map_err(|cause| failed(cause.to_string()))?;
        told.await.map_err(|cause| failed(cause.to_string()))?.map_err(failed)
    }

    /// Records how a request ended, without waiting for the disk.
    pub fn end(&self, entry: Entry) {
        // a recorder that is gone refuses the next request, which says so
        let _ = self.send.send((entry, None));
    }

    /// The head of the chain, as of the last write.
    pub fn head(&self) -> Head {
        self.head.read().map(|head| head.clone()).unwrap_or_default()
    }
}

fn record(
    mut chain: Chain,
    mut receive: UnboundedReceiver<(Entry, Option<Answer>)>,
    clock: &dyn Clock,
    shown: &RwLock<Head>,
) {
    let (mut since, mut vouched) = (0, Instant::now());
    while let Some(first) = receive.blocking_recv() {
        let (mut entries, mut answers) = (vec![first.0], vec![first.1]);
        while entries.len() < GROUP
            && let Ok((entry, answer)) = receive.try_recv()
        {
            entries.push(entry);
            answers.push(answer);
        }
        let mut done = chain.add(&entries, clock.now());
        since += entries.len();
        if done.is_ok() && (since >= CHECKPOINT_ENTRIES || vouched.elapsed() >= CHECKPOINT_TIME) {
            done = chain.checkpoint(clock.now());
            (since, vouched) = (0, Instant::now());
        }
        if let (Ok(head), Ok(mut shown)) = (&done, shown.write()) {
            shown.clone_from(head);
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
    use std::io::{Read, Seek, SeekFrom};
    let failed = |cause: std::io::Error| crate::error::io_error(chain.path(), &cause);
    let mut file = std::fs::File::open(chain.path()).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES as u64)))
        .map_err(failed)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(failed)?;
    let mut open: BTreeMap<String, Entry> = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        // the first line may be cut by where the look began
        let Some((_, line)) = parsed(line) else { continue };
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
