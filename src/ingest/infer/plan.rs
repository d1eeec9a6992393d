//! What the columns make together: subject, key, event time, dates of times of day, reference system.

use std::collections::HashSet;

use super::guess::{self, CrsGuess, Matter, Seen, Shape};
use super::sniff::{EncodingGuess, Layout};
use super::{Sample, Source, Table};
use crate::config::settings::Pack;
use crate::contract::{ColumnType, Protect};
use crate::place::suspect::degrees;
use crate::time::Calendar;

/// Rows that decide an open order of day and month.
const SETTLING_ROWS: usize = 5_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// Columns that ingest adds, and those that only their own role may be named.
const RESERVED: [&str; 13] = [
    "cell",
    "origin",
    "biz_date",
    "hour_local",
    "biz_month",
    "known_at",
    "ingested_at",
    "source_batch",
    "source_line",
    "row_key",
    "county",
    "lon",
    "lat",
];

/// A column of the draft.
pub(super) struct Column {
    /// Name in the table.
    pub(super) name: String,
    /// Name in the source.
    pub(super) from: String,
    pub(super) role: Option<&'static str>,
    pub(super) kind: ColumnType,
    pub(super) protect: Protect,
    pub(super) shape: Shape,
    pub(super) seen: Seen,
    pub(super) matter: Matter,
    /// The column that gives a time of day its date.
    pub(super) after: Option<String>,
    pub(super) required: bool,
    /// Code list that must be written.
    pub(super) codes: Option<&'static str>,
    pub(super) why: Vec<String>,
}

impl Column {
    pub(super) fn is_kept(&self) -> bool {
        self.protect != Protect::Drop
    }

    fn drop_because(&mut self, why: &str) {
        self.protect = Protect::Drop;
        self.why = vec![why.to_owned()];
    }

    fn is_clock(&self) -> bool {
        self.shape.times.as_ref().is_some_and(|times| times.clock)
    }
}

/// All guesses about a source.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) files: Vec<String>,
    pub(super) pack: Pack,
    pub(super) encoding: EncodingGuess,
    pub(super) layout: Layout,
    pub(super) rows: usize,
    pub(super) ragged: usize,
    pub(super) nested: Vec<String>,
    pub(super) nulls: Vec<&'static str>,
    pub(super) heard: Vec<String>,
    /// What the rows are: `alarm`, `camera`, …
    pub(super) subject: String,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<String>,
    pub(super) key_why: String,
    /// Position of the event time among the columns.
    pub(super) event: Option<usize>,
    pub(super) crs: Option<CrsGuess>,
}

impl Plan {
    pub(super) fn new(name: &str, samples: &[Sample<'_>], source: Source, to: Option<&str>, pack: Pack) -> Plan {
        let table = &source.table;
        let values: Vec<Vec<&str>> = table.columns.iter().map(|column| guess::sampled(column)).collect();
        let named = || table.names.iter().zip(&values);
        let shapes: Vec<Shape> = named().map(|(name, values)| guess::shape(name, values)).collect();
        let seen: Vec<Seen> = table
            .columns
            .iter()
            .map(|column| Seen::of(column, &table.starts))
            .collect();
        let facts = shapes.iter().zip(&seen);
        let matters: Vec<Matter> = named()
            .zip(facts)
            .map(|((name, values), (shape, seen))| guess::matter(name, shape, seen, values, pack))
            .collect();
        let stamped = shapes.iter().any(|shape| shape.kind == ColumnType::Timestamp);
        let subject = subject(name, samples, to, &table.names, stamped);
        let files = letter(&subject, stamped);
        let roles = guess::roles(&table.names, &shapes, &seen, &matters, files, own_number(&subject));
        let names = table_names(&table.names, &roles, &seen);
        let mut columns = Vec::new();
        let parts = shapes.into_iter().zip(seen).zip(matters).zip(roles).zip(names);
        for (from, ((((shape, seen), matter), role), name)) in table.names.iter().zip(parts) {
            let (protect, why) = guess::protect(from, role, &shape, &seen, &matter, stamped && files != 'c');
            columns.push(Column {
                name,
                from: from.clone(),
                kind: guess::kind_in(role, shape.kind),
                role,
                protect,
                shape,
                seen,
                matter,
                after: None,
                required: false,
                codes: None,
                why: vec![why],
            });
        }
        settle(&mut columns, table);
        grid(&mut columns, table);
        let event = event(&columns, &subject, files);
        clocks(&mut columns, table, event);
        let (key, key_why) = key(&columns, table, event, own_number(&subject));
        finish(&mut columns, &subject, event);
        let nested = table.nested.clone();
        Plan {
            name: name.to_owned(),
            files: samples.iter().map(|sample| sample.name.to_owned()).collect(),
            pack,
            crs: crs(&columns, table),
            rows: table.rows,
            ragged: table.ragged,
            subject,
            columns,
            key,
            key_why,
            event,
            encoding: source.encoding,
            layout: source.layout,
            nested,
            nulls: source.nulls,
            heard: source.notes,
        }
    }

    /// The kept column of a name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name == name && column.is_kept())
    }

