#!/usr/bin/env python3
"""Hot cells as a forecast: do the cells of risk.hot_cell hold more of the next calls than plain counts would?

    benches/forecasts.py target/release/fenghuo WORK --data DIR [--draws 2000] [--seed 1]

DIR holds calls/san_antonio/*.csv.gz and calls/montgomery_pa_911.csv.gz; the contracts are those of tests/sites. On each
forecast day all cells that had a call before it are ranked by the calls of the days before, and the ranking is held against
the calls of the next days, all by `query` on a built site:

    Gi*                z of the newest four weeks, as risk.hot_cell has it (equal to it on the last day, or it stops)
    Gi*, lasting       in how many of the last twelve periods of four weeks the cell was hot, then z
    same time last year  count of the 28 days from the same date of the year before
    four weeks         count of the newest 28 days
    52 weeks           count of the newest 364 days, or of all there are
    density            kde of the newest 28 days, quartic, 500 m, at the middle of the cell

Cells count as equally large. Cells with equal scores share their calls evenly, which is what any order of them would
catch on average. A day with calls in fewer than 22 hours is a gap; windows that touch one are left out and counted.
Means over forecast days carry 95 % intervals of a circular block bootstrap (four days a block); differences are paired by
day. Prints Markdown tables, writes forecasts.csv into WORK; needs numpy, which it installs into WORK/venv where it is
missing.
"""
import argparse, collections, csv, datetime, io, os, pathlib, shutil, subprocess, sys, time, tomllib, venv

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--data", type=pathlib.Path, required=True)
parser.add_argument("--draws", type=int, default=2000); parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
root = pathlib.Path(__file__).resolve().parent.parent
# files; days of history before the first forecast; a forecast every so many days, or (0) on the first day after a gap;
# horizons in days; the zone in which metres are measured
CITIES = {
    "san_antonio": ("San Antonio", "calls/san_antonio/*.csv.gz", 336, 0, (4, 7, 28), 32614),
    "montgomery": ("Montgomery County", "calls/montgomery_pa_911.csv.gz", 84, 7, (7, 28), 32618)}
missing = [pattern for _, pattern, *_ in CITIES.values() if not any(args.data.glob(pattern))]
if missing:
    sys.exit(f"no {' and no '.join(missing)} in {args.data}: --data names the folder that holds calls/")
work.mkdir(parents=True, exist_ok=True)
try:
    import numpy as np
except ImportError:
    home = work / "venv"
    if sys.prefix == str(home):
        raise
    venv.create(home, with_pip=True)
    subprocess.run([home / "bin/pip", "install", "--quiet", "numpy"], check=True)
    os.execv(home / "bin/python", [str(home / "bin/python"), *sys.argv])

OURS = ["Gi*", "Gi*, lasting"]
PLAIN = ["same time last year", "four weeks", "52 weeks", "density"]
SHARES = [0.01, 0.05]
BANDWIDTH, GRID = 500, 100  # metres
HOURS, ENOUGH, BLOCK, CHUNK = 22, 100, 4, 6  # of a whole day; calls of a window; forecast days of a block and of a query
Q = tomllib.loads((root / "pipelines/rules/hot_cell.toml").read_text())["parameters"]["q"]
EPOCH = datetime.date(1970, 1, 1)
def date(day): return EPOCH + datetime.timedelta(days=day)

def year_before(day):
    """The same date of the year before; 29 February has the 28th."""
    that = date(day)
    return (that.replace(year=that.year - 1, day=min(that.day, 28) if that.month == 2 else that.day) - EPOCH).days

def said(*words):
    start = time.perf_counter()
    child = subprocess.run([program, *words], capture_output=True, text=True)
    if child.returncode:
        sys.exit(f"{words}: {child.returncode}\n{child.stdout}{child.stderr}")
    print(f"  {time.perf_counter() - start:6.1f} s  {'query' if 'query' in words else words[-1]}", file=sys.stderr)
    return child.stdout

