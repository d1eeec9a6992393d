#!/usr/bin/env python3
"""The full build of every model that needs none of Fenghuo's functions, against DuckDB: the same SELECTs, Parquet to Parquet.

    benches/versus/build.py target/release/fenghuo SITE [--memory MiB]

SITE is built by `nights.py`. Its models are built anew from its source tables; DuckDB runs the same files, its
dialect adapted, on the inputs that Fenghuo had, and writes Parquet with zstd. Fenghuo also partitions by month,
digests every row, commits to Delta and runs the header checks of its models, all of which is counted. Two threads
each. With --memory, both get that budget.
"""
import argparse, collections, json, pathlib, re, shutil, sys, time
import duckdb
import lake

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("site", type=pathlib.Path); parser.add_argument("--memory", type=int, default=0)
args = parser.parse_args()
site = args.site
OURS = re.compile(r"\b(burst|compass|distance_metres|gcj02_to_wgs84|h3_\w+|in_view|percentile|poisson_interval|surge_days|wilson_interval)\(|\$\w+")
# from codes and geography, a few hundred rows each: what they cost is the cost of a commit
SMALL = "ref."
SQL = pathlib.Path(__file__).resolve().parents[2] / "sql"


def adapted(sql):
    """The dialect of DuckDB."""
    sql = re.sub(r"arrow_cast\(([\w.]*biz_date|[\w.]*(?:first|last)_day), 'Int32'\)", r"datediff('day', DATE '1970-01-01', \1)", sql)
    sql = re.sub(r"arrow_cast\(max\(last_day\), 'Int32'\)", "datediff('day', DATE '1970-01-01', max(last_day))", sql)
    sql = re.sub(r"arrow_cast\(([^()]+|coalesce\([^()]+\)), 'Int64'\)", r"epoch_us(\1)", sql)
    sql = re.sub(r"arrow_cast\(arrow_cast\(([^()]+), 'Int32'\), 'Date32'\)", r"(DATE '1970-01-01' + CAST(\1 AS INTEGER))", sql)
    # a whole number divided by one stays whole there as well
    return re.sub(r"\) / 1000000\b", ") // 1000000", sql)


settings = site / "fenghuo.toml"
said = settings.read_text()
if args.memory:
    section = "" if "[limits]" in said else "\n[limits]\n"
    settings.write_text(said + f"{section}query_memory_mebibytes = {args.memory}\n")
for schema in ("core", "ref", "mart", "warning", "risk", "indicator"):
    shutil.rmtree(site / "lake" / "tables" / schema, ignore_errors=True)
shutil.rmtree(site / "lake" / "releases", ignore_errors=True)
cpu, wall, peak, _ = lake.run(args.program, site, "run")
settings.write_text(said)
steps = json.loads(lake.run(args.program, site, "query", "SELECT name, status, rows, arrow_cast(ended_at, 'Int64') - arrow_cast(started_at, 'Int64') AS micros "
    "FROM ops.step WHERE kind = 'build' AND run_id = (SELECT max(run_id) FROM ops.run)", "--output", "json")[3])
took = {step["name"]: step["micros"] / 1e6 for step in steps if step["status"] == "ok"}
rows = {step["name"]: step["rows"] for step in steps}

con = duckdb.connect()
con.execute("SET threads = 2")
con.execute("SET TimeZone = 'UTC'")
if args.memory:
    con.execute(f"SET memory_limit = '{args.memory}MiB'")
out = site.parent / "duckdb"
shutil.rmtree(out, ignore_errors=True)
out.mkdir()
compared, left = [], []
for name in sorted(took):
    sql = (SQL / (name.replace(".", "/") + ".sql")).read_text()
    body = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    (left if OURS.search(body) or name.startswith(SMALL) else compared).append(name)
print("| model | rows | Fenghuo s | DuckDB s | ratio |\n|---|---|---|---|---|")
total = [0.0, 0.0]
failed = False
for name in compared:
    sql = (SQL / (name.replace(".", "/") + ".sql")).read_text()
    inputs = sorted(set(re.findall(r"\b(?:source|core|mart|ref|indicator|ops)\.\w+", re.sub(r"--.*", "", sql))))
    lake.views(con, site, inputs)
    since = time.perf_counter()
    con.execute(f"COPY ({adapted(sql)}) TO '{out}/{name}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    theirs = time.perf_counter() - since
    there = con.execute(f"SELECT count(*) FROM '{out}/{name}.parquet'").fetchone()[0]
    failed |= there != rows[name]
    total = [total[0] + took[name], total[1] + theirs]
    print(f"| {name} | {rows[name]}{'' if there == rows[name] else f' ≠ {there}'} | {took[name]:.2f} | {theirs:.2f} | {took[name] / theirs:.2f} |")
print(f"| all | | {total[0]:.2f} | {total[1]:.2f} | {total[0] / total[1]:.2f} |")
print(f"\nThe whole run, with {len(left)} models more: {cpu:.1f} CPU s, {wall:.1f} s, peak {peak:.0f} MiB; DuckDB {duckdb.__version__}.")
sys.exit(1 if failed else 0)
