//! Rows that wait for the exact verdict on their identity, in the order of the file: in memory while
//! they are few, in data files that no commit will name when they are many.

use std::collections::VecDeque;

use arrow::array::RecordBatch;

use crate::error::{Kind, Result, fail};
use crate::lake::{Layout, Stage, Staged, Table};

/// Rows that wait in memory.
const IN_MEMORY: usize = 131_072;

/// Takes waiting rows in.
#[derive(Default)]
pub(super) struct Late {
    batches: VecDeque<RecordBatch>,
    rows: usize,
    stage: Option<Stage>,
}

impl Late {
    pub(super) async fn push(&mut self, table: &Table, run_id: &str, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.batches.push_back(batch);
        if self.rows > IN_MEMORY {
            self.spill(table, run_id).await?;
        }
        Ok(())
    }

    async fn spill(&mut self, table: &Table, run_id: &str) -> Result<()> {
        let stage = match &mut self.stage {
            Some(stage) => stage,
            None => self.stage.insert(table.stage_flat(run_id, Layout::default())?),
        };
        for batch in self.batches.drain(..) {
            stage.write(&batch).await?;
        }
        self.rows = 0;
        Ok(())
    }

    /// The rows, to be taken out in the order in which they came.
    pub(super) async fn finish(mut self, table: &Table, run_id: &str) -> Result<Waiting> {
        let mut staged = None;
        if self.stage.is_some() {
            self.spill(table, run_id).await?;
            if let Some(stage) = self.stage.take() {
                staged = Some(stage.finish().await?);
            }
        }
        Ok(Waiting {
            batches: self.batches,
            staged,
            next_file: 0,
        })
    }
}

/// Gives waiting rows out.
pub(super) struct Waiting {
    batches: VecDeque<RecordBatch>,
    staged: Option<Staged>,
    next_file: usize,
}

impl Waiting {
    /// The next rows, at most `most` of them.
    pub(super) async fn next(&mut self, table: &Table, most: usize) -> Result<RecordBatch> {
        while self.batches.is_empty() {
            let staged = self.staged.as_ref().filter(|staged| self.next_file < staged.files());
            let staged = staged.ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
            for batch in table.staged_rows(staged, self.next_file).await? {
                self.batches.push_back(batch?);
            }
            self.next_file += 1;
        }
        let Some(batch) = self.batches.pop_front() else {
            return Err(fail(Kind::Bug, "batch_shape", &[]));
        };
        if batch.num_rows() <= most {
            return Ok(batch);
        }
        self.batches.push_front(batch.slice(most, batch.num_rows() - most));
        Ok(batch.slice(0, most))
    }

    /// Removes what was written only to wait.
    pub(super) async fn discard(self, table: &Table) -> Result<()> {
        match self.staged {
            Some(staged) => table.discard(staged).await,
            None => Ok(()),
        }
    }
}
