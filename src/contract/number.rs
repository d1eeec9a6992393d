//! Numbers as the field writes them. Marks are declared in the contract, never guessed.
//!
//! A text is a number in full or not at all: no unit, no money sign, no wrap, no rounding to infinity
//! or to zero.

/// How the numbers of a column are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberStyle {
    /// The mark before the fraction.
    pub decimal: char,
    /// The mark between groups of three digits, where the source writes one.
    pub thousands: Option<char>,
}

impl Default for NumberStyle {
    fn default() -> NumberStyle {
        NumberStyle {
            decimal: '.',
            thousands: None,
        }
    }
}

/// The integer that `text` states. A fraction or an exponent is none, even where its value is whole.
pub fn integer(text: &str, style: &NumberStyle) -> Option<i64> {
    if digits(text.strip_prefix('-').unwrap_or(text)) {
        return text.parse().ok();
    }
    let written = Written::read(text, style)?;
    if written.whole { written.text.parse().ok() } else { None }
}

/// The finite number that `text` states; `-0` is 0.
pub fn float(text: &str, style: &NumberStyle) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = match unsigned.split_once('.') {
        None => digits(unsigned),
        Some((whole, fraction)) => style.decimal == '.' && digits(whole) && digits(fraction),
    };
    if plain {
        return finite(text);
    }
    finite(&Written::read(text, style)?.text)
}

/// A number as Rust writes it, its marks and wide characters taken away.
struct Written {
    text: String,
    /// It has neither fraction nor exponent.
    whole: bool,
}

