//! `fenghuo share add|grant|rotate|revoke|recipients`: who may read which shares.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::audit::Entry;
use crate::cli::audit::Deed;
use crate::cli::clock::{SystemClock, entropy};
use crate::cli::open::Opened;
use crate::cli::output::{Output, numbers, texts};
use crate::cli::print::Printer;
use crate::error::{Kind, Result, fail, io_error};
use crate::pipeline::run::calendar;
use crate::protect::Seal;
use crate::share::definition::shares;
use crate::share::profile::{BUNDLE, Profile, newest_key};
use crate::share::publish::RECIPIENT;
use crate::share::recipient::{Grant, New, Recipients, Secret};
use crate::time::{Clock, rfc3339};

/// A new recipient.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// County whose own rows it may read; none for a branch
    #[arg(long, value_name = "CODE")]
    county: Vec<String>,
    #[command(flatten)]
    handed: Handed,
}

/// A token as it is handed out.
#[derive(Debug, clap::Args)]
pub(super) struct Handed {
    /// Profile file to write, mode 0600; the token is shown nowhere else and never again
    #[arg(long = "profile", id = "profile_out", value_name = "FILE")]
    out: PathBuf,
    /// Days that the token lives, 90 at most
    #[arg(long = "days", id = "token_days", value_name = "DAYS", default_value_t = 90)]
    days: i64,
}

/// A new token.
#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// End the tokens before it within seconds, not after a day: others may know them
    #[arg(long = "now", id = "rotate_now")]
    now: bool,
    #[command(flatten)]
    handed: Handed,
}

/// A share for a recipient.
#[derive(Debug, clap::Args)]
pub(super) struct Granted {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// Shares to grant
    #[arg(id = "granted_shares", value_name = "SHARE", required = true)]
    shares: Vec<String>,
    /// What for; that of the share by default
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// On which ground; that of the share by default
    #[arg(long, value_name = "TEXT")]
    legal_basis: Option<String>,
    /// Who asked for it
    #[arg(long, value_name = "NAME")]
    requester: String,
    /// Who said yes, somebody else
    #[arg(long, value_name = "NAME")]
    approver: String,
    /// Last day on which it stands, within 180 days
    #[arg(long = "until", id = "grant_until", value_name = "DATE")]
    until: String,
}

/// The end of a recipient's rights.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// This share alone; without, everything that it holds
    #[arg(long = "share", id = "revoked_share", value_name = "SHARE")]
    share: Option<String>,
}

/// Changes the recipients, and records who did.
fn entry(act: &str, object: &str) -> Entry {
    Entry {
        act: act.to_owned(),
        object: object.to_owned(),
        ..Entry::default()
    }
}

async fn changed<T>(opened: &Opened, entry: Entry, change: impl FnOnce(&mut Recipients) -> Result<T>) -> Result<T> {
    let mut recipients = Recipients::load(&opened.lake).await?;
    let done = change(&mut recipients)?;
    let deed = Deed::begin(opened, vec![entry])?;
    let saved = recipients.save(&opened.lake).await;
    deed.end(saved.is_ok())?;
    saved.map(|()| done)
}

pub(super) async fn add(opened: &Opened, args: &Add, printer: &Printer) -> Result<()> {
    let (ready, seals) = (profile(opened, &args.handed)?, opened.key()?.seals(BUNDLE));
    let (now, entropy) = (SystemClock.now(), entropy()?);
    let new = New {
        entropy: &entropy,
        now,
        days: args.handed.days,
    };
    let counties: BTreeSet<String> = args.county.iter().cloned().collect();
    let secret = changed(opened, entry("share.add", &args.name), |all| {
        all.add(&args.name, counties, new)
    })
    .await?;
    hand_out((ready, &seals), &secret, now, &args.handed, printer)?;
    printer.say("recipient_added", &[&args.name, &args.handed.out.display()]);
    let known = with_rows(opened).await?;
    for county in args.county.iter().filter(|county| !known.contains(*county)) {
        printer.say("recipient_no_rows", &[county]);
    }
    Ok(())
}

