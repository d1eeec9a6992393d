//! One run of a pipeline, under the site lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::Chain;
use crate::config::Site;
use crate::config::settings::ResponseReading;
use crate::contract::{Contract, Origin};
use crate::engine::{Parameter, Parameters};
use crate::error::{Error, Kind, Place, Problem, Result, fail};
use crate::ingest::batch::Given;
use crate::ingest::{Ingest, Progress, Report};
use crate::lake::release::digest;
use crate::lake::{Lake, Lease, Release, ReleaseTable, SHARED};
use crate::message::{Language, Message};
use crate::model::pinned::RECORDS;
use crate::model::{Finding, Models};
use crate::pipeline::build::{Built, Part, standing};
use crate::pipeline::changes::{Change, Two};
use crate::pipeline::files::{Assigned, assign, contracts};
use crate::pipeline::intake::partial;
use crate::pipeline::plan::is_source;
use crate::pipeline::record::{Act, Head, Record};
use crate::pipeline::waiver::waivers;
use crate::pipeline::{Definition, pages};
use crate::protect::SiteKey;
use crate::share::definition::{Share, shares};
use crate::time::{Calendar, Clock, rfc3339};

/// Who watches a run: the command line draws, tests collect.
pub trait Watch: Send + Sync {
    /// Something worth a line happened.
    fn said(&self, message: Message);
    /// A file of so many bytes is being read.
    fn reading(&self, file: &str, bytes: u64, progress: Arc<Progress>);
    /// The file is done.
    fn read(&self, report: &Report);
}

/// What a run needs from outside.
#[derive(Debug)]
pub struct Run<'a> {
    /// The site.
    pub site: &'a Site,
    /// Its lake.
    pub lake: &'a Lake,
    /// Its secret.
    pub key: &'a SiteKey,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Randomness for throw-away keys.
    pub entropy: [u8; 32],
    /// The name of the run, sortable by time.
    pub run_id: String,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The files.
    pub reports: Vec<Report>,
    /// Files that are not whole yet.
    pub waiting: Vec<String>,
    /// Source files that were removed, their time being up.
    pub purged: Vec<String>,
    /// Models built, with their rows.
    pub built: Vec<(String, u64)>,
    /// Models that nothing changed for.
    pub kept: usize,
    /// Models switched off, with the missing input.
    pub off: BTreeMap<String, String>,
    /// The release that holds now, 0 for none.
    pub release: u64,
    /// Whether this run published it.
    pub published: bool,
    /// Its digest.
    pub digest: String,
    /// Pages written, relative to the site.
    pub pages: Vec<String>,
    /// Models that could not be built, with what is wrong.
    pub failed: Vec<(String, Error)>,
    /// How the tables of its release differ from those of the one before.
    pub changes: Vec<Change>,
}

/// What of a pipeline a run is about.
#[derive(Debug, Clone)]
pub struct Request {
    /// The pipeline.
    pub pipeline: String,
    /// Its kind.
    pub act: Act,
    /// The run that it repeats, or the backfill that it is a part of.
    pub part_of: Option<String>,
    /// When the schedule wanted it, UTC microseconds.
    pub due_at: Option<i64>,
    /// What it takes for now, where that is not the moment at which it begins.
    pub clock_at: Option<i64>,
    /// The sources and models that it is about; all where it does not say.
    pub only: Option<Only>,
    /// Days that are built again whether they changed or not.
    pub again: BTreeSet<i32>,
}

/// Sources and models of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Files, as the user knows them.
    pub files: BTreeSet<String>,
    /// Models; all that are due where it does not say.
    pub models: Option<BTreeSet<String>>,
}

impl Request {
    /// A whole pipeline, now.
    pub fn all(pipeline: &str) -> Request {
        Request {
            pipeline: pipeline.to_owned(),
            act: Act::Run,
            part_of: None,
            due_at: None,
            clock_at: None,
            only: None,
            again: BTreeSet::new(),
        }
    }

