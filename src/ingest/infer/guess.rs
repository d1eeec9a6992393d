//! What a column holds: type, time format, role and protection, from its name and its values.
//!
//! A guess that the values do not settle is left open and says what a person must decide.

use std::collections::{HashMap, HashSet};

use super::names::{ADDRESS, KNOWN, PERSON, PROSE, TEXT_ROLES, fits, is_listed, normal};
pub(super) use super::names::{NULLS, SURE_NULLS, is_code_name, is_known, is_null, rank, snake};
pub(super) use super::times::rules;
use super::times::{COVERED, Times, times};
use crate::config::settings::Pack;
use crate::contract::number::{NumberStyle, float, integer};
use crate::contract::{ColumnType, Protect};
use crate::place::suspect::degrees;
use crate::protect::{lexicon, scan};

/// Different values that types and patterns are tried on.
const SAMPLED: usize = 5_000;

const PLACE_ENDS: &str = "区县市省镇乡村街道路所站局队园港山河湖桥门厂校院店楼城州旗盟社";
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢\
姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤";
const DOUBLE_SURNAMES: [&str; 24] = [
    "欧阳", "上官", "司马", "诸葛", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "东方", "夏侯", "端木", "百里",
    "南宫", "长孙", "宇文", "鲜于", "闻人", "澹台", "濮阳", "淳于", "申屠", "轩辕",
];
const STREETS: &str = " ST AVE AV RD BLVD DR LN CT HWY PKWY STREET ROAD AVENUE DRIVE LANE PL EXPY FWY PIKE WAY ";

/// Part of a whole; nothing of nothing is 0.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A share in words that never round it to none or all.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 {
        "<1 %".to_owned()
    } else if share < 1.0 && share > 0.99 {
        ">99 %".to_owned()
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

/// What was counted of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) rows: usize,
    pub(super) filled: usize,
    pub(super) distinct: usize,
    /// Share of different values among the filled, in the sample where it is least.
    pub(super) unique: f64,
    /// The most frequent values with their counts.
    pub(super) top: Vec<(String, usize)>,
    /// Characters that one value in twenty exceeds.
    pub(super) long: usize,
}

impl Seen {
    /// Counts `values`; a sample begins at each of `starts`.
    pub(super) fn of(values: &[String], starts: &[usize]) -> Seen {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let filled = || values.iter().map(String::as_str).filter(|value| !value.is_empty());
        for value in filled() {
            *counts.entry(value).or_default() += 1;
        }
        let mut lengths: Vec<usize> = counts.keys().map(|value| value.chars().count()).collect();
        lengths.sort_unstable();
        let long = lengths
            .get(lengths.len().saturating_sub(1) * 19 / 20)
            .copied()
            .unwrap_or(0);
        let ends = starts.iter().skip(1).copied().chain([values.len()]);
        let shares = starts.iter().zip(ends).filter_map(|(from, to)| {
            let part: Vec<&String> = values
                .get(*from..to)?
                .iter()
                .filter(|value| !value.is_empty())
                .collect();
            let distinct: HashSet<&String> = part.iter().copied().collect();
            (!part.is_empty()).then(|| ratio(distinct.len(), part.len()))
        });
        let unique = shares.fold(1.0, f64::min);
        let distinct = counts.len();
        let mut top: Vec<(&str, usize)> = counts.into_iter().collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        Seen {
            rows: values.len(),
            filled: filled().count(),
            distinct,
            unique,
            top: top
                .into_iter()
                .take(6)
                .map(|(value, count)| (value.to_owned(), count))
                .collect(),
            long,
        }
    }

    /// Share of different values among the filled.
    pub(super) fn spread(&self) -> f64 {
        ratio(self.distinct, self.filled)
    }

    /// Few values that come again and again.
    pub(super) fn is_list(&self) -> bool {
        let few = self.distinct <= 500 && self.spread() <= 0.25;
        self.long <= 60 && (few || (self.distinct <= 20 && self.spread() <= 0.7))
    }
}

/// Different values of a column, evenly from all of it.
pub(super) fn sampled(values: &[String]) -> Vec<&str> {
    let filled: Vec<&str> = values
        .iter()
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .collect();
    let step = filled.len().div_ceil(SAMPLED).max(1);
    let mut known = HashSet::new();
    filled
        .into_iter()
        .step_by(step)
        .filter(|value| known.insert(*value))
        .collect()
}

