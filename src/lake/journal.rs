//! Journals: what a run has done so far, line by line, so that a run that was killed can be told of.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Result, io_error};
use crate::lake::Lake;

/// The journal of one run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Adds one line, durable when this returns.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn add(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        let written = self.file.write_all(line.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|cause| io_error(&self.path, &cause))
    }

    /// Ends the journal: what it says stands elsewhere now.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn end(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|cause| io_error(&self.path, &cause))
    }
}

impl Lake {
    fn journal_path(&self, run_id: &str) -> PathBuf {
        self.own("runs").join(format!("{run_id}.jsonl"))
    }

    /// Begins or goes on with the journal of a run.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn journal(&self, run_id: &str) -> Result<Journal> {
        let path = self.journal_path(run_id);
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        std::fs::create_dir_all(self.own("runs")).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        Ok(Journal { path, file })
    }

    /// The journals that were not ended, by run, with their whole lines: of a run under way, or of one that
    /// was cut off.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn journals(&self) -> Result<Vec<(String, Vec<String>)>> {
        let mut found = Vec::new();
        for path in Lake::entries(&self.own("runs"))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(run_id) = name.strip_suffix(".jsonl") else {
                continue;
            };
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                // its run ended in between
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(io_error(&path, &cause)),
            };
            // a line that was cut off says nothing
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            found.push((run_id.to_owned(), whole.lines().map(str::to_owned).collect()));
        }
        Ok(found)
    }
}
