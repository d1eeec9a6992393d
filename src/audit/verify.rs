//! Verification: the chain line by line, its checkpoints, and the heads that others hold.

use crate::audit::chain::{self, Files, parsed};
use crate::audit::{Decision, Head};
use crate::error::{Result, io_error};
use crate::lake::Lake;
use crate::protect::{Seal, SiteKey};

/// What a chain is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Lines that hold.
    pub lines: u64,
    /// Where the part that holds ends.
    pub head: Head,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The line of this number does not follow from those before it.
    Line(u64),
    /// The checkpoint of this number is not the site's.
    Checkpoint(u64),
    /// The head that the last checkpoint kept apart is not in the chain, or is not the site's.
    Sealed(u64),
    /// A head that somebody else holds is not in the chain.
    Witness(Head),
}

/// Verifies the chain of a lake; `witnesses` are heads that others got with an answer.
///
/// # Errors
/// As the file system fails. What is wrong with the chain is no error: the verdict says it.
pub fn verify(lake: &Lake, key: &SiteKey, witnesses: &[Head]) -> Result<Verdict> {
    let (files, seals) = (Files::of(lake), chain::seals(key));
    let mut verdict = Verdict {
        lines: 0,
        head: Head::default(),
        checkpoints: 0,
        broken: None,
    };
    let mut wanted: Vec<(&Head, bool)> = witnesses.iter().map(|head| (head, head.seq == 0)).collect();
    let sealed = sealed(&files)?;
    for text in files.lines()? {
        let at = verdict.head.seq + 1;
        let Some(next) = text.ok().and_then(|text| follows(&verdict.head, &text, &seals)) else {
            verdict.broken = Some(Broken::Line(at));
            return Ok(verdict);
        };
        match next {
            Next::Line(head) => verdict.head = head,
            Next::Checkpoint(head) => {
                verdict.head = head;
                verdict.checkpoints += 1;
            }
            Next::Forged => {
                verdict.broken = Some(Broken::Checkpoint(at));
                return Ok(verdict);
            }
        }
        verdict.lines += 1;
        for (head, found) in &mut wanted {
            *found |= **head == verdict.head;
        }
        if let Some((head, mac)) = &sealed
            && head.seq == at
            && (*head != verdict.head || !of_the_site(&seals, head, mac))
        {
            verdict.broken = Some(Broken::Sealed(at));
            return Ok(verdict);
        }
    }
    let cut_off = sealed.as_ref().filter(|(head, _)| head.seq > verdict.head.seq);
    let missing = wanted.into_iter().find(|(_, found)| !found);
    verdict.broken = match (cut_off, missing) {
        (Some((head, _)), _) => Some(Broken::Sealed(head.seq)),
        // a chain that was begun anew has no head kept apart
        (None, _) if sealed.is_none() && verdict.checkpoints > 0 => Some(Broken::Sealed(verdict.head.seq)),
        (None, Some((head, _))) => Some(Broken::Witness(head.clone())),
        (None, None) => None,
    };
    Ok(verdict)
}

enum Next {
    Line(Head),
    Checkpoint(Head),
    Forged,
}

/// A line behind a head, where it follows from it.
fn follows(before: &Head, text: &str, seals: &[Seal]) -> Option<Next> {
    let (hash, line) = parsed(text)?;
    let head = before.then(text.split_once(' ')?.1);
    if head.hash != hash || line.seq != head.seq {
        return None;
    }
    Some(match line.entry.decision {
        Decision::Checkpoint if !of_the_site(seals, before, &line.entry.reason) => Next::Forged,
        Decision::Checkpoint => Next::Checkpoint(head),
        _ => Next::Line(head),
    })
}

