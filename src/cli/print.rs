//! The only owner of stdout (data) and stderr (talk, progress).

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Kind, Result, fail};
use crate::ingest::{Outcome, Progress, Report};
use crate::message::{Language, Message};
use crate::pipeline::Watch;
use crate::place::suspect::Finding;

/// Speaks one language to one person.
#[derive(Debug)]
pub(super) struct Printer {
    language: Language,
    quiet: bool,
    bar: Mutex<Option<(ProgressBar, Arc<AtomicBool>)>>,
    /// Files that were stored before and are not told of yet: a night has hundreds of them.
    already: Mutex<Vec<String>>,
}

const TICK: Duration = Duration::from_millis(100);

impl Printer {
    pub(super) fn new(language: Language, quiet: bool) -> Printer {
        Printer {
            language,
            quiet,
            bar: Mutex::new(None),
            already: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// The words of a catalogue text.
    pub(super) fn words(&self, key: &'static str, args: &[&dyn std::fmt::Display]) -> String {
        Message::new(key, args).in_language(self.language)
    }

    /// Writes data to stdout. A closed pipe ends the program quietly, as `head` expects.
    pub(super) fn data(&self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes raw bytes to stdout.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(cause) => Err(fail(Kind::Unavailable, "stdout_failed", &[]).because(cause)),
        }
    }

    /// Columns of the terminal that data go to, if they go to one.
    pub(super) fn width(&self) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
        Some(usize::from(width.0))
    }

    /// Says something to the person.
    pub(super) fn say(&self, key: &'static str, args: &[&dyn std::fmt::Display]) {
        self.line(&self.words(key, args));
    }

    /// Says one line of plain text.
    pub(super) fn line(&self, text: &str) {
        self.tell_already();
        if self.quiet {
            return;
        }
        match self.bar.lock().ok().as_deref() {
            Some(Some((bar, _))) => bar.suspend(|| talk(text)),
            _ => talk(text),
        }
    }

    /// Prints an error, also where everything else is quiet.
    pub(super) fn error(&self, error: &Error) {
        self.tell_already();
        self.end_bar();
        talk(&error.render(self.language));
    }

    /// Asks a question on the terminal.
    pub(super) fn ask(&self, question: &str, default: &str) -> Result<String> {
        let failed = |cause: std::io::Error| fail(Kind::Unavailable, "stdout_failed", &[]).because(cause);
        let mut err = std::io::stderr().lock();
        write!(err, "{question} [{default}] ")
            .and_then(|()| err.flush())
            .map_err(failed)?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(failed)?;
        let answer = line.trim();
        Ok(if answer.is_empty() {
            default.to_owned()
        } else {
            answer.to_owned()
        })
    }

    /// Whether a person can be asked.
    pub(super) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Says what a file's positions look like as a whole.
    pub(super) fn finding(&self, file: &str, finding: &Finding) {
        let percent = |share: f64| format!("{:.0}", share * 100.0);
        match finding {
            Finding::Swapped { share } => self.say("positions_swapped", &[&file, &percent(*share)]),
            Finding::Zero { share } => self.say("positions_zero", &[&file, &percent(*share)]),
            Finding::Outside { share } => self.say("positions_outside", &[&file, &percent(*share)]),
            Finding::Shifted {
                towards,
                share_declared,
                share_other,
            } => self.say(
                "positions_shifted",
                &[&file, &towards, &percent(*share_declared), &percent(*share_other)],
            ),
        }
    }

    /// Tells of the files that were stored before, in one line.
    fn tell_already(&self) {
        let files = self.already.lock().map(|mut files| std::mem::take(&mut *files));
        match files.unwrap_or_default().as_slice() {
            [] => {}
            [file] => self.say("file_already", &[file]),
            files => self.say("files_already", &[&files.len()]),
        }
    }

    /// Ends the bar of what was under way.
    pub(super) fn end_bar(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some((bar, done)) = bar.take()
        {
            done.store(true, Ordering::Relaxed);
            bar.finish_and_clear();
        }
    }
}

/// Says that the program itself is at fault, where, and what to do.
pub(super) fn fault(language: Language, panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or_default();
    let error = fail(Kind::Bug, "fault", &[])
        .because(format!("{place}: {words}"))
        .hint("fault_hint", &[]);
    talk(&error.render(language));
}

fn talk(text: &str) {
    // a person who closed stderr does not want to hear
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

impl Watch for Printer {
    fn said(&self, message: Message) {
        self.line(&message.in_language(self.language));
    }

    fn reading(&self, file: &str, bytes: u64, progress: Arc<Progress>) {
        self.end_bar();
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bar:20} {eta} {prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(file.to_owned());
        let done = Arc::new(AtomicBool::new(false));
        let rows = self.words("rows_unit", &[]);
        std::thread::spawn({
            let (bar, done) = (bar.clone(), done.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    bar.set_position(progress.bytes.load(Ordering::Relaxed));
                    bar.set_prefix(format!("{} {rows}", progress.rows.load(Ordering::Relaxed)));
                    std::thread::sleep(TICK);
                }
            }
        });
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some((bar, done));
        }
    }

    fn read(&self, report: &Report) {
        self.end_bar();
        match report.outcome {
            Outcome::Stored => self.say(
                "file_stored",
                &[
                    &report.file,
                    &report.read,
                    &report.accepted,
                    &report.duplicate,
                    &report.rejected,
                ],
            ),
            Outcome::AlreadyThere => {
                if let Ok(mut files) = self.already.lock() {
                    files.push(report.file.clone());
                }
            }
            Outcome::ReceivedAgain => self.say("file_again", &[&report.file]),
        }
        for finding in &report.findings {
            self.finding(&report.file, finding);
        }
        if !report.resent && report.changed > 0 {
            self.say("file_replaced", &[&report.file, &report.changed]);
        }
        if report.resent && report.added + report.changed + report.vanished > 0 {
            self.say(
                "file_resent",
                &[&report.file, &report.added, &report.changed, &report.vanished],
            );
        }
    }
}
