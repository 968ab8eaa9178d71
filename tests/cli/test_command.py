"""The command as a user types it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
from tests.support.command import Command, wait_until, write

APP = '''
    """A small app."""
    import time
    import towpath

    class Echo(towpath.App, title="Echo"):
        """Give back what came."""

        @towpath.endpoint("/")
        def run(self, text: str, seconds: float = 0) -> dict:
            if seconds:
                print("at work", flush=True)
            time.sleep(seconds)
            return {"text": text}

        def teardown(self):
            print("teardown ran")
'''


_CLASS = "import towpath\nclass A(towpath.App):\n"


@pytest.fixture
def app(tmp_path: Path) -> str:
    return write(tmp_path, "echo.py", APP)


def towpath(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "towpath", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )


def test_help_loads_next_to_nothing() -> None:
    code = (
        "import sys; sys.argv = ['towpath', '--help']\n"
        "from towpath.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'fastapi', 'starlette', 'pydantic', 'sqlalchemy', 'aiohttp', 'PIL', 'numpy', 'rich'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "run" in done.stdout
    assert "LOADED []" in done.stdout


def test_help_takes_little_more_than_python_itself() -> None:
    """In a quiet moment it is under 200 ms; here it is compared with the parser alone."""

    def fastest(code: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
            times.append(time.perf_counter() - began)
        return min(times)

    bare = fastest("import typer; typer.Typer()")
    ours = fastest(
        "import sys; sys.argv = ['t', '--help']; from towpath.cli.main import run; run()"
    )
    assert ours < bare * 3


def test_a_reader_that_has_read_enough_is_no_failure() -> None:
    """As in `towpath requests ls | head -2` (trust T55)."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "towpath", "cache", "path"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def test_version_and_usage() -> None:
    assert towpath("--version").stdout.startswith("towpath 0.")
    assert towpath("run").returncode == 2
    assert towpath("nope").returncode == 2


def test_a_machine_that_lacks_what_is_asked_for_is_refused_in_one_line(tmp_path: Path) -> None:
    app = write(tmp_path, "big.py", APP.replace('title="Echo"', 'machine_type="GPU-B300"'))
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"), "--strict-machine")
    done = towpath("run", app, *flags)
    assert done.returncode == 1
    assert "asks for GPU-B300" in done.stderr
    assert "without --strict-machine" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_drains(app: str, tmp_path: Path) -> None:
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "d")) as server:
        server.wait_for("ready in")
        [runner] = server.runners()
        answers: list[httpx2.Response] = []
        body = {"text": "finished", "seconds": 1.5}
        call = threading.Thread(
            target=lambda: answers.append(httpx2.post(f"{server.url}/local/echo", json=body))
        )
        call.start()
        server.wait_for("at work")
        server.send(signal.SIGINT)
        call.join(20)
        assert answers[0].json() == {"text": "finished"}
        assert server.finish() == 130
        assert "Finishing the requests at work" in server.output
        assert "teardown ran" in server.output
        assert not runner.is_running()
        assert list((tmp_path / "d" / ".towpath" / "state" / "runners").iterdir()) == []


def test_a_second_ctrl_c_ends(app: str, tmp_path: Path) -> None:
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "d")) as server:
        server.wait_for("ready in")
        [runner] = server.runners()

        ends: list[int] = []

        def call_long() -> None:
            body = {"text": "", "seconds": 60}
            try:
                ends.append(
                    httpx2.post(f"{server.url}/local/echo", json=body, timeout=90).status_code
                )
            except httpx2.HTTPError:
                ends.append(0)

        call = threading.Thread(target=call_long)
        call.start()
        server.wait_for("at work")
        server.send(signal.SIGINT)
        server.wait_for("Finishing")
        began = time.monotonic()
        server.send(signal.SIGINT)
        assert server.finish() == 130
        assert time.monotonic() - began < 15
        call.join(10)
        assert ends[0] in {0, 500, 503}
        wait_until(lambda: not runner.is_running())


