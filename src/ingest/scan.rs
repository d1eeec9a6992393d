//! Records of a delimited text, strictly: where each ends, and where its fields are.
//!
//! A quoted field opens right behind a delimiter or line end and closes before one. A quote inside an
//! unquoted field is text. A quoted field that closes in front of other text, never closes, or makes
//! its record too long is an error of the *line* it opened in: that line is refused and reading goes
//! on behind it, so that a stray quote never swallows the rows after it.
//!
//! [`boundary`] finds where a piece of a file may be cut, [`Scanner`] finds the fields of what was
//! cut. Both follow the rules above, and a test holds them to each other.

use memchr::{memchr, memchr2, memchr2_iter, memchr3_iter, memrchr};

use crate::contract::Dialect;
use crate::ingest::span::Span;

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// A quoted field does not end as one.
    Quote,
    /// The record is longer than the limit.
    TooLarge(usize),
    /// This many fields instead of the header's.
    Fields(usize),
}

/// How a quoted field ends.
enum Close {
    /// At this quote.
    At(usize),
    /// Not as a quoted field.
    Never,
    /// The bytes do not tell; more are needed.
    Unknown,
}

/// Finds the end of the quoted field whose content starts at `from`. `last` says that no more bytes
/// follow; `limit` is the first byte that no longer belongs to a record of tolerable length.
fn close(bytes: &[u8], from: usize, quote: u8, dialect: &Dialect, last: bool, limit: usize) -> Close {
    let mut at = from;
    loop {
        let window = bytes.get(at..).unwrap_or_default();
        let found = match dialect.escape {
            Some(escape) if escape != quote => memchr2(quote, escape, window),
            _ => memchr(quote, window),
        };
        let Some(found) = found.map(|found| at + found).filter(|found| *found < limit) else {
            return if last || bytes.len() >= limit {
                Close::Never
            } else {
                Close::Unknown
            };
        };
        if bytes[found] != quote {
            at = found + 2;
            continue;
        }
        match bytes.get(found + 1) {
            Some(next) if *next == quote && dialect.escape.is_none() => at = found + 2,
            Some(next) if *next == dialect.delimiter || *next == b'\n' => return Close::At(found),
            Some(b'\r') => match bytes.get(found + 2) {
                Some(b'\n') => return Close::At(found),
                Some(_) => return Close::Never,
                None if last => return Close::At(found),
                None => return Close::Unknown,
            },
            Some(_) => return Close::Never,
            None if last => return Close::At(found),
            None => return Close::Unknown,
        }
    }
}

/// How many bytes from the start are whole records. `bytes` starts with a record; `last` says that
/// nothing follows, and then all of it is.
pub(super) fn boundary(bytes: &[u8], dialect: &Dialect, last: bool, record_limit: usize) -> usize {
    if last {
        return bytes.len();
    }
    let line_end = |from: usize| memrchr(b'\n', &bytes[from..]).map(|at| from + at + 1);
    let Some(quote) = dialect.quote else {
        return line_end(0).unwrap_or(0);
    };
    // outside of quotes from `at` on; the record under way began at `record`
    let (mut at, mut record) = (0, 0);
    while let Some(found) = memchr(quote, &bytes[at..]).map(|found| at + found) {
        if let Some(start) = line_end_before(bytes, at, found) {
            record = start;
        }
        let opens = found == record || bytes[found - 1] == dialect.delimiter;
        if !opens || is_comment(bytes, record, dialect) {
            at = found + 1;
            continue;
        }
        match close(
            bytes,
            found + 1,
            quote,
            dialect,
            false,
            record.saturating_add(record_limit),
        ) {
            Close::At(end) => at = end + 1,
            Close::Unknown => return record,
            Close::Never => match memchr(b'\n', &bytes[record..]) {
                Some(end) => (at, record) = (record + end + 1, record + end + 1),
                None => return record,
            },
        }
    }
    line_end(at).unwrap_or(record)
}

/// Behind the last line end in `from..to`.
fn line_end_before(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    memrchr(b'\n', &bytes[from..to]).map(|at| from + at + 1)
}

fn is_comment(bytes: &[u8], record: usize, dialect: &Dialect) -> bool {
    dialect.comment.is_some() && bytes.get(record).copied() == dialect.comment
}

/// What the scanner hands over, record by record.
pub(super) trait Records {
    /// A record: the line it starts on (0 for the first of the group), its bytes, its fields.
    fn record(&mut self, line: usize, whole: Span, fields: &[Span], side: &mut Vec<u8>);
    /// A line that is no record.
    fn broken(&mut self, line: usize, whole: Span, why: Broken);
}

