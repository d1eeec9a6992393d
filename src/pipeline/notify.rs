//! Telling people: a file, mail, a webhook. Only to hosts that the site allows.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use serde_json::json;
use url::Url;

use crate::config::Site;
use crate::config::settings::Notify;
use crate::error::{Error, Kind, Result, fail, io_error};
use crate::lake::Lake;
use crate::message::{Language, Message};
use crate::pipeline::Definition;
use crate::pipeline::notice::{self, Deed, Duty, Notice, Standing};
use crate::pipeline::run::calendar;
use crate::time::rfc3339;

/// Time that a channel has.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is told, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The notice.
    pub notice_id: String,
    /// The pipeline.
    pub pipeline: String,
    /// What is done about it.
    pub act: &'static str,
    /// When, UTC microseconds.
    pub at: i64,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
}

impl Telling {
    fn json(&self, site: &str) -> serde_json::Value {
        json!({
            "site": site,
            "notice_id": self.notice_id,
            "pipeline": self.pipeline,
            "act": self.act,
            "at": rfc3339(self.at),
            "text_zh": self.text_zh,
            "text_en": self.text_en,
        })
    }
}

/// A URL whose host is allowed.
///
/// # Errors
/// `Input` for what is no URL, `Denied` for any other host.
fn allowed(text: &str, rules: &Notify) -> Result<Url> {
    let url = Url::parse(text).map_err(|cause| fail(Kind::Input, "notify_url", &[&text]).because(cause))?;
    let host = url.host_str().unwrap_or_default();
    if rules.allow.iter().any(|known| known == host) {
        return Ok(url);
    }
    Err(fail(Kind::Denied, "notify_host", &[&host]).hint("notify_host_hint", &[&host]))
}

/// The channels of a site.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a> {
    /// The site.
    pub site: &'a Site,
}

impl Channels<'_> {
    fn rules(&self) -> &Notify {
        &self.site.settings.notify
    }

    /// Those that are set up.
    pub fn names(&self) -> Vec<&'static str> {
        let rules = self.rules();
        let all = [
            ("file", &rules.file),
            ("mail", &rules.smtp),
            ("webhook", &rules.webhook),
        ];
        all.into_iter()
            .filter(|(_, set)| !set.is_empty())
            .map(|(name, _)| name)
            .collect()
    }

    /// Tells it by one channel.
    async fn tell(&self, channel: &str, telling: &Telling) -> Result<()> {
        match channel {
            "file" => self.file(telling),
            "mail" => self.mail(telling).await,
            _ => {
                let body = telling.json(&self.site.settings.site.name).to_string();
                post(&self.rules().webhook, self.rules(), body).await
            }
        }
    }

    /// Says to an outside monitor that the scheduler lives.
    ///
    /// # Errors
    /// As the monitor cannot be reached.
    pub async fn beat(&self, text: String) -> Result<()> {
        post(&self.rules().beat, self.rules(), text).await
    }

    fn file(&self, telling: &Telling) -> Result<()> {
        let path = self.site.path(&self.rules().file);
        let line = format!("{}\n", telling.json(&self.site.settings.site.name));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|cause| io_error(&path, &cause))
    }

    async fn mail(&self, telling: &Telling) -> Result<()> {
        let rules = self.rules();
        let url = allowed(&rules.smtp, rules)?;
        let failed =
            |cause: &dyn std::fmt::Display| fail(Kind::Unavailable, "notify_failed", &[&"mail"]).because(cause);
        let address = |text: &String| {
            text.parse::<Mailbox>()
                .map_err(|cause| fail(Kind::Input, "notify_address", &[text]).because(cause))
        };
        let mut mail = Mail::builder().from(address(&rules.mail_from)?);
        let to = match telling.act {
            "escalated" if !rules.mail_escalate.is_empty() => &rules.mail_escalate,
            _ => &rules.mail_to,
        };
        for person in to {
            mail = mail.to(address(person)?);
        }
        let subject = telling.text_zh.chars().take(60).collect::<String>();
        let mail = mail
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(format!("{}\n\n{}\n", telling.text_zh, telling.text_en))
            .map_err(|cause| failed(&cause))?;
        let mut relay = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|cause| failed(&cause))?
            .timeout(Some(PATIENCE));
        if !rules.smtp_user.is_empty() {
            // a password goes over no open line
            if url.scheme() == "smtp" && !url.query().is_some_and(|query| query.contains("tls=required")) {
                return Err(fail(Kind::Denied, "notify_clear", &[]).hint("notify_clear_hint", &[]));
            }
            let path = self.site.path(&rules.smtp_password_file);
            crate::config::site::private(&path)?;
            let password = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
            relay = relay.credentials(Credentials::new(rules.smtp_user.clone(), password.trim().to_owned()));
        }
        relay.build().send(mail).await.map_err(|cause| failed(&cause))?;
        Ok(())
    }
}

async fn post(to: &str, rules: &Notify, body: String) -> Result<()> {
    let url = allowed(to, rules)?;
    let failed = |cause: reqwest::Error| {
        // the address of a webhook is a secret at many services
        fail(Kind::Unavailable, "notify_failed", &[&"webhook"]).because(cause.without_url())
    };
    // another host than the one that is allowed must not be reached by a redirect or a proxy
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(failed)?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(fail(Kind::Unavailable, "notify_failed", &[&"webhook"]).because(status)),
    }
}

/// Who tells: the lake, the moment, and the name under which it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The site.
    pub site: &'a Site,
    /// Its lake.
    pub lake: &'a Lake,
    /// UTC microseconds.
    pub now: i64,
    /// The name of this telling in commits.
    pub run_id: &'a str,
}

