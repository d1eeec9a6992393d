//! An offer as one file, for where no line leads: a zip archive of a manifest and the data files by their digests.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::config::site::create_private;
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::share::offer::{Offer, Wanted};

/// The name of the manifest, and what it is.
const MANIFEST: &str = "fenghuo-share.json";
/// Bytes of a manifest at most.
const MANIFEST_BYTES: u64 = 64 << 20;
/// Bytes of one read.
const PART: usize = 1 << 20;

/// A bundle that was opened.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    offer: Offer,
}

impl Bundle {
    /// Opens a bundle and reads its manifest.
    ///
    /// # Errors
    /// As the file system fails; `Input` for what is no bundle.
    pub fn open(path: &Path) -> Result<Bundle> {
        let file = File::open(path).map_err(|cause| io_error(path, &cause))?;
        let wrong =
            |cause: &dyn std::fmt::Display| fail(Kind::Input, "bundle_broken", &[&path.display()]).because(cause);
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|cause| wrong(&cause))?;
        let manifest = archive.by_name(MANIFEST).map_err(|cause| wrong(&cause))?;
        let offer = serde_json::from_reader(manifest.take(MANIFEST_BYTES)).map_err(|cause| wrong(&cause))?;
        Ok(Bundle {
            path: path.to_owned(),
            archive,
            offer,
        })
    }

    /// What it offers.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Takes one file out of it, to its place here.
    ///
    /// # Errors
    /// `Input` where it is not in the bundle, `Check` for other bytes than were promised.
    pub fn take(&mut self, wanted: &Wanted) -> Result<()> {
        let path = &self.path;
        let wrong =
            |cause: &dyn std::fmt::Display| fail(Kind::Input, "bundle_broken", &[&path.display()]).because(cause);
        let mut entry = self.archive.by_name(&wanted.at).map_err(|cause| wrong(&cause))?;
        let mut part = wanted.incoming.open(0)?;
        let (mut bytes, mut left) = (vec![0; PART], wanted.size);
        loop {
            let read = entry.read(&mut bytes).map_err(|cause| wrong(&cause))?;
            // a file that is longer than it says is not ours, however long it is
            if read as u64 > left {
                return Err(fail(Kind::Check, "bundle_broken", &[&path.display()]));
            }
            if read == 0 {
                break;
            }
            part.add(&bytes[..read])?;
            left -= read as u64;
        }
        wanted.incoming.accept()
    }
}

/// Writes a bundle.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    zip: ZipWriter<File>,
}

impl Writer {
    /// Begins a bundle beside its place, so that what is half written is none.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn begin(path: &Path) -> Result<Writer> {
        let staged = staged(path);
        // what a killed writer left here is no bundle
        let _ = std::fs::remove_file(&staged);
        let file = create_private(&staged).map_err(|cause| io_error(&staged, &cause))?;
        Ok(Writer {
            path: path.to_owned(),
            zip: ZipWriter::new(file),
        })
    }

    fn failed(&self) -> impl Fn(&dyn std::fmt::Display) -> Error + use<> {
        let path = self.path.display().to_string();
        move |cause| fail(Kind::Unavailable, "file_failed", &[&path]).because(cause)
    }

    /// Begins a file of the bundle; its bytes follow. Parquet is packed already.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn file(&mut self, name: &str) -> Result<()> {
        let failed = self.failed();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        self.zip.start_file(name, options).map_err(|cause| failed(&cause))
    }

    /// Adds bytes to the file that was begun.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = self.failed();
        self.zip.write_all(bytes).map_err(|cause| failed(&cause))
    }

    /// Ends the bundle with what it offers, and gives it its name.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn end(mut self, offer: &Offer) -> Result<()> {
        let failed = self.failed();
        self.file(MANIFEST)?;
        let text =
            serde_json::to_vec_pretty(offer).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
        self.add(&text)?;
        let file = self.zip.finish().map_err(|cause| failed(&cause))?;
        file.sync_all().map_err(|cause| failed(&cause))?;
        std::fs::rename(staged(&self.path), &self.path).map_err(|cause| failed(&cause))
    }
}

fn staged(path: &Path) -> PathBuf {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".part");
    PathBuf::from(staged)
}
