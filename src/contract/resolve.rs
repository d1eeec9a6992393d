//! From the file as written to a contract without gaps: every name known, every column protected.

use std::collections::BTreeMap;

use crate::config::site::SiteFile;
use crate::config::text;
use crate::contract::codes::CodeList;
use crate::contract::column::{Column, ColumnType, Protect};
use crate::contract::dialect::Dialect;
use crate::contract::file::{ColumnFile, ContractFile};
use crate::contract::kinds::{Complete, Conflict, Land, Pull, Resend, SourceFormat};
use crate::error::{Kind, Problem, Result, fail};
use crate::message::Message;
use crate::place::crs::Crs;

/// When a row was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// A column, plus a declared lag in microseconds.
    Column(String, i64),
    /// The time of ingest.
    Ingest,
}

/// Who started a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An attribute of a column's code.
    Attribute(String, usize),
    /// A column of the source.
    Column(String),
    /// The same for every row, with the reason that every product prints.
    Constant(String, String),
    /// Nobody said; spatial products stay off.
    Unknown,
}

/// One measure of a counting contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Rows.
    Rows,
    /// Distinct values of a column.
    Distinct(String),
    /// Rows whose age at the reference date, from the birth date in a column, lies in [low, high].
    Age(String, i32, i32),
}

/// What a counting contract writes: measures per cell and month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Column of the date whose month is the reference month.
    pub month: String,
    /// Column and values whose rows are counted for the county alone, never by cell.
    pub county_only: Option<(String, Vec<String>)>,
    /// Output column and measure.
    pub measures: Vec<(String, Measure)>,
}

/// A contract without gaps.
#[derive(Debug, Clone)]
pub struct Contract {
    /// File stem, the name on the command line.
    pub name: String,
    /// Path of the file in the site.
    pub path: String,
    /// Titles, Chinese then English.
    pub title: [String; 2],
    /// Glob of source files in the site.
    pub from: String,
    /// Table that receives the rows.
    pub into: String,
    /// County of every row.
    pub county: Option<String>,
    /// Source system.
    pub system: String,
    /// Whether `*` leaves it out.
    pub on_request: bool,
    /// How rows land.
    pub land: Land,
    /// Layout.
    pub format: SourceFormat,
    /// Files of an archive that are meant, with `*`.
    pub member: Option<String>,
    /// Sheet of a workbook.
    pub sheet: Option<String>,
    /// How a table of a database is pulled.
    pub pull: Option<Pull>,
    /// Encoding label.
    pub encoding: &'static encoding_rs::Encoding,
    /// How its source tells that a file is whole.
    pub complete: Complete,
    /// What a known name with other content does.
    pub resend: Resend,
    /// Whether a source column outside the contract stops the file.
    pub stop_at_unknown: bool,
    /// Share of refused rows, percent, above which nothing is stored; the site's where silent.
    pub reject_percent: Option<f64>,
    /// Which of two rows of one key holds.
    pub conflict: Conflict,
    /// Days for which rows are kept.
    pub keep_days: Option<u32>,
    /// Hours after which a source file goes, once its release is durable.
    pub purge_hours: Option<i64>,
    /// How a delimited file is written.
    pub dialect: Dialect,
    /// Reference system of positions.
    pub crs: Crs,
    /// Zone of local times.
    pub timezone: Option<String>,
    /// Identifying columns.
    pub key: Vec<String>,
    /// Column of the event time.
    pub event_time: Option<String>,
    /// When a row was known.
    pub known: Known,
    /// Who started it.
    pub origin: Option<Origin>,
    /// Column and attribute that say whether a row may be mapped.
    pub mappable: Option<(String, usize)>,
    /// Column of the kind of place.
    pub place_kind: Option<String>,
    /// West, south, east, north.
    pub bounds: Option<[f64; 4]>,
    /// Reviewed exceptions of the lexicon.
    pub waived: Vec<String>,
    /// Columns in table order.
    pub columns: Vec<Column>,
    /// Measures of a counting contract.
    pub counts: Option<Counts>,
}

impl Contract {
    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Every name that a column of the contract can have in the source.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .flat_map(|column| std::iter::once(column.from.as_str()).chain(column.aliases.iter().map(String::as_str)))
    }

    /// What the key of its document numbers is for: one key per source system.
    pub fn key_purpose(&self) -> String {
        format!("key/{}", self.system)
    }

    /// Whether the rows carry positions.
    pub fn has_position(&self) -> bool {
        self.columns.iter().any(|column| column.kind.is_position())
    }
}

