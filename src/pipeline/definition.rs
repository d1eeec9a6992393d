//! `pipelines/<name>.toml`: which contracts to ingest, which models to build, which pages to make.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::settings::is_time_of_day;
use crate::config::{Site, text};
use crate::contract::Contract;
use crate::error::{Kind, Result, fail};
use crate::message::Message;
use crate::model::Models;
use crate::model::load::SCHEMAS;
use crate::share::Share;

/// The days on which a pipeline runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    /// Every day.
    #[default]
    Every,
    /// Days on which offices work, swapped workdays included.
    Workdays,
    /// Weekends and holidays.
    Holidays,
}

/// What becomes of moments that were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The newest is run, the others are left out.
    #[default]
    Last,
    /// Every one is run, one after the other.
    All,
}

/// Whom trouble may wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Nobody: the message of the day tells it.
    Never,
    /// Somebody, in time before the deadline, where it is not mended by then.
    BeforeDeadline,
    /// Somebody, at once.
    Now,
}

/// Whom trouble may wake, by the kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wakes {
    /// A file was refused.
    pub ingest: Wake,
    /// A model could not be built.
    pub build: Wake,
    /// A check failed.
    pub check: Wake,
    /// A page could not be made.
    pub workbook: Wake,
    /// A share could not be published.
    pub share: Wake,
    /// What others share could not be pulled.
    pub pull: Wake,
    /// The lake's files could not be tidied.
    pub upkeep: Wake,
    /// Anything else, such as a run that died.
    pub run: Wake,
}

impl Default for Wakes {
    fn default() -> Wakes {
        Wakes {
            ingest: Wake::Never,
            build: Wake::BeforeDeadline,
            check: Wake::BeforeDeadline,
            workbook: Wake::BeforeDeadline,
            share: Wake::BeforeDeadline,
            pull: Wake::BeforeDeadline,
            upkeep: Wake::Never,
            run: Wake::Now,
        }
    }
}

impl Wakes {
    /// Whom a step of a kind may wake.
    pub fn of(&self, kind: &str) -> Wake {
        match kind {
            "ingest" => self.ingest,
            "build" => self.build,
            "check" => self.check,
            "workbook" => self.workbook,
            "share" => self.share,
            "pull" => self.pull,
            "upkeep" => self.upkeep,
            _ => self.run,
        }
    }
}

/// Work on the lake's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Upkeep {
    /// Small files are put together.
    Optimize,
    /// What no release in keep and no pin shows goes.
    Vacuum,
}

/// A pipeline as a person writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// Whether what others share is pulled first, from every provider of the settings.
    #[serde(default)]
    pub pull: bool,
    /// Contracts to ingest; `*` is all of them.
    #[serde(default)]
    pub ingest: Vec<String>,
    /// Models to build: `schema`, `schema.table`, or `*`.
    #[serde(default)]
    pub build: Vec<String>,
    /// Shares to publish with the release; `*` is all of them.
    #[serde(default)]
    pub share: Vec<String>,
    /// Workbooks to render on the release.
    #[serde(default)]
    pub workbooks: Vec<String>,
    /// What is done for the lake's files after the release, in this order.
    #[serde(default)]
    pub upkeep: Vec<Upkeep>,
    /// When it is due: five fields of cron in the site's zone.
    #[serde(default)]
    pub cron: Option<String>,
    /// The days on which it runs.
    #[serde(default)]
    pub on: Days,
    /// What becomes of moments that were missed.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Minutes after which a moment counts as missed.
    #[serde(default = "late_minutes")]
    pub late_minutes: u32,
    /// Contracts whose files it waits for.
    #[serde(default)]
    pub wait_for: Vec<String>,
    /// Minutes that it waits for them.
    #[serde(default)]
    pub wait_minutes: u32,
    /// Local time `HH:MM` by which its pages have to be right.
    #[serde(default)]
    pub deadline: Option<String>,
    /// Whom trouble may wake.
    #[serde(default)]
    pub wake: Wakes,
}

/// There is no such pipeline, and which one may be meant.
fn unknown(site: &Site, name: &str) -> Result<crate::Error> {
    let files = site.files("pipelines", ".toml")?;
    let known = files.iter().filter(|file| file.path.matches('/').count() == 1);
    let known: Vec<&str> = known.map(|file| file.stem()).collect();
    let error = fail(Kind::Missing, "no_pipeline", &[&name]);
    Ok(match text::closest(name, known.iter().copied()) {
        Some(near) => error.hint("nearest", &[&near]),
        None => error.hint("no_pipeline_hint", &[&known.join(" ")]),
    })
}

fn late_minutes() -> u32 {
    60
}

impl Definition {
    /// Reads the pipeline `name` of a site.
    ///
    /// # Errors
    /// `Missing` where there is none, `Input` with the place where it is wrong.
    pub fn load(site: &Site, name: &str) -> Result<Definition> {
        let file = match site.file(&format!("pipelines/{name}.toml")) {
            Err(error) if error.kind() == Kind::Missing => return Err(unknown(site, name)?),
            file => file?,
        };
        let definition: Definition =
            toml::from_str(&file.text).map_err(|cause| text::toml_error(&file.path, &file.text, &cause))?;
        if let Some(time) = definition.deadline.as_ref().filter(|time| !is_time_of_day(time)) {
            let problem = text::problem_at_word(&file.path, &file.text, time, Message::new("time_of_day", &[time]));
            return Err(fail(Kind::Input, "settings_invalid", &[&file.path]).with_problems(vec![problem]));
        }
        Ok(definition)
    }

    /// Refuses names of contracts, schemas, models and shares that do not exist.
    ///
    /// # Errors
    /// `Input` with the place of each and the nearest known name.
    pub fn known(
        &self,
        name: &str,
        site: &Site,
        contracts: &[Contract],
        models: &Models,
        shares: &[Share],
    ) -> Result<()> {
        let file = site.file(&format!("pipelines/{name}.toml"))?;
        let contracts: Vec<&str> = contracts.iter().map(|contract| contract.name.as_str()).collect();
        let mut built: Vec<&str> = SCHEMAS.to_vec();
        built.extend(models.ordered.iter().map(|model| model.name.as_str()));
        let shares: Vec<&str> = shares.iter().map(|share| share.name.as_str()).collect();
        let mut problems = Vec::new();
        for (wanted, known) in [
            (&self.share, &shares),
            (&self.ingest, &contracts),
            (&self.wait_for, &contracts),
            (&self.build, &built),
        ] {
            for word in wanted
                .iter()
                .filter(|word| *word != "*" && !known.contains(&word.as_str()))
            {
                problems.push(text::unknown_key(&file.path, &file.text, word, known.iter()));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(fail(Kind::Input, "pipeline_unknown", &[&name]).with_problems(problems))
    }

    /// Whether the pipeline builds a model.
    pub fn builds(&self, model: &str) -> bool {
        let schema = model.split('.').next().unwrap_or_default();
        self.build
            .iter()
            .any(|wanted| wanted == "*" || wanted == model || wanted == schema)
    }

    /// Whether the pipeline publishes a share.
    pub fn shares(&self, share: &str) -> bool {
        self.share.iter().any(|wanted| wanted == "*" || wanted == share)
    }

    /// Whether the pipeline ingests a contract; `*` leaves out those that must be named.
    pub fn ingests(&self, contract: &Contract) -> bool {
        self.ingest
            .iter()
            .any(|wanted| *wanted == contract.name || wanted == "*" && !contract.on_request)
    }
}
