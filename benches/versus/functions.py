#!/usr/bin/env python3
"""Statistics in SQL against the packages that analysts use: the same rows, one run, two threads.

    benches/versus/functions.py target/release/fenghuo WORK [case …]

WORK gets the inputs (made once, as CSV), a site that is built anew, and the peers: a venv with esda, pointpats and
spopt; R with surveillance, by apt or into WORK/Rlib. What cannot be had is told as SKIPPED with its reason.

Fenghuo is timed as a whole process of `query`, nothing taken off; `rows` is the same process when it only counts the
rows. Peers are timed inside a process that runs already, on data that it has read, with weights and models that are
built and code that is compiled, which favours them; of R each package is as it comes, on one core. The least of three
runs counts, of peers that take over ten seconds the first. Answers are compared value by value, those that hang on
chance by how far they are apart on average. Scans have no peer of their own: they are held against local Moran's time.
"""
import collections, csv, io, math, os, pathlib, random, shutil, subprocess, sys, time

SIDE, SERIES, WEEKS, DAYS = 316, 1000, 312, 1095
DEMAND, SITES, POSTS, PATIENCE = 2000, 500, 30, 200
BANDS = "'space': [0, 1, 100, 200, 400, 800], 'time': [0, 1, 4, 8, 15, 29]"
Case = collections.namedtuple("Case", "table where ours check columns peers wanted")


# ------------------------------------------------------------------------------------------------ the peers of Python
def timed(work):
    """The least of up to three runs, and the last answer."""
    best = math.inf
    for _ in range(3):
        since = time.perf_counter()
        value = work()
        took = time.perf_counter() - since
        best = min(best, took)
        if took > 10:
            break
    return best, value


def peer(name, folder, out):
    """Runs one peer, writes its values to a file and says its seconds; in a process of its own."""
    import warnings
    warnings.filterwarnings("ignore")
    import numpy
    numpy.random.seed(1)
    table = lambda file: numpy.genfromtxt(f"{folder}/{file}.csv", delimiter=",", names=True)

    def grid():
        import libpysal
        rows = table("grid")
        weights = libpysal.weights.lat2W(SIDE, SIDE, rook=False)
        return rows, libpysal.graph.Graph.from_W(weights) if name.endswith("_graph") else weights

    if name.startswith("gi"):
        from esda import G_Local
        rows, weights = grid()
        work = lambda times: G_Local(rows["n"], weights, transform="B", star=True, permutations=times, n_jobs=2, keep_simulations=False, seed=1)
        if "999" in name:
            work(999)
        seconds, found = timed(lambda: work(999 if "999" in name else 0))
        values = [found.Zs] + ([found.p_sim] if "999" in name else [])
    elif name.startswith("moran"):
        from esda import Moran_Local
        rows, weights = grid()
        work = lambda times: Moran_Local(rows["n"], weights, permutations=times, n_jobs=2, keep_simulations=False, seed=1)
        work(999)
        seconds, found = timed(lambda: work(999))
        values = [found.Is, found.p_sim]
    elif name == "eb":
        from esda.smoothing import Spatial_Empirical_Bayes
        rows, weights = grid()
        seconds, found = timed(lambda: Spatial_Empirical_Bayes(rows["events"], rows["people"], weights))
        values = [found.r.ravel()]
    elif name == "knox":
        from pointpats import knox
        rows = table("incident")
        places, days = numpy.column_stack([rows["x"], rows["y"]]), rows["day"].reshape(-1, 1)
        seconds, found = timed(lambda: knox(places, days.copy(), delta=200, tau=7, permutations=99))
        values = [[found["stat"]]]
    elif name.startswith("mclp"):
        import pulp
        from spopt.locate import MCLP
        rows = table("pair")
        costs, weights = numpy.full((DEMAND, SITES), numpy.inf), numpy.zeros(DEMAND)
        demand = rows["demand"].astype(int)
        weights[demand] = rows["weight"]
        near = ~numpy.isnan(rows["site"])
        costs[demand[near], rows["site"][near].astype(int)] = rows["cost"][near]
        model = MCLP.from_cost_matrix(costs, weights, int(name.split("_")[1]), POSTS)
        seconds, _ = timed(lambda: model.problem.solve(pulp.HiGHS(msg=False, threads=2, timeLimit=PATIENCE)))
        values = [[sum(weight for weight, met in zip(weights, model.cli_vars) if met.value() > 0.5)]]
    else:
        sys.exit(f"no peer {name}")
    numpy.savetxt(out, numpy.column_stack(values), delimiter=",", header="", fmt="%.17g")
    print(seconds)


