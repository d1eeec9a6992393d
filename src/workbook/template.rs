//! The page's template, style and script, filled and made safe.
//!
//! All text is escaped by the template; data for the script travel as JSON in which no character
//! can end the script element. What a page holds is decided elsewhere.

use minijinja::{AutoEscape, Environment, State, Value as Filled};
use serde_json::{Map as Object, Value, json};

use super::both;
use crate::error::{Kind, Result, fail};
use crate::message::inert;

const TEMPLATES: [(&str, &str); 3] = [
    ("page.html", include_str!("../../web/page.html")),
    ("table.html", include_str!("../../web/table.html")),
    ("sources.html", include_str!("../../web/sources.html")),
];
const STYLE: &str = include_str!("../../web/page.css");
const SCRIPT: &str = include_str!("../../web/page.js");
const ECHARTS: &str = include_str!("../../web/vendor/echarts.min.js");

/// The page as HTML, from its parts and the data that the script draws.
pub(super) fn render(mut page: Value, mut data: Value) -> Result<String> {
    let failed = |cause: minijinja::Error| fail(Kind::Bug, "page_failed", &[]).because(format!("{cause:#}"));
    page["words"] = template_words();
    data["words"] = script_words();
    clean(&mut page);
    clean(&mut data);
    let environment = environment().map_err(failed)?;
    let context = [
        ("page", filled(&page)),
        ("style", Filled::from_safe_string(STYLE.to_owned())),
        ("script", Filled::from_safe_string(SCRIPT.to_owned())),
        ("echarts", Filled::from_safe_string(ECHARTS.to_owned())),
        ("data", Filled::from_safe_string(embedded(&data))),
    ];
    let template = environment.get_template("page.html").map_err(failed)?;
    template.render(Filled::from_pairs(context)).map_err(failed)
}

/// The templates; `table` and `sources` draw their value with the template of that name.
fn environment() -> std::result::Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    let part = |key: &'static str, name: &'static str| {
        move |state: &State, value: Filled, words: Filled| {
            let context = Filled::from_pairs([(key, value), ("words", words)]);
            state
                .env()
                .get_template(name)?
                .render(context)
                .map(Filled::from_safe_string)
        }
    };
    environment.add_filter("table", part("table", "table.html"));
    environment.add_filter("sources", part("sources", "sources.html"));
    Ok(environment)
}

/// The page's own words: `page_x` of the catalogue under `x`.
fn template_words() -> Value {
    let keys = [
        "page_release",
        "page_made_at",
        "page_run",
        "page_digest",
        "page_synthetic",
        "page_watermark",
        "page_notes",
        "page_boundary",
        "page_off",
        "page_more",
        "page_empty",
        "page_sources",
        "page_rows",
        "page_script",
        "page_truncated",
        "page_missing",
        "page_audience",
        "page_owner",
    ];
    let words: Object<String, Value> = keys
        .into_iter()
        .map(|key| (key.trim_start_matches("page_").to_owned(), json!(both(key, &[]))))
        .collect();
    Value::Object(words)
}

fn script_words() -> Value {
    json!({
        "watermark": both("page_watermark", &[]), "closer": both("page_closer", &[]), "wider": both("page_wider", &[]),
        "whole": both("page_whole", &[]), "none": both("page_none", &[]),
    })
}

/// Makes every text inert; results already are, titles and facts come from elsewhere.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = inert(text),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

/// JSON that is safe inside a script element.
fn embedded(data: &Value) -> String {
    let mut text = String::new();
    for c in data.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", c as u32)),
            other => text.push(other),
        }
    }
    text
}

/// The same value for the template.
fn filled(value: &Value) -> Filled {
    match value {
        Value::Null => Filled::from(()),
        Value::Bool(flag) => Filled::from(*flag),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Filled::from(number.as_f64()), Filled::from),
        Value::String(text) => Filled::from(text.as_str()),
        Value::Array(items) => items.iter().map(filled).collect(),
        Value::Object(fields) => Filled::from_pairs(fields.iter().map(|(key, value)| (key.as_str(), filled(value)))),
    }
}
