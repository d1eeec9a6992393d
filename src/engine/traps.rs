//! Expressions that give another answer on another day or in another order of rows: refused in models, whose
//! rows must be the same from the same inputs.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFrame, WindowFrameBound};

/// A function that must not be used, with the key of the text that says what to do instead.
pub type Trap = (String, &'static str);

/// The traps of a plan, each once.
pub fn traps(plan: &LogicalPlan) -> Vec<Trap> {
    let mut found: Vec<Trap> = Vec::new();
    let mut add = |trap: Option<Trap>| {
        if let Some(trap) = trap.filter(|trap| !found.contains(trap)) {
            found.push(trap);
        }
    };
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                add(trap(part));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    // the walk itself has nothing that fails
    debug_assert!(walked.is_ok(), "a walk without errors");
    found
}

fn trap(expression: &Expr) -> Option<Trap> {
    match expression {
        // now(), random(), uuid(): the clock and chance are no input
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            Some((call.name().to_owned(), "trap_unsteady"))
        }
        Expr::AggregateFunction(AggregateFunction { func, .. }) => approximate(func.name()),
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, params } = call.as_ref();
            let name = fun.name().to_owned();
            // rows that leave the frame are taken out of the sums in floating point: NaN and tiny remainders
            if is_moment(&name) && slides(&params.window_frame) {
                return Some((name, "trap_sliding"));
            }
            approximate(&name)
        }
        _ => None,
    }
}

/// Percentiles of the engine that are estimates, or quantised, or panic on many groups.
fn approximate(name: &str) -> Option<Trap> {
    let estimates = name.starts_with("approx_") || matches!(name, "percentile_cont" | "median");
    estimates.then(|| (name.to_owned(), "trap_percentile"))
}

fn is_moment(name: &str) -> bool {
    ["stddev", "var", "covar", "corr", "regr_"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn slides(frame: &WindowFrame) -> bool {
    !matches!(&frame.start_bound, WindowFrameBound::Preceding(bound) if bound.is_null())
}
