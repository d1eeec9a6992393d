//! What a correct pipeline must find in the city: counts per feed and reason, and the planted events and decoys by name. Written
//! beside the files for tests and the demonstration; no step of the pipeline may read it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alarm::FESTIVAL_NOISE;
use super::calendar::is_festival;
use super::category::CATEGORIES;
use super::planted::{Planting, Shape};
use super::sheet::FeedCount;
use super::text::{Moment, date_text};
use super::{City, ground_file, means};

/// Feeds of the truth, in the order of its listing.
const FEEDS: [&str; 16] = [
    "alarm",
    "dispatch",
    "feedback",
    "camera",
    "camera_status",
    "video_index",
    "video_count",
    "population",
    "area",
    "place_name",
    "calendar",
    "site",
    "staffing",
    "shift",
    "exclusion_zone",
    "hazard",
];

/// What one written file holds.
#[derive(Clone, Debug, Serialize)]
pub struct FileTruth {
    /// Its path.
    pub path: String,
    /// Its feed; `forbidden` for the file that must be refused as a whole.
    pub feed: &'static str,
    /// County of a county file.
    pub county: Option<&'static str>,
    /// Its rows.
    pub count: FeedCount,
}

/// The plan, as numbers and texts.
#[derive(Clone, Debug, Serialize)]
pub struct PlanTruth {
    /// Alarms asked for.
    pub alarms: u64,
    /// Clips asked for.
    pub clips: u64,
    /// Residents asked for.
    pub residents: u64,
    /// Days of alarms.
    pub days: u32,
    /// First of them.
    pub first_day: String,
    /// Last of them.
    pub last_day: String,
}

/// A planted event.
#[derive(Clone, Debug, Serialize)]
pub struct PlantedTruth {
    /// Place, Chinese.
    pub place_name_zh: String,
    /// Place, English.
    pub place_name_en: String,
    /// County code.
    pub county: &'static str,
    /// Street code.
    pub area: String,
    /// Middle, WGS-84.
    pub lon: f64,
    /// Middle, WGS-84.
    pub lat: f64,
    /// All its calls lie within.
    pub radius_m: f64,
    /// First day with a call.
    pub first_day: String,
    /// Last day with a call.
    pub last_day: String,
    /// Category of its calls.
    pub category: &'static str,
    /// Calls added to the background.
    pub extra_calls: u32,
}

/// A reported camera failure.
#[derive(Clone, Debug, Serialize)]
pub struct OutageTruth {
    /// Camera.
    pub camera_id: String,
    /// County code.
    pub county: &'static str,
    /// When it went down.
    pub offline_at: String,
    /// When it came back; null while it is still down.
    pub online_at: Option<String>,
    /// Reported reason.
    pub reason: &'static str,
    /// Number of the clustered outage it belongs to.
    pub cluster: Option<usize>,
}

/// A camera that claimed to be online and yielded nothing.
#[derive(Clone, Debug, Serialize)]
pub struct SilenceTruth {
    /// Camera.
    pub camera_id: String,
    /// County code.
    pub county: &'static str,
    /// First day without clips.
    pub first_day: String,
    /// Last day without clips.
    pub last_day: String,
}

/// A county or station with too few officers of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct StaffingTruth {
    /// Its code.
    pub org: String,
    /// `station_share` or `community_share`: which of the two forty percent is missed.
    pub ratio: &'static str,
    /// First month.
    pub first_month: String,
}

/// A station whose units are on duty at another time than its calls come.
#[derive(Clone, Debug, Serialize)]
pub struct DutyTruth {
    /// Its code.
    pub org: String,
    /// The shift with too few.
    pub shift: &'static str,
}

/// A square where no camera may look, laid over a place that a ranking of gaps would propose.
#[derive(Clone, Debug, Serialize)]
pub struct ExclusionTruth {
    /// What it keeps from view.
    pub reason: &'static str,
    /// Middle, WGS-84.
    pub lon: f64,
    /// Middle, WGS-84.
    pub lat: f64,
    /// Half its side.
    pub half_side_m: f64,
}

/// Something that looks like an event and is none.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecoyTruth {
    /// Noise calls of the whole city on Spring Festival.
    HolidayNoise {
        /// Days.
        days: Vec<String>,
        /// Category.
        category: &'static str,
        /// Multiple of an ordinary day.
        factor: f64,
    },
    /// Many calls about one accident, all but the first linked to the first.
    BulkCallers {
        /// Where and when.
        at: PlantedTruth,
        /// First call.
        first_call_at: String,
        /// Last call.
        last_call_at: String,
    },
    /// Calls filed under a neighbour because their station was merged.
    MergedStation {
        /// County code.
        county: &'static str,
        /// Street whose calls move.
        from_area: String,
        /// Street they are filed under.
        into_area: String,
        /// First day.
        first_day: String,
    },
    /// An assembly that callers reported as noise; its final category says so.
    AssemblyAsNoise {
        /// Where and when.
        at: PlantedTruth,
        /// Final category of all its calls.
        category_final: &'static str,
        /// First call.
        first_call_at: String,
        /// Last call.
        last_call_at: String,
    },
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    /// Seed of the city.
    pub seed: u64,
    /// What was asked for.
    pub plan: PlanTruth,
    /// Rows by feed.
    pub feeds: BTreeMap<&'static str, FeedCount>,
    /// Rows by file, for contracts that read a single county.
    pub files: Vec<FileTruth>,
    /// Accepted alarm rows by county.
    pub alarms_by_county: BTreeMap<&'static str, u64>,
    /// Distinct accepted people by county.
    pub residents: BTreeMap<&'static str, u64>,
    /// Two days, one street, one category.
    pub surges: Vec<PlantedTruth>,
    /// Six days, one street, one category.
    pub clusters: Vec<PlantedTruth>,
    /// Burglaries close in place and time.
    pub near_repeat_chains: Vec<PlantedTruth>,
    /// Reported failures.
    pub camera_outages: Vec<OutageTruth>,
    /// Unreported failures.
    pub silent_failures: Vec<SilenceTruth>,
    /// Counties and stations with too few officers.
    pub short_staffing: Vec<StaffingTruth>,
    /// Stations with units on duty at the wrong time.
    pub unbalanced_duty: Vec<DutyTruth>,
    /// Where no camera may look.
    pub exclusion_zones: Vec<ExclusionTruth>,
    /// What must not be reported as an event.
    pub decoys: Vec<DecoyTruth>,
}

