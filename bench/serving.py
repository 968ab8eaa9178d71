"""64 GETs of a 4 MiB file: our CDN beside Starlette's FileResponse, both under uvicorn."""

import http.client
import tempfile
import time
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from rounds import served, timed_rounds
from towpath.cdn.service import create_cdn
from towpath.storage.file_store import FileStore
from towpath.storage.records import NewFile

_SIZE = 4 * 2**20
_TIMES = 64


def bench(_peers: str, rounds: int) -> dict[str, list[float]]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file.bin"
        path.write_bytes(b"x" * _SIZE)
        store = FileStore(Path(name) / "store", reserve=0)
        record = store.save(NewFile(path, "file.bin", "application/octet-stream"))

        async def plain(_: Request) -> FileResponse:
            return FileResponse(path)

        ours = served(create_cdn(store))
        theirs = served(Starlette(routes=[Route("/file.bin", plain)]))
        candidates = {
            "towpath": partial(_get, ours, f"/files/{record.id}/file.bin"),
            "Starlette FileResponse": partial(_get, theirs, "/file.bin"),
        }
        return timed_rounds(candidates, rounds)


def _get(port: int, path: str) -> float:
    """GET the file again and again over one connection; return the seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(_TIMES):
        connection.request("GET", path)
        answer = connection.getresponse()
        if len(answer.read()) != _SIZE:
            message = "wrong length"
            raise ValueError(message)
    connection.close()
    return time.perf_counter() - began
