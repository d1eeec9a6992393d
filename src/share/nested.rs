//! Shares that count the same calls twice, by day and by place: what one of them says is no way into the other.

use crate::engine::Bounds;
use crate::error::Result;
use crate::lake::Lake;
use crate::share::Share;
use crate::share::gate::{self, Around};
use crate::share::memory::{self, Block, Memory};
use crate::share::rows::Columns;

/// A share of spans of days within a share of days, with what was published of one of them.
#[derive(Debug)]
pub(super) struct Nested {
    /// What was published of the other share.
    memory: Memory,
    /// Days of a span.
    days: i32,
    totals_of_days: Vec<Vec<usize>>,
    totals_of_spans: Vec<Vec<usize>>,
    /// For each column of a day its place among the columns of a span.
    columns: Vec<usize>,
    k: u64,
}

impl Nested {
    /// `spans` within `days`, with what was published of `other`, which is one of them; `None` where they do not count
    /// the same calls.
    async fn of(lake: &Lake, bounds: Bounds, days: &Share, spans: &Share, other: &Share) -> Result<Option<Nested>> {
        let (Some(within), Some(outer), Some(inner)) = (&spans.file.within, Columns::of(days), Columns::of(spans))
        else {
            return Ok(None);
        };
        let dims = days.file.dims.iter();
        Ok(Some(Nested {
            memory: memory::recall(lake, bounds, &other.name).await?,
            days: i32::from(within.days),
            totals_of_days: outer.totals(),
            totals_of_spans: inner.totals(),
            columns: dims
                .filter_map(|dim| spans.file.dims.iter().position(|own| own == dim))
                .collect(),
            k: spans.file.k,
        }))
    }

    /// The days that a share of spans lies within.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub(super) async fn outer(lake: &Lake, bounds: Bounds, spans: &Share) -> Result<Option<Nested>> {
        match &spans.outer {
            Some(days) => Nested::of(lake, bounds, days, spans, days).await,
            None => Ok(None),
        }
    }

    /// The spans that lie within a share of days.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub(super) async fn inner(lake: &Lake, bounds: Bounds, days: &Share) -> Result<Vec<Nested>> {
        let mut found = Vec::new();
        for spans in &days.inner {
            found.extend(Nested::of(lake, bounds, days, spans, spans).await?);
        }
        Ok(found)
    }

    /// The days around a block of the share of spans.
    pub(super) fn around(&self, block: &Block) -> Around<'_> {
        self.around_in(&self.memory, block)
    }

    fn around_in<'a>(&'a self, days: &'a Memory, (county, first): &Block) -> Around<'a> {
        let day = |at: i32| (county.clone(), first.saturating_add(at));
        let blocks = days.blocks.range(day(0)..day(self.days));
        Around {
            days: blocks.map(|((_, day), epochs)| (*day, epochs.as_slice())).collect(),
            totals: &self.totals_of_days,
            columns: &self.columns,
        }
    }

    /// Whether a span that was published gives something away beside a day as it stands in `days`.
    pub(super) fn gives_away(&self, days: &Memory, (county, day): &Block) -> bool {
        let first = day.saturating_sub(self.days - 1);
        let spans = self
            .memory
            .blocks
            .range((county.clone(), first)..=(county.clone(), *day));
        spans.into_iter().any(|(block, epochs)| {
            let around = self.around_in(days, block);
            !gate::exposed(epochs, &self.totals_of_spans, Some(&around), self.k).is_empty()
        })
    }
}