if sys.argv[1] == "--peer":
    peer(*sys.argv[2:5])
    sys.exit()
import lake

program, work, asked = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]


# ------------------------------------------------------------------------------------------------------- the inputs
def poisson(chance, mean):
    """A count, by the times between events."""
    least, product, count = math.exp(-mean), chance.random(), 0
    while product > least:
        product *= chance.random()
        count += 1
    return count


def weekly(chance):
    for series in range(SERIES):
        level, swing, phase, trend = chance.uniform(0.7, 15), chance.uniform(0, 0.5), chance.uniform(0, 6.28), chance.uniform(-0.3, 0.3)
        for slot in range(1, WEEKS + 1):
            burst = 3 if chance.random() < 0.02 else 1
            yield series, slot, poisson(chance, burst * level * math.exp(swing * math.sin(slot * 6.2832 / 52 + phase) + trend * slot / WEEKS))


def daily(chance):
    for series in range(SERIES):
        level = chance.uniform(0.2, 10)
        for slot in range(1, DAYS + 1):
            yield series, slot, poisson(chance, level * (3 if chance.random() < 0.01 else 1))


def grid(chance):
    for at in range(SIDE * SIDE):
        row, column = divmod(at, SIDE)
        heat = 1 + 0.5 * math.sin(row / 25) * math.sin(column / 40)
        people = chance.randint(50, 3000)
        yield at, poisson(chance, 12 * heat), poisson(chance, people * 0.01 * heat), people


def incident(chance):
    for at in range(20_000):
        yield at, round(chance.uniform(0, 10_000), 2), round(chance.uniform(0, 10_000), 2), chance.randrange(365)


def pair(chance):
    towns = [(chance.uniform(0, 25_000), chance.uniform(0, 25_000)) for _ in range(40)]

    def place():
        if chance.random() < 0.5:
            return chance.uniform(0, 25_000), chance.uniform(0, 25_000)
        x, y = chance.choice(towns)
        return chance.gauss(x, 1500), chance.gauss(y, 1500)
    sites, number = [place() for _ in range(SITES)], 0
    for demand in range(DEMAND):
        here, weight = place(), chance.randint(1, 50)
        near = [(site, round(math.dist(here, there), 1)) for site, there in enumerate(sites)]
        for site, cost in [(site, cost) for site, cost in near if cost <= 2500] or [("", "")]:
            yield number, demand, weight, site, cost
            number += 1


def scan(chance, events):
    """Days of 500 places with so many events in all, and the newest day of each place."""
    places = [(round(chance.uniform(0, 30_000), 1), round(chance.uniform(0, 30_000), 1), chance.uniform(0.3, 2)) for _ in range(500)]
    drawn = chance.choices(range(500), [weight for _, _, weight in places], k=events)
    counts = collections.Counter((place, chance.randrange(90)) for place in drawn)
    for place, (x, y, _) in enumerate(places):
        for day in range(90):
            if counts[place, day] or day == 89:
                yield place * 90 + day, place, x, y, day, counts[place, day]


# a table's key, its columns (those that end in ~ are decimal, those in ? may be empty) and its rows
TABLES = {
    "weekly": ("series, slot", "series slot n", weekly),
    "daily": ("series, slot", "series slot n", daily),
    "grid": ("id", "id n events people", grid),
    "incident": ("id", "id x~ y~ day", incident),
    "pair": ("id", "id demand weight~ site? cost~?", pair),
    "few": ("id", "id place x~ y~ day n", lambda chance: scan(chance, 8_945)),
    "many": ("id", "id place x~ y~ day n", lambda chance: scan(chance, 44_723)),
}


def bare(column):
    return column.rstrip("~?")


