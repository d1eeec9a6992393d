//! How a file is written: encoding, layout, delimiter, quotes, header. Each guess has its reason.
//!
//! Pure: texts in, guesses out. What the numbers cannot tell is not decided here.

use std::collections::{BTreeMap, HashSet};

use csv::StringRecord;
use encoding_rs::{BIG5, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::guess;

/// Bytes of text and records that the layout is guessed from.
const SNIFFED: usize = 1 << 18;
const RECORDS: usize = 1_000;
/// A header further down is no header.
const PREFACE: usize = 20;
/// Of two delimiters that fit equally, the earlier one is the more common.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// One broken character in so many is a field that a database cut in the middle of a character.
const CHARACTERS_A_FAULT: usize = 200;
/// Chinese text of any kind has more frequent characters than this; other bytes read as such have none.
const COMMON_SHARE: f64 = 0.5;

/// The encoding of a text, as contracts name it.
#[derive(Debug, Clone)]
pub(super) struct EncodingGuess {
    pub(super) encoding: &'static Encoding,
    pub(super) label: &'static str,
    /// The bytes fit every encoding.
    pub(super) ascii: bool,
    pub(super) why: String,
}

/// The encoding of `bytes`; `None` where no accepted one fits.
pub(super) fn encoding(bytes: &[u8], whole: bool) -> Option<EncodingGuess> {
    let found = |encoding: &'static Encoding, label: &'static str, why: String| EncodingGuess {
        encoding,
        label,
        ascii: bytes.is_ascii() && encoding == UTF_8,
        why,
    };
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        let label = if encoding == UTF_16LE {
            "utf-16le"
        } else if encoding == UTF_16BE {
            "utf-16be"
        } else {
            "utf-8"
        };
        return Some(found(encoding, label, "it begins with a byte order mark".to_owned()));
    }
    if let Some((encoding, label)) = wide(bytes) {
        return Some(found(
            encoding,
            label,
            "every second byte of its ASCII part is zero".to_owned(),
        ));
    }
    if bytes.is_ascii() {
        return Some(found(
            UTF_8,
            "utf-8",
            "only ASCII was seen, which every encoding holds".to_owned(),
        ));
    }
    if let Some(faults) = faults(bytes, UTF_8, whole) {
        return Some(found(UTF_8, "utf-8", format!("valid as such{}", broken(faults))));
    }
    let simplified = common_share(bytes, |lead, trail| {
        matches!(lead, 0xA1..=0xA9 | 0xB0..=0xD7) && trail >= 0xA1
    });
    let traditional = common_share(bytes, |lead, _| matches!(lead, 0xA1..=0xC6));
    let mut candidates = [
        (GB18030, "gb18030", "GB2312 level 1", simplified),
        (BIG5, "big5", "Big5 level 1", traditional),
    ];
    if traditional > simplified {
        candidates.reverse();
    }
    for (encoding, label, part, share) in candidates {
        if share >= COMMON_SHARE
            && let Some(faults) = faults(bytes, encoding, whole)
        {
            let why = format!(
                "no UTF-8; {} of its Chinese characters are frequent ones ({part}){}",
                guess::percent(share),
                broken(faults)
            );
            return Some(found(encoding, label, why));
        }
    }
    None
}

fn broken(faults: usize) -> String {
    if faults == 0 {
        String::new()
    } else {
        format!(", {faults} broken characters")
    }
}

/// UTF-16 without a mark: ASCII characters have one zero byte, always on the same side.
fn wide(bytes: &[u8]) -> Option<(&'static Encoding, &'static str)> {
    let head = bytes.get(..bytes.len().min(4096))?;
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second, pairs) = (zeros(0), zeros(1), head.len() / 2);
    if second * 10 > pairs && first * 10 < second {
        Some((UTF_16LE, "utf-16le"))
    } else if first * 10 > pairs && second * 10 < first {
        Some((UTF_16BE, "utf-16be"))
    } else {
        None
    }
}

