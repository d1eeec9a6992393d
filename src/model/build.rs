//! Evaluates one model on pinned tables and writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::builder::StringBuilder;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use datafusion::logical_expr::LogicalPlan;
use sha2::{Digest, Sha256};

use crate::engine::session::Rows;
use crate::engine::{Class, Classes, Parameters, Session, taint, traps};
use crate::error::{Kind, Result, fail};
use crate::lake::days::{DAY, Span, spans};
use crate::lake::digest::hex;
use crate::lake::shape::{same_columns, storable};
use crate::lake::{Commit, Lake, Layout, ReleaseTable, RowDigest, RunningDigest, Table};
use crate::model::boundary;
use crate::model::header::Window;
use crate::model::load::Model;
use crate::model::window;
use crate::time::calendar;

/// The column by which tables that are built day by day are partitioned.
pub const MONTH: &str = "biz_month";

/// Builds models of one run in one session.
#[derive(Debug)]
pub struct Builder<'a> {
    lake: &'a Lake,
    session: &'a Session,
    commit: Commit,
    parameters: Parameters,
    classes: Classes,
    layout: Layout,
}

/// A built model.
#[derive(Debug)]
pub struct Built {
    /// The table in its new version.
    pub table: Table,
    /// Its entry in a release.
    pub entry: ReleaseTable,
}

impl<'a> Builder<'a> {
    /// A builder; `classes` are the protected columns of the source tables, `layout` what is known of columns
    /// that models carry on.
    pub fn new(
        lake: &'a Lake,
        session: &'a Session,
        commit: Commit,
        parameters: Parameters,
        classes: Classes,
        layout: Layout,
    ) -> Builder<'a> {
        Builder {
            lake,
            session,
            commit,
            parameters,
            classes,
            layout,
        }
    }

    /// Plans a model on the tables of the session and walks its protected columns.
    ///
    /// # Errors
    /// `Input` where it does not plan, `Denied` where it uses a token against the boundary.
    pub async fn plan(&mut self, model: &Model) -> Result<LogicalPlan> {
        let (path, sql) = (&model.file.path, &model.file.text);
        let plan = self
            .session
            .plan_with(path, sql, &model.parameters(&self.parameters))
            .await?;
        boundary::steady(path, sql, &traps(&plan))?;
        let findings = taint::walk(&plan, &self.classes);
        boundary::tokens(path, sql, &findings, model.header.place_token)?;
        let place: BTreeMap<String, Class> = findings.output.into_iter().collect();
        self.classes.0.insert(model.name.clone(), place);
        self.labels(model, &plan)?;
        Ok(plan)
    }

    /// Plans a SELECT whose rows leave the city: nothing that is protected may be in them.
    ///
    /// # Errors
    /// As [`Builder::plan`].
    pub async fn outgoing(&self, path: &str, sql: &str) -> Result<Rows> {
        let plan = self.session.plan(path, sql).await?;
        boundary::steady(path, sql, &traps(&plan))?;
        boundary::tokens(path, sql, &taint::walk(&plan, &self.classes), false)?;
        self.session.stream(path, sql, plan).await
    }

    /// A label or grain of a column that the model does not have is a slip of the pen.
    fn labels(&self, model: &Model, plan: &LogicalPlan) -> Result<()> {
        use crate::config::text;
        let known: Vec<&String> = plan.schema().fields().iter().map(|field| field.name()).collect();
        let named = model
            .header
            .labels
            .iter()
            .map(|label| &label.column)
            .chain(&model.header.grain)
            .chain(model.header.checks.iter().flat_map(|rule| rule.check.columns()));
        let day = DAY.to_owned();
        let named = named.chain(model.header.window.is_some().then_some(&day));
        let file = &model.file;
        let problems: Vec<_> = named
            .filter(|name| !known.contains(name))
            .map(|name| text::unknown_key(&file.path, &file.text, name, known.iter()))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(fail(Kind::Input, "models_invalid", &[]).with_problems(problems))
        }
    }

    /// Builds a model as a whole, in place of the rows before. One that is built day by day gets a new table
    /// where it changed, so that days of another SELECT never stand beside its own; `before` is its entry
    /// in the release.
    ///
    /// # Errors
    /// As [`Builder::plan`], as the query fails, or as the store fails.
    pub async fn build(&mut self, model: &Model, before: Option<&ReleaseTable>, entry: Pending) -> Result<Built> {
        let mut plan = self.plan(model).await?;
        if let Some(window) = &model.header.window {
            plan = self.restricted(model, plan, window, None)?;
        }
        let mut rows = self.stream(model, plan).await?;
        let mut table = self.table(model, before, &entry, &storable(&rows.schema())).await?;
        let mut stage = table.stage(&self.commit.run_id, self.layout.clone())?;
        let mut digest = RunningDigest::new(stage.schema().clone(), RowDigest::new(stage.schema())?);
        while let Some(batch) = rows.next().await? {
            let batch = match model.header.window {
                Some(_) => stage.conform(&monthly(model, &batch)?)?,
                None => stage.conform(&batch)?,
            };
            digest.update(&batch).await?;
            stage.write(&batch).await?;
        }
        let digest = digest.finish().await?;
        let staged = stage.finish().await?;
        let commit = Commit {
            digest: Some(digest.finish()),
            basis: Some(entry.basis()),
            total: Some(digest.rows()),
            ..self.commit.clone()
        };
        table.replace(staged, &commit).await?;
        table.holds_rows(digest.rows())?;
        built(table, digest.finish(), entry, &self.commit.run_id)
    }

    /// The table that the rows of a model as a whole go to.
    async fn table(
        &self,
        model: &Model,
        before: Option<&ReleaseTable>,
        entry: &Pending,
        schema: &Schema,
    ) -> Result<Table> {
        if model.header.window.is_none() {
            return self.lake.table_of(&model.name, schema, &[]).await;
        }
        let schema = with_month(schema);
        let same = before.filter(|before| before.fingerprint.as_deref() == Some(&entry.fingerprint));
        if let Some(before) = same {
            let table = self.lake.table_in(&model.name, &before.location).await?;
            if same_columns(table.schema()?.as_ref(), &schema) {
                return Ok(table);
            }
        }
        self.lake.new_table(&model.name, &schema, &[MONTH]).await
    }

    /// Builds the rows of some days of a model that is built day by day, in place of those before. `before`
    /// is its entry in the release. `None` where its table does not know its own digest, so that it has to
    /// be built as a whole.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub async fn build_days(
        &mut self,
        model: &Model,
        before: &ReleaseTable,
        days: &BTreeSet<i32>,
        entry: Pending,
    ) -> Result<Option<Built>> {
        let Some(window) = &model.header.window else {
            return Ok(None);
        };
        let mut table = self.lake.table_in(&model.name, &before.location).await?;
        let mut stage = table.stage(&self.commit.run_id, self.layout.clone())?;
        let (digest, known) = (RowDigest::new(stage.schema())?, table.said().await?.digest);
        let rows = table.rows()?;
        let Some(digest) = known.and_then(|known| digest.starting_at(&known, rows)) else {
            return Ok(None);
        };
        let mut digest = RunningDigest::new(stage.schema().clone(), digest);
        let plan = self.plan(model).await?;
        for span in spans(days) {
            let mut rows = self
                .stream(model, self.restricted(model, plan.clone(), window, Some(span))?)
                .await?;
            while let Some(batch) = rows.next().await? {
                let batch = stage.conform(&monthly(model, &batch)?)?;
                digest.update(&batch).await?;
                stage.write(&batch).await?;
            }
        }
        let digest = digest.finish().await?;
        let commit = Commit {
            basis: Some(entry.basis()),
            ..self.commit.clone()
        };
        let digest = table.exchange_days(days, stage, digest, &commit).await?;
        built(table, digest, entry, &self.commit.run_id).map(Some)
    }

    /// The rows that a run before built on exactly this and did not publish, since it was cut off or a check
    /// held them. `None` where there are none.
    ///
    /// # Errors
    /// As [`Builder::plan`], or as the store fails.
    pub async fn found(&mut self, model: &Model, entry: &Pending) -> Result<Option<Built>> {
        let Some(table) = self.lake.table(&model.name).await? else {
            return Ok(None);
        };
        let said = table.said().await?;
        match said.digest {
            Some(digest)
                if said.basis == Some(entry.basis())
                    && said.total == Some(table.rows()?)
                    && self.lake.writes(table.location()) =>
            {
                // what is protected in its rows, those behind it have to know
                self.plan(model).await?;
                built(table, digest, entry.clone(), &said.run_id).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn restricted(&self, model: &Model, plan: LogicalPlan, window: &Window, span: Option<Span>) -> Result<LogicalPlan> {
        let failed = |cause| fail(Kind::Bug, "session_failed", &[]).because(format!("{}: {cause}", model.name));
        window::restrict(plan, window, span).map_err(failed)
    }

    async fn stream(&self, model: &Model, plan: LogicalPlan) -> Result<Rows> {
        self.session.stream(&model.file.path, &model.file.text, plan).await
    }
}

/// What a release will say of a table besides its rows.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Fingerprint of the model.
    pub fingerprint: String,
    /// The states of its inputs.
    pub inputs: BTreeMap<String, String>,
}

impl Pending {
    /// What the rows are built on, in one word.
    fn basis(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.fingerprint);
        for (input, state) in &self.inputs {
            hash.update(format!(";{input}={state}"));
        }
        hex(&hash.finalize())[..32].to_owned()
    }
}