def test_sigterm_drains_and_is_no_failure(app: str, tmp_path: Path) -> None:
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "d")) as server:
        server.wait_for("ready in")
        server.send(signal.SIGTERM)
        assert server.finish() == 0


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (["--host", "0.0.0.0"], {}, 2, ["TOWPATH_KEYS", "--no-auth"]),
        (["--host", "0.0.0.0", "--no-auth"], {}, 2, ["public-url"]),
        (["--expires-in", "2 weeks"], {}, 2, ["TOWPATH_MEDIA_EXPIRES_IN"]),
        (["--store", "s3:bucket"], {}, 2, ["TOWPATH_STORE", "file:///"]),
        ([], {"TOWPATH_PROT": "1"}, 2, ["TOWPATH_PROT", "TOWPATH_PORT"]),
        ([], {"TOWPATH_KEYS": "nocolon"}, 2, ["id:secret"]),
        (["--host", "nowhere.invalid", "--no-auth"], {}, 2, ["nowhere.invalid"]),
        (["--data-dir", "/proc/nothing"], {}, 2, ["/proc/nothing", "--data-dir"]),
    ],
)
def test_a_server_that_cannot_be_started_safely_is_not(
    app: str, tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, words: list[str]
) -> None:
    base = [] if "--data-dir" in arguments else ["--data-dir", str(tmp_path / "d")]
    done = towpath("run", app, "--port", "0", *base, *arguments, **env)
    assert done.returncode == code, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_keys_open_a_public_address(app: str, tmp_path: Path) -> None:
    flags = ("--host", "0.0.0.0", "--port", "0", "--public-url", "http://files.test")
    with Command(
        app, *flags, "--data-dir", str(tmp_path / "d"), env={"TOWPATH_KEYS": "a:b"}
    ) as server:
        output = server.wait_for("ready in")
        assert "PUBLIC" in output
        assert "Operator    /admin, the operator's page" in output, "trust T55"
        assert "http://files.test/local/echo" in output


def test_a_port_in_use_names_its_holder_and_another_port(app: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = towpath("run", app, "--port", str(port), "--data-dir", str(tmp_path / "d"))
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert f"pid {os.getpid()}" in done.stderr
    assert f"`--port {port + 1}`" in done.stderr


def test_a_port_of_files_in_use_names_its_own_flag(app: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ("--port", "0", "--cdn-port", port, "--data-dir", str(tmp_path / "d"))
        done = towpath("run", app, *flags)
    assert f"`--cdn-port {int(port) + 1}`" in done.stderr


def test_a_second_server_on_one_state_folder_is_refused_with_the_ways_out(app, tmp_path) -> None:
    data = str(tmp_path / "d")
    with Command(app, "--port", "0", "--data-dir", data) as server:
        server.wait_for("ready in")
        done = towpath("run", app, "--port", "0", "--data-dir", data)
        assert done.returncode == 1
        assert f"pid {server.process.pid}" in done.stderr
        assert "--state-dir" in done.stderr
        other = ("--port", "0", "--data-dir", data, "--state-dir", str(tmp_path / "other"))
        with Command(app, *other) as second:
            second.wait_for("ready in")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing.py", None, ["missing.py", "no file"]),
        ("syntax.py", "def (", ["syntax.py", "SyntaxError", "line 1"]),
        ("raises.py", "import towpath\n1/0", ["ZeroDivisionError", "line 2"]),
        ("empty.py", "x = 1", ["no towpath.App"]),
        ("no_ends.py", "import towpath\nclass A(towpath.App): pass", ["with an endpoint"]),
        (
            "init.py",
            "import towpath\nclass A(towpath.App):\n  def __init__(self): pass",
            ["__init__", "setup()"],
        ),
        ("option.py", "import towpath\nclass A(towpath.App, keep_alife=1): pass", ["keep_alive"]),
        (
            "twice.py",
            (
                "import towpath\nclass A(towpath.App):\n  @towpath.endpoint('/')\n  def a(self): pass\n"
                "  @towpath.endpoint('/')\n  def b(self): pass"
            ),
            ["'/'", "a and b"],
        ),
        ("no_slash.py", f"{_CLASS}  @towpath.endpoint('predict')\n  def a(self): pass", ["line 3"]),
        ("typo.py", f"{_CLASS}  machine_tpye = 'GPU'", ["machine_tpye", "'machine_type'"]),
        ("type.py", f"{_CLASS}  keep_alive = '60'", ["A.keep_alive cannot be '60'"]),
        ("module.py", "import nowhere_at_all", ["ModuleNotFoundError", "nowhere_at_all", "line 1"]),
        ("leaves.py", "import sys\nsys.exit(3)", ["SystemExit: 3", "line 2"]),
        ("dies.py", "import os\nos._exit(3)", ["ended with status 3"]),
        (
            "signature.py",
            "import towpath\nclass A(towpath.App):\n  @towpath.endpoint('/')\n  def a(self, **kw): pass",
            ["kw"],
        ),
    ],
)
def test_code_that_cannot_be_served_is_said_to_with_the_line(
    tmp_path: Path, name: str, code: str | None, words: list[str]
) -> None:
    path = tmp_path / name
    if code is not None:
        path.write_text(code)
    done = towpath("run", str(path), "--port", "0", "--data-dir", str(tmp_path / "d"))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last
    assert "towpath/runner" not in done.stderr, "no frame of ours (trust T54)"
    assert "towpath/app" not in done.stderr


