//! Pages of a release: a workbook with the facts of the release it shows.

use std::fmt::Display;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use chrono::DateTime;

use crate::config::Site;
use crate::contract::{Contract, Origin};
use crate::engine::{Bounds, Session};
use crate::error::{Result, io_error};
use crate::lake::{Lake, Release};
use crate::message::{Language, Message};
use crate::model::pinned;
use crate::model::product::{Decision, ProductFile, products};
use crate::pipeline::run;
use crate::pipeline::waiver::{Waiver, waivers};
use crate::time::calendar;
use crate::workbook::{Facts, Page, Workbook};

/// The product that says which counties deliver.
const HEALTH: &str = "indicator.data_health";

/// Runs a workbook on a release.
///
/// # Errors
/// `Input` with the place in the workbook, or as a query fails.
pub async fn render(site: &Site, lake: &Lake, name: &str, release: &Release, contracts: &[Contract]) -> Result<Page> {
    let workbook = Workbook::parse(&site.file(&format!("sql/workbooks/{name}.md"))?)?;
    let limits = &site.settings.limits;
    let session = pinned::session(lake, Bounds::from(limits), release).await?;
    let settings = &site.settings.site;
    let made = DateTime::parse_from_rfc3339(&release.made_at).map_or(0, |at| at.timestamp_micros());
    let made = run::calendar(site)?.day_and_hour(made).map_or(0, |(day, _)| day);
    let facts = Facts {
        release: release.release,
        made_at: release.made_at.clone(),
        digest: release.digest.clone(),
        run_id: release.run_id.clone(),
        site_title: [settings.title_zh.clone(), settings.title_en.clone()],
        synthetic: settings.synthetic,
        off: release.off.clone(),
        notes: environment_note(lake)
            .chain(origin_notes(contracts))
            .chain(held_notes(release))
            .chain(decision_notes(site, made)?)
            .chain(pulled_notes(release))
            .chain(late_notes(&session, release, (&waivers(site, contracts)?, made), limits.query_rows).await?)
            .collect(),
    };
    workbook.run(&session, &facts, limits.query_rows).await
}

/// Renders a workbook into the pages folder; the page's path relative to the site.
///
/// # Errors
/// As [`render`]; `Unavailable` or `Denied` where the page cannot be written.
pub async fn write(site: &Site, lake: &Lake, name: &str, release: &Release, contracts: &[Contract]) -> Result<String> {
    let html = render(site, lake, name, release, contracts).await?.html()?;
    let mut folder = site.settings.lake.pages.clone();
    if let Some(environment) = lake.environment() {
        folder = format!("{folder}/{environment}");
    }
    let relative = format!("{folder}/{name}.html");
    let path = site.path(&relative);
    std::fs::create_dir_all(site.path(&folder))
        .and_then(|()| std::fs::write(&path, html))
        .map_err(|cause| io_error(&path, &cause))?;
    Ok(relative)
}

/// A page of an environment says that it shows a trial.
fn environment_note(lake: &Lake) -> impl Iterator<Item = [String; 2]> {
    lake.environment()
        .map(|name| note("note_environment", &[&name]))
        .into_iter()
}

/// Rows older than the release are said to be.
fn held_notes(release: &Release) -> impl Iterator<Item = [String; 2]> {
    release.held.keys().map(|model| note("note_held", &[model]))
}

/// What somebody decided about a product is on every page while it holds.
fn decision_notes(site: &Site, made: i32) -> Result<impl Iterator<Item = [String; 2]>> {
    let mut notes = Vec::new();
    for product in products(site, &mut Vec::new())? {
        let ProductFile {
            suspended,
            signed,
            title_zh,
            title_en,
            ..
        } = &product.file;
        for (key, decision) in [("note_suspended", suspended), ("note_signed", signed)] {
            let Some(decision) = decision.as_ref().filter(|decision| decision.holds(made)) else {
                continue;
            };
            let Decision { by, until, .. } = decision;
            let zh = Message::new(key, &[title_zh, by, until, &decision.reason_zh]);
            let en = Message::new(key, &[title_en, by, until, &decision.reason_en]);
            notes.push([zh.in_language(Language::Chinese), en.in_language(Language::English)]);
        }
    }
    Ok(notes.into_iter())
}

/// What comes from elsewhere says from when it is.
fn pulled_notes(release: &Release) -> impl Iterator<Item = [String; 2]> {
    let pulled = release.pulled.iter();
    pulled.map(|(share, pulled)| note("note_pulled", &[share, &pulled.release, &pulled.made_at]))
}

/// Counties whose rows are missing are said to be, with the reason where it is known: their numbers are unknown,
/// not zero.
async fn late_notes(
    session: &Session,
    release: &Release,
    (waivers, made): (&[Waiver], i32),
    limit: usize,
) -> Result<Vec<[String; 2]>> {
    if !release.tables.contains_key(HEALTH) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT arrow_cast(county, 'Utf8'), arrow_cast(last_day, 'Int32'), arrow_cast(days_behind, 'Int32') FROM {HEALTH} \
         WHERE state <> 'fresh' ORDER BY county"
    );
    let late = session.query("pages", &sql, limit).await?;
    let mut notes = Vec::new();
    for batch in &late.batches {
        let counties = batch.column(0).as_string::<i32>();
        let (lasts, behind) = (
            batch.column(1).as_primitive::<Int32Type>(),
            batch.column(2).as_primitive::<Int32Type>(),
        );
        for ((county, last), behind) in counties.iter().flatten().zip(lasts.values()).zip(behind.values()) {
            let covers = |waiver: &&Waiver| waiver.covers_county(county, last + 1, last + behind, made);
            let day = calendar::text(*last);
            notes.push(match waivers.iter().find(covers) {
                Some(waiver) => note("note_waived", &[&county, &day, &waiver.reason]),
                None => note("note_late", &[&county, &day]),
            });
        }
    }
    Ok(notes)
}

/// A constant origin is an assumption; every product prints its reason.
fn origin_notes(contracts: &[Contract]) -> impl Iterator<Item = [String; 2]> {
    contracts.iter().filter_map(|contract| match &contract.origin {
        Some(Origin::Constant(origin, reason)) => Some(note("note_origin", &[&contract.name, origin, reason])),
        _ => None,
    })
}

fn note(key: &'static str, args: &[&dyn Display]) -> [String; 2] {
    let message = Message::new(key, args);
    [Language::Chinese, Language::English].map(|language| message.in_language(language))
}
