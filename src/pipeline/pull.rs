//! Pulling: what a provider offers becomes tables of this lake, in one release of its own.
//!
//! Files come in without the site lease, so that a thin line holds up no night; it is held while tables are born and
//! while the release is published.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::audit::{Chain, Decision, Entry, Head};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::{Commit, Lake};
use crate::message::Message;
use crate::pipeline::{Run, Watch};
use crate::share::bundle::Bundle;
use crate::share::client::{Moving, Provider};
use crate::share::offer::{Offer, Planned};
use crate::share::profile::Profile;
use crate::share::recipient::RENEWAL_DAYS;
use crate::time::rfc3339;

/// Times that a pull begins anew where what it began with is not offered any more.
const ATTEMPTS: u32 = 4;
/// Days before the end of a token at which its end is told.
const NOTICES: [i64; 3] = [3, 14, RENEWAL_DAYS];
const DAY: i64 = 86_400_000_000;

/// The folder of a site in which what goes back to a provider lies, by its name.
pub const OUTBOX: &str = "outbox";
/// The folder in it for what was sent.
pub const SENT: &str = "sent";

/// How a pull is to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Only tell what would come.
    pub trial: bool,
    /// Take what is older than what is here, as after a provider began anew.
    pub older: bool,
}

/// Who watches a pull.
pub trait Pulling: Moving {
    /// This is to come; `rate` are the bytes a second of the last pull.
    fn planned(&self, planned: &Planned, rate: Option<f64>);
    /// Something worth a line happened.
    fn said(&self, message: Message);
}

/// What a pull brought of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// The provider.
    pub share: String,
    /// When, RFC 3339.
    pub at: String,
    /// Its release.
    pub release: u64,
    /// Tables.
    pub tables: u64,
    /// Files that came in.
    pub files: u64,
    /// Their bytes, as far as they came in now.
    pub bytes: u64,
    /// Thousandths of a second.
    pub millis: u64,
    /// The head of its audit: whoever holds it is a witness.
    pub head: String,
    /// The release here, 0 where nothing was new.
    pub published: u64,
}

fn log_path(lake: &Lake, share: &str) -> PathBuf {
    lake.root().join("pulls").join(format!("{share}.jsonl"))
}

/// What earlier pulls brought of a provider, oldest first.
///
/// # Errors
/// As the file system fails.
pub fn arrivals(lake: &Lake, share: &str) -> Result<Vec<Arrived>> {
    let path = log_path(lake, share);
    match std::fs::read_to_string(&path) {
        // a line that was cut off says nothing
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(io_error(&path, &cause)),
    }
}

/// The heads of audits that this lake is a witness of.
///
/// # Errors
/// As the file system fails.
fn remember(lake: &Lake, arrived: &Arrived) -> Result<()> {
    let path = log_path(lake, &arrived.share);
    let failed = |cause: std::io::Error| io_error(&path, &cause);
    std::fs::create_dir_all(path.parent().unwrap_or(lake.root())).map_err(failed)?;
    let line = serde_json::to_string(arrived).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// A pull inside a night, which has its own words and no bar.
struct Quiet<'w>(&'w dyn Watch);

impl Moving for Quiet<'_> {
    fn moved(&self, _: u64) {}
}

impl Pulling for Quiet<'_> {
    fn planned(&self, _: &Planned, _: Option<f64>) {}

    fn said(&self, message: Message) {
        self.0.said(message);
    }
}

