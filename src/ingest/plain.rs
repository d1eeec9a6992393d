//! Plain numbers and times from bytes, without a detour over text: what nearly every value looks like.
//!
//! Each answers `None` to everything else, which then goes the long way; where it answers, the long way
//! would answer the same.

/// A few digits as a number.
pub(super) fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0i64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + i64::from(digit))
    })
}

/// Powers of ten that a float holds exactly.
const TENS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// A plain decimal of at most fifteen digits: digits and power are exact, so one division rounds
/// correctly (Clinger 1990).
pub(super) fn decimal(bytes: &[u8]) -> Option<f64> {
    let (negative, rest) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    if rest.is_empty() || rest.len() > 16 {
        return None;
    }
    let (mut mantissa, mut point, mut count) = (0u64, None, 0usize);
    for (at, byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
            count += 1;
        } else if *byte == b'.' && point.is_none() && at > 0 {
            point = Some(at);
        } else {
            return None;
        }
    }
    let behind = point.map_or(0, |at| rest.len() - at - 1);
    if count > 15 || (point.is_some() && behind == 0) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit")]
    let number = mantissa as f64 / TENS[behind];
    Some(if negative { -number } else { number })
}

/// `2025-03-04 05:06:07` with `mark` before the time, as microseconds of the wall clock.
pub(super) fn dashed(bytes: &[u8], mark: u8) -> Option<i64> {
    let text: &[u8; 19] = bytes.try_into().ok()?;
    if text[4] != b'-' || text[7] != b'-' || text[10] != mark || text[13] != b':' || text[16] != b':' {
        return None;
    }
    wall([
        text[0], text[1], text[2], text[3], text[5], text[6], text[8], text[9], text[11], text[12], text[14], text[15],
        text[17], text[18],
    ])
}

/// `2025-03-04T05:06:07Z` or with an offset `+08:00`, as UTC microseconds.
pub(super) fn rfc3339(bytes: &[u8]) -> Option<i64> {
    let (wall, offset) = bytes.split_at_checked(19)?;
    let wall = dashed(wall, b'T')?;
    let minutes = match offset {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let hours = digits(&[*a, *b]).filter(|hours| *hours < 24)?;
            let minutes = digits(&[*c, *d]).filter(|minutes| *minutes < 60)?;
            let east = hours * 60 + minutes;
            if *sign == b'-' { -east } else { east }
        }
        _ => return None,
    };
    Some(wall - minutes * 60_000_000)
}

/// `20250304050607`, as microseconds of the wall clock.
pub(super) fn compact(bytes: &[u8]) -> Option<i64> {
    wall(bytes.try_into().ok()?)
}

/// Fourteen digits of a wall clock from 1900 on; `None` for what is no time.
fn wall(digits: [u8; 14]) -> Option<i64> {
    let digits = digits.map(|byte| byte.wrapping_sub(b'0'));
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let two = |at: usize| i64::from(digits[at]) * 10 + i64::from(digits[at + 1]);
    let (year, month, day) = (two(0) * 100 + two(2), two(4), two(6));
    let (hour, minute, second) = (two(8), two(10), two(12));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let sound = (1901..2199).contains(&year) && (1..=last).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !sound {
        return None;
    }
    // days from civil, counted from March so that the leap day is the last of its year
    let shifted = year - i64::from(month <= 2);
    let era = shifted / 400;
    let of_era = shifted - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_ways_agree_with_the_long_ones() {
        for text in [
            "0",
            "117.184811",
            "-98.5",
            "34.0",
            "0.000001",
            "999999999999999",
            "12345.6789012345",
        ] {
            assert_eq!(decimal(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "5.",
            ".5",
            "1.2.3",
            "1e5",
            "+1",
            "1234567890123456",
            "1 ",
            "nan",
        ] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        let pattern = "%Y-%m-%d %H:%M:%S";
        for text in [
            "2024-02-29 23:59:59",
            "1999-12-31 00:00:00",
            "2000-03-01 12:30:45",
            "1901-01-01 00:00:00",
        ] {
            let expected = chrono::NaiveDateTime::parse_from_str(text, pattern).expect("a time");
            assert_eq!(
                dashed(text.as_bytes(), b' '),
                Some(expected.and_utc().timestamp_micros()),
                "{text}"
            );
        }
        for text in [
            "2025-02-30 10:00:00",
            "2025-01-01 24:00:00",
            "2025-13-01 00:00:00",
            "2025-01-0a 10:00:00",
            "x",
        ] {
            assert_eq!(dashed(text.as_bytes(), b' '), None, "{text}");
        }
        assert_eq!(compact(b"20250304050607"), dashed(b"2025-03-04 05:06:07", b' '));
        for text in [
            "2025-03-04T05:06:07Z",
            "2025-03-04T05:06:07+08:00",
            "2025-03-04T05:06:07-05:30",
        ] {
            let expected = chrono::DateTime::parse_from_rfc3339(text)
                .expect("a time")
                .timestamp_micros();
            assert_eq!(rfc3339(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "2025-03-04T05:06:07",
            "2025-03-04T05:06:07+0800",
            "2025-03-04T05:06:07+08:60",
            "2025-03-04",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_three_centuries_is_the_calendars() {
        let mut date = chrono::NaiveDate::from_ymd_opt(1901, 1, 1).expect("a date");
        while date < chrono::NaiveDate::from_ymd_opt(2199, 1, 1).expect("a date") {
            let text = date.format("%Y%m%d010203").to_string();
            let expected = date.and_hms_opt(1, 2, 3).expect("a time").and_utc().timestamp_micros();
            assert_eq!(compact(text.as_bytes()), Some(expected), "{date}");
            date = date.succ_opt().expect("a day");
        }
    }
}
