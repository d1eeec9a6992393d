#!/usr/bin/env python3
"""Ingest against DuckDB and Polars: the same files, one run, alternated, two threads, warm page cache.

    benches/versus/ingest.py target/release/fenghuo WORK [--scale medium] [--runs 5] [--times 1]

Fenghuo does the full contract: validation, protection, rejects, identities, sorted files, Delta commits with
fsync. The peers read every column as text, cast what has a type and write Parquet with zstd; they validate,
protect and sort nothing, and for GB18030 they are given a file that iconv made UTF-8, whose time is added to
theirs. WORK holds the inputs (made once from the synthetic city), the sites and the outputs; put it on a file
system in memory to leave the disk out. Prints the table of docs/benchmarks.md. `--times 10` makes every input
ten times as long, to show that memory stays.
"""
import argparse, json, os, pathlib, resource, shutil, statistics, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--scale", default="medium"); parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--times", type=int, default=1); parser.add_argument("--only", default="")
parser.add_argument("--peers", default="duckdb,polars")
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
work.mkdir(parents=True, exist_ok=True)

ALARM = ["alarm_no", "main_alarm_no", "reported_at", "report_mode", "category", "priority", "county", "area",
         "lon", "lat", "address", "place_kind", "caller_name", "caller_phone", "caller_id_no", "content"]
CLIP = ["clip_id", "camera_id", "begin_at", "end_at", "quality", "storage_ref", "clerk"]
CASTS = {
    "alarm": {"reported_at": "TIMESTAMP", "priority": "INTEGER", "lon": "DOUBLE", "lat": "DOUBLE"},
    "clip": {"begin_at": "TIMESTAMP", "end_at": "TIMESTAMP", "quality": "INTEGER"},
}
POLARS = {"TIMESTAMP": "%Y-%m-%d %H:%M:%S"}

def inputs():
    """One alarm file in UTF-8 and in GB18030, one clip index as CSV, made from the city's own files."""
    utf8, gb, clips = (work / name for name in ("alarm.csv", "alarm.gb18030.csv", "clip.csv"))
    if clips.exists():
        return utf8, gb, clips
    city = work / "city"
    if not (city / "truth.json").exists():
        subprocess.run([program, "demo", str(city), "--scale", args.scale, "--sources-only"], check=True)
    part = work / "part.csv"
    with open(part, "wb") as out:
        out.write((",".join(ALARM) + "\n").encode())
        # the counties whose files have the city's own layout, in whatever encoding
        for file in sorted((city / "inbox/alarm").glob("*.csv")):
            head, _, body = file.read_bytes().partition(b"\n")
            if b"alarm_no" not in head:
                continue  # another layout, with other times
            try:
                text = body.decode("utf-8")
            except UnicodeDecodeError:
                text = body.replace(b"\xff", b"").decode("gb18030", errors="ignore")
            out.write(text.encode())
    # a city exports its calls in the order in which they came
    head, *lines = part.read_bytes().splitlines(keepends=True)
    lines.sort(key=lambda line: line.split(b",", 3)[2] if line.count(b",") > 2 else b"")
    part.write_bytes(head + b"".join(lines))
    del lines
    with open(utf8, "wb") as out:
        for _ in range(args.times):
            with open(part, "rb") as source:
                if _: source.readline()
                shutil.copyfileobj(source, out, 1 << 24)
    part.unlink()
    subprocess.run(["iconv", "-f", "UTF-8", "-t", "GB18030", str(utf8), "-o", str(gb)], check=True)
    with open(clips, "w") as out:
        out.write(",".join(CLIP) + "\n")
        for _ in range(args.times):
            for file in sorted((city / "inbox/video_index").glob("*.ndjson")):
                for line in open(file, errors="ignore"):
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    text = [str(row.get(name) or "") for name in CLIP]
                    text[2], text[3] = (value[:19].replace("T", " ") for value in text[2:4])
                    out.write(",".join(text) + "\n")
    return utf8, gb, clips

