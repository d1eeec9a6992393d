//! Workbooks from text to page, over tables in memory.

use std::sync::Arc;

use datafusion::datasource::MemTable;

use super::*;
use crate::engine::session::Bounds;
use crate::error::Error;

/// Names that would act if anything let them.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)> {{ 7*7 }} \u{202E}\u{1b}[31m";

fn file(text: &str) -> SiteFile {
    SiteFile {
        path: "sql/workbooks/trial.md".into(),
        text: text.to_owned(),
    }
}

fn trial(body: &str) -> Result<Workbook> {
    let front = "+++\nid = \"trial\"\ntitle_zh = \"试\"\ntitle_en = \"Trial\"\naudience = \"city\"\n+++\n";
    Workbook::parse(&file(&format!("{front}{body}")))
}

fn places(error: &Error) -> Vec<(usize, usize)> {
    error
        .problems()
        .iter()
        .map(|problem| (problem.place.line, problem.place.column))
        .collect()
}

async fn session(tables: &[(&str, String)]) -> Session {
    let session = Session::new(Bounds {
        memory_bytes: 64 << 20,
        partitions: 1,
    })
    .expect("a session");
    for (name, sql) in tables {
        let table = session.query(name, sql, 100_000).await.expect("a fixture");
        session
            .register(
                name,
                Arc::new(MemTable::try_new(table.schema, vec![table.batches]).expect("a table")),
            )
            .expect("a name");
    }
    session
}

fn facts() -> Facts {
    Facts {
        release: 7,
        made_at: "2026-03-01 02:40 +08:00".into(),
        digest: "9f2c64d1a0b7e35c88d1".into(),
        run_id: "20260301T0210-1".into(),
        site_title: ["烽火演示市".into(), "Fenghuo demo city".into()],
        synthetic: true,
        ..Facts::default()
    }
}

