//! The door: who asks, for what, whether it may be answered, and the answer with its record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Held};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use governor::clock::MonotonicClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use hyper_util::rt::TokioTimer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::audit::{Audit, Decision, Entry};
use crate::config::settings::{Pack, Serve};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Lake;
use crate::protect::{Seal, SiteKey};
use crate::serve::answer::{self, No, Underway};
use crate::serve::crowd::Crowd;
use crate::serve::files::Listings;
use crate::serve::link;
use crate::serve::network::{self, Networks};
use crate::serve::state::{State, Watched};
use crate::share::profile::BUNDLE;
use crate::share::recipient::Known;
use crate::time::Clock;

/// The path under which everything lies.
pub const ROOT: &str = "delta-sharing";
/// The path at which a server says whether it answers.
const HEALTH: &str = "/health";
const UP: &str = r#"{"status":"up"}"#;
const DOWN: &str = r#"{"status":"down"}"#;
/// Time that a client has for its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 32 << 10;
/// Failures of its own that are told between two looks.
const TROUBLES: usize = 8;
/// JSON, as the protocol names it.
const JSON: &str = "application/json; charset=utf-8";

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, MonotonicClock>;

/// Everything that answers need.
#[derive(Debug)]
pub struct Server {
    pub(super) watched: Watched,
    pub(super) listings: Listings,
    pub(super) audit: Audit,
    pub(super) seals: Vec<Seal>,
    /// What the keys of bundles follow from.
    pub(super) bundles: Vec<Seal>,
    pub(super) settings: Serve,
    pub(super) lake: Lake,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: fn() -> Result<[u8; 32]>,
    /// The name of the share that all shared tables are in: that of the site.
    pub(super) name: String,
    /// Where actions on warnings that recipients send back are laid down.
    pub(super) inbox: PathBuf,
    /// The numbers of persons that a note may not hold.
    pub(super) pack: Pack,
    started: i64,
    requests: AtomicU64,
    recipients: Limiter<String>,
    addresses: Limiter<IpAddr>,
    strangers: Limiter<IpAddr>,
    networks: Networks,
    streams: Mutex<HashMap<String, Arc<Semaphore>>>,
    pub(super) underway: Underway,
    /// Requests beyond a limit that are not recorded yet, by who asked from where.
    refused: Mutex<BTreeMap<(String, String), u64>>,
    /// What went wrong since it was told last.
    troubles: Mutex<Vec<crate::Error>>,
}

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// What is known of recipients and releases.
    pub watched: Watched,
    /// The lake.
    pub lake: Lake,
    /// Where everything is recorded.
    pub audit: Audit,
    /// Its limits.
    pub settings: Serve,
    /// The name of the site.
    pub name: String,
    /// Where actions on warnings that recipients send back are laid down.
    pub inbox: PathBuf,
    /// The numbers of persons that what is sent back may not hold.
    pub pack: Pack,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// 32 bytes drawn at random.
    pub entropy: fn() -> Result<[u8; 32]>,
}

