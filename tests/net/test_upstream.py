"""Towards a runner: one that behaves, and ones that do not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import RequestError
from towpath.net import upstream as upstream_room
from towpath.net.upstream import BrokenError, RefusedError, Upstream, UpstreamError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Story = Callable[[Upstream, "Runner"], Awaitable[None]]


class Runner:
    """Answers every request with the same pieces, and remembers what it got."""

    def __init__(self, *pieces: bytes, closes: bool = False) -> None:
        self.pieces, self.closes = pieces, closes
        self.got = bytearray()
        self.connections = 0
        self.hang_ups = asyncio.Queue[bool]()
        self.reads = True
        self.asked = 0
        self.tasks = set[asyncio.Task[None]]()
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            while self.reads and (data := await reader.read(65536)):
                self.got += data
                asked, self.asked = self.asked, self.got.count(b" HTTP/1.1\r\n")
                if asked < self.asked:
                    await self.answer(writer)
                    if self.closes:
                        return
            await asyncio.sleep(0.3)
        except ConnectionError:
            pass
        finally:
            self.hang_ups.put_nowait(True)
            writer.close()

    async def over(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def answer(self, writer: asyncio.StreamWriter) -> None:
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)
            await asyncio.sleep(0)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Runner, Story], None]:
    """Tell a story with a runner."""

    def told(runner: Runner, story: Story) -> None:
        async def run() -> None:
            path = str(tmp_path / "r.sock")
            server = await asyncio.start_unix_server(runner.serve, path)
            upstream = Upstream(path)
            try:
                async with asyncio.timeout(20):
                    await story(upstream, runner)
            finally:
                await upstream.close()
                server.close()
                await runner.over()

        asyncio.run(run())

    return told


async def body_of(upstream: Upstream, method: str = "GET") -> bytes:
    async with await upstream.request(method, "/") as answer:
        return await answer.read()


WHOLE = [  # what comes, whether the runner closes then, what is asked, what is read, is it used again
    (OK, False, "GET", (200, b"hi"), True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", False, "GET", (204, b""), True),
    (b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", False, "GET", (304, b""), True),
    (b"%b2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n" % IN_CHUNKS, False, "GET", (200, b"hi!"), True),
    (b"%b0\r\nlate: trailer\r\n\r\n" % IN_CHUNKS, False, "GET", (200, b""), True),
    (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n%b" % OK, False, "GET", (200, b"hi"), True),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", False, "HEAD", (200, b""), False),
    (CLOSING, False, "GET", (200, b""), False),
    (b"HTTP/1.0 200 OK\r\n\r\nto the end", True, "GET", (200, b"to the end"), False),
]


@pytest.mark.parametrize(("answer", "closes", "method", "expected", "stays"), WHOLE)
def test_an_answer_is_read_to_its_end(play, answer, closes, method, expected, stays) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        for _ in range(2):
            async with await upstream.request(method, "/") as got:
                assert (got.status, await got.read()) == expected
                assert not {"late", "link"} & set(got.headers)
        assert runner.connections == (1 if stays else 2)

    play(Runner(answer, closes=closes), story)


def test_the_request_goes_out_as_it_was_given(play) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        headers = [("x-a", "ä".encode().decode("latin-1")), ("x-a", "2")]
        async with await upstream.request("PUT", "/p%20q?a=1", headers=headers, data=b"body") as _:
            pass
        head = "PUT /p%20q?a=1 HTTP/1.1\r\nhost: runner\r\nx-a: ä\r\nx-a: 2\r\ncontent-length: 4"
        assert runner.got == f"{head}\r\n\r\nbody".encode()

    play(Runner(OK), story)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", []),
        ("/\r\nx: y", []),
        ("/", [("x", "y\r\nz: 1")]),
        ("/", [("x", "y\n")]),
        ("/", [("x\r\ny", "z")]),
        ("/\n", [("x", "\r")]),
    ],
)
def test_nothing_ends_a_line_but_we(play, path, headers) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        with pytest.raises(ValueError, match="end of a line"):
            await upstream.request("GET", path, headers=headers)
        assert not runner.got

    play(Runner(OK), story)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"SSH-2.0-OpenSSH_9\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n", *[b"x: %b\r\n" % (b"y" * 60_000)] * 20],
        [b"HTTP/1.1 200 OK\r\nx: ", *[b"y" * 60_000] * 20],
        [b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"],
    ],
)
def test_a_head_that_is_none_is_an_error(play, pieces) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        with pytest.raises(UpstreamError, match="not HTTP"):
            await upstream.request("GET", "/")
        await runner.hang_ups.get()

    play(Runner(*pieces), story)


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200 OK\r\ncontent-le"]])
def test_a_runner_that_dies_before_its_answer_has_broken_off(play, pieces) -> None:
    async def story(upstream: Upstream, _: Runner) -> None:
        with pytest.raises(BrokenError):
            await upstream.request("GET", "/")

    play(Runner(*pieces, closes=True), story)


@pytest.mark.parametrize(
    "head", [b"content-length: 9\r\n\r\nhi", b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"]
)
def test_what_came_before_a_break_is_read_and_then_the_break(play, head) -> None:
    async def story(upstream: Upstream, _: Runner) -> None:
        answer = await upstream.request("GET", "/")
        await asyncio.sleep(0.05)
        chunks = answer.chunks()
        assert await anext(chunks) == b"hi"
        with pytest.raises(BrokenError):
            await anext(chunks)
        answer.close()

    play(Runner(b"HTTP/1.1 200 OK\r\n" + head, closes=True), story)


def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again(play) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        assert await body_of(upstream) == b"hi"
        await runner.hang_ups.get()
        runner.pieces = (OK,)
        assert await body_of(upstream) == b"hi"
        assert runner.connections == 2

    play(Runner(OK, b"HTTP/1.1 500 Injected\r\n\r\n"), story)


def test_nobody_listens(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(RefusedError):
            await Upstream(str(tmp_path / "none.sock")).request("GET", "/")

    asyncio.run(run())


def test_one_that_is_closed_breaks_off_what_is_on_its_way(play) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        waiting = asyncio.ensure_future(upstream.request("GET", "/"))
        await asyncio.sleep(0.05)
        await upstream.close()
        with pytest.raises(BrokenError):
            await waiting
        with pytest.raises(BrokenError):
            await upstream.request("GET", "/")
        await runner.hang_ups.get()

    play(Runner(), story)


def test_giving_up_hangs_up(play) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(upstream.request("GET", "/"), 0.05)
        await runner.hang_ups.get()
        runner.pieces = (OK[:-1],)
        async with await upstream.request("GET", "/"):
            pass  # not read to its end
        await runner.hang_ups.get()
        assert runner.connections == 2

    play(Runner(), story)


def test_idle_connections_are_closed_after_a_while(play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_room, "_IDLE_SECONDS", 0.05)

    async def story(upstream: Upstream, runner: Runner) -> None:
        await asyncio.gather(*(body_of(upstream) for _ in range(5)))
        assert runner.connections == 5
        for _ in range(5):
            await runner.hang_ups.get()
        assert await body_of(upstream) == b"hi"

    play(Runner(OK), story)


# --- bodies that come in pieces ------------------------------------------------------------------


async def pieces_of(*pieces: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ([], b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ([("content-length", "3")], b"content-length: 3\r\n\r\nabc"),
    ],
)
def test_a_body_goes_out_as_it_comes(play, headers, sent) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        data = pieces_of(b"ab", b"", b"c")
        async with await upstream.request("POST", "/", headers=headers, data=data) as answer:
            await asyncio.sleep(0.05)
            assert await answer.read() == b"hi"
        assert runner.got.endswith(sent)
        assert await body_of(upstream) == b"hi"
        assert runner.connections == 1

    play(Runner(OK), story)


def test_a_body_that_breaks_off_is_its_own_error_and_the_runner_sees_no_end(play) -> None:
    async def story(upstream: Upstream, runner: Runner) -> None:
        broken = pieces_of(b"ab", error=RequestError("The body broke off."))
        with pytest.raises(RequestError, match="broke off"):
            await upstream.request("POST", "/", data=broken)
        await runner.hang_ups.get()
        assert not runner.got.endswith(b"0\r\n\r\n")

    play(Runner(), story)


def test_an_answer_that_comes_before_the_body_is_sent_is_taken(play) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)
            await asyncio.sleep(0.001)

    async def story(upstream: Upstream, runner: Runner) -> None:
        async with await upstream.request("POST", "/", data=endless()) as answer:
            assert await answer.read() == b"hi"
        await runner.hang_ups.get()

    play(Runner(OK), story)


def test_a_runner_that_does_not_read_is_not_sent_everything(play) -> None:
    drawn = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal drawn
        for _ in range(1000):
            drawn += 1
            yield bytes(64 * 1024)

    async def story(upstream: Upstream, runner: Runner) -> None:
        runner.reads = False
        with pytest.raises(UpstreamError):
            await upstream.request("POST", "/", data=large())
        assert drawn < 100

    play(Runner(), story)


def test_an_answer_that_nobody_reads_is_not_gathered(play) -> None:
    count = 200
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {count * 65536}\r\n\r\n".encode()

    async def story(upstream: Upstream, runner: Runner) -> None:
        async with await upstream.request("GET", "/") as answer:
            await asyncio.sleep(0.3)
            assert runner.sent < 4 * 2**20
            assert len(await answer.read()) == count * 65536
        assert await body_of(upstream) == bytes(count * 65536)
        assert runner.connections == 1

    play(Runner(head, *(bytes(65536) for _ in range(count))), story)


# --- however it is cut ---------------------------------------------------------------------------

BODY = bytes(range(256)) * 3
LONG = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED += b"".join(b"%x\r\n%b\r\n" % (96, BODY[i : i + 96]) for i in range(0, 768, 96))
CHUNKED += b"0\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut")


@given(
    answer=st.sampled_from([LONG, CHUNKED]),
    cuts=st.lists(st.integers(1, len(CHUNKED) - 1), max_size=8),
)
def test_an_answer_is_the_same_however_it_is_cut(
    folder: Path, answer: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(edges)]

    async def run() -> None:
        path = str(folder / "r.sock")
        runner = Runner(*pieces)
        server = await asyncio.start_unix_server(runner.serve, path)
        upstream = Upstream(path)
        try:
            for _ in range(2):
                async with await upstream.request("GET", "/") as got:
                    assert (got.headers["x-a"], await got.read()) == ("1", BODY)
        finally:
            await upstream.close()
            server.close()
            await runner.over()

    asyncio.run(run())
