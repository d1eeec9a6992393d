//! `fenghuo hints`: what a crew should know about a place, and what it says of that.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::Entry;
use crate::cli::audit::{Deed, question};
use crate::cli::clock::SystemClock;
use crate::cli::open::{Opened, named};
use crate::cli::output::{Output, texts};
use crate::cli::print::Printer;
use crate::cli::warn::{laid, lay};
use crate::contract::Contract;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Release;
use crate::lake::erase::Mark as Document;
use crate::model::pinned;
use crate::pipeline::erase;
use crate::pipeline::files::contracts;
use crate::pipeline::renew::key_check;
use crate::pipeline::run::calendar as site_calendar;
use crate::protect::SiteKey;
use crate::time::{Clock, rfc3339};
use crate::warn::call::{Calls, look_up};
use crate::warn::hint::{ALARM, CARD, FACT, Hints, INBOX, MARKED, Mark, Told, Verdict, cell_of};
use crate::warn::table::CATEGORY;

/// Facts about a place, given with an order
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    asked: Asked,
    /// Read questions from the standard input and answer each with a line of JSON
    #[arg(long = "pipe", id = "hint_pipe", conflicts_with_all = ["hint_alarm", "hint_lon"])]
    pipe: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Asked {
    /// Number of the call record
    #[arg(id = "hint_alarm", long = "alarm", value_name = "NUMBER", conflicts_with = "hint_lon", required_unless_present_any = ["hint_lon", "hint_pipe"])]
    alarm: Option<String>,
    /// Contract under which the call came
    #[arg(
        id = "hint_contract",
        long = "contract",
        value_name = "NAME",
        default_value = "alarm"
    )]
    contract: String,
    /// Longitude, WGS-84
    #[arg(id = "hint_lon", long = "lon", value_name = "DEGREES", requires_all = ["hint_lat", "hint_category"], allow_negative_numbers = true)]
    lon: Option<f64>,
    /// Latitude, WGS-84
    #[arg(
        id = "hint_lat",
        long = "lat",
        value_name = "DEGREES",
        requires = "hint_lon",
        allow_negative_numbers = true
    )]
    lat: Option<f64>,
    /// Category of the call
    #[arg(id = "hint_category", long = "category", value_name = "CODE", requires = "hint_lon")]
    category: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say that a hint is wrong, which hides it at once, or that it was useful
    Mark {
        /// Name of the hint
        #[arg(id = "hint_id", value_name = "HINT")]
        hint: String,
        /// What is said of it
        #[arg(id = "hint_verdict", long = "as", value_name = "VERDICT", value_enum)]
        verdict: Verdict,
    },
}

/// A question of the pipe.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Question {
    Alarm {
        alarm: String,
        #[serde(default = "contract")]
        contract: String,
    },
    Place {
        lon: f64,
        lat: f64,
        category: String,
    },
}

fn contract() -> String {
    "alarm".to_owned()
}

/// An answer of the pipe.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    told: &'a Told,
    /// Until when it may be read.
    valid_until: String,
    /// What no hint says by itself.
    caution: String,
}

/// All that questions are answered from.
struct Desk<'a> {
    opened: &'a Opened,
    release: Release,
    session: Session,
    hints: Hints,
    today: i32,
    /// The key and the contracts, where calls are asked for by number.
    key: Option<(SiteKey, Vec<Contract>)>,
    /// The newest calls, where one is asked for after the other.
    calls: Option<Calls>,
    /// When the folder of marks was read.
    read: Option<std::time::SystemTime>,
}

/// How long a hint holds, microseconds.
const HOLDS: i64 = 24 * 3_600_000_000;

