//! Tables that leave as files and come in as files: what a version consists of, its bytes, and a table that is made
//! of the same files elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use bytes::Bytes;
use deltalake::kernel::{Action, Add, StructType};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::table::Means;
use crate::lake::{Commit, Lake, Table, store_error, table_error};

/// Bytes of one read.
const PART: u64 = 1 << 20;

/// One data file of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its path below the table's folder.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// Column and value of its partition, of a table that has partitions.
    pub partition: Option<(String, Option<String>)>,
    /// When it was written, milliseconds since 1970.
    pub modified_millis: i64,
}

/// What a version says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The identity of the table.
    pub id: String,
    /// Its columns as the Delta protocol writes them ("Schema Serialization Format").
    pub schema: String,
    /// The columns of its partitions.
    pub partition_by: Vec<String>,
}

/// A file that is to be a part of a mirrored table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The digest of its bytes, which is its name.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// Value of its partition.
    pub partition: Option<String>,
}

impl Table {
    /// The files of this version.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn data_files(&self) -> Result<Vec<DataFile>> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let column = state.metadata().partition_columns().first().cloned();
        let files = state.log_data();
        let found = files.iter().map(|file| {
            let remove = file.remove_action(true);
            let values = remove.partition_values.unwrap_or_default();
            DataFile {
                path: file.object_store_path().to_string(),
                size: u64::try_from(file.size()).unwrap_or_default(),
                rows: file.num_records().unwrap_or(0) as u64,
                partition: column
                    .as_ref()
                    .map(|column| (column.clone(), values.get(column).cloned().flatten())),
                modified_millis: file.modification_time(),
            }
        });
        let mut found: Vec<DataFile> = found.collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// What this version says of itself.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn shape(&self) -> Result<Shape> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let schema = serde_json::to_string(state.schema().as_ref())
            .map_err(|cause| fail(Kind::Bug, "table_type", &[&self.name]).because(cause))?;
        Ok(Shape {
            id: state.metadata().id().to_owned(),
            schema,
            partition_by: state.metadata().partition_columns().to_vec(),
        })
    }

    /// Some bytes of a file, at most a part of them; the reader asks for the next when it wants them.
    ///
    /// # Errors
    /// `Missing` for a file that is gone, else as the store fails.
    pub async fn bytes_of(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let store = self.inner.log_store().object_store(None);
        let range = range.start..range.end.min(range.start + PART);
        let read = store.get_range(&Path::from(path), range).await;
        read.map_err(|cause| store_error(&self.name, cause))
    }

    /// The digest of a file's bytes, by which it is known elsewhere.
    ///
    /// # Errors
    /// As [`Table::bytes_of`].
    pub async fn digest_of(&self, file: &DataFile) -> Result<String> {
        let (mut hash, mut at) = (blake3::Hasher::new(), 0);
        while at < file.size {
            let bytes = self.bytes_of(&file.path, at..file.size).await?;
            if bytes.is_empty() {
                return Err(fail(Kind::Unavailable, "rows_differ", &[&self.name, &file.size, &at]));
            }
            hash.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(hash.finalize().to_hex().to_string())
    }

    fn folder(&self, lake: &Lake) -> PathBuf {
        let root = lake.root().join("tables").join(self.name.replace('.', "/"));
        root.join(&self.location)
    }

    fn name_of(&self, file: &Mirrored) -> Result<String> {
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let plain = |value: &str| -> String {
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
            value.chars().map(plain).collect()
        };
        Ok(match (state.metadata().partition_columns().first(), &file.partition) {
            (Some(column), Some(value)) => format!("{}={}/{}.parquet", plain(column), plain(value), file.digest),
            (Some(column), None) => format!("{}=none/{}.parquet", plain(column), file.digest),
            (None, _) => format!("{}.parquet", file.digest),
        })
    }

    /// The place of a file that is to be a part of this table.
    ///
    /// # Errors
    /// `Unavailable` where the table's state cannot be read.
    pub fn incoming(&self, lake: &Lake, file: &Mirrored) -> Result<Incoming> {
        let path = self.folder(lake).join(self.name_of(file)?);
        Ok(Incoming {
            // no version ever names it, so that what nobody goes on with is cleared away in time
            part: path.with_extension("part"),
            path,
            file: file.clone(),
        })
    }

    /// Makes the table consist of these files, which are all there. Those that it had and are not among them go.
    /// Nothing is committed where nothing differs.
    ///
    /// # Errors
    /// As [`Table::append`]. The caller holds the site lease.
    pub async fn mirror(&mut self, files: &[Mirrored], commit: &Commit) -> Result<()> {
        self.refresh().await?;
        let mut wanted: BTreeMap<String, &Mirrored> = BTreeMap::new();
        for file in files {
            wanted.insert(self.name_of(file)?, file);
        }
        let state = self.inner.snapshot().map_err(|cause| table_error(&self.name, cause))?;
        let column = state.metadata().partition_columns().first().cloned();
        let (mut actions, mut there) = (Vec::new(), BTreeSet::new());
        for file in state.log_data().iter() {
            let path = file.object_store_path().to_string();
            match wanted.contains_key(&path) {
                true => drop(there.insert(path)),
                false => actions.push(Action::Remove(file.remove_action(true))),
            }
        }
        let mut rows = 0;
        for (name, file) in wanted.iter().filter(|(name, _)| !there.contains(*name)) {
            rows += file.rows;
            let values = column.iter().map(|column| (column.clone(), file.partition.clone()));
            actions.push(Action::Add(Add {
                path: name.clone(),
                partition_values: values.collect::<HashMap<_, _>>(),
                size: i64::try_from(file.size).unwrap_or(i64::MAX),
                data_change: true,
                stats: Some(json!({"numRecords": file.rows}).to_string()),
                ..Add::default()
            }));
        }
        if !actions.is_empty() {
            self.commit(actions, Means::Overwrite, rows, commit).await?;
        }
        self.holds_rows(files.iter().map(|file| file.rows).sum())
    }
}