    pub(super) fn has_position(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.kind.is_position() && column.is_kept())
    }

    /// Findings for the terminal.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.heard.clone();
        let pack = format!("{:?}", self.pack).to_lowercase();
        notes.push(format!(
            "{} rows, {} columns; identifier patterns: {pack}",
            self.rows,
            self.columns.len()
        ));
        notes.push(format!("encoding {}: {}", self.encoding.label, self.encoding.why));
        if let Layout::Delimited(form) = &self.layout {
            notes.push(format!(
                "delimiter {:?}: {}",
                char::from(form.delimiter),
                form.why_delimiter
            ));
            notes.push(format!("header: {}", form.why_header));
        }
        if self.ragged > 0 {
            notes.push(format!(
                "{} records have another number of fields and would be rejected",
                self.ragged
            ));
        }
        for column in &self.columns {
            match &column.matter {
                Matter::Forbidden(entry) => notes.push(format!("forbidden: `{}` (`{entry}`)", column.from)),
                Matter::Identifier(..) | Matter::Names => {
                    notes.push(format!("identifiers: `{}`: {}", column.from, column.why.join("; ")));
                }
                _ => {}
            }
            if column.is_kept()
                && column
                    .shape
                    .times
                    .as_ref()
                    .is_some_and(|times| !times.choices.is_empty())
            {
                notes.push(format!("open: order of day and month in `{}`", column.from));
            }
        }
        if let Some(crs) = &self.crs
            && crs.declared.is_none()
        {
            notes.push(format!("open: crs: {}", crs.why));
        }
        notes
    }
}

/// What the rows are: by the model asked for, else by the columns and the name.
fn subject(name: &str, samples: &[Sample<'_>], to: Option<&str>, names: &[String], stamped: bool) -> String {
    if let Some(to) = to {
        return to.rsplit('.').next().unwrap_or(to).to_owned();
    }
    let mut said = vec![name.to_lowercase()];
    said.extend(samples.iter().map(|sample| sample.name.to_lowercase()));
    let says = |words: &[&str]| said.iter().any(|said| words.iter().any(|word| said.contains(word)));
    let has = |role: &str| names.iter().any(|name| guess::rank(role, 'a', name).is_some());
    if stamped && has("category") && (has("alarm_id") || has("reported_at")) {
        "alarm".to_owned()
    } else if !stamped && says(&["camera", "摄像", "sxj"]) {
        "camera".to_owned()
    } else {
        let own = guess::snake(name);
        if own.is_empty() { "table".to_owned() } else { own }
    }
}

/// The kind of file, as the tables of names know it.
fn letter(subject: &str, stamped: bool) -> char {
    match subject {
        "alarm" | "dispatch" | "feedback" => 'a',
        "camera" => 'c',
        _ if stamped => 's',
        _ => 'p',
    }
}

/// The role that numbers the rows.
fn own_number(subject: &str) -> &'static str {
    match subject {
        "alarm" => "alarm_id",
        "dispatch" => "dispatch_id",
        "feedback" => "feedback_id",
        "camera" => "camera_id",
        _ => "code",
    }
}

