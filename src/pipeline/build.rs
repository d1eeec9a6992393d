//! The models of a run: what is due is built and checked, and what fails holds its branch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Site;
use crate::contract::{Contract, Protect};
use crate::engine::{Bounds, Class, Classes, Parameters, Session};
use crate::error::{Kind, Result, fail};
use crate::ingest::tables::layout;
use crate::lake::days::{spans, to_text};
use crate::lake::{Commit, Layout, Release, ReleaseTable, SHARED};
use crate::message::{Language, Message};
use crate::model::build::Pending;
use crate::model::load::CheckFile;
use crate::model::{Builder, Finding, Model, Models, check};
use crate::pipeline::Definition;
use crate::pipeline::dirt::{Dirt, Ground};
use crate::pipeline::environment::Base;
use crate::pipeline::plan::{Plan, Reason, Step, is_source, tables};
use crate::pipeline::record::Record;
use crate::pipeline::run::{Outcome, Request, Run, Watch, calendar, parameters, unknown_origin};
use crate::share::{Published, Publisher, Share};
use crate::warn::table::WARNING;

/// What the models of a run came to.
#[derive(Debug)]
pub(super) struct Built {
    /// The release before.
    pub last: Option<Release>,
    /// The tables of the next one.
    pub tables: BTreeMap<String, ReleaseTable>,
    /// Models that keep their rows of the release before, and which model or check file holds them.
    pub held: BTreeMap<String, String>,
}

/// The models of a run under way.
pub(super) struct Building<'a, 'r> {
    pub(super) run: &'a Run<'a>,
    pub(super) models: &'a Models,
    /// Days that are built again whether they changed or not.
    again: &'a BTreeSet<i32>,
    pub(super) session: &'a Session,
    pub(super) parameters: Parameters,
    pub(super) built: Built,
    pub(super) record: &'a mut Record<'r>,
    pub(super) outcome: &'a mut Outcome,
    pub(super) watch: &'a dyn Watch,
}

/// What of a site a run builds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub definition: &'a Definition,
    pub models: &'a Models,
    pub contracts: &'a [Contract],
    pub shares: &'a [Share],
    pub request: &'a Request,
}

