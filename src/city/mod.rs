//! The seeded synthetic city 青原市 Qingyuan (code 9901): eleven invented counties in uninhabited desert whose 110, camera and
//! register systems write the files a real city would deliver, dirt and dialects included, with events planted in them and a truth
//! to check against. It only writes into a given writer: no file system, no clock, no environment, and no real person or place.

mod alarm;
mod alarm_file;
mod calendar;
mod camera;
mod category;
mod counties;
mod dialect;
mod dirt;
mod gazetteer;
mod geometry;
mod ground_file;
mod means;
mod names;
mod place_file;
mod planted;
mod population;
mod response;
mod response_file;
mod sheet;
mod site;
mod text;
mod truth;
mod video;

use std::io::{self, Write};

pub use sheet::FeedCount;
pub use truth::{
    DecoyTruth, DutyTruth, ExclusionTruth, FileTruth, OutageTruth, PlanTruth, PlantedTruth, SilenceTruth,
    StaffingTruth, Truth,
};

/// Days of calendar before the first alarm, for methods that look back.
const CALENDAR_LEAD_DAYS: i32 = 120;

/// How large the city is; the seed decides everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CityPlan {
    /// Seed of every draw.
    pub seed: u64,
    /// Alarms, about.
    pub alarms: u64,
    /// Clips in the index, about.
    pub clips: u64,
    /// Registered people, exactly.
    pub residents: u64,
    /// Days of alarms.
    pub days: u32,
    /// The last of them.
    pub last_day: chrono::NaiveDate,
}

impl CityPlan {
    fn sized(seed: u64, alarms: u64, clips: u64, residents: u64, days: u32) -> Self {
        // The fallback is never taken: the date is valid.
        let last_day = chrono::NaiveDate::from_ymd_opt(2025, 12, 31).unwrap_or_default();
        Self {
            seed,
            alarms,
            clips,
            residents,
            days,
            last_day,
        }
    }

    /// A year that a laptop reads in seconds: the demonstration.
    pub fn small(seed: u64) -> Self {
        Self::sized(seed, 220_000, 1_050_000, 310_000, 366)
    }

    /// Three years at the rate of a real prefecture of nine million people, calls halved.
    pub fn medium(seed: u64) -> Self {
        Self::sized(seed, 3_000_000, 10_000_000, 1_000_000, 1_096)
    }

    /// Ten times the medium city.
    pub fn large(seed: u64) -> Self {
        Self::scaled(seed, 10.0)
    }

    /// The medium city times a factor; below one half it shrinks to a single year.
    pub fn scaled(seed: u64, factor: f64) -> Self {
        let times = |count: f64| (count * factor.max(0.0)).round() as u64;
        let days = if factor >= 0.5 { 1_096 } else { 366 };
        Self::sized(seed, times(3_000_000.0), times(10_000_000.0), times(1_000_000.0), days)
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Area,
    PlaceName,
    Calendar,
    Alarm(usize),
    Dispatch(usize),
    Feedback(usize),
    Camera,
    CameraStatus,
    VideoIndex(usize),
    VideoCount,
    Population(usize),
    Site,
    Staffing,
    Shift,
    ExclusionZone,
    Hazard,
    ChangeLog,
    Forbidden,
}

impl Feed {
    fn name(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::PlaceName => "place_name",
            Self::Calendar => "calendar",
            Self::Alarm(_) => "alarm",
            Self::Dispatch(_) => "dispatch",
            Self::Feedback(_) => "feedback",
            Self::Camera => "camera",
            Self::CameraStatus => "camera_status",
            Self::VideoIndex(_) => "video_index",
            Self::VideoCount => "video_count",
            Self::Population(_) => "population",
            Self::Site => "site",
            Self::Staffing => "staffing",
            Self::Shift => "shift",
            Self::ExclusionZone => "exclusion_zone",
            Self::Hazard => "hazard",
            Self::ChangeLog => "change_log",
            Self::Forbidden => "forbidden",
        }
    }

    fn county(self) -> Option<usize> {
        match self {
            Self::Alarm(county)
            | Self::Dispatch(county)
            | Self::Feedback(county)
            | Self::VideoIndex(county)
            | Self::Population(county) => Some(county),
            _ => None,
        }
    }
}

/// One file of the city, not yet written.
#[derive(Clone, Debug)]
pub struct CityFile {
    /// Path below the demonstration's folder, such as `inbox/alarm/990101.csv`.
    pub path: String,
    /// Rows, about: for progress.
    pub rows: u64,
    feed: Feed,
}

/// The city: what is fixed before any row is written.
#[derive(Debug)]
pub struct City {
    plan: CityPlan,
    gazetteer: gazetteer::Gazetteer,
    planted: planted::Planted,
    cameras: Vec<camera::Camera>,
    rates: alarm::AlarmRates,
    first_day: i32,
    last_day: i32,
}

/// Draws the city of a plan.
pub fn files(plan: &CityPlan) -> City {
    let epoch = chrono::NaiveDate::default();
    let last_day = plan.last_day.signed_duration_since(epoch).num_days() as i32;
    let first_day = last_day - plan.days.max(1) as i32 + 1;
    let gazetteer = gazetteer::Gazetteer::build(plan.seed);
    City {
        planted: planted::Planted::build(plan.seed, &gazetteer, first_day, last_day),
        cameras: camera::build_cameras(plan.seed, &gazetteer, plan.clips, last_day),
        rates: alarm::AlarmRates::build(&gazetteer, plan.alarms, first_day, last_day),
        plan: plan.clone(),
        gazetteer,
        first_day,
        last_day,
    }
}

