//! `pipelines/rules/<name>.toml`: what a model's rows are for, who acts on them, with which parameters, and until when.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::site::SiteFile;
use crate::config::{Site, text};
use crate::engine::Parameters;
use crate::error::{Problem, Result};
use crate::message::Message;
use crate::time::calendar;

/// Who acts on a warning, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A police station.
    Station,
    /// A county centre.
    County,
    /// The city centre.
    City,
}

impl Level {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Level::Station => "station",
            Level::County => "county",
            Level::City => "city",
        }
    }
}

/// How urgent a warning is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Look into it.
    Blue,
    /// Look into it today.
    Yellow,
    /// Act on it.
    Orange,
    /// Act on it at once.
    Red,
}

impl Grade {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Grade::Blue => "blue",
            Grade::Yellow => "yellow",
            Grade::Orange => "orange",
            Grade::Red => "red",
        }
    }
}

/// How findings become warnings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// The columns that name a unit: findings of the same unit are one warning that grows.
    pub unit: Vec<String>,
    /// A column of lists in place of that: findings that have an item in common are one warning that grows.
    #[serde(default)]
    pub overlap: Option<String>,
    /// The columns in which these have to agree as well.
    #[serde(default)]
    pub within: Vec<String>,
    /// The column by which warnings are ranked.
    pub score: String,
    /// The column of their grade: blue, yellow, orange, red.
    pub grade: String,
    /// Warnings that are opened in seven days at most; what is beyond is told together.
    pub alerts_per_week: u32,
    /// A finding so many days after the last one is still the same warning.
    pub gap_days: u16,
    /// So many days after a warning was closed, its unit opens no other.
    pub refractory_days: u16,
    /// A finding older than so many days is history and opens nothing.
    pub fresh_days: u16,
    /// A warning without a new finding for so many days has expired.
    pub expires_days: u16,
}

/// What a product has to show before it warns anybody.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Weeks that its inputs have to hold before it is run again over any.
    pub history_weeks: u16,
    /// The newest weeks over which it is run again after each change, before it warns.
    pub weeks: u16,
}

/// What a reader has to know before trusting a product.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// What it leaves out, Chinese.
    pub excluded_zh: String,
    /// The same in English.
    pub excluded_en: String,
    /// Where it misleads, Chinese.
    pub biases_zh: String,
    /// The same in English.
    pub biases_en: String,
    /// The office that answers for it; a position, no person.
    pub keeper: String,
    /// The last day on which it runs, `YYYY-MM-DD`.
    pub ends: String,
}

/// A decision about a product, with an end: after it, it is looked into again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The office that decided; a position, no person.
    pub by: String,
    /// The first day on which it holds, `YYYY-MM-DD`.
    pub first: String,
    /// The last.
    pub until: String,
    /// Why, Chinese.
    pub reason_zh: String,
    /// The same in English.
    pub reason_en: String,
}

impl Decision {
    /// Whether it holds on a day, days since 1970-01-01.
    pub fn holds(&self, today: i32) -> bool {
        let [first, until] = [&self.first, &self.until].map(|day| calendar::day(day));
        first.is_some_and(|first| first <= today) && until.is_some_and(|until| today <= until)
    }
}

/// A product as a person writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductFile {
    /// Its sign, such as W01.
    pub product: String,
    /// The model whose rows it is.
    pub model: String,
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// The question that it answers, Chinese.
    pub question_zh: String,
    /// The same in English.
    pub question_en: String,
    /// Who acts on it first.
    pub owner: Level,
    /// What they do, Chinese.
    pub action_zh: String,
    /// The same in English.
    pub action_en: String,
    /// How its rows become warnings; without, they are a map or a list.
    #[serde(default)]
    pub warning: Option<Warning>,
    /// What it has to show before it warns.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// Who decided that it warns of nothing for a while.
    #[serde(default)]
    pub suspended: Option<Decision>,
    /// Who decided that it warns although its false alarms weigh on some areas more than on others.
    #[serde(default)]
    pub signed: Option<Decision>,
    /// Values of `$name` in its SELECT.
    #[serde(default)]
    pub parameters: Parameters,
    /// Its model card.
    pub card: Card,
}

/// A product whose parts fit together.
#[derive(Debug, Clone)]
pub struct Product {
    /// Its name, that of its file.
    pub name: String,
    /// What was written.
    pub file: ProductFile,
    /// Where.
    pub source: SiteFile,
    /// The last day on which it runs, days since 1970-01-01.
    pub ends: i32,
}

