"""The Playground in Debian's Chromium against its budgets: how soon it is there, and answers.

No other page is beside it: these are limits that it keeps by itself. A slow link is 1.6 Mbit/s with
150 ms a round trip, a slow machine a quarter of this one's speed (Chromium's own emulation). The
medians of the rounds are compared; each round has a profile of its own.
"""

import base64
import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from towpath.testing import serve

__all__ = ["bench"]

_EXAMPLES = Path(__file__).parents[1] / "examples"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
_SLOW_LINK = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8}
_MANY = """
import time
import towpath
from pydantic import create_model
Many = create_model("Many", **{f"field_{n}": (str, "x") for n in range(200)})
class Load(towpath.App):
    max_multiplexing = 1
    @towpath.endpoint("/")
    def run(self, request: Many) -> dict:
        return {"first": request.field_0}
    @towpath.endpoint("/slow")
    def slow(self, seconds: float = 20) -> dict:
        for _ in range(int(seconds * 100)):
            time.sleep(0.01)
        return {}
    @towpath.endpoint("/picture")
    def picture(self, prompt: str = "x") -> dict[str, towpath.Image]:
        from PIL import Image
        return {"image": towpath.Image.from_pil(Image.new("RGB", (1024, 768), "teal"))}
"""
_WATCH = """
window.seen = {fcp: 0, lcp: 0, cls: 0, tasks: [], ready: 0};
const watch = (type, each) => new PerformanceObserver(list => list.getEntries().forEach(each))
    .observe({type, buffered: true});
watch("paint", e => { if (e.name === "first-contentful-paint") seen.fcp = e.startTime; });
watch("largest-contentful-paint", e => { seen.lcp = e.startTime; });
watch("layout-shift", e => { if (!e.hadRecentInput) seen.cls += e.value; });
watch("longtask", e => { seen.tasks.push([e.startTime, e.startTime + e.duration]); });
const look = new MutationObserver(() => {
    const bar = document.querySelector(".bar .primary:not([disabled])");
    if (bar && document.querySelector("form .group[aria-busy=false] .field")) {
        seen.ready = performance.now(); look.disconnect();
    }
});
look.observe(document, {childList: true, subtree: true, attributes: true});
"""


@dataclass(frozen=True, slots=True)
class _Budgets:
    """What was measured, beside what is promised."""

    title: str
    seen: Mapping[str, list[float]]
    goals: Mapping[str, float]

    def show(self) -> None:
        """Print them."""
        print(f"\n{self.title}\n  {'':44}{'median':>9}{'worst':>9}{'budget':>9}")
        for name, got in self.seen.items():
            median, goal = statistics.median(got), self.goals[name]
            met = "met" if median <= goal else "NOT MET"
            print(f"  {name:44}{median:9.3g}{max(got):9.3g}{goal:9.3g}  {met}")


def bench(_: str, rounds: int) -> Iterator[_Budgets]:
    """Yield the budgets of loading, then those of working."""
    with tempfile.TemporaryDirectory() as folder:
        load = Path(folder) / "load.py"
        load.write_text(_MANY)
        apps = [str(_EXAMPLES / "showcase.py"), str(_EXAMPLES / "upscale.py"), str(load)]
        with serve(*apps, store_reserve=0) as server, _chromium() as browser:
            yield _loading(browser, server.url, rounds)
            yield _working(browser, server.url, rounds)


@contextmanager
def _chromium() -> Iterator[Browser]:
    """Run the browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        yield running
        running.close()


def _loading(browser: Browser, url: str, rounds: int) -> _Budgets:
    """Open a small form and a large one, near and far."""
    goals = {"FCP": 1000, "LCP": 1800, "TBT": 200, "CLS": 0.02}
    seen: dict[str, list[float]] = {}
    limits: dict[str, float] = {}
    for app in ("upscale", "showcase") * rounds:
        far = _visit(browser, f"{url}/playground/local/{app}", is_slow=True)
        for name, goal in goals.items():
            label = f"{app}: {name} on a slow link and machine"
            seen.setdefault(label, []).append(far[name.lower()])
            limits[label] = goal
        near = _visit(browser, f"{url}/playground/local/{app}", is_slow=False)
        label = f"{app}: form ready, local"
        seen.setdefault(label, []).append(near["ready"])
        limits[label] = 300
    return _Budgets("Playground, loading (ms; CLS has no unit)", dict(sorted(seen.items())), limits)


def _visit(browser: Browser, address: str, *, is_slow: bool) -> dict[str, float]:
    """Open a page with nothing in the browser's cache; return what was seen."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.add_init_script(_WATCH)
    if is_slow:
        _slowed(page, link=True)
    page.goto(address)
    page.wait_for_function("() => seen.ready")
    page.wait_for_timeout(1500 if is_slow else 300)
    found = page.evaluate("() => seen")
    context.close()
    # What blocks after the first paint, less 50 ms of each task: Lighthouse's total blocking time.
    blocking = [end - max(began, found["fcp"]) - 50 for began, end in found.pop("tasks")]
    return found | {"tbt": sum(each for each in blocking if each > 0)}


