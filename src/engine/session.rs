//! A query session over named tables, read-only, with bounded memory.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemoryCatalogProvider, MemorySchemaProvider, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use crate::config::settings::Limits;
use crate::engine::fault::query_error;
use crate::engine::parameter::{self, Parameters};
use crate::engine::unnest;
use crate::error::{Kind, Result, fail};
use crate::func::register::{self, Work};
use crate::stat::stop::Stop;

/// Bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Memory of its operators, bytes.
    pub memory_bytes: usize,
    /// Partitions of a plan.
    pub partitions: usize,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Bounds {
        Bounds {
            memory_bytes: limits.query_memory_mebibytes << 20,
            partitions: limits.target_partitions,
        }
    }
}

/// A query session. It reads; nothing that it is given can write.
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    threads: usize,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

const CATALOG: &str = "fenghuo";
/// The catalog of the release before, which checks may compare with.
pub const LAST: &str = "last";
/// How many of the largest memory users an exhausted pool names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN;

impl Session {
    /// An empty session with the product's functions.
    ///
    /// # Errors
    /// `Unavailable` where the place for spilled data cannot be used.
    pub fn new(bounds: Bounds) -> Result<Session> {
        let failed = |cause: DataFusionError| fail(Kind::Unavailable, "session_failed", &[]).because(cause);
        let mut config = SessionConfig::new()
            .with_target_partitions(bounds.partitions)
            .with_default_catalog_and_schema(CATALOG, "none")
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        // dictionary keys of partition columns can panic inside pushed-down IN lists
        options.optimizer.hash_join_inlist_pushdown_max_size = 0;
        options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
        let pool = TrackConsumersPool::new(FairSpillPool::new(bounds.memory_bytes), CONSUMERS_NAMED);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .build_arc()
            .map_err(failed)?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_optimizer_rules(unnest::rules())
            .build();
        let context = SessionContext::new_with_state(state);
        for function in register::scalars() {
            context.register_udf(function.as_ref().clone());
        }
        for function in register::windows() {
            context.register_udwf(function.as_ref().clone());
        }
        for function in register::aggregates().iter().chain(&register::sets(&Work::default())) {
            context.register_udaf(function.as_ref().clone());
        }
        Ok(Session {
            context,
            threads: bounds.partitions,
        })
    }

    /// The state for opening tables in this session.
    pub fn state(&self) -> Arc<SessionState> {
        Arc::new(self.context.state())
    }

    /// Makes a table visible as `schema.table`.
    ///
    /// # Errors
    /// `Bug` where the catalog refuses it.
    pub fn register(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        self.register_in(CATALOG, name, provider)
    }

    /// Makes a table of the release before visible as `last.schema.table`.
    ///
    /// # Errors
    /// As [`Session::register`].
    pub fn register_last(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        self.register_in(LAST, name, provider)
    }

    /// Makes rows visible as a table.
    ///
    /// # Errors
    /// As [`Session::register`].
    pub fn register_batch(&self, name: &str, batch: RecordBatch) -> Result<()> {
        let failed = |cause: DataFusionError| fail(Kind::Bug, "session_failed", &[]).because(cause);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(failed)?;
        self.register(name, Arc::new(table))
    }

    fn register_in(&self, catalog_name: &str, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let failed = |cause: DataFusionError| fail(Kind::Bug, "session_failed", &[]).because(cause);
        // `catalog.schema.table`, as what was pulled is named, or `schema.table`
        let parts: Vec<&str> = name.split('.').collect();
        let (catalog_name, schema, table) = match parts[..] {
            [schema, table] => (catalog_name, schema, table),
            [catalog, schema, table] => (catalog, schema, table),
            _ => return Err(fail(Kind::Bug, "session_failed", &[])),
        };
        if self.context.catalog(catalog_name).is_none() {
            self.context
                .register_catalog(catalog_name, Arc::new(MemoryCatalogProvider::new()));
        }
        let Some(catalog) = self.context.catalog(catalog_name) else {
            return Err(fail(Kind::Bug, "session_failed", &[]));
        };
        if catalog.schema(schema).is_none() {
            catalog
                .register_schema(schema, Arc::new(MemorySchemaProvider::new()))
                .map_err(failed)?;
        }
        let reference = TableReference::full(catalog_name, schema, table);
        self.context.deregister_table(reference.clone()).map_err(failed)?;
        self.context.register_table(reference, provider).map_err(failed)?;
        Ok(())
    }

    /// The plan of one SELECT without parameters. `path` names the text in messages.
    ///
    /// # Errors
    /// As [`Session::plan_with`].
    pub async fn plan(&self, path: &str, sql: &str) -> Result<LogicalPlan> {
        self.plan_with(path, sql, &Parameters::new()).await
    }

    /// The plan of one SELECT with values in the place of its parameters. `path` names the text in messages.
    ///
    /// # Errors
    /// `Input` with the place for anything but a valid SELECT over visible tables, and for a parameter without a value.
    pub async fn plan_with(&self, path: &str, sql: &str, parameters: &Parameters) -> Result<LogicalPlan> {
        let failed = |cause: DataFusionError| query_error(path, sql, &cause);
        let state = self.context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let mut statement = state.sql_to_statement(sql, &dialect).map_err(failed)?;
        parameter::bind(path, sql, &mut statement, parameters)?;
        let plan = state.statement_to_plan(statement).await.map_err(failed)?;
        read_only().verify_plan(&plan).map_err(failed)?;
        if unnest::groups_again(&plan) {
            return Err(fail(Kind::Input, "unnest_grouped", &[&path]).hint("unnest_grouped_hint", &[]));
        }
        Ok(plan)
    }