/// Until when what is told now may be read.
fn valid_until() -> String {
    rfc3339(SystemClock.now() + HOLDS)
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let release = opened.release(None).await?;
    if !release.tables.contains_key(FACT) {
        return Err(fail(Kind::Missing, "hint_none", &[&FACT]).hint("hint_none_hint", &[]));
    }
    if let Some(Verb::Mark { hint, verdict }) = &args.verb {
        let desk = Desk::open(&opened, release, None).await?;
        return desk.mark(hint, *verdict, printer);
    }
    let asked = &args.asked;
    if args.pipe {
        return pipe(Desk::open(&opened, release, None).await?, printer).await;
    }
    let place = match (asked.lon, asked.lat, &asked.category) {
        (Some(lon), Some(lat), Some(category)) => Some(((lon, lat), category.clone())),
        _ => None,
    };
    // one question reads its own cell alone
    let mut desk = Desk::open(&opened, release, place.as_ref().map(|(at, _)| *at)).await?;
    let question = match (place, &asked.alarm) {
        (Some(((lon, lat), category)), _) => Question::Place { lon, lat, category },
        (None, alarm) => Question::Alarm {
            alarm: alarm.clone().unwrap_or_default(),
            contract: asked.contract.clone(),
        },
    };
    let deed = Deed::begin(&opened, vec![question_entry(&desk)])?;
    let told = desk.answer(question).await;
    deed.shown(told.as_ref().ok().map(|told| told.hints.len()))?;
    print(&told?, args, printer)
}

fn question_entry(desk: &Desk<'_>) -> Entry {
    question("hints", &[FACT.to_owned()], "", desk.release.release)
}

impl<'a> Desk<'a> {
    /// All facts, or those of the cell of one place.
    async fn open(opened: &'a Opened, release: Release, only: Option<(f64, f64)>) -> Result<Desk<'a>> {
        let bounds = Bounds::from(&opened.site.settings.limits);
        let wanted = |name: &str| [FACT, CARD, CATEGORY, MARKED, ALARM].contains(&name);
        let session = pinned::session_on(&opened.lake, bounds, &release, wanted).await?;
        let only = only.map(|(lon, lat)| cell_of(lon, lat)).transpose()?;
        let hints = Hints::load(&session, release.tables.contains_key(MARKED), only).await?;
        let today = site_calendar(&opened.site)?.day_and_hour(SystemClock.now());
        let mut desk = Desk {
            opened,
            release,
            session,
            hints,
            today: today.map_or(i32::MAX, |(day, _)| day),
            key: None,
            calls: None,
            read: None,
        };
        desk.refresh()?;
        Ok(desk)
    }

    /// Reads the marks that no release holds yet, where there are new ones.
    fn refresh(&mut self) -> Result<()> {
        let folder = self.opened.site.path(INBOX);
        let changed = match std::fs::metadata(&folder).and_then(|folder| folder.modified()) {
            Ok(changed) => changed,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(io_error(&folder, &cause)),
        };
        if self.read == Some(changed) {
            return Ok(());
        }
        let marks: Vec<Mark> = laid(&folder)?;
        self.hints.marked(&marks);
        self.read = Some(changed);
        Ok(())
    }

    /// Answers a question.
    async fn answer(&mut self, question: Question) -> Result<Told> {
        self.refresh()?;
        let (cell, category) = match question {
            Question::Place { lon, lat, category } => (cell_of(lon, lat)?, category),
            Question::Alarm { alarm, contract } => self.call(&alarm, &contract).await?,
        };
        if !self.hints.knows(&category) {
            return Err(fail(Kind::Input, "hint_category", &[&category]));
        }
        Ok(self.hints.at(cell, &category, self.today))
    }

    /// The key and the contracts by which calls are found.
    fn by_number(&mut self) -> Result<&(SiteKey, Vec<Contract>)> {
        if self.key.is_none() {
            let key = self.opened.key()?;
            // under another key nothing would be found
            self.opened.lake.same_key(key_check(&key))?;
            self.key = Some((key, contracts(&self.opened.site)?));
        }
        self.key.as_ref().ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))
    }

    /// The cell from which a call came and what it is about, by the number of its record.
    async fn call(&mut self, number: &str, contract: &str) -> Result<(i64, String)> {
        let opened = self.opened;
        let (key, contracts) = self.by_number()?;
        let document = erase::document(&opened.run(key)?, named(contracts, contract)?, number)?;
        let Document::Document { token, .. } = document else {
            return Err(fail(Kind::Bug, "batch_shape", &[]));
        };
        let call = match &self.calls {
            Some(calls) => calls.find(&self.session, token).await?,
            None => look_up(&self.session, token).await?,
        };
        let call = call.ok_or_else(|| fail(Kind::Missing, "hint_alarm_unknown", &[]).hint("hint_alarm_hint", &[]))?;
        let cell = call
            .cell
            .ok_or_else(|| fail(Kind::Missing, "hint_no_position", &[&call.category]))?;
        Ok((cell, call.category))
    }

    /// Lays a mark down where the next night reads it; it counts at once.
    fn mark(&self, hint: &str, verdict: Verdict, printer: &Printer) -> Result<()> {
        let county = self.hints.county(hint);
        let county =
            county.ok_or_else(|| fail(Kind::Missing, "hint_unknown", &[&hint]).hint("hint_unknown_hint", &[]))?;
        let (mark, line) = Mark::line(hint, county, verdict, &rfc3339(SystemClock.now()))?;
        let entry = Entry {
            act: "hint.mark".to_owned(),
            object: hint.to_owned(),
            ..Entry::default()
        };
        let path: PathBuf = self.opened.site.path(INBOX).join(format!("{}.ndjson", mark.mark_id));
        let deed = Deed::begin(self.opened, vec![entry])?;
        let written = lay(&path, &line);
        deed.end(written.is_ok())?;
        written?;
        printer.say("hint_laid", &[&hint, &path.display()]);
        Ok(())
    }
}