def _slowed(page: Page, *, link: bool) -> None:
    """Make the machine slow, and the link."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    if link:
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {**_SLOW_LINK, "uploadThroughput": 93750})


def _working(browser: Browser, url: str, rounds: int) -> _Budgets:
    """Type, drop, run and cancel."""
    tries: dict[str, tuple[float, Callable[[Page, str], float]]] = {
        "a key in 200 fields, machine slow, 50 runs kept": (50, _key),
        "drop of a 10 MB picture to its thumbnail": (100, _thumbnail),
        "submit to decoded picture, less the server's": (150, _picture),
        "cancel shown": (300, _cancel),
    }
    seen: dict[str, list[float]] = {name: [] for name in tries}
    for _ in range(rounds):
        for name, (_, work) in tries.items():
            context = browser.new_context(viewport={"width": 1360, "height": 900})
            seen[name].append(work(context.new_page(), url))
            context.close()
    goals = {name: goal for name, (goal, _) in tries.items()}
    return _Budgets("Playground, at work (ms)", seen, goals)


def _opened(page: Page, address: str, endpoint: str = "") -> None:
    """Wait for the form."""
    page.goto(address)
    page.wait_for_selector(".bar")
    if endpoint:
        chooser = page.get_by_label("Endpoint")
        label = chooser.locator("option").filter(has_text=f"({endpoint})").inner_text()
        chooser.select_option(label=label)


def _key(page: Page, url: str) -> float:
    """Return the time that a key takes when somebody types as fast as the page can follow."""
    _opened(page, f"{url}/playground/local/load", "/")
    kept = """() => { const entry = n => ({id: `${n}`, endpoint: "/", at: Date.now(),
        phase: "done", took: 1, input: {field_0: `${n}`}, thumbnail: null, output: {}});
        const all = [...Array(50).keys()].map(entry);
        localStorage.setItem("towpath:local/load", JSON.stringify(all)); }"""
    page.evaluate(kept)
    _opened(page, f"{url}/playground/local/load", "/")
    page.wait_for_selector("#f-field_199", state="attached")
    _slowed(page, link=False)
    page.locator("#f-field_100").click()
    began = time.perf_counter()
    page.keyboard.type("the quick brown fox jumps over the lazy dog")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return (time.perf_counter() - began) * 1000 / 43


def _thumbnail(page: Page, url: str) -> float:
    """Return the time from a drop to a picture that is loaded."""
    _opened(page, f"{url}/playground/local/upscale")
    large = io.BytesIO()
    Image.effect_noise((2700, 3700), 90).save(large, "png", compress_level=1)
    script = """async bytes => { const data = new DataTransfer();
        const raw = Uint8Array.from(atob(bytes), c => c.charCodeAt(0));
        data.items.add(new File([raw], "large.png", {type: "image/png"}));
        const zone = document.querySelector(".drop");
        const shown = new Promise(done => document.addEventListener("load", e => {
            if (e.target.tagName === "IMG") done(performance.now()); }, true));
        const began = performance.now();
        const how = {bubbles: true, cancelable: true, dataTransfer: data};
        zone.dispatchEvent(new DragEvent("drop", how));
        return await shown - began; }"""
    return float(page.evaluate(script, base64.b64encode(large.getvalue()).decode()))


def _picture(page: Page, url: str) -> float:
    """Return what the page adds to a run: pressed to decoded, less the same run by the API."""
    _opened(page, f"{url}/playground/local/load", "/picture")
    script = """async () => { const began = performance.now();
        document.querySelector(".bar .primary").click();
        for (;;) { const image = document.querySelector(".output img");
            if (image?.complete && image.naturalWidth) {
                await image.decode(); return performance.now() - began; }
            await new Promise(requestAnimationFrame); } }"""
    whole = float(page.evaluate(script))
    began = time.perf_counter()
    with httpx2.Client(base_url=url) as client:
        given = client.post("/queue/local/load/picture", json={"prompt": "x"}).json()
        with client.stream("GET", given["status_url"] + "/stream") as events:
            for line in events.iter_lines():
                if "COMPLETED" in line:
                    break
        answer = client.get(given["response_url"]).json()
        client.get(answer["image"]["url"])
    return whole - (time.perf_counter() - began) * 1000


def _cancel(page: Page, url: str) -> float:
    """Return the time from Cancel to the word."""
    _opened(page, f"{url}/playground/local/load", "/slow")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_selector('.state[data-phase="running"]')
    script = """async () => { const began = performance.now();
        const all = [...document.querySelectorAll("button")];
        all.find(each => each.textContent === "Cancel").click();
        while (document.querySelector(".state").dataset.phase !== "cancelled")
            await new Promise(requestAnimationFrame);
        return performance.now() - began; }"""
    return float(page.evaluate(script))
