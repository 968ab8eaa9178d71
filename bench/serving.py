"""A trivial endpoint behind towpath, bare uvicorn and FastAPI, LitServe, BentoML, Ray Serve, Cog.

Each server is started anew in each round, alone, and called by wrk over one connection and over
sixteen. Needs wrk (Debian: apt-get install wrk).
"""

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from measure import Sample, Table

__all__ = [
    "CALL_SCRIPT",
    "ECHO_APP",
    "INPUT",
    "Peer",
    "bench",
    "free_port",
    "latency",
    "running",
    "wrk",
]

_SECONDS = 4
_START_SECONDS = 90
INPUT = {"prompt": "a canal", "steps": 2}
CALL_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{body}]]
local bad = 0
response = function(status) if status >= 300 then bad = bad + 1 end end
"""
ECHO_APP = """
import towpath
class Echo(towpath.App, max_multiplexing=16):
    @towpath.endpoint("/")
    def run(self, prompt: str, steps: int = 1) -> dict:
        return {"output": prompt * steps}
"""
_BARE = """
import sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()
class Input(BaseModel):
    prompt: str
    steps: int = 1
@app.post("/")
def run(input: Input) -> dict:
    return {"output": input.prompt * input.steps}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""
_LITSERVE = """
import sys, litserve
class Api(litserve.LitAPI):
    def setup(self, device): pass
    def decode_request(self, request): return request
    def predict(self, request): return {"output": request["prompt"] * request["steps"]}
    def encode_response(self, output): return output
if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", log_level="error",
               generate_client_file=False, num_api_servers=1)
"""
_BENTOML = """
import bentoml
@bentoml.service(workers=1, traffic={"concurrency": 64, "timeout": 30})
class Echo:
    @bentoml.api
    def run(self, prompt: str, steps: int = 1) -> dict:
        return {"output": prompt * steps}
"""
_RAY = """
import signal, sys
import ray
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
app = FastAPI()
class Input(BaseModel):
    prompt: str
    steps: int = 1
@serve.deployment(max_ongoing_requests=64)
@serve.ingress(app)
class Echo:
    @app.post("/")
    def run(self, input: Input) -> dict:
        return {"output": input.prompt * input.steps}
ray.init(include_dashboard=False, log_to_driver=False, num_cpus=2)
serve.start(
    http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
    logging_config={"enable_access_log": False},
)
serve.run(Echo.bind())
signal.sigwait({signal.SIGTERM, signal.SIGINT})
serve.shutdown()
ray.shutdown()
"""
_COG = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def setup(self) -> None: pass
    def predict(self, prompt: str, steps: int = 1) -> str:
        return prompt * steps
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """How a server is started and called."""

    file: str
    code: str
    words: tuple[str, ...]
    path: str = "/"
    body: Mapping[str, object] = field(default_factory=lambda: INPUT)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Round:
    """What one server did in one round; rates in answers a second, times in milliseconds."""

    start: float
    pss: float
    processes: int
    rate: dict[int, float] = field(default_factory=dict)
    p50: dict[int, float] = field(default_factory=dict)
    p99: dict[int, float] = field(default_factory=dict)
    cpu: float = 0.0
    bad: int = 0


