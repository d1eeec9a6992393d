//! A site: its folder, its settings, and its files over the embedded standard ones.
//!
//! The repository's own `sql/` and `pipelines/` are the standard site inside the binary. A file of
//! the site's folder shadows the embedded file of the same path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::config::Settings;
use crate::error::{Kind, Result, fail, io_error};

static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql");
static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/pipelines");

/// The file that makes a folder a site.
pub const SETTINGS_FILE: &str = "fenghuo.toml";

/// Folders that a site has of its own or not at all.
const OWN_FOLDERS: [&str; 2] = ["pipelines/contracts", "pipelines/codes"];

/// An opened site.
#[derive(Debug, Clone)]
pub struct Site {
    root: PathBuf,
    /// The resolved settings.
    pub settings: Settings,
    /// How object stores are reached, by the usual names of keys and endpoints: given by whoever opens
    /// the site, never written in it.
    pub stores: BTreeMap<String, String>,
}

/// A text file of the site: its path inside the site and its text.
#[derive(Debug, Clone)]
pub struct SiteFile {
    /// Path with `/`, relative to the site.
    pub path: String,
    /// The text.
    pub text: String,
}

impl SiteFile {
    /// The file's name without folder and ending.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }
}

impl Site {
    /// Opens the site in folder `root`.
    ///
    /// # Errors
    /// `Missing` where the folder holds no settings file, `Input` where it is wrong.
    pub fn open(root: &Path) -> Result<Site> {
        let path = root.join(SETTINGS_FILE);
        if !path.is_file() {
            return Err(fail(Kind::Missing, "no_site", &[&root.display()]).hint("no_site_hint", &[&root.display()]));
        }
        let text = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
        Ok(Site {
            root: root.to_owned(),
            settings: Settings::parse(SETTINGS_FILE, &text)?,
            stores: BTreeMap::new(),
        })
    }

    /// The site's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path of the site's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The files below `folder` (`sql/core`, `pipelines/contracts`) with `ending`, by path, the
    /// site's own over the embedded ones. Contracts and code lists describe one site's sources: a
    /// site that has its own folder of them has only those.
    ///
    /// # Errors
    /// `Unavailable` or `Denied` where a file cannot be read.
    pub fn files(&self, folder: &str, ending: &str) -> Result<Vec<SiteFile>> {
        let mut found = BTreeMap::new();
        let own_only = OWN_FOLDERS.contains(&folder) && self.root.join(folder).is_dir();
        for (path, text) in standard_files().filter(|_| !own_only) {
            if path.starts_with(&format!("{folder}/")) && path.ends_with(ending) {
                found.insert(path, text.to_owned());
            }
        }
        let mut pending = vec![self.root.join(folder)];
        while let Some(dir) = pending.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries {
                let path = entry.map_err(|cause| io_error(&dir, &cause))?.path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.to_string_lossy().ends_with(ending) {
                    let text = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
                    found.insert(relative(&self.root, &path), text);
                }
            }
        }
        Ok(found.into_iter().map(|(path, text)| SiteFile { path, text }).collect())
    }

    /// One file, the site's own or the embedded one.
    ///
    /// # Errors
    /// `Missing` where neither exists.
    pub fn file(&self, path: &str) -> Result<SiteFile> {
        let own = self.root.join(path);
        if own.is_file() {
            let text = std::fs::read_to_string(&own).map_err(|cause| io_error(&own, &cause))?;
            return Ok(SiteFile {
                path: path.to_owned(),
                text,
            });
        }
        standard_files()
            .find(|(known, _)| known == path)
            .map(|(path, text)| SiteFile {
                path,
                text: text.to_owned(),
            })
            .ok_or_else(|| fail(Kind::Missing, "no_site_file", &[&path]))
    }
}

/// The files of the embedded standard site: path and text.
pub fn standard_files() -> impl Iterator<Item = (String, &'static str)> {
    [("sql", &SQL), ("pipelines", &PIPELINES)]
        .into_iter()
        .flat_map(|(name, dir)| {
            let mut files = Vec::new();
            let mut pending = vec![dir];
            while let Some(dir) = pending.pop() {
                pending.extend(dir.dirs());
                files.extend(dir.files().filter_map(|file| {
                    Some((
                        format!("{name}/{}", file.path().to_str()?.replace('\\', "/")),
                        file.contents_utf8()?,
                    ))
                }));
            }
            files
        })
}

/// `path` relative to `root`, with `/`.
pub fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

/// Refuses a secret that others can read.
///
/// # Errors
/// `Denied` where they can, else as the file system says.
#[cfg(unix)]
pub fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)
        .map_err(|cause| io_error(path, &cause))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(fail(Kind::Denied, "key_mode", &[&path.display(), &format!("{mode:o}")])
        .hint("key_mode_hint", &[&path.display()]))
}

/// Refuses a secret that others can read, where the system tells.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn private(_: &Path) -> Result<()> {
    Ok(())
}

/// Writes a file that its owner alone can read from the first moment, and that outlives a power cut.
///
/// # Errors
/// As the file system fails.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let staged = PathBuf::from(staged);
    // what a killed writer left here is no key yet
    let _ = std::fs::remove_file(&staged);
    let mut file = create_private(&staged)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&staged, path)?;
    sync_folder(path)
}

/// A new file that its owner alone can read.
///
/// # Errors
/// As the file system fails, also where it is there.
pub fn create_private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the names in the folder of a file outlive a power cut.
///
/// # Errors
/// As the file system fails.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