/// Finds records and fields in a group of whole records.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    dialect: &'a Dialect,
    /// Fields of a record; 0 takes any number.
    width: usize,
    record_limit: usize,
    fields: Vec<Span>,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy)]
struct Stand {
    /// First byte of the record.
    record: usize,
    /// Line of the record.
    line: usize,
    /// Lines that ended before the current byte.
    lines: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(dialect: &'a Dialect, width: usize, record_limit: usize) -> Scanner<'a> {
        Scanner {
            dialect,
            width,
            record_limit,
            fields: Vec::with_capacity(width + 1),
        }
    }

    /// Scans a group from its first record to its end; the lines it holds are returned.
    pub(super) fn scan(&mut self, group: &[u8], side: &mut Vec<u8>, records: &mut impl Records) -> usize {
        let quoted = self.dialect.quote.filter(|quote| memchr(*quote, group).is_some());
        match quoted {
            None => self.plain(group, side, records),
            Some(quote) => self.quoted(group, quote, side, records),
        }
    }

    /// No quotes: every delimiter and line end is what it looks like.
    fn plain(&mut self, group: &[u8], side: &mut Vec<u8>, records: &mut impl Records) -> usize {
        let mut stand = Stand {
            record: 0,
            line: 0,
            lines: 0,
        };
        let mut field = 0;
        self.fields.clear();
        for at in memchr2_iter(self.dialect.delimiter, b'\n', group) {
            if group[at] == b'\n' {
                self.line_end(group, &mut stand, field, at, at + 1, side, records);
            } else {
                self.fields.push(Span::new(field, at));
            }
            field = at + 1;
        }
        self.rest(group, &mut stand, field, side, records);
        stand.lines
    }

    fn quoted(&mut self, group: &[u8], quote: u8, side: &mut Vec<u8>, records: &mut impl Records) -> usize {
        let mut stand = Stand {
            record: 0,
            line: 0,
            lines: 0,
        };
        let (mut from, mut field) = (0, 0);
        self.fields.clear();
        'walk: loop {
            for found in memchr3_iter(self.dialect.delimiter, b'\n', quote, &group[from..]) {
                let at = from + found;
                match group[at] {
                    b'\n' => {
                        self.line_end(group, &mut stand, field, at, at + 1, side, records);
                        field = at + 1;
                    }
                    byte if byte == quote => {
                        if at != field || is_comment(group, stand.record, self.dialect) {
                            continue;
                        }
                        let limit = stand.record.saturating_add(self.record_limit);
                        let Close::At(end) = close(group, at + 1, quote, self.dialect, true, limit) else {
                            // the line it opened in is refused; what follows is read afresh
                            let line = memchr(b'\n', &group[stand.record..]).map(|at| stand.record + at);
                            let end = line.unwrap_or(group.len());
                            records.broken(stand.line, Span::new(stand.record, end), Broken::Quote);
                            stand.lines = stand.line + usize::from(line.is_some());
                            self.begin(&mut stand, end + 1);
                            (from, field) = (end + 1, end + 1);
                            if from >= group.len() {
                                return stand.lines;
                            }
                            continue 'walk;
                        };
                        stand.lines += memchr::memchr_iter(b'\n', &group[at..end]).count();
                        self.fields.push(content(group, at + 1, end, quote, self.dialect, side));
                        // behind the closing quote stands a delimiter, a line end or nothing
                        from = match group.get(end + 1) {
                            Some(b'\r') => end + 2,
                            _ => end + 1,
                        };
                        match group.get(from) {
                            Some(b'\n') => {
                                self.record_end(group, &mut stand, end + 1, from + 1, side, records);
                                from += 1;
                            }
                            Some(_) => from += 1,
                            None => {
                                self.record_end(group, &mut stand, end + 1, group.len(), side, records);
                                return stand.lines;
                            }
                        }
                        field = from;
                        if from >= group.len() && self.fields.is_empty() {
                            return stand.lines;
                        }
                        continue 'walk;
                    }
                    _ => {
                        self.fields.push(Span::new(field, at));
                        field = at + 1;
                    }
                }
            }
            self.rest(group, &mut stand, field, side, records);
            return stand.lines;
        }
    }

    /// The unquoted last field of a record ends before a line end at `at`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one cursor")]
    fn line_end(
        &mut self,
        group: &[u8],
        stand: &mut Stand,
        field: usize,
        at: usize,
        next: usize,
        side: &mut Vec<u8>,
        records: &mut impl Records,
    ) {
        let end = if at > field && group[at - 1] == b'\r' {
            at - 1
        } else {
            at
        };
        self.fields.push(Span::new(field, end));
        self.record_end(group, stand, end, next, side, records);
    }

