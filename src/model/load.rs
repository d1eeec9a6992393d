//! The models of a site, in the order in which they must be built.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::config::Site;
use crate::config::site::SiteFile;
use crate::config::text;
use crate::engine::{Parameters, references};
use crate::error::{Kind, Problem, Result, fail};
use crate::func::register;
use crate::lake::digest::hex;
use crate::message::Message;
use crate::model::boundary;
use crate::model::header::{self, Header, Rule};
use crate::model::product::{self, Product};

/// The schemas that models may fill, in the order of the data's way.
pub const SCHEMAS: [&str; 6] = ["core", "ref", "mart", "warning", "risk", "indicator"];

/// One model.
#[derive(Debug, Clone)]
pub struct Model {
    /// `schema.table`.
    pub name: String,
    /// Its file.
    pub file: SiteFile,
    /// What it says about itself.
    pub header: Header,
    /// Tables it reads.
    pub inputs: Vec<String>,
    /// What its rule file says of it, where it has one.
    pub product: Option<Product>,
}

/// All models of a site, in build order, and the checks over several tables.
#[derive(Debug, Clone)]
pub struct Models {
    /// Every model after all that it reads.
    pub ordered: Vec<Model>,
    /// `sql/check/*.sql`: SELECTs that must return no rows.
    pub checks: Vec<CheckFile>,
}

/// A SELECT over several tables that must return no rows.
#[derive(Debug, Clone)]
pub struct CheckFile {
    /// Its file.
    pub file: SiteFile,
    /// How bad a failure is.
    pub rule: Rule<()>,
    /// The tables it reads.
    pub inputs: Vec<String>,
}

/// What a model is made of: the models on the way to it, and the tables that no model fills.
#[derive(Debug, Default)]
pub struct Behind<'m> {
    /// The models, each once.
    pub models: Vec<&'m Model>,
    /// The tables.
    pub outside: BTreeSet<&'m str>,
}

impl Model {
    /// The values of its parameters: those of the site, and those of its rule file.
    pub fn parameters(&self, site: &Parameters) -> Parameters {
        let own = self.product.iter().flat_map(|product| &product.file.parameters);
        let all = site.iter().chain(own);
        all.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The functions of the product that its SELECT calls, each as `name=version`.
    pub fn functions(&self) -> Vec<&'static str> {
        let text = self.file.text.to_ascii_lowercase();
        let called = |entry: &&str| entry.split('=').next().is_some_and(|name| text.contains(name));
        register::VERSION.split(' ').filter(called).collect()
    }

    /// What the rows depend on besides the inputs: text without comments and spacing, parameters,
    /// and the versions of the SQL functions.
    pub fn fingerprint(&self, parameters: &Parameters) -> String {
        let mut hash = Sha256::new();
        for line in self.file.text.lines().filter(|line| {
            // words of the header bear on what is checked; other comments bear on nothing
            let line = line.trim_start();
            !line.starts_with("--") || line.trim_start_matches('-').trim_start().starts_with('@')
        }) {
            for word in line.split_whitespace() {
                hash.update(word);
                hash.update(" ");
            }
        }
        // a new function, or a new version of one that is not called, rebuilds nothing
        self.functions().iter().for_each(|entry| hash.update(entry));
        for (name, value) in self
            .parameters(parameters)
            .iter()
            .filter(|(name, _)| self.file.text.contains(&format!("${name}")))
        {
            hash.update(format!("{name}={value};"));
        }
        hex(&hash.finalize())[..32].to_owned()
    }
}

impl Models {
    /// Loads and orders the models of a site.
    ///
    /// # Errors
    /// `Input` with every problem of every file: grammar, unknown tables, cycles, the boundary.
    pub fn load(site: &Site) -> Result<Models> {
        let mut problems = Vec::new();
        let mut models = BTreeMap::new();
        for schema in SCHEMAS {
            for file in site.files(&format!("sql/{schema}"), ".sql")? {
                let name = format!("{schema}.{}", file.stem());
                let header = header::parse(&file, &mut problems);
                match references(&file.path, &file.text) {
                    Ok(inputs) => {
                        models.insert(
                            name.clone(),
                            Model {
                                name,
                                file,
                                header,
                                inputs,
                                product: None,
                            },
                        );
                    }
                    Err(error) if error.problems().is_empty() => return Err(error),
                    Err(error) => problems.extend(error.problems().iter().cloned()),
                }
            }
        }
        for product in product::products(site, &mut problems)? {
            let SiteFile { path, text, .. } = &product.source;
            match models.get_mut(&product.file.model) {
                Some(model) => model.product = Some(product),
                None => problems.push(text::unknown_key(path, text, &product.file.model, models.keys())),
            }
        }
        for model in models.values() {
            problems.extend(unknown_inputs(model, &models));
            problems.extend(followed(model));
        }
        let ordered = order(&models, &mut problems);
        boundary::spatial(&models, &mut problems);
        let mut checks = Vec::new();
        for file in site.files("sql/check", ".sql")? {
            let inputs = references(&file.path, &file.text)?;
            let rule = header::of_file(&file, &mut problems);
            checks.push(CheckFile { file, rule, inputs });
        }
        if problems.is_empty() {
            Ok(Models { ordered, checks })
        } else {
            Err(fail(Kind::Input, "models_invalid", &[]).with_problems(problems))
        }
    }