impl Lake {
    /// The table of exactly this shape: the newest location if it fits, else a new one.
    ///
    /// # Errors
    /// `Input` for a schema that is none, else as [`Lake::table_of`].
    pub async fn table_like(&self, name: &str, shape: &Shape) -> Result<Table> {
        match self.table_as(name, shape).await? {
            (Some(table), _) => Ok(table),
            (None, columns) => self.new_table_of(name, columns, &shape.partition_by).await,
        }
    }

    /// The table of exactly this shape, where it is the newest of its name, and the columns of the shape.
    ///
    /// # Errors
    /// As [`Lake::table_like`].
    pub async fn table_as(&self, name: &str, shape: &Shape) -> Result<(Option<Table>, StructType)> {
        let columns: StructType = serde_json::from_str(&shape.schema)
            .map_err(|cause| fail(Kind::Input, "shared_schema", &[&name]).because(cause))?;
        if let Some(location) = self.locations(name).await?.last() {
            let table = self.table_in(name, location).await?;
            let has = table.shape()?;
            let same = serde_json::from_str::<StructType>(&has.schema).is_ok_and(|has| has == columns);
            if same && has.partition_by == shape.partition_by {
                return Ok((Some(table), columns));
            }
        }
        Ok((None, columns))
    }
}

/// A file on its way in.
#[derive(Debug, Clone)]
pub struct Incoming {
    path: PathBuf,
    part: PathBuf,
    file: Mirrored,
}

impl Incoming {
    /// Whether it is there, whole.
    pub fn is_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| found.len() == self.file.size)
    }

    /// The bytes that are there already of one that is not whole.
    pub fn begun(&self) -> u64 {
        let found = std::fs::metadata(&self.part).map_or(0, |found| found.len());
        // more than it has cannot be a part of it
        if found > self.file.size { 0 } else { found }
    }

    /// The file, open for the bytes from `at` on.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn open(&self, at: u64) -> Result<Part> {
        let failed = |cause: std::io::Error| io_error(&self.part, &cause);
        if let Some(folder) = self.part.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&self.part).map_err(failed)?;
        file.set_len(at).map_err(failed)?;
        Ok(Part {
            file,
            path: self.part.clone(),
        })
    }

    /// Gives a whole file its name, once its bytes are those that were promised.
    ///
    /// # Errors
    /// `Check` for other bytes: they are thrown away, so that the next attempt begins anew.
    pub fn accept(&self) -> Result<()> {
        let failed = |cause: std::io::Error| io_error(&self.part, &cause);
        let found = digest(&self.part)?;
        if found != self.file.digest {
            std::fs::remove_file(&self.part).map_err(failed)?;
            return Err(fail(Kind::Check, "shared_digest", &[&self.file.digest, &found]));
        }
        File::open(&self.part)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        std::fs::rename(&self.part, &self.path).map_err(failed)?;
        let folder = self.path.parent().unwrap_or(&self.path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// A file that grows.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    /// Adds bytes.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| io_error(&self.path, &cause))
    }
}

/// The digest of a file by which it is known elsewhere: BLAKE3, hexadecimal.
///
/// # Errors
/// As the file system fails.
pub fn digest(path: &FilePath) -> Result<String> {
    let failed = |cause: std::io::Error| io_error(path, &cause);
    let mut hash = blake3::Hasher::new();
    hash.update_reader(File::open(path).map_err(failed)?).map_err(failed)?;
    Ok(hash.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_name_for_the_bytes_that_were_promised_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = b"PAR1 and what follows";
        let incoming = |promised: &[u8]| Incoming {
            path: folder.path().join("a/file.parquet"),
            part: folder.path().join("a/file.part"),
            file: Mirrored {
                digest: blake3::hash(promised).to_hex().to_string(),
                size: promised.len() as u64,
                rows: 1,
                partition: None,
            },
        };
        let other = incoming(b"PAR1 and what follow5");
        other.open(0).and_then(|mut part| part.add(bytes)).expect("a part");
        let error = other.accept().expect_err("other bytes");
        assert_eq!((error.kind(), other.is_there(), other.begun()), (Kind::Check, false, 0));
        // in two parts, the second from where the first was left; what was written beyond it is not kept
        let right = incoming(bytes);
        right
            .open(0)
            .and_then(|mut part| part.add(&bytes[..9]))
            .expect("a part");
        assert_eq!(right.begun(), 9);
        right
            .open(7)
            .and_then(|mut part| part.add(&bytes[7..]))
            .expect("a part");
        right.accept().expect("the bytes that were promised");
        assert!(right.is_there());
        assert_eq!(
            std::fs::read(folder.path().join("a/file.parquet")).expect("a file"),
            bytes
        );
    }
}
