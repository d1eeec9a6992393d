//! Where a batch is read from: a file, an object of a store, bytes in memory, or a member of a ZIP
//! archive in any of these.
//!
//! Readers block, and run on threads of their own.

use std::fs::File;
use std::io::{Cursor, Read, Result as IoResult, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Kind, Result, fail, io_error};
use crate::ingest::archive::Member;
use crate::lake::remote::Remote;

/// Bytes of a packed file for each byte on disk, as a first guess of its rows.
pub(super) const UNPACKED: u64 = 8;
/// Bytes of a member that are unpacked in memory, where its format is read from several places at once.
const MEMORY_BYTES: u64 = 256 << 20;

/// What can be read from any place.
pub trait ReadSeek: Read + Seek + Send {}

impl<R: Read + Seek + Send> ReadSeek for R {}

#[derive(Debug, Clone)]
enum At {
    File(PathBuf),
    Object(Box<Remote>),
    Memory(PathBuf, Arc<[u8]>),
}

/// A place to read a batch from.
#[derive(Debug, Clone)]
pub struct Source {
    at: At,
    member: Option<Arc<Member>>,
}

/// A source as it looked when reading began.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Its bytes, unpacked where it is a member of an archive.
    pub bytes: u64,
    modified: Option<SystemTime>,
    version: Option<String>,
    /// Whether the bytes are packed.
    pub packed: bool,
}

impl Looked {
    /// Bytes it may unpack to.
    pub fn unpacked(&self) -> u64 {
        self.bytes.saturating_mul(if self.packed { UNPACKED } else { 1 })
    }

    /// When it was last written.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Source {
        Source {
            at: At::File(path),
            member: None,
        }
    }
}

impl From<Remote> for Source {
    fn from(remote: Remote) -> Source {
        Source {
            at: At::Object(Box::new(remote)),
            member: None,
        }
    }
}

impl Source {
    /// Bytes in memory, by the name under which they are known.
    pub fn memory(name: &str, bytes: Vec<u8>) -> Source {
        Source {
            at: At::Memory(PathBuf::from(name), bytes.into()),
            member: None,
        }
    }

    /// A member of this archive.
    pub(super) fn with(&self, member: Member) -> Source {
        Source {
            at: self.at.clone(),
            member: Some(Arc::new(member)),
        }
    }

    /// The file on this machine, where it is one and no member.
    pub fn file(&self) -> Option<&Path> {
        match &self.at {
            At::File(path) if self.member.is_none() => Some(path),
            _ => None,
        }
    }

    /// The file on this machine that holds it, itself or as an archive.
    pub fn holder(&self) -> Option<&Path> {
        match &self.at {
            At::File(path) => Some(path),
            _ => None,
        }
    }

    /// How messages name it, and whose ending says what it is.
    pub fn path(&self) -> PathBuf {
        let outer = match &self.at {
            At::File(path) | At::Memory(path, _) => path.clone(),
            At::Object(remote) => PathBuf::from(remote.url()),
        };
        match &self.member {
            None => outer,
            Some(member) => {
                let mut name = outer.into_os_string();
                name.push(format!("!{}", member.shown()));
                PathBuf::from(name)
            }
        }
    }

    /// The ending of its name, in lower case.
    pub fn ending(&self) -> String {
        let path = self.path();
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        ending.unwrap_or_default()
    }

