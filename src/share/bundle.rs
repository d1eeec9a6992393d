//! An offer as one file, for where no line leads: a zip archive of a manifest, its seals, and the data files by their
//! digests. A seal is a MAC of the manifest under a key that stands in the reader's profile file and follows from the
//! publisher's: who has neither makes no bundle.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::config::site::create_private;
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::lake::digest::{hex, unhex};
use crate::share::offer::{Offer, Wanted};
use crate::share::profile::{Profile, bundle_seal};

/// The name of the manifest, and what it is.
const MANIFEST: &str = "fenghuo-share.json";
/// The name of its seals: a line for each token, its public name and the MAC.
const SEALS: &str = "fenghuo-share.seals";
/// Bytes of a manifest at most.
const MANIFEST_BYTES: u64 = 64 << 20;
/// Bytes of its seals at most.
const SEALS_BYTES: u64 = 64 << 10;
/// Bytes of one read.
const PART: usize = 1 << 20;

/// A bundle that was opened.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    manifest: Vec<u8>,
    seals: String,
    offer: Offer,
}

impl Bundle {
    /// Opens a bundle and reads its manifest.
    ///
    /// # Errors
    /// As the file system fails; `Input` for what is no bundle.
    pub fn open(path: &Path) -> Result<Bundle> {
        let file = File::open(path).map_err(|cause| io_error(path, &cause))?;
        let wrong = |cause: &dyn std::fmt::Display| broken(path).because(cause);
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|cause| wrong(&cause))?;
        let mut read = |name: &str, most: u64| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let entry = archive.by_name(name).map_err(|cause| wrong(&cause))?;
            entry
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(|cause| wrong(&cause))?;
            Ok(bytes)
        };
        let manifest = read(MANIFEST, MANIFEST_BYTES)?;
        let seals = String::from_utf8(read(SEALS, SEALS_BYTES)?).map_err(|cause| wrong(&cause))?;
        let offer = serde_json::from_slice(&manifest).map_err(|cause| wrong(&cause))?;
        Ok(Bundle {
            path: path.to_owned(),
            archive,
            manifest,
            seals,
            offer,
        })
    }

    /// Whether it was made for the holder of a profile, and is as it was made.
    pub fn is_for(&self, profile: &Profile) -> bool {
        let (Some(id), Some(seal)) = (profile.token(), profile.seal()) else {
            return false;
        };
        let lines = self.seals.lines().filter_map(|line| line.split_once(' '));
        let own = lines.filter(|(of, _)| *of == id).filter_map(|(_, mac)| unhex(mac));
        own.fold(false, |any, mac| any | seal.fits(&[&self.manifest], &mac))
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
        let wrong = |cause: &dyn std::fmt::Display| broken(path).because(cause);
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

fn broken(path: &Path) -> Error {
    fail(Kind::Input, "bundle_broken", &[&path.display()]).hint("bundle_broken_hint", &[])
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

    /// Ends the bundle with what it offers, sealed with the keys of its readers' tokens, each beside its
    /// token's public name, and gives it its name.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn end(mut self, offer: &Offer, keys: &[(String, [u8; 32])]) -> Result<()> {
        let failed = self.failed();
        self.file(MANIFEST)?;
        let text =
            serde_json::to_vec_pretty(offer).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
        self.add(&text)?;
        let seal = |(token, key): &(String, [u8; 32])| format!("{token} {}\n", hex(&bundle_seal(key).of(&[&text])));
        let seals: String = keys.iter().map(seal).collect();
        self.file(SEALS)?;
        self.add(seals.as_bytes())?;
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