def test_a_class_may_be_named_and_two_apps_need_two_names(app: str, tmp_path: Path) -> None:
    data = ("--port", "0", "--data-dir", str(tmp_path / "d"))
    with Command(f"{app}::Echo", *data) as server:
        server.wait_for("ready in")
    done = towpath("run", f"{app}::Nope", *data)
    assert "Apps: Echo" in done.stderr
    done = towpath("run", app, app, *data)
    assert "both named 'echo'" in done.stderr


def test_a_module_can_be_served(app: str, tmp_path: Path) -> None:
    with Command("echo:Echo", "--port", "0", "--data-dir", str(tmp_path / "d")) as server:
        server.wait_for("ready in")
        assert httpx2.post(f"{server.url}/local/echo", json={"text": "m"}).json() == {"text": "m"}


@pytest.mark.parametrize("command", ["module", "script"])
def test_the_server_imports_nothing_from_the_working_folder(tmp_path: Path, command: str) -> None:
    """Files there that are named like modules which the server needs (trust T54)."""
    for name in ("attr", "queue", "logging", "typing", "uvicorn"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')")
    arguments = ["run", "nofile.py", "--port", "0", "--data-dir", str(tmp_path / "d")]
    program = [sys.executable, "-m", "towpath"]
    if command == "script":
        program = [str(Path(sys.executable).parent / "towpath")]
    done = subprocess.run(
        [*program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert "was imported" not in done.stderr + done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith("towpath: There is no file nofile.py.")


def test_files_may_have_a_port_of_their_own(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "maker.py",
        """
        import towpath
        class Maker(towpath.App):
            @towpath.endpoint("/")
            def run(self) -> towpath.File:
                return towpath.File.from_bytes(b"x", "text/plain")
        """,
    )
    flags = ("--port", "0", "--cdn-port", "0", "--data-dir", str(tmp_path / "d"))
    with Command(file, *flags) as server:
        server.wait_for("ready in")
        made = httpx2.post(f"{server.url}/local/maker").json()
        assert not made["url"].startswith(server.url)
        assert httpx2.get(made["url"]).text == "x"
        other = made["url"].partition("/files/")[0]
        assert httpx2.post(f"{other}/local/maker").status_code == 404


def test_reload_serves_new_code_and_keeps_the_old_while_the_new_is_broken(app, tmp_path) -> None:
    data = tmp_path / "d"
    with Command(app, "--port", "0", "--data-dir", str(data), "--reload") as server:
        server.wait_for("ready in")
        url = f"{server.url}/local/echo"

        def answer() -> dict:
            return httpx2.post(url, json={"text": "x"}).json()

        for _ in range(60):  # the watch begins a moment after the server
            Path(app).write_text(f"this is no Python {time.monotonic()}")
            with contextlib.suppress(AssertionError):
                server.wait_for("the running code is kept", seconds=1)
                break
        assert answer() == {"text": "x"}
        write(tmp_path, "echo.py", APP.replace('{"text": text}', '{"text": text * 3}'))
        wait_until(lambda: answer() == {"text": "xxx"})
