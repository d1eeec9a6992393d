//! The contract file as written: TOML of two levels, one column on one line.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `pipelines/contracts/<name>.toml` as a person writes it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractFile {
    /// Title in Chinese.
    pub title_zh: Option<String>,
    /// Title in English.
    pub title_en: Option<String>,
    /// Another contract whose settings and columns hold where this file is silent.
    pub like: Option<String>,
    /// Source files: paths of the site or of an object store, with `*`; or a table of a database,
    /// `postgres://reader@host/database#schema.table`.
    pub from: Option<String>,
    /// Table that receives the rows, `source.<kind>`.
    pub into: Option<String>,
    /// County of every row, where the file has no `county` column.
    pub county: Option<String>,
    /// Source system; documents of one system share the key of their numbers.
    pub system: Option<String>,
    /// `rows` (default), `snapshot` or `counts`.
    pub land: Option<String>,
    /// Whether only a pipeline or person that names this contract ingests it.
    pub on_request: Option<bool>,
    /// `csv`, `ndjson` (one object a line), `json` (one list of objects), `xlsx`, `parquet`, `geojson`,
    /// `shapefile` or `gat1400` (messages of the video-image base); by the ending of `from` where silent,
    /// else `csv`.
    pub format: Option<String>,
    /// Files of a ZIP archive that are meant, with `*`; all of them where silent.
    pub member: Option<String>,
    /// Sheet of a workbook, where several have cells.
    pub sheet: Option<String>,
    /// Column of a database table that grows with every change, by which only new rows are pulled.
    pub watermark: Option<String>,
    /// How far behind the last watermark a pull begins again, for changes that were committed late:
    /// `15 minutes` (default), `2 hours`, or a number where the watermark is one.
    pub overlap: Option<String>,
    /// File of the site with the password of the database, mode 0600.
    pub password_file: Option<String>,
    /// File of the site with the certificate that vouches for the database, PEM.
    pub ca_file: Option<String>,
    /// What GA/T 1400 messages are read for: `ape`, `video_slice` or `count`.
    pub object: Option<String>,
    /// `utf-8` (default), `gb18030`, `gbk`, `big5`, `utf-16le` or `utf-16be`.
    pub encoding: Option<String>,
    /// Field delimiter of a CSV file, one ASCII character.
    pub delimiter: Option<String>,
    /// Quote of a CSV file, one ASCII character; empty where nothing is quoted.
    pub quote: Option<String>,
    /// Character before a quote inside a quoted field, where quotes are not doubled.
    pub escape: Option<String>,
    /// Character that begins a line which is no record.
    pub comment: Option<String>,
    /// Lines before the header.
    pub skip_lines: Option<usize>,
    /// Names of the fields of a file without a header.
    pub names: Option<Vec<String>>,
    /// Texts that mean "empty", such as `NULL`.
    pub null: Option<Vec<String>>,
    /// How the source tells that a file is whole: `as_found` (default), `marker`, `manifest`, `stable 120s`.
    pub complete: Option<String>,
    /// What a file of the same name with other content does: `refuse` (default), `replace`, `upsert`.
    pub resend: Option<String>,
    /// What a source column outside the contract does: `drop` (default) or `stop`.
    pub unknown_columns: Option<String>,
    /// Share of refused rows, percent, above which nothing of a file is stored.
    pub reject_percent: Option<f64>,
    /// Which of two rows of one key that say different things holds: `first` (default), `newest` or
    /// `reject` (neither).
    pub conflict: Option<String>,
    /// Days for which rows are kept, by their statistics day; for good where it does not say.
    pub keep_days: Option<u32>,
    /// What becomes of a source file whose release is durable: `purge 72h` (default) or `leave`.
    pub after: Option<String>,
    /// Reference system of the coordinates: `wgs84`, `cgcs2000`, `gcj02`, `bd09`, or `epsg:N` of a grid in metres.
    pub crs: Option<String>,
    /// IANA zone of local times, where it is not the site's.
    pub timezone: Option<String>,
    /// Columns that identify a row within the source system.
    pub key: Option<Vec<String>>,
    /// Column of the instant at which the event happened.
    pub event_time: Option<String>,
    /// When a row was known: a column, or `<column> + N minutes`.
    pub known: Option<String>,
    /// Who started it: `<column>.<attribute>`, a column, or `constant <origin>`.
    pub origin: Option<String>,
    /// Why a constant origin is right; printed on every product.
    pub origin_reason: Option<String>,
    /// Which rows may be mapped: `<column>.<attribute>` or `always`.
    pub mappable: Option<String>,
    /// Column that says what kind of place it is; only public kinds get a place token.
    pub place_kind: Option<String>,
    /// West, south, east, north in degrees; positions outside are out of range.
    pub bounds: Option<[f64; 4]>,
    /// Reviewed exceptions of the forbidden-field lexicon: column = reason.
    #[serde(default)]
    pub waive: Ordered<String>,
    /// Columns in the order of the table.
    #[serde(default)]
    pub columns: Ordered<ColumnFile>,
    /// Measures, where the rows are only counted.
    #[serde(default)]
    pub counts: Ordered<String>,
}

