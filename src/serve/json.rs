//! The protocol's words: lines of JSON about tables and files, and what a request asks for.
//! Source: Delta Sharing protocol, "REST APIs" and "API Response Format".

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::serve::files::{Listing, Named};

/// How deep a hint may nest.
const DEPTH: usize = 50;

/// What a query asks for besides the table.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Query {
    /// Best-effort filters; files leave whole, so that they change nothing.
    predicate_hints: Option<Vec<String>>,
    json_predicate_hints: Option<String>,
    /// Rows that are enough.
    pub limit_hint: Option<u64>,
    /// The version that is meant.
    pub version: Option<u64>,
    timestamp: Option<String>,
    starting_version: Option<u64>,
    starting_timestamp: Option<String>,
    ending_version: Option<u64>,
    ending_timestamp: Option<String>,
    /// Files of one answer.
    pub max_files: Option<u64>,
    /// Where the next answer begins.
    pub page_token: Option<String>,
    include_refresh_token: Option<bool>,
    refresh_token: Option<String>,
    ids_only: Option<bool>,
}

/// Why a request cannot be understood or is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is no request of the protocol.
    Malformed,
    /// Earlier states and changes are not shared.
    History,
}

impl Query {
    /// Reads the body of a query.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Query, Refusal> {
        let body: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let object: Map<String, Value> = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
        let query: Query = serde_json::from_value(object.into()).map_err(|_| Refusal::Malformed)?;
        if let Some(hints) = &query.json_predicate_hints {
            let hints: Value = serde_json::from_str(hints).map_err(|_| Refusal::Malformed)?;
            if depth(&hints) > DEPTH {
                return Err(Refusal::Malformed);
            }
        }
        let history = [
            query.timestamp.is_some(),
            query.starting_version.is_some(),
            query.starting_timestamp.is_some(),
            query.ending_version.is_some(),
            query.ending_timestamp.is_some(),
        ];
        match history.contains(&true) {
            true => Err(Refusal::History),
            false => Ok(query),
        }
    }

    /// What a client wanted to be spared, for the record: how many hints it gave.
    pub fn hints(&self) -> usize {
        self.predicate_hints.as_ref().map_or(0, Vec::len) + usize::from(self.json_predicate_hints.is_some())
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// As actions of a Delta log.
    pub delta: bool,
    /// With a line that says that the answer is whole.
    pub ended: bool,
}

impl Format {
    /// What a client can read.
    pub fn of(headers: &HeaderMap) -> Format {
        let mut format = Format {
            delta: false,
            ended: false,
        };
        let values = headers.get_all("delta-sharing-capabilities").iter();
        for part in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
        {
            let Some((key, value)) = part.split_once('=') else {
                continue;
            };
            match key.trim().to_ascii_lowercase().as_str() {
                "responseformat" => {
                    let mut formats = value.split(',').map(str::trim);
                    format.delta = formats.clone().any(|known| known.eq_ignore_ascii_case("delta"))
                        && !formats.any(|known| known.eq_ignore_ascii_case("parquet"));
                }
                "includeendstreamaction" => format.ended = value.trim().eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        format
    }

    /// The value of the header that says so.
    pub fn name(self) -> &'static str {
        if self.delta {
            "responseformat=delta"
        } else {
            "responseformat=parquet"
        }
    }
}

/// The lines that stand before the files.
pub fn head(listing: &Listing, format: Format, version: u64, files: &[Named<'_>]) -> Vec<Value> {
    let shape = &listing.shape;
    let described = json!({
        "id": shape.id,
        "format": { "provider": "parquet", "options": {} },
        "schemaString": shape.schema,
        "partitionColumns": shape.partition_by,
        "configuration": {},
    });
    let size: u64 = files.iter().map(|(_, file)| file.size).sum();
    if format.delta {
        return vec![
            json!({ "protocol": { "deltaProtocol": { "minReaderVersion": 1, "minWriterVersion": 2 } } }),
            json!({ "metaData": {
                "version": version, "size": size, "numFiles": files.len(), "deltaMetadata": described,
            } }),
        ];
    }
    let mut described = described;
    described["version"] = version.into();
    described["size"] = size.into();
    described["numFiles"] = files.len().into();
    vec![
        json!({ "protocol": { "minReaderVersion": 1 } }),
        json!({ "metaData": described }),
    ]
}

/// The line of a file; `ends` is the millisecond at which its address ends.
pub fn file((digest, file): Named<'_>, url: &str, format: Format, version: u64, ends: i64) -> Value {
    let values: BTreeMap<&String, &Option<String>> =
        file.partition.iter().map(|(column, value)| (column, value)).collect();
    // nothing but the number of rows: what a file holds is seen in the file
    let stats = json!({ "numRecords": file.rows }).to_string();
    if format.delta {
        return json!({ "file": {
            "id": digest,
            "size": file.size,
            "version": version,
            "timestamp": file.modified_millis,
            "expirationTimestamp": ends,
            "deltaSingleAction": { "add": {
                "path": url,
                "partitionValues": values,
                "size": file.size,
                "modificationTime": file.modified_millis,
                "dataChange": true,
                "stats": stats,
            } },
        } });
    }
    json!({ "file": {
        "url": url,
        "id": digest,
        "partitionValues": values,
        "size": file.size,
        "stats": stats,
        "version": version,
        "timestamp": file.modified_millis,
        "expirationTimestamp": ends,
    } })
}

/// Values as lines.
pub fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_for_what_it_is() {
        assert!(Query::read(b"").is_ok() && Query::read(b"{\"limitHint\": 3, \"unknown\": 1}").is_ok());
        let deep = format!("{}{}", "[".repeat(51), "]".repeat(51));
        let deep = json!({ "jsonPredicateHints": deep }).to_string();
        let nested = "[".repeat(100_000);
        for wrong in [
            "[]",
            "{\"limitHint\": -1}",
            "{\"version\": 9223372036854775808000}",
            "{",
            &deep,
            &nested,
        ] {
            assert_eq!(
                Query::read(wrong.as_bytes()).err(),
                Some(Refusal::Malformed),
                "{wrong:.60}"
            );
        }
        let history = Query::read(b"{\"startingVersion\": 0}").err();
        assert_eq!(history, Some(Refusal::History));
    }

    #[test]
    fn the_delta_format_is_for_those_who_read_nothing_else() {
        let format = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("delta-sharing-capabilities", text.parse().expect("a value"));
            Format::of(&headers)
        };
        assert!(format("responseformat=delta;readerfeatures=deletionvectors").delta);
        assert!(!format("responseformat=delta,parquet").delta && !format("x;=").delta);
        assert!(format("responseformat=parquet;includeEndStreamAction=true").ended);
    }
}
