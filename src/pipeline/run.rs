//! One run of a pipeline, under the site lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Site;
use crate::config::settings::ResponseReading;
use crate::contract::{Contract, Origin, Protect};
use crate::engine::{Bounds, Class, Classes, Session};
use crate::error::{Kind, Place, Problem, Result, fail};
use crate::ingest::batch::Given;
use crate::ingest::{Ingest, Progress, Report};
use crate::lake::days::to_text as days_text;
use crate::lake::release::digest;
use crate::lake::{Commit, Lake, Release, ReleaseTable};
use crate::message::{Language, Message};
use crate::model::build::Pending;
use crate::model::{Builder, Built, Failure, Model, Models, check};
use crate::pipeline::dirt::{self, Dirt};
use crate::pipeline::files::{Assigned, assign, contracts};
use crate::pipeline::intake::partial;
use crate::pipeline::plan::{Plan, Reason, Sources, Step, sources};
use crate::pipeline::record::{RunRecord, StepRecord};
use crate::pipeline::{Definition, pages};
use crate::protect::SiteKey;
use crate::time::{Clock, rfc3339};

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
#[derive(Debug, Clone, Default)]
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
}

/// Collects the steps of a run.
#[derive(Debug)]
pub(super) struct Record<'a> {
    clock: &'a dyn Clock,
    steps: Vec<StepRecord>,
    since: i64,
}

impl Record<'_> {
    pub(super) fn step(&mut self, kind: &'static str, name: &str, status: &'static str, rows: u64, message: String) {
        let now = self.clock.now();
        self.steps.push(StepRecord {
            kind,
            name: name.to_owned(),
            status,
            rows,
            span: (self.since, now),
            message,
        });
        self.since = now;
    }
}