def laid_out(name, pattern):
    """A site of tests/sites with the files in its inbox, built up to the map of hot cells."""
    site = work / name
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(root / "tests/sites" / name, site)
    (site / "keys").mkdir()
    (site / "keys/site.key").write_text("0123456789abcdef" * 4)
    (site / "keys/site.key").chmod(0o600)
    (site / "inbox").mkdir(exist_ok=True)
    for file in sorted(args.data.glob(pattern)):
        (site / "inbox" / file.name).symlink_to(file.resolve())
    (site / "pipelines/forecasts.toml").write_text(
        'title_zh = "预测"\ntitle_en = "forecasts"\ningest = ["*"]\nbuild = ["ref", "core", "mart", "risk"]\n')
    said("--site", str(site), "--quiet", "run", "forecasts")
    return site

def query(site, sql):
    return list(csv.DictReader(io.StringIO(said("--site", str(site), "--quiet", "query", sql, "--output", "csv"))))

def counted(rows, such):
    """Calls of cells by period of 28 days up to each forecast's last day, and Gi* of each period, as risk.hot_cell does it."""
    return f"""
forecast AS (SELECT * FROM (VALUES {rows}) AS v (t, last, year, h)),
every AS (SELECT cell, category_group, CAST(arrow_cast(biz_date, 'Int32') AS BIGINT) AS day, alarms FROM mart.alarm_cell_day),
call AS (SELECT cell, day, sum(alarms) AS alarms FROM every WHERE {such} GROUP BY cell, day),
counted AS (SELECT f.t, c.cell, (f.last - c.day) / 28 AS period, sum(c.alarms) AS alarms
  FROM forecast AS f JOIN call AS c ON c.day <= f.last AND c.day > f.last - 336 GROUP BY f.t, c.cell, (f.last - c.day) / 28),
frame AS (SELECT c.t, c.cell, p.period, coalesce(n.alarms, 0) AS alarms
  FROM (SELECT DISTINCT t, cell FROM counted) AS c JOIN (SELECT DISTINCT t, period FROM counted) AS p ON p.t = c.t
  LEFT JOIN counted AS n ON n.t = c.t AND n.cell = c.cell AND n.period = p.period),
scored AS (SELECT t, period, g['id'] AS cell, g['value'] AS alarms, g['z'] AS z,
    coalesce(g['z'] > 0 AND g['q'] <= {Q}, false) AS is_hot
  FROM (SELECT t, period, unnest(gi_star(cell, alarms)) AS g FROM frame GROUP BY t, period) AS s),
hot AS (SELECT t, cell, max(alarms) FILTER (WHERE period = 0) AS newest, max(z) FILTER (WHERE period = 0) AS z,
    count(*) FILTER (WHERE is_hot) AS periods_hot
  FROM scored GROUP BY t, cell)"""

