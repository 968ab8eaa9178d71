"""The one reading of a request's path: routes, guards and targets cannot differ (trust T8)."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from towpath.gateway.addresses import Address, needs_no_key, prefix_of, read_address


def call(path: str, owner: str, app: str, endpoint: str = "/", **more: object) -> Address:
    return Address("call", path, owner, app, endpoint, **more)


def queued(path: str, endpoint: str = "/", request_id: str = "", **more: object) -> Address:
    return Address("queue", path, "local", "sample", endpoint, request_id, **more)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("/local/sample", call("/local/sample", "local", "sample")),
        ("/local/sample/", call("/local/sample", "local", "sample")),
        ("/local/sample/x", call("/local/sample/x", "local", "sample", "/x")),
        ("/local/sample/x//", call("/local/sample/x", "local", "sample", "/x")),
        ("/local/sample//x", call("/local/sample//x", "local", "sample", "//x")),
        ("/local/sample/a%2Fb", call("/local/sample/a%2Fb", "local", "sample", "/a%2Fb")),
        ("/local/sample/a;b=1", call("/local/sample/a;b=1", "local", "sample", "/a;b=1")),
        ("/%6cocal/s%61mple", call("/local/sample", "local", "sample")),
        ("/%6Cocal/s%61mple", call("/local/sample", "local", "sample")),
        ("/local/sample;v=1", call("/local/sample;v=1", "local", "sample;v=1")),
        ("/local/sample%2Fx", call("/local/sample%2Fx", "local", "sample%2Fx")),
        ("/local/%252e", call("/local/%252e", "local", "%252e")),
        ("/queues/sample", call("/queues/sample", "queues", "sample")),
        ("/QUEUE/sample", call("/QUEUE/sample", "QUEUE", "sample")),
        ("/local%2Fsample", Address("own", "/local%2Fsample")),
        ("/local%2fsample/x", call("/local%2fsample/x", "local%2fsample", "x")),
        ("/local", Address("own", "/local")),
        ("/local/", Address("own", "/local/")),
        ("/local//sample", Address("own", "/local//sample")),
        ("//local/sample", Address("own", "//local/sample")),
        ("", Address("own", "")),
        ("*", Address("own", "*")),
        ("/", Address("own", "/")),
        ("/health", Address("own", "/health")),
        ("/he%61lth", Address("own", "/health")),
        ("/health/x", Address("own", "/health/x")),
        ("/playground/local/sample", Address("own", "/playground/local/sample")),
        ("/admin", Address("own", "/admin")),
        ("/admin/files", Address("admin", "/admin/files")),
        ("/%61dmin/files", Address("admin", "/admin/files")),
        ("/admin%2Ffiles", Address("own", "/admin%2Ffiles")),
        ("/files", Address("own", "/files")),
        ("/files/upload", Address("upload", "/files/upload")),
        ("/files/uploa%64", Address("upload", "/files/upload")),
        ("/files/upload/", Address("files", "/files/upload/")),
        ("/files/abc/x%20y.png", Address("files", "/files/abc/x%20y.png")),
        ("/files%2Fabc/x", call("/files%2Fabc/x", "files%2Fabc", "x")),
        ("/queue/local/sample", queued("/queue/local/sample")),
        ("/queue/%6cocal/sample/", queued("/queue/local/sample")),
        ("/%71ueue/local/sample/x", queued("/queue/local/sample/x", "/x")),
        (
            "/queue/local/sample/requests/id",
            queued("/queue/local/sample/requests/id", "/requests/id", "id"),
        ),
        (
            "/queue/local/sample/%72equests/id/st%61tus/",
            queued(
                "/queue/local/sample/%72equests/id/st%61tus",
                "/%72equests/id/st%61tus",
                "id",
                ask="status",
            ),
        ),
        (
            "/queue/local/sample/requests/id/status/stream",
            queued(
                "/queue/local/sample/requests/id/status/stream",
                "/requests/id/status/stream",
                "id",
                ask="stream",
            ),
        ),
        (
            "/queue/local/sample/requests/id/cancel",
            queued(
                "/queue/local/sample/requests/id/cancel",
                "/requests/id/cancel",
                "id",
                ask="cancel",
            ),
        ),
        (
            "/queue/local/sample/requests%2Fid%2Fcancel",
            queued("/queue/local/sample/requests%2Fid%2Fcancel", "/requests%2Fid%2Fcancel"),
        ),
        ("/queue/local/sample/requests", queued("/queue/local/sample/requests", "/requests")),
        (
            "/queue/local/sample/requests//cancel",
            queued("/queue/local/sample/requests//cancel", "/requests//cancel"),
        ),
        (
            "/queue/local/sample/requests/id/nope",
            queued("/queue/local/sample/requests/id/nope", "/requests/id/nope"),
        ),
        ("/queue", Address("own", "/queue")),
        ("/queue/local", Address("own", "/queue/local")),
        ("/queue//local/sample", Address("own", "/queue//local/sample")),
        ("/queue%2Flocal/sample", call("/queue%2Flocal/sample", "queue%2Flocal", "sample")),
    ],
)
def test_a_path_means_one_thing(raw: str, read: Address) -> None:
    assert read_address(raw) == read


@pytest.mark.parametrize(
    "endpoint",
    [
        "/-/requests/x",
        "/-",
        "/%2d/requests/x",
        "/%2D/requests/x",
        "/-%2Frequests%2fx",
        "/%2d%2f",
        "//-/requests/x",
        "/%2F-/requests/x",
        "/./-/requests/x",
        "/x/../-/requests/x",
        "/x/%2e%2e/-/requests/x",
        "/x/%2E./y",
        "/x%2F..%2Fy",
        "/..",
        "/.",
        "/x/.",
    ],
)
@pytest.mark.parametrize("before", ["", "/queue"])
def test_no_spelling_reaches_the_runners_own_paths_or_a_dot_segment(before, endpoint) -> None:
    address = read_address(f"{before}/local/sample{endpoint}")
    assert address.app == "sample"
    assert address.is_closed


@pytest.mark.parametrize(
    "endpoint", ["/", "/x", "/-x", "/-x/y", "/x/-/y", "/%252d/x", "/a.b", "/.x", "/x/...", "/a..b"]
)
def test_other_paths_are_open(endpoint: str) -> None:
    assert not read_address(f"/local/sample{endpoint}").is_closed


@pytest.mark.parametrize(
    ("raw", "host", "service", "path"),
    [
        ("/local/sample", "queue.example.org", "queue", "/queue/local/sample"),
        ("/local/sample/x", "QUEUE.example.org:80", "queue", "/queue/local/sample/x"),
        ("/queue/local/sample", "queue.example.org", "queue", "/queue/local/sample"),
        ("/%71ueue/local/sample", "queue.example.org", "queue", "/queue/local/sample"),
        ("/health", "queue.example.org", "own", "/queue/health"),
        ("/files/upload", "queue.example.org", "queue", "/queue/files/upload"),
        ("/admin/files", "queue.example.org", "queue", "/queue/admin/files"),
        ("/local/sample", "queuex.example.org", "call", "/local/sample"),
    ],
)
def test_everything_at_the_queues_host_is_below_the_queue(raw, host, service, path) -> None:
    address = read_address(raw, host=host)
    assert (address.service, address.path) == (service, path)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/base/path/local/sample/x", "/local/sample/x"),
        ("/b%61se/path/local/sample/%78", "/local/sample/%78"),
        ("/base/path/", "/"),
        ("/base/path", "/base/path"),
        ("/base/pathological/x", "/base/pathological/x"),
        ("/base%2Fpath/local/sample", "/base%2Fpath/local/sample"),
        ("/base//path/local/sample", "/base//path/local/sample"),
        ("/local/sample", "/local/sample"),
    ],
)
def test_a_proxys_prefix_is_taken_away_once(raw: str, path: str) -> None:
    assert read_address(raw, prefix="/base/path").path == path


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://example.org", ""),
        ("https://example.org/", ""),
        ("https://example.org/base/path/", "/base/path"),
        ("https://example.org/a b", "/a%20b"),
        ("https://example.org/a%20b", "/a%20b"),
        ("https://example.org/local/x", ""),
        ("https://example.org/files", ""),
    ],
)
def test_a_prefix_that_could_be_a_call_is_left_alone(url: str, prefix: str) -> None:
    assert prefix_of(url, "local") == prefix


@pytest.mark.parametrize(
    ("raw", "method", "headers", "is_open"),
    [
        ("/", "GET", (), True),
        ("/health", "GET", (), True),
        ("/he%61lth", "GET", (), True),
        ("/ready", "HEAD", (), True),
        ("/playground", "GET", (), True),
        ("/playground/local/sample", "GET", (), True),
        ("/playgrounds", "GET", (), False),
        ("/metrics", "GET", (), False),
        ("/apps", "GET", (), False),
        ("/local/sample/health", "GET", (), True),
        ("/local/sample/health/", "HEAD", (), True),
        ("/local/sample/health", "POST", (), False),
        ("/local/sample/health", "", (), False),
        ("/local/sample/health", "GET", (b"content-length",), False),
        ("/local/sample/health", "GET", (b"transfer-encoding",), False),
        ("/local/sample/he%61lth", "GET", (), False),
        ("/local/sample%2Fhealth", "GET", (), False),
        ("/local/sample/x/health", "GET", (), False),
        ("/local/sample//health", "GET", (), False),
        ("/local/sample", "GET", (), False),
        ("/queue/local/health", "GET", (), False),
        ("/queue/local/sample/health", "GET", (), False),
    ],
)
def test_what_needs_no_key(raw: str, method: str, headers: tuple[bytes, ...], is_open) -> None:
    assert needs_no_key(read_address(raw), method, headers) is is_open


WORDS = """/ // %2F %2f . %2e %2E - %2d %2D ; ? a local sample %6cocal queue %71ueue health
    he%61lth requests files upload admin metrics playground status cancel %25 % %zz %00 \xe4"""
PIECES = st.sampled_from([*WORDS.split(), " "])
PATHS = st.lists(PIECES, max_size=12).map(lambda pieces: "/" + "".join(pieces))


@given(raw=PATHS, host=st.sampled_from(["", "queue.test", "127.0.0.1"]))
@example(raw="/local/sample/%2d/requests/x", host="")
@example(raw="/local%2Fsample", host="")
@example(raw="/queue/local/sample%2Fx", host="")
def test_router_guard_and_target_agree_on_every_path(raw: str, host: str) -> None:
    address = read_address(raw, host=host)
    again = read_address(address.path)
    assert again == address, "what was read reads the same"
    if address.service in {"call", "queue"}:
        before = "/queue" if address.service == "queue" else ""
        tail = address.endpoint if address.endpoint != "/" else ""
        assert address.path == f"{before}/{address.owner}/{address.app}{tail}"
        assert address.owner
        assert address.app
        assert "/" not in address.owner + address.app
    else:
        assert (address.owner, address.app, address.request_id) == ("", "", "")
    if needs_no_key(address, "GET", ()):
        is_own = re.fullmatch(r"/|/(health|ready|playground)(/.*)?", address.path, re.DOTALL)
        is_health = address.service == "call" and address.endpoint == "/health"
        assert (address.service == "own" and is_own) or is_health


@given(raw=PATHS)
def test_the_runner_never_reads_one_of_its_own_paths(raw: str) -> None:
    address = read_address(f"/local/sample{raw}")
    assert address.app == "sample"
    seen = unquote(address.endpoint)
    own = re.match("/+-/", f"{seen}/") or {".", ".."} & set(seen.split("/"))
    assert address.is_closed == bool(own)


@given(text=st.text(max_size=60))
def test_every_text_can_be_read(text: str) -> None:
    read_address(text, host=text, prefix="/a")