impl Run<'_> {
    /// Runs a pipeline: plan, ingest, build, check, release, pages.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; `Check` where a check failed (nothing is published) or
    /// where files were refused (the rest is published); else as a step fails.
    pub async fn pipeline(&self, name: &str, watch: &dyn Watch) -> Result<Outcome> {
        let definition = Definition::load(self.site, name)?;
        let contracts = contracts(self.site)?;
        let models = Models::load(self.site)?;
        definition.known(name, self.site, &contracts, &models)?;
        let lease = self
            .lake
            .lease("site", self.site.settings.limits.lease_wait_seconds)
            .await?;
        let started = self.clock.now();
        let mut record = Record {
            clock: self.clock,
            steps: Vec::new(),
            since: started,
        };
        let mut outcome = Outcome::default();
        let files: Vec<Assigned> = assign(self.site, &contracts)
            .await?
            .into_iter()
            .filter(|file| definition.ingests(&file.contract))
            .collect();
        let refused = self
            .ingest(
                &contracts,
                &files,
                false,
                lease.fence(),
                &mut record,
                &mut outcome,
                watch,
            )
            .await?;
        let built = self
            .build(
                name,
                &definition,
                &models,
                &contracts,
                lease.fence(),
                &mut record,
                &mut outcome,
                watch,
            )
            .await;
        let pages = match &built {
            Ok(()) => self.pages(&definition, &contracts, &mut record, &mut outcome).await,
            Err(_) => Ok(()),
        };
        let purged = match &pages {
            Ok(()) => self.purge(&files, &mut record, &mut outcome).await,
            Err(_) => Ok(()),
        };
        let status = match (&built, &pages, refused.is_empty()) {
            (Ok(()), Ok(()), true) => "ok",
            (Ok(()), _, _) => "partial",
            _ => "failed",
        };
        let run = RunRecord {
            run_id: self.run_id.clone(),
            pipeline: name.to_owned(),
            status,
            release: outcome.release,
            span: (started, self.clock.now()),
            steps: record.steps,
        };
        run.write(self.lake, lease.fence()).await?;
        built?;
        pages?;
        purged?;
        partial(refused, outcome)
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
        let lease = self
            .lake
            .lease("site", self.site.settings.limits.lease_wait_seconds)
            .await?;
        let started = self.clock.now();
        let mut record = Record {
            clock: self.clock,
            steps: Vec::new(),
            since: started,
        };
        let mut outcome = Outcome::default();
        let mut refused = self
            .ingest(contracts, files, named, lease.fence(), &mut record, &mut outcome, watch)
            .await?;
        let run = RunRecord {
            run_id: self.run_id.clone(),
            pipeline: "ingest".to_owned(),
            status: if refused.is_empty() { "ok" } else { "failed" },
            release: 0,
            span: (started, self.clock.now()),
            steps: record.steps,
        };
        run.write(self.lake, lease.fence()).await?;
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

    #[expect(clippy::too_many_arguments, reason = "the state of one run, used nowhere else")]
    async fn build(
        &self,
        pipeline: &str,
        definition: &Definition,
        models: &Models,
        contracts: &[Contract],
        fence: u64,
        record: &mut Record<'_>,
        outcome: &mut Outcome,
        watch: &dyn Watch,
    ) -> Result<()> {
        let last = self.lake.latest_release().await?;
        let sources = sources(self.lake).await?;
        let parameters = parameters(self.site);
        let plan = Plan::new(
            definition,
            models,
            &sources,
            &unknown_origin(contracts),
            last.as_ref(),
            &parameters,
        );
        let session = Session::new(Bounds::from(&self.site.settings.limits))?;
        let mut tables: BTreeMap<String, ReleaseTable> = last.iter().flat_map(|last| last.tables.clone()).collect();
        for name in sources.keys() {
            if let Some(table) = self.lake.table(name).await? {
                session.register(name, table.provider(session.state()).await?)?;
                let entry = pinned_entry(table.location(), table.version(), table.rows()?);
                tables.insert(name.clone(), entry);
            }
        }
        // a model whose file is gone leaves the release; one outside this pipeline stays as it is
        tables.retain(|name, _| is_source(name) || models.get(name).is_some());
        for (name, entry) in tables
            .iter()
            .filter(|(name, _)| !is_source(name) && !definition.builds(name))
        {
            let table = self.lake.table_at(name, &entry.location, entry.version).await?;
            session.register(name, table.provider(session.state()).await?)?;
        }
        let commit = Commit {
            key_id: self.key.id(),
            batch_id: None,
            turn: 1,
            run_id: self.run_id.clone(),
            fence,
            days: Vec::new(),
            digest: None,
        };
        let mut builder = Builder::new(self.lake, &session, commit, parameters.clone(), classes(contracts));
        for (name, step) in &plan.steps {
            let Some(model) = models.get(name) else { continue };
            match step {
                Step::Off(input) => {
                    tables.remove(name);
                    outcome.off.insert(name.clone(), input.clone());
                    record.step("build", name, "off", 0, input.clone());
                }
                Step::Keep => {
                    let Some(entry) = tables.get(name) else { continue };
                    let table = self.lake.table_at(name, &entry.location, entry.version).await?;
                    session.register(name, table.provider(session.state()).await?)?;
                    builder.plan(model).await?;
                    outcome.kept += 1;
                    record.step("build", name, "kept", entry.rows, String::new());
                }
                Step::Build(reason) => {
                    let pending = Pending {
                        fingerprint: model.fingerprint(&parameters),
                        inputs: input_states(&model.inputs, &sources, &tables),
                    };
                    let dirt = match (reason, &last) {
                        (Reason::Input(_), Some(last)) => self.dirt(model, &tables, last).await?,
                        _ => Dirt::All,
                    };
                    if let (Dirt::Nothing, Some(entry)) = (&dirt, tables.get_mut(name)) {
                        let table = self.lake.table_at(name, &entry.location, entry.version).await?;
                        session.register(name, table.provider(session.state()).await?)?;
                        builder.plan(model).await?;
                        entry.inputs = pending.inputs;
                        outcome.kept += 1;
                        record.step("build", name, "kept", entry.rows, String::new());
                        continue;
                    }
                    let built = build(&mut builder, model, tables.get(name), &dirt, pending)
                        .await
                        .inspect_err(|error| {
                            record.step("build", name, "failed", 0, error.render(Language::English));
                        })?;
                    session.register(name, built.table.provider(session.state()).await?)?;
                    let days = match &dirt {
                        Dirt::Days(days) => days_text(days.iter().copied().collect::<Vec<_>>().as_slice()),
                        Dirt::Nothing | Dirt::All => String::new(),
                    };
                    record.step("build", name, "ok", built.entry.rows, days);
                    watch.said(Message::new("model_built", &[name, &built.entry.rows]));
                    outcome.built.push((name.clone(), built.entry.rows));
                    tables.insert(name.clone(), built.entry);
                }
            }
        }
        self.check(&session, models, &plan, &tables, record).await?;
        self.release(pipeline, last.as_ref(), tables, record, outcome).await
    }

    /// What a model has to build, its entry being that of the last release.
    async fn dirt(&self, model: &Model, tables: &BTreeMap<String, ReleaseTable>, last: &Release) -> Result<Dirt> {
        let Some(before) = last.tables.get(&model.name) else {
            return Ok(Dirt::All);
        };
        let bounds = Bounds::from(&self.site.settings.limits);
        dirt::of(self.lake, bounds, model, before, tables, last).await
    }

    /// Header checks of the models built now, and the checks over several tables whose tables exist.
    async fn check(
        &self,
        session: &Session,
        models: &Models,
        plan: &Plan,
        tables: &BTreeMap<String, ReleaseTable>,
        record: &mut Record<'_>,
    ) -> Result<()> {
        let mut failures: Vec<Failure> = Vec::new();
        for (name, step) in &plan.steps {
            if let (Step::Build(_), Some(model)) = (step, models.get(name)) {
                failures.extend(check::header(session, model).await?);
            }
        }
        for (file, inputs) in &models.checks {
            if inputs.iter().all(|input| tables.contains_key(input)) {
                failures.extend(check::file(session, &file.path, &file.text).await?);
            }
        }
        let status = if failures.is_empty() { "ok" } else { "failed" };
        let shown: Vec<String> = failures.iter().map(|failure| failure.check.clone()).collect();
        record.step("check", "all", status, failures.len() as u64, shown.join("; "));
        if failures.is_empty() {
            return Ok(());
        }
        let problems = failures
            .into_iter()
            .map(|failure| Problem {
                place: Place {
                    path: failure.path,
                    line: failure.line,
                    column: 0,
                },
                message: Message::new("check_failed", &[&failure.check, &failure.rows]),
                excerpt: None,
            })
            .collect();
        Err(fail(Kind::Check, "checks_failed", &[])
            .with_problems(problems)
            .hint("checks_failed_hint", &[]))
    }

    async fn release(
        &self,
        pipeline: &str,
        last: Option<&Release>,
        tables: BTreeMap<String, ReleaseTable>,
        record: &mut Record<'_>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let same = last.is_some_and(|last| {
            let states = |tables: &BTreeMap<String, ReleaseTable>| {
                let kept = tables
                    .iter()
                    .filter(|(name, _)| !matches!(name.as_str(), "ops.run" | "ops.step"));
                kept.map(|(name, table)| (name.clone(), table.state()))
                    .collect::<Vec<_>>()
            };
            states(&last.tables) == states(&tables) && last.off == outcome.off
        });
        if let Some(last) = last.filter(|_| same) {
            (outcome.release, outcome.digest) = (last.release, last.digest.clone());
            record.step("release", &last.release.to_string(), "kept", 0, String::new());
            return Ok(());
        }
        let mut tables = tables;
        tables.retain(|name, _| !matches!(name.as_str(), "ops.run" | "ops.step"));
        let release = Release {
            release: last.map_or(0, |last| last.release) + 1,
            made_at: rfc3339(self.clock.now()),
            run_id: self.run_id.clone(),
            pipeline: pipeline.to_owned(),
            digest: digest(&tables),
            tables,
            off: outcome.off.clone(),
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
        );
        Ok(())
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
            let page = pages::write(self.site, self.lake, name, &release, contracts)
                .await
                .inspect_err(|error| {
                    record.step("workbook", name, "failed", 0, error.render(Language::English));
                })?;
            record.step("workbook", name, "ok", 1, String::new());
            outcome.pages.push(page);
        }
        Ok(())
    }
}

