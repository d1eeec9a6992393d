//! Times as the field writes them. Formats are declared in the contract, never guessed.
//!
//! A column may declare several formats. Each is tried; a text into which two of them read different
//! times is refused. Instants outside 1900–2200 are refused as well: no dispatch system means one, and
//! a number in the wrong unit lands there.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse, parse_and_remainder};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};

use crate::time::calendar::{Calendar, date, days};

/// 1900-01-01 to 2200-01-01, UTC microseconds.
const MEANT: std::ops::Range<i64> = -2_208_988_800_000_000..7_258_118_400_000_000;

/// 1850-01-01 to 2200-12-31, days since 1970-01-01: dates of birth and of buildings go further back.
const MEANT_DAYS: std::ops::RangeInclusive<i32> = -43_829..=84_370;

/// Microseconds of a day without a clock change.
const DAY_MICROS: i64 = 86_400_000_000;

/// 2001-02-03T04:05:06.123456Z, whose fields all differ.
const SAMPLE: i64 = 981_173_106_123_456;

/// A declared way of writing times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970 UTC.
    EpochSeconds,
    /// Milliseconds since 1970 UTC.
    EpochMilliseconds,
    /// Microseconds since 1970 UTC.
    EpochMicroseconds,
    /// RFC 3339 with its offset.
    Rfc3339,
    /// Local days since 1899-12-31 as spreadsheets count them, with a 29 February 1900.
    Excel1900,
    /// Local days since 1904-01-01, as spreadsheets of old Macintoshes count them.
    Excel1904,
    /// A local time in the contract's zone, by a strftime pattern; an instant where the pattern has an offset.
    Local(String),
}

impl TimeFormat {
    /// A format by its name in a contract: `epoch_s`, `epoch_ms`, `epoch_us`, `rfc3339`, `excel`,
    /// `excel1904`, or a strftime pattern.
    ///
    /// `None` also for a pattern that cannot read back what it writes (`%m-%d`, `%I:%M`), or that would
    /// be read otherwise than it looks: `%Z` takes any word for a zone and ignores it, a zone spelled out
    /// after the time (`%SZ`) would be ignored too, `%f` counts nanoseconds (a fraction is `%.f` or
    /// `%3f`), `%s` and `%+` are `epoch_s` and `rfc3339`.
    pub fn parse(name: &str) -> Option<TimeFormat> {
        match name {
            "epoch_s" => Some(TimeFormat::EpochSeconds),
            "epoch_ms" => Some(TimeFormat::EpochMilliseconds),
            "epoch_us" => Some(TimeFormat::EpochMicroseconds),
            "rfc3339" => Some(TimeFormat::Rfc3339),
            "excel" => Some(TimeFormat::Excel1900),
            "excel1904" => Some(TimeFormat::Excel1904),
            pattern if pattern.contains('%') => Layout::new(pattern).map(|_| TimeFormat::Local(pattern.to_owned())),
            _ => None,
        }
    }
}

/// How the times of a column are written, ready to read them.
#[derive(Debug, Clone)]
pub struct TimeRules {
    formats: Vec<TimeFormat>,
    readers: Vec<Reader>,
    hour24: bool,
}

impl TimeRules {
    /// Rules from the declared formats. `hour24`: the source writes the end of a day as 24:00.
    ///
    /// A pattern that [`TimeFormat::parse`] refuses reads nothing.
    pub fn new(formats: Vec<TimeFormat>, hour24: bool) -> TimeRules {
        let readers = formats.iter().filter_map(Reader::new).collect();
        TimeRules {
            formats,
            readers,
            hour24,
        }
    }

    /// The declared formats.
    pub fn formats(&self) -> &[TimeFormat] {
        &self.formats
    }

    /// Whether 24:00 is the midnight that ends the day.
    pub fn hour24(&self) -> bool {
        self.hour24
    }

