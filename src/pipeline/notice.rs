//! Notices: what is wrong with the last nights, whom it may wake, and when.
//!
//! A notice is no message that a run sends: it is read from `ops.run`, `ops.step` and `ops.check` whenever
//! somebody looks, so that a run that was killed has one too, and one that was mended has none. Only what was
//! done about it is kept, in `ops.notice`: sent, escalated, acknowledged, closed. A pipeline that goes wrong
//! night after night has one notice, which grows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimestampMicrosecondType};

use crate::config::Site;
use crate::config::settings::Notify;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::ingest::tables::instant;
use crate::lake::{Commit, Lake, Layout};
use crate::message::{Language, Message};
use crate::model::pinned;
use crate::pipeline::Definition;
use crate::pipeline::definition::Wake;
use crate::pipeline::record::{self, Act};
use crate::time::{Calendar, rfc3339};

const MINUTE: i64 = 60_000_000;
/// The table of what was done about notices.
pub const TABLE: &str = "ops.notice";
/// How far back runs are looked at.
const HORIZON: i64 = 62 * 24 * 60 * MINUTE;
/// After a channel failed, it is tried again so much later.
pub(super) const AGAIN: i64 = 5 * MINUTE;
/// Things that one message names.
const NAMED: usize = 3;

/// What went wrong in a run, by the kind of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// `ingest`, `build`, `check`, `workbook` …; `run` where it ended without one.
    pub kind: String,
    /// File, model, check, page.
    pub name: String,
}

/// One bad run, as the records tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// The run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// `ok`, `partial`, `failed`, `interrupted`.
    pub status: String,
    /// The release that holds after it, 0 for none.
    pub release: u64,
    /// What it took for now, UTC microseconds.
    pub clock_at: i64,
    /// When it ended, UTC microseconds.
    pub ended_at: i64,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
    /// Models that keep older rows.
    pub held: u64,
}

/// Bad runs of one pipeline that nothing mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The first of them; it stays when another bad night follows.
    pub notice_id: String,
    /// When the first ended, UTC microseconds.
    pub since: i64,
    /// How many there are.
    pub nights: usize,
    /// The newest.
    pub night: Night,
    /// Whom it may wake.
    pub wake: Wake,
    /// By when it has to be mended, UTC microseconds.
    pub deadline: Option<i64>,
}

/// Something that was done about a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The notice.
    pub notice_id: String,
    /// What was done.
    pub act: String,
    /// When, UTC microseconds.
    pub at: i64,
    /// By which channel or person.
    pub by: String,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Tell it.
    Send,
    /// Tell it to the next, since nobody said that they know.
    Escalate,
    /// Tell those who were told that it is over.
    Close,
}

impl Duty {
    /// The word in `ops.notice`.
    pub fn word(self) -> &'static str {
        match self {
            Duty::Send => "sent",
            Duty::Escalate => "escalated",
            Duty::Close => "closed",
        }
    }
}

/// The notices that stand open: the bad runs of each pipeline since its last good one, oldest first.
pub fn open(nights: &[Night], definition: impl Fn(&str) -> Option<Definition>, calendar: &Calendar) -> Vec<Notice> {
    let mut runs: BTreeMap<&str, Vec<&Night>> = BTreeMap::new();
    for night in nights {
        let of = runs.entry(&night.pipeline).or_default();
        match night.status.as_str() {
            "ok" => of.clear(),
            _ => of.push(night),
        }
    }
    let mut found: Vec<Notice> = runs
        .into_iter()
        .filter_map(|(pipeline, bad)| {
            let (first, last) = (bad.first()?, bad.last()?);
            let definition = definition(pipeline);
            let deadline = definition.as_ref().and_then(|definition| definition.deadline.clone());
            let wakes = |kind: &str| match &definition {
                Some(definition) => definition.wake.of(kind),
                // a pipeline that cannot be read is a night that did not begin
                None => Wake::Now,
            };
            let wake = last.troubles.iter().map(|trouble| wakes(&trouble.kind)).max();
            Some(Notice {
                notice_id: first.run_id.clone(),
                since: first.ended_at,
                nights: bad.len(),
                night: (*last).clone(),
                wake: wake.unwrap_or_else(|| wakes("run")),
                deadline: deadline.and_then(|time| next(&time, last.clock_at, calendar)),
            })
        })
        .collect();
    found.sort_by_key(|notice| notice.since);
    found
}

