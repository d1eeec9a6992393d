//! The choices of a contract: what its source is, how its files arrive, and how its rows land.

/// How rows land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Land {
    /// Each row once.
    Rows,
    /// Each file is a complete statement; readers take the newest of a county.
    Snapshot,
    /// Rows are counted; no row is written.
    Counts,
}

/// How a source tells that a file is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complete {
    /// It does not: files appear in one step.
    AsFound,
    /// By a file of the same name and `.done` or `.ok`.
    Marker,
    /// By control totals in a file of the same name and `.manifest` or `.manifest.json`.
    Manifest,
    /// By not having changed for this many seconds.
    Stable(i64),
}

/// What a file of a known name with other content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It is refused.
    Refuse,
    /// It takes the place of what the name brought before; what is not in it any more goes.
    Replace,
    /// It adds and changes; what is not in it any more stays.
    Upsert,
}

/// The layout of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFormat {
    /// Delimited text with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// One JSON list of objects.
    Json,
    /// A sheet of an Office Open XML workbook.
    Xlsx,
    /// Apache Parquet.
    Parquet,
    /// RFC 7946 features.
    Geojson,
    /// ESRI shapes with their attributes.
    Shapefile,
    /// Messages of the police video-image base.
    Gat1400(MessageObject),
    /// A table of a PostgreSQL database.
    Postgres,
}

/// How a table of a database is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The database, without a password.
    pub url: String,
    /// The table with its schema.
    pub table: String,
    /// Column that grows with every change.
    pub watermark: String,
    /// How far back a pull begins: seconds, or numbers of the watermark.
    pub overlap: i64,
    /// File with the password.
    pub password_file: Option<String>,
    /// File with the certificate that vouches for the database.
    pub ca_file: Option<String>,
}

/// What GA/T 1400 messages are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageObject {
    /// Cameras and checkpoints.
    Camera,
    /// Clips.
    Clip,
    /// Counts of windows.
    Count,
}

/// Which of two rows of one key that say different things holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The one that came first.
    First,
    /// The one that came last.
    Newest,
    /// Neither.
    Reject,
}
