//! Rows of a PostgreSQL table, by watermark.
//!
//! A pull reads the allowed columns in the order of the watermark, in one read-only snapshot, and stores
//! what it read page by page; a page is a batch like any file. Where a connection ends, what came is
//! stored, and the next connection begins a little behind it: whatever comes twice is told by its key,
//! and of two states of a row the newer holds. So nothing is missed and nothing doubled, wherever the
//! line breaks. What was deleted in the database, a watermark cannot tell.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::site::private;
use crate::contract::{Contract, Protect, Pull};
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::ingest::account::{Outcome, Report};
use crate::ingest::arrival::Totals;
use crate::ingest::batch::Ingest;
use crate::ingest::header::match_header;
use crate::ingest::open::digest;
use crate::ingest::progress::Progress;
use crate::ingest::source::Source;

/// Bytes of a page, before the row that ends it.
const PAGE_BYTES: usize = 16 << 20;
/// Connections in a row that bring nothing new before the pull ends as failed.
const MOST_FAILURES: u32 = 5;
/// The first pause before a new connection; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest time to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The watermark of a row, in front of its columns.
const WATERMARK: &str = "fenghuo_watermark";

/// What a database said, without what it was asked: both can hold values.
fn failed(pull: &Pull, cause: &tokio_postgres::Error) -> Error {
    let kind = match cause.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE => Kind::Missing,
        Some(code) if *code == SqlState::UNDEFINED_COLUMN => Kind::Input,
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Kind::Denied,
        // invalid authorization, of every kind
        Some(code) if code.code().starts_with("28") => Kind::Denied,
        // a value that the database cannot turn into a text, or compare
        Some(code) if code.code().starts_with("22") => Kind::Input,
        _ => Kind::Unavailable,
    };
    let words = match cause.as_db_error() {
        // of connections, rights, names and resources; the words of other classes hold values of rows
        Some(said)
            if ["08", "28", "42", "53", "57"]
                .iter()
                .any(|class| said.code().code().starts_with(class)) =>
        {
            format!("{}: {}", said.code().code(), said.message())
        }
        Some(said) => said.code().code().to_owned(),
        // what went wrong on the line stands behind what was being done
        None => std::iter::successors(Some(cause as &dyn std::error::Error), |cause| cause.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    };
    fail(kind, "pull_failed", &[&pull.url, &pull.table]).because(words)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A connection and the columns that are read through it.
struct Reader {
    client: Client,
    select: String,
}

impl Pull {
    /// The origin of its pages, without what tells one from another.
    fn origin(&self) -> String {
        format!("{}#{}", self.url, self.table)
    }

    fn config(&self, site: &Path) -> Result<Config> {
        let wrong = |cause: tokio_postgres::Error| fail(Kind::Input, "pull_url", &[&self.url]).because(cause);
        let mut config: Config = self.url.parse().map_err(wrong)?;
        if let Some(file) = &self.password_file {
            let path = site.join(file);
            private(&path)?;
            let password = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
            config.password(password.trim_end_matches(['\r', '\n']));
        }
        let is_near = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            Host::Unix(_) => true,
        };
        let near = config.get_hosts().iter().all(is_near);
        // a line that others can read is chosen by a person, never by what a server happens to offer
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(if near && self.ca_file.is_none() {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        config.connect_timeout(CONNECT).application_name("fenghuo");
        config.keepalives_idle(Duration::from_secs(30));
        Ok(config)
    }

    async fn connect(&self, site: &Path) -> Result<Client> {
        let config = self.config(site)?;
        let lost = |cause: tokio_postgres::Error| failed(self, &cause);
        if config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(lost)?;
            tokio::spawn(connection);
            return Ok(client);
        }
        let (client, connection) = config.connect(self.tls(site)?).await.map_err(lost)?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Trust in the one authority that the contract names: a sealed machine knows no other.
    fn tls(&self, site: &Path) -> Result<MakeRustlsConnect> {
        let Some(file) = &self.ca_file else {
            return Err(fail(Kind::Input, "pull_ca", &[&self.url]));
        };
        let path = site.join(file);
        let wrong =
            |cause: &dyn std::fmt::Display| fail(Kind::Input, "pull_ca_broken", &[&path.display()]).because(cause);
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(&path).map_err(|cause| wrong(&cause))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|cause| wrong(&cause))?;
            roots.add(certificate).map_err(|cause| wrong(&cause))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| wrong(&cause))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn table(&self) -> String {
        self.table.split('.').map(quoted).collect::<Vec<_>>().join(".")
    }
}

impl Reader {
    /// Connects, and finds the allowed columns in the table: what the contract drops is never asked for.
    async fn open(
        contract: &Contract,
        pull: &Pull,
        site: &Path,
        since: Option<&str>,
        ingest: &Ingest<'_>,
    ) -> Result<Reader> {
        let client = pull.connect(site).await?;
        let lost = |cause: tokio_postgres::Error| failed(pull, &cause);
        let session = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1; \
                       BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        client.batch_execute(session).await.map_err(lost)?;
        let table = pull.table();
        let all = client
            .prepare(&format!("SELECT * FROM {table} LIMIT 0"))
            .await
            .map_err(lost)?;
        let origin = pull.origin();
        let names: Vec<String> = all.columns().iter().map(|column| column.name().to_owned()).collect();
        let header = match_header(contract, &origin, &names, ingest.settings().site.identifier_pack)?;
        let mut columns = Vec::new();
        for (column, at) in contract.columns.iter().zip(&header.positions) {
            if let Some(at) = at.filter(|_| column.protect != Protect::Drop) {
                let name = format!("t.{}", quoted(&names[at]));
                let read = match *all.columns()[at].type_() {
                    Type::TIMESTAMPTZ => format!("to_char({name}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
                    _ => format!("{name}::text"),
                };
                columns.push(format!("{read} AS {}", quoted(&column.from)));
            }
        }
        let missing = || fail(Kind::Input, "pull_watermark_missing", &[&pull.watermark, &pull.table]);
        let mark = all.columns().iter().find(|column| column.name() == pull.watermark);
        let kind = mark.ok_or_else(missing)?.type_().clone();
        // named by its table, or a column of the output with its name would be meant, and that is a text
        let mark = format!("t.{}", quoted(&pull.watermark));
        let since = match since {
            None => String::new(),
            Some(since) => {
                let name = quoted(kind.name());
                let since = literal(since);
                let from = match kind {
                    Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC => {
                        format!("{since}::{name} - {}", pull.overlap)
                    }
                    // one row of the future must not hide all that come before it
                    _ => format!(
                        "least({since}::{name}, now()::{name}) - interval '{} seconds'",
                        pull.overlap
                    ),
                };
                // rows without a watermark come every time: nothing else tells whether they are new
                format!(" WHERE {mark} >= {from} OR {mark} IS NULL")
            }
        };
        let select = format!(
            "COPY (SELECT {mark}::text AS {}, {} FROM {table} AS t{since} ORDER BY {mark} NULLS FIRST) \
             TO STDOUT WITH (FORMAT csv, HEADER)",
            quoted(WATERMARK),
            columns.join(", "),
        );
        Ok(Reader { client, select })
    }
}

/// Rows of a page as they come, one message a row, the header first.
#[derive(Default)]
struct Page {
    header: Vec<u8>,
    rows: Vec<u8>,
    /// The watermark of the last row.
    last: String,
}

impl Page {
    /// Takes a message in; the watermark in front of it goes.
    fn take(&mut self, message: &[u8]) {
        let cut = memchr::memchr(b',', message).unwrap_or(message.len());
        let (mark, rest) = message.split_at(cut);
        let rest = rest.get(1..).unwrap_or_default();
        if self.header.is_empty() {
            self.header = rest.to_vec();
            return;
        }
        // a row without a watermark moves nothing, nor does one whose watermark is no point
        if !matches!(
            mark,
            b"" | b"NaN" | b"Infinity" | b"-Infinity" | b"infinity" | b"-infinity"
        ) {
            self.last = String::from_utf8_lossy(mark).into_owned();
        }
        self.rows.extend_from_slice(rest);
    }
}

impl Ingest<'_> {
    /// Pulls what is new in the table of a contract, page by page; stored pages stand in `reports`.
    ///
    /// # Errors
    /// `Denied` for a forbidden column or a refused connection, `Input` where table and contract do not
    /// fit, `Unavailable` where the database cannot be reached; what was stored before stays.
    pub async fn pull(
        &mut self,
        contract: &Contract,
        site: &Path,
        progress: &Arc<Progress>,
        reports: &mut Vec<Report>,
    ) -> Result<()> {
        let pull = contract.pull.clone();
        let pull = pull.ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
        let (mut failures, mut pause) = (0, FIRST_PAUSE);
        loop {
            let before = reports.len();
            let outcome = self.pull_once(contract, &pull, site, progress, reports).await;
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == Kind::Unavailable => {
                    let moved = reports[before..].iter().any(|report| report.outcome == Outcome::Stored);
                    if moved {
                        (failures, pause) = (0, FIRST_PAUSE);
                    }
                    failures += 1;
                    if failures > MOST_FAILURES {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One connection from the last stored watermark on, as far as it goes.
    async fn pull_once(
        &mut self,
        contract: &Contract,
        pull: &Pull,
        site: &Path,
        progress: &Arc<Progress>,
        reports: &mut Vec<Report>,
    ) -> Result<()> {
        let since = self.pulled_up_to(contract, pull).await?;
        let reader = Reader::open(contract, pull, site, since.as_deref(), self).await?;
        let lost = |cause: tokio_postgres::Error| failed(pull, &cause);
        let rows = reader.client.copy_out(reader.select.as_str()).await.map_err(lost)?;
        pin_mut!(rows);
        let mut page = Page {
            last: since.unwrap_or_default(),
            ..Page::default()
        };
        loop {
            let message = rows.next().await;
            let ended = !matches!(message, Some(Ok(_)));
            if let Some(Ok(message)) = &message {
                page.take(message);
            }
            if page.rows.len() >= PAGE_BYTES || (ended && !page.rows.is_empty()) {
                let report = self.store_page(contract, pull, &mut page, progress).await?;
                reports.push(report);
            }
            match message {
                None => return Ok(()),
                Some(Err(cause)) => return Err(failed(pull, &cause)),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Stores the rows of a page; its name says how far the pull came.
    async fn store_page(
        &mut self,
        contract: &Contract,
        pull: &Pull,
        page: &mut Page,
        progress: &Arc<Progress>,
    ) -> Result<Report> {
        let bytes = [page.header.as_slice(), &page.rows].concat();
        page.rows.clear();
        let content = digest(&bytes);
        let name = format!("{}@{}~{}", pull.origin(), page.last, &content[..8]);
        let source = Source::memory(&name, bytes);
        Box::pin(self.file(contract, &source, &name, Totals::default(), progress.clone())).await
    }

    /// The watermark of the last page whose rows are in the table. A page that stands in the account alone
    /// was never finished: the account says so, and its rows come again.
    async fn pulled_up_to(&mut self, contract: &Contract, pull: &Pull) -> Result<Option<String>> {
        let table = self.open(&contract.into).await?;
        let prefix = format!("{}@", pull.origin());
        let pages: Vec<(String, String)> = self
            .past()
            .await?
            .iter()
            .filter(|past| past.contract == contract.name && past.file.starts_with(&prefix))
            .map(|past| (past.batch_id.clone(), past.file.clone()))
            .collect();
        for (batch_id, file) in pages.iter().rev() {
            if table.state_of(batch_id).await? % 2 == 1 {
                let mark = file[prefix.len()..].rsplit_once('~').map(|(mark, _)| mark.to_owned());
                return Ok(mark.filter(|mark| !mark.is_empty()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_rows_without_their_watermarks() {
        let mut page = Page::default();
        for message in [
            "fenghuo_watermark,no,text\n",
            ",A0,\n",
            "2025-01-01 00:00:00,A1,\"a, b\n\"\n",
            "2025-01-02 00:00:00,A2,c\n",
        ] {
            page.take(message.as_bytes());
        }
        assert_eq!(page.header, b"no,text\n");
        assert_eq!(page.rows, b"A0,\nA1,\"a, b\n\"\nA2,c\n");
        assert_eq!(page.last, "2025-01-02 00:00:00");
    }

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
