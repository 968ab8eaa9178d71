"""`make screenshots`: the Playground's main states as pictures, to be looked at.

All of them go to the folder that is named; those that the documentation shows go there too.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image as PillowImage
from playwright.sync_api import Browser

from tests.codecs.test_clips import frames
from tests.support.browser import chromium
from tests.support.visitor import Visitor
from towpath.codecs.clips import encode_clip
from towpath.testing import serve

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = {"home", "at-work", "compared", "gallery-phone", "operator"}
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}


def home(visitor: Visitor, _: Path) -> None:
    visitor.open("/playground/", wait=".card")
    visitor.page.wait_for_timeout(500)


def empty(visitor: Visitor, _: Path) -> None:
    visitor.open_app("showcase")


def at_work(visitor: Visitor, media: Path) -> None:
    visitor.open_app("showcase")
    visitor.field("prompt").fill("A quiet harbour")
    visitor.field("seconds").fill("6")
    visitor.attach("Image", media / "picture.png")
    visitor.page.locator(".input").evaluate("box => box.scrollTo(0, 0)")
    visitor.run()
    visitor.page.locator("[data-sneak]").wait_for()
    visitor.page.wait_for_timeout(1500)


def compared(visitor: Visitor, media: Path) -> None:
    visitor.open_app("showcase")
    visitor.field("prompt").fill("A quiet harbour")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    visitor.page.wait_for_timeout(800)


def refused(visitor: Visitor, _: Path) -> None:
    visitor.open_app("upscale")
    visitor.field("scale").fill("9")
    assert visitor.run_to_end() == "failed"


def gallery(visitor: Visitor, _: Path) -> None:
    visitor.open_app("text-to-image")
    visitor.field("prompt").fill("Two moons over a canal")
    visitor.field("num_images").fill("4")
    assert visitor.run_to_end() == "done"
    visitor.page.wait_for_timeout(800)


def players(visitor: Visitor, media: Path) -> None:
    compared(visitor, media)
    visitor.output("Video").scroll_into_view_if_needed()
    visitor.output("Model").get_by_role("button").first.click()
    visitor.page.locator(".model[data-state=shown]").wait_for(timeout=30_000)
    visitor.output("Audio").evaluate("box => box.scrollIntoView()")
    visitor.page.wait_for_timeout(800)


def operator(visitor: Visitor, media: Path) -> None:
    gallery(visitor, media)
    visitor.open("/playground/admin", wait=".figures")
    visitor.page.wait_for_timeout(800)


STATES: dict[str, tuple[Callable[[Visitor, Path], None], dict[str, object]]] = {
    "home": (home, {}),
    "empty": (empty, {}),
    "at-work": (at_work, {}),
    "compared": (compared, {}),
    "compared-dark": (compared, {"color_scheme": "dark"}),
    "refused": (refused, {}),
    "gallery": (gallery, {}),
    "gallery-phone": (gallery, {"viewport": PHONE, "has_touch": True}),
    "players": (players, {}),
    "operator": (operator, {"color_scheme": "dark"}),
}


def take(browser: Browser, url: str, media: Path, folder: Path) -> None:
    """Take every picture."""
    for name, (state, options) in STATES.items():
        visitor = Visitor(browser, url, **{"viewport": DESKTOP, **options})
        state(visitor, media)
        content = visitor.page.screenshot()
        path = folder / f"playground-{name}.png"
        path.write_bytes(content)
        with PillowImage.open(path) as picture:  # half the size, and nobody sees it
            picture.convert("RGB").quantize(192).save(path, optimize=True)
        if name in SHOWN:
            shutil.copy(path, IMAGES)
        visitor.close()
        print(path)


def main() -> None:
    """Serve the examples, and take the pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        media = Path(name)
        mandelbrot = PillowImage.effect_mandelbrot((960, 600), (-2, -1.2, 1, 1.2), 60)
        palette = bytes(v for n in range(256) for v in (n // 3, n // 2 + 40, min(255, n + 60)))
        coloured = mandelbrot.convert("L")
        coloured.putpalette(palette)
        coloured.convert("RGB").save(media / "picture.png")
        encode_clip(media / "film.mp4", frames(48), fps=24)
        with serve(*map(str, EXAMPLES), store_reserve=0) as site, chromium() as browser:
            take(browser, site.url, media, folder)


if __name__ == "__main__":
    main()