/// A request as it came.
pub(super) struct Ask {
    pub method: Method,
    pub parts: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What may be answered.
pub(super) enum Answer {
    /// Lines or a document.
    Text {
        text: String,
        kind: &'static str,
        headers: Vec<(&'static str, String)>,
    },
    /// A file, or a part of it.
    File(super::files::Sent, Option<OwnedSemaphorePermit>),
}

impl Answer {
    pub(super) fn json(text: String) -> Answer {
        Answer::Text {
            text,
            kind: JSON,
            headers: Vec::new(),
        }
    }
}

fn limiter<K: Clone + std::hash::Hash + Eq>(each_minute: u32) -> Limiter<K> {
    let quota = Quota::per_minute(NonZeroU32::new(each_minute).unwrap_or(NonZeroU32::MIN));
    RateLimiter::new(quota, DashMapStateStore::default(), MonotonicClock)
}

impl Server {
    /// A server of a site.
    pub fn new(parts: Parts, key: &SiteKey) -> Server {
        let Parts {
            watched,
            lake,
            audit,
            settings,
            name,
            inbox,
            pack,
            clock,
            entropy,
        } = parts;
        Server {
            watched,
            listings: Listings::new(lake.clone()),
            audit,
            seals: key.seals(link::PURPOSE),
            bundles: key.seals(BUNDLE),
            recipients: limiter(settings.requests_per_minute),
            addresses: limiter(settings.address_requests_per_minute),
            strangers: limiter(settings.failures_per_minute),
            settings,
            lake,
            entropy,
            name,
            inbox,
            pack,
            started: clock.now(),
            clock,
            requests: AtomicU64::new(0),
            networks: Networks::default(),
            streams: Mutex::default(),
            underway: Underway::default(),
            refused: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    /// Looks at the lake again and again, ends what has stalled, and forgets addresses that have been silent; `told`
    /// hears what went wrong, once while it stays so.
    pub async fn watch(self: Arc<Self>, told: impl Fn(&crate::Error)) {
        let (mut last, mut prepared) = (BTreeSet::new(), None);
        loop {
            let release = self.watched.now().and_then(|state| state.release().cloned());
            if let Some(release) = release.filter(|release| prepared != Some(release.release)) {
                prepared = Some(release.release);
                tokio::spawn(self.clone().prepare(release));
            }
            if let Err(error) = self.watched.look_later().await {
                self.wrong(error);
            }
            let troubles = self.troubles.lock().map(|mut troubles| std::mem::take(&mut *troubles));
            let troubles = troubles.unwrap_or_default();
            let new = |error: &&crate::Error| !last.contains(&error.to_string());
            troubles.iter().filter(new).for_each(&told);
            last = troubles.iter().map(ToString::to_string).collect();
            self.underway.end_stalled();
            self.record_refused();
            self.audit.vouch();
            if let Some(error) = self.audit.trouble() {
                self.tell(error);
            }
            self.recipients.retain_recent();
            self.addresses.retain_recent();
            self.strangers.retain_recent();
            self.networks.forget(Instant::now());
        }
    }

    /// A token that is used from two networks may have been stolen: its record says so, and the operator hears of it.
    fn notice(&self, token: &str, entry: &mut Entry, address: IpAddr) {
        let Some(other) = self.networks.seen(token, address, Instant::now()) else {
            return;
        };
        let words: [&dyn std::fmt::Display; 4] = [&entry.who, &token, &address, &other];
        let error = fail(Kind::Check, "share_elsewhere", &words).hint("share_elsewhere_hint", &[&entry.who]);
        self.tell(error);
        let why = format!("within the hour from {other} too");
        entry.reason = [entry.reason.as_str(), &why].join(" ").trim_start().to_owned();
    }

    /// Ends every answer with its record, and the record with a checkpoint.
    pub fn close(&self) {
        self.underway.end_all();
        self.record_refused();
        self.audit.close();
    }

    /// Something of ours failed: the client learns that nothing is served now, the operator what it was.
    pub(super) fn wrong(&self, error: crate::Error) -> No {
        self.tell(error);
        No::Unavailable
    }

    /// The operator hears of it with the next look.
    fn tell(&self, error: crate::Error) {
        if let Ok(mut troubles) = self.troubles.lock()
            && troubles.len() < TROUBLES
        {
            troubles.push(error);
        }
    }

    /// Records how many requests came beyond a limit: a line for each would let whoever sends them fill the disk.
    fn record_refused(&self) {
        let refused = self.refused.lock().map(|mut refused| std::mem::take(&mut *refused));
        for ((who, address), count) in refused.unwrap_or_default() {
            self.audit.end(Entry {
                request: format!("{:x}-{}", self.started, self.requests.fetch_add(1, Ordering::Relaxed)),
                who,
                address,
                act: "share.refused".to_owned(),
                decision: Decision::Deny,
                reason: format!("{}: {count} requests", No::Busy.reason()),
                ..Entry::default()
            });
        }
    }

    /// Whether requests are answered now, for whoever watches the machine: it tells nothing else, and is no request
    /// of a recipient.
    fn health(&self) -> Response<Body> {
        let up = self.audit.writes() && self.watched.now().is_some_and(|state| state.release().is_some());
        let mut response = Response::new(Body::from(if up { UP } else { DOWN }));
        if !up {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer::set(&mut response, "content-type", JSON);
        answer::set(&mut response, "cache-control", "private, no-store");
        response
    }

    /// Answers one request, after it was recorded.
    async fn answer(self: Arc<Self>, address: IpAddr, request: Request) -> Response<Body> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut entry = Entry {
            request: format!("{:x}-{number}", self.started),
            who: "—".to_owned(),
            address: address.to_string(),
            act: "share.unknown".to_owned(),
            ..Entry::default()
        };
        let decided = self.decide(address, request, &mut entry).await;
        if let Err(No::Busy) = &decided {
            if let Ok(mut refused) = self.refused.lock() {
                *refused.entry((entry.who, entry.address)).or_default() += 1;
            }
            return No::Busy.response();
        }
        entry.decision = if decided.is_ok() {
            Decision::Allow
        } else {
            Decision::Deny
        };
        if let Err(no) = &decided {
            no.reason().clone_into(&mut entry.reason);
        }
        if decided.is_ok() && !entry.credential.is_empty() {
            let token = entry.credential.clone();
            self.notice(&token, &mut entry, address);
        }
        // nothing leaves before it is on the disk that it may
        let Ok(head) = self.audit.add(entry.clone()).await else {
            return No::Unavailable.response();
        };
        let mut response = match decided {
            Err(no) => no.response(),
            Ok(Answer::Text { text, kind, headers }) => {
                let mut response = answer::text(text, kind, &self.underway, (&self.audit, entry));
                for (name, value) in headers {
                    answer::set(&mut response, name, &value);
                }
                response
            }
            Ok(Answer::File(sent, permit)) => sent.response(self, entry, permit),
        };
        answer::set(&mut response, "cache-control", "private, no-store");
        answer::set(&mut response, "fenghuo-audit-head", &head.to_string());
        response
    }

    /// Whether a request is answered, and with what.
    async fn decide(self: &Arc<Self>, address: IpAddr, request: Request, entry: &mut Entry) -> Result<Answer, No> {
        let host = network::host(address);
        if self.addresses.check_key(&host).is_err() {
            return Err(No::Busy);
        }
        // strangers slow down themselves and nobody else
        let stranger = |no: No| match self.strangers.check_key(&host) {
            Ok(()) => no,
            Err(_) => No::Busy,
        };
        let ask = self.read(request).await.map_err(stranger)?;
        let state = self.watched.now().ok_or(No::Unavailable)?;
        let parts: Vec<&str> = ask.parts.iter().map(String::as_str).collect();
        if let [ROOT, "files", share, release, file] = parts[..] {
            "share.file".clone_into(&mut entry.act);
            // nothing is looked up for an address that is not ours
            let link = self.link([share, release, file], &ask);
            let link = link.ok_or(No::Missing).map_err(stranger)?;
            return self.file(&ask, &state, link, entry).await;
        }
        let who = self.who(&ask.headers, &state).ok_or(No::Unknown).map_err(stranger)?;
        entry.who = who.name.to_owned();
        entry.credential = who.token.id.clone();
        if self.recipients.check_key(&who.name.to_owned()).is_err() {
            return Err(No::Busy);
        }
        if who.token.follows.is_some() {
            self.first_use(&who).await?;
        }
        self.protocol(&ask, &parts, &state, &who, entry).await
    }

    /// A request with its body, within its limits.
    async fn read(&self, request: Request) -> Result<Ask, No> {
        let (head, body) = request.into_parts();
        let decoded = |part: &str| -> Result<String, No> {
            let text = percent_encoding::percent_decode_str(part).decode_utf8();
            text.map(|text| text.into_owned()).map_err(|_| No::Malformed)
        };
        let path = head.uri.path().strip_prefix('/').ok_or(No::Malformed)?;
        let parts = path.split('/').map(decoded).collect::<Result<Vec<_>, _>>()?;
        let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let query = query
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let body = tokio::time::timeout(PATIENCE, to_bytes(body, self.settings.body_bytes)).await;
        let body = body.map_err(|_| No::Malformed)?.map_err(|_| No::TooLarge)?;
        Ok(Ask {
            method: head.method,
            parts,
            query,
            headers: head.headers,
            body,
        })
    }

    /// Who a request is from, as its one token tells.
    fn who<'s>(&self, headers: &HeaderMap, state: &'s State) -> Option<Known<'s>> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        state.recipients.whose(token, self.clock.now())
    }

