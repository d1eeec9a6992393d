//! Place hints: facts about a place that a crew is told with its order, and what crews said of them. At most three, each
//! with its age; what somebody marked as wrong is shown no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::engine::Session;
use crate::error::{Kind, Result, fail};
use crate::lake::digest::hex;
use crate::place::cell;
use crate::time::calendar;
use crate::warn::table::{groups, read};

/// The facts of all cells.
pub const FACT: &str = "risk.place_hint";
/// What to keep in mind, by category.
pub const CARD: &str = "ref.procedure_card";
/// What crews said.
pub const MARKED: &str = "core.hint_mark";
/// The folder of a site in which marks lie, until they are read.
pub const INBOX: &str = "inbox/hint_mark";
/// The contract and the site's table by which a call is found.
pub const ALARM: &str = "core.alarm";

/// Hints at most: more are not read on the way.
const MOST: usize = 3;
/// In place of a county, of what holds in all of them.
const EVERYWHERE: &str = "all";
/// Resolution of the cells of facts.
const CELL: u8 = 9;
/// Groups whose calls a crew should know of whatever it is called for.
const GRAVE: [&str; 2] = ["criminal", "public_order"];
/// Groups for which the way to a hospital comes before the next camera.
const HURT: [&str; 2] = ["urgent_help", "traffic"];

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A dangerous site nearby.
    Hazard,
    /// Calls of the last year in a place that enough households share.
    History,
    /// What to keep in mind with such a call.
    Card,
    /// A camera that works.
    Camera,
    /// The nearest hospital.
    Hospital,
}

impl About {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            About::Hazard => "hazard",
            About::History => "history",
            About::Card => "card",
            About::Camera => "camera",
            About::Hospital => "hospital",
        }
    }
}

/// What a crew says of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Verdict {
    /// It is not so: it is shown no more.
    Wrong,
    /// It helped; one that was marked wrong is shown again.
    Useful,
}

/// A mark on a hint. It names no person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its own name.
    pub mark_id: String,
    /// The hint.
    pub hint_id: String,
    /// The county of the place.
    pub county: String,
    /// What is said.
    pub mark: Verdict,
    /// When, RFC 3339.
    pub marked_at: String,
}

impl Mark {
    /// A new mark, named by what it says; as a line of JSON.
    ///
    /// # Errors
    /// `Bug` where it cannot be written.
    pub fn line(hint_id: &str, county: &str, mark: Verdict, at: &str) -> Result<(Mark, String)> {
        let mut said = Mark {
            mark_id: String::new(),
            hint_id: hint_id.to_owned(),
            county: county.to_owned(),
            mark,
            marked_at: at.to_owned(),
        };
        let text = |mark: &Mark| {
            serde_json::to_string(mark).map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))
        };
        said.mark_id = hex(&blake3::hash(text(&said)?.as_bytes()).as_bytes()[..16]);
        let line = text(&said)? + "\n";
        Ok((said, line))
    }

    /// What counts of it; nothing of one without a time.
    fn said(&self) -> Option<Said> {
        let at = chrono::DateTime::parse_from_rfc3339(&self.marked_at).ok()?;
        Some(Said {
            hint_id: self.hint_id.clone(),
            mark: self.mark,
            at: at.timestamp_micros(),
        })
    }
}

/// A mark as it counts.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    hint_id: String,
    mark: Verdict,
    /// When, UTC microseconds.
    at: i64,
}

/// A row of the facts.
#[derive(Debug, Clone, Deserialize)]
struct Fact {
    cell: i64,
    cell_text: String,
    county: String,
    label_zh: String,
    label_en: String,
    kind: About,
    subject: String,
    text_zh: String,
    text_en: String,
    fact_on: Option<String>,
    weight: i64,
    households: Option<i64>,
    last_day: String,
}

impl Fact {
    fn hint_id(&self) -> String {
        named(&[&self.cell_text, self.kind.word(), &self.subject])
    }
}

/// The name of a hint: the same from night to night, whatever its numbers say.
fn named(parts: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    format!("hint-{}", hex(&hash.finalize().as_bytes()[..8]))
}

#[derive(Debug, Deserialize)]
struct Card {
    category: String,
    version: i64,
    points_zh: String,
    points_en: String,
}

impl Card {
    /// Another version is another hint.
    fn hint_id(&self) -> String {
        named(&["card", &self.category, &self.version.to_string()])
    }
}

/// A hint as a crew reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// Its name, by which it is marked.
    pub hint_id: String,
    /// What it is about.
    pub kind: About,
    /// What it says, Chinese.
    pub text_zh: String,
    /// What it says, English.
    pub text_en: String,
    /// The day of the fact, `YYYY-MM-DD`; none where nobody dates it.
    pub fact_on: Option<String>,
    /// Days from then to the day of asking.
    pub age_days: Option<i32>,
    /// Households over which calls are spread.
    pub households: Option<i64>,
}