/// Whether one of the site's keys vouches for a head.
fn of_the_site(seals: &[Seal], head: &Head, mac: &str) -> bool {
    let bytes: Option<Vec<u8>> = (0..mac.len() / 2)
        .map(|at| u8::from_str_radix(mac.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    let (bytes, head) = (bytes.unwrap_or_default(), head.to_string());
    seals.iter().any(|seal| seal.fits(&[head.as_bytes()], &bytes))
}

/// The head that the last checkpoint kept apart, with its MAC. What is no such head is one that no chain has.
fn sealed(files: &Files) -> Result<Option<(Head, String)>> {
    let text = match std::fs::read_to_string(&files.sealed) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(cause) => return Err(io_error(&files.sealed, &cause)),
    };
    let parts = text.trim_end_matches('\n').split_once(' ');
    let parts = parts.and_then(|(head, mac)| Some((head.parse().ok()?, mac.to_owned())));
    let nowhere = || {
        let head = Head {
            seq: u64::MAX,
            ..Head::default()
        };
        (head, String::new())
    };
    Ok(Some(parts.unwrap_or_else(nowhere)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::audit::{Chain, Entry};

    fn key() -> SiteKey {
        SiteKey::from_bytes([7; 32])
    }

    fn entry(request: usize) -> Entry {
        Entry {
            request: format!("r{request}"),
            who: "990101".to_owned(),
            act: "share.file".to_owned(),
            object: "share.county_day/biz_month=2025-03".to_owned(),
            decision: if request.is_multiple_of(2) {
                Decision::Allow
            } else {
                Decision::Whole
            },
            rows: request as u64,
            bytes: 100,
            ..Entry::default()
        }
    }

    /// A chain of `lines` entries in groups, the last of which is a checkpoint.
    fn chain(folder: &Path, lines: usize) -> (Lake, Vec<Head>) {
        let lake = Lake::open(folder, "lake").expect("a lake");
        let mut chain = Chain::open(&lake, Some(&key())).expect("a chain");
        let mut heads = Vec::new();
        for at in 0..lines {
            heads.push(chain.add(&[entry(at)], at as i64 * 1_000_000).expect("an entry"));
            if at % 20 == 19 {
                heads.push(chain.checkpoint(0).expect("a checkpoint"));
            }
        }
        (lake, heads)
    }

    #[test]
    fn a_chain_holds_and_goes_on_over_processes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (lake, heads) = chain(folder.path(), 45);
        let verdict = verify(&lake, &key(), &heads).expect("a verdict");
        assert_eq!((verdict.lines, verdict.checkpoints, verdict.broken), (47, 2, None));
        // half a line of a power failure goes, the chain goes on
        let path = folder.path().join("lake/audit/chain.jsonl");
        let whole = std::fs::read(&path).expect("a chain");
        std::fs::write(&path, [&whole[..], b"0123 {\"seq\":4"].concat()).expect("a chain");
        let mut again = Chain::open(&lake, Some(&key())).expect("a chain");
        again.add(&[entry(99)], 0).expect("an entry");
        let verdict = verify(&lake, &key(), &heads).expect("a verdict");
        assert_eq!((verdict.lines, verdict.broken), (48, None));
        // another key vouches for nothing here
        let other = verify(&lake, &SiteKey::from_bytes([8; 32]), &[]).expect("a verdict");
        assert_eq!(other.broken, Some(Broken::Checkpoint(21)));
    }

    #[test]
    fn a_thousand_changes_are_found_a_thousand_times() {
        let folder = tempfile::tempdir().expect("a folder");
        let (lake, heads) = chain(folder.path(), 60);
        let path = folder.path().join("lake/audit/chain.jsonl");
        let whole = std::fs::read(&path).expect("a chain");
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let mut random = 7u64;
        let mut below = |most: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % most
        };
        let mut kinds = BTreeSet::new();
        for change in 0..1_000 {
            let (at, other) = (below(lines.len()), below(lines.len()));
            let mut parts: Vec<Vec<u8>> = lines.iter().map(|line| line.to_vec()).collect();
            match change % 5 {
                0 => {
                    let byte = below(parts[at].len());
                    parts[at][byte] ^= 1 << below(7);
                }
                1 => drop(parts.remove(at)),
                2 => parts.insert(at, lines[other].to_vec()),
                3 => parts.swap(at, other),
                // the tail goes, down to an end that no checkpoint kept apart
                _ => parts.truncate(at),
            }
            let changed = parts.concat();
            if changed == whole {
                continue;
            }
            kinds.insert(change % 5);
            std::fs::write(&path, &changed).expect("a chain");
            let verdict = verify(&lake, &key(), &[]).expect("a verdict");
            assert!(verdict.broken.is_some(), "change {change} at line {at} was not found");
        }
        assert_eq!(kinds.len(), 5);
        // whoever has the key and every file of the site writes another chain; a county's head finds it
        let again = tempfile::tempdir().expect("a folder");
        let (forged, _) = chain(again.path(), 59);
        assert_eq!(verify(&forged, &key(), &[]).expect("a verdict").broken, None);
        let told = verify(&forged, &key(), &heads[heads.len() - 1..]).expect("a verdict");
        assert_eq!(told.broken, heads.last().cloned().map(Broken::Witness));
    }
}