    /// The right to one more stream.
    pub(super) fn stream(&self, recipient: &str) -> Result<OwnedSemaphorePermit, No> {
        let mut streams = self.streams.lock().map_err(|_| No::Unavailable)?;
        let most = self.settings.streams;
        let own = streams
            .entry(recipient.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(most)));
        own.clone().try_acquire_owned().map_err(|_| No::Busy)
    }
}

async fn door(
    Held(server): Held<Arc<Server>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    if request.uri().path() == HEALTH {
        return server.health();
    }
    // on its own: a connection that ends while the record is written must not leave it without an end
    let answered = tokio::spawn(server.answer(from.ip().to_canonical(), request)).await;
    answered.unwrap_or_else(|_| No::Unavailable.response())
}

/// The address that a server listens at, for itself alone.
///
/// # Errors
/// `Unavailable` where it cannot be had.
pub fn bind(listen: &str) -> Result<TcpListener> {
    let failed = |cause: std::io::Error| {
        let error = fail(Kind::Unavailable, "serve_listen", &[&listen]).because(cause);
        error.hint("serve_listen_hint", &[])
    };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Serves until the process is told to end. `ready` hears the address once it is open.
///
/// # Errors
/// `Unavailable` where the door fails.
pub async fn listen(
    server: Arc<Server>,
    tls: rustls::ServerConfig,
    listener: TcpListener,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let listen = server.settings.listen.clone();
    let crowd = Crowd::new(server.settings.connections, server.settings.address_connections);
    let failed = |cause: std::io::Error| fail(Kind::Unavailable, "serve_listen", &[&listen]).because(cause);
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new().fallback(door).with_state(server);
    let config = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(tls));
    let door = axum_server::from_tcp_rustls(listener, config).map_err(failed)?;
    let mut door = door.map(|tls| tls.acceptor(crowd)).http1_only();
    door.http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES);
    ready(address);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    door.serve(service).await.map_err(failed)
}

/// What encrypts the door: TLS 1.2 and 1.3 alone.
///
/// # Errors
/// `Missing` or `Denied` for files that are not there or that others can read, `Input` for what is no certificate or
/// does not belong together.
pub fn tls(certificate: &std::path::Path, key: &std::path::Path) -> Result<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let hinted = |error: crate::Error| error.hint("serve_certificate_hint", &[]);
    crate::config::site::private(key).map_err(hinted)?;
    let wrong = |path: &std::path::Path, cause: &dyn std::fmt::Display| {
        let error = fail(Kind::Input, "serve_certificate", &[&path.display()]).because(cause);
        error.hint("serve_certificate_hint", &[])
    };
    let pem = |path: &std::path::Path| std::fs::read(path).map_err(|cause| hinted(io_error(path, &cause)));
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(certificate)?).collect();
    let chain = chain.map_err(|cause| wrong(certificate, &cause))?;
    let secret = PrivateKeyDer::from_pem_slice(&pem(key)?).map_err(|cause| wrong(key, &cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| wrong(certificate, &cause))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|cause| wrong(certificate, &cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
