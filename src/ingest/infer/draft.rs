//! Writes the contract of the draft in the house's style.
//!
//! A value of a column that is dropped or keyed is shown as its shape only, and every other value too,
//! unless it comes again and again in a list.

use std::collections::{BTreeMap, BTreeSet};

use super::guess::{Matter, percent};
use super::sniff::{Delimited, Layout};
use super::{Column, Plan};
use crate::contract::{ColumnType, Protect};
use crate::protect::scan;

/// Values that occur at least so often are no one's own.
const COMMON: usize = 3;
/// Files that the draft names.
const FILES_NAMED: usize = 3;
/// Code lists of calls and the columns they must have.
const CODES: [(&str, &str); 3] = [
    (
        "category",
        "code, category_group, name_zh, name_en, is_effective, is_mappable, is_discretionary",
    ),
    ("report_mode", "code, origin"),
    ("self_initiated", "code, origin"),
];

/// The code lists that the contract asks for. Nothing is mapped, and nobody is said to have started a
/// call, until a person says so.
pub(super) fn codes(plan: &Plan, values: &BTreeMap<String, BTreeSet<String>>) -> Vec<(String, String)> {
    let mut lists = Vec::new();
    for (list, _) in CODES {
        let column = plan
            .columns
            .iter()
            .find(|column| column.is_kept() && column.codes == Some(list));
        let Some(values) = column.and_then(|column| values.get(&column.from)) else {
            continue;
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head: &[&str] = match list {
            "category" => &[
                "code",
                "category_group",
                "name_zh",
                "name_en",
                "is_effective",
                "is_mappable",
                "is_discretionary",
            ],
            _ => &["code", "origin"],
        };
        let mut written = writer.write_record(head);
        for value in values {
            let row: &[&str] = match list {
                "category" => &[value, "other", value, value, "true", "false", "true"],
                _ => &[value, "unknown"],
            };
            written = written.and_then(|()| writer.write_record(row));
        }
        let text = written.ok().and_then(|()| writer.into_inner().ok());
        if let Some(text) = text.and_then(|text| String::from_utf8(text).ok()) {
            lists.push((list.to_owned(), text));
        }
    }
    lists
}

/// The contract of a plan.
pub(super) fn contract(plan: &Plan) -> String {
    let mut files = plan
        .files
        .iter()
        .take(FILES_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if plan.files.len() > FILES_NAMED {
        files.push_str(&format!(" and {} more", plan.files.len() - FILES_NAMED));
    }
    let mut lines = vec![format!(
        "# Drafted by `fenghuo contract infer` from {} rows of {}. Nobody has checked it.",
        plan.rows,
        plain(&files)
    )];
    lines.push("# Every guess says what was seen. To decide, and then to strike out:".to_owned());
    for (at, decision) in decisions(plan).iter().enumerate() {
        lines.push(format!("# {}. {}", at + 1, plain(decision)));
    }
    lines.extend(settings(plan));
    lines.push(String::new());
    lines.push("[columns]".to_owned());
    let width = plan.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let kept = plan.columns.iter().filter(|column| column.is_kept());
    let dropped = plan.columns.iter().filter(|column| !column.is_kept());
    for column in kept.chain(dropped) {
        let name = &column.name;
        lines.push(format!(
            "{name:width$} = {}  # guess: {}",
            entry(column),
            plain(&remark(column))
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML list of strings.
fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A text on one line of a comment.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a person must decide before the contract is used.
fn decisions(plan: &Plan) -> Vec<String> {
    let mut open = vec!["titles, folder of `from`, `system`".to_owned()];
    if matches!(plan.layout, Layout::JsonArray) {
        open.push("the file is one JSON list; have it delivered as one object a line".to_owned());
    }
    if plan.column("county").is_none() && !of_an_alarm(plan) {
        open.push("county: the code of the county of every row, or \"none\"".to_owned());
    }
    if let Some(crs) = &plan.crs {
        match crs.declared {
            None => open.push(format!("crs: {}", crs.why)),
            Some(name) => open.push(format!("crs: whether the source says {name} as well")),
        }
    }
    for column in plan.columns.iter().filter(|column| column.is_kept()) {
        let from = &column.from;
        if let Some(times) = column.shape.times.as_ref().filter(|times| !times.choices.is_empty()) {
            let choices = times.choices.join("\" or \"");
            open.push(format!(
                "`{from}`: the order of day and month: \"{choices}\" read every value, differently"
            ));
        }
        if let Some(question) = &column.shape.open {
            open.push(format!("`{from}`: {question}"));
        }
    }
    if plan.columns.iter().any(|column| column.is_kept() && is_local(column)) {
        open.push("timezone: local times are taken in the site's zone; declare another here".to_owned());
    }
    if let Some(event) = event(plan) {
        open.push(format!(
            "known: how long after `{}` the source delivers; a day is assumed",
            event.name
        ));
    }
    for (codes, columns) in CODES {
        if let Some(column) = plan
            .columns
            .iter()
            .find(|column| column.is_kept() && column.codes == Some(codes))
        {
            let many = column.seen.distinct;
            open.push(format!(
                "pipelines/codes/{codes}.csv with {columns}, for the {many} values of `{}` in these {} rows",
                column.from, plan.rows
            ));
        }
    }
    if plan.subject == "alarm" && origin(plan).0 == "unknown" {
        open.push("origin: who started a call; until it is known, spatial products stay off".to_owned());
    }
    for column in &plan.columns {
        if let Matter::Forbidden(entry) = &column.matter {
            open.push(format!(
                "`{}` is forbidden (`{entry}`): have the source leave it out; only for a false hit write a reviewed \
                 reason under [waive]",
                column.from
            ));
        }
    }
    let unread: Vec<&str> = plan
        .columns
        .iter()
        .filter(|column| !column.is_kept() && column.why.iter().any(|why| why.starts_with("many different texts")))
        .map(|column| column.from.as_str())
        .collect();
    if !unread.is_empty() {
        open.push(format!("dropped because nobody has read them: {}", unread.join(", ")));
    }
    if !plan.nested.is_empty() {
        open.push(format!(
            "left out, as their values are objects or lists: {}",
            plan.nested.join(", ")
        ));
    }
    if plan.ragged > 0 {
        open.push(format!(
            "{} records have another number of fields and are rejected",
            plan.ragged
        ));
    }
    open
}

/// Whether rows have the county of the call they belong to.
fn of_an_alarm(plan: &Plan) -> bool {
    matches!(plan.subject.as_str(), "dispatch" | "feedback")
}

fn event(plan: &Plan) -> Option<&Column> {
    plan.event.and_then(|at| plan.columns.get(at))
}

fn is_local(column: &Column) -> bool {
    let times = column.shape.times.as_ref();
    column.kind == ColumnType::Timestamp && times.is_some_and(|times| !times.is_zoned())
}

/// Who started a call, and why.
fn origin(plan: &Plan) -> (&'static str, &'static str) {
    if plan.column("report_mode").is_some() {
        (
            "report_mode.origin",
            "the way of reporting says who called; its code list has a column origin",
        )
    } else if plan.column("self_initiated").is_some() {
        (
            "self_initiated.origin",
            "its code list says of each value whether police or citizen began",
        )
    } else {
        (
            "unknown",
            "no column says who started a call; category.origin is possible where its codes tell it",
        )
    }
}

fn setting(key: &str, value: &str, why: &str) -> String {
    format!("{key} = {value}  # guess: {}", plain(why))
}

/// The lines above the columns.
fn settings(plan: &Plan) -> Vec<String> {
    let name = quoted(&plan.name);
    let mut lines = vec![
        setting("title_zh", &name, "the name of the draft"),
        setting("title_en", &name, "the name of the draft"),
        setting(
            "from",
            &quoted(&format!("inbox/{}/*{}", plan.name, ending(plan))),
            "the name of the draft",
        ),
        setting(
            "into",
            &quoted(&format!("source.{}", plan.subject)),
            "the model asked for, or the columns",
        ),
    ];
    let event = event(plan);
    if event.is_none() {
        lines.push(setting(
            "land",
            "\"snapshot\"",
            "no column of times, so each file states everything",
        ));
    }
    lines.extend(written(plan));
    lines.push(setting("system", &name, "the name of the draft"));
    if of_an_alarm(plan) && plan.column("county").is_none() {
        lines.push(setting("county", "\"none\"", "the county is that of the alarm"));
    } else if plan.column("county").is_none() {
        lines.push("# county = \"\"  # decide: no column says it, and the loader asks for it".to_owned());
    }
    if let Some(crs) = &plan.crs {
        lines.push(match crs.declared {
            Some(declared) => setting("crs", &quoted(declared), &crs.why),
            None => format!("crs = \"?\"  # decide, the loader refuses it: {}", plain(&crs.why)),
        });
    }
    lines.push(setting("key", &list(&plan.key), &plan.key_why));
    if let Some(event) = event {
        let known = quoted(&format!("{} + 1440 minutes", event.name));
        lines.push(setting(
            "event_time",
            &quoted(&event.name),
            "the earliest stage that has a time",
        ));
        lines.push(setting(
            "known",
            &known,
            "a day, so that no backtest knows a row too early",
        ));
    }
    if plan.subject == "alarm" {
        let (origin, why) = origin(plan);
        lines.push(setting("origin", &quoted(origin), why));
        if plan.has_position() && plan.column("category").is_some() {
            lines.push(setting(
                "mappable",
                "\"category.is_mappable\"",
                "the code list of the category says it",
            ));
        } else if plan.has_position() {
            lines.push("# mappable = \"\"  # decide: which calls may be mapped; the loader asks for it".to_owned());
        }
    }
    if let Some([west, south, east, north]) = plan.crs.as_ref().and_then(|crs| crs.bounds) {
        let zero = plan.crs.as_ref().map_or(0.0, |crs| crs.zero);
        let bounds = format!("[{west:.1}, {south:.1}, {east:.1}, {north:.1}]");
        let why = format!(
            "twice the extent of 98 % of the positions; {} lie at 0, 0",
            percent(zero)
        );
        lines.push(setting("bounds", &bounds, &why));
    }
    lines
}

/// Endings of sources that are looked at as JSON lines and are none.
const CONVERTED: [&str; 4] = [".xlsx", ".parquet", ".geojson", ".shp"];

/// The ending of the source files, as a pattern has it.
fn ending(plan: &Plan) -> String {
    let name = plan.files.first().map(String::as_str).unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // of a file in an archive, the archive is what is sent
    let name = name.split('!').next().unwrap_or_default();
    let packed = [".gz", ".zst"]
        .into_iter()
        .find(|ending| name.ends_with(ending))
        .unwrap_or_default();
    let bare = name.strip_suffix(packed).unwrap_or(name);
    let ending = bare
        .rsplit_once('.')
        .map(|(_, ending)| format!(".{ending}"))
        .unwrap_or_default();
    format!("{ending}{packed}")
}

/// How the file is written.
fn written(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let encoding = setting("encoding", &quoted(plan.encoding.label), &plan.encoding.why);
    match &plan.layout {
        // the loader tells these by the ending of `from`
        Layout::Ndjson if CONVERTED.contains(&ending(plan).as_str()) => {}
        Layout::Ndjson => lines.push(setting("format", "\"ndjson\"", "one JSON object a line")),
        Layout::JsonArray => lines.push("format = \"ndjson\"  # decide: the file is one JSON list".to_owned()),
        Layout::Delimited(form) => {
            lines.push(encoding);
            lines.extend(dialect(form));
            if !plan.nulls.is_empty() {
                lines.push(setting("null", &list(&plan.nulls), "texts that stand for empty values"));
            }
            return lines;
        }
    }
    lines.push(encoding);
    lines
}

fn dialect(form: &Delimited) -> Vec<String> {
    let mark = |byte: u8| quoted(&char::from(byte).to_string());
    let mut lines = vec![setting("delimiter", &mark(form.delimiter), &form.why_delimiter)];
    match form.quote {
        Some(b'"') => {}
        Some(quote) => lines.push(setting("quote", &mark(quote), "fields stand in this mark")),
        None => lines.push(setting("quote", "\"\"", "quotes are part of the text here")),
    }
    if let Some(escape) = form.escape {
        lines.push(setting(
            "escape",
            &mark(escape),
            "it stands before quotes inside of fields",
        ));
    }
    if let Some(comment) = form.comment {
        lines.push(setting(
            "comment",
            &mark(comment),
            "lines between the records begin with it",
        ));
    }
    if form.skip_lines > 0 {
        lines.push(setting("skip_lines", &form.skip_lines.to_string(), &form.why_header));
    }
    if !form.header {
        lines.push(setting("names", &list(&form.names), &form.why_header));
    }
    if form.trailing {
        lines.push("# records end with a delimiter: the field behind it has no name and is empty".to_owned());
    }
    lines
}

/// A column as the contract has it.
fn entry(column: &Column) -> String {
    let mut parts = Vec::new();
    if column.from != column.name {
        parts.push(format!("from = {}", quoted(&column.from)));
    }
    if column.is_kept() {
        if column.kind != ColumnType::String {
            parts.push(format!("type = {}", quoted(type_name(column.kind))));
        }
        parts.extend(time_parts(column));
        let style = &column.shape.style;
        if matches!(column.kind, ColumnType::Int | ColumnType::Float) {
            if style.decimal != '.' {
                parts.push(format!("decimal = {}", quoted(&style.decimal.to_string())));
            }
            if let Some(mark) = style.thousands {
                parts.push(format!("thousands = {}", quoted(&mark.to_string())));
            }
        }
    }
    let protect = Protect::NAMES
        .into_iter()
        .find(|(_, protect)| *protect == column.protect);
    parts.push(format!(
        "protect = {}",
        quoted(protect.map_or("drop", |(name, _)| name))
    ));
    if column.required {
        parts.push("required = true".to_owned());
    }
    if column.is_kept()
        && let Some(codes) = column.codes
    {
        parts.push(format!("codes = {}, unknown = \"keep\"", quoted(codes)));
    }
    if column.is_kept() && column.kind.is_position() && !column.required {
        parts.push("bad = \"blank\"".to_owned());
    }
    format!("{{ {} }}", parts.join(", "))
}

fn time_parts(column: &Column) -> Vec<String> {
    let mut parts = Vec::new();
    let Some(times) = column.shape.times.as_ref().filter(|_| is_timed(column)) else {
        return parts;
    };
    let default = match column.kind {
        ColumnType::Date => "%Y-%m-%d",
        _ => "%Y-%m-%d %H:%M:%S",
    };
    match times.formats.as_slice() {
        _ if !times.choices.is_empty() => parts.push("format = \"?\"".to_owned()),
        [only] if *only == default => {}
        [only] => parts.push(format!("format = {}", quoted(only))),
        several => parts.push(format!("format = {}", list(several))),
    }
    if times.hour24 {
        parts.push("hour24 = true".to_owned());
    }
    if let Some(after) = &column.after {
        parts.push(format!("after = {}", quoted(after)));
    }
    parts
}

fn is_timed(column: &Column) -> bool {
    matches!(column.kind, ColumnType::Timestamp | ColumnType::Date)
}

fn type_name(kind: ColumnType) -> &'static str {
    let found = ColumnType::NAMES.into_iter().find(|(_, known)| *known == kind);
    found.map_or("string", |(name, _)| name)
}

/// What was seen of a column, and what follows.
fn remark(column: &Column) -> String {
    let seen = &column.seen;
    let mut parts = column.why.clone();
    if seen.filled > 0 && seen.filled < seen.rows {
        parts.push(format!(
            "{} empty",
            percent(1.0 - super::guess::ratio(seen.filled, seen.rows))
        ));
    }
    if seen.distinct > 1 && seen.unique >= 0.999 && seen.filled > 1 {
        parts.push("no value twice".to_owned());
    } else if seen.distinct > 0 {
        parts.push(format!("{} different", seen.distinct));
    }
    if column.is_kept() {
        if let Some(times) = column.shape.times.as_ref().filter(|_| is_timed(column)) {
            if !times.choices.is_empty() {
                parts.push(format!(
                    "day and month cannot be told apart: {}",
                    times.choices.join(" or ")
                ));
            }
            if column.kind == ColumnType::Timestamp && times.is_date() {
                parts.push("local midnight".to_owned());
            }
        }
        if column.shape.unread > 0 {
            parts.push(format!("{} sampled values are not read so", column.shape.unread));
        }
    }
    if let Some(times) = column.shape.times.as_ref().filter(|times| times.half_lost > 0.0) {
        let share = percent(times.half_lost);
        parts.push(format!(
            "{share} have no AM or PM and no hour above 12; use another column"
        ));
    }
    let is_list = column.is_kept() && column.kind == ColumnType::String && seen.is_list();
    if is_list {
        let few: Vec<String> = seen.top.iter().take(4).map(|top| shown(top, seen.filled)).collect();
        parts.push(few.join(", "));
    } else if column.kind == ColumnType::String
        && let Some((value, _)) = seen.top.first()
    {
        parts.push(format!("such as {}", scan::mask(value)));
    }
    parts.join("; ")
}

/// A value of a list and its share; the shape alone where it may be somebody's own.
fn shown((value, count): &(String, usize), filled: usize) -> String {
    let share = percent(super::guess::ratio(*count, filled));
    let longest_number = value.split(|c: char| !c.is_numeric()).map(str::len).max().unwrap_or(0);
    if *count >= COMMON && longest_number < 7 && value.chars().count() <= 40 {
        format!("`{value}` {share}")
    } else {
        format!("{} {share}", scan::mask(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_for_toml() {
        let text = "a \"b\" \\ 县\t\u{1}";
        let written = format!("x = {}", quoted(text));
        let read: toml::Table = toml::from_str(&written).expect("a table");
        assert_eq!(read.get("x").and_then(toml::Value::as_str), Some(text));
        assert_eq!(list(&["a", "b"]), "[\"a\", \"b\"]");
        assert_eq!(plain("a\nb"), "a b", "a comment stays on its line");
    }

    #[test]
    fn a_value_is_shown_only_where_it_comes_again_and_again() {
        assert_eq!(shown(&("Theft".to_owned(), 40), 80), "`Theft` 50 %");
        assert_eq!(shown(&("Theft".to_owned(), 1), 80), "xxxxx 1 %");
        assert_eq!(shown(&("13912345678".to_owned(), 9), 9), "99999999999 100 %");
    }
}
