//! The settings of a site: `fenghuo.toml` over the embedded `defaults.toml`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::text;
use crate::error::{Kind, Result, fail};
use crate::message::Message;

/// All settings of a site, fully resolved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who this site is and how it counts days.
    pub site: SiteSettings,
    /// Where tables, keys and pages live.
    pub lake: LakeSettings,
    /// Bounds on everything that can grow.
    pub limits: Limits,
    /// Who is told when a night goes wrong.
    pub notify: Notify,
    /// The door for those who pull.
    pub serve: Serve,
    /// What is pulled from elsewhere.
    pub pull: Pull,
}

/// Who the site is and how it counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Short name, used in file names.
    pub name: String,
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// `city` or `county`.
    pub profile: Profile,
    /// IANA zone of the site's calendar.
    pub timezone: String,
    /// Local time `HH:MM` at which a statistics day begins.
    pub day_cutoff: String,
    /// First day of a week.
    pub week_start: WeekStart,
    /// Which of the three local readings of 1-3-5 minutes holds.
    pub response_reading: ResponseReading,
    /// Which identifier patterns are searched for.
    pub identifier_pack: Pack,
    /// Whether the data are synthetic, which every page then says.
    pub synthetic: bool,
}

/// City centre or county sub-centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Profile {
    City,
    County,
}

/// First day of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum WeekStart {
    Monday,
    Sunday,
}

/// The three local readings of "1-3-5 minutes" (domain dictionary, section 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum ResponseReading {
    PlaceCircle,
    ForceTier,
    Urgency,
}

/// A pack of identifier patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pack {
    /// Resident identity numbers, mobile numbers and plates of mainland China.
    Cn,
    /// Social security and telephone numbers of the United States.
    Us,
    /// International telephone numbers and bank account numbers.
    Eu,
}

/// Where things live.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LakeSettings {
    /// Folder of the site or `file://` URL of the lake.
    pub url: String,
    /// Key file, outside the lake, mode 0600.
    pub key_file: String,
    /// Folder of rendered pages.
    pub pages: String,
}

/// Bounds on everything that can grow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one source record.
    pub record_bytes: usize,
    /// Rows handed from parser to writer at once.
    pub batch_rows: usize,
    /// Rows that a query returns.
    pub query_rows: usize,
    /// Memory of one query, MiB.
    pub query_memory_mebibytes: usize,
    /// Rejects listed per file; a file with more is refused whole.
    pub rejects_per_batch: usize,
    /// Share of refused rows, percent, above which nothing of a file is stored.
    pub reject_percent: f64,
    /// Rows of a file that is held against its earlier versions.
    pub resend_rows: usize,
    /// Share of a file's earlier rows, percent, that may vanish when it is replaced unattended.
    pub vanished_percent: usize,
    /// Newest calls that a process of hints holds ready by number, 24 bytes each; older ones are looked up.
    pub hint_calls: usize,
    /// Days for which what a warning was made of is held.
    pub replay_days: u16,
    /// Seconds to wait for the site lease.
    pub lease_wait_seconds: u64,
    /// Minutes that one model may take to build.
    pub step_minutes: u64,
    /// Times that a step is tried where the store or another writer is in the way.
    pub step_attempts: u32,
    /// Seconds before it is tried again, doubled each time.
    pub step_wait_seconds: u64,
    /// Days for which what a release shows is kept.
    pub keep_days: i64,
    /// Hours after which a file that no version shows belongs to nobody.
    pub orphan_hours: i64,
    /// Partitions of a query plan; fixed so that plans do not depend on the machine.
    pub target_partitions: usize,
}

/// The door for those who pull.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    /// Address and port that it listens at.
    pub listen: String,
    /// Its URL as recipients know it, ending in `/delta-sharing`.
    pub url: String,
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Its key, PEM, mode 0600.
    pub certificate_key: String,
    /// The authority that vouches for the certificate, PEM; it goes out with profile files. Empty for one that
    /// recipients trust anyway.
    pub authority: String,
    /// Minutes for which the address of a file is good, 60 at most.
    pub link_minutes: u32,
    /// Bytes of a request.
    pub body_bytes: usize,
    /// Files that one recipient fetches at once.
    pub streams: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections from one address at once.
    pub address_connections: usize,
    /// Requests of one recipient.
    pub requests_per_minute: u32,
    /// Requests from one address.
    pub address_requests_per_minute: u32,
    /// Requests without a valid token from one address.
    pub failures_per_minute: u32,
}

