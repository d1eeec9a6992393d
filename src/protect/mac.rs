//! Keyed tokens: HMAC-SHA-256 under keys that live outside the lake.
//!
//! A plain hash of an identity or telephone number is undone by trying all numbers in minutes; only
//! a secret key helps. Every purpose has its own key, so that tokens of two feeds never join.
//! A new key is laid over the old ones: the token of a text is the newest key's MAC of its token under
//! the key before. So every stored token can be renewed without the text it stands for, and whoever
//! learnt an old key opens no token of today.
//!
//! Tokens are 64 bits wide (a join key of machine width); among 30 million documents of one system
//! the chance of any collision is about 1 in 40,000.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::protect::numbers;

/// The secret of a site, from which the key of each purpose is derived: its first key, and those laid
/// over it since, oldest first.
#[derive(Clone)]
pub struct SiteKey {
    first: [u8; 32],
    later: Vec<[u8; 32]>,
}

/// The key of one purpose.
#[derive(Clone)]
pub struct MacKey {
    mac: Hmac<Sha256>,
    /// Whether its texts are people's numbers, which are written in many ways.
    people: bool,
}

/// The key by which the site knows its own words again: full-width MACs for URLs and checkpoints, which stand for
/// nobody and are not renewed.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

/// What renews the tokens of one class under the keys that were laid over the first.
#[derive(Clone, Debug, Default)]
pub struct Renewal(Vec<MacKey>);

/// What a token stands for; tokens of one class are renewed alike, so that those that join still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenClass {
    /// A document number.
    Key,
    /// Anything of a person.
    Token,
    /// A public place.
    Place,
    /// The identity of a row.
    Row,
    /// The value by which a lake knows its key.
    Check,
}

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKey(***)")
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(***)")
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(***)")
    }
}

/// One key from 64 hexadecimal digits.
fn one_key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0u8; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    bytes.iter().any(|byte| *byte != bytes[0]).then_some(bytes)
}

fn derived(key: &[u8], purpose: &str) -> Hmac<Sha256> {
    let derived = keyed(key).chain_update(b"fenghuo/1/").chain_update(purpose.as_bytes());
    keyed(&derived.finalize().into_bytes())
}

impl SiteKey {
    /// Keys from lines of 64 hexadecimal digits, oldest first; `None` for anything else, for a key that
    /// comes twice, and for one of a single byte repeated, which nobody drew at random.
    pub fn from_hex(text: &str) -> Option<SiteKey> {
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for line in text.trim().lines() {
            let key = one_key(line.trim())?;
            if keys.contains(&key) {
                return None;
            }
            keys.push(key);
        }
        let (first, later) = keys.split_first()?;
        Some(SiteKey {
            first: *first,
            later: later.to_vec(),
        })
    }

    /// A key from bytes drawn at random.
    pub fn from_bytes(bytes: [u8; 32]) -> SiteKey {
        SiteKey {
            first: bytes,
            later: Vec::new(),
        }
    }

    /// These keys with a new one laid over them.
    pub fn with(&self, bytes: [u8; 32]) -> SiteKey {
        let mut renewed = self.clone();
        renewed.later.push(bytes);
        renewed
    }

    /// How many keys there are.
    pub fn generations(&self) -> usize {
        1 + self.later.len()
    }

