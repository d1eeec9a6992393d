#!/usr/bin/env python3
"""The six nightly questions over the whole history, Fenghuo against DuckDB on the same Parquet of the lake.

    benches/versus/questions.py target/release/fenghuo SITE [runs]

SITE is built by `nights.py` (3.0 M calls, 10 M clips, 1 M residents). Each question answers with one row of
check-sums, so that nothing can be pruned and answers are compared. Fenghuo asks with its own aggregates and of the
tables that its nights keep, DuckDB in its best SQL of several tried, of the rows. Fenghuo is timed as a whole process less the same process on `SELECT 1`, DuckDB inside its
process, both with two threads and a warm cache; runs alternate, the median counts.
"""
import csv, datetime, functools, io, statistics, sys, time
import duckdb
import lake

program, site = sys.argv[1:3]
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
SECONDS = 30 * 86400
QUESTIONS = {
    "surge of a day against 28 before, by cell and category": (
        """SELECT count(*) AS days, sum(s['n']) AS n, sum(CASE WHEN s['n'] >= 5 AND s['n'] > s['mean'] + 3 * greatest(s['sd'], 1.0)
           THEN 1 ELSE 0 END) AS flags, round(sum(s['mean']), 3) AS means
           FROM (SELECT unnest(surge_days(arrow_cast(biz_date, 'Int32'), 28)) AS s FROM mart.citizen_alarm WHERE cell IS NOT NULL GROUP BY cell, category) AS t""",
        """WITH d AS (SELECT cell, category, biz_date, count(*) AS n FROM mart.citizen_alarm WHERE cell IS NOT NULL GROUP BY ALL),
           w AS (SELECT n, coalesce(sum(n) OVER p, 0) AS s1, coalesce(sum(n * n) OVER p, 0) AS s2 FROM d
                 WINDOW p AS (PARTITION BY cell, category ORDER BY biz_date RANGE BETWEEN INTERVAL 28 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING)),
           v AS (SELECT n, s1 / 28.0::DOUBLE AS mean, sqrt((28 * s2 - s1 * s1)::DOUBLE / (28 * 27)) AS sd FROM w)
           SELECT count(*), sum(n), sum(CASE WHEN n >= 5 AND n > mean + 3 * greatest(sd, 1.0) THEN 1 ELSE 0 END), round(sum(mean), 3) FROM v"""),
    "exact percentiles of response by street and day": (
        """SELECT count(*) AS groups, round(sum(p[1]), 1) AS p50, round(sum(p[2]), 1) AS p90, round(sum(p[3]), 1) AS p95
           FROM (SELECT percentile(response_seconds, make_array(0.5, 0.9, 0.95)) AS p FROM mart.alarm_interval WHERE reason = 'valid' GROUP BY area, biz_date) AS t""",
        """SELECT count(*), round(sum(p[1]), 1), round(sum(p[2]), 1), round(sum(p[3]), 1)
           FROM (SELECT quantile_cont(response_seconds, [0.5, 0.9, 0.95]) AS p FROM mart.alarm_interval WHERE reason = 'valid' GROUP BY area, biz_date) AS t"""),
    "three within 30 days, by cell and category": (
        f"""SELECT count(*) AS bursts, sum(b['n']) AS n FROM (SELECT unnest(burst(arrow_cast(reported_at, 'Int64') / 1000000, 3, {SECONDS})) AS b
            FROM mart.citizen_alarm WHERE cell IS NOT NULL GROUP BY cell, category) AS t""",
        f"""WITH c AS (SELECT cell, category, epoch_us(reported_at) // 1000000 AS moment FROM mart.citizen_alarm WHERE cell IS NOT NULL),
            m AS (SELECT DISTINCT cell, category, moment, n FROM (SELECT cell, category, moment, count(*) OVER (PARTITION BY cell, category ORDER BY moment
                  RANGE BETWEEN {SECONDS} PRECEDING AND CURRENT ROW) AS n FROM c) WHERE n >= 3)
            SELECT count(*), sum(n) FROM m"""),
    "clips by camera and day": (
        "SELECT count(*) AS groups, sum(clips * clips) AS n, sum(recorded_seconds) AS s FROM core.camera_day WHERE clips > 0",
        "SELECT count(*) AS groups, sum(n * n) AS n, sum(s) AS s FROM (SELECT camera_id, biz_date, count(*) AS n, sum(length_seconds) AS s FROM core.video_index GROUP BY camera_id, biz_date) AS t"),
    "calls with a clip within ten minutes on a camera of their cell, last 7 days": (
        """WITH w AS (SELECT a.alarm_id, c.camera_id, arrow_cast(a.reported_at, 'Int64') - 600000000 AS lo, arrow_cast(a.reported_at, 'Int64') + 600000000 AS hi
                 FROM mart.citizen_alarm AS a JOIN core.camera AS c ON c.cell = a.cell WHERE a.biz_date > DATE '{week}' AND a.biz_date <= DATE '{last}')
           SELECT count(*) AS pairs, count(DISTINCT w.alarm_id) AS calls FROM w JOIN core.video_index AS v ON v.camera_id = w.camera_id
           AND arrow_cast(v.begin_at, 'Int64') <= w.hi AND arrow_cast(v.end_at, 'Int64') >= w.lo WHERE v.biz_date >= DATE '{week}'""",
        """WITH w AS (SELECT a.alarm_id, c.camera_id, epoch_us(a.reported_at) - 600000000 AS lo, epoch_us(a.reported_at) + 600000000 AS hi
                 FROM mart.citizen_alarm AS a JOIN core.camera AS c ON c.cell = a.cell WHERE a.biz_date > DATE '{week}' AND a.biz_date <= DATE '{last}'),
           v AS (SELECT camera_id, epoch_us(begin_at) AS b, epoch_us(end_at) AS e FROM core.video_index WHERE biz_date >= DATE '{week}')
           SELECT count(*), count(DISTINCT w.alarm_id) FROM w JOIN v ON v.camera_id = w.camera_id AND v.b <= w.hi AND v.e >= w.lo"""),
    "incidents per resident by cell": (
        "SELECT count(*) AS cells, sum(n) AS n, round(sum(n * 1000.0 / r), 3) AS rates FROM (SELECT a.cell, sum(a.alarms) AS n, max(g.residents) AS r FROM mart.alarm_cell_day AS a JOIN core.population_grid AS g ON g.cell = a.cell WHERE g.residents >= 100 GROUP BY a.cell) AS t",
        "SELECT count(*) AS cells, sum(n) AS n, round(sum(n * 1000.0 / r), 3) AS rates FROM (SELECT a.cell, count(*) AS n, max(g.residents) AS r FROM mart.citizen_alarm AS a JOIN core.population_grid AS g ON g.cell = a.cell WHERE g.residents >= 100 GROUP BY a.cell) AS t"),
}
con = duckdb.connect()
con.execute("SET threads = 2")
lake.views(con, site, ["core.video_index", "core.camera", "core.population_grid", "mart.citizen_alarm", "mart.alarm_interval"])


