//! A period against the same one before: 同比 with the year before, 环比 with the period just before.
//!
//! A year before is 52 weeks before, so that the days of the week are the same. Around a holiday that moves with the moon
//! it is as many days before as that holiday was earlier. Both periods have to hold as many holidays, and every day of
//! both has to be there. The ratio's interval is that of two counts whose days vary by more than chance (quasi-Poisson,
//! McCullagh and Nelder 1989, on the logarithm).

use super::quantile::normal_upper;
use super::series::{self, Series};

/// Days of 52 weeks.
const YEAR: i64 = 364;
/// A holiday of the year before began so many days earlier.
const YEAR_BEFORE: std::ops::RangeInclusive<i64> = 320..=410;

/// With which period it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// That of the year before (同比).
    Year,
    /// That just before (环比).
    Period,
}

/// How it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Days of a period, 2 or more.
    pub span: usize,
    /// With which period it is compared.
    pub before: Before,
    /// Names of holidays that move with the moon.
    pub moving: Vec<String>,
    /// Days before and after the first day of such a holiday that move with it.
    pub around: i64,
    /// Level of the interval, between 0 and 1.
    pub level: f64,
}

/// Days in their order.
#[derive(Debug, Clone, Copy)]
pub struct Days<'a> {
    /// Their numbers, rising.
    pub days: &'a [i64],
    /// Their counts, 0 or more; `None` for what is not known.
    pub counts: &'a [Option<f64>],
    /// The names of their holidays.
    pub holidays: &'a [Option<&'a str>],
}

/// Why two periods cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The period before lies before the first day.
    History,
    /// A day is missing.
    Gap,
    /// Days do not rise.
    Order,
    /// A count is not known, or none.
    Unknown,
    /// The periods hold different numbers of holidays, or only one lies at a holiday that moves.
    Holiday,
    /// There was nothing in one of the periods.
    Zero,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reason::History => "history",
            Reason::Gap => "gap",
            Reason::Order => "order",
            Reason::Unknown => "unknown",
            Reason::Holiday => "holiday",
            Reason::Zero => "zero",
        }
    }
}

/// Two periods beside each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// The sum of the period that ends with the day.
    pub observed: f64,
    /// The sum of the period before.
    pub reference: f64,
    /// Its last day.
    pub reference_day: i64,
    /// Days by which the periods are apart.
    pub shift: i64,
    /// By how much more days vary than by chance, 1 or more.
    pub dispersion: f64,
    /// The ratio with its interval.
    pub ratio: Option<(f64, f64, f64)>,
    /// Why the ratio must not be read, where it must not.
    pub reason: Option<Reason>,
}

/// A first day of a moving holiday.
type First<'a> = (&'a str, i64);

/// The comparison of each day's period.
///
/// Nothing is said of a day whose own period is not whole; where the period before is not, why.
#[must_use]
pub fn compare(options: &Options, days: Days<'_>) -> Vec<Result<Compared, Reason>> {
    let firsts = first_days(options, days);
    let series = Series::new(days.days, days.counts, 1);
    let deviate = normal_upper((1.0 - options.level) / 2.0).unwrap_or(f64::NAN);
    (0..days.days.len())
        .map(|at| one(options, &series, days, &firsts, deviate, at))
        .collect()
}

/// The first days of all moving holidays.
fn first_days<'a>(options: &Options, days: Days<'a>) -> Vec<First<'a>> {
    let moves = |at: usize| days.holidays[at].filter(|name| options.moving.iter().any(|moving| moving == name));
    let begins = |at: &usize| at.checked_sub(1).and_then(moves) != moves(*at);
    let first = |at: usize| Some((moves(at)?, days.days[at]));
    (0..days.days.len()).filter(begins).filter_map(first).collect()
}

fn one(
    options: &Options,
    series: &Series,
    days: Days<'_>,
    firsts: &[First<'_>],
    deviate: f64,
    at: usize,
) -> Result<Compared, Reason> {
    let own = whole(series, days, at, options.span)?;
    let near = |day: i64| firsts.iter().find(|(_, first)| (day - first).abs() <= options.around);
    let day = days.days[at];
    let (shift, moved) = match (options.before, near(day)) {
        (Before::Period, _) => (options.span as i64, false),
        (Before::Year, None) => (YEAR, false),
        (Before::Year, Some((name, first))) => {
            let before = firsts
                .iter()
                .find(|(other, before)| other == name && YEAR_BEFORE.contains(&(first - before)));
            (before.map_or(YEAR, |(_, before)| first - before), before.is_some())
        }
    };
    let reference_day = day.checked_sub(shift).ok_or(Reason::History)?;
    let row = match days.days.binary_search(&reference_day) {
        Ok(row) => row,
        Err(0) => return Err(Reason::History),
        Err(_) => return Err(Reason::Gap),
    };
    let before = whole(series, days, row, options.span)?;
    let (observed, reference) = (own.sum(), before.sum());
    let freedom = 2.0 * (options.span as f64 - 1.0);
    let dispersion = ((own.chi_squared() + before.chi_squared()) / freedom).max(1.0);
    let error = (dispersion * (1.0 / observed + 1.0 / reference)).sqrt() * deviate;
    let ratio = observed / reference;
    let at_holiday = options.before == Before::Year && !moved && near(day).is_some() != near(reference_day).is_some();
    let reason = if observed <= 0.0 || reference <= 0.0 {
        Some(Reason::Zero)
    } else if at_holiday || own.holidays != before.holidays {
        Some(Reason::Holiday)
    } else {
        None
    };
    Ok(Compared {
        observed,
        reference,
        reference_day,
        shift,
        dispersion,
        ratio: (observed > 0.0 && reference > 0.0).then(|| (ratio, ratio * (-error).exp(), ratio * error.exp())),
        reason,
    })
}

/// The counts of a period.
struct Period<'a> {
    counts: &'a [f64],
    holidays: usize,
}

