//! Releases: numbered, immutable maps of table → location and version, switched in one step.
//!
//! A release file is written only if absent, so of two writers one wins; readers take the highest
//! number and never see a mixture of runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Kind, Result, fail};
use crate::lake::digest::hex;
use crate::lake::{Lake, crash};

const FOLDER: &str = "releases";

/// A published set of tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Number, counting from 1.
    pub release: u64,
    /// When it was published, RFC 3339.
    pub made_at: String,
    /// The run that published it.
    pub run_id: String,
    /// The pipeline of that run.
    pub pipeline: String,
    /// SHA-256 over the names and digests of the built tables.
    pub digest: String,
    /// The tables.
    pub tables: BTreeMap<String, ReleaseTable>,
    /// Tables that are switched off, with the reason.
    #[serde(default)]
    pub off: BTreeMap<String, String>,
    /// The release whose tables these are, where it was brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Models that failed their checks and keep older rows, with the model or check that holds them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, String>,
    /// What was pulled from elsewhere, by the name of the publisher.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pulled: BTreeMap<String, Pulled>,
}

/// A release of somebody else whose tables this one shows as `shared.<publisher>.<table>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Its number there.
    pub release: u64,
    /// When it was published there, RFC 3339.
    pub made_at: String,
    /// When it was pulled, RFC 3339.
    pub pulled_at: String,
    /// Where its publisher is.
    pub endpoint: String,
    /// Its tables that were not renewed there, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stale: BTreeMap<String, String>,
}

/// One table of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseTable {
    /// Location below the table's folder.
    pub location: String,
    /// Delta version.
    pub version: u64,
    /// Rows.
    pub rows: u64,
    /// Digest of the rows, for built tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Fingerprint of the model that built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The inputs it was built from: table → `location@version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The run that built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

impl ReleaseTable {
    /// `location@version`, the identity of a table's state.
    pub fn state(&self) -> String {
        format!("{}@{}", self.location, self.version)
    }
}

/// The digest of a set of tables.
pub fn digest(tables: &BTreeMap<String, ReleaseTable>) -> String {
    let mut all = Sha256::new();
    for (name, table) in tables {
        if let Some(digest) = &table.digest {
            all.update(format!("{name}={digest}\n"));
        }
    }
    hex(&all.finalize())
}

impl Lake {
    /// The numbers of all releases, ascending.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn releases(&self) -> Result<Vec<u64>> {
        self.numbered(FOLDER).await
    }

    /// A release by its number.
    ///
    /// # Errors
    /// `Missing` where there is none.
    pub async fn release(&self, number: u64) -> Result<Release> {
        let bytes = match self.number(FOLDER, number).await {
            Err(error) if error.kind() == Kind::Missing => return Err(fail(Kind::Missing, "no_release", &[&number])),
            bytes => bytes?,
        };
        serde_json::from_slice(&bytes).map_err(|cause| fail(Kind::Bug, "release_broken", &[&number]).because(cause))
    }

    /// The newest release, if there is one.
    ///
    /// # Errors
    /// As [`Lake::release`].
    pub async fn latest_release(&self) -> Result<Option<Release>> {
        match self.releases().await?.last() {
            Some(number) => self.release(*number).await.map(Some),
            None => Ok(None),
        }
    }

    /// Publishes a release under its number.
    ///
    /// # Errors
    /// `Conflict` where that number was published by somebody else.
    pub async fn publish(&self, release: &Release) -> Result<()> {
        crash::point("before_release");
        let text = serde_json::to_vec_pretty(release)
            .map_err(|cause| fail(Kind::Bug, "release_broken", &[&release.release]).because(cause))?;
        match self.put_number(FOLDER, release.release, text).await {
            Err(error) if error.kind() == Kind::Conflict => {
                Err(fail(Kind::Conflict, "release_taken", &[&release.release]))
            }
            done => {
                done?;
                crash::point("after_release");
                Ok(())
            }
        }
    }
}
