//! Pages of a release: a workbook with the facts of the release it shows.

use crate::config::Site;
use crate::contract::{Contract, Origin};
use crate::engine::Bounds;
use crate::error::{Result, io_error};
use crate::lake::{Lake, Release};
use crate::model::pinned;
use crate::workbook::{Facts, Page, Workbook};

/// Runs a workbook on a release.
///
/// # Errors
/// `Input` with the place in the workbook, or as a query fails.
pub async fn render(site: &Site, lake: &Lake, name: &str, release: &Release, contracts: &[Contract]) -> Result<Page> {
    let workbook = Workbook::parse(&site.file(&format!("sql/workbooks/{name}.md"))?)?;
    let limits = &site.settings.limits;
    let session = pinned::session(lake, Bounds::from(limits), release).await?;
    let settings = &site.settings.site;
    let facts = Facts {
        release: release.release,
        made_at: release.made_at.clone(),
        digest: release.digest.clone(),
        run_id: release.run_id.clone(),
        site_title: [settings.title_zh.clone(), settings.title_en.clone()],
        synthetic: settings.synthetic,
        off: release.off.clone(),
        notes: origin_notes(contracts).into_iter().chain(held_notes(release)).collect(),
    };
    workbook.run(&session, &facts, limits.query_rows).await
}

/// Renders a workbook into the pages folder; the page's path relative to the site.
///
/// # Errors
/// As [`render`]; `Unavailable` or `Denied` where the page cannot be written.
pub async fn write(site: &Site, lake: &Lake, name: &str, release: &Release, contracts: &[Contract]) -> Result<String> {
    let html = render(site, lake, name, release, contracts).await?.html()?;
    let folder = &site.settings.lake.pages;
    let relative = format!("{folder}/{name}.html");
    let path = site.path(&relative);
    std::fs::create_dir_all(site.path(folder))
        .and_then(|()| std::fs::write(&path, html))
        .map_err(|cause| io_error(&path, &cause))?;
    Ok(relative)
}

/// Rows older than the release are said to be.
fn held_notes(release: &Release) -> impl Iterator<Item = [String; 2]> {
    release.held.keys().map(|model| {
        [
            format!("{model} 未通过检查，显示的是更早一次发布的数据"),
            format!("{model} failed its checks: its rows are those of an earlier release"),
        ]
    })
}

/// A constant origin is an assumption; every product prints its reason.
fn origin_notes(contracts: &[Contract]) -> Vec<[String; 2]> {
    contracts
        .iter()
        .filter_map(|contract| match &contract.origin {
            Some(Origin::Constant(origin, reason)) => Some([
                format!("{}：来源一律视为 {origin}（{reason}）", contract.name),
                format!("{}: every call is taken as {origin} ({reason})", contract.name),
            ]),
            _ => None,
        })
        .collect()
}