/// Tables with the columns of the standard models: a city of twelve square counties.
fn city() -> Vec<(&'static str, String)> {
    let names = "make_array('砚溪区','鹤桥区','墨泉区','松坪区','云砾区','霜川县','沙棠县','芦汀县','雁岫市','石榆市','青原开发区','北渚新区')[k]";
    let county = format!(
        "SELECT k, CAST(990100 + k AS VARCHAR) AS code, {names} AS name_zh, 'County ' || CAST(k AS VARCHAR) AS name_en,
           90.0 + 0.3 * ((k - 1) % 4) AS x, 40.0 + 0.3 * ((k - 1) / 4) AS y FROM (SELECT unnest(range(1, 13)) AS k)"
    );
    let cells = format!(
        "SELECT row_number() OVER (ORDER BY (j * 37 + k * 11) % 101 DESC, j, k) AS rank,
           h3_cell(x + 0.03 + ((j * 7919 + k * 131) % 97) * 0.0025, y + 0.03 + ((j * 104729 + k * 17) % 89) * 0.0027, 8) AS cell,
           code AS county, code || '001' AS area, name_zh || ' · 青云路东 约200米' AS label_zh,
           name_en || ', about 200 m east of Qingyun Road' AS label_en,
           CAST(5 + (j * 37 + k * 11) % 101 AS BIGINT) AS alarms, CAST(80 + (j * 613) % 2400 AS BIGINT) AS residents
         FROM ({county}) CROSS JOIN (SELECT unnest(range(1, 9)) AS j)"
    );
    vec![
        ("ref.area", format!(
            "SELECT code, 'county' AS kind, code AS county, name_zh, name_en, x + 0.15 AS lon, y + 0.15 AS lat,
               concat('POLYGON ((', x, ' ', y, ', ', x + 0.3, ' ', y + 0.02, ', ', x + 0.3, ' ', y + 0.32, ', ', x, ' ', y + 0.3, ', ', x, ' ', y, '))') AS boundary
             FROM ({county})"
        )),
        ("warning.surge", format!(
            "SELECT code AS county, code || '001' AS area, '0102' AS category,
               '盗窃' AS category_zh, 'theft' AS category_en, arrow_cast(arrow_cast(20513 - d * (1 + k % 3), 'Int32'), 'Date32') AS biz_date,
               CAST(9 + k AS BIGINT) AS observed, 3.21 AS expected, 4.87 AS upper, CAST(15 AS BIGINT) AS weeks_used,
               2.19 AS ratio, make_array('blue', 'yellow', 'orange', 'red')[1 + k % 4] AS grade,
               name_zh || '黄桥街道' AS place_zh, name_en || ', Huangqiao' AS place_en,
               name_zh || '黄桥街道 盗窃 12 起，过去 15 个同星期日均 3.21 起，基线上限 4.87 起' AS reason_zh,
               'Huangqiao: 12 × theft; mean of 15 same weekdays 3.21, upper limit 4.87' AS reason_en
             FROM ({county}) CROSS JOIN (SELECT unnest(range(0, 12)) AS d)"
        )),
        ("risk.hot_cell", format!(
            "SELECT *, h3_text(cell) AS cell_text, 3.21 AS z, make_array('new', 'persistent', 'fading')[1 + CAST(rank AS BIGINT) % 3] AS class, round(10000.0 * alarms / residents, 1) AS rate_per_10000,
               round(9000.0 * alarms / residents, 1) AS rate_lower, round(11200.0 * alarms / residents, 1) AS rate_upper FROM ({cells})"
        )),
        ("risk.camera_gap", format!(
            "SELECT *, h3_text(cell) AS cell_text, alarms / 2 AS alarms_in_view, alarms / 3 AS alarms_seen, alarms - alarms / 3 AS unseen,
               CAST(alarms / 3 AS DOUBLE) / alarms AS seen_share, wilson_interval(alarms / 3, alarms, 0.95)['lower'] AS seen_lower,
               wilson_interval(alarms / 3, alarms, 0.95)['upper'] AS seen_upper, CAST(rank % 5 AS BIGINT) AS cameras FROM ({cells}) WHERE rank % 2 = 0"
        )),
        ("indicator.response", format!(
            "SELECT code AS county, name_zh, name_en, 'urgency' AS reading, CAST(300 AS BIGINT) AS target_seconds, CAST(400 * k AS BIGINT) AS urgent,
               CAST(3000 + 100 * k AS BIGINT) AS valid, CAST(40 * k AS BIGINT) AS excluded, 40.0 * k / (3000 + 140 * k) AS excluded_share,
               CAST(210 + 23 * k AS BIGINT) AS response_seconds_p50, CAST(400 + 31 * k AS BIGINT) AS response_seconds_p80,
               CAST(540 + 45 * k AS BIGINT) AS response_seconds_p90, CAST(330 * k AS BIGINT) AS within_target, 0.91 - 0.03 * k AS compliance,
               0.88 - 0.03 * k AS compliance_lower, 0.94 - 0.03 * k AS compliance_upper, k <> 5 AS is_plausible FROM ({county})"
        )),
        ("mart.feed_day", format!(
            "SELECT 'alarm' AS feed, code AS county, arrow_cast(arrow_cast(20513 - d, 'Int32'), 'Date32') AS biz_date,
               CAST(180 + 9 * k + 40 * ((d + 1) % 7 / 5) + (d * k * 13) % 31 AS BIGINT) AS n
             FROM ({county}) CROSS JOIN (SELECT unnest(range(0, 120)) AS d)"
        )),
        ("mart.feed_gap", "SELECT 'alarm' AS feed, '990103' AS county, DATE '2026-01-04' AS first_day, DATE '2026-01-06' AS last_day, CAST(3 AS BIGINT) AS days".into()),
        ("ops.ingest", format!(
            "SELECT 'alarm_' || code AS contract, 'source.alarm' AS table_name, 'a.csv' AS file, CAST(20500 + k AS BIGINT) AS read,
               CAST(20400 AS BIGINT) AS accepted, CAST(60 AS BIGINT) AS duplicate, CAST(40 + k AS BIGINT) AS rejected, CAST(k AS BIGINT) AS blanked,
               DATE '2025-11-01' AS first_day, DATE '2026-03-01' AS last_day FROM ({county})"
        )),
    ]
}

fn overview() -> Workbook {
    let text = include_str!("../../sql/workbooks/overview.md");
    Workbook::parse(&SiteFile {
        path: "sql/workbooks/overview.md".into(),
        text: text.to_owned(),
    })
    .expect("the standard workbook")
}

