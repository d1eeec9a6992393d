#!/usr/bin/env python3
"""What the shipped rules find of what is planted in synthetic cities that no rule was tuned on.

    benches/planted.py target/release/fenghuo WORK [--seeds 101-120] [--scale 0.22] [--years 3] [--days 205] [--scan-days 75] [--rules surge,...]

For each seed a city is made, read and built up to its marts, and taken away again; what is left is one JSON file a seed in WORK, so that
a run that was broken off goes on where it was. `warn backtest` runs each rule day by day over the last `--days` (the scan, a
second a day, over `--scan-days`; cameras over two weeks), each day seeing only what was known then, and says which warnings are about which planted event or decoy. A warning is right that is
about an event (street and category, or a cluster of the group that reaches the place) within a week after its end. Near
repeats are no warnings: burglaries of these days are held against the windows that were open on the morning of their day, of bands
that were learned from the two years before alone.

Prints Markdown: recall by size, delay, precision, warnings a week, decoys, misses by cause, and what other thresholds than
the shipped one would give.
"""
import argparse, collections, csv, datetime, io, json, pathlib, re, shutil, statistics, subprocess, sys, time, tomllib

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--seeds", default="101-120"); parser.add_argument("--scale", default="0.22")
parser.add_argument("--years", type=int, default=3)
parser.add_argument("--days", type=int, default=205); parser.add_argument("--scan-days", type=int, default=75)
parser.add_argument("--rules", default="surge,emerging_cluster,camera_leak,near_repeat")
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
work.mkdir(parents=True, exist_ok=True)
first_seed, last_seed = map(int, args.seeds.split("-"))
SEEDS, RULES = range(first_seed, last_seed + 1), args.rules.split(",")
HERE = pathlib.Path(__file__).resolve().parent.parent
LAST = datetime.date(2025, 12, 31)
FIRST = LAST - datetime.timedelta(days=args.days - 1)
SPAN = {"surge": args.days, "near_repeat": args.days, "emerging_cluster": args.scan_days, "camera_leak": 14}
PIPELINE = 'title_zh = "评测"\ntitle_en = "judged"\ningest = ["*"]\nbuild = ["ref", "core", "mart"]\n'

def said(*words, accept=(0,)):
    child = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if child.returncode not in accept:
        sys.exit(f"{words}: {child.returncode}\n{child.stdout}{child.stderr}")
    return child.stdout

def query(site, sql):
    return list(csv.DictReader(io.StringIO(said("--site", site, "query", sql, "--output", "csv"))))

def parameters(rule, sql):
    values = tomllib.loads((HERE / f"pipelines/rules/{rule}.toml").read_text())["parameters"]
    return re.sub(r"\$(\w+)", lambda found: repr(values[found[1]]), sql)

