//! `pipelines/shares/<name>.toml` with `sql/share/<name>.sql`: what is shared, with whom, why, until when.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::site::SiteFile;
use crate::config::{Site, text};
use crate::engine::references;
use crate::error::{Kind, Problem, Result, fail};
use crate::lake::digest::hex;
use crate::message::Message;
use crate::time::calendar;

/// Counts below this are never shared; a share may only ask for more.
pub const LEAST_K: u64 = 10;

/// Whose rows a share shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Each county's own, to itself alone.
    Own,
    /// Counts of several counties side by side, through the gate.
    Compared,
}

/// A share that counts the same calls by day.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// Its name.
    pub share: String,
    /// How many days each count of this share spans, from the day of its period.
    pub days: u16,
}

/// A share as a person writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareFile {
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// The question that it answers.
    pub question: String,
    /// Who reads it.
    pub audience: String,
    /// Whose rows it shows.
    pub class: Class,
    /// The column of the county.
    #[serde(default = "county")]
    pub county: String,
    /// The column of the day on which a count stands, or on which its span begins.
    #[serde(default)]
    pub period: Option<String>,
    /// The further columns that tell counts apart.
    #[serde(default)]
    pub dims: Vec<String>,
    /// The column of the count.
    #[serde(default)]
    pub count: Option<String>,
    /// Columns over which totals are shown as well.
    #[serde(default)]
    pub totals: Vec<Vec<String>>,
    /// The share of days whose calls these are too: the gate then decides on what both give away together.
    #[serde(default)]
    pub within: Option<Within>,
    /// The least count that is shown.
    #[serde(default = "least_k")]
    pub k: u64,
    /// What it may be used for.
    pub purpose: String,
    /// On which ground.
    pub legal_basis: String,
    /// Who approved it; without, it is not published.
    #[serde(default)]
    pub approver: String,
    /// The last day on which it is shared; without, it is not published.
    #[serde(default)]
    pub expires: String,
}

fn county() -> String {
    "county".to_owned()
}

fn least_k() -> u64 {
    LEAST_K
}

/// A share whose parts fit together.
#[derive(Debug, Clone)]
pub struct Share {
    /// Its name, that of both files.
    pub name: String,
    /// What was written.
    pub file: ShareFile,
    /// Its SELECT.
    pub sql: SiteFile,
    /// The tables that it reads.
    pub inputs: Vec<String>,
    /// The last day on which it is shared, days since 1970-01-01; none where nobody approved it.
    pub expires: Option<i32>,
    /// The share of days that it lies within.
    pub(super) outer: Option<Box<Share>>,
    /// The shares of spans that lie within it.
    pub(super) inner: Vec<Share>,
    text: String,
}

impl Share {
    /// The table of the share.
    pub fn table(&self) -> String {
        format!("share.{}", self.name)
    }

    /// The least count that it shows, 0 where it shows each county its own.
    pub fn k(&self) -> u64 {
        match self.file.class {
            Class::Own => 0,
            Class::Compared => self.file.k,
        }
    }

    /// Why it is not published on a day, where it is not.
    pub fn state(&self, today: i32) -> Option<&'static str> {
        match self.expires {
            _ if self.file.approver.trim().is_empty() => Some("unapproved"),
            None => Some("unapproved"),
            Some(expires) if expires < today => Some("expired"),
            Some(_) => None,
        }
    }

    /// What its rows depend on besides the inputs.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.sql.text);
        hash.update(&self.text);
        hex(&hash.finalize())[..32].to_owned()
    }
}

/// The shares of a site by name, those of days before those within them.
///
/// # Errors
/// `Input` with every problem of every file.
pub fn shares(site: &Site) -> Result<Vec<Share>> {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for file in site.files("pipelines/shares", ".toml")? {
        let given: ShareFile =
            toml::from_str(&file.text).map_err(|cause| text::toml_error(&file.path, &file.text, &cause))?;
        let name = file.stem().to_owned();
        let sql = match site.file(&format!("sql/share/{name}.sql")) {
            Err(error) if error.kind() == Kind::Missing => {
                let message = Message::new("share_without_sql", &[&name]);
                problems.push(text::problem_at(&file.path, &file.text, 0, message));
                continue;
            }
            sql => sql?,
        };
        let inputs = match references(&sql.path, &sql.text) {
            Ok(inputs) => inputs,
            Err(error) if error.problems().is_empty() => return Err(error),
            Err(error) => {
                problems.extend(error.problems().iter().cloned());
                continue;
            }
        };
        let before = problems.len();
        check(&file, &given, &mut problems);
        check_inputs(&sql, &given, &inputs, &mut problems);
        if problems.len() == before {
            found.push(Share {
                name,
                expires: calendar::day(&given.expires),
                file: given,
                sql,
                inputs,
                outer: None,
                inner: Vec::new(),
                text: file.text.clone(),
            });
        }
    }
    nest(site, &mut found, &mut problems)?;
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(fail(Kind::Input, "shares_invalid", &[]).with_problems(problems))
    }
}

