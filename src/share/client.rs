//! Pulling over a thin line: a provider is asked what it offers, and files come in parts that are never lost.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::settings::Pull;
use crate::error::{Error, Kind, Result, fail};
use crate::lake::mirror::{Mirrored, Shape};
use crate::share::offer::{Offer, Offered, OfferedFile, Wanted};
use crate::share::profile::Profile;

/// Bytes of an answer about tables at most.
const ANSWER_BYTES: usize = 64 << 20;
/// Items of a list at most.
const ITEMS: usize = 10_000;
/// Time before a request or file is tried for the second time; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Bytes of a file that are asked for at once, at least and at most; between them as many as come in a second, so that
/// a process that dies loses what was under way of one such page and no more.
const PAGE: RangeInclusive<u64> = 1 << 20..=64 << 20;
/// Time between two tries at most.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A provider, as its profile tells.
#[derive(Debug)]
pub struct Provider<'a> {
    profile: &'a Profile,
    settings: &'a Pull,
    client: Client,
    pace: Pace,
}

/// Who watches files come in.
pub trait Moving: Send + Sync {
    /// So many bytes more.
    fn moved(&self, bytes: u64);
}

/// A limit of bytes a second that all files share.
#[derive(Debug)]
struct Pace {
    bytes_per_second: Option<f64>,
    next: Mutex<Instant>,
}

impl Pace {
    async fn take(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let at = {
            let mut next = self.next.lock().await;
            let at = (*next).max(Instant::now());
            #[expect(clippy::cast_precision_loss, reason = "a part of a file")]
            let takes = Duration::from_secs_f64(bytes as f64 / rate);
            *next = at + takes;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// What rustls says of a certificate that it does not take.
const UNTRUSTED: &str = "invalid peer certificate";

/// A failure of the line. Its address carries a signature and is not told.
fn line(endpoint: &str, cause: reqwest::Error) -> Error {
    let cause = cause.without_url();
    let mut words = vec![cause.to_string()];
    let mut source = std::error::Error::source(&cause);
    while let Some(inner) = source {
        words.push(inner.to_string());
        source = inner.source();
    }
    let words = words.join(": ");
    if words.contains(UNTRUSTED) {
        let error = fail(Kind::Denied, "pull_untrusted", &[&endpoint]).because(words);
        return error.hint("pull_untrusted_hint", &[]);
    }
    if cause.is_connect() {
        let error = fail(Kind::Unavailable, "pull_unreached", &[&endpoint]).because(words);
        return error.hint("pull_unreached_hint", &[]);
    }
    fail(Kind::Unavailable, "pull_line", &[&endpoint]).because(words)
}

impl<'a> Provider<'a> {
    /// A provider that nothing was asked of yet.
    ///
    /// # Errors
    /// `Input` for an authority that is none.
    pub fn new(profile: &'a Profile, settings: &'a Pull) -> Result<Provider<'a>> {
        let wrong = |cause: reqwest::Error| fail(Kind::Input, "profile_broken", &[&profile.endpoint]).because(cause);
        let patience = Duration::from_secs(settings.patience_seconds.max(1));
        let mut client = Client::builder()
            .use_rustls_tls()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(patience)
            .read_timeout(patience);
        if let Some(authority) = &profile.authority {
            // a text without a certificate would make a client that trusts nobody and does not say why
            if CertificateDer::from_pem_slice(authority.as_bytes()).is_err() {
                let error = fail(Kind::Input, "profile_authority", &[&profile.endpoint]);
                return Err(error.hint("profile_hint", &[]));
            }
            let authority = reqwest::Certificate::from_pem(authority.as_bytes()).map_err(wrong)?;
            // who names one trusts that one alone
            client = client.tls_built_in_root_certs(false).add_root_certificate(authority);
        }
        let rate = settings.mebibytes_per_second * f64::from(1 << 20);
        Ok(Provider {
            profile,
            settings,
            client: client.build().map_err(wrong)?,
            pace: Pace {
                bytes_per_second: (rate > 0.0).then_some(rate),
                next: Mutex::new(Instant::now()),
            },
        })
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.profile.endpoint.trim_end_matches('/'))
    }

    /// An answer to a request, where it is one of success; asked again where the line breaks or the provider is busy.
    async fn ask(&self, request: RequestBuilder) -> Result<Response> {
        let mut left = self.settings.attempts.max(1);
        let mut wait = FIRST_WAIT;
        while left > 1
            && let Some(again) = request.try_clone()
        {
            match self.ask_once(again).await {
                Err(error) if error.kind() == Kind::Unavailable => {
                    left -= 1;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
        self.ask_once(request).await
    }

    async fn ask_once(&self, request: RequestBuilder) -> Result<Response> {
        let endpoint = &self.profile.endpoint;
        let request = request.bearer_auth(&self.profile.bearer_token);
        let response = request.send().await.map_err(|cause| line(endpoint, cause))?;
        let status = response.status();
        let (kind, key) = match status {
            status if status.is_success() => return Ok(response),
            StatusCode::UNAUTHORIZED => (Kind::Denied, "pull_token"),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => (Kind::Missing, "pull_missing"),
            StatusCode::TOO_MANY_REQUESTS => (Kind::Unavailable, "pull_refused"),
            status if status.is_server_error() => (Kind::Unavailable, "pull_refused"),
            _ => (Kind::Bug, "pull_refused"),
        };
        let error = fail(kind, key, &[endpoint, &status.as_u16()]);
        Err(match kind {
            Kind::Denied => error.hint("pull_token_hint", &[]),
            Kind::Missing => error.hint("pull_missing_hint", &[]),
            _ => error,
        })
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let text = self.text(self.ask(request).await?).await?;
        serde_json::from_str(&text).map_err(|cause| self.strange().because(cause))
    }

    async fn text(&self, mut response: Response) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|cause| line(&self.profile.endpoint, cause))?
        {
            bytes.extend_from_slice(&part);
            if bytes.len() > ANSWER_BYTES {
                return Err(self.strange());
            }
        }
        String::from_utf8(bytes).map_err(|cause| self.strange().because(cause))
    }

    fn strange(&self) -> Error {
        fail(Kind::Bug, "pull_answer", &[&self.profile.endpoint])
    }

    /// All items of a list.
    async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let query = [("maxResults", "100"), ("pageToken", next.as_str())];
            let mut page = self.json(self.client.get(self.address(path)).query(&query)).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            match page
                .get("nextPageToken")
                .and_then(Value::as_str)
                .filter(|token| !token.is_empty())
            {
                // a list without an end is none
                Some(token) if token == next || items.len() > ITEMS => return Err(self.strange()),
                Some(token) => token.clone_into(&mut next),
                None => return Ok(items),
            }
        }
    }

