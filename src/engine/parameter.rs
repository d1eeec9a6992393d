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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Bounds, Session};
    use arrow::array::AsArray;

    const BOUNDS: Bounds = Bounds {
        memory_bytes: 64 << 20,
        partitions: 1,
    };

    async fn first(sql: &str, parameters: &Parameters) -> Result<String> {
        let session = Session::new(BOUNDS)?;
        let plan = session.plan_with("t.sql", sql, parameters).await?;
        let rows = session.stream("t.sql", sql, plan).await?.collect(10).await?;
        assert_eq!(rows.rows(), 1, "{sql}");
        let text = arrow::compute::cast(rows.batches[0].column(0), &arrow::datatypes::DataType::Utf8);
        Ok(text.expect("a text").as_string::<i32>().value(0).to_owned())
    }

    #[tokio::test]
    async fn a_value_stays_a_value_whatever_it_says() {
        for text in [
            "it's",
            "x' OR 1 = 1 --",
            "'; DROP TABLE core.alarm; --",
            "$a",
            "\\'",
            "x' UNION ALL SELECT 'y",
            "",
            "中文",
        ] {
            let parameters = Parameters::from([("a".to_owned(), Parameter::Text(text.to_owned()))]);
            assert_eq!(first("SELECT $a AS a", &parameters).await.expect("a row"), text);
        }
    }

    #[tokio::test]
    async fn values_have_their_types_also_where_a_function_wants_a_literal() {
        let parameters = Parameters::from([
            ("whole".to_owned(), Parameter::Whole(-3)),
            ("small".to_owned(), Parameter::Number(1e-7)),
            ("two".to_owned(), Parameter::Number(2.0)),
            ("flag".to_owned(), Parameter::Flag(true)),
            ("band".to_owned(), Parameter::Whole(200)),
        ]);
        let types = "arrow_typeof($whole) || ' ' || arrow_typeof($small) || ' ' || arrow_typeof($two) || ' ' || arrow_typeof($flag)";
        let found = first(&format!("SELECT {types} AS t"), &parameters)
            .await
            .expect("a row");
        assert_eq!(found, "Int64 Float64 Float64 Boolean");
        assert_eq!(first("SELECT $whole AS a", &parameters).await.expect("a row"), "-3");
        let knox = "SELECT unnest(knox(x, y, day, {'space': [0, $band], 'time': [0, 7], 'reps': 9}))['observed'] AS n \
                    FROM (VALUES (0.0, 0.0, 1), (9.0, 0.0, 2)) AS t (x, y, day)";
        assert_eq!(first(knox, &parameters).await.expect("a row"), "1");
    }

    #[tokio::test]
    async fn a_name_without_a_value_is_told_with_its_place_and_the_nearest() {
        let parameters = Parameters::from([("level".to_owned(), Parameter::Number(0.5))]);
        let error = first("SELECT 1\nWHERE 0.1 < $levl", &parameters)
            .await
            .expect_err("no value");
        let told = error.render(crate::message::Language::English);
        assert_eq!(
            (error.kind(), error.problems()[0].place.line),
            (Kind::Input, 2),
            "{told}"
        );
        assert!(told.contains("$level"), "{told}");
    }
}
