//! `fenghuo share`: what leaves the city, and the attack on it.

use arrow::array::{ArrayRef, BooleanArray, Float64Array};
use std::sync::Arc;

use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::cli::{export, recipient};
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::model::pinned;
use crate::pipeline::run::calendar;
use crate::share::definition::{Share, shares};
use crate::share::{Attacked, Class, attack};
use crate::time::Clock;

/// See what is shared, and attack it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the shares with whom they are for and whether they are published
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Add a recipient and write its profile file
    Add(recipient::Add),
    /// Let a recipient read shares
    Grant(recipient::Granted),
    /// Give a recipient a new token; the one before ends within a day
    Rotate(recipient::Rotate),
    /// End what a recipient may read, within seconds
    Revoke(recipient::Revoke),
    /// List the recipients with their grants and the ends of their tokens
    Recipients {
        #[command(flatten)]
        output: Output,
    },
    /// Write what a recipient may read into one file, for where no line leads
    Export(export::Args),
    /// Attack what was published as one who knows all but one county; fails where a hidden count is found
    Audit {
        /// The share, all of them by default
        #[arg(id = "share_name", value_name = "SHARE")]
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(args: &Args, site: &std::path::Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let all = shares(&opened.site)?;
    match &args.verb {
        Verb::Add(args) => recipient::add(&opened, args, printer).await,
        Verb::Grant(args) => recipient::grant(&opened, args, printer).await,
        Verb::Rotate(args) => recipient::rotate(&opened, args, printer).await,
        Verb::Revoke(args) => recipient::revoke(&opened, args, printer).await,
        Verb::Recipients { output } => recipient::list(&opened, output, printer).await,
        Verb::Export(args) => export::run(&opened, args, printer).await,
        Verb::List { output } => list(&opened, &all, output, printer).await,
        Verb::Audit { name, output } => {
            let wanted: Vec<&Share> = match name {
                Some(name) => vec![
                    all.iter()
                        .find(|share| share.name == *name)
                        .ok_or_else(|| fail(Kind::Missing, "no_share", &[name]))?,
                ],
                None => all.iter().collect(),
            };
            audit(&opened, &wanted, output, printer).await
        }
    }
}

async fn list(opened: &Opened, all: &[Share], output: &Output, printer: &Printer) -> Result<()> {
    let release = opened.lake.latest_release().await?;
    let today = calendar(&opened.site)?
        .day_and_hour(SystemClock.now())
        .map_or(0, |(day, _)| day);
    let entry = |share: &Share| release.as_ref()?.tables.get(&share.table()).cloned();
    let state = |share: &Share| {
        let held = release
            .as_ref()
            .is_some_and(|release| release.held.contains_key(&share.table()));
        match share.state(today) {
            Some(why) => why.to_owned(),
            None if held => "held".to_owned(),
            None if entry(share).is_some() => "published".to_owned(),
            None => "unpublished".to_owned(),
        }
    };
    let text = |of: &dyn Fn(&Share) -> String| texts(all.iter().map(of).collect());
    let class = |share: &Share| match share.file.class {
        Class::Own => "own".to_owned(),
        Class::Compared => "compared".to_owned(),
    };
    let columns = vec![
        ("share", text(&|share| share.name.clone())),
        ("state", text(&state)),
        ("class", text(&class)),
        ("k", numbers(all.iter().map(Share::k).collect())),
        (
            "rows",
            numbers(
                all.iter()
                    .map(|share| entry(share).map_or(0, |entry| entry.rows))
                    .collect(),
            ),
        ),
        ("audience", text(&|share| share.file.audience.clone())),
        ("purpose", text(&|share| share.file.purpose.clone())),
        ("approver", text(&|share| share.file.approver.clone())),
        ("expires", text(&|share| share.file.expires.clone())),
    ];
    output.columns(columns, printer)
}

async fn audit(opened: &Opened, wanted: &[&Share], output: &Output, printer: &Printer) -> Result<()> {
    let release = opened.release(None).await?;
    let bounds = Bounds::from(&opened.site.settings.limits);
    let session = pinned::session_on(&opened.lake, bounds, &release, |name| name.starts_with("share.")).await?;
    let mut found: Vec<Attacked> = Vec::new();
    let is_there = |share: &Share| release.tables.contains_key(&share.table());
    // an attack on nothing must not be taken for one that failed
    if let [share] = wanted {
        let why = match share.file.class {
            Class::Own => Some("share_no_gate_own"),
            Class::Compared => (!is_there(share)).then_some("share_no_gate_unpublished"),
        };
        if let Some(why) = why {
            let why = printer.words(why, &[]);
            return Err(fail(Kind::Missing, "share_no_gate", &[&share.name, &why]));
        }
    }
    for share in wanted.iter().filter(|share| is_there(share)) {
        found.extend(attack::attack(&opened.lake, bounds, &session, share).await?);
    }
    let count = |of: fn(&Attacked) -> u64| numbers(found.iter().map(of).collect());
    let percent = found.iter().map(|found| (found.shown_percent * 10.0).round() / 10.0);
    let percent: ArrayRef = Arc::new(Float64Array::from_iter_values(percent));
    let safe: ArrayRef = Arc::new(BooleanArray::from_iter(found.iter().map(|found| Some(found.is_safe()))));
    let columns = vec![
        ("share", texts(found.iter().map(|found| found.share.clone()).collect())),
        ("safe", safe),
        ("blocks", count(|found| found.blocks)),
        ("hidden", count(|found| found.hidden)),
        ("exposed", count(|found| found.exposed)),
        ("exposed_if_small_alone", count(|found| found.exposed_if_small_alone)),
        ("small", count(|found| found.small)),
        ("unlike", count(|found| found.unlike)),
        ("shown_percent", percent),
    ];
    output.columns(columns, printer)?;
    match found.iter().find(|found| !found.is_safe()) {
        Some(unsafe_one) => Err(fail(
            Kind::Check,
            "share_exposed",
            &[
                &unsafe_one.share,
                &(unsafe_one.exposed + unsafe_one.small + unsafe_one.unlike),
                &unsafe_one.first,
            ],
        )
        .hint("share_exposed_hint", &[&unsafe_one.share])),
        None => Ok(()),
    }
}
