"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, sync_playwright

FLAGS = (
    *("--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-gpu", "--enable-unsafe-swiftshader"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium; each of its contexts is a profile of its own."""
    command = shutil.which("chromium")
    assert command, "Debian has it: apt-get install chromium"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=command, args=[*FLAGS])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def browser() -> Iterator[BrowserContext]:
    """Run a browser of its own, with nothing in it."""
    with chromium() as running:
        yield running.new_context(accept_downloads=True)
