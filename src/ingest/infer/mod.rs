//! Drafts a contract, and the adapter to the domain, from samples of a source.
//!
//! Every guess stands in the draft with what was seen. What the samples cannot tell is left to a person,
//! written so that the loader refuses the draft until it is decided. Pure: bytes in, texts out.

mod adapter;
mod draft;
mod guess;
mod names;
mod plan;
mod sniff;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::config::settings::Pack;
use crate::error::{Kind, Result, fail};
use crate::protect::lexicon;
use guess::Matter;
use plan::{Column, Plan};
use sniff::{Delimited, EncodingGuess, Layout};

/// Values beyond which a column is no list of codes.
const CODES: usize = 1_000;
/// Rows that are looked at, over all samples.
const ROWS: usize = 100_000;

/// A file of the source, or its head.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// The bytes, unpacked.
    pub bytes: &'a [u8],
    /// Whether they are the whole file.
    pub whole: bool,
}

/// What was drafted.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The contract, in TOML.
    pub contract: String,
    /// The adapter, in SQL, for the models that have one.
    pub adapter: Option<String>,
    /// Code lists by name, in CSV: every value seen, with attributes that allow nothing yet.
    pub codes: Vec<(String, String)>,
    /// Findings for the terminal.
    pub notes: Vec<String>,
    /// Names of fields that must not be collected.
    pub forbidden: Vec<String>,
}

