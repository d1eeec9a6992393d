//! Identifier patterns in any bytes, by pack: numbers that lead to one person.
//!
//! A pattern is bounded by other characters, and checked by its own rule (check digit, valid
//! date), so that a document or device number is not taken for a person's.

use crate::config::settings::Pack;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The pattern's name.
    pub pattern: &'static str,
    /// Byte offset.
    pub at: usize,
    /// Length in bytes.
    pub length: usize,
}

/// The first identifier in `bytes`, if any.
pub fn first(bytes: &[u8], pack: Pack) -> Option<Hit> {
    let mut found = None;
    each(bytes, pack, &mut |hit| {
        found = Some(hit);
        false
    });
    found
}

/// Whether a text can hold an identifier at all, as far as a few of its bytes tell: most texts cannot,
/// and need no closer look.
pub fn possible(bytes: &[u8], pack: Pack) -> bool {
    // the shortest run of digits in a number of the pack
    let run = match pack {
        Pack::Cn => 11,
        Pack::Us => 2,
        Pack::Eu => 9,
    };
    // every run of that length has a digit at one of these places
    let mut at = run - 1;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            let before = bytes[..at]
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let after = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if before + after >= run {
                return true;
            }
        }
        at += run;
    }
    memchr::memchr(b'@', bytes).is_some()
}

/// Calls `found` for every identifier in `bytes` until it answers `false`.
pub fn each(bytes: &[u8], pack: Pack, found: &mut dyn FnMut(Hit) -> bool) {
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            if bytes[at] == b'@'
                && let Some(hit) = mail(bytes, at)
                && !found(hit)
            {
                return;
            }
            at += 1;
            continue;
        }
        let end = bytes[at..]
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .map_or(bytes.len(), |n| at + n);
        if let Some(hit) = number(bytes, at, end, pack)
            && !found(hit)
        {
            return;
        }
        at = end;
    }
}

/// The text with full-width forms as their ordinary ones.
pub fn half_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '！'..='～' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            other => other,
        })
        .collect()
}

/// Shows the shape of a value without its content.
pub fn mask(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(40)
        .map(|c| match c {
            c if c.is_numeric() => '9',
            c if c.is_alphabetic() => 'x',
            c if c.is_control() => '?',
            other => other,
        })
        .collect();
    if text.chars().count() > 40 {
        shown + "…"
    } else {
        shown
    }
}

fn number(bytes: &[u8], start: usize, end: usize, pack: Pack) -> Option<Hit> {
    let hit = |pattern, start, end: usize| {
        Some(Hit {
            pattern,
            at: start,
            length: end - start,
        })
    };
    let before = start.checked_sub(1).map(|at| bytes[at]);
    if before.is_some_and(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let digits = &bytes[start..end];
    let after = bytes.get(end).copied();
    match pack {
        Pack::Cn => {
            let with_x = digits.len() == 17 && matches!(after, Some(b'X' | b'x'));
            if with_x && resident_number(&bytes[start..=end]) {
                return hit("resident_number", start, end + 1);
            }
            if after.is_some_and(|byte| byte.is_ascii_alphabetic()) {
                return None;
            }
            if digits.len() == 18 && resident_number(digits) {
                return hit("resident_number", start, end);
            }
            let national = if digits.len() == 13 && digits.starts_with(b"86") {
                &digits[2..]
            } else {
                digits
            };
            let mobile = national.len() == 11 && national[0] == b'1' && (b'3'..=b'9').contains(&national[1]);
            // a decimal fraction of eleven digits is a coordinate, not a telephone
            if mobile && before != Some(b'.') && after != Some(b'.') {
                hit("mobile_number", start, end)
            } else {
                None
            }
        }
        Pack::Us => {
            let groups = groups(bytes, start);
            match groups.lengths.as_slice() {
                [3, 2, 4] => hit("social_security_number", start, groups.end),
                [3, 3, 4] => hit("telephone_number", start, groups.end),
                _ => None,
            }
        }
        Pack::Eu => {
            let international = before == Some(b'+') && (9..=15).contains(&digits.len());
            if international {
                hit("telephone_number", start, end)
            } else {
                None
            }
        }
    }
}

struct Groups {
    lengths: Vec<usize>,
    end: usize,
}

/// Lengths of digit groups joined by one `-`, as in 078-05-1120.
fn groups(bytes: &[u8], start: usize) -> Groups {
    let mut found = Groups {
        lengths: Vec::new(),
        end: start,
    };
    let mut at = start;
    if start > 0 && bytes[start - 1] == b'-' {
        return found;
    }
    loop {
        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if run == 0 {
            found.lengths.push(0);
            return found;
        }
        found.lengths.push(run);
        found.end = at + run;
        if bytes.get(found.end) != Some(&b'-') {
            return found;
        }
        at = found.end + 1;
    }
}

/// GB 11643: 17 digits and a check character, with a calendar date inside.
fn resident_number(text: &[u8]) -> bool {
    let digit = |at: usize| u32::from(text[at] - b'0');
    let number = |from: usize, to: usize| (from..to).fold(0, |sum, at| sum * 10 + digit(at));
    let date = chrono::NaiveDate::from_ymd_opt(number(6, 10).cast_signed(), number(10, 12), number(12, 14));
    if date.is_none() || !(1850..=2100).contains(&number(6, 10)) {
        return false;
    }
    check_character(text) == text[17].to_ascii_uppercase()
}

/// The check character of the first 17 digits of a resident number (ISO 7064 MOD 11-2).
pub(super) fn check_character(digits: &[u8]) -> u8 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECK: &[u8; 11] = b"10X98765432";
    let weighed = digits.iter().zip(WEIGHTS);
    let sum: u32 = weighed.map(|(digit, weight)| weight * u32::from(digit - b'0')).sum();
    CHECK[(sum % 11) as usize]
}

