//! Keyed tokens: HMAC-SHA-256 under keys that live outside the lake.
//!
//! A plain hash of an identity or telephone number is undone by trying all numbers in minutes; only
//! a secret key helps. Every purpose has its own key, so that tokens of two feeds never join.
//! Tokens are 64 bits wide (a join key of machine width); among 30 million documents of one system
//! the chance of any collision is about 1 in 40,000.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret of a site, from which the key of each purpose is derived.
#[derive(Clone)]
pub struct SiteKey([u8; 32]);

/// The key of one purpose.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKey(***)")
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(***)")
    }
}

impl SiteKey {
    /// A key from 64 hexadecimal digits; `None` for anything else, and for a key of one byte
    /// repeated, which nobody drew at random.
    pub fn from_hex(text: &str) -> Option<SiteKey> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        bytes.iter().any(|byte| *byte != bytes[0]).then_some(SiteKey(bytes))
    }

    /// A key from bytes drawn at random.
    pub fn from_bytes(bytes: [u8; 32]) -> SiteKey {
        SiteKey(bytes)
    }

    /// The key of a purpose: `key/<system>`, `token/<contract>/<column>`, `place`.
    pub fn purpose(&self, purpose: &str) -> MacKey {
        let derived = keyed(&self.0)
            .chain_update(b"fenghuo/1/")
            .chain_update(purpose.as_bytes());
        MacKey(keyed(&derived.finalize().into_bytes()))
    }
}

/// HMAC takes a key of any length, so the constructor cannot fail; a zero key would be the fallback.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()))
}

impl MacKey {
    /// The token of a text, after normalising.
    pub fn token(&self, text: &str) -> i64 {
        let mut mac = self.0.clone();
        if is_normal(text) {
            mac.update(text.as_bytes());
        } else {
            mac.update(normal(text).as_bytes());
        }
        first_eight(&mac.finalize().into_bytes())
    }

    /// The token of bytes that need no normalising: ASCII without blanks and lower case; `None` for all
    /// others.
    pub fn token_of_plain(&self, bytes: &[u8]) -> Option<i64> {
        if !bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase())
        {
            return None;
        }
        let mut mac = self.0.clone();
        mac.update(bytes);
        Some(first_eight(&mac.finalize().into_bytes()))
    }

    /// The token of raw parts, each ended by its length so that no two lists of parts collide.
    pub fn token_of(&self, parts: &[&[u8]]) -> i64 {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
            mac.update(&(part.len() as u64).to_le_bytes());
        }
        first_eight(&mac.finalize().into_bytes())
    }
}

fn first_eight(digest: &[u8]) -> i64 {
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// Whether normalising would change nothing, as far as bytes tell: ASCII without blanks and lower
/// case, and the CJK ideographs, which have neither.
fn is_normal(text: &str) -> bool {
    text.bytes().all(|byte| match byte {
        0x21..=0x7E => !byte.is_ascii_lowercase(),
        // first bytes of U+4000 to U+9FFF, and continuations, which follow no other first byte here
        0xE4..=0xE9 | 0x80..=0xBF => true,
        _ => false,
    })
}

/// The same number in its many spellings: full-width forms, blanks, lower case.
fn normal(text: &str) -> String {
    crate::protect::scan::half_width(text)
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SiteKey {
        SiteKey::from_hex(&"0123456789abcdef".repeat(4)).expect("a key")
    }

    #[test]
    fn one_number_in_many_spellings_has_one_token() {
        let mac = key().purpose("token/population/id_no");
        let token = mac.token("99010119900307001X");
        for spelling in [
            "99010119900307001x",
            "９９０１０１１９９００３０７００１Ｘ",
            " 990101 19900307 001X ",
        ] {
            assert_eq!(mac.token(spelling), token, "{spelling}");
        }
        assert_ne!(mac.token("990101199003070011"), token);
    }

    #[test]
    fn two_purposes_never_share_tokens() {
        assert_ne!(
            key().purpose("key/110").token("A1"),
            key().purpose("key/120").token("A1")
        );
    }

    #[test]
    fn a_weak_or_broken_key_is_refused() {
        assert!(SiteKey::from_hex(&"00".repeat(32)).is_none());
        assert!(SiteKey::from_hex("abc").is_none());
        assert!(SiteKey::from_hex(&"0g".repeat(32)).is_none());
    }

    /// An attacker with the tokens, the code and the configuration, and without the key, tries every
    /// number that can be meant.
    #[test]
    fn a_dictionary_of_all_numbers_recovers_none_without_the_key() {
        let number = |n: u32| format!("138{:08}", n * 1_237);
        let mac = key().purpose("token/source.alarm/caller_phone");
        let tokens: std::collections::HashSet<i64> = (0..10_000).map(|n| mac.token(&number(n))).collect();
        assert_eq!(tokens.len(), 10_000);
        let plain = |text: &str| first_eight(&<Sha256 as sha2::Digest>::digest(text));
        let guesses: Vec<MacKey> = [
            "00".repeat(31) + "01",
            "0123456789abcdef".repeat(2) + &"fedcba9876543210".repeat(2),
        ]
        .iter()
        .filter_map(|hex| SiteKey::from_hex(hex))
        .map(|key| key.purpose("token/source.alarm/caller_phone"))
        .collect();
        let other_field = key().purpose("token/source.alarm/caller_id_no");
        let mut recovered = 0;
        for n in 0..10_000 {
            let text = number(n);
            recovered += usize::from(tokens.contains(&plain(&text)));
            recovered += guesses
                .iter()
                .filter(|guess| tokens.contains(&guess.token(&text)))
                .count();
            // the key of one field, were it known, opens no other
            recovered += usize::from(tokens.contains(&other_field.token(&text)));
        }
        assert_eq!(recovered, 0);
        // the same attack on a plain hash finds everybody
        let hashes: std::collections::HashSet<i64> = (0..10_000).map(|n| plain(&number(n))).collect();
        assert_eq!(
            (0..10_000).filter(|n| hashes.contains(&plain(&number(*n)))).count(),
            10_000
        );
    }

    #[test]
    fn parts_are_not_glued() {
        let mac = key().purpose("row");
        assert_ne!(mac.token_of(&[b"ab", b"c"]), mac.token_of(&[b"a", b"bc"]));
    }
}
