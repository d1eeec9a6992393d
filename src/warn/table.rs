//! The tables of warnings: `ops.warning`, a line for each event, `ops.receipt`, what a product's rows were built of, and
//! `ops.backtest`, what a product showed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::ReaderBuilder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::session::{Table as Rows, json_lines};
use crate::engine::{Bounds, Parameters, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::days::DAY;
use crate::lake::digest::hex;
use crate::lake::{Commit, Lake, Table};
use crate::model::build::MONTH;
use crate::model::product::{Grade, Level, Product, Warning};
use crate::model::{Model, pinned};
use crate::time::calendar;
use crate::warn::backtest::Backtest;
use crate::warn::life::{Event, Finding, Step};
use crate::warn::{Act, Action, Outcome};

/// The life of all warnings.
pub const WARNING: &str = "ops.warning";
/// What their findings were built of.
pub const RECEIPT: &str = "ops.receipt";
/// What products showed when they were run again.
pub const BACKTEST: &str = "ops.backtest";
/// What people did about them.
pub const ACTION: &str = "core.warning_action";
/// The list of categories.
pub const CATEGORY: &str = "ref.category";
/// Events of one product, or rows of its model, at most: more than a century of the largest budget.
pub const MOST_ROWS: usize = 1_000_000;

/// A line of `ops.warning`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    event_id: String,
    warning_id: String,
    rule: String,
    number: i64,
    act: Step,
    biz_date: String,
    county: Option<String>,
    unit: String,
    score: Option<f64>,
    grade: Grade,
    level: Level,
    pool: Option<String>,
    place_zh: Option<String>,
    place_en: Option<String>,
    reason_zh: Option<String>,
    reason_en: Option<String>,
    evidence: Option<String>,
    result: Option<Outcome>,
    note: Option<String>,
    receipt: Option<String>,
    run_id: String,
}

/// A line of `ops.receipt`: all that a finding was made of, so that it can be made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its name, made of all that follows but the run.
    pub receipt: String,
    /// The product.
    pub rule: String,
    /// Its model.
    pub model: String,
    /// The path of its SELECT.
    pub path: String,
    /// Its SELECT.
    pub sql: String,
    /// Its rule file.
    pub rule_file: String,
    /// The values of its parameters, as JSON.
    pub parameters: String,
    /// Its input tables, each as `location@version`, as JSON.
    pub inputs: String,
    /// The versions of the functions that it calls.
    pub functions: String,
    /// The program.
    pub program: String,
    /// The run that needed it first.
    pub run_id: String,
}

fn broken(cause: impl std::fmt::Display) -> crate::Error {
    fail(Kind::Bug, "batch_shape", &[]).because(cause)
}

fn text_columns(names: &[&str]) -> Vec<Field> {
    let column = |name: &&str| Field::new(*name, DataType::Utf8, true);
    names.iter().map(column).collect()
}

fn warning_schema() -> Arc<Schema> {
    let mut fields = text_columns(&["event_id", "warning_id", "rule"]);
    fields.push(Field::new("number", DataType::Int64, true));
    fields.extend(text_columns(&["act"]));
    fields.push(Field::new("biz_date", DataType::Date32, true));
    fields.extend(text_columns(&["county", "unit"]));
    fields.push(Field::new("score", DataType::Float64, true));
    fields.extend(text_columns(&[
        "grade",
        "level",
        "pool",
        "place_zh",
        "place_en",
        "reason_zh",
        "reason_en",
        "evidence",
        "result",
        "note",
        "receipt",
        "run_id",
    ]));
    Arc::new(Schema::new(fields))
}

fn receipt_schema() -> Arc<Schema> {
    Arc::new(Schema::new(text_columns(&[
        "receipt",
        "rule",
        "model",
        "path",
        "sql",
        "rule_file",
        "parameters",
        "inputs",
        "functions",
        "program",
        "run_id",
    ])))
}

fn backtest_schema() -> Arc<Schema> {
    let mut fields = text_columns(&["rule", "basis", "first_day", "last_day"]);
    let number = |name: &&str| Field::new(*name, DataType::Int64, true);
    fields.extend(["findings", "opened", "most_per_week", "pooled"].iter().map(number));
    fields.push(Field::new("late_share", DataType::Float64, true));
    fields.extend(text_columns(&["leaks"]));
    Arc::new(Schema::new(fields))
}

/// Lines as rows of a table.
fn batch<L: Serialize>(schema: Arc<Schema>, lines: &[L]) -> Result<RecordBatch> {
    let mut decoder = ReaderBuilder::new(schema.clone())
        .with_batch_size(lines.len().max(1))
        .build_decoder()
        .map_err(broken)?;
    decoder.serialize(lines).map_err(broken)?;
    let batch = decoder.flush().map_err(broken)?;
    Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

/// Rows as lines.
fn lines<L: DeserializeOwned>(batches: &[RecordBatch]) -> Result<Vec<L>> {
    let text = json_lines(batches)?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(broken))
        .collect()
}

