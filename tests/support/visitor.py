"""Somebody at the Playground: a page of a real browser that tells what went wrong in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, Request, expect

AXE = Path(__file__).parents[2] / "playground" / "node_modules" / "axe-core" / "axe.min.js"
THREE_FRAMES = """async () => {
    for (let i = 0; i < 3; i++) await new Promise((seen) => requestAnimationFrame(seen));
}"""
LOCAL = {"127.0.0.1", "localhost"}


class Visitor:
    """A visitor with a profile of their own.

    Args:
        browser: the browser.
        url: of the server.
        options: of Playwright's context: viewport, color_scheme and so on.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        wide = {"viewport": {"width": 1360, "height": 900}}
        self.context = browser.new_context(accept_downloads=True, **{**wide, **options})
        self.url = url
        self.trouble: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("request", self._look)
        page.on("console", lambda line: self._hear(line.type, line.text))
        return page

    def _look(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL:
            self.trouble.append(f"asked {request.url}")

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.trouble.append(f"console: {text}")

    def close(self) -> None:
        self.context.close()

    # --- going about ---

    def open(self, where: str = "/playground/", *, wait: str = ".bar") -> Page:
        self.page.goto(self.url + where)
        self.page.wait_for_selector(wait)
        return self.page

    def open_app(self, name: str, endpoint: str = "/") -> Page:
        page = self.open(f"/playground/local/{name}")
        if endpoint != "/":
            self.choose_endpoint(endpoint)
        return page

    def choose_endpoint(self, endpoint: str) -> None:
        chooser = self.page.get_by_label("Endpoint")
        label = chooser.locator("option").filter(has_text=f"({endpoint})").inner_text()
        chooser.select_option(label=label)

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#f-{name}")

    def row(self, name: str) -> Locator:
        """Return a field with its label and its messages."""
        named = self.page.get_by_text(name, exact=True)
        return self.page.locator(".field").filter(has=named).last

    def attach(self, name: str, path: Path | str | list[str]) -> None:
        row = self.row(name)
        row.locator("input[type=file]").first.set_input_files(path)
        row.locator(".chosen, .files li").first.wait_for()

    def reach(self, target: Locator) -> Locator:
        """Scroll there, and wait until what came into sight on the way has the height it keeps.

        Fields far below are laid out when they are seen; a click right after a jump there may
        press on one thing and let go of another.
        """
        for _ in range(100):
            target.scroll_into_view_if_needed()
            box = target.bounding_box()
            target.evaluate(THREE_FRAMES)
            if box == target.bounding_box():
                return target
        raise AssertionError(f"{target} did not come to rest")

    def more_settings(self) -> None:
        """Open the part of the form that is closed at first."""
        self.reach(self.page.get_by_text("More settings")).click()

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).click()

    def run_to_end(self, seconds: float = 30) -> str:
        """Run, and return what the state says at the end."""
        with self.begins():
            self.run()
        return self.finished(seconds)

    @contextmanager
    def begins(self) -> Iterator[None]:
        """Wait until what is done here has begun a run: the state may still show the last one."""
        state = self.page.locator(".state")
        before = state.get_attribute("data-began") if state.count() else ""
        yield
        expect(state).not_to_have_attribute("data-began", str(before))

    def finished(self, seconds: float = 30) -> str:
        ends = re.compile("^(done|failed|cancelled)$")
        state = self.page.locator(".state")
        expect(state).to_have_attribute("data-phase", ends, timeout=seconds * 1000)
        return str(state.get_attribute("data-phase"))

    def output(self, title: str) -> Locator:
        return self.page.locator(".output").filter(
            has=self.page.get_by_role("heading", name=title, exact=True)
        )

    def tab(self, name: str, among: str = "Views of the result") -> None:
        bar = self.page.get_by_role("tablist", name=among)
        bar.get_by_role("tab", name=re.compile(f"^{name}")).click()

    def answer(self) -> Any:
        """Return the answer as the page shows it."""
        import json

        self.tab("JSON")
        text = self.page.get_by_role("region", name="Answer as JSON").inner_text()
        self.tab("Result")
        return json.loads(text)

    # --- looking ---

    def pixels(self, image: Locator) -> tuple[int, int]:
        """Return the size of a picture once it is decoded."""
        image.wait_for()
        return tuple(
            image.evaluate(
                "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }"
            )
        )

    def violations(self) -> list[str]:
        """Return what axe finds: WCAG 2.2 A and AA, and best practice."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            """() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',
               'wcag22aa', 'best-practice']})"""
        )
        return [
            f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]


def drag(target: Locator, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press the mouse on an element, and let go elsewhere on it."""
    box = target.bounding_box()
    assert box
    mouse = target.page.mouse
    mouse.move(box["x"] + start[0], box["y"] + start[1])
    mouse.down()
    mouse.move(box["x"] + end[0], box["y"] + end[1], steps=4)
    mouse.up()


def drop(target: Locator, *, files: list[tuple[str, str, bytes]] = (), link: str = "") -> None:
    """Drop files, or a link, on an element."""
    _transfer(target, "drop", files, link)


def paste(target: Locator, *, files: list[tuple[str, str, bytes]] = (), text: str = "") -> None:
    """Paste files, or a text, into an element."""
    _transfer(target, "paste", files, text)


def _transfer(target: Locator, kind: str, files: Any, text: str) -> None:
    target.evaluate(
        """(element, [kind, files, text]) => {
            const data = new DataTransfer();
            for (const [name, type, bytes] of files)
                data.items.add(new File([new Uint8Array(bytes)], name, {type}));
            if (text) { data.setData('text/plain', text); if (kind === 'drop') data.setData('text/uri-list', text); }
            const event = kind === 'drop'
                ? new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: data})
                : new ClipboardEvent('paste', {bubbles: true, cancelable: true, clipboardData: data});
            element.dispatchEvent(event);
        }""",
        [kind, [[name, type_, list(data)] for name, type_, data in files], text],
    )