impl Run<'_> {
    /// Builds and checks the models of a pipeline.
    ///
    /// # Errors
    /// As the lake fails. A failed model or check is none: it holds its branch.
    pub(super) async fn build(
        &self,
        part: Part<'_>,
        record: &mut Record<'_>,
        outcome: &mut Outcome,
        watch: &dyn Watch,
    ) -> Result<Built> {
        let Part {
            definition,
            models,
            contracts,
            shares,
            request,
        } = part;
        let parameters = parameters(self.site);
        let Base { last, sources } = Base::of(self.lake, models, &parameters).await?;
        let unknown = unknown_origin(contracts);
        let unread = BTreeSet::new();
        let builds = |name: &str| definition.builds(name) && request.builds(name);
        let plan = Plan::new(&builds, models, &sources, &unread, &unknown, last.as_ref(), &parameters);
        let steps = |wanted: fn(&Step) -> bool| plan.steps.iter().filter(|(_, step)| wanted(step)).count();
        watch.said(Message::new(
            "run_plan",
            &[
                &steps(|step| matches!(step, Step::Build(_))),
                &steps(|step| *step == Step::Keep),
                &steps(|step| matches!(step, Step::Off(_))),
            ],
        ));
        let session = Session::new(Bounds::from(&self.site.settings.limits))?;
        let mut tables = tables(last.as_ref(), &sources);
        // a model whose file is gone leaves the release; one outside this pipeline stays as it is
        // neither does a share that nobody approves, or no longer, whichever pipeline runs
        let standing = standing(self.site, shares, self.clock.now())?;
        let is_share = |name: &str| standing.iter().any(|share| share.table() == name);
        let is_pulled = |name: &str| name.starts_with(&format!("{SHARED}."));
        tables.retain(|name, _| is_source(name) || models.get(name).is_some() || is_share(name) || is_pulled(name));
        // what was pulled is no model, whatever pattern of models a pipeline names
        let stands = |name: &str| sources.contains_key(name) || is_pulled(name) || (!is_source(name) && !builds(name));
        for (name, entry) in tables.iter().filter(|(name, _)| stands(name)) {
            let table = self.lake.table_at(name, &entry.location, entry.version).await?;
            session.register(name, table.provider(session.state()).await?)?;
        }
        let commit = Commit::of(&self.run_id, record.fence(), self.key.id());
        let carried = carried(contracts);
        let mut builder = Builder::new(
            self.lake,
            &session,
            commit,
            parameters.clone(),
            classes(contracts),
            carried,
        );
        // what this run is not about stays switched off or held as it was
        let others = |all: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            let of_other_pipelines = |name: &String| {
                let share = standing.iter().find(|share| share.table() == *name);
                share.is_some_and(|share| !definition.shares(&share.name))
            };
            let is_other = |name: &String| {
                let unplanned = !plan.steps.iter().any(|(planned, _)| planned == name);
                models.get(name).is_some() && unplanned || of_other_pipelines(name)
            };
            let others = all.iter().filter(|(name, _)| is_other(name));
            others.map(|(name, why)| (name.clone(), why.clone())).collect()
        };
        outcome.off.extend(last.iter().flat_map(|last| others(&last.off)));
        let held = last.iter().flat_map(|last| others(&last.held)).collect();
        let mut building = Building {
            run: self,
            models,
            again: &request.again,
            session: &session,
            parameters,
            built: Built { last, tables, held },
            record,
            outcome,
            watch,
        };
        let (early, late) = plan.steps.split_at(plan.before_warnings);
        building.steps(&mut builder, early).await?;
        let is_late =
            |input: &String| input == WARNING || late.iter().any(|(name, _)| name == check::plain_name(input));
        let (after, before): (Vec<_>, Vec<_>) = models.checks.iter().partition(|file| file.inputs.iter().any(is_late));
        building.files(&before).await?;
        // an environment is a trial: it warns nobody, and nothing leaves it
        let is_trial = self.lake.environment().is_some();
        if !is_trial {
            building.warnings().await?;
        }
        building.steps(&mut builder, late).await?;
        if !after.is_empty() {
            building.files(&after).await?;
        }
        if !is_trial {
            let wanted: Vec<&Share> = shares.iter().filter(|share| definition.shares(&share.name)).collect();
            building.shares(&builder, &wanted).await?;
        }
        Ok(building.built)
    }
}

impl Building<'_, '_> {
    async fn steps(&mut self, builder: &mut Builder<'_>, steps: &[(String, Step)]) -> Result<()> {
        let models = self.models;
        for (name, step) in steps {
            let Some(model) = models.get(name) else { continue };
            let reads = model.inputs.iter().any(|input| input == WARNING);
            match reads && !self.built.tables.contains_key(WARNING) {
                true => self.step(builder, model, &Step::Off(WARNING.to_owned())).await?,
                false => self.step(builder, model, step).await?,
            }
        }
        Ok(())
    }

    async fn step(&mut self, builder: &mut Builder<'_>, model: &Model, step: &Step) -> Result<()> {
        let name = &model.name;
        if let Step::Off(input) = step {
            self.built.tables.remove(name);
            self.outcome.off.insert(name.clone(), input.clone());
            return self.record.step("build", name, "off", 0, input.clone());
        }
        if let Some(input) = model.inputs.iter().find(|input| self.built.held.contains_key(*input)) {
            let input = input.clone();
            return self.hold(name, input).await;
        }
        let due = match step {
            Step::Build(reason) => self.due(model, reason).await,
            _ => Ok(self.again(model, Dirt::Nothing)),
        };
        let pending = Pending {
            fingerprint: model.fingerprint(&self.parameters),
            inputs: input_states(&model.inputs, &self.built.tables),
        };
        let made = match due {
            Ok(Dirt::Nothing) => {
                // its inputs moved and say the same: that is known from now on
                if let Some(entry) = self.built.tables.get_mut(name) {
                    entry.inputs = pending.inputs;
                }
                // what is protected in its rows, those behind it have to know
                builder.plan(model).await.map(|_| None)
            }
            Ok(dirt) => self.make(builder, model, dirt, pending).await.map(Some),
            Err(error) => Err(error),
        };
        match made {
            Ok(None) => self.keep(name).await,
            Ok(Some((_, findings))) if findings.iter().any(Finding::holds) => {
                self.judge(findings);
                self.hold(name, name.clone()).await
            }
            Ok(Some((built, findings))) => {
                self.judge(findings);
                self.outcome.built.push((name.clone(), built.entry.rows));
                self.built.tables.insert(name.clone(), built.entry);
                Ok(())
            }
            Err(error) => {
                let message = error.render(Language::English);
                self.record.step("build", name, "failed", 0, message)?;
                self.outcome.failed.push((name.clone(), error));
                self.hold(name, name.clone()).await
            }
        }
    }

