//! The statistics days of a table: which commits touched which, and the exchange of some days' rows.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Date32Type;
use deltalake::kernel::{Action, CommitInfo};
use serde_json::Value;

use crate::error::{Kind, Result, fail};
use crate::lake::table::Means;
use crate::lake::{Commit, RowDigest, Stage, Table, table_error};
use crate::time::calendar;

/// The column that holds the statistics day of a row.
pub const DAY: &str = "biz_date";

/// Stands among the days that a commit touched for rows that have none.
pub const UNDATED: i32 = i32::MIN;

/// What commits changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// Rows of these days and no others.
    Days(BTreeSet<i32>),
    /// Anything.
    All,
}

/// Stands in texts for [`UNDATED`].
const NONE: &str = "none";

/// Days in a row, both included, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: i32,
    /// The last.
    pub last: i32,
}

/// Runs of days, which come in order.
pub fn spans<'d>(days: impl IntoIterator<Item = &'d i32>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for day in days {
        match spans.last_mut() {
            Some(span) if span.last + 1 == *day => span.last = *day,
            _ => spans.push(Span {
                first: *day,
                last: *day,
            }),
        }
    }
    spans
}

/// Days as text, runs of them as first and last: `2025-03-01/2025-03-04,2025-03-09`; `none` for rows
/// without a day.
pub fn to_text<'d>(days: impl IntoIterator<Item = &'d i32>) -> String {
    let text = |day: i32| calendar::date(day).map_or_else(|| NONE.to_owned(), |date| date.to_string());
    let ranges = spans(days).into_iter().map(|Span { first, last }| match first == last {
        true => text(first),
        false => format!("{}/{}", text(first), text(last)),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// The days of such a text; `None` where it is none.
fn from_text(text: &str) -> Option<BTreeSet<i32>> {
    let mut days = BTreeSet::new();
    for run in text.split(',').filter(|run| !run.is_empty()) {
        if run == NONE {
            days.insert(UNDATED);
            continue;
        }
        let (first, last) = run.split_once('/').unwrap_or((run, run));
        days.extend(calendar::day(first)?..=calendar::day(last)?);
    }
    Some(days)
}

/// What one commit changed, as it says itself.
fn touched(info: &CommitInfo) -> Touched {
    let operation = info.operation.as_deref().unwrap_or_default();
    if matches!(operation, "OPTIMIZE" | "VACUUM START" | "VACUUM END") {
        return Touched::Days(BTreeSet::new());
    }
    let mode = info.operation_parameters.as_ref().and_then(|all| all.get("mode"));
    let overwrites = mode
        .and_then(Value::as_str)
        .is_some_and(|mode| mode.contains("Overwrite"));
    let rows = info.info.get("fenghuoRows").and_then(Value::as_u64);
    let days = info.info.get("fenghuoDays").and_then(Value::as_str).and_then(from_text);
    match days {
        Some(days) if !days.is_empty() => Touched::Days(days),
        // nothing came and nothing went
        Some(days) if rows == Some(0) && !overwrites => Touched::Days(days),
        _ => Touched::All,
    }
}

impl Table {
    /// What the commits after `version` changed.
    ///
    /// # Errors
    /// `Unavailable` where the log cannot be read.
    pub async fn touched_since(&self, version: u64) -> Result<Touched> {
        let Some(commits) = self.version().checked_sub(version) else {
            return Ok(Touched::All);
        };
        let commits = usize::try_from(commits).unwrap_or(usize::MAX);
        let infos = self.commits(Some(commits)).await?;
        if infos.len() < commits {
            return Ok(Touched::All);
        }
        let mut all = BTreeSet::new();
        for info in infos.iter().take(commits) {
            match touched(info) {
                Touched::Days(days) => all.extend(days),
                Touched::All => return Ok(Touched::All),
            }
        }
        Ok(Touched::Days(all))
    }

    /// Whether its rows have a statistics day.
    ///
    /// # Errors
    /// As [`Table::schema`].
    pub fn has_days(&self) -> Result<bool> {
        Ok(self.schema()?.field_with_name(DAY).is_ok())
    }

    /// First and last day of its rows, as its files say.
    ///
    /// # Errors
    /// `Unavailable` where the log was not read.
    pub fn bounds(&self) -> Result<Option<(i32, i32)>> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let files = state.log_data();
        let bounds = files.iter().filter_map(|file| bounds(file.stats()));
        Ok(bounds.reduce(|all, file| (all.0.min(file.0), all.1.max(file.1))))
    }

    /// Bytes of its files.
    ///
    /// # Errors
    /// `Unavailable` where the log was not read.
    pub fn bytes(&self) -> Result<u64> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let files = state.log_data();
        Ok(files.iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum())
    }

    /// Puts the rows of a stage in place of all rows of `days`, in one commit. `digest` is that of the
    /// rows before with the staged ones added; the rows that go are taken out of it.
    ///
    /// # Errors
    /// `Conflict` where another writer was first, `Unavailable` where the store fails, `Bug` where the rows
    /// of the table are not those of the digest.
    pub async fn exchange_days(
        &mut self,
        days: &BTreeSet<i32>,
        mut stage: Stage,
        mut digest: RowDigest,
        commit: &Commit,
    ) -> Result<String> {
        let failed = |cause| table_error(&self.name, cause);
        let state = self.inner.snapshot().map_err(failed)?;
        let mut removes = Vec::new();
        for file in state.log_data().iter() {
            if bounds(file.stats()).is_some_and(|(first, last)| days.range(first..=last).next().is_none()) {
                continue;
            }
            for batch in self
                .read(&file.object_store_path(), file.partition_values_map())
                .await?
            {
                let batch = batch?;
                let (go, stay) = parted(&batch, days)?;
                digest.forget(&go)?;
                stage.write(&stay).await?;
            }
            removes.push(Action::Remove(file.remove_action(true)));
        }
        let staged = stage.finish().await?;
        let actions = removes.into_iter().chain(staged.adds.into_iter().map(Action::Add));
        let expected = digest.rows();
        let digest = digest.finish();
        let commit = Commit {
            days: days.iter().copied().collect(),
            digest: Some(digest.clone()),
            total: Some(expected),
            ..commit.clone()
        };
        self.commit(actions.collect(), Means::Overwrite, staged.rows, &commit)
            .await?;
        self.holds_rows(expected)?;
        Ok(digest)
    }
}

/// First and last day of a file, as its statistics say.
fn bounds(stats: Option<String>) -> Option<(i32, i32)> {
    let stats: Value = serde_json::from_str(&stats?).ok()?;
    let day = |bound: &str| calendar::day(stats.get(bound)?.get(DAY)?.as_str()?);
    Some((day("minValues")?, day("maxValues")?))
}

/// The rows of these days, and the others.
fn parted(batch: &RecordBatch, days: &BTreeSet<i32>) -> Result<(RecordBatch, RecordBatch)> {
    let broken = || fail(Kind::Bug, "batch_shape", &[]);
    let column = batch
        .column_by_name(DAY)
        .and_then(|column| column.as_primitive_opt::<Date32Type>());
    let column = column.ok_or_else(broken)?;
    let is_of = |row: usize| column.is_valid(row) && days.contains(&column.value(row));
    let go = BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(is_of(row))));
    let stay = arrow::compute::not(&go).map_err(|cause| broken().because(cause))?;
    let part = |which: &BooleanArray| filter_record_batch(batch, which).map_err(|cause| broken().because(cause));
    Ok((part(&go)?, part(&stay)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_in_a_row_are_one_span() {
        let span = |first, last| Span { first, last };
        assert_eq!(
            spans(&BTreeSet::from([1, 2, 3, 7, 9, 10])),
            [span(1, 3), span(7, 7), span(9, 10)]
        );
        assert!(spans(&BTreeSet::new()).is_empty());
    }

    #[test]
    fn days_become_text_and_come_back() {
        for days in [
            vec![],
            vec![UNDATED, 20_000],
            vec![20_000, 20_001, 20_002, 20_005],
            vec![-3, 0, 1],
        ] {
            let text = to_text(&days);
            assert_eq!(from_text(&text), Some(days.iter().copied().collect()), "{text}");
        }
        assert_eq!(from_text("2025-13-01"), None);
    }
}
