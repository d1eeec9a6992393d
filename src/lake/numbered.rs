//! Numbered objects: each written once and never changed, the highest number holds.

use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::{Kind, Result, fail};
use crate::lake::{Lake, store_error};

impl Lake {
    fn numbered_object(&self, folder: &str, number: u64) -> Result<object_store::path::Path> {
        self.object(self.own(&format!("{folder}/{number}.json")))
    }

    /// The numbers of a folder, ascending.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn numbered(&self, folder: &str) -> Result<Vec<u64>> {
        let prefix = self.object(self.own(folder))?;
        let listed = self.store.list(Some(&prefix));
        let objects: Vec<_> = listed.try_collect().await.map_err(|cause| store_error(folder, cause))?;
        let numbers = objects.iter();
        let mut numbers: Vec<u64> = numbers
            .filter_map(|object| object.location.filename()?.strip_suffix(".json")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The object of a number.
    ///
    /// # Errors
    /// `Missing` where there is none.
    pub async fn number(&self, folder: &str, number: u64) -> Result<Vec<u8>> {
        let failed = |cause| store_error(folder, cause);
        let found = self
            .store
            .get(&self.numbered_object(folder, number)?)
            .await
            .map_err(failed)?;
        Ok(found.bytes().await.map_err(failed)?.to_vec())
    }

    /// Writes the object of a number that nobody has.
    ///
    /// # Errors
    /// `Conflict` where somebody has it.
    pub async fn put_number(&self, folder: &str, number: u64, bytes: Vec<u8>) -> Result<()> {
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        let path = self.numbered_object(folder, number)?;
        match self.store.put_opts(&path, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(fail(Kind::Conflict, "number_taken", &[&folder, &number]))
            }
            Err(cause) => Err(store_error(folder, cause)),
        }
    }
}
