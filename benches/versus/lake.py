"""What the benches share: the data files of a table at its newest version, and timed runs of the program."""
import json, pathlib, resource, subprocess, time


def files(site, name):
    """The Parquet files that the log of a table's newest location shows."""
    places = pathlib.Path(site) / "lake" / "tables" / name.replace(".", "/")
    place = max((p for p in places.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    shown = {}
    for log in sorted((place / "_delta_log").glob("*.json")):
        for line in log.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                shown[action["add"]["path"]] = None
            elif "remove" in action:
                shown.pop(action["remove"]["path"], None)
    return [str(place / path) for path in shown]


def run(program, site, *words, check=True):
    """CPU seconds, wall seconds, peak MiB of any child so far, and the output."""
    before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([program, "--site", str(site), "--lang", "en", *words], capture_output=True, text=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - since
    if check and done.returncode:
        raise SystemExit(f"{words}: {done.returncode}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, after.ru_maxrss / 1024, done.stdout


def views(con, site, names):
    """The tables of the lake as views of DuckDB, with the months that folders carry."""
    for name in names:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
        con.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet({files(site, name)!r}, hive_partitioning = true, hive_types_autocast = false)")
