"""Files in a real browser: films play and seek, and nothing that strangers sent is run."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page
from playwright.sync_api import Error as BrowserError
from tests.codecs.test_clips import frames
from tests.support.browser import browser

from towpath.codecs.clips import encode_clip
from towpath.testing import Server, serve

pytestmark = pytest.mark.timeout(300)
APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)
"""
SCRIPT = "document.title='RUN';fetch('/health').then(r=>document.title='RUN '+r.status)"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{SCRIPT}\"><script>{SCRIPT}</script></svg>"
HTML = f'<!doctype html><title>quiet</title><script>{SCRIPT}</script><img src=x onerror="{SCRIPT}">'
GIF = b"GIF89a/*" + b"\0" * 8 + b"*/=1;" + SCRIPT.encode()
HOSTILE = {
    "html": (HTML.encode(), "text/html", "a.html"),
    "html named png": (HTML.encode(), "image/png", "a.png"),
    "html as text": (HTML.encode(), "text/plain", "a.txt"),
    "html without a type": (HTML.encode(), "application/octet-stream", "a.html"),
    "xhtml": (HTML.encode(), "application/xhtml+xml", "a.xhtml"),
    "svg": (SVG.encode(), "image/svg+xml", "a.svg"),
    "svg as xml": (SVG.encode(), "application/xml", "a.xml"),
    "xslt": (
        b"<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='#x'?>" + SVG.encode(),
        "text/xml",
        "a.xml",
    ),
    "script": (SCRIPT.encode(), "text/javascript", "a.js"),
    "json": (HTML.encode(), "application/json", "a.json"),
    "gif and script": (GIF, "image/gif", "a.gif"),
    "pdf of html": (b"%PDF-1.4\n" + HTML.encode(), "application/pdf", "a.pdf"),
    "mhtml": (
        b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + HTML.encode(),
        "message/rfc822",
        "a",
    ),
    "two types": (HTML.encode(), "image/png; text/html", "a.png"),
    "a list of types": (HTML.encode(), "image/png; a=1, text/html", "a.png"),
    "a list with a script": (SCRIPT.encode(), "image/png; a=1, text/javascript", "a.png"),
    "utf-7": (b"+ADw-script+AD4-" + SCRIPT.encode(), "text/html; charset=utf-7", "a.html"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(APP)
    with serve(str(file), store_reserve=0) as own:
        yield own


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with browser() as running:
        yield running


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    own = context.new_page()
    yield own
    own.close()


def uploaded(server: Server, data: bytes, kind: str, name: str) -> str:
    headers = {"content-type": kind, "x-fal-file-name": name}
    answer = httpx2.post(f"{server.url}/files/upload", content=data, headers=headers)
    return answer.json()["access_url"]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_strangers_send_is_never_run(server: Server, page: Page, name: str) -> None:
    url = uploaded(server, *HOSTILE[name])
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with suppress(BrowserError):  # "Download is starting"
        page.goto(url)
    page.wait_for_timeout(300)
    assert "RUN" not in page.title()
    assert url in asked
    assert not [one for one in asked if "/health" in one]


def test_a_page_of_the_same_origin_cannot_run_a_file_either(server: Server, page: Page) -> None:
    names = ("script", "gif and script", "a list with a script")
    urls = [uploaded(server, *HOSTILE[name]) for name in names]
    page.goto(f"{server.url}/playground/")
    for url in urls:
        loaded = page.evaluate(
            """url => new Promise(done => {
                const script = document.createElement('script');
                script.onload = () => done('ran'); script.onerror = () => done('refused');
                script.src = url; document.head.append(script);
            })""",
            url,
        )
        title = page.title()
        assert "RUN" not in title, loaded
    frame = uploaded(server, *HOSTILE["html"])
    page.evaluate(
        "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f) }",
        frame,
    )
    page.wait_for_timeout(300)
    assert "RUN" not in page.title()


class OtherSite(http.server.BaseHTTPRequestHandler):
    """A page of somebody else's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title><body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


@pytest.fixture(scope="module")
def clip(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    encode_clip(path, frames(240, 320, 240), 24)
    return uploaded(server, path.read_bytes(), "video/mp4", "a.mp4")


def test_a_film_plays_and_seeks(page: Page, site: str, clip: str) -> None:
    answers = []
    page.on("response", lambda response: answers.append((response.url, response.status)))
    page.goto(site)
    seen = page.evaluate(
        """async url => {
            const video = document.createElement('video');
            video.muted = true; video.src = url; document.body.append(video);
            await new Promise((done, failed) => {
                video.onloadedmetadata = done; video.onerror = () => failed(video.error.message);
            });
            const at = [];
            for (const second of [8.0, 2.0, 9.5]) {
                video.currentTime = second;
                await new Promise(done => { video.onseeked = done; });
                at.push(video.currentTime);
            }
            video.currentTime = 0; await video.play();
            await new Promise(done => setTimeout(done, 700));
            return {width: video.videoWidth, height: video.videoHeight,
                    duration: video.duration, at, played: video.currentTime};
        }""",
        clip,
    )
    assert (seen["width"], seen["height"]) == (320, 240)
    assert seen["duration"] == pytest.approx(10, abs=0.2)
    assert seen["at"] == [8.0, 2.0, 9.5]
    assert seen["played"] > 0.1
    assert {status for url, status in answers if url == clip} <= {200, 206}
    assert 206 in {status for url, status in answers if url == clip}


def test_a_film_opened_by_itself_plays(page: Page, clip: str) -> None:
    page.goto(clip)
    page.evaluate("{ document.querySelector('video').muted = true }")
    page.evaluate("{ document.querySelector('video').play() }")  # as a click does
    for _ in range(50):
        page.wait_for_timeout(100)
        if page.evaluate("document.querySelector('video').currentTime") > 0:
            return
    raise AssertionError("it stands still")


def test_another_origin_reads_bytes_and_lengths(page: Page, site: str, clip: str) -> None:
    """As an app's own site does: CORS, exposed headers, a range asked for by script."""
    page.goto(site)
    told = page.evaluate(
        """async url => {
                const part = await fetch(url, {headers: {Range: 'bytes=4-7'}});
                const whole = await fetch(url);
                return [part.status, part.headers.get('content-range'),
                        await part.text(), whole.headers.get('etag') !== null]; }""",
        clip,
    )
    assert told[0] == 206
    assert told[1].startswith("bytes 4-7/")
    assert told[2:] == ["ftyp", True]
