//! `fenghuo docs`: the reference, as Markdown.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Subcommand, ValueHint};

use crate::cli::print::Printer;
use crate::config::{Site, text};
use crate::error::Result;
use crate::func::{docs, register};
use crate::model::{Model, Models, Product};

/// Print the reference
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Functions {
        /// Function
        #[arg(value_parser = names(), value_hint = ValueHint::Other)]
        function: Option<String>,
    },
    Products {
        /// Product
        product: Option<String>,
    },
}

/// The names of all functions, which completions offer.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(register::names())
}

pub(super) fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    match &args.what {
        What::Functions { function: None } => printer.data(&docs::document()),
        What::Functions { function: Some(name) } => {
            let page = docs::pages().into_iter().find(|page| page.names.contains(name));
            printer.data(&page.as_ref().map(docs::markdown).unwrap_or_default())
        }
        What::Products { product } => products(&Models::load(&Site::open(site)?)?, product.as_deref(), printer),
    }
}

/// The products of a site: what each asks, needs, leaves out, and who answers for it.
fn products(models: &Models, wanted: Option<&str>, printer: &Printer) -> Result<()> {
    let all = models.ordered.iter();
    let mut all: Vec<(&Model, &Product)> = all.filter_map(|model| Some((model, model.product.as_ref()?))).collect();
    all.sort_by(|(_, a), (_, b)| a.file.product.cmp(&b.file.product));
    let Some(name) = wanted else {
        let pages: Vec<String> = all
            .iter()
            .map(|(model, product)| page(models, model, product, printer))
            .collect();
        return printer.data(&format!(
            "{}\n\n{}",
            printer.words("products_head", &[]),
            pages.join("\n")
        ));
    };
    match all
        .iter()
        .find(|(_, product)| product.name == name || product.file.product == name)
    {
        Some((model, product)) => printer.data(&page(models, model, product, printer)),
        None => {
            let known = all.iter().map(|(_, product)| product.name.as_str());
            Err(text::missing("product_unknown", name, known))
        }
    }
}

fn page(models: &Models, model: &Model, product: &Product, printer: &Printer) -> String {
    let file = &product.file;
    let of = |zh: &str, en: &str| printer.language().pick(zh, en).to_owned();
    let title = of(&file.title_zh, &file.title_en);
    let mut page = format!(
        "## {} {title}\n\n`{}` · `{}`\n\n",
        file.product, file.model, product.source.path
    );
    page.push_str(&format!("{}\n\n", of(&file.question_zh, &file.question_en)));
    let mut line = |key: &'static str, said: &str| {
        page.push_str(&printer.words(key, &[&said]));
        page.push('\n');
    };
    let action = of(&file.action_zh, &file.action_en);
    line("product_acts", &format!("{} · {action}", file.owner.word()));
    let needs = models.behind(model).outside;
    let quoted: Vec<String> = needs.iter().map(|need| format!("`{need}`")).collect();
    line("product_needs", &quoted.join(", "));
    if !file.parameters.is_empty() {
        let values = file
            .parameters
            .iter()
            .map(|(name, value)| format!("`{name}` = {value}"));
        line("product_values", &values.collect::<Vec<_>>().join(", "));
    }
    if let Some((rule, gate)) = file.warning.as_ref().zip(file.gate.as_ref()) {
        line("product_week", &rule.alerts_per_week.to_string());
        line("product_history", &format!("{} / {}", gate.weeks, gate.history_weeks));
    }
    line("product_excluded", &of(&file.card.excluded_zh, &file.card.excluded_en));
    line("product_biases", &of(&file.card.biases_zh, &file.card.biases_en));
    line("product_keeper", &format!("{}, {}", file.card.keeper, file.card.ends));
    page
}
