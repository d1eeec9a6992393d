#!/usr/bin/env python3
"""What a night costs: a full build, a night with nothing new, one new day, late calls on five scattered days.

    benches/versus/nights.py target/release/fenghuo WORK [--scale medium]

WORK holds the synthetic city (made once) and a site that is built anew. A new day is the last day of every alarm,
dispatch, feedback and clip file again, a day later and under other numbers. Prints the table of docs/benchmarks.md:
CPU and wall seconds of each night, and the bounds that CPU follows change, not history.
"""
import argparse, datetime, json, pathlib, re, shutil, subprocess, time
import lake

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--scale", default="medium")
parser.add_argument("--since", default="", help="only counties of one dialect, and of their lines those that name no earlier day")
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
work.mkdir(parents=True, exist_ok=True)
city = work / "city"
if not (city / "truth.json").exists():
    subprocess.run([program, "demo", str(city), "--scale", args.scale, "--sources-only"], check=True)
# counties whose files are of another encoding or dialect
OTHER = ("990103", "990106", "990108")
DAY = re.compile(rb"20\d\d-\d\d-\d\d")
site = work / f"site{args.since}"
shutil.rmtree(site, ignore_errors=True)
site.mkdir()
for entry in city.iterdir():
    if entry.name == "inbox":
        shutil.copytree(entry, site / "inbox", copy_function=lambda a, b: pathlib.Path(b).symlink_to(a))
    elif entry.is_dir():
        shutil.copytree(entry, site / entry.name)
    else:
        shutil.copy(entry, site / entry.name)


def run(*words):
    cpu, wall, _, out = lake.run(program, site, *words)
    return cpu, wall, out

def query(sql):
    return json.loads(run("query", sql, "--output", "json")[2])

def built():
    sql = ("SELECT name, message FROM ops.step WHERE kind = 'build' AND status = 'ok' "
           "AND run_id = (SELECT max(run_id) FROM ops.run) ORDER BY name")
    return {row["name"]: row["message"] for row in query(sql)}

def new_day(last, number):
    """The last day of the feeds again, a day later, under numbers of its own."""
    after, rows = last + datetime.timedelta(days=1), 0
    for feed, keys in (("alarm", 2), ("dispatch", 2), ("feedback", 2), ("video_index", 1)):
        for path in sorted((city / "inbox" / feed).iterdir()):
            text = path.read_bytes()
            # whose files have another dialect, needs other clocks and numbers
            if path.stem in OTHER or path.suffix not in (".csv", ".ndjson"):
                continue
            lines = text.split(b"\n")
            old, new = str(last).encode(), str(after).encode()
            kept = [line.replace(old, new) for line in lines if old in line]
            if not kept:
                continue
            if path.suffix == ".csv":
                mark = b"N%d" % number
                moved = [b",".join([mark + field if field and at < keys else field
                                    for at, field in enumerate(line.split(b","))]) for line in kept]
                moved.insert(0, lines[0])
            else:
                moved = [line.replace(b'"clip_id":"', b'"clip_id":"N%d' % number) for line in kept]
            rows += len(kept)
            (site / "inbox" / feed / f"{path.stem}_n{number}{path.suffix}").write_bytes(b"\n".join(moved) + b"\n")
    return after, rows

if args.since:
    for feed in ("alarm", "dispatch", "feedback", "video_index", "camera_status"):
        for path in (site / "inbox" / feed).iterdir():
            if path.stem in OTHER or path.suffix not in (".csv", ".ndjson"):
                path.unlink()
                continue
            lines = path.read_bytes().splitlines(keepends=True)
            path.unlink()
            kept = [line for at, line in enumerate(lines) if not (days := DAY.findall(line)) or min(days) >= args.since.encode()]
            path.write_bytes(b"".join(kept))

# as in life, files lie for a while before a night comes
time.sleep(3)
nights = {"full build": run("run")}
nights["nothing new"] = run("run")
days = query("SELECT min(biz_date) AS first, max(biz_date) AS last, count(*) AS n FROM core.alarm")[0]
first, last = (datetime.date.fromisoformat(days[key][:10]) for key in ("first", "last"))
last, rows = new_day(last, 1)
nights["one new day"] = run("run")
of_new = built()
source = next(path for path in sorted((city / "inbox" / "alarm").iterdir()) if path.read_bytes().startswith(b"alarm_no,"))
lines = source.read_bytes().split(b"\n")
late = [lines[0]]
for at in (30, 95, 160, 225, 290):
    day = str(first + datetime.timedelta(days=at)).encode()
    late.append(b"L%d" % at + next(line for line in lines if day in line))
(site / "inbox" / "alarm" / "late.csv").write_bytes(b"\n".join(late) + b"\n")
nights["five late calls"] = run("run")
of_late = built()
history = (last - first).days + 1
print(f"{days['n']} alarms over {history} days; the new day has {rows} rows\n")
print("| night | CPU s | wall s |\n|---|---|---|")
for name, (cpu, wall, _) in nights.items():
    print(f"| {name} | {cpu:.1f} | {wall:.1f} |")
full, nothing, one = (nights[name][0] for name in ("full build", "nothing new", "one new day"))
print(f"\none new day {one:.1f} s, bound nothing new + 3 x full / days = {nothing + 3 * full / history:.1f} s")
print("days of the new day:", {name: text for name, text in of_new.items()})
print("days of the late calls:", {name: text for name, text in of_late.items()})