def judged(site, days, group, zone):
    """Of each forecast (day, last known day, year before, days ahead) and ranking what its first cells caught."""
    such = "true" if group == "all" else f"category_group = '{group}'"
    rows = ", ".join(f"({t}, {last}, {year}, {h})" for t, last, year, h in days)
    place = query(site, f"SELECT min(p['x']) AS left, min(p['y']) AS low, max(p['x']) AS right, max(p['y']) AS high FROM (SELECT "
                        f"project(h3_centre(cell)['lon'], h3_centre(cell)['lat'], {zone}) AS p FROM mart.alarm_cell_day) AS t")[0]
    left, low, right, high = (int(float(place[key])) // GRID * GRID + GRID * (key in ("right", "high")) for key in
                              ("left", "low", "right", "high"))
    def at(x, y): return f"CAST(floor(({x} - {left}) / {GRID}.0) AS BIGINT) AS x, CAST(floor(({y} - {low}) / {GRID}.0) AS BIGINT) AS y"
    scores = {"Gi*": "coalesce(z, -1e6)", "Gi*, lasting": "coalesce(1e4 * periods_hot + coalesce(z, -1e3), -1e6)",
              "same time last year": "year_before", "four weeks": "newest", "52 weeks": "of_year", "density": "density",
              "best": "events"}
    list_of = ", ".join(f"named_struct('method', '{name}', 'score', CAST({score} AS DOUBLE))" for name, score in scores.items())
    return query(site, f"""WITH {counted(rows, such)},
density AS (SELECT t, {at("k['x']", "k['y']")}, k['density'] AS density
  FROM (SELECT t, unnest(kde(p['x'], p['y'], {{'bandwidth': {BANDWIDTH}, 'cell': {GRID}, 'box': [{left}, {low}, {right}, {high}]}})) AS k
    FROM (SELECT f.t, project(a.lon, a.lat, {zone}) AS p FROM forecast AS f JOIN
        (SELECT CAST(arrow_cast(biz_date, 'Int32') AS BIGINT) AS day, lon, lat FROM mart.citizen_alarm WHERE cell IS NOT NULL AND {such}) AS a
        ON a.day <= f.last AND a.day > f.last - 28) AS q WHERE p IS NOT NULL GROUP BY t) AS d
  WHERE k['density'] > 0),
region AS (SELECT f.t, f.h, c.cell, {at("c.p['x']", "c.p['y']")}
  FROM forecast AS f JOIN (SELECT cell, min(day) AS first, project(h3_centre(cell)['lon'], h3_centre(cell)['lat'], {zone}) AS p
    FROM every GROUP BY cell) AS c ON c.first < f.t),
summed AS (SELECT f.t, c.cell,
    sum(CASE WHEN c.day >= f.t AND c.day < f.t + f.h THEN c.alarms ELSE 0 END) AS events,
    sum(CASE WHEN c.day >= f.year AND c.day < f.year + 28 THEN c.alarms ELSE 0 END) AS year_before,
    sum(CASE WHEN c.day <= f.last AND c.day > f.last - 364 THEN c.alarms ELSE 0 END) AS of_year
  FROM forecast AS f JOIN call AS c ON c.day < f.t + f.h GROUP BY f.t, c.cell),
outside AS (SELECT s.t, sum(s.events) AS outside FROM summed AS s LEFT JOIN region AS r ON r.t = s.t AND r.cell = s.cell
  WHERE r.cell IS NULL GROUP BY s.t),
ranked AS (SELECT r.t, r.cell, coalesce(s.events, 0) AS events, coalesce(s.year_before, 0) AS year_before,
    coalesce(s.of_year, 0) AS of_year, h.z, h.periods_hot, coalesce(h.newest, 0) AS newest, coalesce(d.density, 0) AS density
  FROM region AS r LEFT JOIN summed AS s ON s.t = r.t AND s.cell = r.cell LEFT JOIN hot AS h ON h.t = r.t AND h.cell = r.cell
  LEFT JOIN density AS d ON d.t = r.t AND d.x = r.x AND d.y = r.y),
long AS (SELECT t, cell, events, CASE WHEN z IS NULL THEN events ELSE 0 END AS unscored, s['method'] AS method, s['score'] AS score
  FROM (SELECT t, cell, events, z, unnest([{list_of}]) AS s FROM ranked) AS l),
shared AS (SELECT t, method, cell, events, unscored, score, avg(CAST(events AS DOUBLE)) OVER (PARTITION BY t, method, score) AS share FROM long),
held AS (SELECT t, method, count(*) AS region, sum(events) AS inside, sum(unscored) AS unscored,
    pai(cell, score, share, 1.0, {{'shares': {SHARES}}}) AS p FROM shared GROUP BY t, method)
SELECT h.t, h.method, h.region, h.inside, h.unscored, coalesce(o.outside, 0) AS outside, b['share'] AS share, b['cells'] AS cells,
  b['captured'] AS captured, b['hit_rate'] AS hit_rate, b['pai'] AS pai
FROM (SELECT t, method, region, inside, unscored, unnest(p) AS b FROM held) AS h LEFT JOIN outside AS o ON o.t = h.t
ORDER BY h.t, h.method, share""")

