#!/usr/bin/env python3
"""Parsing, checking and ordering 500 and 5,000 models, against SQLMesh on the same SELECTs.

    benches/versus/models.py target/release/fenghuo WORK [--peer-python PYTHON]

Every model joins and groups two earlier ones, so that the order is a deep graph. Fenghuo is timed as a whole
process of `plan` on a site without data, which loads, parses and orders every file; SQLMesh as
`Context(...)`, which loads, parses and orders its own, inside a process that runs already, without its caches.
"""
import argparse, pathlib, shutil, subprocess, sys
import lake

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--peer-python", default=sys.executable)
args = parser.parse_args()
work = args.work.resolve()
work.mkdir(parents=True, exist_ok=True)
PEER = """
import sys, time, logging
logging.disable(logging.CRITICAL)
import sqlmesh
from sqlmesh import Context, Config
from sqlmesh.core.config import DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig
config = Config(gateways={"": GatewayConfig(connection=DuckDBConnectionConfig())}, model_defaults=ModelDefaultsConfig(dialect="duckdb"), disable_anonymized_analytics=True)
since = time.perf_counter()
context = Context(paths=[sys.argv[1]], config=config)
order = list(context.dag.sorted)
print(time.perf_counter() - since, len(context.models), sqlmesh.__version__)
"""


def body(n):
    if n == 0:
        return "SELECT county, biz_date, count(*) AS n FROM {source} GROUP BY county, biz_date"
    a, b = n - 1, n // 2
    return (f"WITH a AS (SELECT county, biz_date, sum(n) AS n FROM mart.m{a:05} GROUP BY county, biz_date),\n"
            f"b AS (SELECT county, max(n) AS n FROM mart.m{b:05} WHERE biz_date > DATE '2024-01-{n % 28 + 1:02}' GROUP BY county)\n"
            f"SELECT a.county, a.biz_date, CASE WHEN b.n > {n} THEN a.n ELSE coalesce(b.n, 0) END AS n\n"
            "FROM a LEFT JOIN b ON b.county = a.county")


print("| models | Fenghuo s | SQLMesh s | ratio |\n|---|---|---|---|")
version = ""
for count in (500, 5000):
    site, peer = work / f"site{count}", work / f"peer{count}"
    for folder in (site, peer):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([args.program, "init", str(site), "--defaults"], check=True, capture_output=True)
    (site / "sql" / "mart").mkdir(parents=True, exist_ok=True)
    (peer / "models").mkdir(parents=True)
    for n in range(count):
        ours = body(n).replace("{source}", "core.alarm")
        (site / "sql" / "mart" / f"m{n:05}.sql").write_text(f"-- 模型。 Model.\n-- @grain county, biz_date\n{ours}\n")
        (peer / "models" / f"m{n:05}.sql").write_text(f"MODEL (name mart.m{n:05}, kind FULL);\n{body(n).replace('{source}', 'raw.alarm')}\n")
    times = [lake.run(args.program, site, "plan", "--output", "json")[1] for _ in range(3)]
    done = subprocess.run([args.peer_python, "-c", PEER, str(peer)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    theirs, found, version = done.stdout.split()
    assert int(found) == count, done.stdout
    print(f"| {count} | {min(times):.2f} | {float(theirs):.2f} | {min(times) / float(theirs):.3f} |")
print(f"\nSQLMesh {version}.")
