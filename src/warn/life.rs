//! The life of warnings: findings of a night and what people did become events that are only ever added.
//!
//! Findings of the same unit are one warning that grows from day to day. A closed one keeps its unit quiet for a while,
//! one without news expires, and what a week has no room for is told together, one level up: never not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lake::digest::hex;
use crate::model::product::{Grade, Level, Product, Warning};
use crate::time::calendar;
use crate::warn::{Act, Action, Outcome};

/// A row of a model on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The day, days since 1970-01-01.
    pub day: i32,
    /// The county.
    pub county: String,
    /// The values that name its unit.
    pub unit: String,
    /// The items by which it is known again in place of its unit, each with what has to agree as well.
    pub items: Vec<String>,
    /// By what it is ranked.
    pub score: f64,
    /// How urgent it is.
    pub grade: Grade,
    /// Where, in words, Chinese and English.
    pub place: [Option<String>; 2],
    /// Why, in words, likewise.
    pub reason: [Option<String>; 2],
    /// The whole row, as JSON.
    pub evidence: String,
}

/// What happens to a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It begins.
    Opened,
    /// Another day, or a corrected one.
    Updated,
    /// Somebody has seen it.
    Acknowledged,
    /// It was dealt with.
    Closed,
    /// Nothing new came for a while.
    Expired,
    /// What it told was corrected away.
    Withdrawn,
}

impl Step {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Step::Opened => "opened",
            Step::Updated => "updated",
            Step::Acknowledged => "acknowledged",
            Step::Closed => "closed",
            Step::Expired => "expired",
            Step::Withdrawn => "withdrawn",
        }
    }
}

/// One line of a warning's life.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its own name: the same event is one, however often it is told.
    pub event_id: String,
    /// The warning.
    pub warning_id: String,
    /// What happened.
    pub step: Step,
    /// The day of the finding, or of what was done.
    pub day: i32,
    /// The county; none of a warning about several.
    pub county: Option<String>,
    /// The unit.
    pub unit: String,
    /// What was found, where something was.
    pub finding: Option<Finding>,
    /// How urgent it is.
    pub grade: Grade,
    /// Who acts on it.
    pub level: Level,
    /// The warning under which it is told, where a week had no room for it.
    pub pool: Option<String>,
    /// With what it was closed.
    pub outcome: Option<Outcome>,
    /// What was said.
    pub note: Option<String>,
}

impl Event {
    /// With its name, made of what it says.
    fn named(mut self) -> Event {
        let mut hash = blake3::Hasher::new();
        let evidence = self.finding.as_ref().map_or("", |finding| &finding.evidence);
        let pool = self.pool.as_deref().unwrap_or_default();
        for part in [
            &self.warning_id,
            self.step.word(),
            &self.day.to_string(),
            self.grade.word(),
            pool,
            evidence,
            self.note.as_deref().unwrap_or_default(),
        ] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        self.event_id = hex(&hash.finalize().as_bytes()[..16]);
        self
    }
}

/// A warning as its events leave it.
#[derive(Debug, Clone)]
struct State {
    id: String,
    unit: String,
    county: Option<String>,
    opened: i32,
    last: i32,
    grade: Grade,
    /// The day on which it was closed or expired; whether it was closed.
    ended: Option<(i32, bool)>,
    pool: Option<String>,
    /// What was found on each day.
    days: BTreeMap<i32, String>,
    /// The items of the last day.
    items: Vec<String>,
}

impl State {
    /// Whether a finding is of the same unit.
    fn is_of(&self, finding: &Finding) -> bool {
        match finding.items.is_empty() {
            true => self.unit == finding.unit,
            false => self.items.iter().any(|item| finding.items.contains(item)),
        }
    }
}

/// The warnings of one product.
#[derive(Debug)]
pub struct Life<'p> {
    product: &'p Product,
    rule: &'p Warning,
    states: Vec<State>,
    events: Vec<Event>,
}

/// The unit of the warning under which a week's others are told.
const POOL: &str = "pool";
/// Who acts on a warning that is no county's.
pub const CITY: &str = "city";