/// Gives each share the others that count its calls.
fn nest(site: &Site, shares: &mut [Share], problems: &mut Vec<Problem>) -> Result<()> {
    let alone = shares.to_vec();
    for share in &alone {
        let Some(within) = &share.file.within else { continue };
        let outer = alone.iter().position(|other| other.name == within.share);
        let fits = |outer: &Share| {
            let (own, days) = (&share.file, &outer.file);
            own.class == Class::Compared
                && days.class == Class::Compared
                && days.within.is_none()
                && days.k == own.k
                && days.county == own.county
                && within.days > 0
                && days.dims.iter().all(|dim| own.dims.contains(dim))
        };
        match outer.filter(|at| fits(&alone[*at])) {
            Some(outer) => {
                shares[outer].inner.push(share.clone());
                if let Some(own) = shares.iter_mut().find(|own| own.name == share.name) {
                    own.outer = Some(Box::new(alone[outer].clone()));
                }
            }
            None => {
                let file = site.file(&format!("pipelines/shares/{}.toml", share.name))?;
                let message = Message::new("share_within", &[&within.share]);
                problems.push(text::problem_at_word(&file.path, &file.text, "within", message));
            }
        }
    }
    shares.sort_by_key(|share| share.outer.is_some());
    Ok(())
}

/// What a file says has to fit together.
fn check(file: &SiteFile, given: &ShareFile, problems: &mut Vec<Problem>) {
    let mut wrong = |word: &str, message: Message| {
        problems.push(text::problem_at_word(&file.path, &file.text, word, message));
    };
    if !given.expires.is_empty() && calendar::day(&given.expires).is_none() {
        wrong(&given.expires, Message::new("not_a_day", &[&given.expires]));
    }
    for (key, said) in [
        ("question", &given.question),
        ("audience", &given.audience),
        ("purpose", &given.purpose),
        ("legal_basis", &given.legal_basis),
    ] {
        if said.trim().is_empty() {
            wrong(key, Message::new("share_says_nothing", &[&key]));
        }
    }
    if given.class == Class::Own {
        let counts = given.count.is_some() || given.within.is_some();
        if counts || !given.totals.is_empty() || !given.dims.is_empty() {
            wrong("class", Message::new("share_own_counts", &[]));
        }
        return;
    }
    if given.k < LEAST_K {
        wrong("k", Message::new("share_k", &[&given.k, &LEAST_K]));
    }
    if given.count.is_none() || given.period.is_none() {
        wrong("class", Message::new("share_compared", &[]));
    }
    let dims =
        |names: &[String]| -> Vec<String> { names.iter().filter(|name| **name != given.county).cloned().collect() };
    let named = [Some(&given.county), given.period.as_ref(), given.count.as_ref()];
    for (at, name) in given.dims.iter().enumerate() {
        if given.dims[..at].contains(name) || named.contains(&Some(name)) {
            wrong(name, Message::new("share_dim_twice", &[name]));
        }
    }
    let sorted = |names: &[String]| -> std::collections::BTreeSet<String> { names.iter().cloned().collect() };
    for (at, total) in given.totals.iter().enumerate() {
        let again = given.totals[..at].iter().any(|other| sorted(other) == sorted(total));
        if total.is_empty() || again || sorted(total).len() != total.len() {
            wrong("totals", Message::new("share_total_twice", &[&total.join(", ")]));
        }
        for name in total
            .iter()
            .filter(|name| **name != given.county && !given.dims.contains(name))
        {
            wrong(name, Message::new("share_total_of", &[name]));
        }
        // a total of all counties tells each of them what the others had; so it is the sum of what each shows
        let own = dims(total);
        let of_each = own.is_empty()
            || given
                .totals
                .iter()
                .any(|other| !other.contains(&given.county) && dims(other) == own);
        if total.contains(&given.county) && !of_each {
            wrong("totals", Message::new("share_total_of_all", &[&own.join(", ")]));
        }
    }
}

/// Shares read what models made of the sources, and places of calls only behind the filter of spatial products.
fn check_inputs(sql: &SiteFile, given: &ShareFile, inputs: &[String], problems: &mut Vec<Problem>) {
    for input in inputs {
        if input.starts_with("source.") || !input.contains('.') || input.starts_with("share.") {
            let message = Message::new("share_reads", &[input]);
            problems.push(text::problem_at_word(&sql.path, &sql.text, input, message));
        }
    }
    let spatial = given.dims.iter().any(|name| name == "cell" || name == "area");
    if spatial && let Some(input) = inputs.iter().find(|input| *input == "core.alarm") {
        let message = Message::new("share_spatial", &[input]);
        problems.push(text::problem_at_word(&sql.path, &sql.text, input, message));
    }
}
