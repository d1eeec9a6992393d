//! The command line: one thin file a command. Clock, randomness, environment and printing live here
//! and nowhere else.

mod audit;
mod backfill;
mod backtest;
mod clock;
mod completions;
mod contract;
mod demo;
mod diff;
mod docs;
mod doctor;
mod export;
mod freshness;
mod hints;
mod ingest;
mod init;
mod key;
mod lineage;
mod notice;
mod open;
mod output;
mod plan;
mod print;
mod pull;
mod purge;
mod query;
mod recipient;
mod release;
mod retry;
mod run;
mod schedule;
mod schema;
mod score;
mod serve;
mod share;
mod status;
mod table;
mod test;
mod warn;
mod workbook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Kind, Result, fail};
use crate::message::{Language, Message, keys};
use open::At;
use print::Printer;

/// Places, times and processes are scored; people never are
#[derive(Debug, Parser)]
#[command(name = "fenghuo", version, max_term_width = 100)]
struct Cli {
    /// Folder of the site
    #[arg(long, global = true, value_name = "DIR", default_value = ".", env = "FENGHUO_SITE")]
    site: PathBuf,
    /// Environment: releases of its own beside the published ones
    #[arg(long = "env", global = true, value_name = "NAME", env = "FENGHUO_ENV")]
    environment: Option<String>,
    /// Language of messages: zh or en
    #[arg(long, global = true, value_name = "LANG", env = "FENGHUO_LANG", value_parser = ["zh", "en"])]
    lang: Option<String>,
    /// Say nothing but data and errors
    #[arg(long, global = true, env = "FENGHUO_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Ingest(ingest::Args),
    Contract(contract::Args),
    Key(key::Args),
    Plan(plan::Args),
    Run(run::Args),
    Retry(retry::Args),
    Backfill(backfill::Args),
    Diff(diff::Args),
    Docs(docs::Args),
    Lineage(lineage::Args),
    Freshness(freshness::Args),
    Schedule(schedule::Args),
    Hints(hints::Args),
    Notice(notice::Args),
    Pull(pull::Args),
    Purge(purge::Args),
    Query(query::Args),
    Release(release::Args),
    Share(share::Args),
    Serve(serve::Args),
    Audit(audit::Args),
    Table(table::Args),
    Test(test::Args),
    Warn(warn::Args),
    Workbook(workbook::Args),
    Schema(schema::Args),
    Completions(completions::Args),
}

impl Command {
    /// Whether it builds or shows releases; nothing else has another side in an environment.
    fn knows_environments(&self) -> bool {
        matches!(
            self,
            Command::Plan(_)
                | Command::Run(_)
                | Command::Diff(_)
                | Command::Lineage(_)
                | Command::Query(_)
                | Command::Release(_)
                | Command::Status(_)
                | Command::Workbook(_)
        )
    }

    /// What is said when a signal ended it.
    fn ended(&self) -> &'static str {
        match self {
            Command::Serve(_) => "serve_ended",
            _ => "interrupted",
        }
    }
}

/// Parses, runs, prints; the exit code is the kind of the error.
pub fn main() -> ExitCode {
    let language = language();
    let matches = match command(language).try_get_matches() {
        Ok(matches) => matches,
        // clap knows which of its messages are data (help) and which are errors
        Err(error) => {
            return ExitCode::from(u8::try_from(error.print().map_or(2, |()| error.exit_code())).unwrap_or(2));
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            return ExitCode::from(u8::try_from(error.print().map_or(2, |()| error.exit_code())).unwrap_or(2));
        }
    };
    let printer = Printer::new(language, cli.quiet);
    std::panic::set_hook(Box::new(move |panic| {
        print::fault(language, panic);
        std::process::exit(i32::from(Kind::Bug.exit_code()));
    }));
    if let Ok(point) = std::env::var("FENGHUO_CRASH_POINT") {
        crate::lake::crash::arm(&point);
    }
    if let Ok(fault) = std::env::var("FENGHUO_STORE_FAULT") {
        crate::lake::faulty::arm(&fault, std::env::var("FENGHUO_STORE_TRACE").ok());
    }
    match start(&cli, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn start(cli: &Cli, printer: &Printer) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // planning of deep queries recurses
        .thread_stack_size(8 << 20)
        .build()
        .map_err(|cause| fail(Kind::Unavailable, "runtime_failed", &[]).because(cause))?;
    let outcome = runtime.block_on(async {
        // heard from the first moment on, before anything is begun
        let mut stop = Signals::new();
        tokio::select! {
            biased;
            signal = stop.next() => Err(fail(signal, cli.command.ended(), &[])),
            outcome = dispatch(cli, printer) => outcome,
        }
    });
    // threads may still hold a file; they have nothing to finish, and shutting the runtime down under
    // them would make them panic. The process ends with main.
    std::mem::forget(runtime);
    outcome
}

/// The signals that end the program in good order.
#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Signals {
    fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        let both = signal(SignalKind::interrupt()).and_then(|interrupt| {
            let terminate = signal(SignalKind::terminate())?;
            Ok([interrupt, terminate])
        });
        Signals(both.ok())
    }

    /// The kind of the next one.
    async fn next(&mut self) -> Kind {
        match &mut self.0 {
            Some([interrupt, terminate]) => tokio::select! {
                _ = interrupt.recv() => Kind::Interrupted,
                _ = terminate.recv() => Kind::Terminated,
            },
            None => std::future::pending().await,
        }
    }
}

