//! The questions of the protocol, and two of our own: a new token, and what a recipient sends back.

use std::io::Write;

use axum::http::Method;
use serde_json::{Value, json};

use crate::audit::Entry;
use crate::config::text::cut;
use crate::error::{Kind, io_error};
use crate::lake::digest::hex;
use crate::serve::answer::{No, page};
use crate::serve::door::{Answer, Ask, ROOT, Server};
use crate::serve::json::{self, Format, Query, Refusal};
use crate::serve::link::Link;
use crate::serve::state::{Open, State};
use crate::share::profile::newest_key;
use crate::share::recipient::{Known, New, RENEWAL_DAYS, Recipients, TOKEN_DAYS};
use crate::time::rfc3339;
use crate::warn;

/// The one schema of what is shared.
pub const SCHEMA: &str = "share";
/// Lines of JSON, as the protocol names them.
const LINES: &str = "application/x-ndjson; charset=utf-8";
/// Characters of a name that are recorded.
const NAME: usize = 120;
/// Items of a page where the client does not say.
const PAGE: usize = 500;

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> No {
        match refusal {
            Refusal::Malformed => No::Malformed,
            Refusal::History => No::History,
        }
    }
}

impl Server {
    /// The answer to a question of the protocol.
    pub(super) async fn protocol(
        &self,
        ask: &Ask,
        parts: &[&str],
        state: &State,
        who: &Known<'_>,
        entry: &mut Entry,
    ) -> Result<Answer, No> {
        let get = ask.method == Method::GET;
        let share = [("name", self.name.as_str()), ("id", self.name.as_str())];
        let share: Value = share
            .iter()
            .map(|(key, value)| (key.to_string(), json!(value)))
            .collect();
        let schema = json!({ "name": SCHEMA, "share": self.name });
        let tables = |state: &State| -> Vec<Value> {
            let names = state.readable(who).into_iter();
            let table = |name: String| json!({ "name": name, "id": name, "schema": SCHEMA, "share": self.name });
            names.map(table).collect()
        };
        if let Some(share) = parts.get(2)
            && parts[1] == "shares"
            && *share != self.name
        {
            return Err(No::Missing);
        }
        let list = |entry: &mut Entry, items: Vec<Value>| {
            "share.list".clone_into(&mut entry.act);
            self.paged(ask, items)
        };
        match parts {
            [ROOT, "shares"] if get => list(entry, vec![share]),
            [ROOT, "shares", _] if get => {
                "share.list".clone_into(&mut entry.act);
                Ok(Answer::json(json!({ "share": share }).to_string()))
            }
            [ROOT, "shares", _, "schemas"] if get => list(entry, vec![schema]),
            [ROOT, "shares", _, "all-tables"] | [ROOT, "shares", _, "schemas", SCHEMA, "tables"] if get => {
                list(entry, tables(state))
            }
            [ROOT, "shares", _, "schemas", SCHEMA, "tables", table, verb @ ..] => {
                entry.object = cut(&format!("{SCHEMA}.{table}"), NAME);
                self.table(ask, state, who, (table, verb), entry).await
            }
            [ROOT, "renewal"] if ask.method == Method::POST => self.renew(state, who, entry).await,
            [ROOT, "outbox", name] if ask.method == Method::PUT => self.take(ask, who, name, entry).await,
            _ => Err(No::Missing),
        }
    }