impl Product {
    /// A product as it is written.
    ///
    /// # Errors
    /// `Input` with the place for a file that is none.
    pub fn parse(source: SiteFile) -> Result<Product> {
        let file: ProductFile =
            toml::from_str(&source.text).map_err(|cause| text::toml_error(&source.path, &source.text, &cause))?;
        Ok(Product {
            name: source.stem().to_owned(),
            ends: calendar::day(&file.card.ends).unwrap_or(i32::MIN),
            file,
            source,
        })
    }

    /// Who acts on a grade: the higher it is, the wider.
    pub fn level(&self, grade: Grade) -> Level {
        let least = match grade {
            Grade::Blue => Level::Station,
            Grade::Yellow | Grade::Orange => Level::County,
            Grade::Red => Level::City,
        };
        least.max(self.file.owner)
    }
}

/// The products of a site.
///
/// # Errors
/// `Input` for a file that is none; what does not fit together is added to the problems.
pub fn products(site: &Site, problems: &mut Vec<Problem>) -> Result<Vec<Product>> {
    let mut found = Vec::new();
    let mut of_model: BTreeMap<String, String> = BTreeMap::new();
    for source in site.files("pipelines/rules", ".toml")? {
        let product = Product::parse(source)?;
        let (SiteFile { path, text, .. }, model) = (&product.source, &product.file.model);
        let before = problems.len();
        check(&product.source, &product.file, problems);
        if let Some(other) = of_model.insert(model.clone(), path.clone()) {
            let message = Message::new("product_twice", &[model, &other]);
            problems.push(text::problem_at_word(path, text, "model", message));
        }
        if problems.len() == before {
            found.push(product);
        }
    }
    Ok(found)
}

/// What a file says has to fit together.
fn check(source: &SiteFile, file: &ProductFile, problems: &mut Vec<Problem>) {
    let mut wrong = |word: &str, message: Message| {
        problems.push(text::problem_at_word(&source.path, &source.text, word, message));
    };
    for (key, said) in [
        ("question_zh", &file.question_zh),
        ("question_en", &file.question_en),
        ("action_zh", &file.action_zh),
        ("action_en", &file.action_en),
        ("excluded_zh", &file.card.excluded_zh),
        ("excluded_en", &file.card.excluded_en),
        ("biases_zh", &file.card.biases_zh),
        ("biases_en", &file.card.biases_en),
        ("keeper", &file.card.keeper),
    ] {
        if said.trim().is_empty() {
            wrong(key, Message::new("share_says_nothing", &[&key]));
        }
    }
    if calendar::day(&file.card.ends).is_none() {
        wrong("ends", Message::new("not_a_day", &[&file.card.ends]));
    }
    for (table, decision) in [("suspended", &file.suspended), ("signed", &file.signed)] {
        let Some(decision) = decision else { continue };
        if file.warning.is_none() {
            wrong(table, Message::new("product_decides_nothing", &[&table, &file.model]));
        }
        let Decision {
            by,
            first,
            until,
            reason_zh,
            reason_en,
        } = decision;
        for (key, said) in [("by", by), ("reason_zh", reason_zh), ("reason_en", reason_en)] {
            if said.trim().is_empty() {
                wrong(key, Message::new("share_says_nothing", &[&key]));
            }
        }
        match (calendar::day(first), calendar::day(until)) {
            (Some(from), Some(to)) if from <= to => {}
            (Some(_), Some(_)) => wrong("until", Message::new("days_reversed", &[first, until])),
            (None, _) => wrong("first", Message::new("not_a_day", &[first])),
            (_, None) => wrong("until", Message::new("not_a_day", &[until])),
        }
    }
    let Some(warning) = &file.warning else {
        if file.model.starts_with("warning.") {
            wrong("model", Message::new("product_without_warning", &[&file.model]));
        }
        return;
    };
    if warning.unit.is_empty() {
        wrong("unit", Message::new("share_says_nothing", &[&"unit"]));
    }
    if warning.overlap.is_none() && !warning.within.is_empty() {
        wrong("within", Message::new("product_within", &[]));
    }
    match &file.gate {
        Some(gate) if gate.weeks >= 1 && gate.history_weeks >= gate.weeks => {}
        _ => wrong("gate", Message::new("product_gate", &[])),
    }
    if warning.alerts_per_week == 0 {
        wrong("alerts_per_week", Message::new("product_budget", &[]));
    }
}
