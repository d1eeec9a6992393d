//! Mends a trap of the engine: after GROUP BY, `unnest` makes many rows of a group, and the engine goes on to
//! believe that the key of the group determines them. It then drops columns behind the key from ORDER BY, and
//! rows come out of order without an error.
//!
//! The engine takes over what its input's columns determine (`Unnest::try_new`) whenever it makes the node anew;
//! so it is forgotten again before each of the rules that draw conclusions from it. What feeds another GROUP BY
//! keeps it: there the engine itself added what it believes to be determined, and takes it away again.

use std::sync::Arc;

use datafusion::common::FunctionalDependencies;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// The rules that leave out what a key determines.
const CONCLUDING: [&str; 2] = ["eliminate_duplicated_expr", "optimize_projections"];

/// The engine's rules, with that in front of the concluding ones.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        if CONCLUDING.contains(&rule.name()) {
            rules.push(Arc::new(Forget));
        }
        rules.push(rule);
    }
    rules
}

/// Forgets what determines unnested rows.
#[derive(Debug)]
struct Forget;

fn believes(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Unnest(unnest) if !unnest.schema.functional_dependencies().is_empty())
}

fn forget(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Aggregate(mut aggregate) = node {
        if !aggregate.input.exists(|node| Ok(believes(node)))? {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let schema = aggregate.schema.as_ref().clone();
        aggregate.schema = Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?);
        return Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)));
    }
    let below = node.map_children(forget)?;
    match below.data {
        LogicalPlan::Unnest(mut unnest) => {
            let schema = unnest.schema.as_ref().clone();
            unnest.schema = Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?);
            Ok(Transformed::yes(LogicalPlan::Unnest(unnest)))
        }
        // what stands above takes over what stands below
        node if below.transformed => node.recompute_schema().map(Transformed::yes),
        node => Ok(Transformed::no(node)),
    }
}

impl OptimizerRule for Forget {
    fn name(&self) -> &str {
        "unnest_forgets_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !plan.exists(|node| Ok(believes(node)))? {
            return Ok(Transformed::no(plan));
        }
        forget(plan)
    }
}
