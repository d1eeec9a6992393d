//! One spelling of the numbers that lead to a person, so that one person has one token.
//!
//! Only what is a number by its form is touched. Works on texts whose width, blanks and case are normal
//! already.

use std::borrow::Cow;

use crate::protect::scan::check_character;

/// Digits of a resident number before 1999: a year of two digits, no check character.
const SHORT_RESIDENT: usize = 15;
/// Digits of a mobile number.
const MOBILE: usize = 11;

/// A telephone or resident number in its one spelling; every other text as it is.
///
/// `+86`, `0086` and `86` in front of a telephone number go, marks between its digits go, a landline keeps
/// the zero of its area; a resident number of 15 digits becomes the one of 18 (GB 11643).
pub(super) fn one_spelling(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_mark = |byte: u8| matches!(byte, b'-' | b'(' | b')' | b'.' | b'/' | b'+');
    if bytes.iter().all(u8::is_ascii_digit) {
        return from_digits(text);
    }
    let plus = bytes.first() == Some(&b'+');
    let rest = if plus { &bytes[1..] } else { bytes };
    let number = rest
        .iter()
        .all(|byte| byte.is_ascii_digit() || (is_mark(*byte) && *byte != b'+'));
    let digits = rest.iter().filter(|byte| byte.is_ascii_digit()).count();
    if !number || digits < 7 {
        return Cow::Borrowed(text);
    }
    let plain: String = rest
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    let spelled = from_digits(&plain);
    // marks in other numbers tell them apart: a room, a household
    let is_telephone = is_mobile(&spelled) || (spelled.starts_with('0') && (10..=12).contains(&spelled.len()));
    let is_resident = spelled.len() == 18 && spelled != plain;
    if is_telephone || is_resident {
        Cow::Owned(spelled.into_owned())
    } else {
        Cow::Borrowed(text)
    }
}

fn from_digits(digits: &str) -> Cow<'_, str> {
    let national = digits
        .strip_prefix("0086")
        .or_else(|| digits.strip_prefix("86").filter(|rest| is_national(rest)));
    if let Some(national) = national.filter(|national| is_national(national)) {
        // behind the country's number an area loses its zero
        return if is_mobile(national) || national.starts_with('0') {
            Cow::Borrowed(national)
        } else {
            Cow::Owned(format!("0{national}"))
        };
    }
    if digits.len() == SHORT_RESIDENT && is_date(&digits[6..12]) {
        let mut long = format!("{}19{}", &digits[..6], &digits[6..]);
        long.push(char::from(check_character(long.as_bytes())));
        return Cow::Owned(long);
    }
    Cow::Borrowed(digits)
}

fn is_mobile(digits: &str) -> bool {
    digits.len() == MOBILE && digits.starts_with('1') && !matches!(digits.as_bytes()[1], b'0'..=b'2')
}

/// Whether these digits can follow the country's number: a mobile number, or area and subscriber.
fn is_national(digits: &str) -> bool {
    is_mobile(digits) || (9..=12).contains(&digits.len()) && !digits.starts_with('1')
}

/// Whether six digits are a day of the twentieth century.
fn is_date(digits: &str) -> bool {
    let part = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (part(0), part(2), part(4)) else {
        return false;
    };
    chrono::NaiveDate::from_ymd_opt(1900 + year.cast_signed(), month, day).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for mobile in [
            "13800138000",
            "+8613800138000",
            "8613800138000",
            "008613800138000",
            "138-0013-8000",
            "+86-138-0013-8000",
            "138.0013.8000",
        ] {
            assert_eq!(one_spelling(mobile), "13800138000", "{mobile}");
        }
        for landline in [
            "051683712345",
            "0516-83712345",
            "(0516)83712345",
            "+8651683712345",
            "+86-516-83712345",
            "0086051683712345",
        ] {
            assert_eq!(one_spelling(landline), "051683712345", "{landline}");
        }
        // the example of the standard
        assert_eq!(one_spelling("110105491231002"), "11010519491231002X");
        assert_eq!(one_spelling("11010519491231002X"), "11010519491231002X");
    }

    #[test]
    fn what_is_no_number_stays_as_it_is() {
        for text in [
            "张-三",
            "A-1",
            "3-2-101",
            "12-3-1201",
            "1-23-1201",
            "2024-1-12345",
            "110105491331002",
            "1-800-CALL",
            "8612345",
            "",
            "861234567890123456",
        ] {
            assert_eq!(one_spelling(text), text);
        }
    }
}