    /// Runs a plan.
    ///
    /// # Errors
    /// As the query fails.
    pub async fn stream(&self, path: &str, sql: &str, plan: LogicalPlan) -> Result<Rows> {
        let failed = |cause: DataFusionError| query_error(path, sql, &cause);
        let work = Work {
            stop: Stop::default(),
            threads: self.threads,
        };
        let plan = with_work(plan, &work).map_err(failed)?;
        let frame = self.context.execute_logical_plan(plan).await.map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        let (schema, (send, batches)) = (stream.schema(), tokio::sync::mpsc::channel(1));
        // apart from whoever asks: a long answer must not keep them from hearing that it is to stop
        let task = SpawnedTask::spawn(async move {
            while let Some(batch) = stream.next().await {
                if send.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Ok(Rows {
            path: path.to_owned(),
            sql: sql.to_owned(),
            schema,
            batches,
            task: Some(task),
            stop: work.stop,
        })
    }

    /// Plans and runs one SELECT and collects at most `limit` rows.
    ///
    /// # Errors
    /// As [`Session::plan`]; `Limit` where there are more rows.
    pub async fn query(&self, path: &str, sql: &str, limit: usize) -> Result<Table> {
        let plan = self.plan(path, sql).await?;
        self.stream(path, sql, plan).await?.collect(limit).await
    }
}

fn read_only() -> SQLOptions {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
}

/// A plan whose functions over sets work for one query alone, and stop with it.
fn with_work(plan: LogicalPlan, work: &Work) -> datafusion::error::Result<LogicalPlan> {
    let own: BTreeMap<String, Arc<AggregateUDF>> = register::sets(work)
        .into_iter()
        .map(|function| (function.name().to_owned(), function))
        .collect();
    let call = |call: Expr| match call {
        Expr::AggregateFunction(mut call) => Ok(match own.get(call.func.name()) {
            Some(function) => {
                call.func = function.clone();
                Transformed::yes(Expr::AggregateFunction(call))
            }
            None => Transformed::no(Expr::AggregateFunction(call)),
        }),
        other => Ok(Transformed::no(other)),
    };
    let node = |node: LogicalPlan| node.map_expressions(|expression| expression.transform_up(call));
    plan.transform_up_with_subqueries(node).data()
}

/// A running query; it stops when this is dropped.
pub struct Rows {
    path: String,
    sql: String,
    schema: SchemaRef,
    batches: tokio::sync::mpsc::Receiver<datafusion::error::Result<RecordBatch>>,
    task: Option<SpawnedTask<()>>,
    stop: Stop,
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.stop.now();
    }
}

/// Rows as JSON, a line each.
///
/// # Errors
/// `Bug` for a type that JSON cannot hold.
pub fn json_lines(batches: &[RecordBatch]) -> Result<String> {
    let broken = |cause: arrow::error::ArrowError| fail(Kind::Bug, "output_failed", &[]).because(cause);
    let mut bytes = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut bytes);
    for batch in batches {
        writer.write(batch).map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The result of a query.
#[derive(Debug, Clone)]
pub struct Table {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl Rows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows.
    ///
    /// # Errors
    /// As the query fails.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.batches.recv().await {
            let failed = |cause| query_error(&self.path, &self.sql, &cause);
            return batch.map(Some).map_err(failed);
        }
        // rows that end because their task broke are no whole answer
        if let Some(task) = self.task.take() {
            let broken = |cause| fail(Kind::Bug, "session_failed", &[]).because(cause);
            task.join().await.map_err(broken)?;
        }
        Ok(None)
    }

    /// All rows, at most `limit`.
    ///
    /// # Errors
    /// `Limit` where there are more.
    pub async fn collect(mut self, limit: usize) -> Result<Table> {
        let schema = self.schema();
        let mut batches = Vec::new();
        let mut rows = 0;
        while let Some(batch) = self.next().await? {
            rows += batch.num_rows();
            if rows > limit {
                return Err(fail(Kind::Limit, "query_rows", &[&limit]).hint("query_rows_hint", &[]));
            }
            batches.push(batch);
        }
        Ok(Table { schema, batches })
    }
}

/// The tables that a SELECT names, sorted, without its own CTEs and table functions.
///
/// # Errors
/// `Input` with the place where the text is not one SQL statement, or where it is no SELECT.
pub fn references(path: &str, sql: &str) -> Result<Vec<String>> {
    use datafusion::sql::parser::Statement;
    use datafusion::sql::sqlparser::ast::Statement as Ast;
    let failed = |cause: DataFusionError| query_error(path, sql, &cause);
    let state = SessionStateBuilder::new().with_default_features().build();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(failed)?;
    let is_select = matches!(&statement, Statement::Statement(inner) if matches!(inner.as_ref(), Ast::Query(_)));
    if !is_select {
        return Err(fail(Kind::Input, "model_not_select", &[&path]));
    }
    let found = state.resolve_table_references(&statement).map_err(failed)?;
    let mut names: Vec<String> = found
        .into_iter()
        .map(|reference| reference.to_string())
        // a table function looks like a table to the parser
        .filter(|name| !state.table_functions().contains_key(name))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
