//! The Markdown of a workbook as HTML and as plain text, with values of results filled in.
//!
//! Markup inside Markdown is shown, not obeyed, and links lead to pages only: a workbook cannot make
//! its page run or fetch anything. A heading `预警 / Warnings` is Chinese with English beneath.

use pulldown_cmark::HeadingLevel;
use pulldown_cmark::{CowStr, Event, Tag, TagEnd, html};

use super::document::Mention;
use crate::message::Language;

/// Gives the words of `{query}` or `{query.column}`; `None` where the braces mean themselves.
pub(super) type Lookup<'a> = dyn Fn(&str, Option<&str>) -> Option<String> + 'a;

/// The values that a text mentions. `at` is the byte of the file where it begins.
pub(super) fn mentions(text: &str, at: usize) -> Vec<Mention> {
    let mut found = Vec::new();
    fill(text, &mut |offset, query, column| {
        found.push(Mention {
            query: query.to_owned(),
            column: column.map(str::to_owned),
            offset: at + offset,
        });
        None
    });
    found
}

/// As [`Lookup`], with the byte of the text where the braces open.
type Found<'a> = dyn FnMut(usize, &str, Option<&str>) -> Option<String> + 'a;

/// Replaces `{query}` and `{query.column}`; other braces stay.
fn fill(text: &str, value: &mut Found) -> String {
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut filled = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        filled.push_str(&text[at..open]);
        let inner = text[open + 1..]
            .find('}')
            .map(|close| &text[open + 1..open + 1 + close]);
        let named = inner.and_then(|inner| {
            let (query, column) = inner
                .split_once('.')
                .map_or((inner, None), |(query, column)| (query, Some(column)));
            (is_name(query) && column.is_none_or(is_name))
                .then(|| value(open, query, column))
                .flatten()
        });
        match (named, inner) {
            (Some(words), Some(inner)) => {
                filled.push_str(&words);
                at = open + inner.len() + 2;
            }
            _ => {
                filled.push('{');
                at = open + 1;
            }
        }
    }
    filled.push_str(&text[at..]);
    filled
}

/// Prose as HTML.
pub(super) fn to_html(events: &[Event<'static>], lookup: &Lookup) -> String {
    let mut out: Vec<Event> = Vec::with_capacity(events.len());
    let mut in_heading = false;
    for (at, event) in events.iter().enumerate() {
        let raw = |text: String| Event::Html(CowStr::from(text));
        let next = match event {
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text.clone()),
            Event::Start(Tag::Heading { level, .. }) => {
                in_heading = true;
                raw(format!("<h{}><span lang=\"zh-CN\">", depth(*level)))
            }
            Event::End(TagEnd::Heading(level)) => {
                in_heading = false;
                raw(format!("</span></h{}>\n", depth(*level)))
            }
            Event::Start(Tag::Paragraph) => match is_chinese(&events[at..]) {
                true => raw("<p lang=\"zh-CN\">".to_owned()),
                false => raw("<p lang=\"en\">".to_owned()),
            },
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => Event::Start(Tag::Link {
                link_type: *link_type,
                dest_url: if leads_to_page(dest_url) {
                    dest_url.clone()
                } else {
                    CowStr::from("#")
                },
                title: title.clone(),
                id: id.clone(),
            }),
            Event::Text(text) => {
                let words = fill(text, &mut |_, query, column| lookup(query, column));
                match words.split_once(" / ").filter(|_| in_heading) {
                    Some((zh, en)) => {
                        out.push(Event::Text(CowStr::from(zh.to_owned())));
                        out.push(raw("</span><span lang=\"en\">".to_owned()));
                        Event::Text(CowStr::from(en.to_owned()))
                    }
                    None => Event::Text(CowStr::from(words)),
                }
            }
            other => other.clone(),
        };
        out.push(next);
    }
    let mut text = String::new();
    html::push_html(&mut text, out.into_iter());
    text
}

/// The paragraphs and headings of one language as plain text.
pub(super) fn to_text(events: &[Event<'static>], lookup: &Lookup, language: Language) -> String {
    let mut text = String::new();
    let mut skip = false;
    let mut in_heading = false;
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(Tag::Paragraph) => skip = is_chinese(&events[at..]) != (language == Language::Chinese),
            Event::End(TagEnd::Paragraph) => {
                text.push_str(if skip { "" } else { "\n\n" });
                skip = false;
            }
            Event::Start(Tag::Heading { level, .. }) => {
                in_heading = true;
                text.push_str(&"#".repeat(depth(*level).into()));
                text.push(' ');
            }
            Event::End(TagEnd::Heading(_)) => {
                in_heading = false;
                text.push_str("\n\n");
            }
            Event::Start(Tag::Item) => text.push_str("- "),
            Event::End(TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead) => text.push('\n'),
            Event::End(TagEnd::TableCell) => text.push_str("  "),
            Event::Code(words) if !skip => text.push_str(words),
            Event::Text(words) | Event::Html(words) | Event::InlineHtml(words) if !skip => {
                let words = fill(words, &mut |_, query, column| lookup(query, column));
                match words.split_once(" / ").filter(|_| in_heading) {
                    Some((zh, en)) => text.push_str(if language == Language::Chinese { zh } else { en }),
                    None => text.push_str(&words),
                }
            }
            Event::SoftBreak | Event::HardBreak if !skip => text.push('\n'),
            _ => {}
        }
    }
    text
}

/// The page's title is the first heading; a workbook's own begin at the second.
fn depth(level: HeadingLevel) -> u8 {
    (level as u8).max(2)
}

fn leads_to_page(url: &str) -> bool {
    ["https://", "http://", "mailto:", "#"]
        .iter()
        .any(|start| url.starts_with(start))
}

/// Whether the paragraph that begins here is Chinese: at least a quarter of its letters are.
fn is_chinese(events: &[Event]) -> bool {
    let (mut wide, mut all) = (0_usize, 0_usize);
    for event in events
        .iter()
        .take_while(|event| !matches!(event, Event::End(TagEnd::Paragraph)))
    {
        let Event::Text(text) = event else { continue };
        for c in fill(text, &mut |_, _, _| Some(String::new()))
            .chars()
            .filter(|c| c.is_alphabetic())
        {
            all += 1;
            wide += usize::from(('\u{2E80}'..='\u{9FFF}').contains(&c));
        }
    }
    wide > 0 && wide * 4 >= all
}
