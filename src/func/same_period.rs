//! `same_period(day, count DOUBLE, {options}) STRUCT<observed DOUBLE, reference DOUBLE, reference_day BIGINT, shift BIGINT, ratio
//! DOUBLE, lower DOUBLE, upper DOUBLE, change DOUBLE, dispersion DOUBLE, comparable BOOLEAN, reason VARCHAR>`, also
//! `same_period(day, count, holiday VARCHAR, {options})`
//!
//! More than last year (同比), or than just before (环比)? The counts of the `span` days that end with each row's day, against
//! those of the period before: `same_period(day, n) OVER (PARTITION BY unit ORDER BY day)`. `day` is DATE or BIGINT, one row
//! a day. Options: `span` (7); `before` 'year' or 'period' (year); `moving`, the names of holidays that move with the moon
//! (['春节']); `around`, the days before and after their first day that move with them (15); `level` (0.95). A year before is
//! 364 days, the same days of the week, and around a moving holiday as many days as that holiday was earlier. `shift` says
//! which; `reference_day` is the last day of the period before, days since 1970-01-01 where days are dates. `change` is
//! ratio - 1; `lower` and `upper` are the ratio's interval, where days vary by `dispersion` times what chance has.
//! `comparable` is false, with the `reason`, where the ratio must not be read: holiday (the periods hold different numbers
//! of holidays, or only one lies at a moving one) or zero. Where there is nothing to compare all numbers are NULL and
//! `comparable` is false: history, gap, order, unknown. Count both periods at the same maturity: as known so many days
//! after the day (`known_at`), or the newest days look low. Source: McCullagh and Nelder 1989.
//!
//! ```sql
//! SELECT day, same_period(day, n, {'span': 2, 'before': 'period'}) OVER (ORDER BY day) AS against
//! FROM (VALUES (1, 10), (2, 20), (3, 20), (4, 40)) AS t (day, n)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StructArray};
use datafusion::arrow::datatypes::{DataType, Fields, Float64Type};
use datafusion::error::Result;

use super::columns::{doubles, field, numbers_named, whole, words};
use super::gathered::{Columns, Of};
use super::options::Options;
use super::partition::Whole;
use crate::stat::same_period::{self, Before, Compared, Days, Reason, compare};

/// Two years.
const LONGEST_SPAN: i64 = 731;

/// What is asked.
#[derive(Debug)]
pub(super) struct SamePeriod(same_period::Options);

fn fields() -> Fields {
    let mut fields = numbers_named(&["observed", "reference"]);
    fields.push(field("reference_day", DataType::Int64));
    fields.push(field("shift", DataType::Int64));
    fields.extend(numbers_named(&["ratio", "lower", "upper", "change", "dispersion"]));
    fields.push(field("comparable", DataType::Boolean));
    fields.push(field("reason", DataType::Utf8));
    fields.into()
}

impl Whole for SamePeriod {
    const NAME: &'static str = "same_period";
    const FORMS: &'static [Columns] = &[
        &[("day", Of::Day), ("count", Of::Number)],
        &[("day", Of::Day), ("count", Of::Number), ("holiday", Of::Text)],
    ];

    fn options() -> Vec<&'static str> {
        vec!["span", "before", "moving", "around", "level"]
    }

    fn of(options: &Options) -> Result<Self> {
        let before = match options.word("before", "year", &["year", "period"])?.as_str() {
            "period" => Before::Period,
            _ => Before::Year,
        };
        let moving = match options.list("moving")? {
            None => vec!["春节".to_owned()],
            Some(names) => match names.as_string_opt::<i32>() {
                Some(names) => names.iter().flatten().map(str::to_owned).collect(),
                None => return Err(options.error("moving as a list of names", &names.data_type().to_string())),
            },
        };
        let between = |level: f64| level > 0.0 && level < 1.0;
        Ok(SamePeriod(same_period::Options {
            span: usize::try_from(options.whole("span", 7, 2, LONGEST_SPAN)?).unwrap_or(7),
            before,
            moving,
            around: options.whole("around", 15, 0, 60)?,
            level: options.number("level", 0.95, "a level between 0 and 1", between)?,
        }))
    }

    fn returns() -> DataType {
        DataType::Struct(fields())
    }

    fn answer(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let days = whole(Self::NAME, "day", &columns[0])?;
        let counts: Vec<Option<f64>> = columns[1].as_primitive::<Float64Type>().iter().collect();
        let holidays: Vec<Option<&str>> = match columns.get(2).and_then(|column| column.as_string_opt::<i32>()) {
            Some(names) => names.iter().map(|name| name.filter(|name| !name.is_empty())).collect(),
            None => vec![None; days.len()],
        };
        let found = compare(
            &self.0,
            Days {
                days: &days,
                counts: &counts,
                holidays: &holidays,
            },
        );
        let of =
            |number: fn(&Compared) -> Option<f64>| doubles(found.iter().map(|row| row.as_ref().ok().and_then(number)));
        let whole = |number: fn(&Compared) -> i64| -> ArrayRef {
            Arc::new(
                found
                    .iter()
                    .map(|row| row.as_ref().ok().map(number))
                    .collect::<Int64Array>(),
            )
        };
        let reason = |row: &std::result::Result<Compared, Reason>| match row {
            Ok(compared) => compared.reason.map(Reason::word),
            Err(reason) => Some(reason.word()),
        };
        let columns = vec![
            of(|row| Some(row.observed)),
            of(|row| Some(row.reference)),
            whole(|row| row.reference_day),
            whole(|row| row.shift),
            of(|row| row.ratio.map(|ratio| ratio.0)),
            of(|row| row.ratio.map(|ratio| ratio.1)),
            of(|row| row.ratio.map(|ratio| ratio.2)),
            of(|row| row.ratio.map(|ratio| ratio.0 - 1.0)),
            of(|row| Some(row.dispersion)),
            Arc::new(BooleanArray::from_iter(
                found.iter().map(|row| Some(reason(row).is_none())),
            )),
            words(found.iter().map(reason)),
        ];
        Ok(Arc::new(StructArray::try_new(fields(), columns, None)?))
    }
}
