"""The unmodified `fal-client`, pointed here: run, submit, events, results, streams, cancelling."""

import asyncio
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import fal_client
import pytest

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "queue_app.py")
KEY = "me:secret"
pytestmark = [  # the client closes its connections when it is collected
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Its connections are closed within the test that opened them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0, keys=KEY) as running:
        yield running


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> fal_client.SyncClient:
    """The client as it is, told where we are."""
    monkeypatch.setattr(fal_client.client, "RUN_URL_FORMAT", f"{server.url}/")
    monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{server.url}/queue/")
    return fal_client.SyncClient(key=KEY)


@pytest.fixture
def later(client: fal_client.SyncClient) -> fal_client.AsyncClient:
    return fal_client.AsyncClient(key=KEY)


def test_it_runs(client: fal_client.SyncClient) -> None:
    assert client.run("local/busy", arguments={"name": "a"})["name"] == "a"
    assert client.run("local/busy/file", arguments={"text": "x"})["content_type"] == "text/plain"


def test_it_submits_follows_events_with_logs_and_gets(client: fal_client.SyncClient) -> None:
    handle = client.submit("local/busy/logs", arguments={})
    events = list(handle.iter_events(with_logs=True, interval=0.05))
    assert isinstance(events[-1], fal_client.Completed)
    messages = [line["message"] for line in events[-1].logs]
    assert "from print" in messages
    assert handle.get() == [handle.request_id] * 2
    assert isinstance(handle.status(), fal_client.Completed)


def test_it_reads_by_id(client: fal_client.SyncClient) -> None:
    handle = client.submit("local/busy/async", arguments={"seconds": 1, "name": "b"})
    while not isinstance(
        state := client.status("local/busy", handle.request_id), fal_client.InProgress
    ):
        assert isinstance(state, fal_client.Queued)
        assert state.position == 0
        time.sleep(0.02)
    assert client.result("local/busy", handle.request_id) == {"name": "b"}


def test_it_subscribes(client: fal_client.SyncClient) -> None:
    seen: list[fal_client.Status] = []
    ids: list[str] = []
    answer = client.subscribe(
        "local/busy",
        arguments={"seconds": 0.5, "name": "c"},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=seen.append,
    )
    assert answer["name"] == "c"
    assert len(ids) == 1
    assert {type(each) for each in seen} >= {fal_client.InProgress, fal_client.Completed}


def test_it_streams(client: fal_client.SyncClient) -> None:
    events = list(client.stream("local/busy", arguments={"count": 4}))
    assert events == [{"n": number} for number in range(4)]


def test_it_cancels_what_waits_and_what_runs(client: fal_client.SyncClient) -> None:
    running = client.submit("local/single", arguments={"seconds": 1.5})
    waiting = client.submit("local/single", arguments={})
    while not isinstance(running.status(), fal_client.InProgress):
        time.sleep(0.02)
    waiting.cancel()
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        waiting.get()
    assert refused.value.status_code == 499
    at_work = client.submit("local/busy/async", arguments={"seconds": 60})
    while not isinstance(at_work.status(), fal_client.InProgress):
        time.sleep(0.02)
    client.cancel("local/busy", at_work.request_id)
    with pytest.raises(fal_client.FalClientHTTPError) as stopped:
        at_work.get()
    assert stopped.value.status_code == 499
    assert stopped.value.error_type == "client_cancelled"


@pytest.mark.parametrize(
    ("app", "arguments", "code"),
    [
        ("local/busy", {"seconds": "many"}, 422),
        ("local/busy/fail", {}, 500),
        ("local/busy/status", {"code": 418}, 418),
    ],
)
def test_failures_are_its_errors(client, app: str, arguments: dict, code: int) -> None:
    for call in (client.run, client.subscribe):
        with pytest.raises(fal_client.FalClientHTTPError) as failure:
            call(app, arguments=arguments)
        assert failure.value.status_code == code
        assert failure.value.response_headers["x-fal-request-id"]
        if code == 422:
            assert failure.value.message[0]["loc"] == ["body", "seconds"]


def test_its_options_reach_us(client: fal_client.SyncClient) -> None:
    busy = client.submit("local/single", arguments={"seconds": 1.5})
    while not isinstance(busy.status(), fal_client.InProgress):
        time.sleep(0.02)
    low = client.submit("local/single", arguments={}, priority="low")
    high = client.submit("local/single", arguments={}, hint="warm", start_timeout=30)
    assert (high.status().position, low.status().position) == (0, 1)
    long = client.submit("local/single", arguments={"seconds": 1.8})
    late = client.submit("local/single", arguments={}, start_timeout=1.1)
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        late.get()
    assert refused.value.status_code == 504
    for handle in (busy, low, high, long):
        handle.get()


def test_a_wrong_key_is_its_error(client: fal_client.SyncClient) -> None:
    stranger = fal_client.SyncClient(key="you:wrong")
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        stranger.submit("local/busy", arguments={})
    assert refused.value.status_code == 401


def test_a_timeout_of_its_own_cancels_here(client: fal_client.SyncClient) -> None:
    with pytest.raises(fal_client.FalClientTimeoutError) as over:
        client.subscribe("local/busy/async", arguments={"seconds": 60}, client_timeout=1.5)
    state = client.status("local/busy", over.value.request_id)
    while not isinstance(state, fal_client.Completed):
        state = client.status("local/busy", over.value.request_id)
    assert state.error_type == "client_cancelled"


def test_its_async_twin_does_the_same(later: fal_client.AsyncClient) -> None:
    async def story() -> None:
        assert (await later.run("local/busy", arguments={"name": "d"}))["name"] == "d"
        handle = await later.submit("local/busy/logs", arguments={})
        kinds = {type(event) async for event in handle.iter_events(with_logs=True, interval=0.05)}
        assert fal_client.Completed in kinds
        assert await handle.get() == [handle.request_id] * 2
        answers = await asyncio.gather(
            *(later.subscribe("local/busy", arguments={"name": str(n)}) for n in range(8))
        )
        assert [answer["name"] for answer in answers] == [str(n) for n in range(8)]
        events = [event async for event in later.stream("local/busy", arguments={"count": 2})]
        assert events == [{"n": 0}, {"n": 1}]

    async def closed() -> None:
        try:
            await story()
        finally:
            await (await later._client).aclose()

    asyncio.run(closed())
