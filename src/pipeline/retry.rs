//! What a run left undone, and doing exactly that.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;

use crate::config::Site;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, Release};
use crate::model::{Models, pinned};
use crate::pipeline::record::{Act, Head, StepRecord, told};
use crate::pipeline::run::{Only, Request};

/// A run of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// `ok`, `partial`, `failed`, `interrupted`, `skipped`.
    pub status: String,
    /// What it took for now, UTC microseconds.
    pub clock_at: i64,
    /// The names of its steps that are not done, by kind.
    pub undone: Vec<(String, String)>,
}

const DONE: [&str; 3] = ["ok", "kept", "off"];

/// The newest runs of pipelines, newest first; those that were cut off and not yet recorded come from their
/// journals. Files read alone are none.
///
/// # Errors
/// As the lake cannot be read.
async fn newest(site: &Site, lake: &Lake, run_id: Option<&str>) -> Result<Option<Past>> {
    let cut_off = lake.journals()?.into_iter().rev().filter_map(|(_, lines)| told(&lines));
    let wanted = |head: &Head| head.act != Act::Ingest && run_id.is_none_or(|wanted| head.run_id == wanted);
    if let Some((head, steps)) = cut_off.into_iter().find(|(head, _)| wanted(head)) {
        return Ok(Some(past(head, &steps)));
    }
    let (Some(runs), Some(steps)) = (lake.table("ops.run").await?, lake.table("ops.step").await?) else {
        return Ok(None);
    };
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&runs, &steps]).await?;
    let named = run_id.map_or_else(String::new, |id| format!("AND run_id = '{}'", id.replace('\'', "''")));
    let sql = format!(
        "WITH newest AS (SELECT run_id, pipeline, status, clock_at, started_at FROM ops.run \
         WHERE act <> 'ingest' AND status <> 'skipped' {named} ORDER BY started_at DESC, run_id DESC LIMIT 1) \
         SELECT arrow_cast(n.run_id, 'Utf8'), arrow_cast(n.pipeline, 'Utf8'), arrow_cast(n.status, 'Utf8'), n.clock_at, \
         arrow_cast(s.kind, 'Utf8'), arrow_cast(s.name, 'Utf8'), arrow_cast(s.status, 'Utf8') AS step_status \
         FROM newest AS n LEFT JOIN ops.step AS s ON s.run_id = n.run_id ORDER BY s.started_at"
    );
    let rows = session.query("retry", &sql, site.settings.limits.query_rows).await?;
    let mut found: Option<Past> = None;
    for batch in &rows.batches {
        let text = |column: usize, row: usize| {
            let texts = batch.column(column).as_string::<i32>();
            if texts.is_valid(row) {
                texts.value(row).to_owned()
            } else {
                String::new()
            }
        };
        let clocks = batch.column(3).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let past = found.get_or_insert_with(|| Past {
                run_id: text(0, row),
                pipeline: text(1, row),
                status: text(2, row),
                clock_at: clocks.value(row),
                undone: Vec::new(),
            });
            past.add(text(4, row), text(5, row), &text(6, row));
        }
    }
    Ok(found)
}

fn past(head: Head, steps: &[StepRecord]) -> Past {
    let mut past = Past {
        run_id: head.run_id,
        pipeline: head.pipeline,
        status: "interrupted".to_owned(),
        clock_at: head.clock_at,
        undone: Vec::new(),
    };
    for step in steps {
        past.add(step.kind.clone(), step.name.clone(), &step.status);
    }
    past
}

impl Past {
    /// Takes a step; the last word on a name holds.
    fn add(&mut self, kind: String, name: String, status: &str) {
        let step = (kind, name);
        self.undone.retain(|known| *known != step);
        if !DONE.contains(&status) && !step.0.is_empty() {
            self.undone.push(step);
        }
    }

    /// The names of a kind that are not done.
    fn undone(&self, kind: &str) -> BTreeSet<String> {
        let names = self.undone.iter().filter(|(known, _)| known == kind);
        names.map(|(_, name)| name.clone()).collect()
    }
}

/// The run that repeats exactly what the newest one (or the named one) left undone, with its clock; `None`
/// where it left nothing.
///
/// # Errors
/// `Missing` where there is no such run; as its pipeline or the models cannot be read.
pub async fn request(site: &Site, lake: &Lake, run_id: Option<&str>) -> Result<Option<Request>> {
    let Some(past) = newest(site, lake, run_id).await? else {
        return Err(match run_id {
            Some(run_id) => fail(Kind::Missing, "no_run", &[&run_id]),
            None => fail(Kind::Missing, "no_run_yet", &[]),
        });
    };
    let only = match past.status.as_str() {
        // what it would have come to, it did not say: whatever is not done is due
        "interrupted" | "failed" => None,
        _ => {
            let files = past.undone("ingest");
            let held = held(&past, lake.latest_release().await?.as_ref(), &Models::load(site)?);
            // checks over several tables and shares that are due run with every run
            let checked =
                past.undone("check").is_empty() && past.undone("share").is_empty() && past.undone("warn").is_empty();
            if files.is_empty() && held.is_empty() && checked {
                return Ok(None);
            }
            // rows that come now reopen what reads them
            let models = files.is_empty().then_some(held);
            Some(Only { files, models })
        }
    };
    Ok(Some(Request {
        act: Act::Retry,
        part_of: Some(past.run_id),
        clock_at: Some(past.clock_at),
        only,
        ..Request::all(&past.pipeline)
    }))
}

/// Models that the run held or could not build.
fn held(past: &Past, last: Option<&Release>, models: &Models) -> BTreeSet<String> {
    let mut held = past.undone("build");
    held.extend(last.into_iter().flat_map(|last| last.held.keys().cloned()));
    held.retain(|name| models.get(name).is_some());
    held
}