/// The rows of a question.
///
/// # Errors
/// As the table cannot be read.
pub async fn read<L: DeserializeOwned>(session: &Session, name: &str, sql: &str) -> Result<Vec<L>> {
    lines(&session.query(name, sql, MOST_ROWS).await?.batches)
}

/// The group of each category.
///
/// # Errors
/// As the table cannot be read.
pub async fn groups(session: &Session) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Group {
        code: String,
        category_group: String,
    }
    let sql = format!("SELECT code, category_group FROM {CATEGORY}");
    let groups = read::<Group>(session, CATEGORY, &sql).await?;
    Ok(groups
        .into_iter()
        .map(|group| (group.code, group.category_group))
        .collect())
}

impl Line {
    fn of(product: &Product, event: &Event, number: usize, receipt: &str, run_id: &str) -> Result<Line> {
        let finding = event.finding.as_ref();
        let words = |of: fn(&Finding) -> &[Option<String>; 2], at: usize| finding.and_then(|f| of(f)[at].clone());
        Ok(Line {
            event_id: event.event_id.clone(),
            warning_id: event.warning_id.clone(),
            rule: product.name.clone(),
            number: i64::try_from(number).map_err(broken)?,
            act: event.step,
            biz_date: calendar::text(event.day),
            county: event.county.clone(),
            unit: event.unit.clone(),
            score: finding.map(|finding| finding.score),
            grade: event.grade,
            level: event.level,
            pool: event.pool.clone(),
            place_zh: words(|finding| &finding.place, 0),
            place_en: words(|finding| &finding.place, 1),
            reason_zh: words(|finding| &finding.reason, 0),
            reason_en: words(|finding| &finding.reason, 1),
            evidence: finding.map(|finding| finding.evidence.clone()),
            result: event.outcome,
            note: event.note.clone(),
            receipt: finding.map(|_| receipt.to_owned()),
            run_id: run_id.to_owned(),
        })
    }

    fn event(self, rule: &Warning) -> Result<Event> {
        let unread = || fail(Kind::Bug, "warning_line", &[&self.event_id]);
        let day = calendar::day(&self.biz_date).ok_or_else(unread)?;
        let finding = match (&self.evidence, self.score) {
            (Some(evidence), Some(score)) => Some(Finding {
                day,
                county: self.county.clone().unwrap_or_default(),
                unit: self.unit.clone(),
                items: items(rule, &serde_json::from_str(evidence).map_err(broken)?),
                score,
                grade: self.grade,
                place: [self.place_zh.clone(), self.place_en.clone()],
                reason: [self.reason_zh.clone(), self.reason_en.clone()],
                evidence: evidence.clone(),
            }),
            _ => None,
        };
        Ok(Event {
            step: self.act,
            grade: self.grade,
            level: self.level,
            outcome: self.result,
            day,
            finding,
            event_id: self.event_id,
            warning_id: self.warning_id,
            county: self.county,
            unit: self.unit,
            pool: self.pool,
            note: self.note,
        })
    }
}

/// The events of a product, in the order in which they were added.
///
/// # Errors
/// As the table cannot be read.
pub async fn events(lake: &Lake, bounds: Bounds, product: &Product) -> Result<Vec<Event>> {
    let Some(table) = lake.table(WARNING).await? else {
        return Ok(Vec::new());
    };
    let session = pinned::on(bounds, &[&table]).await?;
    let name = product.name.replace('\'', "''");
    let sql = format!("SELECT * FROM {WARNING} WHERE rule = '{name}' ORDER BY number");
    let found = session.query("warn", &sql, MOST_ROWS).await?;
    let lines: Vec<Line> = lines(&found.batches)?;
    let Some(rule) = &product.file.warning else {
        return Ok(Vec::new());
    };
    lines.into_iter().map(|line| line.event(rule)).collect()
}

/// Adds events of a product, behind those that are known.
///
/// # Errors
/// As the store fails.
pub async fn add(
    (lake, bounds): (&Lake, Bounds),
    product: &Product,
    known: usize,
    events: &[Event],
    receipt: &Receipt,
    commit: &Commit,
) -> Result<()> {
    let run_id = &commit.run_id;
    let line = |(at, event): (usize, &Event)| Line::of(product, event, known + at, &receipt.receipt, run_id);
    let told: Vec<Line> = events.iter().enumerate().map(line).collect::<Result<_>>()?;
    // the receipt first: an event that was added has one
    let found = events.iter().any(|event| event.finding.is_some());
    if found && self::receipt(lake, bounds, &receipt.receipt).await?.is_none() {
        let rows = batch(receipt_schema(), std::slice::from_ref(receipt))?;
        lake.add_rows(RECEIPT, &rows, commit).await?;
    }
    let rows = batch(warning_schema(), &told)?;
    lake.add_rows(WARNING, &rows, commit).await
}