/// What is told of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The county; none where nothing is known of the place.
    pub county: Option<String>,
    /// The place in words, Chinese and English.
    pub place: Option<[String; 2]>,
    /// The newest day of the facts.
    pub as_of: Option<String>,
    /// At most three hints.
    pub hints: Vec<Hint>,
}

/// The facts of a release, ready to be asked.
#[derive(Debug, Default)]
pub struct Hints {
    cells: HashMap<i64, Vec<Fact>>,
    cards: BTreeMap<String, Card>,
    groups: BTreeMap<String, String>,
    /// The marks of the release.
    marks: Vec<Said>,
    /// What is hidden: the newest mark of it says that it is wrong.
    hidden: BTreeSet<String>,
}

impl Hints {
    /// The facts of one cell, or of all. The session holds those tables of a release that are there.
    ///
    /// # Errors
    /// As the tables cannot be read.
    pub async fn load(session: &Session, marked: bool, only: Option<i64>) -> Result<Hints> {
        let condition = only.map_or_else(String::new, |cell| format!(" WHERE cell = {cell}"));
        let mut hints = Hints::default();
        let sql = format!("SELECT * FROM {FACT}{condition}");
        for fact in read::<Fact>(session, FACT, &sql).await? {
            hints.cells.entry(fact.cell).or_default().push(fact);
        }
        for facts in hints.cells.values_mut() {
            facts.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.subject.cmp(&b.subject)));
        }
        let sql = format!("SELECT category, version, points_zh, points_en FROM {CARD}");
        let cards = read::<Card>(session, CARD, &sql).await?;
        hints.cards = cards.into_iter().map(|card| (card.category.clone(), card)).collect();
        hints.groups = groups(session).await?;
        if marked {
            let sql = format!("SELECT hint_id, mark, arrow_cast(marked_at, 'Int64') AS at FROM {MARKED}");
            hints.marks = read(session, MARKED, &sql).await?;
        }
        hints.marked(&[]);
        Ok(hints)
    }

    /// Hides what is wrong by the newest mark, of the release or of those that are not in it yet.
    pub fn marked(&mut self, since: &[Mark]) {
        let since = since.iter().filter_map(Mark::said);
        let mut all: Vec<Said> = self.marks.iter().cloned().chain(since).collect();
        all.sort_by_key(|said| said.at);
        self.hidden.clear();
        for said in all {
            match said.mark {
                Verdict::Wrong => self.hidden.insert(said.hint_id),
                Verdict::Useful => self.hidden.remove(&said.hint_id),
            };
        }
    }

    /// Whether a category is on the list.
    pub fn knows(&self, category: &str) -> bool {
        self.groups.contains_key(category)
    }

    /// The county of the place that a hint is about, where the facts hold it; [`EVERYWHERE`] of a card.
    pub fn county(&self, hint_id: &str) -> Option<&str> {
        if self.cards.values().any(|card| card.hint_id() == hint_id) {
            return Some(EVERYWHERE);
        }
        let facts = self.cells.values().flatten();
        let mut facts = facts.filter(|fact| fact.hint_id() == hint_id);
        facts.next().map(|fact| fact.county.as_str())
    }

    /// What is told of a cell with a call of a category, on a day (days since 1970-01-01).
    pub fn at(&self, cell: i64, category: &str, today: i32) -> Told {
        let facts = self.cells.get(&cell).map_or(&[][..], Vec::as_slice);
        let group = self.groups.get(category).map(String::as_str).unwrap_or_default();
        let of = |about: About| facts.iter().filter(move |fact| fact.kind == about);
        let seen = |fact: &&Fact| !self.hidden.contains(&fact.hint_id());
        let grave = |fact: &&Fact| {
            let group = self.groups.get(&fact.subject).map(String::as_str).unwrap_or_default();
            GRAVE.contains(&group)
        };
        let history = || of(About::History).filter(seen);
        let same = |fact: &&Fact| fact.subject == category;
        let alike = |fact: &&Fact| self.groups.get(&fact.subject).is_some_and(|of| of == group);
        let history = history()
            .find(same)
            .or_else(|| history().find(alike))
            .or_else(|| history().find(grave));
        let hint = |fact: &Fact| Hint {
            hint_id: fact.hint_id(),
            kind: fact.kind,
            text_zh: fact.text_zh.clone(),
            text_en: fact.text_en.clone(),
            age_days: fact.fact_on.as_deref().and_then(calendar::day).map(|day| today - day),
            fact_on: fact.fact_on.clone(),
            households: fact.households,
        };
        let first = |about: About| of(about).find(seen).map(hint);
        let card = self.cards.get(category).map(|card| Hint {
            hint_id: card.hint_id(),
            kind: About::Card,
            text_zh: card.points_zh.clone(),
            text_en: card.points_en.clone(),
            fact_on: None,
            age_days: None,
            households: None,
        });
        let card = card.filter(|card| !self.hidden.contains(&card.hint_id));
        let last = match HURT.contains(&group) {
            true => [About::Hospital, About::Camera],
            false => [About::Camera, About::Hospital],
        };
        let ranked = [
            first(About::Hazard),
            history.map(hint),
            card,
            first(last[0]),
            first(last[1]),
        ];
        let any = facts.first();
        Told {
            county: any.map(|fact| fact.county.clone()),
            place: any.map(|fact| [fact.label_zh.clone(), fact.label_en.clone()]),
            as_of: any.map(|fact| fact.last_day.clone()),
            hints: ranked.into_iter().flatten().take(MOST).collect(),
        }
    }
}

