#!/usr/bin/env python3
"""Power of the early-warning statistics: what share of planted surges each finds, how soon, at equal false alarms.

    benches/power.py target/release/fenghuo WORK [--seeds 101-200] [--tune 1-20] [--scan-seeds 100] [--spread 0]
        [--labelled DIR]

The counts are made here, not by the demo, whose surges are all of one size and far above any limit: daily calls of one
category group in the streets of the demo's city at the medium scale, three years for weeks and the last 33 weeks for
days, drawn as src/city draws them (street weights, kind of day, season, mood of a county's day, repeated calls). In a
quarter of the streets one surge is planted, of 1.5 to 5 times the day's base over 1 to 14 days, in the last 20 weeks.
`--spread S` lets each street's day of the judged seeds vary more than any tuning knew (a gamma factor with standard
deviation S): what is left of the false alarms' budget then.

All verdicts come from `query` on one ingested site. Each rule gets one alpha on the tuning seeds, the largest that keeps
a budget of false alarms on streets without a surge; the other seeds are judged with it. The scan runs at the end of
days 1, 3 and 7 of the surges of 7 and 14 days, of at most `--scan-seeds` seeds. `--labelled` is a folder of series with
labelled_windows.json; nothing is tuned on it. Writes curves.csv, labelled.csv and power.png into WORK, prints Markdown
tables, and needs numpy and matplotlib, which it installs into WORK/venv where they are missing.
"""
import argparse, csv, datetime, io, json, math, os, pathlib, shutil, statistics, subprocess, sys, time, venv

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--seeds", default="101-200"); parser.add_argument("--tune", default="1-20")
parser.add_argument("--scan-seeds", type=int, default=100); parser.add_argument("--spread", type=float, default=0.0)
parser.add_argument("--labelled", type=pathlib.Path)
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
work.mkdir(parents=True, exist_ok=True)
try:
    import matplotlib, numpy as np
except ImportError:
    home = work / "venv"
    if sys.prefix == str(home):
        raise
    venv.create(home, with_pip=True)
    subprocess.run([home / "bin/pip", "install", "--quiet", "matplotlib"], check=True)
    os.execv(home / "bin/python", [str(home / "bin/python"), *sys.argv])
matplotlib.use("Agg")
from matplotlib import pyplot

def seeds_of(text):
    first, last = map(int, text.split("-"))
    return range(first, last + 1)

TUNE, JUDGE = seeds_of(args.tune), seeds_of(args.seeds)
EPOCH = datetime.date(1970, 1, 1)
def number(text): return (datetime.date.fromisoformat(text) - EPOCH).days

# the city, as src/city has it: population, urban, columns and rows of streets
COUNTIES = [(425143, 1, 3, 3), (471566, 1, 4, 2), (453555, 1, 4, 3), (619784, 1, 4, 3), (1237760, 0, 4, 4), (935200, 0, 5, 3),
            (1038337, 0, 4, 4), (1088553, 0, 4, 4), (969922, 0, 3, 5), (1462563, 0, 4, 4), (381407, 1, 3, 2)]
# weight in percent of all calls, factor on weekends and holidays, amplitude of the summer, noise of the festival
GROUPS = {"01": [(3, 1.05, .95, .1, 0), (.8, 1, 1.15, -.15, 0), (.1, 1.1, 1, -.05, 0), (1.6, .85, .7, 0, 0)],
          "02": [(1.6, 1.25, 1.2, .25, 0), (.7, 1.1, 1, .1, 0), (1.9, 1.3, 1.25, .35, 1), (.2, 1.1, 1.6, -.1, 0),
                 (.1, 1.1, .8, 0, 0)],
          "03": [(14, .9, .9, .05, 0), (6, .8, 1.1, 0, 0), (10, 1.05, .95, 0, 0)]}
TURN = ["03", "01", "03", "02"]  # the group of a seed
HOLIDAYS = ["2022-12-31/2023-01-02", "2023-01-21/2023-01-27", "2023-04-05/2023-04-05", "2023-04-29/2023-05-03",
            "2023-06-22/2023-06-24", "2023-09-29/2023-10-06", "2023-12-30/2024-01-01", "2024-02-10/2024-02-17",
            "2024-04-04/2024-04-06", "2024-05-01/2024-05-05", "2024-06-08/2024-06-10", "2024-09-15/2024-09-17",
            "2024-10-01/2024-10-07", "2025-01-01/2025-01-01", "2025-01-28/2025-02-04", "2025-04-04/2025-04-06",
            "2025-05-01/2025-05-05", "2025-05-31/2025-06-02", "2025-10-01/2025-10-08"]