/// Answers questions until the standard input ends; a bad one is answered as well.
async fn pipe(mut desk: Desk<'_>, printer: &Printer) -> Result<()> {
    let deed = Deed::begin(desk.opened, vec![question_entry(&desk)])?;
    desk.calls = Some(Calls::load(&desk.session, desk.opened.site.settings.limits.hint_calls).await?);
    let mut told = 0;
    loop {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map(|length| (length, line))
        });
        let read = read
            .await
            .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))?;
        let (length, line) = read.map_err(|cause| io_error(Path::new("-"), &cause))?;
        if length == 0 {
            break;
        }
        let question = serde_json::from_str::<Question>(&line);
        let answer = match question {
            Ok(question) => desk.answer(question).await,
            Err(cause) => Err(fail(Kind::Input, "hint_question", &[]).because(cause)),
        };
        let text = match &answer {
            Ok(answer) => {
                told += answer.hints.len();
                serde_json::to_string(&Answer {
                    told: answer,
                    valid_until: valid_until(),
                    caution: printer.words("hint_caution", &[]),
                })
            }
            Err(error) => serde_json::to_string(&serde_json::json!({ "error": error.render(printer.language()) })),
        };
        let text = text.map_err(|cause| fail(Kind::Bug, "output_failed", &[]).because(cause))?;
        printer.data(&(text + "\n"))?;
    }
    deed.shown(Some(told))
}

/// A page for a person, or rows for a program.
fn print(told: &Told, args: &Args, printer: &Printer) -> Result<()> {
    let language = printer.language();
    if !args.output.is_page() {
        let of = |of: &dyn Fn(&crate::warn::hint::Hint) -> String| texts(told.hints.iter().map(of).collect());
        let as_of = told.as_of.clone().unwrap_or_default();
        return args.output.columns(
            vec![
                ("hint_id", of(&|hint| hint.hint_id.clone())),
                ("kind", of(&|hint| hint.kind.word().to_owned())),
                (
                    "text",
                    of(&|hint| language.pick(&hint.text_zh, &hint.text_en).to_owned()),
                ),
                ("fact_on", of(&|hint| hint.fact_on.clone().unwrap_or_default())),
                (
                    "age_days",
                    of(&|hint| hint.age_days.map_or_else(String::new, |days| days.to_string())),
                ),
                (
                    "households",
                    of(&|hint| hint.households.map_or_else(String::new, |count| count.to_string())),
                ),
                ("as_of", of(&|_| as_of.clone())),
            ],
            printer,
        );
    }
    let mut page = String::new();
    let mut say = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    if let (Some([zh, en]), Some(as_of)) = (&told.place, &told.as_of) {
        say(printer.words("hint_place", &[&language.pick(zh, en), as_of]));
    }
    if told.hints.is_empty() {
        say(printer.words("hint_nothing", &[]));
    }
    for hint in &told.hints {
        let text = language.pick(&hint.text_zh, &hint.text_en);
        let aged = match (&hint.fact_on, hint.age_days) {
            (Some(day), Some(age)) => printer.words("hint_line", &[&text, day, &age, &hint.hint_id]),
            _ => printer.words("hint_line_undated", &[&text, &hint.hint_id]),
        };
        say(aged);
    }
    say(printer.words("hint_caution", &[]));
    say(printer.words("hint_until", &[&valid_until()]));
    printer.data(&page)
}
