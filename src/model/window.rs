//! A model on some statistics days: which rows of its inputs are read, and which of its own are kept.
//!
//! The SELECT stays as it is written: the plan is restricted, not the text, so that a model reads the
//! same in every tool and cannot forget its window.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, lit};

use crate::config::site::SiteFile;
use crate::engine::session::Table;
use crate::engine::{Parameters, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::days::{DAY, Span};
use crate::model::header::Window;
use crate::time::calendar;

/// The condition that a row is of these days; `None` for no days.
pub fn condition(spans: &[Span]) -> Option<String> {
    let spans = spans
        .iter()
        .filter_map(|span| Some((calendar::date(span.first)?, calendar::date(span.last)?)));
    let conditions: Vec<String> = spans
        .map(|(first, last)| format!("{DAY} BETWEEN DATE '{first}' AND DATE '{last}'"))
        .collect();
    (!conditions.is_empty()).then(|| conditions.join(" OR "))
}

/// The rows of a SELECT on the tables of a session, of some days where it is built day by day; at most `most`.
///
/// # Errors
/// As the query fails; `Limit` where there are more.
pub async fn rows(
    session: &Session,
    file: &SiteFile,
    parameters: &Parameters,
    (window, span): (Option<&Window>, Span),
    most: usize,
) -> Result<Table> {
    let mut plan = session.plan_with(&file.path, &file.text, parameters).await?;
    if let Some(window) = window {
        plan = restrict(plan, window, Some(span))
            .map_err(|cause| fail(Kind::Bug, "session_failed", &[]).because(cause))?;
    }
    session.stream(&file.path, &file.text, plan).await?.collect(most).await
}

fn within(column: Column, first: i32, last: i32) -> Expr {
    let day = |day: i32| lit(ScalarValue::Date32(Some(day)));
    let column = Expr::Column(column);
    column.clone().gt_eq(day(first)).and(column.lt_eq(day(last)))
}

/// Restricts a model's plan to the rows of `span`, and its inputs to the rows that bear on them; without
/// a span to rows that have a day at all. Inputs that the model follows, and those without a day, are
/// read whole.
///
/// # Errors
/// As the planner fails.
pub fn restrict(
    plan: LogicalPlan,
    window: &Window,
    span: Option<Span>,
) -> std::result::Result<LogicalPlan, DataFusionError> {
    let restricted = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else {
            return Ok(Transformed::no(node));
        };
        let dated = scan.source.schema().field_with_name(DAY).is_ok();
        if !dated || window.follows(&scan.table_name.to_string()).is_some() {
            return Ok(Transformed::no(node));
        }
        let column = Column::new(Some(scan.table_name.clone()), DAY);
        let bears = match span {
            Some(span) => within(
                column,
                span.first.saturating_sub(window.lookback),
                span.last.saturating_add(window.lookahead),
            ),
            None => Expr::Column(column).is_not_null(),
        };
        let filter = Filter::try_new(bears, Arc::new(node))?;
        Ok(Transformed::yes(LogicalPlan::Filter(filter)))
    })?;
    let plan = restricted.data;
    let Some(span) = span else { return Ok(plan) };
    let own = plan.schema().iter().find(|(_, field)| field.name() == DAY);
    let Some(column) = own.map(Column::from) else {
        return Ok(plan);
    };
    let filter = Filter::try_new(within(column, span.first, span.last), Arc::new(plan))?;
    Ok(LogicalPlan::Filter(filter))
}
