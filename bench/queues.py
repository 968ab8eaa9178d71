"""Queues beside one another: ours on SQLite and PostgreSQL, DBOS, Procrastinate, Celery.

Submits, then whole cycles (submit, take, finish) of jobs of 1 KB; then how ours grows.
Needs PostgreSQL and Redis (Debian: apt-get install postgresql redis-server).
"""

import os
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from measure import Sample, Table, tables_of

__all__ = ["bench"]

_JOBS = 1000
_PEER_JOBS = 200
_GROWTH = (10, 10_000, 1_000_000)
_OURS = """
import sys, time, threading
from towpath.clock import steady_clock
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest, Outcome
url, jobs, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
queue = open_queue(url, steady_clock(), max_length=10**9)
stamp = str(time.time_ns())
headers = (("content-type", "application/json"),)
def new(n): return NewRequest(f"{stamp[-12:]}-{n}", "local/a", "/", headers, b"x" * 1000)
def submit(k):
    for n in range(k, jobs, threads): queue.submit(new(n))
def work(k):
    for n in range(k, jobs, threads):
        claim = queue.claim(["local/a"], worker="w", now=1.0)
        queue.finish(claim, Outcome("ok", 200, (), b"y" * 1000))
def run(each):
    began = time.perf_counter()
    them = [threading.Thread(target=each, args=(k,)) for k in range(threads)]
    [t.start() for t in them]; [t.join() for t in them]
    return time.perf_counter() - began
submits, works = run(submit), run(work)
print("measured", submits / jobs, (submits + works) / jobs)
queue.close()
"""
_DBOS = """
import sys, time, logging
from dbos import DBOS, DBOSConfig
url, jobs = sys.argv[1], int(sys.argv[2])
config = {"name": "bench", "system_database_url": url, "run_admin_server": False}
dbos = DBOS(config={**config, "log_level": "ERROR"})
@DBOS.workflow()
def job(body): return body
DBOS.launch()
DBOS.register_queue("q", worker_concurrency=10, polling_interval_sec=0.05)
began = time.perf_counter()
handles = [DBOS.enqueue_workflow("q", job, "x" * 1000) for _ in range(jobs)]
submits = time.perf_counter() - began
[handle.get_result() for handle in handles]
print("measured", submits / jobs, (time.perf_counter() - began) / jobs)
DBOS.destroy()
"""
_PROCRASTINATE = """
import asyncio, sys, time
from procrastinate import App, PsycopgConnector
url, jobs = sys.argv[1], int(sys.argv[2])
app = App(connector=PsycopgConnector(conninfo=url))
done = 0
@app.task(name="job")
async def job(body):
    global done
    done += 1
async def main():
    async with app.open_async():
        try: await app.schema_manager.apply_schema_async()
        except Exception: pass
        began = time.perf_counter()
        for _ in range(jobs): await job.defer_async(body="x" * 1000)
        submits = time.perf_counter() - began
        quiet = {"install_signal_handlers": False, "listen_notify": False}
        await app.run_worker_async(concurrency=10, wait=False, **quiet)
        assert done == jobs, done
        print("measured", submits / jobs, (time.perf_counter() - began) / jobs)
asyncio.run(main())
"""
_CELERY = """
import os, subprocess, sys, time
from celery import Celery
url = os.environ.setdefault("BENCH_URL", sys.argv[1])
app = Celery("bench", broker=url, backend=url)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
@app.task(name="job")
def job(body): return body
if __name__ == "__main__" and len(sys.argv) == 3:
    words = ["-A", "celery_bench", "-b", url, "--result-backend", url, "worker", "-c", "2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = [sys.executable, "-m", "celery", *words, "-P", "threads", "-l", "ERROR"]
    worker = subprocess.Popen(words, **quiet)
    try:
        jobs = int(sys.argv[2])
        job.delay("x").get(timeout=60)
        began = time.perf_counter()
        results = [job.delay("x" * 1000) for _ in range(jobs)]
        submits = time.perf_counter() - began
        [result.get(timeout=120) for result in results]
        print("measured", submits / jobs, (time.perf_counter() - began) / jobs)
    finally:
        worker.terminate(); worker.wait()
"""
_GROW = """
import sys, time
from sqlalchemy import text
from towpath.clock import steady_clock
from towpath.database import open_database
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest, Outcome
url, rows = sys.argv[1], int(sys.argv[2])
queue = open_queue(url, steady_clock(), max_length=10**9)
engine = open_database(url)
lite = url.startswith("sqlite")
cast = "" if lite else "::text"
counting = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :rows)"
series = f"{counting} SELECT n FROM s" if lite else "SELECT n FROM generate_series(1, :rows) AS n"
body = "CAST('{}' AS BLOB)" if lite else "'{}'::bytea"
false, true = ("0", "1") if lite else ("false", "true")
columns = ("id, app, path, method, priority, state, submitted, finished, attempt, tries, beat, "
           "cancelling, retries, keep_io")
state = "CASE WHEN n % 2 = 0 THEN 4 ELSE 1 END"  # half of them are done, half wait
values = f"'old-' || n{cast}, 'local/a', '/', 'POST', 0, {state}, 1.0, 2.0, 1, 1, 0"
with engine.begin() as connection:
    here = connection.execute(text("SELECT count(*) FROM requests")).scalar()
    if here < rows:
        rest = f"{values}, {false}, {true}, {true} FROM ({series}) AS s"
        connection.execute(text(f"INSERT INTO requests ({columns}) SELECT {rest}"), {"rows": rows})
        rest = f"number, '[]', {body} FROM requests WHERE id LIKE 'old-%'"
        connection.execute(text(f"INSERT INTO payloads (number, headers, body) SELECT {rest}"))
        connection.execute(text("DELETE FROM lines"))
        for level, size in ((1, 128), (2, 128 * 128)):
            by = f"app, priority, number / {size}"
            rest = f"app, priority, {level}, number / {size}, count(*) FROM requests"
            rest += f" WHERE state < 3 GROUP BY {by}"
            into = "lines (app, priority, level, block, waiting)"
            connection.execute(text(f"INSERT INTO {into} SELECT {rest}"))
if not url.startswith("sqlite"):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))  # what was put in is not to be written meanwhile
else:
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
engine.dispose()
stamp, times = str(time.time_ns())[-12:], {"submit": [], "status": [], "claim": []}
def timed(name, call):
    began = time.perf_counter()
    got = call()
    times[name].append(time.perf_counter() - began)
    return got
def once(n):
    new = NewRequest(f"{stamp}-{n}", "local/a", body=b"x" * 1000)
    timed("submit", lambda: queue.submit(new))
    timed("status", lambda: queue.read(f"{stamp}-{n}"))
    claim = timed("claim", lambda: queue.claim(["local/a"], worker="w", now=1.0))
    queue.finish(claim, Outcome("ok"))
for n in range(50): once(n)
[times[k].clear() for k in times]
for n in range(50, 350): once(n)
print("measured", *(sorted(times[k])[150] for k in ("submit", "status", "claim")))
queue.close()
"""


