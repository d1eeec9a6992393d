//! A run as OpenLineage events (spec 2-0-2), for catalogues that read them: the run, and each model it built.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use serde_json::{Value, json};

use crate::config::Site;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::lake::Lake;
use crate::model::{Models, pinned};
use crate::time::rfc3339;

const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// The events of a recorded run, oldest first.
///
/// # Errors
/// `Missing` for a run that is not on record; as the lake or a model cannot be read.
pub async fn events(site: &Site, lake: &Lake, run_id: &str) -> Result<Vec<Value>> {
    let missing = || fail(Kind::Missing, "no_run", &[&run_id]);
    let (runs, steps) = (lake.table("ops.run").await?, lake.table("ops.step").await?);
    let (runs, steps) = runs.zip(steps).ok_or_else(missing)?;
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&runs, &steps]).await?;
    let named = run_id.replace('\'', "''");
    let sql = format!(
        "SELECT arrow_cast(pipeline, 'Utf8'), arrow_cast(status, 'Utf8'), started_at, ended_at, 0 AS rows, 0 AS part \
         FROM ops.run WHERE run_id = '{named}' UNION ALL \
         SELECT arrow_cast(name, 'Utf8'), arrow_cast(status, 'Utf8'), started_at, ended_at, rows, 1 FROM ops.step \
         WHERE run_id = '{named}' AND kind = 'build' AND status IN ('ok', 'failed') ORDER BY part, started_at"
    );
    let found = session
        .query("openlineage", &sql, site.settings.limits.query_rows)
        .await?;
    let models = Models::load(site)?;
    let reads: BTreeMap<&str, &[String]> = models
        .ordered
        .iter()
        .map(|model| (model.name.as_str(), model.inputs.as_slice()))
        .collect();
    let mut namespace = format!("fenghuo://{}", site.settings.site.name);
    if let Some(environment) = lake.environment() {
        namespace = format!("{namespace}/{environment}");
    }
    let dataset = |name: &str| json!({ "namespace": namespace, "name": name });
    let event = |kind: &str, at: i64, id: &str, job: &str, rest: Value| {
        let mut event = json!({
            "eventType": kind,
            "eventTime": rfc3339(at),
            "producer": concat!("https://fenghuo.invalid/fenghuo/", env!("CARGO_PKG_VERSION")),
            "schemaURL": SCHEMA,
            "run": { "runId": uuid(id) },
            "job": { "namespace": namespace, "name": job },
            "inputs": [],
            "outputs": [],
        });
        if let (Some(event), Value::Object(rest)) = (event.as_object_mut(), rest) {
            event.extend(rest);
        }
        event
    };
    let (mut all, mut last) = (Vec::new(), None);
    let mut pipeline = String::new();
    for batch in &found.batches {
        let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
        let at = |column: usize, row: usize| {
            batch
                .column(column)
                .as_primitive::<TimestampMicrosecondType>()
                .value(row)
        };
        for row in 0..batch.num_rows() {
            let (name, status) = (text(0, row), text(1, row));
            let end = if matches!(status.as_str(), "ok" | "partial") {
                "COMPLETE"
            } else {
                "FAIL"
            };
            if last.is_none() {
                all.push(event("START", at(2, row), run_id, &name, json!({})));
                last = Some(event(end, at(3, row), run_id, &name, json!({})));
                pipeline = name;
                continue;
            }
            let rows = batch.column(4).as_primitive::<Int64Type>().value(row);
            let inputs: Vec<Value> = reads
                .get(name.as_str())
                .into_iter()
                .copied()
                .flatten()
                .map(|input| dataset(input))
                .collect();
            let mut output = dataset(&name);
            output["outputFacets"] = json!({ "outputStatistics": {
                "_producer": "https://fenghuo.invalid/fenghuo",
                "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json",
                "rowCount": rows,
            } });
            let parent = json!({ "run": { "runId": uuid(&format!("{run_id} {name}")), "facets": { "parent": {
                "_producer": "https://fenghuo.invalid/fenghuo",
                "_schemaURL": "https://openlineage.io/spec/facets/1-0-1/ParentRunFacet.json",
                "run": { "runId": uuid(run_id) },
                "job": { "namespace": namespace, "name": pipeline },
            } } }, "inputs": inputs, "outputs": [output] });
            let job = format!("{pipeline}.{name}");
            let id = format!("{run_id} {name}");
            all.push(event("START", at(2, row), &id, &job, parent.clone()));
            all.push(event(end, at(3, row), &id, &job, parent));
        }
    }
    all.push(last.ok_or_else(missing)?);
    Ok(all)
}

/// A name as the standard wants it, a UUID of version 8: the same for the same text.
fn uuid(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
