//! The files of a chain, one for each month: none grows for ever, and old ones can be laid away. A file is named by the
//! number of its first line and its month, so that their order is that of the lines whatever the clock said.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Lake;

/// Time that a writer waits for another one, which holds the chain for one write.
const WAIT: Duration = Duration::from_secs(10);
/// Between two tries.
const STEP: Duration = Duration::from_millis(5);

/// Where a chain lies.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn of(lake: &Lake) -> Files {
        Files {
            folder: lake.root().join("audit"),
        }
    }

    /// The folder of all of them.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last head that a checkpoint vouches for: `seq:hash mac`.
    pub(super) fn sealed(&self) -> PathBuf {
        self.folder.join("sealed")
    }

    /// The file that begins with the line `seq` at a moment, RFC 3339.
    pub(super) fn month(&self, seq: u64, at: &str) -> PathBuf {
        self.folder
            .join(format!("{seq:012}-{}.jsonl", at.get(..7).unwrap_or(at)))
    }

    /// The files that are there, oldest first.
    pub(super) fn months(&self) -> Result<Vec<PathBuf>> {
        let failed = |cause: std::io::Error| io_error(&self.folder, &cause);
        let entries = match std::fs::read_dir(&self.folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if month_of(&path).is_some() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// The right to write, for as long as the file lives.
    pub(super) fn alone(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let failed = |cause: std::io::Error| io_error(&path, &cause);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let (file, begun) = (file.map_err(failed)?, Instant::now());
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= WAIT => {
                    return Err(fail(Kind::Unavailable, "audit_locked", &[&path.display()]));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(STEP),
            }
        }
    }

    /// The lines as they lie there at one moment, without those that are written meanwhile.
    pub(super) fn lines(&self) -> Result<Vec<Lines>> {
        let months = self.months()?;
        // a record that may only be read is read as it is
        let _alone = self.alone().ok();
        let last = months.len().saturating_sub(1);
        let open = |(at, path): (usize, &PathBuf)| Lines::open(path, at == last);
        months.iter().enumerate().map(open).collect()
    }
}

/// The month of a file, `YYYY-MM`; `None` for what is no file of the chain.
pub(super) fn month_of(path: &Path) -> Option<&str> {
    let (seq, month) = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.split_once('-')?;
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, number) = month.split_once('-')?;
    (digits(seq, 12) && digits(year, 4) && digits(number, 2)).then_some(month)
}

/// The lines of one file.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<Take<File>>,
    newest: bool,
}

impl Lines {
    fn open(path: &Path, newest: bool) -> Result<Lines> {
        let failed = |cause: std::io::Error| io_error(path, &cause);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Lines {
            path: path.to_owned(),
            reader: BufReader::new(file.take(length)),
            newest,
        })
    }
}

impl Iterator for Lines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Err(cause) => Some(Err(io_error(&self.path, &cause))),
            Ok(0) => None,
            // half a line of a power failure was never answered for
            Ok(_) if self.newest && line.last() != Some(&b'\n') => None,
            Ok(_) => {
                line.pop_if(|last| *last == b'\n');
                // what is no text follows from no line
                Some(Ok(String::from_utf8_lossy(&line).into_owned()))
            }
        }
    }
}