def made(tables):
    """The CSV files, and a site that has them as tables `mart.*`."""
    data, site = work / "data", work / "site"
    data.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(site, ignore_errors=True)
    subprocess.run([program, "init", str(site), "--defaults"], check=True, capture_output=True)
    for folder in ("sql", "pipelines/contracts"):
        shutil.rmtree(site / folder, ignore_errors=True)
    for folder in ("inbox", "sql/mart", "pipelines/contracts"):
        (site / folder).mkdir(parents=True, exist_ok=True)
    with open(site / "fenghuo.toml", "a") as settings:
        settings.write("\n[limits]\nquery_rows = 2000000\ntarget_partitions = 2\n")
    (site / "pipelines/nightly.toml").write_text('title_zh = "全部"\ntitle_en = "all"\ningest = ["*"]\nbuild = ["mart"]\n')
    for name in tables:
        key, columns, rows = TABLES[name]
        names = [bare(column) for column in columns.split()]
        file = data / f"{name}.csv"
        if not file.exists():
            with open(data / "part", "w", newline="") as out:
                csv.writer(out).writerows([names, *rows(random.Random(name))])
            (data / "part").rename(file)
        (site / "inbox" / f"{name}.csv").symlink_to(file)
        lines = [f'{bare(column)} = {{ type = "{"float" if "~" in column else "int"}", protect = "public"{"" if "?" in column else ", required = true"} }}'
                 for column in columns.split()]
        (site / f"pipelines/contracts/{name}.toml").write_text("\n".join([
            f'title_zh = "{name}"', f'title_en = "{name}"', f'from = "inbox/{name}.csv"', f'into = "source.{name}"', 'land = "snapshot"',
            'county = "none"', f"key = {key.split(', ')!r}", 'after = "leave"', "", "[columns]", *lines, ""]).replace("'", '"'))
        (site / f"sql/mart/{name}.sql").write_text(f"-- 表。 Table.\n-- @grain {key}\nSELECT {', '.join(names)} FROM source.{name}\n")
    lake.run(program, site, "--quiet", "run")
    return data, site


# -------------------------------------------------------------------------------------------------------- the cases
def series(table, where, call, first):
    """A detector over series: limits and alarms from slot `first` on."""
    over = f"{call} OVER (PARTITION BY series ORDER BY slot) AS v FROM mart.{table}{where}"
    return (f"SELECT sum(CASE WHEN v['alarm'] THEN 1 ELSE 0 END) AS alarms, max(v['upper']) AS upper FROM (SELECT {over}) AS t",
            f"SELECT v['upper'] AS upper, CASE WHEN v['alarm'] THEN 1 ELSE 0 END AS alarm FROM (SELECT series, slot, {over}) AS t WHERE slot >= {first} ORDER BY series, slot")


def places(call, values):
    """A function over the places of a grid: some of its numbers."""
    rows = f"(SELECT unnest({call}) AS v FROM mart.grid) AS t"
    return (f"SELECT {', '.join(f'max(v[{value!r}])' for value in values)} FROM {rows}",
            f"SELECT {', '.join(f'v[{value!r}] AS {value}' for value in values)} FROM {rows} ORDER BY v['id']")


def farrington(where, options, first, name):
    call = f"farrington(slot, n, {{'b': 5, 'w': 3, 'periods': 10, 'compat': 'r'{options}}})"
    return Case("weekly", where, *series("weekly", where, call, first), {"upper": 1e-4, "alarm": "equal"}, [("surveillance", name)], 40)


def ears(name, first):
    return Case("daily", "", *series("daily", "", f"{name}(slot, n)", first), {"upper": 1e-8, "alarm": "equal"}, [("surveillance", name)], 250)


def knox(where, options, peers, wanted):
    rows = f"(SELECT unnest(knox(x, y, day, {options})) AS v FROM mart.incident{where}) AS t"
    return Case("incident", where, f"SELECT count(*) AS bands, sum(v['observed']) AS pairs, min(v['p']) AS p FROM {rows}",
                f"SELECT v['observed'] AS observed FROM {rows} ORDER BY v['space_from'], v['time_from']", {"observed": "equal"}, peers, wanted)


def mclp(within):
    rows = f"(SELECT unnest(mclp(demand, weight, site, cost, {{'p': {POSTS}, 'within': {within}}})) AS v FROM mart.pair) AS t"
    covered = f"SELECT sum(weight) AS covered FROM (SELECT DISTINCT demand, weight FROM mart.pair WHERE cost <= {within} AND site IN (SELECT v['site'] FROM {rows})) AS c"
    return Case("pair", "", f"SELECT max(v['objective']) AS objective, max(v['bound']) AS bound FROM {rows}", covered, {"covered": "best"}, [("spopt, HiGHS", f"mclp_{within}")], 10)


def clusters(table, wanted):
    rows = f"(SELECT unnest(scan_permutation(place, x, y, day, n, {{'max_days': 14, 'max_share': 0.5, 'reps': 999}})) AS v FROM mart.{table}) AS t"
    return Case(table, "", f"SELECT count(*) AS clusters, max(v['llr']) AS llr, min(v['p']) AS p FROM {rows}", None, {}, [("esda's moran_999", "moran_999")], wanted)


