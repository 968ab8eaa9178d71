"""The other pages, and where the page can be: keys, proxies, sub-paths, narrow windows."""

import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.visitor import Visitor
from towpath.testing import Server, serve

EXAMPLES = Path(__file__).parents[2] / "examples"


class TestHome:
    def test_all_apps_are_there_with_what_they_are(self, visitor: Visitor) -> None:
        page = visitor.open("/", wait=".card")
        assert page.url.endswith("/playground/")
        cards = page.locator(".card")
        expect(cards).to_have_count(8)
        upscale = cards.filter(has_text="Make an image larger.")
        expect(upscale).to_contain_text("local/upscale · 1 idle")
        upscale.get_by_role("link", name="Upscale").click()
        page.wait_for_selector(".bar")
        expect(page.get_by_role("heading", name="Upscale")).to_be_visible()
        page.get_by_role("link", name="All apps").click()
        expect(cards).to_have_count(8)

    def test_an_example_shows_what_comes_out(self, visitor: Visitor) -> None:
        page = visitor.open("/playground/", wait=".card")
        picture = page.get_by_alt_text("Example of Text to image")
        assert visitor.pixels(picture)[0] > 0

    def test_an_app_that_is_not_there_is_said_to_be(self, visitor: Visitor) -> None:
        page = visitor.open("/playground/local/nope", wait=".status")
        expect(page.get_by_role("status")).to_have_text(
            "There is no app local/nope on this server."
        )


class TestOperator:
    def test_runners_requests_logs_files_and_errors(self, visitor: Visitor) -> None:
        visitor.open_app("showcase")
        visitor.field("prompt").fill("for the operator")
        visitor.field("seconds").fill("0.2")
        assert visitor.run_to_end() == "done"
        visitor.more_settings()
        visitor.reach(visitor.page.get_by_text("in the code", exact=True)).click()
        assert visitor.run_to_end() == "failed"
        page = visitor.open("/playground/admin", wait=".figures")
        row = page.get_by_role("region", name="Apps and their runners").get_by_role("row")
        expect(row.filter(has_text="local/showcase")).to_contain_text("ready")
        requests = page.get_by_role("region", name="Requests")
        expect(requests.get_by_role("row").nth(1)).to_contain_text("error 500")
        requests.get_by_role("row").nth(2).get_by_role("button").first.click()
        log = page.get_by_role("dialog").get_by_role("region", name="Log")
        expect(log).to_contain_text("step 10 of 10: waves")
        page.keyboard.press("Escape")
        requests.get_by_role("row").nth(2).get_by_role("button", name="Repeat").click()
        expect(requests.get_by_role("row").nth(1)).to_contain_text("ok 200")
        page.get_by_role("tab", name="Files").click()
        files = page.get_by_role("region", name="Files", exact=True)
        expect(files.get_by_role("row").filter(has_text="tone.wav").first).to_be_visible()
        page.get_by_role("tab", name="Errors").click()
        expect(page.locator(".errors li").first).to_contain_text("local/showcase")

    def test_with_a_token_it_asks_for_it(self, browser: Browser) -> None:
        with serve(str(EXAMPLES / "upscale.py"), admin_token="t0ken-of-the-admins") as site:
            visitor = Visitor(browser, site.url)
            page = visitor.open("/playground/admin", wait="dialog")
            page.get_by_label("Admin token").fill("t0ken-of-the-admins")
            page.get_by_role("button", name="Go on").click()
            page.wait_for_selector(".figures")
            assert visitor.trouble == []
            visitor.close()

    def test_a_stranger_sees_nothing(self, visitor: Visitor, site: Server) -> None:
        answer = httpx2.get(f"{site.url}/admin/status", headers={"x-forwarded-for": "1.2.3.4"})
        assert answer.status_code == 403


def test_a_key_is_asked_for_once_and_kept_for_the_tab(browser: Browser) -> None:
    with serve(str(EXAMPLES / "text_to_image.py"), keys=("me:secret",)) as site:
        visitor = Visitor(browser, site.url)
        page = visitor.open("/playground/local/text-to-image", wait="dialog")
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_label("API key")).to_have_value("")
        page.get_by_label("API key").fill("me:secret")
        page.get_by_role("button", name="Go on").click()
        page.wait_for_selector(".bar")
        visitor.field("prompt").fill("with a key")
        assert visitor.run_to_end() == "done"
        page.reload()
        page.wait_for_selector(".bar")
        page.get_by_text("Code for this input").click()
        code = page.get_by_role("region", name="curl code")
        expect(code).to_contain_text("$TOWPATH_KEY")
        assert "secret" not in page.content()
        assert page.evaluate("() => JSON.stringify(localStorage)").count("me:secret") == 0
        assert visitor.trouble == []
        visitor.close()