/// One column as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnFile {
    /// Name in the source, where it is another.
    pub from: Option<String>,
    /// Other names that the source uses for it.
    pub aliases: Option<Vec<String>>,
    /// `string`, `int`, `float`, `bool`, `timestamp`, `date`, `lon`, `lat`, `point`, `area`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `public`, `key`, `place`, `token`, `coarse` or `drop`; there is no default.
    pub protect: Option<String>,
    /// Whether an empty value rejects the row.
    pub required: Option<bool>,
    /// How times are written: a strftime pattern, `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`,
    /// `excel`, `excel1904`; or a list of them.
    pub format: Option<OneOrMany>,
    /// Whether 24:00 is written for the midnight that ends a day.
    pub hour24: Option<bool>,
    /// For times of day without a date: the column before this one that has it.
    pub after: Option<String>,
    /// Decimal mark, `.` by default.
    pub decimal: Option<char>,
    /// Mark between thousands, where there is one.
    pub thousands: Option<char>,
    /// Smallest and largest number.
    pub range: Option<[f64; 2]>,
    /// The accepted values.
    pub accept: Option<Vec<String>>,
    /// Code list in `pipelines/codes/`.
    pub codes: Option<String>,
    /// What an unknown code does: `reject` (default) or `keep`.
    pub unknown: Option<String>,
    /// What a bad value does: `reject` the row (default) or `blank` the value.
    pub bad: Option<String>,
    /// What a file without the column does: it stops (`stop`, default), or the column stays empty (`allow`).
    pub absent: Option<String>,
}

/// One text, or several of which each may hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// A TOML table in the order of the file.
#[derive(Debug, Clone)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Ordered_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }
}

impl ContractFile {
    /// This file over `base`: what this file says holds, the rest is the base's.
    pub fn over(mut self, base: &ContractFile) -> ContractFile {
        macro_rules! inherit {
            ($($field:ident),*) => { $( if self.$field.is_none() { self.$field.clone_from(&base.$field); } )* };
        }
        inherit!(
            title_zh,
            title_en,
            from,
            into,
            county,
            system,
            land,
            format,
            member,
            sheet,
            object,
            watermark,
            overlap,
            password_file,
            ca_file,
            encoding,
            delimiter,
            quote,
            escape,
            comment,
            skip_lines,
            names,
            null,
            complete,
            resend,
            unknown_columns,
            reject_percent,
            conflict,
            keep_days,
            after,
            crs,
            timezone,
            key,
            event_time,
            known,
            origin,
            origin_reason,
            mappable,
            place_kind,
            bounds
        );
        let mut columns = base.columns.0.clone();
        for (name, own) in self.columns.0 {
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, column)) => *column = own.over(column),
                None => columns.push((name, own)),
            }
        }
        self.columns = Ordered(columns);
        if self.counts.0.is_empty() {
            self.counts = base.counts.clone();
        }
        if self.waive.0.is_empty() {
            self.waive = base.waive.clone();
        }
        self
    }
}

impl ColumnFile {
    fn over(mut self, base: &ColumnFile) -> ColumnFile {
        macro_rules! inherit {
            ($($field:ident),*) => { $( if self.$field.is_none() { self.$field.clone_from(&base.$field); } )* };
        }
        inherit!(
            from, aliases, kind, protect, required, format, hour24, after, decimal, thousands, range, accept, codes,
            unknown, bad, absent
        );
        self
    }
}