/// Drafts the contract `name` from `samples`, and with `to` (such as `core.alarm`) the adapter to that model.
///
/// # Errors
/// `Input` where no sample has records, or one is in no layout or encoding that a contract can declare.
pub fn infer(name: &str, samples: &[Sample<'_>], to: Option<&str>, pack: Pack) -> Result<Draft> {
    let source = read(name, samples)?;
    let values = source.table.distinct();
    let plan = Plan::new(name, samples, source, to, pack);
    let forbidden = plan
        .columns
        .iter()
        .filter(|column| matches!(column.matter, Matter::Forbidden(_)));
    let nested = plan.nested.iter().filter(|name| lexicon::forbidden(name).is_some());
    Ok(Draft {
        contract: draft::contract(&plan),
        adapter: to.and_then(|to| adapter::adapter(&plan, to)),
        codes: draft::codes(&plan, &values),
        notes: plan.notes(),
        forbidden: forbidden
            .map(|column| column.from.clone())
            .chain(nested.cloned())
            .collect(),
    })
}

/// The samples, read.
struct Source {
    encoding: EncodingGuess,
    layout: Layout,
    table: Table,
    nulls: Vec<&'static str>,
    notes: Vec<String>,
}

fn read(name: &str, samples: &[Sample<'_>]) -> Result<Source> {
    let filled: Vec<&Sample<'_>> = samples
        .iter()
        .filter(|sample| !sample.bytes.trim_ascii().is_empty())
        .collect();
    let mut encodings = Vec::new();
    for sample in &filled {
        let Some(found) = sniff::encoding(sample.bytes, sample.whole) else {
            let why = "encoding: neither UTF-8, UTF-16, GB18030 nor Big5";
            return Err(fail(Kind::Input, "infer_unreadable", &[&sample.name]).because(why));
        };
        encodings.push(found);
    }
    let told = encodings.iter().find(|found| !found.ascii);
    let Some(encoding) = told.or(encodings.first()).cloned() else {
        return Err(fail(Kind::Input, "infer_empty", &[&name]));
    };
    let mut layouts: Vec<Layout> = Vec::new();
    let mut table = Table::default();
    let mut notes = Vec::new();
    let most = (ROWS / filled.len().max(1)).max(200);
    for (sample, own) in filled.iter().zip(&encodings) {
        if !own.ascii && own.label != encoding.label {
            let (name, label) = (sample.name, own.label);
            notes.push(format!("{name}: in {label}, others in {}; left out", encoding.label));
            continue;
        }
        let text = sniff::text(sample.bytes, encoding.encoding, sample.whole);
        let Some(layout) = sniff::layout(&text) else {
            let why = "layout: neither delimited records nor JSON objects";
            return Err(fail(Kind::Input, "infer_unreadable", &[&sample.name]).because(why));
        };
        let before = table.names.clone();
        table.starts.push(table.rows);
        table.add(&text, &layout, most);
        if !before.is_empty() && before != table.names {
            let new = table
                .names
                .iter()
                .skip(before.len())
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            notes.push(format!("{}: has fields that earlier samples lack: {new}", sample.name));
        }
        layouts.push(layout);
    }
    let nulls = table.blank_nulls();
    let layout = layouts.into_iter().next().filter(|_| table.rows > 0);
    let Some(layout) = layout else {
        return Err(fail(Kind::Input, "infer_empty", &[&name]));
    };
    Ok(Source {
        encoding,
        layout,
        table,
        nulls,
        notes,
    })
}

/// The values of all samples, column by column.
#[derive(Default)]
struct Table {
    names: Vec<String>,
    columns: Vec<Vec<String>>,
    /// First row of each sample.
    starts: Vec<usize>,
    rows: usize,
    /// Records with another number of fields than the header.
    ragged: usize,
    /// JSON keys whose values are objects or lists.
    nested: Vec<String>,
}

impl Table {
    /// The different values of each column that has few.
    fn distinct(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::new();
        for (name, column) in self.names.iter().zip(&self.columns) {
            let mut values = BTreeSet::new();
            for value in column
                .iter()
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())
            {
                values.insert(value.to_owned());
                if values.len() > CODES {
                    break;
                }
            }
            if values.len() <= CODES {
                found.insert(name.clone(), values);
            }
        }
        found
    }

    fn column(&mut self, name: &str) -> usize {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at;
        }
        self.names.push(name.to_owned());
        self.columns.push(vec![String::new(); self.rows]);
        self.names.len() - 1
    }

    /// Sets a value of the row under way; of two fields of one name the first counts.
    fn set(&mut self, at: usize, text: &str) {
        if let Some(column) = self.columns.get_mut(at)
            && column.len() == self.rows
        {
            column.push(text.trim().to_owned());
        }
    }

    fn end_row(&mut self) {
        self.rows += 1;
        for column in &mut self.columns {
            column.resize(self.rows, String::new());
        }
    }

    fn add(&mut self, text: &str, layout: &Layout, most: usize) {
        match layout {
            Layout::Delimited(form) => self.add_records(text, form, most),
            Layout::Ndjson => {
                for line in text.lines().take(most) {
                    if let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) {
                        self.add_object(&object);
                    }
                }
            }
            Layout::JsonArray => {
                let mut rest = text.trim_start().trim_start_matches('[');
                for _ in 0..most {
                    rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
                    let Some(Ok(Value::Object(object))) = values.next() else {
                        break;
                    };
                    self.add_object(&object);
                    rest = rest.get(values.byte_offset()..).unwrap_or_default();
                }
            }
        }
    }

    fn add_records(&mut self, text: &str, form: &Delimited, most: usize) {
        let mut places = Vec::new();
        for name in &form.names {
            places.push(if name.is_empty() { None } else { Some(self.column(name)) });
        }
        let records = sniff::records(text, form).filter_map(std::result::Result::ok);
        for record in records
            .filter(|record| sniff::line(record) >= form.data_line)
            .take(most)
        {
            if record.len() != places.len() {
                self.ragged += 1;
                continue;
            }
            for (place, cell) in places.iter().zip(record.iter()) {
                if let Some(at) = place {
                    self.set(*at, cell);
                }
            }
            self.end_row();
        }
    }

    fn add_object(&mut self, object: &Map<String, Value>) {
        for (name, value) in object {
            let text = match value {
                Value::Array(_) | Value::Object(_) => {
                    if !self.nested.contains(name) {
                        self.nested.push(name.clone());
                    }
                    continue;
                }
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let at = self.column(name);
            self.set(at, &text);
        }
        self.end_row();
    }

    /// Empties the values that mean "empty", and says which texts these are. A dash or a word is one
    /// only where it stands among numbers or times.
    fn blank_nulls(&mut self) -> Vec<&'static str> {
        let has = |column: &[String], null: &str| column.iter().any(|value| value == null);
        let mut nulls = Vec::new();
        for (at, null) in guess::NULLS.into_iter().enumerate() {
            let sure = at < guess::SURE_NULLS;
            if self
                .columns
                .iter()
                .any(|column| has(column, null) && (sure || is_measured(column)))
            {
                nulls.push(null);
            }
        }
        for value in self.columns.iter_mut().flatten() {
            if nulls.contains(&value.as_str()) {
                value.clear();
            }
        }
        nulls
    }
}

