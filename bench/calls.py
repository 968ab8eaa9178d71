"""500 calls of a trivial endpoint: gateway and runner beside the bare FastAPI app."""

import http.client
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI

from rounds import served, timed_rounds
from towpath.testing import serve

_TIMES = 500
_APP = """
import towpath

class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, prompt: str, steps: int = 1) -> dict:
        return {"output": prompt * steps}
"""


def bench(_peers: str, rounds: int) -> dict[str, list[float]]:
    """Measure."""
    bare = FastAPI()

    @bare.post("/")
    def run(prompt: Annotated[str, Body()], steps: Annotated[int, Body()] = 1) -> dict[str, str]:
        return {"output": prompt * steps}

    bare_port = served(bare)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "echo.py"
        file.write_text(_APP)
        with serve(str(file), log_level="error") as server:
            port = int(server.url.rpartition(":")[2])
            candidates = {
                "towpath": partial(_call, port, "/local/echo"),
                "bare FastAPI": partial(_call, bare_port, "/"),
            }
            return timed_rounds(candidates, rounds)


def _call(port: int, path: str) -> float:
    """Call again and again over one connection; return the seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"prompt": "a canal", "steps": 2})
    began = time.perf_counter()
    for _ in range(_TIMES):
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200 or b"a canal" not in answer.read():  # noqa: PLR2004
            message = f"status {answer.status}"
            raise ValueError(message)
    connection.close()
    return time.perf_counter() - began
