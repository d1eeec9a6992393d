//! What a publisher offers, and how it becomes tables of this lake: only files that are not here, digests before
//! names, one release for all of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Kind, Result, fail};
use crate::lake::mirror::{Incoming, Mirrored, Shape};
use crate::lake::release::digest;
use crate::lake::{Commit, Lake, Pulled, Release, ReleaseTable, SHARED, Table};
use crate::time::rfc3339;

/// A set of tables of one release of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The publisher's name, that of its share.
    pub share: String,
    /// Its release.
    pub release: u64,
    /// When that was published, RFC 3339.
    pub made_at: String,
    /// The head of its audit when it answered, `seq:hash`.
    #[serde(default)]
    pub head: String,
    /// The tables.
    pub tables: Vec<Offered>,
}

/// One table of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub shape: Shape,
    /// Its files.
    pub files: Vec<OfferedFile>,
    /// Why it was not renewed there, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// One file of an offered table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedFile {
    /// What it is.
    #[serde(flatten)]
    pub file: Mirrored,
    /// Where its bytes are.
    pub at: String,
}

/// A file that is to be fetched.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its place here.
    pub incoming: Incoming,
    /// Where its bytes are.
    pub at: String,
    /// Bytes in all.
    pub size: u64,
}

/// An offer against what is here.
#[derive(Debug)]
pub struct Planned {
    /// The offer.
    pub offer: Offer,
    tables: Vec<Table>,
    /// The files that are not here.
    pub wanted: Vec<Wanted>,
    /// Files and bytes of tables that are not born yet, where they are only looked at.
    unborn: (usize, u64),
    /// Where its publisher is.
    endpoint: String,
}

/// A name of a publisher or table as a part of a table's name here.
///
/// # Errors
/// `Input` for one that would need quotes in SQL, or that leads out of its folder.
fn plain(name: &str) -> Result<&str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    match begins && name.len() <= 64 && name.chars().all(fits) {
        true => Ok(name),
        false => Err(fail(Kind::Input, "shared_name", &[&name])),
    }
}

impl Planned {
    /// Holds an offer against the lake. Tables that are not here are born, but for a `trial`, which changes nothing.
    /// Under the site lease.
    ///
    /// # Errors
    /// `Input` for names or schemas that cannot be here; as the lake fails.
    pub async fn new(lake: &Lake, (offer, endpoint): (Offer, &str), trial: bool) -> Result<Planned> {
        plain(&offer.share)?;
        let (mut tables, mut wanted, mut unborn) = (Vec::new(), Vec::new(), (0, 0));
        for offered in &offer.tables {
            let name = format!("{SHARED}.{}.{}", offer.share, plain(&offered.name)?);
            let table = match trial {
                true => lake.table_as(&name, &offered.shape).await?.0,
                false => Some(lake.table_like(&name, &offered.shape).await?),
            };
            let Some(table) = table else {
                unborn.0 += offered.files.len();
                unborn.1 += offered.files.iter().map(|file| file.file.size).sum::<u64>();
                continue;
            };
            for file in &offered.files {
                let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                if file.file.digest.len() != 64 || !file.file.digest.chars().all(hex) {
                    return Err(fail(Kind::Input, "shared_name", &[&file.file.digest]));
                }
                let incoming = table.incoming(lake, &file.file)?;
                if !incoming.is_there() {
                    wanted.push(Wanted {
                        incoming,
                        at: file.at.clone(),
                        size: file.file.size,
                    });
                }
            }
            tables.push(table);
        }
        Ok(Planned {
            offer,
            tables,
            wanted,
            unborn,
            endpoint: endpoint.to_owned(),
        })
    }

    /// Bytes that are still to come.
    pub fn bytes(&self) -> u64 {
        let files = self.wanted.iter();
        self.unborn.1 + files.map(|file| file.size - file.incoming.begun()).sum::<u64>()
    }

    /// Files that are still to come.
    pub fn files(&self) -> usize {
        self.unborn.0 + self.wanted.len()
    }

