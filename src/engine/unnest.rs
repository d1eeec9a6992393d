//! Mends a trap of the engine: after GROUP BY, `unnest` makes many rows of a group, and the engine goes on to
//! believe that the key of the group determines them (`Unnest::try_new` takes over what its input's columns
//! determine). It then drops columns from ORDER BY and GROUP BY, takes rows for distinct that are not, and makes
//! a semi join of a join: other rows, without an error.
//!
//! So it is forgotten before every rule, since rules make the node anew. One case cannot be mended: where
//! unnested rows are grouped by the key of their group again, the planner itself has added columns to the GROUP
//! BY, and nothing tells them from those that were asked for. That is refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{FunctionalDependencies, get_target_functional_dependencies};
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// The engine's rules, each after forgetting.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let forget: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(Forget);
    let rules = Optimizer::new().rules.into_iter();
    rules.flat_map(|rule| [forget.clone(), rule]).collect()
}

/// Whether a plan groups unnested rows by the key of the groups that they come from.
pub(super) fn groups_again(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && aggregate.input.exists(|node| Ok(believes(node)))?
        {
            let names = aggregate.group_expr.iter().map(|group| group.schema_name().to_string());
            let names: Vec<String> = names.collect();
            found |= get_target_functional_dependencies(aggregate.input.schema(), &names).is_some();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // the walk itself has nothing that fails
    debug_assert!(walked.is_ok(), "a walk without errors");
    found
}

/// Forgets what determines unnested rows.
#[derive(Debug)]
struct Forget;

fn believes(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Unnest(unnest) if !unnest.schema.functional_dependencies().is_empty())
}

impl OptimizerRule for Forget {
    fn name(&self) -> &str {
        "unnest_forgets_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut some = false;
        plan.apply_with_subqueries(|node| {
            some |= believes(node);
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !some {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Unnest(mut unnest) => {
                let schema = unnest.schema.as_ref().clone();
                unnest.schema = Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?);
                Ok(Transformed::yes(LogicalPlan::Unnest(unnest)))
            }
            // what stands above takes over what stands below
            other if !other.inputs().is_empty() => other.recompute_schema().map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
    }
}
