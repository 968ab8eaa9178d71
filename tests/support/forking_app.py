"""Apps whose code forks, exits, and takes away what the runner stands on."""

import asyncio
import atexit
import concurrent.futures
import errno
import faulthandler
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import towpath


def double(number: int) -> int:
    return 2 * number


def sleep_long() -> None:
    time.sleep(600)


def say(words: str) -> None:
    print(words)
    print("error", words, file=sys.stderr)
    logging.getLogger("app").warning("logged %s", words)
    towpath.progress(1, 2, words)
    print("half", words, end="")


def descriptors() -> list[str]:
    """Return what this process has open."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(path.readlink()))
        except OSError:
            continue
    return found


class Forking(towpath.App, termination_grace_period_seconds=3):
    def setup(self) -> None:
        logging.basicConfig(level=logging.INFO, force=False)

    @towpath.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()

    @towpath.endpoint("/pool")
    def pool(self, context: str, count: int) -> list[int]:
        with multiprocessing.get_context(context).Pool(count) as pool:
            return pool.map(double, range(8))

    @towpath.endpoint("/pool-async")
    async def pool_async(self, context: str, count: int) -> list[int]:
        with multiprocessing.get_context(context).Pool(count) as pool:
            return pool.map(double, range(8))

    @towpath.endpoint("/executor")
    def executor(self, context: str) -> list[int]:
        chosen = multiprocessing.get_context(context)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=chosen) as pool:
            return list(pool.map(double, range(8)))

    @towpath.endpoint("/executor-async")
    async def executor_async(self, context: str) -> list[int]:
        chosen = multiprocessing.get_context(context)
        loop = asyncio.get_running_loop()
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=chosen) as pool:
            return await asyncio.gather(
                *(loop.run_in_executor(pool, double, number) for number in range(8))
            )

    @towpath.endpoint("/terminate")
    def terminate(self, context: str) -> int:
        process = multiprocessing.get_context(context).Process(target=sleep_long)
        process.start()
        process.terminate()
        process.join()
        return process.exitcode

    @towpath.endpoint("/terminate-async")
    async def terminate_async(self, context: str) -> int:
        return self.terminate(context)

    @towpath.endpoint("/os-fork")
    def os_fork(self, way: str) -> int:
        return forked(way)

    @towpath.endpoint("/os-fork-async")
    async def os_fork_async(self, way: str) -> int:
        return forked(way)

    @towpath.endpoint("/preexec")
    def preexec(self) -> str:
        command = ["sh", "-c", "echo from a shell"]
        pipes = {"stdout": subprocess.PIPE, "text": True}
        return subprocess.run(command, preexec_fn=os.setsid, check=True, **pipes).stdout

    @towpath.endpoint("/say")
    def say(self, context: str) -> None:
        process = multiprocessing.get_context(context).Process(target=say, args=("child",))
        process.start()
        process.join()
        print("parent")

    @towpath.endpoint("/held")
    def held(self) -> dict:
        """Return what a child has open that the runner had, beside the standard streams."""
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(theirs, "\n".join(descriptors()).encode())
            os._exit(0)
        os.close(theirs)
        os.waitpid(child, 0)
        with os.fdopen(ours) as pipe:
            return {"runner": descriptors(), "child": pipe.read().split("\n")}

    @towpath.endpoint("/busy")
    def busy(self, seconds: float) -> int:
        """Print from threads while others fork: their locks are held now and then."""
        stop = threading.Event()
        threads = [threading.Thread(target=chatter, args=(stop,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        good, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            process = multiprocessing.get_context("fork").Process(target=say, args=("busy",))
            process.start()
            process.join(20)
            assert process.exitcode == 0, process.exitcode
            good += 1
        stop.set()
        for thread in threads:
            thread.join()
        return good

    @towpath.endpoint("/do")
    def do(self, what: str) -> str:
        return done(what)

    @towpath.endpoint("/do-async")
    async def do_async(self, what: str) -> str:
        return done(what)

    @towpath.endpoint("/file")
    def file(self) -> towpath.File:
        print("a line")
        return towpath.File.from_bytes(b"text", "text/plain", "a.txt")

    @towpath.endpoint("/preview")
    def preview(self) -> None:
        from PIL import Image

        for step in range(3):
            shown = Image.new("RGB", (8, 8)) if step == 1 else None
            towpath.progress(step, 3, preview=shown)

    @towpath.endpoint("/cancelled")
    def cancelled(self, seconds: float) -> None:
        try:
            print("begun")
            while True:
                time.sleep(0.01)
        except towpath.errors.RequestCancelled:
            print("in except")
            time.sleep(seconds)
            print("late in except")
            raise
        finally:
            print("in finally")

    @towpath.endpoint("/cancelled-async")
    async def cancelled_async(self, seconds: float) -> None:
        try:
            print("begun")
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print("in except")
            await asyncio.sleep(seconds)
            print("late in except")
            raise
        finally:
            print("in finally")

    @towpath.endpoint("/full")
    def full(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/big.bin")


def chatter(stop: threading.Event) -> None:
    while not stop.is_set():
        print("chatter")


def forked(way: str) -> int:
    """Fork; return the child's exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if way == "return":
        return 0
    if way == "raise":
        raise ValueError("in the child")
    if way == "exit":
        sys.exit(7)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGTERM)
    os._exit(5)


def done(what: str) -> str:
    """Do what a runner has to survive."""
    doing = {
        "exit": lambda: sys.exit(3),
        "exit with words": lambda: sys.exit("I am leaving"),
        "keyboard interrupt": interrupt,
        "generator exit": leave,
        "chdir": lambda: os.chdir("/"),
        "close streams": close_streams,
        "close sys.stdout": sys.stdout.close,
        "faulthandler": cancel_faulthandler,
        "logging": lambda: logging.basicConfig(level=logging.DEBUG, force=True),
        "atexit": lambda: atexit.register(print, "at exit") and None,
        "daemon thread": lambda: threading.Thread(target=sleep_long, daemon=True).start(),
        "thread that fails": failing_thread,
        "signal": take_signals,
        "umask": lambda: os.umask(0o777) and None,
        "environment": os.environ.clear,
        "recursion": lambda: sys.setrecursionlimit(100),
    }
    doing[what]()
    return "done"


def interrupt() -> None:
    raise KeyboardInterrupt


def leave() -> None:
    class LibraryExit(BaseException):
        pass

    raise LibraryExit


def close_streams() -> None:
    for descriptor in range(3):
        os.close(descriptor)  # fails where an earlier request's were not opened again


def cancel_faulthandler() -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(3600)
    faulthandler.cancel_dump_traceback_later()
    faulthandler.disable()


def failing_thread() -> None:
    thread = threading.Thread(target=interrupt)
    thread.start()
    thread.join()


def take_signals() -> None:
    """Do what only the main thread may."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