fn is_measured(column: &[String]) -> bool {
    let values: Vec<&String> = column.iter().filter(|value| !guess::is_null(value)).collect();
    let marks = |byte: u8| byte.is_ascii_digit() || b"+-.,:/ ".contains(&byte);
    let measured = values.iter().filter(|value| value.bytes().all(marks)).count();
    values.len() >= 5 && guess::ratio(measured, values.len()) >= 0.95
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::file::ContractFile;
    use crate::place::crs::Crs;
    use crate::time::parse::TimeFormat;

    fn drafted(name: &str, bytes: &[u8], to: Option<&str>, pack: Pack) -> Draft {
        let sample = Sample {
            name: "sample.csv.gz",
            bytes,
            whole: true,
        };
        infer(name, &[sample], to, pack).expect("a draft")
    }

    fn parsed(draft: &Draft) -> ContractFile {
        toml::from_str(&draft.contract).unwrap_or_else(|cause| panic!("{cause}\n{}", draft.contract))
    }

    fn protect(file: &ContractFile, name: &str) -> Option<String> {
        file.columns.get(name).and_then(|column| column.protect.clone())
    }

    fn formats(file: &ContractFile, name: &str) -> Vec<String> {
        let format = file.columns.get(name).and_then(|column| column.format.as_ref());
        format.map(|format| format.all().to_vec()).unwrap_or_default()
    }

    /// Calls as an open-data page has them: one good time, one with half of the day lost.
    fn open_data() -> String {
        let mut text =
            "Date,Time,Address,ProblemType,Category,PatrolDistrict,IncidentNumber,LAT,LON,ResponseDate,About\n"
                .to_owned();
        for n in 0..300usize {
            let day = n / 150;
            let half = if n % 4 == 0 { " AM" } else { "" };
            text.push_str(&format!(
                "01/{:02}/24,{}:{:02}:{:02}{half},{n}00 Villita St,{},{},{},SAPD-2024-{n:07},{:.4},-98.5,{},a link\n",
                day + 1,
                n % 12 + 1,
                n % 60,
                n % 7,
                ["Shooting", "Fire", "Disturbance"][n % 3],
                ["Other Calls", "Traffic Calls"][n % 2],
                2110 + n % 5,
                29.4 + n as f64 * 0.0001,
                1_704_132_000_000u64 + day as u64 * 86_400_000 + n as u64 * 1_000
            ));
        }
        text
    }

    #[test]
    fn calls_of_an_open_data_page_are_drafted() {
        let draft = drafted("sapd", open_data().as_bytes(), Some("core.alarm"), Pack::Us);
        let file = parsed(&draft);
        assert_eq!(file.from.as_deref(), Some("inbox/sapd/*.csv.gz"));
        assert_eq!(file.into.as_deref(), Some("source.alarm"));
        assert_eq!(file.key, Some(vec!["alarm_id".to_owned()]));
        assert_eq!(file.event_time.as_deref(), Some("reported_at"));
        assert_eq!(file.crs.as_deref(), Some("wgs84"));
        assert_eq!(file.origin.as_deref(), Some("unknown"));
        assert_eq!(file.mappable.as_deref(), Some("category.is_mappable"));
        assert!(file.county.is_none(), "nobody knows it");
        assert_eq!(formats(&file, "reported_at"), ["epoch_ms"]);
        assert_eq!(formats(&file, "date"), ["%m/%d/%y"], "settled by the other time");
        let category = file.columns.get("category").and_then(|column| column.from.as_deref());
        assert_eq!(category, Some("ProblemType"));
        for (name, expected) in [
            ("alarm_id", "key"),
            ("source_category", "public"),
            ("area", "public"),
            ("lon", "public"),
            ("time", "drop"),
            ("address", "drop"),
            ("about", "drop"),
        ] {
            assert_eq!(protect(&file, name).as_deref(), Some(expected), "{name}");
        }
        assert!(!draft.contract.contains("SAPD-2024") && !draft.contract.contains("Villita"));
        let adapter = draft.adapter.expect("an adapter");
        assert!(adapter.contains("  a.alarm_id,\n") && adapter.contains("ON c.code = a.category"));
        assert!(draft.forbidden.is_empty());
    }

    /// The output columns of the last SELECT of a model that has one a line.
    fn outputs(sql: &str) -> Vec<String> {
        let select = sql
            .rfind("SELECT\n")
            .and_then(|at| sql.get(at + 7..))
            .unwrap_or_default();
        let columns = select.split("\nFROM ").next().unwrap_or_default();
        let lines = columns.lines().map(str::trim).filter(|line| !line.starts_with("--"));
        lines
            .filter_map(|line| line.trim_end_matches(',').rsplit([' ', '.']).next())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn an_adapter_has_the_columns_of_the_model_it_replaces() {
        for (to, model) in [
            ("core.alarm", include_str!("../../../sql/core/alarm.sql")),
            ("core.dispatch", include_str!("../../../sql/core/dispatch.sql")),
        ] {
            let draft = drafted("x", open_data().as_bytes(), Some(to), Pack::Us);
            let adapter = draft.adapter.expect("an adapter");
            assert_eq!(outputs(&adapter), outputs(model), "{to}");
        }
    }

    /// A county's export: GB18030, names of pinyin initials, what must not be in it.
    fn county_export() -> Vec<u8> {
        let mut text = "jjdbh,bjsj,bjfsdm,jqlbdm,xzqh,jd,wd,afdd,bjrxm,lxdh,mz,zj,bjnr\n".to_owned();
        for n in 0..60 {
            let zj = if n == 7 { "11010519491231002X" } else { "" };
            text.push_str(&format!(
                "3203112025{n:010},202503{:02}050607,01{:02},0{},320311,117.18{n:02},34.26{n:02},泉山区淮海路{n}号,王芳,\
                 139123456{n:02},汉,{zj},有人报警称丢失手机\n",
                n % 28 + 1,
                n % 3 + 1,
                n % 4 + 101,
            ));
        }
        let (bytes, _, _) = encoding_rs::GB18030.encode(&text);
        bytes.into_owned()
    }

    #[test]
    fn an_export_of_a_county_is_drafted_without_its_people() {
        let draft = drafted("alarm_320311", &county_export(), Some("core.alarm"), Pack::Cn);
        let file = parsed(&draft);
        assert_eq!(draft.forbidden, ["mz"]);
        assert_eq!(file.encoding.as_deref(), Some("gb18030"));
        assert_eq!(file.crs.as_deref(), Some("?"));
        assert!(Crs::parse("?").is_err(), "the loader asks");
        assert_eq!(file.origin.as_deref(), Some("report_mode.origin"));
        assert_eq!(formats(&file, "reported_at"), ["%Y%m%d%H%M%S"]);
        for (name, expected) in [
            ("alarm_id", "key"),
            ("category", "public"),
            ("county", "public"),
            ("afdd", "drop"),
            ("bjrxm", "drop"),
            ("lxdh", "drop"),
            ("mz", "drop"),
            ("zj", "drop"),
            ("bjnr", "drop"),
        ] {
            assert_eq!(protect(&file, name).as_deref(), Some(expected), "{name}");
        }
        for value in ["11010519491231002X", "王芳", "13912345", "淮海路", "报警称"] {
            assert!(!draft.contract.contains(value), "{value}");
        }
        assert!(draft.contract.contains("resident_number in 1 of 1 values"));
    }

    #[test]
    fn an_open_order_of_day_and_month_is_refused_by_the_loader() {
        let text = "id,when\n1,01/02/2024 10:00\n2,03/04/2024 11:00\n3,05/06/2024 12:00\n";
        let draft = drafted("x", text.as_bytes(), None, Pack::Eu);
        assert_eq!(formats(&parsed(&draft), "when"), ["?"]);
        assert!(TimeFormat::parse("?").is_none());
        assert!(
            draft
                .notes
                .iter()
                .any(|note| note.contains("order of day and month in `when`"))
        );
    }

    #[test]
    fn times_of_day_take_their_date_from_another_column() {
        let mut text = "case_number,date,received,arrived,cleared,type\n".to_owned();
        for n in 0..40 {
            let (hour, arrived) = if n == 5 { (23, 0) } else { (n % 20, n % 20) };
            text.push_str(&format!(
                "2109140{n:02},09/{:02}/21,{hour:02}:10,{arrived:02}:{:02},,Theft\n",
                n % 20 + 1,
                20 + n
            ));
        }
        let draft = drafted("slo", text.as_bytes(), Some("core.alarm"), Pack::Us);
        let line = |name: &str| {
            draft
                .contract
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default()
        };
        assert!(line("reported_at").contains("from = \"received\", type = \"timestamp\", format = \"%H:%M\""));
        assert!(line("reported_at").contains("after = \"date\""), "{}", draft.contract);
        assert!(
            line("arrived_at").contains("after = \"reported_at\""),
            "{}",
            draft.contract
        );
        assert!(
            line("arrived_at").contains("1 of 40 earlier in the day"),
            "{}",
            draft.contract
        );
        assert!(line("cleared").contains("protect = \"drop\""));
        assert!(draft.contract.contains("event_time = \"reported_at\""));
    }

    #[test]
    fn cameras_are_a_snapshot_and_their_numbers_are_public() {
        let mut text = "latitude,longitude,random_id,set\n".to_owned();
        for n in 0..60 {
            text.push_str(&format!("29.95{n:02},-90.06{n:02},0.10{n:02}73517,cameras\n"));
        }
        let draft = drafted("cameras", text.as_bytes(), Some("core.camera"), Pack::Us);
        let file = parsed(&draft);
        assert_eq!(file.land.as_deref(), Some("snapshot"));
        assert_eq!(file.key, Some(vec!["camera_id".to_owned()]));
        assert_eq!(protect(&file, "camera_id").as_deref(), Some("public"));
        assert_eq!(protect(&file, "set").as_deref(), Some("drop"));
        assert!(
            draft
                .adapter
                .is_some_and(|sql| sql.contains("CAST(360 AS DOUBLE) AS fov"))
        );
    }

    #[test]
    fn json_objects_are_drafted_and_nested_values_left_out() {
        let text = "{\"camera_id\":\"1\",\"event_at\":\"2025-03-04T05:06:07Z\",\"FaceID\":{\"x\":1}}\n\
                    {\"camera_id\":\"2\",\"event_at\":\"2025-03-04T06:06:07Z\",\"FaceID\":{\"x\":2}}\n";
        let draft = drafted("camera_status", text.as_bytes(), None, Pack::Cn);
        let file = parsed(&draft);
        assert_eq!(file.format.as_deref(), Some("ndjson"));
        assert_eq!(formats(&file, "event_at"), ["rfc3339"]);
        assert_eq!(draft.forbidden, ["FaceID"]);
        let list = "[{\"id\":1,\"n\":2},{\"id\":2,\"n\":3}]";
        assert!(
            drafted("x", list.as_bytes(), None, Pack::Cn)
                .contract
                .contains("2 rows")
        );
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let key = |samples: &[Sample<'_>]| {
            infer("x", samples, None, Pack::Cn)
                .map(|_| ())
                .map_err(|error| error.key())
        };
        let sample = |bytes: &'static [u8]| Sample {
            name: "x.csv",
            bytes,
            whole: true,
        };
        assert_eq!(key(&[]), Err("infer_empty"));
        assert_eq!(key(&[sample(b" \n")]), Err("infer_empty"));
        assert_eq!(
            key(&[sample(b"nom\nParisMarch\xe9,\xe9t\xe9\n")]),
            Err("infer_unreadable")
        );
        assert_eq!(
            key(&[sample(b"{\n \"type\": \"FeatureCollection\"\n}")]),
            Err("infer_unreadable")
        );
    }
}