#[tokio::test]
async fn the_overview_runs_over_the_standard_tables() {
    let session = session(&city()).await;
    let workbook = overview();
    workbook
        .check(&session, &BTreeMap::new())
        .await
        .expect("every query plans");
    let page = workbook.run(&session, &facts(), 10_000).await.expect("a page");
    let html = page.html().expect("html");
    assert_eq!(html, page.html().expect("html"), "the same results give the same bytes");
    for part in [
        "烽火演示市",
        "合成数据 SYNTHETIC",
        "只评估地点、时间与流程",
        "\"type\":\"FeatureCollection\"",
        "北渚新区",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let text = page.text(Language::English);
    assert!(
        text.contains("## Warnings and their evidence") && text.contains("County 12, Huangqiao"),
        "{text}"
    );
}

#[tokio::test]
async fn a_table_that_is_switched_off_hatches_its_displays_and_fails_nothing() {
    let tables: Vec<_> = city()
        .into_iter()
        .filter(|(name, _)| *name != "risk.camera_gap")
        .collect();
    let session = session(&tables).await;
    let off = BTreeMap::from([("risk.camera_gap".to_owned(), "无视频索引 / no video index".to_owned())]);
    let workbook = overview();
    workbook
        .check(&session, &off)
        .await
        .expect("switched-off tables are not planned");
    let page = workbook
        .run(&session, &Facts { off, ..facts() }, 10_000)
        .await
        .expect("a page");
    let html = page.html().expect("html");
    assert!(
        html.contains("class=\"number off\"") && html.contains("figure class=\"off\"") && html.contains("reason part")
    );
    assert!(html.contains("无视频索引 &#x2f; no video index"));
}

#[tokio::test]
async fn a_site_without_boundaries_or_rows_still_gets_its_page() {
    let strip = |(name, sql): (&'static str, String)| match name {
        "ref.area" => (
            name,
            format!(
                "SELECT code, kind, county, name_zh, name_en, lon, lat, CAST(NULL AS VARCHAR) AS boundary FROM ({sql})"
            ),
        ),
        "risk.camera_gap" | "warning.surge" | "mart.feed_gap" => (name, format!("SELECT * FROM ({sql}) WHERE 1 = 0")),
        _ => (name, sql),
    };
    let tables: Vec<_> = city().into_iter().map(strip).collect();
    let page = overview()
        .run(&session(&tables).await, &facts(), 10_000)
        .await
        .expect("a page");
    let html = page.html().expect("html");
    assert!(html.contains("\"name\":\"frame\"") && html.contains("class=\"empty\""));
}

#[test]
fn only_the_whole_name_of_a_table_switches_a_query_off() {
    let off = BTreeMap::from([("risk.gap".to_owned(), "why".to_owned())]);
    for sql in ["SELECT 1 FROM risk.gap", "SELECT 1 FROM risk.gap AS g", "risk.gap.cell"] {
        assert_eq!(off_reason(sql, &off), Some("why"), "{sql}");
    }
    for sql in ["FROM risk.gap_day", "FROM my_risk.gap", "FROM x.risk.gap", "FROM risk"] {
        assert_eq!(off_reason(sql, &off), None, "{sql}");
    }
}

#[tokio::test]
async fn text_from_data_stays_text_everywhere() {
    let sql = format!("SELECT '{HOSTILE}' AS name, CAST(3 AS BIGINT) AS n, DATE '2026-01-01' AS day");
    let session = session(&[("a.b", sql)]).await;
    let workbook = trial(
        "Value {q.name} <b onclick=x>bold</b> [link](javascript:alert(1))\n\n```sql name=q\nSELECT * FROM a.b\n```\n\n\
         ```display\nkind = \"table\"\ndata = \"q\"\n```\n\n```display\nkind = \"bar\"\ndata = \"q\"\nx = \"name\"\ny = [\"n\"]\n```\n",
    )
    .expect("a workbook");
    let page = workbook.run(&session, &facts(), 10).await.expect("a page");
    let html = page.html().expect("html");
    for acting in [
        "<img src=x",
        "</script><img",
        "<b onclick",
        "javascript:alert",
        "\u{202E}",
        "\u{1b}",
    ] {
        assert!(!html.contains(acting), "{acting:?}");
    }
    assert!(html.contains("\\u003c/script\\u003e\\u003cimg") && html.contains("&lt;&#x2f;script&gt;"));
    assert!(html.contains("{{ 7*7 }}") && !html.contains(">49<"));
    let text = page.text(Language::English);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202E}') && text.contains("onerror"));
}

