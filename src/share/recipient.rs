//! Recipients: who may read which shares, with which tokens, until when. One small numbered object of the lake, which
//! every server reads again every few seconds, so that a revocation holds everywhere at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Kind, Result, fail};
use crate::lake::Lake;
use crate::lake::digest::hex;
use crate::time::calendar;

/// The folder of the lake that holds the versions.
const FOLDER: &str = "recipients";
/// Days that a token lives at most.
pub const TOKEN_DAYS: i64 = 90;
/// Days that a grant stands at most.
pub const GRANT_DAYS: i32 = 180;
/// Hours for which the token before stays valid when a new one is given out.
pub const OVERLAP_HOURS: i64 = 24;
/// Days before its end from which a token may be renewed.
pub const RENEWAL_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;
/// Characters of a recipient's name at most.
const LONGEST: usize = 32;

/// All recipients of a lake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    /// The number of this version, 0 before the first.
    #[serde(skip)]
    pub version: u64,
    /// By name.
    pub recipients: BTreeMap<String, Recipient>,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The counties whose own rows it may read; none for a branch.
    pub counties: BTreeSet<String>,
    /// Its tokens, oldest first.
    pub tokens: Vec<Token>,
    /// What it may read, by the share's name.
    pub grants: BTreeMap<String, Grant>,
    /// Whether everything it holds is void.
    #[serde(default)]
    pub revoked: bool,
}

/// A token as it is remembered: nothing of it leads back to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public name.
    pub id: String,
    /// SHA-256 of its secret, hexadecimal.
    pub hash: String,
    /// The moment at which it ends, UTC microseconds.
    pub ends: i64,
    /// The token by which it was asked for, until it is used itself: its answer may have been lost on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

/// Why a recipient may read a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What for.
    pub purpose: String,
    /// On which ground.
    pub legal_basis: String,
    /// Who asked for it.
    pub requester: String,
    /// Who said yes, somebody else.
    pub approver: String,
    /// The last day on which it stands.
    pub until: String,
}

/// A token as it is handed out, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Secret {
    /// The text that a client sends.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Who asks, as a token tells.
#[derive(Debug, Clone, Copy)]
pub struct Known<'r> {
    /// The recipient's name.
    pub name: &'r str,
    /// The recipient.
    pub recipient: &'r Recipient,
    /// The token.
    pub token: &'r Token,
}

/// The public name and the secret of a token, of the text that a client sends.
pub(super) fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("fh1.")?.split_once('.')
}

impl Grant {
    /// Whether it stands on a day.
    pub fn stands(&self, today: i32) -> bool {
        calendar::day(&self.until).is_some_and(|until| until >= today)
    }
}

impl Token {
    /// Whether it is valid at a moment.
    pub fn lives(&self, now: i64) -> bool {
        now < self.ends
    }
}

impl Recipient {
    /// Another token is good now: those before it end soon, those that are over or were never used are forgotten.
    fn overlap(&mut self, now: i64) {
        self.tokens.retain(|token| token.lives(now) && token.follows.is_none());
        for token in &mut self.tokens {
            token.ends = token.ends.min(now + OVERLAP_HOURS * DAY / 24);
        }
    }
}

/// A new token and what is remembered of it. `entropy` is drawn for it alone.
fn token(entropy: &[u8; 32], ends: i64) -> (Secret, Token) {
    // the name and the secret come from apart, so that the one says nothing of the other
    let part = |purpose: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(entropy);
        hash.update(purpose);
        hex(&hash.finalize())
    };
    let (id, secret) = (part(b"id")[..8].to_owned(), part(b"secret"));
    let hash = hex(&Sha256::digest(secret.as_bytes()));
    let follows = None;
    (
        Secret(format!("fh1.{id}.{secret}")),
        Token {
            id,
            hash,
            ends,
            follows,
        },
    )
}

impl Recipients {
    /// The newest version.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be read.
    pub async fn load(lake: &Lake) -> Result<Recipients> {
        let Some(version) = lake.numbered(FOLDER).await?.last().copied() else {
            return Ok(Recipients::default());
        };
        let broken = |cause: serde_json::Error| fail(Kind::Bug, "recipients_broken", &[&version]).because(cause);
        let mut found: Recipients = serde_json::from_slice(&lake.number(FOLDER, version).await?).map_err(broken)?;
        found.version = version;
        Ok(found)
    }

