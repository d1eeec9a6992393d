//! Rows whose key is known: the same row again, or another statement under the same key.
//!
//! What is the same is a duplicate. Of two different rows one holds, as the contract says: the one that
//! came first, the one that was known last, or neither. Whatever a later row replaces goes in the same
//! commit that brings it.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::contract::{Conflict, Contract, Reason};
use crate::error::{Kind, Result, fail};
use crate::ingest::account::Report;
use crate::ingest::batch::{Arrived, Ingest, Reject};
use crate::ingest::known::Known;
use crate::ingest::resend::{Exchange, Sayings, day, keys, partition};
use crate::ingest::rows::Refused;
use crate::ingest::tables::layout;
use crate::lake::shape::conform;
use crate::lake::{Stage, Staged, Table};

fn broken(cause: arrow::error::ArrowError) -> crate::error::Error {
    fail(Kind::Bug, "batch_shape", &[]).because(cause)
}

/// The rows of a batch that have an identity, stored under it.
fn named(batch: &RecordBatch, identities: &[Option<i64>]) -> Result<RecordBatch> {
    let at = batch.schema_ref().index_of("row_key").map_err(broken)?;
    let mut columns = batch.columns().to_vec();
    columns[at] = std::sync::Arc::new(Int64Array::from_iter(identities.iter().copied()));
    let batch = RecordBatch::try_new(batch.schema(), columns).map_err(broken)?;
    let stays = BooleanArray::from_iter(identities.iter().map(|identity| Some(identity.is_some())));
    filter_record_batch(&batch, &stays).map_err(broken)
}

/// One row that claims a key.
#[derive(Debug, Clone, Copy)]
struct Claim {
    saying: [u8; 16],
    known_at: i64,
    line: i64,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the table.
    Stored,
    /// Staged by this file.
    Staged,
    /// Waiting: batch and row.
    Waits(usize, usize),
}

/// What becomes of the claims on one key.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ruling {
    /// The waiting row that comes in.
    comes: Option<(usize, usize)>,
    /// The stored row goes.
    stored_goes: bool,
    /// The staged row goes.
    staged_goes: bool,
    /// Lines of rows of this file that are refused.
    refused: Vec<i64>,
    /// Waiting rows that say nothing new.
    duplicates: u64,
}

/// Rules on the claims on one key, the standing one first, then the waiting ones in their order.
fn rule(policy: Conflict, claims: &[Claim]) -> Ruling {
    let mut ruling = Ruling::default();
    let Some((standing, waiting)) = claims.split_first() else {
        return ruling;
    };
    let differ = waiting.iter().any(|claim| claim.saying != standing.saying);
    if !differ || policy == Conflict::First {
        ruling.duplicates = waiting.len() as u64;
        return ruling;
    }
    if policy == Conflict::Reject {
        ruling.stored_goes = standing.place == Place::Stored;
        ruling.staged_goes = standing.place == Place::Staged;
        let of_file = claims.iter().filter(|claim| claim.place != Place::Stored);
        ruling.refused = of_file.map(|claim| claim.line).collect();
        return ruling;
    }
    let mut holds = *standing;
    for claim in waiting {
        if claim.saying != holds.saying && claim.known_at >= holds.known_at {
            holds = *claim;
        }
    }
    match holds.place {
        Place::Waits(batch, row) if holds.saying != standing.saying => {
            ruling.comes = Some((batch, row));
            ruling.stored_goes = standing.place == Place::Stored;
            ruling.staged_goes = standing.place == Place::Staged;
            // of the rows of this file one holds; a staged row that is replaced was only its first version
            ruling.duplicates = waiting.len() as u64 - 1;
        }
        _ => ruling.duplicates = waiting.len() as u64,
    }
    ruling
}