def site(name, file, encoding):
    """A site that ingests one file under the standard contract of its feed."""
    folder = work / f"site_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "init", str(folder), "--defaults"], check=True, capture_output=True)
    inbox = folder / "inbox" / name
    inbox.mkdir(parents=True)
    (inbox / file.name).symlink_to(file)
    if name.startswith("alarm"):
        standard = (folder / "pipelines/contracts/alarm.toml").read_text()
        text = standard.replace('from = "inbox/alarm/*.csv"', f'from = "inbox/{name}/*"').replace("bounds = [101.0, 39.8, 102.3, 40.9]", f'bounds = [101.0, 39.8, 102.3, 40.9]\nencoding = "{encoding}"')
    else:
        standard = (folder / "pipelines/contracts/video_index.toml").read_text()
        text = (standard.replace('from = "inbox/video_index/*.ndjson"', f'from = "inbox/{name}/*"').replace('format = "ndjson"\n', "")
                .replace('format = "rfc3339", ', ""))
    for other in (folder / "pipelines/contracts").glob("*.toml"):
        other.unlink()
    (folder / "pipelines/contracts" / f"{name}.toml").write_text(text)
    shutil.rmtree(folder / "lake", ignore_errors=True)
    return folder

def timed(command, env=None):
    before = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    _, said = child.communicate()
    seconds = time.perf_counter() - before
    if child.returncode:
        sys.exit(f"{command}: {child.returncode}\n{said.decode()}")
    return seconds, said.decode()

def peak(command):
    """Peak memory of a process, MiB."""
    out = subprocess.run(["/usr/bin/time", "-f", "%M", *command], capture_output=True, text=True)
    return int(out.stderr.strip().splitlines()[-1]) / 1024

def ours(folder):
    shutil.rmtree(folder / "lake", ignore_errors=True)
    return [program, "--site", str(folder), "--quiet", "ingest"]

PEER = """
import sys, time
kind, engine, source, target = sys.argv[1:5]
casts = {casts!r}[kind]
if engine == "duckdb":
    import duckdb
    con = duckdb.connect(); con.execute("SET threads = 2")
    read = f"read_csv('{{source}}', all_varchar=true, header=true, ignore_errors=true)"
    names = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {{read}}").fetchall()]
    columns = ", ".join(f"try_cast({{n}} AS {{casts[n]}}) AS {{n}}" if n in casts else n for n in names)
    run = lambda: con.execute(f"COPY (SELECT {{columns}} FROM {{read}}) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd)")
else:
    import os
    os.environ["POLARS_MAX_THREADS"] = "2"
    import polars as pl
    kinds = {{"DOUBLE": pl.Float64, "INTEGER": pl.Int64}}
    frame = lambda: pl.scan_csv(source, infer_schema=False, ignore_errors=True, truncate_ragged_lines=True).with_columns(
        *[pl.col(n).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False) if t == "TIMESTAMP" else pl.col(n).cast(kinds[t], strict=False) for n, t in casts.items()])
    run = lambda: frame().sink_parquet(target, compression="zstd")
for warm in range(int(sys.argv[5])):
    start = time.perf_counter(); run(); print(time.perf_counter() - start, flush=True)
""".format(casts=CASTS)

def theirs(engine, kind, source):
    """The second run inside one process, which favours the peer."""
    target = work / f"peer_{engine}.parquet"
    out = subprocess.run([sys.executable, "-c", PEER, kind, engine, str(source), str(target), "2"], check=True, capture_output=True, text=True)
    return float(out.stdout.split()[-1])

utf8, gb, clips = inputs()
sites = {"alarm_utf8": (site("alarm_utf8", utf8, "utf-8"), "alarm", utf8, utf8),
         "alarm_gb18030": (site("alarm_gb18030", gb, "gb18030"), "alarm", gb, utf8),
         "clip": (site("clip", clips, "utf-8"), "clip", clips, clips)}
print("| job | size MB | Fenghuo s | peak MiB | peer | peer s | ratio of medians | best to best |\n|---|---|---|---|---|---|---|---|")
for name, (folder, kind, source, plain) in sites.items():
    if args.only and args.only not in name:
        continue
    memory = peak(ours(folder))
    times = {"ours": []}
    for _ in range(args.runs):
        times["ours"].append(timed(ours(folder))[0])
        for engine in filter(None, args.peers.split(",")):
            extra = 0.0
            if name == "alarm_gb18030":
                start = time.perf_counter()
                subprocess.run(["iconv", "-f", "GB18030", "-t", "UTF-8", str(gb), "-o", str(work / "iconv.csv")], check=True)
                extra = time.perf_counter() - start
            times.setdefault(engine, []).append(theirs(engine, kind, plain) + extra)
    mine = times.pop("ours")
    size = source.stat().st_size / 1e6
    for engine, seconds in times.items() or [("none", mine)]:
        print(f"| {name} | {size:.0f} | {statistics.median(mine):.2f} | {memory:.0f} | {engine} | {statistics.median(seconds):.2f} "
              f"| {statistics.median(mine) / statistics.median(seconds):.2f} | {min(mine) / min(seconds):.2f} |", flush=True)