    /// What is offered now: the tables of every share, each share in one release of its own; `pinned` where a pull
    /// began with one. A share of which nothing may be read has no tables. And when the token ends, as the provider says.
    ///
    /// # Errors
    /// `Denied` for a token that is not valid, `Missing` for a release that is not offered any more, `Unavailable`
    /// where the line is broken.
    pub async fn offers(&self, pinned: &BTreeMap<String, u64>) -> Result<(Vec<Offer>, Option<String>)> {
        let (mut offers, mut ends) = (Vec::new(), None);
        let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for share in self.items("shares").await? {
            let share = word(&share, "name");
            let mut offer = Offer {
                release: pinned.get(&share).copied().unwrap_or(0),
                made_at: String::new(),
                head: String::new(),
                tables: Vec::new(),
                share,
            };
            for table in self.items(&format!("shares/{}/all-tables", offer.share)).await? {
                let (schema, name) = (word(&table, "schema"), word(&table, "name"));
                let path = format!("shares/{}/schemas/{schema}/tables/{name}/query", offer.share);
                let mut request = self.client.post(self.address(&path)).body("{}");
                if offer.release > 0 {
                    request = request.header("fenghuo-release", offer.release);
                }
                let response = self.ask(request).await?;
                let header = |key: &str| {
                    let value = response.headers().get(key);
                    value.and_then(|value| value.to_str().ok()).map(str::to_owned)
                };
                let release = header("fenghuo-release").and_then(|release| release.parse().ok());
                offer.release = release.ok_or_else(|| self.strange())?;
                offer.made_at = header("fenghuo-made-at").unwrap_or_default();
                offer.head = header("fenghuo-audit-head").unwrap_or_default();
                ends = header("fenghuo-token-ends").or(ends);
                let stale = header("fenghuo-stale");
                let text = self.text(response).await?;
                let offered = offered(name, stale, &text).ok_or_else(|| self.strange())?;
                offer.tables.push(offered);
            }
            offers.push(offer);
        }
        Ok((offers, ends))
    }

    /// Fetches files, several at once, each from where it was left.
    ///
    /// # Errors
    /// `Missing` where an address has ended, `Check` for bytes that are not those that were promised, `Unavailable`
    /// where the line stays broken. What has come stays.
    pub async fn fetch(&self, wanted: &[Wanted], watch: &dyn Moving) -> Result<()> {
        let files = futures::stream::iter(wanted.iter().map(|file| Ok::<_, Error>(self.file(file, watch))));
        let parallel = self.settings.parallel.max(1);
        files
            .try_buffer_unordered(parallel)
            .try_collect::<Vec<()>>()
            .await
            .map(drop)
    }

