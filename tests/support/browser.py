"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, sync_playwright


@contextmanager
def browser() -> Iterator[BrowserContext]:
    """Run a browser of its own, with nothing in it."""
    command = shutil.which("chromium")
    assert command, "Debian has it: apt-get install chromium"
    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=command, args=flags)
        try:
            yield running.new_context(accept_downloads=True)
        finally:
            running.close()
