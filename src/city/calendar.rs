//! The city's calendar: workdays, weekends, public holidays and the weekend days worked in exchange, 2022–2026. Days outside the
//! table are plain weekdays and weekends. It fetches nothing and is only as right as a demonstration needs.

use std::io::{self, Write};

use super::dialect::Encoding;
use super::sheet::{Fate, FeedCount, Sheet};
use super::text::{civil, push_date};

/// What a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Monday to Friday.
    Workday,
    /// Saturday or Sunday.
    Weekend,
    /// A public holiday.
    Holiday,
    /// A weekend day worked in exchange for a holiday.
    SwappedWorkday,
}

impl DayKind {
    fn code(self) -> &'static str {
        match self {
            Self::Workday => "workday",
            Self::Weekend => "weekend",
            Self::Holiday => "holiday",
            Self::SwappedWorkday => "swapped_workday",
        }
    }
}

/// A run of holidays (first and last as YYYYMMDD, both included) and the days worked for it.
struct Break {
    name: &'static str,
    first: i32,
    last: i32,
    worked: &'static [i32],
}

const fn rest(name: &'static str, first: i32, last: i32, worked: &'static [i32]) -> Break {
    Break {
        name,
        first,
        last,
        worked,
    }
}

#[rustfmt::skip]
const BREAKS: [Break; 24] = [
    rest("中秋节", 20220910, 20220912, &[]),
    rest("国庆节", 20221001, 20221007, &[20221008, 20221009]),
    rest("元旦", 20221231, 20230102, &[]),
    rest("春节", 20230121, 20230127, &[20230128, 20230129]),
    rest("清明节", 20230405, 20230405, &[]),
    rest("劳动节", 20230429, 20230503, &[20230423, 20230506]),
    rest("端午节", 20230622, 20230624, &[20230625]),
    rest("中秋节国庆节", 20230929, 20231006, &[20231007, 20231008]),
    rest("元旦", 20231230, 20240101, &[]),
    rest("春节", 20240210, 20240217, &[20240204, 20240218]),
    rest("清明节", 20240404, 20240406, &[20240407]),
    rest("劳动节", 20240501, 20240505, &[20240428, 20240511]),
    rest("端午节", 20240608, 20240610, &[]),
    rest("中秋节", 20240915, 20240917, &[20240914]),
    rest("国庆节", 20241001, 20241007, &[20240929, 20241012]),
    rest("元旦", 20250101, 20250101, &[]),
    rest("春节", 20250128, 20250204, &[20250126, 20250208]),
    rest("清明节", 20250404, 20250406, &[]),
    rest("劳动节", 20250501, 20250505, &[20250427]),
    rest("端午节", 20250531, 20250602, &[]),
    rest("国庆节中秋节", 20251001, 20251008, &[20250928, 20251011]),
    rest("元旦", 20260101, 20260103, &[20260104]),
    rest("春节", 20260215, 20260223, &[20260214, 20260228]),
    rest("清明节", 20260404, 20260406, &[]),
];

/// Eve and first day of Spring Festival (YYYYMMDD), when fireworks make noise calls of their own.
const FESTIVAL: [i32; 8] = [
    20230121, 20230122, 20240209, 20240210, 20250128, 20250129, 20260216, 20260217,
];

fn stamp(day: i32) -> i32 {
    let (year, month, day_of_month) = civil(day);
    year * 10_000 + (month * 100 + day_of_month) as i32
}

/// Kind and holiday name (empty outside holidays) of a day.
pub fn classify(day: i32) -> (DayKind, &'static str) {
    let stamp = stamp(day);
    for holiday in &BREAKS {
        if (holiday.first..=holiday.last).contains(&stamp) {
            return (DayKind::Holiday, holiday.name);
        }
        if holiday.worked.contains(&stamp) {
            return (DayKind::SwappedWorkday, "");
        }
    }
    // 1970-01-01 was a Thursday.
    let is_weekend = (day + 3).rem_euclid(7) >= 5;
    (if is_weekend { DayKind::Weekend } else { DayKind::Workday }, "")
}

/// True on the eve and the first day of Spring Festival.
pub fn is_festival(day: i32) -> bool {
    FESTIVAL.contains(&stamp(day))
}

/// The season from −1 (mid-January) to 1 (mid-July).
pub fn season(day: i32) -> f64 {
    let (_, month, day_of_month) = civil(day);
    let of_year = f64::from(month - 1) * 30.44 + f64::from(day_of_month);
    ((of_year - 196.0) / 365.25 * std::f64::consts::TAU).cos()
}

/// Writes the calendar of these days, both ends included.
pub fn write_calendar(first: i32, last: i32, out: &mut dyn Write) -> io::Result<FeedCount> {
    let mut sheet = Sheet::start(out, Encoding::Utf8, "date,day_type,holiday_zh");
    for day in first..=last {
        let (kind, name) = classify(day);
        push_date(&mut sheet.row, day, "-");
        sheet.row.push(',');
        sheet.row.push_str(kind.code());
        sheet.row.push(',');
        sheet.row.push_str(name);
        sheet.end(Fate::Accepted)?;
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        // 2025-01-01 is day 20 089.
        let day = |offset| 20_089 + offset;
        assert_eq!(classify(day(0)), (DayKind::Holiday, "元旦"));
        assert_eq!(classify(day(1)), (DayKind::Workday, ""));
        assert_eq!(classify(day(3)), (DayKind::Weekend, ""));
        assert_eq!(classify(day(25)), (DayKind::SwappedWorkday, ""));
        assert!(is_festival(day(27)) && is_festival(day(28)) && !is_festival(day(29)));
        assert!(season(day(14)) < -0.99 && season(day(196)) > 0.98);
    }

    #[test]
    fn worked_days_fall_on_weekends() {
        for day in 19_237..20_454 {
            if classify(day).0 == DayKind::SwappedWorkday {
                assert!((day + 3).rem_euclid(7) >= 5, "{}", stamp(day));
            }
        }
    }
}
