//! From instants to local days and hours, and from local times as written to instants.
//!
//! Zone rules come from the built-in IANA database: Asia/Shanghai had daylight saving time in
//! 1986–1991, and a constant offset would be wrong there.

use chrono::{Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;

/// Days from 1970-01-01 to the first day of the proleptic calendar's common era.
const EPOCH_FROM_CE: i32 = 719_163;

/// A zone and the local time at which a statistics day begins.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    zone: Tz,
    cutoff: Duration,
}

/// Why a local time is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalError {
    /// The clock jumped over it.
    Skipped,
}

impl Calendar {
    /// A calendar from an IANA zone name and a cut-off `HH:MM`; `None` where either is unknown.
    pub fn new(zone: &str, cutoff: &str) -> Option<Calendar> {
        let zone = zone.parse().ok()?;
        let time = NaiveTime::parse_from_str(cutoff, "%H:%M").ok()?;
        Some(Calendar {
            zone,
            cutoff: Duration::seconds(i64::from(time.num_seconds_from_midnight())),
        })
    }

    /// How long after midnight a statistics day begins, microseconds.
    pub fn cutoff_micros(&self) -> i64 {
        self.cutoff.num_microseconds().unwrap_or(0)
    }

    /// A local time as written, in UTC microseconds. An hour that occurs twice is its first.
    pub fn instant(&self, local: NaiveDateTime) -> Result<i64, LocalError> {
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Ok(at.timestamp_micros()),
            LocalResult::None => Err(LocalError::Skipped),
        }
    }

    /// The local time of an instant.
    pub fn local(&self, micros: i64) -> Option<NaiveDateTime> {
        let at = chrono::DateTime::from_timestamp_micros(micros)?;
        Some(at.with_timezone(&self.zone).naive_local())
    }

    /// The statistics day (days since 1970-01-01) and local hour (0–23) of an instant.
    pub fn day_and_hour(&self, micros: i64) -> Option<(i32, i32)> {
        let local = self.local(micros)?;
        let day = local.checked_sub_signed(self.cutoff)?.date();
        Some((days(day), i32::try_from(local.hour()).ok()?))
    }
}

/// Days since 1970-01-01.
pub fn days(date: NaiveDate) -> i32 {
    use chrono::Datelike;
    date.num_days_from_ce() - EPOCH_FROM_CE
}

/// The date of a day number.
pub fn date(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_FROM_CE)?)
}

/// The text `2025-03-04` of a day number; empty for one beyond all calendars.
pub fn text(days: i32) -> String {
    date(days).map_or_else(String::new, |date| date.to_string())
}

/// The day that `2025-03-04` names; `None` for anything else.
pub fn day(text: &str) -> Option<i32> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(days)
}

/// The month `2025-03` of a day number.
pub fn month(days: i32) -> String {
    date(days).map_or_else(String::new, |date| date.format("%Y-%m").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(calendar: &Calendar, text: &str) -> Result<i64, LocalError> {
        calendar.instant(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time"))
    }

    #[test]
    fn shanghai_had_summer_time_in_1988_and_has_none_today() {
        let calendar = Calendar::new("Asia/Shanghai", "00:00").expect("a zone");
        assert_eq!(at(&calendar, "1988-07-01 12:00:00"), Ok(583_729_200_000_000));
        assert_eq!(at(&calendar, "2025-07-01 12:00:00"), Ok(1_751_342_400_000_000));
    }

    #[test]
    fn a_skipped_hour_is_no_instant_and_a_repeated_one_is_its_first() {
        let calendar = Calendar::new("America/Chicago", "00:00").expect("a zone");
        assert_eq!(at(&calendar, "2025-03-09 02:30:00"), Err(LocalError::Skipped));
        assert_eq!(at(&calendar, "2025-11-02 01:30:00"), Ok(1_762_065_000_000_000));
    }

    #[test]
    fn before_the_cutoff_it_is_still_the_day_before() {
        let calendar = Calendar::new("Asia/Shanghai", "08:00").expect("a zone");
        let instant = at(&calendar, "2025-03-04 07:59:59").expect("an instant");
        assert_eq!(
            calendar.day_and_hour(instant),
            Some((days(NaiveDate::from_ymd_opt(2025, 3, 3).expect("a date")), 7))
        );
    }
}
