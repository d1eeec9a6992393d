//! From which columns of which tables each column of a query comes, told by its logical plan.
//!
//! A column comes from every column that its value is computed from. What only decides which rows there are
//! (a filter, a join key, an order) is no origin of a value.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};

/// A table and one of its columns; an empty column stands for its rows, which a count comes from.
pub type Origin = (String, String);

/// The origins of each column of a plan, in its order, with its name.
pub fn origins(plan: &LogicalPlan) -> Vec<(String, BTreeSet<Origin>)> {
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    names.zip(of(plan)).collect()
}

fn of(plan: &LogicalPlan) -> Vec<BTreeSet<Origin>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.table_name.to_string();
            let fields = plan.schema().fields().iter();
            fields
                .map(|field| BTreeSet::from([(table.clone(), field.name().clone())]))
                .collect()
        }
        LogicalPlan::Projection(node) => computed(node.expr.iter(), &node.input),
        LogicalPlan::Aggregate(node) => computed(node.group_expr.iter().chain(&node.aggr_expr), &node.input),
        LogicalPlan::Window(node) => {
            let mut all = of(&node.input);
            all.extend(computed(node.window_expr.iter(), &node.input));
            all
        }
        LogicalPlan::Join(node) => match node.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => of(&node.left),
            JoinType::RightSemi | JoinType::RightAnti => of(&node.right),
            _ => of(&node.left).into_iter().chain(of(&node.right)).collect(),
        },
        LogicalPlan::Union(node) => {
            let mut all: Vec<BTreeSet<Origin>> = Vec::new();
            for input in &node.inputs {
                for (at, found) in of(input).into_iter().enumerate() {
                    match all.get_mut(at) {
                        Some(known) => known.extend(found),
                        None => all.push(found),
                    }
                }
            }
            all
        }
        _ => passed(plan),
    }
    .into_iter()
    .chain(std::iter::repeat_with(BTreeSet::new))
    .take(plan.schema().fields().len())
    .collect()
}

/// Of a node that hands on what it gets: column for column where there are as many, else by name.
fn passed(plan: &LogicalPlan) -> Vec<BTreeSet<Origin>> {
    let inputs: Vec<(Vec<BTreeSet<Origin>>, &DFSchema)> = plan
        .inputs()
        .into_iter()
        .map(|input| (of(input), input.schema().as_ref()))
        .collect();
    let fields = plan.schema().fields();
    if let [(only, _)] = inputs.as_slice()
        && only.len() == fields.len()
    {
        return only.clone();
    }
    let named = |name: &String| {
        let columns = inputs
            .iter()
            .flat_map(|(found, schema)| found.iter().zip(schema.fields().iter()));
        let same = columns
            .filter(|(_, field)| field.name() == name)
            .map(|(found, _)| found);
        same.flatten().cloned().collect::<BTreeSet<Origin>>()
    };
    let all = || inputs.iter().flat_map(|(found, _)| found).flatten().cloned().collect();
    let of = |name: &String| Some(named(name)).filter(|found| !found.is_empty()).unwrap_or_else(all);
    fields.iter().map(|field| of(field.name())).collect()
}

/// Of columns that are computed from those of an input.
fn computed<'e>(expressions: impl Iterator<Item = &'e Expr>, input: &LogicalPlan) -> Vec<BTreeSet<Origin>> {
    let found = of(input);
    expressions
        .map(|expression| {
            let all = of_expression(expression, &found, input.schema());
            if all.is_empty() && gathers(expression) {
                return tables(input);
            }
            all
        })
        .collect()
}

/// Whether a value is gathered from rows, as a count is.
fn gathers(expression: &Expr) -> bool {
    let gathering = |part: &Expr| Ok(matches!(part, Expr::AggregateFunction(_) | Expr::WindowFunction(_)));
    expression.exists(gathering).unwrap_or(false)
}

/// The tables whose rows a plan gathers.
fn tables(plan: &LogicalPlan) -> BTreeSet<Origin> {
    let mut all = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            all.insert((scan.table_name.to_string(), String::new()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // the walk itself has nothing that fails
    debug_assert!(walked.is_ok(), "a walk without errors");
    all
}

fn of_expression(expression: &Expr, input: &[BTreeSet<Origin>], schema: &DFSchema) -> BTreeSet<Origin> {
    let mut all = BTreeSet::new();
    let column = |column: &Column| schema.maybe_index_of_column(column).and_then(|at| input.get(at));
    let walked = expression.apply(|part| {
        match part {
            Expr::Column(name) => all.extend(column(name).into_iter().flatten().cloned()),
            Expr::ScalarSubquery(query) => all.extend(of(&query.subquery).into_iter().flatten()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // the walk itself has nothing that fails
    debug_assert!(walked.is_ok(), "a walk without errors");
    all
}
