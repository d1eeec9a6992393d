//! What a recipient may read, gathered for a file that is handed over.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Kind, Result, fail};
use crate::lake::mirror::{DataFile, Mirrored};
use crate::lake::{Lake, ReleaseTable};
use crate::protect::Seal;
use crate::serve::files::{Listing, Listings, object};
use crate::serve::state::State;
use crate::share::Share;
use crate::share::bundle::Writer;
use crate::share::offer::{Offer, Offered, OfferedFile};
use crate::share::profile::bundle_keys;
use crate::share::recipient::{Known, Token};

/// One file of a bundle.
#[derive(Debug)]
pub struct Part {
    listing: Arc<Listing>,
    file: DataFile,
    at: String,
    /// What it is about, as the record names it.
    pub object: String,
    /// What for.
    pub purpose: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Everything of a bundle.
#[derive(Debug)]
pub struct Gathered {
    /// What it offers.
    pub offer: Offer,
    /// Its files.
    pub parts: Vec<Part>,
    /// Its tables as they stand in the lake, with the counties whose rows alone belong to the reader.
    pub tables: Vec<Open>,
    /// The tokens of the reader that are valid.
    pub tokens: Vec<Token>,
}

/// A table that a recipient may read, whole or by its counties.
#[derive(Debug)]
pub struct Open {
    /// Its share.
    pub share: Share,
    /// Its entry in the release.
    pub entry: ReleaseTable,
    /// The counties; all rows where it does not say.
    pub counties: Option<BTreeSet<String>>,
}

/// Gathers the tables of the present release that a recipient may read.
///
/// # Errors
/// `Missing` for a recipient or a release that is not there, `Denied` for one that may read nothing; as the lake fails.
pub async fn gather(lake: &Lake, state: &State, (name, share): (&str, &str), now: i64) -> Result<Gathered> {
    let recipient = state.recipients.as_ref().clone().get_mut(name)?.clone();
    // a bundle is handed over in person: there is no token to it
    let token = Token {
        id: String::new(),
        hash: String::new(),
        ends: 0,
        follows: None,
    };
    let who = Known {
        name,
        recipient: &recipient,
        token: &token,
    };
    let release = state
        .release()
        .ok_or_else(|| fail(Kind::Missing, "no_release_yet", &[]))?;
    let names = if recipient.revoked {
        Vec::new()
    } else {
        state.readable(&who)
    };
    if names.is_empty() {
        return Err(fail(Kind::Denied, "share_nothing", &[&name]));
    }
    let listings = Listings::new(lake.clone());
    let (mut parts, mut tables, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let Some(open) = state.open(&who, &name, release) else {
            continue;
        };
        let listing = listings.get(&open.share.table(), open.entry).await?;
        let mut files = Vec::new();
        for (digest, file) in listing.of(&open) {
            let at = format!("{name}/{}-{digest}.parquet", files.len());
            parts.push(Part {
                object: object(&open, file),
                purpose: open.purpose.to_owned(),
                rows: file.rows,
                bytes: file.size,
                at: at.clone(),
                file: file.clone(),
                listing: listing.clone(),
            });
            let file = Mirrored {
                digest: digest.to_owned(),
                size: file.size,
                rows: file.rows,
                partition: file.partition.as_ref().and_then(|(_, value)| value.clone()),
            };
            files.push(OfferedFile { file, at });
        }
        all.push(Open {
            share: open.share.clone(),
            entry: open.entry.clone(),
            counties: open.partitions.cloned(),
        });
        tables.push(Offered {
            stale: release.held.get(&open.share.table()).cloned(),
            shape: listing.shape.clone(),
            name,
            files,
        });
    }
    let offer = Offer {
        share: share.to_owned(),
        release: release.release,
        made_at: release.made_at.clone(),
        head: String::new(),
        tables,
    };
    let tokens = recipient.tokens.iter().filter(|token| token.lives(now)).cloned();
    Ok(Gathered {
        offer,
        parts,
        tables: all,
        tokens: tokens.collect(),
    })
}

impl Gathered {
    /// Writes it.
    ///
    /// # Errors
    /// `Denied` where the reader has no token that is valid, by which the bundle would be known; as the lake or the file
    /// fails.
    pub async fn write(&self, path: &Path, seals: &[Seal]) -> Result<()> {
        if self.tokens.is_empty() {
            return Err(fail(Kind::Denied, "bundle_unsealed", &[]).hint("bundle_unsealed_hint", &[]));
        }
        let mut writer = Writer::begin(path)?;
        for part in &self.parts {
            writer.file(&part.at)?;
            let mut from = 0;
            while from < part.file.size {
                let bytes = part
                    .listing
                    .table
                    .bytes_of(&part.file.path, from..part.file.size)
                    .await?;
                if bytes.is_empty() {
                    let words: [&dyn std::fmt::Display; 3] = [&part.at, &part.file.size, &from];
                    return Err(fail(Kind::Unavailable, "rows_differ", &words));
                }
                writer.add(&bytes)?;
                from += bytes.len() as u64;
            }
        }
        let keys = |token: &Token| {
            let keys = bundle_keys(seals, &token.id).into_iter();
            keys.map(|key| (token.id.clone(), key)).collect::<Vec<_>>()
        };
        let keys: Vec<_> = self.tokens.iter().flat_map(keys).collect();
        writer.end(&self.offer, &keys)
    }
}