impl Teller<'_> {
    /// The notices that stand open.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn standing(&self) -> Result<Standing> {
        let (nights, whole) = notice::nights(self.site, self.lake, self.now).await?;
        let definition = |pipeline: &str| Definition::load(self.site, pipeline).ok();
        let open = notice::open(&nights, definition, &calendar(self.site)?);
        Ok(Standing { open, whole })
    }

    /// What stands open, in words.
    ///
    /// # Errors
    /// As the lake cannot be read.
    pub async fn texts(&self, language: Language) -> Result<Vec<String>> {
        let (standing, calendar) = (self.standing().await?, calendar(self.site)?);
        let texts = standing
            .open
            .iter()
            .map(|notice| notice.text(self.site, &calendar, language));
        Ok(texts.collect())
    }

    /// Tells what is due, once by each channel, and keeps that it was told; what went wrong is given back. Who is
    /// `patient` leaves a channel that failed alone for a while.
    ///
    /// # Errors
    /// As the lake fails. `Conflict` where somebody else tells now.
    pub async fn tell(&self, patient: bool) -> Result<(Vec<Telling>, Vec<Error>)> {
        let channels = Channels { site: self.site };
        let lease = self.lake.lease("notice", 0).await?;
        let (standing, mut deeds) = (self.standing().await?, notice::deeds(self.site, self.lake).await?);
        if !patient {
            deeds.retain(|deed| deed.act != "failed");
        }
        let rules = &self.site.settings.notify;
        let mut due = Vec::new();
        for (id, duty, owing) in notice::duties(&standing, &deeds, rules, &channels.names(), self.now) {
            due.push((self.telling(&id, duty, &standing.open)?, owing));
        }
        due.extend(self.digest(&standing.open, &deeds, &channels.names())?);
        let (mut told, mut wrong) = (Vec::new(), Vec::new());
        for (telling, owing) in due {
            let mut kept = Vec::new();
            for channel in owing {
                let done = channels.tell(channel, &telling).await;
                let act = if done.is_ok() { telling.act } else { "failed" };
                kept.push(self.deed(&telling.notice_id, act, channel));
                wrong.extend(done.err());
            }
            notice::keep(self.lake, self.run_id, lease.fence(), &kept).await?;
            if kept.iter().any(|deed| deed.act != "failed") {
                told.push(telling);
            }
        }
        Ok((told, wrong))
    }

    /// Keeps that somebody knows of a notice; nobody else is told then.
    ///
    /// # Errors
    /// `Missing` where no such notice stands open.
    pub async fn acknowledge(&self, id: &str, who: &str) -> Result<()> {
        let lease = self
            .lake
            .lease("notice", self.site.settings.limits.lease_wait_seconds)
            .await?;
        if !self.standing().await?.open.iter().any(|notice| notice.notice_id == id) {
            return Err(fail(Kind::Missing, "no_notice", &[&id]).hint("no_notice_hint", &[]));
        }
        notice::keep(
            self.lake,
            self.run_id,
            lease.fence(),
            &[self.deed(id, "acknowledged", who)],
        )
        .await
    }

    fn deed(&self, id: &str, act: &str, by: &str) -> Deed {
        Deed {
            notice_id: id.to_owned(),
            act: act.to_owned(),
            at: self.now,
            by: by.to_owned(),
        }
    }

    fn telling(&self, id: &str, duty: Duty, open: &[Notice]) -> Result<Telling> {
        let calendar = calendar(self.site)?;
        let notice = open.iter().find(|notice| notice.notice_id == id);
        let text = |language: Language| match notice {
            Some(notice) => notice.text(self.site, &calendar, language),
            None => Message::new("notice_over", &[&self.site.settings.site.name, &id]).in_language(language),
        };
        Ok(Telling {
            notice_id: id.to_owned(),
            pipeline: notice.map(|notice| notice.night.pipeline.clone()).unwrap_or_default(),
            act: duty.word(),
            at: self.now,
            text_zh: text(Language::Chinese),
            text_en: text(Language::English),
        })
    }

    /// The message of the day, once after its hour by each channel: every notice that stands open, or that none
    /// does.
    fn digest(
        &self,
        open: &[Notice],
        deeds: &[Deed],
        channels: &[&'static str],
    ) -> Result<Option<(Telling, Vec<&'static str>)>> {
        let rules = &self.site.settings.notify;
        let calendar = calendar(self.site)?;
        let Some(local) = calendar.local(self.now).filter(|_| !rules.digest_at.is_empty()) else {
            return Ok(None);
        };
        let id = format!("digest-{}", local.date());
        let by = |channel: &str, act: &str| {
            let acts = deeds
                .iter()
                .filter(|deed| deed.notice_id == id && deed.act == act && deed.by == channel);
            acts.map(|deed| deed.at).max()
        };
        let owes = |channel: &str| {
            by(channel, "digest").is_none() && by(channel, "failed").is_none_or(|at| self.now >= at + notice::AGAIN)
        };
        let owing: Vec<&'static str> = channels.iter().filter(|channel| owes(channel)).copied().collect();
        if owing.is_empty() || local.format("%H:%M").to_string() < rules.digest_at {
            return Ok(None);
        }
        let text = |language: Language| {
            let title = match language {
                Language::Chinese => &self.site.settings.site.title_zh,
                Language::English => &self.site.settings.site.title_en,
            };
            let head = Message::new("notice_digest", &[title, &local.date(), &open.len()]);
            let mut lines = vec![head.in_language(language)];
            lines.extend(open.iter().map(|notice| notice.text(self.site, &calendar, language)));
            lines.join("\n")
        };
        let telling = Telling {
            notice_id: id,
            pipeline: String::new(),
            act: "digest",
            at: self.now,
            text_zh: text(Language::Chinese),
            text_en: text(Language::English),
        };
        Ok(Some((telling, owing)))
    }
}