/// Tables that ingest and runs fill, not models.
fn is_source(name: &str) -> bool {
    name.starts_with("source.") || name.starts_with("ops.")
}

/// The values of the named parameters that models may use.
pub fn parameters(site: &Site) -> BTreeMap<String, String> {
    let reading = match site.settings.site.response_reading {
        ResponseReading::PlaceCircle => "place_circle",
        ResponseReading::ForceTier => "force_tier",
        ResponseReading::Urgency => "urgency",
    };
    BTreeMap::from([("response_reading".to_owned(), reading.to_owned())])
}

fn pinned_entry(location: &str, version: u64, rows: u64) -> ReleaseTable {
    ReleaseTable {
        location: location.to_owned(),
        version,
        rows,
        digest: None,
        fingerprint: None,
        inputs: BTreeMap::new(),
        run_id: None,
    }
}

/// The states of a model's inputs, as its entry in a release records them.
fn input_states(
    inputs: &[String],
    sources: &Sources,
    tables: &BTreeMap<String, ReleaseTable>,
) -> BTreeMap<String, String> {
    inputs
        .iter()
        .filter_map(|input| {
            let state = sources
                .get(input)
                .cloned()
                .or_else(|| tables.get(input).map(ReleaseTable::state));
            Some((input.clone(), state?))
        })
        .collect()
}

/// The protected columns of the source tables, for the taint walk.
pub fn classes(contracts: &[Contract]) -> Classes {
    let mut classes = Classes::default();
    for contract in contracts {
        let columns = classes.0.entry(contract.into.clone()).or_default();
        for column in &contract.columns {
            // an identity made of what is no document number and not public leads to a person as well
            let open = matches!(column.protect, Protect::Public | Protect::Key);
            if contract.key.contains(&column.name) && !open {
                columns.insert("row_key".to_owned(), Class::Token);
            }
            let class = match column.protect {
                Protect::Token => Class::Token,
                Protect::Place => Class::Place,
                Protect::Public | Protect::Key | Protect::Coarse | Protect::Drop => continue,
            };
            // where two contracts of one table differ, the stricter holds
            columns
                .entry(column.name.clone())
                .and_modify(|known| *known = class.max(*known))
                .or_insert(class);
        }
    }
    classes
}

/// Builds the days that were reopened, or everything.
async fn build(
    builder: &mut Builder<'_>,
    model: &Model,
    before: Option<&ReleaseTable>,
    dirt: &Dirt,
    pending: Pending,
) -> Result<Built> {
    if let (Dirt::Days(days), Some(before)) = (dirt, before)
        && let Some(built) = builder.build_days(model, before, days, pending.clone()).await?
    {
        return Ok(built);
    }
    builder.build(model, before, pending).await
}

/// Contracts of calls that do not know who started them; spatial products stay off.
pub fn unknown_origin(contracts: &[Contract]) -> BTreeSet<String> {
    let unknown = contracts
        .iter()
        .filter(|contract| contract.origin == Some(Origin::Unknown));
    unknown.map(|contract| contract.name.clone()).collect()
}
