#!/usr/bin/env python3
"""Pulling against nginx: the same Parquet files, the same certificate, the same machine.

    benches/versus/pull.py target/release/fenghuo WORK [--runs 5] [--mebibytes 400]

WORK gets a synthetic city with one large share and a county that may read all of it. Alternated, each run on an empty
county: `pull` is `fenghuo pull` (four files at once, digests checked, fsync, a release); `door` is curl fetching the
same files from the same server by the addresses of a query, `nginx` is curl fetching them from nginx, four at once.
Prints medians in MiB/s and the ratios to nginx. Needs curl, openssl and nginx.
"""
import argparse, json, pathlib, shutil, ssl, statistics, subprocess, time, urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("program"); parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--runs", type=int, default=5); parser.add_argument("--mebibytes", type=int, default=400)
args = parser.parse_args()
program, work = str(pathlib.Path(args.program).resolve()), args.work.resolve()
city, county, keys = work / "city", work / "county", work / "keys"
DOOR, PEER = 18443, 18444


def fenghuo(site, *words):
    done = subprocess.run([program, "--site", str(site), "--lang", "en", *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout

def shell(script, **kwargs):
    subprocess.run(["bash", "-ec", script], check=True, capture_output=True, **kwargs)

shutil.rmtree(work, ignore_errors=True); keys.mkdir(parents=True)
subprocess.run([program, "demo", str(city), "--scale", "small"], check=True, capture_output=True)
calls = json.loads(fenghuo(city, "query", "SELECT count(*) AS n FROM core.alarm", "--output", "json"))[0]["n"]
each = args.mebibytes * (1 << 20) // 6 // calls
(city / "pipelines/shares/big.toml").write_text(
    'title_zh = "大"\ntitle_en = "large"\nquestion = "How much?"\naudience = "a bench"\nclass = "own"\npurpose = "bench"\n'
    'legal_basis = "bench"\napprover = "somebody"\nexpires = "2999-12-31"\n')
(city / "sql/share/big.sql").write_text(
    "SELECT county, CAST(1e12 * (1 + sin(alarm_id % 1000003 * 7919 + n)) AS BIGINT) AS noise\n"
    f"FROM core.alarm CROSS JOIN (SELECT unnest(range(0, {each})) AS n) WHERE county IS NOT NULL\n")
shell("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem; "
      "openssl req -newkey rsa:2048 -nodes -subj /CN=city -keyout serve.key -out serve.csr; "
      "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names; "
      "openssl x509 -req -in serve.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out serve.crt; "
      f"chmod 600 serve.key; cp serve.* ca.pem {city}/keys/", cwd=keys)
with open(city / "fenghuo.toml", "a") as settings:
    settings.write(f'\n[serve]\nlisten = "127.0.0.1:{DOOR}"\nurl = "https://127.0.0.1:{DOOR}/delta-sharing"\nauthority = "keys/ca.pem"\n')
fenghuo(city, "run")
counties = [row["county"] for row in json.loads(fenghuo(
    city, "query", "SELECT DISTINCT county FROM share.big ORDER BY county", "--output", "json"))]
fenghuo(city, "share", "add", "bench", "--profile", str(keys / "bench.share"), *sum((["--county", c] for c in counties), []))
day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 100 * 86400))
fenghuo(city, "share", "grant", "bench", "big", "--requester", "a", "--approver", "b", "--until", day)
token = json.loads((keys / "bench.share").read_text())["bearerToken"]
(keys / "nginx.conf").write_text(f"""
daemon off; pid {work}/nginx.pid; error_log {work}/nginx.log; worker_processes 2; events {{}}
http {{ access_log off; sendfile on; server {{
  listen 127.0.0.1:{PEER} ssl; ssl_certificate {keys}/serve.crt; ssl_certificate_key {keys}/serve.key;
  ssl_protocols TLSv1.2 TLSv1.3; root {city}/lake/tables/share/big; }} }}
""")
servers = [subprocess.Popen([program, "--site", str(city), "serve", "--share"], stderr=subprocess.DEVNULL),
           subprocess.Popen(["nginx", "-c", str(keys / "nginx.conf")], stderr=subprocess.DEVNULL)]
time.sleep(3)
try:
    context = ssl.create_default_context(cafile=keys / "ca.pem")

    def addresses():
        request = urllib.request.Request(
            f"https://127.0.0.1:{DOOR}/delta-sharing/shares/qingyuan/schemas/share/tables/big/query", b"{}",
            {"Authorization": f"Bearer {token}"})
        lines = urllib.request.urlopen(request, context=context).read().splitlines()
        return [json.loads(line)["file"] for line in lines if b'"file"' in line]

    files = addresses()
    size = sum(file["size"] for file in files)
    paths = sorted((city / "lake/tables/share/big").rglob("*.parquet"))
    assert size == sum(path.stat().st_size for path in paths), "the same files"
    out = work / "out"

    def curl(urls):
        shutil.rmtree(out, ignore_errors=True); out.mkdir()
        words = sum((["-o", str(out / str(at)), url] for at, url in enumerate(urls)), [])
        begun = time.time()
        subprocess.run(["curl", "-sf", "--cacert", str(keys / "ca.pem"), "-Z", "--parallel-max", "4", *words], check=True)
        return time.time() - begun

    def pull():
        shutil.rmtree(county, ignore_errors=True)
        subprocess.run([program, "init", str(county), "--defaults", "--profile", "county"], check=True, capture_output=True)
        begun = time.time()
        fenghuo(county, "pull", "--from-profile", str(keys / "bench.share"))
        return time.time() - begun

    below = city / "lake/tables/share/big"
    ways = {"pull": pull, "door": lambda: curl([file["url"] for file in addresses()]),
            "nginx": lambda: curl([f"https://127.0.0.1:{PEER}/{path.relative_to(below)}" for path in paths])}
    seconds = {way: [] for way in ways}
    for _ in range(args.runs):
        for way, work_of in ways.items():
            seconds[way].append(work_of())
    print(f"{len(files)} files, {size / (1 << 20):.0f} MiB, {args.runs} runs")
    rate = {way: size / (1 << 20) / statistics.median(all_of) for way, all_of in seconds.items()}
    for way in ways:
        print(f"{way:6} {rate[way]:7.0f} MiB/s  {rate[way] / rate['nginx']:.2f} of nginx")
finally:
    for server in servers:
        server.terminate()
