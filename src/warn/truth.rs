//! A backtest held against what is known to have happened: the planted events and decoys of a synthetic city.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::place::cell;
use crate::time::calendar;
use crate::warn::life::{Event, Step};

/// After the end of what was planted, days on which a warning is still about it: what looks back over a week sees it so long.
const AFTER: i32 = 7;
/// Days for which a change of codes stands in the way of a baseline of fifteen weeks.
const BROKEN: i32 = 105;
/// Resolution of the places of a scan.
const PLACE: u8 = 8;

/// Extra calls in a street.
#[derive(Debug, Clone, Deserialize)]
struct Calls {
    area: String,
    lon: f64,
    lat: f64,
    category: String,
    first_day: String,
    last_day: String,
    extra_calls: u32,
}

/// A camera without a picture.
#[derive(Debug, Clone, Deserialize)]
struct Gap {
    camera_id: String,
    #[serde(alias = "offline_at")]
    first_day: String,
    /// None while it lasts.
    #[serde(alias = "online_at")]
    last_day: Option<String>,
}

/// What looks like an event and is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Decoy {
    HolidayNoise {
        days: Vec<String>,
        category: String,
    },
    BulkCallers {
        at: Calls,
    },
    MergedStation {
        from_area: String,
        into_area: String,
        first_day: String,
    },
    AssemblyAsNoise {
        at: Calls,
    },
}

/// What is planted in a city, as its truth file tells.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Truth {
    #[serde(default)]
    surges: Vec<Calls>,
    #[serde(default)]
    clusters: Vec<Calls>,
    #[serde(default)]
    near_repeat_chains: Vec<Calls>,
    #[serde(default)]
    camera_outages: Vec<Gap>,
    #[serde(default)]
    silent_failures: Vec<Gap>,
    #[serde(default)]
    decoys: Vec<Decoy>,
}

/// Where a planted event shows.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// In a street (any, where none is named) and category, around a place.
    Street {
        area: Option<String>,
        category: Option<String>,
        around: Vec<i64>,
    },
    /// At a camera.
    Camera(String),
}

/// A planted event, and how a product found it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planted {
    /// `surge`, `cluster`, `chain`, `outage`, `silence`; or what a decoy is.
    pub kind: &'static str,
    /// Whether it only looks like an event.
    pub is_decoy: bool,
    /// Extra calls, or days without a picture.
    pub size: u32,
    /// Its street, or its camera.
    pub at: String,
    /// Its first day, `YYYY-MM-DD`.
    pub first_day: String,
    /// Its last day.
    pub last_day: String,
    /// The first day with a warning about it.
    pub found_on: Option<String>,
    /// Days from its first day to that.
    pub delay: Option<i32>,
    #[serde(skip)]
    place: Place,
    #[serde(skip)]
    days: (i32, i32),
}

/// A warning that stands alone, and what it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Raised {
    /// Its name.
    pub warning_id: String,
    /// The day on which it was opened.
    pub day: String,
    /// Its unit.
    pub unit: String,
    /// Its grade.
    pub grade: &'static str,
    /// Why, in words.
    pub reason: String,
    /// The kind of the planted event that it is about; `nothing` where it is about none.
    pub about: &'static str,
    /// Whether that is an event and no decoy.
    pub is_right: bool,
    /// What it told, day by day.
    pub told: Vec<Row>,
}

/// What a warning told on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The day.
    pub day: String,
    /// The planted events that it fits, by their place in the list.
    pub about: Vec<usize>,
    /// The whole row.
    pub evidence: Value,
}

/// How a product's warnings fit what was planted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// What was planted within the days.
    pub planted: Vec<Planted>,
    /// The warnings that were opened.
    pub raised: Vec<Raised>,
}

impl Scored {
    /// Of a kind: how many were found, how many there are, and the median delay (of an even number the lower one).
    pub fn of(&self, kind: &str) -> (usize, usize, Option<i32>) {
        let all = self.planted.iter().filter(|planted| planted.kind == kind);
        let mut delays: Vec<i32> = all.clone().filter_map(|planted| planted.delay).collect();
        delays.sort_unstable();
        let median = delays.len().checked_sub(1).map(|last| delays[last / 2]);
        (delays.len(), all.count(), median)
    }

    /// The warnings that are about an event.
    pub fn right(&self) -> usize {
        self.raised.iter().filter(|raised| raised.is_right).count()
    }
}

/// The day that a day or a moment names.
fn day(text: &str) -> Option<i32> {
    calendar::day(text.get(..10)?)
}

fn planted(kind: &'static str, is_decoy: bool, size: u32, place: Place, (first, last): (i32, i32)) -> Planted {
    let at = match &place {
        Place::Street { area, .. } => area.clone().unwrap_or_default(),
        Place::Camera(camera) => camera.clone(),
    };
    Planted {
        kind,
        is_decoy,
        size,
        at,
        first_day: calendar::text(first),
        last_day: calendar::text(last),
        found_on: None,
        delay: None,
        place,
        days: (first, last),
    }
}

fn of_calls(kind: &'static str, is_decoy: bool, calls: &Calls) -> Option<Planted> {
    let around = cell::cell(calls.lon, calls.lat, PLACE).and_then(|middle| cell::ring(middle, 1));
    let place = Place::Street {
        area: Some(calls.area.clone()),
        category: Some(calls.category.clone()),
        around: around.unwrap_or_default(),
    };
    let days = (day(&calls.first_day)?, day(&calls.last_day)?);
    Some(planted(kind, is_decoy, calls.extra_calls, place, days))
}

