//! How a contract says that its files are read: arrival, dialect, times and numbers.

use crate::contract::column::ColumnType;
use crate::contract::dialect::Dialect;
use crate::contract::file::ColumnFile;
use crate::contract::kinds::{Complete, Conflict, MessageObject, Pull, SourceFormat};
use crate::contract::number::NumberStyle;
use crate::contract::resolve::Resolver;
use crate::message::Message;
use crate::time::parse::{TimeFormat, TimeRules};

/// How typed instants and dates of a sheet or a Parquet file are written.
const TYPED_INSTANTS: [&str; 4] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d", "rfc3339"];
/// How typed times of day are written.
const TYPED_TIMES: [&str; 1] = ["%H:%M:%S%.f"];

/// Whether a source is a table of a database.
fn is_database(from: &str) -> bool {
    from.starts_with("postgres://") || from.starts_with("postgresql://")
}

impl Resolver<'_> {
    pub(super) fn complete(&mut self) -> Option<Complete> {
        let given = self.merged.complete.as_deref().unwrap_or("as_found");
        let seconds = given
            .strip_prefix("stable ")
            .and_then(|rest| rest.trim().strip_suffix('s'));
        if let Some(seconds) = seconds.and_then(|seconds| seconds.parse().ok()) {
            return Some(Complete::Stable(seconds));
        }
        let known = [
            ("as_found", Complete::AsFound),
            ("marker", Complete::Marker),
            ("manifest", Complete::Manifest),
            ("stable 120s", Complete::Stable(120)),
        ];
        self.choice(given, &known)
    }

    /// The layout of the source: as declared, else by the ending of its name.
    pub(super) fn format(&mut self) -> Option<SourceFormat> {
        let object = self.choice(
            self.merged.object.as_deref().unwrap_or("ape"),
            &[
                ("ape", MessageObject::Camera),
                ("video_slice", MessageObject::Clip),
                ("count", MessageObject::Count),
            ],
        )?;
        let from = self.merged.from.as_deref().unwrap_or_default();
        if is_database(from) {
            return Some(SourceFormat::Postgres);
        }
        let ending = Some(from).and_then(|from| from.rsplit_once('.'));
        let by_ending = match ending.map(|(_, ending)| ending) {
            Some("xlsx") => "xlsx",
            Some("parquet") => "parquet",
            Some("geojson") => "geojson",
            Some("shp") => "shapefile",
            _ => "csv",
        };
        self.choice(
            self.merged.format.as_deref().unwrap_or(by_ending),
            &[
                ("csv", SourceFormat::Csv),
                ("ndjson", SourceFormat::Ndjson),
                ("json", SourceFormat::Json),
                ("xlsx", SourceFormat::Xlsx),
                ("parquet", SourceFormat::Parquet),
                ("geojson", SourceFormat::Geojson),
                ("shapefile", SourceFormat::Shapefile),
                ("gat1400", SourceFormat::Gat1400(object)),
            ],
        )
    }

    /// How a table of a database is pulled; a problem where what that takes is not said.
    #[expect(clippy::option_option, reason = "no pull is not a wrong one")]
    pub(super) fn pull(&mut self, format: SourceFormat) -> Option<Option<Pull>> {
        if format != SourceFormat::Postgres {
            return Some(None);
        }
        let given = self.merged;
        let from = given.from.clone().unwrap_or_default();
        let Some((url, table)) = from.split_once('#').filter(|(_, table)| !table.is_empty()) else {
            self.problem("from", Message::new("contract_pull_table", &[&from]));
            return None;
        };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let user = authority.split_once('@').map_or("", |(user, _)| user);
        if user.contains(':') || url.contains("password=") {
            self.problem("from", Message::new("contract_pull_password", &[]));
            return None;
        }
        let (Some(watermark), false) = (
            given.watermark.clone(),
            given.key.as_deref().unwrap_or_default().is_empty(),
        ) else {
            self.problem("from", Message::new("contract_pull_watermark", &[]));
            return None;
        };
        let overlap = given.overlap.as_deref().unwrap_or("15 minutes");
        let (number, unit) = overlap.split_once(' ').unwrap_or((overlap, "seconds"));
        let seconds = [("seconds", 1), ("minutes", 60), ("hours", 3_600), ("days", 86_400)];
        let unit = seconds
            .iter()
            .find(|(name, _)| name.trim_end_matches('s') == unit.trim_end_matches('s'));
        let (Ok(number), Some((_, seconds))) = (number.parse::<u32>(), unit) else {
            self.problem("overlap", Message::new("contract_pull_overlap", &[&overlap]));
            return None;
        };
        Some(Some(Pull {
            url: url.to_owned(),
            table: table.to_owned(),
            watermark,
            overlap: i64::from(number) * seconds,
            password_file: given.password_file.clone(),
            ca_file: given.ca_file.clone(),
        }))
    }

    /// Which of two rows of one key holds. In a database the later state of a row is the row.
    pub(super) fn conflict(&mut self, format: SourceFormat) -> Option<Conflict> {
        let silent = if format == SourceFormat::Postgres {
            "newest"
        } else {
            "first"
        };
        self.choice(
            self.merged.conflict.as_deref().unwrap_or(silent),
            &[
                ("first", Conflict::First),
                ("newest", Conflict::Newest),
                ("reject", Conflict::Reject),
            ],
        )
    }

    pub(super) fn after(&mut self) -> Option<Option<i64>> {
        let given = self.merged.after.as_deref().unwrap_or("purge 72h");
        let hours = given
            .strip_prefix("purge ")
            .and_then(|rest| rest.trim().strip_suffix('h'));
        if let Some(hours) = hours.and_then(|hours| hours.parse().ok()) {
            return Some(Some(hours));
        }
        self.choice(given, &[("leave", None), ("purge 72h", Some(72))])
    }

    pub(super) fn times(&mut self, kind: ColumnType, given: &ColumnFile) -> Option<TimeRules> {
        let default = match kind {
            ColumnType::Date => "%Y-%m-%d",
            _ => "%Y-%m-%d %H:%M:%S",
        };
        let default = [default.to_owned()];
        let mut patterns = given
            .format
            .as_ref()
            .map_or(&default[..], |format| format.all())
            .to_vec();
        if matches!(
            self.format()?,
            SourceFormat::Xlsx | SourceFormat::Parquet | SourceFormat::Postgres
        ) {
            // typed times of these come as ISO 8601, whatever texts beside them look like
            let dated = patterns
                .iter()
                .any(|pattern| !pattern.contains('%') || pattern.contains(['Y', 'y', 'F']));
            let typed = if dated { &TYPED_INSTANTS[..] } else { &TYPED_TIMES[..] };
            let typed = typed.iter().map(|pattern| (*pattern).to_owned());
            patterns.extend(typed.collect::<Vec<_>>());
        }
        let mut formats = Vec::with_capacity(patterns.len());
        for pattern in &patterns {
            match TimeFormat::parse(pattern) {
                Some(format) => formats.push(format),
                None => self.problem(pattern, Message::new("contract_time_format", &[pattern])),
            }
        }
        (formats.len() == patterns.len()).then(|| TimeRules::new(formats, given.hour24.unwrap_or(false)))
    }

    /// The column that dates times of day: it stands before them, so that it is read first.
    #[expect(clippy::option_option, reason = "no such column is not a wrong one")]
    pub(super) fn dated_by(
        &mut self,
        name: &str,
        kind: ColumnType,
        given: &ColumnFile,
        times: &TimeRules,
    ) -> Option<Option<usize>> {
        let only_time = kind == ColumnType::Timestamp && times.is_time_only();
        let columns = &self.merged.columns.0;
        let own = columns.iter().position(|(known, _)| known == name);
        let found = given.after.as_ref().map(|after| {
            let at = columns.iter().position(|(known, _)| known == after);
            at.filter(|at| Some(*at) < own && only_time)
        });
        match found {
            None if !only_time => Some(None),
            Some(Some(at)) => Some(Some(at)),
            _ => {
                self.problem(name, Message::new("contract_after", &[&name]));
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str, given: &ColumnFile) -> Option<NumberStyle> {
        let style = NumberStyle {
            decimal: given.decimal.unwrap_or('.'),
            thousands: given.thousands,
        };
        let is_mark = |mark: char| !mark.is_alphanumeric() && !matches!(mark, '+' | '-');
        let marks = is_mark(style.decimal) && style.thousands.is_none_or(is_mark);
        if marks && style.thousands != Some(style.decimal) {
            return Some(style);
        }
        self.problem(name, Message::new("contract_number", &[&name]));
        None
    }

    fn mark(&mut self, key: &str, given: Option<&str>) -> Option<Option<u8>> {
        match given.map(str::as_bytes) {
            None | Some([]) => Some(None),
            Some([byte]) if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r') => {
                Some(Some(*byte))
            }
            Some(_) => {
                let given = given.unwrap_or_default();
                self.problem(key, Message::new("contract_delimiter", &[&key, &given]));
                None
            }
        }
    }

    pub(super) fn dialect(&mut self) -> Option<Dialect> {
        let given = self.merged;
        let delimiter = self.mark("delimiter", given.delimiter.as_deref().or(Some(",")))?;
        let Some(delimiter) = delimiter else {
            self.problem("delimiter", Message::new("contract_delimiter", &[&"delimiter", &""]));
            return None;
        };
        let quote = self.mark("quote", given.quote.as_deref().or(Some("\"")))?;
        // a quote that is its own escape is a doubled quote
        let escape = self
            .mark("escape", given.escape.as_deref())?
            .filter(|escape| Some(*escape) != quote);
        let comment = self.mark("comment", given.comment.as_deref())?;
        if quote == Some(delimiter)
            || escape == Some(delimiter)
            || comment == Some(delimiter)
            || (quote.is_some() && quote == comment)
        {
            self.problem("quote", Message::new("contract_marks", &[]));
            return None;
        }
        Some(Dialect {
            delimiter,
            quote,
            escape,
            comment,
            skip_lines: given.skip_lines.unwrap_or(0),
            names: given.names.clone(),
            null: given.null.clone().unwrap_or_default(),
        })
    }
}
