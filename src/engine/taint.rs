//! The taint walk: where protected columns go in a query, and where they must not.
//!
//! An expression over a token is a token. Tokens of people may not be grouped, partitioned, joined,
//! counted apart, compared with lists, sorted by, or put out, in any nesting of sub-queries. Tokens
//! of public places may, in models that say so. The walk sees the logical plan before the optimizer,
//! so that nothing has been folded away.

use std::collections::{BTreeMap, HashMap};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, Operator, expr::WindowFunction};

/// What a column holds, ordered by how much care it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Token of a public place.
    Place,
    /// Token of anything of a person.
    Token,
}

/// The protected columns of each table: `schema.table` → column → class.
#[derive(Debug, Clone, Default)]
pub struct Classes(pub BTreeMap<String, BTreeMap<String, Class>>);

/// A protected column where it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The expression.
    pub expression: String,
    /// The place in the query: `GROUP BY`, `JOIN`, ….
    pub door: &'static str,
    /// What it holds.
    pub class: Class,
}

/// What the walk found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Uses that are refused.
    pub violations: Vec<Violation>,
    /// Protected columns of the output.
    pub output: BTreeMap<String, Class>,
}

/// Walks a plan.
pub fn walk(plan: &LogicalPlan, classes: &Classes) -> Findings {
    let mut walker = Walker {
        classes,
        violations: Vec::new(),
        outer: Vec::new(),
    };
    let tainted = walker.node(plan);
    let mut output = BTreeMap::new();
    for (at, class) in &tainted {
        let name = plan.schema().field(*at).name().clone();
        walker.violations.push(Violation {
            expression: name.clone(),
            door: "OUTPUT",
            class: *class,
        });
        output.insert(name, *class);
    }
    Findings {
        violations: walker.violations,
        output,
    }
}

/// Tainted columns of a node's output, by position.
type Tainted = HashMap<usize, Class>;

struct Walker<'a> {
    classes: &'a Classes,
    violations: Vec<Violation>,
    /// Columns of the queries around the present one, innermost last.
    outer: Vec<Vec<(DFSchema, Tainted)>>,
}