impl Period<'_> {
    fn sum(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The squares of the days' deviations by what chance has.
    fn chi_squared(&self) -> f64 {
        let mean = self.sum() / self.counts.len() as f64;
        let squares: f64 = self.counts.iter().map(|count| (count - mean).powi(2)).sum();
        if mean > 0.0 { squares / mean } else { 0.0 }
    }
}

/// The period of `span` days that ends with a row.
fn whole<'a>(series: &'a Series, days: Days<'_>, at: usize, span: usize) -> Result<Period<'a>, Reason> {
    let counts = series.before(at, 0, span - 1).map_err(|why| match why {
        series::Reason::Gap => Reason::Gap,
        series::Reason::Order => Reason::Order,
        series::Reason::History => Reason::History,
        series::Reason::Unknown | series::Reason::NoCount | series::Reason::Masked | series::Reason::Flat => {
            Reason::Unknown
        }
    })?;
    Ok(Period {
        counts,
        holidays: days.holidays[at + 1 - span..=at].iter().flatten().count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(before: Before) -> Options {
        Options {
            span: 2,
            before,
            moving: vec!["春节".to_owned()],
            around: 10,
            level: 0.95,
        }
    }

    /// 500 days of ten, with changes.
    fn year(
        changes: &[(usize, f64)],
        holidays: &[(usize, &'static str)],
    ) -> (Vec<i64>, Vec<Option<f64>>, Vec<Option<&'static str>>) {
        let days: Vec<i64> = (1_000..1_500).collect();
        let (mut counts, mut names) = (vec![Some(10.0); 500], vec![None; 500]);
        changes.iter().for_each(|(at, count)| counts[*at] = Some(*count));
        holidays.iter().for_each(|(at, name)| names[*at] = Some(*name));
        (days, counts, names)
    }

    #[test]
    fn by_hand() {
        // 20 and 40 after 10 and 20: 60 by 30
        let (days, counts, holidays) = year(&[(96, 10.0), (97, 20.0), (98, 20.0), (99, 40.0)], &[]);
        let data = Days {
            days: &days,
            counts: &counts,
            holidays: &holidays,
        };
        let found = compare(&options(Before::Period), data)[99].expect("a comparison");
        assert_eq!(
            (found.observed, found.reference, found.reference_day, found.shift),
            (60.0, 30.0, 1_097, 2)
        );
        // (20 - 30)² + (40 - 30)² by 30, and (10 - 15)² + (20 - 15)² by 15, on 2 degrees
        assert!((found.dispersion - (200.0 / 30.0 + 50.0 / 15.0) / 2.0).abs() < 1e-12);
        let error = 1.959_963_984_540_054 * (5.0_f64 * (1.0 / 60.0 + 1.0 / 30.0)).sqrt();
        let (ratio, low, high) = found.ratio.expect("a ratio");
        assert!((ratio - 2.0).abs() < 1e-15);
        assert!((low - 2.0 * (-error).exp()).abs() < 1e-12 && (high - 2.0 * error.exp()).abs() < 1e-12);
        assert_eq!(found.reason, None);
    }

    #[test]
    fn a_year_is_52_weeks_and_around_a_moving_holiday_what_it_moved() {
        // the holiday began on day 30 and again on day 30 + 384
        let feast = [(30, "春节"), (31, "春节"), (414, "春节"), (415, "春节")];
        let (days, mut counts, holidays) = year(&[(20, 3.0), (404, 5.0)], &feast);
        let data = Days {
            days: &days,
            counts: &counts,
            holidays: &holidays,
        };
        let found = compare(&options(Before::Year), data);
        let shift = |at: usize| found[at].map(|found| (found.shift, found.reason));
        assert_eq!(shift(380), Ok((364, None)));
        assert_eq!(shift(404), Ok((384, None)));
        assert_eq!(found[404].expect("a comparison").reference, 13.0);
        assert_eq!(shift(415), Ok((384, None)));
        // last year's week lay at the holiday, this one does not
        assert_eq!(shift(394), Ok((364, Some(Reason::Holiday))));
        assert_eq!(found[100], Err(Reason::History));
        assert_eq!(found[0], Err(Reason::History));
        counts[17] = None;
        counts[18] = Some(-1.0);
        let data = Days {
            days: &days,
            counts: &counts,
            holidays: &holidays,
        };
        let found = compare(&options(Before::Year), data);
        assert_eq!((found[381], found[382]), (Err(Reason::Unknown), Err(Reason::Unknown)));
        assert!(found[380].is_ok());
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let of = |days: &[i64], counts: &[f64]| {
            let counts: Vec<Option<f64>> = counts.iter().map(|count| Some(*count)).collect();
            let holidays = vec![None; days.len()];
            let data = Days {
                days,
                counts: &counts,
                holidays: &holidays,
            };
            *compare(&options(Before::Period), data).last().expect("a day")
        };
        assert_eq!(of(&[1, 2, 4, 5], &[1.0; 4]), Err(Reason::Gap));
        assert_eq!(of(&[1, 2, 3, 3], &[1.0; 4]), Err(Reason::Order));
        let empty = of(&[1, 2, 3, 4], &[0.0, 0.0, 1.0, 2.0]).expect("a comparison");
        assert_eq!((empty.ratio, empty.reason), (None, Some(Reason::Zero)));
        assert_eq!(of(&[i64::MIN, i64::MIN + 1], &[1.0; 2]), Err(Reason::History));
    }
}
