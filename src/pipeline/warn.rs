//! The warnings of a run: what its models found grows into events, after the checks and before the release.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::lake::{Commit, Pin, ReleaseTable, Table};
use crate::message::{Language, Message};
use crate::model::product::Decision;
use crate::model::{Model, Product, pinned};
use crate::pipeline::build::Building;
use crate::pipeline::plan::standing;
use crate::pipeline::run::calendar;
use crate::time::calendar as days;
use crate::warn::backtest::{self, Backtest, Desk, Ground};
use crate::warn::life::{Event, Life, Step};
use crate::warn::table::{self, MOST_ROWS, Receipt};

/// How the false alarms of products weigh on areas.
const DISPARITY: &str = "indicator.disparity";
/// Whose pins hold what a warning was made of.
const OWNER: &str = "warnings";

impl Building<'_, '_> {
    /// Lets the findings of the models grow into warnings; one product's failure is told and leaves the others alone.
    pub(super) async fn warnings(&mut self) -> Result<()> {
        let models = self.models;
        for model in &models.ordered {
            let Some(product) = model.product.as_ref().filter(|product| product.file.warning.is_some()) else {
                continue;
            };
            // what people did counts whatever becomes of the rule; only what it finds now has to pass its gate
            let entry = self.built.tables.get(&model.name);
            let is_now = |entry: &ReleaseTable| entry.fingerprint == Some(model.fingerprint(&self.parameters));
            let stands = entry.is_some_and(is_now) && !self.built.held.contains_key(&model.name);
            let gate = match stands {
                true => self.gate(model, product).await,
                false => Ok(Some(Message::new("gate_held", &[&product.name]))),
            };
            let grown = match gate {
                Ok(why) => {
                    let events = self.grown(model, product, why.is_none()).await;
                    if let (Ok(_), Some(why)) = (&events, why) {
                        let said = why.in_language(Language::English);
                        self.record.step("warn", &product.name, "off", 0, said)?;
                        if stands {
                            self.watch.said(why);
                        }
                        continue;
                    }
                    events
                }
                Err(error) => Err(error),
            };
            match grown {
                Ok(events) => {
                    let opened = events.iter().filter(|event| event.step == Step::Opened).count();
                    let lines = events.len() as u64;
                    self.record.step("warn", &product.name, "ok", lines, String::new())?;
                    if opened > 0 {
                        self.watch.said(Message::new("warn_opened", &[&product.name, &opened]));
                    }
                }
                Err(error) => {
                    let said = error.render(Language::English);
                    self.record.step("warn", &product.name, "failed", 0, said)?;
                    self.outcome.failed.push((product.source.path.clone(), error));
                }
            }
        }
        table::born(self.run.lake, &self.commit()).await?;
        for name in [table::WARNING, table::RECEIPT, table::BACKTEST] {
            if let Some(table) = self.run.lake.table(name).await? {
                self.session
                    .register(name, table.provider(self.session.state()).await?)?;
                self.built.tables.insert(name.to_owned(), standing(&table)?);
            }
        }
        Ok(())
    }

    /// Why a product may not warn yet, where it may not: what it would have done in the weeks before has to be known for
    /// it as it is now, and to fit.
    async fn gate(&mut self, model: &Model, product: &Product) -> Result<Option<Message>> {
        let (lake, bounds) = (self.run.lake, Bounds::from(&self.run.site.settings.limits));
        let Some((gate, rule)) = product.file.gate.as_ref().zip(product.file.warning.as_ref()) else {
            return Ok(None);
        };
        let today = self.clock_day()?;
        if today > product.ends {
            return Ok(Some(Message::new(
                "gate_ended",
                &[&product.name, &product.file.card.ends],
            )));
        }
        let holds = |decision: &&Decision| decision.holds(today);
        if let Some(decision) = product.file.suspended.as_ref().filter(holds) {
            let args: [&dyn std::fmt::Display; 3] = [&product.name, &decision.by, &decision.until];
            return Ok(Some(Message::new("gate_suspended", &args)));
        }
        if product.file.signed.as_ref().filter(holds).is_none()
            && let Some(why) = self.disparity(&product.name).await?
        {
            return Ok(Some(why));
        }
        let basis = backtest::basis(self.models, model, product, &self.parameters);
        let kept = table::kept(lake, bounds, &product.name, &basis).await?;
        let fits = |shown: &Backtest| backtest::refused(product, rule, shown).is_none();
        if kept.as_ref().is_some_and(fits) {
            return Ok(None);
        }
        let calendar = calendar(self.run.site)?;
        let ground = Ground {
            lake,
            bounds,
            models: self.models,
            tables: &self.built.tables,
            parameters: &self.parameters,
            calendar: &calendar,
            today,
        };
        let desk = Desk::open(ground, model, product).await?;
        let (first, last) = desk.extent().await?.unwrap_or((0, -1));
        let weeks = (last - first + 1) / 7;
        if weeks < i32::from(gate.history_weeks) {
            let args: [&dyn std::fmt::Display; 3] = [&product.name, &weeks, &gate.history_weeks];
            return Ok(Some(Message::new("gate_history", &args)));
        }
        // one that was refused is run again when there is another day to run it on
        let shown = match kept.filter(|kept| kept.last_day == days::text(last)) {
            Some(kept) => kept,
            None => {
                let (shown, _) = desk.run((last - 7 * i32::from(gate.weeks) + 1, last)).await?;
                table::keep(lake, &shown, &self.commit()).await?;
                shown
            }
        };
        Ok(backtest::refused(product, rule, &shown))
    }

