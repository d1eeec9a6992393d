//! What the server knows: recipients and releases, read again every few seconds. Old knowledge opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use chrono::DateTime;

use crate::config::Site;
use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, Release, ReleaseTable};
use crate::share::definition::shares;
use crate::share::recipient::{Known, Recipients};
use crate::share::{Class, Share};
use crate::time::{Calendar, Clock};

/// Between two looks at the lake.
const LOOK: Duration = Duration::from_secs(2);
/// After this time without a look nothing is served.
const STALE: Duration = Duration::from_secs(5);
/// For how long a release that was followed by another one is served to those who began with it.
const RECENT: i64 = 24 * 3_600_000_000;
/// Releases before the present one that are looked at.
const BACK: usize = 400;

/// What was seen at one look.
#[derive(Debug, Clone)]
pub struct State {
    /// The recipients.
    pub recipients: Arc<Recipients>,
    /// The releases that are served, the present one last.
    pub releases: Vec<Arc<Release>>,
    /// Since which release each shared table is as it is in the present one.
    pub since: BTreeMap<String, u64>,
    /// The shares, as they are defined.
    pub shares: Arc<Vec<Share>>,
    /// The day.
    pub today: i32,
    seen: Instant,
}

/// A table that somebody may read.
#[derive(Debug, Clone)]
pub struct Open<'s> {
    /// Its share.
    pub share: &'s Share,
    /// Its entry in the release.
    pub entry: &'s ReleaseTable,
    /// The release.
    pub release: &'s Arc<Release>,
    /// The partitions that are the recipient's; all where there is no say.
    pub partitions: Option<&'s BTreeSet<String>>,
    /// What for.
    pub purpose: &'s str,
}

impl State {
    /// The present release.
    pub fn release(&self) -> Option<&Arc<Release>> {
        self.releases.last()
    }

    /// A release that is served; the present one where none is asked for.
    pub fn served(&self, number: Option<u64>) -> Option<&Arc<Release>> {
        match number {
            None => self.release(),
            Some(number) => self.releases.iter().find(|release| release.release == number),
        }
    }

    /// A table by its share's name, where somebody may read it.
    pub fn open<'s>(&'s self, who: &Known<'s>, name: &str, release: &'s Arc<Release>) -> Option<Open<'s>> {
        let share = self.shares.iter().find(|share| share.name == name)?;
        let grant = who
            .recipient
            .grants
            .get(name)
            .filter(|grant| grant.stands(self.today))?;
        let partitions = match share.file.class {
            Class::Own if who.recipient.counties.is_empty() => return None,
            Class::Own => Some(&who.recipient.counties),
            Class::Compared => None,
        };
        // an approval that ended between two nights ends now
        share.state(self.today).is_none().then_some(())?;
        Some(Open {
            share,
            entry: release.tables.get(&share.table())?,
            release,
            partitions,
            purpose: &grant.purpose,
        })
    }

    /// The names of the shares that somebody may read now.
    pub fn readable(&self, who: &Known<'_>) -> Vec<String> {
        let Some(release) = self.release() else {
            return Vec::new();
        };
        let names = who.recipient.grants.keys();
        names
            .filter(|name| self.open(who, name, release).is_some())
            .cloned()
            .collect()
    }
}

/// The state as it is seen now.
#[derive(Debug)]
pub struct Watched {
    site: Site,
    lake: Lake,
    calendar: Calendar,
    clock: Arc<dyn Clock>,
    state: RwLock<Arc<State>>,
}

impl Watched {
    /// Looks for the first time.
    ///
    /// # Errors
    /// As the lake or a share's file cannot be read.
    pub async fn new(site: Site, lake: Lake, clock: Arc<dyn Clock>) -> Result<Watched> {
        let settings = &site.settings.site;
        let calendar = Calendar::new(&settings.timezone, &settings.day_cutoff).ok_or_else(|| {
            fail(
                Kind::Input,
                "site_calendar",
                &[&settings.timezone, &settings.day_cutoff],
            )
        })?;
        let none = State {
            recipients: Arc::default(),
            releases: Vec::new(),
            since: BTreeMap::new(),
            shares: Arc::new(shares(&site)?),
            today: i32::MAX,
            seen: Instant::now(),
        };
        let watched = Watched {
            site,
            lake,
            calendar,
            clock,
            state: RwLock::new(Arc::new(none)),
        };
        watched.look().await?;
        Ok(watched)
    }