/// What the values of a column are.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) kind: ColumnType,
    pub(super) times: Option<Times>,
    pub(super) style: NumberStyle,
    /// Sampled values that break the type.
    pub(super) unread: usize,
    /// What the type leaves open.
    pub(super) open: Option<String>,
}

impl Shape {
    fn of(kind: ColumnType) -> Shape {
        Shape {
            kind,
            times: None,
            style: NumberStyle::default(),
            unread: 0,
            open: None,
        }
    }
}

/// The type of a column.
pub(super) fn shape(name: &str, values: &[&str]) -> Shape {
    if values.is_empty() {
        return Shape::of(ColumnType::String);
    }
    let unread = |good: &dyn Fn(&str) -> bool| values.iter().filter(|value| !good(value)).count();
    let mostly = |unread: usize| ratio(values.len() - unread, values.len()) >= 0.95;
    let points = unread(&|value| point(value).is_some());
    if mostly(points) {
        return Shape {
            unread: points,
            ..Shape::of(ColumnType::Point)
        };
    }
    for (role, kind, most) in [("lon", ColumnType::Lon, 180.0), ("lat", ColumnType::Lat, 90.0)] {
        if rank(role, '*', name).is_none() {
            continue;
        }
        let bad = unread(&|value| degrees(value).is_some_and(|angle| angle.abs() <= most));
        if mostly(bad) {
            return Shape {
                unread: bad,
                ..Shape::of(kind)
            };
        }
    }
    if let Some(times) = times(name, values) {
        let kind = if times.is_date() && !times.clock {
            ColumnType::Date
        } else {
            ColumnType::Timestamp
        };
        return Shape {
            unread: times.unread,
            times: Some(times),
            ..Shape::of(kind)
        };
    }
    if is_bool(name, values) {
        return Shape::of(ColumnType::Bool);
    }
    number(name, values).unwrap_or_else(|| Shape::of(ColumnType::String))
}

/// Longitude and latitude of a WKT point.
pub(super) fn point(text: &str) -> Option<(f64, f64)> {
    let inner = text
        .strip_prefix("POINT")?
        .trim()
        .strip_prefix('(')?
        .strip_suffix(')')?;
    let mut parts = inner.split_whitespace().map(degrees);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Some(lon)), Some(Some(lat)), None) => Some((lon, lat)),
        _ => None,
    }
}

fn is_bool(name: &str, values: &[&str]) -> bool {
    const PAIRS: [[&str; 2]; 6] = [
        ["Y", "N"],
        ["y", "n"],
        ["true", "false"],
        ["TRUE", "FALSE"],
        ["True", "False"],
        ["是", "否"],
    ];
    let (snake, normal) = (snake(name), normal(name));
    let says =
        snake.starts_with("is_") || snake.contains("flag") || normal.starts_with("是否") || normal.ends_with("bs");
    let of = |pair: &[&str; 2]| values.iter().all(|value| pair.contains(value));
    let pair = PAIRS.iter().any(of) && (values.len() == 2 || says);
    pair || (says && of(&["1", "0"]))
}

fn number(name: &str, values: &[&str]) -> Option<Shape> {
    let padded = |value: &&str| value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit());
    if is_code_name(name) || values.iter().any(padded) {
        return None;
    }
    let style = |decimal, thousands| NumberStyle { decimal, thousands };
    let styles = [
        style('.', None),
        style('.', Some(',')),
        style(',', None),
        style(',', Some('.')),
        style(',', Some(' ')),
    ];
    let read = |style: &NumberStyle| values.iter().filter(|value| float(value, style).is_some()).count();
    let good: Vec<&NumberStyle> = styles
        .iter()
        .filter(|style| ratio(read(style), values.len()) >= COVERED)
        .collect();
    let style = *good.first()?;
    let whole = values
        .iter()
        .all(|value| integer(value, style).is_some() || float(value, style).is_none());
    let marked = style.thousands.is_some() || style.decimal != '.';
    let open = (marked && good.len() > 1).then(|| "is the mark a decimal comma or between thousands".to_owned());
    Some(Shape {
        style: *style,
        unread: values.len() - read(style),
        open,
        ..Shape::of(if whole { ColumnType::Int } else { ColumnType::Float })
    })
}