    /// Its name without folders: the origin of a batch.
    pub fn name(&self) -> String {
        let path = self.path();
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// When the file, or the link to it, was last touched in any way, microseconds since 1970: no writer can set
    /// this time back. `None` where the system does not tell.
    #[cfg(unix)]
    pub fn touched(&self) -> Option<i64> {
        use std::os::unix::fs::MetadataExt;
        let path = self.holder()?;
        let of = |found: std::fs::Metadata| {
            let changed = found.ctime().saturating_mul(1_000_000) + found.ctime_nsec() / 1_000;
            changed.max(found.mtime().saturating_mul(1_000_000) + found.mtime_nsec() / 1_000)
        };
        let file = std::fs::metadata(path).ok()?;
        let link = std::fs::symlink_metadata(path).ok()?;
        Some(of(file).max(of(link)))
    }

    /// When the file was last touched; here the system does not tell.
    #[cfg(not(unix))]
    pub fn touched(&self) -> Option<i64> {
        None
    }

    /// Looks at it.
    ///
    /// # Errors
    /// `Missing`, `Denied` or `Unavailable` as the file system or the store says.
    pub fn look(&self) -> Result<Looked> {
        let packed = matches!(self.ending().as_str(), "gz" | "zst" | "xlsx" | "parquet");
        let mut looked = match &self.at {
            At::File(path) => {
                let found = std::fs::metadata(path).map_err(|cause| io_error(path, &cause))?;
                Looked {
                    bytes: found.len(),
                    modified: found.modified().ok(),
                    version: None,
                    packed,
                }
            }
            At::Object(remote) => {
                let now = remote.again()?;
                Looked {
                    bytes: now.bytes(),
                    modified: Some(now.modified()),
                    version: now.version().map(str::to_owned),
                    packed,
                }
            }
            At::Memory(_, bytes) => Looked {
                bytes: bytes.len() as u64,
                modified: None,
                version: None,
                packed,
            },
        };
        if let Some(member) = &self.member {
            looked.bytes = member.bytes;
        }
        for part in self.parts() {
            let found = std::fs::metadata(&part).map_err(|cause| io_error(&part, &cause))?;
            looked.bytes += found.len();
            looked.modified = looked.modified.max(found.modified().ok());
        }
        Ok(looked)
    }

    /// A source that changed under the reader was read as something that never was.
    ///
    /// # Errors
    /// `Conflict` where it changed.
    pub(super) fn same(&self, before: &Looked, shown: &str) -> Result<()> {
        if self.look()? == *before {
            return Ok(());
        }
        Err(fail(Kind::Conflict, "source_changed", &[&shown]).hint("source_changed_hint", &[]))
    }

    /// The other parts of a shapefile on this machine: its attributes say as much as its shapes.
    pub fn parts(&self) -> Vec<PathBuf> {
        let Some(path) = self.file().filter(|_| self.ending() == "shp") else {
            return Vec::new();
        };
        let spelled = |ending: &str| {
            let both = [ending.to_owned(), ending.to_ascii_uppercase()];
            both.into_iter()
                .map(|ending| path.with_extension(ending))
                .find(|part| part.exists())
        };
        ["dbf", "prj", "cpg", "shx"].into_iter().filter_map(spelled).collect()
    }

    /// What lies beside it under its name with this ending added; for a member, beside its archive.
    ///
    /// # Errors
    /// As the file system or the store says; `None` where there is nothing.
    pub(super) fn beside(&self, ending: &str) -> Result<Option<Vec<u8>>> {
        match &self.at {
            At::File(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(ending);
                optional(Path::new(&name))
            }
            At::Object(remote) => remote.beside(ending),
            At::Memory(..) => Ok(None),
        }
    }

    /// A part of a shapefile by its ending.
    pub(super) fn sibling(&self, ending: &str) -> IoResult<Option<Box<dyn ReadSeek>>> {
        match (&self.at, &self.member) {
            (At::File(_), None) => {
                let is_it = |part: &PathBuf| part.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
                match self.parts().into_iter().find(is_it) {
                    Some(part) => Ok(Some(Box::new(File::open(part)?))),
                    None => Ok(None),
                }
            }
            (_, Some(member)) => match member.sibling(ending) {
                Some(sibling) => self.with(sibling).seekable().map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Its bytes from the beginning: of a member, unpacked.
    pub(super) fn reader(&self) -> IoResult<Box<dyn Read + Send>> {
        match &self.member {
            Some(member) => member.reader(self.outer()?),
            None => Ok(Box::new(self.outer()?)),
        }
    }

    /// Everything that tells it from another: its bytes, and those of the attributes of a shapefile.
    pub(super) fn whole(&self) -> IoResult<Box<dyn Read + Send>> {
        let mut reader = self.reader()?;
        if self.ending() == "shp" {
            for part in ["dbf", "prj"] {
                if let Some(sibling) = self.sibling(part)? {
                    reader = Box::new(reader.chain(sibling));
                }
            }
        }
        Ok(reader)
    }

    /// Its bytes, to be read from any place.
    pub(super) fn seekable(&self) -> IoResult<Box<dyn ReadSeek>> {
        if self.member.is_none() {
            return self.outer();
        }
        let mut bytes = Vec::new();
        self.reader()?.take(MEMORY_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MEMORY_BYTES {
            let words = format!("a member of an archive of more than {MEMORY_BYTES} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, words));
        }
        Ok(Box::new(Cursor::new(bytes)))
    }

    /// The bytes of the file or object, of an archive as it is.
    pub(super) fn outer(&self) -> IoResult<Box<dyn ReadSeek>> {
        Ok(match &self.at {
            At::File(path) => Box::new(File::open(path)?),
            At::Object(remote) => Box::new(remote.reader()),
            At::Memory(_, bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(io_error(path, &cause)),
    }
}