impl Truth {
    /// All that a product of cameras, or one of calls, may speak of within some days.
    fn planted(&self, cameras: bool, (first, last): (i32, i32)) -> Vec<Planted> {
        let gap = |kind, gap: &Gap| {
            let from = day(&gap.first_day)?;
            let to = gap.last_day.as_deref().map_or(Some(last), day)?;
            let size = u32::try_from(to - from + 1).ok()?;
            Some(planted(
                kind,
                false,
                size,
                Place::Camera(gap.camera_id.clone()),
                (from, to),
            ))
        };
        let mut all: Vec<Planted> = if cameras {
            let outages = self.camera_outages.iter().filter_map(|of| gap("outage", of));
            outages
                .chain(self.silent_failures.iter().filter_map(|of| gap("silence", of)))
                .collect()
        } else {
            let kinds = [
                ("surge", &self.surges),
                ("cluster", &self.clusters),
                ("chain", &self.near_repeat_chains),
            ];
            let events = kinds
                .iter()
                .flat_map(|(kind, all)| all.iter().filter_map(|calls| of_calls(kind, false, calls)));
            events.chain(self.decoys.iter().flat_map(Decoy::planted)).collect()
        };
        // an event that is not over yet has not had its time; a decoy may last
        all.retain(|planted| {
            let (from, to) = planted.days;
            (first..=last).contains(&from) && (planted.is_decoy || to <= last)
        });
        all
    }

    /// How the events of some days, of a product of cameras or of calls, fit what was planted in them; `groups` holds the
    /// group of each category.
    pub fn score(
        &self,
        groups: &BTreeMap<String, String>,
        cameras: bool,
        events: &[Event],
        days: (i32, i32),
    ) -> Scored {
        let mut planted = self.planted(cameras, days);
        // what is an event comes before what only looks like one
        let mut abouts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut told: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.finding.is_some()) {
            let row = event.finding.as_ref().map(|finding| finding.evidence.as_str());
            let Some(row) = row.and_then(|row| serde_json::from_str::<Value>(row).ok()) else {
                continue;
            };
            let mut fits = Vec::new();
            for (number, one) in planted.iter_mut().enumerate() {
                if !one.is_told_by(event.day, &row, groups) {
                    continue;
                }
                let delay = event.day - one.days.0;
                if one.delay.is_none_or(|known| delay < known) {
                    one.delay = Some(delay);
                    one.found_on = Some(calendar::text(event.day));
                }
                let about = abouts.entry(&event.warning_id).or_insert(number);
                *about = number.min(*about);
                fits.push(number);
            }
            told.entry(&event.warning_id).or_default().push(Row {
                day: calendar::text(event.day),
                about: fits,
                evidence: row,
            });
        }
        let alone = events
            .iter()
            .filter(|event| event.step == Step::Opened && event.pool.is_none());
        let raised = alone.filter_map(|event| {
            let about = abouts.get(event.warning_id.as_str()).map(|number| &planted[*number]);
            Some(Raised {
                warning_id: event.warning_id.clone(),
                day: calendar::text(event.day),
                unit: event.unit.clone(),
                grade: event.grade.word(),
                reason: event.finding.as_ref()?.reason[1].clone().unwrap_or_default(),
                about: about.map_or("nothing", |planted| planted.kind),
                is_right: about.is_some_and(|planted| !planted.is_decoy),
                told: told.get(event.warning_id.as_str()).cloned().unwrap_or_default(),
            })
        });
        let raised = raised.collect();
        Scored { planted, raised }
    }
}

impl Decoy {
    /// What a warning about it would look like.
    fn planted(&self) -> Vec<Planted> {
        match self {
            Decoy::HolidayNoise { days, category } => {
                let street = || Place::Street {
                    area: None,
                    category: Some(category.clone()),
                    around: Vec::new(),
                };
                let days = days.iter().filter_map(|text| day(text));
                days.map(|day| planted("holiday_noise", true, 0, street(), (day, day - AFTER)))
                    .collect()
            }
            Decoy::BulkCallers { at } => of_calls("bulk_callers", true, at).into_iter().collect(),
            Decoy::AssemblyAsNoise { at } => of_calls("assembly_as_noise", true, at).into_iter().collect(),
            Decoy::MergedStation {
                from_area,
                into_area,
                first_day,
            } => {
                let street = |area: &String| Place::Street {
                    area: Some(area.clone()),
                    category: None,
                    around: Vec::new(),
                };
                let first = day(first_day);
                let both = [into_area, from_area].into_iter();
                both.filter_map(|area| {
                    Some(planted(
                        "merged_station",
                        true,
                        0,
                        street(area),
                        (first?, first? + BROKEN),
                    ))
                })
                .collect()
            }
        }
    }
}

impl Planted {
    /// Whether a row that was told on a day is about it: its camera, its street and category, or a cluster of its group
    /// that reaches its place.
    fn is_told_by(&self, told: i32, row: &Value, groups: &BTreeMap<String, String>) -> bool {
        let (first, last) = self.days;
        if !(first..=last + AFTER).contains(&told) {
            return false;
        }
        match &self.place {
            Place::Camera(camera) => row["camera_id"] == camera.as_str(),
            Place::Street { area, category, around } => match row["members"].as_array() {
                Some(members) => {
                    let group = category.as_ref().and_then(|category| groups.get(category));
                    let in_group = group.is_some_and(|group| row["category_group"] == group.as_str());
                    in_group
                        && members
                            .iter()
                            .filter_map(Value::as_i64)
                            .any(|cell| around.contains(&cell))
                }
                None => {
                    let says = |column: &str, value: &Option<String>| {
                        value.as_ref().is_none_or(|value| row[column] == value.as_str())
                    };
                    says("area", area) && says("category", category)
                }
            },
        }
    }
}