    /// What is known, unless it is too old to be relied on.
    pub fn now(&self) -> Option<Arc<State>> {
        let state = self.state.read().ok()?.clone();
        (state.seen.elapsed() < STALE).then_some(state)
    }

    /// Looks once, after the time between two looks.
    ///
    /// # Errors
    /// As [`Watched::look`].
    pub async fn look_later(&self) -> Result<()> {
        tokio::time::sleep(LOOK).await;
        self.look().await
    }

    /// Looks once.
    ///
    /// # Errors
    /// As the lake cannot be read; as the files of shares are wrong, with everything else seen.
    pub async fn look(&self) -> Result<()> {
        let seen = Instant::now();
        let before = match self.state.read() {
            Ok(state) => state.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        let recipients = match Recipients::newest(&self.lake).await? {
            version if version == before.recipients.version => before.recipients.clone(),
            _ => Arc::new(Recipients::load(&self.lake).await?),
        };
        // a share whose file is wrong now stays as it was, which is told
        let (shares, wrong) = match shares(&self.site) {
            Ok(shares) => (Arc::new(shares), Ok(())),
            Err(error) => (before.shares.clone(), Err(error)),
        };
        let now = self.clock.now();
        let (releases, since) = self.releases(&before, now).await?;
        let today = self.calendar.day_and_hour(now).map_or(i32::MAX, |(day, _)| day);
        let state = State {
            recipients,
            releases,
            since,
            shares,
            today,
            seen,
        };
        if let Ok(mut known) = self.state.write() {
            *known = Arc::new(state);
        }
        wrong
    }

    /// The releases that are served, and since which one each share is as it is.
    async fn releases(&self, before: &State, now: i64) -> Result<(Vec<Arc<Release>>, BTreeMap<String, u64>)> {
        let numbers = self.lake.releases().await?;
        let newest = numbers.last().copied();
        // releases do not vanish: a lake that shows none any more is one that cannot be read
        if let (Some(release), None) = (before.release(), newest) {
            return Err(fail(Kind::Unavailable, "no_release", &[&release.release]));
        }
        let same = before.release().map(|release| release.release) == newest;
        if same {
            let followed = |at: usize| before.releases.get(at + 1).is_none_or(|next| is_recent(next, now));
            let releases = before.releases.iter().enumerate().filter(|(at, _)| followed(*at));
            return Ok((
                releases.map(|(_, release)| release.clone()).collect(),
                before.since.clone(),
            ));
        }
        let (mut served, mut since, mut open) = (Vec::new(), BTreeMap::new(), None);
        let (mut withdrawn, mut fresh) = (u64::MAX, true);
        for number in numbers.iter().rev().take(BACK) {
            let known = before.releases.iter().find(|release| release.release == *number);
            let release = match known {
                Some(release) => release.clone(),
                None => Arc::new(self.lake.release(*number).await?),
            };
            let open = open.get_or_insert_with(|| shared(&release));
            open.retain(|name, state| {
                let same = release.tables.get(name).is_some_and(|entry| entry.state() == *state);
                if same {
                    since.insert(name.clone(), *number);
                }
                same
            });
            // what was taken back between two releases is not served to anybody any more
            if fresh && *number < withdrawn {
                served.push(release.clone());
            }
            // the one before it may be served for as long as this one has been there
            fresh &= is_recent(&release, now);
            if let Some(restored) = release.restores {
                withdrawn = withdrawn.min(restored + 1);
            }
            if open.is_empty() && !fresh {
                break;
            }
        }
        served.reverse();
        Ok((served, since))
    }
}

/// The shares of a release with the states of their tables.
fn shared(release: &Release) -> BTreeMap<String, String> {
    let tables = release.tables.iter().filter(|(name, _)| name.starts_with("share."));
    tables.map(|(name, entry)| (name.clone(), entry.state())).collect()
}

/// Whether a release came so lately that readers may still be at the one before it.
fn is_recent(release: &Release, now: i64) -> bool {
    let made = DateTime::parse_from_rfc3339(&release.made_at);
    made.is_ok_and(|made| now - made.timestamp_micros() < RECENT)
}
