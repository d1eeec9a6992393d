//! The loop between patrols and records (Ensign et al. 2018): two districts with the same need, patrols shared 75 to 25 at
//! first. Every week patrols go where the records of 13 weeks are, and find something where they are.
//!
//! Where only what citizens report counts, as `mart.citizen_alarm` lets through, the shares find back to one half; where
//! only what patrols found counts, they stay where they were put.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use fenghuo::engine::{Bounds, Session};
use fenghuo::stat::random::{Stream, lane};

use crate::support::kills;

const LOOP: u64 = lane("patrol loop");
/// Weeks of a trial, and those whose records count.
const CYCLES: i32 = 52;
const WINDOW: i32 = 13;
/// Calls of citizens in a district and week, and findings of all patrols in a week.
const CALLS: f64 = 20.0;
const FOUND: f64 = 250.0;
/// Share of the patrols in the first district at first.
const BEGUN: f64 = 0.75;

/// A record: trial, district, week, whether a patrol found it.
type Call = (u64, bool, i32, bool);

/// Records as `core.alarm` has them.
fn table(calls: &[Call]) -> RecordBatch {
    let words =
        |of: &dyn Fn(&Call) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(calls.iter().map(of))) };
    let same = |word: &str| words(&|_| word.to_owned());
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(calls.iter().map(|call| call.2 * 7)));
    let flag = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value; calls.len()])) };
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..calls.len() as i64));
    let nothing: ArrayRef = Arc::new(Int64Array::new_null(calls.len()));
    let origin = words(&|call| if call.3 { "police" } else { "citizen" }.to_owned());
    let district = words(&|call| if call.1 { "first" } else { "second" }.to_owned());
    let columns = [
        ("alarm_id", numbers.clone()),
        ("main_alarm_id", nothing),
        ("reported_at", days.clone()),
        ("known_at", days.clone()),
        ("biz_date", days),
        ("hour_local", numbers.clone()),
        ("origin", origin),
        ("category", same("0101")),
        ("category_group", same("criminal")),
        ("priority", numbers.clone()),
        ("county", words(&|call| call.0.to_string())),
        ("area", district),
        ("lon", numbers.clone()),
        ("lat", numbers.clone()),
        ("cell", numbers.clone()),
        ("source_batch", same("")),
        ("source_line", numbers),
        ("is_effective", flag(true)),
        ("is_mappable", flag(true)),
        ("is_discretionary", flag(false)),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

/// The share of the first district in each trial after a year, where `seen` is what the records are read through.
async fn shares(trials: u64, seen: &str) -> Vec<f64> {
    let mut shares = vec![BEGUN; trials as usize];
    let mut calls: Vec<Call> = Vec::new();
    for week in 0..CYCLES {
        for trial in 0..trials {
            let mut stream = Stream::keyed(trial + 1, LOOP, week as u64, 0);
            let share = shares[trial as usize];
            for (first, patrols) in [(true, share), (false, 1.0 - share)] {
                let [called, found] = [CALLS, FOUND * patrols].map(|mean| stream.poisson(mean));
                calls.extend((0..called).map(|_| (trial, first, week, false)));
                calls.extend((0..found).map(|_| (trial, first, week, true)));
            }
        }
        calls.retain(|call| call.2 > week - WINDOW);
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        });
        let session = session.expect("a session");
        session.register_batch("core.alarm", table(&calls)).expect("calls");
        let sql = format!(
            "SELECT CAST(county AS BIGINT) AS trial, count(*) FILTER (WHERE area = 'first') AS first, count(*) AS n FROM (\n{seen}\n) AS c GROUP BY county"
        );
        let rows = session.query("loop", &sql, 1_000).await.expect("shares");
        for batch in &rows.batches {
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values();
            for row in 0..batch.num_rows() {
                shares[column(0)[row] as usize] = column(1)[row] as f64 / column(2)[row] as f64;
            }
        }
    }
    shares
}

#[tokio::test]
async fn patrols_do_not_feed_on_their_own_records() {
    // 40 trials, the full 200 in the long run
    let trials = kills().max(40);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/mart/citizen_alarm.sql");
    let filter = std::fs::read_to_string(path).expect("the filter");
    let even = |shares: Vec<f64>| {
        let inside = shares.iter().filter(|share| (0.45..=0.55).contains(*share)).count();
        inside as f64 / shares.len() as f64
    };
    let with = even(shares(trials, &filter).await);
    let without = even(shares(trials, "SELECT * FROM core.alarm WHERE origin = 'police'").await);
    println!("{trials} trials: {with:.3} even through the filter, {without:.3} on findings alone");
    assert!(with >= 0.95, "{with}");
    assert!(without <= 0.05, "{without}");
    // the filter is what does it: with findings let through as well, a year is not enough
    let open = filter.replace("'citizen',", "'citizen', 'police',");
    assert_ne!(open, filter);
    let open = even(shares(trials, &open).await);
    assert!(open < 0.5, "{open}");
}
