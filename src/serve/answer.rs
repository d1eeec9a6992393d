//! Answers with their record: what left is written down when it has left, whole or in part.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::audit::{Audit, Decision, Entry};

/// Time after which a reader that asks for nothing more has stalled.
const STALLED: Duration = Duration::from_secs(60);

/// Why nothing leaves, as a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// No token, or none that is valid.
    Unknown,
    /// Nothing of this name for this reader.
    Missing,
    /// No request of the protocol.
    Malformed,
    /// More than a request may hold.
    TooLarge,
    /// A range that the file does not have.
    Range,
    /// Earlier states and changes are not shared.
    History,
    /// The address has ended.
    Ended,
    /// Too many requests.
    Busy,
    /// The server cannot answer for itself now.
    Unavailable,
}

impl No {
    fn code(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            No::Unknown => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "no valid token"),
            No::Missing => (
                StatusCode::NOT_FOUND,
                "RESOURCE_DOES_NOT_EXIST",
                "there is nothing of this name for you",
            ),
            No::Malformed => (
                StatusCode::BAD_REQUEST,
                "INVALID_PARAMETER_VALUE",
                "this is no request of the protocol",
            ),
            No::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "INVALID_PARAMETER_VALUE",
                "the request is too large",
            ),
            No::Range => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "INVALID_PARAMETER_VALUE",
                "the file ends before this range",
            ),
            No::History => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "earlier states and changes are not shared",
            ),
            No::Ended => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "the address has ended, ask for a new one",
            ),
            No::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                "RESOURCE_EXHAUSTED",
                "too many requests, try later",
            ),
            No::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "TEMPORARILY_UNAVAILABLE",
                "nothing is served now",
            ),
        }
    }

    /// The reason, for the record.
    pub fn reason(self) -> &'static str {
        self.code().2
    }

    /// The answer.
    pub fn response(self) -> Response<Body> {
        let (status, code, message) = self.code();
        let text = json!({ "errorCode": code, "message": message }).to_string();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        if self == No::Busy {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What a request is recorded as, once it is allowed, until it has ended.
#[derive(Debug)]
pub struct Ending {
    audit: Audit,
    entry: Entry,
    /// Rows of an answer that left whole.
    rows: u64,
    /// Bytes of the whole answer.
    total: u64,
    sent: u64,
    /// Why it was broken off from this side.
    broken: Option<&'static str>,
}

impl Ending {
    /// Of an entry that was recorded as allowed.
    pub fn of(audit: Audit, entry: Entry, rows: u64, total: u64) -> Ending {
        Ending {
            audit,
            entry,
            rows,
            total,
            sent: 0,
            broken: None,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let whole = self.sent == self.total && self.broken.is_none();
        let mut entry = std::mem::take(&mut self.entry);
        entry.bytes = self.sent;
        entry.rows = if whole { self.rows } else { 0 };
        entry.decision = if whole { Decision::Whole } else { Decision::Part };
        if let Some(broken) = self.broken {
            broken.clone_into(&mut entry.reason);
        } else if !whole && entry.reason.is_empty() {
            "the connection ended".clone_into(&mut entry.reason);
        }
        self.audit.end(entry);
    }
}

/// A part of a file, or why there is none.
type Part = Result<Bytes, &'static str>;

/// The bytes of an answer, counted as they leave.
pub struct Counted {
    inner: Pin<Box<dyn Stream<Item = Part> + Send>>,
    going: Arc<Mutex<Going>>,
}

/// An answer under way.
#[derive(Debug)]
struct Going {
    ending: Option<Ending>,
    permit: Option<OwnedSemaphorePermit>,
    asked: Instant,
}

impl Going {
    fn end(&mut self, broken: Option<&'static str>) {
        if let (Some(ending), Some(broken)) = (&mut self.ending, broken) {
            ending.broken = Some(broken);
        }
        self.ending = None;
        self.permit = None;
    }
}

/// The answers that are under way.
#[derive(Debug, Default)]
pub struct Underway(Mutex<Vec<Weak<Mutex<Going>>>>);

impl Underway {
    /// Counts a stream. The permit is given back when it has ended.
    pub fn begin(
        &self,
        inner: impl Stream<Item = Part> + Send + 'static,
        ending: Ending,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Body {
        let going = Arc::new(Mutex::new(Going {
            ending: Some(ending),
            permit,
            asked: Instant::now(),
        }));
        if let Ok(mut all) = self.0.lock() {
            all.push(Arc::downgrade(&going));
        }
        Body::from_stream(Counted {
            inner: Box::pin(inner),
            going,
        })
    }

    /// Ends those whose readers have stalled: behind a line that broke unseen, a connection may stand for long, and
    /// would keep its record open and its right to a stream.
    pub fn end_stalled(&self) {
        self.end(|going| going.asked.elapsed() >= STALLED, "the reader stalled");
    }

    /// Ends all, with their records.
    pub fn end_all(&self) {
        self.end(|_| true, "the server ended");
    }

    fn end(&self, which: impl Fn(&Going) -> bool, why: &'static str) {
        let Ok(mut all) = self.0.lock() else { return };
        all.retain(|going| {
            let Some(going) = going.upgrade() else { return false };
            let Ok(mut going) = going.lock() else { return false };
            if which(&going) {
                going.end(Some(why));
            }
            going.ending.is_some()
        });
    }
}

impl Stream for Counted {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.inner.as_mut().poll_next(context);
        let broken = |why: &'static str| Poll::Ready(Some(Err(std::io::Error::other(why))));
        let Ok(mut going) = self.going.lock() else {
            return broken("the record was lost");
        };
        going.asked = Instant::now();
        let Some(ending) = &mut going.ending else {
            return broken("the answer was ended");
        };
        polled.map(|next| match next? {
            Ok(bytes) => {
                ending.sent += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Err(why) => {
                ending.broken = Some(why);
                Some(Err(std::io::Error::other(why)))
            }
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Ok(mut going) = self.going.lock() {
            going.end(None);
        }
    }
}

/// An answer of text that was allowed.
pub fn text(text: String, kind: &'static str, underway: &Underway, (audit, entry): (&Audit, Entry)) -> Response<Body> {
    let length = text.len() as u64;
    let ending = Ending::of(audit.clone(), entry, 0, length);
    let once = futures::stream::once(async move { Ok::<_, &'static str>(Bytes::from(text)) });
    let mut response = Response::new(underway.begin(once, ending, None));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A header, where its value can be one.
pub fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// A page of a list: the items, and where the next page begins.
pub fn page(items: &[Value], next: Option<String>) -> String {
    match next {
        Some(next) => json!({ "items": items, "nextPageToken": next }),
        None => json!({ "items": items }),
    }
    .to_string()
}
