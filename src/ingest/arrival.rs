//! Whether a file has arrived whole: by a mark, by a manifest with control totals, or by lying still.
//!
//! A file that is still being copied looks like a smaller file. Nothing in a delimited text says that
//! it is whole, so the contract says how its source tells.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::contract::{Complete, Contract};
use crate::error::{Kind, Result, fail};
use crate::ingest::source::Source;
use crate::message::Message;

/// Endings of files that speak about another file.
const COMPANIONS: [&str; 4] = [".done", ".ok", ".manifest", ".manifest.json"];

/// Control totals as the sender states them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Records without the header.
    pub rows: Option<u64>,
    /// Bytes of the file.
    pub bytes: Option<u64>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: Option<String>,
}

/// What is known of a file's arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It is whole, as far as its source tells, with what was sent.
    Whole(Totals),
    /// It is not, and why.
    Waits(Message),
}

/// Whether a name is that of a mark or manifest, not of a source file.
pub fn is_companion(name: &str) -> bool {
    COMPANIONS.iter().any(|ending| name.ends_with(ending))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The files that may speak about a source file.
pub fn companions(path: &Path) -> impl Iterator<Item = PathBuf> {
    COMPANIONS.iter().map(|ending| beside(path, ending))
}

/// Looks whether a file is whole at the time `now`, UTC microseconds.
///
/// # Errors
/// `Input` for a manifest that is none, `Check` for one that states fewer bytes than there are.
pub fn look(contract: &Contract, source: &Source, shown: &str, now: i64) -> Result<Arrival> {
    let first = |endings: [&str; 2]| -> Result<Option<Vec<u8>>> {
        match source.beside(endings[0])? {
            Some(found) => Ok(Some(found)),
            None => source.beside(endings[1]),
        }
    };
    match contract.complete {
        Complete::AsFound => Ok(Arrival::Whole(Totals::default())),
        Complete::Marker => Ok(if first([".done", ".ok"])?.is_some() {
            Arrival::Whole(Totals::default())
        } else {
            Arrival::Waits(Message::new("arrival_marker", &[&shown]))
        }),
        Complete::Stable(seconds) => {
            let modified = source.look()?.modified().unwrap_or(std::time::UNIX_EPOCH);
            let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let age = now / 1_000_000 - i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            Ok(if age >= seconds {
                Arrival::Whole(Totals::default())
            } else {
                Arrival::Waits(Message::new("arrival_stable", &[&shown, &age.max(0), &seconds]))
            })
        }
        Complete::Manifest => {
            let Some(manifest) = first([".manifest", ".manifest.json"])? else {
                return Ok(Arrival::Waits(Message::new("arrival_manifest", &[&shown])));
            };
            let totals: Totals = serde_json::from_slice(&manifest)
                .map_err(|cause| fail(Kind::Input, "manifest_invalid", &[&shown]).because(cause))?;
            if totals == Totals::default() {
                return Err(fail(Kind::Input, "manifest_invalid", &[&shown]));
            }
            let bytes = source.look()?.bytes;
            match totals.bytes {
                Some(sent) if bytes < sent => {
                    Ok(Arrival::Waits(Message::new("arrival_bytes", &[&shown, &bytes, &sent])))
                }
                Some(sent) if bytes > sent => {
                    Err(fail(Kind::Check, "totals_differ", &[&shown, &"bytes", &bytes, &sent]))
                }
                _ => Ok(Arrival::Whole(totals)),
            }
        }
    }
}

impl Totals {
    /// Holds what was sent against what was read.
    ///
    /// # Errors
    /// `Check` where they differ.
    pub fn agree(&self, shown: &str, rows: Option<u64>, sha256: Option<&str>) -> Result<()> {
        if let (Some(sent), Some(read)) = (self.rows, rows)
            && sent != read
        {
            return Err(fail(Kind::Check, "totals_differ", &[&shown, &"rows", &read, &sent]));
        }
        let read = sha256.unwrap_or_default();
        match &self.sha256 {
            Some(sent) if !sent.eq_ignore_ascii_case(read) => {
                Err(fail(Kind::Check, "totals_differ", &[&shown, &"sha256", &read, sent]))
            }
            _ => Ok(()),
        }
    }
}
