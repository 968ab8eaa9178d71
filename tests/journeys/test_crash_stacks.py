"""Where the code was that crashed, hung or failed aside: the operator reads it, no caller does."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from tests.support.command import Command, wait_until, write
from tests.support.queued import submit, until

CODE = """
    import asyncio, ctypes, faulthandler, gc, os, threading, time
    import towpath

    class Broken:
        def __del__(self):
            raise ValueError("secret of __del__")

    def fail_aside():
        raise ValueError("secret of a thread")

    async def fail_later():
        raise ValueError("secret of a task")

    class Aside(towpath.App, request_timeout=1, termination_grace_period_seconds=1):
        @towpath.endpoint("/")
        def run(self, how: str) -> str:
            print("said by the app")
            if how == "hang":
                ctypes.PyDLL(None).sleep(60)
            if how == "wait":
                ctypes.CDLL(None).sleep(60)
            if how == "segfault":
                ctypes.string_at(0)
            if how == "kill":
                os.kill(os.getpid(), 9)
            if how == "thread":
                thread = threading.Thread(target=fail_aside, name="beside")
                thread.start()
                thread.join()
            if how == "del":
                Broken()
            if how == "own loop":
                asyncio.run(self.begin())
            if how == "own hook":
                before, threading.excepthook = threading.excepthook, lambda args: print("hooked")
                self.run("thread")
                threading.excepthook = before
            if how == "own faulthandler":
                faulthandler.enable()
            if how == "child":
                if os.fork() == 0:
                    ctypes.string_at(0)
                os.wait()
            return "done"

        @towpath.endpoint("/task")
        async def begin(self) -> str:
            asyncio.create_task(fail_later(), name="later")
            await asyncio.sleep(0.05)
            gc.collect()
            return "done"

        @towpath.endpoint("/long")
        def long(self) -> str:
            print("said by the app")
            while True:
                try:
                    time.sleep(0.1)
                except BaseException:
                    ctypes.CDLL(None).sleep(60)
"""
TOKEN = {"TOWPATH_ADMIN_TOKEN": "a-token-of-the-operator"}  # so that a caller is a stranger
LEAKS = re.compile(r'File "|Traceback|secret|\.py|/tmp|most recent call|Timeout \(')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("aside")
    app = write(folder, "aside.py", CODE)
    env = TOKEN | {"TOWPATH_STORE_RESERVE": "0"}
    with Command(app, "--port", "0", "--data-dir", str(folder / "data"), env=env) as command:
        command.wait_for("ready in", 60)
        yield command


def lines_after(given: dict, server: Command) -> list[str]:
    """Return the log of a request that is done, as its caller reads it."""
    done = until(given, "COMPLETED", 60)
    answer = httpx2.get(f"{given['status_url']}?logs=1")
    assert not LEAKS.search("\n".join(line["message"] for line in done["logs"])), done["logs"]
    assert not LEAKS.search(httpx2.get(given["response_url"]).text)
    return [line["message"] for line in answer.json()["logs"]]


def test_code_that_does_not_stop_in_time_shows_its_caller_no_stack(server: Command) -> None:
    lines = lines_after(submit(server.url, "aside", {"how": "wait"}), server)
    assert lines[0] == "said by the app"
    assert "The code did not stop in the time that it had to; its runner was ended." in lines
    assert re.search(r"Timeout \(\d", server.wait_for("Timeout ("))
    server.wait_for(r"aside.py\", line 22 in run")


def test_code_that_does_not_stop_when_cancelled_shows_its_caller_no_stack(
    server: Command,
) -> None:
    before = server.output.count("Timeout (")
    given = submit(server.url, "aside/long")
    wait_until(lambda: "said by the app" in httpx2.get(given["status_url"] + "?logs=1").text)
    assert httpx2.put(given["cancel_url"]).status_code < 300
    wait_until(lambda: server.output.count("Timeout (") > before)
    wait_until(lambda: "in long" in server.output)
    told = httpx2.get(f"{given['status_url']}?logs=1")
    assert not LEAKS.search("\n".join(line["message"] for line in told.json()["logs"]))


def test_a_native_crash_tells_the_operator_where_and_by_which_signal(server: Command) -> None:
    lines = lines_after(submit(server.url, "aside", {"how": "segfault"}), server)
    assert set(lines) == {"said by the app"}
    server.wait_for("Fatal Python error: Segmentation fault")
    server.wait_for("it ended with signal 11, SIGSEGV")
    assert "string_at" in server.output


def test_a_killed_runner_is_named_with_its_signal(server: Command) -> None:
    lines_after(submit(server.url, "aside", {"how": "kill"}), server)
    server.wait_for("it ended with signal 9, SIGKILL (perhaps out of memory)")


def test_a_stuck_runner_is_named_as_killed_by_the_server(server: Command) -> None:
    """Code that holds the interpreter: nothing in its process can end it."""
    assert lines_after(submit(server.url, "aside", {"how": "hang"}), server) == ["said by the app"]
    server.wait_for("it ended with signal 9, SIGKILL, by this server")


def test_a_crash_of_a_forked_child_tells_the_operator_too(server: Command) -> None:
    assert lines_after(submit(server.url, "aside", {"how": "child"}), server) == ["said by the app"]


@pytest.mark.parametrize(
    ("path", "body", "sentence", "secret"),
    [
        ("aside", {"how": "thread"}, "Thread beside failed with ValueError", "of a thread"),
        ("aside", {"how": "del"}, "Broken.__del__ failed with ValueError", "of __del__"),
        ("aside/task", {}, "Task later failed with ValueError", "of a task"),
        ("aside", {"how": "own loop"}, "failed with ValueError", "of a task"),
    ],
)
def test_an_exception_that_nothing_catches_is_one_sentence_to_its_caller(
    server: Command, path: str, body: dict, sentence: str, secret: str
) -> None:
    before = len(server.output)
    lines = lines_after(submit(server.url, path, body), server)
    wait_until(lambda: f"ValueError: secret {secret}" in server.output[before:])
    wait_until(lambda: "Traceback" in server.output[before:])
    [said] = [line for line in lines if line != "said by the app"]
    assert sentence in said
    assert said.endswith("; the server's log says why.")


def test_an_app_keeps_its_own_hook(server: Command) -> None:
    lines = lines_after(submit(server.url, "aside", {"how": "own hook"}), server)
    assert not any("failed with" in line for line in lines)
    server.wait_for("hooked")


def test_an_app_may_use_faulthandler_itself(server: Command) -> None:
    lines = lines_after(submit(server.url, "aside", {"how": "own faulthandler"}), server)
    assert lines == ["said by the app"]
