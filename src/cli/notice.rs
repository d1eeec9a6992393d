//! `fenghuo notice`: what stands open of the last nights, who knows, who was told.

use std::path::Path;

use crate::cli::clock::{SystemClock, run_id};
use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Error, Kind, Result, fail};
use crate::message::Language;
use crate::pipeline::notice;
use crate::pipeline::notify::{Channels, Teller};
use crate::pipeline::run::calendar;
use crate::time::{Clock, rfc3339};

/// What stands open of the last nights: list, acknowledge, send
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what stands open
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Say that you know; nobody else is told
    Ack {
        /// The notice
        notice: String,
        /// Who knows
        #[arg(long, env = "USER", default_value = "operator")]
        by: String,
    },
    /// Tell what is due now; schedule does so by itself
    Send,
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let now = SystemClock.now();
    let name = run_id(now)?;
    let teller = Teller {
        site: &opened.site,
        lake: &opened.lake,
        now,
        run_id: &name,
    };
    match &args.verb {
        Verb::List { output } => list(&opened, &teller, output, printer).await,
        Verb::Ack { notice, by } => {
            if by.trim().is_empty() {
                return Err(fail(Kind::Input, "notice_by", &[]));
            }
            teller.acknowledge(notice, by).await?;
            printer.say("notice_known", &[notice, by]);
            Ok(())
        }
        Verb::Send => {
            if (Channels { site: &opened.site }).names().is_empty() {
                return Err(fail(Kind::Missing, "notify_none", &[]).hint("notify_none_hint", &[]));
            }
            match send(&teller, false, printer).await?.pop() {
                Some(error) => Err(error),
                None => Ok(()),
            }
        }
    }
}

/// Tells what is due and says what was told; what went wrong with channels.
pub(super) async fn send(teller: &Teller<'_>, patient: bool, printer: &Printer) -> Result<Vec<Error>> {
    let (told, wrong) = teller.tell(patient).await?;
    for telling in &told {
        let text = match printer.language() {
            Language::Chinese => &telling.text_zh,
            Language::English => &telling.text_en,
        };
        printer.say("notice_told", &[text]);
    }
    Ok(wrong)
}

async fn list(opened: &Opened, teller: &Teller<'_>, output: &Output, printer: &Printer) -> Result<()> {
    let settings = &opened.site.settings;
    let calendar = calendar(&opened.site)?;
    let open = teller.standing().await?.open;
    let deeds = notice::deeds(&opened.site, &opened.lake).await?;
    let state = |id: &str| {
        let last = deeds.iter().rev().find(|deed| deed.notice_id == id);
        last.map_or_else(|| "open".to_owned(), |deed| format!("{} {}", deed.act, deed.by))
    };
    let text = |of: &dyn Fn(&notice::Notice) -> String| texts(open.iter().map(of).collect());
    let words = |notice: &notice::Notice| notice.text(&opened.site, &calendar, printer.language());
    output.columns(
        vec![
            ("notice", text(&|notice| notice.notice_id.clone())),
            ("pipeline", text(&|notice| notice.night.pipeline.clone())),
            (
                "nights",
                numbers(open.iter().map(|notice| notice.nights as u64).collect()),
            ),
            ("state", text(&|notice| state(&notice.notice_id))),
            (
                "told_at",
                text(&|notice| notice.due(&settings.notify).map_or_else(String::new, rfc3339)),
            ),
            ("text", text(&words)),
        ],
        printer,
    )
}