class Proxy(http.server.BaseHTTPRequestHandler):
    """Strips a prefix, as most reverse proxies do, or leaves it as it is."""

    protocol_version = "HTTP/1.1"
    port = 0
    cut = 0

    def _pass(self) -> None:
        if not self.path.startswith("/a/b/"):
            self.send_error(404)
            return
        length = int(self.headers.get("content-length", 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self.port)
        upstream.request(
            self.command, self.path[self.cut :], self.rfile.read(length), dict(self.headers.items())
        )
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in {"transfer-encoding", "connection", "content-length", "date"}:
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()
        upstream.close()
        self.close_connection = True

    do_GET = do_POST = do_PUT = _pass  # noqa: N815 - the names that the base class calls

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxied(port: int, *, strips: bool) -> Iterator[str]:
    kind = type("OwnProxy", (Proxy,), {"port": port, "cut": len("/a/b") if strips else 0})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("strips", [True, False])
def test_below_a_path_behind_a_proxy_everything_is_found(
    browser: Browser, media: Path, strips: bool
) -> None:
    port = free_port()
    with proxied(port, strips=strips) as outside:
        settings = {"port": port, "public_url": f"{outside}/a/b", "trusted_proxies": ("127.0.0.1",)}
        with serve(str(EXAMPLES / "upscale.py"), **settings):
            visitor = Visitor(browser, outside)
            failed: list[str] = []
            visitor.page.on(
                "response", lambda answer: answer.status >= 400 and failed.append(answer.url)
            )
            page = visitor.open("/a/b/", wait=".card")
            page.get_by_role("link", name="Upscale").click()
            page.wait_for_selector(".bar")
            visitor.attach("Image", media / "picture.png")
            assert visitor.run_to_end() == "done"
            assert visitor.pixels(page.locator(".output img")) == (640, 400)
            with page.expect_download() as found:
                page.get_by_role("link", name="Download").click()
            assert found.value.suggested_filename.endswith(".png")
            page.goto(f"{outside}/a/b/playground/local/upscale/")
            page.wait_for_selector(".bar")
            assert failed == []
            assert visitor.trouble == []
            visitor.close()


class TestWindows:
    def test_on_a_phone_the_result_comes_into_view(
        self, visitors: Callable[..., Visitor], media: Path
    ) -> None:
        visitor = visitors(viewport={"width": 390, "height": 780}, has_touch=True)
        page = visitor.open_app("upscale")
        visitor.attach("Image", media / "picture.png")
        assert visitor.run_to_end() == "done"
        expect(page.locator(".status").first).to_be_in_viewport()
        width = page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 390, "nothing has to be scrolled sideways"

    @pytest.mark.parametrize("app", ["showcase", "limits", "colours"])
    def test_targets_are_large_enough_for_fingers(
        self, visitors: Callable[..., Visitor], app: str
    ) -> None:
        visitor = visitors(viewport={"width": 390, "height": 780})
        page = visitor.open_app(app)
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, a, select, input:not([type=file])')]
                .filter(each => each.checkVisibility() && getComputedStyle(each).pointerEvents !== 'none')
                .map(each => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
                .filter(([, box]) => box.width < 24 || box.height < 24).map(([html, box]) => html + box.height)"""
        )
        assert small == []

    def test_texts_from_right_to_left_are_laid_out_so(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        page.evaluate("() => { document.documentElement.dir = 'rtl'; }")
        visitor.field("prompt").fill("ميناء هادئ")
        assert visitor.field("prompt").evaluate("box => getComputedStyle(box).direction") == "rtl"
        form, result = page.locator(".input").bounding_box(), page.locator(".result").bounding_box()
        assert form
        assert result
        assert form["x"] > result["x"]
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


SLEEPY = """
import time
import towpath

class Sleepy(towpath.App):
    def setup(self):
        time.sleep(600)

    @towpath.endpoint("/")
    def run(self, prompt: str) -> dict:
        return {"prompt": prompt}
"""


def test_the_form_is_there_before_any_runner_is(browser: Browser, tmp_path: Path) -> None:
    """A model that takes minutes to load, and is not loaded, has its form at once."""
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    with serve(str(tmp_path / "sleepy.py"), store_reserve=0, scale_to_zero=True) as own:
        visitor = Visitor(browser, own.url)
        visitor.open_app("sleepy")
        expect(visitor.field("prompt")).to_be_visible()
        app = httpx2.get(f"{own.url}/admin/status").json()["apps"]["local/sleepy"]
        assert app["idle"] + app["busy"] + app["starting"] == 0, "none was started for it"
        assert visitor.trouble == []
        visitor.close()


def answering(document: object) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=json.dumps(document))


def test_many_fields_are_typed_into_without_delay(visitor: Visitor, tmp_path: Path) -> None:
    """A key among 200 fields and 20 past runs costs about what it costs between two fields."""
    page = visitor.page
    entry = {"endpoint": "/", "at": 0, "phase": "done", "took": 1, "input": {"field_0": "x"}}
    past = [{**entry, "id": str(n), "output": {}, "thumbnail": None} for n in range(20)]
    properties = {f"field_{n}": {"type": "string"} for n in range(200)}

    def document(count: int) -> dict[str, object]:
        some = dict(list(properties.items())[:count])
        schema = {"type": "object", "properties": some}
        body = {"content": {"application/json": {"schema": schema}}}
        return {"info": {"title": "Many"}, "paths": {"/": {"post": {"requestBody": body}}}}

    costs = []
    for count in (2, 200):
        page.route(
            "**/local/upscale/openapi.json",
            answering(document(count)),
        )
        visitor.open_app("upscale")
        if count > 2:
            keep = "past => localStorage.setItem('towpath:local/upscale', JSON.stringify(past))"
            page.evaluate(keep, past)
            visitor.open_app("upscale")
            expect(page.locator(".history li")).to_have_count(20)
        page.wait_for_selector(f"#f-field_{count - 1}", state="attached")
        costs.append(
            page.evaluate(
                """async () => { const box = document.getElementById('f-field_1'); const times = [];
                   for (let n = 0; n < 30; n += 1) { box.value += 'x'; const began = performance.now();
                     box.dispatchEvent(new InputEvent('input', {bubbles: true}));
                     await Promise.resolve(); await Promise.resolve();
                     document.body.offsetHeight; times.push(performance.now() - began);
                     await new Promise(requestAnimationFrame); }
                   return times.sort((a, b) => a - b)[15]; }"""
            )
        )
        page.unroute("**/local/upscale/openapi.json")
    assert costs[1] < 4 * costs[0], "it was 6 when all of the form was drawn again"