    /// The record that ends at `end` is whole; the next begins at `next`.
    fn record_end(
        &mut self,
        group: &[u8],
        stand: &mut Stand,
        end: usize,
        next: usize,
        side: &mut Vec<u8>,
        records: &mut impl Records,
    ) {
        let whole = Span::new(stand.record, end);
        let length = end - stand.record;
        let blank = length == 0 || (self.fields.len() == 1 && group[stand.record..end].trim_ascii().is_empty());
        if !blank && !is_comment(group, stand.record, self.dialect) {
            if length > self.record_limit {
                records.broken(stand.line, whole, Broken::TooLarge(length));
            } else if self.width != 0 && self.fields.len() != self.width {
                records.broken(stand.line, whole, Broken::Fields(self.fields.len()));
            } else {
                records.record(stand.line, whole, &self.fields, side);
            }
        }
        stand.lines += usize::from(next > end && group.get(next - 1) == Some(&b'\n'));
        self.begin(stand, next);
    }

    fn begin(&mut self, stand: &mut Stand, next: usize) {
        (stand.record, stand.line) = (next, stand.lines);
        self.fields.clear();
    }

    /// What stands behind the last line end.
    fn rest(&mut self, group: &[u8], stand: &mut Stand, field: usize, side: &mut Vec<u8>, records: &mut impl Records) {
        if stand.record < group.len() {
            self.line_end(group, stand, field, group.len(), group.len(), side, records);
        }
    }
}