impl Ingest<'_> {
    /// The exact verdict on the rows that wait: new ones go to their files, known ones are duplicates,
    /// or claims that are ruled on when all is read.
    pub(super) async fn decide(
        &self,
        contract: &Contract,
        table: &Table,
        stage: &mut Stage,
        known: &mut Known,
        arrived: &mut Arrived,
        report: &mut Report,
    ) -> Result<()> {
        let stored = contract.land == crate::contract::Land::Rows;
        let claims = stored && contract.conflict != Conflict::First && !contract.key.is_empty();
        let earlier = arrived.earlier.clone();
        let mut scan = async |mark: &mut dyn FnMut(i64)| {
            if stored {
                self.each_identity(table, &earlier, mark).await
            } else {
                Ok(())
            }
        };
        let late = std::mem::take(&mut arrived.late);
        let mut late = late.finish(table, self.run_id()).await?;
        let most = self.settings().limits.resend_rows as u64;
        loop {
            let verdicts = known.verdicts(&mut scan).await?;
            if verdicts.is_empty() {
                break;
            }
            let mut verdicts = &verdicts[..];
            while !verdicts.is_empty() {
                let batch = late.next(table, verdicts.len()).await?;
                let (these, rest) = verdicts.split_at(batch.num_rows());
                verdicts = rest;
                let new = these.iter().flatten().count() as u64;
                let again = batch.num_rows() as u64 - new;
                report.accepted += new;
                if new > 0 {
                    let rows = named(&batch, these)?;
                    arrived.note_days(&rows);
                    stage.write(&rows).await?;
                }
                if again > 0 && claims && earlier.is_empty() {
                    let erased = known.erased();
                    // what was erased claims nothing
                    let claims =
                        |(verdict, key): (&Option<i64>, &i64)| Some(verdict.is_none() && !erased.contains(key));
                    let claiming = BooleanArray::from_iter(these.iter().zip(keys(&batch)?).map(claims));
                    report.duplicate += again - claiming.true_count() as u64;
                    let again = filter_record_batch(&batch, &claiming).map_err(broken)?;
                    arrived.claims += again.num_rows() as u64;
                    if arrived.claims > most {
                        return Err(fail(Kind::Limit, "resend_rows", &[&report.file, &most]));
                    }
                    arrived.claiming.push(again);
                } else {
                    report.duplicate += again;
                }
            }
        }
        late.discard(table).await
    }

    /// Rules on the waiting claims of a file whose other rows are staged.
    ///
    /// # Errors
    /// As the store fails.
    pub(super) async fn rule_claims(
        &self,
        contract: &Contract,
        table: &Table,
        first: Staged,
        arrived: &mut Arrived,
        report: &mut Report,
    ) -> Result<Exchange> {
        let schema = table.schema()?;
        let mut sayings = Sayings::of(schema.as_ref(), contract)?;
        let waiting: Vec<RecordBatch> = std::mem::take(&mut arrived.claiming)
            .iter()
            .map(|batch| conform(batch, &schema))
            .collect::<Result<_>>()?;
        let mut claims: HashMap<i64, Vec<Claim>> = HashMap::new();
        for batch in &waiting {
            for key in keys(batch)? {
                claims.entry(*key).or_default();
            }
        }
        for file in 0..first.files() {
            for batch in table.staged_rows(&first, file).await? {
                claim(&mut claims, &mut sayings, &conform(&batch?, &schema)?, |_| {
                    Place::Staged
                })?;
            }
        }
        let (mut partitions, mut days) = (BTreeSet::new(), BTreeSet::new());
        let mut homes: HashMap<i64, (Option<String>, Option<i32>)> = HashMap::new();
        let mut rows = self.select(table, "true").await?;
        while let Some(batch) = rows.next().await? {
            let batch = conform(&batch, &schema)?;
            claim(&mut claims, &mut sayings, &batch, |_| Place::Stored)?;
            for (row, key) in keys(&batch)?.iter().enumerate() {
                if claims.contains_key(key) {
                    homes.insert(*key, (partition(&batch, row), day(&batch, row)));
                }
            }
        }
        for (at, batch) in waiting.iter().enumerate() {
            claim(&mut claims, &mut sayings, batch, |row| Place::Waits(at, row))?;
        }
        let mut conflicts = 0;
        let (mut gone, mut unstaged) = (HashSet::new(), HashSet::new());
        let mut coming: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); waiting.len()];
        for (key, claims) in &claims {
            let ruling = rule(contract.conflict, claims);
            if ruling.stored_goes {
                gone.insert(*key);
                if let Some((partition, day)) = homes.get(key) {
                    partitions.insert(partition.clone());
                    days.extend(*day);
                }
            }
            if ruling.staged_goes {
                unstaged.insert(*key);
                report.accepted -= 1;
                report.duplicate += u64::from(ruling.refused.is_empty());
            }
            if let Some((batch, row)) = ruling.comes {
                coming[batch].insert(row);
                report.accepted += 1;
                report.changed += u64::from(ruling.stored_goes);
            }
            if contract.conflict == Conflict::Reject && ruling.stored_goes {
                report.vanished += 1;
                // the account of the batch that brought it stands; that it went is listed here
                if let Some(stored) = claims.first() {
                    arrived.rejects.push(conflict(contract, stored.line, "stored before"));
                }
            }
            report.duplicate += ruling.duplicates;
            report.rejected += ruling.refused.len() as u64;
            let refused = ruling.refused.iter().map(|line| conflict(contract, *line, ""));
            arrived.rejects.extend(refused);
            conflicts += ruling.refused.len() as u64;
        }
        if conflicts > 0 {
            report.reasons.insert(Reason::Conflict.code().to_owned(), conflicts);
        }
        arrived.rejects.sort_by_key(|reject| reject.line);
        let mut stage = table.stage(self.run_id(), layout(contract))?;
        for file in 0..first.files() {
            for batch in table.staged_rows(&first, file).await? {
                let batch = batch?;
                let stays = keys(&batch)?.iter().map(|key| Some(!unstaged.contains(key)));
                let stays = filter_record_batch(&batch, &BooleanArray::from_iter(stays)).map_err(broken)?;
                stage.write(&stays).await?;
            }
        }
        for (batch, coming) in waiting.iter().zip(coming) {
            let comes = BooleanArray::from_iter((0..batch.num_rows()).map(|row| Some(coming.contains(&row))));
            let comes = filter_record_batch(batch, &comes).map_err(broken)?;
            if comes.num_rows() > 0 {
                arrived.note_days(&comes);
                stage.write(&comes).await?;
            }
        }
        self.carry_over(table, &mut stage, &partitions, |key, _| gone.contains(&key))
            .await?;
        table.discard(first).await?;
        Ok(Exchange {
            staged: stage.finish().await?,
            partitions,
            days,
        })
    }
}

