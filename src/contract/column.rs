//! One column of a contract: its type, its protection, and what its values must be.

use crate::contract::codes::CodeList;
use crate::contract::number::NumberStyle;
use crate::time::parse::TimeRules;

/// What happens to a column's values before anything is written (design §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protect {
    /// Written as it is.
    Public,
    /// A document number: keyed MAC, one key per source system.
    Key,
    /// A public place: keyed token, for allow-listed models.
    Place,
    /// Anything of a person: keyed per feed and field, for de-duplication only.
    Token,
    /// Written coarser: a date as its year, degrees to two decimals.
    Coarse,
    /// Read, checked, never written.
    Drop,
}

impl Protect {
    /// The names of the classes, as contracts write them.
    pub const NAMES: [(&'static str, Protect); 6] = [
        ("public", Protect::Public),
        ("key", Protect::Key),
        ("place", Protect::Place),
        ("token", Protect::Token),
        ("coarse", Protect::Coarse),
        ("drop", Protect::Drop),
    ];
}

/// The types a contract knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    String,
    /// 64-bit integer.
    Int,
    /// 64-bit float.
    Float,
    /// `true`/`false`, `1`/`0`, `Y`/`N`.
    Bool,
    /// Instant, UTC microseconds.
    Timestamp,
    /// Calendar date.
    Date,
    /// Degrees east in the contract's reference system, or metres east of a grid.
    Lon,
    /// Degrees north in the contract's reference system, or metres north of a grid.
    Lat,
    /// WKT `POINT (lon lat)`; lands as `lon` and `lat`.
    Point,
    /// WKT `POLYGON` or `MULTIPOLYGON` in the contract's reference system; lands in that of the lake.
    Area,
}

impl ColumnType {
    /// The names of the types, as contracts write them.
    pub const NAMES: [(&'static str, ColumnType); 10] = [
        ("string", ColumnType::String),
        ("int", ColumnType::Int),
        ("float", ColumnType::Float),
        ("bool", ColumnType::Bool),
        ("timestamp", ColumnType::Timestamp),
        ("date", ColumnType::Date),
        ("lon", ColumnType::Lon),
        ("lat", ColumnType::Lat),
        ("point", ColumnType::Point),
        ("area", ColumnType::Area),
    ];

    /// Whether values of this type say where something happened.
    pub fn is_position(self) -> bool {
        matches!(self, ColumnType::Lon | ColumnType::Lat | ColumnType::Point)
    }
}

/// One column, resolved.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name in the table.
    pub name: String,
    /// Name in the source.
    pub from: String,
    /// Other names in the source.
    pub aliases: Vec<String>,
    /// Type.
    pub kind: ColumnType,
    /// Protection.
    pub protect: Protect,
    /// Whether an empty value rejects the row.
    pub required: bool,
    /// How times are written.
    pub times: TimeRules,
    /// For times of day without a date: the place of the column that has it.
    pub after: Option<usize>,
    /// How numbers are written.
    pub number: NumberStyle,
    /// Smallest and largest number.
    pub range: Option<[f64; 2]>,
    /// Accepted values, any where empty.
    pub accept: Vec<String>,
    /// Code list.
    pub codes: Option<CodeList>,
    /// Unknown codes are kept (and never mapped).
    pub keep_unknown: bool,
    /// A position in metres of a grid instead of degrees.
    pub metres: bool,
    /// A file may lack the column.
    pub may_be_absent: bool,
    /// A bad value is blanked instead of rejecting the row.
    pub blank_bad: bool,
}

impl Column {
    /// Whether a source without the column is not what the contract says.
    pub fn must_come(&self) -> bool {
        self.protect != Protect::Drop && !self.may_be_absent
    }

    /// Whether a value can break the contract at all.
    pub fn is_checked(&self) -> bool {
        self.required
            || self.kind != ColumnType::String
            || self.range.is_some()
            || !self.accept.is_empty()
            || self.codes.is_some()
    }
}
