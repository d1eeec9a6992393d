//! JSON text of any length, passed over once with one object in memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use serde::de::IgnoredAny;

/// Bytes of one object; pictures inside an object are of a few MiB.
const OBJECT_BYTES: usize = 16 << 20;
/// Lists and objects inside one object.
const OBJECT_DEPTH: usize = 32;
/// Bytes of a number or a bare word.
const WORD_BYTES: usize = 64;
/// Bytes of a buffer between the source and the text.
const BUFFER_BYTES: usize = 128 << 10;

/// JSON text that is passed over once. Of what is passed over, brackets, quotes and words are looked at;
/// of what is kept, the parser sees every byte.
pub(super) struct Text {
    reader: BufReader<Box<dyn Read + Send>>,
    /// Where the next byte stands, from 1; columns are bytes.
    line: u64,
    column: u64,
    /// Where `kept` began.
    start: (u64, u64),
    /// The object or name at hand.
    pub kept: Vec<u8>,
    /// Whether bytes are still added to it.
    keeps: bool,
    /// Whether it is within the limits.
    fits: bool,
}

impl Text {
    /// The text of a source, without its byte order mark.
    ///
    /// # Errors
    /// As the reader says; `InvalidData` where the text begins like a mark and is none.
    pub fn new(reader: Box<dyn Read + Send>) -> io::Result<Text> {
        let mut text = Text {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            line: 1,
            column: 1,
            start: (1, 1),
            kept: Vec::new(),
            keeps: false,
            fits: true,
        };
        if text.peek()? == Some(0xEF) {
            // a byte order mark
            for expected in [0xEF, 0xBB, 0xBF] {
                if text.peek()? != Some(expected) {
                    return Err(text.broken("no JSON"));
                }
                text.advance(1);
            }
        }
        Ok(text)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// The next byte that is no white space; `None` at the end of the file.
    pub fn ahead(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(Some(byte));
            }
            self.advance(1);
        }
        Ok(None)
    }

    /// The same, inside a message.
    pub fn token(&mut self) -> io::Result<u8> {
        match self.ahead()? {
            Some(byte) => Ok(byte),
            None => Err(self.broken("the file ends inside a message")),
        }
    }

    /// Leaves `count` bytes of the buffer behind.
    pub fn advance(&mut self, count: usize) {
        let bytes = &self.reader.buffer()[..count];
        if self.keeps && self.kept.len() + count > OBJECT_BYTES {
            self.fits = false;
            self.keeps = false;
        }
        if self.keeps {
            self.kept.extend_from_slice(bytes);
        }
        match memchr::memrchr(b'\n', bytes) {
            None => self.column += count as u64,
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
                self.column = (count - last) as u64;
            }
        }
        self.reader.consume(count);
    }

    /// Passes over the value that begins here, however deep it is.
    pub fn pass(&mut self) -> io::Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.token()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > OBJECT_DEPTH {
                        self.fits = false;
                        self.keeps = false;
                    }
                    self.advance(1);
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.advance(1);
                }
                b',' | b':' if depth > 0 => self.advance(1),
                byte if word_byte(byte) => self.word()?,
                _ => return Err(self.broken("no JSON")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> io::Result<()> {
        self.advance(1);
        while self.peek()?.is_some() {
            let bytes = self.reader.buffer();
            let length = bytes.len();
            match memchr::memchr2(b'"', b'\\', bytes).map(|at| (at, bytes[at])) {
                None => self.advance(length),
                Some((at, b'"')) => {
                    self.advance(at + 1);
                    return Ok(());
                }
                Some((at, _)) => {
                    self.advance(at + 1);
                    if self.peek()?.is_some() {
                        self.advance(1);
                    }
                }
            }
        }
        Err(self.broken("the file ends inside a text"))
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> io::Result<()> {
        let mut word = Vec::with_capacity(WORD_BYTES);
        while let Some(byte) = self.peek()?.filter(|byte| word_byte(*byte)) {
            if word.len() == WORD_BYTES {
                break;
            }
            word.push(byte);
            self.advance(1);
        }
        match serde_json::from_slice::<IgnoredAny>(&word) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.broken("no JSON")),
        }
    }

    /// Keeps the bytes from here on.
    fn keep(&mut self) {
        self.start = (self.line, self.column);
        self.kept.clear();
        (self.keeps, self.fits) = (true, true);
    }

    /// Keeps the object that begins here; whether it is within the limits.
    pub fn object(&mut self) -> io::Result<bool> {
        self.keep();
        self.pass()?;
        self.keeps = false;
        Ok(self.fits)
    }

    /// The name of a member, and the colon after it.
    pub fn name(&mut self) -> io::Result<String> {
        if self.token()? != b'"' {
            return Err(self.broken("no JSON"));
        }
        self.keep();
        self.string()?;
        self.keeps = false;
        if !self.fits {
            return Err(self.broken("a name is too large"));
        }
        let name = serde_json::from_slice(&self.kept).map_err(|cause| self.misread(&cause))?;
        if self.token()? != b':' {
            return Err(self.broken("no JSON"));
        }
        self.advance(1);
        Ok(name)
    }

    /// After a value: whether another one follows before `end`.
    pub fn goes_on(&mut self, end: u8) -> io::Result<bool> {
        let byte = self.token()?;
        if byte != b',' && byte != end {
            return Err(self.broken("no JSON"));
        }
        self.advance(1);
        Ok(byte == b',')
    }

    fn broken(&self, words: &str) -> io::Error {
        broken_at(self.line, self.column, words)
    }

    /// What the parser says of the kept bytes, without its words: they can quote.
    pub fn misread(&self, cause: &serde_json::Error) -> io::Error {
        let (line, column) = (cause.line() as u64, cause.column() as u64);
        let before = if line <= 1 { self.start.1 - 1 } else { 0 };
        broken_at(self.start.0 + line.saturating_sub(1), before + column, "no JSON")
    }
}

fn broken_at(line: u64, column: u64, words: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("line {line}, column {column}: {words}"))
}

fn word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}