/// What a column is about, apart from its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matter {
    /// Must not be collected; the entry of the lexicon.
    Forbidden(&'static str),
    /// About a person, by its name.
    Person,
    /// Identifiers: the pattern, and how many of how many values.
    Identifier(&'static str, usize, usize),
    /// Personal names, by their form.
    Names,
    /// Words that somebody typed.
    Prose,
    /// Where somebody lives.
    Address,
    /// Links.
    Link,
    /// Nothing of this.
    Plain,
}

/// What a column is about.
pub(super) fn matter(name: &str, shape: &Shape, seen: &Seen, values: &[&str], pack: Pack) -> Matter {
    let text = normal(name);
    if let Some(entry) = lexicon::forbidden(name) {
        return Matter::Forbidden(entry);
    }
    let initiator = rank("self_initiated", 'a', name).is_some();
    if lexicon::personal(name).is_some() || (is_listed(PERSON, &text) && !initiator) {
        return Matter::Person;
    }
    let measured = !matches!(shape.kind, ColumnType::String | ColumnType::Int | ColumnType::Float);
    if measured {
        return Matter::Plain;
    }
    let mut pattern = None;
    let mut hits = 0;
    for value in values {
        scan::each(scan::half_width(value).as_bytes(), pack, &mut |hit| {
            pattern = Some(hit.pattern);
            hits += 1;
            false
        });
    }
    if let Some(pattern) = pattern {
        return Matter::Identifier(pattern, hits, values.len());
    }
    if shape.kind != ColumnType::String {
        return Matter::Plain;
    }
    let share = |good: fn(&str) -> bool| ratio(values.iter().filter(|value| good(value)).count(), values.len());
    let long_han = seen.long > 12 && share(has_han) > 0.5;
    let many = seen.spread() > 0.6 && seen.distinct > 20;
    if is_listed(ADDRESS, &text) || (share(is_address) >= 0.5 && seen.distinct > 20) {
        Matter::Address
    } else if is_listed(PROSE, &text) || seen.long > 64 || (many && (seen.long > 32 || long_han)) {
        Matter::Prose
    } else if values.len() >= 10 && share(is_person_name) >= 0.8 {
        Matter::Names
    } else if share(is_link) > 0.9 {
        Matter::Link
    } else {
        Matter::Plain
    }
}

fn is_han(c: char) -> bool {
    ('\u{3400}'..='\u{9fff}').contains(&c) || c > '\u{20000}'
}

fn has_han(text: &str) -> bool {
    text.chars().any(is_han)
}

fn is_link(text: &str) -> bool {
    text.starts_with("http")
}

fn is_person_name(text: &str) -> bool {
    let length = text.chars().count();
    (2..=4).contains(&length)
        && text.chars().all(is_han)
        && (text.starts_with(|c: char| SURNAMES.contains(c))
            || DOUBLE_SURNAMES.iter().any(|name| text.starts_with(name)))
        && !text.ends_with(|c: char| PLACE_ENDS.contains(c))
}

fn is_address(text: &str) -> bool {
    if has_han(text) {
        let numbered = text.contains('号') || text.chars().any(char::is_numeric);
        return numbered && text.contains(|c: char| "路街巷弄村组号室栋幢".contains(c));
    }
    let starts = text.starts_with(|c: char| c.is_ascii_digit());
    let street = |word: &str| STREETS.contains(&format!(" {} ", word.to_ascii_uppercase()));
    (starts || text.contains(" & ") || text.contains(" / ")) && text.split_whitespace().any(street)
}

/// Whether a column can have a role, given what its values are. `own` is the role that numbers the rows.
fn can_be(role: &str, own: &str, shape: &Shape, seen: &Seen) -> bool {
    let timed = shape.times.as_ref().is_some_and(|times| times.half_lost == 0.0);
    let is_number = matches!(shape.kind, ColumnType::Int | ColumnType::Float);
    let is_text = is_number || matches!(shape.kind, ColumnType::String | ColumnType::Bool);
    match role {
        "lon" => shape.kind == ColumnType::Lon,
        "lat" => shape.kind == ColumnType::Lat,
        "position" => shape.kind == ColumnType::Point,
        "x" | "y" | "bearing" | "fov" | "range_metres" => is_number,
        "window_start" => timed && shape.kind == ColumnType::Timestamp,
        time if time.ends_with("_at") || time == "occurred_from" => timed && shape.kind == ColumnType::Timestamp,
        "self_initiated" | "is_final" | "is_networked" => seen.distinct <= 3 && seen.filled > 0,
        "category" | "category_call" | "category_final" => {
            is_text && seen.distinct <= 2_000 && (seen.spread() <= 0.5 || seen.distinct <= 20)
        }
        "priority" | "kind" | "class" | "result" | "report_mode" => is_text && seen.distinct <= 200,
        numbering if numbering == own => is_text && seen.unique >= 0.99,
        _ => is_text && seen.filled > 0,
    }
}

/// The role of each column; a role goes to the column whose name is surest.
pub(super) fn roles(
    names: &[String],
    shapes: &[Shape],
    seen: &[Seen],
    matters: &[Matter],
    files: char,
    own: &str,
) -> Vec<Option<&'static str>> {
    let mut roles: Vec<Option<&'static str>> = vec![None; names.len()];
    for known in KNOWN.iter().filter(|known| known.files == files || known.files == '*') {
        let free = names.iter().zip(shapes).zip(seen).zip(matters).enumerate().filter_map(
            |(at, (((name, shape), seen), matter))| {
                let allowed = matches!(matter, Matter::Plain)
                    || (*matter == Matter::Address && known.name == "name")
                    || (*matter == Matter::Prose && known.name == "category" && seen.is_list());
                let taken = roles.get(at).copied().flatten().is_some();
                if taken || !allowed || !can_be(known.name, own, shape, seen) {
                    return None;
                }
                Some((fits(known.words.iter().copied(), &normal(name))?, at))
            },
        );
        if let Some((_, at)) = free.min()
            && let Some(role) = roles.get_mut(at)
        {
            *role = Some(known.name);
        }
    }
    roles
}