/// The cell of a place, degrees WGS-84.
///
/// # Errors
/// `Input` for what is no place.
pub fn cell_of(lon: f64, lat: f64) -> Result<i64> {
    cell::cell(lon, lat, CELL).ok_or_else(|| fail(Kind::Input, "hint_place_wrong", &[&lon, &lat]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> i64 {
        cell_of(117.0, 34.0).expect("a cell")
    }

    fn fact(kind: About, subject: &str, weight: i64) -> Fact {
        Fact {
            cell: here(),
            cell_text: "89".to_owned(),
            county: "990101".to_owned(),
            label_zh: "地点".to_owned(),
            label_en: "place".to_owned(),
            kind,
            subject: subject.to_owned(),
            text_zh: subject.to_owned(),
            text_en: subject.to_owned(),
            fact_on: Some("2025-12-01".to_owned()),
            weight,
            households: None,
            last_day: "2025-12-31".to_owned(),
        }
    }

    fn hints() -> Hints {
        let facts = vec![
            fact(About::History, "0302", 90_000),
            fact(About::History, "0201", 4_000),
            fact(About::Hazard, "H1", 999_900),
            fact(About::Camera, "C1", 999_900),
            fact(About::Hospital, "S1", 990_000),
        ];
        let groups = [
            ("0301", "traffic"),
            ("0302", "traffic"),
            ("0201", "public_order"),
            ("0601", "service"),
        ];
        Hints {
            cells: HashMap::from([(facts[0].cell, facts)]),
            groups: groups.map(|(code, group)| (code.to_owned(), group.to_owned())).into(),
            ..Hints::default()
        }
    }

    fn subjects(told: &Told) -> Vec<&str> {
        told.hints.iter().map(|hint| hint.text_en.as_str()).collect()
    }

    #[test]
    fn three_lines_those_that_matter_most_for_the_call() {
        let today = calendar::day("2025-12-31").expect("a day");
        let at = |category: &str| hints().at(here(), category, today);
        // its own category, else its group, else what is grave
        assert_eq!(subjects(&at("0201")), ["H1", "0201", "C1"]);
        assert_eq!(subjects(&at("0301")), ["H1", "0302", "S1"]);
        assert_eq!(subjects(&at("0601")), ["H1", "0201", "C1"]);
        assert_eq!(at("0201").hints[0].age_days, Some(30));
        let nowhere = hints().at(cell_of(118.0, 34.0).expect("a cell"), "0201", today);
        assert_eq!((nowhere.hints.len(), nowhere.county), (0, None));
        assert_eq!(cell_of(200.0, 34.0).expect_err("no place").key(), "hint_place_wrong");
    }

    #[test]
    fn what_is_wrong_is_hidden_until_somebody_finds_it_useful() {
        let mut hints = hints();
        let hazard = fact(About::Hazard, "H1", 0).hint_id();
        let mark = |said, at| Mark::line(&hazard, "990101", said, at).expect("a mark").0;
        let (early, late) = ("2025-12-31T00:00:00Z", "2025-12-31T08:00:01+08:00");
        hints.marked(&[mark(Verdict::Wrong, early)]);
        let told = hints.at(here(), "0201", 0);
        assert_eq!(subjects(&told), ["0201", "C1", "S1"]);
        hints.marked(&[mark(Verdict::Useful, late), mark(Verdict::Wrong, early)]);
        assert_eq!(subjects(&hints.at(here(), "0201", 0))[0], "H1");
        assert_eq!(hints.county(&hazard), Some("990101"));
        let card = Card {
            category: "0201".to_owned(),
            version: 1,
            points_zh: "要点".to_owned(),
            points_en: "points".to_owned(),
        };
        let of_card = card.hint_id();
        hints.cards.insert(card.category.clone(), card);
        assert_eq!(hints.county(&of_card), Some(EVERYWHERE));
        assert_eq!(hints.county("hint-0"), None);
    }
}
