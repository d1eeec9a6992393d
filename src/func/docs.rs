//! The documentation of the functions: what each file of this module opens with, in one list.
//!
//! A file's header is its signatures, a blank line, what it does with units, defaults and what is NULL, and an example
//! that runs. `docs/functions.md` is made of it.

/// The text of a function's file.
const FILES: [&str; 44] = [
    include_str!("bh_fdr.rs"),
    include_str!("burst.rs"),
    include_str!("calendar_baseline.rs"),
    include_str!("capture_curve.rs"),
    include_str!("compass.rs"),
    include_str!("cusum.rs"),
    include_str!("distance_metres.rs"),
    include_str!("ears.rs"),
    include_str!("eb_rate.rs"),
    include_str!("eb_rate_spatial.rs"),
    include_str!("ewma.rs"),
    include_str!("farrington.rs"),
    include_str!("gi_star.rs"),
    include_str!("global_moran.rs"),
    include_str!("h3_boundary.rs"),
    include_str!("h3_cell.rs"),
    include_str!("h3_centre.rs"),
    include_str!("h3_parent.rs"),
    include_str!("h3_ring.rs"),
    include_str!("h3_text.rs"),
    include_str!("heaping.rs"),
    include_str!("hit_rate.rs"),
    include_str!("in_area.rs"),
    include_str!("in_view.rs"),
    include_str!("indicators.rs"),
    include_str!("kde.rs"),
    include_str!("knox.rs"),
    include_str!("local_moran.rs"),
    include_str!("lscp.rs"),
    include_str!("mclp.rs"),
    include_str!("median_absolute_deviation.rs"),
    include_str!("nb_glm_fit.rs"),
    include_str!("nb_glm_predict.rs"),
    include_str!("p_median.rs"),
    include_str!("pai.rs"),
    include_str!("percentile.rs"),
    include_str!("poisson_interval.rs"),
    include_str!("project.rs"),
    include_str!("same_period.rs"),
    include_str!("scan_permutation.rs"),
    include_str!("scan_poisson.rs"),
    include_str!("shift.rs"),
    include_str!("surge_days.rs"),
    include_str!("wilson_interval.rs"),
];

/// What is said of one function, or of some that are told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Their names.
    pub names: Vec<String>,
    /// How they are called.
    pub signatures: Vec<String>,
    /// What they do.
    pub text: String,
    /// An example.
    pub example: String,
}

/// All pages, in the order of their first names.
#[must_use]
pub fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = FILES.iter().map(|file| page(file)).collect();
    pages.sort_by(|a, b| a.names.cmp(&b.names));
    pages
}

fn page(file: &str) -> Page {
    let header = file.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = header.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let text = lines.join("\n");
    let (head, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (said, example) = rest.split_once("```sql\n").unwrap_or((rest, ""));
    let joined = head.replace('\n', " ");
    // signatures stand between backticks, other words between them
    let signatures: Vec<String> = joined.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let names = |signature: &String| -> Vec<String> {
        let name = signature.split('(').next().unwrap_or_default();
        // `f|g(…)` are two that are called alike
        name.split('|').map(str::to_owned).collect()
    };
    let mut all: Vec<String> = signatures.iter().flat_map(names).collect();
    all.dedup();
    Page {
        names: all,
        signatures,
        text: said.trim().to_owned(),
        example: example.trim_end().trim_end_matches("```").trim_end().to_owned(),
    }
}

/// A page as Markdown.
#[must_use]
pub fn markdown(page: &Page) -> String {
    let signatures: Vec<String> = page
        .signatures
        .iter()
        .map(|signature| format!("`{signature}`"))
        .collect();
    format!(
        "## {}\n\n{}\n\n{}\n\n```sql\n{}\n```\n",
        page.names.join(", "),
        signatures.join("\n\n"),
        page.text,
        page.example
    )
}

/// All pages as one Markdown document.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# SQL functions\n\nWhat SQL has besides DataFusion's own functions. Generated: `fenghuo docs functions` prints it, and \
         `fenghuo docs functions NAME` one of them.\nOptions are one struct literal after the arguments; an unknown one is \
         refused. Which numbers they were held against stands in [statistics.md](statistics.md), which also has the frames that \
         series need.\n\nA function that answers with a struct is asked in a subquery and read outside: `SELECT s['z'] FROM (SELECT \
         unnest(gi_star(cell, n)) AS s FROM …) AS t ORDER BY s['z'] DESC NULLS LAST`. CSV holds no structs: select their \
         fields. Functions over series take a BOOLEAN after the count, true for slots that are masked.\n",
    );
    for page in pages() {
        text.push('\n');
        text.push_str(&markdown(&page));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::register;
    use super::*;

    #[test]
    fn every_function_has_a_page_with_an_example_and_no_page_is_of_another() {
        let registered: BTreeSet<String> = register::names().map(str::to_owned).collect();
        let pages = pages();
        let told: Vec<String> = pages.iter().flat_map(|page| page.names.clone()).collect();
        assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), registered);
        assert_eq!(told.len(), registered.len(), "one is told twice");
        for page in pages {
            assert!(
                page.text.len() > 40 && page.example.starts_with("SELECT"),
                "{:?}",
                page.names
            );
            assert!(page.text.ends_with(['.', ')']), "{}", page.text);
        }
    }
}
