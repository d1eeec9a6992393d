//! Writing local times, dates, padded numbers and coordinates into a reused buffer, without the cost of a formatter per field.
//! It parses nothing and knows no zone but the city's own clock; calendar rules are in calendar.rs.

/// Seconds since 1970-01-01 00:00:00 on the city's own clock (Asia/Shanghai, no daylight saving).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment so many seconds after the start of a day.
    pub fn at(day: i32, second: i64) -> Self {
        Self(i64::from(day) * 86_400 + second)
    }

    /// The moment so many seconds later.
    pub fn plus(self, seconds: f64) -> Self {
        Self(self.0 + seconds as i64)
    }

    /// The day, counted from 1970-01-01.
    pub fn day(self) -> i32 {
        self.0.div_euclid(86_400) as i32
    }

    fn push(self, out: &mut String, date_mark: &str, middle: &str, time_mark: &str) {
        push_date(out, self.day(), date_mark);
        out.push_str(middle);
        let second = self.0.rem_euclid(86_400) as u64;
        push_padded(out, second / 3_600, 2);
        out.push_str(time_mark);
        push_padded(out, second / 60 % 60, 2);
        out.push_str(time_mark);
        push_padded(out, second % 60, 2);
    }

    /// `2025-03-04 05:06:07`.
    pub fn push_local(self, out: &mut String) {
        self.push(out, "-", " ", ":");
    }

    /// `20250304050607`.
    pub fn push_compact(self, out: &mut String) {
        self.push(out, "", "", "");
    }

    /// `2025-03-04T05:06:07+08:00`.
    pub fn push_rfc3339(self, out: &mut String) {
        self.push(out, "-", "T", ":");
        out.push_str("+08:00");
    }

    /// The RFC 3339 text as an owned string, for the truth.
    pub fn to_rfc3339(self) -> String {
        let mut text = String::with_capacity(25);
        self.push_rfc3339(&mut text);
        text
    }
}

/// Year, month and day of a day number (Hinnant's algorithm; a calendar object per row would cost more than the row).
pub fn civil(day: i32) -> (i32, u32, u32) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (
        era * 400 + year_of_era + i32::from(month <= 2),
        month as u32,
        day_of_month as u32,
    )
}

/// Writes a date with the given mark between its parts.
pub fn push_date(out: &mut String, day: i32, mark: &str) {
    let (year, month, day_of_month) = civil(day);
    push_padded(out, year.max(0) as u64, 4);
    out.push_str(mark);
    push_padded(out, u64::from(month), 2);
    out.push_str(mark);
    push_padded(out, u64::from(day_of_month), 2);
}

/// `2025-03-04`, for the truth.
pub fn date_text(day: i32) -> String {
    let mut text = String::with_capacity(10);
    push_date(&mut text, day, "-");
    text
}

/// Writes a number with leading zeros up to `width` digits.
pub fn push_padded(out: &mut String, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = value;
    let mut at = digits.len();
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let from = at.min(digits.len() - width.min(20));
    out.extend(digits[from..].iter().map(|&digit| char::from(digit)));
}

/// Writes a number.
pub fn push_number(out: &mut String, value: u64) {
    push_padded(out, value, 1);
}

/// Writes a coordinate with six decimals; the city lies in the north-eastern quarter of the globe.
pub fn push_degrees(out: &mut String, degrees: f64) {
    let micro = (degrees.max(0.0) * 1e6).round() as u64;
    push_number(out, micro / 1_000_000);
    out.push('.');
    push_padded(out, micro % 1_000_000, 6);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn times_read_as_promised() {
        let moment = Moment::at(20_151, 5 * 3_600 + 6 * 60 + 7);
        assert_eq!(text(|out| moment.push_local(out)), "2025-03-04 05:06:07");
        assert_eq!(text(|out| moment.push_compact(out)), "20250304050607");
        assert_eq!(moment.to_rfc3339(), "2025-03-04T05:06:07+08:00");
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
    }

    #[test]
    fn numbers_are_padded() {
        assert_eq!(text(|out| push_padded(out, 0, 3)), "000");
        assert_eq!(text(|out| push_padded(out, 1_234, 3)), "1234");
        assert_eq!(text(|out| push_degrees(out, 101.05)), "101.050000");
        assert_eq!(text(|out| push_number(out, 0)), "0");
    }
}