def same_as_the_map(site, last):
    """Our z and periods of the last day against the table that the site shows."""
    found = query(site, f"""WITH {counted(f"({last + 1}, {last}, 0, 0)", "true")}
SELECT count(*) AS cells, count(h.cell) AS ours, coalesce(max(abs(round(h.z, 2) - m.z)), 0) AS z, coalesce(max(abs(h.periods_hot - m.periods_hot)), 0) AS periods
FROM risk.hot_cell AS m LEFT JOIN hot AS h ON h.cell = m.cell""")[0]
    if not (0 < int(found["cells"]) == int(found["ours"]) and float(found["z"]) < 0.011 and int(found["periods"]) == 0):
        sys.exit(f"the scores are not those of risk.hot_cell: {found}")

def windows(days, whole, warm, step, horizon):
    """Forecast days whose next days are all on file, and how many were left out for a gap."""
    first, last = min(whole), max(days)
    if step:
        starts = range(first + warm, last - horizon + 2, step)
    else:
        starts = [day for day in sorted(whole) if day >= first + warm and day - 1 not in whole]
    kept = [t for t in starts if all(t + at in whole for at in range(horizon))]
    return kept, len(starts) - len(kept)

def drawn(values):
    """Mean and 95 % interval; the values are in the order of days, blocks go round the end."""
    values = np.asarray(values, float)
    n = len(values)
    random = np.random.default_rng([args.seed, n])
    starts = random.integers(0, n, (args.draws, -(-n // BLOCK)))
    at = ((starts[:, :, None] + np.arange(BLOCK)) % n).reshape(args.draws, -1)[:, :n]
    low, high = np.percentile(values[at].mean(axis=1), [2.5, 97.5])
    return values.mean(), low, high

def percent(all, sign=""): return "{:{s}.1f} ({:{s}.1f}, {:{s}.1f})".format(*(100 * x for x in all), s=sign)
def plain(all): return f"{all[0]:.1f} ({all[1]:.1f}, {all[2]:.1f})"

def table(of, methods):
    """One line a ranking: what it caught, and how much more or less ours did on the same days."""
    print("| ranking | days | hit 1 % | PAI 1 % | PEI* 1 % | hit 5 % | PAI 5 % | PEI* 5 % | Gi* less this, 1 % | 5 % "
          "| lasting less this, 1 % | 5 % |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in methods:
        days = sorted(of[name, SHARES[0]])
        cells = [name, len(days)]
        for share in SHARES:
            rows = [of[name, share][day] for day in days]
            cells += [percent(drawn([row["hit"] for row in rows])), plain(drawn([row["pai"] for row in rows])),
                      f"{np.mean([row['pei'] for row in rows]):.2f}"]
        for ours in OURS:
            for share in SHARES:
                cells.append("" if name in OURS else percent(less(of, ours, name, share), "+"))
        print("| " + " | ".join(map(str, cells)) + " |")

def less(of, ours, other, share):
    return drawn([of[ours, share][day]["hit"] - row["hit"] for day, row in sorted(of[other, share].items())])

def verdict(of, methods):
    """What the intervals say, in words."""
    others = [name for name in methods if name not in OURS]
    for ours in OURS:
        for share in SHARES:
            says = collections.defaultdict(list)
            for name in others:
                _, low, high = less(of, ours, name, share)
                says["beats" if low > 0 else "loses to" if high < 0 else "cannot be told from"].append(name)
            print(f"- {ours} at {100 * share:.0f} %: " + "; ".join(f"{word} {', '.join(names)}" for word, names in says.items()) + ".")

file = open(work / "forecasts.csv", "w", newline="")
out = csv.writer(file, lineterminator="\n")
out.writerow("city group horizon day method share region cells inside outside unscored captured hit_rate pai pei_star".split())
for name, (title, pattern, warm, step, horizons, zone) in CITIES.items():
    site = laid_out(name, pattern)
    day_rows = query(site, "SELECT CAST(arrow_cast(biz_date, 'Int32') AS BIGINT) AS day, count(DISTINCT hour_local) AS hours, count(*) AS n "
                           "FROM core.alarm GROUP BY biz_date")
    days = {int(row["day"]) for row in day_rows}
    whole = {int(row["day"]) for row in day_rows if int(row["hours"]) >= HOURS}
    groups = query(site, "SELECT category_group, sum(alarms) AS n, max(CAST(arrow_cast(biz_date, 'Int32') AS BIGINT)) AS last "
                         "FROM mart.alarm_cell_day GROUP BY category_group ORDER BY category_group")
    calls, last = sum(int(row["n"]) for row in groups), max(int(row["last"]) for row in groups)
    same_as_the_map(site, last)
    print(f"## {title}\n\n{calls} calls of citizens that may be mapped, of {sum(int(row['n']) for row in day_rows)}, {date(min(days))} to {date(last)}; "
          f"{len(whole)} whole days, {len(days - whole)} in part, {max(days) - min(days) + 1 - len(days)} without a call.\n")
    for horizon in horizons:
        kept, left_out = windows(days, whole, warm, step, horizon)
        print(f"### The next {horizon} days\n\n{len(kept)} forecast days, {left_out} left out because the window touches a gap.\n")
        if not kept:
            continue
        tasks = [(t, max(day for day in days if day < t), year_before(t), horizon) for t in kept]
        with_year = {t for t, _, year, _ in tasks if all(year + at in whole for at in range(horizon))}
        for group in ["all", *(row["category_group"] for row in groups)]:
            rows = [row for at in range(0, len(tasks), CHUNK) for row in judged(site, tasks[at:at + CHUNK], group, zone)]
            best = {(int(row["t"]), float(row["share"])): float(row["pai"] or 0) for row in rows if row["method"] == "best"}
            of = collections.defaultdict(dict)
            for row in rows:
                t, share = int(row["t"]), float(row["share"])
                if not float(row["inside"]):
                    continue
                pei = float(row["pai"]) / best[t, share]
                if row["method"] != "same time last year" or t in with_year:
                    out.writerow([name, group, horizon, date(t), row["method"], share, row["region"], row["cells"], row["inside"], row["outside"],
                                  row["unscored"], *(round(float(row[key]), 6) for key in ("captured", "hit_rate", "pai")), round(pei, 6)])
                    of[row["method"], share][t] = {"hit": float(row["hit_rate"]), "pai": float(row["pai"]), "pei": pei, **row}
            per = [int(row["inside"]) + int(row["outside"]) for row in of["Gi*", SHARES[0]].values()]
            if group != "all" and (len(groups) < 2 or not per or np.mean(per) < ENOUGH):
                print(f"{group}: too few calls, {np.mean(per) if per else 0:.0f} a window.\n")
                continue
            methods = [method for method in OURS + PLAIN if of[method, SHARES[0]]]
            rows = list(of["Gi*", SHARES[0]].values())
            total = sum(per)
            print(f"{group}: {np.mean(per):.0f} calls a window, {100 * sum(int(row['outside']) for row in rows) / total:.1f} % outside the "
                  f"{min(int(row['region']) for row in rows)} to {max(int(row['region']) for row in rows)} cells seen before, "
                  f"{100 * sum(int(row['unscored']) for row in rows) / total:.1f} % in cells without a z.\n")
            table(of, methods)
            print()
            verdict(of, methods)
            print(flush=True)
file.close()