/// The encodings that a contract may name.
const ENCODINGS: [(&str, &encoding_rs::Encoding); 6] = [
    ("utf-8", encoding_rs::UTF_8),
    ("gb18030", encoding_rs::GB18030),
    ("gbk", encoding_rs::GBK),
    ("big5", encoding_rs::BIG5),
    ("utf-16le", encoding_rs::UTF_16LE),
    ("utf-16be", encoding_rs::UTF_16BE),
];

/// All contracts of a site, resolved. Contracts without `from` are patterns for others only.
///
/// # Errors
/// `Input` with every problem of every file.
pub fn contracts(files: &[SiteFile], codes: &BTreeMap<String, CodeList>) -> Result<Vec<Contract>> {
    let mut parsed = BTreeMap::new();
    for file in files {
        let contract: ContractFile =
            toml::from_str(&file.text).map_err(|cause| text::toml_error(&file.path, &file.text, &cause))?;
        parsed.insert(file.stem().to_owned(), contract);
    }
    let mut problems = Vec::new();
    let mut resolved = Vec::new();
    for file in files {
        let Some(own) = parsed.get(file.stem()) else { continue };
        let merged = match &own.like {
            None => own.clone(),
            Some(base) => match parsed.get(base) {
                Some(base) if base.like.is_none() => own.clone().over(base),
                _ => {
                    problems.push(text::unknown_key(&file.path, &file.text, base, parsed.keys()));
                    continue;
                }
            },
        };
        if merged.from.is_none() {
            continue;
        }
        let mut resolver = Resolver {
            file,
            merged: &merged,
            codes,
            problems: &mut problems,
        };
        resolved.extend(resolver.contract());
    }
    if problems.is_empty() {
        Ok(resolved)
    } else {
        Err(fail(Kind::Input, "contracts_invalid", &[]).with_problems(problems))
    }
}

pub(super) struct Resolver<'a> {
    file: &'a SiteFile,
    pub(super) merged: &'a ContractFile,
    codes: &'a BTreeMap<String, CodeList>,
    problems: &'a mut Vec<Problem>,
}