    /// The number of the newest version, 0 before the first.
    ///
    /// # Errors
    /// As [`Recipients::load`].
    pub async fn newest(lake: &Lake) -> Result<u64> {
        Ok(lake.numbered(FOLDER).await?.last().copied().unwrap_or(0))
    }

    /// Writes the version behind this one.
    ///
    /// # Errors
    /// `Conflict` where somebody else did.
    pub async fn save(&mut self, lake: &Lake) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|cause| fail(Kind::Bug, "recipients_broken", &[&0]).because(cause))?;
        lake.put_number(FOLDER, self.version + 1, bytes).await?;
        self.version += 1;
        Ok(())
    }

    /// A recipient by its name.
    ///
    /// # Errors
    /// `Missing` where there is none.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Recipient> {
        let known: Vec<&str> = self.recipients.keys().map(String::as_str).collect();
        let hint = known.join(" ");
        let missing = || fail(Kind::Missing, "no_recipient", &[&name]).hint("no_recipient_hint", &[&hint]);
        self.recipients.get_mut(name).ok_or_else(missing)
    }

    /// Adds a recipient with its first token.
    ///
    /// # Errors
    /// `Input` for a name that is none, `Conflict` for one that is taken.
    pub fn add(&mut self, name: &str, counties: BTreeSet<String>, new: New<'_>) -> Result<Secret> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
            return Err(fail(Kind::Input, "recipient_name", &[&name, &LONGEST]));
        }
        if self.recipients.contains_key(name) {
            return Err(fail(Kind::Conflict, "recipient_taken", &[&name]));
        }
        let recipient = Recipient {
            counties,
            tokens: Vec::new(),
            grants: BTreeMap::new(),
            revoked: false,
        };
        self.recipients.insert(name.to_owned(), recipient);
        self.rotate(name, new, false)
    }

    /// A new token for a recipient; those before it end within [`OVERLAP_HOURS`], or at once where they may be known
    /// to others.
    ///
    /// # Errors
    /// `Missing` for a recipient that is not there, `Denied` for one that is revoked, `Input` for too long a life.
    pub fn rotate(&mut self, name: &str, new: New<'_>, at_once: bool) -> Result<Secret> {
        let recipient = self.renewable(name, new.days)?;
        let (secret, token) = token(new.entropy, new.now + new.days * DAY);
        match at_once {
            true => recipient.tokens.clear(),
            false => recipient.overlap(new.now),
        }
        recipient.tokens.push(token);
        Ok(secret)
    }

    /// A token in the place of one that asks for it, which must be the newest that was ever used. That one stands
    /// until the new one is used, so that an answer which is lost on the way locks nobody out; whoever asks again
    /// before that gets another in its place.
    ///
    /// # Errors
    /// As [`Recipients::rotate`]; `Denied` for a token that was followed by another.
    pub fn renew(&mut self, name: &str, id: &str, new: New<'_>) -> Result<Secret> {
        let recipient = self.renewable(name, new.days)?;
        let newest = recipient.tokens.iter().rev().find(|token| token.follows.is_none());
        if newest.is_none_or(|newest| newest.id != id || !newest.lives(new.now)) {
            return Err(fail(Kind::Denied, "token_followed", &[&name]));
        }
        let (secret, mut token) = token(new.entropy, new.now + new.days * DAY);
        token.follows = Some(id.to_owned());
        recipient.tokens.retain(|token| token.follows.is_none());
        recipient.tokens.push(token);
        Ok(secret)
    }

    /// A token is used for the first time: those before it end within [`OVERLAP_HOURS`]. Whether that says anything
    /// new.
    pub fn used(&mut self, id: &str, now: i64) -> bool {
        let first = |token: &Token| token.id == id && token.follows.is_some();
        let mut all = self.recipients.values_mut();
        let Some(recipient) = all.find(|recipient| recipient.tokens.iter().any(first)) else {
            return false;
        };
        let (mut own, others) = std::mem::take(&mut recipient.tokens).into_iter().partition(first);
        recipient.tokens = others;
        recipient.overlap(now);
        own.iter_mut().for_each(|token: &mut Token| token.follows = None);
        recipient.tokens.append(&mut own);
        true
    }

    fn renewable(&mut self, name: &str, days: i64) -> Result<&mut Recipient> {
        if !(1..=TOKEN_DAYS).contains(&days) {
            return Err(fail(Kind::Input, "token_days", &[&days, &TOKEN_DAYS]));
        }
        self.standing(name)
    }

    fn standing(&mut self, name: &str) -> Result<&mut Recipient> {
        let recipient = self.get_mut(name)?;
        match recipient.revoked {
            true => Err(fail(Kind::Denied, "recipient_revoked", &[&name]).hint("recipient_revoked_hint", &[])),
            false => Ok(recipient),
        }
    }

    /// Lets a recipient read a share.
    ///
    /// # Errors
    /// `Input` for a grant that says too little, stands too long, or whose approver asked for it himself; `Denied` for
    /// a recipient that is revoked.
    pub fn grant(&mut self, name: &str, share: &str, grant: Grant, today: i32) -> Result<()> {
        let says = [&grant.purpose, &grant.legal_basis, &grant.requester, &grant.approver];
        if says.iter().any(|said| said.trim().is_empty()) {
            return Err(fail(Kind::Input, "grant_says_nothing", &[]));
        }
        if grant.requester.trim().to_lowercase() == grant.approver.trim().to_lowercase() {
            return Err(fail(Kind::Input, "grant_approver", &[&grant.approver]));
        }
        let until = calendar::day(&grant.until).ok_or_else(|| fail(Kind::Input, "not_a_day", &[&grant.until]))?;
        if until < today || until > today + GRANT_DAYS {
            let latest = calendar::date(today + GRANT_DAYS).map(|date| date.to_string());
            let words: [&dyn std::fmt::Display; 3] = [&grant.until, &GRANT_DAYS, &latest.unwrap_or_default()];
            return Err(fail(Kind::Input, "grant_until", &words));
        }
        self.standing(name)?.grants.insert(share.to_owned(), grant);
        Ok(())
    }

    /// Whose token this is. The secret is compared in a time that says nothing of it.
    pub fn whose(&self, text: &str, now: i64) -> Option<Known<'_>> {
        let (id, secret) = parts(text)?;
        let hash = hex(&Sha256::digest(secret.as_bytes()));
        let mut found = None;
        for (name, recipient) in &self.recipients {
            for token in recipient.tokens.iter().filter(|token| token.id == id) {
                let fits = bool::from(token.hash.as_bytes().ct_eq(hash.as_bytes()));
                if fits && !recipient.revoked && token.lives(now) {
                    found = Some(Known { name, recipient, token });
                }
            }
        }
        found
    }

    /// Whose token has a public name, while it is valid.
    pub fn named(&self, id: &str, now: i64) -> Option<Known<'_>> {
        self.recipients.iter().find_map(|(name, recipient)| {
            let mut tokens = recipient.tokens.iter();
            let token = tokens.find(|token| token.id == id && token.lives(now) && !recipient.revoked)?;
            Some(Known { name, recipient, token })
        })
    }
}