    /// All that a model is made of.
    pub fn behind<'m>(&'m self, model: &'m Model) -> Behind<'m> {
        let mut behind = Behind::default();
        let mut pending: Vec<&String> = model.inputs.iter().collect();
        while let Some(name) = pending.pop() {
            match self.get(name) {
                Some(inner) if !behind.models.iter().any(|known| known.name == inner.name) => {
                    behind.models.push(inner);
                    pending.extend(&inner.inputs);
                }
                Some(_) => {}
                None => drop(behind.outside.insert(name)),
            }
        }
        behind
    }

    /// The model of a name.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.ordered.iter().find(|model| model.name == name)
    }
}

/// Tables that a model follows and does not read.
fn followed(model: &Model) -> Vec<Problem> {
    let (file, window) = (&model.file, model.header.window.iter());
    let named = window.flat_map(|window| &window.follows).map(|(input, _)| input);
    named
        .filter(|input| !model.inputs.contains(input))
        .map(|input| text::unknown_key(&file.path, &file.text, input, model.inputs.iter()))
        .collect()
}

/// Names without a schema, and names that nothing fills.
fn unknown_inputs(model: &Model, models: &BTreeMap<String, Model>) -> Vec<Problem> {
    let file = &model.file;
    let mut problems = Vec::new();
    for input in &model.inputs {
        let open = ["source.", "ops.", "shared."]
            .iter()
            .any(|schema| input.starts_with(schema));
        let known = open || models.contains_key(input);
        if *input == model.name {
            let message = Message::new("model_reads_itself", &[input]);
            problems.push(text::problem_at_word(&file.path, &file.text, input, message));
        } else if !input.contains('.') {
            let message = Message::new("model_unqualified", &[input]);
            problems.push(text::problem_at_word(&file.path, &file.text, input, message));
        } else if !known {
            problems.push(text::unknown_key(&file.path, &file.text, input, models.keys()));
        }
    }
    problems
}

/// Every model after its inputs; a cycle is named whole.
fn order(models: &BTreeMap<String, Model>, problems: &mut Vec<Problem>) -> Vec<Model> {
    let mut ordered = Vec::new();
    let mut done = BTreeSet::new();
    let mut pending: BTreeSet<&String> = models.keys().collect();
    while !pending.is_empty() {
        let ready: Vec<&String> = pending
            .iter()
            .copied()
            .filter(|name| {
                models[*name]
                    .inputs
                    .iter()
                    .all(|input| *input == **name || done.contains(input) || !models.contains_key(input))
            })
            .collect();
        if ready.is_empty() {
            let cycle = cycle(models, &pending);
            if let Some(model) = cycle.first().and_then(|name| models.get(*name)) {
                let shown = cycle.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" → ");
                let word = cycle.get(1).map_or(model.name.as_str(), |name| name.as_str());
                let message = Message::new("model_cycle", &[&shown]);
                problems.push(text::problem_at_word(&model.file.path, &model.file.text, word, message));
            }
            return ordered;
        }
        for name in ready {
            pending.remove(name);
            done.insert(name.clone());
            ordered.push(models[name].clone());
        }
    }
    ordered
}

/// One cycle among models that wait for each other, ending where it began.
fn cycle<'m>(models: &'m BTreeMap<String, Model>, pending: &BTreeSet<&'m String>) -> Vec<&'m String> {
    let Some(start) = pending.iter().next().copied() else {
        return Vec::new();
    };
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let Some(next) = models[last].inputs.iter().find_map(|input| pending.get(input).copied()) else {
            return path;
        };
        if let Some(at) = path.iter().position(|name| *name == next) {
            let mut cycle = path.split_off(at);
            cycle.push(next);
            return cycle;
        }
        path.push(next);
    }
}