/// Makes the table of warnings, where no product ever warned: none is not unknown.
///
/// # Errors
/// As the store fails.
pub async fn born(lake: &Lake, commit: &Commit) -> Result<()> {
    match lake.table(WARNING).await? {
        Some(_) => Ok(()),
        None => {
            lake.add_rows(WARNING, &RecordBatch::new_empty(warning_schema()), commit)
                .await
        }
    }
}

/// Keeps what a product showed.
///
/// # Errors
/// As the store fails.
pub async fn keep(lake: &Lake, backtest: &Backtest, commit: &Commit) -> Result<()> {
    let rows = batch(backtest_schema(), std::slice::from_ref(backtest))?;
    lake.add_rows(BACKTEST, &rows, commit).await
}

/// The last that a product showed as it is now.
///
/// # Errors
/// As the table cannot be read.
pub async fn kept(lake: &Lake, bounds: Bounds, rule: &str, basis: &str) -> Result<Option<Backtest>> {
    let Some(table) = lake.table(BACKTEST).await? else {
        return Ok(None);
    };
    let session = pinned::on(bounds, &[&table]).await?;
    let rule = rule.replace('\'', "''");
    let sql = format!(
        "SELECT * FROM {BACKTEST} WHERE rule = '{rule}' AND basis = '{basis}' ORDER BY last_day DESC, first_day LIMIT 1"
    );
    Ok(lines(&session.query("warn", &sql, 1).await?.batches)?.pop())
}

/// A receipt by its name.
///
/// # Errors
/// As the table cannot be read.
pub async fn receipt(lake: &Lake, bounds: Bounds, name: &str) -> Result<Option<Receipt>> {
    let Some(table) = lake.table(RECEIPT).await? else {
        return Ok(None);
    };
    let session = pinned::on(bounds, &[&table]).await?;
    let name = name.replace('\'', "''");
    let sql = format!("SELECT * FROM {RECEIPT} WHERE receipt = '{name}' LIMIT 1");
    let found = session.query("warn", &sql, 1).await?;
    Ok(lines(&found.batches)?.pop())
}

impl Receipt {
    /// Of a model as it is built on these inputs.
    ///
    /// # Errors
    /// `Bug` where it cannot be written.
    pub fn of(
        product: &Product,
        model: &Model,
        site: &Parameters,
        inputs: &BTreeMap<String, String>,
        run_id: &str,
    ) -> Result<Receipt> {
        let json = |value: serde_json::Result<String>| value.map_err(broken);
        let mut receipt = Receipt {
            receipt: String::new(),
            rule: product.name.clone(),
            model: model.name.clone(),
            path: model.file.path.clone(),
            sql: model.file.text.clone(),
            rule_file: product.source.text.clone(),
            parameters: json(serde_json::to_string(&model.parameters(site)))?,
            inputs: json(serde_json::to_string(inputs))?,
            functions: model.functions().join(" "),
            program: concat!("fenghuo ", env!("CARGO_PKG_VERSION")).to_owned(),
            run_id: String::new(),
        };
        let said = json(serde_json::to_string(&receipt))?;
        receipt.receipt = hex(&blake3::hash(said.as_bytes()).as_bytes()[..16]);
        run_id.clone_into(&mut receipt.run_id);
        Ok(receipt)
    }
}

/// The items by which a row is known again, each with what has to agree as well.
fn items(rule: &Warning, row: &serde_json::Map<String, Value>) -> Vec<String> {
    let within = rule
        .within
        .iter()
        .map(|column| row.get(column).map_or_else(String::new, Value::to_string));
    let within = within.collect::<Vec<_>>().join(" ");
    let list = rule.overlap.as_ref().and_then(|column| row.get(column)?.as_array());
    list.into_iter()
        .flatten()
        .map(|item| format!("{within} {item}"))
        .collect()
}