    async fn file(&self, wanted: &Wanted, watch: &dyn Moving) -> Result<()> {
        let mut wait = FIRST_WAIT;
        let mut left = self.settings.attempts.max(1);
        let mut anew = true;
        loop {
            let before = wanted.incoming.begun();
            match self.rest(wanted, before, watch).await {
                Err(error) if error.kind() == Kind::Unavailable && left > 1 => {
                    // a line that brings something each time is not given up
                    left -= u32::from(wanted.incoming.begun() <= before);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                // an earlier part of it was wrong and is thrown away: once more from its first byte
                Err(error) if error.kind() == Kind::Check && before > 0 && anew => anew = false,
                done => return done,
            }
        }
    }

    /// The rest of a file, from `at` on, page by page.
    async fn rest(&self, wanted: &Wanted, mut at: u64, watch: &dyn Moving) -> Result<()> {
        let mut page = *PAGE.start();
        if wanted.size == 0 {
            wanted.incoming.open(0)?;
        }
        while at < wanted.size {
            let (begun, from) = (Instant::now(), at);
            at = self
                .page(wanted, at..wanted.size.min(at.saturating_add(page)), watch)
                .await?;
            page = page_after(at.saturating_sub(from), begun.elapsed());
        }
        let incoming = wanted.incoming.clone();
        let accepted = tokio::task::spawn_blocking(move || incoming.accept()).await;
        accepted.map_err(|cause| self.strange().because(cause))?
    }

    /// Some bytes of a file, and where it stands after them: a provider may send all of it instead.
    async fn page(&self, wanted: &Wanted, bytes: Range<u64>, watch: &dyn Moving) -> Result<u64> {
        let endpoint = &self.profile.endpoint;
        // an address that leads elsewhere is not followed, whatever may lie there
        let origin = |address: &str| url::Url::parse(address).map(|url| url.origin());
        if origin(&wanted.at) != origin(endpoint) {
            return Err(self.strange());
        }
        let range = format!("bytes={}-{}", bytes.start, bytes.end - 1);
        let request = self.client.get(&wanted.at).header("range", range);
        let response = request.send().await.map_err(|cause| line(endpoint, cause))?;
        let status = response.status();
        let (mut at, end) = match status {
            StatusCode::PARTIAL_CONTENT => (bytes.start, bytes.end),
            StatusCode::OK => (0, wanted.size),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                return Err(fail(Kind::Missing, "pull_missing", &[endpoint, &status.as_u16()]));
            }
            _ => return Err(fail(Kind::Unavailable, "pull_refused", &[endpoint, &status.as_u16()])),
        };
        let mut part = wanted.incoming.open(at)?;
        let mut stream = response.bytes_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|cause| line(endpoint, cause))?;
            if at + bytes.len() as u64 > end {
                return Err(self.strange());
            }
            part.add(&bytes)?;
            at += bytes.len() as u64;
            watch.moved(bytes.len() as u64);
            self.pace.take(bytes.len()).await;
        }
        if at < end {
            return Err(fail(Kind::Unavailable, "pull_line", &[endpoint]));
        }
        Ok(at)
    }

    /// A new token in the place of the present one, and when it ends.
    ///
    /// # Errors
    /// `Missing` where no grant stands or it is too early; as the line fails.
    pub async fn renew(&self) -> Result<Profile> {
        let told = self.json(self.client.post(self.address("renewal"))).await?;
        let word = |key: &str| told[key].as_str().map(str::to_owned);
        Ok(Profile {
            bearer_token: word("bearerToken").ok_or_else(|| self.strange())?,
            expiration_time: word("expirationTime"),
            bundle_key: word("bundleKey"),
            ..self.profile.clone()
        })
    }

    /// Sends something back; named by its digest, so that twice is once.
    ///
    /// # Errors
    /// As the line fails.
    pub async fn send(&self, bytes: Vec<u8>) -> Result<()> {
        let digest = blake3::hash(&bytes).to_hex();
        let request = self.client.put(self.address(&format!("outbox/{digest}")));
        self.ask(request.body(bytes)).await.map(drop)
    }
}

/// The next page of a file: as many bytes as come in a second.
fn page_after(bytes: u64, took: Duration) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a page")]
    let second = bytes as f64 / took.as_secs_f64().max(1e-3);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of bytes, held in bounds"
    )]
    (second as u64).clamp(*PAGE.start(), *PAGE.end())
}

/// A table as the lines of an answer tell of it.
fn offered(name: String, stale: Option<String>, text: &str) -> Option<Offered> {
    let (mut shape, mut files) = (None, Vec::new());
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(said) = value.get("metaData") {
            let columns = said["partitionColumns"].as_array()?;
            shape = Some(Shape {
                id: text(&said["id"])?,
                schema: text(&said["schemaString"])?,
                partition_by: columns.iter().map(text).collect::<Option<Vec<_>>>()?,
            });
        } else if let Some(said) = value.get("file") {
            let stats: Value = serde_json::from_str(said["stats"].as_str()?).ok()?;
            let partition = said["partitionValues"]
                .as_object()
                .and_then(|values| values.values().next());
            let file = Mirrored {
                digest: text(&said["id"])?,
                size: said["size"].as_u64()?,
                rows: stats["numRecords"].as_u64()?,
                partition: partition.and_then(text),
            };
            let at = text(&said["url"])?;
            files.push(OfferedFile { file, at });
        }
    }
    Some(Offered {
        name,
        shape: shape?,
        files,
        stale,
    })
}
