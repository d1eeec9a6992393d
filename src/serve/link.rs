//! Addresses of files: signed for one token, share, release, file and length, until a moment.
//!
//! The signature stands under the name that clients of the Delta format look for in a URL that needs no further key.

use std::collections::BTreeMap;

use crate::lake::digest::hex;
use crate::protect::Seal;

/// What the seals of links are for.
pub const PURPOSE: &str = "share/link";
/// The name under which the signature stands.
const SIGNATURE: &str = "X-Amz-Signature";

/// What a link is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The share.
    pub share: String,
    /// The release.
    pub release: u64,
    /// The digest of the file.
    pub digest: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The public name of the token.
    pub token: String,
    /// The second at which it ends.
    pub ends: i64,
}

impl Link {
    fn sealed(&self, seal: &Seal) -> [u8; 32] {
        let numbers = [
            self.release.to_le_bytes(),
            self.ends.to_le_bytes(),
            self.bytes.to_le_bytes(),
        ];
        let numbers = numbers.concat();
        let parts = [&self.share, &self.digest, &self.token].map(|part| part.as_bytes());
        seal.of(&[parts[0], parts[1], parts[2], &numbers])
    }

    /// The address below an endpoint.
    pub fn address(&self, seal: &Seal, endpoint: &str) -> String {
        let Link {
            share,
            release,
            digest,
            bytes,
            token,
            ends,
        } = self;
        let mac = hex(&self.sealed(seal));
        let asked = format!("token={token}&bytes={bytes}&ends={ends}&{SIGNATURE}={mac}");
        format!("{endpoint}/files/{share}/{release}/{digest}.parquet?{asked}")
    }

    /// The link of an address: the parts behind `files/`, and what stands behind `?`.
    pub fn read(parts: [&str; 3], query: &BTreeMap<String, String>) -> Option<Link> {
        let [share, release, digest] = parts;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 19;
        let digest = digest.strip_suffix(".parquet")?;
        let number = |key: &str| query.get(key).filter(|text| plain(text));
        let release = Some(release).filter(|text| plain(text))?;
        Some(Link {
            share: share.to_owned(),
            release: release.parse().ok()?,
            digest: digest.to_owned(),
            bytes: number("bytes")?.parse().ok()?,
            token: query.get("token")?.clone(),
            ends: number("ends")?.parse().ok()?,
        })
    }

    /// Whether the signature of an address is ours.
    pub fn holds(&self, seals: &[Seal], query: &BTreeMap<String, String>) -> bool {
        let Some(mac) = query.get(SIGNATURE).filter(|mac| mac.len() == 64) else {
            return false;
        };
        // compared as text of one form, so that no second spelling of a signature opens anything
        let fits = |seal: &Seal| subtle::ConstantTimeEq::ct_eq(hex(&self.sealed(seal)).as_bytes(), mac.as_bytes());
        seals
            .iter()
            .fold(subtle::Choice::from(0), |any, seal| any | fits(seal))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::SiteKey;

    #[test]
    fn an_address_is_good_for_what_it_was_made_for_alone() {
        let seals = SiteKey::from_bytes([1; 32]).seals(PURPOSE);
        let link = Link {
            share: "county_day".to_owned(),
            release: 7,
            digest: "ab".repeat(32),
            bytes: 99,
            token: "01234567".to_owned(),
            ends: 1_000,
        };
        let address = link.address(&seals[0], "https://city:8443/delta-sharing");
        let (path, asked) = address.split_once('?').expect("a query");
        let parts: Vec<&str> = path.rsplitn(4, '/').collect();
        let query: BTreeMap<String, String> = asked
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let read = Link::read([parts[2], parts[1], parts[0]], &query).expect("a link");
        assert_eq!(read, link);
        assert!(read.holds(&seals, &query));
        let other = SiteKey::from_bytes([2; 32]).seals(PURPOSE);
        assert!(!read.holds(&other, &query));
        // what was sealed before the key was renewed still holds
        let renewed = SiteKey::from_bytes([1; 32]).with([2; 32]).seals(PURPOSE);
        assert!(read.holds(&renewed, &query));
        for changed in [
            Link {
                share: "county_dax".to_owned(),
                ..link.clone()
            },
            Link {
                release: 8,
                ..link.clone()
            },
            Link {
                digest: "ac".repeat(32),
                ..link.clone()
            },
            Link {
                token: "01234568".to_owned(),
                ..link.clone()
            },
            Link {
                bytes: 98,
                ..link.clone()
            },
            Link {
                ends: 1_001,
                ..link.clone()
            },
        ] {
            assert!(!changed.holds(&seals, &query), "{changed:?}");
        }
        let upper = query
            .iter()
            .map(|(key, value)| (key.clone(), value.to_uppercase()))
            .collect();
        assert!(!link.holds(&seals, &upper));
        // a million guesses of a signature
        let mut guessed = query.clone();
        for number in 0..1_000_000_u64 {
            let mac = hex(&seals[0].of(&[b"a guess", &number.to_le_bytes()]));
            guessed.insert(SIGNATURE.to_owned(), mac);
            assert!(!link.holds(&seals, &guessed));
        }
    }
}