impl Written {
    fn read(text: &str, style: &NumberStyle) -> Option<Written> {
        let decimal = half_width(style.decimal);
        let thousands = style.thousands.map(half_width);
        if thousands == Some(decimal) {
            return None;
        }
        let text: String = text.chars().map(half_width).collect();
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(&text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once(decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let whole = match (thousands, exponent, fraction) {
            (Some(mark), None, _) if whole.contains(mark) => ungrouped(whole, mark)?,
            (_, _, Some(_)) if whole.is_empty() => "0".to_owned(),
            _ => whole.to_owned(),
        };
        let exponent_digits = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        let sound = digits(&whole) && fraction.is_none_or(digits) && exponent_digits.is_none_or(digits);
        if !sound {
            return None;
        }
        let mut number = format!("{sign}{whole}");
        for (mark, part) in [('.', fraction), ('e', exponent)] {
            if let Some(part) = part {
                number.push(mark);
                number.push_str(part);
            }
        }
        Some(Written {
            text: number,
            whole: fraction.is_none() && exponent.is_none(),
        })
    }
}

/// Digits whose marks stand before every third from the end, without the marks.
fn ungrouped(text: &str, mark: char) -> Option<String> {
    let mut groups = text.split(mark);
    let first = groups.next()?;
    // 0,123 is a fraction of somebody else's notation
    if first.is_empty() || first.len() > 3 || first.starts_with('0') || !groups.all(|group| group.len() == 3) {
        return None;
    }
    Some(text.split(mark).collect())
}

/// Digits and nothing else.
fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ASCII form of the digits, signs, marks and blanks that appear in numbers.
fn half_width(c: char) -> char {
    match c {
        '０'..='９' | '＋' | '－' | '．' | '，' => {
            u32::from(c).checked_sub(0xFEE0).and_then(char::from_u32).unwrap_or(c)
        }
        '\u{2212}' => '-',
        '\u{3000}' | '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
        other => other,
    }
}

fn finite(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    if number == 0.0 {
        // 1e-400 is no zero
        let mantissa = text.split(['e', 'E']).next()?;
        return mantissa
            .bytes()
            .all(|byte| !(b'1'..=b'9').contains(&byte))
            .then_some(0.0);
    }
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: NumberStyle = NumberStyle {
        decimal: '.',
        thousands: None,
    };
    const ENGLISH: NumberStyle = NumberStyle {
        decimal: '.',
        thousands: Some(','),
    };
    const GERMAN: NumberStyle = NumberStyle {
        decimal: ',',
        thousands: Some('.'),
    };
    const FRENCH: NumberStyle = NumberStyle {
        decimal: ',',
        thousands: Some(' '),
    };
    const SAME: NumberStyle = NumberStyle {
        decimal: ',',
        thousands: Some(','),
    };

    type Case = (&'static str, NumberStyle, Option<i64>, Option<f64>);

    const ACCEPTED: &[Case] = &[
        ("0", PLAIN, Some(0), Some(0.0)),
        ("7", PLAIN, Some(7), Some(7.0)),
        ("007", PLAIN, Some(7), Some(7.0)),
        ("-42", PLAIN, Some(-42), Some(-42.0)),
        ("+42", PLAIN, Some(42), Some(42.0)),
        ("-0", PLAIN, Some(0), Some(0.0)),
        ("+0", PLAIN, Some(0), Some(0.0)),
        ("2147483648", PLAIN, Some(2_147_483_648), Some(2_147_483_648.0)),
        ("-2147483649", PLAIN, Some(-2_147_483_649), Some(-2_147_483_649.0)),
        (
            "9007199254740993",
            PLAIN,
            Some(9_007_199_254_740_993),
            Some(9_007_199_254_740_992.0),
        ),
        (
            "9223372036854775807",
            PLAIN,
            Some(i64::MAX),
            Some(9_223_372_036_854_775_808.0),
        ),
        (
            "+9223372036854775807",
            PLAIN,
            Some(i64::MAX),
            Some(9_223_372_036_854_775_808.0),
        ),
        (
            "-9223372036854775808",
            PLAIN,
            Some(i64::MIN),
            Some(-9_223_372_036_854_775_808.0),
        ),
        ("9223372036854775808", PLAIN, None, Some(9_223_372_036_854_775_808.0)),
        ("-9223372036854775809", PLAIN, None, Some(-9_223_372_036_854_775_808.0)),
        ("18446744073709551617", PLAIN, None, Some(18_446_744_073_709_551_616.0)),
        ("3.0", PLAIN, None, Some(3.0)),
        ("117.0312", PLAIN, None, Some(117.0312)),
        ("-0.5", PLAIN, None, Some(-0.5)),
        ("-0.0", PLAIN, None, Some(0.0)),
        (".5", PLAIN, None, Some(0.5)),
        ("-.5", PLAIN, None, Some(-0.5)),
        ("+1.5", PLAIN, None, Some(1.5)),
        ("1.5e3", PLAIN, None, Some(1_500.0)),
        ("1E+3", PLAIN, None, Some(1_000.0)),
        ("-25e-2", PLAIN, None, Some(-0.25)),
        ("0e9", PLAIN, None, Some(0.0)),
        ("1e308", PLAIN, None, Some(1e308)),
        ("5e-324", PLAIN, None, Some(5e-324)),
        ("１２３", PLAIN, Some(123), Some(123.0)),
        ("－１２．５", PLAIN, None, Some(-12.5)),
        ("＋７", PLAIN, Some(7), Some(7.0)),
        ("−7", PLAIN, Some(-7), Some(-7.0)),
        ("1,234", ENGLISH, Some(1_234), Some(1_234.0)),
        ("-12,345,678", ENGLISH, Some(-12_345_678), Some(-12_345_678.0)),
        ("+1,234.5", ENGLISH, None, Some(1_234.5)),
        ("１，２３４", ENGLISH, Some(1_234), Some(1_234.0)),
        ("1234567", ENGLISH, Some(1_234_567), Some(1_234_567.0)),
        (
            "9,223,372,036,854,775,808",
            ENGLISH,
            None,
            Some(9_223_372_036_854_775_808.0),
        ),
        ("1.5e3", ENGLISH, None, Some(1_500.0)),
        ("1.234", GERMAN, Some(1_234), Some(1_234.0)),
        ("1.234,5", GERMAN, None, Some(1_234.5)),
        ("3,5", GERMAN, None, Some(3.5)),
        ("12 345,6", FRENCH, None, Some(12_345.6)),
        ("12\u{202f}345", FRENCH, Some(12_345), Some(12_345.0)),
    ];

    const REFUSED: &[(&str, NumberStyle)] = &[
        ("", PLAIN),
        ("-", PLAIN),
        ("+", PLAIN),
        (".", PLAIN),
        ("5.", PLAIN),
        ("--5", PLAIN),
        ("+-5", PLAIN),
        ("- 5", PLAIN),
        ("5-", PLAIN),
        (" 5", PLAIN),
        ("1 2", PLAIN),
        ("1.2.3", PLAIN),
        ("1,5", PLAIN),
        ("1,234", PLAIN),
        ("1_000", PLAIN),
        ("NaN", PLAIN),
        ("nan", PLAIN),
        ("inf", PLAIN),
        ("-Infinity", PLAIN),
        ("∞", PLAIN),
        ("1e400", PLAIN),
        ("-1e400", PLAIN),
        ("1e-400", PLAIN),
        ("1e", PLAIN),
        ("e5", PLAIN),
        ("1e5.5", PLAIN),
        ("1e--5", PLAIN),
        ("1e5e5", PLAIN),
        ("0x1F", PLAIN),
        ("0xE5", PLAIN),
        ("0b1", PLAIN),
        ("100元", PLAIN),
        ("￥100", PLAIN),
        ("$100", PLAIN),
        ("3.5km", PLAIN),
        ("50%", PLAIN),
        ("(5)", PLAIN),
        ("一二三", PLAIN),
        ("１万", PLAIN),
        ("٣", PLAIN),
        ("½", PLAIN),
        ("'5", PLAIN),
        ("1,23", ENGLISH),
        ("12,34,567", ENGLISH),
        ("1234,567", ENGLISH),
        (",123", ENGLISH),
        ("1,234,", ENGLISH),
        ("1,,234", ENGLISH),
        ("1,2345", ENGLISH),
        ("0,123", ENGLISH),
        ("1,234e3", ENGLISH),
        ("1.5,000", ENGLISH),
        ("1,23a", ENGLISH),
        ("-,123", ENGLISH),
        ("1.23", GERMAN),
        ("1,234.5", GERMAN),
        ("1,234", SAME),
    ];

    #[test]
    fn accepted_numbers_keep_their_value() {
        for (text, style, whole, number) in ACCEPTED {
            assert_eq!(integer(text, style), *whole, "{text}");
            let found = float(text, style);
            assert_eq!(found.map(f64::to_bits), number.map(f64::to_bits), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_number_in_full_is_none() {
        for (text, style) in REFUSED {
            assert_eq!(integer(text, style), None, "{text}");
            assert_eq!(float(text, style), None, "{text}");
        }
    }

    #[test]
    fn a_written_number_reads_as_itself() {
        for number in [i64::MIN, -1_000_000, -1, 0, 1, 999, 1_000, i64::MAX] {
            assert_eq!(integer(&number.to_string(), &NumberStyle::default()), Some(number));
        }
        for number in [
            f64::MIN,
            -0.1,
            0.1,
            1.0 / 3.0,
            f64::EPSILON,
            f64::MIN_POSITIVE,
            f64::MAX,
        ] {
            for text in [format!("{number}"), format!("{number:e}")] {
                assert_eq!(float(&text, &NumberStyle::default()), Some(number), "{text}");
            }
        }
    }
}