def near_repeats(site, truth):
    """The windows of each morning against the burglaries of the day."""
    learned = parameters("near_repeat_band", (HERE / "sql/risk/near_repeat_band.sql").read_text())
    calls = f"(SELECT * FROM mart.citizen_alarm WHERE biz_date < DATE '{FIRST}')"
    bands = [band for band in query(site, learned.replace("mart.citizen_alarm", calls)) if band["holds"] == "true"]
    if not bands:
        return {"bands": []}
    held = " OR ".join(f"(metres >= {b['space_from']} AND metres < {b['space_to']} AND age >= {b['time_from']} AND "
                       f"age < {b['time_to']})" for b in bands)
    days, far = max(int(b["time_to"]) for b in bands), max(float(b["space_to"]) for b in bands)
    rings = -(-int(far + 200) // 300)
    burglary = "SELECT alarm_id, cell, lon, lat, arrow_cast(biz_date, 'Int32') AS day FROM mart.citizen_alarm " \
               "WHERE category = '0102' AND cell IS NOT NULL"
    first = (FIRST - datetime.date(1970, 1, 1)).days
    last = (LAST - datetime.date(1970, 1, 1)).days
    opened = f"""
      SELECT DISTINCT near AS cell, day + age + 1 AS day FROM (
        SELECT *, distance_metres(lon, lat, h3_centre(near)['lon'], h3_centre(near)['lat']) AS metres FROM (
          SELECT *, unnest(range(0, {days})) AS age FROM (
            SELECT lon, lat, day, unnest(h3_ring(cell, {rings})) AS near FROM ({burglary}) AS b WHERE day >= {first - days}) AS n) AS m) AS w
      WHERE ({held}) AND day + age + 1 BETWEEN {first} AND {last}"""
    cells = query(site, f"SELECT count(*) AS n FROM mart.cell_place")[0]["n"]
    windows = query(site, f"SELECT count(*) AS n FROM ({opened}) AS o JOIN mart.cell_place AS p ON p.cell = o.cell")[0]["n"]
    seen = query(site, f"SELECT b.lon, b.lat, b.day, o.cell IS NOT NULL AS open FROM ({burglary}) AS b "
                       f"LEFT JOIN ({opened}) AS o ON o.cell = b.cell AND o.day = b.day WHERE b.day BETWEEN {first} AND {last}")
    chains = []
    for chain in truth["near_repeat_chains"]:
        if chain["first_day"] < str(FIRST):
            continue
        near = [row for row in seen if metres(chain, row) <= chain["radius_m"] + 1
                and number(chain["first_day"]) <= int(row["day"]) <= number(chain["last_day"])]
        later = [row for row in near if int(row["day"]) > min(int(row["day"]) for row in near)] if near else []
        chains.append([sum(row["open"] == "true" for row in later), len(later)])
    return {"bands": bands, "cells": int(cells), "windows": int(windows), "calls": len(seen),
            "hits": sum(row["open"] == "true" for row in seen), "chains": chains}

def number(day): return (datetime.date.fromisoformat(day) - datetime.date(1970, 1, 1)).days

def metres(a, b):
    import math
    lat = math.radians(float(a["lat"]))
    x = (float(a["lon"]) - float(b["lon"])) * 111320 * math.cos(lat)
    y = (float(a["lat"]) - float(b["lat"])) * 110950
    return math.hypot(x, y)

def judge(seed):
    kept = work / f"seed-{seed}-{args.scale}-{args.years}.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    missing = [rule for rule in RULES if rule not in found]
    if not missing:
        return found
    site = work / f"city-{seed}"
    shutil.rmtree(site, ignore_errors=True)
    start = time.perf_counter()
    said("--quiet", "demo", site, "--seed", seed, "--scale", args.scale, "--days", 365 * args.years + 1,
         "--sources-only")
    (site / "pipelines").mkdir(exist_ok=True)
    (site / "pipelines/judged.toml").write_text(PIPELINE)
    # rows that were sent broken on purpose are rejected and told, which is no failure of these bounds
    said("--quiet", "--site", site, "run", "judged", accept=(0, 1))
    print(f"seed {seed}: city {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    truth = json.loads((site / "truth.json").read_text())
    found["holidays"] = [row["date"] for row in query(site, "SELECT date FROM ref.calendar WHERE day_type = 'holiday'")]
    for rule in missing:
        start = time.perf_counter()
        if rule == "near_repeat":
            found[rule] = near_repeats(site, truth)
        else:
            report = work / "report.json"
            first = LAST - datetime.timedelta(days=SPAN[rule] - 1)
            said("--site", site, "warn", "backtest", rule, "--from", first, "--to", LAST, "--truth", site / "truth.json",
                 "--report", report)
            found[rule] = json.loads(report.read_text())
        kept.write_text(json.dumps(found))
        print(f"seed {seed}: {rule} {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    shutil.rmtree(site)
    return found

def table(*head): print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
def line(*cells): print(f"| {' | '.join(map(str, cells))} |")
def percent(part, whole): return f"{100 * part / whole:.0f} % ({part}/{whole})" if whole else "–"
def middle(values): return f"{statistics.median(values):g}" if values else "–"

# the value by which a rule lets a row pass, and what other thresholds would do
THRESHOLDS = {"surge": ("ratio", [1.0, 1.2, 1.5, 2.0, 3.0]), "emerging_cluster": ("recurrence_days", [100, 365, 1000, 3650, 36500])}

def at(rule, reports, least):
    """Recall, delays, warnings and right ones of a rule whose rows reach `least`."""
    column = THRESHOLDS.get(rule, (None,))[0]
    planted, delays, raised, right, weekly = collections.Counter(), collections.defaultdict(list), 0, 0, []
    decoys = collections.Counter()
    for report in reports:
        hits, weeks = {}, collections.Counter()
        for warning in report["raised"]:
            rows = [row for row in warning["told"] if column is None or float(row["evidence"][column]) >= least]
            if not rows:
                continue
            raised += 1
            weeks[number(rows[0]["day"]) // 7] += 1
            about = {index for row in rows for index in row["about"]}
            events = [index for index in about if not report["planted"][index]["is_decoy"]]
            right += bool(events)
            if not events:
                decoys[report["planted"][min(about)]["kind"] if about else "nothing"] += 1
            for row in rows:
                for index in row["about"]:
                    hits[index] = min(hits.get(index, row["day"]), row["day"])
        weekly.append(weeks)
        for index, event in enumerate(report["planted"]):
            if not event["is_decoy"]:
                key = event["kind"], event["size"]
                planted[key] += 1
                if index in hits:
                    delays[key].append(number(hits[index]) - number(event["first_day"]))
    most = max((max(weeks.values(), default=0) for weeks in weekly), default=0)
    return planted, delays, raised, right, decoys, most

LASTS = {"surge": 2, "cluster": 6, "chain": 14}

def cause(rule, event, holidays):
    """Why a rule had no chance, or little, to see what was planted."""
    if event["kind"] not in LASTS:
        return "of a day, where the rule asks for twelve hours" if event["size"] <= 1 else "longer than a day"
    a_day = event["size"] / LASTS[event["kind"]]
    first, last = (datetime.date.fromisoformat(event[name]) for name in ("first_day", "last_day"))
    if rule == "surge" and all(str(first + datetime.timedelta(days=n)) in holidays for n in range((last - first).days + 1)):
        return "on holidays, which are not judged"
    if rule == "surge" and a_day < 5:
        return "fewer than five calls a day"
    return "no more than chance brings to such a street" if rule == "surge" else "no more than chance brings somewhere"

def misses(rule):
    counted = collections.Counter()
    for seed in SEEDS:
        report = everything[seed][rule]
        seen = {index for warning in report["raised"] for row in warning["told"] for index in row["about"]}
        for index, event in enumerate(report["planted"]):
            if not event["is_decoy"] and index not in seen:
                counted[event["kind"], event["size"] if event["kind"] in LASTS else "", cause(rule, event, everything[seed]["holidays"])] += 1
    return counted

everything = {seed: judge(seed) for seed in SEEDS}
print(f"Seeds {args.seeds}, scale {args.scale}, {args.years} years to {LAST}; days of each city: " + ", ".join(f"{rule} {SPAN[rule]}" for rule in RULES) + ".")
for rule in [rule for rule in RULES if rule != "near_repeat"]:
    reports = [everything[seed][rule] for seed in SEEDS]
    column, thresholds = THRESHOLDS.get(rule, (None, [0]))
    planted, delays, raised, right, decoys, most = at(rule, reports, thresholds[0])
    weeks = len(SEEDS) * SPAN[rule] / 7
    print(f"\n**{rule}**: {raised} warnings, {raised / weeks:.2f} a week and city, at most {most} in a week; precision "
          f"{percent(right, raised)}; about a decoy or nothing: " + (", ".join(f"{kind} {n}" for kind, n in decoys.most_common()) or "none")
          + f". Leaks: {sum(bool(report['shown']['leaks']) for report in reports)}; pooled {sum(r['shown']['pooled'] for r in reports)}.")
    table("planted", "size", "found", "within 3 days", "median delay, days")
    grouped = collections.defaultdict(lambda: [0, []])
    for (kind, size), n in planted.items():
        # outages last from hours to weeks: by days
        label = size if kind in ("surge", "cluster", "chain") else ("1 day" if size <= 1 else "2 days" if size == 2 else "3 days or more")
        grouped[kind, label][0] += n
        grouped[kind, label][1] += delays[kind, size]
    for (kind, label), (n, waits) in sorted(grouped.items(), key=str):
        line(kind, label, percent(len(waits), n), percent(sum(wait <= 3 for wait in waits), n), middle(waits))
    missed = misses(rule)
    if missed:
        table("missed", "size", "why", "events")
        for (kind, size, why), n in sorted(missed.items(), key=str):
            line(kind, size, why, n)
    if column:
        table(f"least {column}", "precision", "warnings a week", "clusters of 25 and more, within 3 days", "surges", "decoys and nothing")
        for least in thresholds:
            planted, delays, raised, right, decoys, _ = at(rule, reports, least)
            large = [key for key in planted if key[0] == "cluster" and key[1] >= 25]
            surges = [key for key in planted if key[0] == "surge"]
            line(f"{least:g}", percent(right, raised), f"{raised / weeks:.2f}",
                 percent(sum(wait <= 3 for key in large for wait in delays[key]), sum(planted[key] for key in large)),
                 percent(sum(len(delays[key]) for key in surges), sum(planted[key] for key in surges)), sum(decoys.values()))
if "near_repeat" in RULES:
    all_of = [everything[seed]["near_repeat"] for seed in SEEDS]
    on = [one for one in all_of if one["bands"]]
    print(f"\n**near_repeat**: bands learned before these days hold in {len(on)} of {len(all_of)} cities.")
    if on:
        hits, calls = sum(one["hits"] for one in on), sum(one["calls"] for one in on)
        area = sum(one["windows"] for one in on) / sum(one["cells"] * args.days for one in on)
        later = [pair for one in on for pair in one["chains"]]
        table("cities", "cell-days open", "cells open a day", "burglaries in open windows", "PAI", "later burglaries of planted chains in windows", "chains with one at least")
        line(len(on), f"{100 * area:.2f} %", f"{sum(one['windows'] for one in on) / len(on) / args.days:.0f}", percent(hits, calls),
             f"{hits / calls / area:.2f}", percent(sum(a for a, _ in later), sum(b for _, b in later)), percent(sum(a > 0 for a, _ in later), len(later)))