/// The characters that are none in `encoding`; `None` where they are too many for it to be meant.
fn faults(bytes: &[u8], encoding: &'static Encoding, whole: bool) -> Option<usize> {
    let (text, any) = encoding.decode_without_bom_handling(bytes);
    if !any {
        return Some(0);
    }
    let mut faults = text.chars().filter(|c| *c == '\u{fffd}').count();
    // a head ends where it ends, also inside a character
    if !whole && text.ends_with('\u{fffd}') {
        faults -= 1;
    }
    let wide = text.chars().filter(|c| !c.is_ascii()).count();
    (faults * CHARACTERS_A_FAULT <= wide).then_some(faults)
}

/// The share of frequent characters among those of two and four bytes.
fn common_share(bytes: &[u8], is_common: fn(u8, u8) -> bool) -> f64 {
    let (mut common, mut all, mut at) = (0, 0, 0);
    while let Some(lead) = bytes.get(at).copied() {
        if lead.is_ascii() {
            at += 1;
            continue;
        }
        let Some(trail) = bytes.get(at + 1).copied() else { break };
        all += 1;
        // a digit as the second byte begins the second half of a four-byte character
        if trail.is_ascii_digit() {
            at += 4;
        } else {
            common += usize::from(is_common(lead, trail));
            at += 2;
        }
    }
    guess::ratio(common, all)
}

/// The text of a sample without its mark, in lines that end alike; a head ends with its last whole line.
pub(super) fn text(bytes: &[u8], encoding: &'static Encoding, whole: bool) -> String {
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    // a reader of records takes the second half of a line end for the beginning of the next record
    let mut text = text.replace("\r\n", "\n");
    if !whole && let Some(end) = text.rfind('\n') {
        text.truncate(end + 1);
    }
    text
}

/// The layout of a text.
#[derive(Debug, Clone)]
pub(super) enum Layout {
    /// One JSON object a line.
    Ndjson,
    /// One JSON list of objects.
    JsonArray,
    /// Delimited records.
    Delimited(Delimited),
}

/// How delimited records are written.
#[derive(Debug, Clone)]
pub(super) struct Delimited {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    /// Lines before the header, or before the first record where there is none.
    pub(super) skip_lines: usize,
    /// Whether the file names its fields in a way that can be read.
    pub(super) header: bool,
    /// Records end with a delimiter.
    pub(super) trailing: bool,
    /// Names of the fields, made up where the file has none.
    pub(super) names: Vec<String>,
    /// Line of the first record.
    pub(super) data_line: u64,
    pub(super) why_delimiter: String,
    pub(super) why_header: String,
}

/// The layout of `text`; `None` for JSON that is neither objects line by line nor a list of objects.
pub(super) fn layout(text: &str) -> Option<Layout> {
    let text = head(text);
    let start = text.trim_start();
    if start.starts_with('{') {
        let first = start.lines().next()?;
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(first);
        return object.ok().map(|_| Layout::Ndjson);
    }
    if let Some(inner) = start.strip_prefix('[')
        && inner.trim_start().starts_with('{')
    {
        return Some(Layout::JsonArray);
    }
    delimited(text).map(Layout::Delimited)
}

fn head(text: &str) -> &str {
    if text.len() <= SNIFFED {
        return text;
    }
    let cut = (0..=SNIFFED).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let head = text.get(..cut).unwrap_or(text);
    match head.rfind('\n') {
        Some(end) => head.get(..=end).unwrap_or(head),
        None => head,
    }
}

/// The records of `text` from its first line on, header included.
pub(super) fn records<'t>(text: &'t str, form: &Delimited) -> csv::StringRecordsIntoIter<&'t [u8]> {
    reader(text, form.delimiter, form.quote, form.escape, form.comment)
}

fn reader(
    text: &str,
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
) -> csv::StringRecordsIntoIter<&[u8]> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    builder.delimiter(delimiter).comment(comment);
    match quote {
        Some(quote) => builder.quote(quote),
        None => builder.quoting(false),
    };
    if escape.is_some() {
        builder.escape(escape).double_quote(false);
    }
    builder.from_reader(text.as_bytes()).into_records()
}

