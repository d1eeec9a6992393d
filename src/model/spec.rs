//! Unit tests of models: `sql/test/*.slt`, given tables and expected rows, against the files as they are.
//!
//! `CREATE TABLE core.alarm AS SELECT …` gives a table; a query names models, which are evaluated on what was
//! given. A model sees no clock, so that no time has to be frozen.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::datasource::MemTable;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};

use crate::config::site::SiteFile;
use crate::config::text;
use crate::engine::session::Table;
use crate::engine::{Bounds, Parameters, Session, references};
use crate::error::{Error, Excerpt, Kind, Place, Problem, Result, fail};
use crate::lake::shape::{conform, storable};
use crate::message::Message;
use crate::model::Models;

/// Rows of a given table or of a result; a test is small.
const ROWS: usize = 10_000;

/// One file's tables and models.
struct Desk<'a> {
    path: &'a str,
    session: Session,
    models: &'a Models,
    parameters: &'a Parameters,
    shown: BTreeSet<String>,
}

/// Runs the cases of a file; how many there are.
///
/// # Errors
/// `Input` for what cannot be read, `Check` with the place of the first case whose rows are others.
pub async fn run(file: &SiteFile, models: &Models, bounds: Bounds, parameters: &Parameters) -> Result<usize> {
    let at = |line: u32, message: Message, excerpt: Option<String>| {
        let place = Place {
            path: file.path.clone(),
            line: line as usize,
            column: 0,
        };
        let excerpt = excerpt.map(|text| Excerpt { text, caret: 0 });
        vec![Problem {
            place,
            message,
            excerpt,
        }]
    };
    let records =
        sqllogictest::parse_with_name::<DefaultColumnType>(&file.text, file.path.clone()).map_err(|cause| {
            let problems = at(
                cause.location().line(),
                Message::new("spec_unread", &[&cause.kind()]),
                None,
            );
            fail(Kind::Input, "spec_invalid", &[&file.path]).with_problems(problems)
        })?;
    let session = Session::new(bounds)?;
    let mut desk = Some(Desk {
        path: &file.path,
        session,
        models,
        parameters,
        shown: BTreeSet::new(),
    });
    let mut runner = Runner::new(move || {
        let desk = desk.take().ok_or_else(|| fail(Kind::Bug, "session_failed", &[]));
        async move { desk }
    });
    let mut cases = 0;
    for record in records {
        let line = match &record {
            Record::Query { loc, .. } => {
                cases += 1;
                loc.line()
            }
            Record::Statement { loc, .. } => loc.line(),
            // a test of SQL runs no program
            Record::System { loc, .. } => {
                let problems = at(loc.line(), Message::new("spec_system", &[]), None);
                return Err(fail(Kind::Denied, "spec_invalid", &[&file.path]).with_problems(problems));
            }
            _ => 0,
        };
        if let Err(error) = runner.run_async(record).await {
            let why = error.display(false).to_string();
            let (first, rest) = why.split_once('\n').unwrap_or((&why, ""));
            let problems = at(
                line,
                Message::new("spec_differs", &[&first]),
                Some(rest.trim_end().to_owned()),
            );
            return Err(fail(Kind::Check, "spec_failed", &[&file.path]).with_problems(problems));
        }
    }
    Ok(cases)
}

impl Desk<'_> {
    async fn answer(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        if let Some((name, select)) = given(sql) {
            let table = self.session.query(self.path, select, ROWS).await?;
            let broken = |cause| fail(Kind::Bug, "session_failed", &[]).because(cause);
            // of the types that tables have
            let schema = Arc::new(storable(&table.schema));
            let rows = table.batches.iter().map(|batch| conform(batch, &schema));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let given = MemTable::try_new(schema, vec![rows]).map_err(broken)?;
            self.session.register(name, Arc::new(given))?;
            self.shown.insert(name.to_owned());
            return Ok(DBOutput::StatementComplete(0));
        }
        for name in references(self.path, sql)? {
            self.show(&name).await?;
        }
        cells(&self.session.query(self.path, sql, ROWS).await?)
    }

    /// Makes a model visible, after all that it reads.
    async fn show(&mut self, name: &str) -> Result<()> {
        if self.shown.contains(name) {
            return Ok(());
        }
        let Some(model) = self.models.get(name) else {
            return Err(fail(Kind::Missing, "spec_given", &[&name]).hint("spec_given_hint", &[&name]));
        };
        for input in &model.inputs {
            Box::pin(self.show(input)).await?;
        }
        let (path, sql) = (&model.file.path, &model.file.text);
        let plan = self
            .session
            .plan_with(path, sql, &model.parameters(self.parameters))
            .await?;
        self.session.register(name, Arc::new(ViewTable::new(plan, None)))?;
        self.shown.insert(name.to_owned());
        Ok(())
    }
}

/// The name and the SELECT of a table that is given.
fn given(sql: &str) -> Option<(&str, &str)> {
    let rest = sql.trim_start();
    let head = rest
        .get(..13)
        .filter(|head| head.eq_ignore_ascii_case("create table "))?;
    let (name, select) = rest[head.len()..].split_once(char::is_whitespace)?;
    let select = select.trim_start();
    let is_as = select.get(..3).is_some_and(|word| word[..2].eq_ignore_ascii_case("as"));
    is_as.then(|| (name, select[2..].trim_start()))
}

/// A result as texts.
fn cells(table: &Table) -> Result<DBOutput<DefaultColumnType>> {
    let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &table.batches {
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(batch.num_columns());
            for column in batch.columns() {
                let words = ArrayFormatter::try_new(column.as_ref(), &options).map_err(broken)?;
                let text = words.value(row).to_string();
                let is_empty = text.is_empty() && column.is_valid(row);
                cells.push(if is_empty { "(empty)".to_owned() } else { text });
            }
            rows.push(cells);
        }
    }
    let types = vec![DefaultColumnType::Any; table.schema.fields().len()];
    Ok(DBOutput::Rows { types, rows })
}

#[async_trait]
impl AsyncDB for Desk<'_> {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        self.answer(sql).await
    }

    async fn shutdown(&mut self) {}
}

/// The files of a site's unit tests that are asked for: all of them, or those of these names.
///
/// # Errors
/// `Missing` with the nearest name.
pub fn wanted(files: Vec<SiteFile>, names: &[String]) -> Result<Vec<SiteFile>> {
    for name in names {
        if !files.iter().any(|file| file.stem() == name) {
            return Err(text::missing("spec_missing", name, files.iter().map(SiteFile::stem)));
        }
    }
    let is_wanted = |file: &SiteFile| names.is_empty() || names.iter().any(|name| file.stem() == name);
    Ok(files.into_iter().filter(is_wanted).collect())
}
