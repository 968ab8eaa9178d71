"""Apps whose code forks: their children are theirs, and the same runner goes on (trust T30)."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.support.queued import submit, until

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "forking_app.py")
DOUBLED = [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/local/forking", timeout=110) as own:
        yield own


@pytest.fixture(autouse=True)
def same_runner(client: httpx2.Client) -> Iterator[None]:
    before = client.post("/pid", json={}).json()
    yield
    assert client.post("/pid", json={}).json() == before


def test_trust_t30_a_child_has_no_socket_and_no_pipe_of_the_runner(client: httpx2.Client) -> None:
    held = client.post("/held", json={}).json()
    streams = {"pipe", "socket", "anon_inode"}
    runners = {name for name in held["runner"] if name.partition(":")[0] in streams}
    assert len(runners) > 4
    child = {name for name in held["child"] if name.partition(":")[0] in streams}
    shared = sorted(runners & child)
    assert len(shared) == 4, "output, error, the way back for its words, the endpoint's own pipe"


@pytest.mark.parametrize("path", ["pool", "pool-async"])
def test_trust_t30_twelve_pools_in_a_row_give_twelve_right_answers(
    client: httpx2.Client, path: str
) -> None:
    given = {"context": "fork", "count": 4}
    answers = [client.post(f"/{path}", json=given).json() for _ in range(12)]
    assert answers == [DOUBLED] * 12


@pytest.mark.parametrize(
    ("path", "context"),
    [
        ("pool", "forkserver"),
        ("pool", "spawn"),
        ("executor", "fork"),
        ("executor", "spawn"),
        ("executor-async", "fork"),
    ],
)
def test_trust_t30_processes_of_every_context_work(
    client: httpx2.Client, path: str, context: str
) -> None:
    assert client.post(f"/{path}", json={"context": context, "count": 1}).json() == DOUBLED


@pytest.mark.parametrize("path", ["terminate", "terminate-async"])
@pytest.mark.parametrize("context", ["fork", "forkserver", "spawn"])
def test_trust_t30_a_child_that_is_terminated_ends_by_that_signal(
    client: httpx2.Client, path: str, context: str
) -> None:
    for _ in range(3):
        assert client.post(f"/{path}", json={"context": context}).json() == -15


@pytest.mark.parametrize("path", ["os-fork", "os-fork-async"])
@pytest.mark.parametrize(
    ("way", "status"), [("return", 0), ("raise", 1), ("exit", 7), ("kill", -15), ("_exit", 5)]
)
def test_trust_t30_a_forked_child_never_goes_on_as_the_runner(
    client: httpx2.Client, path: str, way: str, status: int
) -> None:
    assert client.post(f"/{path}", json={"way": way}).json() == status


def test_trust_t30_code_before_a_program_is_executed_works(client: httpx2.Client) -> None:
    assert client.post("/preexec", json={}).json() == "from a shell\n"


def test_trust_t30_children_print_while_threads_hold_the_locks(client: httpx2.Client) -> None:
    assert client.post("/busy", json={"seconds": 2}).json() > 0


def test_trust_t30_what_a_forked_child_says_is_its_requests_log(server: Server) -> None:
    done = until(submit(server.url, "forking/say", {"context": "fork"}), "COMPLETED")
    said = [(line["level"], line["message"]) for line in done["logs"]]
    assert said == [
        ("STDOUT", "child"),
        ("STDERR", "error child"),
        ("WARN", "logged child"),
        ("STDOUT", "half child"),
        ("STDOUT", "parent"),
    ]
    assert done["progress"]["message"] == "child"


def test_trust_t30_what_a_spawned_child_prints_is_its_requests_log(server: Server) -> None:
    done = until(submit(server.url, "forking/say", {"context": "spawn"}), "COMPLETED", 60)
    assert {"child", "error child", "parent"} <= {line["message"] for line in done["logs"]}


@pytest.mark.parametrize("path", ["do", "do-async"])
@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("exit", 500),
        ("exit with words", 500),
        ("keyboard interrupt", 500),
        ("generator exit", 500),
        ("chdir", 200),
        ("close streams", 200),
        ("close sys.stdout", 200),
        ("faulthandler", 200),
        ("logging", 200),
        ("atexit", 200),
        ("daemon thread", 200),
        ("thread that fails", 200),
        ("signal", 200),
        ("environment", 200),
    ],
)
def test_trust_t30_what_an_app_does_to_its_process_costs_no_other_request(
    client: httpx2.Client, path: str, what: str, status: int
) -> None:
    assert client.post(f"/{path}", json={"what": what}).status_code == status
    made = client.post("/file", json={})
    assert made.status_code == 200, made.text
    assert httpx2.get(made.json()["url"]).text == "text"
