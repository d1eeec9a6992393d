//! `pipelines/<name>.toml`: which contracts to ingest, which models to build, which pages to make.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Site, text};
use crate::contract::Contract;
use crate::error::Result;

/// A pipeline as a person writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// Contracts to ingest; `*` is all of them.
    #[serde(default)]
    pub ingest: Vec<String>,
    /// Models to build: `schema`, `schema.table`, or `*`.
    #[serde(default)]
    pub build: Vec<String>,
    /// Workbooks to render on the release.
    #[serde(default)]
    pub workbooks: Vec<String>,
}

impl Definition {
    /// Reads the pipeline `name` of a site.
    ///
    /// # Errors
    /// `Missing` where there is none, `Input` with the place where it is wrong.
    pub fn load(site: &Site, name: &str) -> Result<Definition> {
        let file = site.file(&format!("pipelines/{name}.toml"))?;
        toml::from_str(&file.text).map_err(|cause| text::toml_error(&file.path, &file.text, &cause))
    }

    /// Whether the pipeline builds a model.
    pub fn builds(&self, model: &str) -> bool {
        let schema = model.split('.').next().unwrap_or_default();
        self.build
            .iter()
            .any(|wanted| wanted == "*" || wanted == model || wanted == schema)
    }

    /// Whether the pipeline ingests a contract; `*` leaves out those that must be named.
    pub fn ingests(&self, contract: &Contract) -> bool {
        self.ingest
            .iter()
            .any(|wanted| *wanted == contract.name || wanted == "*" && !contract.on_request)
    }
}
