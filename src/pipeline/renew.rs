//! A new key is laid over the site's: every stored token is renewed, without the text it stands for.
//!
//! Each table is renewed in one commit that carries the name of the new key, so that a renewal which
//! ended in the middle goes on where it stopped. Until all are done the new key lies beside the old one,
//! and nothing else may write: no release holds tokens of two keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::contract::{Contract, Land, Protect};
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::ingest::tables::layout;
use crate::lake::shape::conform;
use crate::lake::{Commit, Table, crash};
use crate::model::pinned;
use crate::pipeline::run::Run;
use crate::protect::{Renewal, SiteKey, TokenClass};

/// The value by which a lake knows its key.
pub fn key_check(key: &SiteKey) -> i64 {
    key.renewal(TokenClass::Check).apply(key.purpose("check").token("key"))
}

/// The columns of a table that hold tokens, with what renews them.
fn renewals(contract: &Contract, key: &SiteKey) -> BTreeMap<String, Renewal> {
    let of = |class| key.last_renewal(class);
    let columns = contract.columns.iter().filter_map(|column| {
        let class = match column.protect {
            Protect::Key => TokenClass::Key,
            Protect::Token => TokenClass::Token,
            Protect::Place => TokenClass::Place,
            Protect::Public | Protect::Coarse | Protect::Drop => return None,
        };
        Some((column.name.clone(), of(class)))
    });
    let row = ("row_key".to_owned(), of(TokenClass::Row));
    columns.chain(std::iter::once(row)).collect()
}

fn renewed(batch: &RecordBatch, renewals: &BTreeMap<String, Renewal>) -> Result<RecordBatch> {
    let shape = || fail(Kind::Bug, "batch_shape", &[]);
    let mut columns = batch.columns().to_vec();
    for (at, field) in batch.schema_ref().fields().iter().enumerate() {
        if let Some(renewal) = renewals.get(field.name()) {
            let tokens = columns[at].as_primitive_opt::<Int64Type>().ok_or_else(shape)?;
            let tokens = tokens.iter().map(|token| token.map(|token| renewal.apply(token)));
            columns[at] = Arc::new(Int64Array::from_iter(tokens));
        }
    }
    RecordBatch::try_new(batch.schema(), columns).map_err(|cause| shape().because(cause))
}

impl Run<'_> {
    /// Renews the tokens of every source table under `next`, whose last key is laid over the site's.
    /// Returns tables renewed now and their rows.
    ///
    /// # Errors
    /// `Conflict` where somebody else holds the site, else as the store fails; running it again goes on.
    pub async fn renew_key(&self, contracts: &[Contract], next: &SiteKey) -> Result<(usize, u64)> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        // laid over another key than the lake's, the new one would close it for good
        let known = self.lake.same_key(key_check(self.key));
        known.or_else(|error| self.lake.same_key(key_check(next)).map_err(|_| error))?;
        let mut by_table: BTreeMap<&str, &Contract> = BTreeMap::new();
        // counts hold no token, and their identities are of their batch alone
        for contract in contracts.iter().filter(|contract| contract.land != Land::Counts) {
            by_table.entry(&contract.into).or_insert(contract);
        }
        let (mut tables, mut rows) = (0, 0);
        for (name, contract) in by_table {
            let Some(mut table) = self.lake.table(name).await? else {
                continue;
            };
            let mark = format!("key/{}", next.id());
            if table.rows()? == 0 || table.state_of(&mark).await? > 0 {
                continue;
            }
            let commit = Commit {
                batch_id: Some(mark),
                ..Commit::of(&self.run_id, lease.fence(), next.id())
            };
            crash::point("renew_table");
            rows += self
                .renew_table(contract, &mut table, &renewals(contract, next), &commit)
                .await?;
            tables += 1;
        }
        self.lake
            .renew_erased(&next.id(), |row_key| next.last_renewal(TokenClass::Row).apply(row_key))?;
        crash::point("renew_done");
        self.lake.renewed_key(key_check(next))?;
        Ok((tables, rows))
    }

    /// Writes a table anew with renewed tokens, in one commit.
    async fn renew_table(
        &self,
        contract: &Contract,
        table: &mut Table,
        renewals: &BTreeMap<String, Renewal>,
        commit: &Commit,
    ) -> Result<u64> {
        let session = pinned::on(Bounds::from(&self.site.settings.limits), &[&*table]).await?;
        let schema = table.schema()?;
        let names: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("\"{}\"", field.name()))
            .collect();
        let sql = format!("SELECT {} FROM {}", names.join(", "), table.name());
        let plan = session.plan(table.name(), &sql).await?;
        let mut found = session.stream(table.name(), &sql, plan).await?;
        let mut stage = table.stage(&self.run_id, layout(contract))?;
        let mut partitions: BTreeSet<Option<String>> = BTreeSet::new();
        let partitioned = schema.field_with_name("biz_month").is_ok();
        while let Some(batch) = found.next().await? {
            let batch = renewed(&conform(&batch, &schema)?, renewals)?;
            match batch
                .column_by_name("biz_month")
                .and_then(|months| months.as_string_opt::<i32>())
            {
                Some(months) if partitioned => {
                    partitions.extend(months.iter().map(|month| month.map(str::to_owned)));
                }
                _ => drop(partitions.insert(None)),
            }
            stage.write(&batch).await?;
        }
        let before = table.rows()?;
        let staged = stage.finish().await?;
        if staged.rows != before {
            let rows: [&dyn std::fmt::Display; 3] = [&table.name(), &before, &staged.rows];
            return Err(fail(Kind::Bug, "rows_differ", &rows));
        }
        crash::point("renew_staged");
        table.exchange(&partitions, staged, commit).await?;
        Ok(before)
    }
}
