//! `tests/slt/*.slt`: every function in SQL, alone, in groups, in windows and after UNION ALL, the same whatever the
//! partitions. `FENGHUO_FILL_SLT=1` writes what is found in place of what is expected, to be read before it is kept.

use std::path::{Path, PathBuf};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use fenghuo::engine::{Bounds, Session};
use fenghuo::message::Language;
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer, default_validator,
};

struct Desk(Session);

fn desk(partitions: usize) -> Desk {
    let session = Session::new(Bounds {
        memory_bytes: 1 << 30,
        partitions,
    });
    Desk(session.expect("a session"))
}

#[async_trait]
impl AsyncDB for Desk {
    type Error = std::io::Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, std::io::Error> {
        let told = |error: fenghuo::Error| std::io::Error::other(error.render(Language::English));
        let found = self.0.query("slt", sql, 10_000).await.map_err(told)?;
        let mut rows = Vec::new();
        let options = FormatOptions::new().with_null("NULL");
        for batch in &found.batches {
            let columns = batch.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("a column"))
                .collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                let cells = columns.iter().map(|column| column.value(row).to_string());
                cells.collect::<Vec<_>>()
            }));
        }
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Text; found.schema.fields().len()],
            rows,
        })
    }

    async fn shutdown(&mut self) {}
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[test]
fn functions_answer_as_written_whatever_the_partitions() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for file in files() {
            if std::env::var("FENGHUO_FILL_SLT").is_ok() {
                let mut runner = Runner::new(|| async { Ok(desk(2)) });
                let filled = runner.update_test_file(
                    &file,
                    " ",
                    default_validator,
                    default_normalizer,
                    default_column_validator,
                );
                filled.await.expect("a filled file");
            }
            for partitions in [1, 2, 7] {
                let mut runner = Runner::new(|| async move { Ok(desk(partitions)) });
                let outcome = runner.run_file_async(&file).await;
                outcome.unwrap_or_else(|error| panic!("{} on {partitions}: {error}", file.display()));
            }
        }
    });
}

#[test]
fn every_function_is_called_by_some_file() {
    let all: String = files()
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a file"))
        .collect();
    for name in fenghuo::func::register::names() {
        assert!(all.contains(&format!("{name}(")), "no file calls {name}");
    }
}