/// The type that a role asks for, where it is not the one the values have.
pub(super) fn kind_in(role: Option<&str>, kind: ColumnType) -> ColumnType {
    match role {
        Some(role) if is_listed(TEXT_ROLES, role) => ColumnType::String,
        Some("self_initiated") => ColumnType::String,
        _ => kind,
    }
}

/// How a column is protected, and why. `rows` says whether the file has events, whose numbers are
/// documents; the numbers of cameras, sensors and areas are public.
pub(super) fn protect(
    name: &str,
    role: Option<&str>,
    shape: &Shape,
    seen: &Seen,
    matter: &Matter,
    rows: bool,
) -> (Protect, String) {
    let kept = |why: &str| (Protect::Public, why.to_owned());
    let dropped = |why: &str| (Protect::Drop, why.to_owned());
    match matter {
        Matter::Forbidden(entry) => {
            return (
                Protect::Drop,
                format!("forbidden (`{entry}`): every file that has it is refused until the source leaves it out"),
            );
        }
        Matter::Person => return dropped("about a person, by its name"),
        Matter::Identifier(pattern, hits, values) => {
            return (Protect::Drop, format!("{pattern} in {hits} of {values} values"));
        }
        Matter::Names => return dropped("its values look like personal names"),
        _ if seen.filled == 0 => return dropped("empty in every row"),
        Matter::Address if role.is_none() => return dropped("an address; `place` needs a place_kind"),
        Matter::Prose if role.is_none() => return dropped("words that somebody typed"),
        Matter::Link => return dropped("links"),
        _ => {}
    }
    let documents = ["alarm_id", "main_alarm_id", "dispatch_id", "feedback_id"];
    if role.is_some_and(|role| documents.contains(&role)) {
        return (Protect::Key, "numbers documents".to_owned());
    }
    if let Some(role) = role {
        return kept(&format!("a name of {role}"));
    }
    if shape.times.as_ref().is_some_and(|times| times.half_lost > 0.0) {
        return dropped("half of the day is lost");
    }
    // a counter that stood still is a measure all the same
    let still = shape.kind != ColumnType::String && seen.top.iter().all(|(value, _)| value.starts_with('0'));
    if seen.distinct == 1 && seen.rows >= 50 && !still {
        return dropped("one value in all rows");
    }
    if is_code_name(name) && !seen.is_list() {
        return if rows {
            (Protect::Key, "numbers documents".to_owned())
        } else {
            kept("numbers things, not people")
        };
    }
    if shape.kind != ColumnType::String || seen.is_list() {
        return kept("neither text nor identifiers");
    }
    let place = !rows && (normal(name).contains("name") || normal(name).contains("名称"));
    if place {
        return kept("names of things");
    }
    dropped("many different texts; public only after somebody has read them")
}