/// The signal that ends the program in good order.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Signals {
        Signals
    }

    async fn next(&mut self) -> Kind {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Kind::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}

async fn dispatch(cli: &Cli, printer: &Printer) -> Result<()> {
    let site = cli.site.as_path();
    let at = At {
        site,
        environment: cli.environment.as_deref(),
    };
    if at.environment.is_some() && !cli.command.knows_environments() {
        return Err(fail(Kind::Input, "environment_not_here", &[]));
    }
    match &cli.command {
        Command::Demo(args) => demo::run(args, printer).await,
        Command::Init(args) => init::run(args, printer),
        Command::Status(args) => status::run(args, at, printer).await,
        Command::Doctor(args) => doctor::run(args, site, printer).await,
        Command::Ingest(args) => ingest::run(args, site, printer).await,
        Command::Key(args) => key::run(args, site, printer).await,
        Command::Contract(args) => contract::run(args, site, printer).await,
        Command::Plan(args) => plan::run(args, at, printer).await,
        Command::Run(args) => run::run(args, at, printer).await,
        Command::Retry(args) => retry::run(args, site, printer).await,
        Command::Backfill(args) => backfill::run(args, site, printer).await,
        Command::Diff(args) => diff::run(args, at, printer).await,
        Command::Freshness(args) => freshness::run(args, site, printer).await,
        Command::Pull(args) => pull::run(args, site, printer).await,
        Command::Purge(args) => purge::run(args, site, printer).await,
        Command::Notice(args) => notice::run(args, site, printer).await,
        Command::Schedule(args) => schedule::run(args, site, printer).await,
        Command::Lineage(args) => lineage::run(args, at, printer).await,
        Command::Query(args) => query::run(args, at, printer).await,
        Command::Share(args) => share::run(args, site, printer).await,
        Command::Hints(args) => hints::run(args, site, printer).await,
        Command::Warn(args) => warn::run(args, site, printer).await,
        Command::Serve(args) => serve::run(args, site, printer).await,
        Command::Audit(args) => audit::run(args, site, printer).await,
        Command::Release(args) => release::run(args, at, printer).await,
        Command::Table(args) => table::run(args, site, printer).await,
        Command::Test(args) => test::run(args, site, printer).await,
        Command::Workbook(args) => workbook::run(args, at, printer).await,
        Command::Docs(args) => docs::run(args, site, printer),
        Command::Schema(args) => schema::run(args, printer),
        Command::Completions(args) => completions::run(args, printer),
    }
}

/// The language of `--lang`, else of the locale.
fn language() -> Language {
    let flag = std::env::args().skip_while(|arg| arg != "--lang").nth(1);
    let flag = flag.or_else(|| std::env::args().find_map(|arg| arg.strip_prefix("--lang=").map(str::to_owned)));
    let locale = ["FENGHUO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match flag.or(locale) {
        Some(name) if name.starts_with("zh") => Language::Chinese,
        _ => Language::English,
    }
}

/// The command tree with its help from the catalogue.
fn command(language: Language) -> clap::Command {
    let mut command = localized(Cli::command(), "help", language);
    for name in command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect::<Vec<_>>()
    {
        command = command.mut_subcommand(&name, |sub| {
            let key = format!("help_{name}");
            let mut sub = localized(sub, &key, language);
            for inner in sub
                .get_subcommands()
                .map(|sub| sub.get_name().to_owned())
                .collect::<Vec<_>>()
            {
                let key = format!("{key}_{inner}");
                sub = sub.mut_subcommand(&inner, |sub| localized(sub, &key, language));
            }
            sub
        });
    }
    command
}

fn localized(command: clap::Command, key: &str, language: Language) -> clap::Command {
    let text = |key: &str| {
        keys()
            .into_iter()
            .find(|known| *known == key)
            .map(|known| Message::new(known, &[]).in_language(language))
    };
    let command = match text(key) {
        Some(about) => command.about(about),
        None => command,
    };
    command.mut_args(|arg| {
        // a variable that is set to nothing says nothing
        let says_nothing = arg
            .get_env()
            .and_then(std::env::var_os)
            .is_some_and(|value| value.is_empty());
        let arg = match says_nothing {
            true => arg.env(Resettable::Reset),
            false => arg,
        };
        match text(&format!("arg_{}", arg.get_id())) {
            Some(help) => arg.help(help),
            None => arg,
        }
    })
}