fn built(table: Table, digest: String, pending: Pending, run_id: &str) -> Result<Built> {
    let entry = ReleaseTable {
        location: table.location().to_owned(),
        version: table.version(),
        rows: table.rows()?,
        digest: Some(digest),
        fingerprint: Some(pending.fingerprint),
        inputs: pending.inputs,
        run_id: Some(run_id.to_owned()),
    };
    Ok(Built { table, entry })
}

/// The schema with the column by which a table that is built day by day is partitioned.
fn with_month(schema: &Schema) -> Schema {
    if schema.field_with_name(MONTH).is_ok() {
        return schema.clone();
    }
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(MONTH, DataType::Utf8, true)));
    Schema::new(fields)
}

/// Rows with their month.
fn monthly(model: &Model, batch: &RecordBatch) -> Result<RecordBatch> {
    let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let column = batch
        .column_by_name(DAY)
        .and_then(|column| column.as_primitive_opt::<Date32Type>());
    let column = column.ok_or_else(|| fail(Kind::Input, "window_day", &[&model.name, &DAY]))?;
    if column.null_count() > 0 {
        return Err(fail(Kind::Input, "window_day", &[&model.name, &DAY]));
    }
    if batch.schema_ref().field_with_name(MONTH).is_ok() {
        return Ok(batch.clone());
    }
    let mut months = StringBuilder::with_capacity(column.len(), column.len() * 7);
    let mut known = (0, calendar::month(0));
    for day in column.values() {
        // rows of a day mostly come together
        if known.0 != *day {
            known = (*day, calendar::month(*day));
        }
        months.append_value(&known.1);
    }
    let months = months.finish();
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(months));
    let schema = with_month(batch.schema_ref());
    RecordBatch::try_new(Arc::new(schema), columns).map_err(broken)
}
