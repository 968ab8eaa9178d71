"""Every example, from the empty form to what it makes, by nothing but the page."""

import re
import zipfile
from pathlib import Path

from playwright.sync_api import expect

from tests.support.visitor import Visitor


def test_upscale(visitor: Visitor, media: Path) -> None:
    page = visitor.open_app("upscale")
    visitor.attach("Image", media / "picture.png")
    visitor.field("scale").fill("3")
    page.get_by_text("webp", exact=True).click()
    assert visitor.run_to_end() == "done"
    assert visitor.pixels(visitor.output("Image").locator("img")) == (960, 600)
    expect(visitor.output("Image")).to_contain_text("image/webp")


def test_text_to_image(visitor: Visitor) -> None:
    page = visitor.open_app("text-to-image")
    page.get_by_role("button", name="A lock at noon").click()
    visitor.row("Image size").get_by_text("Custom").click()
    visitor.field("image_size-width").fill("300")
    visitor.field("image_size-height").fill("200")
    visitor.field("num_images").fill("3")
    assert visitor.run_to_end() == "done"
    pictures = visitor.output("Images").locator("img")
    expect(pictures).to_have_count(3)
    assert visitor.pixels(pictures.first) == (300, 200)


def test_slow_motion(visitor: Visitor, media: Path) -> None:
    visitor.open_app("slow-motion")
    visitor.attach("Video", media / "film.mp4")
    visitor.field("factor").fill("4")
    assert visitor.run_to_end() == "done"
    film = visitor.output("Video").locator("video")
    length = film.evaluate(
        """async film => { if (film.readyState < 1) await new Promise(done => film.onloadedmetadata = done);
           return film.duration; }"""
    )
    assert 7.5 < length < 8.5


def test_speech(visitor: Visitor) -> None:
    page = visitor.open_app("speech")
    visitor.field("text").fill("hello")
    assert visitor.run_to_end() == "done"
    sound = visitor.output("Audio").locator("audio")
    expect(sound).to_be_visible()
    url = sound.get_attribute("src") or ""
    visitor.choose_endpoint("/loudness")
    page.get_by_label("Link to a sound").fill(url)
    page.get_by_label("Link to a sound").press("Enter")
    assert visitor.run_to_end() == "done"
    expect(visitor.output("Rms dbfs")).to_contain_text(re.compile(r"-\d"))


def test_contact_sheet(visitor: Visitor, media: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for number in range(3):
            archive.write(media / "picture.png", f"{number}.png")
    visitor.open_app("contact-sheet")
    visitor.attach("Archive", tmp_path / "pictures.zip")
    assert visitor.run_to_end() == "done"
    assert visitor.pixels(visitor.output("Image").locator("img"))[0] > 600
    expect(visitor.output("Names")).to_contain_text("0.png, 1.png, 2.png")


def test_colours(visitor: Visitor, media: Path) -> None:
    visitor.open_app("colours")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    expect(visitor.output("Colours")).to_contain_text("black")
    visitor.choose_endpoint("/repaint")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    assert visitor.pixels(visitor.output("Image").locator("img"))[0] > 100
