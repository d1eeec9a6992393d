//! The chain: one line after the other, durable when told so.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::months::{Files, month_of};
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::lake::Lake;
use crate::lake::digest::hex;
use crate::protect::SiteKey;
use crate::protect::mac::Seal;
use crate::time::rfc3339;

/// Bytes of a line at most: a longer tail is no line of ours.
const LINE_BYTES: u64 = 64 << 10;
/// What tells the head that is kept apart from those in checkpoints.
pub(super) const APART: &[u8] = b"apart";
/// What the seals of checkpoints are for.
const PURPOSE: &str = "audit/checkpoint";

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may be answered.
    Allow,
    /// It may not.
    #[default]
    Deny,
    /// It was answered to the end.
    Whole,
    /// It was answered in part: the line broke, or the process ended.
    Part,
    /// The chain so far is vouched for.
    Checkpoint,
}

/// What is recorded of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The request, the same in `decided` and `ended`.
    pub request: String,
    /// Who: a recipient, or an account of this site.
    pub who: String,
    /// The credential by its public name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
    /// The address that asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// The act, such as `share.query`.
    pub act: String,
    /// What it was about: a table, a part of one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The release it was about, 0 for none.
    #[serde(default)]
    pub release: u64,
    /// What was decided, or how it ended.
    pub decision: Decision,
    /// Why, where it is not plain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Rows that left.
    #[serde(default)]
    pub rows: u64,
    /// Bytes that left.
    #[serde(default)]
    pub bytes: u64,
}

/// A line of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, counted from 1 without a gap.
    pub seq: u64,
    /// When, UTC.
    pub at: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// Number of the last line, 0 where there is none.
    pub seq: u64,
    /// Its hash, 64 hexadecimal digits; of an empty chain 64 zeros.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Head {
        Head {
            seq: 0,
            hash: "0".repeat(64),
        }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Head> {
        let parts = text.trim().split_once(':');
        let parts = parts.and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
        let whole = parts.filter(|(_, hash)| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let (seq, hash) = whole.ok_or_else(|| fail(Kind::Input, "audit_head", &[&text]))?;
        Ok(Head {
            seq,
            hash: hash.to_ascii_lowercase(),
        })
    }
}

impl Head {
    /// The head after one more line.
    pub(super) fn then(&self, json: &str) -> Head {
        let mut hash = Sha256::new();
        hash.update(&self.hash);
        hash.update(" ");
        hash.update(json);
        Head {
            seq: self.seq + 1,
            hash: hex(&hash.finalize()),
        }
    }
}

/// The seals of a site's checkpoints, newest first.
pub(super) fn seals(key: &SiteKey) -> Vec<Seal> {
    key.seals(PURPOSE)
}

/// The chain, open for more. Several processes may write: each holds it for the time of a group.
#[derive(Debug)]
pub struct Chain {
    files: Files,
    seal: Option<Seal>,
    /// The file, its length and its head when this wrote last.
    known: Option<(PathBuf, u64, Head)>,
}

impl Chain {
    /// The chain of a lake; the site's key vouches for its checkpoints, which whoever has none cannot add.
    ///
    /// A chain is born with a checkpoint, at `now`: so there is none whose end is not vouched for.
    ///
    /// # Errors
    /// As the file system fails; `Missing` where there is no chain yet and no key to vouch for it.
    pub fn open(lake: &Lake, key: Option<&SiteKey>, now: i64) -> Result<Chain> {
        let files = Files::of(lake);
        let folder = files.folder();
        std::fs::create_dir_all(folder).map_err(|cause| io_error(folder, &cause))?;
        let mut chain = Chain {
            files,
            seal: key.and_then(|key| seals(key).into_iter().next()),
            known: None,
        };
        match (chain.files.months()?.is_empty(), &chain.seal) {
            (true, None) => return Err(fail(Kind::Missing, "audit_unborn", &[]).hint("audit_unborn_hint", &[])),
            (true, Some(_)) => chain.checkpoint(now)?,
            // a chain that cannot be written is found before anything is asked for
            (false, _) => chain.add(&[], now)?,
        };
        Ok(chain)
    }

