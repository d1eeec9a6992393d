//! The files of shared tables: which there are, by what name, and their bytes a part at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response, StatusCode, header};
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use crate::audit::Entry;
use crate::error::Result;
use crate::lake::mirror::{DataFile, Shape};
use crate::lake::{Lake, Release, ReleaseTable, Table};
use crate::serve::answer::{Ending, No, set};
use crate::serve::door::{Answer, Ask, Server};
use crate::serve::link::Link;
use crate::serve::state::{Open, State};
use crate::share::publish::RECIPIENT;

/// Versions of a table that are remembered.
const REMEMBERED: usize = 16;

/// One version of a table with its files by the digests of their bytes.
#[derive(Debug)]
pub struct Listing {
    /// The table.
    pub table: Table,
    /// What it says of itself.
    pub shape: Shape,
    files: Vec<(String, DataFile)>,
}

/// A file with its digest.
pub type Named<'l> = (&'l str, &'l DataFile);

impl Listing {
    /// The files that somebody may read.
    pub fn of<'l>(&'l self, open: &Open<'_>) -> impl Iterator<Item = Named<'l>> + use<'l> {
        let wanted = open.partitions.cloned();
        let files = self
            .files
            .iter()
            .filter(move |(_, file)| match (&wanted, &file.partition) {
                // a table of each county's own rows is that whatever its share's file says by now
                (None, Some((column, _))) if column == RECIPIENT => false,
                (None, _) => true,
                (Some(wanted), Some((_, Some(value)))) => wanted.contains(value),
                // rows that are nobody's are shown to nobody
                (Some(_), _) => false,
            });
        files.map(|(digest, file)| (digest.as_str(), file))
    }
}

/// What a file is about, as the record names it: its table and partition.
pub(super) fn object(open: &Open<'_>, file: &DataFile) -> String {
    match &file.partition {
        Some((column, Some(value))) => format!("{}/{column}={value}", open.share.table()),
        _ => open.share.table(),
    }
}

/// A state of a table: its location and version.
type At = (String, u64);

/// Versions that were asked for, with the digests of all files that were ever read: a file never changes.
#[derive(Debug)]
pub struct Listings {
    lake: Lake,
    tables: Mutex<BTreeMap<String, Arc<OfTable>>>,
}

/// One table: what is known of it, and who gets to know more.
#[derive(Debug, Default)]
struct OfTable {
    known: Mutex<Known>,
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    listings: BTreeMap<At, Arc<Listing>>,
    digests: BTreeMap<String, String>,
}

impl Listings {
    pub fn new(lake: Lake) -> Listings {
        Listings {
            lake,
            tables: Mutex::default(),
        }
    }

    /// The version of a table that a release shows.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn get(&self, name: &str, entry: &ReleaseTable) -> Result<Arc<Listing>> {
        let at = (entry.location.clone(), entry.version);
        let of_table = self.tables.lock().await.entry(name.to_owned()).or_default().clone();
        let known = |known: &Known| known.listings.get(&at).cloned();
        if let Some(listing) = known(&*of_table.known.lock().await) {
            return Ok(listing);
        }
        // whoever asks for the same meanwhile waits for the answer and does not compute it again; whoever asks for
        // what is known does not wait
        let _reading = of_table.reading.lock().await;
        if let Some(listing) = known(&*of_table.known.lock().await) {
            return Ok(listing);
        }
        let mut digests = of_table.known.lock().await.digests.clone();
        let table = self.lake.table_at(name, &entry.location, entry.version).await?;
        let mut files = Vec::new();
        for file in table.data_files()? {
            let path = format!("{}/{}", entry.location, file.path);
            let digest = match digests.get(&path) {
                Some(digest) => digest.clone(),
                None => {
                    let digest = table.digest_of(&file).await?;
                    digests.insert(path, digest.clone());
                    digest
                }
            };
            files.push((digest, file));
        }
        let shape = table.shape()?;
        let listing = Arc::new(Listing { table, shape, files });
        let mut known = of_table.known.lock().await;
        if known.listings.len() >= REMEMBERED {
            known.listings.clear();
            let here: BTreeSet<&String> = listing.files.iter().map(|(digest, _)| digest).collect();
            digests.retain(|_, digest| here.contains(digest));
        }
        known.digests = digests;
        known.listings.insert(at, listing.clone());
        Ok(listing)
    }
}

impl Server {
    /// Gets to know the files of a release before anybody asks for them.
    pub(super) async fn prepare(self: Arc<Self>, release: Arc<Release>) {
        let shared = release.tables.iter().filter(|(name, _)| name.starts_with("share."));
        for (name, entry) in shared {
            if let Err(error) = self.listings.get(name, entry).await {
                self.wrong(error);
            }
        }
    }
}

/// A file on its way out, or a part of it.
#[derive(Debug)]
pub(super) struct Sent {
    listing: Arc<Listing>,
    path: String,
    rows: u64,
    size: u64,
    range: Range<u64>,
    whole: bool,
    with_body: bool,
    link: Link,
}

/// What a range header asks of a file: `None` for the whole file.
fn range(text: &str, size: u64) -> Result<Option<Range<u64>>, No> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| -> Option<u64> { text.trim().parse().ok() };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        // anything else is passed over, several ranges too, and the file leaves whole
        _ => return Ok(None),
    };
    if range.start >= size || range.is_empty() {
        return Err(No::Range);
    }
    Ok(Some(range))
}

