"""What `towpath store front` writes, and that nginx and Caddy serve files by it."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from towpath.cdn.fronts import Front, caddyfile, nginx_configuration
from towpath.testing import Server, serve

APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)
    @towpath.endpoint("/stream")
    def stream(self):
        for number in range(3):
            yield {"number": number}
"""
PREFIX = "/_towpath-of-these-tests"
DATA = os.urandom(3_000_000)


@pytest.mark.parametrize("write", [nginx_configuration, caddyfile])
def test_a_store_elsewhere_is_never_read_from_disk(write) -> None:
    text = write(Front(("a.example.org",), "127.0.0.1:8000", None, 1000))
    assert "a.example.org" in text
    assert "127.0.0.1:8000" in text
    assert "X-Accel-Redirect" not in text
    assert "/_towpath/" not in text


def test_the_configuration_of_nginx_says_that_it_brings_no_tls() -> None:
    """What is missing is said where it has to be written (trust, section 5)."""
    text = nginx_configuration(Front(("a",), "127.0.0.1:8000", None, 1000))
    assert "This is plain HTTP" in text
    assert "listen 80;\n" in text


@pytest.mark.parametrize("write", [nginx_configuration, caddyfile])
def test_an_odd_folder_is_quoted(write) -> None:
    text = write(Front(("a",), "127.0.0.1:8000", Path('/a b"c/$store'), 1000))
    assert '"/a b\\"c/\\$store/o' in text


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(APP)
    with serve(
        str(file),
        store_reserve=0,
        trusted_proxies="127.0.0.1",
        front_prefix=PREFIX,
        max_upload_bytes=5_000_000,
    ) as own:
        yield own


@contextmanager
def running(arguments: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            assert process.poll() is None, "it does not take its configuration"
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    command = shutil.which(request.param, path=f"{os.environ['PATH']}:/usr/sbin")
    assert command, f"Debian has it: apt-get install {request.param}"
    folder, port = tmp_path_factory.mktemp("front"), free_port()
    store = server.running.store.blobs.root
    known = Front(("localhost",), server.url.removeprefix("http://"), store, 5_000_000, PREFIX)
    if request.param == "caddy":
        text = caddyfile(known).replace("localhost {", f"http://:{port} {{", 1)
        (folder / "Caddyfile").write_text("{\n admin off\n}\n" + text)
        arguments = [command, "run", "--config", str(folder / "Caddyfile")]
    else:
        text = nginx_configuration(known).replace("listen 80;", f"listen 127.0.0.1:{port};")
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; user root; pid {folder}/pid; error_log {folder}/log; events {{}}"
            f"http {{ access_log off; {paths} {text} }}"
        )
        arguments = [command, "-c", str(folder / "nginx.conf")]
    with running(arguments, port) as url:
        yield url


@pytest.mark.engines
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "given",
    [
        {"keys": "a:b"},
        {"keys": "a:b", "trusted_proxies": "127.0.0.1"},
        {"keys": "a:b", "public_url": "https://api.example.org"},
        {"trusted_proxies": "127.0.0.1"},
    ],
)
def test_a_plain_proxy_makes_no_stranger_the_operator(given, tmp_path: Path) -> None:
    """nginx's proxy_pass sends a loopback Host and no word of the stranger: see trust T2."""
    command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert command, "Debian has it: apt-get install nginx"
    (tmp_path / "echo.py").write_text(APP)
    port = free_port()
    with serve(str(tmp_path / "echo.py"), store_reserve=0, **given) as own:
        paths = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        where = f"location / {{ proxy_pass http://127.0.0.1:{own.running.settings.port}; }}"
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; user root; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}"
            f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port}; {where} }} }}"
        )
        with running([command, "-c", str(tmp_path / "nginx.conf")], port) as url:
            assert httpx2.get(f"{url}/health").status_code == 200
            for path in ("files", "usage", "status", "requests"):
                answer = httpx2.get(f"{url}/admin/{path}")
                assert answer.status_code == 403, path
                assert "TOWPATH" not in answer.text
            assert httpx2.delete(f"{url}/admin/files/{'a' * 32}").status_code == 403


