//! Code lists: `pipelines/codes/<list>.csv`, a `code` column and attributes of each code.

use std::collections::{BTreeSet, HashMap};

use crate::config::site::SiteFile;
use crate::error::{Kind, Place, Problem, Result, fail};
use crate::message::Message;

/// The known codes of one list with their attributes.
#[derive(Debug, Clone, Default)]
pub struct CodeList {
    attributes: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

impl CodeList {
    /// Reads a list from its CSV text.
    ///
    /// # Errors
    /// `Input` where the first column is not `code`, a row is ragged or a code stands twice.
    pub fn parse(file: &SiteFile) -> Result<CodeList> {
        let mut reader = csv::Reader::from_reader(file.text.as_bytes());
        let problem = |line: u64, message| Problem {
            place: Place {
                path: file.path.clone(),
                line: usize::try_from(line).unwrap_or(0),
                column: 0,
            },
            message,
            excerpt: None,
        };
        let broken = |problems| fail(Kind::Input, "codes_invalid", &[&file.path]).with_problems(problems);
        let header = reader
            .headers()
            .map_err(|cause| broken(Vec::new()).because(cause))?
            .clone();
        if header.get(0) != Some("code") {
            let found = header.get(0).unwrap_or_default();
            return Err(broken(vec![problem(1, Message::new("codes_header", &[&found]))]));
        }
        let mut list = CodeList {
            attributes: header.iter().skip(1).map(str::to_owned).collect(),
            rows: HashMap::new(),
        };
        let mut problems = Vec::new();
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(cause) => return Err(broken(problems).because(cause)),
            };
            let line = record.position().map_or(0, csv::Position::line);
            let mut fields = record.iter().map(str::to_owned);
            let code = fields.next().unwrap_or_default();
            if list.rows.insert(code.clone(), fields.collect()).is_some() {
                problems.push(problem(line, Message::new("codes_twice", &[&code])));
            }
        }
        if problems.is_empty() {
            Ok(list)
        } else {
            Err(broken(problems))
        }
    }

    /// Whether `code` is known.
    pub fn contains(&self, code: &str) -> bool {
        self.rows.contains_key(code)
    }

    /// The position of an attribute.
    pub fn attribute(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|known| known == name)
    }

    /// An attribute of a code.
    pub fn get(&self, code: &str, attribute: usize) -> Option<&str> {
        self.rows.get(code)?.get(attribute).map(String::as_str)
    }

    /// The distinct values of an attribute, in order.
    pub fn values(&self, attribute: usize) -> Vec<String> {
        let found = self.rows.values().filter_map(|row| row.get(attribute));
        found.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The names of the attributes.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }
}