impl Walker<'_> {
    fn node(&mut self, plan: &LogicalPlan) -> Tainted {
        if let LogicalPlan::TableScan(scan) = plan {
            return self.scan(&scan.table_name.to_string(), plan.schema());
        }
        let mut inputs: Vec<(&DFSchema, Tainted)> = Vec::new();
        for input in plan.inputs() {
            // the right side of a lateral join may refer to the left one
            let tainted = self.inside(&inputs, |walker| walker.node(input));
            inputs.push((input.schema().as_ref(), tainted));
        }
        self.doors(plan, &inputs);
        self.output(plan, &inputs)
    }

    /// Walks something that sees the columns of `around` as its outer ones.
    fn inside<T>(&mut self, around: &[(&DFSchema, Tainted)], walk: impl FnOnce(&mut Self) -> T) -> T {
        self.outer.push(
            around
                .iter()
                .map(|(schema, tainted)| ((*schema).clone(), tainted.clone()))
                .collect(),
        );
        let found = walk(self);
        self.outer.pop();
        found
    }

    /// The class of a column of a query around the present one, the innermost first.
    fn outer_class(&self, column: &Column) -> Option<Class> {
        self.outer.iter().rev().find_map(|level| {
            level.iter().find_map(|(schema, tainted)| {
                let at = schema.maybe_index_of_column(column)?;
                tainted.get(&at).copied()
            })
        })
    }

    fn scan(&self, table: &str, schema: &DFSchema) -> Tainted {
        let name = table
            .rsplit('.')
            .take(2)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(".");
        let Some(known) = self.classes.0.get(&name) else {
            return Tainted::new();
        };
        schema
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(at, field)| Some((at, *known.get(field.name())?)))
            .collect()
    }

    /// The class of an expression: the highest class of any column inside it, sub-queries included.
    fn expression(&mut self, expression: &Expr, inputs: &[(&DFSchema, Tainted)]) -> Option<Class> {
        let mut highest = None;
        let mut raise = |class: Option<Class>| highest = highest.max(class);
        let mut subqueries = Vec::new();
        let _ = expression.apply(|part| {
            match part {
                Expr::Column(column) => raise(class_of(column, inputs)),
                Expr::ScalarSubquery(query) => subqueries.push(query.subquery.clone()),
                Expr::InSubquery(query) => subqueries.push(query.subquery.subquery.clone()),
                Expr::Exists(query) => subqueries.push(query.subquery.subquery.clone()),
                Expr::SetComparison(query) => subqueries.push(query.subquery.subquery.clone()),
                Expr::OuterReferenceColumn(_, column) => raise(self.outer_class(column)),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for query in subqueries {
            let class = self.inside(inputs, |walker| walker.node(&query).into_values().max());
            highest = highest.max(class);
        }
        highest
    }

    fn refuse(&mut self, door: &'static str, expression: &Expr, inputs: &[(&DFSchema, Tainted)]) {
        if let Some(class) = self.expression(expression, inputs) {
            let violation = Violation {
                expression: expression.to_string(),
                door,
                class,
            };
            if !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        }
    }

    /// Checks the places of this node where a protected column must not be.
    fn doors(&mut self, plan: &LogicalPlan, inputs: &[(&DFSchema, Tainted)]) {
        match plan {
            LogicalPlan::Aggregate(aggregate) => {
                aggregate
                    .group_expr
                    .iter()
                    .for_each(|expr| self.refuse("GROUP BY", expr, inputs));
            }
            LogicalPlan::Window(window) => {
                for expr in &window.window_expr {
                    if let Expr::WindowFunction(function) = expr.clone().unalias() {
                        self.window(&function, inputs);
                    }
                }
            }
            LogicalPlan::Sort(sort) => sort
                .expr
                .iter()
                .for_each(|key| self.refuse("ORDER BY", &key.expr, inputs)),
            LogicalPlan::Join(join) => {
                join.on
                    .iter()
                    .flat_map(|(left, right)| [left, right])
                    .for_each(|expr| self.refuse("JOIN", expr, inputs));
                join.filter.iter().for_each(|expr| self.refuse("JOIN", expr, inputs));
            }
            LogicalPlan::Filter(filter) => self.predicate(&filter.predicate, inputs),
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                distinct
                    .on_expr
                    .iter()
                    .for_each(|expr| self.refuse("DISTINCT", expr, inputs));
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                for (at, class) in inputs.first().map(|(_, tainted)| tainted.clone()).unwrap_or_default() {
                    let expression = input.schema().field(at).name().clone();
                    self.violations.push(Violation {
                        expression,
                        door: "DISTINCT",
                        class,
                    });
                }
            }
            _ => {}
        }
        let mut compared = Vec::new();
        let _ = plan.apply_expressions(|expression| {
            let _ = expression.apply(|part| {
                match part {
                    Expr::InList(list) => compared.push(("IN", (*list.expr).clone(), None)),
                    Expr::InSubquery(query) => {
                        compared.push(("IN", (*query.expr).clone(), Some(query.subquery.subquery.clone())))
                    }
                    Expr::SetComparison(query) => {
                        compared.push(("IN", (*query.expr).clone(), Some(query.subquery.subquery.clone())));
                    }
                    Expr::Exists(query) => {
                        compared.push(("IN", Expr::default(), Some(query.subquery.subquery.clone())))
                    }
                    Expr::AggregateFunction(function) if function.params.distinct => {
                        compared.extend(function.params.args.iter().map(|expr| ("DISTINCT", expr.clone(), None)));
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            });
            Ok(TreeNodeRecursion::Continue)
        });
        for (door, expression, query) in compared {
            self.refuse(door, &expression, inputs);
            // the doors inside a sub-query are its own; what it puts out is compared here
            if let Some(class) =
                query.and_then(|query| self.inside(inputs, |walker| walker.node(&query).into_values().max()))
            {
                self.violations.push(Violation {
                    expression: expression.to_string(),
                    door,
                    class,
                });
            }
        }
    }

    /// A condition may ask whether a protected column is known, and nothing else: an equality would be
    /// a join, a comparison would read the value out by halves.
    fn predicate(&mut self, condition: &Expr, inputs: &[(&DFSchema, Tainted)]) {
        match condition {
            Expr::IsNull(inner) | Expr::IsNotNull(inner) if matches!(inner.as_ref(), Expr::Column(_)) => {}
            Expr::Not(inner) => self.predicate(inner, inputs),
            Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or) => {
                self.predicate(&binary.left, inputs);
                self.predicate(&binary.right, inputs);
            }
            other => self.refuse("WHERE", other, inputs),
        }
    }

    fn window(&mut self, function: &WindowFunction, inputs: &[(&DFSchema, Tainted)]) {
        function
            .params
            .partition_by
            .iter()
            .for_each(|expr| self.refuse("PARTITION BY", expr, inputs));
        function
            .params
            .order_by
            .iter()
            .for_each(|key| self.refuse("ORDER BY", &key.expr, inputs));
    }

    /// The tainted columns that this node hands on.
    fn output(&mut self, plan: &LogicalPlan, inputs: &[(&DFSchema, Tainted)]) -> Tainted {
        let by_expression = |walker: &mut Self, expressions: &[Expr]| -> Tainted {
            let classes = expressions
                .iter()
                .map(|expr| walker.expression(expr, inputs))
                .collect::<Vec<_>>();
            classes
                .into_iter()
                .enumerate()
                .filter_map(|(at, class)| Some((at, class?)))
                .collect()
        };
        match plan {
            LogicalPlan::Projection(projection) => by_expression(self, &projection.expr),
            LogicalPlan::Aggregate(aggregate) => {
                let all: Vec<Expr> = aggregate
                    .group_expr
                    .iter()
                    .chain(&aggregate.aggr_expr)
                    .cloned()
                    .collect();
                // grouping sets change the positions; then every output column is suspect
                if all.len() == plan.schema().fields().len() {
                    by_expression(self, &all)
                } else {
                    everything(self, plan, &all, inputs)
                }
            }
            LogicalPlan::Window(window) => {
                let first = inputs
                    .first()
                    .map(|(schema, _)| schema.fields().len())
                    .unwrap_or_default();
                let mut tainted = inputs.first().map(|(_, tainted)| tainted.clone()).unwrap_or_default();
                let added = by_expression(self, &window.window_expr);
                tainted.extend(added.into_iter().map(|(at, class)| (first + at, class)));
                tainted
            }
            LogicalPlan::Join(join) => match (join.join_type, inputs) {
                (JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark, [left, _]) => left.1.clone(),
                (JoinType::RightSemi | JoinType::RightAnti, [_, right]) => right.1.clone(),
                (JoinType::RightMark, _) => everything(self, plan, &[], inputs),
                _ => {
                    let mut tainted = Tainted::new();
                    let mut first = 0;
                    for (schema, columns) in inputs {
                        tainted.extend(columns.iter().map(|(at, class)| (first + at, *class)));
                        first += schema.fields().len();
                    }
                    tainted
                }
            },
            LogicalPlan::Union(_) => {
                let mut tainted = Tainted::new();
                for (at, class) in inputs.iter().flat_map(|(_, columns)| columns) {
                    let known = tainted.entry(*at).or_insert(*class);
                    *known = (*known).max(*class);
                }
                tainted
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => {
                inputs.first().map(|(_, tainted)| tainted.clone()).unwrap_or_default()
            }
            // a node that the walk does not know hands on the worst of its inputs, everywhere
            other => everything(self, other, &other.expressions(), inputs),
        }
    }
}

fn everything(
    walker: &mut Walker<'_>,
    plan: &LogicalPlan,
    expressions: &[Expr],
    inputs: &[(&DFSchema, Tainted)],
) -> Tainted {
    let from_inputs = inputs.iter().flat_map(|(_, tainted)| tainted.values().copied()).max();
    let from_expressions = expressions
        .iter()
        .filter_map(|expr| walker.expression(expr, inputs))
        .max();
    match from_inputs.max(from_expressions) {
        Some(class) => (0..plan.schema().fields().len()).map(|at| (at, class)).collect(),
        None => Tainted::new(),
    }
}

fn class_of(column: &Column, inputs: &[(&DFSchema, Tainted)]) -> Option<Class> {
    inputs.iter().find_map(|(schema, tainted)| {
        let at = schema.maybe_index_of_column(column)?;
        tainted.get(&at).copied()
    })
}