/// The first moment after `from` at which clocks show a local time.
fn next(time: &str, from: i64, calendar: &Calendar) -> Option<i64> {
    let time = chrono::NaiveTime::parse_from_str(time, "%H:%M").ok()?;
    let date = calendar.local(from)?.date();
    let days = (0..3).filter_map(|days| date.checked_add_days(chrono::Days::new(days)));
    days.filter_map(|date| calendar.instant(date.and_time(time)).ok())
        .find(|at| *at > from)
}

impl Notice {
    /// When it is told, UTC microseconds; `None` for one that wakes nobody.
    pub fn due(&self, rules: &Notify) -> Option<i64> {
        match (self.wake, self.deadline) {
            (Wake::Never, _) => None,
            (Wake::BeforeDeadline, Some(deadline)) => {
                Some(self.night.ended_at.max(deadline - rules.lead_minutes * MINUTE))
            }
            _ => Some(self.night.ended_at),
        }
    }

    /// The words of it: what is missing, whether the pages will be right, until when, what next.
    pub fn text(&self, site: &Site, calendar: &Calendar, language: Language) -> String {
        let settings = &site.settings.site;
        let title = match language {
            Language::Chinese => &settings.title_zh,
            Language::English => &settings.title_en,
        };
        let local = |at: i64| {
            calendar
                .local(at)
                .map_or_else(|| rfc3339(at), |at| at.format("%m-%d %H:%M").to_string())
        };
        let say = |key: &'static str, args: &[&dyn std::fmt::Display]| Message::new(key, args).in_language(language);
        let pipeline = &self.night.pipeline;
        let mut parts = vec![say("notice_head", &[title, pipeline, &local(self.night.ended_at)])];
        if self.nights > 1 {
            parts.push(say("notice_nights", &[&self.nights, &local(self.since)]));
        }
        let kinds: BTreeSet<&str> = self
            .night
            .troubles
            .iter()
            .map(|trouble| trouble.kind.as_str())
            .collect();
        for kind in kinds {
            let all: Vec<&str> = self
                .night
                .troubles
                .iter()
                .filter(|trouble| trouble.kind == kind)
                .map(|trouble| trouble.name.as_str())
                .collect();
            let mut names = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            if all.len() > NAMED {
                names.push_str(&say("notice_more", &[&(all.len() - NAMED)]));
            }
            parts.push(match kind {
                "ingest" => say("notice_ingest", &[&all.len(), &names]),
                "build" => say("notice_build", &[&all.len(), &names]),
                "check" => say("notice_check", &[&all.len(), &names]),
                _ => say("notice_other", &[&kind, &names]),
            });
        }
        if self.night.troubles.is_empty() {
            parts.push(say("notice_cut_off", &[&self.night.status]));
        }
        parts.push(match (self.night.release, self.night.held) {
            (0, _) => say("notice_no_pages", &[]),
            (release, 0) => say("notice_pages", &[&release]),
            (release, held) => say("notice_pages_held", &[&release, &held]),
        });
        if let Some(deadline) = self.deadline {
            parts.push(say("notice_until", &[&local(deadline)]));
        }
        parts.push(say("notice_next", &[&self.notice_id]));
        parts.join(" ")
    }
}

/// What stands open, and whether that is all: while somebody works at the site, a run that was cut off cannot be
/// told from one under way.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The notices, oldest first.
    pub open: Vec<Notice>,
    /// Whether every bad run is among them.
    pub whole: bool,
}

/// What is to be done at a moment by each of the channels, about notices that are open and about those that were
/// told and are no more.
pub fn duties(
    standing: &Standing,
    deeds: &[Deed],
    rules: &Notify,
    channels: &[&'static str],
    now: i64,
) -> Vec<(String, Duty, Vec<&'static str>)> {
    let acts = |id: &str, act: &str| {
        let acts = deeds.iter().filter(|deed| deed.notice_id == id && deed.act == act);
        acts.cloned().collect::<Vec<Deed>>()
    };
    let by = |id: &str, duty: Duty, channel: &str| acts(id, duty.word()).iter().any(|deed| deed.by == channel);
    let waits = |id: &str, channel: &str| {
        let failed = acts(id, "failed");
        failed.iter().any(|deed| deed.by == channel && now < deed.at + AGAIN)
    };
    // channels that did not do it yet, and did not fail just now
    let owing = |id: &str, duty: Duty| -> Vec<&'static str> {
        let owing = channels
            .iter()
            .filter(|channel| !by(id, duty, channel) && !waits(id, channel));
        owing.copied().collect()
    };
    let mut found = Vec::new();
    for notice in &standing.open {
        let id = notice.notice_id.as_str();
        if !acts(id, "acknowledged").is_empty() {
            continue;
        }
        if notice.due(rules).is_some_and(|due| due <= now) {
            found.push((id.to_owned(), Duty::Send, owing(id, Duty::Send)));
        }
        let first = acts(id, "sent").iter().map(|deed| deed.at).min();
        if rules.escalate_minutes > 0 && first.is_some_and(|sent| now >= sent + rules.escalate_minutes * MINUTE) {
            found.push((id.to_owned(), Duty::Escalate, owing(id, Duty::Escalate)));
        }
    }
    let told: BTreeSet<&str> = deeds
        .iter()
        .filter(|deed| deed.act == "sent")
        .map(|deed| deed.notice_id.as_str())
        .collect();
    for id in told.into_iter().filter(|_| standing.whole) {
        if !standing.open.iter().any(|notice| notice.notice_id == id) {
            // by those that told it
            let mut owing = owing(id, Duty::Close);
            owing.retain(|channel| by(id, Duty::Send, channel));
            found.push((id.to_owned(), Duty::Close, owing));
        }
    }
    found.retain(|(_, _, owing)| !owing.is_empty());
    found
}

