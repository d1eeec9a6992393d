//! Days built again on purpose, months at a time, as one named thing that goes on where it was stopped.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::days::{DAY, Span};
use crate::message::Message;
use crate::model::{Models, pinned};
use crate::pipeline::record::Act;
use crate::pipeline::run::{Only, Request, Run, Watch};
use crate::time::calendar;

/// What is to be built again.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Its name: what is done under it is not done again.
    pub name: String,
    /// The pipeline whose models are built.
    pub pipeline: String,
    /// First and last day.
    pub span: Span,
    /// Whether only days are built that a model lacks and its inputs have.
    pub missing: bool,
}

impl Run<'_> {
    /// The months of a backfill that are not done yet, with their days. A name stands for one span.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn months(&self, backfill: &Backfill) -> Result<BTreeMap<String, BTreeSet<i32>>> {
        let lacking = match backfill.missing {
            true => Some(self.lacking(backfill.span).await?),
            false => None,
        };
        let done = self.done(&backfill.name).await?;
        let mut months: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for day in backfill.span.first..=backfill.span.last {
            let month = calendar::month(day);
            if lacking.as_ref().is_none_or(|days| days.contains(&day)) && !done.contains(&part(backfill, &month)) {
                months.entry(month).or_default().insert(day);
            }
        }
        Ok(months)
    }

    /// Builds one month of a backfill.
    ///
    /// # Errors
    /// As [`Run::pipeline`].
    pub async fn month(&self, backfill: &Backfill, month: &str, days: BTreeSet<i32>, watch: &dyn Watch) -> Result<()> {
        watch.said(Message::new("backfill_month", &[&backfill.name, &month, &days.len()]));
        let request = Request {
            act: Act::Backfill,
            part_of: Some(part(backfill, month)),
            again: days,
            // what came in since waits for the next run
            only: Some(Only::default()),
            ..Request::all(&backfill.pipeline)
        };
        self.pipeline(&request, watch).await.map(drop)
    }

    /// The parts of a backfill that were built.
    async fn done(&self, name: &str) -> Result<BTreeSet<String>> {
        let Some(table) = self.lake.table("ops.run").await? else {
            return Ok(BTreeSet::new());
        };
        let session = pinned::on(Bounds::from(&self.site.settings.limits), &[&table]).await?;
        let sql = "SELECT DISTINCT arrow_cast(part_of, 'Utf8') FROM ops.run WHERE act = 'backfill' AND status = 'ok'";
        let limit = self.site.settings.limits.query_rows;
        let found = session.query("backfill", sql, limit).await?;
        let names = found
            .batches
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
        Ok(names
            .filter(|part| part.starts_with(&format!("{name}/")))
            .map(str::to_owned)
            .collect())
    }

    /// Days of the span on which an input of a model has rows and the model has none.
    async fn lacking(&self, span: Span) -> Result<BTreeSet<i32>> {
        let Some(last) = self.lake.latest_release().await? else {
            return Err(fail(Kind::Missing, "no_release_yet", &[]).hint("no_release_hint", &[]));
        };
        let models = Models::load(self.site)?;
        let mut days: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        for (name, entry) in &last.tables {
            let table = self.lake.table_at(name, &entry.location, entry.version).await?;
            if table.has_days()? {
                let session = Session::new(Bounds::from(&self.site.settings.limits))?;
                session.register("of.days", table.provider(session.state()).await?)?;
                let sql = format!("SELECT DISTINCT arrow_cast({DAY}, 'Int32') FROM of.days WHERE {DAY} IS NOT NULL");
                let found = session
                    .query("backfill", &sql, self.site.settings.limits.query_rows)
                    .await?;
                let all = found
                    .batches
                    .iter()
                    .flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().iter());
                days.insert(
                    name,
                    all.flatten()
                        .filter(|day| (span.first..=span.last).contains(day))
                        .collect(),
                );
            }
        }
        let mut lacking = BTreeSet::new();
        for model in models.ordered.iter().filter(|model| model.header.window.is_some()) {
            let Some(own) = days.get(model.name.as_str()) else {
                continue;
            };
            for input in model.inputs.iter().filter_map(|input| days.get(input.as_str())) {
                lacking.extend(input.difference(own));
            }
        }
        Ok(lacking)
    }
}

/// The name of a month of a backfill in `ops.run`.
fn part(backfill: &Backfill, month: &str) -> String {
    format!("{}/{month}", backfill.name)
}
