//! What a recipient may read, as one file.

use std::path::Path;

use crate::error::{Kind, Result, fail};
use crate::lake::Lake;
use crate::lake::mirror::Mirrored;
use crate::serve::files::Listings;
use crate::serve::state::State;
use crate::share::bundle::Writer;
use crate::share::offer::{Offer, Offered, OfferedFile};
use crate::share::recipient::{Known, Token};

/// Writes the tables of the present release that a recipient may read; their rows and bytes.
///
/// # Errors
/// `Missing` for a recipient or a release that is not there, `Denied` for one that may read nothing; as the lake or
/// the file fails.
pub async fn write(
    lake: &Lake,
    state: &State,
    (name, share): (&str, &str),
    head: &str,
    path: &Path,
) -> Result<(u64, u64)> {
    let mut all = state.recipients.as_ref().clone();
    let recipient = all.get_mut(name)?.clone();
    // a bundle is handed over in person: there is no token to it
    let token = Token {
        id: String::new(),
        hash: String::new(),
        ends: 0,
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
    let (listings, mut writer) = (Listings::new(lake.clone()), Writer::begin(path)?);
    let mut offer = Offer {
        share: share.to_owned(),
        release: release.release,
        made_at: release.made_at.clone(),
        head: head.to_owned(),
        tables: Vec::new(),
    };
    let (mut rows, mut bytes) = (0, 0);
    for name in names {
        let Some(open) = state.open(&who, &name, release) else {
            continue;
        };
        let listing = listings.get(&open).await?;
        let mut files = Vec::new();
        for (digest, file) in listing.of(&open) {
            let at = format!("{name}/{}-{digest}.parquet", files.len());
            writer.file(&at)?;
            let mut from = 0;
            while from < file.size {
                let part = listing.table.bytes_of(&file.path, from..file.size).await?;
                writer.add(&part)?;
                from += part.len() as u64;
            }
            (rows, bytes) = (rows + file.rows, bytes + file.size);
            let file = Mirrored {
                digest: digest.to_owned(),
                size: file.size,
                rows: file.rows,
                partition: file.partition.as_ref().and_then(|(_, value)| value.clone()),
            };
            files.push(OfferedFile { file, at });
        }
        offer.tables.push(Offered {
            stale: release.held.get(&open.share.table()).cloned(),
            shape: listing.shape.clone(),
            name,
            files,
        });
    }
    writer.end(&offer)?;
    Ok((rows, bytes))
}