/// The runs of the last two months, oldest first; those that were cut off and are not recorded yet come from
/// their journals. Whether these are all.
///
/// # Errors
/// As the lake cannot be read.
pub async fn nights(site: &Site, lake: &Lake, now: i64) -> Result<(Vec<Night>, bool)> {
    let (cut_off, whole) = match cut_off(lake).await? {
        Some(cut_off) => (cut_off, true),
        None => (Vec::new(), false),
    };
    let (Some(runs), Some(steps)) = (lake.table("ops.run").await?, lake.table("ops.step").await?) else {
        return Ok((cut_off, whole));
    };
    let mut tables = vec![&runs, &steps];
    let checks = lake.table("ops.check").await?;
    tables.extend(&checks);
    let session = pinned::on(Bounds::from(&site.settings.limits), &tables).await?;
    let failed_checks = match &checks {
        Some(_) => {
            "UNION ALL SELECT run_id, 'check', path || ': ' || \"check\", 'failed' FROM ops.check \
             WHERE status = 'failed' AND severity = 'hold'"
        }
        None => "",
    };
    let sql = format!(
        "SELECT arrow_cast(r.run_id, 'Utf8'), arrow_cast(r.pipeline, 'Utf8'), arrow_cast(r.status, 'Utf8'), r.release, \
         r.clock_at, r.ended_at, arrow_cast(s.kind, 'Utf8'), arrow_cast(s.name, 'Utf8'), arrow_cast(s.status, 'Utf8') \
         FROM ops.run AS r LEFT JOIN (SELECT run_id, kind, name, status FROM ops.step WHERE status IN ('failed', 'held') \
         AND kind <> 'check' {failed_checks}) AS s ON s.run_id = r.run_id \
         WHERE r.act IN ('run', 'retry') AND r.status <> 'skipped' AND arrow_cast(r.ended_at, 'Int64') > {} \
         ORDER BY r.started_at, r.run_id, s.kind, s.name",
        now - HORIZON
    );
    let rows = session.query("notice", &sql, site.settings.limits.query_rows).await?;
    let mut found: Vec<Night> = Vec::new();
    for batch in &rows.batches {
        let text = |column: usize, row: usize| {
            let texts = batch.column(column).as_string::<i32>();
            texts.iter().nth(row).flatten().unwrap_or_default().to_owned()
        };
        let releases = batch.column(3).as_primitive::<Int64Type>();
        let (clocks, ends) = (
            batch.column(4).as_primitive::<TimestampMicrosecondType>(),
            batch.column(5).as_primitive::<TimestampMicrosecondType>(),
        );
        for row in 0..batch.num_rows() {
            if found.last().is_none_or(|night| night.run_id != text(0, row)) {
                found.push(Night {
                    run_id: text(0, row),
                    pipeline: text(1, row),
                    status: text(2, row),
                    release: releases.value(row).cast_unsigned(),
                    clock_at: clocks.value(row),
                    ended_at: ends.value(row),
                    troubles: Vec::new(),
                    held: 0,
                });
            }
            let Some(night) = found.last_mut() else { continue };
            match text(8, row).as_str() {
                "failed" => night.troubles.push(Trouble {
                    kind: text(6, row),
                    name: text(7, row),
                }),
                "held" => night.held += 1,
                _ => {}
            }
        }
    }
    // one that was recorded in between is told as it ended
    let known: BTreeSet<String> = found.iter().map(|night| night.run_id.clone()).collect();
    found.extend(cut_off.into_iter().filter(|night| !known.contains(&night.run_id)));
    Ok((found, whole))
}

