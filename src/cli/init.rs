//! `fenghuo init`: a new site with the standard models, contracts and a key of its own.

use std::path::{Path, PathBuf};

use crate::cli::clock::entropy;
use crate::cli::print::Printer;
use crate::config::site::{SETTINGS_FILE, standard_files, write_private};
use crate::config::{Settings, Site};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::digest::hex;

/// Make a new site in a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the new site
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// City centre or county sub-centre
    #[arg(long, default_value = "city", value_parser = ["city", "county"], env = "FENGHUO_PROFILE")]
    profile: String,
    /// Short name of the site
    #[arg(long, env = "FENGHUO_NAME")]
    name: Option<String>,
    /// IANA zone of the site's calendar
    #[arg(long, env = "FENGHUO_TIMEZONE")]
    timezone: Option<String>,
    /// Local time at which a statistics day begins, HH:MM
    #[arg(long, env = "FENGHUO_DAY_CUTOFF")]
    day_cutoff: Option<String>,
    /// First day of a week
    #[arg(long, value_parser = ["monday", "sunday"], env = "FENGHUO_WEEK_START")]
    week_start: Option<String>,
    /// How 1-3-5 minutes is read
    #[arg(long, value_parser = ["urgency", "place_circle", "force_tier"], env = "FENGHUO_RESPONSE_READING")]
    response_reading: Option<String>,
    /// Identifier patterns to search for
    #[arg(long, value_parser = ["cn", "us", "eu"], env = "FENGHUO_IDENTIFIER_PACK")]
    identifier_pack: Option<String>,
    /// Take every answer that is not given from the defaults
    #[arg(long, env = "FENGHUO_DEFAULTS")]
    defaults: bool,
}

/// The answers that make a site.
#[derive(Debug)]
pub(super) struct Answers {
    pub name: String,
    pub title_zh: String,
    pub title_en: String,
    pub profile: String,
    pub timezone: String,
    pub day_cutoff: String,
    pub week_start: String,
    pub response_reading: String,
    pub identifier_pack: String,
    pub synthetic: bool,
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<()> {
    let ask = printer.can_ask() && !args.defaults;
    let mut missing = Vec::new();
    let mut answer =
        |given: &Option<String>, flag: &'static str, question: &'static str, default: &str| -> Result<String> {
            match given {
                Some(given) => Ok(given.clone()),
                None if ask => printer.ask(&printer.words(question, &[]), default),
                None => {
                    missing.push(flag);
                    Ok(default.to_owned())
                }
            }
        };
    let folder_name = args
        .dir
        .file_name()
        .map_or_else(|| "site".to_owned(), |name| name.to_string_lossy().into_owned());
    let name = args.name.clone().unwrap_or(folder_name);
    let answers = Answers {
        title_zh: name.clone(),
        title_en: name.clone(),
        name,
        profile: args.profile.clone(),
        timezone: answer(&args.timezone, "--timezone", "ask_timezone", "Asia/Shanghai")?,
        day_cutoff: answer(&args.day_cutoff, "--day-cutoff", "ask_day_cutoff", "00:00")?,
        week_start: answer(&args.week_start, "--week-start", "ask_week_start", "monday")?,
        response_reading: answer(
            &args.response_reading,
            "--response-reading",
            "ask_response_reading",
            "urgency",
        )?,
        identifier_pack: answer(&args.identifier_pack, "--identifier-pack", "ask_identifier_pack", "cn")?,
        synthetic: false,
    };
    if !missing.is_empty() && !args.defaults {
        return Err(fail(Kind::Input, "init_flags", &[&missing.join(" ")]).hint("init_flags_hint", &[]));
    }
    create(&args.dir, &answers)?;
    printer.say("site_made", &[&args.dir.display()]);
    Ok(())
}

/// Writes a new site. An existing site is left as it is and refused.
pub(super) fn create(dir: &Path, answers: &Answers) -> Result<Site> {
    if dir.join(SETTINGS_FILE).exists() {
        return Err(fail(Kind::Conflict, "site_exists", &[&dir.display()]));
    }
    let settings = settings_text(answers);
    // what does not parse is not written
    let parsed = Settings::parse(SETTINGS_FILE, &settings)?;
    let site = &parsed.site;
    if crate::time::Calendar::new(&site.timezone, &site.day_cutoff).is_none() {
        return Err(fail(Kind::Input, "site_calendar", &[&site.timezone, &site.day_cutoff]));
    }
    for (path, text) in standard_files() {
        write(&dir.join(&path), text.as_bytes())?;
    }
    for folder in ["inbox", "keys", "lake"] {
        let path = dir.join(folder);
        std::fs::create_dir_all(&path).map_err(|cause| io_error(&path, &cause))?;
    }
    write_key(&dir.join("keys/site.key"))?;
    write(
        &dir.join(".gitignore"),
        b"/keys/\n/lake/\n/inbox/\n/pages/\n/schedule.*\n",
    )?;
    // the settings come last: a folder without them is no site yet, and init can run again
    write(&dir.join(SETTINGS_FILE), settings.as_bytes())?;
    Site::open(dir)
}

fn settings_text(answers: &Answers) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    format!(
        "# Settings of this site; every other one has its default (fenghuo schema settings).\n\n[site]\nname = {}\ntitle_zh = {}\n\
         title_en = {}\nprofile = {}\ntimezone = {}\nday_cutoff = {}\nweek_start = {}\nresponse_reading = {}\n\
         identifier_pack = {}\nsynthetic = {}\n",
        quoted(&answers.name),
        quoted(&answers.title_zh),
        quoted(&answers.title_en),
        quoted(&answers.profile),
        quoted(&answers.timezone),
        quoted(&answers.day_cutoff),
        quoted(&answers.week_start),
        quoted(&answers.response_reading),
        quoted(&answers.identifier_pack),
        answers.synthetic,
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|cause| io_error(path, &cause))
}

/// A new key, readable by its owner alone from the first moment.
fn write_key(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    write_private(path, hex(&entropy()?).as_bytes()).map_err(|cause| io_error(path, &cause))
}