impl Server {
    /// The link of an address, where the signature is ours.
    pub(super) fn link(&self, parts: [&str; 3], ask: &Ask) -> Option<Link> {
        let link = Link::read(parts, &ask.query);
        link.filter(|link| link.holds(&self.seals, &ask.query))
    }

    /// A file by its address.
    pub(super) async fn file(
        self: &Arc<Self>,
        ask: &Ask,
        state: &State,
        link: Link,
        entry: &mut Entry,
    ) -> Result<Answer, No> {
        let with_body = match ask.method {
            Method::GET => true,
            Method::HEAD => false,
            _ => return Err(No::Missing),
        };
        let now = self.clock.now();
        let who = state.recipients.named(&link.token, now).ok_or(No::Missing)?;
        let release = state.served(Some(link.release)).ok_or(No::Missing)?;
        let open = state.open(&who, &link.share, release).ok_or(No::Missing)?;
        let listing = self
            .listings
            .get(&open.share.table(), open.entry)
            .await
            .map_err(|error| self.wrong(error))?;
        let mut own = listing.of(&open);
        let is_meant = |(digest, file): &Named<'_>| *digest == link.digest && file.size == link.bytes;
        let (_, file) = own.find(is_meant).ok_or(No::Missing)?;
        who.name.clone_into(&mut entry.who);
        entry.credential = who.token.id.clone();
        open.purpose.clone_into(&mut entry.purpose);
        entry.release = link.release;
        entry.object = object(&open, file);
        if link.ends.saturating_mul(1_000_000) <= now {
            return Err(No::Ended);
        }
        let asked = match ask.headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
            Some(text) => range(text, file.size)?,
            None => None,
        };
        if let Some(part) = &asked {
            entry.reason = format!("bytes {}-{} of {}", part.start, part.end - 1, file.size);
        }
        let permit = match with_body {
            true => Some(self.stream(who.name)?),
            false => None,
        };
        let sent = Sent {
            path: file.path.clone(),
            rows: file.rows,
            size: file.size,
            whole: asked.is_none(),
            range: asked.unwrap_or(0..file.size),
            with_body,
            listing: listing.clone(),
            link,
        };
        Ok(Answer::File(sent, permit))
    }

    /// Whether bytes may still leave for a link: its token, grant and release stand.
    fn still(&self, link: &Link) -> Result<(), &'static str> {
        let state = self.watched.now().ok_or("the recipients could not be read")?;
        let who = state
            .recipients
            .named(&link.token, self.clock.now())
            .ok_or("the token was revoked")?;
        let release = state.served(Some(link.release)).ok_or("the release was taken back")?;
        state
            .open(&who, &link.share, release)
            .ok_or("the grant was revoked")
            .map(|_| ())
    }
}

impl Sent {
    /// The answer; each part is read when the one before it has left, and only while the link stands.
    pub(super) fn response(
        self,
        server: Arc<Server>,
        entry: Entry,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        let length = self.range.end - self.range.start;
        // whoever has its end has its rows
        let rows = if self.with_body && self.range.end == self.size {
            self.rows
        } else {
            0
        };
        let ending = Ending::of(
            server.audit.clone(),
            entry,
            rows,
            if self.with_body { length } else { 0 },
        );
        let (whole, size, range) = (self.whole, self.size, self.range.clone());
        let body = match self.with_body {
            false => {
                drop(ending);
                Body::empty()
            }
            true => {
                let underway = server.clone();
                let parts = futures::stream::try_unfold((self, server), |(mut sent, server)| async move {
                    if sent.range.is_empty() {
                        return Ok(None);
                    }
                    server.still(&sent.link)?;
                    let read = sent.listing.table.bytes_of(&sent.path, sent.range.clone()).await;
                    let bytes = read.map_err(|_| "the file could not be read")?;
                    if bytes.is_empty() {
                        return Err("the file could not be read");
                    }
                    sent.range.start += bytes.len() as u64;
                    Ok(Some((bytes, (sent, server))))
                });
                underway.underway.begin(parts, ending, permit)
            }
        };
        let mut response = Response::new(body);
        if !whole {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let span = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            set(&mut response, "content-range", &span);
        }
        set(&mut response, "content-length", &length.to_string());
        set(&mut response, "content-type", "application/vnd.apache.parquet");
        set(&mut response, "accept-ranges", "bytes");
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_none() {
        for (text, expected) in [
            ("bytes=0-9", Ok(Some(0..10))),
            ("bytes=90-", Ok(Some(90..100))),
            ("bytes=-8", Ok(Some(92..100))),
            ("bytes=-800", Ok(Some(0..100))),
            ("bytes=0-18446744073709551615", Ok(Some(0..100))),
            ("bytes=100-", Err(No::Range)),
            ("bytes=-0", Err(No::Range)),
            ("bytes=9-1", Ok(None)),
            ("bytes=0-1,4-5", Ok(None)),
            ("lines=0-1", Ok(None)),
            ("bytes=a-", Ok(None)),
        ] {
            assert_eq!(range(text, 100), expected, "{text}");
        }
    }
}