    /// Whether a model is to be built.
    pub(super) fn builds(&self, model: &str) -> bool {
        let models = self.only.as_ref().and_then(|only| only.models.as_ref());
        models.is_none_or(|models| models.contains(model))
    }
}

impl Run<'_> {
    /// What this run is, beginning now.
    fn head(&self, request: &Request, fence: u64) -> Head {
        let started_at = self.clock.now();
        Head {
            run_id: self.run_id.clone(),
            pipeline: request.pipeline.clone(),
            act: request.act,
            part_of: request.part_of.clone(),
            due_at: request.due_at,
            clock_at: request.clock_at.unwrap_or(started_at),
            started_at,
            fence,
        }
    }

    /// Runs a pipeline: plan, ingest, build, check, release, pages.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; `Check` where a check failed (its branch is held) or where files
    /// were refused (the rest is published); else as a step fails.
    pub async fn pipeline(&self, request: &Request, watch: &dyn Watch) -> Result<Outcome> {
        let name = &request.pipeline;
        let definition = Definition::load(self.site, name)?;
        // an environment reads what is published, and nothing comes in through it
        let pulled = match definition.pull && self.lake.environment().is_none() {
            true => self.pull_all(watch).await,
            false => Ok(()),
        };
        let lease = self.site_lease(watch).await?;
        // a night begins the site's audit, so that those who read its release without the key are recorded
        Chain::open(self.lake, Some(self.key), self.clock.now())?;
        let mut record = Record::begin(self.lake, self.clock, self.head(request, lease.fence())).await?;
        let (contracts, models, shares) = match self.loaded(&definition, name) {
            Ok(loaded) => loaded,
            // a night that could not begin was one all the same: it is told of, and can be repeated
            Err(error) => {
                record.step("plan", name, "failed", 0, error.render(Language::English))?;
                record.end(self.lake, "failed", 0).await?;
                return Err(error);
            }
        };
        // what was pulled before stays, and says from when it is
        if let Err(error) = &pulled {
            record.step("pull", name, "failed", 0, error.render(Language::English))?;
            watch.said(Message::new("pull_stays", &[]));
        }
        let mut outcome = Outcome::default();
        // an environment reads what is published, and nothing comes in through it
        let mut files: Vec<Assigned> = match self.lake.environment() {
            Some(_) => Vec::new(),
            None => assign(self.site, &contracts).await?,
        };
        files.retain(|file| definition.ingests(&file.contract));
        if let Some(only) = &request.only {
            files.retain(|file| only.files.contains(&file.shown));
        }
        let read = match self.lake.environment() {
            Some(_) => Ok(Vec::new()),
            None => {
                self.ingest(&contracts, &files, false, &mut record, &mut outcome, watch)
                    .await
            }
        };
        let (refused, built) = match read {
            Ok(refused) => {
                let part = Part {
                    definition: &definition,
                    models: &models,
                    contracts: &contracts,
                    shares: &shares,
                    request,
                };
                (refused, self.build(part, &mut record, &mut outcome, watch).await)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let published = match built {
            Ok(built) => {
                self.release(&models, name, built, &mut record, &mut outcome, watch)
                    .await
            }
            Err(error) => Err(error),
        };
        let sound = !record.checks.iter().any(Finding::holds) && outcome.failed.is_empty();
        let pages = match &published {
            Ok(_) => self.pages(&definition, &contracts, &mut record, &mut outcome).await,
            Err(_) => Ok(()),
        };
        let purged = match (&published, &pages) {
            (Ok(_), Ok(())) if sound => self.purge(&files, &mut record, &mut outcome).await,
            _ => Ok(()),
        };
        let kept = match (&published, &pages) {
            // an environment does not touch what is published
            (Ok(_), Ok(())) if self.lake.environment().is_none() => {
                self.upkeep(&lease, &definition.upkeep, &contracts, &mut record, watch)
                    .await
            }
            _ => Ok(()),
        };
        let status = match (&published, &pages) {
            (Ok(_), Ok(())) if refused.is_empty() && sound && kept.is_ok() && pulled.is_ok() => "ok",
            (Ok(_), _) => "partial",
            _ => "failed",
        };
        let run = record.end(self.lake, status, outcome.release).await?;
        let held = published?;
        pages?;
        purged?;
        kept?;
        pulled?;
        if let Some(error) = models_failed(std::mem::take(&mut outcome.failed)) {
            return Err(error);
        }
        if !sound {
            return Err(checks_failed(held.len(), &run.checks));
        }
        partial(refused, outcome)
    }

    /// The site lease; whoever waits for it is told for whom.
    async fn site_lease(&self, watch: &dyn Watch) -> Result<Lease> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        match self.lake.lease("site", 0).await {
            Err(error) if error.kind() == Kind::Conflict => {
                let under_way = self.lake.journals()?.pop().map(|(run_id, _)| run_id);
                watch.said(Message::new("lease_waits", &[&under_way.unwrap_or_default(), &wait]));
                self.lake.lease("site", wait).await
            }
            lease => lease,
        }
    }

    /// The contracts, models and shares of a pipeline, as they must be for it to begin.
    fn loaded(&self, definition: &Definition, name: &str) -> Result<(Vec<Contract>, Models, Vec<Share>)> {
        let contracts = contracts(self.site)?;
        let models = Models::load(self.site)?;
        // pages are told of waivers when everything else is done
        waivers(self.site, &contracts)?;
        let shares = shares(self.site)?;
        definition.known(name, self.site, &contracts, &models, &shares)?;
        Ok((contracts, models, shares))
    }

    /// Ingests files alone, under the site lease.
    ///
    /// # Errors
    /// As [`Run::pipeline`], for the ingest.
    pub async fn files(
        &self,
        files: &[Assigned],
        contracts: &[Contract],
        named: bool,
        watch: &dyn Watch,
    ) -> Result<Outcome> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        let request = Request {
            act: Act::Ingest,
            ..Request::all("ingest")
        };
        let mut record = Record::begin(self.lake, self.clock, self.head(&request, lease.fence())).await?;
        let mut outcome = Outcome::default();
        let read = self
            .ingest(contracts, files, named, &mut record, &mut outcome, watch)
            .await;
        let status = match &read {
            Ok(refused) if refused.is_empty() => "ok",
            _ => "failed",
        };
        record.end(self.lake, status, 0).await?;
        let mut refused = read?;
        // a single refused file is its own error, with its own exit code
        if let (1, [_]) = (files.len(), refused.as_slice()) {
            return Err(refused.remove(0).1);
        }
        partial(refused, outcome)
    }

    /// Takes a stored batch back, under the site lease; its file and rows.
    ///
    /// # Errors
    /// `Missing` for a batch that is not stored; `Conflict` where the lease is held.
    pub async fn withdraw(&self, contracts: &[Contract], batch: &str) -> Result<(String, u64)> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        let given = Given {
            key: self.key,
            entropy: self.entropy,
            run_id: self.run_id.clone(),
            fence: lease.fence(),
            now: self.clock.now(),
            named: true,
        };
        Ingest::new(self.lake, &self.site.settings, given)
            .withdraw(contracts, batch)
            .await
    }

    /// Takes the newest release back: a new one holds the tables of the one before it. Sources and models
    /// stay, so that the next run builds again what was taken back.
    ///
    /// # Errors
    /// `Missing` where no release is before it; `Conflict` where the lease is held.
    pub async fn withdraw_release(&self) -> Result<Release> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let _lease = self.lake.lease("site", wait).await?;
        let missing = || fail(Kind::Missing, "no_release_before", &[]);
        let last = self.lake.latest_release().await?.ok_or_else(missing)?;
        // what was brought back can be taken back as well: the one before it comes
        let shown = last.restores.unwrap_or(last.release);
        let mut before = None;
        for number in self
            .lake
            .releases()
            .await?
            .into_iter()
            .rev()
            .filter(|number| *number < shown)
        {
            let release = self.lake.release(number).await?;
            if release.restores.is_none() {
                before = Some(release);
                break;
            }
        }
        let before = before.ok_or_else(missing)?;
        // a share that nobody approves any more does not come back
        let (shares, contracts) = (shares(self.site)?, contracts(self.site)?);
        waivers(self.site, &contracts)?;
        let standing = standing(self.site, &shares, self.clock.now())?;
        let mut tables = before.tables.clone();
        tables.retain(|name, _| !name.starts_with("share.") || standing.iter().any(|share| share.table() == *name));
        // what others share is theirs to take back
        let pulled = |name: &str| name.starts_with(&format!("{SHARED}."));
        tables.retain(|name, _| !pulled(name));
        tables.extend(last.tables.into_iter().filter(|(name, _)| pulled(name)));
        let release = Release {
            release: last.release + 1,
            made_at: rfc3339(self.clock.now()),
            run_id: self.run_id.clone(),
            restores: Some(before.release),
            digest: digest(&tables),
            tables,
            pulled: last.pulled,
            ..before
        };
        self.lake.publish(&release).await?;
        if release.pipeline.is_empty() {
            return Ok(release);
        }
        // what people look at is taken back as well
        for page in Definition::load(self.site, &release.pipeline)?.workbooks {
            pages::write(self.site, self.lake, &page, &release, &contracts).await?;
        }
        Ok(release)
    }

    async fn release(
        &self,
        models: &Models,
        pipeline: &str,
        built: Built,
        record: &mut Record<'_>,
        outcome: &mut Outcome,
        watch: &dyn Watch,
    ) -> Result<BTreeMap<String, String>> {
        let Built { last, mut tables, held } = built;
        let published = match self.lake.environment() {
            Some(_) => self.lake.published().latest_release().await?,
            None => None,
        };
        // in an environment models build on what is published, and follow its own last release
        let shown = match self.lake.environment() {
            Some(_) => self.lake.latest_release().await?,
            None => last,
        };
        let last = shown.as_ref();
        let same = last.is_some_and(|last| {
            let states = |tables: &BTreeMap<String, ReleaseTable>| {
                let kept = tables.iter().filter(|(name, _)| !RECORDS.contains(&name.as_str()));
                kept.map(|(name, table)| (name.clone(), table.state()))
                    .collect::<Vec<_>>()
            };
            // a model that was never shown and is held now is no news to readers
            let off = |off: &BTreeMap<String, String>| {
                let shown = off.iter().filter(|(name, _)| !held.contains_key(*name));
                shown.map(|(name, why)| (name.clone(), why.clone())).collect::<Vec<_>>()
            };
            let stale = |held: &BTreeMap<String, String>| -> Vec<String> {
                let shares = held.keys().filter(|name| name.starts_with("share."));
                shares.cloned().collect()
            };
            states(&last.tables) == states(&tables)
                && off(&last.off) == off(&outcome.off)
                && stale(&last.held) == stale(&held)
        });
        if let Some(last) = last.filter(|_| same) {
            (outcome.release, outcome.digest) = (last.release, last.digest.clone());
            record.step("release", &last.release.to_string(), "kept", 0, String::new())?;
            watch.said(held_now("release_kept", outcome));
            return Ok(held);
        }
        // a first run whose every model is held has nothing to show
        if last.is_none() && !held.is_empty() && !tables.keys().any(|name| !is_source(name)) {
            return Ok(held);
        }
        tables.retain(|name, _| !RECORDS.contains(&name.as_str()));
        let release = Release {
            release: last.map_or(0, |last| last.release) + 1,
            made_at: rfc3339(self.clock.now()),
            run_id: self.run_id.clone(),
            pipeline: pipeline.to_owned(),
            digest: digest(&tables),
            tables,
            off: outcome.off.clone(),
            restores: None,
            held: held.clone(),
            pulled: last.map_or_else(BTreeMap::new, |last| last.pulled.clone()),
        };
        self.lake.publish(&release).await?;
        outcome.published = true;
        (outcome.release, outcome.digest) = (release.release, release.digest.clone());
        record.step(
            "release",
            &release.release.to_string(),
            "ok",
            release.tables.len() as u64,
            String::new(),
        )?;
        watch.said(held_now("release_published", outcome));
        if let Some(then) = published.as_ref().or(last) {
            let two = Two {
                site: self.site,
                lake: self.lake,
                then,
                now: &release,
            };
            // whose rows differ, every run tells; which warnings, it compares
            outcome.changes = two.changes(models, |name| name.starts_with("warning.")).await?;
        }
        Ok(held)
    }

    async fn pages(
        &self,
        definition: &Definition,
        contracts: &[Contract],
        record: &mut Record<'_>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        if outcome.release == 0 {
            return Ok(());
        }
        let release = self.lake.release(outcome.release).await?;
        for name in &definition.workbooks {
            match pages::write(self.site, self.lake, name, &release, contracts).await {
                Ok(page) => {
                    record.step("workbook", name, "ok", 1, String::new())?;
                    outcome.pages.push(page);
                }
                Err(error) => {
                    record.step("workbook", name, "failed", 0, error.render(Language::English))?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// The calendar of a site.
///
/// # Errors
/// `Input` for a zone or cut-off that is none.
pub fn calendar(site: &Site) -> Result<Calendar> {
    let settings = &site.settings.site;
    Calendar::new(&settings.timezone, &settings.day_cutoff).ok_or_else(|| {
        fail(
            Kind::Input,
            "site_calendar",
            &[&settings.timezone, &settings.day_cutoff],
        )
    })
}

/// The values of the named parameters that models may use.
pub fn parameters(site: &Site) -> Parameters {
    let reading = match site.settings.site.response_reading {
        ResponseReading::PlaceCircle => "place_circle",
        ResponseReading::ForceTier => "force_tier",
        ResponseReading::Urgency => "urgency",
    };
    Parameters::from([("response_reading".to_owned(), Parameter::Text(reading.to_owned()))])
}

/// Which release holds now: said also where the run ends in an error.
fn held_now(key: &'static str, outcome: &Outcome) -> Message {
    let digest = outcome.digest.get(..16).unwrap_or_default();
    Message::new(key, &[&outcome.release, &outcome.built.len(), &outcome.kept, &digest])
}

/// The first failure of a model with what is wrong with the others, under its own kind.
fn models_failed(mut failed: Vec<(String, Error)>) -> Option<Error> {
    if failed.len() < 2 {
        return failed.pop().map(|(_, error)| error);
    }
    let kind = failed[0].1.kind();
    let problems = failed.iter().flat_map(|(model, error)| {
        let place = Place {
            path: model.clone(),
            line: 0,
            column: 0,
        };
        match error.problems() {
            [] => vec![Problem {
                place,
                message: error.message().clone(),
                excerpt: None,
            }],
            problems => problems.to_vec(),
        }
    });
    Some(fail(kind, "models_failed", &[&failed.len()]).with_problems(problems.collect()))
}

/// The failed checks of a run with their places, for the models that they hold.
fn checks_failed(held: usize, checks: &[Finding]) -> Error {
    let problems = checks.iter().filter(|finding| finding.holds()).map(|finding| Problem {
        place: Place {
            path: finding.path.clone(),
            line: finding.line,
            column: 0,
        },
        message: Message::new("check_failed", &[&finding.check, &finding.counted()]),
        excerpt: None,
    });
    let error = match held {
        0 => fail(Kind::Check, "checks_failed_alone", &[]),
        held => fail(Kind::Check, "checks_failed", &[&held]),
    };
    error.with_problems(problems.collect()).hint("checks_failed_hint", &[])
}

/// Contracts of calls that do not know who started them; spatial products stay off.
pub fn unknown_origin(contracts: &[Contract]) -> BTreeSet<String> {
    let unknown = contracts
        .iter()
        .filter(|contract| contract.origin == Some(Origin::Unknown));
    unknown.map(|contract| contract.name.clone()).collect()
}