WORKED = [*"2023-01-28 2023-01-29 2023-04-23 2023-05-06 2023-06-25 2023-10-07 2023-10-08 2024-02-04 2024-02-18 2024-04-07 "
          "2024-04-28 2024-05-11 2024-09-14 2024-09-29 2024-10-12 2025-01-26 2025-02-08 2025-04-27 2025-09-28 "
          "2025-10-11".split()]
FESTIVAL = [number(day) for day in "2023-01-21 2023-01-22 2024-02-09 2024-02-10 2025-01-28 2025-01-29".split()]
CALLS_A_DAY = 3_000_000 / 1_096
ALL_WEIGHTS = 100.0

LAST = number("2025-12-28")  # a Sunday
WEEKS, JUDGED, HISTORY = 156, 20, 13  # of the weekly series, judged, and before them for daily series
FROM = LAST - 7 * JUDGED + 1  # first judged day
DAYS = np.arange(LAST - 7 * WEEKS + 1, LAST + 1)
SIZES, LENGTHS, LONG = [1.5, 2, 3, 5], [1, 3, 7, 14], {7, 14}
PLANTED = 36

kind = np.where((DAYS + 3) % 7 >= 5, 1, 0)
holiday = np.zeros(len(DAYS), bool)
for span in HOLIDAYS:
    first, last = map(number, span.split("/"))
    holiday |= (DAYS >= first) & (DAYS <= last)
kind[np.isin(DAYS, [number(day) for day in WORKED])] = 0
kind[holiday] = 2
of_year = np.array([(EPOCH + datetime.timedelta(days=int(day))).timetuple().tm_yday for day in DAYS])
season = np.cos((of_year - 196) / 365.25 * 2 * np.pi)

def day_weights(group):
    total = np.zeros(len(DAYS))
    for weight, weekend, rest, summer, noise in GROUPS[group]:
        loud = np.where(np.isin(DAYS, FESTIVAL) & bool(noise), 4.0, 1.0)
        total += weight * np.choose(kind, [1.0, weekend, rest]) * (1 + summer * season) * loud
    return total

def said(*words):
    start = time.perf_counter()
    child = subprocess.run([program, *words], capture_output=True, text=True)
    if child.returncode:
        sys.exit(f"{words}: {child.returncode}\n{child.stdout}{child.stderr}")
    print(f"  {time.perf_counter() - start:6.1f} s  {words[-1][:70] if 'query' not in words else 'query'}", file=sys.stderr)
    return child.stdout

def streets():
    """Codes and positions of the streets, from the area file of the demo's own city."""
    file = work / "areas.csv"
    if not file.exists():
        said("demo", str(work / "city"), "--sources-only", "--quiet")
        shutil.copy(work / "city/inbox/area/areas.csv", file)
        shutil.rmtree(work / "city")
    rows = [row for row in csv.DictReader(open(file)) if row["kind"] == "street"]
    return [(int(row["code"]), float(row["lon"]), float(row["lat"])) for row in rows]

AREAS = streets()
COUNTY_OF = np.repeat(np.arange(len(COUNTIES)), [columns * rows for _, _, columns, rows in COUNTIES])
assert len(AREAS) == len(COUNTY_OF)

