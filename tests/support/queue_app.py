"""An app with every way to be slow, to fail and to be stopped; served by the tests of the queue."""

import asyncio
import ctypes
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel
from starlette.responses import Response

import towpath


class Work(BaseModel):
    seconds: float = 0
    name: str = "x"


class Busy(towpath.App, max_multiplexing=4, termination_grace_period_seconds=1):
    stopped = ""

    def setup(self) -> None:
        self.child = subprocess.Popen(["sleep", "600"])

    @towpath.endpoint("/")
    def run(self, work: Work) -> dict:
        end = time.monotonic() + work.seconds
        while time.monotonic() < end:
            time.sleep(0.005)
        return {"name": work.name, "pid": os.getpid(), "child": self.child.pid}

    @towpath.endpoint("/async")
    async def wait(self, work: Work) -> dict:
        try:
            await asyncio.sleep(work.seconds)
        except asyncio.CancelledError:
            type(self).stopped = f"{work.name} cancelled"
            raise
        return {"name": work.name}

    @towpath.endpoint("/loop")
    def loop(self, work: Work) -> None:
        end = time.monotonic() + work.seconds
        try:
            while time.monotonic() < end:
                sum(range(100))  # CPython 3.13 has no handler for the jump of an empty loop
        except towpath.errors.RequestCancelled:
            type(self).stopped = f"{work.name} interrupted"
            raise

    @towpath.endpoint("/large")
    def large(self) -> Response:
        return Response(bytes(64 * 2**20 + 1))

    @towpath.endpoint("/stopped")
    def what_stopped(self) -> str:
        return self.stopped

    @towpath.endpoint("/c-call")
    def c_call(self, work: Work) -> None:
        time.sleep(work.seconds)

    @towpath.endpoint("/hold-gil")
    def hold_gil(self, work: Work) -> None:
        ctypes.PyDLL(None).usleep(int(work.seconds * 1e6))

    @towpath.endpoint("/block-loop")
    async def block_loop(self, work: Work) -> None:
        end = time.monotonic() + work.seconds
        while time.monotonic() < end:
            pass

    @towpath.endpoint("/stubborn")
    async def stubborn(self, work: Work) -> None:
        end = time.monotonic() + work.seconds
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue

    @towpath.endpoint("/hooked")
    def hooked(self, work: Work) -> str:
        self.flag = threading.Event()
        self.flag.wait(work.seconds)
        type(self).stopped = f"{work.name} asked by its hook"
        return "ended by itself"

    @towpath.endpoint("/hooked/cancel")
    def cancel_hooked(self) -> None:
        self.flag.set()

    @towpath.endpoint("/fail")
    def fail(self) -> None:
        raise RuntimeError("the secret reason")

    @towpath.endpoint("/status")
    def status(self, code: int, needs_retry: str = "") -> None:
        from starlette.responses import JSONResponse

        with Path(os.environ["TOWPATH_DATA_DIR"], "calls").open("a") as calls:
            calls.write(f"{code}\n")
        headers = {"X-Fal-Needs-Retry": needs_retry} if needs_retry else {}
        return JSONResponse({"detail": "as asked"}, code, headers)

    @towpath.endpoint("/memory")
    def memory(self, kind: str = "host") -> None:
        if kind == "gpu":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        raise MemoryError

    @towpath.endpoint("/die")
    def die(self) -> None:
        print("about to die", flush=True)
        os.kill(os.getpid(), 9)

    @towpath.endpoint("/logs")
    def logs(self, lines: int = 1) -> list[str]:
        print("from print")
        print("from stderr", file=sys.stderr)
        logging.getLogger("app").warning("from logging")
        os.system("echo from native 1>&2")
        thread = threading.Thread(target=lambda: print("from a thread"))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(print, "from an executor").result()
            found = pool.submit(lambda: towpath.current_request().request_id).result()
        print("half", end="")
        for number in range(3):
            towpath.progress(number, 3, f"step {number}")
        time.sleep(0.2)
        towpath.progress(3, 3, "all")
        return [towpath.current_request().request_id, found]

    @towpath.endpoint("/flood")
    def flood(self, megabytes: int) -> int:
        line = "x" * 1023
        for _ in range(megabytes * 1024):
            print(line)
        return megabytes

    @towpath.endpoint("/native-flood")
    def native_flood(self, megabytes: int) -> int:
        chunk = b"\xff\xfe" + b"y" * 1021 + b"\n"
        for _ in range(megabytes):
            os.write(1, chunk * 1024)
        return megabytes

    @towpath.endpoint("/replaced")
    def replaced(self) -> str:
        import io

        before, sys.stdout = sys.stdout, io.StringIO()
        print("into their own")
        got, sys.stdout = sys.stdout.getvalue(), before
        return got

    @towpath.endpoint("/headers")
    def headers(self) -> dict:
        return dict(towpath.current_request().headers)

    @towpath.endpoint("/stream")
    def stream(self, count: int = 3) -> Iterator[dict]:
        for number in range(count):
            yield {"n": number}

    @towpath.endpoint("/astream")
    async def astream(self, count: int = 3) -> AsyncIterator[dict]:
        try:
            for number in range(count):
                yield {"n": number}
                await asyncio.sleep(0.02)
        finally:
            type(self).stopped = "stream closed"

    @towpath.endpoint("/file")
    def file(self, text: str) -> towpath.File:
        return towpath.File.from_bytes(text.encode(), "text/plain", "a.txt")

    @towpath.endpoint("/tmp")
    def tmp(self, text: str = "") -> list[str]:
        path = Path("/tmp/x")
        if text:
            path.write_text(text)
        return [path.read_text() if path.exists() else "", os.environ["TMPDIR"]]

    @towpath.endpoint("/batch")
    @towpath.batch(max_size=4, max_wait=0.2)
    def batch(self, n: list[int]) -> list[dict]:
        if -1 in n:
            raise towpath.InputError("minus one", "n")
        return [{"n": number, "of": len(n)} for number in n]

    def teardown(self) -> None:
        self.child.kill()
        Path(os.environ["TOWPATH_DATA_DIR"], "torn-down").write_text("yes")


class Single(towpath.App, termination_grace_period_seconds=1, request_timeout=2):
    """One request at a time."""

    @towpath.endpoint("/")
    def run(self, work: Work) -> dict:
        time.sleep(work.seconds)
        return {"name": work.name, "pid": os.getpid()}

    @towpath.endpoint("/block-loop")
    async def block_loop(self, work: Work) -> None:
        end = time.monotonic() + work.seconds
        while time.monotonic() < end:
            pass