    /// Files and bytes of the whole offer.
    pub fn whole(&self) -> (usize, u64) {
        let files = self.offer.tables.iter().flat_map(|table| &table.files);
        files.fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.file.size))
    }

    /// Whether a table here is the publisher's and no part of the offer any more.
    pub fn withdraws(&self, name: &str) -> bool {
        let own = name.strip_prefix(SHARED).and_then(|rest| rest.strip_prefix('.'));
        let table = own.and_then(|rest| rest.strip_prefix(self.offer.share.as_str())?.strip_prefix('.'));
        table.is_some_and(|table| self.offer.tables.iter().all(|offered| offered.name != table))
    }

    /// Makes the tables of the lake those of the offer, and publishes them with all that is published here. All
    /// files are there. `None` where nothing is new. The caller holds the site lease.
    ///
    /// # Errors
    /// As the lake fails; `Conflict` where somebody else published, or where a file was cleared away meanwhile.
    pub async fn publish(mut self, lake: &Lake, commit: &Commit, now: i64) -> Result<Option<Release>> {
        let mut shared = BTreeMap::new();
        for (table, offered) in self.tables.iter_mut().zip(&self.offer.tables) {
            let files: Vec<Mirrored> = offered.files.iter().map(|file| file.file.clone()).collect();
            // maintenance may have cleared away what no version names yet
            for file in &files {
                if !table.incoming(lake, file)?.is_there() {
                    return Err(fail(Kind::Conflict, "pull_cleared", &[&table.name()]));
                }
            }
            table.mirror(&files, commit).await?;
            let entry = ReleaseTable {
                location: table.location().to_owned(),
                version: table.version(),
                rows: table.rows()?,
                digest: None,
                fingerprint: None,
                inputs: BTreeMap::new(),
                run_id: Some(commit.run_id.clone()),
            };
            shared.insert(table.name().to_owned(), entry);
        }
        let last = lake.latest_release().await?;
        let own = format!("{SHARED}.{}.", self.offer.share);
        let stale = self.offer.tables.iter();
        let stale: BTreeMap<String, String> = stale
            .filter_map(|table| Some((table.name.clone(), table.stale.clone()?)))
            .collect();
        let states = |tables: &BTreeMap<String, ReleaseTable>| -> Vec<(String, String)> {
            let own = tables.iter().filter(|(name, _)| name.starts_with(&own));
            own.map(|(name, entry)| (name.clone(), entry.state())).collect()
        };
        let known = last.as_ref().and_then(|last| last.pulled.get(&self.offer.share));
        let same = known.is_some_and(|known| known.release == self.offer.release && known.stale == stale)
            && last
                .as_ref()
                .is_some_and(|last| states(&last.tables) == states(&shared));
        if same {
            return Ok(None);
        }
        let mut tables = last.as_ref().map_or_else(BTreeMap::new, |last| last.tables.clone());
        tables.retain(|name, _| !name.starts_with(&own));
        tables.extend(shared);
        let mut pulled = last.as_ref().map_or_else(BTreeMap::new, |last| last.pulled.clone());
        let from = Pulled {
            release: self.offer.release,
            made_at: self.offer.made_at.clone(),
            pulled_at: rfc3339(now),
            endpoint: self.endpoint,
            stale,
        };
        pulled.insert(self.offer.share.clone(), from);
        let release = Release {
            release: last.as_ref().map_or(0, |last| last.release) + 1,
            made_at: rfc3339(now),
            run_id: commit.run_id.clone(),
            pipeline: last.as_ref().map_or_else(String::new, |last| last.pipeline.clone()),
            digest: digest(&tables),
            tables,
            off: last.as_ref().map_or_else(BTreeMap::new, |last| last.off.clone()),
            restores: None,
            held: last.map_or_else(BTreeMap::new, |last| last.held),
            pulled,
        };
        lake.publish(&release).await?;
        Ok(Some(release))
    }
}