impl Resolver<'_> {
    pub(super) fn problem(&mut self, word: &str, message: Message) {
        self.problems
            .push(text::problem_at_word(&self.file.path, &self.file.text, word, message));
    }

    /// One of the known words, or a problem that names them.
    pub(super) fn choice<T: Clone>(&mut self, given: &str, known: &[(&str, T)]) -> Option<T> {
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == given) {
            return Some(value.clone());
        }
        let names = known.iter().map(|(name, _)| *name);
        self.problems
            .push(text::unknown_key(&self.file.path, &self.file.text, given, names));
        None
    }

    fn column_name(&mut self, key: &str, given: &str) -> Option<String> {
        if self.merged.columns.get(given).is_some() {
            return Some(given.to_owned());
        }
        let known: Vec<&String> = self.merged.columns.0.iter().map(|(name, _)| name).collect();
        let near = text::closest(given, known.iter().map(|name| name.as_str())).unwrap_or_default();
        self.problem(given, Message::new("contract_column_unknown", &[&key, &given, &near]));
        None
    }

    fn contract(&mut self) -> Option<Contract> {
        let given = self.merged;
        let before = self.problems.len();
        let into = given.into.clone().unwrap_or_default();
        if into
            .split_once('.')
            .is_none_or(|(schema, table)| schema != "source" || table.is_empty())
        {
            self.problem("into", Message::new("contract_into", &[&into]));
        }
        let land = self.choice(
            given.land.as_deref().unwrap_or("rows"),
            &[
                ("rows", Land::Rows),
                ("snapshot", Land::Snapshot),
                ("counts", Land::Counts),
            ],
        )?;
        let format = self.format()?;
        let encoding = self.choice(given.encoding.as_deref().unwrap_or("utf-8"), &ENCODINGS)?;
        let columns: Vec<Column> = given
            .columns
            .0
            .iter()
            .filter_map(|(name, column)| self.column(name, column))
            .collect();
        for name in given.key.iter().flatten() {
            self.column_name("key", name);
        }
        let event_time = given
            .event_time
            .clone()
            .and_then(|name| self.column_name("event_time", &name));
        let crs = self.crs(&columns)?;
        let mut columns = columns;
        for column in columns.iter_mut().filter(|column| column.kind.is_position()) {
            column.metres = crs.is_projected();
        }
        let contract = Contract {
            name: self.file.stem().to_owned(),
            path: self.file.path.clone(),
            title: [
                given.title_zh.clone().unwrap_or_default(),
                given.title_en.clone().unwrap_or_default(),
            ],
            from: given.from.clone()?,
            into,
            county: given.county.clone(),
            system: given.system.clone().unwrap_or_else(|| self.file.stem().to_owned()),
            on_request: given.on_request.unwrap_or(false),
            land,
            format,
            member: given.member.clone(),
            sheet: given.sheet.clone(),
            pull: self.pull(format)?,
            encoding,
            complete: self.complete()?,
            resend: self.choice(
                given.resend.as_deref().unwrap_or("refuse"),
                &[
                    ("refuse", Resend::Refuse),
                    ("replace", Resend::Replace),
                    ("upsert", Resend::Upsert),
                ],
            )?,
            stop_at_unknown: self.choice(
                given.unknown_columns.as_deref().unwrap_or("drop"),
                &[("drop", false), ("stop", true)],
            )?,
            reject_percent: given.reject_percent,
            conflict: self.conflict(format)?,
            keep_days: given.keep_days,
            purge_hours: self.after()?,
            dialect: self.dialect()?,
            crs,
            timezone: given.timezone.clone(),
            key: given.key.clone().unwrap_or_default(),
            event_time,
            known: self.known()?,
            origin: self.origin(&columns),
            mappable: self.mappable(&columns),
            place_kind: given
                .place_kind
                .clone()
                .and_then(|name| self.column_name("place_kind", &name)),
            bounds: given.bounds,
            waived: given.waive.0.iter().map(|(name, _)| name.clone()).collect(),
            counts: self.counts(land),
            columns,
        };
        self.rules(&contract);
        (self.problems.len() == before).then_some(contract)
    }

    fn column(&mut self, name: &str, given: &ColumnFile) -> Option<Column> {
        let Some(protect) = &given.protect else {
            self.problem(name, Message::new("contract_protect_missing", &[&name]));
            return None;
        };
        let protect = self.choice(protect, &Protect::NAMES)?;
        let kind = self.choice(given.kind.as_deref().unwrap_or("string"), &ColumnType::NAMES)?;
        let times = self.times(kind, given)?;
        let number = self.number(name, given)?;
        let codes = match &given.codes {
            None => None,
            Some(list) => match self.codes.get(list) {
                Some(codes) => Some(codes.clone()),
                None => {
                    self.problem(list, Message::new("contract_codes_missing", &[list]));
                    return None;
                }
            },
        };
        let keep_unknown = self.choice(
            given.unknown.as_deref().unwrap_or("reject"),
            &[("reject", false), ("keep", true)],
        )?;
        let blank_bad = self.choice(
            given.bad.as_deref().unwrap_or("reject"),
            &[("reject", false), ("blank", true)],
        )?;
        let may_be_absent = self.choice(
            given.absent.as_deref().unwrap_or("stop"),
            &[("stop", false), ("allow", true)],
        )?;
        Some(Column {
            name: name.to_owned(),
            from: given.from.clone().unwrap_or_else(|| name.to_owned()),
            aliases: given.aliases.clone().unwrap_or_default(),
            kind,
            protect,
            required: given.required.unwrap_or(false),
            after: self.dated_by(name, kind, given, &times)?,
            times,
            number,
            metres: false,
            range: given.range,
            accept: given.accept.clone().unwrap_or_default(),
            codes,
            keep_unknown,
            may_be_absent,
            blank_bad,
        })
    }

    /// Positions need a declared reference system; guessing would move every point.
    fn crs(&mut self, columns: &[Column]) -> Option<Crs> {
        match &self.merged.crs {
            Some(name) => match Crs::parse(name) {
                Ok(crs) => Some(crs),
                Err(_) => {
                    self.problem(name, Message::new("contract_crs", &[name, &Crs::accepted()]));
                    None
                }
            },
            None if columns
                .iter()
                .any(|column| column.kind.is_position() || column.kind == ColumnType::Area) =>
            {
                self.problem("columns", Message::new("contract_crs_missing", &[]));
                None
            }
            None => Some(Crs::Wgs84),
        }
    }

    /// The column of the instant by which a table is pulled: it says when a row's state was known, so that a
    /// replica that lags does not bring an older one back.
    fn watermark_column(&self) -> Option<String> {
        let watermark = self.merged.watermark.as_deref()?;
        let columns = self.merged.columns.0.iter();
        let mut instants = columns.filter(|(_, column)| {
            column.kind.as_deref() == Some("timestamp") && column.protect.as_deref() == Some("public")
        });
        let found = instants.find(|(name, column)| column.from.as_deref().unwrap_or(name) == watermark);
        found.map(|(name, _)| name.clone())
    }

    fn known(&mut self) -> Option<Known> {
        let Some(given) = self.merged.known.clone() else {
            let by_watermark = self.watermark_column().map(|column| Known::Column(column, 0));
            return Some(by_watermark.unwrap_or(Known::Ingest));
        };
        let (column, lag) = match given.split_once('+') {
            None => (given.trim(), 0),
            Some((column, lag)) => {
                let minutes = lag
                    .trim()
                    .strip_suffix("minutes")
                    .and_then(|n| n.trim().parse::<i64>().ok());
                let Some(minutes) = minutes else {
                    self.problem("known", Message::new("contract_known", &[&given]));
                    return None;
                };
                (column.trim(), minutes * 60_000_000)
            }
        };
        let column = self.column_name("known", column)?;
        Some(Known::Column(column, lag))
    }

    /// `<column>.<attribute>` of a column with a code list.
    fn attribute(&mut self, key: &str, given: &str, columns: &[Column]) -> Option<(String, usize)> {
        let (name, attribute) = given.split_once('.')?;
        let name = self.column_name(key, name)?;
        let list = columns.iter().find(|column| column.name == name)?.codes.as_ref();
        let position = list.and_then(|list| list.attribute(attribute));
        if position.is_none() {
            let known = list.map(|list| list.attributes().join(", ")).unwrap_or_default();
            self.problem(key, Message::new("contract_attribute", &[&key, &given, &known]));
        }
        Some((name, position?))
    }

    fn origin(&mut self, columns: &[Column]) -> Option<Origin> {
        let given = self.merged.origin.clone()?;
        if let Some(constant) = given.strip_prefix("constant ") {
            let Some(reason) = self.merged.origin_reason.clone() else {
                self.problem("origin", Message::new("contract_origin_reason", &[]));
                return None;
            };
            return Some(Origin::Constant(constant.trim().to_owned(), reason));
        }
        if given == "unknown" {
            return Some(Origin::Unknown);
        }
        if given.contains('.') {
            return self
                .attribute("origin", &given, columns)
                .map(|(name, at)| Origin::Attribute(name, at));
        }
        self.column_name("origin", &given).map(Origin::Column)
    }

    fn mappable(&mut self, columns: &[Column]) -> Option<(String, usize)> {
        let given = self.merged.mappable.clone()?;
        if given == "always" {
            None
        } else {
            self.attribute("mappable", &given, columns)
        }
    }

    fn counts(&mut self, land: Land) -> Option<Counts> {
        if land != Land::Counts {
            return None;
        }
        let mut counts = Counts {
            month: String::new(),
            county_only: None,
            measures: Vec::new(),
        };
        for (name, given) in &self.merged.counts.0 {
            let words: Vec<&str> = given.split_whitespace().collect();
            match (name.as_str(), words.as_slice()) {
                ("month", [column]) => counts.month = self.column_name("month", column)?,
                ("county_only", [column, "in", values]) => {
                    let values = values.split(',').map(str::to_owned).collect();
                    counts.county_only = Some((self.column_name("county_only", column)?, values));
                }
                (_, ["rows"]) => counts.measures.push((name.clone(), Measure::Rows)),
                (_, ["distinct", column]) => {
                    let column = self.column_name(name, column)?;
                    counts.measures.push((name.clone(), Measure::Distinct(column)));
                }
                (_, ["age", column, low, "to", high]) => {
                    let column = self.column_name(name, column)?;
                    let (Ok(low), Ok(high)) = (low.parse(), high.parse()) else {
                        self.problem(name, Message::new("contract_measure", &[given]));
                        continue;
                    };
                    counts.measures.push((name.clone(), Measure::Age(column, low, high)));
                }
                _ => self.problem(name, Message::new("contract_measure", &[given])),
            }
        }
        if counts.month.is_empty() || counts.measures.is_empty() {
            self.problem("land", Message::new("contract_counts_missing", &[]));
        }
        Some(counts)
    }

    /// The rules that concern several settings at once.
    fn rules(&mut self, contract: &Contract) {
        let alarm = contract.into == "source.alarm";
        if alarm && contract.has_position() && self.merged.mappable.is_none() {
            self.problem("into", Message::new("contract_mappable_missing", &[]));
        }
        if alarm && self.merged.origin.is_none() {
            self.problem("into", Message::new("contract_origin_missing", &[]));
        }
        if contract.county.is_none() && contract.column("county").is_none() {
            self.problem("into", Message::new("contract_county_missing", &[]));
        }
        for column in contract
            .columns
            .iter()
            .filter(|column| column.protect == Protect::Coarse)
        {
            if column.kind != ColumnType::Date && !column.kind.is_position() {
                self.problem(&column.name, Message::new("contract_coarse", &[&column.name]));
            }
        }
        let places = contract.columns.iter().any(|column| column.protect == Protect::Place);
        if places && contract.place_kind.is_none() {
            self.problem("place", Message::new("contract_place_kind_missing", &[]));
        }
        if contract.land == Land::Counts {
            for column in contract.columns.iter().filter(|column| column.protect == Protect::Key) {
                self.problem(&column.name, Message::new("contract_counts_key", &[&column.name]));
            }
        }
    }
}