/// Names in the table: those of the roles, and for the others what the source calls them.
fn table_names(from: &[String], roles: &[Option<&'static str>], seen: &[Seen]) -> Vec<String> {
    let mut taken: HashSet<String> = roles.iter().flatten().map(|role| (*role).to_owned()).collect();
    let mut names = Vec::new();
    for (at, ((from, role), seen)) in from.iter().zip(roles).zip(seen).enumerate() {
        if let Some(role) = role {
            let chinese = seen.top.iter().any(|(value, _)| !value.is_ascii());
            let zh_or_en = if chinese { "name_zh" } else { "name_en" };
            // places have a name in each language, cameras have one name
            let place = *role == "name" && !taken.contains("camera_id");
            let name = if place { zh_or_en } else { *role };
            taken.insert(name.to_owned());
            names.push(name.to_owned());
            continue;
        }
        let mut name = guess::snake(from);
        if name.is_empty() {
            name = format!("column_{}", at + 1);
        }
        if RESERVED.contains(&name.as_str()) || taken.contains(&name) {
            name = format!("source_{name}");
        }
        let base = name.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        names.push(name);
    }
    names
}

/// Decides an open order of day and month by another column: a row's times lie a day apart at most.
fn settle(columns: &mut [Column], table: &Table) {
    let Some(utc) = Calendar::new("UTC", "00:00") else {
        return;
    };
    let step = table.rows.div_ceil(SETTLING_ROWS).max(1);
    let days = |values: &[String], formats: &[&'static str], hour24: bool| -> Vec<Option<i64>> {
        let rules = guess::rules(formats, hour24);
        let read = |value: &String| rules.instant(value, &utc).map(|at| at.div_euclid(DAY_MICROS));
        values.iter().step_by(step).map(read).collect()
    };
    let mut witnesses: Vec<(String, Vec<Option<i64>>)> = Vec::new();
    for (column, values) in columns.iter().zip(&table.columns) {
        if let Some(times) = &column.shape.times
            && times.choices.is_empty()
            && !times.clock
        {
            witnesses.push((column.from.clone(), days(values, &times.formats, times.hour24)));
        }
    }
    for (column, values) in columns.iter_mut().zip(&table.columns) {
        let Some(times) = &mut column.shape.times else { continue };
        if times.choices.is_empty() || times.formats.len() > 1 {
            continue;
        }
        let hour24 = times.hour24;
        let readings: Vec<(&'static str, Vec<Option<i64>>)> = times
            .choices
            .iter()
            .map(|choice| (*choice, days(values, &[*choice], hour24)))
            .collect();
        let differ = |row: usize| {
            let mut at = readings.iter().map(|(_, days)| days.get(row).copied().flatten());
            let first = at.next().flatten();
            at.any(|other| other != first)
        };
        let rows: Vec<usize> = (0..values.len().div_ceil(step)).filter(|row| differ(*row)).collect();
        for (witness, told) in &witnesses {
            let day = |row: usize| told.get(row).copied().flatten();
            let judged: Vec<usize> = rows.iter().copied().filter(|row| day(*row).is_some()).collect();
            let near = |days: &[Option<i64>]| {
                let agree = |row: &&usize| match (days.get(**row).copied().flatten(), day(**row)) {
                    (Some(own), Some(other)) => (own - other).abs() <= 1,
                    _ => false,
                };
                judged.iter().filter(agree).count()
            };
            let fitting: Vec<(&'static str, usize)> = readings
                .iter()
                .map(|(choice, days)| (*choice, near(days)))
                .filter(|(_, count)| guess::ratio(*count, judged.len()) >= 0.9)
                .collect();
            if let [(choice, count)] = fitting.as_slice()
                && judged.len() >= 5
            {
                times.formats = vec![*choice];
                times.choices.clear();
                column.why.push(format!(
                    "day and month in the order of `{witness}`: {count} of {} rows agree",
                    judged.len()
                ));
                break;
            }
        }
    }
}

/// Metres become the position where there are no degrees; beside degrees they are left out.
fn grid(columns: &mut [Column], table: &Table) {
    let at = |columns: &[Column], role: &str| columns.iter().position(|column| column.role == Some(role));
    let (Some(x), Some(y)) = (at(columns, "x"), at(columns, "y")) else {
        return;
    };
    let has_degrees = ["lon", "lat", "position"]
        .iter()
        .any(|role| at(columns, role).is_some());
    let (easting, northing) = (median(table, x), median(table, y));
    // surveyors' x points north
    let axes = if guess::grids(easting, northing).is_empty() && !guess::grids(northing, easting).is_empty() {
        [(y, "lon", ColumnType::Lon), (x, "lat", ColumnType::Lat)]
    } else {
        [(x, "lon", ColumnType::Lon), (y, "lat", ColumnType::Lat)]
    };
    for (at, name, kind) in axes {
        let Some(column) = columns.get_mut(at) else { continue };
        if has_degrees {
            column.drop_because("metres or feet of a grid that the file does not name; it has degrees as well");
        } else {
            name.clone_into(&mut column.name);
            column.kind = kind;
            column.why = vec![format!("metres of a grid; {name} by its size")];
        }
    }
}

fn median(table: &Table, at: usize) -> f64 {
    let values = table.columns.get(at).map(Vec::as_slice).unwrap_or_default();
    let mut numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| degrees(value))
        .filter(|number| *number != 0.0)
        .collect();
    numbers.sort_by(f64::total_cmp);
    guess::quantile(&numbers, 0.5)
}

/// The column of the event time: the earliest stage that has a full time.
fn event(columns: &[Column], subject: &str, files: char) -> Option<usize> {
    if !matches!(files, 'a' | 's') {
        return None;
    }
    let own = match subject {
        "dispatch" => "dispatched_at",
        "feedback" => "fed_back_at",
        _ => "reported_at",
    };
    let stages = [
        own,
        "window_start",
        "reported_at",
        "dispatched_at",
        "acknowledged_at",
        "enroute_at",
        "arrived_at",
    ];
    let position =
        |wanted: &dyn Fn(&Column) -> bool| columns.iter().position(|column| column.is_kept() && wanted(column));
    let by_role = stages
        .iter()
        .find_map(|stage| position(&|column| column.role == Some(*stage)));
    by_role
        .or_else(|| position(&|column| column.kind == ColumnType::Timestamp && !column.is_clock()))
        .or_else(|| position(&|column| column.kind == ColumnType::Date))
}

/// Gives times of day their date: the event takes it from a date column, later stages from the event.
fn clocks(columns: &mut [Column], table: &Table, event: Option<usize>) {
    let dated = |column: &&Column| column.kind == ColumnType::Date && column.is_kept();
    let date = columns.iter().find(dated).map(|column| column.name.clone());
    let first = event.and_then(|at| Some((at, columns.get(at)?.name.clone(), columns.get(at)?.is_clock())));
    let early = first
        .as_ref()
        .map(|(at, ..)| day_times(columns, table, *at))
        .unwrap_or_default();
    for at in 0..columns.len() {
        let own = day_times(columns, table, at);
        let Some(column) = columns.get_mut(at) else { continue };
        if !column.is_clock() || !column.is_kept() {
            continue;
        }
        column.kind = ColumnType::Timestamp;
        match (&first, &date) {
            (Some((event, name, is_clock)), _) if *event != at && (!*is_clock || date.is_some()) => {
                column.after = Some(name.clone());
                let both: Vec<(i64, i64)> = own
                    .iter()
                    .zip(&early)
                    .filter_map(|(own, early)| Some(((*own)?, (*early)?)))
                    .collect();
                let before = both.iter().filter(|(own, early)| own < early).count();
                if before > 0 {
                    let rows = both.len();
                    column.why.push(format!(
                        "{before} of {rows} earlier in the day than {name}: past midnight, or wrong"
                    ));
                }
            }
            (_, Some(date)) => column.after = Some(date.clone()),
            _ => column.drop_because("a time of day, and no column that gives its date"),
        }
    }
}

/// Times of day of a column row by row; none where it has dates.
fn day_times(columns: &[Column], table: &Table, at: usize) -> Vec<Option<i64>> {
    let times = columns
        .get(at)
        .and_then(|column| column.shape.times.as_ref())
        .filter(|times| times.clock);
    let (Some(times), Some(values)) = (times, table.columns.get(at)) else {
        return Vec::new();
    };
    let rules = guess::rules(&times.formats, times.hour24);
    values.iter().map(|value| rules.time_of_day(value)).collect()
}

/// The columns that identify a row, and why these.
fn key(columns: &[Column], table: &Table, event: Option<usize>, own: &str) -> (Vec<String>, String) {
    let kept = || {
        columns
            .iter()
            .filter(|column| column.is_kept() && column.seen.filled > 0)
    };
    let numbers =
        |column: &&Column| column.role == Some(own) || (column.role.is_none() && guess::is_code_name(&column.from));
    let unique = kept().filter(numbers).filter(|column| column.seen.unique >= 0.999);
    if let Some(column) = unique.min_by_key(|column| column.role != Some(own)) {
        let empty = column.seen.rows - column.seen.filled;
        let mut why = format!("{} of rows are told apart by it", guess::percent(column.seen.unique));
        if empty > 0 {
            why.push_str(&format!("; {empty} rows have none and are told apart by their content"));
        }
        return (vec![column.name.clone()], why);
    }
    let things = ["sensor_id", "camera_id"];
    let thing = columns
        .iter()
        .position(|column| column.role.is_some_and(|role| things.contains(&role)));
    if let (Some(thing), Some(event)) = (thing, event)
        && let (Some(a), Some(b)) = (table.columns.get(thing), table.columns.get(event))
        && let (Some(first), Some(second)) = (columns.get(thing), columns.get(event))
    {
        let pairs: HashSet<(&String, &String)> = a.iter().zip(b).collect();
        let share = guess::ratio(pairs.len(), table.rows);
        if share >= 0.98 {
            let why = format!("{} of rows are told apart by both", guess::percent(share));
            return (vec![first.name.clone(), second.name.clone()], why);
        }
    }
    (
        Vec::new(),
        "no column tells the rows apart: a row is its content".to_owned(),
    )
}

/// What follows from the whole: which columns are required, and which have code lists.
fn finish(columns: &mut [Column], subject: &str, event: Option<usize>) {
    for (at, column) in columns.iter_mut().enumerate() {
        let full = column.seen.filled == column.seen.rows && column.is_kept();
        let position = subject == "camera" && column.kind.is_position();
        // a row without a number is told apart by its content, and so is not refused
        let leads = event == Some(at) || position || column.role == Some("category");
        column.required = full && leads && column.shape.unread == 0;
        column.codes = match (subject, column.role) {
            ("alarm", Some("category")) => Some("category"),
            ("alarm", Some("report_mode")) => Some("report_mode"),
            ("alarm", Some("self_initiated")) => Some("self_initiated"),
            _ => None,
        };
        let angle = column.shape.kind == ColumnType::Float && column.role.is_none();
        if angle && guess::rank("lat", '*', &column.from).is_some() {
            column
                .why
                .push("no latitudes: are longitude and latitude exchanged?".to_owned());
        }
    }
}

/// The reference system of the kept positions.
fn crs(columns: &[Column], table: &Table) -> Option<CrsGuess> {
    let of = |kind: ColumnType| {
        let at = columns
            .iter()
            .position(|column| column.kind == kind && column.is_kept())?;
        table.columns.get(at)
    };
    if let Some(values) = of(ColumnType::Point) {
        return Some(guess::crs(values.iter().filter_map(|value| guess::point(value))));
    }
    let (lon, lat) = (of(ColumnType::Lon)?, of(ColumnType::Lat)?);
    let pairs = lon.iter().zip(lat);
    Some(guess::crs(
        pairs.filter_map(|(lon, lat)| Some((degrees(lon)?, degrees(lat)?))),
    ))
}