def draw(seed):
    """Daily counts by street and the truth of what was planted."""
    random = np.random.default_rng([9901, seed])
    group = TURN[seed % len(TURN)]
    weights = 0.6 + 0.8 * random.random(len(AREAS))
    for county, (_, urban, columns, rows) in enumerate(COUNTIES):
        at = np.flatnonzero(COUNTY_OF == county)
        if not urban:
            weights[at[rows // 2 * columns + columns // 2]] *= 4
        weights[at] /= weights[at].sum()
    load = np.array([people * (1.3 if urban else 0.85) for people, urban, _, _ in COUNTIES])
    of_county = CALLS_A_DAY / ALL_WEIGHTS * load / load.sum()
    mood = np.exp(0.07 * random.standard_normal((len(COUNTIES), len(DAYS))))
    base = weights[:, None] * (of_county[:, None])[COUNTY_OF] * day_weights(group)[None, :]
    mean = base * mood[COUNTY_OF]
    if args.spread and seed in JUDGE:
        mean *= random.gamma(args.spread ** -2, args.spread ** 2, mean.shape)
    # of the calls that may be repeated 5.5 % are, and a repeat takes the place of another call
    mains = random.poisson(mean / 1.055)
    counts = mains + random.binomial(mains, 0.055)
    truth = []
    chosen = random.choice(len(AREAS), PLANTED, replace=False)
    mixed = random.permutation([(size, length) for size in SIZES for length in LENGTHS])
    for turn, street in enumerate(chosen):
        size, length = mixed[turn % len(mixed)]
        first = int(random.integers(FROM + 7, LAST - int(length) + 1))
        at = np.flatnonzero((DAYS >= first) & (DAYS < first + length))
        counts[street, at] += random.poisson((size - 1) * base[street, at])
        truth.append({"seed": seed, "area": AREAS[street][0], "size": float(size), "length": int(length), "first": first,
                      "last": first + int(length) - 1, "base": float(base[street, -7 * JUDGED:].mean())})
    return counts, truth

def columns(**types):
    lines = (f'{name} = {{ type = "{kind}", protect = "public", required = true }}\n' for name, kind in types.items())
    return "\n[columns]\n" + "".join(lines)

COUNTED = 'key = ["seed", "area", "day"]\n' + columns(seed="int", area="int", day="int", n="int")
CONTRACTS = {"daily": COUNTED, "weekly": COUNTED,
             "labelled": 'key = ["series", "slot"]\n' + columns(series="string", slot="int", n="float")}

GRAINS = {"nyc_taxi": ("day", "hour"), "TravelTime_387": ("day",), "TravelTime_451": ("day",)}  # the others by hour
SECONDS = {"day": 86_400, "hour": 3_600}

def labelled_series():
    """Rides summed, other values as means of a day or hour; speed as what it lacks to 100, since slow is the surge."""
    series, windows = {}, {}
    for path, spans in json.loads((args.labelled / "labelled_windows.json").read_text()).items():
        name = pathlib.Path(path).stem
        for grain in GRAINS.get(name, ("hour",)):
            def slot(text):
                return int(datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp() // SECONDS[grain])
            slots = {}
            for row in csv.DictReader(open(args.labelled / f"{name}.csv")):
                value = float(row["value"])
                slots.setdefault(slot(row["timestamp"]), []).append(100 - value if name.startswith("speed") else value)
            series[f"{grain}:{name}"] = {at: sum(x) if name == "nyc_taxi" else sum(x) / len(x) for at, x in slots.items()}
            windows[f"{grain}:{name}"] = [tuple(map(slot, span)) for span in spans]
    return series, windows

site, truth = work / "site", {}
done, made_of = site / "made", f"{args.tune} {args.seeds} {args.spread} {args.labelled}"
fresh = not done.exists() or done.read_text() != made_of
if fresh:
    shutil.rmtree(site, ignore_errors=True)
    said("init", str(site), "--defaults", "--lang", "en")
    for old in [*site.glob("pipelines/contracts/*.toml"), *site.glob("sql/*/*.sql")]:
        old.unlink()
    with open(site / "fenghuo.toml", "a") as settings:
        settings.write("\n[limits]\nquery_rows = 10000000\n")
    (site / "pipelines/nightly.toml").write_text(
        'title_zh = "检出力"\ntitle_en = "power"\ningest = ["*"]\nbuild = ["mart"]\n')
    for name in [name for name in CONTRACTS if name != "labelled" or args.labelled]:
        (site / f"inbox/{name}").mkdir(parents=True)
        (site / f"pipelines/contracts/{name}.toml").write_text(
            f'title_zh = "计数"\ntitle_en = "counts"\nfrom = "inbox/{name}/*.csv"\ninto = "source.{name}"\ncounty = "none"\n'
            + CONTRACTS[name])
        key = "series, slot" if name == "labelled" else "seed, area, day"
        (site / f"sql/mart/power_{name}.sql").write_text(
            f"-- 计数。 Counts.\n-- @grain {key}\nSELECT {key}, n FROM source.{name}\n")
for seed in [*TUNE, *JUDGE]:
    counts, truth[seed] = draw(seed)
    if fresh:
        weekly = counts.reshape(len(AREAS), WEEKS, 7).sum(axis=2)
        kept = range(len(DAYS) - 7 * (JUDGED + HISTORY), len(DAYS))
        for name, table, slots, days in (("daily", counts, kept, DAYS), ("weekly", weekly, range(WEEKS), DAYS[6::7])):
            with open(site / f"inbox/{name}/{seed}.csv", "w") as out:
                out.write("seed,area,day,n\n")
                for street, (code, _, _) in enumerate(AREAS):
                    out.write("".join(f"{seed},{code},{days[at]},{table[street, at]}\n" for at in slots))
if args.labelled:
    series, windows = labelled_series()
if fresh:
    if args.labelled:
        with open(site / "inbox/labelled/labelled.csv", "w") as out:
            out.write("series,slot,n\n")
            for name, slots in series.items():
                out.write("".join(f"{name},{at},{n!r}\n" for at, n in sorted(slots.items())))
    said("--site", str(site), "--quiet", "run", "nightly")
    done.write_text(made_of)

def query(sql):
    lines = csv.reader(io.StringIO(said("--site", str(site), "--quiet", "query", sql, "--output", "csv")))
    next(lines)
    return list(lines)

# function, table, options without alpha, days after a surge's first and last on which an alarm still looks at it as new
DETECTORS = {
    "ears_c1": ("ears_c1", "daily", "", 0, 0),
    "ears_c2": ("ears_c2", "daily", "", 0, 0),
    "ears_c3": ("ears_c3", "daily", "", 1, 2),
    "ears_c2, 28 days": ("ears_c2", "daily", "'baseline': 28", 0, 0),
    "calendar_baseline": ("calendar_baseline", "daily", "'period': 7, 'k': 12", 0, 0),
    "farrington": ("farrington", "weekly", f"'b': 2, 'step': 7, 'last': {JUDGED}", 0, 6)}
DEFAULTS = {"ears_c3": 0.025, "farrington": 0.005}  # others 0.001
DAILY = [name for name, of in DETECTORS.items() if of[1] == "daily"]
RULES = [(name, need) for name in DETECTORS for need in ((1, 2) if name in DAILY else (1,))]
BUDGETS = [0.1, 1.0]  # false alarms per 100 unit-days
CHUNK = 20  # seeds of a query

def over(name, options="", by="seed, area", slot="day"):
    every = ", ".join(part for part in (DETECTORS[name][2], options) if part)
    return f"{DETECTORS[name][0]}({slot}, n{f', {{{every}}}' if every else ''}) OVER (PARTITION BY {by} ORDER BY {slot})"

AT = {code: at for at, (code, _, _) in enumerate(AREAS)}
def chunks(seeds):
    seeds = list(seeds)
    return [(seeds[at], seeds[min(at + CHUNK, len(seeds)) - 1]) for at in range(0, len(seeds), CHUNK)]

def of_ears(name): return name.startswith("ears")
def of_level(name, alpha):
    """The score that belongs to a level: the normal quantile, or the logarithm of the chance."""
    return statistics.NormalDist().inv_cdf(1 - alpha) if of_ears(name) else -math.log(alpha)

def scores():
    """By detector and tuning seed the score of each street and slot, higher is odder; no verdict is never odd."""
    found = {}
    for first, last in chunks(TUNE):
        for seed in range(first, last + 1):
            for name in DETECTORS:
                found[name, seed] = np.full((len(AREAS), 7 * JUDGED + 2 if name in DAILY else JUDGED), -np.inf)
        columns = ", ".join(f"{over(name)}['{'z' if of_ears(name) else 'p'}']" for name in DAILY)
        rows = query(f"SELECT * FROM (SELECT seed, area, day, n, {columns} FROM mart.power_daily "
                     f"WHERE seed BETWEEN {first} AND {last}) AS t WHERE day >= {FROM - 2}")
        for seed, area, day, n, *numbers in rows:
            at = AT[int(area)], int(day) - FROM + 2
            for name, text in zip(DAILY, numbers):
                # of C3 the limit is never below zero, so that no calls are no alarm
                if text and (name != "ears_c3" or int(n)):
                    found[name, int(seed)][at] = float(text) if of_ears(name) else -math.log(max(float(text), 1e-300))
        rows = query(f"SELECT seed, area, day, f['p'], f['reason'] FROM (SELECT seed, area, day, {over('farrington')} AS f "
                     f"FROM mart.power_weekly WHERE seed BETWEEN {first} AND {last}) AS t WHERE day >= {FROM}")
        for seed, area, day, p, reason in rows:
            if p and reason != "few_events":
                found["farrington", int(seed)][AT[int(area)], (int(day) - FROM) // 7] = -math.log(max(float(p), 1e-300))
    return found

def persistent(score, need):
    """The score that is passed where `need` of the last three slots pass; one of one: the slot's own."""
    last = np.stack([score[:, 2:], score[:, 1:-1], score[:, :-2]])
    return score[:, 2:] if need == 1 else np.sort(last, axis=0)[1]

def clean(seed):
    mask = np.ones(len(AREAS), bool)
    mask[[AT[row["area"]] for row in truth[seed]]] = False
    return mask

def tuned():
    """The alpha of every rule and budget, the highest at which clean streets of the tuning seeds stay within it, and by
    rule the false alarms of the function's own default; what the tuned alphas give there."""
    found, alphas, plain, kept = scores(), {}, {}, {}
    for name, need in RULES:
        slot_days = 1 if name in DAILY else 7
        parts = [(persistent(found[name, seed], need) if name in DAILY else found[name, seed])[clean(seed)] for seed in TUNE]
        # equal scores differ in their last digits
        flat = np.sort(np.round(np.concatenate([part.ravel() for part in parts]), 7))[::-1]
        plain[name, need] = 100 * (flat >= of_level(name, DEFAULTS.get(name, 0.001))).mean() / slot_days
        for budget in BUDGETS:
            # between the last score that may alarm and the first that must not
            bad = flat[int(len(flat) * budget / 100 * slot_days)]
            score = (flat[flat > bad].min() + bad) / 2
            alphas[name, need, budget] = math.erfc(score / math.sqrt(2)) / 2 if of_ears(name) else math.exp(-score)
            kept[name, need, budget] = 100 * (flat > score).mean() / slot_days
    return alphas, plain, kept

def persisting(alarm, need, by):
    last = f"OVER (PARTITION BY {by} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)"
    return f"coalesce({alarm}, false)" if need == 1 else f"sum(CASE WHEN {alarm} THEN 1 ELSE 0 END) {last} >= 2"

def level(alpha): return f"'alpha': {alpha:.12e}"

def alarms(seeds, alphas):
    """Seeds, streets and days with an alarm of each rule and budget, as the function says it."""
    found = {key: set() for key in alphas}
    for table in ("daily", "weekly"):
        keys = [key for key in alphas if DETECTORS[key[0]][1] == table]
        inner = ", ".join(f"{over(key[0], level(alphas[key]))}['alarm'] AS a{at}" for at, key in enumerate(keys))
        needs = [persisting(f"a{at}", need, "seed, area ORDER BY day") for at, (_, need, _) in enumerate(keys)]
        outer = ", ".join(f"{alarm} AS b{at}" for at, alarm in enumerate(needs))
        some = " OR ".join(f"b{at}" for at in range(len(keys)))
        for first, last in chunks(seeds):
            rows = query(f"SELECT * FROM (SELECT seed, area, day, {outer} FROM (SELECT seed, area, day, {inner} FROM "
                         f"mart.power_{table} WHERE seed BETWEEN {first} AND {last}) AS t) AS u "
                         f"WHERE day >= {FROM} AND ({some})")
            for seed, area, day, *flags in rows:
                for key, flag in zip(keys, flags):
                    if flag == "true":
                        found[key].add((int(seed), AT[int(area)], int(day)))
    return found

def delay(name, need, days, row):
    """Days from the surge's beginning to its alarm, 1 at the end of the first; None if none came in time."""
    first, last = row["first"] + DETECTORS[name][3], row["last"] + DETECTORS[name][4] + (2 if need == 2 else 0)
    hit = [day for day in days if first <= day <= last]
    return min(hit) - row["first"] + 1 if hit else None

SCAN_DAYS, SCAN_BACK, SCAN_SPAN = (1, 3, 7), 56, 7
CLASSES = [("under 1", 0, 1), ("1 to 3", 1, 3), ("3 and more", 3, 1e9)]
def judge(found, seeds, keys):
    """Delays of every planted surge, chance delays of the same shapes in clean streets, and false alarms."""
    result = {}
    for key in keys:
        name, need, budget = key
        by_street = {}
        for seed, street, day in found[key]:
            by_street.setdefault((seed, street), []).append(day)
        planted, chance, wrong, units, on_holiday = [], [], 0, 0, 0
        rest = {int(day) for day in DAYS[holiday]}
        for seed in seeds:
            free = np.flatnonzero(clean(seed))
            units += len(free) * 7 * JUDGED
            for street in free:
                days = by_street.get((seed, street), [])
                wrong += len(days)
                on_holiday += sum(day in rest for day in days)
            for turn, row in enumerate(truth[seed]):
                planted.append((row, delay(name, need, by_street.get((seed, AT[row["area"]]), []), row)))
                chance.append((row, delay(name, need, by_street.get((seed, free[turn]), []), row)))
        result[key] = {"planted": planted, "chance": chance, "false": 100 * wrong / units,
                       "holiday": on_holiday / max(wrong, 1)}
    return result

def share(pairs, most=99, **such):
    kept = [wait for row, wait in pairs if all(row[name] in values for name, values in such.items())]
    return (sum(wait is not None and wait <= most for wait in kept) / len(kept) if kept else math.nan), len(kept)

def part(some, all): return percent(some / all) if all else "–"
def median(waits): return f"{np.median(waits):g}" if waits else "–"
def percent(x): return "–" if math.isnan(x) else f"{100 * x:.0f}"

def scans(seeds):
    """Of one scan a long surge and day: the surge, the day, and of each cluster its p, whether it holds the surge's street,
    and whether it holds any street that surges."""
    found = []
    for seed in seeds:
        tasks = [(row, row["first"] + day - 1, day) for row in truth[seed] if row["length"] in LONG for day in SCAN_DAYS]
        ends = ", ".join(f"({at}, {last})" for at, (_, last, _) in enumerate(tasks))
        places = ", ".join(f"({code}, {lon}, {lat})" for code, lon, lat in AREAS)
        scan = (f"scan_permutation(d.area, p.lon, p.lat, d.day, d.n, {{'metric': 'sphere', 'max_days': {SCAN_SPAN}, "
                "'max_radius': 20000, 'max_share': 0.1, 'reps': 99})")
        rows = query(f"SELECT task, array_to_string(c['members'], ' '), least(c['p'], c['p_gumbel']) "
                     f"FROM (SELECT k.task, unnest({scan}) AS c FROM (VALUES {ends}) AS k (task, last) "
                     f"JOIN mart.power_daily AS d ON d.seed = {seed} AND d.day > k.last - {SCAN_BACK} AND d.day <= k.last "
                     f"JOIN (VALUES {places}) AS p (area, lon, lat) ON p.area = d.area GROUP BY k.task) AS t")
        clusters = {}
        for task, members, p in rows:
            clusters.setdefault(int(task), []).append((float(p), {int(code) for code in members.split()}))
        for at, (row, last, day) in enumerate(tasks):
            # a street surges while a surge touches the days that the scan looks at
            active = {other["area"] for other in truth[seed] if other["first"] <= last < other["last"] + SCAN_SPAN}
            of = [(p, row["area"] in inside, bool(inside & active)) for p, inside in clusters.get(at, [])]
            found.append((row, day, of))
    return found

def scan_false(found, most):
    wrong = sum(p <= most and not touches for _, _, clusters in found for p, _, touches in clusters)
    return 100 * wrong / (len(found) * len(AREAS))

alphas, plain, kept = tuned()
on_tuning = judge(alarms(TUNE, alphas), TUNE, alphas)
for key, of in on_tuning.items():
    # the function's alarms are those that its scores promised
    assert abs(of["false"] - kept[key]) < 0.02 * key[2], (key, of["false"], kept[key])
result = judge(alarms(JUDGE, alphas), JUDGE, alphas)

def chosen(name, budget):
    """Of a detector's rules the one that finds more within a week on the tuning seeds."""
    rules = [key for key in alphas if key[0] == name and key[2] == budget]
    return max(rules, key=lambda key: share(on_tuning[key]["planted"], 7)[0])

out = csv.writer(open(work / "curves.csv", "w"))
out.writerow("detector need_of_3 budget false_alarms base size length by_day share planted".split())
for (name, need, budget), of in result.items():
    for label, low, high in [("all", 0, 1e9), *CLASSES]:
        for size in [1, *SIZES]:
            for length in LENGTHS:
                pairs = [(row, wait) for row, wait in of["chance" if size == 1 else "planted"]
                         if low <= row["base"] < high and row["length"] == length and size in (1, row["size"])]
                for day in range(1, length + 7):
                    x, count = share(pairs, day)
                    if count:
                        out.writerow([name, need, budget, round(of["false"], 4), label, size, length, day, round(x, 4), count])

def label(name, need): return f"{name}, 2 of 3" if need == 2 else name
print(f"Seeds {args.seeds}, tuned on {args.tune}; {len(AREAS)} streets, {7 * JUDGED} days judged, {PLANTED} surges a seed, "
      f"spread {args.spread}.\n")
def table(*head):
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")

def line(*cells):
    print(f"| {' | '.join(map(str, cells))} |")

for budget in BUDGETS:
    marked = {chosen(name, budget)[:2] for name in DETECTORS}
    def named(rule): return label(*rule) + (" *" if rule in marked else "")
    print(f"Budget {budget} false alarms per 100 unit-days (* the better rule on the tuning seeds). Surges found, %.\n")
    table("rule", "at its default alpha", "alpha", "false alarms", "by chance", *(f"{size:g}x" for size in SIZES),
          "3x, 7 and 14 days long: by day 1", "day 3", "day 7", "5x: by day 1", "day 3", "day 7", "median days to alarm, 3x")
    for rule in RULES:
        of = result[*rule, budget]
        cells = [share(of["chance"])] + [share(of["planted"], size={size}) for size in SIZES]
        cells += [share(of["planted"], day, size={size}, length=LONG) for size in (3, 5) for day in (1, 3, 7)]
        waits = [wait for row, wait in of["planted"] if wait and row["size"] == 3]
        line(named(rule), f"{plain[rule]:.2f}", f"{alphas[*rule, budget]:.2g}", f"{of['false']:.3f}",
             *(percent(cell) for cell, _ in cells), median(waits))
    print("\nSurges of 3x: by the street's mean calls a day (7 and 14 days long, by day 7), by length (at all).\n")
    table("rule", *(name for name, _, _ in CLASSES), *(f"{length} d" for length in LENGTHS), "of the false alarms on holidays")
    for rule in RULES:
        of = result[*rule, budget]
        by_base = [[(row, wait) for row, wait in of["planted"] if low <= row["base"] < high] for _, low, high in CLASSES]
        line(named(rule), *(percent(share(pairs, 7, size={3}, length=LONG)[0]) for pairs in by_base),
             *(percent(share(of["planted"], size={3}, length={length})[0]) for length in LENGTHS), percent(of["holiday"]))
    print()

scanned, wrongs = {}, {}
if args.scan_seeds:
    before, after = scans(list(TUNE)[:args.scan_seeds]), scans(list(JUDGE)[:args.scan_seeds])
    levels = sorted({p for _, _, clusters in before for p, _, _ in clusters})
    print(f"scan_permutation of all streets on one day, {len(before)} scans tuned on, {len(after)} judged: clusters that hold "
          "the surge's street, %, surges of 7 and 14 days.\n")
    table("budget", "p at most", "false alarms", "size", *(f"day {day}" for day in SCAN_DAYS), "surges")
    for budget in BUDGETS:
        most = max((p for p in levels if scan_false(before, p) <= budget), default=0.0)
        wrong = wrongs[budget] = scan_false(after, most)
        for size in SIZES:
            hits = [[any(p <= most and holds for p, holds, _ in clusters) for row, at, clusters in after
                     if row["size"] == size and at == day] for day in SCAN_DAYS]
            scanned[budget, size] = [sum(hit) / len(hit) for hit in hits]
            for day, x in zip(SCAN_DAYS, scanned[budget, size]):
                known = "scan_permutation", 1, budget, round(wrong, 4), "all", size, "7+14"
                out.writerow([*known, day, round(x, 4), len(hits[0])])
            line(budget, f"{most:.2g}", f"{wrong:.3f}", f"{size:g}x", *map(percent, scanned[budget, size]), len(hits[0]))
    print()

budget = BUDGETS[0]
names = [*DETECTORS, *(["scan_permutation"] if scanned else [])]
figure, axes = pyplot.subplots(2, 4, figsize=(15, 7), sharex=True, sharey=True, layout="constrained")
colours = dict(zip(SIZES, pyplot.cm.viridis([0.85, 0.6, 0.35, 0.05])))
for axis, name in zip(axes.flat, names):
    if name == "scan_permutation":
        for size in SIZES:
            axis.plot(SCAN_DAYS, [100 * x for x in scanned[budget, size]], "o", color=colours[size], linestyle=":")
        axis.set_title(f"scan_permutation, days alone ({wrongs[budget]:.2f})")
    else:
        key = chosen(name, budget)
        def curve(pairs, **such):
            return [100 * share(pairs, day, length=LONG, **such)[0] for day in range(1, 15)]
        for size in SIZES:
            axis.step(range(1, 15), curve(result[key]["planted"], size={size}), where="post", color=colours[size],
                      label=f"{size:g} times the base")
        axis.step(range(1, 15), curve(result[key]["chance"]), where="post", color="grey", linestyle="--",
                  label="no surge (chance)")
        axis.set_title(f"{label(name, key[1])} ({result[key]['false']:.2f})")
    axis.grid(alpha=0.3)
    axis.set_xlabel("days since the surge began")
    axis.tick_params(labelbottom=True)
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower right", bbox_to_anchor=(0.97, 0.2))
for axis in axes[:, 0]: axis.set_ylabel("surges found, %")
for axis in axes.flat[len(names):]: axis.set_visible(False)
axes[0, 0].set(ylim=(0, 100), xlim=(1, 14))
figure.suptitle(f"Surges of 7 and 14 days found by the end of each day, at a budget of {budget} false alarms per 100 "
                "street-days (in brackets: reached)")
figure.savefig(work / "power.png", dpi=110)

def labelled():
    """The tuned rules on the labelled series, as they are: an hour or a day is a slot, weeks of twelve a calendar."""
    print("Labelled series: windows with a verdict, those found, alarms, how many lie in windows, how many by chance.\n")
    table("budget", "slots", "rule", "windows judged", "recall %", "alarms", "precision %", "by chance %", "median wait, slots")
    sheet = csv.writer(open(work / "labelled.csv", "w"))
    sheet.writerow("budget slots rule series windows judged found alarms alarms_inside".split())
    for budget, grain, rule in [(x, y, z) for x in BUDGETS for y in ("day", "hour") for z in RULES if z[0] in DAILY]:
        options = level(alphas[*rule, budget])
        judged = over(rule[0], options, "series", "slot").replace("'period': 7", f"'period': {7 if grain == 'day' else 168}")
        alarm = persisting("a", rule[1], "series ORDER BY slot")
        rows = query(f"SELECT series, slot, a IS NOT NULL, {alarm} FROM (SELECT series, slot, {judged}['alarm'] AS a "
                     f"FROM mart.power_labelled WHERE series LIKE '{grain}:%') AS t ORDER BY series, slot")
        total, sums, waits, inside, known_slots = 0, np.zeros(4, int), [], 0, 0
        for name, spans in windows.items():
            slots = [(int(at), known == "true", alarm == "true") for which, at, known, alarm in rows if which == name]
            if not slots:
                continue
            def within(at): return any(first <= at <= last for first, last in spans)
            raised = [at for at, _, alarm in slots if alarm]
            known = [at for at, known, _ in slots if known]
            seen = [(first, last) for first, last in spans if any(first <= at <= last for at in known)]
            hits = [[at - first for at in raised if first <= at <= last] for first, last in seen]
            waits += [min(hit) for hit in hits if hit]
            of = len(seen), sum(map(bool, hits)), len(raised), sum(map(within, raised))
            sheet.writerow([budget, grain, label(*rule), name, len(spans), *of])
            total, sums = total + len(spans), sums + of
            inside, known_slots = inside + sum(map(within, known)), known_slots + len(known)
        seen, hit, raised, right = map(int, sums)
        line(budget, grain, label(*rule), f"{seen} of {total}", part(hit, seen), raised, part(right, raised),
             part(inside, known_slots), median(waits))

if args.labelled:
    labelled()
