//! Drafts the adapter: the model that leads from the source's table to the domain.

use super::Plan;
use crate::contract::ColumnType;

/// The adapter to a model of the domain; `None` where none is drafted for it.
pub(super) fn adapter(plan: &Plan, to: &str) -> Option<String> {
    let table = format!("source.{}", plan.subject);
    let (head, mut columns) = match to {
        "core.alarm" => (ALARM_HEAD, alarm(plan)),
        "core.camera" => (CAMERA_HEAD, camera(plan)),
        "core.dispatch" => (DISPATCH_HEAD, dispatch(plan)),
        _ => return None,
    };
    // a day without rows of its own cannot be built by itself
    let head = match plan.column("reported_at") {
        Some(_) => head.replace("-- @grain alarm_id\n", "-- @grain alarm_id\n-- @incremental biz_date\n"),
        None => head.to_owned(),
    };
    let last = match to {
        "core.alarm" if plan.column("category").is_some() => "LEFT JOIN ref.category AS c ON c.code = a.category\n",
        "core.camera" => "QUALIFY a.ingested_at = max(a.ingested_at) OVER (PARTITION BY a.county)\n",
        _ => "",
    };
    if let Some(column) = columns.last_mut() {
        column.push('\n');
    }
    let columns = columns.join(",\n  ");
    Some(format!("{head}SELECT\n  {columns}FROM {table} AS a\n{last}"))
}

const ALARM_HEAD: &str = "\
-- 警情：每次呼叫一行（草稿）。 One row per call for service. A draft of `fenghuo contract infer`: check every guess.
-- @grain alarm_id
-- @check not_null(alarm_id, reported_at, biz_date, county)
-- @check unique(alarm_id)
-- @check accepted(origin, 'citizen', 'police', 'sensor', 'other_agency', 'unknown')
";
const CAMERA_HEAD: &str = "\
-- 摄像机台账：每台一行，以最新一份为准（草稿）。 One row per camera of the newest inventory. A draft: check every guess.
-- @grain camera_id
-- @check not_null(camera_id, lon, lat, cell)
-- @check unique(camera_id)
";
const DISPATCH_HEAD: &str = "\
-- 派警：每条处警单一行（草稿）。 One row per dispatch. A draft of `fenghuo contract infer`: check every guess.
-- @grain dispatch_id
-- @check unique(dispatch_id)
";

/// A column of the source, or nothing of its type.
fn term(plan: &Plan, name: &str, kind: &str) -> String {
    if plan.column(name).is_some() {
        format!("a.{name}")
    } else {
        format!("CAST(NULL AS {kind}) AS {name}")
    }
}

fn coordinate(plan: &Plan, name: &str) -> String {
    if plan.has_position() {
        format!("a.{name}")
    } else {
        let kind = if name == "cell" { "BIGINT" } else { "DOUBLE" };
        format!("CAST(NULL AS {kind}) AS {name}")
    }
}

/// The number of the row's document, where the key is one.
fn number(plan: &Plan, name: &str) -> String {
    let number = plan.column(name).filter(|_| plan.key == [name]);
    match number {
        None => format!("-- guess: no column numbers the rows: a row is its content\n  a.row_key AS {name}"),
        Some(column) if column.seen.filled < column.seen.rows => {
            format!("-- guess: rows without a number stay rows of their own\n  coalesce(a.{name}, a.row_key) AS {name}")
        }
        Some(_) => format!("a.{name}"),
    }
}

fn alarm(plan: &Plan) -> Vec<String> {
    let category = plan.column("category").is_some();
    let same = |name: &str| format!("a.{name}");
    let call = match (plan.column("category_call").is_some(), category) {
        (true, true) => "coalesce(a.category_call, a.category) AS category_call".to_owned(),
        (true, false) => same("category_call"),
        (false, true) => "a.category AS category_call".to_owned(),
        (false, false) => "CAST(NULL AS VARCHAR) AS category_call".to_owned(),
    };
    let code = |attribute: &str, without: &str| {
        if category {
            format!("coalesce(c.{attribute}, {without}) AS {attribute}")
        } else {
            format!("{without} AS {attribute}")
        }
    };
    let priority = match plan.column("priority") {
        Some(column) if column.kind != ColumnType::Int => format!(
            "-- decide: the source writes {} priorities as text; map them to 1 (most urgent) to 4\n  \
             CAST(NULL AS BIGINT) AS priority",
            column.seen.distinct
        ),
        _ => term(plan, "priority", "BIGINT"),
    };
    vec![
        number(plan, "alarm_id"),
        term(plan, "main_alarm_id", "BIGINT"),
        term(plan, "reported_at", "TIMESTAMP"),
        same("known_at"),
        same("biz_date"),
        same("hour_local"),
        same("biz_month"),
        term(plan, "report_mode", "VARCHAR"),
        same("origin"),
        call,
        term(plan, "category", "VARCHAR"),
        code("category_group", "'other'"),
        priority,
        code("is_effective", "true"),
        code("is_mappable", "false"),
        code("is_discretionary", "true"),
        same("county"),
        term(plan, "area", "VARCHAR"),
        coordinate(plan, "lon"),
        coordinate(plan, "lat"),
        coordinate(plan, "cell"),
        term(plan, "place_kind", "VARCHAR"),
        same("source_batch"),
        same("source_line"),
    ]
}

fn camera(plan: &Plan) -> Vec<String> {
    let or = |name: &str, without: &str| {
        if plan.column(name).is_some() {
            format!("a.{name}")
        } else {
            format!("-- guess: the source does not say it\n  {without} AS {name}")
        }
    };
    vec![
        or("camera_id", "CAST(a.row_key AS VARCHAR)"),
        "a.county".to_owned(),
        term(plan, "area", "VARCHAR"),
        term(plan, "name", "VARCHAR"),
        or("kind", "'unknown'"),
        or("is_networked", "true"),
        coordinate(plan, "lon"),
        coordinate(plan, "lat"),
        coordinate(plan, "cell"),
        or("bearing", "CAST(0 AS DOUBLE)"),
        or("fov", "CAST(360 AS DOUBLE)"),
        or("range_metres", "CAST(100 AS DOUBLE)"),
    ]
}

fn dispatch(plan: &Plan) -> Vec<String> {
    let station = match (plan.column("station"), plan.column("area")) {
        (Some(_), _) => "a.station".to_owned(),
        (None, Some(_)) => "-- guess: the area stands for the station\n  a.area AS station".to_owned(),
        (None, None) => "CAST(NULL AS VARCHAR) AS station".to_owned(),
    };
    let alarm = match plan.column("alarm_id") {
        Some(_) => "a.alarm_id".to_owned(),
        None => "-- guess: one row is a call and its dispatch\n  a.row_key AS alarm_id".to_owned(),
    };
    let time = |name: &str| term(plan, name, "TIMESTAMP");
    vec![
        number(plan, "dispatch_id"),
        alarm,
        term(plan, "unit_kind", "VARCHAR"),
        station,
        time("dispatched_at"),
        time("acknowledged_at"),
        time("enroute_at"),
        time("arrived_at"),
        "a.known_at".to_owned(),
        "a.biz_date".to_owned(),
        "a.source_batch".to_owned(),
        "a.source_line".to_owned(),
    ]
}