    /// The name of the newest key, eight hexadecimal digits that lead back to nothing.
    pub fn id(&self) -> String {
        let newest = self.later.last().unwrap_or(&self.first);
        let name = derived(newest, "id").finalize().into_bytes();
        name[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first key's key of a purpose: `key/<system>`, `token/<contract>/<column>`, `place`. What it
    /// gives is renewed before it is written.
    pub fn purpose(&self, purpose: &str) -> MacKey {
        MacKey {
            mac: derived(&self.first, purpose),
            people: purpose.starts_with("token/"),
        }
    }

    /// The seals of a purpose, one for each key, newest first: what is sealed now carries the first of them.
    pub fn seals(&self, purpose: &str) -> Vec<Seal> {
        let keys = self.later.iter().rev().chain([&self.first]);
        keys.map(|key| Seal(derived(key, purpose))).collect()
    }

    /// What brings tokens of the first key to the newest.
    pub fn renewal(&self, class: TokenClass) -> Renewal {
        Renewal(self.later.iter().map(|key| class.key(key)).collect())
    }

    /// What brings tokens of the key before to the newest; nothing where there is only one.
    pub fn last_renewal(&self, class: TokenClass) -> Renewal {
        Renewal(self.later.last().map(|key| class.key(key)).into_iter().collect())
    }
}

impl TokenClass {
    fn key(self, key: &[u8; 32]) -> MacKey {
        let purpose = match self {
            TokenClass::Key => "renew/key",
            TokenClass::Token => "renew/token",
            TokenClass::Place => "renew/place",
            TokenClass::Row => "renew/row",
            TokenClass::Check => "renew/check",
        };
        MacKey {
            mac: derived(key, purpose),
            people: false,
        }
    }
}

impl Renewal {
    /// The token that stands for the same under the newest key.
    pub fn apply(&self, token: i64) -> i64 {
        self.0.iter().fold(token, |token, key| {
            let mut mac = key.mac.clone();
            mac.update(&token.to_be_bytes());
            first_eight(&mac.finalize().into_bytes())
        })
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// HMAC takes a key of any length, so the constructor cannot fail; a zero key would be the fallback.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()))
}

impl MacKey {
    /// The token of a text, after normalising.
    pub fn token(&self, text: &str) -> i64 {
        let mut mac = self.mac.clone();
        if is_normal(text) {
            mac.update(self.of_person(text).as_bytes());
        } else {
            mac.update(self.of_person(&normal(text)).as_bytes());
        }
        first_eight(&mac.finalize().into_bytes())
    }

    /// The token of bytes that need no normalising: ASCII without blanks and lower case; `None` for all
    /// others.
    pub fn token_of_plain(&self, bytes: &[u8]) -> Option<i64> {
        // without a way out early, so that many bytes are looked at in one step
        let plain = |byte: &u8| byte.is_ascii_graphic() & !byte.is_ascii_lowercase();
        if !bytes.iter().fold(true, |all, byte| all & plain(byte)) {
            return None;
        }
        let mut mac = self.mac.clone();
        if self.people {
            mac.update(self.of_person(std::str::from_utf8(bytes).ok()?).as_bytes());
        } else {
            mac.update(bytes);
        }
        Some(first_eight(&mac.finalize().into_bytes()))
    }

    /// The one spelling of a person's number; every other text as it is.
    fn of_person<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.people {
            numbers::one_spelling(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The token of raw parts, each ended by its length so that no two lists of parts collide.
    pub fn token_of(&self, parts: &[&[u8]]) -> i64 {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
            mac.update(&(part.len() as u64).to_le_bytes());
        }
        first_eight(&mac.finalize().into_bytes())
    }
}

impl Seal {
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    /// The seal of a secret that two sites share, for one purpose.
    pub fn shared(secret: &[u8], purpose: &str) -> Seal {
        Seal(derived(secret, purpose))
    }

    /// The MAC of raw parts, each behind its length so that no two lists of parts collide.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether a MAC is that of these parts, told in a time that does not depend on where it differs.
    pub fn fits(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.mac(parts).verify_slice(mac).is_ok()
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
    fn a_new_key_renews_every_token_without_its_text() {
        let old = key();
        let new = old
            .with([7; 32].map(|byte: u8| byte ^ 0x5A))
            .with(*b"0123456789abcdef0123456789abcdef");
        assert_eq!((old.generations(), new.generations()), (1, 3));
        assert_ne!(old.id(), new.id());
        let mac = new.purpose("token/source.alarm/phone");
        assert_eq!(mac.token("1"), old.purpose("token/source.alarm/phone").token("1"));
        for class in [TokenClass::Key, TokenClass::Token, TokenClass::Place, TokenClass::Row] {
            let base = mac.token("13800138000");
            let middle = old.with([7; 32].map(|byte: u8| byte ^ 0x5A));
            let stepwise = new.last_renewal(class).apply(middle.renewal(class).apply(base));
            assert_eq!(stepwise, new.renewal(class).apply(base));
            assert_ne!(stepwise, base);
            assert_eq!(old.renewal(class).apply(base), base);
        }
        assert!(old.last_renewal(TokenClass::Key).is_empty());
    }

    #[test]
    fn keys_are_lines_and_none_comes_twice() {
        let one = "0123456789abcdef".repeat(4);
        let two = "fedcba9876543210".repeat(4);
        let both = SiteKey::from_hex(&format!("{one}\n{two}\n")).expect("keys");
        assert_eq!(both.generations(), 2);
        assert!(SiteKey::from_hex(&format!("{one}\n{one}")).is_none());
        assert!(SiteKey::from_hex("").is_none());
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