/// The content of a quoted field, with doubled and escaped quotes undone.
fn content(group: &[u8], start: usize, end: usize, quote: u8, dialect: &Dialect, side: &mut Vec<u8>) -> Span {
    let mark = dialect.escape.unwrap_or(quote);
    let text = &group[start..end];
    if memchr(mark, text).is_none() {
        return Span::new(start, end);
    }
    let begin = side.len();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        side.push(if byte == mark {
            bytes.next().unwrap_or(byte)
        } else {
            byte
        });
    }
    Span::side(begin, side.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Found {
        rows: Vec<(usize, Result<Vec<String>, String>)>,
        base: usize,
        text: Vec<u8>,
    }

    impl Records for Found {
        fn record(&mut self, line: usize, _: Span, fields: &[Span], side: &mut Vec<u8>) {
            let fields = fields
                .iter()
                .map(|span| String::from_utf8_lossy(span.of(&self.text, side)).into_owned())
                .collect();
            self.rows.push((self.base + line, Ok(fields)));
        }
        fn broken(&mut self, line: usize, _: Span, why: Broken) {
            self.rows.push((self.base + line, Err(format!("{why:?}"))));
        }
    }

    /// Reads a text in pieces of at least `piece` bytes.
    fn read(text: &[u8], dialect: &Dialect, width: usize, piece: usize, limit: usize) -> Found {
        let mut found = Found::default();
        let mut scanner = Scanner::new(dialect, width, limit);
        let mut start = 0;
        while start < text.len() {
            let mut size = piece;
            let group = loop {
                let end = (start + size).min(text.len());
                let cut = boundary(&text[start..end], dialect, end == text.len(), limit);
                if cut > 0 {
                    break &text[start..start + cut];
                }
                size += piece;
            };
            found.text = group.to_vec();
            let mut side = Vec::new();
            found.base += scanner.scan(group, &mut side, &mut found);
            start += group.len();
        }
        found
    }

    fn all(text: &str, dialect: &Dialect, width: usize) -> Vec<(usize, Result<Vec<String>, String>)> {
        let whole = read(text.as_bytes(), dialect, width, text.len().max(1), 1 << 20).rows;
        for piece in [1, 2, 3, 5, 7, 16] {
            assert_eq!(
                read(text.as_bytes(), dialect, width, piece, 1 << 20).rows,
                whole,
                "pieces of {piece} in {text:?}"
            );
        }
        whole
    }

    fn row(line: usize, fields: &[&str]) -> (usize, Result<Vec<String>, String>) {
        (line, Ok(fields.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn ordinary_records() {
        let comma = Dialect::default();
        assert_eq!(
            all("a,b\r\n1,\"x,\"\"y\"\"\"\n\n2,\"two\nlines\"\r\n3,", &comma, 2),
            [
                row(0, &["a", "b"]),
                row(1, &["1", "x,\"y\""]),
                row(3, &["2", "two\nlines"]),
                row(5, &["3", ""]),
            ]
        );
        assert_eq!(all("\"\",\"\"\n", &comma, 2), [row(0, &["", ""])]);
        assert_eq!(all("1,\"x\"", &comma, 2), [row(0, &["1", "x"])]);
    }

    #[test]
    fn a_stray_quote_is_text_and_swallows_nothing() {
        let rows = all("1,5\"screen\n2,b\n3,\"c\"\n4,6\"\n5,e\n", &Dialect::default(), 2);
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0], row(0, &["1", "5\"screen"]));
        assert_eq!(rows[3], row(3, &["4", "6\""]));
    }

    #[test]
    fn a_quote_that_never_closes_costs_its_own_line() {
        let rows = all("1,\"open\n2,b\n3,c\n4,\"d\"\n5,e\n", &Dialect::default(), 2);
        assert_eq!(rows[0], (0, Err("Quote".to_owned())));
        assert_eq!(
            rows[1..],
            [
                row(1, &["2", "b"]),
                row(2, &["3", "c"]),
                row(3, &["4", "d"]),
                row(4, &["5", "e"])
            ]
        );
        let rows = all("1,a\n2,\"open\n3,c", &Dialect::default(), 2);
        assert_eq!(
            rows,
            [row(0, &["1", "a"]), (1, Err("Quote".to_owned())), row(2, &["3", "c"])]
        );
        let rows = all("1,\"a\"b\n2,c\n", &Dialect::default(), 2);
        assert_eq!(rows, [(0, Err("Quote".to_owned())), row(1, &["2", "c"])]);
    }

    #[test]
    fn a_record_beyond_the_limit_costs_its_own_line() {
        let text = format!("1,\"{}\n2,b\n3,{}\n4,d\n", "x".repeat(50), "y".repeat(90));
        for piece in [1, 10, 33, 400] {
            let rows = read(text.as_bytes(), &Dialect::default(), 2, piece, 60).rows;
            assert_eq!(
                rows,
                [
                    (0, Err("Quote".to_owned())),
                    row(1, &["2", "b"]),
                    (2, Err("TooLarge(92)".to_owned())),
                    row(3, &["4", "d"])
                ],
                "{piece}"
            );
        }
    }

    #[test]
    fn declared_dialects() {
        let semicolon = Dialect {
            delimiter: b';',
            quote: Some(b'\''),
            comment: Some(b'#'),
            ..Dialect::default()
        };
        assert_eq!(all("# it's a note\n1;'a;b'\n", &semicolon, 2), [row(1, &["1", "a;b"])]);
        let escaped = Dialect {
            escape: Some(b'\\'),
            ..Dialect::default()
        };
        assert_eq!(
            all("1,\"a\\\"b\\\\\"\n2,c\n", &escaped, 2),
            [row(0, &["1", "a\"b\\"]), row(1, &["2", "c"])]
        );
        let bare = Dialect {
            delimiter: b'\t',
            quote: None,
            ..Dialect::default()
        };
        assert_eq!(
            all("1\t\"a\n2\tb\"\n", &bare, 2),
            [row(0, &["1", "\"a"]), row(1, &["2", "b\""])]
        );
    }

    #[test]
    fn ragged_rows_say_how_many_fields_they_have() {
        let rows = all("1,2,3\n1,2\n\"1\"\n", &Dialect::default(), 2);
        assert_eq!(rows[0].1, Err("Fields(3)".to_owned()));
        assert_eq!(rows[1], row(1, &["1", "2"]));
        assert_eq!(rows[2].1, Err("Fields(1)".to_owned()));
    }

    #[test]
    fn any_soup_of_marks_reads_the_same_in_any_pieces() {
        let marks = [b',', b'"', b'\n', b'\r', b'a', b'"', b',', b'\n', b'b'];
        let mut state = 88_172_645_463_325_252u64;
        for round in 0..4_000 {
            let mut text = String::new();
            for _ in 0..(round % 40) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push(char::from(marks[(state % 9) as usize]));
            }
            let rows = all(&text, &Dialect::default(), 0);
            // no line is lost: every line starts a record, lies inside one, or is blank
            for (line, words) in text.lines().enumerate() {
                let inside = rows.iter().any(|(start, found)| {
                    let lines = found.as_ref().map_or(0, |fields| fields.join("").matches('\n').count());
                    (*start..=*start + lines).contains(&line)
                });
                assert!(inside || words.trim().is_empty(), "line {line} of {text:?} in {rows:?}");
            }
        }
    }
}
