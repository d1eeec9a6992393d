//! The calls of a release by the number of their record, for whoever asks about one after the other.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde::Deserialize;

use crate::engine::Session;
use crate::error::{Kind, Result, fail};
use crate::warn::hint::ALARM;
use crate::warn::table::read;

/// Where a call came from and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Call {
    /// Its cell; none of a call that may not be mapped.
    pub cell: Option<i64>,
    /// Its category.
    pub category: String,
}

/// The newest calls, 24 bytes each.
#[derive(Debug, Default)]
pub struct Calls {
    /// Key of the record, cell (0 for none), place of the category in `words`; by rising keys.
    rows: Vec<(i64, i64, u16)>,
    words: Vec<String>,
    /// Whether older ones are in the table alone.
    partial: bool,
}

impl Calls {
    /// The calls of the newest whole days, as many of them as hold at most `most` calls.
    ///
    /// # Errors
    /// As the table cannot be read; `Limit` where it has more categories than a list has.
    pub async fn load(session: &Session, most: usize) -> Result<Calls> {
        #[derive(Deserialize)]
        struct Day {
            day: String,
            calls: usize,
        }
        let sql =
            format!("SELECT biz_date AS day, count(*) AS calls FROM {ALARM} GROUP BY biz_date ORDER BY biz_date DESC");
        let days: Vec<Day> = read(session, ALARM, &sql).await?;
        let mut room = most;
        let fits = |day: &&Day| {
            let left = room.checked_sub(day.calls);
            room = left.unwrap_or(0);
            left.is_some()
        };
        let whole: Vec<&Day> = days.iter().take_while(fits).collect();
        let mut calls = Calls {
            partial: whole.len() < days.len(),
            ..Calls::default()
        };
        let Some(first) = whole.last() else { return Ok(calls) };
        let sql = format!(
            "SELECT alarm_id, coalesce(cell, 0) AS cell, arrow_cast(category, 'Utf8') AS category FROM {ALARM} \
             WHERE biz_date >= DATE '{}'",
            first.day
        );
        let plan = session.plan(ALARM, &sql).await?;
        let mut found = session.stream(ALARM, &sql, plan).await?;
        while let Some(batch) = found.next().await? {
            let keys = batch.column(0).as_primitive::<Int64Type>().values();
            let cells = batch.column(1).as_primitive::<Int64Type>().values();
            let categories = batch.column(2).as_string::<i32>();
            for ((key, cell), category) in keys.iter().zip(cells).zip(categories) {
                let word = calls.word(category.unwrap_or_default())?;
                calls.rows.push((*key, *cell, word));
            }
        }
        calls.rows.sort_unstable();
        Ok(calls)
    }

    fn word(&mut self, category: &str) -> Result<u16> {
        let known = self.words.iter().position(|word| word == category);
        let place = known.unwrap_or_else(|| {
            self.words.push(category.to_owned());
            self.words.len() - 1
        });
        u16::try_from(place).map_err(|cause| fail(Kind::Limit, "query_rows", &[&u16::MAX]).because(cause))
    }

    /// The call with a key: of those at hand, else of the table.
    ///
    /// # Errors
    /// As the table cannot be read.
    pub async fn find(&self, session: &Session, key: i64) -> Result<Option<Call>> {
        let place = self.rows.binary_search_by_key(&key, |row| row.0);
        match place.map(|place| self.rows[place]) {
            Ok((_, cell, word)) => Ok(Some(Call {
                cell: (cell != 0).then_some(cell),
                category: self.words[usize::from(word)].clone(),
            })),
            Err(_) if self.partial => look_up(session, key).await,
            Err(_) => Ok(None),
        }
    }
}

/// The call with a key, out of the table.
///
/// # Errors
/// As the table cannot be read.
pub async fn look_up(session: &Session, key: i64) -> Result<Option<Call>> {
    let sql = format!("SELECT cell, category FROM {ALARM} WHERE alarm_id = {key}");
    Ok(read(session, ALARM, &sql).await?.into_iter().next())
}