/// Runs whose process is gone and which nobody recorded yet; `None` while somebody works at the site.
async fn cut_off(lake: &Lake) -> Result<Option<Vec<Night>>> {
    if lake.journals()?.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let _lease = match lake.lease("site", 0).await {
        Err(error) if error.kind() == Kind::Conflict => return Ok(None),
        lease => lease?,
    };
    let journals = lake.journals()?;
    let told = journals.iter().filter_map(|(_, lines)| record::told(lines));
    let runs = told.filter(|(head, _)| matches!(head.act, Act::Run | Act::Retry));
    let nights = runs
        .map(|(head, steps)| Night {
            run_id: head.run_id,
            pipeline: head.pipeline,
            status: "interrupted".to_owned(),
            release: 0,
            clock_at: head.clock_at,
            ended_at: steps.last().map_or(head.started_at, |step| step.span.1),
            troubles: Vec::new(),
            held: 0,
        })
        .collect();
    Ok(Some(nights))
}

/// What was done about notices, oldest first.
///
/// # Errors
/// As the lake cannot be read.
pub async fn deeds(site: &Site, lake: &Lake) -> Result<Vec<Deed>> {
    let Some(table) = lake.table(TABLE).await? else {
        return Ok(Vec::new());
    };
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&table]).await?;
    let sql = "SELECT arrow_cast(notice_id, 'Utf8'), arrow_cast(act, 'Utf8'), at, arrow_cast(\"by\", 'Utf8') \
               FROM ops.notice ORDER BY at";
    let rows = session.query("notice", sql, site.settings.limits.query_rows).await?;
    let mut found = Vec::new();
    for batch in &rows.batches {
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let at = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        found.extend((0..batch.num_rows()).map(|row| Deed {
            notice_id: text(0).value(row).to_owned(),
            act: text(1).value(row).to_owned(),
            at: at.value(row),
            by: text(3).value(row).to_owned(),
        }));
    }
    Ok(found)
}