QUEEN = f"{{'weights': 'queen', 'columns': {SIDE}"
CASES = {
    "farrington_newest": farrington("", ", 'last': 1", WEEKS, "farrington_newest"),
    "farrington_all": farrington(" WHERE series < 20", "", 5 * 52 + 3 + 1, "farrington_all"),
    "ears_c1": ears("ears_c1", 8),
    "ears_c2": ears("ears_c2", 10),
    "ears_c3": ears("ears_c3", 12),
    "gi": Case("grid", "", *places(f"gi_star(id, n, {QUEEN}}})", ["z"]), {"z": 1e-8}, [("esda", "gi"), ("esda, Graph", "gi_graph")], 40),
    "gi_999": Case("grid", "", *places(f"gi_star(id, n, {QUEEN}, 'permutations': 999}})", ["z", "p_sim"]), {"z": 1e-8, "p_sim": "chance"},
                   [("esda", "gi_999"), ("esda, Graph", "gi_999_graph")], 7),
    "moran_999": Case("grid", "", *places(f"local_moran(id, n, {QUEEN}, 'permutations': 999}})", ["i", "p_sim"]), {"i": 1e-8, "p_sim": "chance"},
                      [("esda", "moran_999"), ("esda, Graph", "moran_999_graph")], 3),
    "eb": Case("grid", "", *places(f"eb_rate_spatial(id, events, people, {QUEEN}}})", ["rate"]), {"rate": 1e-8}, [("esda", "eb")], 20),
    "knox": knox("", "{'space': [0, 200], 'time': [0, 8], 'reps': 99}", [("pointpats", "knox")], 1),
    "knox_bands": knox(" WHERE id < 5000", f"{{{BANDS}, 'reps': 9}}", [("NearRepeat", "knox_bands")], 5),
    "knox_bands_20000": knox("", f"{{{BANDS}, 'reps': 99}}", [], None),
    "mclp_1500": mclp(1500),
    "mclp_2500": mclp(2500),
    "scan": clusters("few", 2),
    "scan_44723": clusters("many", 1 / 1.3),
}
OF_R = {"surveillance": ("farrington_newest", "farrington_all", "ears_c1", "ears_c2", "ears_c3"), "NearRepeat": ("knox_bands",)}
IN_VENV = ("esda", "libpysal", "numba", "pointpats", "spopt", "highspy")