/// The counties that have rows of their own in what is shared.
async fn with_rows(opened: &Opened) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let release = opened.lake.latest_release().await?;
    let tables = release.map(|release| release.tables).unwrap_or_default();
    for (name, entry) in tables.iter().filter(|(name, _)| name.starts_with("share.")) {
        let table = opened.lake.table_at(name, &entry.location, entry.version).await?;
        let partitions = table.data_files()?.into_iter().filter_map(|file| file.partition);
        let own = partitions.filter(|(column, _)| column == RECIPIENT);
        found.extend(own.filter_map(|(_, county)| county));
    }
    Ok(found)
}

pub(super) async fn rotate(opened: &Opened, args: &Rotate, printer: &Printer) -> Result<()> {
    let (ready, seals) = (profile(opened, &args.handed)?, opened.key()?.seals(BUNDLE));
    let (now, entropy) = (SystemClock.now(), entropy()?);
    let new = New {
        entropy: &entropy,
        now,
        days: args.handed.days,
    };
    let secret = changed(opened, entry("share.rotate", &args.name), |all| {
        all.rotate(&args.name, new, args.now)
    })
    .await?;
    hand_out((ready, &seals), &secret, now, &args.handed, printer)?;
    let key = if args.now {
        "recipient_rotated_now"
    } else {
        "recipient_rotated"
    };
    printer.say(key, &[&args.name, &args.handed.out.display()]);
    Ok(())
}

/// What a profile file says besides its token.
fn profile(opened: &Opened, handed: &Handed) -> Result<Profile> {
    let serve = &opened.site.settings.serve;
    if serve.url.is_empty() {
        return Err(fail(Kind::Missing, "serve_url", &[]).hint("serve_url_hint", &[]));
    }
    if handed.out.exists() {
        return Err(fail(Kind::Conflict, "profile_exists", &[&handed.out.display()]));
    }
    let authority = match serve.authority.as_str() {
        "" => None,
        path => {
            let path = opened.site.path(path);
            Some(std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?)
        }
    };
    Ok(Profile {
        share_credentials_version: 1,
        endpoint: serve.url.trim_end_matches('/').to_owned(),
        bearer_token: String::new(),
        expiration_time: None,
        bundle_key: None,
        authority,
    })
}

fn hand_out(
    (ready, seals): (Profile, &[Seal]),
    secret: &Secret,
    now: i64,
    handed: &Handed,
    printer: &Printer,
) -> Result<()> {
    let ends = rfc3339(now + handed.days * 86_400_000_000);
    let profile = Profile {
        bearer_token: secret.expose().to_owned(),
        expiration_time: Some(ends.clone()),
        bundle_key: newest_key(seals, secret.expose()),
        ..ready
    };
    profile.write(&handed.out)?;
    if profile.authority.is_none() {
        printer.say("recipient_no_authority", &[]);
    }
    printer.say("token_ends", &[&ends]);
    Ok(())
}