/// The line a record begins on, from 1.
pub(super) fn line(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// One way of reading the records.
struct Attempt {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    records: Vec<StringRecord>,
    /// Fields of most records, and the share of these.
    fields: usize,
    share: f64,
    /// The first record has as many.
    first: bool,
}

impl Attempt {
    fn new(text: &str, delimiter: u8, quote: Option<u8>, escape: Option<u8>) -> Option<Attempt> {
        let found = reader(text, delimiter, quote, escape, None);
        let records: Vec<StringRecord> = found.take(RECORDS).filter_map(Result::ok).collect();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for record in &records {
            *counts.entry(record.len()).or_default() += 1;
        }
        let (fields, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let first = records.first().map_or(0, StringRecord::len);
        let ends_empty = |record: &StringRecord| record.len() != fields || record.iter().next_back() == Some("");
        let lacks_last = first + 1 == fields && records.iter().all(ends_empty);
        Some(Attempt {
            delimiter,
            quote,
            escape,
            share: guess::ratio(count, records.len()),
            first: first == fields || lacks_last,
            records,
            fields,
        })
    }

    /// Steps of five in a hundred: one ragged record must not outweigh the number of fields. That the
    /// first record fits counts for more, since a decimal comma makes fields in every record but the header.
    fn score(&self) -> (i64, usize) {
        let bonus = if self.first { 0.3 } else { 0.0 };
        (((self.share + bonus) * 20.0).round() as i64, self.fields)
    }

    /// The share of fields that stand in single quotes.
    fn in_single_quotes(&self) -> f64 {
        let (mut quoted, mut all) = (0, 0);
        for field in self
            .records
            .iter()
            .flat_map(StringRecord::iter)
            .filter(|field| !field.is_empty())
        {
            all += 1;
            quoted += usize::from(field.len() >= 2 && field.starts_with('\'') && field.ends_with('\''));
        }
        guess::ratio(quoted, all)
    }
}

/// The best way of reading with one delimiter.
fn attempt(text: &str, delimiter: u8) -> Option<Attempt> {
    let mut best = Attempt::new(text, delimiter, Some(b'"'), None)?;
    if best.in_single_quotes() >= 0.2
        && let Some(single) = Attempt::new(text, delimiter, Some(b'\''), None)
    {
        best = single;
    } else if text.contains('"') {
        let plain = Attempt::new(text, delimiter, None, None);
        if escapes(text, delimiter)
            && let Some(escaped) = Attempt::new(text, delimiter, Some(b'"'), Some(b'\\'))
            && escaped.share >= best.share
        {
            best = escaped;
        } else if let Some(plain) = plain
            && plain.share > best.share + 0.01
        {
            best = plain;
        }
    }
    Some(best)
}

/// Whether a backslash stands before a quote in the middle of a field; at its end it may be a path.
fn escapes(text: &str, delimiter: u8) -> bool {
    text.match_indices("\\\"").any(|(at, mark)| {
        let next = text.as_bytes().get(at + mark.len());
        next.is_some_and(|next| ![delimiter, b'\n', b'\r', b'"'].contains(next))
    })
}

fn delimited(text: &str) -> Option<Delimited> {
    let mut best: Option<Attempt> = None;
    for delimiter in DELIMITERS {
        let Some(found) = attempt(text, delimiter) else {
            continue;
        };
        if found.fields > 1 && best.as_ref().is_none_or(|best| found.score() > best.score()) {
            best = Some(found);
        }
    }
    let best = match best {
        Some(best) => best,
        None => Attempt::new(text, b',', Some(b'"'), None)?,
    };
    let fields = best.fields;
    let is_note = |record: &StringRecord| {
        record.len() != fields && record.get(0).is_some_and(|field| field.trim_start().starts_with('#'))
    };
    let first = best
        .records
        .iter()
        .position(|record| record.len() == fields)
        .unwrap_or(0);
    // notes above the header are lines before it; a mark is declared only where they go on
    let marked = best.records.iter().skip(first).any(is_note);
    let comment = marked.then_some(b'#');
    let records = if marked {
        let again = reader(text, best.delimiter, best.quote, best.escape, comment);
        again.take(RECORDS).filter_map(Result::ok).collect()
    } else {
        best.records
    };
    let why_delimiter = format!(
        "{} of {} records have {fields} fields",
        guess::percent(best.share),
        records.len()
    );
    let form = Delimited {
        delimiter: best.delimiter,
        quote: best.quote,
        escape: best.escape,
        comment,
        skip_lines: 0,
        header: false,
        trailing: false,
        names: Vec::new(),
        data_line: 1,
        why_delimiter,
        why_header: String::new(),
    };
    Some(with_header(form, &records, fields))
}

/// Finds the header among the first records.
fn with_header(mut form: Delimited, records: &[StringRecord], fields: usize) -> Delimited {
    let full = |record: &&StringRecord| record.len() == fields;
    let last_is_empty = fields > 1
        && guess::ratio(
            records
                .iter()
                .filter(full)
                .filter(|record| record.get(fields - 1) == Some(""))
                .count(),
            records.iter().filter(full).count(),
        ) >= 0.95;
    // the header of some exports lacks the delimiter at the end that every record has
    let lacks = |record: &StringRecord| last_is_empty && record.len() + 1 == fields;
    let at = records
        .iter()
        .take(PREFACE)
        .position(|record| record.len() == fields || lacks(record))
        .unwrap_or(0);
    let rows = records.get(at..).unwrap_or_default();
    let Some(head) = rows.first() else { return form };
    let typed = typed_columns(rows, fields);
    form.skip_lines = usize::try_from(line(head).saturating_sub(1)).unwrap_or(0);
    form.trailing = last_is_empty && (lacks(head) || head.get(fields - 1) == Some(""));
    let Some(why) = names_fields(rows, &typed) else {
        form.names = (1..=fields).map(|number| format!("column_{number}")).collect();
        form.data_line = line(head);
        form.why_header = "no header: the first record looks like the others".to_owned();
        return form;
    };
    let more = further_headers(rows, &typed, fields);
    let head = rows.get(more).unwrap_or(head);
    form.names = head.iter().map(|name| name.trim().to_owned()).collect();
    form.skip_lines = usize::try_from(line(head).saturating_sub(1)).unwrap_or(0);
    form.data_line = rows.get(more + 1).map_or(line(head) + 1, line);
    form.header = !lacks(head);
    form.why_header = why;
    if more > 0 {
        form.why_header = format!("{} header lines, of which the last names the fields", more + 1);
    }
    if !form.header {
        // the loader would count one field too many: it is told the names and passes over the header
        form.names.push("end_of_record".to_owned());
        form.skip_lines += 1;
        form.why_header = "the header lacks the delimiter that ends every record".to_owned();
    }
    form
}

/// Which columns hold numbers or times.
fn typed_columns(rows: &[StringRecord], fields: usize) -> Vec<bool> {
    // the first two rows may both be headers
    let skipped = if rows.len() > 4 { 2 } else { 1 };
    (0..fields)
        .map(|column| {
            let values = rows.iter().skip(skipped).filter_map(|row| row.get(column));
            let values: Vec<&str> = values.filter(|value| !value.trim().is_empty()).collect();
            let typed = values.iter().filter(|value| is_typed(value)).count();
            !values.is_empty() && guess::ratio(typed, values.len()) >= 0.8
        })
        .collect()
}

/// Digits with the marks of numbers, dates and times, and nothing else.
fn is_typed(text: &str) -> bool {
    let text = text.trim();
    let text = text
        .strip_suffix("AM")
        .or_else(|| text.strip_suffix("PM"))
        .unwrap_or(text);
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.,:/ TZ%".contains(&byte))
}

/// Why the first row names the fields; `None` where it is a record.
fn names_fields(rows: &[StringRecord], typed: &[bool]) -> Option<String> {
    let head = rows.first()?;
    let known = head.iter().filter(|name| guess::is_known(name)).count();
    let cells = || head.iter().zip(typed).filter(|(cell, _)| !cell.trim().is_empty());
    let over_typed = cells().filter(|(_, typed)| **typed).count();
    let text_over_typed = cells().filter(|(cell, typed)| **typed && !is_typed(cell)).count();
    if over_typed > 0 {
        return (text_over_typed * 2 > over_typed)
            .then(|| format!("words stand over {text_over_typed} columns of numbers or times"));
    }
    if known > 0 {
        return Some(format!("{known} names are known"));
    }
    let distinct: HashSet<&str> = cells().map(|(cell, _)| cell).collect();
    let recurs = head
        .iter()
        .enumerate()
        .any(|(column, cell)| !cell.is_empty() && rows.iter().skip(1).any(|row| row.get(column) == Some(cell)));
    let short = head.iter().all(|cell| cell.chars().count() <= 40);
    (short && !recurs && distinct.len() == cells().count() && rows.len() > 1)
        .then(|| "the words of the first record do not come again".to_owned())
}

/// How many rows after the first are headers as well: words where every later row has numbers.
fn further_headers(rows: &[StringRecord], typed: &[bool], fields: usize) -> usize {
    let is_header = |row: &StringRecord| {
        let cells: Vec<&str> = row
            .iter()
            .zip(typed)
            .filter(|(cell, typed)| **typed && !cell.trim().is_empty())
            .map(|(cell, _)| cell)
            .collect();
        let words = |cell: &&str| !is_typed(cell) && !guess::is_null(cell);
        row.len() == fields && cells.len() >= 2 && cells.iter().all(words)
    };
    rows.iter().skip(1).take(3).take_while(|row| is_header(row)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Delimited {
        match layout(text) {
            Some(Layout::Delimited(form)) => form,
            other => panic!("{other:?}"),
        }
    }

    fn label(bytes: &[u8]) -> Option<&'static str> {
        encoding(bytes, true).map(|found| found.label)
    }

    #[test]
    fn encodings_are_told_by_mark_by_rule_and_by_frequency() {
        let streets = "code,name\n320302001,黄楼街道\n320302002,丰财街道\n320302003,琵琶街道\n";
        assert_eq!(label(b"a,b\n1,2\n"), Some("utf-8"));
        assert_eq!(label(b"\xef\xbb\xbfa,b\n"), Some("utf-8"));
        assert_eq!(label(streets.as_bytes()), Some("utf-8"));
        let (simplified, _, _) = GB18030.encode(streets);
        assert_eq!(label(&simplified), Some("gb18030"));
        // 𠮷 needs four bytes
        let (rare, _, _) = GB18030.encode("编号,地名\n1,㑇𠮷镇\n2,湾沚区\n3,铜山区\n");
        assert_eq!(label(&rare), Some("gb18030"));
        let (traditional, _, _) = BIG5.encode("編號,地點\n1,臺北市信義區市府路\n2,高雄市左營區中正路\n");
        assert_eq!(label(&traditional), Some("big5"));
        let little: Vec<u8> = "编号,时间\n1,2025\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(label(&little), Some("utf-16le"));
        let big: Vec<u8> = "编号,时间\n1,2025\n"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(label(&big), Some("utf-16be"));
        assert_eq!(
            label(b"nom\nParisMarch\xe9,\xe9t\xe9\n"),
            None,
            "Latin-1 is none of ours"
        );
    }

    #[test]
    fn a_head_may_end_inside_a_character() {
        let bytes = "编号,地名\n1,黄楼".as_bytes();
        let head = &bytes[..bytes.len() - 1];
        assert_eq!(encoding(head, false).map(|found| found.label), Some("utf-8"));
        assert_eq!(text(head, UTF_8, false), "编号,地名\n");
    }

    #[test]
    fn one_quoted_comma_among_many_records_changes_nothing() {
        let mut text = "Date,Time,Address,N\n".to_owned();
        for number in 0..300 {
            text.push_str(&format!("01/01/24,12:20:50 AM,400 Villita St,{number}\n"));
        }
        text.push_str("01/05/24, 3:55:52,\"6300 Rue Marielyne, APT * [SUITE *]\",9\n");
        let form = form(&text);
        assert_eq!((form.delimiter, form.quote, form.names.len()), (b',', Some(b'"'), 4));
        assert!(form.header && form.skip_lines == 0 && form.data_line == 2);
    }

    #[test]
    fn whatever_ends_the_lines_the_header_is_no_row() {
        let lines = ["id,n", "a,1", "b,2", "c,3"];
        for end in ["\n", "\r\n"] {
            let sample = format!("{}{end}", lines.join(end));
            let text = text(sample.as_bytes(), UTF_8, true);
            let form = form(&text);
            let rows = records(&text, &form).filter_map(Result::ok);
            assert_eq!(rows.filter(|row| line(row) >= form.data_line).count(), 3, "{end:?}");
        }
    }

    #[test]
    fn a_decimal_comma_is_no_delimiter() {
        let form = form("a;b;c\n1;2,5;3,7\n2;3,5;4,7\n3;4,5;5,7\n");
        assert_eq!((form.delimiter, form.names.len()), (b';', 3));
    }

    #[test]
    fn two_header_lines_and_a_delimiter_at_the_end() {
        let form = form(
            "\"GEO_ID\",\"B01003_001E\",\"B01003_001M\",\n\"Geography\",\"Estimate!!Total\",\"Margin\",\n\
             \"8600000US73949\",\"1874\",\"300\",\n\"8600000US75001\",\"15418\",\"213\",\n\
             \"8600000US75002\",\"73916\",\"2094\",\n\"8600000US75006\",\"52231\",\"706\",\n",
        );
        assert_eq!((form.skip_lines, form.trailing, form.header), (1, true, true));
        assert_eq!(form.names, ["Geography", "Estimate!!Total", "Margin", ""]);
        assert_eq!(form.data_line, 3);
    }

    #[test]
    fn a_header_without_the_last_delimiter_is_replaced_by_names() {
        let form = form("a,b\n1,2,\n3,4,\n5,6,\n");
        assert_eq!(form.names, ["a", "b", "end_of_record"]);
        assert_eq!((form.header, form.skip_lines, form.data_line), (false, 1, 2));
    }

    #[test]
    fn a_file_without_a_header_gets_made_up_names() {
        let form = form("1,2024-01-01 00:00:00,3\n2,2024-01-01 00:10:00,4\n3,2024-01-01 00:20:00,5\n");
        assert!(!form.header);
        assert_eq!(form.names, ["column_1", "column_2", "column_3"]);
    }

    #[test]
    fn notes_above_the_header_are_skipped_and_notes_between_records_marked() {
        let above = form("# export of 2024\n# by nobody\nid,value\n1,2\n2,3\n3,4\n");
        assert_eq!((above.skip_lines, above.comment, above.data_line), (2, None, 4));
        let between = form("id,value\n1,2\n# a note\n2,3\n3,4\n4,5\n");
        assert_eq!((between.skip_lines, between.comment), (0, Some(b'#')));
    }

    #[test]
    fn quotes_of_other_kinds_are_seen() {
        assert_eq!(form("a,b\n'x, y','1'\n'z','2'\n'w','3'\n").quote, Some(b'\''));
        assert_eq!(form("a,b\n\"say \\\"no\\\" now\",1\n\"x\",2\n").escape, Some(b'\\'));
        assert_eq!(form("id|name\n1|黄楼街道\n2|丰财街道\n").delimiter, b'|');
        assert_eq!(form("id\tname\n1\ta, b\n2\tc, d\n").delimiter, b'\t');
    }

    #[test]
    fn json_is_objects_or_a_list_of_them() {
        assert!(matches!(layout("{\"a\":1}\n{\"a\":2}\n"), Some(Layout::Ndjson)));
        assert!(matches!(layout("[\n {\"a\":1},\n {\"a\":2}]"), Some(Layout::JsonArray)));
        assert!(layout("{\n \"type\": \"FeatureCollection\"\n}").is_none());
    }
}
