//! Verification: the chain line by line, its checkpoints, and the heads that others hold.

use chrono::DateTime;

use crate::audit::chain::{self, APART, parsed};
use crate::audit::months::Files;
use crate::audit::{Decision, Head, Line};
use crate::error::{Result, io_error};
use crate::lake::Lake;
use crate::lake::digest::unhex;
use crate::protect::{Seal, SiteKey};

/// Time for which a record has to be at hand: six months (Cybersecurity Law of the PRC, article 21).
const AT_HAND: i64 = 183 * 86_400_000_000;

/// What a chain is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Lines that hold.
    pub lines: u64,
    /// Number of the first line here; those before it were laid away.
    pub first: u64,
    /// Where the part that holds ends.
    pub head: Head,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Heads of others that are older than the first line here.
    pub older: usize,
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
    /// Lines before this one are not here, although they are of the last six months.
    Short(u64),
}

/// Verifies the chain of a lake at a moment; `witnesses` are heads that others got with an answer.
///
/// # Errors
/// As the file system fails. What is wrong with the chain is no error: the verdict says it.
pub fn verify(lake: &Lake, key: &SiteKey, witnesses: &[Head], now: i64) -> Result<Verdict> {
    let (files, seals) = (Files::of(lake), chain::seals(key));
    // what was kept apart is older than the lines, or as old
    let sealed = sealed(&files)?;
    let mut verdict = Verdict {
        lines: 0,
        first: 1,
        head: Head::default(),
        checkpoints: 0,
        older: 0,
        broken: None,
    };
    let mut wanted: Vec<(&Head, bool)> = witnesses.iter().map(|head| (head, head.seq == 0)).collect();
    let (mut begun_at, mut vouched) = (String::new(), false);
    for text in files.lines()?.into_iter().flatten() {
        let text = text?;
        let line = parsed(&text).map(|(_, line)| line);
        if let Some(line) = line.as_ref().filter(|_| verdict.lines == 0) {
            begun_at.clone_from(&line.at);
            if let Some(before) = laid_away(line) {
                (verdict.first, verdict.head) = (line.seq, before);
            }
        }
        let at = verdict.head.seq + 1;
        let next = line.and_then(|line| follows(&verdict.head, &text, &line, &seals));
        match next {
            None => {
                verdict.broken = Some(Broken::Line(at));
                return Ok(verdict);
            }
            Some(Next::Forged) => {
                verdict.broken = Some(Broken::Checkpoint(at));
                return Ok(verdict);
            }
            Some(Next::Line(head)) => verdict.head = head,
            Some(Next::Checkpoint(head)) => {
                verdict.head = head;
                verdict.checkpoints += 1;
            }
        }
        verdict.lines += 1;
        for (head, found) in &mut wanted {
            *found |= **head == verdict.head;
        }
        if let Some((head, mac)) = &sealed
            && head.seq == at
        {
            if *head != verdict.head || !of_the_site(&seals, &[APART], head, mac) {
                verdict.broken = Some(Broken::Sealed(at));
                return Ok(verdict);
            }
            vouched = true;
        }
    }
    let (older, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(head, _)| head.seq < verdict.first);
    verdict.older = older.len();
    let missing = wanted.into_iter().find(|(_, found)| !found);
    let begun = DateTime::parse_from_rfc3339(&begun_at).map_or(now, |at| at.timestamp_micros());
    // a head that is kept apart stands in every chain, or its end was cut off with it
    let empty = sealed.is_none() && verdict.lines == 0;
    let apart = sealed.map_or(verdict.head.seq, |(head, _)| head.seq);
    verdict.broken = match missing {
        _ if !vouched && !empty => Some(Broken::Sealed(apart)),
        Some((head, _)) => Some(Broken::Witness(head.clone())),
        None if verdict.first > 1 && now - begun < AT_HAND => Some(Broken::Short(verdict.first)),
        None => None,
    };
    Ok(verdict)
}

/// The head before a line that begins a month.
fn laid_away(first: &Line) -> Option<Head> {
    let begins = first.seq > 1 && first.entry.decision == Decision::Checkpoint;
    let before: Option<Head> = begins.then(|| first.entry.object.parse().ok()).flatten();
    before.filter(|before| before.seq + 1 == first.seq)
}

enum Next {
    Line(Head),
    Checkpoint(Head),
    Forged,
}

/// A line behind a head, where it follows from it.
fn follows(before: &Head, text: &str, line: &Line, seals: &[Seal]) -> Option<Next> {
    let (hash, json) = text.split_once(' ')?;
    let head = before.then(json);
    if head.hash != hash || line.seq != head.seq {
        return None;
    }
    Some(match line.entry.decision {
        Decision::Checkpoint if !of_the_site(seals, &[], before, &line.entry.reason) => Next::Forged,
        Decision::Checkpoint => Next::Checkpoint(head),
        _ => Next::Line(head),
    })
}

