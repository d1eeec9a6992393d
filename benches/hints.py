#!/usr/bin/env python3
"""How long a place hint takes, with the release open, over random calls of a city.

    benches/hints.py target/release/fenghuo SITE [--calls 10000] [--numbers FILE]

One process (`hints --pipe`) is asked one question after the other; a time is from writing a question to having read its
answer. Calls are drawn by a fixed seed from those with a position; with --numbers they are asked for by the number of their record, as
many as the file has lines: `{"alarm": "...", "contract": "..."}` each, or bare numbers. Prints Markdown with the cold command beside.
"""
import argparse, csv, io, json, random, subprocess, time

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("site")
parser.add_argument("--calls", type=int, default=10_000)
parser.add_argument("--numbers")
args = parser.parse_args()
said = subprocess.run([args.program, "--site", args.site, "query", "--output", "csv",
                       "SELECT lon, lat, category FROM mart.citizen_alarm WHERE cell IS NOT NULL ORDER BY md5(CAST(alarm_id AS VARCHAR)) "
                       f"LIMIT {args.calls}"], capture_output=True, text=True, check=True).stdout
calls = list(csv.DictReader(io.StringIO(said)))
random.Random(1).shuffle(calls)

def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start

def question(call):
    return json.dumps({"lon": float(call["lon"]), "lat": float(call["lat"]), "category": call["category"]})

questions = [question(call) for call in calls]
if args.numbers:
    lines = [line.strip() for line in open(args.numbers) if line.strip()]
    questions = [line if line.startswith("{") else json.dumps({"alarm": line}) for line in lines]
    random.Random(1).shuffle(questions)
one = calls[0]
cold = sorted(seconds([args.program, "--site", args.site, "hints", "--lon", one["lon"], "--lat", one["lat"], "--category", one["category"]])
              for _ in range(5))
start = time.perf_counter()
with subprocess.Popen([args.program, "--site", args.site, "--quiet", "hints", "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                      text=True, bufsize=1) as pipe:
    times, told, errors, opened = [], 0, 0, None
    for question in questions:
        asked = time.perf_counter()
        pipe.stdin.write(question + "\n"); pipe.stdin.flush()
        answer = json.loads(pipe.stdout.readline())
        took = time.perf_counter() - asked
        if opened is None:
            opened = time.perf_counter() - start  # the first waits for the release
        else:
            times.append(took)
        told += len(answer.get("hints", []))
        errors += "error" in answer
    pipe.stdin.close()
times.sort()
print(f"{len(questions)} calls, {told / len(questions):.2f} hints each, {errors} answered with an error, such as that no position is kept; release open after {opened:.2f} s.\n")
print("| p50 | p99 | most | cold command, median of 5 |\n|---|---|---|---|")
print(f"| {1e3 * times[len(times) // 2]:.2f} ms | {1e3 * times[int(len(times) * .99)]:.2f} ms | {1e3 * times[-1]:.1f} ms | {cold[2]:.2f} s |")