/// What a new token is made of.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Bytes drawn for it alone.
    pub entropy: &'a [u8; 32],
    /// The moment, UTC microseconds.
    pub now: i64,
    /// Days that it lives.
    pub days: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(seed: u8, now: i64) -> (u8, [u8; 32], i64) {
        (seed, [seed; 32], now)
    }

    #[test]
    fn a_token_lives_until_its_end_and_a_day_beside_the_next() {
        let mut all = Recipients::default();
        let (_, entropy, now) = new(1, 1_000 * DAY);
        let days = 90;
        let first = all
            .add(
                "c990101",
                BTreeSet::from(["990101".to_owned()]),
                New {
                    entropy: &entropy,
                    now,
                    days,
                },
            )
            .expect("a token");
        assert!(all.whose(first.expose(), now + 90 * DAY - 1).is_some());
        assert!(all.whose(first.expose(), now + 90 * DAY).is_none());
        let later = now + 10 * DAY;
        let second = all
            .rotate(
                "c990101",
                New {
                    entropy: &[2; 32],
                    now: later,
                    days,
                },
                false,
            )
            .expect("a token");
        for (token, at, valid) in [
            (&first, later + DAY - 1, true),
            (&first, later + DAY, false),
            (&second, later + DAY, true),
        ] {
            assert_eq!(all.whose(token.expose(), at).is_some(), valid);
        }
        // nothing that is remembered is what is sent
        let kept = serde_json::to_string(&all).expect("JSON");
        let secret = second.expose().rsplit('.').next().expect("a secret");
        assert!(!kept.contains(secret) && format!("{second:?}") == "Secret(***)");
        // one changed character is another token
        for at in 0..second.expose().len() {
            let mut changed = second.expose().as_bytes().to_vec();
            changed[at] ^= 1;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            assert!(all.whose(&changed, later).is_none(), "{changed}");
        }
        all.get_mut("c990101").expect("there").revoked = true;
        assert!(all.whose(second.expose(), later).is_none() && all.named("x", later).is_none());
    }

    #[test]
    fn a_renewal_that_is_lost_locks_nobody_out_and_an_old_token_renews_nothing() {
        let mut all = Recipients::default();
        let now = 1_000 * DAY;
        let new = |seed: &'static [u8; 32], now| New {
            entropy: seed,
            now,
            days: 90,
        };
        let id = |secret: &Secret| secret.expose()[4..12].to_owned();
        let first = all.add("c", BTreeSet::new(), new(&[1; 32], now)).expect("a token");
        let lost = all.renew("c", &id(&first), new(&[2; 32], now)).expect("a token");
        // its answer was lost: the first one stands for its whole life, and asks again
        let came = all.renew("c", &id(&first), new(&[3; 32], now)).expect("a token");
        assert!(
            all.whose(lost.expose(), now).is_none(),
            "one is good, the last that was asked for"
        );
        assert!(all.whose(first.expose(), now + 80 * DAY).is_some());
        assert!(all.used(&id(&came), now) && !all.used(&id(&came), now));
        assert!(all.whose(first.expose(), now + DAY - 1).is_some());
        assert!(all.whose(first.expose(), now + DAY).is_none());
        // whoever holds the old one cannot make the new one end
        let error = all
            .renew("c", &id(&first), new(&[4; 32], now + 1))
            .expect_err("followed");
        assert_eq!((error.kind(), error.key()), (Kind::Denied, "token_followed"));
        assert!(all.whose(came.expose(), now + 89 * DAY).is_some());
        // one that others may know ends at once
        let next = all.rotate("c", new(&[5; 32], now + 2), true).expect("a token");
        assert!(all.whose(came.expose(), now + 2).is_none() && all.whose(next.expose(), now + 2).is_some());
    }

    #[test]
    fn a_grant_says_why_and_nobody_approves_his_own() {
        let mut all = Recipients::default();
        let new = New {
            entropy: &[1; 32],
            now: 0,
            days: 90,
        };
        all.add("traffic", BTreeSet::new(), new).expect("a token");
        let grant = Grant {
            purpose: "comparison".to_owned(),
            legal_basis: "order 7".to_owned(),
            requester: "traffic".to_owned(),
            approver: "officer".to_owned(),
            until: "1970-06-01".to_owned(),
        };
        all.grant("traffic", "county_day", grant.clone(), 0).expect("a grant");
        for (change, key) in [
            (
                Grant {
                    approver: "traffic".to_owned(),
                    ..grant.clone()
                },
                "grant_approver",
            ),
            (
                Grant {
                    purpose: " ".to_owned(),
                    ..grant.clone()
                },
                "grant_says_nothing",
            ),
            (
                Grant {
                    until: "1971-06-01".to_owned(),
                    ..grant.clone()
                },
                "grant_until",
            ),
            (
                Grant {
                    until: "soon".to_owned(),
                    ..grant.clone()
                },
                "not_a_day",
            ),
        ] {
            let error = all.grant("traffic", "county_day", change, 0).expect_err("refused");
            assert_eq!(error.key(), key);
        }
        assert!(grant.stands(0) && !grant.stands(calendar::day("1970-06-02").expect("a day")));
    }
}
