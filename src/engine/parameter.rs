//! Named values of a SELECT: `$name` in its text, a literal in its plan.
//!
//! They take their place in the parsed statement and never in the text, so that a value cannot become a part of the
//! language; and before the plan is made, so that they may stand where a function wants a literal.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions_mut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text;
use crate::error::{Kind, Problem, Result, fail};

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Parameter {
    /// BOOLEAN.
    Flag(bool),
    /// BIGINT.
    Whole(i64),
    /// DOUBLE.
    Number(f64),
    /// VARCHAR.
    Text(String),
}

/// Values by their names, without the `$`.
pub type Parameters = BTreeMap<String, Parameter>;

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parameter::Flag(flag) => write!(f, "{flag}"),
            Parameter::Whole(whole) => write!(f, "{whole}"),
            // with a point or an exponent, so that it stays a DOUBLE
            Parameter::Number(number) => write!(f, "{number:?}"),
            Parameter::Text(text) => f.write_str(text),
        }
    }
}

impl Parameter {
    fn literal(&self) -> Value {
        match self {
            Parameter::Flag(flag) => Value::Boolean(*flag),
            Parameter::Whole(_) | Parameter::Number(_) => Value::Number(self.to_string(), false),
            Parameter::Text(text) => Value::SingleQuotedString(text.clone()),
        }
    }
}

/// Puts values into a statement in the place of their names.
///
/// # Errors
/// `Input` with the place of every name that has no value.
pub(super) fn bind(path: &str, sql: &str, statement: &mut Statement, parameters: &Parameters) -> Result<()> {
    let Statement::Statement(statement) = statement else {
        return Ok(());
    };
    let mut problems: Vec<Problem> = Vec::new();
    let _walked: ControlFlow<()> = visit_expressions_mut(statement.as_mut(), |expression| {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
        {
            match parameters.get(name.trim_start_matches('$')) {
                Some(parameter) => value.value = parameter.literal(),
                None => {
                    let known = parameters.keys().map(|known| format!("${known}"));
                    problems.push(text::unknown_key(path, sql, name, known));
                }
            }
        }
        ControlFlow::Continue(())
    });
    match problems.is_empty() {
        true => Ok(()),
        false => Err(fail(Kind::Input, "parameters_unknown", &[&path]).with_problems(problems)),
    }
}