fn mail(bytes: &[u8], at: usize) -> Option<Hit> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    let before = bytes[..at].iter().rev().take_while(|byte| is_name(byte)).count();
    let after = bytes[at + 1..].iter().take_while(|byte| is_name(byte)).count();
    let domain = &bytes[at + 1..=at + after];
    // binary data hold short matches by chance; a real address has a name and a lettered ending
    let ending = domain.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let real = before >= 3
        && after >= 5
        && domain.contains(&b'.')
        && ending.len() >= 2
        && ending.iter().all(u8::is_ascii_lowercase);
    real.then_some(Hit {
        pattern: "mail_address",
        at: at - before,
        length: before + 1 + after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_impossible_holds_nothing() {
        let mut state = 88_172_645_463_325_252u64;
        let mut possible_ones = 0;
        for _ in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // mostly digits, so that numbers of every length come up
            let text: Vec<u8> = (0..state % 40)
                .map(|at| b"0123456789013800x-@.+86"[((state >> (at % 48)) % 23) as usize])
                .collect();
            for pack in [Pack::Cn, Pack::Us, Pack::Eu] {
                if possible(&text, pack) {
                    possible_ones += 1;
                } else {
                    assert!(first(&text, pack).is_none(), "{:?}", String::from_utf8_lossy(&text));
                }
            }
        }
        assert!(possible_ones > 1_000);
        assert!(!possible(b"55031c8db3a7f971bd141ad166537ffe", Pack::Cn));
        assert!(possible(b"call 13800138000 now", Pack::Cn));
    }

    fn pattern(text: &str, pack: Pack) -> Option<&'static str> {
        first(text.as_bytes(), pack).map(|hit| hit.pattern)
    }

    #[test]
    fn chinese_identifiers_are_found_by_rule_and_not_by_length() {
        assert_eq!(pattern("x 11010519491231002X,", Pack::Cn), Some("resident_number"));
        assert_eq!(pattern("440524188001010014", Pack::Cn), Some("resident_number"));
        assert_eq!(pattern("110105194912310021", Pack::Cn), None, "wrong check digit");
        assert_eq!(pattern("电话13912345678。", Pack::Cn), Some("mobile_number"));
        assert_eq!(pattern("8613912345678", Pack::Cn), Some("mobile_number"));
        assert_eq!(pattern("101.13912345678", Pack::Cn), None, "a coordinate");
        assert_eq!(pattern("99010100001320000001", Pack::Cn), None, "a camera");
        assert_eq!(pattern("a13912345678b", Pack::Cn), None);
    }

    #[test]
    fn american_numbers_need_their_groups() {
        assert_eq!(pattern("call 210-555-0123 now", Pack::Us), Some("telephone_number"));
        assert_eq!(pattern("078-05-1120", Pack::Us), Some("social_security_number"));
        assert_eq!(pattern("SAPD-2024-0000317", Pack::Us), None);
        assert_eq!(pattern("2024-01-31", Pack::Us), None);
    }

    #[test]
    fn mail_addresses_are_found_in_every_pack() {
        assert_eq!(pattern("to someone@example.com!", Pack::Eu), Some("mail_address"));
        assert_eq!(pattern("a@b", Pack::Eu), None);
    }

    #[test]
    fn a_mask_keeps_the_shape_only() {
        assert_eq!(mask("2025-02-30 张三"), "9999-99-99 xx");
        assert_eq!(mask("１３９"), "999");
    }
}