/// What is pulled from elsewhere.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// Profile files of the publishers, mode 0600.
    pub profiles: Vec<String>,
    /// Files that are fetched at once.
    pub parallel: usize,
    /// MiB a second at most, 0 for no limit.
    pub mebibytes_per_second: f64,
    /// Seconds without a byte after which a connection is given up.
    pub patience_seconds: u64,
    /// Times that a question or a file is tried where the line breaks.
    pub attempts: u32,
    /// GiB that one pull brings at most.
    pub gibibytes: u64,
    /// Minutes that a night waits for each publisher.
    pub night_minutes: u64,
}

/// Who is told when a night goes wrong, and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// File of the site that gets a line of JSON for each telling; empty for none.
    pub file: String,
    /// Mail relay, `smtp://host:25` or `smtps://host:465`; empty for none.
    pub smtp: String,
    /// User of the relay; empty where it asks for none.
    pub smtp_user: String,
    /// File with its password, mode 0600.
    pub smtp_password_file: String,
    /// Who the mail is from.
    pub mail_from: String,
    /// Who gets it.
    pub mail_to: Vec<String>,
    /// Who gets it when nobody said that they know.
    pub mail_escalate: Vec<String>,
    /// URL that gets it as JSON; empty for none.
    pub webhook: String,
    /// URL that hears every 15 seconds that the scheduler lives; empty for none.
    pub beat: String,
    /// Hosts that may be talked to at all.
    pub allow: Vec<String>,
    /// Minutes before the deadline of a pipeline at which somebody is told.
    pub lead_minutes: i64,
    /// Minutes after which it is told again where nobody said that they know; 0 for never.
    pub escalate_minutes: i64,
    /// Local time `HH:MM` of the message of the day; empty for none.
    pub digest_at: String,
}

const DEFAULTS: &str = include_str!("defaults.toml");

impl Settings {
    /// The settings of a site: its file's text over the defaults.
    ///
    /// # Errors
    /// `Input` with the place of every unknown key (and the nearest known one), of a syntax error,
    /// or of a value of the wrong type.
    pub fn parse(path: &str, user: &str) -> Result<Settings> {
        let mut merged: toml::Table = DEFAULTS
            .parse()
            .map_err(|cause| fail(Kind::Bug, "defaults_broken", &[]).because(cause))?;
        let given: toml::Table = user.parse().map_err(|cause| text::toml_error(path, user, &cause))?;
        let mut problems = Vec::new();
        for (section, value) in given {
            let Some(known) = merged.get_mut(&section).and_then(toml::Value::as_table_mut) else {
                problems.push(text::unknown_key(path, user, &section, merged.keys()));
                continue;
            };
            let toml::Value::Table(value) = value else {
                let message = Message::new("expected_section", &[&section]);
                problems.push(text::problem_at_word(path, user, &section, message));
                continue;
            };
            for (key, value) in value {
                if known.contains_key(&key) {
                    known.insert(key, value);
                } else {
                    problems.push(text::unknown_key(path, user, &key, known.keys()));
                }
            }
        }
        if !problems.is_empty() {
            return Err(fail(Kind::Input, "settings_invalid", &[&path]).with_problems(problems));
        }
        let settings: Settings = toml::Value::Table(merged)
            .try_into()
            .map_err(|cause: toml::de::Error| fail(Kind::Input, "settings_invalid", &[&path]).because(cause))?;
        let minutes = settings.serve.link_minutes;
        if !(1..=60).contains(&minutes) {
            let problem = text::problem_at_word(path, user, "link_minutes", Message::new("link_minutes", &[&minutes]));
            return Err(fail(Kind::Input, "settings_invalid", &[&path]).with_problems(vec![problem]));
        }
        let time = &settings.notify.digest_at;
        if !time.is_empty() && !is_time_of_day(time) {
            let problem = text::problem_at_word(path, user, time, Message::new("time_of_day", &[time]));
            return Err(fail(Kind::Input, "settings_invalid", &[&path]).with_problems(vec![problem]));
        }
        Ok(settings)
    }
}

/// Whether a text is a local time `HH:MM`.
pub fn is_time_of_day(text: &str) -> bool {
    text.len() == 5 && chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let settings = Settings::parse("fenghuo.toml", "").expect("defaults are complete");
        assert_eq!(settings.site.timezone, "Asia/Shanghai");
        assert_eq!(settings.limits.query_rows, 100_000);
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place_and_the_nearest_one() {
        let text = "[site]\nname = \"x\"\ntimezon = \"UTC\"\n";
        let error = Settings::parse("fenghuo.toml", text).expect_err("an unknown key");
        assert_eq!(error.kind(), Kind::Input);
        assert_eq!(
            (error.problems()[0].place.line, error.problems()[0].place.column),
            (3, 1)
        );
        assert!(error.to_string().contains("timezone"), "{error}");
    }
}