last = con.execute("SELECT max(biz_date) FROM core.video_index").fetchone()[0]
days = {"{last}": str(last), "{week}": str(last - datetime.timedelta(days=7))}
QUESTIONS = {name: [functools.reduce(lambda sql, day: sql.replace(*day), days.items(), sql) for sql in pair] for name, pair in QUESTIONS.items()}


def ours(sql):
    since = time.perf_counter()
    out = lake.run(program, site, "query", sql, "--output", "csv")[3]
    return time.perf_counter() - since, list(csv.reader(io.StringIO(out)))[1:]


def theirs(sql):
    since = time.perf_counter()
    rows = con.execute(sql).fetchall()
    return time.perf_counter() - since, rows


def same(left, right):
    number = lambda row: [float(x) for x in row]
    return [number(row) for row in left] == [number(row) for row in right]


ours("SELECT 1 AS one")
floor = statistics.median(ours("SELECT 1 AS one")[0] for _ in range(runs))
print("| question | answers | Fenghuo s | DuckDB s | ratio |\n|---|---|---|---|---|")
sums, failed = [0.0, 0.0], False
for name, (sql, other) in QUESTIONS.items():
    ours(sql), theirs(other)
    pairs = [(ours(sql), theirs(other)) for _ in range(runs)]
    equal = all(same(a[1], b[1]) for a, b in pairs)
    failed |= not equal
    a = statistics.median(max(pair[0][0] - floor, 0.0001) for pair in pairs)
    b = statistics.median(pair[1][0] for pair in pairs)
    sums = [sums[0] + a, sums[1] + b]
    print(f"| {name} | {'equal' if equal else 'DIFFERENT'} | {a:.3f} | {b:.3f} | {a / b:.2f} |")
    if not equal:
        print(pairs[0][0][1], pairs[0][1][1], file=sys.stderr)
print(f"| all | | {sums[0]:.3f} | {sums[1]:.3f} | {sums[0] / sums[1]:.2f} |")
print(f"\nA whole process on `SELECT 1` takes {floor * 1000:.0f} ms; DuckDB {duckdb.__version__}, {runs} runs, medians.")
sys.exit(1 if failed else 0)