impl<'p> Life<'p> {
    /// As earlier events leave it, in the order in which they were added; `None` for a product that warns of nothing.
    pub fn of(product: &'p Product, known: &[Event]) -> Option<Life<'p>> {
        let mut life = Life {
            product,
            rule: product.file.warning.as_ref()?,
            states: Vec::new(),
            events: Vec::new(),
        };
        known.iter().for_each(|event| life.apply(event));
        Some(life)
    }

    fn apply(&mut self, event: &Event) {
        if event.step == Step::Opened {
            self.states.push(State {
                id: event.warning_id.clone(),
                unit: event.unit.clone(),
                county: event.county.clone(),
                opened: event.day,
                last: event.day,
                grade: event.grade,
                ended: None,
                pool: event.pool.clone(),
                days: BTreeMap::new(),
                items: Vec::new(),
            });
        }
        let Some(state) = self.states.iter_mut().find(|state| state.id == event.warning_id) else {
            return;
        };
        match event.step {
            Step::Opened | Step::Updated => {
                // an older day that was corrected is not how it stands now
                if event.day >= state.last {
                    state.grade = event.grade;
                }
                state.last = state.last.max(event.day);
                if let Some(finding) = &event.finding {
                    state.days.insert(event.day, finding.evidence.clone());
                    if event.day == state.last {
                        state.items.clone_from(&finding.items);
                    }
                }
            }
            Step::Acknowledged => {}
            Step::Closed => state.ended = Some((event.day, true)),
            Step::Expired | Step::Withdrawn => state.ended = state.ended.or(Some((event.day, false))),
        }
    }

    fn add(&mut self, event: Event) {
        let event = event.named();
        self.apply(&event);
        self.events.push(event);
    }

    /// What people did, each on the day that it was done; what is about no warning of this product is left out, and so is
    /// what a county says of another's.
    pub fn acted(&mut self, known: impl Fn(&str) -> bool, actions: &[(i32, Action)]) {
        for (day, action) in actions.iter().filter(|(_, action)| !known(&action.action_id)) {
            let own = |state: &&State| {
                state.id == action.warning_id && state.county.as_deref().unwrap_or(CITY) == action.county
            };
            let Some(state) = self.states.iter().find(own) else {
                continue;
            };
            let step = match action.act {
                Act::Acknowledged => Step::Acknowledged,
                Act::Closed => Step::Closed,
            };
            let event = Event {
                event_id: action.action_id.clone(),
                outcome: action.result,
                note: action.note.clone(),
                ..self.about(state, step, *day)
            };
            self.apply(&event);
            self.events.push(event);
        }
    }

    /// Takes back what was told of days from `first` on and is not found any more: the rows were corrected away.
    pub fn taken_back(&mut self, findings: &[Finding], first: i32, today: i32) {
        let gone = |state: &&State| {
            let told = |finding: &Finding| state.is_of(finding) && state.days.contains_key(&finding.day);
            let seen = state.opened >= first && !state.days.is_empty();
            state.ended.is_none() && seen && !findings.iter().any(told)
        };
        let gone: Vec<State> = self.states.iter().filter(gone).cloned().collect();
        for state in gone {
            self.finish(&state, Step::Withdrawn, today);
        }
    }

    /// What a night found, seen from its newest day.
    pub fn found(&mut self, mut findings: Vec<Finding>, today: i32) {
        findings.sort_by(|a, b| {
            let ranked = b.score.total_cmp(&a.score);
            a.day.cmp(&b.day).then(ranked).then_with(|| a.unit.cmp(&b.unit))
        });
        for finding in findings {
            self.one(finding, today);
        }
    }

    fn one(&mut self, finding: Finding, today: i32) {
        let rule = self.rule;
        let gap = i32::from(rule.gap_days);
        // a day that comes late may lie just before the one that opened it
        let near = |state: &&State| state.is_of(&finding) && state.opened - gap <= finding.day;
        let state = self
            .states
            .iter()
            .filter(near)
            .max_by_key(|state| state.opened)
            .cloned();
        let closed = self.states.iter().filter(|state| state.is_of(&finding));
        let closed = closed
            .filter_map(|state| state.ended.filter(|(_, closed)| *closed))
            .max();
        if let Some(state) = &state {
            match (state.days.get(&finding.day), state.ended) {
                (Some(said), _) if *said == finding.evidence => return,
                (Some(_), Some(_)) => return,
                (_, None) if finding.day <= state.last + gap => {
                    return self.tell(Step::Updated, &state.id, finding, state.pool.clone());
                }
                (_, None) => self.finish(state, Step::Expired, finding.day),
                (None, Some(_)) => {}
            }
        }
        if closed.is_some_and(|(ended, _)| finding.day <= ended + i32::from(rule.refractory_days)) {
            return;
        }
        if finding.day + i32::from(rule.fresh_days) <= today {
            return;
        }
        let id = format!("{}-{}-{}", self.product.name, finding.unit, calendar::text(finding.day));
        let within = |state: &&State| state.opened > finding.day - 7 && state.opened <= finding.day;
        let opened = self
            .states
            .iter()
            .filter(within)
            .filter(|state| state.pool.is_none() && state.unit != POOL);
        let pool = (opened.count() >= rule.alerts_per_week as usize).then(|| self.pool(&finding));
        self.tell(Step::Opened, &id, finding, pool);
    }

    fn tell(&mut self, step: Step, id: &str, finding: Finding, pool: Option<String>) {
        let grade = finding.grade;
        self.add(Event {
            event_id: String::new(),
            warning_id: id.to_owned(),
            step,
            day: finding.day,
            county: Some(finding.county.clone()),
            unit: finding.unit.clone(),
            grade,
            level: self.product.level(grade),
            pool,
            outcome: None,
            note: None,
            finding: Some(finding),
        });
    }

    /// The warning under which a finding is told that a week has no room for, one level up.
    fn pool(&mut self, finding: &Finding) -> String {
        // weeks are counted from a Monday, 1970-01-05
        let week = (finding.day - 4).div_euclid(7) * 7 + 4;
        let id = format!("{}-{POOL}-{}", self.product.name, calendar::text(week));
        let told = self
            .states
            .iter()
            .filter(|state| state.pool.as_deref() == Some(&id))
            .count();
        let pool = self.states.iter().find(|state| state.id == id);
        let (is_new, grade) = (pool.is_none(), pool.map_or(Grade::Orange, |pool| pool.grade));
        self.add(Event {
            event_id: String::new(),
            warning_id: id.clone(),
            step: if is_new { Step::Opened } else { Step::Updated },
            day: finding.day,
            county: None,
            unit: POOL.to_owned(),
            finding: None,
            grade: grade.max(finding.grade),
            level: Level::City,
            pool: None,
            outcome: None,
            note: Some((told + 1).to_string()),
        });
        id
    }

    /// An event of a warning as it stands, without a finding.
    fn about(&self, state: &State, step: Step, day: i32) -> Event {
        Event {
            event_id: String::new(),
            warning_id: state.id.clone(),
            step,
            day,
            county: state.county.clone(),
            unit: state.unit.clone(),
            finding: None,
            grade: state.grade,
            level: self.product.level(state.grade),
            pool: state.pool.clone(),
            outcome: None,
            note: None,
        }
    }

    fn finish(&mut self, state: &State, step: Step, day: i32) {
        self.add(self.about(state, step, day));
    }

    /// Ends what nothing new came for, and gives what happened since it was made.
    pub fn end(mut self, today: i32) -> Vec<Event> {
        let patience = i32::from(self.rule.expires_days);
        let over = |state: &&State| state.ended.is_none() && state.last + patience < today;
        let over: Vec<State> = self.states.iter().filter(over).cloned().collect();
        for state in over {
            self.finish(&state, Step::Expired, today);
        }
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Pack;
    use crate::config::site::SiteFile;

    const RULE: &str = "
product = 'W01'
model = 'warning.surge'
title_zh = '异常'
title_en = 'surge'
question_zh = '?'
question_en = '?'
owner = 'station'
action_zh = '看'
action_en = 'look'
[warning]
unit = ['area']
score = 'ratio'
grade = 'grade'
alerts_per_week = 2
gap_days = 2
refractory_days = 5
fresh_days = 7
expires_days = 4
[gate]
history_weeks = 4
weeks = 1
[card]
excluded_zh = '无'
excluded_en = 'none'
biases_zh = '无'
biases_en = 'none'
keeper = 'duty desk'
ends = '2999-12-31'
";

    fn product() -> Product {
        Product {
            name: "surge".to_owned(),
            file: toml::from_str(RULE).expect("a rule"),
            source: SiteFile {
                path: String::new(),
                text: RULE.to_owned(),
            },
            ends: i32::MAX,
        }
    }

    fn finding(day: i32, unit: &str, score: f64) -> Finding {
        Finding {
            day,
            county: "990101".to_owned(),
            unit: unit.to_owned(),
            items: Vec::new(),
            score,
            grade: if score > 8.0 { Grade::Red } else { Grade::Blue },
            place: [None, None],
            reason: [None, None],
            evidence: format!("{{\"score\":{score}}}"),
        }
    }

    fn night(product: &Product, known: &mut Vec<Event>, findings: Vec<Finding>, today: i32) -> Vec<String> {
        let mut life = Life::of(product, known).expect("a rule that warns");
        life.found(findings, today);
        let events = life.end(today);
        known.extend(events.clone());
        let told = |event: &Event| format!("{} {} {}", event.step.word(), event.unit, event.day);
        events.iter().map(told).collect()
    }

    /// What an action of the day 101 adds.
    fn acts(product: &Product, known: &[Event], action: Action) -> Vec<Event> {
        let mut life = Life::of(product, known).expect("a rule that warns");
        let told = |name: &str| known.iter().any(|event| event.event_id == name);
        life.acted(told, &[(101, action)]);
        life.end(101)
    }

    /// What is taken back where only some findings are left of the days from one on.
    fn taken_back(product: &Product, known: &[Event], left: &[Finding], first: i32) -> Vec<Event> {
        let mut life = Life::of(product, known).expect("a rule that warns");
        life.taken_back(left, first, 101);
        life.end(101)
    }

    #[test]
    fn findings_of_a_unit_are_one_warning_that_grows_and_a_second_night_on_the_same_rows_adds_nothing() {
        let (product, mut known) = (product(), Vec::new());
        let first = vec![finding(100, "a", 1.0)];
        assert_eq!(night(&product, &mut known, first.clone(), 100), ["opened a 100"]);
        assert!(night(&product, &mut known, first.clone(), 100).is_empty());
        let second = vec![finding(100, "a", 1.0), finding(102, "a", 9.0)];
        assert_eq!(night(&product, &mut known, second.clone(), 102), ["updated a 102"]);
        assert!(night(&product, &mut known, second, 102).is_empty());
        assert_eq!(known[1].warning_id, known[0].warning_id);
        assert_eq!((known[0].grade, known[0].level), (Grade::Blue, Level::Station));
        assert_eq!((known[1].grade, known[1].level), (Grade::Red, Level::City));
        // a corrected day is told, and the other stays as it was told
        let corrected = vec![finding(100, "a", 3.0), finding(102, "a", 9.0)];
        assert_eq!(night(&product, &mut known, corrected, 102), ["updated a 100"]);
        let life = Life::of(&product, &known).expect("a rule that warns");
        assert_eq!(life.states[0].grade, Grade::Red, "an older day is not how it stands");
        // a day that comes late belongs to the warning that is open already
        assert_eq!(
            night(&product, &mut known, vec![finding(99, "a", 1.0)], 102),
            ["updated a 99"]
        );
    }

    #[test]
    fn what_was_corrected_away_is_taken_back() {
        let (product, mut known) = (product(), Vec::new());
        night(
            &product,
            &mut known,
            vec![finding(100, "a", 1.0), finding(100, "b", 1.0)],
            100,
        );
        let events = taken_back(&product, &known, &[finding(100, "b", 1.0)], 90);
        assert_eq!(
            (events.len(), events[0].step, events[0].unit.as_str()),
            (1, Step::Withdrawn, "a")
        );
        // of days that were not looked at nothing is known
        assert!(taken_back(&product, &known, &[], 101).is_empty());
    }

    #[test]
    fn what_nothing_new_came_for_expires_and_what_comes_after_is_another_warning() {
        let (product, mut known) = (product(), Vec::new());
        night(&product, &mut known, vec![finding(100, "a", 1.0)], 100);
        assert!(night(&product, &mut known, vec![], 104).is_empty());
        assert_eq!(night(&product, &mut known, vec![], 105), ["expired a 105"]);
        assert!(night(&product, &mut known, vec![], 106).is_empty());
        assert_eq!(
            night(&product, &mut known, vec![finding(106, "a", 1.0)], 106),
            ["opened a 106"]
        );
        // beyond the gap the old one ends where the new one begins
        let late = vec![finding(109, "a", 1.0)];
        assert_eq!(
            night(&product, &mut known, late, 109),
            ["expired a 109", "opened a 109"]
        );
        // history opens nothing
        assert!(night(&product, &mut known, vec![finding(90, "b", 9.0)], 109).is_empty());
    }

    #[test]
    fn a_closed_warning_keeps_its_unit_quiet_for_a_while() {
        let (product, mut known) = (product(), Vec::new());
        night(&product, &mut known, vec![finding(100, "a", 1.0)], 100);
        let id = known[0].warning_id.clone();
        let done = (Act::Closed, Some(Outcome::Useful));
        let action = Action::new((&id, "990101"), done, (None, Pack::Cn), "2025-03-10T08:00:00Z").expect("an action");
        let other = Action::new((&id, "990102"), done, (None, Pack::Cn), "2025-03-10T08:00:00Z").expect("an action");
        assert!(
            acts(&product, &known, other).is_empty(),
            "a county closed another's warning"
        );
        for expected in [1, 0] {
            let events = acts(&product, &known, action.clone());
            assert_eq!(events.len(), expected, "an action is told once");
            known.extend(events);
        }
        let again = vec![finding(100, "a", 1.0), finding(106, "a", 9.0)];
        assert!(night(&product, &mut known, again, 106).is_empty());
        assert_eq!(
            night(&product, &mut known, vec![finding(107, "a", 9.0)], 107),
            ["opened a 107"]
        );
    }

    #[test]
    fn what_a_week_has_no_room_for_is_told_together_one_level_up() {
        let (product, mut known) = (product(), Vec::new());
        let many: Vec<Finding> = (0..5)
            .map(|at| finding(100, &format!("u{at}"), f64::from(at) / 4.0))
            .collect();
        let told = night(&product, &mut known, many.clone(), 100);
        // the two of the highest score stand alone, the others have their own lines and one above them
        assert_eq!(told[..2], ["opened u4 100", "opened u3 100"]);
        let pools: Vec<&Event> = known.iter().filter(|event| event.unit == POOL).collect();
        assert_eq!(pools.len(), 3);
        assert!(
            pools
                .iter()
                .all(|event| event.level == Level::City && event.grade == Grade::Orange)
        );
        assert_eq!(pools[2].note.as_deref(), Some("3"));
        let pooled: Vec<&Event> = known.iter().filter(|event| event.pool.is_some()).collect();
        assert_eq!(pooled.len(), 3);
        assert!(
            pooled
                .iter()
                .all(|event| event.pool.as_deref() == Some(&pools[0].warning_id))
        );
        assert!(night(&product, &mut known, many, 100).is_empty());
        // a week later there is room again
        let told = night(&product, &mut known, vec![finding(107, "v", 1.0)], 107);
        assert!(told.contains(&"opened v 107".to_owned()), "{told:?}");
        assert!(
            known
                .last()
                .is_some_and(|event| event.pool.is_none() || event.step == Step::Expired)
        );
    }
}