/// The findings of a model's rows.
///
/// # Errors
/// `Input` where a column that the rule file names is not there, or has no value in a row.
pub fn findings(product: &Product, model: &str, rows: &Rows) -> Result<Vec<Finding>> {
    let Some(rule) = &product.file.warning else {
        return Ok(Vec::new());
    };
    let lines: Vec<serde_json::Map<String, Value>> = lines(&rows.batches)?;
    let finding = |mut row: serde_json::Map<String, Value>| {
        // how a table is laid out is no evidence
        row.remove(MONTH);
        let missing = |column: &str| {
            let error = fail(Kind::Input, "product_column", &[&product.source.path, &column, &model]);
            error.hint("product_column_hint", &[&model])
        };
        let text = |column: &str| match row.get(column) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let must = |column: &str| text(column).ok_or_else(|| missing(column));
        let unit = rule
            .unit
            .iter()
            .map(|column| must(column))
            .collect::<Result<Vec<_>>>()?;
        let score = row.get(&rule.score).and_then(Value::as_f64);
        let grade = row.get(&rule.grade).and_then(|word| Grade::deserialize(word).ok());
        Ok(Finding {
            day: calendar::day(&must("biz_date")?).ok_or_else(|| missing("biz_date"))?,
            county: must("county")?,
            unit: unit.join("-"),
            items: items(rule, &row),
            score: score.ok_or_else(|| missing(&rule.score))?,
            grade: grade.ok_or_else(|| missing(&rule.grade))?,
            place: [text("place_zh"), text("place_en")],
            reason: [text("reason_zh"), text("reason_en")],
            evidence: serde_json::to_string(&row).map_err(broken)?,
        })
    };
    lines.into_iter().map(finding).collect()
}

/// The first and the last day of a table up to `most`, beyond which days are slips of the pen; `None` where it has no
/// rows or no day.
///
/// # Errors
/// As it cannot be read.
pub async fn days_of(session: &Session, name: &str, most: i32) -> Result<Option<(i32, i32)>> {
    #[derive(Deserialize)]
    struct Row {
        first: Option<String>,
        last: Option<String>,
    }
    let columns = session
        .query("warn", &format!("SELECT * FROM {name} LIMIT 0"), 1)
        .await?;
    if columns.schema.field_with_name(DAY).is_err() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT CAST(min({DAY}) AS VARCHAR) AS first, CAST(max({DAY}) AS VARCHAR) AS last FROM {name} \
         WHERE arrow_cast({DAY}, 'Int32') <= {most}"
    );
    let found: Vec<Row> = lines(&session.query("warn", &sql, 1).await?.batches)?;
    let day = |text: Option<String>| calendar::day(&text?);
    Ok(found
        .into_iter()
        .find_map(|row| Some((day(row.first)?, day(row.last)?))))
}

/// The newest day of the tables that have one: warnings are seen from there, not from the clock, since a feed may be
/// late.
///
/// # Errors
/// As the tables cannot be read.
pub async fn newest_day(session: &Session, inputs: &[String], most: i32) -> Result<Option<i32>> {
    let mut newest = None;
    // a calendar runs ahead
    for input in inputs.iter().filter(|input| !input.starts_with("ref.")) {
        newest = newest.max(days_of(session, input, most).await?.map(|(_, last)| last));
    }
    Ok(newest)
}

/// All rows and the late ones, as a SELECT counts them.
///
/// # Errors
/// As it fails.
pub(super) async fn counts(session: &Session, sql: &str) -> Result<(u64, u64)> {
    #[derive(Deserialize)]
    struct Row {
        rows: u64,
        late: u64,
    }
    let found: Vec<Row> = lines(&session.query("warn", sql, 1).await?.batches)?;
    Ok(found.first().map_or((0, 0), |row| (row.rows, row.late)))
}

/// The actions of a table of them, each with the day on which it was done.
///
/// # Errors
/// As the table cannot be read.
pub async fn actions(bounds: Bounds, table: &Table) -> Result<Vec<(i32, Action)>> {
    #[derive(Deserialize)]
    struct Row {
        action_id: String,
        warning_id: String,
        county: String,
        act: Act,
        result: Option<Outcome>,
        note: Option<String>,
        acted_at: String,
        biz_date: String,
    }
    let session = pinned::on(bounds, &[table]).await?;
    let sql = format!(
        "SELECT action_id, warning_id, county, act, result, note, to_char(acted_at, '%Y-%m-%dT%H:%M:%SZ') AS acted_at, biz_date \
         FROM {} ORDER BY acted_at, action_id",
        table.name()
    );
    let found = session.query("warn", &sql, MOST_ROWS).await?;
    let rows: Vec<Row> = lines(&found.batches)?;
    let action = |row: Row| {
        let action = Action {
            action_id: row.action_id,
            warning_id: row.warning_id,
            county: row.county,
            act: row.act,
            result: row.result,
            note: row.note,
            acted_at: row.acted_at,
        };
        calendar::day(&row.biz_date).map(|day| (day, action))
    };
    Ok(rows.into_iter().filter_map(action).collect())
}