    /// Builds a model and runs its checks on what was built.
    async fn make(
        &mut self,
        builder: &mut Builder<'_>,
        model: &Model,
        dirt: Dirt,
        pending: Pending,
    ) -> Result<(crate::model::Built, Vec<Finding>)> {
        let name = &model.name;
        // days that are asked for again are built again
        let found = match self.again.is_empty() {
            // where the store is in the way, the build waits for it
            true => match builder.found(model, &pending).await {
                Err(error) if error.kind().is_retryable() => None,
                found => found?,
            },
            false => None,
        };
        let (built, said) = match found {
            Some(built) => (built, "model_found"),
            None => (self.patiently(builder, model, &dirt, pending).await?, "model_built"),
        };
        self.session
            .register(name, built.table.provider(self.session.state()).await?)?;
        let (days, spans) = match &dirt {
            Dirt::Days(days) => (to_text(days), spans(days)),
            Dirt::Nothing | Dirt::All => (String::new(), Vec::new()),
        };
        self.record.step("build", name, "ok", built.entry.rows, days)?;
        self.watch.said(Message::new(said, &[name, &built.entry.rows]));
        let compares = model.header.checks.iter().any(|rule| rule.check.compares());
        let is_first = !(compares && self.shows_last(name).await?);
        let findings = check::header(self.session, model, &spans, is_first).await?;
        Ok((built, findings))
    }

