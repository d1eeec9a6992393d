//! The SELECT that a source's administrator runs: the allowed columns of a contract and no others.
//!
//! What must not be collected is best never exported. Columns are named as the contract reads them, in
//! its order; the table stands as given, so that a database folds its case as it always does.

use crate::contract::{Contract, Protect};

/// A dialect of SQL: its quotes around names and its way of writing a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlDialect {
    /// PostgreSQL and the databases that speak like it.
    Postgres,
    /// Oracle, DM and the databases that speak like it.
    Oracle,
    /// MySQL and MariaDB.
    Mysql,
}

impl SqlDialect {
    /// The names of the dialects, as the command line has them.
    pub const NAMES: [(&'static str, SqlDialect); 3] = [
        ("postgres", SqlDialect::Postgres),
        ("oracle", SqlDialect::Oracle),
        ("mysql", SqlDialect::Mysql),
    ];

    /// A name in quotes, whatever it contains.
    fn quoted(self, name: &str) -> String {
        let mark = match self {
            SqlDialect::Postgres | SqlDialect::Oracle => '"',
            SqlDialect::Mysql => '`',
        };
        let mut quoted = String::from(mark);
        for c in plain(name).chars() {
            if c == mark {
                quoted.push(mark);
            }
            quoted.push(c);
        }
        quoted.push(mark);
        quoted
    }

    /// The parameter `since`.
    fn since(self) -> &'static str {
        match self {
            SqlDialect::Postgres => ":'since'",
            SqlDialect::Oracle => ":since",
            SqlDialect::Mysql => "@since",
        }
    }

    /// A table with its schema. A part that needs no quotes gets none: quoted, Oracle would no longer
    /// find `cad.alarm` as `CAD.ALARM`.
    fn table(self, table: &str) -> String {
        let is_simple = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#'))
        };
        let part = |part: &str| {
            if is_simple(part) {
                part.to_owned()
            } else {
                self.quoted(part)
            }
        };
        table.split('.').map(part).collect::<Vec<_>>().join(".")
    }
}

/// The SELECT of the allowed columns of `contract` from `table`.
pub fn select(contract: &Contract, table: &str, dialect: SqlDialect) -> String {
    let name = plain(&contract.name);
    let mut lines = vec![
        format!("-- 合约 `{name}` 允许的列，请来源方管理员执行。"),
        format!("-- The columns that contract `{name}` allows, for the administrator of the source."),
    ];
    let is_allowed = |protect: Protect| protect != Protect::Drop;
    let left_out: Vec<String> = contract
        .columns
        .iter()
        .filter(|column| !is_allowed(column.protect))
        .map(|column| plain(&column.from))
        .collect();
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        lines.push(format!("-- 有意不取，请勿添加（涉及个人或无需采集）：{names}"));
        lines.push(format!(
            "-- Left out on purpose, not to be added (about persons, or not needed): {names}"
        ));
    }
    let columns: Vec<String> = contract
        .columns
        .iter()
        .filter(|column| is_allowed(column.protect))
        .map(|column| format!("  {}", dialect.quoted(&column.from)))
        .collect();
    if columns.is_empty() {
        lines.push("-- 没有允许的列。 No column is allowed.".to_owned());
        return lines.join("\n") + "\n";
    }
    lines.push("SELECT".to_owned());
    lines.push(columns.join(",\n"));
    lines.push(format!("FROM {}", dialect.table(table)));
    let event = contract.event_time.as_deref().and_then(|name| contract.column(name));
    if let Some(event) = event.filter(|event| is_allowed(event.protect)) {
        let column = dialect.quoted(&event.from);
        lines.push(format!("-- WHERE {column} >= {}", dialect.since()));
    }
    lines.join("\n") + "\n"
}

/// A name on one line, so that none can end a comment.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::site::SiteFile;
    use crate::contract::contracts;

    fn contract(columns: &str) -> Contract {
        let settings = "from = \"inbox/t.csv\"\ninto = \"source.t\"\ncounty = \"none\"\nevent_time = \"at\"\n";
        let file = SiteFile {
            path: "pipelines/contracts/t.toml".to_owned(),
            text: format!("{settings}[columns]\n{columns}"),
        };
        contracts(&[file], &BTreeMap::new()).expect("a contract").remove(0)
    }

    const COLUMNS: &str = "\
at = { from = \"报警时间\", type = \"timestamp\", protect = \"public\" }
no = { from = 'say \"no\"', protect = \"key\" }
odd = { from = \"a`b\", protect = \"token\" }
phone = { from = \"lxdh\", protect = \"drop\" }
name = { from = \"bjrxm\\n; DROP TABLE x\", protect = \"drop\" }
";

    #[test]
    fn names_are_quoted_in_every_dialect() {
        let contract = contract(COLUMNS);
        let postgres = select(&contract, "cad.alarm", SqlDialect::Postgres);
        assert!(
            postgres.ends_with(
                "SELECT\n  \"报警时间\",\n  \"say \"\"no\"\"\",\n  \"a`b\"\nFROM cad.alarm\n\
                 -- WHERE \"报警时间\" >= :'since'\n"
            ),
            "{postgres}"
        );
        let oracle = select(&contract, "CAD.警情", SqlDialect::Oracle);
        assert!(
            oracle.ends_with("\"a`b\"\nFROM CAD.\"警情\"\n-- WHERE \"报警时间\" >= :since\n"),
            "{oracle}"
        );
        let mysql = select(&contract, "cad.alarm`; DROP TABLE x", SqlDialect::Mysql);
        assert!(
            mysql.ends_with(
                "SELECT\n  `报警时间`,\n  `say \"no\"`,\n  `a``b`\nFROM cad.`alarm``; DROP TABLE x`\n\
                 -- WHERE `报警时间` >= @since\n"
            ),
            "{mysql}"
        );
    }

    #[test]
    fn what_is_left_out_is_named_in_a_comment_and_nowhere_else() {
        let text = select(&contract(COLUMNS), "t", SqlDialect::Postgres);
        let statement: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
        assert!(text.contains("lxdh, bjrxm; DROP TABLE x"));
        assert!(
            statement
                .iter()
                .all(|line| !line.contains("lxdh") && !line.contains("bjrxm"))
        );
    }

    #[test]
    fn a_contract_without_allowed_columns_selects_nothing() {
        let only = contract("at = { protect = \"drop\" }\n");
        assert!(!select(&only, "t", SqlDialect::Mysql).contains("SELECT"));
    }
}