/// A row that is refused, since another of its key says something else.
fn conflict(contract: &Contract, line: i64, value: &str) -> Reject {
    Reject {
        line: line.cast_unsigned(),
        refused: Refused {
            reason: Reason::Conflict,
            column: contract.key.join(","),
            value: value.to_owned(),
        },
    }
}

/// Adds the rows of a batch to the claims on their keys, where there are any.
fn claim(
    claims: &mut HashMap<i64, Vec<Claim>>,
    sayings: &mut Sayings,
    batch: &RecordBatch,
    place: impl Fn(usize) -> Place,
) -> Result<()> {
    let contested: Vec<usize> = (0..batch.num_rows())
        .filter(|row| keys(batch).is_ok_and(|keys| claims.contains_key(&keys[*row])))
        .collect();
    if contested.is_empty() {
        return Ok(());
    }
    let shape = || fail(Kind::Bug, "batch_shape", &[]);
    let number = |name: &str| batch.column_by_name(name).ok_or_else(shape);
    let known = number("known_at")?
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(shape)?
        .clone();
    let lines = number("source_line")?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(shape)?
        .clone();
    let digests = sayings.digests(batch)?;
    for row in contested {
        let found = Claim {
            saying: digests[row],
            known_at: if known.is_valid(row) {
                known.value(row)
            } else {
                i64::MIN
            },
            line: lines.value(row),
            place: place(row),
        };
        claims.entry(keys(batch)?[row]).or_default().push(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(texts: &[(u8, i64)], standing: Place) -> Vec<Claim> {
        let of = |(at, (saying, known_at)): (usize, &(u8, i64))| Claim {
            saying: [*saying; 16],
            known_at: *known_at,
            line: at as i64 + 2,
            place: if at == 0 { standing } else { Place::Waits(0, at - 1) },
        };
        texts.iter().enumerate().map(of).collect()
    }

    fn only_duplicates(duplicates: u64) -> Ruling {
        Ruling {
            duplicates,
            ..Ruling::default()
        }
    }

    #[test]
    fn the_same_again_is_a_duplicate_under_every_policy() {
        for policy in [Conflict::First, Conflict::Newest, Conflict::Reject] {
            let ruling = rule(policy, &claims(&[(1, 5), (1, 9), (1, 9)], Place::Stored));
            assert_eq!(ruling, only_duplicates(2));
        }
    }

    #[test]
    fn the_newest_holds_by_when_it_was_known() {
        let ruling = rule(
            Conflict::Newest,
            &claims(&[(1, 5), (2, 6), (3, 6), (3, 9)], Place::Staged),
        );
        assert_eq!(ruling.comes, Some((0, 1)));
        assert!(ruling.staged_goes && !ruling.stored_goes);
        assert_eq!(ruling.duplicates, 2);
        // what was known earlier than what stands changes nothing
        let ruling = rule(Conflict::Newest, &claims(&[(1, 5), (2, 4)], Place::Stored));
        assert_eq!(ruling, only_duplicates(1));
        // back to what stands: nothing moves
        let ruling = rule(Conflict::Newest, &claims(&[(1, 5), (2, 6), (1, 7)], Place::Stored));
        assert_eq!(ruling, only_duplicates(2));
    }

    #[test]
    fn neither_holds_where_both_are_refused() {
        let ruling = rule(Conflict::Reject, &claims(&[(1, 5), (1, 5), (2, 6)], Place::Staged));
        assert_eq!(ruling.refused, [2, 3, 4]);
        assert!(ruling.staged_goes && ruling.comes.is_none());
        let ruling = rule(Conflict::Reject, &claims(&[(1, 5), (2, 6)], Place::Stored));
        assert_eq!(ruling.refused, [3]);
        assert!(ruling.stored_goes);
    }
}
