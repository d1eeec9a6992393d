//! Profile files: where a publisher is and the token by which it knows the reader. Source: Delta Sharing protocol,
//! "Profile File Format", with the authority that vouches for the publisher beside it.

use serde::{Deserialize, Serialize};

use crate::config::site::{private, write_private};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::digest::{hex, unhex};
use crate::protect::Seal;
use crate::share::recipient::parts;

/// What the seals of bundles are for.
pub const BUNDLE: &str = "share/bundle";

/// A profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The version of the form, 1.
    pub share_credentials_version: u32,
    /// Where the publisher is.
    pub endpoint: String,
    /// The token.
    pub bearer_token: String,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// The key by which a bundle is known to be made for the holder of the token, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_key: Option<String>,
    /// The authority that vouches for the publisher's certificate, PEM; without, those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The key of a token's bundles, one for each of the site's seals of [`BUNDLE`], newest first. It is in the profile
/// file and follows from the site's key: nothing in the lake leads to it.
pub fn bundle_keys(seals: &[Seal], token: &str) -> Vec<[u8; 32]> {
    seals.iter().map(|seal| seal.of(&[token.as_bytes()])).collect()
}

/// The newest key of a token's bundles as a profile has it, of the text that a client sends.
pub fn newest_key(seals: &[Seal], bearer: &str) -> Option<String> {
    let keys = bundle_keys(seals.get(..1)?, parts(bearer)?.0);
    keys.first().map(|key| hex(key))
}

/// What a bundle is sealed with, by one of its keys.
pub fn bundle_seal(key: &[u8]) -> Seal {
    Seal::shared(key, BUNDLE)
}

impl Profile {
    /// The public name of its token.
    pub fn token(&self) -> Option<&str> {
        Some(parts(&self.bearer_token)?.0)
    }

    /// The seal of bundles that are made for it.
    pub fn seal(&self) -> Option<Seal> {
        Some(bundle_seal(&unhex(self.bundle_key.as_deref()?)?))
    }

    /// Reads a file that its owner alone can read.
    ///
    /// # Errors
    /// `Missing` or `Denied` as the file is, `Input` for what is no profile or no encrypted door.
    pub fn read(path: &std::path::Path) -> Result<Profile> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let error = io_error(path, &cause);
            error.hint("profile_hint", &[])
        })?;
        private(path)?;
        let wrong = || fail(Kind::Input, "profile_broken", &[&path.display()]).hint("profile_hint", &[]);
        let profile: Profile = serde_json::from_str(&text).map_err(|cause| wrong().because(cause))?;
        match profile.endpoint.starts_with("https://") && profile.share_credentials_version == 1 {
            true => Ok(profile),
            false => Err(wrong().because(&profile.endpoint)),
        }
    }

    /// Writes a file that its owner alone can read from the first moment.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn write(&self, path: &std::path::Path) -> Result<()> {
        let text =
            serde_json::to_vec_pretty(self).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
        write_private(path, &text).map_err(|cause| io_error(path, &cause))
    }
}