def _peers(python: str) -> dict[str, Peer]:
    """Return the servers; `{port}` stands for the port."""
    ours = str(Path(sys.executable).with_name("towpath"))
    run = (ours, "run", "echo_app.py", "--port", "{port}", "--data-dir", "data")
    bento = str(Path(python).with_name("bentoml"))
    serve = (bento, "serve", "echo_bento:Echo", "--port", "{port}", "--host", "127.0.0.1")
    ray_env = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_HAPROXY_METRICS_PORT": "{spare}"}
    ray_env |= {"RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    cog_env = {"COG_PREDICT_TYPE_STUB": "echo_cog.py:Predictor", "PORT": "{port}"}
    cog_env["PATH"] = os.pathsep.join(
        (str(Path(python).parent), os.environ["PATH"])
    )  # its worker's
    return {
        "towpath": Peer(
            "echo_app.py", ECHO_APP, run, "/local/echo", env={"TOWPATH_LOG_LEVEL": "error"}
        ),
        "uvicorn + FastAPI": Peer("bare.py", _BARE, (python, "bare.py", "{port}")),
        "LitServe": Peer("lit.py", _LITSERVE, (python, "lit.py", "{port}"), "/predict"),
        "BentoML": Peer(
            "echo_bento.py", _BENTOML, serve, "/run", env={"BENTOML_DO_NOT_TRACK": "1"}
        ),
        "Ray Serve (HAProxy)": Peer(
            "ray_app.py", _RAY, (python, "ray_app.py", "{port}"), env=ray_env
        ),
        "Cog": Peer(
            "echo_cog.py",
            _COG,
            (python, "-m", "cog.server.http", "--host", "127.0.0.1"),
            "/predictions",
            {"input": INPUT},
            cog_env,
        ),
    }


def bench(peers: str, rounds: int) -> Iterator[Table]:
    """Measure; a peer that does not start is said so, and the others go on."""
    if shutil.which("wrk") is None:
        sys.exit("missing: wrk. apt-get install wrk")
    found: dict[str, list[_Round]] = {name: [] for name in _peers(peers)}
    for _ in range(min(rounds, 3)):
        for name, peer in sorted(_peers(peers).items(), key=lambda _: secrets.randbits(32)):
            try:
                found[name].append(_measured(peer))
            except (RuntimeError, OSError) as error:
                print(f"  {name}: {error}", file=sys.stderr)
    found = {name: got for name, got in found.items() if got}
    for connections in (1, 16):
        yield _speed(found, connections)
    yield _keeping(found)


def _speed(found: Mapping[str, list[_Round]], connections: int) -> Table:
    """Return the table of one number of connections: seconds of an answer at full rate."""
    samples = {n: [Sample(1 / r.rate[connections], r.cpu) for r in got] for n, got in found.items()}
    told = "; ".join(
        f"{name} {_middle([r.rate[connections] for r in got]):,.0f}/s, "
        f"p50 {_middle([r.p50[connections] for r in got]):.2f}, "
        f"p99 {_middle([r.p99[connections] for r in got]):.1f} ms"
        + (f", {got[-1].bad} refused" if got[-1].bad else "")
        for name, got in found.items()
    )
    goals = {"uvicorn + FastAPI": 0.6, "LitServe": 1.5} if connections > 1 else {}
    if connections == 1:
        ours, bare = found["towpath"], found["uvicorn + FastAPI"]
        added = _middle([r.p50[1] for r in ours]) - _middle([r.p50[1] for r in bare])
        told += f". Added at p50: {added:.2f} ms (goal <= 0.4)"
    title = f"a trivial endpoint, {connections} connections: seconds an answer"
    return Table(title, samples, note=told, goals=goals)


def _keeping(found: Mapping[str, list[_Round]]) -> Table:
    """Return the table of starts, with memory and processes in its note."""
    samples = {n: [Sample(r.start, rss=r.pss) for r in got] for n, got in found.items()}
    told = "; ".join(
        f"{name} {_middle([r.pss for r in got]):.0f} MiB in {got[-1].processes}"
        for name, got in found.items()
    )
    goal = "towpath <= 143 MiB (150 MB)"
    return Table("from start to first answer", samples, note=f"idle PSS: {told}; goal: {goal}")


def _middle(values: list[float]) -> float:
    return statistics.median(values)


def _measured(peer: Peer) -> _Round:
    """Start a server, call it, stop it."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        folder = Path(name)
        (folder / peer.file).write_text(peer.code)
        (folder / "call.lua").write_text(CALL_SCRIPT.replace("{body}", json.dumps(peer.body)))
        ports = {"port": free_port(), "spare": free_port()}
        with running(peer, folder, ports) as (process, start):
            return _called(peer, folder, ports["port"], process, start)


def _called(peer: Peer, folder: Path, port: int, process: psutil.Process, start: float) -> _Round:
    """Measure one server that runs."""
    time.sleep(1)
    family = [process, *process.children(recursive=True)]
    pss = 0.0
    for each in family:
        with suppress(psutil.Error):
            pss += each.memory_full_info().pss / 2**20
    result = _Round(start, pss, len(family))
    url = f"http://127.0.0.1:{port}{peer.path}"
    for connections in (1, 16):
        wrk(url, folder, connections, 1)
        before = _cpu(family)
        text = wrk(url, folder, connections, _SECONDS)
        result.cpu = (_cpu(family) - before) / _SECONDS
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        refused = int(bad[1]) if bad else 0
        result.bad = refused
        result.rate[connections] = max(rate - refused / _SECONDS, 0.1)
        result.p50[connections] = latency(text, "50")
        result.p99[connections] = latency(text, "99")
    return result


def wrk(url: str, folder: Path, connections: int, seconds: int) -> str:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", "call.lua", url]
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder).stdout


def latency(text: str, percent: str) -> float:
    """Return a percentile in milliseconds."""
    number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def _cpu(family: list[psutil.Process]) -> float:
    total = 0.0
    for each in family:
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(
    peer: Peer, folder: Path, ports: Mapping[str, int]
) -> Iterator[tuple[psutil.Process, float]]:
    """Run a server until the block ends; how long it took to answer."""
    words = [word.format(**ports) for word in peer.words]
    env = {**os.environ, **{name: value.format(**ports) for name, value in peer.env.items()}}
    log = (folder / "log").open("wb")
    began = time.monotonic()
    process = subprocess.Popen(
        words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
    )
    try:
        while not _answers(ports["port"], peer):
            if process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                tail = (folder / "log").read_text(errors="replace")[-600:]
                message = f"it does not start: {tail}"
                raise RuntimeError(message)
            time.sleep(0.05)
        yield psutil.Process(process.pid), time.monotonic() - began
    finally:
        _stop(process)
        log.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server and all that it started."""
    family = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    for each in family:
        with suppress(psutil.Error):
            each.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(port: int, peer: Peer) -> bool:
    """Return whether a call is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", peer.path, json.dumps(peer.body), headers)
        answer = connection.getresponse()
        return answer.status in range(200, 300) and b"a canala canal" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
