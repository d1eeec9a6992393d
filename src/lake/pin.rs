//! Pins: versions that stay although no release in keep shows them, each with an owner and an end.

use serde::{Deserialize, Serialize};

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Lake;

/// A version of a table that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The table.
    pub table: String,
    /// Its location.
    pub location: String,
    /// Its version.
    pub version: u64,
    /// Who wants it.
    pub owner: String,
    /// What for.
    pub reason: String,
    /// The last day on which it stays, `YYYY-MM-DD`.
    pub until: String,
}

impl Pin {
    fn name(&self) -> String {
        // one owner's pin is no other's
        let owner = &blake3::hash(self.owner.as_bytes()).to_hex()[..8];
        format!("{}-{}-{}-{owner}.json", self.table, self.location, self.version)
    }
}

impl Lake {
    /// The pins, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable` where they cannot be read, `Bug` for one that is broken.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        for path in Lake::entries(&self.root().join("pins"))? {
            let text = std::fs::read(&path).map_err(|cause| io_error(&path, &cause))?;
            let pin: Pin = serde_json::from_slice(&text)
                .map_err(|cause| fail(Kind::Bug, "pin_broken", &[&path.display()]).because(cause))?;
            pins.push(pin);
        }
        pins.sort_by_key(Pin::name);
        Ok(pins)
    }

    /// Pins a version, or gives the pin of the same owner another end.
    ///
    /// # Errors
    /// `Missing` where the version is gone; as the file system fails.
    pub async fn pin(&self, pin: &Pin) -> Result<()> {
        let newest = self.table_in(&pin.table, &pin.location).await?.version();
        if pin.version > newest {
            return Err(fail(Kind::Missing, "no_version", &[&pin.table, &pin.version, &newest]));
        }
        self.table_at(&pin.table, &pin.location, pin.version).await?;
        let folder = self.root().join("pins");
        let failed = |cause: std::io::Error| io_error(&folder, &cause);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let text = serde_json::to_vec_pretty(pin)
            .map_err(|cause| fail(Kind::Bug, "pin_broken", &[&pin.table]).because(cause))?;
        let file = tempfile::NamedTempFile::new_in(self.root()).map_err(failed)?;
        std::fs::write(file.path(), text).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(folder.join(pin.name()))
            .map_err(|cause| failed(cause.error))?;
        Ok(())
    }

    /// Takes the pins of a table away, those of one version where it is given; how many there were.
    ///
    /// # Errors
    /// As the file system fails.
    pub fn unpin(&self, table: &str, version: Option<u64>) -> Result<usize> {
        let mut gone = 0;
        for pin in self.pins()? {
            if pin.table == table && version.is_none_or(|version| version == pin.version) {
                let path = self.root().join("pins").join(pin.name());
                std::fs::remove_file(&path).map_err(|cause| io_error(&path, &cause))?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}