impl Truth {
    /// Puts the files' scores and the city's plantings together.
    pub fn of(city: &City, files: &[FileTruth]) -> Self {
        let mut feeds: BTreeMap<&'static str, FeedCount> =
            FEEDS.into_iter().map(|feed| (feed, FeedCount::default())).collect();
        let (mut alarms, mut residents) = (BTreeMap::new(), BTreeMap::new());
        for file in files {
            if let Some(count) = feeds.get_mut(file.feed) {
                count.add(&file.count);
            }
            let by_county = match file.feed {
                "alarm" => &mut alarms,
                "population" => &mut residents,
                _ => continue,
            };
            *by_county.entry(file.county.unwrap_or_default()).or_insert(0) += file.count.accepted;
        }
        let planted = |shape| {
            let same = city
                .planted
                .plantings
                .iter()
                .filter(move |planting| planting.shape == shape);
            same.map(|planting| describe(city, planting)).collect()
        };
        Self {
            seed: city.plan.seed,
            plan: describe_plan(city),
            feeds,
            files: files.to_vec(),
            alarms_by_county: alarms,
            residents,
            surges: planted(Shape::Surge),
            clusters: planted(Shape::Cluster),
            near_repeat_chains: planted(Shape::Chain),
            camera_outages: outages(city),
            silent_failures: silences(city),
            short_staffing: means::short(city),
            unbalanced_duty: means::unbalanced(city),
            exclusion_zones: ground_file::zones(city),
            decoys: decoys(city),
        }
    }
}

fn describe_plan(city: &City) -> PlanTruth {
    PlanTruth {
        alarms: city.plan.alarms,
        clips: city.plan.clips,
        residents: city.plan.residents,
        days: city.plan.days,
        first_day: date_text(city.first_day),
        last_day: date_text(city.last_day),
    }
}

fn describe(city: &City, planting: &Planting) -> PlantedTruth {
    let (first, last) = planting.span();
    let name = &city.gazetteer.places[planting.place].name;
    PlantedTruth {
        place_name_zh: name.zh.clone(),
        place_name_en: name.en.clone(),
        county: city.gazetteer.counties[planting.county].code,
        area: city.gazetteer.streets[planting.street].code.clone(),
        lon: planting.centre.lon,
        lat: planting.centre.lat,
        radius_m: planting.radius_m,
        first_day: date_text(first),
        last_day: date_text(last),
        category: CATEGORIES[planting.category].code,
        extra_calls: planting.calls(),
    }
}

fn outages(city: &City) -> Vec<OutageTruth> {
    let end = Moment::at(city.last_day + 1, 0);
    let mut all = Vec::new();
    for camera in &city.cameras {
        for gap in camera.gaps.iter().filter(|gap| !gap.is_silent()) {
            all.push(OutageTruth {
                camera_id: camera.id.clone(),
                county: city.gazetteer.counties[camera.county].code,
                offline_at: gap.from.to_rfc3339(),
                online_at: (gap.to < end).then(|| gap.to.to_rfc3339()),
                reason: gap.reason,
                cluster: gap.cluster,
            });
        }
    }
    all
}

fn silences(city: &City) -> Vec<SilenceTruth> {
    let mut all = Vec::new();
    for camera in &city.cameras {
        for gap in camera.gaps.iter().filter(|gap| gap.is_silent()) {
            all.push(SilenceTruth {
                camera_id: camera.id.clone(),
                county: city.gazetteer.counties[camera.county].code,
                first_day: date_text(gap.from.day()),
                last_day: date_text(gap.to.day() - 1),
            });
        }
    }
    all
}

fn decoys(city: &City) -> Vec<DecoyTruth> {
    let merged = &city.planted.merged;
    let mut all = vec![
        DecoyTruth::HolidayNoise {
            days: (city.first_day..=city.last_day)
                .filter(|day| is_festival(*day))
                .map(date_text)
                .collect(),
            category: "0203",
            factor: FESTIVAL_NOISE,
        },
        DecoyTruth::MergedStation {
            county: city.gazetteer.counties[merged.county].code,
            from_area: city.gazetteer.streets[merged.from_street].code.clone(),
            into_area: city.gazetteer.streets[merged.into_street].code.clone(),
            first_day: date_text(merged.first_day),
        },
    ];
    for planting in &city.planted.plantings {
        let Some((start, length)) = planting.burst else {
            continue;
        };
        let day = planting.span().0;
        let at = describe(city, planting);
        let first_call_at = Moment::at(day, i64::from(start)).to_rfc3339();
        let last_call_at = Moment::at(day, i64::from(start + length)).to_rfc3339();
        all.push(match planting.shape {
            Shape::Assembly => DecoyTruth::AssemblyAsNoise {
                at,
                category_final: "0901",
                first_call_at,
                last_call_at,
            },
            _ => DecoyTruth::BulkCallers {
                at,
                first_call_at,
                last_call_at,
            },
        });
    }
    all
}