/// Whether one of the site's keys vouches for a head.
fn of_the_site(seals: &[Seal], label: &[&[u8]], head: &Head, mac: &str) -> bool {
    let (bytes, head) = (unhex(mac).unwrap_or_default(), head.to_string());
    let parts = [label, &[head.as_bytes()]].concat();
    seals.iter().any(|seal| seal.fits(&parts, &bytes))
}

/// The head that the last checkpoint kept apart, with its MAC. What is no such head is one that no chain has.
fn sealed(files: &Files) -> Result<Option<(Head, String)>> {
    let path = files.sealed();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(cause) => return Err(io_error(&path, &cause)),
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

    const DAY: i64 = 86_400_000_000;
    /// 1 May 2025.
    const MAY: i64 = 20_209 * DAY;

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
        let mut chain = Chain::open(&lake, Some(&key()), MAY).expect("a chain");
        let mut heads = Vec::new();
        for at in 0..lines {
            heads.push(chain.add(&[entry(at)], MAY + at as i64 * 1_000_000).expect("an entry"));
            if at % 20 == 19 {
                heads.push(chain.checkpoint(MAY).expect("a checkpoint"));
            }
        }
        (lake, heads)
    }

    #[test]
    fn a_chain_holds_and_goes_on_over_processes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (lake, heads) = chain(folder.path(), 45);
        let verdict = verify(&lake, &key(), &heads, MAY).expect("a verdict");
        assert_eq!((verdict.lines, verdict.checkpoints, verdict.broken), (48, 3, None));
        // half a line of a power failure goes, the chain goes on
        let path = folder.path().join("lake/audit/000000000001-2025-05.jsonl");
        let whole = std::fs::read(&path).expect("a chain");
        std::fs::write(&path, [&whole[..], b"0123 {\"seq\":4"].concat()).expect("a chain");
        let mut again = Chain::open(&lake, Some(&key()), MAY).expect("a chain");
        again.add(&[entry(99)], MAY).expect("an entry");
        let verdict = verify(&lake, &key(), &heads, MAY).expect("a verdict");
        assert_eq!((verdict.lines, verdict.broken), (49, None));
        // another key vouches for nothing here
        let other = verify(&lake, &SiteKey::from_bytes([8; 32]), &[], MAY).expect("a verdict");
        assert_eq!(other.broken, Some(Broken::Checkpoint(1)));
    }

    #[test]
    fn a_month_begins_a_file_and_old_ones_can_be_laid_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path(), "lake").expect("a lake");
        let mut heads = Vec::new();
        let on = |day: i64| MAY + day * DAY;
        for month in 0..12 {
            // another process each month
            let mut chain = Chain::open(&lake, Some(&key()), on(month * 31)).expect("a chain");
            for day in [month * 31, month * 31 + 3] {
                heads.push(chain.add(&[entry(day as usize)], on(day)).expect("an entry"));
            }
            chain.checkpoint(on(month * 31 + 4)).expect("a checkpoint");
            // whoever has no key is recorded, and vouches for nothing, not even for a month
            let mut other = Chain::open(&lake, None, on(month * 31 + 5)).expect("a chain");
            other.add(&[entry(1)], on((month + 1) * 31)).expect("an entry");
            other.checkpoint(on(month * 31 + 6)).expect("nothing to add");
        }
        let months = Files::of(&lake).months().expect("months");
        assert_eq!(months.len(), 12, "{months:?}");
        assert!(months[0].ends_with("000000000001-2025-05.jsonl") && months[1].ends_with("000000000006-2025-06.jsonl"));
        let year = on(372);
        let whole = verify(&lake, &key(), &heads, year).expect("a verdict");
        assert_eq!((whole.lines, whole.first, whole.broken.clone()), (60, 1, None));
        let rows = |lake: &Lake| -> usize {
            let batches = crate::audit::batches(lake).expect("batches");
            batches.map(|batch| batch.expect("rows").num_rows()).sum()
        };
        assert_eq!(rows(&lake) as u64, whole.lines);
        // the oldest is laid away, and what is left stands for itself; what is no month is passed over
        std::fs::rename(&months[0], months[0].with_extension("broken.jsonl")).expect("a month");
        let left = verify(&lake, &key(), &heads, year).expect("a verdict");
        assert_eq!((left.broken, left.first, left.older), (None, 6, 2));
        assert_eq!((left.head, left.lines), (whole.head, whole.lines - 5));
        // one in the middle is missed, and so is one that has to be at hand
        let middle = std::fs::read(&months[5]).expect("a month");
        std::fs::remove_file(&months[5]).expect("a month");
        let torn = verify(&lake, &key(), &[], year).expect("a verdict");
        assert!(matches!(torn.broken, Some(Broken::Line(_))), "{torn:?}");
        std::fs::write(&months[5], middle).expect("a month");
        months[1..8]
            .iter()
            .for_each(|path| std::fs::remove_file(path).expect("a month"));
        let short = verify(&lake, &key(), &[], year).expect("a verdict");
        assert_eq!(short.broken, Some(Broken::Short(short.first)));
        // a beginning that somebody else made is none
        let first = std::fs::read_to_string(&months[8]).expect("a month");
        let mut lines: Vec<&str> = first.lines().collect();
        lines.remove(0);
        std::fs::write(&months[8], lines.join("\n") + "\n").expect("a month");
        let forged = verify(&lake, &key(), &[], 2 * year).expect("a verdict");
        assert_eq!(forged.broken, Some(Broken::Line(1)));
    }

    #[test]
    fn a_clock_that_goes_wrong_and_back_and_a_disk_that_was_full_leave_a_whole_chain() {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path(), "lake").expect("a lake");
        assert_eq!(
            Chain::open(&lake, None, MAY).expect_err("a birth").key(),
            "audit_unborn"
        );
        let files = Files::of(&lake);
        for (at, day) in [0, 30_000, 1, 2].into_iter().enumerate() {
            let mut chain = Chain::open(&lake, Some(&key()), MAY).expect("a chain");
            chain.add(&[entry(at)], MAY + day * DAY).expect("an entry");
            chain.checkpoint(MAY + day * DAY).expect("a checkpoint");
        }
        assert_eq!(files.months().expect("months").len(), 3);
        // two months in which nothing could be written
        for month in ["2025-06", "2025-07"] {
            std::fs::write(files.month(99, month), b"").expect("a month");
        }
        let mut chain = Chain::open(&lake, Some(&key()), MAY).expect("a chain");
        chain.add(&[entry(9)], MAY).expect("an entry");
        let verdict = verify(&lake, &key(), &[], MAY).expect("a verdict");
        assert_eq!((verdict.broken, verdict.lines), (None, 13));
    }

    #[test]
    fn a_thousand_changes_are_found_a_thousand_times() {
        let folder = tempfile::tempdir().expect("a folder");
        let (lake, heads) = chain(folder.path(), 60);
        let path = folder.path().join("lake/audit/000000000001-2025-05.jsonl");
        let whole = std::fs::read(&path).expect("a chain");
        let apart_at = Files::of(&lake).sealed();
        let sealed = std::fs::read_to_string(&apart_at).expect("a head");
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
            let mut apart = sealed.clone();
            match change % 7 {
                0 => {
                    let byte = below(parts[at].len());
                    parts[at][byte] ^= 1 << below(7);
                }
                1 => drop(parts.remove(at)),
                2 => parts.insert(at, lines[other].to_vec()),
                3 => parts.swap(at, other),
                4 => {
                    let end = parts[at].len() - 1;
                    parts[at].insert(end, b'\r');
                }
                // the tail goes, with the head that is kept apart, or with another one in its place
                5 => parts.truncate(at),
                _ => {
                    parts.truncate(at.max(1));
                    let line = parsed(std::str::from_utf8(lines[other]).expect("text").trim_end());
                    let (hash, line) = line.expect("a line");
                    apart = match below(4) {
                        0 => String::new(),
                        1 => format!("0:{} x\n", "0".repeat(64)),
                        2 => format!(
                            "{}:{hash} {}\n",
                            line.seq,
                            sealed.rsplit(' ').next().unwrap_or_default()
                        ),
                        // the MAC that a checkpoint has of the head before it
                        _ => match heads.iter().find(|head| head.seq + 1 == line.seq) {
                            Some(head) => format!("{head} {}\n", line.entry.reason),
                            None => String::new(),
                        },
                    };
                }
            }
            let changed = parts.concat();
            if changed == whole && apart == sealed {
                continue;
            }
            match apart.is_empty() {
                true => std::fs::remove_file(&apart_at).expect("a head"),
                false => std::fs::write(&apart_at, &apart).expect("a head"),
            }
            kinds.insert(change % 7);
            std::fs::write(&path, &changed).expect("a chain");
            let verdict = verify(&lake, &key(), &[], MAY).expect("a verdict");
            assert!(
                verdict.broken.is_some(),
                "change {change} at line {at} was not found: {apart}"
            );
            std::fs::write(&apart_at, &sealed).expect("a head");
        }
        assert_eq!(kinds.len(), 7);
        // whoever has the key and every file of the site writes another chain; a county's head finds it
        let again = tempfile::tempdir().expect("a folder");
        let (forged, _) = chain(again.path(), 59);
        assert_eq!(verify(&forged, &key(), &[], MAY).expect("a verdict").broken, None);
        let told = verify(&forged, &key(), &heads[heads.len() - 1..], MAY).expect("a verdict");
        assert_eq!(told.broken, heads.last().cloned().map(Broken::Witness));
    }
}
