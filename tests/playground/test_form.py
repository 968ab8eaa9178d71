"""Fields of every kind: what is filled in is what the app gets."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect

from tests.support.visitor import Visitor, drop, paste
from towpath.testing import Server


def fill_in_values(visitor: Visitor, media: Path) -> None:
    page = visitor.page
    visitor.field("prompt").fill("A harbour\nin two lines, “quoted” — ünïcödé 🎨")
    page.get_by_text("rings", exact=True).click()
    visitor.attach("Image", media / "picture.png")
    visitor.field("title").fill("<b>Title</b>")
    visitor.field("palette").select_option(label="plum")
    visitor.row("Image size").get_by_text("Custom").click()
    visitor.field("image_size-width").fill("640")
    visitor.field("num_images").fill("1")
    visitor.field("strength").fill("0.25")
    visitor.field("seed").fill("7")
    visitor.attach("Video", media / "film.mp4")
    visitor.attach("File", media / "note.txt")
    visitor.attach("Reference images", [str(media / "picture.png"), str(media / "picture.jpg")])
    expect(page.locator(".files li")).to_have_count(2)


def fill_in_lists(visitor: Visitor, media: Path) -> None:
    page = visitor.page
    for number, word in enumerate(("one", "two")):
        page.get_by_role("button", name="Add tag").click()
        visitor.field(f"tags-{number}").fill(word)
    page.get_by_role("button", name="Move Tag 2 up").click()
    page.get_by_role("button", name="Add adapter").click()
    visitor.attach("Path", media / "note.txt")
    visitor.field("adapters-0-weight").fill("1.5")
    page.get_by_label("Use grain").check()
    visitor.field("grain-amount").fill("0.75")
    page.get_by_label("Is mirrored").check()
    visitor.field("due").fill("2026-12-24")
    visitor.field("options").fill('{"a": [1, null, true]}')
    visitor.field("api_token").fill("hush")
    visitor.more_settings()
    visitor.field("quality").fill("55")


def test_every_kind_of_field_reaches_the_app(visitor: Visitor, media: Path) -> None:
    visitor.open_app("showcase")
    fill_in_values(visitor, media)
    fill_in_lists(visitor, media)
    assert visitor.run_to_end() == "done"
    got = visitor.answer()["received"]
    urls = [got.pop(name) for name in ("image_url", "video_url", "file_url")]
    assert all(re.fullmatch(r"http://127.0.0.1:\d+/files/\w{32}/[\w.]+", url) for url in urls)
    assert [url.rpartition("/")[2] for url in got.pop("reference_image_urls")] == [
        "picture.png",
        "picture.jpg",
    ]
    [adapter] = got.pop("adapters")
    assert adapter["weight"] == 1.5
    assert adapter["path_url"].endswith("/note.txt")
    assert got == {
        "prompt": "A harbour\nin two lines, “quoted” — ünïcödé 🎨",
        "style": "rings",
        "title": "<b>Title</b>",
        "palette": "plum",
        "image_size": {"width": 640, "height": 512},
        "num_images": 1,
        "strength": 0.25,
        "seed": 7,
        "seconds": 0,
        "mask_url": None,
        "audio_url": None,
        "tags": ["two", "one"],
        "grain": {"amount": 0.75, "is_coloured": False},
        "is_mirrored": True,
        "note": None,
        "due": "2026-12-24",
        "options": {"a": [1, None, True]},
        "problem": "none",
        "quality": 55,
        "revision": 3,
        "has_token": True,
    }
    assert httpx2.get(urls[0]).content == (media / "picture.png").read_bytes()


def test_what_is_optional_can_be_emptied_again(visitor: Visitor) -> None:
    page = visitor.open_app("showcase")
    visitor.field("prompt").fill("x")
    visitor.field("seed").fill("3")
    visitor.field("seed").fill("")
    visitor.field("note").fill("a")
    visitor.field("note").fill("")
    page.get_by_label("Use grain").check()
    page.get_by_label("Use grain").uncheck()
    page.get_by_role("button", name="Random").click()
    assert visitor.field("seed").input_value().isdigit()
    visitor.field("seed").fill("")
    visitor.tab("JSON", "Form of the input")
    shown = visitor.page.get_by_label("Input as JSON").input_value()
    assert not {"seed", "note", "grain"} & set(httpx2.Response(200, text=shown).json())


def test_both_forms_of_a_union_keep_what_was_typed(visitor: Visitor) -> None:
    visitor.open_app("showcase")
    row = visitor.row("Image size")
    row.get_by_text("Custom").click()
    visitor.field("image_size-width").fill("333")
    row.get_by_text("Preset").click()
    expect(visitor.field("image_size")).to_have_value("1")
    row.get_by_text("Custom").click()
    expect(visitor.field("image_size-width")).to_have_value("333")


def test_a_slider_and_its_box_say_the_same(visitor: Visitor) -> None:
    page = visitor.open_app("showcase")
    slider = page.get_by_label("Num images, slider")
    slider.focus()
    page.keyboard.press("End")
    expect(visitor.field("num_images")).to_have_value("4")
    visitor.field("num_images").fill("3")
    expect(slider).to_have_value("3")


def test_the_json_view_and_the_form_are_one(visitor: Visitor) -> None:
    page = visitor.open_app("showcase")
    visitor.field("prompt").fill("from the form")
    visitor.tab("JSON", "Form of the input")
    box = page.get_by_label("Input as JSON")
    assert '"prompt": "from the form"' in box.input_value()
    box.fill('{"prompt": "from JSON", "revision": 9')
    expect(page.get_by_role("alert")).to_contain_text("Not JSON yet")
    box.fill('{"prompt": "from JSON", "revision": 9}')
    expect(page.get_by_role("alert")).to_have_count(0)
    visitor.tab("Form", "Form of the input")
    expect(visitor.field("prompt")).to_have_value("from JSON")
    assert visitor.run_to_end() == "done"
    assert visitor.answer()["received"]["revision"] == 9, "also what the form hides"


def test_examples_fill_a_field(visitor: Visitor) -> None:
    page = visitor.open_app("showcase")
    page.get_by_role("button", name="Two moons over a canal").click()
    expect(visitor.field("prompt")).to_have_value("Two moons over a canal")


def test_before_the_first_run_the_page_shows_what_may_come_out(visitor: Visitor) -> None:
    page = visitor.open_app("text-to-image")
    expect(page.locator(".outcome")).to_contain_text("What comes out looks like this")
    assert visitor.pixels(page.locator(".outcome img")) == (320, 200)


def test_what_was_typed_last_is_sent(visitor: Visitor) -> None:
    page = visitor.open_app("showcase")
    visitor.field("prompt").focus()
    page.evaluate(
        """() => {
            const box = document.getElementById('f-prompt');
            box.value = 'typed in the same moment';
            box.dispatchEvent(new InputEvent('input', {bubbles: true}));
            box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true, bubbles: true}));
        }"""
    )
    assert visitor.finished() == "done"
    assert visitor.answer()["received"]["prompt"] == "typed in the same moment"


class TestFiles:
    def test_a_dropped_file_is_stored_as_it_is(self, visitor: Visitor, media: Path) -> None:
        visitor.open_app("upscale")
        data = (media / "picture.png").read_bytes()
        drop(visitor.row("Image").locator(".drop"), files=[("ünïcödé 🎨.png", "image/png", data)])
        name = visitor.page.locator(".chosen .name")
        expect(name).to_have_text("unicode.png")
        assert visitor.run_to_end() == "done"

    def test_a_pasted_picture_needs_no_dialog(self, visitor: Visitor, media: Path) -> None:
        visitor.open_app("upscale")
        button = visitor.page.get_by_role("button", name="Choose a picture")
        button.focus()
        data = (media / "picture.png").read_bytes()
        paste(button, files=[("image.png", "image/png", data)])
        visitor.page.locator(".chosen img").wait_for()
        assert visitor.run_to_end() == "done"

    def test_a_link_is_sent_as_it_is(self, visitor: Visitor, site: Server, media: Path) -> None:
        page = visitor.open_app("upscale")
        url = uploaded(site, media / "picture.png")
        link = page.get_by_label("Link to a picture")
        link.fill(url)
        link.press("Enter")
        assert visitor.run_to_end() == "done"
        page.get_by_role("button", name="Remove Image").click()
        paste(page.get_by_role("button", name="Choose a picture"), text=url)
        page.locator(".chosen img").wait_for()

    def test_a_link_to_elsewhere_is_not_fetched_by_the_page(self, visitor: Visitor) -> None:
        page = visitor.open_app("upscale")
        page.get_by_label("Link to a picture").fill("https://elsewhere.test/a.png")
        page.get_by_label("Link to a picture").press("Enter")
        expect(page.locator(".chosen .name")).to_have_text("a.png")
        assert page.locator(".chosen img").count() == 0

    def test_a_data_uri_is_shown_by_its_size(self, visitor: Visitor) -> None:
        page = visitor.open_app("upscale")
        paste(
            page.get_by_role("button", name="Choose a picture"),
            text="data:image/png;base64," + "A" * 4_000_000,
        )
        expect(page.locator(".chosen .name")).to_have_text("data:image/png;base64,… (3.0 MB)")

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("picture.jpg", "picture.jpg is image/jpeg. This field takes image/png."),
            ("large.png", r"large.png is .* KB. This field takes at most 200 KB; make it smaller"),
            ("note.txt", "note.txt is text/plain. This field takes image/png."),
        ],
    )
    def test_what_does_not_fit_is_refused_before_it_is_sent(
        self, visitor: Visitor, media: Path, name: str, said: str
    ) -> None:
        page = visitor.open_app("limits")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        visitor.row("Image").locator("input[type=file]").set_input_files(media / name)
        expect(page.get_by_role("alert")).to_contain_text(re.compile(said))
        assert not [url for url in sent if "upload" in url]

    def test_limits_are_told(self, visitor: Visitor) -> None:
        visitor.open_app("limits")
        expect(visitor.row("Image")).to_contain_text("image/png; at most 200 KB")

    def test_an_upload_shows_how_far_it_is_and_can_be_cancelled(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        page.evaluate(
            """() => { window.held = []; const send = XMLHttpRequest.prototype.send;
               XMLHttpRequest.prototype.send = function (body) { window.held.push(this); } }"""
        )
        drop(visitor.row("File").locator(".drop"), files=[("a.bin", "", b"x" * 100)])
        expect(page.get_by_label("Upload of a.bin")).to_be_visible()
        page.evaluate(
            "() => held[0].upload.onprogress({lengthComputable: true, loaded: 1, total: 2})"
        )
        expect(page.get_by_label("Upload of a.bin")).to_have_js_property("value", 0.5)
        page.locator(".going").get_by_role("button", name="Cancel").click()

    def test_a_run_waits_for_uploads_that_are_on_their_way(
        self, visitor: Visitor, media: Path
    ) -> None:
        page = visitor.open_app("upscale")
        page.evaluate(
            """() => { const send = XMLHttpRequest.prototype.send;
               XMLHttpRequest.prototype.send = function (body) { setTimeout(() => send.call(this, body), 900); } }"""
        )
        visitor.row("Image").locator("input[type=file]").set_input_files(media / "picture.png")
        visitor.run()
        expect(page.locator(".status").first).to_have_text("Waiting for the uploads…")
        assert visitor.finished() == "done"

    def test_an_upload_that_breaks_says_so_and_can_be_tried_again(
        self, visitor: Visitor, media: Path
    ) -> None:
        page = visitor.open_app("upscale")
        page.route("**/files/upload", lambda route: route.abort())
        visitor.row("Image").locator("input[type=file]").set_input_files(media / "picture.png")
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        page.unroute("**/files/upload")
        visitor.attach("Image", media / "picture.png")
        assert page.get_by_role("alert").count() == 0

    def test_a_refused_upload_says_why(self, visitor: Visitor, media: Path) -> None:
        page = visitor.open_app("upscale")
        refusal = {"status": 507, "json": {"detail": "The disk is full."}}
        page.route("**/files/upload", lambda route: route.fulfill(**refusal))
        visitor.row("Image").locator("input[type=file]").set_input_files(media / "picture.png")
        expect(page.get_by_role("alert")).to_contain_text(
            re.compile(r"picture.png \(.*\) was not taken: The disk is full")
        )

    def test_samples_are_one_click_away(self, visitor: Visitor) -> None:
        page = visitor.open_app("limits")
        page.get_by_role("button", name="Sample sample.png").click()
        expect(page.locator(".chosen .name")).to_have_text("sample.png")

    def test_a_picture_from_the_camera(self, visitor: Visitor) -> None:
        visitor.context.grant_permissions(["camera"])
        page = visitor.open_app("upscale")
        page.get_by_role("button", name="Camera").click()
        page.wait_for_function("() => document.querySelector('dialog video')?.videoWidth > 0")
        page.get_by_role("button", name="Take the picture").click()
        page.locator(".chosen img").wait_for()
        assert visitor.run_to_end() == "done"

    def test_a_sound_from_the_microphone(self, visitor: Visitor) -> None:
        visitor.context.grant_permissions(["microphone"])
        page = visitor.open_app("speech", "/loudness")
        page.get_by_role("button", name="Microphone").click()
        page.get_by_role("button", name="Record").click()
        page.wait_for_timeout(1200)
        page.get_by_role("button", name="Stop and use it").click()
        page.locator(".chosen audio").wait_for()
        assert visitor.run_to_end() == "done"
        assert visitor.answer()["seconds"] > 0.5

    def test_a_mask_is_painted_over_the_picture(self, visitor: Visitor, media: Path) -> None:
        page = visitor.open_app("showcase")
        expect(page.get_by_role("button", name="Paint a mask")).to_be_disabled()
        visitor.attach("Image", media / "picture.png")
        page.get_by_role("button", name="Paint a mask").click()
        canvas = page.locator(".mask canvas")
        box = canvas.bounding_box()
        assert box
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30, steps=5)
        page.mouse.up()
        page.get_by_role("button", name="Use this mask").click()
        mask = visitor.row("Mask").locator("img")
        assert visitor.pixels(mask) == (320, 200)
        shades = mask.evaluate(
            """image => { const c = document.createElement('canvas'); c.width = 320; c.height = 200;
               const g = c.getContext('2d'); g.drawImage(image, 0, 0);
               const at = (x, y) => g.getImageData(x, y, 1, 1).data[0]; return [at(40, 22), at(40, 190)]; }"""
        )
        assert shades == [255, 0]


def uploaded(site: Server, path: Path) -> str:
    headers = {"content-type": "image/png", "x-fal-file-name": path.name}
    answer = httpx2.post(f"{site.url}/files/upload", content=path.read_bytes(), headers=headers)
    return str(answer.json()["access_url"])


def test_forms_of_the_other_endpoints_are_a_choice_away(
    visitors: Callable[..., Visitor],
) -> None:
    visitor = visitors()
    visitor.open_app("colours", "/repaint")
    expect(visitor.page.get_by_text("Return the image with every pixel")).to_be_visible()