    /// Why a product needs a signature, by the disparity of its false alarms as the last night told it.
    async fn disparity(&self, rule: &str) -> Result<Option<Message>> {
        #[derive(Deserialize)]
        struct Row {
            ratio: Option<f64>,
            lower: Option<f64>,
            upper: Option<f64>,
        }
        let last = self.built.last.as_ref().and_then(|last| last.tables.get(DISPARITY));
        let Some(entry) = last else { return Ok(None) };
        let table = self
            .run
            .lake
            .table_at(DISPARITY, &entry.location, entry.version)
            .await?;
        let session = pinned::on(Bounds::from(&self.run.site.settings.limits), &[&table]).await?;
        let rule = rule.replace('\'', "''");
        let sql = format!("SELECT ratio, lower, upper FROM {DISPARITY} WHERE needs_signature AND rule = '{rule}'");
        let row = table::read::<Row>(&session, DISPARITY, &sql).await?.pop();
        let shown = |number: Option<f64>| number.map_or_else(|| "∞".to_owned(), |number| format!("{number:.2}"));
        Ok(row.map(|row| {
            let (ratio, upper) = (shown(row.ratio), shown(row.upper));
            let args: [&dyn std::fmt::Display; 4] = [&rule, &ratio, &shown(row.lower), &upper];
            Message::new("gate_disparity", &args)
        }))
    }

    fn commit(&self) -> Commit {
        Commit::of(&self.run.run_id, self.record.fence(), String::new())
    }

    /// The business day of the run's clock.
    fn clock_day(&self) -> Result<i32> {
        let day = calendar(self.run.site)?.day_and_hour(self.run.clock.now());
        Ok(day.map_or(i32::MAX, |(day, _)| day))
    }

    /// What the findings of a model, and what people did, add to the warnings of its product.
    async fn grown(&mut self, model: &Model, product: &Product, finds: bool) -> Result<Vec<Event>> {
        let (lake, bounds) = (self.run.lake, Bounds::from(&self.run.site.settings.limits));
        let known = table::events(lake, bounds, product).await?;
        let there = |input: &&String| self.built.tables.contains_key(*input);
        let inputs: Vec<String> = model.inputs.iter().filter(there).cloned().collect();
        let newest = table::newest_day(self.session, &inputs, self.clock_day()?).await?;
        let Some(today) = newest.or(known.iter().map(|event| event.day).max()) else {
            return Ok(Vec::new());
        };
        let Some(mut life) = Life::of(product, &known) else {
            return Ok(Vec::new());
        };
        let names: BTreeSet<&str> = known.iter().map(|event| event.event_id.as_str()).collect();
        if let Some(done) = self.built(table::ACTION).await? {
            life.acted(|name| names.contains(name), &table::actions(bounds, &done).await?);
        }
        if finds {
            let rule = product.file.warning.iter();
            let back = rule.map(|rule| i32::from(rule.fresh_days.max(rule.expires_days)) + i32::from(rule.gap_days));
            let first = today - back.max().unwrap_or(0);
            let sql = format!(
                "SELECT * FROM {} WHERE biz_date >= DATE '{}'",
                model.name,
                days::text(first)
            );
            let found = self.session.query(&model.name, &sql, MOST_ROWS).await?;
            let findings = table::findings(product, &model.name, &found)?;
            // a model that is built as a whole tells of its newest day alone
            if model.header.window.is_some() {
                life.taken_back(&findings, first, today);
            }
            life.found(findings, today);
        }
        let events = life.end(today);
        if let (true, Some(rule)) = (finds, &product.file.warning) {
            let recent = |event: &&Event| event.step == Step::Opened && event.day > today - 7 && event.pool.is_some();
            let pooled = known.iter().chain(&events).filter(recent).count();
            if pooled > 0 {
                let args: [&dyn std::fmt::Display; 3] = [&product.name, &pooled, &rule.alerts_per_week];
                self.watch.said(Message::new("warn_propose", &args));
            }
        }
        if events.is_empty() {
            return Ok(events);
        }
        let inputs = self.built.tables.get(&model.name).map(|entry| entry.inputs.clone());
        let inputs = inputs.unwrap_or_default();
        let receipt = Receipt::of(product, model, &self.parameters, &inputs, &self.run.run_id)?;
        if events.iter().any(|event| event.finding.is_some()) {
            self.pin(&receipt, &inputs).await?;
        }
        let commit = self.commit();
        table::add((lake, bounds), product, known.len(), &events, &receipt, &commit).await?;
        Ok(events)
    }

    /// A built table as this run has it.
    async fn built(&self, name: &str) -> Result<Option<Table>> {
        match self.built.tables.get(name) {
            Some(entry) => {
                let table = self.run.lake.table_at(name, &entry.location, entry.version).await?;
                Ok(Some(table))
            }
            None => Ok(None),
        }
    }

    /// Holds what a receipt names, so that it can be made again.
    async fn pin(&self, receipt: &Receipt, inputs: &BTreeMap<String, String>) -> Result<()> {
        let keep = i32::from(self.run.site.settings.limits.replay_days);
        let until = days::text(self.clock_day()?.saturating_add(keep));
        for (name, state) in inputs {
            let Some((location, version)) = state.rsplit_once('@') else {
                continue;
            };
            let pin = Pin {
                table: name.clone(),
                location: location.to_owned(),
                version: version.parse().map_err(|_| fail(Kind::Bug, "batch_shape", &[]))?,
                owner: OWNER.to_owned(),
                reason: receipt.receipt.clone(),
                until: until.clone(),
            };
            self.run.lake.pin(&pin).await?;
        }
        Ok(())
    }
}
