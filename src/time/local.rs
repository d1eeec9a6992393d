//! Local days and instants for many times of one zone: the calendar's answers at a fraction of its cost.
//!
//! The offset of a zone changes on a few days a century. Each day without a change is remembered with
//! its offset, so that the zone database is asked once a day and not once a row.

use crate::time::calendar::Calendar;

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;
/// Days remembered, a power of two.
const SLOTS: usize = 64;

/// A calendar with a memory.
#[derive(Debug, Clone)]
pub struct LocalDays {
    calendar: Calendar,
    /// Day and its offset from UTC in microseconds, by day modulo the slots.
    slots: [(i64, i64); SLOTS],
}

impl LocalDays {
    /// Remembers days of `calendar`.
    #[must_use]
    pub fn new(calendar: Calendar) -> LocalDays {
        LocalDays {
            calendar,
            slots: [(i64::MIN, 0); SLOTS],
        }
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The offset of UTC day `day` where it is the same from a day before it to a day after it.
    fn offset(&mut self, day: i64) -> Option<i64> {
        let slot = usize::try_from(day.rem_euclid(SLOTS as i64)).ok()?;
        let (known, offset) = self.slots[slot];
        if known == day {
            return (offset != i64::MIN).then_some(offset);
        }
        let at = |micros: i64| {
            let local = self.calendar.local(micros)?;
            Some(local.and_utc().timestamp_micros() - micros)
        };
        // hour by hour: some zones moved twice within days
        let first = at((day - 1) * DAY);
        let steady = (0..=72).all(|hour| at((day - 1) * DAY + hour * HOUR) == first);
        let offset = first.filter(|_| steady);
        self.slots[slot] = (day, offset.unwrap_or(i64::MIN));
        offset
    }

    /// A local time, given as microseconds since 1970-01-01 of the wall clock, in UTC microseconds;
    /// `None` for a time that the clock jumped over. An hour that occurs twice is its first.
    pub fn instant(&mut self, local: i64) -> Option<i64> {
        if let Some(offset) = self.offset(local.div_euclid(DAY)) {
            return local.checked_sub(offset);
        }
        let wall = chrono::DateTime::from_timestamp_micros(local)?.naive_utc();
        self.calendar.instant(wall).ok()
    }

    /// The statistics day (days since 1970-01-01) and local hour of an instant, as
    /// [`Calendar::day_and_hour`] gives them.
    pub fn day_and_hour(&mut self, micros: i64) -> Option<(i32, i32)> {
        let Some(offset) = self.offset(micros.div_euclid(DAY)) else {
            return self.calendar.day_and_hour(micros);
        };
        let local = micros.checked_add(offset)?;
        let day = local.checked_sub(self.calendar.cutoff_micros())?.div_euclid(DAY);
        let hour = local.rem_euclid(DAY) / HOUR;
        Some((i32::try_from(day).ok()?, i32::try_from(hour).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hour_of_a_century_is_the_calendars_own() {
        for (zone, cutoff) in [
            ("Asia/Shanghai", "08:00"),
            ("America/Chicago", "00:00"),
            ("Australia/Lord_Howe", "06:30"),
        ] {
            let calendar = Calendar::new(zone, cutoff).expect("a zone");
            let mut days = LocalDays::new(calendar);
            // steps of 97 minutes pass over every clock change at another distance
            for step in 0..540_000i64 {
                let micros = -946_771_200_000_000 + step * 97 * 60_000_000;
                assert_eq!(
                    days.day_and_hour(micros),
                    calendar.day_and_hour(micros),
                    "{zone} {micros}"
                );
                let wall = chrono::DateTime::from_timestamp_micros(micros)
                    .expect("in range")
                    .naive_utc();
                assert_eq!(days.instant(micros), calendar.instant(wall).ok(), "{zone} wall {wall}");
            }
        }
    }
}
