"""Drive Debian's chromium, for tests that look at pages as people do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

# Airflow's pages within a busy machine's browser take longer than Playwright would wait.
expect.set_options(timeout=30_000)


@contextmanager
def opened() -> Iterator[Browser]:
    """Open a browser without a window; close it at the end."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: apt-get install --no-install-recommends chromium"
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()