def uploaded(front: str, data: bytes, **headers: str) -> str:
    """Upload through the front; return the file's path."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx2.post(f"{front}/files/upload", content=data, headers=named)
    assert answer.status_code == 201, answer.text
    return re.sub(r"^http://[^/]+", "", answer.json()["access_url"])


@pytest.mark.engines
@pytest.mark.timeout(300)
class TestInFront:
    @pytest.mark.parametrize("size", [0, 100, 64 * 1024, 3_000_000])
    def test_a_file_is_as_without_it(self, front: str, server: Server, size: int) -> None:
        path = uploaded(front, DATA[:size], content_type="video/mp4", x_fal_file_name="a.mp4")
        direct, through = httpx2.get(server.url + path), httpx2.get(front + path)
        assert through.content == DATA[:size]
        assert through.status_code == 200
        kept = set(direct.headers) - {"date", "server", "connection", "x-fal-request-id"}
        differing = {n for n in kept if direct.headers[n] != through.headers.get(n)}
        assert {n: through.headers.get(n) for n in differing} == {}
        assert "x-accel-redirect" not in through.headers
        for name in through.headers:
            assert len(through.headers.get_list(name)) == 1, f"{name} is there once"

    def test_large_files_are_sent_by_the_front(self, front: str, server: Server) -> None:
        path = uploaded(front, DATA, content_type="video/mp4")
        told = httpx2.get(server.url + path, headers={"X-Accel-Prefix": PREFIX})
        assert told.headers["x-accel-redirect"].startswith(f"{PREFIX}/")
        assert told.headers["vary"] == "*", "no cache on the way may keep it"
        assert told.content == b""
        assert httpx2.get(front + path).content == DATA

    def test_ranges_and_conditions_are_as_without_it(self, front: str, server: Server) -> None:
        path = uploaded(front, DATA, content_type="video/mp4")
        tag = httpx2.head(front + path).headers["etag"]
        cases = [
            {"Range": "bytes=5-9"},
            {"Range": "bytes=-7"},
            {"Range": "bytes=9000000-"},
            {"Range": "bytes=0-1,5-6"},
            {"Range": "bytes=5-9", "If-Range": tag},
            {"Range": "bytes=5-9", "If-Range": '"other"'},
            {"If-None-Match": tag},
            {"If-None-Match": '"other"'},
            {"If-Match": '"other"'},
            {"If-Match": tag},
        ]
        for headers in cases:
            direct = httpx2.get(server.url + path, headers=headers)
            through = httpx2.get(front + path, headers=headers)
            assert through.status_code == direct.status_code, headers
            assert len(through.content) == len(direct.content), headers
            if through.status_code == 206 and "," not in headers["Range"]:
                assert through.content == direct.content

    def test_a_strangers_prefix_counts_for_nothing(self, front: str) -> None:
        path = uploaded(front, DATA, content_type="video/mp4")
        for prefix in ("/other", "/../../etc", "/_towpath"):
            answer = httpx2.get(front + path, headers={"X-Accel-Prefix": prefix})
            assert answer.content == DATA
        for prefix in ("/_towpath", PREFIX):
            assert httpx2.get(f"{front}{prefix}/{path.split('/')[2][:2]}/x").status_code == 404

    def test_an_expired_file_is_gone(self, front: str) -> None:
        life = '{"expiration_duration_seconds": 1}'
        path = uploaded(front, DATA, x_fal_object_lifecycle_preference=life)
        assert httpx2.get(front + path).content == DATA
        time.sleep(1.1)
        assert httpx2.get(front + path).status_code == 410

    def test_active_content_keeps_its_chains(self, front: str) -> None:
        path = uploaded(front, b"<script>1</script>" * 10_000, content_type="text/html")
        answer = httpx2.get(front + path)
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["content-disposition"].startswith("attachment")

    def test_apps_streams_and_limits_go_through(self, front: str) -> None:
        answer = httpx2.post(f"{front}/local/echo", json={"text": "hello"})
        assert answer.json() == 5
        stream = httpx2.post(f"{front}/local/echo/stream", json={})
        assert stream.text.count("data:") == 3
        too_large = httpx2.post(f"{front}/files/upload", content=b"x" * 5_100_000)
        assert too_large.status_code == 413
        assert httpx2.get(f"{front}/admin/usage").status_code == 403, "closed behind a front"

    def test_what_the_front_cannot_read_towpath_sends(self, front: str, server: Server) -> None:
        path = uploaded(front, DATA, content_type="video/mp4")
        file_id = path.split("/")[2]
        blob = server.running.store.blobs.blob(file_id)
        elsewhere = blob.with_name("hidden")
        blob.rename(elsewhere)
        try:
            answer = httpx2.get(front + path)
        finally:
            elsewhere.rename(blob)
        assert answer.status_code == 404, "it is nowhere: one clear answer, no loop"