impl Run<'_> {
    /// Pulls from every provider of the settings; the first failure is told when all were asked. A night waits for
    /// none of them longer than the settings say.
    pub(super) async fn pull_all(&self, watch: &dyn Watch) -> Result<()> {
        let (mut failed, minutes) = (Ok(()), self.site.settings.pull.night_minutes);
        for profile in &self.site.settings.pull.profiles {
            let (path, quiet) = (self.site.path(profile), Quiet(watch));
            let pull = self.pull(&path, Ask::default(), &quiet);
            let late = |_| fail(Kind::Unavailable, "pull_late", &[profile, &minutes]);
            let done = tokio::time::timeout(Duration::from_secs(60 * minutes), pull).await;
            failed = failed.and(done.map_err(late).and_then(|done| done.map(drop)));
        }
        failed
    }

    /// Pulls what a profile's provider offers.
    ///
    /// # Errors
    /// As [`Provider::offers`] and [`Provider::fetch`]; `Conflict` where another pull is under way or what is offered
    /// is older than what is here, `Limit` for more than the settings take. What has come in stays, and the next pull
    /// goes on with it.
    pub async fn pull(&self, path: &Path, ask: Ask, watch: &dyn Pulling) -> Result<Vec<Arrived>> {
        let _alone = self.lake.lease("pull", 0).await?;
        let settings = &self.site.settings.pull;
        let mut profile = Profile::read(path)?;
        let (mut pinned, mut left, mut renewed) = (BTreeMap::new(), ATTEMPTS, ask.trial);
        let mut came: BTreeMap<String, (u64, u64, Instant)> = BTreeMap::new();
        loop {
            let provider = Provider::new(&profile, settings)?;
            let (offers, ends) = match provider.offers(&pinned).await {
                // the release that it began with is not offered any more: it begins with the present one
                Err(error) if error.kind() == Kind::Missing && !pinned.is_empty() && left > 1 => {
                    left -= 1;
                    pinned.clear();
                    continue;
                }
                offers => offers?,
            };
            // before the files: a line that breaks each day must not cost the token as well
            if !std::mem::replace(&mut renewed, true)
                && let Some(next) = self.renewed(&provider, &profile, ends.as_deref(), watch).await
            {
                next.write(path)?;
                profile = next;
                continue;
            }
            let planned = self.all_planned(offers, &profile.endpoint, ask, watch).await?;
            if ask.trial {
                return Ok(Vec::new());
            }
            let (mut again, mut moved) = (false, 0);
            for plan in &planned {
                pinned.insert(plan.offer.share.clone(), plan.offer.release);
                let before = rest(plan);
                let done = provider.fetch(&plan.wanted, watch).await;
                let left_over = plan.wanted.iter().filter(|file| !file.incoming.is_there());
                let new = came.entry(plan.offer.share.clone()).or_insert((0, 0, Instant::now()));
                new.0 += (plan.wanted.len() - left_over.count()) as u64;
                // what was thrown away counts for nothing
                let bytes = before.saturating_sub(rest(plan));
                new.1 += bytes;
                moved += bytes;
                match done {
                    // an address has ended: the offer is asked for once more, and what has come stays
                    Err(error) if error.kind() == Kind::Missing && (left > 1 || bytes > 0) => again = true,
                    done => done?,
                }
            }
            if again {
                // a line that brings something each time is not given up
                left = if moved > 0 { ATTEMPTS } else { left - 1 };
                continue;
            }
            let arrived = self.arrive(planned, &came, true, watch).await?;
            for one in &arrived {
                // what is sent back is another matter than what came
                if let Err(error) = self.send_back(&provider, &one.share, watch).await {
                    watch.said(Message::new("pull_unsent", &[&one.share, &error]));
                }
            }
            return Ok(arrived);
        }
    }

    /// Offers against what is here.
    async fn all_planned(
        &self,
        offers: Vec<Offer>,
        endpoint: &str,
        ask: Ask,
        watch: &dyn Pulling,
    ) -> Result<Vec<Planned>> {
        let mut planned = Vec::new();
        for offer in offers {
            if offer.tables.is_empty() {
                // what was given stays with whoever has it, but nobody should take it for fresh
                let last = self.lake.latest_release().await?;
                if let Some(known) = last.as_ref().and_then(|last| last.pulled.get(&offer.share)) {
                    watch.said(Message::new(
                        "pull_ended",
                        &[&offer.share, &known.release, &known.made_at],
                    ));
                }
                continue;
            }
            let plan = self.planned(offer, endpoint, ask).await?;
            let known = arrivals(self.lake, &plan.offer.share)?;
            watch.planned(&plan, rate(&known));
            let most = self.site.settings.pull.gibibytes;
            if plan.bytes() > most << 30 {
                let words: [&dyn std::fmt::Display; 3] = [&plan.offer.share, &(plan.bytes() >> 30), &most];
                return Err(fail(Kind::Limit, "pull_large", &words).hint("pull_large_hint", &[]));
            }
            planned.push(plan);
        }
        Ok(planned)
    }

    /// Takes in what came as one file, made for whoever holds the token of one of the profiles.
    ///
    /// # Errors
    /// `Input` for a file that is none of ours, `Denied` for one that was not made for us, `Check` for bytes that are
    /// not those that were promised.
    pub async fn pull_file(
        &self,
        path: &Path,
        profiles: &[PathBuf],
        ask: Ask,
        watch: &dyn Pulling,
    ) -> Result<Vec<Arrived>> {
        let _alone = self.lake.lease("pull", 0).await?;
        let mut bundle = Bundle::open(path)?;
        let (mut reader, mut unread) = (None, None);
        for profile in profiles {
            match Profile::read(profile) {
                Ok(profile) if bundle.is_for(&profile) => reader = Some(profile),
                Ok(_) => {}
                Err(error) => unread = Some(error),
            }
        }
        let stranger = || fail(Kind::Denied, "bundle_stranger", &[&path.display()]).hint("bundle_stranger_hint", &[]);
        let reader = reader.ok_or_else(|| unread.unwrap_or_else(stranger))?;
        let begun = Instant::now();
        let planned = self.planned(bundle.offer().clone(), &reader.endpoint, ask).await?;
        watch.planned(&planned, None);
        if ask.trial {
            return Ok(Vec::new());
        }
        for file in &planned.wanted {
            bundle.take(file)?;
            watch.moved(file.size);
        }
        let bytes = planned.wanted.iter().map(|file| file.size).sum();
        let came = (planned.wanted.len() as u64, bytes, begun);
        let came = BTreeMap::from([(planned.offer.share.clone(), came)]);
        self.arrive(vec![planned], &came, false, watch).await
    }

    /// An offer against what is here. One that is older than what is here is not taken in its place, and neither is
    /// one by the name of another provider that this site pulls from.
    async fn planned(&self, offer: Offer, endpoint: &str, ask: Ask) -> Result<Planned> {
        let last = self.lake.latest_release().await?;
        let known = last.as_ref().and_then(|last| last.pulled.get(&offer.share));
        if let Some(known) = known.filter(|known| known.endpoint != endpoint) {
            let profiles = self.site.settings.pull.profiles.iter();
            let mut others = profiles.filter_map(|profile| Profile::read(&self.site.path(profile)).ok());
            if others.any(|other| other.endpoint == known.endpoint) {
                return Err(fail(
                    Kind::Denied,
                    "pull_name",
                    &[&endpoint, &offer.share, &known.endpoint],
                ));
            }
        }
        if let Some(known) = known.filter(|known| known.release > offer.release && !ask.older) {
            let words: [&dyn std::fmt::Display; 3] = [&offer.share, &offer.release, &known.release];
            return Err(fail(Kind::Conflict, "pull_older", &words).hint("pull_older_hint", &[]));
        }
        let wait = self.site.settings.limits.lease_wait_seconds;
        let _lease = self.lake.lease("site", wait).await?;
        Planned::new(self.lake, (offer, endpoint), ask.trial).await
    }

    /// Publishes what has come in.
    async fn arrive(
        &self,
        planned: Vec<Planned>,
        came: &BTreeMap<String, (u64, u64, Instant)>,
        over_a_line: bool,
        watch: &dyn Pulling,
    ) -> Result<Vec<Arrived>> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let mut all = Vec::new();
        for plan in planned {
            let lease = self.lake.lease("site", wait).await?;
            let commit = Commit::of(&self.run_id, lease.fence(), self.key.id());
            let (share, release, head) = (plan.offer.share.clone(), plan.offer.release, plan.offer.head.clone());
            let tables = plan.offer.tables.len() as u64;
            let now = self.clock.now();
            let last = self.lake.latest_release().await?;
            let here = last.iter().flat_map(|last| last.tables.keys());
            for gone in here.filter(|name| plan.withdraws(name)) {
                watch.said(Message::new("pull_withdrawn", &[&share, gone]));
            }
            let published = plan.publish(self.lake, &commit, now).await?;
            let (files, bytes, begun) = came.get(&share).copied().unwrap_or((0, 0, Instant::now()));
            let arrived = Arrived {
                share,
                at: rfc3339(now),
                release,
                tables,
                files,
                bytes,
                millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                head,
                published: published.map_or(0, |release| release.release),
            };
            self.witness(&arrived, over_a_line, watch)?;
            remember(self.lake, &arrived)?;
            all.push(arrived);
        }
        Ok(all)
    }

    /// Holds the head of a provider's audit against those that it showed before. A bundle may be older than the last
    /// answer over a line, and its head with it.
    fn witness(&self, arrived: &Arrived, over_a_line: bool, watch: &dyn Pulling) -> Result<()> {
        let head = |arrived: &Arrived| arrived.head.parse::<Head>().ok();
        let Some(now) = head(arrived) else { return Ok(()) };
        let before = arrivals(self.lake, &arrived.share)?;
        let wrong = before.iter().filter_map(head).find(|before| {
            let other = before.seq == now.seq && before.hash != now.hash;
            (over_a_line && before.seq > now.seq) || other
        });
        if let Some(before) = wrong {
            watch.said(Message::new("pull_witness", &[&arrived.share, &before, &now]));
        }
        Ok(())
    }

    /// A new token, where the present one ends soon. That there is none yet ends no pull.
    async fn renewed(
        &self,
        provider: &Provider<'_>,
        profile: &Profile,
        ends: Option<&str>,
        watch: &dyn Pulling,
    ) -> Option<Profile> {
        let ends = ends.or(profile.expiration_time.as_deref())?;
        let left = DateTime::parse_from_rfc3339(ends).ok()?.timestamp_micros() - self.clock.now();
        let days = left.div_euclid(DAY);
        if days >= RENEWAL_DAYS {
            return None;
        }
        match provider.renew().await {
            Ok(renewed) => {
                let until = renewed.expiration_time.clone().unwrap_or_default();
                watch.said(Message::new("pull_renewed", &[&until]));
                Some(renewed)
            }
            Err(_) => {
                if NOTICES.iter().any(|notice| days <= *notice) {
                    watch.said(Message::new("pull_token_ends", &[&ends, &days]));
                }
                None
            }
        }
    }

    /// Sends back what lies in `outbox/<share>/`; what was sent is laid aside.
    async fn send_back(&self, provider: &Provider<'_>, share: &str, watch: &dyn Pulling) -> Result<()> {
        let folder = self.site.path(OUTBOX).join(share);
        let failed = |cause: std::io::Error| io_error(&folder, &cause);
        let entries = match std::fs::read_dir(&folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == "ndjson") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut done = Ok(());
        for path in paths {
            let sent = self.send_one(provider, share, &path).await;
            match sent {
                Ok(()) => watch.said(Message::new("pull_sent", &[&path.display()])),
                // one that is refused holds up none of the others
                Err(error) => done = done.and(Err(error)),
            }
        }
        done
    }

    async fn send_one(&self, provider: &Provider<'_>, share: &str, path: &Path) -> Result<()> {
        let failed = |cause: std::io::Error| io_error(path, &cause);
        let bytes = std::fs::read(path).map_err(failed)?;
        let mut entry = Entry {
            request: format!("{}-{}", self.run_id, path.display()),
            who: share.to_owned(),
            act: "outbox.send".to_owned(),
            object: path.file_name().unwrap_or_default().display().to_string(),
            decision: Decision::Allow,
            bytes: bytes.len() as u64,
            ..Entry::default()
        };
        // what leaves this site is recorded here as well
        let mut chain = Chain::open(self.lake, Some(self.key), self.clock.now())?;
        chain.add(std::slice::from_ref(&entry), self.clock.now())?;
        let sent = provider.send(bytes).await;
        entry.decision = if sent.is_ok() { Decision::Whole } else { Decision::Part };
        chain.add(&[entry], self.clock.now())?;
        chain.checkpoint(self.clock.now())?;
        sent?;
        let aside = path.with_file_name(SENT);
        std::fs::create_dir_all(&aside)
            .and_then(|()| std::fs::rename(path, aside.join(path.file_name().unwrap_or_default())))
            .map_err(failed)
    }
}

/// Bytes that have not come in.
fn rest(plan: &Planned) -> u64 {
    let files = plan.wanted.iter().filter(|file| !file.incoming.is_there());
    files.map(|file| file.size - file.incoming.begun()).sum()
}

/// Bytes a second of the last pull that moved some.
fn rate(known: &[Arrived]) -> Option<f64> {
    let last = known
        .iter()
        .rev()
        .find(|arrived| arrived.bytes > 0 && arrived.millis > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a guess of a duration")]
    let rate = last.bytes as f64 * 1_000.0 / last.millis as f64;
    Some(rate)
}