/// What is known of the reference system of positions.
#[derive(Debug, Clone)]
pub(super) struct CrsGuess {
    /// `None` leaves it to a person.
    pub(super) declared: Option<&'static str>,
    pub(super) why: String,
    /// West, south, east, north in degrees.
    pub(super) bounds: Option<[f64; 4]>,
    /// Share of positions at 0, 0.
    pub(super) zero: f64,
}

/// The reference system of positions as far as their size tells it.
pub(super) fn crs(points: impl Iterator<Item = (f64, f64)>) -> CrsGuess {
    let points: Vec<(f64, f64)> = points.collect();
    let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = points
        .iter()
        .copied()
        .filter(|(x, y)| x.abs() >= 0.01 || y.abs() >= 0.01)
        .unzip();
    xs.sort_by(f64::total_cmp);
    ys.sort_by(f64::total_cmp);
    let zero = ratio(points.len() - xs.len(), points.len());
    let left_open = |why: String, bounds: Option<[f64; 4]>| CrsGuess {
        declared: None,
        why,
        bounds,
        zero,
    };
    if xs.is_empty() {
        return left_open("no position was seen".to_owned(), None);
    }
    let (x, y) = (quantile(&xs, 0.5), quantile(&ys, 0.5));
    if x.abs() > 180.0 || y.abs() > 90.0 {
        let codes = grids(x, y);
        let why = if codes.is_empty() {
            "no degrees, and no metres of a grid with an accepted EPSG code".to_owned()
        } else {
            format!(
                "metres; by their size {} (or an older datum, which is not accepted)",
                codes.join(" or ")
            )
        };
        return left_open(why, None);
    }
    let (west, south) = (quantile(&xs, 0.01), quantile(&ys, 0.01));
    let (east, north) = (quantile(&xs, 0.99), quantile(&ys, 0.99));
    let (wide, high) = (((east - west) / 2.0).max(0.1), ((north - south) / 2.0).max(0.1));
    let down = |angle: f64| (angle * 10.0).floor() / 10.0;
    let up = |angle: f64| (angle * 10.0).ceil() / 10.0;
    let bounds = Some([down(west - wide), down(south - high), up(east + wide), up(north + high)]);
    if (73.0..=136.0).contains(&x) && (3.0..=54.0).contains(&y) {
        let why = "in China wgs84, cgcs2000, gcj02 and bd09 look alike and lie up to 1300 m apart; ask the source";
        return left_open(why.to_owned(), bounds);
    }
    CrsGuess {
        declared: Some("wgs84"),
        why: format!("degrees around {x:.1}, {y:.1}, outside China, where maps are not shifted"),
        bounds,
        zero,
    }
}

