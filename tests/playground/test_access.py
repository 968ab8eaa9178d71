"""For everybody: axe finds nothing in any state, and the keyboard reaches everything."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.visitor import Visitor

WIDTHS = {"desktop": {"width": 1360, "height": 900}, "phone": {"width": 390, "height": 780}}


def home(visitor: Visitor, media: Path) -> None:
    visitor.open("/playground/", wait=".card")


def empty(visitor: Visitor, media: Path) -> None:
    visitor.open_app("showcase")


def filled(visitor: Visitor, media: Path) -> None:
    page = visitor.open_app("showcase")
    visitor.field("prompt").fill("x")
    visitor.attach("Image", media / "picture.png")
    visitor.attach("Video", media / "film.mp4")
    visitor.attach("Reference images", [str(media / "picture.png"), str(media / "picture.jpg")])
    page.get_by_role("button", name="Add adapter").click()
    page.get_by_label("Use grain").check()
    visitor.row("Image size").get_by_text("Custom").click()
    visitor.more_settings()


def refused(visitor: Visitor, media: Path) -> None:
    visitor.open_app("upscale")
    visitor.field("scale").fill("9")
    assert visitor.run_to_end() == "failed"


def at_work(visitor: Visitor, media: Path) -> None:
    visitor.open_app("showcase")
    visitor.field("prompt").fill("x")
    visitor.field("seconds").fill("20")
    visitor.run()
    expect(visitor.page.locator("[data-sneak]")).to_be_visible()


def done(visitor: Visitor, media: Path) -> None:
    page = visitor.open_app("showcase")
    visitor.field("prompt").fill("x")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    page.get_by_text("Code for this input").click()
    visitor.pixels(page.get_by_alt_text("Image, after"))


def enlarged(visitor: Visitor, media: Path) -> None:
    done(visitor, media)
    visitor.page.get_by_role("button", name="Enlarge Images 1").click()


def painting(visitor: Visitor, media: Path) -> None:
    page = visitor.open_app("showcase")
    visitor.attach("Image", media / "picture.png")
    page.get_by_role("button", name="Paint a mask").click()
    page.locator(".mask canvas").wait_for()


def as_json(visitor: Visitor, media: Path) -> None:
    done(visitor, media)
    visitor.tab("JSON", "Form of the input")
    visitor.tab("JSON")


def log(visitor: Visitor, media: Path) -> None:
    visitor.open_app("limits", "/slow")
    visitor.field("seconds").fill("0.2")
    assert visitor.run_to_end() == "done"
    visitor.tab("Log")


def odd(visitor: Visitor, media: Path) -> None:
    visitor.open_app("limits", "/odd")
    assert visitor.run_to_end() == "done"
    expect(visitor.output("Film")).to_contain_text("cannot play")


def operator(visitor: Visitor, media: Path) -> None:
    log(visitor, media)
    page = visitor.open("/playground/admin", wait=".figures")
    page.get_by_role("region", name="Requests").wait_for()


def nowhere(visitor: Visitor, media: Path) -> None:
    visitor.open("/playground/local/nope", wait=".status")


STATES = [home, empty, filled, refused, at_work, done, enlarged, painting, as_json, log, odd]
STATES += [operator, nowhere]


def look(visitor: Visitor, looks: list[tuple[str, str]]) -> list[str]:
    """Return what axe finds in some combinations of colours and widths."""
    found = []
    for scheme, width in looks:
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        visitor.page.set_viewport_size(WIDTHS[width])
        found += [f"{scheme}, {width}: {each}" for each in visitor.violations()]
    return found


@pytest.mark.parametrize("state", STATES, ids=lambda each: each.__name__)
def test_axe_finds_nothing_in_light_and_dark_on_desktop_and_phone(
    visitor: Visitor, media: Path, state: Callable[[Visitor, Path], None]
) -> None:
    state(visitor, media)
    assert look(visitor, [("light", "desktop"), ("dark", "phone")]) == []
    leave(visitor, state)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES, ids=lambda each: each.__name__)
def test_axe_finds_nothing_the_other_way_round(
    visitor: Visitor, media: Path, state: Callable[[Visitor, Path], None]
) -> None:
    state(visitor, media)
    assert look(visitor, [("dark", "desktop"), ("light", "phone")]) == []
    leave(visitor, state)


def leave(visitor: Visitor, state: Callable[[Visitor, Path], None]) -> None:
    if state is at_work:
        visitor.page.get_by_role("button", name="Cancel").click()


def test_a_whole_run_by_keyboard_alone(visitor: Visitor) -> None:
    page = visitor.open_app("text-to-image")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "f-prompt":
            break
    page.keyboard.type("by keyboard")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("() => document.activeElement.textContent.trim()"))
        if seen[-1].startswith("Run"):
            break
    assert seen[-1].startswith("Run"), seen
    page.keyboard.press("Enter")
    assert visitor.finished() == "done"
    for _ in range(30):
        page.keyboard.press("Tab")
        label = page.evaluate("() => document.activeElement.getAttribute('aria-label')") or ""
        if label.startswith("Enlarge"):
            break
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    expect(box).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    label = page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Enlarge"), "the focus comes back"


def test_tabs_are_walked_with_arrows(visitor: Visitor) -> None:
    page = visitor.open_app("upscale")
    page.get_by_role("tab", name="Form").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="JSON").first).to_be_focused()
    expect(page.get_by_label("Input as JSON")).to_be_visible()


def test_changes_are_told_to_those_who_do_not_see_them(visitor: Visitor) -> None:
    page = visitor.open_app("text-to-image")
    live = page.locator("[aria-live=polite]")
    visitor.field("prompt").fill("x")
    assert visitor.run_to_end() == "done"
    expect(live.first).to_contain_text("Done in")


def test_without_javascript_there_is_a_way_too(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    visitor.page.goto(f"{visitor.url}/playground/local/upscale")
    expect(visitor.page.locator("noscript p")).to_be_visible()
    assert "curl -X POST" in visitor.page.content()


@pytest.mark.parametrize(("wish", "seconds"), [("no-preference", "0.12s"), ("reduce", "0s")])
def test_nothing_moves_for_who_does_not_want_it(
    visitors: Callable[..., Visitor], media: Path, wish: str, seconds: str
) -> None:
    visitor = visitors(reduced_motion=wish)
    done(visitor, media)
    page = visitor.page
    run = page.get_by_role("button", name="Run", exact=True)
    assert set(run.evaluate("e => getComputedStyle(e).transitionDuration").split(", ")) == {seconds}
    run.hover()
    if wish == "reduce":
        assert page.evaluate("() => document.getAnimations().length") == 0
    moving = "() => [...document.querySelectorAll('video, audio')].filter(e => !e.paused).length"
    assert page.evaluate(moving) == 0, "films and sounds wait for a press"


@pytest.mark.parametrize("width", WIDTHS)
def test_long_lines_scroll_by_themselves(
    visitors: Callable[..., Visitor], media: Path, width: str
) -> None:
    visitor = visitors(viewport=WIDTHS[width])
    done(visitor, media)
    cut = """() => [document.documentElement, ...document.querySelectorAll('.input, .result')]
        .filter(box => box.scrollWidth > box.clientWidth).map(box => box.className)"""
    assert visitor.page.evaluate(cut) == []
    code = visitor.page.get_by_role("region", name="curl code")
    assert code.evaluate("box => box.scrollWidth > box.clientWidth"), "it was a long one"