impl City {
    /// All files; each can be written alone, in any order, at any time.
    pub fn files(&self) -> Vec<CityFile> {
        let counties = 0..self.gazetteer.counties.len();
        let mut feeds = vec![
            Feed::Area,
            Feed::PlaceName,
            Feed::Calendar,
            Feed::Camera,
            Feed::CameraStatus,
            Feed::Site,
            Feed::Staffing,
            Feed::Shift,
            Feed::ExclusionZone,
            Feed::Hazard,
            Feed::ChangeLog,
        ];
        for per_county in [
            Feed::Alarm,
            Feed::Dispatch,
            Feed::Feedback,
            Feed::VideoIndex,
            Feed::Population,
        ] {
            feeds.extend(counties.clone().map(per_county));
        }
        feeds.extend([Feed::VideoCount, Feed::Forbidden]);
        feeds
            .into_iter()
            .map(|feed| CityFile {
                path: self.path(feed),
                rows: self.rows(feed),
                feed,
            })
            .collect()
    }

    fn path(&self, feed: Feed) -> String {
        let county = |index: usize| self.gazetteer.counties[index].code;
        match feed {
            Feed::Area => "inbox/area/areas.csv".into(),
            Feed::PlaceName => "inbox/place_name/place_names.csv".into(),
            Feed::Calendar => "inbox/calendar/calendar.csv".into(),
            Feed::Camera => "inbox/camera/cameras.csv".into(),
            Feed::CameraStatus => "inbox/camera_status/status.ndjson".into(),
            Feed::VideoCount => "inbox/video_count/counts.ndjson".into(),
            Feed::Site => "inbox/site/sites.csv".into(),
            Feed::Staffing => "inbox/staffing/staffing.csv".into(),
            Feed::Shift => "inbox/shift/shifts.csv".into(),
            Feed::ExclusionZone => "inbox/exclusion_zone/zones.csv".into(),
            Feed::Hazard => "inbox/hazard/hazards.csv".into(),
            Feed::ChangeLog => "sql/ref/change_log.sql".into(),
            Feed::Forbidden => "optional/alarm_with_forbidden_column.csv".into(),
            Feed::VideoIndex(index) => format!("inbox/video_index/{}.ndjson", county(index)),
            Feed::Alarm(index) | Feed::Dispatch(index) | Feed::Feedback(index) | Feed::Population(index) => {
                format!("inbox/{}/{}.csv", feed.name(), county(index))
            }
        }
    }

    fn rows(&self, feed: Feed) -> u64 {
        let alarms = |county| self.rates.expected(county, self.first_day, self.last_day);
        match feed {
            Feed::Area => (self.gazetteer.counties.len() + self.gazetteer.streets.len()) as u64,
            Feed::PlaceName => self.gazetteer.places.len() as u64,
            Feed::Calendar => (self.last_day - self.first_day + 1 + CALENDAR_LEAD_DAYS) as u64,
            Feed::Camera => self.cameras.len() as u64,
            Feed::CameraStatus => self.cameras.len() as u64 * 11 / 10,
            Feed::VideoCount => video::expected_counts(self),
            Feed::Site => means::rows(self)[0],
            Feed::Staffing => means::rows(self)[1],
            Feed::Shift => means::rows(self)[2],
            Feed::ExclusionZone => ground_file::rows(self)[0],
            Feed::Hazard => ground_file::rows(self)[1],
            Feed::ChangeLog => 1,
            Feed::Forbidden => 20,
            Feed::VideoIndex(county) => video::expected_clips(self, county),
            Feed::Population(county) => population::quota(self, county).0,
            Feed::Alarm(county) => alarms(county),
            Feed::Dispatch(county) => alarms(county) * 47 / 100,
            Feed::Feedback(county) => alarms(county) * 45 / 100,
        }
    }

    /// Writes one file and says what it holds.
    pub fn write(&self, file: &CityFile, out: &mut dyn Write) -> io::Result<FileTruth> {
        let count = match file.feed {
            Feed::Area => place_file::write_areas(self, out),
            Feed::PlaceName => place_file::write_place_names(self, out),
            Feed::Calendar => calendar::write_calendar(self.first_day - CALENDAR_LEAD_DAYS, self.last_day, out),
            Feed::Alarm(county) => alarm_file::write_alarms(self, county, out),
            Feed::Dispatch(county) => response_file::write_dispatches(self, county, out),
            Feed::Feedback(county) => response_file::write_feedbacks(self, county, out),
            Feed::Camera => camera::write_cameras(self, out),
            Feed::CameraStatus => camera::write_status(self, out),
            Feed::VideoIndex(county) => video::write_clips(self, county, out),
            Feed::VideoCount => video::write_counts(self, out),
            Feed::Population(county) => population::write_register(self, county, out),
            Feed::Site => means::write_sites(self, out),
            Feed::Staffing => means::write_staffing(self, out),
            Feed::Shift => means::write_shifts(self, out),
            Feed::ExclusionZone => ground_file::write_zones(self, out),
            Feed::Hazard => ground_file::write_hazards(self, out),
            Feed::ChangeLog => ground_file::write_change_log(self, out),
            Feed::Forbidden => alarm_file::write_forbidden(self, out),
        }?;
        let county = file.feed.county().map(|county| self.gazetteer.counties[county].code);
        Ok(FileTruth {
            path: file.path.clone(),
            feed: file.feed.name(),
            county,
            count,
        })
    }

    /// The truth of the written files and of everything planted.
    pub fn truth(&self, files: &[FileTruth]) -> Truth {
        Truth::of(self, files)
    }
}

#[cfg(test)]
mod tests;