    /// A page of a list.
    fn paged(&self, ask: &Ask, items: Vec<Value>) -> Result<Answer, No> {
        let number = |key: &str| match ask.query.get(key).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text
                .parse::<u32>()
                .map(|number| Some(number as usize))
                .map_err(|_| No::Malformed),
        };
        // what a page token says is a place in the reader's own list
        let from = number("pageToken")?.unwrap_or(0);
        let most = number("maxResults")?.filter(|most| *most > 0).unwrap_or(PAGE);
        if from > items.len() {
            return Err(No::Malformed);
        }
        let to = from.saturating_add(most).min(items.len());
        let next = (to < items.len()).then(|| to.to_string());
        Ok(Answer::json(page(&items[from..to], next)))
    }

    /// A question about a table.
    async fn table(
        &self,
        ask: &Ask,
        state: &State,
        who: &Known<'_>,
        (name, verb): (&str, &[&str]),
        entry: &mut Entry,
    ) -> Result<Answer, No> {
        let wanted = match ask.headers.get("fenghuo-release").map(|value| value.to_str()) {
            None => None,
            Some(text) => Some(text.ok().and_then(|text| text.parse().ok()).ok_or(No::Malformed)?),
        };
        let query = match (verb, &ask.method) {
            (["query"], &Method::POST) => Some(Query::read(&ask.body)?),
            (["version"] | ["metadata"] | ["changes"], &Method::GET) | ([], &Method::HEAD | &Method::GET) => None,
            _ => return Err(No::Missing),
        };
        let release = state.served(wanted).ok_or(No::Missing)?;
        let open = state.open(who, name, release).ok_or(No::Missing)?;
        entry.purpose = open.purpose.to_owned();
        entry.release = release.release;
        let act = match verb {
            ["query"] => "share.query",
            ["metadata"] => "share.metadata",
            ["changes"] => "share.changes",
            _ => "share.version",
        };
        act.clone_into(&mut entry.act);
        let version = match wanted {
            Some(number) => number,
            None => state.since.get(&open.share.table()).copied().unwrap_or(release.release),
        };
        if verb == ["changes"] || ask.query.contains_key("startingTimestamp") {
            return Err(No::History);
        }
        // a client that names a version means the present one, or one that is served still
        if let Some(asked) = query.as_ref().and_then(|query| query.version)
            && !(version..=release.release).contains(&asked)
        {
            return Err(No::History);
        }
        let mut headers = vec![
            ("delta-table-version", version.to_string()),
            ("fenghuo-release", release.release.to_string()),
            ("fenghuo-made-at", release.made_at.clone()),
            ("fenghuo-token-ends", rfc3339(who.token.ends)),
        ];
        if let Some(why) = release.held.get(&open.share.table()) {
            headers.push(("fenghuo-stale", why.clone()));
        }
        if !matches!(verb, ["query" | "metadata"]) {
            return Ok(Answer::Text {
                text: String::new(),
                kind: LINES,
                headers,
            });
        }
        let format = Format::of(&ask.headers);
        headers.push(("delta-sharing-capabilities", format.name().to_owned()));
        let text = self
            .lines(ask, who, &open, (version, format), query.as_ref(), entry)
            .await?;
        Ok(Answer::Text {
            text,
            kind: LINES,
            headers,
        })
    }

    /// What a table is, and its files where they are asked for.
    async fn lines(
        &self,
        ask: &Ask,
        who: &Known<'_>,
        open: &Open<'_>,
        (version, format): (u64, Format),
        query: Option<&Query>,
        entry: &mut Entry,
    ) -> Result<String, No> {
        let listing = self
            .listings
            .get(&open.share.table(), open.entry)
            .await
            .map_err(|error| self.wrong(error))?;
        let files: Vec<_> = listing.of(open).collect();
        let mut lines = json::head(&listing, format, version, &files);
        let Some(query) = query else {
            return Ok(json::lines(&lines));
        };
        entry.reason = match query.hints() {
            0 => String::new(),
            hints => format!("{hints} hints, which change nothing"),
        };
        let from = match query.page_token.as_deref().filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => token.parse::<u32>().map_err(|_| No::Malformed)? as usize,
        };
        if from > files.len() {
            return Err(No::Malformed);
        }
        let most = match (format.ended, query.max_files) {
            (true, Some(most)) => usize::try_from(most).unwrap_or(usize::MAX).max(1),
            _ => usize::MAX,
        };
        let to = from.saturating_add(most).min(files.len());
        let ends = self.clock.now() / 1_000_000 + i64::from(self.settings.link_minutes) * 60;
        let endpoint = self.endpoint(ask);
        let (mut rows, mut next) = (0, (to < files.len()).then(|| to.to_string()));
        for file in &files[from..to] {
            if query.limit_hint.is_some_and(|limit| rows >= limit) {
                next = None;
                break;
            }
            let link = Link {
                share: open.share.name.clone(),
                release: open.release.release,
                digest: file.0.to_owned(),
                bytes: file.1.size,
                token: who.token.id.clone(),
                ends,
            };
            let seal = self.seals.first().ok_or(No::Unavailable)?;
            let url = link.address(seal, &endpoint);
            lines.push(json::file(*file, &url, format, version, ends * 1_000));
            rows += file.1.rows;
        }
        if format.ended {
            let mut end = json!({ "minUrlExpirationTimestamp": ends * 1_000 });
            if let Some(next) = next {
                end["nextPageToken"] = next.into();
            }
            lines.push(json!({ "endStreamAction": end }));
        }
        Ok(json::lines(&lines))
    }

    /// Where this door is, as the client knows it.
    fn endpoint(&self, ask: &Ask) -> String {
        let host = ask
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        match self.settings.url.is_empty() {
            true => format!("https://{host}/{ROOT}"),
            false => self.settings.url.trim_end_matches('/').to_owned(),
        }
    }

    /// A new token for one that ends soon, while a grant stands.
    async fn renew(&self, state: &State, who: &Known<'_>, entry: &mut Entry) -> Result<Answer, No> {
        "share.renewal".clone_into(&mut entry.act);
        let now = self.clock.now();
        let early = who.token.ends - now > RENEWAL_DAYS * 86_400_000_000;
        if early || !who.recipient.grants.values().any(|grant| grant.stands(state.today)) {
            return Err(No::Missing);
        }
        let entropy = (self.entropy)().map_err(|error| self.wrong(error))?;
        let new = New {
            entropy: &entropy,
            now,
            days: TOKEN_DAYS,
        };
        let ends = now + TOKEN_DAYS * 86_400_000_000;
        let renewed = self
            .changed(|recipients| {
                // it may have been revoked since the last look
                let known = recipients.named(&who.token.id, now).is_some();
                let secret = recipients.renew(who.name, &who.token.id, new);
                Ok(secret.ok().filter(|_| known))
            })
            .await?;
        let secret = renewed.ok_or(No::Missing)?;
        let token = secret.expose();
        let key = newest_key(&self.bundles, token);
        let text = json!({ "bearerToken": token, "expirationTime": rfc3339(ends), "bundleKey": key });
        Ok(Answer::json(text.to_string()))
    }

    /// Tells the lake that a token is used for the first time, so that those before it end.
    pub(super) async fn first_use(&self, who: &Known<'_>) -> Result<(), No> {
        let now = self.clock.now();
        let used = |recipients: &mut Recipients| Ok(recipients.used(&who.token.id, now).then_some(()));
        self.changed(used).await.map(drop)
    }

    /// Changes the recipients, where there is something to change; what has changed holds here at once.
    async fn changed<T>(&self, change: impl Fn(&mut Recipients) -> crate::Result<Option<T>>) -> Result<Option<T>, No> {
        let mut tries = 3;
        loop {
            let mut recipients = Recipients::load(&self.lake).await.map_err(|error| self.wrong(error))?;
            let Some(done) = change(&mut recipients).map_err(|error| self.wrong(error))? else {
                return Ok(None);
            };
            match recipients.save(&self.lake).await {
                Err(error) if error.kind() == Kind::Conflict && tries > 0 => tries -= 1,
                Err(error) => return Err(self.wrong(error)),
                Ok(()) => {
                    if let Err(error) = self.watched.look().await {
                        self.wrong(error);
                    }
                    return Ok(Some(done));
                }
            }
        }
    }

    /// Takes actions on warnings that a recipient sends back: named by the digest of what it sent, so that twice is
    /// once, and for its own counties alone.
    async fn take(&self, ask: &Ask, who: &Known<'_>, name: &str, entry: &mut Entry) -> Result<Answer, No> {
        "share.outbox".clone_into(&mut entry.act);
        let digest = hex(blake3::hash(&ask.body).as_bytes());
        if name != digest {
            return Err(No::Malformed);
        }
        let counties = &who.recipient.counties;
        let actions = warn::read(&ask.body, counties, self.pack).map_err(|_| No::Malformed)?;
        entry.object = format!("outbox/{digest}");
        entry.reason = format!("{} actions", actions.len());
        let lines = warn::lines(&actions).map_err(|error| self.wrong(error))?;
        let path = self.inbox.join(format!("{}-{digest}.ndjson", who.name));
        let folder = self.inbox.clone();
        let laid = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            if path.is_file() {
                return Ok(());
            }
            std::fs::create_dir_all(&folder)?;
            let staged = path.with_extension("part");
            let mut file = std::fs::File::create(&staged)?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&staged, &path)?;
            std::fs::File::open(&folder)?.sync_all()
        });
        let failed = |cause: std::io::Error| self.wrong(io_error(&self.inbox, &cause));
        laid.await.map_err(|cause| failed(cause.into()))?.map_err(failed)?;
        Ok(Answer::json(json!({ "taken": digest }).to_string()))
    }
}
