//! How a delimited text is written: delimiter, quotes, escapes, comments, header.

/// The dialect of a delimited file. All marks are ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields that hold delimiters, line ends or quotes; `None` where the source quotes nothing.
    pub quote: Option<u8>,
    /// Before a quote inside a quoted field, where quotes are not doubled.
    pub escape: Option<u8>,
    /// At the start of a line that is no record.
    pub comment: Option<u8>,
    /// Lines before the header.
    pub skip_lines: usize,
    /// Names of the fields, where the file has no header line.
    pub names: Option<Vec<String>>,
    /// Texts that mean "empty".
    pub null: Vec<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            skip_lines: 0,
            names: None,
            null: Vec::new(),
        }
    }
}