    /// The last lines, of `bytes` at most of each of the two newest files.
    ///
    /// # Errors
    /// As the file system fails.
    pub(super) fn tail(&self, bytes: u64) -> Result<Vec<Line>> {
        let (mut lines, months) = (Vec::new(), self.files.months()?);
        for path in months.iter().skip(months.len().saturating_sub(2)) {
            let failed = |cause: std::io::Error| io_error(path, &cause);
            let mut file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(bytes)))
                .map_err(failed)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text).map_err(failed)?;
            // the first line may be cut by where the look began
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().filter_map(|line| Some(parsed(line)?.1)));
        }
        Ok(lines)
    }

    /// Adds entries, durable when this returns; the head after them. A new month begins a new file, whose first line
    /// vouches for the head before it: from there on the chain can be verified without what lies before.
    ///
    /// # Errors
    /// As the file system fails: then nothing may leave. `Conflict` for a file whose end is no line.
    pub fn add(&mut self, entries: &[Entry], now: i64) -> Result<Head> {
        let _alone = self.files.alone()?;
        let (at, mut months) = (rfc3339(now), self.files.months()?);
        let mut path = months.pop().unwrap_or_else(|| self.files.month(1, &at));
        let mut file = opened(&path)?;
        let found = file.metadata().map_err(|cause| io_error(&path, &cause))?.len();
        let (mut whole, mut head) = match self.known.take() {
            Some((known, length, head)) if known == path && length == found => (length, head),
            _ => end_of(&path, &mut file)?,
        };
        // of a file that a full disk left empty, the one before has the end
        while head.seq == 0
            && let Some(before) = months.pop()
        {
            head = end_of(&before, &mut opened(&before)?)?.1;
        }
        // whoever cannot vouch for a month begins none
        let begins = self.seal.is_some() && !entries.is_empty() && head.seq > 0;
        if begins && whole > 0 && month_of(&path) != at.get(..7) {
            (path, whole) = (self.files.month(head.seq + 1, &at), 0);
            file = opened(&path)?;
        }
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        let first = (begins && whole == 0).then(|| Entry {
            object: head.to_string(),
            ..checkpoint()
        });
        let mut text = String::new();
        for entry in first.iter().chain(entries) {
            let line = Line {
                seq: head.seq + 1,
                at: at.clone(),
                entry: self.vouched(&head, entry.clone()),
            };
            let json =
                serde_json::to_string(&line).map_err(|cause| fail(Kind::Bug, "audit_line", &[]).because(cause))?;
            head = head.then(&json);
            text.push_str(&format!("{} {json}\n", head.hash));
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        let named = || File::open(self.files.folder()).and_then(|folder| folder.sync_all());
        let written = if whole == 0 {
            written.and_then(|()| named())
        } else {
            written
        };
        if let Err(cause) = written {
            // half a line would hide what comes after it; what cannot be taken back is found at the next opening
            let _ = file.set_len(whole);
            return Err(failed(cause));
        }
        self.known = Some((path, whole + text.len() as u64, head.clone()));
        Ok(head)
    }

    /// Adds a line that vouches for all before it, and keeps the head apart from the chain. Without a key nothing can
    /// be vouched for, and nothing is added.
    ///
    /// # Errors
    /// As [`Chain::add`].
    pub fn checkpoint(&mut self, now: i64) -> Result<Head> {
        let Some(seal) = self.seal.clone() else {
            return self.add(&[], now);
        };
        let head = self.add(&[checkpoint()], now)?;
        let text = format!("{head} {}\n", hex(&seal.of(&[APART, head.to_string().as_bytes()])));
        let sealed = self.files.sealed();
        // several processes may vouch at once, each with a file of its own
        let staged = sealed.with_extension(std::process::id().to_string());
        let failed = |cause: std::io::Error| io_error(&sealed, &cause);
        let mut file = File::create(&staged).map_err(failed)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&staged, &sealed))
            .map_err(failed)?;
        Ok(head)
    }

    /// A checkpoint with the MAC of the head before it; anything else as it is.
    fn vouched(&self, before: &Head, mut entry: Entry) -> Entry {
        if let (Decision::Checkpoint, Some(seal)) = (entry.decision, &self.seal) {
            entry.reason = hex(&seal.of(&[before.to_string().as_bytes()]));
        }
        entry
    }
}

fn checkpoint() -> Entry {
    Entry {
        who: "site".to_owned(),
        act: "audit.checkpoint".to_owned(),
        decision: Decision::Checkpoint,
        ..Entry::default()
    }
}

fn opened(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).read(true).append(true).open(path);
    file.map_err(|cause| io_error(path, &cause))
}

/// The length of the whole lines, and the last one's number and hash. A line that a power failure cut off was never
/// answered for: it goes.
fn end_of(path: &Path, file: &mut File) -> Result<(u64, Head)> {
    let failed = |cause: std::io::Error| io_error(path, &cause);
    let broken = || fail(Kind::Conflict, "audit_tail", &[&path.display()]).hint("audit_tail_hint", &[]);
    let bytes = file.metadata().map_err(failed)?.len();
    let from = bytes.saturating_sub(2 * LINE_BYTES);
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut tail = Vec::new();
    let mut tail_of = Read::by_ref(file).take(bytes - from);
    tail_of.read_to_end(&mut tail).map_err(failed)?;
    let end = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if from == 0 => 0,
        None => return Err(broken()),
    };
    if end < tail.len() {
        file.set_len(from + end as u64).map_err(failed)?;
    }
    let Some(lines) = tail[..end].strip_suffix(b"\n") else {
        return Ok((0, Head::default()));
    };
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let (hash, line) = parsed(std::str::from_utf8(last).map_err(|_| broken())?).ok_or_else(broken)?;
    let head = Head {
        seq: line.seq,
        hash: hash.to_owned(),
    };
    Ok((from + end as u64, head))
}

/// The hash of a line and what it says.
pub(super) fn parsed(text: &str) -> Option<(&str, Line)> {
    let (hash, json) = text.split_once(' ')?;
    Some((hash, serde_json::from_str(json).ok()?))
}
