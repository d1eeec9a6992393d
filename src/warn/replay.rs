//! A warning made again from exactly what it was made of: its receipt names SELECT, parameters and input versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::site::SiteFile;
use crate::engine::{Bounds, Parameters, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::Lake;
use crate::lake::days::Span;
use crate::model::{Product, header, window};
use crate::warn::table::{self, MOST_ROWS, Receipt};

/// What was told of a warning on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The warning.
    pub warning_id: String,
    /// The day, days since 1970-01-01.
    pub day: i32,
    /// The unit.
    pub unit: String,
    /// The row, as JSON.
    pub evidence: String,
    /// The name of its receipt.
    pub receipt: String,
}

/// The same, made again.
#[derive(Debug, Clone)]
pub struct Remade {
    /// What was told.
    pub told: Told,
    /// The row as it comes now; none where there is none.
    pub now: Option<String>,
    /// The receipt.
    pub receipt: Receipt,
}

impl Remade {
    /// Whether it is the same, to the last digit.
    pub fn same(&self) -> bool {
        self.now.as_ref() == Some(&self.told.evidence)
    }
}

/// Makes again what was told of warnings, each day from its own receipt.
///
/// # Errors
/// `Missing` naming table and version where an input is gone; as a query fails.
pub async fn again(lake: &Lake, bounds: Bounds, told: &[Told]) -> Result<Vec<Remade>> {
    let mut remade = Vec::new();
    let names: BTreeSet<&String> = told.iter().map(|told| &told.receipt).collect();
    for name in names {
        let receipt = table::receipt(lake, bounds, name).await?;
        let receipt = receipt.ok_or_else(|| fail(Kind::Missing, "replay_receipt", &[name]))?;
        let session = inputs(lake, bounds, &receipt).await?;
        for told in told.iter().filter(|told| told.receipt == *name) {
            remade.push(Remade {
                now: row(&session, &receipt, told).await?,
                told: told.clone(),
                receipt: receipt.clone(),
            });
        }
    }
    remade.sort_by_key(|remade| remade.told.day);
    Ok(remade)
}

/// A session on the inputs of a receipt, as they were.
async fn inputs(lake: &Lake, bounds: Bounds, receipt: &Receipt) -> Result<Session> {
    let broken = |cause: serde_json::Error| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let inputs: BTreeMap<String, String> = serde_json::from_str(&receipt.inputs).map_err(broken)?;
    let session = Session::new(bounds)?;
    for (name, state) in inputs {
        let (location, version) = state.rsplit_once('@').unwrap_or((&state, ""));
        let number = version.parse().map_err(|_| fail(Kind::Bug, "batch_shape", &[]))?;
        let opened = async {
            let table = lake.table_at(&name, location, number).await?;
            // a version whose files are gone is seen before a query runs into it
            table.holds_files().await?;
            table.provider(session.state()).await
        };
        let provider = opened.await.map_err(|cause| {
            let error = fail(Kind::Missing, "replay_gone", &[&receipt.rule, &name, &version]);
            error.because(cause).hint("replay_gone_hint", &[])
        })?;
        session.register(&name, provider)?;
    }
    Ok(session)
}

/// The row of a unit on a day.
async fn row(session: &Session, receipt: &Receipt, told: &Told) -> Result<Option<String>> {
    let broken = |cause: serde_json::Error| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let parameters: Parameters = serde_json::from_str(&receipt.parameters).map_err(broken)?;
    let file = SiteFile {
        path: receipt.path.clone(),
        text: receipt.sql.clone(),
    };
    let header = header::parse(&file, &mut Vec::new());
    let day = Span {
        first: told.day,
        last: told.day,
    };
    let days = (header.window.as_ref(), day);
    let rows = window::rows(session, &file, &parameters, days, MOST_ROWS).await?;
    let product = Product::parse(SiteFile {
        path: format!("pipelines/rules/{}.toml", receipt.rule),
        text: receipt.rule_file.clone(),
    })?;
    let found = table::findings(&product, &receipt.model, &rows)?;
    let own = found
        .into_iter()
        .find(|finding| finding.day == told.day && finding.unit == told.unit);
    Ok(own.map(|finding| finding.evidence))
}
