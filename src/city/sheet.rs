//! One text file under way: fields joined to rows, rows encoded into a buffer, and the score of what a correct reader would accept,
//! recognise as duplicate or refuse. Reused buffers only; it reads nothing back and opens no file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::dialect::Encoding;

/// Appends a field of a comma-separated row, quoted only where it has to be.
pub fn push_field(row: &mut String, text: &str) {
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n')) {
        row.push('"');
        row.push_str(&text.replace('"', "\"\""));
        row.push('"');
    } else {
        row.push_str(text);
    }
}

/// The fields of one row before they are joined, so that a planted defect can still change one of them.
#[derive(Debug, Default)]
pub struct Fields {
    texts: Vec<String>,
    used: usize,
}

impl Fields {
    /// Starts a new row.
    pub fn begin(&mut self) {
        self.used = 0;
    }

    /// The next field, empty.
    pub fn next(&mut self) -> &mut String {
        if self.used == self.texts.len() {
            self.texts.push(String::new());
        }
        self.used += 1;
        let text = &mut self.texts[self.used - 1];
        text.clear();
        text
    }

    /// Appends one field with this text.
    pub fn push(&mut self, text: &str) {
        self.next().push_str(text);
    }

    /// A field that was already written.
    pub fn field(&mut self, index: usize) -> &mut String {
        &mut self.texts[index]
    }

    /// Replaces a field that was already written.
    pub fn set(&mut self, index: usize, text: &str) {
        let field = &mut self.texts[index];
        field.clear();
        field.push_str(text);
    }

    /// Drops the last field: a row with one field too few.
    pub fn drop_last(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Joins the fields to a row.
    pub fn join(&self, row: &mut String) {
        for (index, text) in self.texts[..self.used].iter().enumerate() {
            if index > 0 {
                row.push(',');
            }
            push_field(row, text);
        }
    }
}

/// Stands for a byte that no encoding accepts; the sheet writes it as 0xFF.
pub const BROKEN_BYTE: char = '\u{f8ff}';

/// What a correct reader does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Takes it.
    Accepted,
    /// Recognises it as one it already has.
    Duplicate,
    /// Refuses it for this reason.
    Rejected(&'static str),
}

/// The score of one file or feed: `read = accepted + duplicate + rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedCount {
    /// Rows in the file, header excluded.
    pub read: u64,
    /// Rows a correct reader keeps.
    pub accepted: u64,
    /// Rows that repeat an earlier one.
    pub duplicate: u64,
    /// Rows a correct reader refuses, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

impl FeedCount {
    /// Adds another file's score.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        for (reason, rows) in &other.rejected {
            *self.rejected.entry(reason).or_default() += rows;
        }
    }
}

/// Bytes gathered before they are handed on; large enough that the writer's own call cost disappears.
const BUFFER_BYTES: usize = 128 * 1024;

/// One text file under way: the current row, the encoded buffer and the score.
pub struct Sheet<'a> {
    out: &'a mut dyn Write,
    /// The row being written, without its line end.
    pub row: String,
    buffer: Vec<u8>,
    row_start: usize,
    encoding: Encoding,
    gb18030: Vec<[u8; 4]>,
    remembered: Vec<u8>,
    /// The score so far.
    pub count: FeedCount,
}

impl<'a> Sheet<'a> {
    /// Starts a file; an empty header means none (NDJSON).
    pub fn start(out: &'a mut dyn Write, encoding: Encoding, header: &str) -> Self {
        let mut sheet = Self {
            out,
            row: String::with_capacity(1_024),
            buffer: Vec::with_capacity(BUFFER_BYTES + 4_096),
            row_start: 0,
            encoding,
            gb18030: Vec::new(),
            remembered: Vec::new(),
            count: FeedCount::default(),
        };
        if encoding == Encoding::Utf8Bom {
            sheet.buffer.extend_from_slice(b"\xef\xbb\xbf");
        }
        if !header.is_empty() {
            sheet.buffer.extend_from_slice(header.as_bytes());
            sheet.buffer.push(b'\n');
        }
        sheet
    }

    /// Ends the current row and scores it.
    pub fn end(&mut self, fate: Fate) -> io::Result<()> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        self.row_start = self.buffer.len();
        let row = std::mem::take(&mut self.row);
        if self.encoding == Encoding::Gb18030 {
            self.encode(&row);
        } else if row.contains(BROKEN_BYTE) {
            let mut parts = row.split(BROKEN_BYTE);
            self.buffer
                .extend_from_slice(parts.next().unwrap_or_default().as_bytes());
            for part in parts {
                self.buffer.push(0xff);
                self.buffer.extend_from_slice(part.as_bytes());
            }
        } else {
            self.buffer.extend_from_slice(row.as_bytes());
        }
        self.buffer.push(b'\n');
        self.row = row;
        self.row.clear();
        self.score(fate);
        Ok(())
    }

    fn score(&mut self, fate: Fate) {
        self.count.read += 1;
        match fate {
            Fate::Accepted => self.count.accepted += 1,
            Fate::Duplicate => self.count.duplicate += 1,
            Fate::Rejected(reason) => *self.count.rejected.entry(reason).or_default() += 1,
        }
    }

    /// Keeps the row just ended, to be repeated later.
    pub fn remember(&mut self) {
        self.remembered.clear();
        self.remembered.extend_from_slice(&self.buffer[self.row_start..]);
    }

    /// Writes the remembered row once more, byte for byte; nothing when there is none.
    pub fn repeat(&mut self) {
        if !self.remembered.is_empty() {
            self.buffer.extend_from_slice(&self.remembered);
            self.score(Fate::Duplicate);
        }
    }

    /// Hands the rest on and returns the score.
    pub fn finish(self) -> io::Result<FeedCount> {
        self.out.write_all(&self.buffer)?;
        self.out.flush()?;
        Ok(self.count)
    }

    /// Encodes to GB18030 through a table filled on first use: the encoder's own search costs microseconds a character.
    fn encode(&mut self, row: &str) {
        for sign in row.chars() {
            let code = sign as usize;
            if code < 0x80 {
                self.buffer.push(code as u8);
                continue;
            }
            if sign == BROKEN_BYTE {
                self.buffer.push(0xff);
                continue;
            }
            if code >= self.gb18030.len() {
                self.gb18030.resize(code + 1, [0; 4]);
            }
            if self.gb18030[code][0] == 0 {
                let mut utf8 = [0u8; 4];
                let (bytes, _, _) = encoding_rs::GB18030.encode(sign.encode_utf8(&mut utf8));
                for (slot, &byte) in self.gb18030[code].iter_mut().zip(bytes.iter()) {
                    *slot = byte;
                }
            }
            let bytes = self.gb18030[code];
            // The second byte of a four-byte sequence is a digit; of a two-byte sequence it never is.
            let length = if bytes[1] < 0x40 { 4 } else { 2 };
            self.buffer.extend_from_slice(&bytes[..length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_encodes_like_the_encoder() -> io::Result<()> {
        let line = "墨泉区𡐓溪路12号,㘵";
        let mut bytes = Vec::new();
        let mut sheet = Sheet::start(&mut bytes, Encoding::Gb18030, "");
        sheet.row.push_str(line);
        sheet.end(Fate::Accepted)?;
        sheet.remember();
        sheet.repeat();
        let count = sheet.finish()?;
        assert_eq!((count.read, count.duplicate), (2, 1));
        let (decoded, _, lost) = encoding_rs::GB18030.decode(&bytes);
        assert!(!lost);
        assert_eq!(decoded, format!("{line}\n{line}\n"));
        Ok(())
    }
}