/// The value below which this share of sorted numbers lies; NaN of none.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The accepted metre grids in which an easting and a northing of this size lie in China.
pub(super) fn grids(easting: f64, northing: f64) -> Vec<String> {
    if !(1_900_000.0..6_000_000.0).contains(&northing) || !(100_000.0..46_000_000.0).contains(&easting) {
        return Vec::new();
    }
    let zone = (easting / 1_000_000.0).floor() as u32;
    if !(100_000.0..900_000.0).contains(&(easting - f64::from(zone) * 1_000_000.0)) {
        return Vec::new();
    }
    match zone {
        0 => vec![
            "EPSG:4502-4512 (6 degrees)".to_owned(),
            "EPSG:4534-4554 (3 degrees)".to_owned(),
            "EPSG:32643-32653 (UTM)".to_owned(),
        ],
        13..=23 => vec![format!("EPSG:{} (6 degrees, zone {zone})", 4491 + zone - 13)],
        25..=45 => vec![format!("EPSG:{} (3 degrees, zone {zone})", 4513 + zone - 25)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn types_follow_names_and_values() {
        let kind = |name: &str, values: &[&str]| shape(name, values).kind;
        assert_eq!(kind("zip", &["19525", "19446"]), ColumnType::String);
        assert_eq!(kind("n", &["007", "12"]), ColumnType::String);
        assert_eq!(kind("unit_count", &["1", "2"]), ColumnType::Int);
        assert_eq!(kind("Night Total", &["0.0", "1.0"]), ColumnType::Float);
        assert_eq!(kind("lng", &["-75.58", "-75.26"]), ColumnType::Lon);
        assert_eq!(kind("纬度", &["34°15′42″", "34.26"]), ColumnType::Lat);
        assert_eq!(
            kind("Location", &["POINT (-90.03 29.98)", "POINT (0 0)"]),
            ColumnType::Point
        );
        assert_eq!(kind("is_networked", &["1", "0"]), ColumnType::Bool);
        assert_eq!(kind("count", &["1", "0"]), ColumnType::Int);
        assert_eq!(kind("SelfInitiated", &["Y", "N"]), ColumnType::Bool);
        let thousands = shape("total", &["1,234", "12"]);
        assert_eq!(
            (thousands.kind, thousands.style.thousands),
            (ColumnType::Int, Some(','))
        );
        assert!(thousands.open.is_some(), "1,234 may be 1.234");
        assert!(shape("total", &["1,234.5", "12"]).open.is_none());
    }

    #[test]
    fn people_are_found_by_name_by_number_and_by_form() {
        let of = |name: &str, values: &[&str], pack| {
            let seen = Seen::of(&owned(values), &[0]);
            matter(name, &shape(name, values), &seen, values, pack)
        };
        assert_eq!(of("mz", &["汉"], Pack::Cn), Matter::Forbidden("mz"));
        assert_eq!(of("bjrxm", &["x"], Pack::Cn), Matter::Person);
        assert_eq!(of("OfficerID", &["x"], Pack::Us), Matter::Person);
        assert_eq!(
            of("zj", &["11010519491231002X", "1"], Pack::Cn),
            Matter::Identifier("resident_number", 1, 2)
        );
        assert_eq!(
            of("a", &["call 210-555-0123 now"], Pack::Us),
            Matter::Identifier("telephone_number", 1, 1)
        );
        let people = [
            "王芳", "李伟", "张敏", "刘洋", "陈静", "杨磊", "黄丽", "赵军", "吴强", "周杰",
        ];
        assert_eq!(of("a", &people, Pack::Cn), Matter::Names);
        let places = [
            "黄楼街道",
            "丰财街道",
            "王庄镇",
            "张集镇",
            "刘集镇",
            "何桥镇",
            "马坡镇",
            "郑集镇",
            "黄集镇",
            "大彭镇",
        ];
        assert_eq!(of("name", &places, Pack::Cn), Matter::Plain);
        assert_eq!(of("afdd", &["x"], Pack::Cn), Matter::Address);
        assert_eq!(of("bjnr", &["x"], Pack::Cn), Matter::Prose);
    }

    #[test]
    fn a_reference_system_is_guessed_outside_china_only() {
        let new_orleans = crs([(-90.03, 29.98), (-90.08, 29.94), (0.0, 0.0)].into_iter());
        assert_eq!(
            (new_orleans.declared, new_orleans.bounds),
            (Some("wgs84"), Some([-90.2, 29.8, -89.9, 30.1]))
        );
        assert!(new_orleans.zero > 0.3);
        let xuzhou = crs([(117.18, 34.26), (117.19, 34.27)].into_iter());
        assert!(xuzhou.declared.is_none() && xuzhou.why.contains("gcj02"));
        let metres = crs([(40_240_681.4, 3_796_288.9)].into_iter());
        assert!(metres.declared.is_none() && metres.why.contains("EPSG:4528"));
        assert!(grids(3_796_288.9, 40_240_681.4).is_empty(), "exchanged axes");
        assert_eq!(grids(740_681.4, 3_796_288.9).len(), 3, "no zone in front");
        assert!(crs(std::iter::empty()).declared.is_none());
    }

    #[test]
    fn names_of_the_field_have_roles_and_table_names() {
        assert_eq!(rank("reported_at", 'a', "bjsj"), Some(0));
        assert!(rank("category", 'a', "ProblemType") < rank("category", 'a', "Category"));
        assert!(rank("camera_id", 'c', "random_id").is_some() && rank("camera_id", 'a', "random_id").is_none());
        assert_eq!(snake("PatrolDistrict"), "patrol_district");
        assert_eq!(snake("Mode bicycle(B > A)"), "mode_bicycle_b_a");
        assert_eq!(snake("BLOCK_ADDRESS"), "block_address");
        assert_eq!(snake("AGES_0-14"), "ages_0_14");
        assert_eq!(snake("报警时间"), "");
        assert!(is_code_name("jqlbdm") && is_code_name("areaCode") && !is_code_name("grid"));
        assert_eq!((percent(0.001).as_str(), percent(0.999).as_str()), ("<1 %", ">99 %"));
    }
}
