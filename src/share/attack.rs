//! The attack on what was published: every county but one pools what it knows, and nothing may be found.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::engine::{Bounds, Session};
use crate::error::Result;
use crate::lake::Lake;
use crate::share::gate::{self, Decided, Epoch};
use crate::share::memory;
use crate::share::nested::Nested;
use crate::share::rows::{Columns, HIDDEN};
use crate::share::{Class, Share};
use crate::time::calendar;

/// What an attack on a share found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attacked {
    /// The share.
    pub share: String,
    /// Blocks that were attacked.
    pub blocks: u64,
    /// Hidden counts, totals included.
    pub hidden: u64,
    /// Hidden counts that can be told to fewer than k values.
    pub exposed: u64,
    /// How many could be, were only the small ones hidden: without any, the attack is blind.
    pub exposed_if_small_alone: u64,
    /// Rows of the table that show a count below k.
    pub small: u64,
    /// Rows of the table that are not as they were decided.
    pub unlike: u64,
    /// Calls in the counts that are shown, of a hundred.
    pub shown_percent: f64,
    /// The block and count that were found first.
    pub first: String,
}

impl Attacked {
    /// Whether nothing was found.
    pub fn is_safe(&self) -> bool {
        self.exposed == 0 && self.small == 0 && self.unlike == 0
    }
}

/// Attacks a share of counts; `session` shows its table. `None` for one that shows each county its own.
///
/// # Errors
/// As the lake cannot be read.
pub async fn attack(lake: &Lake, bounds: Bounds, session: &Session, share: &Share) -> Result<Option<Attacked>> {
    let columns = Columns::of(share).filter(|_| share.file.class == Class::Compared);
    let Some(columns) = columns else { return Ok(None) };
    let (totals, k) = (columns.totals(), share.file.k);
    let memory = memory::recall(lake, bounds, &share.name).await?;
    columns.as_before(&memory)?;
    let outer = Nested::outer(lake, bounds, share).await?;
    let mut found = Attacked {
        share: share.name.clone(),
        ..Attacked::default()
    };
    let (mut all, mut shown) = (0, 0);
    for ((county, period), epochs) in &memory.blocks {
        found.blocks += 1;
        let Some(last) = epochs.last() else { continue };
        found.hidden += last.values().filter(|decided| decided.hidden).count() as u64;
        let around = outer.as_ref().map(|outer| outer.around(&(county.clone(), *period)));
        let exposed = gate::exposed(epochs, &totals, around.as_ref(), k);
        if found.first.is_empty() && !exposed.is_empty() {
            let day = calendar::date(*period).map(|day| day.to_string()).unwrap_or_default();
            found.first = format!("{county} {day}");
        }
        found.exposed += exposed.len() as u64;
        found.exposed_if_small_alone +=
            gate::exposed(&[small_alone(last, k)], &totals, around.as_ref(), k).len() as u64;
        for (_, decided) in last.iter().filter(|(key, _)| key.iter().all(Option::is_some)) {
            all += decided.value;
            shown += if decided.hidden { 0 } else { decided.value };
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a share of calls")]
    let percent = if all == 0 {
        100.0
    } else {
        shown as f64 * 100.0 / all as f64
    };
    found.shown_percent = percent;
    found.small = small_rows(session, share, k).await?;
    let (table, mut rows) = (share.table(), Vec::new());
    let sql = format!("SELECT * FROM {table}");
    let mut published = session.stream(&table, &sql, session.plan(&table, &sql).await?).await?;
    while let Some(batch) = published.next().await? {
        rows.push(columns.unlike(&batch, &memory)?);
    }
    found.unlike = rows.iter().sum();
    Ok(Some(found))
}

/// A block as it would be published if nothing but small counts were hidden.
fn small_alone(epoch: &Epoch, k: u64) -> Epoch {
    let alone = |decided: &Decided| Decided {
        hidden: decided.value > 0 && decided.value < k,
        ..*decided
    };
    epoch
        .iter()
        .map(|(key, decided)| (key.clone(), alone(decided)))
        .collect()
}

/// Rows of the published table that show what they may not.
async fn small_rows(session: &Session, share: &Share, k: u64) -> Result<u64> {
    let (table, count) = (share.table(), share.file.count.clone().unwrap_or_default());
    let sql = format!(
        "SELECT count(*) AS n FROM {table} WHERE {count} < {k} OR ({HIDDEN} AND {count} IS NOT NULL) OR (NOT {HIDDEN} AND {count} IS NULL)"
    );
    let found = session.query(&table, &sql, 1).await?;
    let rows = found
        .batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
    Ok(rows.map(|rows| u64::try_from(*rows).unwrap_or(0)).sum())
}
