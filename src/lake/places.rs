//! Where tables lie: their places, their birth, and how they are opened.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use deltalake::DeltaTableBuilder;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::operations::create::CreateBuilder;
use object_store::ObjectStore;
use url::Url;

use crate::error::{Kind, Result, fail};
use crate::lake::shape::same_columns;
use crate::lake::transactions::Transactions;
use crate::lake::{Commit, Lake, Layout, Table, store_error, table_error};

/// The schema of what was pulled: `shared.<publisher>.<table>`.
pub const SHARED: &str = "shared";

impl Lake {
    /// The newest location of a table, or `None` where it was never created. An environment that has none of
    /// its own reads the published one.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be read.
    pub async fn table(&self, name: &str) -> Result<Option<Table>> {
        match (self.locations(name).await?.last(), self.environment()) {
            (Some(location), _) => self.open_table(name, location, None).await.map(Some),
            (None, Some(_)) => Box::pin(self.published().table(name)).await,
            (None, None) => Ok(None),
        }
    }

    /// The table a release names.
    ///
    /// # Errors
    /// `Missing` where the version is gone.
    pub async fn table_at(&self, name: &str, location: &str, version: u64) -> Result<Table> {
        self.open_table(name, location, Some(version)).await
    }

    /// The newest version in a location.
    ///
    /// # Errors
    /// `Missing` where there is none.
    pub async fn table_in(&self, name: &str, location: &str) -> Result<Table> {
        self.open_table(name, location, None).await
    }

    /// A new, empty table beside those of this name: rows of another SELECT never mix with older ones.
    ///
    /// # Errors
    /// As [`Lake::table_of`].
    pub async fn new_table(&self, name: &str, schema: &Schema, partition_by: &[&str]) -> Result<Table> {
        let columns: StructType = schema
            .try_into_kernel()
            .map_err(|cause: arrow::error::ArrowError| fail(Kind::Bug, "table_type", &[&name]).because(cause))?;
        self.new_table_of(name, columns, partition_by).await
    }

    /// The table of exactly this schema: the newest location if it fits, else a new one.
    ///
    /// # Errors
    /// `Bug` for a type that the table format lacks, `Unavailable` where it cannot be written.
    pub async fn table_of(&self, name: &str, schema: &Schema, partition_by: &[&str]) -> Result<Table> {
        let locations = self.locations(name).await?;
        if let Some(location) = locations.last() {
            let table = self.open_table(name, location, None).await?;
            if same_columns(table.schema()?.as_ref(), schema) {
                return Ok(table);
            }
        }
        self.new_table(name, schema, partition_by).await
    }

    /// Adds rows to the table of exactly their schema.
    ///
    /// # Errors
    /// As [`Lake::table_of`], or as the store fails.
    pub async fn add_rows(&self, name: &str, rows: &RecordBatch, commit: &Commit) -> Result<()> {
        let mut table = self.table_of(name, &rows.schema(), &[]).await?;
        let mut stage = table.stage(&commit.run_id, Layout::default())?;
        stage.write(rows).await?;
        table.append(stage.finish().await?, commit).await.map(drop)
    }

    pub(super) async fn new_table_of<S: AsRef<str>>(
        &self,
        name: &str,
        columns: StructType,
        partition_by: &[S],
    ) -> Result<Table> {
        let locations = self.locations(name).await?;
        let number = locations
            .last()
            .and_then(|last| self.location_number(last))
            .unwrap_or(0)
            + 1;
        let location = self.location(number);
        let failed = |cause| table_error(name, cause);
        let log_store = self.builder(name, &location)?.build_storage().map_err(failed)?;
        CreateBuilder::new()
            .with_log_store(log_store)
            .with_table_name(name)
            .with_columns(columns.fields().cloned())
            .with_partition_columns(partition_by.iter().map(AsRef::as_ref))
            // log files carry the transaction ids; only our own maintenance may remove them
            .with_configuration_property(deltalake::TableProperty::EnableExpiredLogCleanup, Some("false"))
            // whoever opens the table reads the commits since the last checkpoint one by one
            .with_configuration_property(deltalake::TableProperty::CheckpointInterval, Some("20"))
            .await
            .map_err(failed)?;
        self.open_table(name, &location, None).await
    }

    /// The places of a table that hold one and are written to from here, oldest first. A place without a first commit was never born: a
    /// disk that was full leaves such, and the next birth takes it.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn locations(&self, name: &str) -> Result<Vec<String>> {
        let folder = self.object(format!("tables/{}", name.replace('.', "/")))?;
        let all = self.every_location(name).await?;
        let mut numbers: Vec<u64> = all
            .iter()
            .filter_map(|location| self.location_number(location))
            .collect();
        numbers.sort_unstable();
        let mut born = Vec::with_capacity(numbers.len());
        for number in numbers {
            let location = self.location(number);
            let log = folder.clone().join(location.as_str()).join("_delta_log");
            let commits = self.store.list_with_delimiter(Some(&log)).await;
            let commits = commits.map_err(|cause| store_error("tables", cause))?;
            if !commits.objects.is_empty() {
                born.push(location);
            }
        }
        Ok(born)
    }

    /// The places of a table, whoever writes to them.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn every_location(&self, name: &str) -> Result<Vec<String>> {
        let folder = self.object(format!("tables/{}", name.replace('.', "/")))?;
        let listed = self
            .store
            .list_with_delimiter(Some(&folder))
            .await
            .map_err(|cause| store_error("tables", cause))?;
        let places = listed.common_prefixes.iter();
        Ok(places.filter_map(|path| Some(path.filename()?.to_owned())).collect())
    }

    /// The names of all tables in the lake.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let failed = |cause| store_error("tables", cause);
        let tables = self.object("tables")?;
        let top = tables.parts().count();
        let schemas = self.store.list_with_delimiter(Some(&tables)).await.map_err(failed)?;
        let (mut names, mut pending) = (Vec::new(), schemas.common_prefixes);
        while let Some(schema) = pending.pop() {
            let tables = self.store.list_with_delimiter(Some(&schema)).await.map_err(failed)?;
            // what was pulled lies by its publisher
            if schema.filename() == Some(SHARED) && schema.parts().count() == top + 1 {
                pending.extend(tables.common_prefixes);
                continue;
            }
            let parts: Vec<_> = schema.parts().skip(top).collect();
            let schema = parts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".");
            let tables = tables.common_prefixes.iter().filter_map(|table| table.filename());
            names.extend(tables.map(|table| format!("{schema}.{table}")));
        }
        names.sort();
        Ok(names)
    }

    fn builder(&self, name: &str, location: &str) -> Result<DeltaTableBuilder> {
        let path = self.root().join("tables").join(name.replace('.', "/")).join(location);
        let url = Url::from_directory_path(&path).map_err(|()| fail(Kind::Input, "lake_path", &[&path.display()]))?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(|cause| table_error(name, cause))?;
        Ok(builder.with_storage_backend(self.store.clone(), url))
    }

    async fn open_table(&self, name: &str, location: &str, version: Option<u64>) -> Result<Table> {
        let builder = self.builder(name, location)?;
        let builder = match version {
            Some(version) => builder.with_version(version),
            None => builder,
        };
        let inner = builder.load().await.map_err(|cause| table_error(name, cause))?;
        Ok(Table {
            name: name.to_owned(),
            location: location.to_owned(),
            inner,
            transactions: Transactions::default(),
        })
    }
}