    /// Builds within the time of a step, and again where the store or another writer was in the way.
    async fn patiently(
        &mut self,
        builder: &mut Builder<'_>,
        model: &Model,
        dirt: &Dirt,
        pending: Pending,
    ) -> Result<crate::model::Built> {
        let limits = &self.run.site.settings.limits;
        let mut wait = Duration::from_secs(limits.step_wait_seconds);
        for left in (0..limits.step_attempts.max(1)).rev() {
            // the rows of another environment are read and never written
            let before = self.built.tables.get(&model.name);
            let before = before.filter(|before| self.run.lake.writes(&before.location));
            let work = build(builder, model, before, dirt, pending.clone());
            let built = tokio::time::timeout(Duration::from_secs(60 * limits.step_minutes), work).await;
            let built = built.unwrap_or_else(|_| {
                let error = fail(Kind::Limit, "step_minutes", &[&model.name, &limits.step_minutes]);
                Err(error.hint("step_minutes_hint", &[]))
            });
            match built {
                Err(error) if error.kind().is_retryable() && left > 0 => {
                    self.watch
                        .said(Message::new("step_again", &[&model.name, &wait.as_secs(), &left]));
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                built => return built,
            }
        }
        Err(fail(Kind::Bug, "step_attempts", &[&model.name]))
    }

    /// What a model that is due has to build.
    async fn due(&self, model: &Model, reason: &Reason) -> Result<Dirt> {
        let dirt = match (reason, &self.built.last) {
            (Reason::Input(_), Some(last)) => self.dirt(model, last).await?,
            _ => Dirt::All,
        };
        Ok(self.again(model, dirt))
    }

    /// With the days that are built again whether they changed or not.
    fn again(&self, model: &Model, dirt: Dirt) -> Dirt {
        let known = self.built.tables.contains_key(&model.name);
        match dirt {
            _ if self.again.is_empty() || !known => dirt,
            Dirt::Nothing if model.header.window.is_some() => Dirt::Days(self.again.clone()),
            Dirt::Days(days) => Dirt::Days(days.union(self.again).copied().collect()),
            Dirt::Nothing | Dirt::All => dirt,
        }
    }

    /// What a model has to build, its entry being that of the last release.
    async fn dirt(&self, model: &Model, last: &Release) -> Result<Dirt> {
        let Some(before) = last.tables.get(&model.name) else {
            return Ok(Dirt::All);
        };
        let ground = Ground {
            lake: self.run.lake,
            bounds: Bounds::from(&self.run.site.settings.limits),
            last,
            tables: &self.built.tables,
            expected: &BTreeMap::new(),
        };
        ground.dirt(model, before).await
    }

    /// Shows the rows of the last release to the models behind.
    async fn shown(&self, name: &str) -> Result<u64> {
        let Some(entry) = self.built.tables.get(name) else {
            return Ok(0);
        };
        let table = self.run.lake.table_at(name, &entry.location, entry.version).await?;
        self.session
            .register(name, table.provider(self.session.state()).await?)?;
        Ok(entry.rows)
    }

    /// Shows a table of the release before to checks that compare with it; whether there is one.
    async fn shows_last(&self, name: &str) -> Result<bool> {
        let Some(entry) = self.built.last.as_ref().and_then(|last| last.tables.get(name)) else {
            return Ok(false);
        };
        let table = self.run.lake.table_at(name, &entry.location, entry.version).await?;
        self.session
            .register_last(name, table.provider(self.session.state()).await?)?;
        Ok(true)
    }

    async fn keep(&mut self, name: &str) -> Result<()> {
        let rows = self.shown(name).await?;
        self.outcome.kept += 1;
        self.record.step("build", name, "kept", rows, String::new())
    }

    /// Holds a model: it keeps its rows of the last release, or has none.
    async fn hold(&mut self, name: &str, reason: String) -> Result<()> {
        let before = self.built.last.as_ref().and_then(|last| last.tables.get(name));
        if let Some(before) = before.cloned() {
            self.built.tables.insert(name.to_owned(), before);
        } else {
            // it has no older rows to show: pages say why it is empty
            self.built.tables.remove(name);
            self.outcome.off.insert(name.to_owned(), reason.clone());
        }
        let rows = self.shown(name).await?;
        let failed = self.outcome.failed.iter().any(|(failed, _)| failed == name);
        let message = if reason == name && failed {
            Message::new("model_failed", &[&name])
        } else if reason == name {
            Message::new("model_held", &[&name])
        } else {
            Message::new("model_held_by", &[&name, &reason])
        };
        self.record.step("build", name, "held", rows, reason.clone())?;
        self.watch.said(message);
        self.outcome.built.retain(|(built, _)| built != name);
        self.built.held.insert(name.to_owned(), reason);
        Ok(())
    }

    /// Notes what checks found; whether one of them holds what it checked.
    fn judge(&mut self, findings: Vec<Finding>) -> bool {
        let mut holds = false;
        for finding in findings {
            holds |= finding.holds();
            if finding.fails() && finding.warns {
                self.watch
                    .said(Message::new("check_warns", &[&finding.check, &finding.counted()]));
            }
            self.record.checks.push(finding);
        }
        holds
    }

    /// The shares, from tables that nothing holds; one that cannot be published stays as it was.
    async fn shares(&mut self, builder: &Builder<'_>, shares: &[&Share]) -> Result<()> {
        let run = self.run;
        let today = calendar(run.site)?.day_and_hour(run.clock.now());
        let today = today.map_or(0, |(day, _)| day);
        let publisher = Publisher {
            lake: run.lake,
            bounds: Bounds::from(&run.site.settings.limits),
            commit: Commit::of(&run.run_id, self.record.fence(), run.key.id()),
        };
        for share in shares {
            let table = share.table();
            if let Some(why) = share.state(today) {
                // what nobody approves, or no longer, is not there
                self.built.tables.remove(&table);
                self.record.step("share", &share.name, "off", 0, why.to_owned())?;
                continue;
            }
            if let Some(missing) = share
                .inputs
                .iter()
                .find(|input| !self.built.tables.contains_key(*input))
            {
                self.built.tables.remove(&table);
                self.outcome.off.insert(table, missing.clone());
                self.record.step("share", &share.name, "off", 0, missing.clone())?;
                continue;
            }
            if let Some(held) = share.inputs.iter().find(|input| self.built.held.contains_key(*input)) {
                let held = held.clone();
                self.record.step("share", &share.name, "held", 0, held.clone())?;
                if self.built.tables.contains_key(&table) {
                    self.built.held.insert(table, held);
                }
                continue;
            }
            let inputs = input_states(&share.inputs, &self.built.tables);
            let before = self.built.tables.get(&table);
            if let Some(entry) = before
                && entry.fingerprint == Some(share.fingerprint())
                && entry.inputs == inputs
            {
                self.record
                    .step("share", &share.name, "kept", entry.rows, String::new())?;
                continue;
            }
            let published = match builder.outgoing(&share.sql.path, &share.sql.text).await {
                Ok(rows) => publisher.publish(share, rows, inputs).await,
                Err(error) => Err(error),
            };
            match published {
                Ok(published) => {
                    let Published { entry, gate } = published;
                    let words = gate.words();
                    self.record.step(
                        "share",
                        &share.name,
                        "ok",
                        entry.rows,
                        words.in_language(Language::English),
                    )?;
                    self.watch
                        .said(Message::new("share_published", &[&share.name, &entry.rows]));
                    if gate.counts > 0 {
                        self.watch.said(words);
                    }
                    self.built.tables.insert(table, entry);
                }
                Err(error) => {
                    let said = error.render(Language::English);
                    self.record.step("share", &share.name, "failed", 0, said)?;
                    self.watch.said(Message::new("share_held", &[&share.name]));
                    if self.built.tables.contains_key(&table) {
                        self.built.held.insert(table.clone(), table.clone());
                    }
                    self.outcome.failed.push((table, error));
                }
            }
        }
        Ok(())
    }

    /// The checks over several tables; a failed one holds the models built now that it reads, and all
    /// that is built on them.
    async fn files(&mut self, checks: &[&CheckFile]) -> Result<()> {
        let (mut failed, mut total): (Vec<&CheckFile>, u64) = (Vec::new(), 0);
        for &file in checks {
            let mut there = true;
            for input in &file.inputs {
                there &= match check::plain_name(input) {
                    name if name == input => self.built.tables.contains_key(input),
                    name => self.shows_last(name).await?,
                };
            }
            if there {
                total += 1;
                let finding = check::file(self.session, file).await?;
                if self.judge(vec![finding]) {
                    failed.push(file);
                }
            }
        }
        let status = if failed.is_empty() { "ok" } else { "failed" };
        let names: Vec<&str> = failed.iter().map(|file| file.file.path.as_str()).collect();
        self.record.step("check", "all", status, total, names.join("; "))?;
        for file in failed {
            let reason = file.file.path.clone();
            for model in &self.models.ordered {
                let behind =
                    |input: &String| file.inputs.contains(input) || self.built.held.get(input) == Some(&reason);
                let named = file.inputs.contains(&model.name) || model.inputs.iter().any(behind);
                let is_built = self.outcome.built.iter().any(|(built, _)| *built == model.name);
                if named && is_built {
                    self.hold(&model.name, reason.clone()).await?;
                }
            }
        }
        Ok(())
    }
}

/// The shares that are approved on the day of a moment.
///
/// # Errors
/// `Input` for a site without a calendar.
pub(super) fn standing<'s>(site: &Site, shares: &'s [Share], now: i64) -> Result<Vec<&'s Share>> {
    let today = calendar(site)?.day_and_hour(now).map_or(0, |(day, _)| day);
    Ok(shares.iter().filter(|share| share.state(today).is_none()).collect())
}

/// Builds the days that were reopened, or everything.
async fn build(
    builder: &mut Builder<'_>,
    model: &Model,
    before: Option<&ReleaseTable>,
    dirt: &Dirt,
    pending: Pending,
) -> Result<crate::model::Built> {
    if let (Dirt::Days(days), Some(before)) = (dirt, before)
        && let Some(built) = builder.build_days(model, before, days, pending.clone()).await?
    {
        return Ok(built);
    }
    builder.build(model, before, pending).await
}

/// The states of a model's inputs, as its entry in a release records them.
fn input_states(inputs: &[String], tables: &BTreeMap<String, ReleaseTable>) -> BTreeMap<String, String> {
    let state = |input: &String| Some((input.clone(), tables.get(input)?.state()));
    inputs.iter().filter_map(state).collect()
}

/// The columns of tokens, which models carry on under their names.
fn carried(contracts: &[Contract]) -> Layout {
    let all = contracts.iter().map(layout);
    let random: BTreeSet<String> = all.flat_map(|layout| layout.random).collect();
    Layout {
        random: random.into_iter().collect(),
        unique: Vec::new(),
    }
}

/// The protected columns of the source tables, for the taint walk.
fn classes(contracts: &[Contract]) -> Classes {
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