    /// The format, where exactly one is declared.
    pub fn only(&self) -> Option<&TimeFormat> {
        match self.formats.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether every format is a time of day without a date.
    pub fn is_time_only(&self) -> bool {
        let time_only = |reader: &Reader| matches!(reader, Reader::Layout(layout) if !layout.dated);
        !self.formats.is_empty() && self.readers.len() == self.formats.len() && self.readers.iter().all(time_only)
    }

    /// The instant that `text` states, in UTC microseconds; `None` where it states none, several, or one
    /// outside 1900–2200. A date alone is its local midnight.
    pub fn instant(&self, text: &str, calendar: &Calendar) -> Option<i64> {
        let text = half_width(text);
        agreed(self.readers.iter().filter_map(|reader| {
            let at = reader.instant(&text, self.hour24, calendar)?;
            MEANT.contains(&at).then_some(at)
        }))
    }

    /// The date that `text` states, in days since 1970-01-01; `None` where it states none, several, or
    /// one outside 1850–2200. Numbers since 1970 and RFC 3339 are instants and state no date.
    pub fn day(&self, text: &str) -> Option<i32> {
        let text = half_width(text);
        agreed(self.readers.iter().filter_map(|reader| {
            let day = days(reader.reading(&text, self.hour24)?.local()?.date());
            MEANT_DAYS.contains(&day).then_some(day)
        }))
    }

    /// The time of day that `text` states, in microseconds since local midnight, by the formats without
    /// a date. A declared 24:00 is the whole day, 86 400 000 000.
    pub fn time_of_day(&self, text: &str) -> Option<i64> {
        let text = half_width(text);
        agreed(
            self.readers
                .iter()
                .filter_map(|reader| reader.reading(&text, self.hour24)?.time_of_day()),
        )
    }
}

/// The answer, where all answers are the same.
fn agreed<T: PartialEq>(mut answers: impl Iterator<Item = T>) -> Option<T> {
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

/// A format made ready.
#[derive(Debug, Clone)]
enum Reader {
    /// A number of units of so many microseconds.
    Epoch(i64),
    Rfc3339,
    /// A serial, with the day number of its whole part.
    Excel(fn(i32) -> Option<i32>),
    Exact(&'static Exact),
    Layout(Layout),
}

impl Reader {
    fn new(format: &TimeFormat) -> Option<Reader> {
        Some(match format {
            TimeFormat::EpochSeconds => Reader::Epoch(1_000_000),
            TimeFormat::EpochMilliseconds => Reader::Epoch(1_000),
            TimeFormat::EpochMicroseconds => Reader::Epoch(1),
            TimeFormat::Rfc3339 => Reader::Rfc3339,
            TimeFormat::Excel1900 => Reader::Excel(day_1900),
            TimeFormat::Excel1904 => Reader::Excel(day_1904),
            TimeFormat::Local(pattern) => match pattern.as_str() {
                "%Y-%m-%d %H:%M:%S" => Reader::Exact(&DASHED),
                "%Y%m%d%H%M%S" => Reader::Exact(&PACKED),
                other => Reader::Layout(Layout::new(other)?),
            },
        })
    }

    fn instant(&self, text: &str, hour24: bool, calendar: &Calendar) -> Option<i64> {
        match self {
            Reader::Epoch(unit) => epoch(text, *unit),
            Reader::Rfc3339 => rfc3339(text, hour24),
            _ => self.reading(text, hour24)?.instant(calendar),
        }
    }

    fn reading(&self, text: &str, hour24: bool) -> Option<Reading> {
        match self {
            Reader::Epoch(_) | Reader::Rfc3339 => None,
            Reader::Excel(day) => excel(text, *day),
            Reader::Exact(exact) => exact.read(text, hour24),
            Reader::Layout(layout) => layout.read(text, hour24),
        }
    }
}

/// What a text states before a zone is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    date: Option<NaiveDate>,
    time: NaiveTime,
    /// The text says 24:00, and `time` is midnight.
    ends_day: bool,
    /// Seconds east of UTC, where the text has an offset of its own.
    offset: Option<i32>,
}

impl Reading {
    fn local(&self) -> Option<NaiveDateTime> {
        let date = self.date?;
        let date = if self.ends_day { date.succ_opt()? } else { date };
        Some(date.and_time(self.time))
    }

    fn instant(&self, calendar: &Calendar) -> Option<i64> {
        let local = self.local()?;
        let Some(seconds) = self.offset else {
            return calendar.instant(local).ok();
        };
        let at = FixedOffset::east_opt(seconds)?.from_local_datetime(&local).single()?;
        Some(at.timestamp_micros())
    }

    fn time_of_day(&self) -> Option<i64> {
        match (self.date, self.ends_day) {
            (Some(_), _) => None,
            (None, true) => Some(DAY_MICROS),
            (None, false) => self.time.signed_duration_since(NaiveTime::MIN).num_microseconds(),
        }
    }
}

/// Digits and nothing else.
fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text with the digits, marks and blanks that a Chinese keyboard writes full width made ASCII.
fn half_width(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let half = |c: char| match c {
        '０'..='９' | '：' | '－' | '／' | '．' => {
            u32::from(c).checked_sub(0xFEE0).and_then(char::from_u32).unwrap_or(c)
        }
        '\u{3000}' | '\u{a0}' => ' ',
        other => other,
    };
    Cow::Owned(text.chars().map(half).collect())
}

fn epoch(text: &str, unit: i64) -> Option<i64> {
    // a plus sign or an exponent is a spreadsheet's doing, and the last digits may be gone
    if !digits(text.strip_prefix('-').unwrap_or(text)) {
        return None;
    }
    let number = text.parse::<i64>().ok()?;
    let meant_in = |unit: i64| number.checked_mul(unit).is_some_and(|at| MEANT.contains(&at));
    // such a number would be a day of early 1970 in this unit; a source in the wrong unit looks the same
    let coarser = unit < 1_000_000 && number != 0 && meant_in(unit * 1_000);
    if coarser { None } else { number.checked_mul(unit) }
}

fn rfc3339(text: &str, hour24: bool) -> Option<i64> {
    let ends_day = hour24 && text.get(11..13) == Some("24");
    let written = if ends_day {
        Cow::Owned(format!("{}00{}", text.get(..11)?, text.get(13..)?))
    } else {
        Cow::Borrowed(text)
    };
    let at = DateTime::parse_from_rfc3339(&written).ok()?;
    // chrono keeps a 60th second as a second second
    if at.timestamp_subsec_nanos() >= 1_000_000_000 || (ends_day && at.time() != NaiveTime::MIN) {
        return None;
    }
    at.timestamp_micros().checked_add(if ends_day { DAY_MICROS } else { 0 })
}

/// The day number of a serial in the 1900 system, where 60 is a day that never was.
fn day_1900(serial: i32) -> Option<i32> {
    match serial {
        1..=59 => Some(serial - 25_568),
        61.. => Some(serial - 25_569),
        _ => None,
    }
}

/// The day number of a serial in the 1904 system.
fn day_1904(serial: i32) -> Option<i32> {
    serial.checked_sub(24_107)
}

fn excel(text: &str, day: fn(i32) -> Option<i32>) -> Option<Reading> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // further digits are below a nanosecond
    let fraction = fraction.get(..15).unwrap_or(fraction);
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let millis = (fraction.parse::<u128>().ok()? * 86_400_000 + scale / 2) / scale;
    let local = date(day(whole.parse().ok()?)?)?
        .and_time(NaiveTime::MIN)
        .checked_add_signed(TimeDelta::try_milliseconds(i64::try_from(millis).ok()?)?)?;
    Some(Reading {
        date: Some(local.date()),
        time: local.time(),
        ends_day: false,
        offset: None,
    })
}

/// A layout of fixed places, read without the cost of a pattern.
#[derive(Debug)]
struct Exact {
    length: usize,
    /// Where year, month, day, hour, minute and second begin.
    fields: [usize; 6],
    marks: &'static [(usize, u8)],
}

static DASHED: Exact = Exact {
    length: 19,
    fields: [0, 5, 8, 11, 14, 17],
    marks: &[(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')],
};

static PACKED: Exact = Exact {
    length: 14,
    fields: [0, 4, 6, 8, 10, 12],
    marks: &[],
};

impl Exact {
    fn read(&self, text: &str, hour24: bool) -> Option<Reading> {
        let bytes = text.as_bytes();
        if bytes.len() != self.length || self.marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
            return None;
        }
        let number = |from: usize, width: usize| {
            bytes.get(from..from + width)?.iter().try_fold(0u32, |sum, byte| {
                let digit = byte.wrapping_sub(b'0');
                (digit < 10).then(|| sum * 10 + u32::from(digit))
            })
        };
        let [year, month, day, hour, minute, second] = self.fields;
        let year = i32::try_from(number(year, 4)?).ok()?;
        let date = NaiveDate::from_ymd_opt(year, number(month, 2)?, number(day, 2)?)?;
        let (hour, ends_day) = match number(hour, 2)? {
            24 if hour24 => (0, true),
            hour => (hour, false),
        };
        let time = NaiveTime::from_hms_opt(hour, number(minute, 2)?, number(second, 2)?)?;
        if ends_day && time != NaiveTime::MIN {
            return None;
        }
        Some(Reading {
            date: Some(date),
            time,
            ends_day,
            offset: None,
        })
    }
}

/// A strftime pattern taken apart once for a column.
#[derive(Debug, Clone)]
struct Layout {
    parts: Vec<Part>,
    /// It has a part of a date.
    dated: bool,
    /// It has a part of a time of day.
    timed: bool,
    /// It has AM or PM, which may be written 上午 or 下午.
    halves: bool,
}

#[derive(Debug, Clone)]
struct Part {
    item: Item<'static>,
    /// The most digits of a number; `None` for what is no number.
    width: Option<usize>,
    /// A number right beside another needs all its digits: 2025111 is two dates.
    packed: bool,
}

impl Layout {
    fn new(pattern: &str) -> Option<Layout> {
        let pattern = half_width(pattern);
        let mut layout = Layout {
            parts: Vec::new(),
            dated: false,
            timed: false,
            halves: false,
        };
        for item in StrftimeItems::new(&pattern) {
            layout.push(item)?;
        }
        let sample = layout.sample()?;
        layout.read(&sample, false)?;
        (layout.dated || layout.timed).then_some(layout)
    }

    fn push(&mut self, item: Item<'_>) -> Option<()> {
        let mut width = None;
        match &item {
            Item::Error | Item::Fixed(Fixed::TimezoneName | Fixed::RFC2822 | Fixed::RFC3339) => return None,
            Item::Literal(literal) if self.timed && names_zone(literal) => return None,
            Item::Numeric(numeric, _) => {
                width = Some(digits_of(numeric)?);
                if matches!(
                    numeric,
                    Numeric::Hour | Numeric::Hour12 | Numeric::Minute | Numeric::Second
                ) {
                    self.timed = true;
                } else {
                    self.dated = true;
                }
            }
            Item::Fixed(Fixed::LowerAmPm | Fixed::UpperAmPm) => (self.timed, self.halves) = (true, true),
            Item::Fixed(
                Fixed::ShortMonthName | Fixed::LongMonthName | Fixed::ShortWeekdayName | Fixed::LongWeekdayName,
            ) => self.dated = true,
            _ => {}
        }
        let mut packed = false;
        if width.is_some()
            && let Some(before) = self.parts.last_mut()
            && before.width.is_some()
        {
            before.packed = true;
            packed = true;
        }
        self.parts.push(Part {
            item: item.to_owned(),
            width,
            packed,
        });
        Some(())
    }

    /// A time as the pattern writes it.
    fn sample(&self) -> Option<String> {
        let at = DateTime::from_timestamp_micros(SAMPLE)?;
        // chrono reads `%#z` and does not write it
        let read_only = StrftimeItems::new("%#z").next();
        let mut text = String::new();
        for part in &self.parts {
            if Some(&part.item) == read_only.as_ref() {
                text.push('Z');
            } else {
                write!(text, "{}", at.format_with_items(std::iter::once(&part.item))).ok()?;
            }
        }
        Some(text)
    }

    fn read(&self, text: &str, hour24: bool) -> Option<Reading> {
        let text = if self.halves && !text.is_ascii() {
            Cow::Owned(text.replace("上午", "AM").replace("下午", "PM"))
        } else {
            Cow::Borrowed(text)
        };
        let mut rest: &str = &text;
        let mut parsed = Parsed::new();
        let mut ends_day = false;
        for part in &self.parts {
            let Some(width) = part.width else {
                rest = parse_and_remainder(&mut parsed, rest, std::iter::once(&part.item)).ok()?;
                continue;
            };
            let from = if part.packed { rest } else { rest.trim_start() };
            let length = from.bytes().take(width).take_while(u8::is_ascii_digit).count();
            if length == 0 || (part.packed && length < width) {
                return None;
            }
            let (mut number, after) = from.split_at_checked(length)?;
            if hour24 && number == "24" && matches!(part.item, Item::Numeric(Numeric::Hour, _)) {
                (number, ends_day) = ("00", true);
            }
            parse(&mut parsed, number, std::iter::once(&part.item)).ok()?;
            rest = after;
        }
        // chrono reads a 60th second
        if !rest.is_empty() || parsed.second() == Some(60) {
            return None;
        }
        self.conclude(parsed, ends_day)
    }

    fn conclude(&self, mut parsed: Parsed, ends_day: bool) -> Option<Reading> {
        let time = if self.timed {
            if parsed.minute().is_none() && parsed.second().is_none() {
                parsed.set_minute(0).ok()?;
            }
            parsed.to_naive_time().ok()?
        } else {
            NaiveTime::MIN
        };
        let date = if self.dated {
            Some(parsed.to_naive_date().ok()?)
        } else {
            None
        };
        // a fraction without a time, an offset without a date: the pattern leaves open what they belong to
        let loose = (!self.timed && parsed.nanosecond().is_some()) || (!self.dated && parsed.offset().is_some());
        if loose || (ends_day && time != NaiveTime::MIN) {
            return None;
        }
        Some(Reading {
            date,
            time,
            ends_day,
            offset: parsed.offset(),
        })
    }
}

/// A zone spelled out in a pattern, which would be compared and then forgotten.
fn names_zone(literal: &str) -> bool {
    literal == "Z"
        || literal.starts_with("UTC")
        || literal.starts_with("GMT")
        || literal
            .strip_prefix(['+', '-'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The most digits that a number of a pattern has; `None` for those that no contract may use.
fn digits_of(numeric: &Numeric) -> Option<usize> {
    match numeric {
        Numeric::Timestamp | Numeric::Nanosecond => None,
        Numeric::Year | Numeric::IsoYear => Some(4),
        Numeric::Ordinal => Some(3),
        Numeric::Quarter | Numeric::NumDaysFromSun | Numeric::WeekdayFromMon => Some(1),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-03-04T05:06:07Z, which is 13:06:07 in Shanghai.
    const INSTANT: i64 = 1_741_064_767_000_000;
    /// 2025-03-04.
    const DAY: i32 = 20_151;

    fn rules(formats: &[&str], hour24: bool) -> TimeRules {
        let formats = formats
            .iter()
            .map(|name| TimeFormat::parse(name).unwrap_or_else(|| panic!("{name} is a format")))
            .collect();
        TimeRules::new(formats, hour24)
    }

    fn shanghai() -> Calendar {
        Calendar::new("Asia/Shanghai", "00:00").expect("a zone")
    }

    fn instant(format: &str, text: &str) -> Option<i64> {
        rules(&[format], false).instant(text, &shanghai())
    }

    #[test]
    fn the_fixed_layouts_agree_with_the_pattern_reader() {
        for (exact, pattern, texts) in [
            (
                &DASHED,
                "%Y-%m-%d %H:%M:%S",
                [
                    "2024-02-29 23:59:59",
                    "2025-02-30 10:00:00",
                    "2025-01-01 24:00:00",
                    "2025-01-01 24:00:01",
                    "2025-01-0a 10:00:00",
                    "2025-06-30 23:59:60",
                    "not a time",
                ],
            ),
            (
                &PACKED,
                "%Y%m%d%H%M%S",
                [
                    "20250304050607",
                    "20250230050607",
                    "20250101240000",
                    "20250630235960",
                    "2025030405060",
                    "202503040506071",
                    "2025-03-04 05:",
                ],
            ),
        ] {
            let layout = Layout::new(pattern).expect("a pattern");
            for text in texts {
                for hour24 in [false, true] {
                    assert_eq!(exact.read(text, hour24), layout.read(text, hour24), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_fixed_layout_is_exact_and_a_pattern_forgives_missing_zeros() {
        assert_eq!(instant("%Y-%m-%d %H:%M:%S", "2025-3-4 13:06:07"), None);
        assert_eq!(instant("%Y/%m/%d %H:%M:%S", "2025/3/4 13:6:7"), Some(INSTANT));
    }

    #[test]
    fn numbers_without_a_mark_between_them_need_all_their_digits() {
        // 2025-01-11 or 2025-11-01
        assert_eq!(rules(&["%Y%m%d"], false).day("2025111"), None);
        assert_eq!(rules(&["%Y%m%d"], false).day("20250304"), Some(DAY));
        assert_eq!(instant("%Y%m%d%H%M%S%3f", "20250304130607089"), Some(INSTANT + 89_000));
        assert_eq!(instant("%Y%m%d%H%M%S%3f", "2025030413060789"), None);
        assert_eq!(instant("%Y%m%d%H%M%S%3f", "202503041306070890"), None);
        assert_eq!(TimeFormat::parse("%Y%-m%-d"), None);
    }

    #[test]
    fn formats_that_would_be_misread_cannot_be_declared() {
        for name in [
            "",
            "epoch",
            "yyyy-MM-dd",
            "%",
            "%Q",
            "%Y-%m-%d %",
            "%m-%d",
            "%Y-%m",
            "%I:%M",
            "%Y-%m-%d %M",
            "%H:%M %z",
            "%Y-%m-%d %H:%M:%S %Z",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%d %H:%M:%S UTC",
            "%Y-%m-%d %H:%M:%S+08:00",
            "%s",
            "%+",
            "%Y-%m-%d %H:%M:%S.%f",
            "%%",
        ] {
            assert_eq!(TimeFormat::parse(name), None, "{name}");
        }
        for name in [
            "epoch_s",
            "epoch_ms",
            "epoch_us",
            "rfc3339",
            "excel",
            "excel1904",
            "%F",
            "%F %T%.f",
            "%Y%j",
            "%d-%b-%y",
            "%Y-%m-%dT%H:%M:%S%#z",
            "%Y-%m-%d%z",
            "%Y年%-m月%-d日 %p%-I:%M:%S",
            "%H",
            "%G-W%V-%u",
            "%c",
        ] {
            assert!(TimeFormat::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_60th_second_is_no_time_of_a_dispatch_system() {
        for (format, text) in [
            ("%Y-%m-%d %H:%M:%S", "2016-12-31 23:59:60"),
            ("%Y%m%d%H%M%S", "20161231235960"),
            ("%Y/%m/%d %H:%M:%S", "2016/12/31 23:59:60"),
            ("%Y/%m/%d %H:%M:%S%.f", "2016/12/31 23:59:60.5"),
            ("rfc3339", "2016-12-31T23:59:60Z"),
        ] {
            assert_eq!(instant(format, text), None, "{text}");
        }
    }

    #[test]
    fn the_24th_hour_is_the_next_midnight_only_where_declared() {
        for (format, text, wrong) in [
            ("%Y-%m-%d %H:%M:%S", "2025-03-04 24:00:00", "2025-03-04 24:00:01"),
            ("%Y%m%d%H%M%S", "20250304240000", "20250304240100"),
            ("%Y/%m/%d %H:%M", "2025/3/4 24:00", "2025/3/4 24:30"),
            ("%Y%m%d%H%M", "202503042400", "202503042401"),
            ("rfc3339", "2025-03-04T24:00:00+08:00", "2025-03-04T24:00:00.5+08:00"),
        ] {
            let midnight = instant("%Y-%m-%d", "2025-03-05");
            assert!(midnight.is_some());
            assert_eq!(rules(&[format], true).instant(text, &shanghai()), midnight, "{text}");
            assert_eq!(rules(&[format], true).instant(wrong, &shanghai()), None, "{wrong}");
            assert_eq!(rules(&[format], false).instant(text, &shanghai()), None, "{text}");
        }
    }

    #[test]
    fn a_text_that_two_formats_read_differently_is_refused() {
        let both = rules(&["%d/%m/%Y", "%m/%d/%Y"], false);
        assert_eq!(both.day("03/04/2025"), None);
        assert_eq!(both.day("13/04/2025"), rules(&["%Y-%m-%d"], false).day("2025-04-13"));
        assert_eq!(both.day("04/04/2025"), rules(&["%Y-%m-%d"], false).day("2025-04-04"));
        assert_eq!(both.only(), None);
        assert_eq!(both.formats().len(), 2);
        let one = rules(&["rfc3339"], true);
        assert_eq!(one.only(), Some(&TimeFormat::Rfc3339));
        assert!(one.hour24());
    }

    #[test]
    fn a_number_in_the_wrong_unit_is_refused() {
        assert_eq!(instant("epoch_s", "1741064767"), Some(INSTANT));
        assert_eq!(instant("epoch_ms", "1741064767000"), Some(INSTANT));
        assert_eq!(instant("epoch_us", "1741064767000000"), Some(INSTANT));
        assert_eq!(instant("epoch_s", "-86400"), Some(-DAY_MICROS));
        assert_eq!(instant("epoch_ms", "0"), Some(0));
        for (format, text) in [
            ("epoch_s", "1741064767000"),
            ("epoch_s", "1741064767000000"),
            ("epoch_ms", "1741064767"),
            ("epoch_ms", "1741064767000000"),
            ("epoch_us", "1741064767"),
            ("epoch_us", "1741064767000"),
            ("epoch_s", "9223372036854775807"),
            ("epoch_s", "99999999999999999999"),
            ("epoch_s", "1e9"),
            ("epoch_s", "+1741064767"),
            ("epoch_s", "--1"),
            ("epoch_s", "-"),
            ("epoch_s", ""),
            ("epoch_s", "1741064767.5"),
        ] {
            assert_eq!(instant(format, text), None, "{format} {text}");
        }
    }

    #[test]
    fn serials_step_over_the_day_that_never_was() {
        let day = |format: &str, text: &str| rules(&[format], false).day(text);
        let on = |text: &str| day("%Y-%m-%d", text);
        for (format, serial, expected) in [
            ("excel", "1", on("1900-01-01")),
            ("excel", "59", on("1900-02-28")),
            ("excel", "60", None),
            ("excel", "60.5", None),
            ("excel", "61", on("1900-03-01")),
            ("excel", "45720", Some(DAY)),
            ("excel", "45720.75", Some(DAY)),
            ("excel", "0", None),
            ("excel", "-1", None),
            ("excel", "45720.", None),
            ("excel", ".5", None),
            ("excel", "4.572E4", None),
            ("excel", "99999999999", None),
            ("excel1904", "0", on("1904-01-01")),
            ("excel1904", "44258", Some(DAY)),
        ] {
            assert_eq!(day(format, serial), expected, "{format} {serial}");
        }
        assert_eq!(instant("excel", "45720.5459143519"), Some(INSTANT));
        assert_eq!(instant("excel1904", "44258.54591435185"), Some(INSTANT));
    }

    #[test]
    fn dates_reach_back_to_1850() {
        let day = |text: &str| rules(&["%Y-%m-%d"], false).day(text);
        assert_eq!(day("1850-01-01"), Some(*MEANT_DAYS.start()));
        assert_eq!(day("1849-12-31"), None);
        assert_eq!(day("2200-12-31"), Some(*MEANT_DAYS.end()));
        assert_eq!(day("2201-01-01"), None);
        assert_eq!(day("2025-02-29"), None);
        assert_eq!(day("+2025-03-04"), None);
        assert_eq!(rules(&["%Y年%m月%d日"], false).day("2025年3月4日"), Some(DAY));
        assert_eq!(rules(&["epoch_s"], false).day("1741064767"), None);
    }

    #[test]
    fn times_of_day_are_read_by_patterns_without_a_date() {
        for (format, hour24, text, expected) in [
            ("%H:%M", false, "05:06", Some(18_360_000_000)),
            ("%H:%M:%S", false, "23:59:59", Some(86_399_000_000)),
            ("%H:%M:%S", false, "23:59:60", None),
            ("%H:%M:%S%.f", false, "00:00:00.000001", Some(1)),
            ("%I:%M %p", false, "12:00 AM", Some(0)),
            ("%I:%M %p", false, "12:00 下午", Some(43_200_000_000)),
            ("%p%I:%M", false, "上午12:30", Some(1_800_000_000)),
            ("%H:%M", false, "24:00", None),
            ("%H:%M", true, "24:00", Some(DAY_MICROS)),
            ("%H:%M", true, "24:01", None),
            ("%H%M", false, "0506", Some(18_360_000_000)),
            ("%H%M", false, "506", None),
            ("%H时%M分", false, "５时０６分", Some(18_360_000_000)),
            ("%Y-%m-%d %H:%M", false, "2025-03-04 05:06", None),
        ] {
            assert_eq!(rules(&[format], hour24).time_of_day(text), expected, "{format} {text}");
        }
        assert!(rules(&["%H:%M", "%H:%M:%S"], false).is_time_only());
        assert!(!rules(&["%H:%M", "%Y-%m-%d %H:%M"], false).is_time_only());
        assert!(!rules(&["%Y-%m-%d"], false).is_time_only());
        assert!(!rules(&["epoch_s"], false).is_time_only());
        assert!(!TimeRules::new(Vec::new(), false).is_time_only());
        assert_eq!(instant("%H:%M", "05:06"), None);
    }

    #[test]
    fn the_keyboard_of_the_clerk_does_not_matter() {
        for (format, text) in [
            ("%Y-%m-%d %H:%M:%S", "２０２５－０３－０４　１３：０６：０７"),
            ("%Y／%m／%d %H:%M:%S", "2025/3/4 13:06:07"),
            ("%Y年%-m月%-d日 %p%-I:%M:%S", "2025年3月4日 下午1:06:07"),
            ("%Y-%m-%d %I:%M:%S %p", "2025-03-04 01:06:07 pm"),
            ("%Y-%m-%d %H时%M分%S秒", "2025-03-04 13时06分07秒"),
        ] {
            assert_eq!(instant(format, text), Some(INSTANT), "{text}");
        }
        assert_eq!(instant("%Y-%m-%d %H:%M:%S", "2025-03-04 下午1:06:07"), None);
        assert_eq!(instant("%Y年%-m月%-d日 %p%-I:%M:%S", "2025年3月4日 晚上1:06:07"), None);
    }

    #[test]
    fn a_pattern_with_an_offset_is_an_instant() {
        for (format, text) in [
            ("%Y-%m-%d %H:%M:%S%z", "2025-03-04 00:06:07-0500"),
            ("%Y-%m-%dT%H:%M:%S%:z", "2025-03-04T13:06:07+08:00"),
            ("%Y-%m-%dT%H:%M:%S%#z", "2025-03-04T05:06:07Z"),
            ("%Y-%m-%dT%H:%M:%S%#z", "2025-03-04T13:06:07+08"),
            ("rfc3339", "2025-03-04T05:06:07Z"),
        ] {
            assert_eq!(instant(format, text), Some(INSTANT), "{text}");
        }
        assert_eq!(instant("%Y-%m-%d %H:%M:%S%z", "2025-03-04 00:06:07"), None);
        assert_eq!(instant("%Y-%m-%d %H:%M:%S", "2025-03-04 05:06:07Z"), None);
    }

    #[test]
    fn a_skipped_hour_is_no_instant() {
        let chicago = Calendar::new("America/Chicago", "00:00").expect("a zone");
        let local = rules(&["%m/%d/%Y %H:%M"], false);
        assert_eq!(local.instant("03/09/2025 02:30", &chicago), None);
        assert_eq!(local.instant("11/02/2025 01:30", &chicago), Some(1_762_065_000_000_000));
    }
}