pub(super) async fn grant(opened: &Opened, args: &Granted, printer: &Printer) -> Result<()> {
    let all = shares(&opened.site)?;
    let today = calendar(&opened.site)?.day_and_hour(SystemClock.now());
    let today = today.map_or(0, |(day, _)| day);
    let mut grants = Vec::new();
    for name in &args.shares {
        let share = all.iter().find(|share| share.name == *name);
        let share = share.ok_or_else(|| fail(Kind::Missing, "no_share", &[name]))?;
        let said = |given: &Option<String>, of: &str| given.clone().unwrap_or_else(|| of.to_owned());
        let grant = Grant {
            purpose: said(&args.purpose, &share.file.purpose),
            legal_basis: said(&args.legal_basis, &share.file.legal_basis),
            requester: args.requester.clone(),
            approver: args.approver.clone(),
            until: args.until.clone(),
        };
        grants.push((name.clone(), grant));
    }
    let object = format!("{}: {}", args.name, args.shares.join(" "));
    let mut purposes: Vec<&str> = grants.iter().map(|(_, grant)| grant.purpose.as_str()).collect();
    purposes.dedup();
    let granted = Entry {
        purpose: purposes.join("; "),
        reason: format!(
            "requested by {}, approved by {}, until {}",
            args.requester, args.approver, args.until
        ),
        ..entry("share.grant", &object)
    };
    changed(opened, granted, |all| {
        grants
            .into_iter()
            .try_for_each(|(share, grant)| all.grant(&args.name, &share, grant, today))
    })
    .await?;
    printer.say("recipient_granted", &[&args.name, &args.shares.join(", "), &args.until]);
    for share in all.iter().filter(|share| args.shares.contains(&share.name)) {
        if share.state(today).is_some() {
            printer.say("granted_unpublished", &[&share.name]);
        }
    }
    Ok(())
}

pub(super) async fn revoke(opened: &Opened, args: &Revoke, printer: &Printer) -> Result<()> {
    let object = match &args.share {
        Some(share) => format!("{}: {share}", args.name),
        None => args.name.clone(),
    };
    changed(opened, entry("share.revoke", &object), |all| {
        let recipient = all.get_mut(&args.name)?;
        match &args.share {
            None => recipient.revoked = true,
            Some(share) if recipient.grants.remove(share).is_some() => {}
            Some(share) => return Err(fail(Kind::Missing, "no_grant", &[&args.name, share])),
        }
        Ok(())
    })
    .await?;
    printer.say("recipient_ended", &[&object]);
    Ok(())
}

pub(super) async fn list(opened: &Opened, output: &Output, printer: &Printer) -> Result<()> {
    let all = Recipients::load(&opened.lake).await?;
    let now = SystemClock.now();
    let today = calendar(&opened.site)?.day_and_hour(now).map_or(0, |(day, _)| day);
    // a row for each grant, and one for who has none
    let mut rows: Vec<[String; 8]> = Vec::new();
    let mut days = Vec::new();
    for (name, recipient) in &all.recipients {
        let ends = recipient.tokens.iter().map(|token| token.ends).max().unwrap_or(0);
        let counties = recipient.counties.iter().cloned().collect::<Vec<_>>().join(" ");
        let token = if ends > now { rfc3339(ends) } else { String::new() };
        let left = u64::try_from((ends - now).max(0) / 86_400_000_000).unwrap_or(0);
        let none = (String::new(), None);
        let grants = recipient
            .grants
            .iter()
            .map(|(share, grant)| (share.clone(), Some(grant)));
        let grants: Vec<(String, Option<&Grant>)> = grants.collect();
        let grants = if grants.is_empty() { vec![none] } else { grants };
        for (share, grant) in grants {
            let state = match grant {
                _ if recipient.revoked => "revoked",
                _ if ends <= now => "token ended",
                Some(grant) if !grant.stands(today) => "grant ended",
                Some(_) => "stands",
                None => "no grant",
            };
            let said = |of: fn(&Grant) -> &String| grant.map_or_else(String::new, |grant| of(grant).clone());
            rows.push([
                name.clone(),
                counties.clone(),
                state.to_owned(),
                token.clone(),
                share,
                said(|grant| &grant.until),
                said(|grant| &grant.purpose),
                said(|grant| &grant.approver),
            ]);
            days.push(left);
        }
    }
    let column = |at: usize| texts(rows.iter().map(|row| row[at].clone()).collect());
    let columns = vec![
        ("recipient", column(0)),
        ("counties", column(1)),
        ("state", column(2)),
        ("token_ends", column(3)),
        ("days_left", numbers(days)),
        ("share", column(4)),
        ("until", column(5)),
        ("purpose", column(6)),
        ("approver", column(7)),
    ];
    output.columns(columns, printer)
}