/// Keeps what was done. The caller holds the lease of notices, so that the table is born once.
///
/// # Errors
/// As the store fails.
pub async fn keep(lake: &Lake, run_id: &str, fence: u64, deeds: &[Deed]) -> Result<()> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("notice_id", DataType::Utf8, true),
        Field::new("act", DataType::Utf8, true),
        Field::new("at", instant(), true),
        Field::new("by", DataType::Utf8, true),
    ]));
    let text = |of: fn(&Deed) -> &String| -> ArrayRef { Arc::new(StringArray::from_iter_values(deeds.iter().map(of))) };
    let at = TimestampMicrosecondArray::from_iter_values(deeds.iter().map(|deed| deed.at)).with_timezone("UTC");
    let columns = vec![
        text(|deed| &deed.notice_id),
        text(|deed| &deed.act),
        Arc::new(at),
        text(|deed| &deed.by),
    ];
    let mut table = lake.table_of(TABLE, &schema, &[]).await?;
    let rows =
        RecordBatch::try_new(schema, columns).map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
    let mut stage = table.stage(run_id, Layout::default())?;
    stage.write(&rows).await?;
    let staged = stage.finish().await?;
    let commit = Commit::of(run_id, fence, String::new());
    table.append(staged, &commit).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn at(day: i64, hour: i64, minute: i64) -> i64 {
        ((day * 24 + hour) * 60 + minute) * MINUTE
    }

    fn night(id: &str, status: &str, ended_at: i64, troubles: &[&str]) -> Night {
        Night {
            run_id: id.to_owned(),
            pipeline: "nightly".to_owned(),
            status: status.to_owned(),
            release: 4,
            clock_at: ended_at - MINUTE,
            ended_at,
            troubles: troubles
                .iter()
                .map(|kind| Trouble {
                    kind: (*kind).to_owned(),
                    name: "x".to_owned(),
                })
                .collect(),
            held: 0,
        }
    }

    fn definition(_: &str) -> Option<Definition> {
        toml::from_str("title_zh = \"夜\"\ntitle_en = \"night\"\ndeadline = \"07:00\"\n").ok()
    }

    fn rules(text: &str) -> Notify {
        let settings = Settings::parse("fenghuo.toml", &format!("[notify]\n{text}")).expect("settings");
        settings.notify
    }

    fn opened(nights: &[Night]) -> Vec<Notice> {
        open(nights, definition, &Calendar::new("UTC", "00:00").expect("a zone"))
    }

    /// What one channel, or two, have to do.
    fn due(open: &[Notice], deeds: &[Deed], rules: &Notify, now: i64) -> Vec<(Duty, Vec<&'static str>)> {
        let standing = Standing {
            open: open.to_vec(),
            whole: true,
        };
        let found = duties(&standing, deeds, rules, &["mail", "webhook"], now);
        found.into_iter().map(|(_, duty, owing)| (duty, owing)).collect()
    }

    fn deed(act: &str, at: i64, by: &str) -> Deed {
        Deed {
            notice_id: "a".to_owned(),
            act: act.to_owned(),
            at,
            by: by.to_owned(),
        }
    }

    #[test]
    fn a_late_file_wakes_nobody_a_failed_check_before_the_deadline_and_a_run_that_died_at_once() {
        let rules = rules("lead_minutes = 60");
        let ended = at(3, 2, 40);
        for (troubles, due) in [
            (&["ingest"][..], None),
            (&["check"][..], Some(at(3, 6, 0))),
            (&["ingest", "check"][..], Some(at(3, 6, 0))),
            (&["release"][..], Some(ended)),
            (&[][..], Some(ended)),
        ] {
            let open = opened(&[night("a", "partial", ended, troubles)]);
            assert_eq!(open[0].due(&rules), due, "{troubles:?}");
        }
        // after the deadline of the day, the next one counts
        let open = opened(&[night("a", "partial", at(3, 9, 0), &["check"])]);
        assert_eq!(open[0].due(&rules), Some(at(4, 6, 0)));
    }

    #[test]
    fn what_was_mended_before_it_was_due_is_never_told() {
        let rules = rules("");
        let bad = night("a", "partial", at(3, 2, 0), &["check"]);
        let mended = night("b", "ok", at(3, 3, 0), &[]);
        assert!(opened(&[bad, mended]).is_empty());
        assert!(due(&[], &[], &rules, at(3, 7, 0)).is_empty());
        // one that was told is told to be over, once, by who told it
        let sent = deed("sent", at(3, 6, 0), "mail");
        let over = due(&[], std::slice::from_ref(&sent), &rules, at(3, 7, 0));
        assert_eq!(over, [(Duty::Close, vec!["mail"])]);
        let closed = deed("closed", at(3, 7, 0), "mail");
        assert!(due(&[], &[sent.clone(), closed], &rules, at(3, 8, 0)).is_empty());
        // while somebody works at the site, a run that was cut off cannot be told from one under way
        let unknown = Standing::default();
        assert!(duties(&unknown, &[sent], &rules, &["mail"], at(3, 7, 0)).is_empty());
    }

    #[test]
    fn a_notice_is_told_once_escalated_once_and_not_when_somebody_knows() {
        let rules = rules("lead_minutes = 60\nescalate_minutes = 30");
        let nights = [
            night("a", "failed", at(2, 2, 0), &["check"]),
            night("b", "failed", at(3, 2, 0), &["check"]),
        ];
        let open = opened(&nights);
        assert_eq!((open.len(), open[0].notice_id.as_str(), open[0].nights), (1, "a", 2));
        let (mut deeds, mut told) = (Vec::new(), Vec::new());
        for minute in 0..300 {
            let now = at(3, 3, minute);
            for (duty, owing) in due(&open, &deeds, &rules, now) {
                deeds.extend(owing.iter().map(|channel| deed(duty.word(), now, channel)));
                told.push((duty, now, owing.len()));
            }
        }
        assert_eq!(told, [(Duty::Send, at(3, 6, 0), 2), (Duty::Escalate, at(3, 6, 30), 2)]);
        let known = deed("acknowledged", at(3, 5, 0), "zhang");
        assert!(due(&open, &[known], &rules, at(3, 8, 0)).is_empty());
    }

    #[test]
    fn a_channel_that_failed_is_tried_again_and_not_at_every_look_whatever_the_others_did() {
        let rules = rules("lead_minutes = 60\nescalate_minutes = 0");
        let open = opened(&[night("a", "failed", at(3, 2, 0), &["check"])]);
        let deeds = [
            deed("sent", at(3, 6, 0), "webhook"),
            deed("failed", at(3, 6, 0), "mail"),
        ];
        assert!(due(&open, &deeds, &rules, at(3, 6, 4)).is_empty());
        assert_eq!(due(&open, &deeds, &rules, at(3, 6, 5)), [(Duty::Send, vec!["mail"])]);
    }
}
