//! Erasing one document by its number, and what is older than a contract keeps: from the sources, from every
//! model behind them, and from every file that any version ever showed.
//!
//! Order: the sources are rewritten without the rows, models are built again on them, then every other file that
//! holds such a row goes, whatever release, pin or environment shows it. Each part can be done again.

use crate::contract::{Contract, Protect};
use crate::error::{Kind, Result, fail};
use crate::ingest::tables::layout;
use crate::lake::erase::{Mark, Trace};
use crate::lake::{Commit, Layout};
use crate::model::Models;
use crate::pipeline::run::Run;
use crate::protect::TokenClass;
use crate::time::rfc3339;

/// The rows of a document.
///
/// # Errors
/// `Input` where the contract's key is no single document number.
pub fn document(run: &Run<'_>, contract: &Contract, number: &str) -> Result<Mark> {
    let key = contract.key.as_slice();
    let column = contract.columns.iter().find(|column| key == [column.name.clone()]);
    let column = column.filter(|column| column.protect == Protect::Key);
    let column = column.ok_or_else(|| fail(Kind::Input, "erase_key", &[&contract.name, &contract.key.join(", ")]))?;
    let token = run.key.purpose(&contract.key_purpose()).token(number.trim());
    Ok(Mark::Document {
        column: column.name.clone(),
        token: run.key.renewal(TokenClass::Key).apply(token),
    })
}

impl Run<'_> {
    /// The files that hold rows that have to go, of these tables or of all. Where rows are written meanwhile,
    /// what is told may be old: whoever removes anything looks again under the lease.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn traces(&self, mark: &Mark, tables: &[String]) -> Result<Vec<Trace>> {
        let mut found = Vec::new();
        for name in self.lake.table_names().await? {
            if tables.is_empty() || tables.contains(&name) {
                found.extend(self.lake.traces(&name, mark).await?);
            }
        }
        Ok(found)
    }

    /// Takes rows out of the source tables among these, or among all; those of documents stay away from now on.
    /// Rows by table.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; `Denied` where the key is not the lake's; as the store fails.
    pub async fn erase(&self, contracts: &[Contract], mark: &Mark, tables: &[String]) -> Result<Vec<(String, u64)>> {
        let lease = self
            .lake
            .lease("site", self.site.settings.limits.lease_wait_seconds)
            .await?;
        let mut done = Vec::new();
        for trace in self.traces(mark, tables).await? {
            if !trace.table.starts_with("source.") || trace.shown.is_empty() {
                continue;
            }
            let mut table = self.lake.table_in(&trace.table, &trace.location).await?;
            let contract = contracts.iter().find(|contract| contract.into == trace.table);
            let layout = contract.map_or_else(Layout::default, layout);
            let away = |rows: &[arrow::array::RecordBatch]| match mark {
                Mark::Document { .. } => {
                    self.lake
                        .keep_away(&trace.table, rows, &self.key.id(), &rfc3339(self.clock.now()))
                }
                Mark::Before(_) => Ok(()),
            };
            let commit = Commit::of(&self.run_id, lease.fence(), self.key.id());
            let rows = table.edit(&trace, mark, layout, &commit, away).await?;
            done.push((trace.table.clone(), rows));
        }
        Ok(done)
    }

    /// Removes every file that holds such rows and is not shown by the newest version of its table: how many,
    /// and what is left.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; as the store fails.
    pub async fn erase_files(&self, mark: &Mark, tables: &[String]) -> Result<(u64, Vec<Trace>)> {
        // nobody stages a file meanwhile that no log shows yet
        let _lease = self
            .lake
            .lease("site", self.site.settings.limits.lease_wait_seconds)
            .await?;
        let (mut files, mut left) = (0, Vec::new());
        for mut trace in self.traces(mark, tables).await? {
            self.lake.remove_old(&trace).await?;
            files += trace.old_files() as u64;
            if trace.forget_old() {
                left.push(trace);
            }
        }
        // copies of identities may be lost at any time, and must be now
        let scratch = self.lake.scratch()?;
        std::fs::remove_dir_all(&scratch).map_err(|cause| crate::error::io_error(&scratch, &cause))?;
        Ok((files, left))
    }
}

/// The tables that are built on one, itself first.
pub fn built_on(models: &Models, table: &str) -> Vec<String> {
    let mut found = vec![table.to_owned()];
    for model in &models.ordered {
        if model.inputs.iter().any(|input| found.contains(input)) {
            found.push(model.name.clone());
        }
    }
    found
}
