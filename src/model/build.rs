//! Evaluates one model on pinned tables and writes it.

use std::collections::BTreeMap;

use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;

use crate::engine::{Class, Classes, Session, taint};
use crate::error::{Kind, Result, fail};
use crate::lake::table::storable;
use crate::lake::{Commit, Lake, Layout, ReleaseTable, RowDigest, Table};
use crate::model::load::Model;
use crate::model::rules;

/// Builds models of one run in one session.
#[derive(Debug)]
pub struct Builder<'a> {
    lake: &'a Lake,
    session: &'a Session,
    commit: Commit,
    parameters: BTreeMap<String, String>,
    classes: Classes,
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
    /// A builder; `classes` are the protected columns of the source tables.
    pub fn new(
        lake: &'a Lake,
        session: &'a Session,
        commit: Commit,
        parameters: BTreeMap<String, String>,
        classes: Classes,
    ) -> Builder<'a> {
        Builder {
            lake,
            session,
            commit,
            parameters,
            classes,
        }
    }

    /// Plans a model on the tables of the session and walks its protected columns.
    ///
    /// # Errors
    /// `Input` where it does not plan, `Denied` where it uses a token against the boundary.
    pub async fn plan(&mut self, model: &Model) -> Result<datafusion::logical_expr::LogicalPlan> {
        let (path, sql) = (&model.file.path, &model.file.text);
        let plan = self.session.plan(path, sql).await?;
        let findings = taint::walk(&plan, &self.classes);
        rules::tokens(path, sql, &findings, model.header.place_token)?;
        let place: BTreeMap<String, Class> = findings.output.into_iter().collect();
        self.classes.0.insert(model.name.clone(), place);
        self.labels(model, &plan)?;
        Ok(plan)
    }

    /// A label or grain of a column that the model does not have is a slip of the pen.
    fn labels(&self, model: &Model, plan: &datafusion::logical_expr::LogicalPlan) -> Result<()> {
        use crate::config::text;
        let known: Vec<&String> = plan.schema().fields().iter().map(|field| field.name()).collect();
        let named = model
            .header
            .labels
            .iter()
            .map(|label| &label.column)
            .chain(&model.header.grain)
            .chain(model.header.checks.iter().flat_map(|(_, check)| check.columns()));
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

    /// Builds a model into its table.
    ///
    /// # Errors
    /// As [`Builder::plan`], as the query fails, or as the store fails.
    pub async fn build(
        &mut self,
        model: &Model,
        fingerprint: String,
        inputs: BTreeMap<String, String>,
    ) -> Result<Built> {
        let (path, sql) = (&model.file.path, &model.file.text);
        let plan = self.plan(model).await?;
        let values: Vec<(&str, ScalarValue)> = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), ScalarValue::from(value.as_str())))
            .collect();
        let plan = self.session.bind(path, sql, plan, ParamValues::from(values))?;
        let mut rows = self.session.stream(path, sql, plan).await?;
        let mut table = self.lake.table_of(&model.name, &storable(&rows.schema()), &[]).await?;
        let mut stage = table.stage(&self.commit.run_id, Layout::default())?;
        let mut digest = RowDigest::new(stage.schema())?;
        while let Some(batch) = rows.next().await? {
            let batch = stage.conform(&batch)?;
            digest.update(&batch)?;
            stage.write(&batch).await?;
        }
        let staged = stage.finish().await?;
        let version = table.replace(staged, &self.commit).await?;
        let stored = table.rows()?;
        if stored != digest.rows() {
            return Err(fail(Kind::Bug, "rows_differ", &[&model.name, &digest.rows(), &stored]));
        }
        let entry = ReleaseTable {
            location: table.location().to_owned(),
            version,
            rows: stored,
            digest: Some(digest.finish()),
            fingerprint: Some(fingerprint),
            inputs,
            run_id: Some(self.commit.run_id.clone()),
        };
        Ok(Built { table, entry })
    }
}