def bench(peers: str, rounds: int) -> Iterator[Table]:
    """Measure everything."""
    rounds = min(rounds, 3)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-bench-")))
        root.chmod(0o755)
        postgres = stack.enter_context(_postgres(root))
        redis = stack.enter_context(_redis(root))
        runs = _runs(root, postgres, redis, peers)
        for index, title in enumerate(("submit, seconds a job", "whole cycle, seconds a job")):
            found = {n: partial(_sample, run, index) for n, run in runs.items()}
            table = tables_of(title, found, rounds)
            yield Table(table.title, table.samples, "SQLite, 16 threads", _rates(table))
        yield from _growths(root, postgres, rounds)


def _rates(table: Table) -> str:
    """Say how many a second."""
    rates = {
        name: 1 / sorted(sample.wall for sample in got)[len(got) // 2]
        for name, got in table.samples.items()
    }
    told = "; ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    return f"{told}; goals for cycles: SQLite >= 1,000/s, PostgreSQL >= 800/s"


Run = Callable[[], list[float]]


def _runs(root: Path, postgres: str, redis: str, peers: str) -> dict[str, Run]:
    """Return how each candidate is measured."""
    sqlite = f"sqlite:///{root}/queue.db"
    plain = postgres.replace("+psycopg", "")
    names = iter(range(10**6))

    def dbos() -> list[float]:
        return _python(peers, _DBOS, root, f"sqlite:///{root}/dbos{next(names)}.db", _PEER_JOBS)

    found: dict[str, Run] = {
        "SQLite, 16 threads": lambda: _python(sys.executable, _OURS, root, sqlite, _JOBS, 16),
        "SQLite, 1 thread": lambda: _python(sys.executable, _OURS, root, sqlite, _JOBS, 1),
        "PostgreSQL, 16 threads": lambda: _python(sys.executable, _OURS, root, postgres, _JOBS, 16),
        "PostgreSQL, 1 thread": lambda: _python(sys.executable, _OURS, root, postgres, _JOBS, 1),
        "DBOS, SQLite": dbos,
        "Procrastinate, PostgreSQL": lambda: _python(
            peers, _PROCRASTINATE, root, plain, _PEER_JOBS
        ),
        "Celery, Redis": lambda: _python(peers, _CELERY, root, redis, _PEER_JOBS),
    }
    return found


def _sample(run: Run, index: int) -> Sample:
    return Sample(run()[index])


def _python(interpreter: str, code: str, root: Path, *words: object) -> list[float]:
    """Run *code*; return the numbers that it measured."""
    (root / "celery_bench.py").write_text(_CELERY)
    file = root / ("celery_bench.py" if code == _CELERY else "job.py")
    file.write_text(code)
    done = subprocess.run(
        [interpreter, str(file), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"},
    )
    found = re.search(r"^measured (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{file}: {done.stderr[-2000:]}")
    return [float(number) for number in found[1].split()]


def _growths(root: Path, postgres: str, rounds: int) -> Iterator[Table]:
    """Compare submit, status and claim at 10, 10,000 and 1,000,000 rows, half of them waiting.

    Each has a database of its own, and they are measured in turns.
    """
    for kind in ("SQLite", "PostgreSQL"):
        urls = {rows: f"sqlite:///{root}/grow{rows}.db" for rows in _GROWTH}
        if kind == "PostgreSQL":
            urls = {rows: _database(postgres, f"grow{rows}") for rows in _GROWTH}
        found: dict[int, list[list[float]]] = {rows: [] for rows in _GROWTH}
        for _ in range(rounds):
            for rows, url in urls.items():
                found[rows].append(_python(sys.executable, _GROW, root, url, rows))
        many, few = found[_GROWTH[-1]], found[_GROWTH[0]]
        told = "; ".join(
            f"{what} {statistics.median(m[n] / f[n] for m, f in zip(many, few, strict=True)):.2f} "
            "times as long at a million"
            for n, what in enumerate(("submit", "status", "claim"))
        )
        samples: Mapping[str, list[Sample]] = {
            f"{rows:,} rows": [Sample(sum(times)) for times in turns]
            for rows, turns in found.items()
        }
        title = f"{kind}: submit, status and claim together"
        yield Table(title, samples, "10 rows", f"{told}; goal: within 1.5")


def _database(server: str, name: str) -> str:
    """Make a database; return its URL."""
    code = (
        "import sys; from sqlalchemy import create_engine, text\n"
        "engine = create_engine(sys.argv[1], isolation_level='AUTOCOMMIT')\n"
        "with engine.connect() as c: c.execute(text(f'CREATE DATABASE {sys.argv[2]}'))\n"
    )
    subprocess.run([sys.executable, "-c", code, server, name], check=True)
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def _postgres(root: Path) -> Iterator[str]:
    """Run PostgreSQL; give its URL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        sys.exit("missing: postgres. apt-get install postgresql")
    folder, port = root / "postgres", _port()
    folder.mkdir()
    who = {"user": "postgres"} if os.geteuid() == 0 else {}
    if who:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **who}
    initdb = str(found[-1].with_name("initdb"))
    subprocess.run([initdb, "-D", "data", "-U", "postgres", "-A", "trust"], check=True, **quiet)
    words = [str(found[-1]), "-D", "data", "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    process = subprocess.Popen(words, **quiet)
    try:
        time.sleep(3)
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _redis(root: Path) -> Iterator[str]:
    """Run Redis, each write synced; give its URL."""
    command = shutil.which("redis-server")
    if command is None:
        sys.exit("missing: redis-server. apt-get install redis-server")
    port = _port()
    words = [command, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(root)]
    words += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