#[test]
fn every_fault_of_a_file_is_named_with_its_place() {
    let body = "# T\n\n{nothing} {q.n}\n\n```sql name=q\nSELECT 1 AS n\n```\n\n```sql\nSELECT 2\n```\n\n```sql name=q\nSELECT 3\n```\n\n\
                ```display\nkind = \"bar\"\ndata = \"qq\"\nx = \"n\"\ny = \"n\"\nstakced = true\n```\n\n![a](b.png)\n";
    let error = trial(body).expect_err("faults");
    assert_eq!(error.kind(), Kind::Input);
    let keys: Vec<_> = error.problems().iter().map(|problem| problem.message.key()).collect();
    // the front matter takes six lines
    assert_eq!(
        places(&error),
        [(9, 1), (15, 1), (19, 1), (25, 9), (27, 1), (28, 1), (31, 1)],
        "{error}"
    );
    assert!(
        keys.contains(&"workbook_query_unnamed")
            && keys.contains(&"workbook_query_twice")
            && keys.contains(&"workbook_image")
    );
    assert!(error.to_string().contains("stacked"), "a suggestion: {error}");
}

#[test]
fn front_matter_is_required_complete_and_known() {
    assert_eq!(
        Workbook::parse(&file("# no front")).expect_err("none").problems()[0]
            .message
            .key(),
        "workbook_front_missing"
    );
    let error = Workbook::parse(&file(
        "+++\nid = \"x\"\ntitle_zh = \"x\"\ntitle_em = \"x\"\naudience = 3\n+++\n",
    ))
    .expect_err("faults");
    assert_eq!(places(&error), [(1, 1), (4, 1), (5, 1)], "{error}");
    assert!(error.to_string().contains("title_en"));
    let error = Workbook::parse(&file("+++\nid = \"x\"\ntitle_zh = \n+++\n")).expect_err("syntax");
    assert_eq!(places(&error)[0].0, 3, "{error}");
}

#[tokio::test]
async fn a_wrong_query_or_column_is_shown_in_the_workbook() {
    let session = session(&[("a.b", "SELECT 1 AS alarms".to_owned())]).await;
    let wrong =
        trial("text\n\n```sql name=q\nSELECT alarms,\n  alarm_count\nFROM a.b\n```\n").expect("syntax is right");
    let error = wrong.run(&session, &facts(), 10).await.expect_err("no such column");
    assert_eq!((error.kind(), places(&error)), (Kind::Input, vec![(11, 3)]), "{error}");
    let body = "{q.alarm}\n\n```sql name=q\nSELECT alarms FROM a.b\n```\n\n```display\nkind = \"number\"\ndata = \"q\"\nvalue = \"alrms\"\n\
                label_zh = \"x\"\nlabel_en = \"x\"\n```\n";
    let wrong = trial(body).expect("syntax is right");
    for error in [
        wrong.run(&session, &facts(), 10).await.expect_err("run"),
        wrong.check(&session, &BTreeMap::new()).await.expect_err("check"),
    ] {
        assert_eq!(places(&error), [(7, 1), (16, 10)], "{error}");
    }
}

#[tokio::test]
async fn rows_beyond_the_limit_and_no_rows_are_said() {
    let session = session(&[("a.b", "SELECT unnest(range(1, 100)) AS n".to_owned())]).await;
    let body = "```sql name=q\nSELECT n, n AS m FROM a.b\n```\n\n```sql name=none\nSELECT n FROM a.b WHERE n < 0\n```\n\n{q} {none} {none.n}\n\n\
                ```display\nkind = \"table\"\ndata = \"q\"\nrows = 5\n```\n\n```display\nkind = \"line\"\ndata = \"none\"\nx = \"n\"\ny = [\"n\"]\n```\n";
    let page = trial(body)
        .expect("a workbook")
        .run(&session, &facts(), 10)
        .await
        .expect("a page");
    let text = page.text(Language::English);
    assert!(text.contains("10+ 0 —") && text.contains("… 5 "), "{text}");
    let html = page.html().expect("html");
    assert!(html.contains("caution") && html.contains("class=\"empty\"") && !html.contains("id=\"chart-1\""));
}