# --------------------------------------------------------------------------------------------------- getting the peers
def told(*command, seconds=1200):
    """Whether a command succeeds, and the last line that it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as failure:
        return False, str(failure)
    lines = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    return done.returncode == 0, lines[-1].strip() if lines else f"exit {done.returncode}"


def installed(names):
    """Why a package cannot be had, by its name."""
    missing, python, library = {}, str(work / "venv/bin/python"), work / "Rlib"
    library.mkdir(parents=True, exist_ok=True)
    needed = [package for package, cases in OF_R.items() if set(cases) & names]
    if any(name not in sum(OF_R.values(), ()) for name in names):
        fine, said = (True, "") if pathlib.Path(python).exists() else told(sys.executable, "-m", "venv", str(work / "venv"))
        for package in IN_VENV:
            if not told(python, "-c", f"import {package}")[0]:
                fine, said = told(python, "-m", "pip", "install", "-q", package)
                if not fine:
                    missing[package] = said
    if needed:
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        loads = lambda package: told("Rscript", "-e", f'.libPaths(c("{library}", .libPaths())); library({package})')[0]
        for package in needed:
            if loads(package):
                continue
            fine, _ = told(*root, "apt-get", "install", "-y", "-q", "--no-install-recommends", "r-base-core", f"r-cran-{package.lower()}")
            if not fine and shutil.which("Rscript") is None:
                told(*root, "apt-get", "install", "-y", "-q", "--no-install-recommends", "r-base-core")
            if not fine:
                told("Rscript", "-e", f'install.packages("{package}", lib = "{library}", repos = "https://cloud.r-project.org")', seconds=900)
            if not loads(package):
                missing[package] = f"no {package} for R, neither by apt nor from CRAN"
    return missing


def theirs(name):
    """Seconds and values of a peer, run once; or why there are none."""
    if name not in ran:
        package = next((package for package, cases in OF_R.items() if name in cases), None)
        needs = [package] if package else IN_VENV
        lacking = [missing[one] for one in needs if one in missing]
        out = work / f"{name}.out"
        script = pathlib.Path(__file__).resolve()
        command = ["Rscript", str(script.with_suffix(".R"))] if package else [str(work / "venv/bin/python"), str(script), "--peer"]
        # what older BLAS builds are told slows newer ones
        env = {key: value for key, value in os.environ.items() if key not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        env.update({f"{key}_NUM_THREADS": "2" for key in ("OMP", "OPENBLAS", "NUMBA")})
        if lacking:
            ran[name] = (None, lacking[0])
        else:
            done = subprocess.run([*command, name, str(data), str(out), str(work / "Rlib")], capture_output=True, text=True, env=env)
            if done.returncode:
                ran[name] = (None, (done.stderr.strip().splitlines() or ["no word"])[-1])
            else:
                rows = list(csv.reader(io.StringIO(out.read_text())))
                ran[name] = (float(done.stdout.split()[-1]), rows[1:] if package else rows)
    return ran[name]


# ---------------------------------------------------------------------------------------------------------- comparing
def ours(sql, runs=3):
    """The least seconds of a whole process, and the rows of its answer."""
    best, out = math.inf, ""
    for _ in range(runs):
        _, wall, _, out = lake.run(program, site, "query", sql, "--output", "csv")
        best = min(best, wall)
    return best, list(csv.DictReader(io.StringIO(out)))


def number(text):
    return float(text) if text not in ("", "nan", "NA") else None


def compared(left, right, columns):
    """What is equal, column by column, and whether all of it is."""
    if len(left) != len(right):
        return f"DIFFERENT: {len(left)} rows, {len(right)}", False
    words, fine = [], True
    for at, (name, limit) in enumerate(columns.items()):
        pairs = [(number(a), number(b[at])) for a, b in zip((row[name] for row in left), right)]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        alone = sum((a is None) != (b is None) for a, b in pairs)
        if limit == "equal":
            good = alone == 0 and all(a == b for a, b in both)
            words.append(f"{name} {sum(a for a, _ in both):.0f}, {sum(b for _, b in both):.0f}")
        elif limit == "best":
            good = both[0][0] >= 0.99 * both[0][1]
            words.append(f"{name} {both[0][0]:.0f} of {both[0][1]:.0f}")
        elif limit == "chance":
            apart = sum(abs(a - b) for a, b in both) / len(both)
            good = alone == 0 and apart < 0.02
            words.append(f"{name} ±{apart:.3f}, ≤ 0.05 in {sum(a <= 0.05 for a, _ in both)}, {sum(b <= 0.05 for _, b in both)}")
        else:
            worst = max((abs(a - b) / max(1, abs(b)) for a, b in both), default=math.inf)
            good = alone == 0 and worst <= limit
            words.append(f"{name} {worst:.0e} in {len(both)}")
        if not good:
            words[-1] = "DIFFERENT: " + words[-1] + (f", {alone} only on one side" if alone else "")
        fine &= good
    return "; ".join(words), fine


unknown = [name for name in asked if name not in CASES]
if unknown:
    sys.exit(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
chosen = {name: case for name, case in CASES.items() if not asked or name in asked}
missing = installed({key for case in chosen.values() for _, key in case.peers})
data, site = made({case.table for case in chosen.values()} | ({"grid"} if any(case.table in ("few", "many") for case in chosen.values()) else set()))
ran, failed = {}, False
print("| case | peer | peer s | Fenghuo s | rows s | ratio | wanted | check |\n|---|---|---|---|---|---|---|---|")
for name, case in chosen.items():
    measure = {"incident": "sum(day)", "pair": "sum(weight)"}.get(case.table, "sum(n)")
    floor = ours(f"SELECT count(*), {measure} FROM mart.{case.table}{case.where}")[0]
    try:
        seconds, answer = ours(case.ours)
        values = ours(case.check, 1)[1] if case.check else []
        mine = f"{seconds:.3f}"
    except SystemExit as refused:
        seconds, values, failed = None, [], True
        mine = "FAILED: " + next((line for line in str(refused).splitlines() if "rror" in line), "no answer")
    for at, (label, key) in enumerate(case.peers or [("", None)]):
        took, found = theirs(key) if key else (None, "")
        wanted = "" if at or case.wanted is None else f"{case.wanted:.2f}".rstrip("0").rstrip(".")
        peers = f"{took:.3f}" if took else f"SKIPPED: {found}" if key else ""
        ratio, check = "", ""
        if seconds and took:
            ratio = f"{took / seconds:.1f}" if took / seconds >= 10 else f"{took / seconds:.2f}"
        if seconds and took and case.check:
            check, fine = compared(values, found, case.columns)
            failed |= not fine
        elif seconds:
            check = ", ".join(f"{key} {value}" for key, value in answer[0].items())
        print(f"| {name} | {label} | {peers} | {mine} | {floor:.3f} | {ratio} | {wanted} | {check} |", flush=True)
sys.exit(1 if failed else 0)
