#!/usr/bin/env python3
"""Five queries on the demo's own Parquet, Fenghuo against DuckDB: equal answers first, then time.

    benches/versus/run.py target/release/fenghuo demo [runs]

Fenghuo is timed as a whole process less the same process on `SELECT 1`; DuckDB inside its process, which
favours DuckDB. Both use two threads and a warm page cache. Prints the table of docs/benchmarks.md.
"""
import csv, glob, io, statistics, subprocess, sys, time
import duckdb

program, site = sys.argv[1:3]
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 7
TABLES = ["core.alarm", "core.video_index", "core.population_grid", "mart.citizen_alarm", "mart.alarm_interval"]
QUERIES = {
    "incidents by cell and group": (
        "SELECT cell, category_group, count(*) AS n FROM mart.citizen_alarm WHERE cell IS NOT NULL GROUP BY cell, category_group "
        "ORDER BY n DESC, cell, category_group LIMIT 50", None),
    "exact response percentiles by county and day": (
        "SELECT county, biz_date, percentile(response_seconds, make_array(0.5, 0.9))[2] AS p90 FROM mart.alarm_interval "
        "WHERE reason = 'valid' GROUP BY county, biz_date ORDER BY p90 DESC, county, biz_date LIMIT 50",
        "SELECT county, biz_date, quantile_cont(response_seconds, [0.5, 0.9])[2] AS p90 FROM mart.alarm_interval "
        "WHERE reason = 'valid' GROUP BY county, biz_date ORDER BY p90 DESC, county, biz_date LIMIT 50"),
    "clips by camera and day": (
        "SELECT camera_id, biz_date, count(*) AS n, sum(length_seconds) AS s FROM core.video_index GROUP BY camera_id, biz_date "
        "ORDER BY s DESC, camera_id, biz_date LIMIT 50", None),
    "calls by county, weekday, hour": (
        "SELECT county, date_part('dow', biz_date) AS dow, hour_local, count(*) AS n FROM core.alarm "
        "GROUP BY county, date_part('dow', biz_date), hour_local ORDER BY n DESC, county, dow, hour_local LIMIT 50", None),
    "rate per resident by cell": (
        "SELECT a.cell, count(*) AS n, max(g.residents) AS r FROM mart.citizen_alarm AS a JOIN core.population_grid AS g "
        "ON g.cell = a.cell WHERE g.residents >= 100 GROUP BY a.cell ORDER BY n DESC, a.cell LIMIT 50", None),
}

con = duckdb.connect()
con.execute("SET threads = 2")
for name in TABLES:
    schema, table = name.split(".")
    files = glob.glob(f"{site}/lake/tables/{schema}/{table}/1/*.parquet")
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    con.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files!r})")

def ours(sql):
    start = time.perf_counter()
    out = subprocess.run([program, "--site", site, "query", sql, "--output", "csv"], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, list(csv.reader(io.StringIO(out.stdout)))[1:]

def theirs(sql):
    start = time.perf_counter()
    rows = con.execute(sql).fetchall()
    return time.perf_counter() - start, rows

def same(left, right):
    def value(x):
        try: return round(float(x), 6)
        except (TypeError, ValueError): return str(x)
    return [[value(x) for x in row] for row in left] == [[value(x) for x in row] for row in right]

ours("SELECT 1 AS one")
floor = statistics.median(ours("SELECT 1 AS one")[0] for _ in range(runs))
print("| query | answers | Fenghuo ms | DuckDB ms | ratio |\n|---|---|---|---|---|")
failed = False
for name, (sql, other) in QUERIES.items():
    pairs = [(ours(sql), theirs(other or sql)) for _ in range(runs)]
    equal = all(same(a[1], b[1]) for a, b in pairs)
    failed |= not equal
    a = statistics.median(max(pair[0][0] - floor, 0.0001) for pair in pairs)
    b = statistics.median(pair[1][0] for pair in pairs)
    print(f"| {name} | {'equal' if equal else 'DIFFERENT'} | {a * 1000:.0f} | {b * 1000:.0f} | {a / b:.2f} |")
print(f"\nA whole process on `SELECT 1` takes {floor * 1000:.0f} ms; DuckDB {duckdb.__version__}, {runs} runs, medians.")
sys.exit(1 if failed else 0)
